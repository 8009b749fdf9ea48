"""A network recorded as a CUDA graph for each shape of image, and replayed: one launch instead of thousands.

At batch 1 a GPU runs a network's kernels faster than a host starts them. A graph is bound to the addresses of what it
was recorded with: the batch is copied into a buffer of its own, and the output lies in another that the next replay
overwrites.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from ...messages import one_line

logger = logging.getLogger("restorebench")

MOST_GRAPHS = 8
"""Graphs that are kept, each with the memory of its pass; the one that was not used for longest goes first."""
WARM_UP = 2
"""Passes before recording: libraries choose their algorithms in them, which cannot be recorded."""

Forward = Callable[[Tensor], Tensor]
Key = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]


class GraphCache:
    """A network whose passes over batches of a known shape are replayed.

    A shape is recorded when it comes for the second time: one that comes once would cost more than it gives. What
    cannot be recorded (no memory for it, a network that reads values) runs as ever.

    Args:
        network: (B, 3, H, W) -> the same shape.
        record: makes the replay of a network for batches like the given one.
        most: graphs that are kept.
    """

    def __init__(
        self, network: Forward, record: Callable[[Forward, Tensor], Forward] | None = None, most: int = MOST_GRAPHS
    ) -> None:
        self.network, self.most = network, most
        self._record = record or recorded
        self._graphs: OrderedDict[Key, Forward] = OrderedDict()
        self._seen: Counter[Key] = Counter()
        self._refused: set[Key] = set()

    def __call__(self, batch: Tensor) -> Tensor:
        """The network's output; it may lie in memory that the next call overwrites."""
        key = (tuple(batch.shape), batch.stride(), batch.dtype)
        self._seen[key] += 1
        if key not in self._graphs and not (self._seen[key] > 1 and self._recorded(key, batch)):
            return self.network(batch)
        self._graphs.move_to_end(key)
        return self._graphs[key](batch)

    def __len__(self) -> int:
        return len(self._graphs)

    def forget(self) -> None:
        """Drop all graphs: the network's weights lie elsewhere now, or memory is short."""
        self._graphs.clear()

    def _recorded(self, key: Key, batch: Tensor) -> bool:
        """Whether there is a graph for such batches now."""
        if key in self._refused:
            return False
        while len(self._graphs) >= self.most:
            self._graphs.popitem(last=False)
        try:
            self._graphs[key] = self._record(self.network, batch)
        except (
            Exception
        ) as error:  # code of the network's author can raise anything; the pass itself says what is wrong
            self._refused.add(key)
            logger.warning("no CUDA graph for batches of %s (%s): run as ever", key[0], one_line(error))
            return False
        return True


def recorded(network: Forward, batch: Tensor) -> Forward:
    """Record a network's pass over a batch on a CUDA device, under the numerics that are in force.

    Raises:
        RuntimeError: the network does what a graph cannot hold, or memory does not suffice.
    """
    images = batch.clone()
    # Casts of weights that autocast keeps would be recorded as they are now, and freed behind the graph's back.
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        stream = torch.cuda.Stream(batch.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(batch.device))  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                network(images)
        torch.cuda.current_stream(batch.device).wait_stream(stream)  # type: ignore[no-untyped-call]
        graph = torch.cuda.CUDAGraph()
        # Other threads load and score meanwhile, and may use the device.
        with torch.cuda.device(batch.device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            restored = network(images)
    finally:
        torch.set_autocast_cache_enabled(cached)

    def replay(given: Tensor) -> Tensor:
        images.copy_(given)
        graph.replay()
        return restored

    return replay
