"""``bench status``: what of a store's sweeps is done, running, failed and missing, by restorer and suite."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal

from tabulate import tabulate

from ...errors import UserError
from ...store.claims import SILENCE_SECONDS, Claim, is_alive, read_claims
from ...store.facts import CellFacts
from ...store.index import Index
from ...store.names import restorer_name, shown
from ...store.plans import PlannedCell, PlannedJob, SweepPlan, read_plans
from ..front.parsing import Parser, results_folder

State = Literal["done", "partial", "running", "failed", "missing"]
STATES: tuple[State, ...] = ("done", "partial", "running", "failed", "missing")
MOST_LINES = 20
"""Cells that the text lists of one state; JSON has all."""
DEFAULT_PAUSE = 5.0


@dataclass(frozen=True)
class Worker:
    """Who computes images of a cell.

    Attributes:
        host, pid, device: where.
        since: ISO 8601.
        done, total: images of its shard.
        images_per_second: None before its first image.
        silent_seconds: since its last heartbeat.
    """

    host: str
    pid: int
    device: str
    since: str
    done: int
    total: int
    images_per_second: float | None
    silent_seconds: float


@dataclass(frozen=True)
class CellState:
    """How far a cell is.

    Attributes:
        suite, protocol, restorer, task, cell: which.
        state: ``done``: every image has its scores; ``partial``: all that were asked for; ``running``; ``failed``: some
            of its images, or its job; ``missing``: planned, and nobody computes it.
        images, expected: with scores, and of the data set or of what was asked for; None where nobody knows.
        reason: why it failed, in words; empty where it did not.
        workers: who computes it.
        images_per_second: of all of them; None where none has finished an image.
        seconds_left: at that speed.
    """

    suite: str
    protocol: str
    restorer: str
    task: str
    cell: str
    state: State
    images: int
    expected: int | None
    reason: str = ""
    workers: tuple[Worker, ...] = ()
    images_per_second: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True)
class StoreState:
    """How far a store is.

    Attributes:
        results: the folder.
        time: when it was looked at, ISO 8601.
        command, started, ended: of the sweep that was started last; empty where none is known.
        cells: every cell, by suite, protocol, restorer and task.
        problems: a line for each file that could not be read.
    """

    results: str
    time: str
    command: str
    started: str
    ended: str
    cells: tuple[CellState, ...]
    problems: tuple[str, ...] = field(default=())

    def counts(self) -> dict[tuple[str, str, str], Counter[State]]:
        """Cells by state for each suite, protocol and restorer."""
        counted: dict[tuple[str, str, str], Counter[State]] = {}
        for cell in self.cells:
            counted.setdefault((cell.suite, cell.protocol, cell.restorer), Counter())[cell.state] += 1
        return counted


def main(arguments: Sequence[str]) -> int:
    """``bench status [--results DIR] [--watch [SECONDS]] [--json]``.

    Returns:
        0.

    Raises:
        UserError: there is no such folder.
    """
    options = parser().parse_args(arguments)
    results = results_folder(options.results)
    if options.watch is not None and not options.watch > 0:
        raise UserError(f"--watch {options.watch:g}: give a number of seconds above 0")
    from ....reports.analysis.vetting import oddity
    from ....reports.tables.leaderboard import made_by

    index = Index(results, code=made_by(), vet=oddity, writes=False)
    while True:
        state = look(index)
        text = json.dumps(as_data(state), indent=None if options.watch else 2) if options.json else as_text(state)
        if options.watch is not None and not options.json and sys.stdout.isatty():
            sys.stdout.write("\x1b[2J\x1b[H")  # clear the screen, and begin at its top
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        if options.watch is None:
            return 0
        time.sleep(options.watch)


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    result = Parser(
        prog="bench status",
        description="Show per restorer and suite what is done, running (where, since when, images per second, time "
        "left), failed with the reason, and missing of what was planned. The store is only read.",
    )
    result.add_argument("--results", default="results", metavar="DIR", help="the store (default: results)")
    result.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=DEFAULT_PAUSE,
        metavar="SECONDS",
        help=f"again and again, every {DEFAULT_PAUSE:g} seconds or as given, until Ctrl-C",
    )
    result.add_argument("--json", action="store_true", help="as JSON; with --watch an object a line")
    return result


def look(index: Index) -> StoreState:
    """The state of a store.

    Args:
        index: of its cells, which is brought up to date.
    """
    found = index.find()
    plans, problems = read_plans(index.results)
    claims: dict[tuple[str, str, str], list[Claim]] = {}
    for claim in read_claims(index.results):
        if claim.path is not None:
            suite, model, cell = claim.path.parent.parent.parts[-3:]
            claims.setdefault((suite, model, cell), []).append(claim)
    planned = {cell.place: (job, cell) for plan in plans for job, cell in plan.cells}  # the last one's, of several
    known = {(each.suite, each.model, each.cell): each for each in found.facts}
    cells = [
        cell_state(place, planned.get(place), known.get(place), claims.get(place, ()))
        for place in dict.fromkeys((*planned, *known, *claims))
    ]
    last: SweepPlan | None = plans[-1] if plans else None
    return StoreState(
        results=str(index.results),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=last.command if last else "",
        started=last.started if last else "",
        ended=last.ended if last else "",
        cells=tuple(sorted(cells, key=lambda cell: (cell.suite, cell.protocol, cell.restorer, cell.task, cell.cell))),
        problems=(*found.problems, *map(shown, problems)),
    )


def cell_state(
    place: tuple[str, str, str],
    plan: tuple[PlannedJob, PlannedCell] | None,
    facts: CellFacts | None,
    claims: Iterable[Claim],
) -> CellState:
    """The state of one cell, of which there is a plan, a record, a claim, or several of these."""
    claims = list(claims)
    alive = [claim for claim in claims if is_alive(claim)]
    suite, model, cell = place
    job, asked = plan or (None, None)
    restorer = restorer_name(facts.title, facts.variant) if facts else job.restorer if job else model
    task = facts.task_key if facts else asked.task if asked else claims[0].task
    # Shards that nobody holds keep their rows, and whoever comes next goes on with them.
    images = facts.scored if facts else sum(claim.done for claim in claims)
    expected = asked.asked if asked else facts.expected if facts else sum(claim.total for claim in claims) or None
    speeds = [speed for claim in alive if (speed := claim.images_per_second)]
    left = sum(claim.total - claim.done for claim in claims) if claims else None
    joining = facts is None and bool(claims) and all(map(_just_finished, claims))
    state, reason = _judged(job, facts, running=bool(alive) or joining)
    return CellState(
        suite=suite,
        protocol=facts.protocol if facts else job.protocol if job else "",
        restorer=restorer,
        task=task,
        cell=cell,
        state=state,
        images=images,
        expected=expected,
        reason=reason,
        workers=tuple(map(_worker, alive)),
        images_per_second=sum(speeds) if speeds else None,
        seconds_left=max(left, 0) / sum(speeds) if speeds and left is not None else None,
    )


def _just_finished(claim: Claim) -> bool:
    """Whether a shard has all its rows, and its worker can still be writing the record of the cell."""
    return claim.finished and claim.silent_seconds < SILENCE_SECONDS


def _judged(job: PlannedJob | None, facts: CellFacts | None, *, running: bool) -> tuple[State, str]:
    if running:
        return "running", ""
    if facts is None:
        return ("failed", job.failure) if job is not None and job.failure else ("missing", "")
    if facts.failed:
        tried = facts.scored + facts.failed
        return "failed", f"{facts.failed} of {tried} images failed, first {': '.join(facts.first_failure)}"
    return ("done", "") if facts.complete else ("partial", "")


def _worker(claim: Claim) -> Worker:
    return Worker(
        host=claim.host,
        pid=claim.pid,
        device=claim.device,
        since=claim.started,
        done=claim.done,
        total=claim.total,
        images_per_second=claim.images_per_second,
        silent_seconds=claim.silent_seconds,
    )


def as_data(state: StoreState) -> dict[str, object]:
    """The state as data for JSON: the counts by restorer and suite, and all cells that are not done."""
    restorers = [
        {"suite": suite, "protocol": protocol, "restorer": restorer, **{name: counted[name] for name in STATES}}
        for (suite, protocol, restorer), counted in state.counts().items()
    ]
    cells = [asdict(cell) for cell in state.cells if cell.state != "done"]
    return {
        **{name: value for name, value in vars(state).items() if name != "cells"},
        "restorers": restorers,
        "cells": cells,
    }


def as_text(state: StoreState) -> str:
    """A table by restorer and suite, then a line for each cell that is running, failed or missing."""
    lines = []
    if state.command:
        when = f"ended {state.ended}" if state.ended else "not ended"
        lines.append(shown(f"last sweep: {state.command} (started {state.started}, {when})"))
    rows = [[*map(shown, key), *(counted[name] or "-" for name in STATES)] for key, counted in state.counts().items()]
    if rows:
        total = Counter(cell.state for cell in state.cells)
        rows.append(["all", "", "", *(total[name] or "-" for name in STATES)])
        heads = ["suite", "protocol", "restorer", *STATES]
        lines.append(str(tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True)))
    else:
        lines.append("no cells, and no plan of a sweep")
    for name in ("running", "failed", "missing"):
        of_it = [cell for cell in state.cells if cell.state == name]
        lines += [shown(f"{name}: {_line(cell)}") for cell in of_it[:MOST_LINES]]
        lines += [f"{name}: {len(of_it) - MOST_LINES} more"] if len(of_it) > MOST_LINES else []
    lines += [f"left out: {problem}" for problem in state.problems]
    return "\n".join(lines)


def _line(cell: CellState) -> str:
    place = f"{cell.suite}, {cell.restorer}, {cell.task}"
    if cell.state == "failed":
        return f"{place}: {cell.reason}"
    counts = f"{cell.images} of {'?' if cell.expected is None else cell.expected} images"
    if cell.state == "missing":
        return f"{place}: {counts}" if cell.images else place
    speed = "" if cell.images_per_second is None else f", {cell.images_per_second:.3g} images/s"
    left = "" if cell.seconds_left is None else f", {duration(cell.seconds_left)} left"
    where = "; ".join(
        f"process {each.pid} on {each.host} ({each.device or 'unknown device'}) since {each.since}"
        for each in cell.workers
    )
    return f"{place}: {counts}{speed}{left}; {where or 'its record is being written'}"


def duration(seconds: float) -> str:
    """A time span for people: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
