"""MoCE-IR, complexity experts are task-discriminative learners for any image restoration (arXiv 2411.18466)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..card import HALVED_THREE_TIMES, Checkpoint, ModelCard, PublishedFigure, Tiling, Variant
from ..layers import row_strips as strips
from ..layers.layer_norm import LayerNorm2d
from ..layers.nafnet import Pointwise
from ..layers.restormer import (
    GDFN,
    MDTA,
    NORMALIZE_EPS,
    CrossAttention,
    Downsample,
    OverlapPatchEmbed,
    Upsample,
    add_attention,
    add_feed_forward_,
)
from ..layers.restormer_unet import join
from ..registry import register
from .moceir_experts import KERNEL, Adapter

REPOSITORY = "https://github.com/eduardzamfir/MoCE-IR"
BALANCE_WEIGHT = 0.01
"""Weight of the balance loss in the published training; it multiplies the mean over all routers."""


def checkpoint(variant: str, setting: str, trained_for: str) -> Checkpoint:
    """The file of a folder of the authors, ``last.ckpt``, under the folder's name."""
    size = "MoCE_IR_S" if variant == "s" else "MoCE_IR"
    return Checkpoint(
        variant=variant,
        file_name=f"{size}_{setting}.ckpt",
        url=REPOSITORY,
        licence="Apache-2.0",
        trained_for=trained_for,
    )


SETTINGS = (
    ("AIO3", "noise (sigma 15, 25, 50), rain, haze: 3D"),
    ("AIO5", "noise, rain, haze, blur, low light: 5D"),
    ("CDD11", "composite degradations, CDD-11"),
)

CARD = ModelCard(
    name="moceir",
    title="MoCE-IR",
    variants={
        "paper": Variant(
            parameters=25_353_796,
            macs_256_g=92.54,
            macs_256_most_g=103.92,
            note="as published; 70.85 to 79.56 G multiply-adds at 224x224, by routing",
        ),
        "s": Variant(
            arguments={"dim": 32},
            parameters=11_477_752,
            macs_256_g=42.40,
            macs_256_most_g=47.79,
            note="MoCE-IR-S; 32.46 to 36.59 G multiply-adds at 224x224, by routing",
        ),
        "tiny": Variant(
            arguments={
                "dim": 16,
                "encoder_blocks": (1, 2),
                "latent_blocks": 4,
                "decoder_blocks": (2, 1),
                "refinement_blocks": 1,
                "heads": (1, 2, 4),
            },
            parameters=433_670,
            macs_256_g=4.02,
            macs_256_most_g=4.54,
            note="three levels instead of four, every mechanism in place, at a laptop's size",
        ),
    },
    paper="Zamfir et al., Complexity Experts are Task-Discriminative Learners for Any Image Restoration, CVPR 2025",
    url="https://arxiv.org/abs/2411.18466",
    year=2025,
    code_licence="Apache-2.0",
    weights_licence="Apache-2.0",
    network_provenance="repaired",
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.46,
        note="routing and attention see the whole image, and a tile may be given to another expert: "
        "tiles of 256, 512 and 768 pixels changed the PSNR of photographs of 1024x768 "
        "by up to 1.97, 0.46 and 0.23 dB (tiny, float32)",
    ),
    training_sets=("BSD400", "WED", "Rain100L", "RESIDE outdoor", "GoPro", "LOL", "CDD-11"),
    published=(
        PublishedFigure(
            variant="paper",
            parameters_m=25.35,
            macs_g=75.0,
            input_size="1x3x224x224",
            source="table of MIRAGE",
            note="by routing: 70.85 to 79.56 by dispatch",
        ),
        PublishedFigure(
            variant="s",
            parameters_m=11.48,
            macs_g=37.0,
            input_size="1x3x224x224",
            source="table of MIRAGE",
            note="by routing: 32.46 to 36.59 by dispatch",
        ),
    ),
    checkpoints=tuple(checkpoint(variant, *setting) for variant in ("paper", "s") for setting in SETTINGS),
    notes=(
        "The published code adds the routers' noise in evaluation too, so its outputs are random; here evaluation has "
        "none.",
        "In evaluation the published code gives every image of a batch the sum of the experts that all of them chose; "
        "here every image is routed alone, as in its training.",
        "Its high-pass filter is not frozen as meant (a method is overwritten, not called): it is trained here too.",
        "Its training command passes neither the complexity bias nor, by a spelling, the Fourier loss; whether the "
        "published weights had them is not known. Here complexity_bias is an argument, off unless asked for.",
        "With one expert an image its share only scales queries that are then normalised, and cancels: routers and "
        "frequency embedding learn from the balance loss alone.",
        "The multiply-adds depend on the routing; the card gives the cheapest and the dearest choice.",
    ),
)


