"""Kernel basis attention (KBNet, arXiv 2303.02881): every pixel is filtered by its own mixture of learned kernels.

At pixel p the kernel is K(p) = sum_n a_n(p) w_n, and the output is K(p) applied to the 3x3 neighbourhood of u at p
(zero padding), plus sum_n a_n(p) b_n. Written out, K takes 9 * C * C/g floats a pixel: 604 MB for 64 channels in groups
of 4 at 256x256. `kernel_basis_attention` never holds more of it than one block, in either direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .layout import product_into
from .triton.device import kernels_run

KERNEL = 3
"""Side of the kernels in pixels."""
TAPS = KERNEL * KERNEL
CPU_BLOCK = 2**22
"""Kernel entries computed at a time on the CPU: 16 MB in float32, which stay in cache between product and use."""
DEVICE_BLOCK = 2**26
"""Kernel entries computed at a time on an accelerator (256 MB in float32): few, large launches."""
CPU_PIXELS = 1024
"""Pixels of a block that make the products efficient; wider tensors are cut along their groups instead."""

Implementation = Literal["fast", "reference"]


def kernel_basis_attention(
    u: Tensor,
    coefficients: Tensor,
    basis: Tensor,
    bias: Tensor,
    *,
    group_channels: int,
    implementation: Implementation = "fast",
) -> Tensor:
    """Filter `u` at every pixel by the mixture of kernels that `coefficients` give there.

    Under autocast and for half-precision input the arithmetic is float32 and the result has the dtype of `u`, in both
    directions; on a GPU with Triton the factors of products are rounded to the dtype of `u`, and the sums are float32.
    The fast form keeps only its arguments for the backward pass, which computes the kernels anew; it is differentiable
    once.

    Args:
        u: features (B, C, H, W), any size and memory layout.
        coefficients: weight of each kernel at each pixel (B, N, H, W).
        basis: N grouped 3x3 kernels (1, N, C * C/g * 9); the last axis is output channel, input channel within the
            group, window.
        bias: (1, N, C).
        group_channels: channels of a group, C/g.
        implementation: ``fast``, or ``reference``, which writes the kernels of the whole image out.

    Returns:
        (B, C, H, W), with the dtype and the memory layout of `u`.

    Raises:
        ValueError: the shapes do not fit together, or the implementation is unknown.
    """
    _check(u, coefficients, basis, bias, group_channels)
    if implementation not in ("fast", "reference"):
        raise ValueError(f"unknown implementation {implementation!r} of kernel basis attention: fast or reference")
    kernels, offsets = basis.flatten(0, 1), bias.flatten(0, 1)
    if implementation == "fast" and torch.compiler.is_exporting():
        return _plain(u, coefficients, kernels, offsets, group_channels)
    if implementation == "fast":
        fast: Tensor = _fast(u, coefficients, kernels, offsets, group_channels)
        return fast
    with torch.autocast(u.device.type, enabled=False):
        dtype = _arithmetic(u)
        maps, bases = (u.to(dtype), coefficients.to(dtype)), (kernels.to(dtype), offsets.to(dtype))
        return _reference(*maps, *bases, group_channels).to(u.dtype)


def kernel_basis_macs(batch: int, channels: int, height: int, width: int, *, bases: int, group_channels: int) -> int:
    """Multiply-adds of the operator: mixing the kernels and the biases, and applying the kernels."""
    kernel = channels * group_channels * TAPS
    return batch * height * width * (bases * (kernel + channels) + kernel)


def _reference(u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, group_channels: int) -> Tensor:
    """The definition, written out: unfold, mix all kernels, one matrix product a pixel and group."""
    batch, channels, height, width = u.shape
    pixels, groups = height * width, channels // group_channels
    mix = coefficients.flatten(2).transpose(1, 2)
    mixed = (mix @ kernels).view(batch, pixels, groups, group_channels, group_channels * TAPS)
    windows = F.unfold(u, KERNEL, padding=KERNEL // 2).view(batch, groups, group_channels * TAPS, pixels)
    filtered = (mixed @ windows.permute(0, 3, 1, 2).unsqueeze(-1)).reshape(batch, pixels, channels)
    return (filtered + mix @ offsets).transpose(1, 2).reshape(u.shape)


def _plain(u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, group_channels: int) -> Tensor:
    """A grouped convolution by each kernel, weighed and added up: operators that every runtime has, with as many
    multiply-adds and none of the big tensors; for files that other programs run."""
    groups = u.shape[1] // group_channels
    total = torch.einsum("bnhw,nc->bchw", coefficients, offsets)
    for number, kernel in enumerate(kernels.unbind()):
        weight = kernel.view(-1, group_channels, KERNEL, KERNEL)
        filtered = F.conv2d(u, weight, padding=KERNEL // 2, groups=groups)
        total = total + filtered * coefficients[:, number : number + 1]
    return total


@dataclass(frozen=True)
class _Block:
    """Part of the work: some images, rows and groups of channels; `size` channels in a group."""

    images: slice
    rows: slice
    groups: slice
    size: int

    @property
    def channels(self) -> slice:
        """The channels of the groups."""
        return slice(self.groups.start * self.size, self.groups.stop * self.size)

    @property
    def entries(self) -> slice:
        """Where the kernels of the groups lie on the last axis of the basis."""
        per_group = self.size * self.size * TAPS
        return slice(self.groups.start * per_group, self.groups.stop * per_group)

    def planes(self, t: Tensor) -> Tensor:
        """The block of (B, C, H, W) features as a view (C, B, H, W)."""
        return t[self.images, self.channels, self.rows].transpose(0, 1)

    def mix(self, coefficients: Tensor, dtype: torch.dtype) -> Tensor:
        """The coefficients as a matrix (N, pixels of the block); a view where the layout allows it."""
        part = coefficients[self.images, :, self.rows].to(dtype)
        if part.shape[0] == 1 and part.stride(3) == 1:
            return part[0].flatten(1)
        return part.permute(0, 2, 3, 1).flatten(0, 2).t()


def _blocks(shape: torch.Size, size: int, device: torch.device, *, share: int = 1) -> list[_Block]:
    """Cut (B, C, H, W) into blocks of about CPU_BLOCK (DEVICE_BLOCK) kernel entries over `share`, of whole rows."""
    batch, channels, height, width = shape
    entries, wanted = (CPU_BLOCK, CPU_PIXELS) if device.type == "cpu" else (DEVICE_BLOCK, DEVICE_BLOCK)
    entries //= share
    per_group, groups = size * size * TAPS, channels // size
    # As many pixels as make the products efficient, more where the channels leave room for them.
    pixels = max(min(wanted, entries // per_group), entries // (per_group * groups))
    rows = _even(height, pixels // width)
    images = _even(batch, pixels // (height * width)) if rows == height else 1
    step = _even(groups, entries // (per_group * images * rows * width))
    return [
        _Block(slice(i, min(i + images, batch)), slice(r, min(r + rows, height)), slice(g, min(g + step, groups)), size)
        for i in range(0, batch, images)
        for r in range(0, height, rows)
        for g in range(0, groups, step)
    ]


def _even(total: int, at_most: int) -> int:
    """Size of the equal parts, each of at most `at_most` (but at least 1), that `total` is cut into."""
    parts = -(-total // max(at_most, 1))
    return -(-total // parts)


def _rimmed(u: Tensor, block: _Block, dtype: torch.dtype) -> Tensor:
    """The block of `u` with a rim of one pixel (its neighbours in the image, or zeros), (C, B, rows + 2, W + 2)."""
    first, last = max(block.rows.start - 1, 0), min(block.rows.stop + 1, u.shape[2])
    part = u[block.images, block.channels, first:last].transpose(0, 1)
    channels, images, height, width = part.shape
    rimmed = u.new_zeros(channels, images, block.rows.stop - block.rows.start + 2, width + 2, dtype=dtype)
    top = first - (block.rows.start - 1)
    rimmed[:, :, top : top + height, 1:-1] = part
    return rimmed


def _windows(rimmed: Tensor, size: int) -> Tensor:
    """The nine shifted planes under the taps of the kernel, a view (groups, 1, inputs, 3, 3, B, rows, W)."""
    channels, images, height, width = rimmed.shape
    plane, image, row, column = rimmed.stride()
    taken = images, height - KERNEL + 1, width - KERNEL + 1
    windows = rimmed.as_strided((channels, KERNEL, KERNEL, *taken), (plane, row, column, image, row, column))
    return windows.view(-1, 1, size, KERNEL, KERNEL, *taken)


def _mixed_kernels(memory: Tensor, turned: Tensor, mix: Tensor, block: _Block, windows: Tensor) -> Tensor:
    """The kernels of the block in `memory`, (groups, outputs, inputs, 3, 3, B, rows, W); `turned` is the whole basis,
    (entries, N)."""
    basis = turned[block.entries]
    flat = memory[: basis.shape[0] * mix.shape[1]].view(basis.shape[0], mix.shape[1])
    return product_into(flat, basis, mix.t()).view(-1, block.size, *windows.shape[2:])


def _memory(blocks: list[_Block], u: Tensor, dtype: torch.dtype) -> Tensor:
    """Room for the kernels of the largest block, which is the first."""
    block = blocks[0]
    pixels = (block.images.stop - block.images.start) * (block.rows.stop - block.rows.start) * u.shape[3]
    return u.new_empty((block.entries.stop - block.entries.start) * pixels, dtype=dtype)


def _arithmetic(u: Tensor) -> torch.dtype:
    """Half-precision input is computed in float32: one output sums many small products."""
    return torch.promote_types(u.dtype, torch.float32)


def _forward(u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int) -> Tensor:
    if kernels_run(u):
        from .triton import kernel_basis

        if kernel_basis.applies(u, coefficients, size):
            return kernel_basis.forward(u, coefficients, kernels, offsets, size)
    return _forward_in_blocks(u, coefficients, kernels, offsets, size)


def _backward(
    grad: Tensor, u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if kernels_run(u):
        from .triton import kernel_basis

        if kernel_basis.applies(u, coefficients, size):
            return kernel_basis.backward(grad, u, coefficients, kernels, offsets, size)
    return _backward_in_blocks(grad, u, coefficients, kernels, offsets, size)


def _forward_in_blocks(u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int) -> Tensor:
    """Block by block: mix the kernels in one matrix product, and use them up while they are in cache.

    Every operation works on a whole block, so that threads meet a few times a block only: on a shared machine
    a loop over the taps costs many times more than the passes over cached memory that it saves.
    """
    out = torch.empty_like(u)
    dtype = _arithmetic(u)
    with torch.autocast(u.device.type, enabled=False):
        kernels, offsets = kernels.to(dtype), offsets.to(dtype)
        blocks = _blocks(u.shape, size, u.device)
        memory, turned = _memory(blocks, u, dtype), kernels.t().contiguous()
        for block in blocks:
            mix = block.mix(coefficients, dtype)
            windows = _windows(_rimmed(u, block, dtype), size)
            mixed = _mixed_kernels(memory, turned, mix, block, windows)
            filtered = mixed.mul_(windows).flatten(2, 4).sum(2).flatten(0, 1)
            filtered.view(-1, mix.shape[1]).addmm_(offsets[:, block.channels].t(), mix)
            block.planes(out).copy_(filtered)
    return out


def _backward_in_blocks(
    grad: Tensor, u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients with respect to the four tensors; each block's kernels are mixed anew."""
    dtype = _arithmetic(u)
    grad_u, grad_coefficients = torch.zeros_like(u, dtype=dtype), torch.zeros_like(coefficients, dtype=dtype)
    # Transposed, because with the long axis first this product is half again as fast.
    grad_kernels = kernels.new_zeros(kernels.shape[::-1], dtype=dtype)
    grad_offsets = torch.zeros_like(offsets, dtype=dtype)
    with torch.autocast(u.device.type, enabled=False):
        weights, shifts = kernels.to(dtype), offsets.to(dtype)
        # Half the block: it comes on top of the results, and has temporaries of its own size besides.
        blocks = _blocks(u.shape, size, u.device, share=2)
        memory, turned = _memory(blocks, u, dtype), weights.t().contiguous()
        for block in blocks:
            mix = block.mix(coefficients, dtype)
            planes = block.planes(grad).to(dtype).contiguous()
            windows = _windows(_rimmed(u, block, dtype), size)
            mixed = _mixed_kernels(memory, turned, mix, block, windows)
            spread = planes.view(-1, size, 1, 1, 1, *planes.shape[1:])
            _scatter(grad_u, mixed.mul_(spread).sum(1).flatten(0, 1), block)
            # The kernels are used up: their memory takes the gradient with respect to them.
            torch.mul(spread, windows, out=mixed)
            grad_mixed, flat = mixed.view(-1, mix.shape[1]), planes.view(-1, mix.shape[1])
            grad_mix = (weights[:, block.entries] @ grad_mixed).addmm_(shifts[:, block.channels], flat)
            grad_coefficients[block.images, :, block.rows] += grad_mix.view(-1, *planes.shape[1:]).transpose(0, 1)
            grad_kernels[block.entries].addmm_(grad_mixed, mix.t())
            grad_offsets[:, block.channels].addmm_(mix, flat.t())
    return (
        grad_u.to(u.dtype),
        grad_coefficients.to(coefficients.dtype),
        grad_kernels.t().to(kernels.dtype, copy=True, memory_format=torch.contiguous_format),
        grad_offsets.to(offsets.dtype),
    )


