"""Where the kernels of this room run."""

from __future__ import annotations

import functools
import importlib.util
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

LEAST_CAPABILITY = (8, 0)
"""Oldest NVIDIA architecture that the kernels are compiled for in the tests."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@functools.cache
def _installed() -> bool:
    return torch.version.hip is None and importlib.util.find_spec("triton") is not None


def kernels_run(x: Tensor) -> bool:
    """Whether Triton is there, and x lies on a GPU of `LEAST_CAPABILITY` or later in a dtype that the kernels know."""
    return (
        x.is_cuda
        and x.dtype in DTYPES
        and _installed()
        and torch.cuda.get_device_capability(x.device) >= LEAST_CAPABILITY
    )


def device_of(x: Tensor) -> AbstractContextManager[object]:
    """The GPU of x as the current one, on which kernels are launched; nothing for other tensors."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
