"""RBaIR, radial basis all-in-one image restoration (Park & Choi, Pattern Recognition 2025): network, card, key map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..card import ModelCard, PublishedFigure, SizeRule, Tiling, Variant
from ..layers.restormer import Downsample, OverlapPatchEmbed, TransformerBlock, Upsample
from ..registry import register
from .rbair_dyrba import DyRBA, DyRBAShape
from .rbair_experts import MoCE

CARD = ModelCard(
    name="rbair",
    title="RBaIR",
    variants={
        "paper": Variant(
            parameters=27_489_442,
            macs_256_g=178.3,
            note="as published, whose 27,489,498 parameters count 56 fixed basis centres that are not trained",
        ),
        "tiny": Variant(
            arguments={
                "channels": 12,
                "blocks": [1, 1, 1, 2],
                "refinement_blocks": 1,
                "heads": [1, 2, 4, 4],
                "expansion": 2,
                "hidden": [48, 32, 16],
                "centres": [16, 8, 8],
            },
            parameters=555_521,
            macs_256_g=5.86,
            note="every mechanism of the paper's network, for a laptop",
        ),
    },
    paper="RBaIR, Park and Choi, Pattern Recognition 2025, 112815",
    url="https://doi.org/10.1016/j.patcog.2025.112815",
    year=2025,
    code_licence="see repository",
    network_provenance="repaired",
    size=SizeRule(multiple=8, minimum=16),
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.77,
        note="it takes means over the whole image: tiles of 256, 512 and 768 pixels changed the PSNR of photographs of "
        "1024x768 by up to 1.58, 0.77 and 0.16 dB (tiny, float32)",
    ),
    published=(PublishedFigure(variant="paper", parameters_m=27.5, source="paper"),),
    key_map=((r"^MoFE_(in|out)\b", r"MoCE_\1"), (r"\bDCCA\b", "DaCA")),
)


@register(CARD)
class RBaIR(nn.Module):
    """The network, (B, 3, H, W) in [0, 1] -> the same shape; H and W are multiples of 8 from 16 up.

    The published code cannot run (it names modules that do not exist and never calls its second MoCE); this is the
    network of the paper's figure, with its parameter count. The state dict has the published keys.

    Args:
        channels: width of the first level; each level below doubles it.
        blocks: transformer blocks of the four levels.
        refinement_blocks: those after the decoder.
        heads: attention heads of the four levels.
        expansion: hidden width of the feed-forward networks over their width.
        hidden: width of each DyRBA, from the latent to half resolution, as all that follow.
        dyrba_heads: its attention heads.
        groups: its groups of channels with offsets of their own.
        reach: range factor of its offsets.
        kernels: side of its offset convolution.
        strides: stride of its offset convolution.
        centres: size of its radial basis.
        spread: its centres lie on [-spread, spread].
    """

    def __init__(
        self,
        channels: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        hidden: Sequence[int] = (256, 128, 64),
        dyrba_heads: Sequence[int] = (4, 4, 2),
        groups: Sequence[int] = (4, 2, 1),
        reach: Sequence[float] = (4, 3, 2),
        kernels: Sequence[int] = (3, 5, 7),
        strides: Sequence[int] = (1, 2, 4),
        centres: Sequence[int] = (32, 16, 8),
        spread: Sequence[float] = (4, 3, 2),
    ) -> None:
        super().__init__()
        w1, w2, w3, w4 = (channels * 2**level for level in range(4))
        shapes = [
            DyRBAShape(hidden=d, heads=h, groups=g, reach=r, kernel=ks, stride=s, centres=k, spread=m)
            for d, h, g, r, ks, s, k, m in zip(
                hidden, dyrba_heads, groups, reach, kernels, strides, centres, spread, strict=True
            )
        ]

        def stage(width: int, level: int, count: int) -> nn.Sequential:
            return nn.Sequential(*[TransformerBlock(width, heads[level], expansion) for _ in range(count)])

        self.patch_embed = OverlapPatchEmbed(3, w1)
        self.MoCE_in = nn.Sequential(MoCE(w1))
        self.encoder_level1 = stage(w1, 0, blocks[0])
        self.down1_2 = Downsample(w1)
        self.encoder_level2 = stage(w2, 1, blocks[1])
        self.down2_3 = Downsample(w2)
        self.encoder_level3 = stage(w3, 2, blocks[2])
        self.down3_4 = Downsample(w3)
        self.latent = stage(w4, 3, blocks[3])
        self.chnl_reduce3 = nn.Conv2d(w4, w3, 1, bias=False)
        self.DyRBF1 = DyRBA(w3, shapes[0])
        self.up4_3 = Upsample(w3)
        self.reduce_chan_level3 = nn.Conv2d(w2 + w3, w3, 1, bias=False)
        self.decoder_level3 = stage(w3, 2, blocks[2])
        self.DyRBF2 = DyRBA(w3, shapes[1])
        self.up3_2 = Upsample(w3)
        self.reduce_chan_level2 = nn.Conv2d(w3, w2, 1, bias=False)
        self.decoder_level2 = stage(w2, 1, blocks[1])
        self.DyRBF3 = DyRBA(w2, shapes[2])
        self.up2_1 = Upsample(w2)
        self.decoder_level1 = stage(w2, 0, blocks[0])
        self.refinement = stage(w2, 0, refinement_blocks)
        self.MoCE_out = nn.Sequential(MoCE(w2))
        self.output = nn.Conv2d(w2, 3, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) in [0, 1] -> restored ones, the same shape."""
        image = image.contiguous(memory_format=torch.channels_last)
        level1 = self.encoder_level1(self.MoCE_in(self.patch_embed(image)))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.chnl_reduce3(self.latent(self.down3_4(level3)))
        x = self.DyRBF1(image, x)
        x = self.reduce_chan_level3(torch.cat([self.up4_3(x), level3], dim=1))
        x = self.DyRBF2(image, self.decoder_level3(x))
        x = self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], dim=1))
        x = self.DyRBF3(image, self.decoder_level2(x))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], dim=1))
        x = self.MoCE_out(self.refinement(x))
        restored: Tensor = image + self.output(x)
        return restored
