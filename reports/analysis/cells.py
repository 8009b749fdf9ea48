"""The store as reports read it: cells with their images' scores, grouped so that only what may be compared meets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ...benchmarks.store import cells as store
from ...benchmarks.store.parts import plain
from ...benchmarks.store.records import ImageRow, Record, preview_name, previews_key
from ...messages import nearest
from ..errors import ReportError
from ..escape import file_stem
from ..published.rows import spelling
from .leaderboard import RestorerRecords, by_restorer, comparable
from .scoreboard import Scoreboard

PREVIEWS = "previews"
YOURS = "yours"
"""Provenance of a network that came from a file of the user's own."""


@dataclass(frozen=True)
class StoredCell:
    """A finished cell.

    Attributes:
        record: what is known about it.
        rows: its images, in the data set's order.
        root: the results folder.
        folder: that it was found in, which is not taken from the record.
    """

    record: Record
    rows: tuple[ImageRow, ...]
    root: Path
    folder: Path

    def values(self, metric: str) -> dict[str, float]:
        """Finite scores by image: `metric` is ``psnr``, ``ssim``, ``lpips``, ``input_psnr`` or ``input_ssim``."""
        scores = {row.image: float(getattr(row, metric)) for row in self.rows if row.status == "ok"}
        return {name: value for name, value in scores.items() if math.isfinite(value)}

    def restored_preview(self, image: str) -> Path | None:
        """The restored image as an 8-bit PNG, if the run kept it (``previews=``)."""
        return _existing(self.folder / PREVIEWS / preview_name(image))

    def degraded_preview(self, image: str) -> Path | None:
        """What the network was given, as an 8-bit PNG, if the run kept it."""
        return self._pair(image, "degraded")

    def clean_preview(self, image: str) -> Path | None:
        """The clean image as an 8-bit PNG, if the run kept it."""
        return self._pair(image, "clean")

    def _pair(self, image: str, kind: str) -> Path | None:
        return _existing(self.root / PREVIEWS / previews_key(self.record.identity) / kind / preview_name(image))


@dataclass(frozen=True)
class RestorerResult:
    """One restorer under one set of conditions in a group.

    Attributes:
        label: its name in tables and figures, different from all others of the group.
        records: what its leaderboard's rows say.
        cells: its cells by the key of their task.
    """

    label: str
    records: RestorerRecords
    cells: dict[str, StoredCell]

    @property
    def record(self) -> Record:
        """A record, for what all of them share."""
        return next(iter(self.cells.values())).record

    @property
    def names(self) -> tuple[str, ...]:
        """What a user may call it: its label, the model, the label of its weights file, the name of another tool."""
        tool = self.record.title if self.record.provenance == "images" else ""
        several = (self.label, self.record.model, self.records.label, tool)
        return tuple(dict.fromkeys(name for name in several if name))

    @property
    def complete(self) -> bool:
        """Whether it has every task of the suite, whole, with a finite score."""
        return self.records.complete

    @property
    def is_input(self) -> bool:
        """Whether it is the degraded input itself, which is shown and never ranked."""
        return self.record.provenance == "input"


@dataclass(frozen=True)
class Group:
    """What may stand in one table: one suite on the same images under one protocol.

    Attributes:
        suite: name of the suite.
        tasks: keys of its tasks, in its order.
        protocol: name with version.
        restorers: in the order of their labels, the input first.
    """

    suite: str
    tasks: tuple[str, ...]
    protocol: str
    restorers: tuple[RestorerResult, ...]

    @property
    def datasets(self) -> str:
        """Names of the data sets, joined by +."""
        return "+".join(sorted({key.partition("@")[2] for key in self.tasks}))

    @cached_property
    def title(self) -> str:
        """``5d on embedded-256, promptir@1``."""
        return f"{self.suite} on {self.datasets}, {self.protocol}"

    @cached_property
    def scoreboard(self) -> Scoreboard:
        """What its scores say; kept, so that whoever reads the group reads the same."""
        return Scoreboard(self)

    @property
    def stem(self) -> str:
        """The group's name for files; groups that differ in their images alone share it (see `stems`)."""
        return file_stem(f"{self.suite}-{self.datasets}-{self.protocol.replace('@', '-v')}")


def read_cells(results: Path, suites: Collection[str] | None = None) -> tuple[list[StoredCell], list[str]]:
    """Cells of a results folder that add up, and one line for each that is left out; only of `suites`, if given."""
    cells, problems = store.read_cells(results, suites)
    return [StoredCell(cell.record, cell.rows, results, cell.folder) for cell in cells], problems


