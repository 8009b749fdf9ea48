"""Restormer, efficient transformer for high-resolution image restoration (Zamir et al., arXiv 2111.09881)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..card import HALVED_THREE_TIMES, Checkpoint, ModelCard, PublishedFigure, Tiling, Variant
from ..layers.layer_norm import BiasFreeLayerNorm2d, LayerNorm2d
from ..layers.restormer_unet import RestormerUNet
from ..registry import register

REPOSITORY = "https://github.com/swz30/Restormer"
LICENCE = f"academic use, non-commercial ({REPOSITORY})"


def checkpoint(variant: str, name: str, trained_for: str) -> Checkpoint:
    """A file of the authors' releases."""
    return Checkpoint(
        variant=variant,
        file_name=f"{name}.pth",
        url=f"{REPOSITORY}/releases",
        licence=LICENCE,
        trained_for=trained_for,
    )


CARD = ModelCard(
    name="restormer",
    title="Restormer",
    variants={
        "paper": Variant(
            parameters=26_126_644,
            macs_256_g=154.88,
            note="as published; 118.58 G multiply-adds at 224x224",
        ),
        "biasfree": Variant(
            arguments={"norm": "bias_free"},
            parameters=26_111_668,
            macs_256_g=154.88,
            note="layer norms without mean and bias: published for Gaussian denoising",
        ),
        "tiny": Variant(
            arguments={
                "dim": 12,
                "blocks": (1, 2, 2, 2),
                "refinement_blocks": 1,
                "heads": (1, 2, 4, 4),
                "expansion": 2.0,
            },
            parameters=586_763,
            macs_256_g=3.18,
            note="all four levels, at a laptop's size",
        ),
    },
    paper="Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022",
    url="https://arxiv.org/abs/2111.09881",
    year=2022,
    code_licence=LICENCE,
    weights_licence=LICENCE,
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.11,
        note="attention sees the whole image: tiles of 256, 512 and 768 pixels "
        "changed the PSNR of photographs of 1024x768 by up to 0.50, 0.11 and 0.15 dB (tiny, float32)",
    ),
    training_sets=("DFWB (DIV2K, Flickr2K, BSD400, WED)", "SIDD", "Rain13K", "GoPro", "DPDD"),
    published=(
        PublishedFigure(
            variant="paper",
            parameters_m=26.13,
            macs_g=141.0,
            input_size="1x3x256x256",
            source="arXiv 2111.09881",
            note="without the matrix products of the attention (13.87), which hooks on modules do not see",
        ),
    ),
    checkpoints=(
        *(
            checkpoint("biasfree", f"gaussian_color_denoising_{which}", f"Gaussian noise, colour, {said}")
            for which, said in (
                ("sigma15", "sigma 15"),
                ("sigma25", "sigma 25"),
                ("sigma50", "sigma 50"),
                ("blind", "unknown sigma"),
            )
        ),
        checkpoint("biasfree", "real_denoising", "real noise, SIDD"),
        checkpoint("paper", "deraining", "rain, Rain13K"),
        checkpoint("paper", "motion_deblurring", "motion blur, GoPro"),
        checkpoint("paper", "single_image_defocus_deblurring", "defocus blur, DPDD"),
    ),
    notes=(
        "Published per task; as an all-in-one row it is trained by others with their recipe.",
        "The published forms for grey images and for dual-pixel pairs take other inputs and are not in the suite.",
    ),
)


@register(CARD)
class Restormer(RestormerUNet):
    """Restormer, (B, 3, H, W) in [0, 1] -> the same shape; H and W are multiples of 8.

    Args:
        dim: channels at full resolution; each level below has twice as many.
        blocks: transformer blocks of the four levels.
        refinement_blocks: those after the decoder.
        heads: attention heads of the four levels.
        expansion: hidden width of the feed-forward networks over their width.
        norm: ``with_bias``, or ``bias_free``: the published form for Gaussian denoising.

    Raises:
        ValueError: there are not four levels, or the norm is unknown.
    """

    def __init__(
        self,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        norm: Literal["with_bias", "bias_free"] = "with_bias",
    ) -> None:
        if norm not in ("with_bias", "bias_free"):
            raise ValueError(f"norm must be 'with_bias' or 'bias_free', not {norm!r}")
        layer_norm = LayerNorm2d if norm == "with_bias" else BiasFreeLayerNorm2d
        super().__init__(dim, blocks, refinement_blocks, heads, expansion, norm=layer_norm)
