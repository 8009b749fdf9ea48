"""Losses of a batch, and their running means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...models.hooks import HasAuxiliaryLoss
from .config import LossConfig


class Terms(NamedTuple):
    """The loss of a batch and what it consists of; scalars, but `each`, which is L1 for every sample, (B,)."""

    total: Tensor
    l1: Tensor
    fourier: Tensor
    auxiliary: Tensor
    each: Tensor


def loss_terms(restored: Tensor, clean: Tensor, weights: LossConfig, network: nn.Module) -> Terms:
    """The loss of a batch, in float32.

    ``l1 * |x - y| + fourier * |F(x) - F(y)|``, F the real and imaginary parts of `rfft2` without normalisation, plus
    what the network adds itself (`HasAuxiliaryLoss`); |.| is the mean.

    Args:
        restored, clean: (B, 3, H, W).
        weights: of the two.
        network: the bare network, after its forward in training mode.
    """
    restored, clean = restored.float(), clean.float()
    each = (restored - clean).abs().mean(dim=(1, 2, 3))
    l1 = each.mean()
    zero = l1.new_zeros(())
    fourier = torch.view_as_real(torch.fft.rfft2(restored - clean)).abs().mean() if weights.fourier else zero
    auxiliary = network.auxiliary_loss().float() if isinstance(network, HasAuxiliaryLoss) else zero
    total = weights.l1 * l1 + weights.fourier * fourier + auxiliary
    return Terms(total, l1.detach(), fourier.detach(), auxiliary.detach(), each.detach())


TERMS = ("loss", "l1", "fourier", "auxiliary", "gradient_norm")


class RunningMeans:
    """Means since the last line of the table: of the terms over steps, and of L1 over the samples of every label.

    `values` is a float64 vector of sums and counts, which processes can add up and checkpoints keep.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.values = torch.zeros(len(TERMS) + 1 + 2 * len(self.labels), dtype=torch.float64)

    def add(self, terms: Terms, gradient_norm: Tensor, labels: Sequence[str]) -> None:
        """Count a step."""
        row = torch.stack([terms.total.detach(), terms.l1, terms.fourier, terms.auxiliary, gradient_norm])
        read = torch.cat([row, terms.each]).cpu().double()  # one copy from the device
        self.values[: len(TERMS)] += read[: len(TERMS)]
        self.values[len(TERMS)] += 1
        for label, value in zip(labels, read[len(TERMS) :], strict=True):
            at = len(TERMS) + 1 + 2 * self.labels.index(label)
            self.values[at] += value
            self.values[at + 1] += 1

    def means(self, values: Tensor) -> dict[str, float | None]:
        """The means by column (`l1_LABEL` for labels; None where there was no sample) of the summed up `values`."""
        steps = float(values[len(TERMS)])
        means: dict[str, float | None] = {name: float(values[i]) / steps for i, name in enumerate(TERMS)}
        for number, label in enumerate(self.labels):
            total, count = values[len(TERMS) + 1 + 2 * number : len(TERMS) + 3 + 2 * number].tolist()
            means[f"l1_{label}"] = total / count if count else None
        return means

    def reset(self) -> None:
        """Start over."""
        self.values.zero_()
