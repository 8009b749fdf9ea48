"""Want of memory is recognised on every device, and nothing else is taken for it."""

from __future__ import annotations

import errno
import logging
import os
import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.out_of_memory import is_out_of_memory, may_be_out_of_memory
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.inference.tiles import fallback_tiles
from restorebench.models.card import Tiling

from .test_runner import Halve, restorer

MESSAGES = (
    "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 1.95 GiB total capacity)",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
    "CUDA driver error: out of memory",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuFFT error: CUFFT_ALLOC_FAILED",
    "HIP out of memory. Tried to allocate 2.00 GiB",
    "HIP error: out of memory",
    "CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`",
    "MPS backend out of memory (MPS allocated: 8.9 GB, other allocations: 100 MB, max allowed: 9.1 GB).",
    "[enforce fail at alloc_cpu.cpp:116] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9",
    "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
    "Invalid buffer size: 14.50 GB",
    "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    "XPU out of memory. Tried to allocate 4.66 GiB. GPU 0 has a total capacity of 5.65 GiB",
    "miopenStatusAllocFailed",
    "CUDA error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    "could not create a memory object",
    "mkl_malloc: failed to allocate memory",
    "unable to mmap 33554432 bytes from file <model.pt>: Cannot allocate memory (12)",
    "std::bad_alloc",
)
"""As torch and its libraries write them; `out_of_memory.SIGNS` names the sources."""
AMBIGUOUS = (
    "GET was unable to find an engine to execute this computation",
    "FIND was unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm to run convolution",
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input.",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "could not create a primitive",
    "could not execute a primitive",
    "MPSGaph does not support tensor dims larger than INT_MAX",
)
"""Written for want of memory and for want of a kernel alike."""
OTHERS = (
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("out of resource: shared memory"),
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    ValueError("CUDA out of memory"),
    KeyError("std::bad_alloc"),
    OSError(28, "No space left on device"),
    RecursionError("maximum recursion depth exceeded"),
    KeyboardInterrupt(),
)


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_of_all_backends_are_want_of_memory(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, MemoryError])
def test_the_kinds_of_torch_and_python_are_want_of_memory(kind: type[Exception]) -> None:
    assert is_out_of_memory(kind())


def test_what_the_system_says_of_memory_is_want_of_memory() -> None:
    assert is_out_of_memory(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_nothing_else_is_want_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)
    assert not may_be_out_of_memory(error)


@pytest.mark.parametrize("message", AMBIGUOUS)
def test_an_ambiguous_message_is_want_of_memory_where_a_small_image_passes(message: str) -> None:
    assert not is_out_of_memory(RuntimeError(message))
    network = Hungry(300 * 300, message)
    image = torch.rand(1, 3, 520, 410)
    restored, how = Runner(restorer(network, tiling=Tiling(tile=128)), Numerics()).restore(image)
    assert how == "tiles of 256"
    torch.testing.assert_close(restored, image / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(520, 410), (64, 64), (20, 30)])
@pytest.mark.parametrize("message", AMBIGUOUS)
def test_an_ambiguous_message_is_the_error_that_it_is_where_no_image_passes(
    message: str, size: tuple[int, int]
) -> None:
    network = Hungry(0, message)
    with pytest.raises(RuntimeError, match=re.escape(message)):
        Runner(restorer(network, tiling=Tiling(tile=128)), Numerics()).restore(torch.rand(1, 3, *size))
    assert len(network.sizes) == 1 + (size == (520, 410))


def test_what_torch_and_numpy_raise_on_this_machine_is_recognised() -> None:
    with pytest.raises(Exception, match="allocate") as torch_error:
        torch.empty(2**45)
    assert is_out_of_memory(torch_error.value)
    with pytest.raises(MemoryError) as numpy_error:
        np.empty(2**45)
    assert is_out_of_memory(numpy_error.value)


def test_tiles_go_down_from_1024_and_never_below_the_cards_smallest() -> None:
    assert fallback_tiles(Tiling(tile=256), (1000, 2000)) == [1024, 768, 512, 384, 256]
    assert fallback_tiles(Tiling(tile=512), (2000, 2000)) == [1024, 768, 512]
    assert fallback_tiles(Tiling(tile=640), (2000, 2000)) == [1024, 768, 640]
    assert fallback_tiles(Tiling(tile=96), (300, 200)) == [256, 96]


def test_no_tile_is_as_large_as_the_image() -> None:
    assert fallback_tiles(Tiling(tile=256), (768, 768)) == [512, 384, 256]
    assert fallback_tiles(Tiling(tile=512), (512, 300)) == []


def test_a_card_that_allows_no_tiles_gets_none() -> None:
    assert fallback_tiles(Tiling(allowed=False), (4000, 4000)) == []


class Hungry(Halve):
    """Fails as a backend does beyond a number of pixels."""

    def __init__(self, limit: int, message: str) -> None:
        super().__init__()
        self.most, self.message = limit, message

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape[-2:]))
        if x.shape[-1] * x.shape[-2] > self.most:
            raise RuntimeError(self.message)
        return x / 2


@pytest.mark.parametrize("message", MESSAGES)
def test_the_largest_tiles_that_fit_are_taken(message: str, caplog: pytest.LogCaptureFixture) -> None:
    network = Hungry(300 * 300, message)
    image = torch.rand(1, 3, 520, 410)
    with caplog.at_level(logging.WARNING, "restorebench"):
        restored, how = Runner(restorer(network, tiling=Tiling(tile=128)), Numerics()).restore(image)
    assert how == "tiles of 256"
    assert [size for size in network.sizes if size[0] * size[1] > 300 * 300] == [(520, 410), (512, 410), (384, 384)]
    torch.testing.assert_close(restored, image / 2, atol=1e-6, rtol=0)
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["512", "384", "256"]


def test_where_tiles_are_not_safe_the_cpu_is_next_and_its_error_warns_of_tiles() -> None:
    network = Hungry(100, "std::bad_alloc")
    runner = Runner(restorer(network, tiling=Tiling(allowed=False)), Numerics())
    with pytest.raises(MemoryError, match=r"on the CPU.*tile=256.*changes the scores of Probe"):
        runner.restore(torch.rand(1, 3, 600, 600))
    assert network.sizes == [(600, 600)]


def test_another_error_in_tiles_ends_the_attempts() -> None:
    class Late(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError if x.shape[-1] == 600 else TypeError("of another kind")

    with pytest.raises(TypeError, match="another kind"):
        Runner(restorer(Late(), tiling=Tiling(tile=128)), Numerics()).restore(torch.rand(1, 3, 600, 600))
