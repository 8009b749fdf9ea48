"""Measuring a restorer's forward pass: latency and peak memory, on a CPU or a GPU.

Run as a program (``python -m restorebench.benchmarks.profiling.latency``) it measures the memory of its own fresh
process.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models import Restorer, create_model, get_card
from ..inference.numerics import Numerics
from ..inference.runner import Runner

LEAST_REPEATS = 5
"""Timed passes that are made however long they take; quartiles of fewer say nothing."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is measured: a restorer on a batch of images of one size under given numerics.

    Attributes:
        model, variant, weights, weights_key, overrides: as `create_model` takes them.
        size: (height, width) in pixels.
        batch: images at once.
        numerics: device, dtype and the options that trade digits for speed.
    """

    model: str
    variant: str
    weights: str
    overrides: dict[str, Any]
    size: tuple[int, int]
    batch: int
    numerics: Numerics
    weights_key: str | None = None

    def restorer(self) -> Restorer:
        """The restorer on the CPU."""
        chosen = {**self.overrides, "weights": self.weights, "weights_key": self.weights_key}
        return create_model(self.model, variant=self.variant, **chosen)

    def images(self) -> Tensor:
        """A seeded batch (B, 3, H, W) in [0, 1] on the device, in the memory format asked for."""
        generator = torch.Generator().manual_seed(0)
        images = torch.rand((self.batch, 3, *self.size), generator=generator).to(self.numerics.device)
        return images.contiguous(memory_format=torch.channels_last) if self.numerics.channels_last else images


@dataclass(frozen=True)
class Latency:
    """Seconds of every timed pass, and what measured them."""

    seconds: tuple[float, ...]
    clock: str

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """First quartile, median, third quartile, in seconds."""
        if len(self.seconds) == 1:
            return self.seconds * 3
        first, median, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, median, third


@dataclass(frozen=True)
class Memory:
    """Peak memory in bytes (None where it was not measured), and what the number is."""

    peak: int | None
    meaning: str


def measure_latency(workload: Workload, restorer: Restorer, *, warmup: int, repeats: int, seconds: float) -> Latency:
    """Time single forward passes.

    Args:
        workload: what is run.
        restorer: its restorer, which is moved to the device.
        warmup: passes before, not timed (compilation happens in them).
        repeats: timed passes.
        seconds: after this long no further pass is started, once `LEAST_REPEATS` are done.
    """
    runner, images = Runner(restorer, workload.numerics), workload.images()
    timed, clock = _timer(torch.device(workload.numerics.device))
    times: list[float] = []
    with workload.numerics.applied():
        for _ in range(warmup):
            timed(lambda: runner.forward(images))
        started = time.perf_counter()
        while len(times) < repeats:
            if len(times) >= LEAST_REPEATS and time.perf_counter() - started > seconds:
                break
            times.append(timed(lambda: runner.forward(images)))
    return Latency(tuple(times), clock)


def _timer(device: torch.device) -> tuple[Callable[[Callable[[], object]], float], str]:
    """A function that runs another and gives the seconds it took on the device, and the name of its clock."""
    if device.type == "cuda":
        return lambda run: _cuda_seconds(run, device), "CUDA events"
    wait = torch.mps.synchronize if device.type == "mps" else None

    def seconds(run: Callable[[], object]) -> float:
        started = time.perf_counter()
        run()
        if wait is not None:
            wait()
        return time.perf_counter() - started

    return seconds, "wall clock"


def _cuda_seconds(run: Callable[[], object], device: torch.device) -> float:
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1000


def measure_memory(workload: Workload, restorer: Restorer) -> Memory:
    """Peak memory of one forward pass, the weights included.

    On a GPU: the most that torch had allocated. On a CPU: how far the peak resident set of a fresh process lies above
    what it held before the network was built. The two are not comparable.
    """
    kind = torch.device(workload.numerics.device).type
    if kind == "cuda":
        return _cuda_memory(workload, restorer)
    if kind == "cpu":
        return _memory_of_a_process(workload)
    return Memory(None, f"not measured on {kind}")


def _cuda_memory(workload: Workload, restorer: Restorer) -> Memory:
    device = workload.numerics.device
    runner, images = Runner(restorer, workload.numerics), workload.images()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    with workload.numerics.applied():
        runner.forward(images)
    torch.cuda.synchronize(device)
    return Memory(torch.cuda.max_memory_allocated(device), "largest allocation of torch on the GPU, with weights")


def _memory_of_a_process(workload: Workload) -> Memory:
    command = [sys.executable, "-m", __name__, json.dumps(asdict(workload)), str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Memory(None, f"not measured: {lines[-1]}")
    return Memory(int(done.stdout.split()[-1]), "growth of the peak resident set of a fresh process, with weights")


def main(arguments: list[str]) -> None:
    """The fresh process: build, restore one batch, print by how many bytes the peak resident set has grown."""
    fields: dict[str, Any] = json.loads(arguments[0])
    fields |= {"size": tuple(fields["size"]), "numerics": Numerics(**fields["numerics"])}
    workload = Workload(**fields)
    torch.set_num_threads(int(arguments[1]))
    # What loads once, whatever the network: the modules of all restorers, and parts of torch at the first convolution.
    get_card(workload.model)
    torch.nn.functional.conv2d(torch.rand(1, 3, 16, 16), torch.rand(3, 3, 3, 3))
    with contextlib.suppress(OSError):  # where it is not allowed, what imports took at their peak counts as held before
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before = _peak_resident()
    runner, images = Runner(workload.restorer(), workload.numerics), workload.images()
    with workload.numerics.applied():
        runner.forward(images)
    sys.stdout.write(f"{_peak_resident() - before}\n")


def _peak_resident() -> int:
    """Largest resident set of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its maximum is inherited from the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1:])
