"""Trainings of a small network in a second: how they are configured, run (here or in another process), and read."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from restorebench.benchmarks.commands import main as cli
from restorebench.benchmarks.commands.train import COMMAND
from restorebench.benchmarks.training.config import TrainConfig
from restorebench.benchmarks.training.devices import make_fabric
from restorebench.benchmarks.training.trainer import Trainer

from .. import small_network

SCRIPT = Path(small_network.__file__)

QUICK = [
    "model=small",
    "+overrides.width=12",  # with noise inside
    "recipe=embedded",
    "budget.images=48",
    "patches=[{size: 16, batch: 2, until: 0.5}, {size: 32, batch: 4, until: 1.0}]",
    "mix.leaves.count=4",
    "mix.leaves.size=64",
    "validation.tasks=denoise",
    "validation.size=32",
    "validation.times=2",
    "log_every=2",
    "checkpoint_minutes=0",  # after every step
    "device=cpu",
    "threads=1",
    "progress=false",
]


def configured(run: Path, cache: Path, *overrides: str) -> TrainConfig:
    lines = [*QUICK, f"run={run}", f"data.cache={cache}", *overrides]
    return COMMAND.compose(lines).configs[0]


def train(run: Path, cache: Path, *overrides: str) -> Trainer:
    config = configured(run, cache, *overrides)
    trainer = Trainer(config, make_fabric(config))
    trainer.run()
    return trainer


def table(path: Path) -> list[dict[str, str]]:
    """A table without its clock times."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def started(run: Path, cache: Path) -> multiprocessing.process.BaseProcess:
    """The same training by `bench train` in a process of its own, which has nothing of this one but the files.

    It is the fork of a server that has imported the trainer and done nothing: no second spent on imports for each.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["restorebench.benchmarks.training.trainer", "matplotlib.backends.backend_agg"])
    process = context.Process(target=_bench_train, args=([*QUICK, f"run={run}", f"data.cache={cache}"],))
    process.start()
    return process


def _bench_train(lines: list[str]) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stderr.fileno())
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it: a file that is too large would raise
    small_network.enter()
    sys.exit(cli.main(["train", *lines]))
