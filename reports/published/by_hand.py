"""Rows that the user adds by hand, ``bench report table --extra rows.csv``: own measurements, or copied from a paper.

A line for each method and task, with the columns

- ``method``: its name; ``kind``: ``own`` (measured by whoever adds it) or ``copied`` (as printed elsewhere);
- ``task``: as in the table's CSV without its data set, ``dehaze``, ``denoise-25``, or ``average``;
- ``psnr`` (dB), ``ssim``: one of them at least;
- ``source``: where the number is from, in words; never empty;
- and, where they are known: ``citation`` (a BibTeX key), ``params_m``, ``macs_g``, ``note``.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...messages import nearest
from ..errors import ReportError
from .metrics import METRICS, Metric
from .transcriptions import PrintedValue

REQUIRED = ("method", "kind", "task", "source")
COLUMNS = (*REQUIRED, "psnr", "ssim", "citation", "params_m", "macs_g", "note")
KINDS = {"own": "own measurement", "copied": "copied"}
LARGEST = 2**20
"""Bytes of the file."""
LONGEST = 200
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._+/-]*")
_BOUNDS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "psnr": (lambda value: 0 < value <= 150, "dB, above 0 and at most 150"),
    "ssim": (lambda value: -1 <= value <= 1, "from -1 to 1"),
    "params_m": (lambda value: 0 < value < 1e6, "millions, above 0"),
    "macs_g": (lambda value: 0 < value < 1e9, "thousands of millions, above 0"),
}


@dataclass
class HandRow:
    """One method of the file.

    Attributes:
        method: its name.
        kind: ``own`` or ``copied``.
        source, citation: where its numbers are from, and the BibTeX key of that; empty for none.
        costs: ``params_m`` and ``macs_g``, as far as they are given.
        scores: by task (or ``average``) and metric, as they are written.
        notes: footnotes.
    """

    method: str
    kind: str
    source: str
    citation: str
    costs: dict[str, PrintedValue]
    scores: dict[tuple[str, Metric], PrintedValue] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def score(self, task: str, metric: Metric) -> PrintedValue:
        """The score of a task, a dash where none is given."""
        return self.scores.get((task, metric), PrintedValue())

    @property
    def remarks(self) -> tuple[str, ...]:
        """Footnotes of the row: that it was not measured here, where it is from, and what its lines note."""
        return (f"{KINDS[self.kind]}, given by hand, not measured by this suite; source: {self.source}", *self.notes)


def hand_rows(path: Path) -> list[HandRow]:
    """The methods of a file, in its order.

    Raises:
        ReportError: it cannot be read, or a line is not what this module's docstring says; the message names it.
    """
    rows: dict[str, HandRow] = {}
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        given = HandRow(
            method=_text(line, "method", where),
            kind=_one_of(line, where),
            source=_text(line, "source", where),
            citation=_citation(line, where),
            costs={name: value for name in ("params_m", "macs_g") if (value := _number(line, name, where)).value},
        )
        row = rows.setdefault(given.method, given)
        for name in ("kind", "source", "citation", "costs"):
            if getattr(row, name) != getattr(given, name):
                raise ReportError(f"{where}: another {name} of {given.method} than before; give it another method name")
        task = _text(line, "task", where)
        scores = {
            (task, metric): value for metric in METRICS if (value := _number(line, metric, where)).value is not None
        }
        if not scores:
            raise ReportError(f"{where}: neither psnr nor ssim")
        if row.scores.keys() & scores.keys():
            raise ReportError(f"{where}: {given.method} has {task} twice")
        row.scores.update(scores)
        if (line.get("note") or "").strip():
            row.notes[_text(line, "note", where)] = None
    if not rows:
        raise ReportError(f"{path}: no line below the head")
    return list(rows.values())


def check_tasks(rows: Iterable[HandRow], tasks: Sequence[str]) -> None:
    """Make sure that every line has a column in the table.

    Args:
        rows: from `hand_rows`.
        tasks: of the table's columns, without data sets.

    Raises:
        ReportError: a task that the table does not have, with the nearest.
    """
    for row in rows:
        for task, _ in row.scores:
            if task not in tasks:
                hint = nearest(task, tasks) or f"; there are {', '.join(dict.fromkeys(tasks))}"
                raise ReportError(f"--extra: {row.method} has a task {task!r} that this table does not have{hint}")


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines by their numbers, as dictionaries by column."""
    try:
        if path.stat().st_size > LARGEST:
            raise ReportError(f"--extra {path}: larger than {LARGEST // 2**20} MiB, so no table of rows")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReportError(f"--extra {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"--extra {path}: no UTF-8 text") from error
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except csv.Error as error:
        raise ReportError(f"{path}, line {reader.line_num}: {error}") from error
    if not lines:
        raise ReportError(f"{path}: empty; its first line names the columns: {','.join(COLUMNS)}")
    head = [name.strip() for name in lines[0][1]]
    for name in head:
        if name not in COLUMNS or head.count(name) > 1:
            what = "twice the column" if name in COLUMNS else "unknown column"
            hint = nearest(name, COLUMNS) if name not in COLUMNS else ""
            raise ReportError(f"{path}: {what} {name[:80]!r}{hint}; there are {', '.join(COLUMNS)}")
    for name in REQUIRED:
        if name not in head:
            raise ReportError(f"{path}: no column {name}; needed are {', '.join(REQUIRED)}, and psnr or ssim")
    for number, line in lines[1:]:
        if len(line) != len(head):
            raise ReportError(f"{path}, line {number}: {len(line)} values under {len(head)} columns")
    return [(number, dict(zip(head, line, strict=True))) for number, line in lines[1:]]


def _text(line: Mapping[str, str], name: str, where: str) -> str:
    text = line[name].strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise ReportError(f"{where}: {name} is {text[:40]!r}; give 1 to {LONGEST} printable characters")
    return text


def _one_of(line: Mapping[str, str], where: str) -> str:
    kind = line["kind"].strip()
    if kind not in KINDS:
        raise ReportError(f"{where}: kind is {kind[:40]!r}{nearest(kind, KINDS)}; give {' or '.join(KINDS)}")
    return kind


def _citation(line: Mapping[str, str], where: str) -> str:
    key = (line.get("citation") or "").strip()
    if key and not _KEY.fullmatch(key):
        raise ReportError(f"{where}: citation {key[:40]!r} is no BibTeX key: letters, digits and :._+/- make one")
    return key


def _number(line: Mapping[str, str], name: str, where: str) -> PrintedValue:
    """A number with the digits that are written; a dash where none is."""
    text = (line.get(name) or "").strip()
    if not text:
        return PrintedValue()
    fits, bounds = _BOUNDS[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not re.fullmatch(r"[+-]?\d+(?:\.\d*)?", text) or not math.isfinite(value) or not fits(value):
        raise ReportError(f"{where}: {name} is {text[:40]!r}; give a number ({bounds}), or nothing")
    return PrintedValue(value=value, text=text)
