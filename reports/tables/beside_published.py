"""Measured rows with their printed twins, and the other printed rows below.

Measured and printed scores are subtracted only where both are on the same images by the same PSNR; what differs even
there (noise, SSIM window, weights) stands in footnotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..analysis.cells import Group, RestorerResult
from ..analysis.leaderboard import AVERAGE
from ..published.by_hand import HandRow
from ..published.metrics import DIGITS
from ..published.places import PAPERS_PROTOCOLS, column_notes, places
from ..published.rows import PublishedRow, spelling
from ..published.transcriptions import PrintedValue
from .columns import COSTS
from .model import Block, Column, Number, TableRow

NOISE = (
    "noise: the authors draw it from one global stream in file-system order, which cannot be repeated; here it is "
    "drawn for each image from its name"
)
WINDOW = "window: printed and measured SSIM use different windows (uniform 7x7, Gaussian 11x11) and differ for that"
RETRAINED = "retraining: the measured weights are not those of the printed score"
QUOTED = "retraining: the printed score is quoted, maybe of a network retrained by those who quote it"
BY_HAND = "Given by hand, not measured here, not ranked"
PUBLISHED_VARIANT = "paper"
"""Name of the variant that is the published network."""


@dataclass(frozen=True)
class _Common:
    """Keys of the tasks whose scores may be subtracted, and why the others may not (empty if there are none)."""

    keys: frozenset[str]
    reason: str


def blocks(
    group: Group | None,
    measured: Sequence[TableRow],
    printed: Sequence[PublishedRow],
    columns: Sequence[Column],
    *,
    named: bool,
) -> list[Block]:
    """The rows of a table.

    Args:
        group: what was measured; None for printed rows alone.
        measured: a row for each restorer of the group.
        printed: papers' rows.
        columns: of the table.
        named: keep the order of the restorers; otherwise by falling average.
    """
    rows = {one.model: _published(one, columns) for one in printed}
    if group is None:
        return [Block(heading="", rows=tuple(rows.values()))]
    common = _common(group) if printed else _Common(frozenset(), "")
    pairs = list(zip(group.restorers, measured, strict=True))
    if not named:
        last = next(place for place, column in enumerate(columns) if column.key == columns[-1].key)
        pairs.sort(key=lambda pair: (not pair[0].is_input, *_order(pair[1].scores[last]), pair[1].method))
    beside: list[TableRow] = []
    paired: set[str] = set()
    for restorer, row in pairs:
        beside.append(row)
        twin = _twin(restorer, printed) if common.keys else None
        if twin is not None and _is_published_network(restorer, twin):
            beside.append(replace(rows[twin.model], method=f"{twin.model}, published"))
            beside.append(_difference(restorer, row, twin, columns, common))
            paired.add(twin.model)
        elif twin is not None:
            text = f"{row.method} is not the published {twin.model} with its weights: no difference is formed"
            rows[twin.model] = replace(rows[twin.model], notes=(*rows[twin.model].notes, text))
    parts = [Block(heading="", rows=tuple(beside))]
    rest = tuple(row for model, row in rows.items() if model not in paired)
    if rest:
        parts.append(_printed_block(group, rest, columns, common))
    return parts


def _order(score: Number) -> tuple[bool, float]:
    """By falling score; means over some of the images come after all others, since they are not of the same."""
    return score.partial, -(score.value or -1e9)


def _common(group: Group) -> _Common:
    """Which tasks of a group are on the papers' images under the papers' protocol."""
    if group.protocol.partition("@")[0] not in PAPERS_PROTOCOLS:
        return _Common(frozenset(), f"measured under {group.protocol}, printed under promptir@1 or its like")
    known = places(group.suite)
    standard = {key: known[key.partition("@")[0]].measured for key in group.tasks}
    others = [key for key in group.tasks if standard[key] != key.partition("@")[2]]
    if not others:
        return _Common(frozenset(group.tasks), "")
    here = ", ".join(sorted({key.partition("@")[2] for key in others}))
    there = ", ".join(dict.fromkeys(standard[key] for key in others))
    return _Common(frozenset(group.tasks) - set(others), f"measured on {here}, printed on {there}: other images")


def _printed_block(group: Group, rows: tuple[TableRow, ...], columns: Sequence[Column], common: _Common) -> Block:
    if not common.reason:
        return Block(heading="Published", rows=rows)
    part = "in part" if common.keys else "not"
    known = {note for column in columns for note in column.notes}
    tasks = dict.fromkeys(key.partition("@")[0] for key in group.tasks)
    traps = dict.fromkeys(note for task in tasks for note in column_notes(group.suite, task) if note not in known)
    reason = f"{common.reason}, so these scores are not comparable"
    return Block(heading=f"Published, {part} comparable with measured rows", rows=rows, notes=(reason, *traps))


def _twin(restorer: RestorerResult, printed: Sequence[PublishedRow]) -> PublishedRow | None:
    """The printed row of the same restorer, if it has scores: its variant's (MoCE-IR-S) before any of its name."""
    named = {spelling(row.model): row for row in printed if row.scores}
    found = (named.get(name) for name in (_variants_name(restorer), *_names(restorer)))
    return next((row for row in found if row is not None), None)


