"""Kernel basis attention on a GPU, forward and backward, with the mixed kernels never leaving the chip.

The plain form mixes the kernels of a pixel and then applies them. Here each of the N kernels of a group filters first,
one product (pixels x 9 s by 9 s x N s) for groups of s channels, and the coefficients sum the N results while they are
in registers: the same multiply-adds, in one product with long sides.

    responses Y[p, n, o] = sum_k windows[p, k] basis[n, o, k] + bias[n, o],    output[p, o] = sum_n a[p, n] Y[p, n, o]

The bias is one more row of the basis, which meets a one. The backward pass has a kernel for each of

    the coefficients   sum_o grad[p, o] Y[p, n, o], over all groups, in parts;
    the features       the kernels of the neighbours, tap by tap, applied to the gradients there;
    the bases          windows^T (a x grad), over the pixels, in parts.

Parts are summed in the same order always, and nothing is added up by atomics: the same numbers every time. Products
have factors of the features' dtype and float32 sums, without TF32. Maps are rows of pixels, in channels-last memory.

Traffic at an H100's rates (`traffic`), 64 channels in groups of 4, 32 bases, 256x256 pixels, forward:

    float32: 41.9 MB and 5.10 G multiply-adds, 12.5 and 152.2 us: arithmetic holds; plain 58.6 times the bytes
    bfloat16: 21.0 MB and 5.10 G multiply-adds, 6.3 and 14.0 us: arithmetic holds; plain 116.2 times the bytes

backward:

    float32: 125.8 MB and 15.18 G multiply-adds, 37.6 and 453.2 us: arithmetic holds; plain 34.6 times the bytes
    bfloat16: 62.9 MB and 15.18 G multiply-adds, 18.8 and 42.3 us: arithmetic holds; plain 68.2 times the bytes
"""

# mypy: disable-error-code="import-untyped, no-untyped-def, untyped-decorator"
# Arguments of kernels are what Triton makes of them.

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .device import device_of

GROUP_CHANNELS = (2, 4)
BASES = (16, 32)
"""Shapes that the kernels are made and tested for."""
WARPS = 4
PROGRAMS = 1024
"""Programs aimed at where a sum is cut into parts: several for each of the 60 to 150 multiprocessors of such GPUs."""
MOST_PARTS = 32


