"""``bench score --store``: images of another tool become a row of a results folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UserError
from ...evaluation.config import DataConfig, RunConfig
from ...protocols.protocol import Protocol
from ...store.folders import Store

if TYPE_CHECKING:
    from ...protocols.lpips import Lpips

OPTIONS = ("name", "task", "degraded", "sigma", "params", "macs")
"""What goes with --store alone."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench score --store``."""
    store = parser.add_argument_group("a row of the store, as of `bench run` (provenance: images)")
    store.add_argument("--store", action="store_true", help="put the images into the results folder")
    store.add_argument("--results", default="results", metavar="DIR", help="the results folder (default: results)")
    store.add_argument("--name", metavar="NAME", help="what tables call the tool that restored the images")
    store.add_argument(
        "--task",
        metavar="[SUITE/]TASK",
        help="the task of `bench list tasks` whose images were restored, such as dehaze, or 5d/dehaze to stand among "
        "the rows of 5d; needs no --clean",
    )
    store.add_argument("--degraded", metavar="DIR", help="with --clean: the degraded images, for the input's scores")
    store.add_argument(
        "--sigma", type=int, metavar="N", help="with --clean: level of the noise that the protocol draws"
    )
    store.add_argument("--params", type=float, metavar="M", help="parameters of the network in millions")
    store.add_argument(
        "--macs", type=float, metavar="G", help="its multiply-adds at 1x3x256x256 in thousands of millions"
    )
    store.add_argument("--data", default="auto", metavar="SOURCE", help="with --task: auto, embedded or standard")
    store.add_argument("--size", default="256", metavar="N", help="with --task: crop of the embedded images, or full")
    store.add_argument("--root", metavar="DIR", help="with --task: the standard sets (default: RESTOREBENCH_DATA)")


def check_options(options: argparse.Namespace) -> None:
    """Refuse what does not go together.

    Raises:
        UserError: in one line.
    """
    given = [name for name in OPTIONS if getattr(options, name) is not None]
    if not options.store:
        if given:
            raise UserError(f"--{given[0]} goes with --store, which puts the images into a results folder")
        if options.clean is None:
            raise UserError("--clean DIR is missing: the folder of the clean images")
        return
    if options.name is None:
        raise UserError("--store needs --name NAME, what tables call the tool that restored the images")
    own = options.degraded is not None or options.sigma is not None
    if options.clean is None and (own or options.task is None):
        raise UserError("--store needs --clean DIR, or --task TASK for the images of a suite")
    if options.size != "full" and not options.size.isdecimal():
        raise UserError(f"--size {options.size}: give a side in pixels, or full")


def store_images(
    options: argparse.Namespace,
    protocols: Sequence[Protocol],
    lpips: Mapping[str, Lpips | None],
    command: Sequence[str],
) -> int:
    """Store a cell for each protocol and show the tables in which they stand: 0, or 1 if an image has no scores.

    Raises:
        UserError, DataError: the images are not those of the task.
    """
    from ....reports.analysis.cells import groups, read_cells
    from ....reports.tables.leaderboard import write_leaderboard
    from ....reports.tables.terminal import terminal_table
    from ...evaluation.scored_images import OtherTool, ScoredImages, check_clean, chosen_task, matched

    own = options.degraded is not None or options.sigma is not None or options.task is None
    config = RunConfig(
        model="",
        tasks=options.task,
        protocol=",".join(map(str, protocols)),
        data=DataConfig(source=options.data, root=options.root, size=_size(options.size)),
        dataset="folder" if own else None,
        degraded=options.degraded,
        clean=options.clean if own else None,
        sigma=options.sigma,
    )
    tool = OtherTool(
        name=options.name.strip(),
        restored=Path(options.pred).expanduser(),
        parameters=_counted(options.params, 1e6),
        macs=_counted(options.macs, 1e9),
    )
    tool.check()
    suite, data = chosen_task(config, protocols)
    files = matched(tool.restored, data)
    if options.clean is not None and not own:
        check_clean(Path(options.clean).expanduser(), data)
    store = Store(Path(options.results).expanduser())
    asked = {key: value for key, value in vars(options).items() if isinstance(value, str | int | float | bool)}
    records = [
        ScoredImages(
            tool=tool,
            suite=suite,
            data=data,
            files=files,
            protocol=protocol,
            lpips=lpips.get(protocol.lpips_backbone),
            config=asked,
            command=shlex.join(["bench", "score", *command]),
        ).store(store)[1]
        for protocol in protocols
    ]
    written = write_leaderboard(store.root)
    stored = {record.cell for record in records}
    shown = [
        group
        for group in groups(read_cells(store.root, {suite.name})[0])
        if group.suite == suite.name and stored & {c.record.cell for r in group.restorers for c in r.cells.values()}
    ]
    files_written = "\n".join(f"  {path}" for path in written)
    sys.stdout.write(f"{terminal_table(shown)}\n\nwritten:\n{files_written}\n")
    return 0 if all(record.complete for record in records) else 1


def _size(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _counted(value: float | None, unit: float) -> int | None:
    """A number in millions or thousands of millions as a count.

    Raises:
        UserError: it is none.
    """
    if value is None:
        return None
    if not 0 < value < 1e9:
        raise UserError("--params and --macs: give numbers above 0, in millions and in thousands of millions")
    return round(value * unit)
