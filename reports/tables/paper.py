"""A paper's table: restorers measured here as rows, tasks as columns, beside what papers print."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.captions import conditions, restorers_shown
from ..analysis.cells import Group, chosen
from ..analysis.scoreboard import RESAMPLES, SIGNIFICANT, TEST
from ..errors import ReportError
from ..marks import SENTENCE
from ..published.by_hand import HandRow, check_tasks
from ..published.metrics import HEADS, METRICS, Metric
from ..published.places import places
from ..published.results import load_sources
from ..published.rows import published_rows
from .beside_published import BY_HAND, blocks, by_hand
from .columns import score_columns
from .measured_rows import hopeless_columns, measured_rows, seed_rows
from .model import Block, Column, PaperTable
from .options import PLAIN, TableOptions, printed


def paper_table(
    group: Group | None,
    *,
    suite: str,
    columns: Sequence[str] = METRICS,
    rows: Sequence[str] | None = None,
    published: Sequence[str] = (),
    stem: str | None = None,
    partial: bool = False,
    extra: Sequence[HandRow] = (),
    options: TableOptions = PLAIN,
) -> PaperTable:
    """The table of a suite.

    Args:
        group: what was measured; None for a table of printed rows alone.
        suite: of which suite; for printed rows one of `PLACES`.
        columns: ``psnr``, ``ssim`` or both.
        rows: measured restorers by their names in the registry, their labels or those of their weights, in this order
            (``identity`` is the input, always first); None for all by falling average.
        published: papers' rows, as `published_rows` takes them.
        stem: name for files and label; that of the group or suite if None.
        partial: give means over what was scored where images are missing, too (`measured_rows`).
        extra: rows that the user gives by hand (`hand_rows`), which stand apart and are never ranked.
        options: intervals, digits, costs, names of data sets.

    Raises:
        ReportError: an unknown metric, restorer, paper or suite, or nothing to show.
    """
    metrics = metrics_of(columns)
    rows_in_print = published_rows(suite, published) if published else []
    shown = None if group is None else chosen(group, rows)
    if (shown is None or not shown.restorers) and not rows_in_print and not extra:
        raise ReportError("a table without rows: name restorers with --rows, or papers with --published")
    shown = shown if shown is not None and shown.restorers else None
    heads = score_columns(shown, suite, metrics, options.digits)
    measured = [] if shown is None else measured_rows(shown, heads, partial=partial)
    rows_of = blocks(shown, measured, rows_in_print, heads, named=rows is not None) if measured or rows_in_print else []
    check_tasks(extra, [column.task for column in heads])
    return PaperTable(
        suite=suite,
        stem=stem or (f"{suite}-published" if shown is None else shown.stem),
        caption=_caption(shown, suite, metrics),
        columns=tuple(heads),
        blocks=printed(_with_others(rows_of, shown, heads, extra), heads, options),
        sources={row.citation: row.source for row in extra if row.citation and row.citation not in load_sources()},
        costs=tuple(cost.head(shown) for cost in options.cost_columns),
        remarks=(
            *_remarks(shown, heads, bool(rows_in_print), intervals=options.intervals),
            *_missing_keys(extra),
            *(_others(group, shown, heads) if group is not None and shown is not None else ()),
        ),
        datasets=options.datasets,
    )


def _with_others(
    parts: Sequence[Block], group: Group | None, columns: Sequence[Column], extra: Sequence[HandRow]
) -> list[Block]:
    """The blocks, with weights that belong together below the measured rows, and rows by hand at the end."""
    joined = [] if group is None else seed_rows(group, columns)
    seeds = [Block(heading="Several weights of one network, mean ± standard deviation", rows=tuple(joined))]
    blocks_so_far = [*parts[:1], *(seeds if joined else []), *parts[1:]]
    if not extra:
        return blocks_so_far
    return [*blocks_so_far, Block(heading=BY_HAND, rows=tuple(by_hand(row, columns) for row in extra))]


def _missing_keys(extra: Sequence[HandRow]) -> list[str]:
    """What the user has to add to the ``.bib``."""
    known = load_sources()
    keys = dict.fromkeys(row.citation for row in extra if row.citation and row.citation not in known)
    if not extra:
        return []
    remarks = ["Rows given by hand have no interval and take no part in the marks."]
    if keys:
        remarks.append(f"No BibTeX entry is known for {', '.join(keys)}: the .bib names what is missing.")
    return remarks


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
        partial = any(not restorer.complete for restorer in group.restorers if not restorer.is_input)
        whole = " whose images all have scores" if partial else ""
        return [f"No marks: no column has two restorers{whole} to compare."]
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
