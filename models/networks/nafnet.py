"""NAFNet, nonlinear activation free network for image restoration (Chen et al., arXiv 2204.04676)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..card import Checkpoint, ModelCard, PublishedFigure, Tiling, Variant
from ..layers import row_strips as strips
from ..layers.layer_norm import ChannelLayerNorm
from ..layers.layout import product
from ..layers.nafnet import AdditiveUNet, Pointwise, SimpleGate, channel_weights, depthwise, times
from ..registry import register

REPOSITORY = "https://github.com/megvii-research/NAFNet"
SIDD_BLOCKS = {"encoder_blocks": (2, 2, 4, 8), "middle_blocks": 12, "decoder_blocks": (2, 2, 2, 2)}
"""Blocks of the networks published for real noise."""


def checkpoint(variant: str, name: str, trained_for: str, *, width: int | None = None) -> Checkpoint:
    """A file of the authors' shared folder; `width` where it is not the variant's."""
    return Checkpoint(
        variant=variant,
        file_name=f"NAFNet-{name}.pth",
        url=REPOSITORY,
        licence="MIT",
        trained_for=trained_for,
        overrides={} if width is None else {"width": width},
    )


CARD = ModelCard(
    name="nafnet",
    title="NAFNet",
    variants={
        "w32": Variant(
            parameters=17_111_907,
            macs_256_g=15.96,
            note="the row of all-in-one tables, published for GoPro; 12.22 G multiply-adds at 224x224",
        ),
        "w64": Variant(
            arguments={"width": 64},
            parameters=67_888_835,
            macs_256_g=63.06,
            note="published for GoPro; 48.28 G multiply-adds at 224x224",
        ),
        "sidd_w32": Variant(
            arguments=SIDD_BLOCKS,
            parameters=29_159_715,
            macs_256_g=16.05,
            note="published for real noise",
        ),
        "tiny": Variant(
            arguments={
                "width": 16,
                "encoder_blocks": (1, 1, 8),
                "middle_blocks": 1,
                "decoder_blocks": (1, 1, 1),
            },
            parameters=504_179,
            macs_256_g=1.77,
            note="three levels instead of four, at a laptop's size",
        ),
    },
    paper="Chen et al., Simple Baselines for Image Restoration, ECCV 2022",
    url="https://arxiv.org/abs/2204.04676",
    year=2022,
    code_licence="MIT",
    weights_licence="MIT",
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.19,
        note="channel weights come from the mean of the whole image: tiles of 256, 512 and 768 pixels "
        "changed the PSNR of photographs of 1024x768 by up to 0.25, 0.19 and 0.03 dB (tiny, float32)",
    ),
    training_sets=("GoPro", "SIDD"),
    published=(
        PublishedFigure(variant="w32", parameters_m=17.1, source="tables of all-in-one papers"),
        PublishedFigure(
            variant="w64", macs_g=65.0, input_size="1x3x256x256", source="arXiv 2204.04676", note="by its own counter"
        ),
    ),
    checkpoints=(
        checkpoint("w32", "GoPro-width32", "motion blur, GoPro"),
        checkpoint("w64", "GoPro-width64", "motion blur, GoPro"),
        checkpoint("sidd_w32", "SIDD-width32", "real noise, SIDD"),
        checkpoint("sidd_w32", "SIDD-width64", "real noise, SIDD", width=64),
    ),
    notes=(
        "The network pads with zeros to a multiple of 16 itself and crops back.",
        "The published options for GoPro replace the mean over the image by a sliding mean (test-time local "
        "conversion), which gives other outputs above 384 pixels; here the network is as it was trained. All-in-one "
        "tables do not say which they used.",
    ),
)


class NAFBlock(nn.Module):
    """Block of NAFNet (section 3), (B, C, H, W) -> the same.

    n = norm1(x), g = gate(conv2(conv1(n))), y = x + conv3(g * sca(g)) * beta, y + conv5(gate(conv4(norm2(y)))) * gamma.

    Keys as the attributes; ``beta`` and ``gamma`` (1, C, 1, 1) start at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels)
        self.conv1 = Pointwise(channels, 2 * channels)
        self.conv2 = depthwise(2 * channels, bias=True)
        self.gate = SimpleGate()
        self.sca = channel_weights(channels, channels)
        self.conv3 = Pointwise(channels, channels)
        self.norm2 = ChannelLayerNorm(channels)
        self.conv4 = Pointwise(channels, 2 * channels)
        self.conv5 = Pointwise(channels, channels)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if strips.strips_pay(x, self.conv1.out_channels):
            return self._in_strips(x)
        gated = self.gate(self.conv2(self.conv1(self.norm1(x))))
        y = torch.addcmul(x, self.conv3(times(gated, self.sca(gated))), self.beta)
        return torch.addcmul(y, self.conv5(self.gate(self.conv4(self.norm2(y)))), self.gamma)

    def _in_strips(self, x: Tensor) -> Tensor:
        """The same a strip of rows at a time, for inference on a CPU (see `row_strips`)."""
        x, images = strips.as_images(x)
        restored = torch.empty_like(x)
        for image, out in zip(torch.split(images, 1), torch.split(restored.permute(0, 2, 3, 1), 1), strict=True):
            mean = self._gate_into(out, image)
            weights = self.sca(mean[None, :, None, None]).flatten()
            self._mix_into(out, image, weights)
        return restored

    def _gate_into(self, out: Tensor, image: Tensor) -> Tensor:
        """Write g of an image (1, H, W, C) to `out`, the same shape; its mean over space, (C,)."""
        channels = image.shape[3]
        total = image.new_zeros(channels)
        for first, end, hidden in strips.depthwise_strips(image, self.norm1, self.conv1, self.conv2):
            gated = out[:, first:end].view(-1, channels)
            torch.mul(hidden[:, :channels], hidden[:, channels:], out=gated)
            total += gated.sum(dim=0)
        return total / (image.shape[1] * image.shape[2])

    def _mix_into(self, out: Tensor, image: Tensor, weights: Tensor) -> None:
        """From g in `out` and the channel weights (C,) to the block's result, in place."""
        _, height, width, channels = image.shape
        beta, gamma = self.beta.flatten(), self.gamma.flatten()
        assert self.conv3.bias is not None
        assert self.conv5.bias is not None
        # The channel weights scale the columns of the small matrix, beta and gamma the rows.
        mix, offset = self.conv3.weight.flatten(1) * weights * beta[:, None], self.conv3.bias * beta
        back, shift = self.conv5.weight.flatten(1) * gamma[:, None], self.conv5.bias * gamma
        rows = strips.rows_of_strip(width, 2 * channels)
        for first in range(0, height, rows):
            gated = out[:, first : first + rows].view(-1, channels)
            y = product(gated, mix, offset).add_(image[:, first : first + rows].view(-1, channels))
            normed = F.layer_norm(y, (channels,), self.norm2.weight, self.norm2.bias, self.norm2.eps)
            hidden = product(normed, self.conv4.weight.flatten(1), self.conv4.bias)
            torch.add(y, product(hidden[:, :channels] * hidden[:, channels:], back, shift), out=gated)


@register(CARD)
class NAFNet(AdditiveUNet):
    """NAFNet, (B, 3, H, W) in [0, 1] of any size -> the same shape.

    Args:
        width: channels at full resolution; each level below has twice as many.
        encoder_blocks: blocks of each encoder level from the top.
        middle_blocks: blocks at the bottom.
        decoder_blocks: blocks of each decoder level from the bottom; as many levels as the encoder has.

    Raises:
        ValueError: the levels do not match.
    """

    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks):
            raise ValueError(f"{len(encoder_blocks)} encoder levels, but {len(decoder_blocks)} decoder levels")
        self.build_levels(width, encoder_blocks, middle_blocks, decoder_blocks, NAFBlock)

    def forward(self, image: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) -> restored ones, the same shape."""
        return self.restore(image.contiguous(memory_format=torch.channels_last))
