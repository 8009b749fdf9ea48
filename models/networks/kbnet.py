"""KBNet, kernel basis network (arXiv 2303.02881): both networks and the card; the blocks are in `kbnet_blocks`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..card import HALVED_THREE_TIMES, Checkpoint, ModelCard, PublishedFigure, SizeRule, Tiling, Variant
from ..layers.nafnet import AdditiveUNet
from ..layers.restormer import Downsample, OverlapPatchEmbed, Upsample
from ..registry import register
from .kbnet_blocks import KBBlockL, KBBlockS

REPOSITORY = "https://github.com/zhangyi-3/KBNet"
NO_LICENCE = f"none stated: {REPOSITORY} has no licence file"
SIDD_FORM = {"light": True, "ffn_scale": 1.5}
"""What the published weights for real noise change in KBNet-S."""

PADS_ITSELF = SizeRule()
"""KBNet-S pads with zeros to multiples of 2 to the power of its levels, as its authors' network does. Their denoising
evaluation pads by reflection to 8 before: that is a rule of the protocol (``kbnet-gauss@1``)."""


def checkpoint(variant: str, name: str, trained_for: str, *, real_noise: bool = False) -> Checkpoint:
    """A file of the authors' shared folders, under the name that their options give it."""
    return Checkpoint(
        variant=variant,
        file_name=f"{name}.pth",
        url=REPOSITORY,
        licence=NO_LICENCE,
        trained_for=trained_for,
        overrides=SIDD_FORM if real_noise else {},
    )


CARD = ModelCard(
    name="kbnet",
    title="KBNet",
    variants={
        "s": Variant(
            parameters=141_966_659, macs_256_g=117.30, size=PADS_ITSELF, note="KBNet-S, published for denoising"
        ),
        "l": Variant(
            arguments={
                "shape": "l",
                "width": 48,
                "encoder_blocks": (4, 6, 6),
                "middle_blocks": 8,
                "decoder_blocks": (6, 6, 4),
                "ffn_scale": 1.5,
            },
            parameters=29_568_100,
            macs_256_g=210.20,
            note="KBNet-L, published for deraining and defocus deblurring",
        ),
        "tiny": Variant(
            arguments={
                "width": 16,
                "encoder_blocks": (1, 1, 1),
                "middle_blocks": 1,
                "decoder_blocks": (1, 1, 1),
                "bases": 16,
            },
            parameters=540_323,
            macs_256_g=3.89,
            size=PADS_ITSELF,
            note="KBNet-S with all its mechanisms at a laptop's size",
        ),
    },
    paper="Zhang et al., KBNet: Kernel Basis Network for Image Restoration, arXiv 2303.02881",
    url="https://arxiv.org/abs/2303.02881",
    year=2023,
    code_licence=NO_LICENCE,
    weights_licence=NO_LICENCE,
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.24,
        note="it takes means over the whole image: tiles of 256, 512 and 768 pixels changed the PSNR of photographs of "
        "1024x768 by up to 0.30, 0.24 and 0.09 dB (tiny, float32)",
    ),
    training_sets=("DIV2K", "Flickr2K", "BSD400", "WED", "SIDD", "SenseNoise", "Rain13K", "DPDD"),
    published=(
        PublishedFigure(
            variant="s",
            macs_g=69.09,
            source=f"{REPOSITORY}/issues/5",
            note="without kernel basis attention, which hooks on modules do not see",
        ),
        PublishedFigure(
            variant="l",
            macs_g=108.0,
            source="as quoted by later papers",
            note="without kernel basis attention, which hooks on modules do not see",
        ),
    ),
    notes=("revision 2: KBNet-S pads images of any size itself, by zeros; before, by reflection to 8 first",),
    revision=2,
    checkpoints=(
        *(checkpoint("s", f"gau_color_{sigma}", f"Gaussian noise, colour, sigma {sigma}") for sigma in (15, 25, 50)),
        checkpoint("s", "sidd", "real noise, SIDD", real_noise=True),
        checkpoint("s", "sensenoise_s", "real noise, SenseNoise", real_noise=True),
        checkpoint("l", "derain", "rain, Rain13K"),
        checkpoint("l", "defocus", "defocus blur, DPDD"),
    ),
)


