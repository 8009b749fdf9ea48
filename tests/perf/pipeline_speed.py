"""What a run costs beside its network: `python tests/perf/pipeline_speed.py [--images N] [--network NAME]`.

1. With `identity` as the model, CBSD68 at three sigmas, against decoding and degrading alone: at most 1.5x.
2. With a network, the whole run against its forward passes alone: at most 1.1x.

Both sides alternate in one process; the ratio of the medians of wall time is printed and judged (exit code 1). The
processor time beside it tells a busy machine from a slow pipeline: divided by the cores, it bounds the wall time of an
idle machine from below.
The images are RESTOREBENCH_TEST_DATA/cbsd68, or those of ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from restorebench.benchmarks.evaluation.pipeline import Scorer, compute_rows, loaded
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.benchmarks.protocols.pairs import Pair
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.datasets import folder_suite
from restorebench.datasets.samples import TaskData
from restorebench.models import create_model

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LIMITS = {"identity": 1.5, "network": 1.1}


class Seconds(NamedTuple):
    """Wall time, and processor time of all threads."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s (processor {self.processor:.2f} s)"


def seconds(action: Callable[[], object]) -> Seconds:
    """Time of an action."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


def alternating(rounds: int, *actions: Callable[[], object]) -> list[Seconds]:
    """Median times of each action, measured by turns after one turn that is not counted."""
    times: list[list[Seconds]] = [[] for _ in actions]
    for turn in range(rounds + 1):
        for action, measured in zip(actions, times, strict=True):
            elapsed = seconds(action)
            if turn:
                measured.append(elapsed)
    return [Seconds(*map(statistics.median, zip(*measured, strict=True))) for measured in times]


def whole_run(data: tuple[TaskData, ...], runner: Runner, images: int) -> None:
    """Rows of every task, stored as in a run."""
    with tempfile.TemporaryDirectory() as folder:
        for task in data:
            cell = CellFolder(Path(folder) / task.task.key)
            cell.path.mkdir()
            cell.begin([])
            compute_rows(cell, task, task.names[:images], runner, Scorer(PROTOCOL), progress=False)
            assert all(row.status == "ok" for row in cell.rows())


def decode_and_degrade(data: tuple[TaskData, ...], images: int) -> None:
    """What the network would be fed, one image after another."""
    for task in data:
        for index in range(min(images, len(task))):
            PROTOCOL.prepare(task[index])


def forward_alone(pairs: list[Pair], runner: Runner) -> None:
    """The network's forward passes."""
    for pair in pairs:
        runner.restore(pair.degraded[None])


PROTOCOL = get_protocol("promptir@1")


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=68, help="of CBSD68, for the identity (default: all 68)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", default="rbair", help="whose tiny variant, untrained, is the network")
    parser.add_argument("--network-images", type=int, default=6)
    options = parser.parse_args()
    root = Path(os.environ.get("RESTOREBENCH_TEST_DATA", SHARED))
    if not (root / "cbsd68").is_dir():
        sys.stdout.write(f"skipped: no {root / 'cbsd68'}\n")
        return 0
    data = folder_suite(None, root / "cbsd68", "denoise").data
    identity = Runner(create_model("identity"), Numerics())
    alone, threads, run = alternating(
        options.rounds,
        lambda: decode_and_degrade(data, options.images),
        lambda: [list(loaded(task, range(options.images), PROTOCOL)) for task in data],
        lambda: whole_run(data, identity, options.images),
    )
    ratios = {"identity": run.wall / alone.wall}
    sys.stdout.write(
        f"identity, {len(data) * options.images} images: run {run}, decoding and degrading alone {alone}, by the "
        f"loader's threads {threads}; ratio {ratios['identity']:.2f} (limit {LIMITS['identity']})\n"
    )
    network = Runner(create_model(options.network, variant="tiny", weights="none"), Numerics())
    pairs = [PROTOCOL.prepare(data[1][index]) for index in range(options.network_images)]
    forward, run = alternating(
        options.rounds,
        lambda: forward_alone(pairs, network),
        lambda: whole_run((data[1],), network, options.network_images),
    )
    ratios["network"] = run.wall / forward.wall
    sys.stdout.write(
        f"{options.network} tiny, {len(pairs)} images: run {run}, forward passes alone {forward}; ratio "
        f"{ratios['network']:.2f} (limit {LIMITS['network']}); {torch.get_num_threads()} threads\n"
    )
    return 0 if all(ratios[name] <= limit for name, limit in LIMITS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
