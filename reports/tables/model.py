"""A paper's table as data, before it is LaTeX, Markdown, CSV or HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..analysis.scoreboard import Mark
from ..published.metrics import DIGITS, HEADS, Metric
from ..published.transcriptions import PrintedValue
from .numbers import MISSING

RowKind = Literal["input", "measured", "seeds", "published", "by hand", "difference"]


@dataclass(frozen=True, kw_only=True)
class CostHead:
    """The head of a column of costs, which stand between a method's name and its scores.

    Attributes:
        name: of its lines in the CSV.
        heading: with its unit.
        notes: footnotes of the heading.
    """

    name: str
    heading: str
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The heading with a capital letter."""
        return self.heading[:1].upper() + self.heading[1:]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of scores.

    Attributes:
        key: the task with its data set (``denoise-25@CBSD68``), or ``average``.
        label: the task as a heading, ``denoise 25``.
        dataset: its images; empty for the average.
        metric: ``psnr`` (dB) or ``ssim``.
        notes: footnotes of the task's heading.
        digits: decimals of its intervals.
        head: over its scores; the metric's name where it is empty.
    """

    key: str
    label: str
    dataset: str
    metric: Metric
    notes: tuple[str, ...] = ()
    digits: int | None = None
    head: str = ""

    @property
    def decimals(self) -> int:
        """Of its intervals: those asked for, else the metric's."""
        return DIGITS[self.metric] if self.digits is None else self.digits

    @property
    def unit(self) -> str:
        """What stands over its scores."""
        return self.head or HEADS[self.metric]

    @property
    def task(self) -> str:
        """The task without its data set, ``denoise-25``; or ``average``."""
        return self.key.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class Number:
    """One entry of the table.

    Attributes:
        value: None where there is none; the text is a dash then.
        text: as the table prints it.
        low, high: 95 % interval; None where there is none.
        mark: of the column's ranking.
        images: how many it is a mean over; None where that is not known.
        clusters: how many scenes, photographs or sequences these come from.
        partial: whether images are missing from what it is a mean over.
        notes: footnotes.
    """

    value: float | None = None
    text: str = MISSING
    low: float | None = None
    high: float | None = None
    mark: Mark | None = None
    images: int | None = None
    clusters: int | None = None
    partial: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def printed(cls, value: PrintedValue) -> Number:
        """As a paper prints it."""
        return cls(value=value.value, text=value.text, notes=value.notes)

    def bounds(self, digits: int) -> str:
        """The interval as ``[30.12, 31.90]``, or an empty text."""
        if self.low is None or self.high is None:
            return ""
        return f"[{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One method.

    Attributes:
        kind: the degraded input, measured here, the mean of several weights that were, printed in a paper, given by the
            user, or measured minus published.
        method: its name.
        model: the restorer's name in the registry, or in the papers' spelling.
        citation: key of the source of a published row, in the ``.bib``; empty otherwise.
        costs: one for each cost of the table.
        scores: one for each column of the table.
        notes: footnotes of the name.
    """

    kind: RowKind
    method: str
    model: str
    citation: str = ""
    costs: tuple[Number, ...] = ()
    scores: tuple[Number, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows between two rules, with a heading (empty for none) and its footnotes."""

    heading: str
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """A table of methods by tasks.

    Attributes:
        suite: of which suite.
        stem: its name for files and labels.
        caption: what it shows.
        columns: the tasks' scores, those of one task side by side, the average last.
        blocks: the rows.
        costs: heads of the columns of costs.
        remarks: sentences that stand under the table: images, test, what the marks mean.
        sources: in words, those of citation keys that the suite's own list of sources does not have.
        datasets: whether heads name the data sets; None: where there are several.
        first: over the names of the rows.
        long: whether it may run over several pages.
    """

    suite: str
    stem: str
    caption: str
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    costs: tuple[CostHead, ...] = ()
    remarks: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    datasets: bool | None = None
    first: str = "Method"
    long: bool = False

    @property
    def rows(self) -> tuple[TableRow, ...]:
        """The rows of all blocks."""
        return tuple(row for block in self.blocks for row in block.rows)

    @property
    def citations(self) -> tuple[str, ...]:
        """Keys of all sources, each once."""
        return tuple(dict.fromkeys(row.citation for row in self.rows if row.citation))

    @property
    def heads_name_sets(self) -> bool:
        """Whether heads name the data sets: as asked, else where tasks are on several, of which the caption tells."""
        several = len({column.dataset for column in self.columns if column.dataset}) != 1
        return several if self.datasets is None else self.datasets

    def spans(self) -> list[tuple[Column, int]]:
        """The first column of each task and how many columns the task has."""
        spans: list[tuple[Column, int]] = []
        for column in self.columns:
            if spans and spans[-1][0].key == column.key:
                spans[-1] = (spans[-1][0], spans[-1][1] + 1)
            else:
                spans.append((column, 1))
        return spans

    def footnotes(self) -> dict[str, str]:
        """Sign of each footnote (``a``, ``b``, .. ``aa``), in the order in which a reader meets them."""
        return {text: _sign(place) for place, text in enumerate(dict.fromkeys(self._notes()))}

    def _notes(self) -> Iterator[str]:
        for cost in self.costs:
            yield from cost.notes
        for column in self.columns:
            yield from column.notes
        for block in self.blocks:
            yield from block.notes
            for row in block.rows:
                yield from row.notes
                for number in (*row.costs, *row.scores):
                    yield from number.notes


def _sign(place: int) -> str:
    """0 is ``a``, 25 ``z``, 26 ``aa``."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
