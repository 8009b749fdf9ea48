"""The contrastive encoder of AirNet: degraded images to degradation maps, and the loss that teaches it (MoCo's)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Of all leaky rectifiers."""
MOMENTUM = 0.999
"""Share of itself that the key encoder keeps at every step."""
TEMPERATURE = 0.07
"""Of the contrastive loss."""


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside a normalised 1x1 one, (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.backbone(x) + self.shortcut(x), SLOPE)


class Encoder(nn.Module):
    """Keys ``E_pre``, ``E`` and ``mlp``.

    Args:
        width: channels of the degradation map; the embedding has four times as many numbers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        size = 4 * width
        self.E_pre = ResidualBlock(3, width, 1)
        self.E = nn.Sequential(
            ResidualBlock(width, 2 * width, 2), ResidualBlock(2 * width, size, 2), nn.AdaptiveAvgPool2d(1)
        )
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.LeakyReLU(SLOPE), nn.Linear(size, size))

    def embed(self, degradation: Tensor) -> Tensor:
        """Degradation maps (B, C, H, W) -> embeddings of length 1, (B, 4C)."""
        return F.normalize(self.mlp(self.E(degradation).flatten(1)), dim=1)


class ContrastiveEncoder(nn.Module):
    """Query and key encoder with the queue of past keys.

    In training `contrast` holds the contrastive loss of the last batch, without its weight. The published training
    takes another patch of the same image for the key; here it is a part of the same patch, as a trainer gives no other.

    Keys ``encoder_q``, ``encoder_k`` (frozen: it follows the query encoder), ``queue`` (4C, K), ``queue_ptr``.

    Args:
        width: as `Encoder`.
        queue_size: K.
    """

    queue: Tensor
    queue_ptr: Tensor

    def __init__(self, width: int, queue_size: int) -> None:
        super().__init__()
        self.encoder_q = Encoder(width)
        self.encoder_k = Encoder(width).requires_grad_(False)
        self.encoder_k.load_state_dict(self.encoder_q.state_dict())
        self.register_buffer("queue", F.normalize(torch.randn(4 * width, queue_size), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
        self.contrast: Tensor | None = None
        self._keys: Tensor | None = None

    def forward(self, image: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) -> degradation maps (B, C, H, W)."""
        degradation: Tensor = self.encoder_q.E_pre(image)
        if self.training:
            self.contrast = self._contrast(degradation, image)
        return degradation

    def _contrast(self, degradation: Tensor, image: Tensor) -> Tensor:
        """How far an image's embedding is from its key's, against those of the queue: cross-entropy, a scalar."""
        queries = self.encoder_q.embed(degradation)
        with torch.no_grad():
            keys = self.encoder_k.embed(self.encoder_k.E_pre(_part(image)))
        self._keys = keys.detach()
        own = (queries * keys).sum(dim=1, keepdim=True)
        logits = torch.cat([own, queries @ self.queue.clone().to(queries.dtype)], dim=1) / TEMPERATURE
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))

    @torch.no_grad()
    def follow(self) -> None:
        """The key encoder moves towards the query encoder, and the keys of the last batch replace the oldest ones."""
        for own, other in zip(self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True):
            own.lerp_(other, 1 - MOMENTUM)
        if self._keys is None:
            return
        keys = self._keys[-self.queue.shape[1] :].t().to(self.queue.dtype)
        places = (self.queue_ptr + torch.arange(keys.shape[1], device=keys.device)) % self.queue.shape[1]
        self.queue.index_copy_(1, places, keys)
        self.queue_ptr.copy_((self.queue_ptr + keys.shape[1]) % self.queue.shape[1])
        self._keys = None

    def __getstate__(self) -> dict[str, Any]:
        # The loss of the last batch holds its graph, which can be neither copied nor saved.
        return {**self.__dict__, "contrast": None, "_keys": None}


def _part(image: Tensor) -> Tensor:
    """A random part of half the sides of images (B, C, H, W), at least one pixel."""
    height, width = (max(side // 2, 1) for side in image.shape[2:])
    top, left = (
        int(torch.randint(side - part + 1, ())) for side, part in zip(image.shape[2:], (height, width), strict=True)
    )
    return image[:, :, top : top + height, left : left + width]
