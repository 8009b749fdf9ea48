"""The machine that works for a network: whether its values can be read, constants that are written there, and which of
torch's libraries multiplies faster on its processor."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path

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


@cache
def convolutions_multiply_faster() -> bool:
    """Whether this processor has vectors of 512 bits and is one for which MKL does not use them in float32.

    On an AMD EPYC 9005 with 2 threads MKL's product makes 110 thousand million multiply-adds a second, oneDNN's 1x1
    convolution of the same numbers 235 (torch 2.14.1). In bfloat16 both are oneDNN's.
    """
    libraries = (torch.backends.mkl, torch.backends.mkldnn)
    if not all(library.is_available() for library in libraries):  # type: ignore[no-untyped-call]
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    features = Path("/proc/cpuinfo")
    return "AuthenticAMD" in (features.read_text(encoding="utf-8") if features.exists() else platform.processor())