@register(CARD)
class KBNet(AdditiveUNet):
    """KBNet-S or KBNet-L, (B, 3, H, W) in [0, 1] -> the same shape.

    KBNet-S takes any size: it pads with zeros to a multiple of 2 to the power of its levels. KBNet-L takes multiples
    of 8.

    Args:
        shape: ``s``, a NAFNet-like U-Net, or ``l``, a Restormer-shaped one.
        width: channels at full resolution.
        encoder_blocks: blocks of each encoder level from the top; L has three.
        middle_blocks: blocks at the bottom.
        decoder_blocks: blocks of each decoder level from the bottom; as many levels as the encoder has.
        ffn_scale: S: width of the feed-forward; L: width of the MFF; in multiples of the level's.
        bases: kernels of each block.
        light: S only: 3x3 depthwise convolutions in the local branches.
        heads: L only: attention heads from the top level to the bottom.
        refinement_blocks: L only: blocks after the decoder.

    Raises:
        ValueError: the arguments do not fit the shape.
    """

    def __init__(
        self,
        shape: Literal["s", "l"] = "s",
        *,
        width: int = 64,
        encoder_blocks: Sequence[int] = (2, 2, 4, 8),
        middle_blocks: int = 12,
        decoder_blocks: Sequence[int] = (2, 2, 2, 2),
        ffn_scale: float = 2.0,
        bases: int = 32,
        light: bool = False,
        heads: Sequence[int] = (1, 2, 4, 8),
        refinement_blocks: int = 4,
    ) -> None:
        super().__init__()
        if shape not in ("s", "l"):
            raise ValueError(f"shape must be 's' or 'l', not {shape!r}")
        if len(encoder_blocks) != len(decoder_blocks):
            raise ValueError(f"{len(encoder_blocks)} encoder levels, but {len(decoder_blocks)} decoder levels")
        if shape == "l" and (light or len(encoder_blocks) != 3 or len(heads) != 4):
            raise ValueError("shape 'l' has 3 encoder levels, 4 numbers of heads and no light form")
        self.shape = shape
        if shape == "s":
            block = functools.partial(KBBlockS, bases=bases, ffn_scale=ffn_scale, light=light)
            self.build_levels(width, encoder_blocks, middle_blocks, decoder_blocks, block)
        else:
            self._build_l(width, [*encoder_blocks, middle_blocks], decoder_blocks, ffn_scale, bases, heads)
            self.refinement = self._stage_l(2 * width, refinement_blocks, heads[0], ffn_scale, bases)

    def _build_l(
        self,
        width: int,
        encoder_blocks: Sequence[int],
        decoder_blocks: Sequence[int],
        ffn_scale: float,
        bases: int,
        heads: Sequence[int],
    ) -> None:
        w1, w2, w3, w4 = (width * 2**level for level in range(4))
        self.patch_embed = OverlapPatchEmbed(3, w1)
        self.encoder_level1 = self._stage_l(w1, encoder_blocks[0], heads[0], ffn_scale, bases)
        self.down1_2 = Downsample(w1)
        self.encoder_level2 = self._stage_l(w2, encoder_blocks[1], heads[1], ffn_scale, bases)
        self.down2_3 = Downsample(w2)
        self.encoder_level3 = self._stage_l(w3, encoder_blocks[2], heads[2], ffn_scale, bases)
        self.down3_4 = Downsample(w3)
        self.latent = self._stage_l(w4, encoder_blocks[3], heads[3], ffn_scale, bases)
        self.up4_3 = Upsample(w4)
        self.reduce_chan_level3 = nn.Conv2d(2 * w3, w3, 1, bias=False)
        self.decoder_level3 = self._stage_l(w3, decoder_blocks[0], heads[2], ffn_scale, bases)
        self.up3_2 = Upsample(w3)
        self.reduce_chan_level2 = nn.Conv2d(2 * w2, w2, 1, bias=False)
        self.decoder_level2 = self._stage_l(w2, decoder_blocks[1], heads[1], ffn_scale, bases)
        self.up2_1 = Upsample(w2)
        self.decoder_level1 = self._stage_l(w2, decoder_blocks[2], heads[0], ffn_scale, bases)
        self.output = nn.Conv2d(w2, 3, 3, padding=1, bias=False)

    @staticmethod
    def _stage_l(channels: int, blocks: int, heads: int, ffn_scale: float, bases: int) -> nn.Sequential:
        return nn.Sequential(*(KBBlockL(channels, heads, ffn_scale, bases=bases) for _ in range(blocks)))

    def forward(self, image: Tensor) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        return self.restore(image) if self.shape == "s" else self._forward_l(image)

    def _forward_l(self, image: Tensor) -> Tensor:
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.up4_3(self.latent(self.down3_4(level3)))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, level3], dim=1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], dim=1)))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], dim=1))
        restored: Tensor = self.output(self.refinement(x)) + image
        return restored
