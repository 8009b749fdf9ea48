"""Pieces that the Restormer family shares (arXiv 2111.09881): norms, transposed attention, feed-forward, resampling.

All of them take and return (B, C, H, W) and are exact whatever the memory layout, but are quickest on channels-last
tensors: the layer norms return channels-last memory, so the convolutions behind them run in that layout without being
asked to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import row_strips as strips
from .bias_free_norm import BiasFreeLayerNorm2d

NORMALIZE_EPS = 1e-12
"""Smallest length by which queries and keys are divided, as in `torch.nn.functional.normalize`."""


class ChannelLayerNorm(nn.Module):
    """Layer norm over the channels of every pixel, (B, C, H, W) -> the same shape in channels-last memory.

    Keys ``weight`` and ``bias``, both (C,). KBNet uses eps 1e-6, the other networks 1e-5.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, (self.channels,), self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class LayerNorm2d(nn.Module):
    """`ChannelLayerNorm` under the keys ``body.weight`` and ``body.bias`` that Restormer, RBaIR and AnyIR use."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.body = ChannelLayerNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.body(x)
        return normalised


def pixels(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C), a view of channels-last memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def planes(flat: Tensor, height: int, width: int) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W) in channels-last memory."""
    return flat.view(flat.shape[0], height, width, -1).permute(0, 3, 1, 2)


def gelu(x: Tensor) -> Tensor:
    """Exact gelu of (B, C, H, W), in channels-last memory on a CPU."""
    if x.device.type != "cpu":
        return F.gelu(x)
    # The CPU's quick kernel takes contiguous memory only: channels-last, or half the channels, is three times as slow.
    return F.gelu(x.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)


def transposed_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """Attention over channels: softmax(temperature * cos(q_i, k_j)) applied to v, within each head.

    Args:
        q: queries (B, C, H, W). Each channel is L2-normalised along space.
        k: keys (B, C, H, W), likewise.
        v: values (B, C, H, W).
        temperature: (heads, 1, 1); C is split into that many consecutive heads.

    Returns:
        (B, C, H, W) in channels-last memory.
    """
    batch, channels, height, width = v.shape
    heads = temperature.shape[0]
    split = (batch, height * width, heads, channels // heads)
    # (B, heads, pixels, channels of a head): views of channels-last memory, so nothing is copied for one image.
    q, k, v = (t.permute(0, 2, 3, 1).reshape(split).transpose(1, 2) for t in (q, k, v))
    # Lengths divide the small logits instead of the big q and k: cos(q, k) = <q, k> / (|q| |k|).
    q_length, k_length = (
        torch.linalg.vector_norm(t, dim=2, dtype=torch.promote_types(t.dtype, torch.float32)).clamp_min(NORMALIZE_EPS)
        for t in (q, k)
    )
    cosine = (q.transpose(2, 3) @ k) / (q_length[..., :, None] * k_length[..., None, :])
    attention = torch.softmax(cosine * temperature, dim=-1)
    mixed = v @ attention.to(v.dtype).transpose(2, 3)
    return mixed.transpose(1, 2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention (Restormer, section 3.1), (B, C, H, W) -> (B, C, H, W).

    Keys ``temperature`` (heads, 1, 1), ``qkv``, ``qkv_dwconv`` and, unless `project` is False, ``project_out``.
    """

    def __init__(self, channels: int, heads: int, *, bias: bool = False, project: bool = True) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias) if project else None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        mixed = transposed_attention(q, k, v, self.temperature)
        if self.project_out is not None:
            mixed = self.project_out(mixed)
        return mixed


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network (Restormer, section 3.2), (B, C, H, W) -> (B, C, H, W).

    Hidden width int(C * expansion). Keys ``project_in``, ``dwconv``, ``project_out``.
    """

    def __init__(self, channels: int, expansion: float, *, bias: bool = False) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        restored: Tensor = self.project_out(gelu(gate) * value)
        return restored


def add_attention(x: Tensor, norm: nn.Module, attn: MDTA) -> Tensor:
    """x + attn(norm(x)), (B, C, H, W) -> (B, C, H, W), a new tensor.

    On a CPU without gradients the hidden maps are computed a strip of rows at a time (see `row_strips`).
    """
    if attn.project_out is not None and strips.strips_pay(x, attn.qkv.out_channels):
        return strips.attention(x, norm, attn.qkv, attn.qkv_dwconv, attn.temperature, attn.project_out, NORMALIZE_EPS)
    attended: Tensor = x + attn(norm(x))
    return attended


def add_feed_forward_(x: Tensor, norm: nn.Module, ffn: GDFN) -> Tensor:
    """x + ffn(norm(x)), (B, C, H, W) -> (B, C, H, W); in inference it may overwrite x, which must be the caller's own.

    On a CPU without gradients the hidden maps are computed a strip of rows at a time (see `row_strips`).
    """
    if strips.strips_pay(x, ffn.project_in.out_channels):
        return strips.feed_forward_(x, norm, ffn.project_in, ffn.dwconv, ffn.project_out)
    restored: Tensor = x + ffn(norm(x))
    return restored


class TransformerBlock(nn.Module):
    """x + MDTA(norm1(x)), then x + GDFN(norm2(x)); (B, C, H, W) -> (B, C, H, W).

    Keys ``norm1.body``, ``attn``, ``norm2.body``, ``ffn``.

    Args:
        channels: C.
        heads: of the attention.
        expansion: hidden width of the feed-forward over C.
        bias: whether the convolutions have biases.
        eps: of the norms.
        norm_bias: False for norms without mean and bias (`BiasFreeLayerNorm2d`).
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        expansion: float,
        *,
        bias: bool = False,
        eps: float = 1e-5,
        norm_bias: bool = True,
    ) -> None:
        super().__init__()
        norm = LayerNorm2d if norm_bias else BiasFreeLayerNorm2d
        self.norm1 = norm(channels, eps)
        self.attn = MDTA(channels, heads, bias=bias)
        self.norm2 = norm(channels, eps)
        self.ffn = GDFN(channels, expansion, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return add_feed_forward_(add_attention(x, self.norm1, self.attn), self.norm2, self.ffn)


class Downsample(nn.Module):
    """3x3 convolution C -> C/2, then pixel-unshuffle by 2: (B, C, H, W) -> (B, 2C, H/2, W/2). Key ``body.0.weight``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        smaller: Tensor = self.body(x)
        return smaller


class Upsample(nn.Module):
    """3x3 convolution C -> 2C, then pixel-shuffle by 2: (B, C, H, W) -> (B, C/2, 2H, 2W). Key ``body.0.weight``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        larger: Tensor = self.body(x)
        return larger


class OverlapPatchEmbed(nn.Module):
    """3x3 convolution of the image to the width of the network. Key ``proj.weight`` (and ``proj.bias`` with `bias`)."""

    def __init__(self, in_channels: int = 3, channels: int = 48, *, bias: bool = False) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.proj(x)
        return embedded
