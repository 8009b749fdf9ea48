"""The U-Net that Restormer, PromptIR and AdaIR share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebench.models.layers.restormer_unet import RestormerUNet, join


def test_join_is_the_convolution_of_the_concatenation() -> None:
    torch.manual_seed(0)
    reduce = nn.Conv2d(7, 5, 1, bias=False)
    first, second = torch.randn(2, 3, 6, 4), torch.randn(2, 4, 6, 4)
    torch.testing.assert_close(join(reduce, first, second), reduce(torch.cat([first, second], dim=1)))


def test_features_are_adapted_on_the_way_up_with_the_image_at_hand() -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    class Narrowing(RestormerUNet):
        def adapt(self, level: int, features: Tensor, image: Tensor) -> Tensor:
            assert image.shape == (1, 3, 16, 24)
            seen.append((level, tuple(features.shape)))
            return features[:, :16] if level == 4 else features

    network = Narrowing(4, (1, 1, 1, 1), 1, (1, 1, 1, 1), 2.0, latent_channels=16)
    assert network(torch.rand(1, 3, 16, 24)).shape == (1, 3, 16, 24)
    assert seen == [(4, (1, 32, 2, 3)), (3, (1, 16, 4, 6)), (2, (1, 8, 8, 12))]
