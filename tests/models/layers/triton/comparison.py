"""One call of a kernel and of the plain operator in float64, on the CPU under the interpreter or on a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from restorebench.models.layers import channel_products as plain_products
from restorebench.models.layers import gated_depthwise as plain_gate
from restorebench.models.layers import kernel_basis as plain_kernel_basis
from restorebench.models.layers.triton import channel_products, gated_depthwise, kernel_basis

from .cases import Case

Results = dict[str, Tensor]


@dataclass
class Random:
    """Seeded normal tensors of a case."""

    case: Case
    device: str
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def __call__(self, *shape: int, dtype: str | None = None) -> Tensor:
        x = torch.randn(shape, generator=self.generator).to(self.device, getattr(torch, dtype or self.case.dtype))
        if len(shape) == 4 and self.case.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return x


@contextlib.contextmanager
def changed(module: Any, **values: int) -> Iterator[None]:
    """Constants of a module with other values for a while."""
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def of_kernel_basis(case: Case, device: str) -> tuple[Results, Results]:
    batch, channels, size, bases, height, width = case.shape
    random = Random(case, device)
    u, mix = random(batch, channels, height, width), random(batch, bases, height, width, dtype=case.other_dtype)
    kernels = random(bases, channels * size * 9, dtype="float32") / (9 * bases) ** 0.5
    given = (u, mix, kernels, random(bases, channels, dtype="float32"))
    grad = random(batch, channels, height, width)
    assert kernel_basis.applies(u, mix, size)
    with changed(kernel_basis, PROGRAMS=case.programs):
        out = kernel_basis.forward(*given, size)
        gradients = kernel_basis.backward(grad, *given, size)
    exact = [t.double() for t in given]
    wanted = plain_kernel_basis._forward_in_blocks(*exact, size)  # type: ignore[call-arg]
    wanted_gradients = plain_kernel_basis._backward_in_blocks(grad.double(), *exact, size)  # type: ignore[call-arg]
    names = ("output", "of features", "of coefficients", "of kernels", "of offsets")
    return dict(zip(names, (out, *gradients), strict=True)), dict(zip(names, (wanted, *wanted_gradients), strict=True))


def of_channel_products(case: Case, device: str) -> tuple[Results, Results]:
    batch, channels, heads, height, width = case.shape
    q, k, _ = Random(case, device)(batch, 3 * channels, height, width).chunk(3, dim=1)
    assert channel_products.applies(q, heads)
    with changed(channel_products, PROGRAMS=case.programs):
        actual = channel_products.channel_products(q, k, heads)
    names = ("products", "squares of q", "squares of k")
    wanted = plain_products._plain(q.double(), k.double(), heads)
    return dict(zip(names, actual, strict=True)), dict(zip(names, wanted, strict=True))


def of_gated_depthwise(case: Case, device: str) -> tuple[Results, Results]:
    batch, hidden, biased, height, width = case.shape
    random = Random(case, device)
    x, weight = random(batch, 2 * hidden, height, width), random(2 * hidden, 1, 3, 3, dtype="float32") / 3
    bias = random(2 * hidden, dtype="float32") if biased else None
    actual = gated_depthwise.gated_depthwise(x, weight, bias)
    wanted = plain_gate._plain(x.double(), weight.double(), None if bias is None else bias.double())
    return {"output": actual}, {"output": wanted}


def layout(x: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape, and strides but those of axes of length one, which say nothing."""
    strides = zip(x.shape, x.stride(), strict=True)
    return tuple(x.shape), tuple(stride for length, stride in strides if length > 1)


def wrong(actual: Tensor, wanted: Tensor, dtype: torch.dtype) -> str:
    """What differs besides the numbers: shape, memory layout, dtype."""
    found, expected = (layout(actual), actual.dtype), (layout(wanted), dtype)
    return "" if found == expected else f"{found} instead of {expected}"


def result_dtype(case: Case, name: str) -> torch.dtype:
    """The dtype that a result of the operator has by its contract."""
    if name in ("output", "of features"):
        return getattr(torch, case.dtype)  # type: ignore[no-any-return]
    if name == "of coefficients":
        return getattr(torch, case.other_dtype or case.dtype)  # type: ignore[no-any-return]
    return torch.float32


COMPARE = {
    "kernel_basis": of_kernel_basis,
    "channel_products": of_channel_products,
    "gated_depthwise": of_gated_depthwise,
}
RESULTS = {"kernel_basis": 5, "channel_products": 3, "gated_depthwise": 1}
"""Outputs and gradients of a call."""
BOUNDS = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}
"""Relative distances from float64: sums of float32, and factors and results of 11 and of 8 bits."""


@dataclass(frozen=True)
class Finding:
    """A result of a case: its relative distance from float64, and what else differs."""

    case: str
    result: str
    error: float
    wrong: str


def findings(kernel: str, case: Case, device: str = "cpu") -> list[Finding]:
    """Call a kernel and the plain operator."""
    actual, wanted = COMPARE[kernel](case, device)
    found = []
    for result, value in actual.items():
        error = float((value.double() - wanted[result]).norm() / wanted[result].norm().clamp_min(1e-300))
        other = wrong(value, wanted[result], result_dtype(case, result))
        found.append(Finding(str(case), result, error, other))
    return found
