"""What a profile measures on a GPU alone: replayed graphs, the largest batch, energy, and the roofline point."""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ...models import Restorer
from ..inference.graphs import recorded
from ..inference.out_of_memory import is_out_of_memory
from ..inference.runner import Runner
from .latency import Latency, Stopwatch, Workload

MOST_IMAGES = 1024
"""The largest batch that is tried."""
LEAST_SECONDS = 1.0
"""How long a device works while its energy is measured: its meter is read out some ten times a second."""
VIEWS = ("view", "as_strided", "alias", "detach", "permute", "transpose", "t", "expand", "unsqueeze", "squeeze")
"""Operators that move nothing, besides those whose result lies in the memory of an argument."""


class Traffic(TorchDispatchMode):
    """Counts the bytes that operators read and write, each by itself: what passes through memory where none is fused.

    Attributes:
        bytes: of the tensors that went into operators and came out of them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        read = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, Tensor)]
        written = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        places = {each.untyped_storage()._cdata for each in read}
        moved = any(each.untyped_storage()._cdata not in places for each in written) or func._schema.is_mutable
        if moved and func.overloadpacket.__name__ not in VIEWS:
            self.bytes += sum(each.numel() * each.element_size() for each in (*read, *written))
        return result


def largest_batch(seconds: Callable[[int], float | None], first: int) -> tuple[int, float] | None:
    """The largest batch that fits, of those made by doubling, and its seconds.

    Args:
        seconds: of a pass over so many images; None where memory does not suffice.
        first: a batch to begin with.

    Returns:
        None where not even the first fits.
    """
    best: tuple[int, float] | None = None
    batch = first
    while batch <= MOST_IMAGES and (taken := seconds(batch)) is not None:
        best, batch = (batch, taken), 2 * batch
    return best


class EnergyMeter:
    """Energy that a GPU has taken since its driver was loaded, by NVML; it has none on GPUs before Volta.

    Args:
        uuid: of the GPU, as torch gives it.
        library: NVML; None: the driver's.
    """

    def __init__(self, uuid: str, library: Any = None) -> None:
        self._handle: ctypes.c_void_p | None = None
        try:
            self._nvml = library or ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:  # no driver
            return
        handle = ctypes.c_void_p()
        name = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
        if not self._nvml.nvmlInit_v2() and not self._nvml.nvmlDeviceGetHandleByUUID(
            name.encode(), ctypes.byref(handle)
        ):
            self._handle = handle

    def joules(self) -> float | None:
        """The reading; None where there is no meter."""
        if self._handle is None:
            return None
        millijoules = ctypes.c_ulonglong()
        if self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle, ctypes.byref(millijoules)):
            return None
        return millijoules.value / 1000


@dataclass(frozen=True, kw_only=True)
class GpuCost:
    """What was measured on a GPU besides a profile's latency; None where it was not.

    Attributes:
        graph_seconds: median of a pass replayed as a CUDA graph.
        largest: the largest batch that fits (made by doubling the workload's), and seconds of a pass over it.
        joules: energy of an image.
        traffic: bytes that operators read and write in a pass.
    """

    graph_seconds: float | None = None
    largest: tuple[int, float] | None = None
    joules: float | None = None
    traffic: int | None = None

    def columns(self, latency: Latency, batch: int, macs: int | None) -> dict[str, str]:
        """The columns of a row of ``profile.csv``, empty where nothing was measured.

        Args:
            latency: of a pass over the batch.
            batch: images at once.
            macs: multiply-adds of one image.
        """
        texts: dict[str, str] = {}
        if self.graph_seconds is not None:
            texts["graph_latency_ms"] = f"{1000 * self.graph_seconds:.3f}"
        if self.largest is not None:
            images, seconds = self.largest
            texts |= {"largest_batch": str(images), "largest_batch_images_per_second": f"{images / seconds:.3f}"}
        if self.joules is not None:
            texts["energy_j"] = f"{self.joules:.4f}"
        if macs is not None and self.traffic and latency.seconds:
            operations = 2 * macs * batch
            texts["tflops"] = f"{operations / latency.quartiles[1] / 1e12:.3f}"
            texts["flops_per_byte"] = f"{operations / self.traffic:.2f}"
        return texts


def measure_gpu(workload: Workload, restorer: Restorer, stopwatch: Stopwatch) -> GpuCost:
    """Measure what a GPU alone has.

    Args:
        workload: what is run.
        restorer: its restorer, on the device.
        stopwatch: that times single passes.
    """
    runner, images = Runner(restorer, workload.numerics), workload.images()
    with workload.numerics.applied():
        traffic = Traffic()
        with traffic:
            runner.restorer(images)
        return GpuCost(
            traffic=traffic.bytes,
            joules=_energy(runner, images),
            graph_seconds=_replayed(runner, images, stopwatch),
            largest=largest_batch(lambda batch: _seconds(runner, workload, batch, stopwatch), workload.batch),
        )


def _replayed(runner: Runner, images: Tensor, stopwatch: Stopwatch) -> float | None:
    try:
        replay = recorded(runner.forward, images)
    except Exception:  # what the network does cannot be recorded, or memory does not suffice: no column then
        torch.cuda.empty_cache()
        return None
    return statistics.median(stopwatch.timed(lambda: replay(images)) for _ in range(sum(stopwatch.quotas)))


def _seconds(runner: Runner, workload: Workload, batch: int, stopwatch: Stopwatch) -> float | None:
    """Median seconds of three passes over a batch; None where memory does not suffice."""
    try:
        images = replace(workload, batch=batch).images()
        runner.forward(images)
        return statistics.median(stopwatch.timed(lambda: runner.forward(images)) for _ in range(3))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    return None


def _energy(runner: Runner, images: Tensor) -> float | None:
    """Joules of an image, over passes that take `LEAST_SECONDS` at the least."""
    meter = EnergyMeter(str(torch.cuda.get_device_properties(images.device).uuid))
    if meter.joules() is None:
        return None
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(images.device)
    before, passes, seconds = meter.joules(), 0, 0.0
    start.record()
    while seconds < LEAST_SECONDS:
        for _ in range(5):
            runner.forward(images)
        passes += 5
        end.record()
        end.synchronize()
        seconds = float(start.elapsed_time(end)) / 1000
    after = meter.joules()
    return None if before is None or after is None else (after - before) / (passes * images.shape[0])
