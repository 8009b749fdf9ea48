"""The kernels compiled ahead of time for GPUs that are not there, with the resources that they take.

What to compile is recorded from the functions that launch the kernels, called on tensors without storage.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}
OPTIONS = ("num_warps", "num_stages")


@dataclass(frozen=True)
class Multiprocessor:
    """What programs share, by NVIDIA's tables of compute capabilities: warps, programs, bytes of shared memory."""

    warps: int
    programs: int
    shared: int
    registers: int = 65536


MULTIPROCESSORS = {
    80: Multiprocessor(64, 32, 164 << 10),
    86: Multiprocessor(48, 16, 100 << 10),
    89: Multiprocessor(48, 24, 100 << 10),
    90: Multiprocessor(64, 32, 228 << 10),
    100: Multiprocessor(64, 32, 228 << 10),
}


@dataclass(frozen=True)
class Launch:
    """A call of a kernel: its arguments by name, and options."""

    kernel: Any
    arguments: dict[str, Any]
    options: dict[str, int]


@dataclass(frozen=True)
class Resources:
    """Of a compiled kernel: registers and stack bytes of a thread, shared bytes of a program, its warps."""

    registers: int
    stack: int
    shared: int
    warps: int

    def occupancy(self, gpu: Multiprocessor) -> float:
        """Share of the warps that a multiprocessor could hold which it can hold of these."""
        of_warp = -(-self.registers // 8) * 8 * 32  # given out in units of 256 registers
        by_registers = gpu.registers // of_warp // 4 * 4 // self.warps
        by_shared = gpu.shared // (-(-(self.shared + 1024) // 128) * 128)  # each program takes 1 KiB for the system
        return min(by_registers, by_shared, gpu.programs, gpu.warps // self.warps) * self.warps / gpu.warps


class Recorder:
    """Stands in for a kernel: keeps the launches."""

    def __init__(self, kernel: Any, launches: list[Launch]) -> None:
        self.kernel, self.launches = kernel, launches
        self.arg_names = kernel.arg_names

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        assert all(0 < side < 2**31 for side in grid[:1])
        assert all(0 < side < 2**16 for side in grid[1:])

        def launch(*given: Any, **named: Any) -> None:
            options = {name: named.pop(name) for name in OPTIONS if name in named}
            arguments = dict(zip(self.arg_names, given, strict=False)) | named
            self.launches.append(Launch(self.kernel, arguments, options))

        return launch


def recorded(module: ModuleType, call: Callable[[], object]) -> list[Launch]:
    """The launches of a module's kernels during a call."""
    launches: list[Launch] = []
    kernels = {name: value for name, value in vars(module).items() if isinstance(value, triton.JITFunction)}
    for name, kernel in kernels.items():
        setattr(module, name, Recorder(kernel, launches))
    try:
        call()
    finally:
        for name, kernel in kernels.items():
            setattr(module, name, kernel)
    return launches


def resources(launch: Launch, capability: int) -> Resources:
    """Compile the kernel of a launch as the launch would for a GPU of this compute capability (90 is 9.0)."""
    signature, constants, attributes = {}, {}, {}
    for place, parameter in enumerate(launch.kernel.params):
        value = launch.arguments[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name] = "constexpr"
            constants[(place,)] = value
        elif isinstance(value, Tensor):
            signature[parameter.name] = POINTERS[value.dtype]
            attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[parameter.name] = "i32"
            if value % 16 == 0 and not parameter.do_not_specialize:
                attributes[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(launch.kernel, signature, constants, attributes)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=launch.options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        listed = subprocess.run(
            [CUOBJDUMP, "-res-usage", file.name], check=True, capture_output=True, text=True, timeout=60
        ).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", listed)
    assert found, listed
    return Resources(int(found[1]), int(found[2]), compiled.metadata.shared, compiled.metadata.num_warps)
