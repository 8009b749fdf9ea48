"""Gradients of zero for parameters that a forward pass did not read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


class _ZeroGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *unread: Tensor) -> Tensor:
        ctx.shapes = [parameter.shape for parameter in unread]
        ctx.like = unread[0].new_zeros(())
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, ...]:
        shapes, zero = ctx.shapes, ctx.like  # type: ignore[attr-defined]
        return gradient, *(zero.expand(shape) for shape in shapes)


def with_zero_gradients(x: Tensor, unread: Iterable[nn.Parameter]) -> Tensor:
    """`x`, from which those parameters get a gradient of zero instead of none.

    Several processes that train together must agree on which parameters have a gradient.

    Args:
        x: a tensor on the way to the loss.
        unread: parameters that it does not depend on.

    Returns:
        `x` itself where no gradient is recorded.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return x
    learning = [parameter for parameter in unread if parameter.requires_grad]
    if not learning:
        return x
    kept: Tensor = _ZeroGradient.apply(x, *learning)
    return kept
