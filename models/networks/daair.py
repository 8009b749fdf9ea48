"""DaAIR, efficient degradation-aware any image restoration (arXiv 2405.15475), reconstructed from the paper.

No code was ever published: the blocks are those of the paper's figure, and what it leaves open is ours. The experts are
in `daair_experts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..card import HALVED_THREE_TIMES, ModelCard, PublishedFigure, Tiling, Variant
from ..layers.layer_norm import LayerNorm2d
from ..layers.restormer import (
    GDFN,
    MDTA,
    CrossAttention,
    Downsample,
    OverlapPatchEmbed,
    TransformerBlock,
    Upsample,
    add_feed_forward_,
)
from ..registry import register
from .daair_experts import Controller, DaLe, Experts, Router

BALANCE_WEIGHT = 0.01
"""Weight of the balance loss (ours, as MoCE-IR does); it multiplies the sum over all routers."""

CARD = ModelCard(
    name="daair",
    title="DaAIR",
    variants={
        "paper": Variant(
            parameters=6_415_816,
            macs_256_g=23.44,
            note="6,439,846 in the state dict: 24,030 more in the controllers, which follow the encoder's experts",
        ),
        "tiny": Variant(
            arguments={
                "dim": 20,
                "encoder_blocks": (1, 2, 3),
                "decoder_blocks": (1, 2),
                "refinement_blocks": 1,
                "heads": (1, 2, 4),
                "expansion": 2.0,
            },
            parameters=509_303,
            macs_256_g=5.07,
            note="for a laptop: every mechanism in place, on three levels of the four, a third as deep",
        ),
    },
    paper="Zamfir et al., Efficient Degradation-aware Any Image Restoration, arXiv 2405.15475",
    url="https://arxiv.org/abs/2405.15475",
    year=2024,
    code_licence="none published",
    network_provenance="reconstructed",
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.5,
        note="it takes means over the whole image: tiles of 256, 512 and 768 pixels changed the PSNR of photographs of "
        "1024x768 by up to 0.27, 0.50 and 0.13 dB (tiny, float32)",
    ),
    published=(PublishedFigure(variant="paper", parameters_m=6.0, source="arXiv 2405.15475", note='printed as "6 M"'),),
)


class EncoderBlock(nn.Module):
    """x + MDTA(DaLe(norm1(x))), then x + GDFN(norm2(x)); (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, heads: int, expansion: float, rank: int, experts: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.dale = DaLe(channels, rank, experts)
        self.attn = MDTA(channels, heads)
        self.norm2 = LayerNorm2d(channels)
        self.ffn = GDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.dale(self.norm1(x)))
        return add_feed_forward_(x, self.norm2, self.ffn)


