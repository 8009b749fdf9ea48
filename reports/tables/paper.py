"""A paper's table: restorers measured here as rows, tasks as columns, beside what papers print."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.captions import conditions, restorers_shown
from ..analysis.cells import Group
from ..analysis.scoreboard import RESAMPLES, SIGNIFICANT, TEST
from ..analysis.selection import chosen
from ..errors import ReportError
from ..marks import SENTENCE
from ..published.metrics import HEADS, METRICS, Metric
from ..published.places import places
from ..published.rows import published_rows
from .beside_published import blocks
from .columns import score_columns
from .measured_rows import hopeless_columns, measured_rows
from .model import Column, PaperTable
from .options import PLAIN, TableOptions, printed


def paper_table(
    group: Group | None,
    *,
    suite: str,
    columns: Sequence[str] = METRICS,
    rows: Sequence[str] | None = None,
    published: Sequence[str] = (),
    stem: str | None = None,
    options: TableOptions = PLAIN,
) -> PaperTable:
    """The table of a suite.

    Args:
        group: what was measured; None for a table of printed rows alone.
        suite: of which suite; for printed rows one of `PLACES`.
        columns: ``psnr``, ``ssim`` or both.
        rows: measured restorers by their names in the registry, in this order (``identity`` is the input, always
            first); None for all by falling average.
        published: papers' rows, as `published_rows` takes them.
        stem: name for files and label; that of the group or suite if None.
        options: intervals, digits, costs, names of data sets.

    Raises:
        ReportError: an unknown metric, restorer, paper or suite, or nothing to show.
    """
    metrics = metrics_of(columns)
    rows_in_print = published_rows(suite, published) if published else []
    shown = None if group is None else chosen(group, rows)
    if (shown is None or not shown.restorers) and not rows_in_print:
        raise ReportError("a table without rows: name restorers with --rows, or papers with --published")
    shown = shown if shown is not None and shown.restorers else None
    heads = score_columns(shown, suite, metrics, options.digits)
    measured = [] if shown is None else measured_rows(shown, heads)
    rows_of = blocks(shown, measured, rows_in_print, heads, named=rows is not None)
    return PaperTable(
        suite=suite,
        stem=stem or (f"{suite}-published" if shown is None else shown.stem),
        caption=_caption(shown, suite, metrics),
        columns=tuple(heads),
        blocks=printed(rows_of, heads, options),
        costs=tuple(cost.head(shown) for cost in options.cost_columns),
        remarks=(
            *_remarks(shown, heads, bool(rows_in_print), intervals=options.intervals),
            *(_others(group, shown, heads) if group is not None and shown is not None else ()),
        ),
        datasets=options.datasets,
    )


def metrics_of(columns: Sequence[str]) -> list[Metric]:
    """Metrics by their names, both where none is named.

    Raises:
        ReportError: an unknown one.
    """
    for name in columns:
        if name not in METRICS:
            raise ReportError(f"--columns {name}: give {' or '.join(METRICS)}, or both with a comma")
    return [metric for metric in METRICS if metric in columns] or list(METRICS)


def _caption(group: Group | None, suite: str, metrics: Sequence[Metric]) -> str:
    scores = " and ".join(f"{HEADS[metric]} (dB)" if metric == "psnr" else HEADS[metric] for metric in metrics)
    if group is None:
        datasets = {place.dataset for place in places(suite).values()}
        where = f" on {datasets.pop()}" if len(datasets) == 1 else ""
        return f"{scores} of suite {suite}{where}, as printed in papers."
    return f"{scores} of suite {suite} on {group.datasets}, protocol {group.protocol}."


def _remarks(group: Group | None, columns: Sequence[Column], published: bool, *, intervals: bool) -> list[str]:
    """What stands under the table: images, intervals, test, marks."""
    remarks = []
    if group is not None:
        remarks.append(f"Measured: {conditions(group)}.")
        if intervals:
            remarks.append(
                f"Brackets: 95 % bootstrap interval ({RESAMPLES:,} resamples of whole clusters, which are the scenes, "
                "photographs or sequences that images come from; BCa where it is defined)."
            )
        remarks += _marks(group, columns)
    if published:
        remarks.append("Published rows have no scores by image: they have no interval and take no part in the marks.")
    return remarks


def _marks(group: Group, columns: Sequence[Column]) -> list[str]:
    rankings = [group.scoreboard.ranking(column.key, column.metric) for column in columns]
    if not any(ranking is not None and len(ranking.order) > 1 for ranking in rankings):
        return ["No marks: no column has two restorers to compare."]
    family = " or ".join(dict.fromkeys(restorers_shown(r) for r in rankings if r is not None and len(r.order) > 1))
    remarks = [
        f"Among measured rows of a column: {SENTENCE}. "
        f"{TEST[0].upper()}{TEST[1:]}, signs by cluster, on the images common to the rows, Holm's correction "
        f"within the column {family}, level {SIGNIFICANT}."
    ]
    if any(restorer.is_input for restorer in group.restorers):
        remarks.append("The input is not ranked.")
    return remarks + hopeless_columns(group, columns)


def _others(whole: Group, shown: Group, columns: Sequence[Column]) -> list[str]:
    """Which measured restorers are not shown, and where the marks would be others with them."""
    labels = {restorer.label for restorer in shown.restorers}
    hidden = [r.label for r in whole.restorers if r.label not in labels and not r.is_input]
    if not hidden:
        return []
    changed = [
        f"{column.label} {HEADS[column.metric]}"
        for column in columns
        if any(
            whole.scoreboard.mark(label, column.key, column.metric)
            != shown.scoreboard.mark(label, column.key, column.metric)
            for label in labels
        )
    ]
    text = f"Measured, but neither shown nor compared: {', '.join(hidden)}"
    return [f"{text}; with them the marks are others in {', '.join(changed)}." if changed else f"{text}."]
