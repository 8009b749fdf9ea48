"""``bench data``: the standard test sets on disk."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate
from tqdm import tqdm

from ...datasets.errors import DataError
from ...datasets.standard.layout import StandardSet, check_root, find_subset
from ...datasets.standard.sets import ALL_SETS, get_set
from ...datasets.suites import sets_of_suite
from ...datasets.tasks import SUITE_NAMES
from ..errors import UserError
from ..store.names import shown
from .front.parsing import Parser

if TYPE_CHECKING:
    from ...datasets.standard.check import SubsetReport
    from ...datasets.standard.leakage import LeakageReport

ROOT_VARIABLE = "RESTOREBENCH_DATA"


def main(arguments: Sequence[str]) -> int:
    """``bench data check | where | leakage | fetch``: 0 if all is well, 1 if something is missing or damaged."""
    options = parser().parse_args(arguments)
    if options.command == "fetch":
        return fetch_lpips()
    if options.command == "where":
        return show_where(options.sets, as_json=options.json)
    if options.command == "check":
        return show_check(options.sets, data_root(options.root), as_json=options.json)
    return show_leakage(options.a, options.b, options.root, as_json=options.json)


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(prog="bench data", description="The standard test sets on disk.")
    commands = top.add_subparsers(dest="command", required=True, metavar="check | where | leakage | fetch")
    names = f"a standard set or a suite: {', '.join(s.name for s in ALL_SETS)}; {', '.join(SUITE_NAMES)}"

    check = commands.add_parser("check", help="read every file of the sets and name what is missing or damaged")
    check.add_argument("sets", nargs="*", metavar="SET", help=f"{names} (default: all sets)")
    where = commands.add_parser("where", help="where the sets come from, their terms, and where they go")
    where.add_argument("sets", nargs="*", metavar="SET", help=f"{names} (default: all sets)")
    shared = commands.add_parser("leakage", aliases=["leaks"], help="images of A that are also in B")
    for side in "ab":
        shared.add_argument(side, metavar=side.upper(), help="a standard set (its clean images) or a folder")
    fetch = commands.add_parser("fetch", help="download what PyTorch's site offers: the backbones of LPIPS")
    fetch.add_argument("what", choices=["lpips"], help="AlexNet and VGG-16, about 760 MB, into torch's cache")
    for command in (check, shared):
        command.add_argument("--root", metavar="DIR", help=f"the data root (default: {ROOT_VARIABLE})")
    for command in (check, where, shared):
        command.add_argument("--json", action="store_true", help="as JSON")
    return top


def fetch_lpips() -> int:
    """Download the backbones of LPIPS that are not here."""
    from ..protocols.lpips import ORIGINS, fetch_weights  # torch, which the other words do not need

    for backbone in ORIGINS:
        path, new = fetch_weights(backbone)
        sys.stdout.write(f"{path}: {'downloaded' if new else 'is there'}\n")
    return 0


def data_root(given: str | None) -> Path:
    """The data root: what was given, else what the environment says.

    Raises:
        UserError, DataError: there is none, or it is no folder.
    """
    named = given or os.environ.get(ROOT_VARIABLE)
    if not named:
        raise UserError(f"no data root: give --root DIR or set {ROOT_VARIABLE}")
    root = Path(named).expanduser()
    check_root(root)
    return root


def chosen(names: Sequence[str]) -> list[StandardSet]:
    """The sets named, and those of the suites named; all if nothing is.

    Raises:
        DataError: an unknown name.
    """
    sets: list[StandardSet] = []
    for name in names:
        sets += sets_of_suite(name) if name in SUITE_NAMES else [get_set(name)]
    return list(dict.fromkeys(sets or ALL_SETS))


def write(text: str) -> None:
    """A text and a newline on standard output."""
    sys.stdout.write(text + "\n")


def show_check(names: Sequence[str], root: Path, *, as_json: bool) -> int:
    """Check sets and show what was found; 0 if all are whole."""
    from ...datasets.standard.check import check_subset  # scipy and Pillow

    subsets = [find_subset(s, task, root) for s in chosen(names) for task in s.tasks]
    total = sum(subset.files for subset in subsets)
    with tqdm(total=total, desc="reading", unit="file", leave=False, disable=None) as bar:
        reports = [check_subset(subset, bar.update) for subset in subsets]
    whole = all(report.state == "whole" for report in reports)
    if as_json:
        sets = [{**asdict(report), "state": report.state} for report in reports]
        write(json.dumps({"root": str(root), "whole": whole, "sets": sets}, indent=2))
    else:
        write("\n".join([check_table(reports), *findings(reports)]))
    return 0 if whole else 1


def check_table(reports: Sequence[SubsetReport]) -> str:
    """One row per set; a wholly absent set of several degradations has a single row."""
    rows: dict[tuple[str, ...], None] = {}
    for report in reports:
        several = len(get_set(report.set).tasks) > 1
        absent = several and all(r.state == "absent" for r in reports if r.set == report.set)
        title = f"{report.set} {report.task}" if several and not absent else report.set
        sizes = [f"{count} of {size}" for size, count in report.sizes.items()]
        listed = ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} more sizes" if len(sizes) > 3 else "")
        count = f"{report.images} of {report.expected}"
        if report.good != report.images:
            count += f", {report.good} usable"
        rows[title, report.state, count, listed, report.sha256[:16]] = None
    headers = ["set", "state", "images", "sizes", "sha256"]
    return tabulate(list(rows), headers=headers, tablefmt="simple", disable_numparse=True)


def findings(reports: Sequence[SubsetReport]) -> list[str]:
    """Everything that is wrong, one line each, with the names of the files."""
    lines: dict[str, None] = {}
    for report in reports:
        if report.state == "absent":
            layout = get_set(report.set).layout()
            lines[f"{report.set}: absent, goes in {layout} (bench data where {report.set})"] = None
            continue
        if report.images != report.expected:
            lines[f"{report.set}: {report.images} images of {report.expected} in {report.folders[0]}"] = None
        for kind in ("unpaired", "unreadable", "mismatched", "ignored"):
            lines |= dict.fromkeys(f"{report.set}: {kind}: {words}" for words in getattr(report, kind))
    return ["", *map(shown, lines)] if lines else []


def show_where(names: Sequence[str], *, as_json: bool) -> int:
    """Show where sets come from, their terms and their places."""
    facts = [where(s) for s in chosen(names)]
    if as_json:
        write(json.dumps(facts, indent=2))
    else:
        write("\n\n".join("\n".join(f"{key}: {value}" for key, value in fact.items() if value) for fact in facts))
    return 0


def where(chosen_set: StandardSet) -> dict[str, Any]:
    """What is known of a set, as plain data."""
    return {
        "set": chosen_set.name,
        "tasks": ", ".join(chosen_set.tasks),
        "images": chosen_set.images,
        "size": chosen_set.size,
        "source": chosen_set.source,
        "licence": chosen_set.licence,
        "goes in": chosen_set.layout(),
        "also read from": ", ".join(chosen_set.folders[1:]),
        "note": chosen_set.note,
    }


def compared(name: str, root: str | None) -> Mapping[str, Path]:
    """The images that a set's name or a folder stands for.

    Raises:
        UserError, DataError: neither a set nor a folder, or without images.
    """
    from ...datasets.standard import leakage

    if any(s.name == name for s in ALL_SETS):
        return leakage.set_images(get_set(name), data_root(root))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return leakage.folder_images(folder)
    try:
        get_set(name)
    except DataError as error:
        raise UserError(f"{name} is no folder, and {error}") from error
    raise AssertionError(name)


def show_leakage(a: str, b: str, root: str | None, *, as_json: bool) -> int:
    """Show images of A that are also in B; 0 if every image could be read."""
    from ...datasets.standard.leakage import find_leakage

    images_a, images_b = compared(a, root), compared(b, root)
    same = list(images_a.values()) == list(images_b.values())
    total = len(images_a) + (0 if same else len(images_b))
    with tqdm(total=total, desc="reading", unit="image", leave=False, disable=None) as bar:
        report = find_leakage(images_a, images_b, bar.update)
    if as_json:
        counts = {"leaked_a": report.leaked_a, "leaked_b": report.leaked_b}
        write(json.dumps({"a": a, "b": b, **counts, **asdict(report)}, indent=2))
    else:
        write(leakage_text(a, b, report, same=same))
    return 1 if report.unreadable else 0


def leakage_text(a: str, b: str, report: LeakageReport, *, same: bool) -> str:
    """The pairs as a table, and a line that counts them."""
    lines = [shown(f"unreadable, left out: {words}") for words in report.unreadable]
    if report.leaks:
        rows = [
            (shown(leak.a), shown(leak.b), leak.kind, "-" if leak.distance is None else leak.distance)
            for leak in report.leaks
        ]
        lines.append(tabulate(rows, headers=[a, b, "how", "bits apart"], tablefmt="simple", disable_numparse=True))
        lines.append("")
    if same:
        lines.append(f"{report.distinct_a} of the {report.images_a} images of {a} are distinct")
    else:
        share = f" ({report.leaked_b} of its {report.images_b})"
        lines.append(f"{report.leaked_a} of the {report.images_a} images of {a} are also in {b}{share}")
    return "\n".join(lines)
