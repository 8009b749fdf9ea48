"""A paper's table: restorers measured here as rows, tasks as columns, beside what papers print."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...benchmarks.store.folders import write_atomically
from ..analysis.captions import conditions, macs_size, task_label
from ..analysis.cells import Group
from ..analysis.intervals import RESAMPLES, SIGNIFICANT, TEST
from ..analysis.leaderboard import AVERAGE
from ..errors import ReportError
from ..published.bibliography import bibtex
from ..published.rows import PLACES, column_notes, places, published_rows
from .beside_published import blocks
from .formats import EXTENSIONS, render
from .measured_rows import Measured, few_images, measured_rows
from .model import HEADS, METRICS, Column, Metric, PaperTable


def paper_table(
    group: Group | None,
    *,
    suite: str,
    columns: Sequence[str] = METRICS,
    rows: Sequence[str] | None = None,
    published: Sequence[str] = (),
    stem: str | None = None,
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

    Raises:
        ReportError: an unknown metric, restorer, paper or suite, or nothing to show.
    """
    metrics = _metrics(columns)
    printed = published_rows(suite, published) if published else []
    shown = None if group is None else _chosen(group, rows)
    if (shown is None or not shown.contenders) and not printed:
        raise ReportError("a table without rows: name restorers with --rows, or papers with --published")
    shown = shown if shown is not None and shown.contenders else None
    heads = _columns(shown, suite, metrics)
    found, rankings = measured_rows(shown, heads) if shown is not None else ([], [])
    return PaperTable(
        suite=suite,
        stem=stem or (f"{suite}-published" if shown is None else shown.stem),
        caption=_caption(shown, suite, metrics),
        columns=tuple(heads),
        blocks=tuple(blocks(shown, found, printed, heads, named=rows is not None)),
        macs_notes=() if shown is None else (f"measured rows: multiply-adds of one pass over {macs_size(shown)}",),
        remarks=tuple(_remarks(shown, rankings, bool(printed))),
    )


def write_formats(table: PaperTable, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write one table in each format, for LaTeX also its body for ``\\input``, and the ``.bib`` of printed rows beside.

    Raises:
        ReportError: an unknown format.
    """
    for fmt in formats:
        if fmt not in EXTENSIONS:
            raise ReportError(f"--format {fmt}: give one of {', '.join(EXTENSIONS)}")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for fmt in formats:
        files.append(write_atomically(folder / f"{table.stem}{EXTENSIONS[fmt]}", render(table, fmt)))
        if fmt == "latex":
            files.append(write_atomically(folder / f"{table.stem}-body.tex", render(table, "latex-body")))
    if table.citations:
        files.append(write_atomically(folder / f"{table.stem}.bib", bibtex(table.citations)))
    return files


def _metrics(columns: Sequence[str]) -> list[Metric]:
    for name in columns:
        if name not in METRICS:
            raise ReportError(f"--columns {name}: give {' or '.join(METRICS)}, or both with a comma")
    return [metric for metric in METRICS if metric in columns] or list(METRICS)


def _chosen(group: Group, rows: Sequence[str] | None) -> Group:
    """The group with the contenders that are asked for."""
    if rows is None:
        return group
    known = sorted({contender.record.model for contender in group.contenders})
    for name in rows:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise ReportError(f"--rows {name}: not measured on {group.title}; {hint}")
    ordered = [c for name in dict.fromkeys(rows) for c in group.contenders if c.record.model == name]
    return replace(group, contenders=tuple(sorted(ordered, key=lambda contender: not contender.is_input)))


def _columns(group: Group | None, suite: str, metrics: Sequence[Metric]) -> list[Column]:
    """The tasks' columns, then the average's if there are several tasks."""
    known = PLACES.get(suite, {})
    if group is None:
        keys = [f"{task}@{place.dataset}" for task, place in places(suite).items()]
        labels = [key.partition("@")[0].replace("-", " ").replace("_", "+") for key in keys]
    else:
        keys, labels = list(group.tasks), [task_label(group, key) for key in group.tasks]
    found = []
    for key, label in zip(keys, labels, strict=True):
        task, _, dataset = key.partition("@")
        standard = group is None or (task in known and known[task].measured == dataset)
        notes = column_notes(suite, task) if standard else ()
        found += [Column(key=key, label=label, dataset=dataset, metric=metric, notes=notes) for metric in metrics]
    if len(keys) > 1:
        found += [Column(key=AVERAGE, label=AVERAGE, dataset="", metric=metric) for metric in metrics]
    return found


def _caption(group: Group | None, suite: str, metrics: Sequence[Metric]) -> str:
    scores = " and ".join(f"{HEADS[metric]} (dB)" if metric == "psnr" else HEADS[metric] for metric in metrics)
    if group is None:
        datasets = {place.dataset for place in places(suite).values()}
        where = f" on {datasets.pop()}" if len(datasets) == 1 else ""
        return f"{scores} of suite {suite}{where}, as printed in papers."
    return f"{scores} of suite {suite} on {group.datasets}, protocol {group.protocol}."


def _remarks(group: Group | None, measured: Sequence[Measured], printed: bool) -> list[str]:
    """What stands under the table: images, intervals, test, marks."""
    found = []
    if group is not None:
        found.append(f"Measured: {conditions(group)}.")
        found.append(
            f"Brackets: 95 % bootstrap interval over images ({RESAMPLES:,} resamples within each task; BCa where it is "
            "defined)."
        )
        found += _marks(group, measured)
    if printed:
        found.append("Published rows have no scores by image: they have no interval and take no part in the marks.")
    return found


def _marks(group: Group, measured: Sequence[Measured]) -> list[str]:
    if not any(one.ranking for one in measured):
        return ["No marks: no column has two restorers to compare."]
    found = [
        "Among measured rows of a column: bold is the best and significantly better than each other one; a dagger "
        "marks the best ones that cannot be told apart, a tie group; underlined is second, with those not told apart "
        "from it. "
        f"{TEST[0].upper()}{TEST[1:]}, on the images common to the rows, Holm's correction within the column, level "
        f"{SIGNIFICANT}."
    ]
    if any(contender.is_input for contender in group.contenders):
        found.append("The input is not ranked.")
    if few := few_images(measured):
        columns = ", ".join(few)
        found.append(f"Too few images (in brackets) for any difference to be significant, so all tie: {columns}.")
    return found