class FrequencyEmbedding(nn.Module):
    """What high frequencies the features have: (B, C, H, W) -> (B, C).

    Keys ``high_conv.0.conv``, which starts as the Laplacian of eight neighbours, and ``mlp``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        high_pass = nn.Module()
        high_pass.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        laplacian = torch.full((3, 3), -1.0)
        laplacian[1, 1] = 8.0
        with torch.no_grad():
            high_pass.conv.weight.copy_(laplacian.expand(channels, 1, 3, 3))
        self.high_conv = nn.ModuleList([high_pass])
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, z: Tensor) -> Tensor:
        filtered = self.high_conv.get_submodule("0.conv")(z)
        embedding: Tensor = self.mlp(F.gelu(filtered).mean(dim=(2, 3)))
        return embedding


class EncoderBlock(nn.Module):
    """x + MDTA(norms.0(x)), then x + GDFN(norms.1(x)), with biases; (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList((LayerNorm2d(channels), LayerNorm2d(channels)))
        self.mixer = MDTA(channels, heads, bias=True)
        self.ffn = GDFN(channels, expansion, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return add_feed_forward_(add_attention(x, self.norms[0], self.mixer), self.norms[1], self.ffn)


class DecoderBlock(nn.Module):
    """x + cross-attention of the experts' features to the shared ones, then x + GDFN(norms.1(x)).

    Keys ``norms``, ``proj``, ``shared``, ``adapter``, ``mixer``, ``ffn``.
    """

    def __init__(
        self, channels: int, heads: int, expansion: float, embedding: int, experts: int, top_k: int, bias: bool
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList((LayerNorm2d(channels), LayerNorm2d(channels)))
        self.proj = nn.ModuleList((Pointwise(channels, channels), Pointwise(channels, channels)))
        self.shared = MDTA(channels, heads)
        self.mixer = CrossAttention(channels, heads, kernel=KERNEL)
        self.ffn = GDFN(channels, expansion)
        self.adapter = Adapter(channels, embedding, experts=experts, top_k=top_k, complexity_bias=bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W) and the frequency embedding (B, E) -> (B, C, H, W)."""
        n = self.norms[0](x)
        s = self._share(n)
        routed = self.adapter(self.proj[1](n), embedding, s)
        return add_feed_forward_(x + self.mixer(routed, s), self.norms[1], self.ffn)

    def _share(self, n: Tensor) -> Tensor:
        """``shared(proj.0(n))``."""
        attn = self.shared
        if attn.project_out is not None and strips.strips_pay(n, attn.qkv.out_channels):
            args = (attn.qkv, attn.qkv_dwconv, attn.temperature, attn.project_out, NORMALIZE_EPS)
            return strips.attention(n, self.proj[0], *args, residual=False)
        shared: Tensor = attn(self.proj[0](n))
        return shared


class Stage(nn.Module):
    """Blocks one after the other, under the key ``layers``."""

    def __init__(self, blocks: Iterator[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        for block in self.layers:
            x = block(x, *context)
        return x


@register(CARD)
class MoCEIR(nn.Module):
    """MoCE-IR, (B, 3, H, W) in [0, 1] -> the same shape; H and W are multiples of 8.

    It offers the hook for an auxiliary loss of `models.hooks`: the routers' balance loss.

    Args:
        dim: channels at full resolution; each level below has twice as many.
        encoder_blocks: blocks of each level from the top.
        latent_blocks: blocks at the bottom.
        decoder_blocks: blocks of each level from the bottom.
        refinement_blocks: those after the decoder.
        heads: attention heads of each level from the top, the bottom last.
        expansion: hidden width of the feed-forward networks over their width.
        experts: of each router.
        top_k: experts that each image gets.
        complexity_bias: weigh the routers' importance by the experts' sizes in the balance loss.

    Raises:
        ValueError: the levels do not match, or there are fewer experts than are to be chosen.
    """

    def __init__(
        self,
        dim: int = 48,
        encoder_blocks: Sequence[int] = (4, 6, 6),
        latent_blocks: int = 8,
        decoder_blocks: Sequence[int] = (4, 4, 2),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.0,
        experts: int = 4,
        top_k: int = 1,
        complexity_bias: bool = False,
    ) -> None:
        super().__init__()
        levels = len(encoder_blocks)
        if not levels == len(decoder_blocks) == len(heads) - 1:
            raise ValueError(
                f"{levels} encoder levels, {len(decoder_blocks)} decoder levels, heads of {len(heads)}: the first two "
                "must be as many, heads one more"
            )
        if not 1 <= top_k <= experts:
            raise ValueError(f"top_k={top_k} of {experts} experts: it must be from 1 to their number")
        widths = [dim << level for level in range(levels + 1)]
        lowest = widths[-1]

        def encoder(level: int, count: int) -> Stage:
            return Stage(EncoderBlock(widths[level], heads[level], expansion) for _ in range(count))

        def decoder(level: int, count: int) -> Stage:
            return Stage(
                DecoderBlock(widths[level], heads[level], expansion, lowest, experts, top_k, complexity_bias)
                for _ in range(count)
            )

        self.patch_embed = OverlapPatchEmbed(3, dim)
        self.enc = nn.ModuleList(
            nn.ModuleList((encoder(level, count), Downsample(widths[level])))
            for level, count in enumerate(encoder_blocks)
        )
        self.latent = encoder(levels, latent_blocks)
        self.freq_embed = FrequencyEmbedding(lowest)
        self.dec = nn.ModuleList(
            nn.ModuleList(
                (
                    Upsample(widths[level + 1]),
                    nn.Conv2d(2 * widths[level], widths[level], 1, bias=False),
                    decoder(level, count),
                )
            )
            for level, count in zip(reversed(range(levels)), decoder_blocks, strict=True)
        )
        self.refinement = encoder(0, refinement_blocks)
        self.output = nn.Conv2d(dim, 3, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) -> restored ones, the same shape."""
        image = image.contiguous(memory_format=torch.channels_last)
        x = self.patch_embed(image)
        skips = []
        for stage, down in (level.children() for level in self.enc):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.latent(x)
        embedding = self.freq_embed(x)
        for up, fusion, stage in (level.children() for level in self.dec):
            assert isinstance(fusion, nn.Conv2d)
            x = stage(join(fusion, up(x), skips.pop()), embedding)
        restored: Tensor = self.output(self.refinement(x)) + image
        return restored

    def adapters(self) -> list[Adapter]:
        """The mixtures of all decoder blocks."""
        return [module for module in self.modules() if isinstance(module, Adapter)]

    def auxiliary_loss(self) -> Tensor:
        """Balance loss of the last forward in training mode, the mean over the routers, weight 0.01 included; a scalar.

        Raises:
            RuntimeError: there was no forward in training mode yet.
        """
        losses = [adapter.routing.balance for adapter in self.adapters()]
        known = [loss for loss in losses if loss is not None]
        if len(known) < len(losses) or not losses:
            raise RuntimeError("MoCE-IR has no auxiliary loss before a forward pass in training mode")
        return BALANCE_WEIGHT * torch.stack(known).mean()
