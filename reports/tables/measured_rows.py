"""The rows of a paper's table that were measured here: means with intervals, and who is best in each column."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.captions import cluster_kind, hopeless, task_label
from ..analysis.cells import Group, RestorerResult
from ..analysis.leaderboard import AVERAGE, PARTIAL, average_row, cell_row
from ..analysis.restoration import otherwise
from ..analysis.seeds import SeedGroup, printed, seed_groups
from ..analysis.training import training_note
from ..published.metrics import DIGITS, Metric
from .columns import COSTS
from .model import Column, Number, TableRow
from .numbers import number

UNRANKED = "ranked only among rows restored alike"
RECONSTRUCTED = "network rebuilt from its paper, whose code is not published"
WEIGHTS = {
    "official": "the authors' weights",
    "retrained": "weights trained by this suite, not the authors'",
    "bundled": "small network with the weights inside the package, not the published one",
    "file": "weights from a file whose origin is not known",
    "foreign": "a checkpoint from elsewhere, for a network of another package",
    "yours": "a network of the user's own (yours)",
    "untrained": "untrained: random weights",
    "images": "images restored by another tool, whose network was not run here",
}


def measured_rows(group: Group, columns: Sequence[Column], *, partial: bool = False) -> list[TableRow]:
    """A row for each restorer of a group, in its order.

    Args:
        group: what was measured.
        columns: of the table.
        partial: give means over what was scored where images are missing, too; they say so and are not ranked.
    """
    return [
        TableRow(
            kind="input" if restorer.is_input else "measured",
            method=restorer.label,
            model=restorer.record.model,
            costs=tuple(cost.measured(restorer) for cost in COSTS),
            scores=tuple(_score(group, restorer, column, partial=partial) for column in columns),
            notes=() if restorer.is_input else (*_weights(restorer), *_training(restorer)),
        )
        for restorer in group.restorers
    ]


def seed_rows(group: Group, columns: Sequence[Column]) -> list[TableRow]:
    """A row for each lot of weights that belong together, mean ± standard deviation over them; never ranked."""
    return [
        TableRow(
            kind="seeds",
            method=each.label,
            model=each.members[0].record.model,
            costs=tuple(cost.measured(each.members[0]) for cost in COSTS),
            scores=tuple(_spread(group, each, column) for column in columns),
            notes=(f"mean ± standard deviation (n - 1) over {', '.join(each.labels)}, {each.why}; not ranked",),
        )
        for each in seed_groups(group)
    ]


def _spread(group: Group, weights: SeedGroup, column: Column) -> Number:
    spread = weights.spread(group, column.key, column.metric)
    if spread is None:
        return Number()
    return Number(value=spread.mean, text=printed(spread, DIGITS[column.metric]))


def hopeless_columns(group: Group, columns: Sequence[Column]) -> list[str]:
    """A sentence for each number of clusters with which no difference can be significant, with its columns."""
    reasons: dict[str, list[str]] = {}
    for column in columns:
        ranking = group.scoreboard.ranking(column.key, column.metric)
        if ranking is not None and (reason := hopeless(ranking, cluster_kind(group, column.key))):
            reasons.setdefault(reason, []).append(column.label)
    return [f"{reason}, so all tie: {', '.join(dict.fromkeys(names))}." for reason, names in reasons.items()]


def _score(group: Group, restorer: RestorerResult, column: Column, *, partial: bool) -> Number:
    interval = group.scoreboard.score(restorer.label, column.key, column.metric)
    if interval is None:
        some = _mean_of_some(restorer, column) if partial else None
        return some or Number(notes=_lack(group, restorer, column))
    return Number(
        value=interval.mean,
        text=number(interval.mean, DIGITS[column.metric]),
        low=interval.low,
        high=interval.high,
        mark=group.scoreboard.mark(restorer.label, column.key, column.metric),
        images=interval.images,
        clusters=interval.clusters,
        notes=_remarks(restorer, column),
    )


def _mean_of_some(restorer: RestorerResult, column: Column) -> Number | None:
    """The mean over what was scored, of a restorer with images missing; None where nothing was."""
    cells = [restorer.cells[key] for key in restorer.records.tasks if key in restorer.cells]
    rows = [cell_row(cell.record, otherwise(cell), partial=True) for cell in cells]
    whole = average_row(restorer.records, rows, partial=True) if rows else None
    keyed = {AVERAGE: whole, **{cell.record.task_key: row for cell, row in zip(cells, rows, strict=True)}}
    row = keyed.get(column.key)
    value = None if row is None else getattr(row, column.metric)
    if row is None or value is None:
        return None
    # Images that nobody asked for are the same ones in all rows: one footnote says so for all of them.
    where = "" if row.status == PARTIAL else f"{restorer.label}, {column.label}: "
    notes = (f"{where}{row.note} (not ranked)",)
    text = number(value, DIGITS[column.metric])
    return Number(value=value, text=text, images=row.images, partial=True, notes=notes)


def _lack(group: Group, restorer: RestorerResult, column: Column) -> tuple[str, ...]:
    """Why a score is missing."""
    if column.key == AVERAGE:
        without = [task_label(group, key) for key in group.tasks if _reason(restorer, key, column.metric)]
        return (f"{restorer.label}: no average, since there is no complete {' or '.join(without)}",)
    return (f"{restorer.label}, {task_label(group, column.key)}: {_reason(restorer, column.key, column.metric)}",)


def _reason(restorer: RestorerResult, key: str, metric: Metric) -> str:
    """Why a task has no score; empty if it has one."""
    if key not in restorer.cells:
        return "not measured"
    cell = restorer.cells[key]
    if not cell.record.complete:
        return cell_row(cell.record).note or f"{cell.record.scored} of {cell.record.expected} images have scores"
    if cell.values(metric):
        return ""
    if metric == "ssim":
        return f"protocol {cell.record.protocol} has no SSIM"
    return cell_row(cell.record).note or "no image has a score"


def _remarks(restorer: RestorerResult, column: Column) -> tuple[str, ...]:
    """What a reader must know about a mean: images that are left out of it, or were restored otherwise than asked."""
    keys = restorer.cells if column.key == AVERAGE else (column.key,)
    notes = [
        f"{restorer.label}, {key.partition('@')[0].replace('-', ' ')}: {text} ({UNRANKED})"
        for key in keys
        if (text := otherwise(restorer.cells[key]))
    ]
    if column.metric == "psnr" and column.key != AVERAGE and (note := cell_row(restorer.cells[column.key].record).note):
        notes.append(f"{restorer.label}, {column.label}: {note}")
    return tuple(notes)


def _training(restorer: RestorerResult) -> tuple[str, ...]:
    """What the weights say of how they were trained."""
    note = training_note(restorer.record)
    return (note,) if note else ()


def _weights(restorer: RestorerResult) -> tuple[str, ...]:
    """What is known of the weights, and what of the network."""
    weights, provenance = restorer.record.weights, restorer.record.provenance
    reconstructed = weights.reconstructed or provenance == "reconstructed"
    # Records of before version 0.1.0.dev1 have the network's provenance in the weights' place.
    known = (
        provenance if provenance != "reconstructed" else {"bundled": "bundled", "none": "untrained"}.get(weights.kind)
    )
    text = "" if known is None else WEIGHTS.get(known, f"weights: {known}")
    if (known, weights.kind) == ("yours", "none"):
        text = f"{text}, given no weights file: random unless its own code makes others"
    if text and restorer.records.label:
        text = f"{text} ({restorer.records.label})"
    given = f"parameters and MACs: {restorer.record.complexity.statement}" if provenance == "images" else ""
    return tuple(filter(None, (text, RECONSTRUCTED if reconstructed else "", given)))