def _scatter(grad_u: Tensor, grad_windows: Tensor, block: _Block) -> None:
    """Add the gradient with respect to the windows, (C, 3, 3, B, rows, W), to that of the pixels they show."""
    channels, _, _, images, height, width = grad_windows.shape
    columns = grad_windows.new_zeros(channels, KERNEL, images, height + KERNEL - 1, width)
    for row in range(KERNEL):
        columns[:, :, :, row : row + height] += grad_windows[:, row]
    rimmed = columns.new_zeros(channels, images, height + KERNEL - 1, width + KERNEL - 1)
    for column in range(KERNEL):
        rimmed[..., column : column + width] += columns[:, column]
    # The rim belongs to the neighbouring blocks, or lies outside the image.
    first, last = max(block.rows.start - 1, 0), min(block.rows.stop + 1, grad_u.shape[2])
    top = first - (block.rows.start - 1)
    inside = rimmed[:, :, top : top + last - first, 1:-1].transpose(0, 1)
    grad_u[block.images, block.channels, first:last] += inside


def _check(u: Tensor, coefficients: Tensor, basis: Tensor, bias: Tensor, group_channels: int) -> None:
    if u.dim() != 4 or coefficients.dim() != 4:
        raise ValueError(
            f"features and coefficients must be (B, C, H, W): {tuple(u.shape)}, {tuple(coefficients.shape)}"
        )
    batch, channels, height, width = u.shape
    if channels % group_channels:
        raise ValueError(f"{channels} channels cannot be cut into groups of {group_channels}")
    bases = coefficients.shape[1]
    expected = {
        "coefficients": (coefficients, (batch, bases, height, width)),
        "basis": (basis, (1, bases, channels * group_channels * TAPS)),
        "bias": (bias, (1, bases, channels)),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape} for features {tuple(u.shape)}, not {tuple(tensor.shape)}")


