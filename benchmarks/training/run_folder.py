"""A run's folder: configuration, tables, checkpoint and weights, so written that a kill at any moment leaves no half.

==========================  ================================================================================
``config.yaml``             the whole resolved configuration
``losses.csv``              a line for every `log_every` steps: means since the line before
``validation.csv``          mean scores by task at every validation
``checkpoint.pt``           everything that training needs to go on (read by torch's safe loader)
``weights.safetensors``     the weights (their moving average) as of the last validation, with the facts of training
``training.json``           those facts, with throughput and environment
``training.png``            losses and scores over the samples seen
==========================  ================================================================================
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from ...messages import one_line
from ..errors import UserError
from ..store.folders import write_atomically
from .config import TrainConfig, identity

CONFIG = "config.yaml"
LOSSES = "losses.csv"
VALIDATION = "validation.csv"
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
FACTS = "training.json"
PLOT = "training.png"
LOCK = "lock"

VALIDATION_COLUMNS = ("step", "images", "seconds", "task", "psnr", "ssim", "input_psnr", "count")


class Table:
    """A CSV file to which lines are appended; its first column is the step.

    Args:
        path: the file.
        columns: names of the columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, tuple(columns)

    def begin(self, last_step: int) -> None:
        """Keep the lines up to that step, drop what a killed process wrote after its last checkpoint."""
        kept: list[str] = []
        if self.path.exists() and last_step:
            for line in self.path.read_text(encoding="utf-8").splitlines()[1:]:
                step = line.partition(",")[0]
                if step.isdigit() and int(step) <= last_step and line.count(",") == len(self.columns) - 1:
                    kept.append(line)
        write_atomically(self.path, "".join(f"{line}\n" for line in (",".join(self.columns), *kept)))

    def append(self, row: Mapping[str, object]) -> None:
        """Add a line; it is with the operating system when this returns. None leaves a cell empty."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([_cell(row.get(column)) for column in self.columns])
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())

    def rows(self) -> list[dict[str, str]]:
        """All lines by column."""
        with self.path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class RunFolder:
    """The files of one training run."""

    def __init__(self, path: Path, loss_columns: Sequence[str]) -> None:
        self.path = path
        self.losses = Table(path / LOSSES, loss_columns)
        self.validation = Table(path / VALIDATION, VALIDATION_COLUMNS)
        self.weights = path / WEIGHTS

    @contextlib.contextmanager
    def claimed(self, config: TrainConfig) -> Iterator[None]:
        """Hold the folder while training in it, with its configuration written.

        Raises:
            UserError: another process trains in it, it holds a different run, or it cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK, timeout=0)
            lock.acquire()
        except Timeout as error:
            raise UserError(f"{self.path}: another process is training there; wait, or give run=DIR") from error
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror or error}; give a writable folder with run=DIR") from error
        try:
            self._check_config(config)
            yield
        finally:
            lock.release()

    def _check_config(self, config: TrainConfig) -> None:
        """Write the configuration, or compare it with the one of the run that is continued."""
        path = self.path / CONFIG
        if path.exists():
            stored = OmegaConf.to_container(OmegaConf.load(path))
            assert isinstance(stored, dict)
            new = identity(config)
            changed = [key for key in new if stored.get(key) != new[key]]
            if changed:
                raise UserError(
                    f"{self.path} holds a run with another {', '.join(changed)}: give run=DIR for a new one, or the "
                    f"same settings ({path}) to continue it"
                )
        write_atomically(path, OmegaConf.to_yaml(OmegaConf.create(asdict(config))))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write the checkpoint: whole on the disk before it takes the place of the one before."""
        path = self.path / CHECKPOINT
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                torch.save(dict(state), file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def checkpoint(self) -> dict[str, Any] | None:
        """The stored checkpoint on the CPU, None if there is none.

        Raises:
            UserError: it cannot be read.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged files raise almost anything
            raise UserError(
                f"{path} cannot be read ({one_line(error)}): remove it to train from the beginning"
            ) from error
        assert isinstance(state, dict)
        return state

    def clear_temporaries(self) -> None:
        """Remove what killed processes left of files that they were writing."""
        for left in self.path.glob(".*.*"):
            if left.is_file():
                left.unlink(missing_ok=True)

    def save_facts(self, facts: Mapping[str, Any]) -> None:
        """Write ``training.json``."""
        write_atomically(self.path / FACTS, json.dumps(facts, indent=1, sort_keys=True) + "\n")
