"""The layer norms against their formula."""

from __future__ import annotations

import pytest
import torch

from restorebench.models.layers.layer_norm import (
    BiasFreeChannelNorm,
    BiasFreeLayerNorm2d,
    ChannelLayerNorm,
    LayerNorm2d,
)

from .examples import keys, largest_error, noise, randomised


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("eps", [1e-6, 1e-2])
def test_layer_norm_is_mean_and_variance_over_channels(channels_last: bool, eps: float) -> None:
    norm = randomised(ChannelLayerNorm(6, eps))
    x = noise(2, 6, 5, 4)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    centred = x - x.mean(1, keepdim=True)
    normalised = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + eps)
    expected = normalised * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
    actual = norm(x)
    assert largest_error(actual, expected) < 1e-5
    assert actual.is_contiguous(memory_format=torch.channels_last)


def test_layer_norms_have_the_keys_and_eps_of_their_networks() -> None:
    assert keys(ChannelLayerNorm(3)) == {"weight": (3,), "bias": (3,)}
    assert keys(LayerNorm2d(3)) == {"body.weight": (3,), "body.bias": (3,)}
    assert (ChannelLayerNorm(3).eps, LayerNorm2d(3).body.eps) == (1e-6, 1e-5)


@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_bias_free_norm_divides_by_the_deviation_and_keeps_the_mean(eps: float) -> None:
    norm = randomised(BiasFreeChannelNorm(6, eps))
    x = noise(2, 6, 5, 4) + 3
    expected = x / torch.sqrt(x.var(1, keepdim=True, correction=0) + eps) * norm.weight.view(1, -1, 1, 1)
    actual = norm(x)
    assert largest_error(actual, expected) < 1e-5
    assert actual.is_contiguous(memory_format=torch.channels_last)
    assert keys(BiasFreeLayerNorm2d(3)) == {"body.weight": (3,)}
    assert BiasFreeLayerNorm2d(3).body.eps == 1e-5