# As operators of their own they stay whole under torch.compile, and a counter by dispatch sees all their multiply-adds.
_fast = torch.library.custom_op("restorebench::kernel_basis_attention", _forward, mutates_args=())
_fast_backward = torch.library.custom_op("restorebench::kernel_basis_attention_backward", _backward, mutates_args=())


@_fast.register_fake
def _(u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int) -> Tensor:
    return torch.empty_like(u)


@_fast_backward.register_fake
def _(
    grad: Tensor, u: Tensor, coefficients: Tensor, kernels: Tensor, offsets: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return torch.empty_like(u), torch.empty_like(coefficients), torch.empty_like(kernels), torch.empty_like(offsets)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor, int], output: Tensor) -> None:
    *tensors, ctx.size = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *_fast_backward(grad, *ctx.saved_tensors, ctx.size), None


_fast.register_autograd(_differentiate, setup_context=_save)


@register_flop_formula(torch.ops.restorebench.kernel_basis_attention)
def _flops(u: tuple[int, ...], mix: tuple[int, ...], kernels: Any, offsets: Any, size: int, **_: Any) -> int:
    return 2 * kernel_basis_macs(*u, bases=mix[1], group_channels=size)


@register_flop_formula(torch.ops.restorebench.kernel_basis_attention_backward)
def _backward_flops(
    grad: Any, u: tuple[int, ...], mix: tuple[int, ...], kernels: Any, offsets: Any, size: int, **_: Any
) -> int:
    # The kernels once more, then the gradients of both factors of each of the three products.
    batch, channels, height, width = u
    anew = batch * height * width * mix[1] * channels * size * TAPS
    return 2 * (anew + 2 * kernel_basis_macs(*u, bases=mix[1], group_channels=size))
