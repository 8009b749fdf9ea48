"""How a paper's table is printed: intervals, digits, costs, names of data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from ...messages import nearest
from ..errors import ReportError
from ..published.metrics import DIGITS, METRICS, Metric
from .columns import COSTS, CostColumn
from .model import Block, Column, Number, TableRow
from .numbers import MISSING

MOST_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What a table prints.

    Attributes:
        intervals: whether means have their 95 % intervals.
        digits: decimals of each metric.
        costs: names of the columns of costs; none for a table of scores alone.
        datasets: whether heads name the data sets; None: where there are several.
    """

    intervals: bool = True
    digits: Mapping[Metric, int] = field(default_factory=lambda: dict(DIGITS))
    costs: tuple[str, ...] = tuple(cost.name for cost in COSTS)
    datasets: bool | None = None

    @property
    def cost_columns(self) -> list[CostColumn]:
        """Those columns of costs, in the order of `COSTS`."""
        return [cost for cost in COSTS if cost.name in self.costs]


PLAIN = TableOptions()


def digits_of(text: str) -> dict[Metric, int]:
    """``2`` or ``2,4`` as decimals of PSNR and of SSIM, which has one more where only one number is given.

    Raises:
        ReportError: no such numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 2 or not all(part.isdecimal() and int(part) <= MOST_DIGITS for part in parts):
        raise ReportError(f"--digits {text}: give decimals of PSNR, or of PSNR and SSIM (2,3), at most {MOST_DIGITS}")
    numbers = [int(part) for part in parts]
    return dict(zip(METRICS, numbers if len(numbers) == 2 else [numbers[0], numbers[0] + 1], strict=True))


def costs_of(text: str) -> tuple[str, ...]:
    """``none``, ``all`` or names with commas as columns of costs.

    Raises:
        ReportError: there is no such column.
    """
    known = [cost.name for cost in COSTS]
    if text in ("none", "all"):
        return tuple(known) if text == "all" else ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ReportError(f"--costs {name}: give none, all, or some of {', '.join(known)}{nearest(name, known)}")
    return tuple(names)


def printed(blocks: Sequence[Block], columns: Sequence[Column], options: TableOptions) -> tuple[Block, ...]:
    """The rows as the options have them: decimals of measured scores, of printed ones no more than their source has."""
    return tuple(replace(block, rows=tuple(_row(row, columns, options) for row in block.rows)) for block in blocks)


def _row(row: TableRow, columns: Sequence[Column], options: TableOptions) -> TableRow:
    kept = [place for place, cost in enumerate(COSTS) if cost.name in options.costs]
    scores = [
        _score(score, row, options.digits[column.metric]) for column, score in zip(columns, row.scores, strict=True)
    ]
    if not options.intervals:
        scores = [replace(score, low=None, high=None) for score in scores]
    return replace(row, costs=tuple(row.costs[place] for place in kept), scores=tuple(scores))


def _score(score: Number, row: TableRow, digits: int) -> Number:
    if score.value is None or score.text == MISSING:
        return score
    if row.kind in ("published", "by hand", "seeds"):
        return replace(score, text=_shortened(score.text, digits))
    sign = "+" if row.kind == "difference" else ""
    return replace(score, text=f"{score.value:{sign}.{digits}f}")


def _shortened(text: str, digits: int) -> str:
    """A number in print with no more decimals than these; as it is where its source has fewer."""
    try:
        value = Decimal(text)
        if len(text.partition(".")[2]) <= digits:
            return text
        return str(value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN))
    except InvalidOperation:
        return text
