"""What sweeps were to do, ``results/plans/<id>.json``: written when one starts, so that what is missing can be told.

The same command line on the same cells has the same file; started again, it says so there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...atomic import write_text
from ..errors import UserError
from .files import is_there, listed, read_regular
from .parts import ID_LENGTH, decoded, plain
from .records import CHECKSUM, canonical
from .rows import RecordError

PLANS = "plans"
PLAN_VERSION = 1
LARGEST_PLAN = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell that a job is to compute.

    Attributes:
        suite, model, cell: its folder.
        task: key of its task.
        previews: see `records.previews_key`.
        asked, images: how many images were asked for (``limit=``), and how many the data set has.
    """

    suite: str
    model: str
    cell: str
    task: str
    previews: str
    asked: int
    images: int

    @property
    def place(self) -> tuple[str, str, str]:
        """Names of its folder and of those around it."""
        return self.suite, self.model, self.cell


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job: a restorer on the tasks of a suite.

    Attributes:
        restorer: title and variant, as tables have them.
        protocol: name with version.
        config: what was asked for, as in a record.
        cells: in the order of the suite's tasks.
        failure: why it did not come to an end when it was run last; empty where it did, or has not yet.
    """

    restorer: str
    protocol: str
    config: dict[str, Any]
    cells: tuple[PlannedCell, ...]
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A command line and the jobs that it asks for.

    Attributes:
        version: of this layout.
        command: as it was typed.
        folder, host, pid: where it was started last, and by which process.
        started, ended: when, ISO 8601 in UTC; `ended` is empty until it has come to its end.
        jobs: in order.
        whole: whether these are all; the largest sweeps are not composed to their end beforehand.
    """

    version: int = PLAN_VERSION
    command: str
    jobs: tuple[PlannedJob, ...]
    folder: str = field(default_factory=os.getcwd)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: _now())
    ended: str = ""
    whole: bool = True

    @property
    def id(self) -> str:
        """The beginning of the SHA-256 of what is asked for."""
        asked = [self.command, [[list(cell.place) for cell in job.cells] for job in self.jobs]]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:ID_LENGTH]

    @property
    def cells(self) -> Iterator[tuple[PlannedJob, PlannedCell]]:
        """Every cell with its job."""
        return ((job, cell) for job in self.jobs for cell in job.cells)

    def write(self, results: Path) -> Path:
        """Write the plan into a results folder; its file.

        Raises:
            UserError: something else is in the way of its folder.
        """
        folder = results / PLANS
        if is_there(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise UserError(f"{folder} is no folder: the plans of sweeps are kept there; move it away")
        folder.mkdir(parents=True, exist_ok=True)
        values = plain_plan(self)
        values[CHECKSUM] = hashlib.sha256(canonical(values)).hexdigest()
        return write_text(folder / f"{self.id}.json", json.dumps(values, indent=1, sort_keys=True) + "\n")

    def finished(self, failures: dict[int, str]) -> SweepPlan:
        """The plan once it has come to its end; `failures` says why jobs, by their place, did not."""
        jobs = tuple(replace(job, failure=failures.get(place, "")) for place, job in enumerate(self.jobs))
        return replace(self, jobs=jobs, ended=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def plain_plan(plan: SweepPlan) -> dict[str, Any]:
    """A plan as data for JSON."""
    jobs = [{**plain(job), "cells": [plain(cell) for cell in job.cells]} for job in plan.jobs]
    return dict(json.loads(json.dumps({**plain(replace(plan, jobs=())), "jobs": jobs}, default=str)))


def read_plan(path: Path) -> SweepPlan:
    """Read a plan.

    Raises:
        RecordError: it is none of this version, or is not what its checksum says; the message names the file.
        FileNotFoundError: there is none.
    """
    try:
        values = json.loads(read_regular(path, LARGEST_PLAN).decode("utf-8"))
        version = values.get("version") if isinstance(values, dict) else None
        if version != PLAN_VERSION and type(version) is int:  # whose fields and checksum may be others
            raise RecordError(f"plan of version {repr(version)[:20]}, this restorebench reads {PLAN_VERSION}")
        stated = values.pop(CHECKSUM, None) if isinstance(values, dict) else None
        if stated != hashlib.sha256(canonical(values)).hexdigest():
            raise RecordError("its checksum is that of other values: it was changed or damaged")
        plan: SweepPlan = decoded(SweepPlan, values, "")
        for name in (plan.started, *filter(None, [plan.ended])):
            datetime.fromisoformat(name)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: {error}") from error
    return plan


def read_plans(results: Path) -> tuple[list[SweepPlan], list[str]]:
    """The plans of a results folder, the one started last at the end, and a line for each that cannot be read."""
    plans: list[SweepPlan] = []
    problems: list[str] = []
    folder = results / PLANS
    paths = [] if folder.is_symlink() else [path for path in listed(folder) if re.fullmatch(r"[^.].*\.json", path.name)]
    for path in paths:
        try:
            plans.append(read_plan(path))
        except FileNotFoundError:
            continue
        except RecordError as error:
            problems.append(str(error))
    return sorted(plans, key=lambda plan: (plan.started, plan.id)), problems
