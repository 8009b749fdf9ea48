"""PromptIR written out term by term on the plain Restormer: every image its own copy of the components, concatenation.

Same reference keys as `models/networks/promptir.py`, no shared code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .restormer_plain import PlainBlock, PlainRestormer, conv1, conv3


class PlainPrompt(nn.Module):
    def __init__(self, channels: int, prompt_channels: int, size: int, components: int) -> None:
        super().__init__()
        self.prompt_param = nn.Parameter(torch.rand(1, components, prompt_channels, size, size))
        self.linear_layer = nn.Linear(channels, components)
        self.conv3x3 = conv3(prompt_channels, prompt_channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = F.softmax(self.linear_layer(x.mean(dim=(-2, -1))), dim=1)[:, :, None, None, None]
        components = self.prompt_param.repeat(x.shape[0], 1, 1, 1, 1)
        prompt = torch.sum(weights * components, dim=1)
        return self.conv3x3(F.interpolate(prompt, x.shape[-2:], mode="bilinear", align_corners=False))


class PlainPromptIR(PlainRestormer):
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
        super().__init__(dim, blocks, refinement_blocks, heads, expansion, lowest=4 * dim)
        p1, p2, p3 = prompt_channels
        self.prompt1 = PlainPrompt(2 * dim, p1, prompt_sizes[0], components)
        self.prompt2 = PlainPrompt(4 * dim, p2, prompt_sizes[1], components)
        self.prompt3 = PlainPrompt(8 * dim, p3, prompt_sizes[2], components)
        if published_spares:
            self.chnl_reduce1 = conv1(p1, p1)
            self.chnl_reduce2 = conv1(p2, p2)
            self.chnl_reduce3 = conv1(p3, 256)
            self.reduce_noise_channel_1 = conv1(dim + p1, dim)
            self.reduce_noise_channel_2 = conv1(2 * dim + p2, 2 * dim)
            self.reduce_noise_channel_3 = conv1(4 * dim + 256, 4 * dim)
        self.noise_level3 = PlainBlock(8 * dim + p3, 4, expansion)
        self.reduce_noise_level3 = conv1(8 * dim + p3, 4 * dim)
        self.noise_level2 = PlainBlock(4 * dim + p2, 4, expansion)
        self.reduce_noise_level2 = conv1(4 * dim + p2, 4 * dim)
        self.noise_level1 = PlainBlock(2 * dim + p1, 4, expansion)
        self.reduce_noise_level1 = conv1(2 * dim + p1, 2 * dim)

    def after_latent(self, x: Tensor, image: Tensor) -> Tensor:
        return self.reduce_noise_level3(self.noise_level3(torch.cat([x, self.prompt3(x)], dim=1)))

    def after_level3(self, x: Tensor, image: Tensor) -> Tensor:
        return self.reduce_noise_level2(self.noise_level2(torch.cat([x, self.prompt2(x)], dim=1)))

    def after_level2(self, x: Tensor, image: Tensor) -> Tensor:
        return self.reduce_noise_level1(self.noise_level1(torch.cat([x, self.prompt1(x)], dim=1)))