def groups(cells: Iterable[StoredCell]) -> list[Group]:
    """Cells by what may be compared: same suite, tasks, protocol, and, task by task, the same images.

    Of several cells for one place the one finished last is taken.
    """
    by_place = {(cell.record.suite, cell.record.cell): cell for cell in cells}
    return [
        Group(members[0].suite, members[0].tasks, members[0].first.protocol, _restorers(members, by_place))
        for members in comparable(by_restorer(cell.record for cell in by_place.values()))
    ]


def stems(several: Sequence[Group]) -> list[str]:
    """A file name for each group, numbered where groups share one."""
    counted = Counter(group.stem for group in several)
    seen: Counter[str] = Counter()
    names = []
    for group in several:
        seen[group.stem] += 1
        names.append(group.stem if counted[group.stem] == 1 else f"{group.stem}-{seen[group.stem]}")
    return names


def chosen(group: Group, rows: Sequence[str] | None) -> Group:
    """The group with the restorers that are asked for, in that order, the input first.

    Args:
        group: all that was measured.
        rows: names in the registry, each for all its rows, or labels of single rows or of their weights; None for all.

    Raises:
        ReportError: a name that the group does not have.
    """
    if rows is None:
        return group
    places = {name: _named(group, name) for name in rows}
    for name, found in places.items():
        if not found:
            known = sorted({name for restorer in group.restorers for name in restorer.names})
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise ReportError(f"--rows {name}: not measured on {group.title}{hint}")
    picked = dict.fromkeys(place for found in places.values() for place in found)
    ordered = sorted((group.restorers[place] for place in picked), key=lambda restorer: not restorer.is_input)
    return replace(group, restorers=tuple(ordered))


def knows_row(group: Group, name: str) -> bool:
    """Whether a group has a restorer of that name or label."""
    return bool(_named(group, name))


def _named(group: Group, name: str) -> list[int]:
    """Places of the restorers of that name, written so, or else as papers may write it (``MoCE-IR`` for ``moceir``)."""
    exact = [place for place, restorer in enumerate(group.restorers) if name in restorer.names]
    meant = spelling(name)
    return exact or [place for place, restorer in enumerate(group.restorers) if meant in map(spelling, restorer.names)]


def _restorers(
    members: Sequence[RestorerRecords], by_place: dict[tuple[str, str], StoredCell]
) -> tuple[RestorerResult, ...]:
    cells = [{key: by_place[facts.suite, facts.cell] for key, facts in member.cells.items()} for member in members]
    labels = _labels([(member, next(iter(its.values())).record) for member, its in zip(members, cells, strict=True)])
    results = [RestorerResult(*each) for each in zip(labels, members, cells, strict=True)]
    return tuple(sorted(results, key=lambda restorer: (not restorer.is_input, restorer.label)))


def _labels(members: Sequence[tuple[RestorerRecords, Record]]) -> list[str]:
    """Names that differ: title and variant, with weights, dtype and device where those alone tell two apart.

    What a reader must not overlook stands in the name: the label of a weights file of unknown origin, ``untrained``,
    and of a network of the user's own, whose code may make any weights, that no file gave them (``weights=none``).
    """

    def parts(member: RestorerRecords, record: Record) -> list[str]:
        numerics = plain(record.identity.numerics)
        own = YOURS if record.provenance == YOURS and record.variant != YOURS else ""
        given = "weights=none" if (record.provenance, record.weights.kind) == (YOURS, "none") else member.label
        remarks = [record.variant, own, given, "untrained" if record.provenance == "untrained" else ""]
        name = record.title if record.provenance == "input" else f"{record.title} ({', '.join(filter(None, remarks))})"
        source = str((record.identity.source or {}).get("sha256", ""))[:12]
        digest = str(record.weights.sha256 or "")[:12]
        weights = digest or f"seed {record.identity.seed}"
        overrides = ",".join(f"{key}={value}" for key, value in sorted(record.overrides.items()))
        others = ",".join(f"{k}={v}" for k, v in sorted(numerics.items()) if k not in {"dtype", "device"})
        return [name, source, weights, overrides, str(numerics["dtype"]), str(numerics["device"]), others]

    rows = [parts(*member) for member in members]
    labels: list[str] = []
    for row in rows:
        rivals = [other for other in rows if other[0] == row[0] and other is not row]
        telling = [part for i, part in enumerate(row) if i and part and any(other[i] != part for other in rivals)]
        label = " ".join([row[0], *telling])
        same = sum(other == label or other.startswith(f"{label} #") for other in labels)
        labels.append(f"{label} #{same + 1}" if same else label)  # of foreign records, whose weights may say anything
    return labels


def _existing(path: Path) -> Path | None:
    return path if path.is_file() and not path.is_symlink() else None
