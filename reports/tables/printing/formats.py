"""A paper's table as LaTeX, Markdown, CSV or HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ....atomic import write_text
from ...errors import ReportError
from ...escape import csv_cell, file_stem, visible
from ...escape import markdown as in_markdown
from ...marks import TIE
from ...published.bibliography import bibtex
from ...published.results import load_sources
from ..model import Column, Number, PaperTable, TableRow
from .html import html_document
from .latex import latex_body, latex_document

EXTENSIONS = {"latex": ".tex", "markdown": ".md", "csv": ".csv", "html": ".html"}
CSV_HEADER = (
    *(
        "suite",
        "method",
        "model",
        "kind",
        "task",
        "dataset",
        "metric",
        "mean",
        "low",
        "high",
        "images",
        "clusters",
        "mark",
    ),
    *("printed", "source", "notes"),
)


def render(table: PaperTable, fmt: str) -> str:
    """The table as text.

    Args:
        table: what to print.
        fmt: ``latex`` (a document that compiles as it is), ``latex-body`` (its float alone, for a paper),
            ``markdown``, ``csv`` or ``html``.
    """
    renderers: dict[str, Callable[[PaperTable], str]] = {
        "latex": latex_document,
        "latex-body": latex_body,
        "markdown": markdown,
        "csv": tidy_csv,
        "html": html_document,
    }
    return renderers[fmt](table)


def write_formats(table: PaperTable, formats: Sequence[str], folder: Path) -> list[Path]:
    """Write one table in each format, for LaTeX also its body for ``\\input``, and the ``.bib`` of printed rows beside.

    Raises:
        ReportError: an unknown format.
    """
    for fmt in formats:
        if fmt not in EXTENSIONS:
            raise ReportError(f"--format {fmt}: give one of {', '.join(EXTENSIONS)}")
    folder.mkdir(parents=True, exist_ok=True)
    files, stem = [], file_stem(table.stem)
    for fmt in formats:
        files.append(write_text(folder / f"{stem}{EXTENSIONS[fmt]}", render(table, fmt)))
        if fmt == "latex":
            files.append(write_text(folder / f"{stem}-body.tex", render(table, "latex-body")))
    if table.citations:
        files.append(write_text(folder / f"{stem}.bib", _bibliography(table)))
    return files


def _bibliography(table: PaperTable) -> str:
    """The ``.bib``; a key of the user's for which no entry is known is said to be missing in a comment."""
    entries = bibtex([key for key in table.citations if key not in table.sources])
    lacking = [
        f"% {key} is missing: add its entry here ({visible(text)})"
        for key, text in table.sources.items()
        if key in table.citations
    ]
    return "\n".join(filter(None, (entries, *lacking))) + ("\n" if lacking else "")


def markdown(table: PaperTable) -> str:
    """A pipe table with its footnotes; intervals stand behind the means."""
    signs = table.footnotes()
    heads = [table.first.lower(), *(in_markdown(cost.heading) + _signs(cost.notes, signs) for cost in table.costs)]
    heads += [_head(column, table) + _signs(column.notes, signs) for column in table.columns]
    lines = [_pipes(heads), _pipes(["---"] + ["---:"] * (len(heads) - 1))]
    for block in table.blocks:
        if block.heading:
            lines.append(
                _pipes([f"*{in_markdown(block.heading)}*{_signs(block.notes, signs)}"] + [""] * (len(heads) - 1))
            )
        lines += [_pipes(_markdown_cells(row, table, signs)) for row in block.rows]
    notes = [f"- <sup>{sign}</sup> {in_markdown(text)}" for text, sign in signs.items()]
    known = {**load_sources(), **table.sources}
    sources = [f"- [{key}] {in_markdown(known[key])}" for key in table.citations]
    parts = [[f"**{in_markdown(table.caption)}**"], lines, [" ".join(map(in_markdown, table.remarks))], notes, sources]
    return "\n\n".join("\n".join(part) for part in parts if any(part)) + "\n"


def _head(column: Column, table: PaperTable) -> str:
    dataset = f" ({column.dataset})" if column.dataset and table.heads_name_sets else ""
    return f"{in_markdown(column.label + dataset)} {in_markdown(column.unit)}".strip()


def _markdown_cells(row: TableRow, table: PaperTable, signs: Mapping[str, str]) -> list[str]:
    name = in_markdown(row.method) + (f" [{row.citation}]" if row.citation else "") + _signs(row.notes, signs)
    scores = [
        _before(score, signs) + " ".join(filter(None, (_marked(score), score.bounds(column.decimals))))
        for column, score in zip(table.columns, row.scores, strict=True)
    ]
    return [name, *(_signs(number.notes, signs) + number.text for number in row.costs), *scores]


def _before(score: Number, signs: Mapping[str, str]) -> str:
    """Footnotes and the dagger of a tie: columns end at the right, so what stands before a number moves no digit."""
    return _signs(score.notes, signs) + (TIE if score.mark == "tie" else "")


def _marked(score: Number) -> str:
    marks = {"best": f"**{score.text}**", "second": f"<u>{score.text}</u>"}
    return marks.get(score.mark or "", score.text)


def _signs(notes: Iterable[str], signs: Mapping[str, str]) -> str:
    listed = ",".join(signs[note] for note in notes)
    return f"<sup>{listed}</sup>" if listed else ""


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def tidy_csv(table: PaperTable) -> str:
    """One line for each method, task and metric, and for each of its costs, with every digit.

    Of a table of images, one for each image, restorer and metric.
    """
    if table.long:
        return _images_csv(table)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in table.rows:
        scores = zip(table.columns, row.scores, strict=True)
        costs = zip(table.costs, row.costs, strict=True)
        writer.writerows(_line(table, row, "", "", cost.name, number) for cost, number in costs)
        writer.writerows(_line(table, row, c.label, c.dataset, c.metric, score) for c, score in scores)
    return buffer.getvalue()


def _images_csv(table: PaperTable) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("suite", "image", "restorer", "metric", "value"))
    for row in table.rows:
        for column, score in zip(table.columns, row.scores, strict=True):
            exact = "" if score.value is None else repr(score.value)
            writer.writerow([*map(csv_cell, (table.suite, row.method, column.label)), column.metric, exact])
    return buffer.getvalue()


def _line(table: PaperTable, row: TableRow, task: str, dataset: str, metric: str, number: Number) -> list[str]:
    values = [number.value, number.low, number.high, number.images, number.clusters]
    exact = ["" if value is None else repr(value) for value in values]
    if row.kind in ("published", "by hand"):
        exact[0] = "" if number.value is None else number.text
    where = row.citation if row.kind in ("published", "by hand") else "restorebench"
    named = [table.suite, row.method, row.model, row.kind, task, dataset, metric]
    printed = ["" if number.value is None else number.text, where, "; ".join((*row.notes, *number.notes))]
    return [*map(csv_cell, named), *exact, number.mark or "", *map(csv_cell, printed)]
