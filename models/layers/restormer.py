"""Pieces that the Restormer family shares (arXiv 2111.09881): transposed attention, feed-forward, resampling.

All of them take and return (B, C, H, W) and are exact whatever the memory layout, but are quickest on channels-last
tensors. `layer_norm` returns such memory, so the convolutions behind it run in that layout without being asked to.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import row_strips as strips
from .channel_products import channel_products
from .gated_depthwise import gated_depthwise
from .layer_norm import LayerNorm2d
from .layout import pixel_rows, planes

NORMALIZE_EPS = 1e-12
"""Smallest length by which queries and keys are divided, as in `torch.nn.functional.normalize`."""


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
    if v.is_cuda:
        return _mixed(v, channel_attention(q, k, temperature).to(v.dtype))
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


def channel_attention(q: Tensor, k: Tensor, temperature: Tensor) -> Tensor:
    """The weights of `transposed_attention`, (B, heads, C/heads, C/heads) in float32, from one pass over q and k."""
    products, *squares = channel_products(q, k, temperature.shape[0])
    # Clamped before the root, whose slope at zero is infinite.
    q_length, k_length = (t.clamp_min(NORMALIZE_EPS**2).sqrt() for t in squares)
    return torch.softmax(products / (q_length.unsqueeze(-1) * k_length.unsqueeze(-2)) * temperature, dim=-1)


def _mixed(v: Tensor, attention: Tensor) -> Tensor:
    """Attention (B, heads, C/heads, C/heads) applied to v (B, C, H, W), in channels-last memory."""
    batch, channels, height, width = v.shape
    heads, each = attention.shape[1:3]
    values = v.permute(0, 2, 3, 1).reshape(batch, height * width, heads, each).transpose(1, 2)
    mixed = values @ attention.transpose(2, 3)
    return mixed.transpose(1, 2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def mixed_and_projected(v: Tensor, attention: Tensor, project_out: nn.Conv2d) -> Tensor:
    """The 1x1 convolution `project_out` of attention applied to v (B, C, H, W), in channels-last memory.

    Both are linear in the channels: their matrices are multiplied first, so that v is read once and no map is written
    between them.
    """
    height, width = v.shape[2:]
    heads, each = attention.shape[1:3]
    with torch.autocast(v.device.type, enabled=False):
        weight = project_out.weight.to(attention.dtype).view(-1, heads, each)
        matrix = torch.einsum("ohi,bhij->bohj", weight, attention).flatten(2).to(v.dtype)
        rows = pixel_rows(v) @ matrix.transpose(1, 2)
        if project_out.bias is not None:
            rows = rows + project_out.bias.to(v.dtype)
    return planes(rows, height, width)


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
        if v.is_cuda and self.project_out is not None:
            return mixed_and_projected(v, channel_attention(q, k, self.temperature), self.project_out)
        mixed = transposed_attention(q, k, v, self.temperature)
        if self.project_out is not None:
            mixed = self.project_out(mixed)
        return mixed


class CrossAttention(nn.Module):
    """MDTA whose queries come from one tensor and whose keys and values from another, both (B, C, H, W).

    Keys ``temperature`` (heads, 1, 1), ``q``, ``q_dwconv``, ``kv``, ``kv_dwconv``, ``project_out``.

    Args:
        channels: C.
        heads: of the attention.
        bias: whether the convolutions have biases.
        kernel: side of the depthwise convolution of keys and values, odd.
    """

    def __init__(self, channels: int, heads: int, *, bias: bool = False, kernel: int = 3) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Conv2d(channels, channels, 1, bias=bias)
        self.q_dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)
        self.kv = nn.Conv2d(channels, 2 * channels, 1, bias=bias)
        self.kv_dwconv = nn.Conv2d(
            2 * channels, 2 * channels, kernel, padding=kernel // 2, groups=2 * channels, bias=bias
        )
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        q = self.q_dwconv(self.q(queries))
        k, v = self.kv_dwconv(self.kv(context)).chunk(2, dim=1)
        mixed: Tensor = self.project_out(transposed_attention(q, k, v, self.temperature))
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
        hidden = self.project_in(x)
        if hidden.is_cuda:
            gated = gated_depthwise(hidden, self.dwconv)
        else:
            gate, value = self.dwconv(hidden).chunk(2, dim=1)
            gated = gelu(gate) * value
        restored: Tensor = self.project_out(gated)
        return restored


def add_attention(x: Tensor, norm: nn.Module, attention: MDTA) -> Tensor:
    """x + attention(norm(x)), (B, C, H, W) -> (B, C, H, W).

    On a CPU without gradients the hidden maps are computed a strip of rows at a time (see `row_strips`).
    """
    project_out = attention.project_out
    if project_out is not None and strips.strips_pay(x, attention.qkv.out_channels):
        return strips.attention(
            x, norm, attention.qkv, attention.qkv_dwconv, attention.temperature, project_out, NORMALIZE_EPS
        )
    restored: Tensor = x + attention(norm(x))
    return restored


def add_feed_forward_(x: Tensor, norm: nn.Module, ffn: GDFN) -> Tensor:
    """x + ffn(norm(x)), (B, C, H, W) -> (B, C, H, W); in inference it may overwrite x, which must be the caller's own.

    As `add_attention`, in strips on a CPU without gradients.
    """
    if strips.strips_pay(x, ffn.project_in.out_channels):
        return strips.feed_forward_(x, norm, ffn.project_in, ffn.dwconv, ffn.project_out)
    restored: Tensor = x + ffn(norm(x))
    return restored


class TransformerBlock(nn.Module):
    """x + MDTA(norm1(x)), then x + GDFN(norm2(x)); (B, C, H, W) -> (B, C, H, W).

    Keys ``norm1``, ``attn``, ``norm2``, ``ffn``; those of a norm are ``body.weight`` and ``body.bias``.

    Args:
        channels: C.
        heads: of the attention.
        expansion: hidden width of the feed-forward over C.
        bias: whether the convolutions have biases.
        norm: makes both norms from C.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        expansion: float,
        *,
        bias: bool = False,
        norm: Callable[[int], nn.Module] = LayerNorm2d,
    ) -> None:
        super().__init__()
        self.norm1 = norm(channels)
        self.attn = MDTA(channels, heads, bias=bias)
        self.norm2 = norm(channels)
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
