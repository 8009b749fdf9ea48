"""A run's folder: configuration, tables, checkpoint and weights, so written that a kill at any moment leaves no half.

==========================  ================================================================================
``config.yaml``             the whole resolved configuration
``losses.csv``              a line for every `log_every` steps: means since the line before
``validation.csv``          mean scores by task at every validation
``checkpoint.pt``           everything that training needs to go on (read by torch's safe loader)
``checkpoint.previous.pt``  the one before it, for the case that it is damaged
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
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from ...atomic import write_text, written_whole
from ...messages import one_line
from ..errors import UserError
from .checkpoints import DamagedCheckpointError, checkpoint_bytes, read_checkpoint
from .config import RENAMED_KEYS, TrainConfig, identity
from .facts import finite

logger = logging.getLogger("restorebench")

CONFIG = "config.yaml"
LOSSES = "losses.csv"
VALIDATION = "validation.csv"
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
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
        write_text(self.path, "".join(f"{line}\n" for line in (",".join(self.columns), *kept)))

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


def _stored_config(path: Path) -> dict[Any, Any]:
    """The configuration of the run in a folder.

    Raises:
        UserError: the file is damaged.
    """
    try:
        stored = OmegaConf.to_container(OmegaConf.load(path))
        if not isinstance(stored, dict) or not stored:
            raise ValueError("it holds no keys")
    except Exception as error:  # damaged YAML raises errors of three libraries
        raise UserError(
            f"{path} is damaged ({one_line(error)}): remove it to go on with the settings given now, which have to be"
            " those of the run, or give run=DIR for a new one"
        ) from error
    return stored


def folder_of(config: TrainConfig, model: str, variant: str) -> Path:
    """The run's folder: as given, or one named after what is trained."""
    if config.run:
        return Path(config.run).expanduser()
    return Path("runs") / f"{model}-{variant}-{config.mix.name}-{config.seed}"


def _copy(path: Path, other: Path) -> None:
    """Another name for a file's content, or a copy where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


class RunFolder:
    """The files of one training run."""

    def __init__(self, path: Path, loss_columns: Sequence[str], source: Mapping[str, Any] | None = None) -> None:
        """The folder, not made yet.

        Args:
            path: where it is, or will be.
            loss_columns: of ``losses.csv``.
            source: what tells a network of the user's own apart, which the run is then about too.
        """
        self.path = path
        self.own = {} if source is None else {"source": dict(source)}
        self.losses = Table(path / LOSSES, loss_columns)
        self.validation = Table(path / VALIDATION, VALIDATION_COLUMNS)
        self.weights = path / WEIGHTS
        self._damaged = False

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
            stored = _stored_config(path)
            new = {**identity(config), **self.own}
            # Only top-level keys are compared; none of the other renamed ones says what is trained.
            before = {new_name: old for old, new_name in RENAMED_KEYS.items()}
            changed = [key for key in new if stored.get(key, stored.get(before.get(key, key))) != new[key]]
            if changed:
                raise UserError(
                    f"{self.path} holds a run with another {', '.join(changed)}: give run=DIR for a new one, or the "
                    f"same settings ({path}) to continue it"
                )
        write_text(path, OmegaConf.to_yaml(OmegaConf.create({**asdict(config), **self.own})))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write the checkpoint: whole on the disk before it takes the place of the one before, which is kept too."""
        path = self.path / CHECKPOINT
        content = checkpoint_bytes(state)
        with written_whole(path) as part:
            part.write_bytes(content)
            if path.exists() and not self._damaged:
                with written_whole(self.path / PREVIOUS) as kept:
                    _copy(path, kept)
        self._damaged = False

    def checkpoint(self) -> dict[str, Any] | None:
        """The stored checkpoint on the CPU; where it is damaged the one before it, and that is said; None without one.

        Raises:
            UserError: neither can be read.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            return read_checkpoint(path)
        except DamagedCheckpointError as error:
            reason, self._damaged = str(error), True
        try:
            state = read_checkpoint(self.path / PREVIOUS)
        except DamagedCheckpointError as error:
            raise UserError(
                f"{path} cannot be read ({reason}), nor the one before it ({error}): remove it to train from the"
                " beginning"
            ) from error
        logger.warning("%s is damaged (%s): going on from the checkpoint before it, %s", path, reason, PREVIOUS)
        return state

    def clear_temporaries(self) -> None:
        """Remove what killed processes left of files that they were writing."""
        for left in self.path.glob(".*.*"):
            if left.is_file():
                left.unlink(missing_ok=True)

    def save_facts(self, facts: Mapping[str, Any]) -> None:
        """Write ``training.json``."""
        write_text(self.path / FACTS, json.dumps(finite(facts), indent=1, sort_keys=True) + "\n")
