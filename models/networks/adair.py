"""AdaIR, adaptive all-in-one restoration via frequency mining and modulation (Cui et al., arXiv 2403.14614)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..card import HALVED_THREE_TIMES, Checkpoint, ModelCard, PublishedFigure, Tiling, Variant
from ..layers.restormer_unet import RestormerUNet
from ..registry import register
from .adair_frequency import AdaptiveFrequencyBlock

REPOSITORY = "https://github.com/c-yn/AdaIR"

CARD = ModelCard(
    name="adair",
    title="AdaIR",
    variants={
        "paper": Variant(
            parameters=28_784_824,
            macs_256_g=161.75,
            note="as published; 123.84 G multiply-adds at 224x224",
        ),
        "tiny": Variant(
            arguments={
                "dim": 12,
                "blocks": (1, 1, 1, 1),
                "refinement_blocks": 1,
                "heads": (1, 2, 4, 4),
                "expansion": 1.9,
                "published_spares": False,
            },
            parameters=594_307,
            macs_256_g=3.02,
            note="all three frequency blocks on all four levels, at a laptop's size",
        ),
    },
    paper="Cui et al., AdaIR: Adaptive All-in-One Image Restoration via Frequency Mining and Modulation, ICLR 2025",
    url="https://arxiv.org/abs/2403.14614",
    year=2025,
    code_licence="MIT",
    weights_licence="MIT",
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.06,
        note="attention and the split by frequency see the whole image: tiles of 256, 512 and 768 pixels "
        "changed the PSNR of photographs of 1024x768 by up to 0.69, 0.06 and 0.08 dB (tiny, float32)",
    ),
    training_sets=("BSD400", "WED", "Rain100L", "RESIDE outdoor", "GoPro", "LOL"),
    published=(
        PublishedFigure(
            variant="paper",
            parameters_m=28.77,
            macs_g=147.45,
            input_size="1x3x256x256",
            source="arXiv 2403.14614",
            note="without the matrix products of the attention, which hooks on modules do not see",
        ),
    ),
    checkpoints=(
        Checkpoint(
            variant="paper",
            file_name="adair3d.ckpt",
            url=REPOSITORY,
            licence="MIT",
            trained_for="noise (sigma 15, 25, 50), rain, haze: 3D",
        ),
        Checkpoint(
            variant="paper",
            file_name="adair5d.ckpt",
            url=REPOSITORY,
            licence="MIT",
            trained_for="noise, rain, haze, blur, low light: 5D",
        ),
    ),
    without_gradient=(
        r"^fre[123]\.(conv|score_gen|rate_conv)\.",
        r"^fre[123]\.channel_cross_h\.(temperature$|q\.|q_dwconv\.)",
    ),
    notes=(
        "The low frequencies are a box of 2a x 2b, a below the side over 128: empty below 512 pixels of the image "
        "(1024 and 2048 at the lower levels), so in the whole of the published training and of this suite's. On larger "
        "images the block meets inputs that it never saw.",
        "An empty box makes the low part zero: its queries (channel_cross_h) and rate_conv learn nothing. Low and high "
        "are complex moduli, per channel, as in the published code.",
        "Each frequency block of the published code has two convolutions that are never called (conv, score_gen; "
        "43,098 parameters with rate_conv, which gets no gradient); its checkpoints and its printed size hold them.",
    ),
)


@register(CARD)
class AdaIR(RestormerUNet):
    """AdaIR, (B, 3, H, W) in [0, 1] -> the same shape; H and W are multiples of 8.

    The U-Net of Restormer with a frequency block after the latent and the decoder levels 3 and 2.

    Args:
        dim: channels at full resolution, a multiple of 8: the narrowest frequency block has twice as many.
        blocks: transformer blocks of the four levels.
        refinement_blocks: those after the decoder.
        heads: attention heads of the four levels.
        expansion: hidden width of the feed-forward networks over their width.
        literal_fourier: split the frequencies by Fourier transforms always, as the authors' code does.
        published_spares: have the convolutions that the published code never calls, for its checkpoints.
    """

    def __init__(
        self,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        literal_fourier: bool = False,
        published_spares: bool = True,
    ) -> None:
        super().__init__(dim, blocks, refinement_blocks, heads, expansion)

        def frequency_block(channels: int) -> AdaptiveFrequencyBlock:
            return AdaptiveFrequencyBlock(channels, literal_fourier=literal_fourier, published_spares=published_spares)

        self.fre1 = frequency_block(8 * dim)
        self.fre2 = frequency_block(4 * dim)
        self.fre3 = frequency_block(2 * dim)

    def adapt(self, level: int, features: Tensor, image: Tensor) -> Tensor:
        block = {4: self.fre1, 3: self.fre2, 2: self.fre3}[level]
        adapted: Tensor = block(image, features)
        return adapted
