"""What a network takes on the machine that runs it: time of its passes and memory of one.

Side products of a run, for figures and for choosing; `profiling` measures with more care, in a process of its own.
"""

from __future__ import annotations

import statistics
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .machine import Business, doubts

MIB = 2**20


@dataclass(frozen=True)
class Pass:
    """A pass of a network: `images` of `size` (height, width) in `seconds`."""

    size: tuple[int, int]
    images: int
    seconds: float


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operators make, while they live; `peak` is their largest sum.

    Memory that a kernel takes and gives back inside (packed weights, scratch) is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def hold(self, tensor: Tensor) -> None:
        """Count a tensor's storage until it is freed."""
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._release, storage.nbytes())

    def _release(self, size: int) -> None:
        self.live -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.hold(leaf)
        return result


def peak_memory(network: nn.Module, image: Tensor) -> tuple[float, str]:
    """Most memory of one pass over `image` (1, 3, H, W) on its device, weights included, in MiB, and how it was found.

    To be called under the numerics of the run.
    """
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
        torch.cuda.reset_peak_memory_stats(image.device)
        network(image)
        return torch.cuda.max_memory_allocated(image.device) / MIB, "torch.cuda.max_memory_allocated"
    weights = sum(t.untyped_storage().nbytes() for t in (*network.parameters(), *network.buffers()))
    with LiveTensors() as tensors:
        network(image)
    return (tensors.peak + weights) / MIB, "live tensors of one pass, and weights"


@dataclass(frozen=True, kw_only=True)
class PassCost:
    """What one image takes.

    Attributes:
        latency_ms: median over the passes, their time shared out to the images of a batch.
        passes: number of those.
        size: (height, width) of the images.
        batch: images at once.
        threads: threads that torch used.
        peak_mib: most memory of one pass, weights included; None where it was not measured.
        peak_how: what measured that; "" where it was not.
        latency_q1_ms, latency_q3_ms: quartiles of those passes.
        load: load average of one minute when they were done; None where the system does not say.
        doubtful: why the latency is not to be trusted, in words; "" where nothing speaks against it.
    """

    latency_ms: float
    passes: int
    size: tuple[int, int]
    batch: int
    threads: int
    peak_mib: float | None = None
    peak_how: str = ""
    latency_q1_ms: float | None = None
    latency_q3_ms: float | None = None
    load: float | None = None
    doubtful: str = ""


def cost_of(
    passes: Sequence[Pass], peak: tuple[float, str] | None, business: Business | None = None
) -> PassCost | None:
    """What the passes of a cell took: those over images of the commonest size; None where there is no pass.

    Args:
        passes: of the cell.
        peak: memory of one, and how it was found.
        business: of the machine meanwhile.
    """
    if not passes:
        return None
    size, batch = Counter((one.size, one.images) for one in passes).most_common(1)[0][0]
    seconds = [one.seconds / one.images for one in passes if (one.size, one.images) == (size, batch)]
    first, median, third = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return PassCost(
        latency_ms=median * 1000,
        latency_q1_ms=first * 1000,
        latency_q3_ms=third * 1000,
        load=None if business is None else business.load,
        doubtful="" if business is None else doubts([seconds], business),
        passes=len(seconds),
        size=size,
        batch=batch,
        threads=torch.get_num_threads(),
        peak_mib=None if peak is None else peak[0],
        peak_how="" if peak is None else peak[1],
    )
