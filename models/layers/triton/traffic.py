"""What each kernel must move and compute, from its shapes, and how much more the plain path moves.

The rates are those of an NVIDIA H100 SXM: 3.35 TB/s of memory, 67 TFLOP/s in float32, 990 TFLOP/s on tensor cores in
bfloat16 or float16. Bytes are those of an ideal run: each map is read or written once by every operator that touches
it, and weights, sums and what stays in the cache cost nothing. Seconds are lower bounds, not measurements.

The plain path is what runs without these kernels: of the compiler, where it fuses something; else torch's operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MEMORY_BYTES = 3.35e12
"""Bytes a second."""
FLOAT32_FLOPS = 67e12
TENSOR_FLOPS = 990e12
"""Floating-point operations a second; a multiply-add is two."""
TAPS = 9


@dataclass(frozen=True)
class Traffic:
    """Of one call.

    Attributes:
        moved: bytes that the kernel reads and writes.
        plain: bytes that the plain path reads and writes.
        macs: multiply-adds on the units that `dtype` has them on.
        other_macs: multiply-adds that are float32 whatever the dtype.
        dtype: of the maps.
    """

    moved: int
    plain: int
    macs: int
    other_macs: int
    dtype: torch.dtype

    @property
    def memory_seconds(self) -> float:
        """Least time for the bytes."""
        return self.moved / MEMORY_BYTES

    @property
    def arithmetic_seconds(self) -> float:
        """Least time for the multiply-adds."""
        rate = FLOAT32_FLOPS if self.dtype == torch.float32 else TENSOR_FLOPS
        return 2 * (self.macs / rate + self.other_macs / FLOAT32_FLOPS)

    @property
    def seconds(self) -> float:
        """The larger of the two."""
        return max(self.memory_seconds, self.arithmetic_seconds)

    @property
    def bound(self) -> str:
        """Which of the two holds: ``memory`` or ``arithmetic``."""
        return "memory" if self.memory_seconds >= self.arithmetic_seconds else "arithmetic"

    @property
    def saved(self) -> float:
        """How many times as much the plain path moves."""
        return self.plain / self.moved

    def __str__(self) -> str:
        """One line: what is moved and computed, the least time of both, which of them holds, and the plain path."""
        dtype = str(self.dtype).removeprefix("torch.")
        work = f"{self.moved / 1e6:.1f} MB and {(self.macs + self.other_macs) / 1e9:.2f} G multiply-adds"
        times = f"{self.memory_seconds * 1e6:.1f} and {self.arithmetic_seconds * 1e6:.1f} us"
        return f"{dtype}: {work}, {times}: {self.bound} holds; plain {self.saved:.1f} times the bytes"


def kernel_basis_forward(pixels: int, channels: int, size: int, bases: int, dtype: torch.dtype) -> Traffic:
    """Kernel basis attention: u and the coefficients in, the output out.

    The plain path writes the kernels of a block and passes over them three times: written by the product, read and
    written by the multiplication with the windows, read by the sum; in float32, whatever the dtype.
    """
    kernels = channels * size * TAPS
    moved = (2 * channels + bases) * dtype.itemsize
    return Traffic(
        moved=pixels * moved,
        plain=pixels * (moved + 4 * kernels * 4),
        macs=pixels * bases * (kernels + channels),  # the biases are a row of the product
        other_macs=pixels * bases * channels,  # the sum over the bases
        dtype=dtype,
    )


def kernel_basis_backward(pixels: int, channels: int, size: int, bases: int, dtype: torch.dtype) -> Traffic:
    """Its backward pass: three kernels, each of which reads or writes two maps of C channels and one of N.

    The plain path mixes the kernels anew (one pass), applies them to the gradient (a copy as large is written and read
    by the sum), overwrites them by their gradient, and reads that in two products.
    """
    kernels = channels * size * TAPS
    moved = 3 * (2 * channels + bases) * dtype.itemsize
    return Traffic(
        moved=pixels * moved,
        plain=pixels * (moved + 7 * kernels * 4),
        macs=pixels * bases * (3 * kernels + 2 * channels),
        other_macs=pixels * (kernels + 2 * bases * channels),
        dtype=dtype,
    )


def channel_products(pixels: int, channels: int, heads: int, dtype: torch.dtype) -> Traffic:
    """Statistics of transposed attention: q and k in. The plain path reads each twice: lengths, and products.

    Copies of the heads of a batch, which the plain path makes besides, are left out.
    """
    moved = 2 * channels * dtype.itemsize
    return Traffic(
        moved=pixels * moved,
        plain=pixels * 2 * moved,
        macs=pixels * channels * (channels // heads),
        other_macs=pixels * 2 * channels,
        dtype=dtype,
    )


def attention_application(pixels: int, channels: int, heads: int, dtype: torch.dtype) -> Traffic:
    """Attention and the 1x1 convolution behind it as one product: v in, the output out.

    The plain path writes what lies between and reads it again.
    """
    moved = 2 * channels * dtype.itemsize
    return Traffic(
        moved=pixels * moved, plain=pixels * 2 * moved, macs=pixels * channels * channels, other_macs=0, dtype=dtype
    )


def gated_depthwise(pixels: int, hidden: int, dtype: torch.dtype) -> Traffic:
    """Depthwise convolution, gelu and gate: 2h channels in, h out.

    In the plain path the convolution writes 2h besides, and gelu and product, which the compiler fuses, read them.
    Without it they are two: h read and written by gelu, 2h read by the product.
    """
    return Traffic(
        moved=pixels * 3 * hidden * dtype.itemsize,
        plain=pixels * 7 * hidden * dtype.itemsize,
        macs=0,
        other_macs=pixels * 2 * hidden * TAPS,
        dtype=dtype,
    )


def layer_norm(pixels: int, channels: int, dtype: torch.dtype, *, fused: bool) -> Traffic:
    """x + y, its norm, and a cast: two maps in; the sum and the norm out, as the compiler makes it (`fused`).

    The plain path is the same there. Without the compiler the sum is read again by the norm, and the float32 norm is
    written and read for the cast.
    """
    moved = 4 * channels * dtype.itemsize
    apart = moved + channels * dtype.itemsize + (2 * channels * 4 if dtype != torch.float32 else 0)
    return Traffic(
        moved=pixels * moved,
        plain=pixels * (moved if fused else apart),
        macs=0,
        other_macs=pixels * 8 * channels,
        dtype=dtype,
    )
