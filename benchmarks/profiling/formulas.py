"""Multiply-adds of single operators, from the shapes of what they take and give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import UserError

Kind = Literal["convolution", "matmul", "attention", "fft"]
Formula = Callable[[Sequence[Any], Any], int]
"""(positional arguments of the operator, its result) -> multiply-adds."""
KINDS: tuple[Kind, ...] = ("convolution", "matmul", "attention", "fft")


def register_mac_formula(
    op: torch._ops.OpOverload | torch._ops.OpOverloadPacket | str, formula: Formula, *, kind: Kind = "matmul"
) -> None:
    """Say how many multiply-adds an operator takes, for custom operators whose inside is not dispatched.

    Args:
        op: the operator, such as ``torch.ops.library.name``, or its name ``library::name``.
        formula: multiply-adds from the positional arguments (tensors, shapes are to be read off them) and the result.
        kind: under which kind they are listed.

    Raises:
        UserError: if the operator has a formula already.
    """
    name = op if isinstance(op, str) else operator_name(op)
    if name in FORMULAS:
        raise UserError(f"operator {name} has a formula for its multiply-adds already")
    FORMULAS[name] = (kind, formula)


def operator_name(op: torch._ops.OpOverload | torch._ops.OpOverloadPacket) -> str:
    """``library::name`` of an operator, without its overload."""
    packet = op.overloadpacket if isinstance(op, torch._ops.OpOverload) else op
    return str(packet._qualified_op_name)


def guessed_kind(name: str) -> Kind:
    """Kind of an operator known only to torch's registry."""
    if "attention" in name or "attn" in name:
        return "attention"
    return "convolution" if "conv" in name else "matmul"


def _convolution(args: Sequence[Any], result: Tensor) -> int:
    """Every weight meets every output position; every input position if transposed. Groups are in its shape."""
    image, weight, transposed = args[0], args[1], args[6]
    positions = image if transposed else result
    spatial = math.prod(positions.shape[2:]) if image.ndim == weight.ndim else math.prod(positions.shape[1:])
    batch = image.shape[0] if image.ndim == weight.ndim else 1
    return int(batch * spatial * weight.numel())


def _product(left: int) -> Formula:
    """Matrix product whose left factor is argument `left`: one multiply-add per output number and inner index."""
    return lambda args, result: int(result.numel() * args[left].shape[-1])


def _attention(args: Sequence[Any], result: Any) -> int:
    """q k^T and its product with v, for q (B, heads, Lq, d), k (.., Lk, d), v (.., Lk, dv); masks save nothing."""
    q, k, v = args[:3]
    return int(math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1]))


def _fourier(args: Sequence[Any], result: Tensor) -> int:
    """5 N log2 N real operations for a complex transform of N points, half for a real one; half are multiply-adds."""
    source, dims = args[0], args[1]
    real = not source.is_complex() or not result.is_complex()
    signal = source if not source.is_complex() else result
    points = math.prod(signal.shape[dim] for dim in dims)
    return round(signal.numel() * math.log2(points) * (1.25 if real else 2.5))


FORMULAS: dict[str, tuple[Kind, Formula]] = {
    "aten::convolution": ("convolution", _convolution),
    "torchvision::deform_conv2d": (
        "convolution",
        lambda args, result: int(result.numel() // result.shape[1] * args[1].numel()),
    ),
    **{f"aten::{op}": ("matmul", _product(0)) for op in ("mm", "bmm", "mv", "dot", "vdot", "_int_mm", "_scaled_mm")},
    **{f"aten::{op}": ("matmul", _product(1)) for op in ("addmm", "baddbmm", "addmv", "_addmm_activation")},
    "aten::addbmm": ("matmul", lambda args, result: int(args[1].numel() * args[2].shape[-1])),
    **{
        f"aten::_scaled_dot_product_{variant}": ("attention", _attention)
        for variant in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
            "fused_attention_overrideable",
            "attention_math",
            "attention_math_for_mps",
        )
    },
    **{f"aten::_fft_{transform}": ("fft", _fourier) for transform in ("r2c", "c2r", "c2c")},
}
