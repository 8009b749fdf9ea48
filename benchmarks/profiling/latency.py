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
from ..inference.machine import Business, Watch, doubts
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
    """Seconds of every timed pass, and under which circumstances they were measured.

    Attributes:
        rounds: seconds of the passes, round by round.
        clock: that measured them.
        business: what else the machine did meanwhile; None where nothing was watched.
    """

    rounds: tuple[tuple[float, ...], ...]
    clock: str
    business: Business | None = None

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of all passes, in order."""
        return tuple(each for one in self.rounds for each in one)

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """First quartile, median, third quartile, in seconds."""
        if len(self.seconds) == 1:
            return self.seconds * 3
        first, median, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, median, third

    @property
    def doubts(self) -> str:
        """Why the median is doubtful, in words; "" if nothing speaks against it."""
        return doubts(self.rounds, self.business or Business())


@dataclass(frozen=True)
class Memory:
    """Peak memory in bytes (None where it was not measured), and what the number is."""

    peak: int | None
    meaning: str


class Stopwatch:
    """Times single forward passes of a workload, in rounds between which others may be timed.

    Args:
        workload: what is run.
        restorer: its restorer, which is moved to the device.
        warmup: passes before the first round, not timed (compilation happens in them); later rounds have one.
        repeats: timed passes in all.
        rounds: over which they are shared out.
        seconds: after this long in all rounds together no further pass is started, once there are `LEAST_REPEATS` (or
            `repeats`, if fewer).
    """

    def __init__(
        self, workload: Workload, restorer: Restorer, *, warmup: int, repeats: int, rounds: int, seconds: float
    ) -> None:
        self.workload, self.warmup = workload, warmup
        rounds = min(rounds, repeats)
        self.quotas = [repeats // rounds + (place < repeats % rounds) for place in range(rounds)]
        self._least = -(-LEAST_REPEATS // rounds)
        self._seconds = seconds / rounds
        self._runner, self._images = Runner(restorer, workload.numerics), workload.images()
        self._timed, self.clock = _timer(torch.device(workload.numerics.device))
        self._rounds: list[tuple[float, ...]] = []
        self._business: Business | None = None

    @property
    def done(self) -> bool:
        """Whether all rounds are."""
        return len(self._rounds) == len(self.quotas)

    def round(self) -> None:
        """The next round."""
        quota = self.quotas[len(self._rounds)]
        times: list[float] = []
        numerics = self.workload.numerics
        with numerics.applied():
            for _ in range(min(self.warmup, 1) if self._rounds else self.warmup):
                self._pass()
            started = time.perf_counter()
            watch = Watch(torch.get_num_threads() if torch.device(numerics.device).type == "cpu" else 1)
            while len(times) < quota:
                if len(times) >= self._least and time.perf_counter() - started > self._seconds:
                    break
                times.append(self._pass())
            business = watch.business()
        self._rounds.append(tuple(times))
        self._business = business if self._business is None else self._business.joined(business)

    def latency(self) -> Latency:
        """What the rounds so far have come to."""
        return Latency(tuple(self._rounds), self.clock, self._business)

    def timed(self, run: Callable[[], object]) -> float:
        """Seconds of something else on the same device, by the same clock."""
        return self._timed(run)

    def _pass(self) -> float:
        return self._timed(lambda: self._runner.forward(self._images))


def measure_latency(
    workload: Workload, restorer: Restorer, *, warmup: int, repeats: int, seconds: float, rounds: int = 1
) -> Latency:
    """Time all rounds of a workload one after the other (see `Stopwatch`)."""
    stopwatch = Stopwatch(workload, restorer, warmup=warmup, repeats=repeats, rounds=rounds, seconds=seconds)
    while not stopwatch.done:
        stopwatch.round()
    return stopwatch.latency()


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
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)  # of other networks of the command, which wait for their next round
    runner, images = Runner(restorer, workload.numerics), workload.images()
    torch.cuda.reset_peak_memory_stats(device)
    with workload.numerics.applied():
        runner.forward(images)
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - before
    return Memory(peak, "largest allocation of torch on the GPU, with weights")


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
