"""PromptIR, prompting for all-in-one blind image restoration (Potlapalli et al., arXiv 2306.13090)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..card import HALVED_THREE_TIMES, Checkpoint, ModelCard, PublishedFigure, Tiling, Variant
from ..layers.restormer import TransformerBlock
from ..layers.restormer_unet import RestormerUNet
from ..layers.zero_gradient import with_zero_gradients
from ..registry import register

REPOSITORY = "https://github.com/va1shn9v/PromptIR"
LICENCE = f"academic use, non-commercial ({REPOSITORY})"
PROMPT_HEADS = 4
"""Attention heads of the blocks that join features and prompts."""

CARD = ModelCard(
    name="promptir",
    title="PromptIR",
    variants={
        "paper": Variant(
            parameters=35_592_263,
            macs_256_g=172.71,
            note="as published; 132.23 G multiply-adds at 224x224, as printed",
        ),
        "tiny": Variant(
            arguments={
                "dim": 12,
                "blocks": (1, 1, 1, 1),
                "refinement_blocks": 1,
                "heads": (1, 2, 4, 4),
                "expansion": 2.0,
                "prompt_channels": (8, 16, 32),
                "prompt_sizes": (16, 8, 4),
                "published_spares": False,
            },
            parameters=566_254,
            macs_256_g=3.10,
            note="all three prompts on all four levels, at a laptop's size",
        ),
    },
    paper="Potlapalli et al., PromptIR: Prompting for All-in-One Blind Image Restoration, NeurIPS 2023",
    url="https://arxiv.org/abs/2306.13090",
    year=2023,
    code_licence=LICENCE,
    weights_licence=LICENCE,
    size=HALVED_THREE_TIMES,
    tiling=Tiling(
        allowed=False,
        tile=512,
        loss_db=0.23,
        note="prompts and attention mix the whole image: tiles of 256, 512 and 768 pixels "
        "changed the PSNR of photographs of 1024x768 by up to 1.04, 0.23 and 0.09 dB (tiny, float32)",
    ),
    training_sets=("BSD400", "WED", "Rain100L", "RESIDE outdoor"),
    published=(
        PublishedFigure(
            variant="paper",
            parameters_m=35.59,
            macs_g=132.0,
            input_size="1x3x224x224",
            source="tables of later papers (AnyIR, MIRAGE)",
            note="complete: 132.23 by dispatch",
        ),
    ),
    checkpoints=(
        Checkpoint(
            variant="paper",
            file_name="model.ckpt",
            url=f"{REPOSITORY}/releases",
            licence=LICENCE,
            trained_for="noise (sigma 15, 25, 50), rain, haze: 3D",
        ),
    ),
    without_gradient=(r"^chnl_reduce[123]\.", r"^reduce_noise_channel_[123]\."),
    notes=(
        "Six 1x1 convolutions (215,296 parameters: chnl_reduce1 to 3, reduce_noise_channel_1 to 3) are created by the "
        "published code and never called; its checkpoints and its printed size hold them.",
        "The published constructor's default decoder=False cannot run; the prompts are always on here.",
        "Prompts are stored for patches of 128 pixels and stretched at every other size.",
    ),
)


class PromptGenerator(nn.Module):
    """A prompt for features, mixed from learned components by the features' means: (B, C, H, W) -> (B, Cp, H, W).

    Keys ``prompt_param`` (1, N, Cp, S, S), ``linear_layer``, ``conv3x3``.

    Args:
        channels: C of the features.
        prompt_channels: Cp of the prompt.
        size: side S of the components.
        components: N.
    """

    def __init__(self, channels: int, prompt_channels: int, size: int, components: int) -> None:
        super().__init__()
        self.prompt_param = nn.Parameter(torch.rand(1, components, prompt_channels, size, size))
        self.linear_layer = nn.Linear(channels, components)
        self.conv3x3 = nn.Conv2d(prompt_channels, prompt_channels, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        weights = self.linear_layer(features.mean(dim=(2, 3))).softmax(dim=1)
        components = self.prompt_param[0]
        mixed = (weights.to(components.dtype) @ components.flatten(1)).view(-1, *components.shape[1:])
        mixed = mixed.contiguous(memory_format=torch.channels_last)
        prompt: Tensor = self.conv3x3(F.interpolate(mixed, features.shape[2:], mode="bilinear"))
        return prompt


@register(CARD)
class PromptIR(RestormerUNet):
    """PromptIR, (B, 3, H, W) in [0, 1] -> the same shape; H and W are multiples of 8.

    The U-Net of Restormer; after the latent and the decoder levels 3 and 2 a prompt block turns features x into
    ``reduce(block(concat(x, prompt(x))))``.

    Args:
        dim: channels at full resolution, a multiple of 4 with the published heads.
        blocks: transformer blocks of the four levels.
        refinement_blocks: those after the decoder.
        heads: attention heads of the four levels.
        expansion: hidden width of the feed-forward networks over their width.
        prompt_channels: of the prompts after decoder level 2, decoder level 3 and the latent.
        prompt_sizes: sides of their stored components, in pixels.
        components: components of each prompt.
        published_spares: have the six convolutions that the published code never calls, for its checkpoints.
    """

    def __init__(
        self,
        dim: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        prompt_channels: Sequence[int] = (64, 128, 320),
        prompt_sizes: Sequence[int] = (64, 32, 16),
        components: int = 5,
        published_spares: bool = True,
    ) -> None:
        w2, w3, w4 = 2 * dim, 4 * dim, 8 * dim
        super().__init__(dim, blocks, refinement_blocks, heads, expansion, latent_channels=w3)
        p1, p2, p3 = prompt_channels
        s1, s2, s3 = prompt_sizes
        self.prompt1 = PromptGenerator(w2, p1, s1, components)
        self.prompt2 = PromptGenerator(w3, p2, s2, components)
        self.prompt3 = PromptGenerator(w4, p3, s3, components)
        self.noise_level3 = TransformerBlock(w4 + p3, PROMPT_HEADS, expansion)
        self.reduce_noise_level3 = nn.Conv2d(w4 + p3, w3, 1, bias=False)
        self.noise_level2 = TransformerBlock(w3 + p2, PROMPT_HEADS, expansion)
        self.reduce_noise_level2 = nn.Conv2d(w3 + p2, w3, 1, bias=False)
        self.noise_level1 = TransformerBlock(w2 + p1, PROMPT_HEADS, expansion)
        self.reduce_noise_level1 = nn.Conv2d(w2 + p1, w2, 1, bias=False)
        if published_spares:
            self._add_spares(dim, p1, p2, p3)

    def _add_spares(self, dim: int, p1: int, p2: int, p3: int) -> None:
        """The convolutions that nothing calls; 256 channels of the third at the published width."""
        narrowed = p3 * 4 // 5
        self.chnl_reduce1 = nn.Conv2d(p1, p1, 1, bias=False)
        self.chnl_reduce2 = nn.Conv2d(p2, p2, 1, bias=False)
        self.chnl_reduce3 = nn.Conv2d(p3, narrowed, 1, bias=False)
        self.reduce_noise_channel_1 = nn.Conv2d(dim + p1, dim, 1, bias=False)
        self.reduce_noise_channel_2 = nn.Conv2d(2 * dim + p2, 2 * dim, 1, bias=False)
        self.reduce_noise_channel_3 = nn.Conv2d(4 * dim + narrowed, 4 * dim, 1, bias=False)

    def adapt(self, level: int, features: Tensor, image: Tensor) -> Tensor:
        prompt, block, reduce = {
            4: (self.prompt3, self.noise_level3, self.reduce_noise_level3),
            3: (self.prompt2, self.noise_level2, self.reduce_noise_level2),
            2: (self.prompt1, self.noise_level1, self.reduce_noise_level1),
        }[level]
        adapted: Tensor = reduce(block(torch.cat([features, prompt(features)], dim=1)))
        return adapted

    def forward(self, image: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) -> restored ones, the same shape."""
        restored = super().forward(image)
        spares = (p for name, p in self.named_parameters() if name.startswith(("chnl_reduce", "reduce_noise_channel")))
        return with_zero_gradients(restored, spares)
