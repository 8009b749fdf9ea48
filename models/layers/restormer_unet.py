"""The U-Net of Restormer (arXiv 2111.09881), which PromptIR and AdaIR extend on the way up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .layer_norm import LayerNorm2d
from .layout import add_product, channels_last, feature_map, product
from .restormer import Downsample, OverlapPatchEmbed, TransformerBlock, Upsample

LEVELS = 4
"""Resolutions, from the image's own down to an eighth of it."""


def join(reduce: nn.Conv2d, first: Tensor, second: Tensor) -> Tensor:
    """``reduce(cat([first, second]))`` of a 1x1 convolution without bias; the concatenated map is never made.

    Args:
        reduce: C1 + C2 -> C channels.
        first: (B, C1, H, W).
        second: (B, C2, H, W).

    Returns:
        (B, C, H, W) in channels-last memory.
    """
    batch, channels, height, width = first.shape
    of_first, of_second = reduce.weight.flatten(1).tensor_split([channels], dim=1)
    first_rows, second_rows = (channels_last(t).flatten(0, 2) for t in (first, second))
    joined = add_product(product(first_rows, of_first), second_rows, of_second)
    return feature_map(joined.view(batch, height, width, -1))


class RestormerUNet(nn.Module):
    """Four levels of transformer blocks with concatenated skips; (B, 3, H, W) -> the same, H and W multiples of 8.

    Keys ``patch_embed``, ``encoder_level1`` to ``3``, ``down1_2`` to ``down3_4``, ``latent``, ``up4_3`` to ``up2_1``,
    ``reduce_chan_level3`` and ``2``, ``decoder_level3`` to ``1``, ``refinement``, ``output``.

    Args:
        dim: channels at full resolution; each level below has twice as many.
        blocks: transformer blocks of the four levels, full resolution first; the decoder has as many.
        refinement_blocks: blocks at full resolution after the decoder.
        heads: attention heads of the four levels.
        expansion: hidden width of the feed-forward networks over their width.
        latent_channels: channels with which the latent features leave `adapt`; those of the lowest level unless given.
        norm: makes the blocks' norms from their channels.

    Raises:
        ValueError: there are not four levels.
    """

    def __init__(
        self,
        dim: int,
        blocks: Sequence[int],
        refinement_blocks: int,
        heads: Sequence[int],
        expansion: float,
        *,
        latent_channels: int | None = None,
        norm: Callable[[int], nn.Module] = LayerNorm2d,
    ) -> None:
        super().__init__()
        if not len(blocks) == len(heads) == LEVELS:
            raise ValueError(f"blocks ({len(blocks)}) and heads ({len(heads)}) must have {LEVELS} levels")
        w1, w2, w3, w4 = (dim << level for level in range(LEVELS))
        lowest = w4 if latent_channels is None else latent_channels

        def stage(width: int, level: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(TransformerBlock(width, heads[level], expansion, norm=norm) for _ in range(count)))

        self.patch_embed = OverlapPatchEmbed(3, w1)
        self.encoder_level1 = stage(w1, 0, blocks[0])
        self.down1_2 = Downsample(w1)
        self.encoder_level2 = stage(w2, 1, blocks[1])
        self.down2_3 = Downsample(w2)
        self.encoder_level3 = stage(w3, 2, blocks[2])
        self.down3_4 = Downsample(w3)
        self.latent = stage(w4, 3, blocks[3])
        self.up4_3 = Upsample(lowest)
        self.reduce_chan_level3 = nn.Conv2d(lowest // 2 + w3, w3, 1, bias=False)
        self.decoder_level3 = stage(w3, 2, blocks[2])
        self.up3_2 = Upsample(w3)
        self.reduce_chan_level2 = nn.Conv2d(2 * w2, w2, 1, bias=False)
        self.decoder_level2 = stage(w2, 1, blocks[1])
        self.up2_1 = Upsample(w2)
        self.decoder_level1 = stage(w2, 0, blocks[0])
        self.refinement = stage(w2, 0, refinement_blocks)
        self.output = nn.Conv2d(w2, 3, 3, padding=1, bias=False)

    def adapt(self, level: int, features: Tensor, image: Tensor) -> Tensor:
        """What a network adds on the way up, after the latent (level 4), decoder level 3 and decoder level 2.

        Args:
            level: 4, 3 or 2.
            features: (B, C, H / 2 ** (level - 1), W / 2 ** (level - 1)).
            image: the degraded image (B, 3, H, W).

        Returns:
            Features of the same size; at level 4 with `latent_channels` channels.
        """
        return features

    def forward(self, image: Tensor) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.adapt(4, self.latent(self.down3_4(level3)), image)
        x = self.decoder_level3(join(self.reduce_chan_level3, self.up4_3(x), level3))
        del level3  # each level is freed as soon as it is used: the peak is at full resolution
        x = self.decoder_level2(join(self.reduce_chan_level2, self.up3_2(self.adapt(3, x, image)), level2))
        del level2
        x = torch.cat([self.up2_1(self.adapt(2, x, image)), level1], dim=1)
        del level1
        restored: Tensor = self.output(self.refinement(self.decoder_level1(x))) + image
        return restored
