"""Which errors are want of memory, on whatever device; only those lead to smaller batches, tiles and the CPU."""

from __future__ import annotations

import torch

from ...messages import text_of

SIGNS: tuple[tuple[str, ...], ...] = (
    # CUDA and ROCm, whose build of torch writes HIP for CUDA: c10/cuda/CUDACachingAllocator.cpp raises
    # torch.OutOfMemoryError; the runtime's own error comes by c10/cuda/CUDAException.cpp and the driver's by
    # aten/src/ATen/cuda/Exceptions.h (C10_CUDA_CHECK, AT_CUDA_DRIVER_CHECK).
    ("CUDA out of memory",),
    ("CUDA error: out of memory",),
    ("CUDA driver error: out of memory",),
    ("cudaErrorMemoryAllocation",),
    ("HIP out of memory",),
    ("HIP error: out of memory",),
    ("hipErrorOutOfMemory",),
    ("XPU out of memory",),
    # Libraries beside it allocate for themselves: status codes of cuBLAS, cuDNN, cuFFT, cuSOLVER, cuSPARSE and their
    # likes of ROCm, printed by name in ATen/cuda/Exceptions.h, ATen/cudnn/Exceptions.h, ATen/native/cuda/CuFFTUtils.h.
    ("CUBLAS_STATUS_ALLOC_FAILED",),
    ("CUDNN_STATUS_ALLOC_FAILED",),
    ("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",),
    ("CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",),
    ("CUFFT_ALLOC_FAILED",),
    ("CUSOLVER_STATUS_ALLOC_FAILED",),
    ("CUSPARSE_STATUS_ALLOC_FAILED",),
    ("HIPBLAS_STATUS_ALLOC_FAILED",),
    ("HIPFFT_ALLOC_FAILED",),
    ("miopenStatusAllocFailed",),
    # cuDNN v8 (ATen/native/cudnn/Conv_v8.cpp) says "GET was unable to find an engine to execute this computation" when
    # every plan failed, for want of a kernel as well; want of memory it is only where an allocation is named.
    ("unable to find an engine", "alloc"),
    # Apple: aten/src/ATen/mps/MPSAllocator.mm.
    ("MPS backend out of memory",),
    ("MPS", "Invalid buffer size"),
    # CPU: c10/core/impl/alloc_cpu.cpp, on Linux and macOS, and on Windows; oneDNN's dnnl.hpp (memory::memory); the C++
    # library's own, which torch/csrc/Exceptions.h hands on as RuntimeError.
    ("DefaultCPUAllocator: can't allocate memory",),
    ("DefaultCPUAllocator: not enough memory: you tried to allocate",),
    ("could not create a memory object",),
    ("bad_alloc",),
)
"""Words of a RuntimeError that stand together for want of memory; the comments say where torch writes them."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is want of memory: torch's own kind, Python's, or a RuntimeError with the words of `SIGNS`."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if not isinstance(error, RuntimeError) or isinstance(error, (RecursionError, NotImplementedError)):
        return False
    text = text_of(error)
    return any(all(word in text for word in words) for words in SIGNS)
