"""``bench report``: everything that is derived from a results folder, in one go or piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic import write_text
from .analysis.cells import Group, groups, read_cells, stems
from .errors import ReportError
from .escape import visible
from .figures.style import save, styles
from .figures.training import draw_training
from .figures.writer import write_figures
from .methods import methods_text
from .page.writer import write_page
from .published.results import SETTINGS
from .tables.formats import render, write_formats
from .tables.leaderboard import write_leaderboard
from .tables.paper import paper_table
from .tables.terminal import terminal_table
from .tables.training import curves_csv, training_markdown

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
    several, problems = _stored(results)
    files = write_leaderboard(results)
    for group, stem in zip(several, stems(several), strict=True):
        files += write_formats(paper_table(group, suite=group.suite, stem=stem), FORMATS, results / TABLES)
    if several:
        files.append(write_text(results / "methods.txt", methods_text(several) + "\n"))
    files += _training(several, results)
    files += write_figures(several, results / FIGURES)
    files.append(write_page(several, results / PAGE, problems=problems))
    return Report(terminal_table(several), files)


def _training(several: Sequence[Group], results: Path) -> list[Path]:
    """``training.md``, and for each group with two trainings or more its curves as CSV and figure."""
    written: list[Path] = []
    text = "\n".join(filter(None, map(training_markdown, several)))
    if text:
        written.append(write_text(results / "training.md", "# What the weights cost\n\n" + text))
    looks = styles(c.label for group in several for c in group.restorers if not c.is_input)
    for group, stem in zip(several, stems(several), strict=True):
        figure = draw_training(group, looks)
        if figure is not None:
            written += save(figure, results / FIGURES, f"{stem}-training")
            written.append(write_text(results / FIGURES / f"{stem}-training.csv", curves_csv(group)))
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
    several = _groups(results) if results.is_dir() else []
    fitting = [g for g in several if g.suite == suite and protocol in (None, g.protocol)]
    if len(fitting) > 1:
        titles = "; ".join(group.title for group in fitting)
        raise ReportError(f"{results} has suite {suite} more than once ({titles}): choose with --protocol")
    if fitting:
        return fitting[0]
    if alone and suite in SETTINGS:
        logger.info("%s has no cells of suite %s: published rows only", results, suite)
        return None
    suites = ", ".join(sorted({group.suite for group in several})) or "none"
    hint = "give one of these, or run it first (bench list tasks)"
    raise ReportError(f"{results} has no cells of suite {suite}; it has {suites}; {hint}")


def methods_of(results: Path) -> str:
    """The methods paragraph.

    Raises:
        ReportError: the store is empty.
    """
    several = _groups(results)
    if not several:
        raise ReportError(f"{results} has no finished cells; bench run makes them")
    return methods_text(several)


def figures_of(results: Path, *, images: Mapping[str, str], count: int) -> list[Path]:
    """The figures, with a strip of each image that is named.

    Raises:
        ReportError: an image or task that is not there.
    """
    return write_figures(_groups(results), results / FIGURES, images=images, count=count)


def page_of(results: Path) -> Path:
    """The static page."""
    several, problems = _stored(results)
    return write_page(several, results / PAGE, problems=problems)


def _groups(results: Path) -> list[Group]:
    return _stored(results)[0]


def _stored(results: Path) -> tuple[list[Group], list[str]]:
    """The groups of a results folder, and a line, also logged, for each cell that could not be read."""
    cells, problems = read_cells(results)
    for problem in problems:
        logger.warning("left out of the report: %s", visible(problem))
    return groups(cells), problems
