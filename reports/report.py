"""``bench report``: everything that is derived from a results folder, in one go or piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..benchmarks.store.folders import write_atomically
from .analysis.cells import Group, groups, read_cells, stems
from .analysis.training import budget_markdown, curves_csv
from .errors import ReportError
from .figures.style import save, styles
from .figures.training import draw_budgets
from .figures.writer import write_figures
from .methods import methods_text
from .page.writer import write_page
from .published.results import SETTINGS
from .tables.formats import render
from .tables.leaderboard import publish
from .tables.paper import paper_table, write_formats
from .tables.terminal import terminal_table

logger = logging.getLogger("restorebench")

FORMATS = ("latex", "markdown", "csv", "html")
PAGE = "report"
TABLES = "tables"
FIGURES = "figures"


@dataclass(frozen=True)
class Report:
    """What `write_report` wrote, and the summary that the terminal shows."""

    summary: str
    files: list[Path]


def write_report(results: Path) -> Report:
    """Write leaderboard, tables in all formats, methods, training budgets, figures and page of a results folder."""
    found, problems = _stored(results)
    files = list(publish(results).files)
    for group, stem in zip(found, stems(found), strict=True):
        files += write_formats(paper_table(group, suite=group.suite, stem=stem), FORMATS, results / TABLES)
    if found:
        files.append(write_atomically(results / "methods.txt", methods_text(found) + "\n"))
    files += _budgets(found, results)
    files += write_figures(found, results / FIGURES)
    files.append(write_page(found, results / PAGE, problems=problems))
    return Report(terminal_table(found), files)


def _budgets(found: Sequence[Group], results: Path) -> list[Path]:
    """``training.md``, and for each group with two trainings or more its curves as CSV and figure."""
    written: list[Path] = []
    text = "\n".join(filter(None, map(budget_markdown, found)))
    if text:
        written.append(write_atomically(results / "training.md", "# What the weights cost\n\n" + text))
    looks = styles(c.label for group in found for c in group.contenders if not c.is_input)
    for group, stem in zip(found, stems(found), strict=True):
        figure = draw_budgets(group, looks)
        if figure is not None:
            written += save(figure, results / FIGURES, f"{stem}-training")
            written.append(write_atomically(results / FIGURES / f"{stem}-training.csv", curves_csv(group)))
    return written


def paper_table_files(
    results: Path,
    *,
    suite: str,
    protocol: str | None,
    fmt: str,
    columns: Sequence[str],
    rows: Sequence[str] | None,
    published: Sequence[str],
    folder: Path,
) -> tuple[list[Path], str]:
    """One paper table and its ``.bib``; without measured cells of the suite it has published rows only.

    Raises:
        ReportError: no such suite, several protocols or sets of images, an unknown column or restorer, or no row.
        PublishedError: an unknown paper.
    """
    group = _only_group(results, suite, protocol, wanted=rows is None or bool(rows), alone=bool(published))
    table = paper_table(group, suite=suite, columns=columns, rows=rows, published=published)
    return write_formats(table, [fmt], folder), render(table, fmt)


def _only_group(results: Path, suite: str, protocol: str | None, *, wanted: bool, alone: bool) -> Group | None:
    """The measured group of a suite; None where published rows stand alone."""
    if not wanted:
        return None
    found = _groups(results) if results.is_dir() else []
    fitting = [g for g in found if g.suite == suite and protocol in (None, g.protocol)]
    if len(fitting) > 1:
        titles = "; ".join(group.title for group in fitting)
        raise ReportError(f"{results} has suite {suite} more than once ({titles}): choose with --protocol")
    if fitting:
        return fitting[0]
    if alone and suite in SETTINGS:
        logger.info("%s has no cells of suite %s: published rows only", results, suite)
        return None
    suites = ", ".join(sorted({group.suite for group in found})) or "none"
    hint = "give one of these, or run it first (bench list tasks)"
    raise ReportError(f"{results} has no cells of suite {suite}; it has {suites}; {hint}")


def methods_of(results: Path) -> str:
    """The methods paragraph.

    Raises:
        ReportError: the store is empty.
    """
    found = _groups(results)
    if not found:
        raise ReportError(f"{results} has no finished cells; bench run makes them")
    return methods_text(found)


def figures_of(results: Path, *, images: Mapping[str, str], count: int) -> list[Path]:
    """The figures, with a strip of each image that is named.

    Raises:
        ReportError: an image or task that is not there.
    """
    return write_figures(_groups(results), results / FIGURES, images=images, count=count)


def page_of(results: Path) -> Path:
    """The static page."""
    found, problems = _stored(results)
    return write_page(found, results / PAGE, problems=problems)


def _groups(results: Path) -> list[Group]:
    return _stored(results)[0]


def _stored(results: Path) -> tuple[list[Group], list[str]]:
    """The groups of a results folder, and a line, also logged, for each cell that could not be read."""
    cells, problems = read_cells(results)
    for problem in problems:
        logger.warning("left out of the report: %s", problem)
    return groups(cells), problems