class DecoderBlock(nn.Module):
    """y = norm1(x), x + CrossAttention(DaLe(y), controller(y)), then x + GDFN(norm2(x)); (B, C, H, W) -> the same."""

    def __init__(self, channels: int, heads: int, expansion: float, rank: int, experts: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.dale = DaLe(channels, rank, experts)
        self.controller = Controller(channels, rank)
        self.attn = CrossAttention(channels, heads)
        self.norm2 = LayerNorm2d(channels)
        self.ffn = GDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(self.dale(y), self.controller(y))
        return add_feed_forward_(x, self.norm2, self.ffn)


@register(CARD)
class DaAIR(nn.Module):
    """DaAIR, (B, 3, H, W) in [0, 1] with sides that are multiples of 8 -> the same shape.

    It offers both hooks of `models.hooks`: the routers' balance loss, and the update of the controllers.

    Keys ``patch_embed``, ``encoder.<level>.<index>``, ``downs.<level>``, ``ups.<level>``, ``fuses.<level>``,
    ``decoder.<level>.<index>``, ``refinement.<index>``, ``output``; level 0 is full resolution, and the deepest encoder
    level has no decoder.

    Args:
        dim: channels at full resolution; each level below has twice as many (24 is ours).
        encoder_blocks: blocks per level, full resolution first.
        decoder_blocks: likewise, one level fewer; no level has more than the encoder's (ours).
        refinement_blocks: plain Restormer blocks before the output (ours).
        heads: attention heads per level.
        expansion: of the feed-forward networks.
        experts: specialised experts per router.
        reduction: experts have rank C / reduction (ours).
        momentum: share of itself that a controller keeps at every step (ours).

    Raises:
        ValueError: the levels do not match.
    """

    def __init__(
        self,
        *,
        dim: int = 24,
        encoder_blocks: Sequence[int] = (3, 5, 5, 7),
        decoder_blocks: Sequence[int] = (3, 5, 5),
        refinement_blocks: int = 2,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        experts: int = 3,
        reduction: int = 4,
        momentum: float = 0.999,
    ) -> None:
        super().__init__()
        _check_levels(encoder_blocks, decoder_blocks, heads)
        self.momentum = momentum
        widths = [dim << level for level in range(len(encoder_blocks))]

        def stage(kind: type[EncoderBlock | DecoderBlock], level: int, count: int) -> nn.Sequential:
            width = widths[level]
            rank = width // reduction
            return nn.Sequential(*(kind(width, heads[level], expansion, rank, experts) for _ in range(count)))

        self.patch_embed = OverlapPatchEmbed(3, dim)
        self.encoder = nn.ModuleList(stage(EncoderBlock, *item) for item in enumerate(encoder_blocks))
        self.downs = nn.ModuleList(Downsample(width) for width in widths[:-1])
        self.ups = nn.ModuleList(Upsample(width) for width in widths[1:])
        self.fuses = nn.ModuleList(nn.Conv2d(2 * width, width, 1, bias=False) for width in widths[:-1])
        self.decoder = nn.ModuleList(stage(DecoderBlock, *item) for item in enumerate(decoder_blocks))
        self.refinement = nn.Sequential(*(TransformerBlock(dim, heads[0], expansion) for _ in range(refinement_blocks)))
        self.output = nn.Conv2d(dim, 3, 3, padding=1, bias=False)
        for controller, agnostic in self.followers():
            controller.follow(agnostic, momentum=0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        features = self.patch_embed(x)
        skips: list[Tensor] = []
        for level, stage in enumerate(self.encoder):
            features = stage(features)
            if level < len(self.downs):
                skips.append(features)
                features = self.downs[level](features)
        for level in reversed(range(len(self.decoder))):
            joined = torch.cat((self.ups[level](features), skips.pop()), dim=1)
            features = self.decoder[level](self.fuses[level](joined))
        residual: Tensor = self.output(self.refinement(features))
        return residual + x

    def auxiliary_loss(self) -> Tensor:
        """Balance loss of the last forward in training mode, summed over the routers, weight 0.01 included; a scalar.

        Raises:
            RuntimeError: there was no forward in training mode yet.
        """
        losses = [module.balance for module in self.modules() if isinstance(module, Router)]
        known = [loss for loss in losses if loss is not None]
        if len(known) < len(losses) or not losses:
            raise RuntimeError("DaAIR has no auxiliary loss before a forward pass in training mode")
        return BALANCE_WEIGHT * torch.stack(known).sum()

    def after_step(self) -> None:
        """Parameter update of the controllers: theta_C = m * theta_C + (1 - m) * theta_A, after each optimiser step."""
        for controller, agnostic in self.followers():
            controller.follow(agnostic, self.momentum)

    def followers(self) -> Iterator[tuple[Controller, Experts]]:
        """Every controller with the agnostic expert it follows: the encoder's of the same level and index."""
        for stage, source in zip(self.decoder, self.encoder, strict=False):
            for block, followed in zip(stage.children(), source.children(), strict=False):
                assert isinstance(block, DecoderBlock)
                assert isinstance(followed, EncoderBlock)
                yield block.controller, followed.dale.agnostic


def _check_levels(encoder_blocks: Sequence[int], decoder_blocks: Sequence[int], heads: Sequence[int]) -> None:
    if not len(encoder_blocks) == len(heads) == len(decoder_blocks) + 1:
        raise ValueError(
            f"encoder_blocks ({len(encoder_blocks)} levels) and heads ({len(heads)}) must be as many, "
            f"and decoder_blocks ({len(decoder_blocks)}) one fewer"
        )
    for level, (decoder, encoder) in enumerate(zip(decoder_blocks, encoder_blocks, strict=False)):
        if decoder > encoder:
            raise ValueError(
                f"decoder level {level} has {decoder} blocks, the encoder {encoder}: "
                "each controller follows the encoder block of its level and index"
            )
