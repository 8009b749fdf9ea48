"""What torch's compiler would run on a GPU that is not there: its code for a function, read and never run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from unittest import mock

import torch
import triton
from torch import Tensor
from torch._inductor.debug import DebugContext
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.fx_passes.post_grad import view_to_reshape
from torch._inductor.graph import GraphLowering
from torch._inductor.runtime.hints import DeviceProperties
from torch._inductor.virtualized import V
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from triton.backends.compiler import GPUTarget

H100 = DeviceProperties(
    type="cuda",
    index=0,
    multi_processor_count=132,
    cc=90,
    major=9,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    max_threads_per_block=1024,
    warp_size=32,
)


class Driver:
    """Answers what Triton's driver is asked while code is written."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cuda", 0)

    def is_active(self) -> bool:
        return True


@dataclass(frozen=True)
class Program:
    """Calls of a compiled function: kernels that the compiler wrote, and what it leaves to others."""

    kernels: list[str]
    others: list[str]


@contextlib.contextmanager
def h100() -> Iterator[None]:
    """The compiler is told of a GPU."""
    properties = SimpleNamespace(
        name="NVIDIA H100",
        major=9,
        minor=0,
        multi_processor_count=132,
        regs_per_multiprocessor=65536,
        max_threads_per_multi_processor=2048,
        warp_size=32,
        total_memory=80 << 30,
        L2_cache_size=50 << 20,
        shared_memory_per_block=48 << 10,
        shared_memory_per_block_optin=227 << 10,
        shared_memory_per_multiprocessor=228 << 10,
    )
    active = triton.runtime.driver._active  # None where no one has asked
    with contextlib.ExitStack() as stack:
        for name, answer in {
            "get_device_properties": properties,
            "get_device_capability": (9, 0),
            "current_device": 0,
            "device_count": 1,
            "is_available": True,
            "_lazy_init": None,
        }.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, return_value=answer))
        stack.enter_context(mock.patch.object(DeviceProperties, "create", return_value=H100))
        triton.runtime.driver.set_active(Driver())
        try:
            yield
        finally:
            triton.runtime.driver._active = active


def compiled(function: Callable[..., object], *shapes: tuple[tuple[int, ...], torch.dtype]) -> Program:
    """The program for a function of tensors of these shapes, maps (B, C, H, W) in channels-last memory."""
    mode = FakeTensorMode()
    with h100(), mode, torch.no_grad():
        given: list[Tensor] = []
        for shape, dtype in shapes:
            layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
            given.append(torch.empty(shape, dtype=dtype, device="cuda", memory_format=layout))
        graph = make_fx(function, decomposition_table=select_decomp_table())(*given)
        view_to_reshape(graph)
        lowering = GraphLowering(graph, example_inputs=given)
        with V.set_graph_handler(lowering), V.set_fake_mode(mode), DebugContext():
            lowering.run(*given)
            written = lowering.codegen()[0]
    text = getattr(written, "value", written)
    body = text[text.index("def call") :]
    return Program(
        re.findall(r"(triton_\w+?)\.run", body),
        re.findall(r"(?:extern_kernels\.|torch\.ops\.)([\w.]+?)(?:\.default)?\(", body),
    )