@triton.jit
def _neighbours(pointer, pixel, seen, row_shift, column_shift, channel, height, width, channels: tl.constexpr) -> Any:
    """Values of a map at the pixels shifted by so many rows and columns, zero outside the image."""
    row = (pixel // width) % height + row_shift
    column = pixel % width + column_shift
    seen = seen & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = (pixel + row_shift * width + column_shift).to(tl.int64) * channels + channel
    return tl.load(pointer + place, mask=seen, other=0.0)


@triton.jit
def _windows(u, pixel, seen, group, entry, height, width, channels: tl.constexpr, size: tl.constexpr) -> Any:
    """Entries (tap, input channel) of the group's windows, (pixels, entries); after the last one a one, then zeros."""
    entry = entry[None, :]
    tap = entry // size
    seen = seen[:, None] & (tap < 9)
    channel = group * size + entry % size
    values = _neighbours(u, pixel[:, None], seen, tap // 3 - 1, tap % 3 - 1, channel, height, width, channels)
    return tl.where(entry == 9 * size, 1.0, values.to(tl.float32)).to(values.dtype)


@triton.jit
def _responses(
    u, basis, pixel, seen, group, height, width,
    channels: tl.constexpr, size: tl.constexpr, bases: tl.constexpr, tile: tl.constexpr, depth: tl.constexpr,
) -> Any:  # fmt: skip
    """What each kernel of the group answers at each pixel, with its bias, (pixels, bases * size), float32."""
    answers = tl.zeros((tile, bases * size), tl.float32)
    column = tl.arange(0, bases * size)[None, :]
    for start in range(0, 9 * size + 1, depth):
        entry = start + tl.arange(0, depth)
        windows = _windows(u, pixel, seen, group, entry, height, width, channels, size)
        row = entry[:, None]
        kernels = tl.load(
            basis + (group * (9 * size + 1) + row) * (bases * size) + column, mask=row <= 9 * size, other=0.0
        )
        answers = tl.dot(windows, kernels, answers, input_precision="ieee")
    return answers


@triton.jit(do_not_specialize=["pixels", "height", "width"])
def filter_pixels(
    u, mix, basis, out, pixels, height, width,
    channels: tl.constexpr, size: tl.constexpr, bases: tl.constexpr, tile: tl.constexpr, depth: tl.constexpr,
) -> None:  # fmt: skip
    """One group of the output at a tile of pixels."""
    pixel = tl.program_id(0) * tile + tl.arange(0, tile)
    group, seen, far = tl.program_id(1), pixel < pixels, pixel[:, None].to(tl.int64)
    answers = _responses(u, basis, pixel, seen, group, height, width, channels, size, bases, tile, depth)
    weights = tl.load(mix + far * bases + tl.arange(0, bases)[None, :], mask=seen[:, None], other=0.0).to(tl.float32)
    filtered = tl.sum(tl.reshape(answers, (tile, bases, size)) * weights[:, :, None], axis=1)
    channel = group * size + tl.arange(0, size)[None, :]
    tl.store(out + far * channels + channel, filtered.to(out.dtype.element_ty), mask=seen[:, None])


@triton.jit(do_not_specialize=["pixels", "height", "width", "groups"])
def mix_gradient(
    grad, u, basis, out, pixels, height, width, groups,
    channels: tl.constexpr, size: tl.constexpr, bases: tl.constexpr, tile: tl.constexpr, depth: tl.constexpr,
) -> None:  # fmt: skip
    """Gradient with respect to the coefficients of a tile, over `groups` groups: a part (pixels, bases) of the sum."""
    pixel = tl.program_id(0) * tile + tl.arange(0, tile)
    seen, far = pixel < pixels, pixel[:, None].to(tl.int64)
    total = tl.zeros((tile, bases), tl.float32)
    for step in range(groups):
        group = tl.program_id(1) * groups + step
        answers = _responses(u, basis, pixel, seen, group, height, width, channels, size, bases, tile, depth)
        channel = group * size + tl.arange(0, size)[None, :]
        towards = tl.load(grad + far * channels + channel, mask=seen[:, None], other=0.0).to(tl.float32)
        total += tl.sum(tl.reshape(answers, (tile, bases, size)) * towards[:, None, :], axis=2)
    place = (tl.program_id(1).to(tl.int64) * pixels + far) * bases + tl.arange(0, bases)[None, :]
    tl.store(out + place, total, mask=seen[:, None])


@triton.jit(do_not_specialize=["pixels", "height", "width"])
def feature_gradient(
    grad, mix, basis, out, pixels, height, width,
    channels: tl.constexpr, size: tl.constexpr, bases: tl.constexpr, tile: tl.constexpr,
) -> None:  # fmt: skip
    """Gradient with respect to one group of the features at a tile: a pixel meets the kernels of its neighbours."""
    pixel = tl.program_id(0) * tile + tl.arange(0, tile)
    group, seen = tl.program_id(1), pixel < pixels
    base, channel = tl.arange(0, bases), group * size + tl.arange(0, size)[None, :]
    column = tl.arange(0, size * size)[None, :]  # (input, output), output fastest
    kernels = basis + (group * (9 * size + 1) + column // size) * (bases * size) + base[:, None] * size + column % size
    total = tl.zeros((tile, size), tl.float32)
    for tap in range(9):
        row, col = 1 - tap // 3, 1 - tap % 3
        weights = _neighbours(mix, pixel[:, None], seen[:, None], row, col, base[None, :], height, width, bases)
        taken = tl.load(kernels + tap * (size * bases * size))
        mixed = tl.dot(weights.to(taken.dtype), taken, input_precision="ieee")
        towards = _neighbours(grad, pixel[:, None], seen[:, None], row, col, channel, height, width, channels)
        total += tl.sum(tl.reshape(mixed, (tile, size, size)) * towards.to(tl.float32)[:, None, :], axis=2)
    place = pixel[:, None].to(tl.int64) * channels + channel
    tl.store(out + place, total.to(out.dtype.element_ty), mask=seen[:, None])


@triton.jit(do_not_specialize=["pixels", "height", "width", "tiles", "groups"])
def basis_gradient(
    grad, u, mix, out, pixels, height, width, tiles, groups,
    channels: tl.constexpr, size: tl.constexpr, bases: tl.constexpr, tile: tl.constexpr, depth: tl.constexpr,
) -> None:  # fmt: skip
    """Gradient with respect to some rows of one group's kernels and bias over `tiles` tiles: a part of the sum."""
    group = tl.program_id(1)
    entry = tl.program_id(2) * depth + tl.arange(0, depth)
    channel = group * size + tl.arange(0, size)[None, :]
    total = tl.zeros((depth, bases * size), tl.float32)
    for step in range(tiles):
        pixel = (tl.program_id(0) * tiles + step) * tile + tl.arange(0, tile)
        seen, far = pixel < pixels, pixel[:, None].to(tl.int64)
        weights = tl.load(mix + far * bases + tl.arange(0, bases)[None, :], mask=seen[:, None], other=0.0)
        towards = tl.load(grad + far * channels + channel, mask=seen[:, None], other=0.0)
        spread = weights.to(tl.float32)[:, :, None] * towards.to(tl.float32)[:, None, :]
        spread = tl.reshape(spread, (tile, bases * size)).to(u.dtype.element_ty)
        windows = _windows(u, pixel, seen, group, entry, height, width, channels, size)
        total = tl.dot(tl.trans(windows), spread, total, input_precision="ieee")
    row, column = entry[:, None], tl.arange(0, bases * size)[None, :]
    part = (tl.program_id(0).to(tl.int64) * groups + group) * (9 * size + 1)
    tl.store(out + (part + row) * (bases * size) + column, total, mask=row <= 9 * size)


def applies(u: Tensor, coefficients: Tensor, size: int) -> bool:
    """Whether the kernels know these shapes: features (B, C, H, W), coefficients (B, N, H, W), groups of `size`."""
    return size in GROUP_CHANNELS and coefficients.shape[1] in BASES and u.numel() > 0


def tile(dtype: torch.dtype) -> int:
    """Pixels of a tile; tensor cores leave room for twice as many."""
    return 32 if dtype == torch.float32 else 64


def depth(dtype: torch.dtype) -> int:
    """Rows of the basis in a step of a product: the fewest that the units take."""
    return 8 if dtype == torch.float32 else 16


def forward(u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int) -> Tensor:
    """The operator on (B, C, H, W) features; kernels (N, C * size * 9), offsets (N, C)."""
    features, mix, basis = _rows(u), _rows(coefficients), _packed(kernels, offsets, size, u.dtype)
    target = torch.empty_like(features)
    with device_of(u):
        _launch(filter_pixels, (_tiles(u), basis.shape[0]), (features, mix, basis, target), u, coefficients, size)
    return _like(u, target)


def backward(
    grad: Tensor, u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients with respect to u, coefficients, kernels and offsets."""
    towards, features, mix = _rows(grad.to(u.dtype)), _rows(u), _rows(coefficients)
    basis = _packed(kernels, offsets, size, u.dtype)
    with device_of(u):
        of_features = torch.empty_like(features)
        grid = (_tiles(u), basis.shape[0])
        _launch(feature_gradient, grid, (towards, mix, basis, of_features), u, coefficients, size)
        of_mix = _mix_gradient(towards, features, coefficients, basis, size)
        of_basis = _basis_gradient(towards, features, mix, coefficients, basis, size)
    of_kernels, of_offsets = _unpacked(of_basis, coefficients.shape[1], size)
    return (
        _like(u, of_features),
        _like(coefficients, of_mix),
        of_kernels.to(kernels.dtype),
        of_offsets.to(offsets.dtype),
    )


def _mix_gradient(grad: Tensor, u: Tensor, coefficients: Tensor, basis: Tensor, size: int) -> Tensor:
    batch, bases, height, width = coefficients.shape
    groups, pixels = basis.shape[0], batch * height * width
    tiles = triton.cdiv(pixels, tile(torch.float32))
    parts = next((n for n in (16, 8, 4, 2) if groups % n == 0 and n * tiles <= PROGRAMS), 1)
    out = u.new_empty(parts, pixels, bases, dtype=torch.float32)
    arguments = (grad, u, basis, out)
    _launch(mix_gradient, (tiles, parts), arguments, u, coefficients, size, groups // parts, tile=tile(torch.float32))
    return out.sum(0).view(batch, height, width, bases).permute(0, 3, 1, 2)


def _basis_gradient(grad: Tensor, u: Tensor, mix: Tensor, coefficients: Tensor, basis: Tensor, size: int) -> Tensor:
    groups, rows, columns = basis.shape
    blocks, tiles = triton.cdiv(rows, depth(u.dtype)), _tiles(u)
    parts = max(1, min(MOST_PARTS, tiles, PROGRAMS // (groups * blocks)))
    each = triton.cdiv(tiles, parts)
    out = basis.new_empty(parts, groups, rows, columns, dtype=torch.float32)
    _launch(basis_gradient, (parts, groups, blocks), (grad, u, mix, out), u, coefficients, size, each, groups)
    return out.sum(0)


def _launch(
    kernel: Any, grid: tuple[int, ...], maps: tuple[Tensor, ...], u: Tensor, coefficients: Tensor, size: int,
    *numbers: int, **changed: int,
) -> None:  # fmt: skip
    batch, channels, height, width = u.shape
    constants = {"channels": channels, "size": size, "bases": coefficients.shape[1], "tile": tile(u.dtype)}
    if "depth" in kernel.arg_names:
        constants["depth"] = depth(u.dtype)
    constants |= changed
    kernel[grid](*maps, batch * height * width, height, width, *numbers, **constants, num_warps=WARPS, num_stages=2)


def _tiles(u: Tensor) -> int:
    tiles: int = triton.cdiv(u.shape[0] * u.shape[2] * u.shape[3], tile(u.dtype))
    return tiles


def _like(x: Tensor, values: Tensor) -> Tensor:
    """The values with dtype and memory of ``torch.empty_like(x)``, copied only where they are others."""
    out = torch.empty_like(x)
    return values if (values.dtype, values.stride()) == (out.dtype, out.stride()) else out.copy_(values)


def _rows(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _packed(kernels: Tensor, offsets: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """(N, C * size * 9) kernels and (N, C) offsets as (groups, 9 * size + 1, N * size): tap, input; base, output."""
    bases = kernels.shape[0]
    entries = kernels.view(bases, -1, size, size, 9).permute(1, 4, 3, 0, 2).flatten(3).flatten(1, 2)
    bias = offsets.view(bases, -1, size).transpose(0, 1).flatten(1)
    return torch.cat([entries, bias[:, None]], dim=1).to(dtype)


def _unpacked(packed: Tensor, bases: int, size: int) -> tuple[Tensor, Tensor]:
    """The inverse of `_packed`."""
    groups = packed.shape[0]
    entries = packed[:, :-1].view(groups, 9, size, bases, size).permute(3, 0, 4, 2, 1)
    bias = packed[:, -1].view(groups, bases, size).transpose(0, 1)
    return entries.reshape(bases, -1), bias.reshape(bases, -1)
