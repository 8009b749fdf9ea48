"""Which errors are want of memory, on whatever device; only those lead to smaller batches, tiles and the CPU."""

from __future__ import annotations

import errno

import torch

from ...messages import text_of

SIGNS = (
    # CUDA and ROCm, whose build of torch writes HIP for CUDA: c10/cuda/CUDACachingAllocator.cpp raises
    # torch.OutOfMemoryError; the runtime's own error comes by c10/cuda/CUDAException.cpp and the driver's by
    # aten/src/ATen/cuda/Exceptions.h (C10_CUDA_CHECK, AT_CUDA_DRIVER_CHECK).
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "cudaErrorMemoryAllocation",
    "HIP out of memory",
    "HIP error: out of memory",
    "hipErrorOutOfMemory",
    # Intel's GPUs: c10/xpu/XPUCachingAllocator.cpp, and the runtime's own by its unified runtime (intel/torch-xpu-ops,
    # issue 1598: "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)").
    "XPU out of memory",
    "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
    "UR_RESULT_ERROR_OUT_OF_HOST_MEMORY",
    # Libraries beside it allocate for themselves: status codes of cuBLAS, cuDNN, cuFFT, cuSOLVER, cuSPARSE and their
    # likes of ROCm, printed by name in ATen/cuda/Exceptions.h, ATen/cudnn/Exceptions.h, ATen/native/cuda/CuFFTUtils.h,
    # ATen/miopen/Exceptions.h.
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUFFT_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUSPARSE_STATUS_ALLOC_FAILED",
    "HIPBLAS_STATUS_ALLOC_FAILED",
    "HIPFFT_ALLOC_FAILED",
    "miopenStatusAllocFailed",
    # Apple: aten/src/ATen/mps/MPSAllocator.mm, over all of its memory and over the largest buffer that Metal has.
    "MPS backend out of memory",
    "Invalid buffer size: ",
    # CPU: c10/core/impl/alloc_cpu.cpp, on Linux and macOS, and on Windows; oneDNN's dnnl.hpp (memory::memory) and MKL;
    # the C library's word, as aten/src/ATen/MapAllocator.cpp ends with; the C++ library's own, which
    # torch/csrc/Exceptions.h hands on as RuntimeError.
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory: you tried to allocate",
    "could not create a memory object",
    "mkl_malloc: failed to allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
)
"""Words of a RuntimeError that stand for want of memory; the comments say where torch writes them."""

SUSPECTS = (
    # cuDNN: ATen/native/cudnn/Conv_v8.cpp (run_single_conv, try_plans) and Conv_v7.cpp (try_all) catch the allocator's
    # OutOfMemoryError of every plan, and then say this, as where there is no kernel for the computation.
    "unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm to run convolution",
    # Said where memory is short by cuDNN (pytorch/pytorch, issue 44473), and where handles cannot be created for want
    # of it (ATen/cudnn/Handle.cpp, ATen/cuda/CublasHandlePool.cpp); cuFFT plans likewise.
    "CUDNN_STATUS_NOT_SUPPORTED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUFFT_INTERNAL_ERROR",
    "UR_RESULT_ERROR_OUT_OF_RESOURCES",
    # oneDNN's dnnl.hpp (primitive::primitive, primitive::execute) has these words for every status, out_of_memory one
    # of them (uxlfoundation/oneDNN, issue 914).
    "could not create a primitive",
    "could not execute a primitive",
    # Apple: aten/src/ATen/native/mps/OperationUtils.mm (check_mps_shape), in its own spelling.
    "MPSGaph does not support tensor dims larger than INT_MAX",
)
"""Words that stand for want of memory or for something else; whether a small image passes tells one from the other."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is want of memory: torch's own kind, Python's, or one with the words of `SIGNS`."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return _has_words(error, SIGNS)


def may_be_out_of_memory(error: BaseException) -> bool:
    """Whether an error may be want of memory: it is, or its words are among `SUSPECTS`."""
    return is_out_of_memory(error) or _has_words(error, SUSPECTS)


def _has_words(error: BaseException, words: tuple[str, ...]) -> bool:
    if not isinstance(error, RuntimeError) or isinstance(error, (RecursionError, NotImplementedError)):
        return False
    text = text_of(error)
    return any(word in text for word in words)