def _names(restorer: RestorerResult) -> tuple[str, str]:
    return spelling(restorer.record.title), spelling(restorer.record.model)


def _variants_name(restorer: RestorerResult) -> str:
    """How papers name a variant that is a network of its own: ``moceir`` in the variant ``s`` is MoCE-IR-S."""
    return spelling(f"{restorer.record.model} {restorer.record.variant}")


def _is_published_network(restorer: RestorerResult, twin: PublishedRow) -> bool:
    """Whether what was measured is the network, with some trained weights, of which the printed row is."""
    record = restorer.record
    if record.overrides or record.provenance in ("untrained", "yours"):
        return False
    name = spelling(twin.model)
    return name == _variants_name(restorer) or (record.variant == PUBLISHED_VARIANT and name in _names(restorer))


def _published(row: PublishedRow, columns: Sequence[Column]) -> TableRow:
    return TableRow(
        kind="published",
        method=row.model,
        model=row.model,
        citation=row.source,
        costs=tuple(cost.printed(row.model) for cost in COSTS),
        scores=tuple(Number.printed(row.score(column.task, column.metric)) for column in columns),
        notes=row.notes,
    )


def by_hand(row: HandRow, columns: Sequence[Column]) -> TableRow:
    """A row that the user gives by hand."""
    return TableRow(
        kind="by hand",
        method=row.method,
        model=row.method,
        citation=row.citation,
        costs=tuple(Number.printed(row.costs.get(cost.name, PrintedValue())) for cost in COSTS),
        scores=tuple(Number.printed(row.score(column.task, column.metric)) for column in columns),
        notes=row.remarks,
    )


def _difference(
    restorer: RestorerResult, row: TableRow, twin: PublishedRow, columns: Sequence[Column], common: _Common
) -> TableRow:
    """Measured minus published, with the reasons why they differ."""
    everything = not common.reason
    scores = []
    for column, score in zip(columns, row.scores, strict=True):
        printed = twin.score(column.task, column.metric).value
        wanted = column.key in common.keys or (column.key == AVERAGE and everything)
        if not wanted or score.value is None or printed is None:
            scores.append(Number())
            continue
        value = score.value - printed
        notes = _reasons(restorer, twin, column)
        scores.append(Number(value=value, text=f"{value:+.{DIGITS[column.metric]}f}", notes=notes))
    why = [RETRAINED] if restorer.record.provenance != "official" else []
    if twin.quoted:
        why.append(QUOTED)
    if common.reason:
        why.append(f"{common.reason}, so no difference is formed there")
    return TableRow(
        kind="difference",
        method="measured minus published",
        model=row.model,
        costs=(Number(),) * len(COSTS),
        scores=tuple(scores),
        notes=tuple(why),
    )


def _reasons(restorer: RestorerResult, twin: PublishedRow, column: Column) -> tuple[str, ...]:
    """Why a measured score may differ from the printed one of the same network with the same weights."""
    drawn = [key for key in restorer.records.tasks if key.startswith("denoise")]
    reasons = []
    if column.key in drawn or (column.key == AVERAGE and drawn):
        reasons.append(NOISE)
    gaussian = restorer.record.protocol.startswith("moceir"), twin.model.startswith("MoCE-IR")
    if column.metric == "ssim" and gaussian[0] != gaussian[1]:
        reasons.append(WINDOW)
    return tuple(reasons)
