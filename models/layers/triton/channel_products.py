"""The statistics of transposed attention in one pass over queries and keys: products of their channels, and squares.

    products[i, j] = sum_p q[p, i] k[p, j],    sum_p q[p, i]^2,    sum_p k[p, j]^2    within each head

Pixels are cut into parts, each with sums of its own in float32, that are added afterwards, in the same order always.
Products have factors of the maps' dtype, without TF32. Maps are channels-last, or some channels of one that is.

Traffic at an H100's rates (`traffic`), 48 channels in one head, 256x256 pixels:

    float32: 25.2 MB and 0.16 G multiply-adds, 7.5 and 4.7 us: memory holds; plain 2.0 times the bytes
    bfloat16: 12.6 MB and 0.16 G multiply-adds, 3.8 and 0.5 us: memory holds; plain 2.0 times the bytes

What follows, the application to the values, is a product that a library computes; `restormer.mixed_and_projected`
multiplies its matrix with that of the 1x1 convolution behind it:

    float32: 25.2 MB and 0.15 G multiply-adds, 7.5 and 4.5 us: memory holds; plain 2.0 times the bytes
    bfloat16: 12.6 MB and 0.15 G multiply-adds, 3.8 and 0.3 us: memory holds; plain 2.0 times the bytes
"""

# mypy: disable-error-code="import-untyped, no-untyped-def, untyped-decorator"
# Arguments of kernels are what Triton makes of them.

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .device import device_of

MOST_CHANNELS = 64
"""Of a head: the sums of products of more do not fit into registers."""
TILE = 32
"""Pixels of a tile."""
WARPS = 8
PROGRAMS = 1024
MOST_PARTS = 128


@triton.jit(do_not_specialize=["pixels", "tiles", "heads"])
def channel_sums(
    q, k, products, squares, pixels, tiles, heads, q_image, q_pixel, k_image, k_pixel,
    channels: tl.constexpr, block: tl.constexpr, tile: tl.constexpr,
) -> None:  # fmt: skip
    """Sums of one head of one image over `tiles` tiles of pixels; `block` is `channels` or the next power of two."""
    image, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    channel = tl.arange(0, block)
    q += image.to(tl.int64) * q_image + head * channels
    k += image.to(tl.int64) * k_image + head * channels
    total = tl.zeros((block, block), tl.float32)
    q_squares = tl.zeros((tile, block), tl.float32)
    k_squares = tl.zeros((tile, block), tl.float32)
    for step in range(tiles):
        pixel = (tl.program_id(0) * tiles + step) * tile + tl.arange(0, tile)
        seen = (pixel < pixels)[:, None] & (channel < channels)[None, :]
        far = pixel[:, None].to(tl.int64)
        queries = tl.load(q + far * q_pixel + channel[None, :], mask=seen, other=0.0)
        keys = tl.load(k + far * k_pixel + channel[None, :], mask=seen, other=0.0)
        total = tl.dot(tl.trans(queries), keys, total, input_precision="ieee")
        q_squares += queries.to(tl.float32) * queries.to(tl.float32)
        k_squares += keys.to(tl.float32) * keys.to(tl.float32)
    part = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    row, column = channel[:, None], channel[None, :]
    kept = (row < channels) & (column < channels)
    tl.store(products + (part * channels + row) * channels + column, total, mask=kept)
    target = squares + part * 2 * channels + channel
    tl.store(target, tl.sum(q_squares, axis=0), mask=channel < channels)
    tl.store(target + channels, tl.sum(k_squares, axis=0), mask=channel < channels)


def applies(q: Tensor, heads: int) -> bool:
    """Whether the kernel knows maps (B, C, H, W) with so many heads."""
    return q.shape[1] // heads <= MOST_CHANNELS and q.numel() > 0


def channel_products(q: Tensor, k: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Products (B, heads, C/heads, C/heads) and squares of q and of k (B, heads, C/heads), all float32."""
    q, k = _pixel_rows(q), _pixel_rows(k)
    batch, channels, height, width = q.shape
    each, pixels, pairs = channels // heads, height * width, batch * heads
    tiles = triton.cdiv(pixels, TILE)
    parts = max(1, min(MOST_PARTS, tiles, PROGRAMS // pairs))
    products = q.new_empty(parts, pairs, each, each, dtype=torch.float32)
    squares = q.new_empty(parts, pairs, 2, each, dtype=torch.float32)
    with device_of(q):
        channel_sums[parts, pairs](
            *(q, k, products, squares, pixels, triton.cdiv(tiles, parts), heads),
            *(q.stride(0), q.stride(3), k.stride(0), k.stride(3)),
            channels=each,
            block=block(each),
            tile=TILE,
            num_warps=WARPS,
            num_stages=2,
        )
    q_squares, k_squares = (t.clone() for t in squares.sum(0).view(batch, heads, 2, each).unbind(2))  # no shared memory
    return products.sum(0).view(batch, heads, each, each), q_squares, k_squares


def block(channels: int) -> int:
    """Side of the tile of products: the next power of two, at least what a product takes."""
    side: int = triton.next_power_of_2(channels)
    return max(16, side)


def _pixel_rows(x: Tensor) -> Tensor:
    """(B, C, H, W) with neighbouring channels beside each other and pixels at equal distances."""
    even = x.stride(1) == 1 and x.stride(2) == x.shape[3] * x.stride(3)
    return x if even and x.stride(3) >= x.shape[1] else x.contiguous(memory_format=torch.channels_last)
