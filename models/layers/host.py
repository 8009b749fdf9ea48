"""The machine that works for a network: whether its values can be read, and constants that are written there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def in_graph() -> bool:
    """Whether operators are being recorded, by ``torch.compile`` or as a CUDA graph: then no value can be read."""
    if torch.compiler.is_compiling():
        return True
    return bool(torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]


def reads_are_free(tensor: Tensor) -> bool:
    """Whether reading a value costs no wait for a device, and is possible."""
    return tensor.device.type == "cpu" and not in_graph()


def vector(values: Sequence[float], *, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers (n,) on a tensor's device, of its dtype if no other is given.

    They are written there: ``torch.tensor(values, device=...)`` copies, which makes the host wait for a GPU.
    """
    dtype = dtype or like.dtype
    return torch.stack([torch.full((), value, dtype=dtype, device=like.device) for value in values])
