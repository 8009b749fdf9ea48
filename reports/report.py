"""``bench report``: everything that is derived from a results folder, in one go or piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..atomic import remove_parts, write_text
from ..messages import nearest, no_results_folder, one_line
from .analysis.cells import Group, groups, stems
from .analysis.vetting import stored_cells
from .errors import ReportError
from .escape import visible
from .figures.options import HOUSE, FigureOptions, StripOptions
from .figures.style import save, styles
from .figures.training import draw_training
from .figures.writer import STRIPS, write_figures
from .methods import methods_text
from .outputs import inside
from .page.images import IMAGES
from .page.writer import ASSETS, write_page
from .prose import methods_bibtex, methods_latex, methods_markdown
from .published.by_hand import hand_rows
from .published.results import SETTINGS
from .tables.leaderboard import write_leaderboard
from .tables.options import PLAIN, TableOptions
from .tables.paper import metrics_of, paper_table
from .tables.per_image import per_image_tables
from .tables.printing.formats import render, write_formats
from .tables.terminal import terminal_table
from .tables.training import curves_csv, training_markdown

logger = logging.getLogger("restorebench")

FORMATS = ("latex", "markdown", "csv", "html")
PAGE = "report"
TABLES = "tables"
FIGURES = "figures"
METHODS: dict[str, tuple[str, Callable[[Sequence[Group]], str]]] = {
    "text": ("methods.txt", methods_text),
    "markdown": ("methods.md", methods_markdown),
    "latex": ("methods.tex", methods_latex),
}
"""Name and writer of the methods paragraph in each format."""


@dataclass(frozen=True)
class Report:
    """What `write_report` wrote.

    Attributes:
        summary: what the terminal shows.
        files: all that was written.
        left_out: a line for each stored cell that is in none of them, and for each piece that could not be made.
        whole: whether every piece could be made of the cells that could be read.
    """

    summary: str
    files: list[Path]
    left_out: list[str]
    whole: bool


def write_report(results: Path, output: Path | None = None, *, partial: bool = False) -> Report:
    """Write leaderboard, tables in all formats, methods, training budgets, figures and page of a results folder.

    What one piece lacks costs that piece: the others are written.

    Args:
        results: the store, which is only read where `output` is another folder.
        output: where everything goes; made if it is not there.
        partial: summary and tables average what was scored where images are missing, and say how many they are.

    Raises:
        OSError: a file could not be written.
        ReportError: a link inside `output` leads out of it.
    """
    output = output or results
    output.mkdir(parents=True, exist_ok=True)
    tables, figures, page = (inside(output, name) for name in (TABLES, FIGURES, PAGE))
    for name in (f"{FIGURES}/{STRIPS}", f"{PAGE}/{IMAGES}", f"{PAGE}/{ASSETS}"):
        inside(output, name)
    for place in (output, tables, figures, figures / STRIPS):
        remove_parts(place)
    several, problems = _stored(results)
    failed: list[str] = []
    files = write_leaderboard(results, output)
    summaries = []
    for group, stem in zip(several, stems(several), strict=True):
        with _alone(f"summary of {group.title}", failed):
            summaries.append(terminal_table([group], partial=partial))
        with _alone(f"tables of {group.title}", failed):
            files += write_formats(paper_table(group, suite=group.suite, stem=stem, partial=partial), FORMATS, tables)
    if several:
        with _alone("methods.txt", failed):
            files.append(write_text(output / "methods.txt", methods_text(several) + "\n"))
        with _alone("methods.md and methods.tex", failed):
            files.append(write_text(output / "methods.md", methods_markdown(several)))
            files.append(write_text(output / "methods.tex", methods_latex(several)))
            files.append(write_text(output / "methods.bib", methods_bibtex(several)))
    with _alone("what training cost", failed):
        files += _training(several, output, figures)
    with _alone("figures", failed):
        files += write_figures(several, figures)
    with _alone("the page", failed):
        files.append(write_page(several, page, problems=[*problems, *failed]))
    return Report("\n\n".join(summaries) or terminal_table([]), files, [*problems, *failed], whole=not failed)


@contextmanager
def _alone(what: str, failed: list[str]) -> Iterator[None]:
    """Whatever goes wrong with a piece of a report is one line; a file that cannot be written ends the report."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # stored files come from anywhere, and one of them must not cost the other pieces
        failed.append(f"{what} could not be made: {one_line(error)}")
        logger.warning("%s", visible(failed[-1]))
        logger.debug("%s", what, exc_info=error)


def _training(several: Sequence[Group], output: Path, figures: Path) -> list[Path]:
    """``training.md``, and for each group with two trainings or more its curves as CSV and figure."""
    written: list[Path] = []
    text = "\n".join(filter(None, map(training_markdown, several)))
    if text:
        written.append(write_text(output / "training.md", "# What the weights cost\n\n" + text))
    looks = styles(c.label for group in several for c in group.restorers if not c.is_input)
    for group, stem in zip(several, stems(several), strict=True):
        figure = draw_training(group, looks)
        if figure is not None:
            written += save(figure, figures, f"{stem}-training")
            written.append(write_text(figures / f"{stem}-training.csv", curves_csv(group)))
    return written


def paper_table_files(
    results: Path,
    *,
    suite: str,
    protocol: str | None,
    data: str | None = None,
    fmt: str,
    columns: Sequence[str],
    rows: Sequence[str] | None,
    published: Sequence[str],
    folder: Path,
    partial: bool = False,
    extra: Path | None = None,
    options: TableOptions = PLAIN,
) -> tuple[list[Path], str]:
    """One paper table and its ``.bib``; without measured cells of the suite it has published rows only.

    Args:
        results, suite, protocol: what was measured.
        data: name of the images, as titles have it, or of the group's files, where there are several.
        fmt, columns, rows, published, partial: as of `paper_table`.
        folder: for the files.
        extra: a file of rows by hand (`published/by_hand.py`).

    Raises:
        ReportError: no such suite, several protocols or sets of images, an unknown column or restorer, or no row.
        PublishedError: an unknown paper.
    """
    by_hand = [] if extra is None else hand_rows(extra)
    alone = bool(published) or bool(by_hand)
    group = _only_group(results, suite, protocol, data, wanted=rows is None or bool(rows), alone=alone)
    table = paper_table(
        group,
        suite=suite,
        columns=columns,
        rows=rows,
        published=published,
        partial=partial,
        extra=by_hand,
        options=options,
    )
    return write_formats(table, [fmt], folder), render(table, fmt)


def image_table_files(
    results: Path,
    *,
    suite: str,
    protocol: str | None,
    data: str | None = None,
    fmt: str,
    columns: Sequence[str],
    rows: Sequence[str] | None,
    tasks: Sequence[str],
    folder: Path,
    options: TableOptions = PLAIN,
) -> tuple[list[Path], str]:
    """A table of every image for each task of a suite, which is chosen as for `paper_table_files`.

    Raises:
        ReportError: no such suite, task or restorer, several protocols or sets of images, or an unknown column.
    """
    group = _only_group(results, suite, protocol, data, wanted=True, alone=False)
    assert group is not None
    tables = per_image_tables(group, metrics=metrics_of(columns), tasks=tasks, rows=rows, options=options)
    files = [path for table in tables for path in write_formats(table, [fmt], folder)]
    return files, "\n".join(render(table, fmt) for table in tables)


def _only_group(
    results: Path, suite: str, protocol: str | None, data: str | None, *, wanted: bool, alone: bool
) -> Group | None:
    """The measured group of a suite; None where published rows stand alone."""
    if not wanted:
        return None
    several = _groups(results) if results.is_dir() else []
    of_suite = [(group, stem) for group, stem in zip(several, stems(several), strict=True) if group.suite == suite]
    fitting = [
        (group, stem)
        for group, stem in of_suite
        if protocol in (None, group.protocol) and data in (None, group.datasets, stem)
    ]
    if len(fitting) > 1:
        titles = "; ".join(group.title for group, _ in fitting)
        raise ReportError(f"{results} has suite {suite} more than once ({titles}): choose with {_choice(fitting)}")
    if fitting:
        return fitting[0][0]
    if alone and suite in SETTINGS:
        logger.info("%s has no cells of suite %s: published rows only", results, suite)
        return None
    if of_suite:
        raise ReportError(_not_measured(results, suite, [group for group, _ in of_suite], protocol, data))
    if not results.is_dir():
        raise ReportError(no_results_folder(results))
    suites = ", ".join(sorted({group.suite for group in several})) or "none"
    hint = "give one of these, or run it first (bench list tasks)"
    raise ReportError(f"{results} has no cells of suite {suite}; it has {suites}; {hint}")


def _choice(several: Sequence[tuple[Group, str]]) -> str:
    """The options that tell groups of one suite apart, with their values."""
    told = len({(group.datasets, group.protocol) for group, _ in several}) == len(several)
    named = {
        "--data": dict.fromkeys(group.datasets if told else stem for group, stem in several),
        "--protocol": dict.fromkeys(group.protocol for group, _ in several),
    }
    return " and ".join(f"{option} {' or '.join(values)}" for option, values in named.items() if len(values) > 1)


def _not_measured(results: Path, suite: str, there: Sequence[Group], protocol: str | None, data: str | None) -> str:
    """One line for images or a protocol that a suite was not measured on."""
    known = {"--data": {group.datasets for group in there}, "--protocol": {group.protocol for group in there}}
    given = {option: text for option, text in (("--data", data), ("--protocol", protocol)) if text is not None}
    asked = " and ".join(f"{option} {text}{nearest(text, known[option])}" for option, text in given.items())
    return f"{results} has no cells of suite {suite} with {asked}; it has {'; '.join(group.title for group in there)}"


def methods_of(results: Path, fmt: str = "text", output: Path | None = None) -> tuple[list[Path], str]:
    """The methods paragraph, and the files that were written: with an `output`, and of LaTeX always with its ``.bib``.

    Args:
        results: the store.
        fmt: ``text`` in notes, ``markdown`` or ``latex`` in sentences that cite.
        output: folder of the files; None for that of the store.

    Raises:
        ReportError: the store is empty.
        OSError: a file could not be written.
    """
    several = _groups(results)
    if not several:
        raise ReportError(f"{results} has no finished cells; bench run makes them")
    name, write = METHODS[fmt]
    text = write(several).rstrip("\n") + "\n"
    if output is None and fmt != "latex":
        return [], text
    folder = output or results
    folder.mkdir(parents=True, exist_ok=True)
    files = [write_text(folder / name, text)]
    if fmt == "latex":
        files.append(write_text(folder / "methods.bib", methods_bibtex(several)))
    return files, text


def figures_of(
    results: Path,
    *,
    strips: StripOptions,
    rows: Sequence[str] | None = None,
    options: FigureOptions = HOUSE,
    output: Path | None = None,
) -> list[Path]:
    """The figures, with a strip of each image that is named; those drawn from the same inputs before are kept.

    Raises:
        ReportError: an image, task or restorer that is not there.
    """
    folder = inside(output or results, FIGURES)
    inside(output or results, f"{FIGURES}/{STRIPS}")
    return write_figures(_groups(results), folder, strips=strips, rows=rows, options=options)


def page_of(results: Path, output: Path | None = None) -> Path:
    """The static page, below the store or another folder."""
    folder = inside(output or results, PAGE)
    for name in (IMAGES, ASSETS):
        inside(output or results, f"{PAGE}/{name}")
    several, problems = _stored(results)
    return write_page(several, folder, problems=problems)


def _groups(results: Path) -> list[Group]:
    return _stored(results)[0]


def _stored(results: Path) -> tuple[list[Group], list[str]]:
    """The groups of a results folder, and a line, also logged, for each cell that could not be read."""
    cells, problems = stored_cells(results)
    for problem in problems:
        logger.warning("left out of the report: %s", visible(problem))
    return groups(cells), problems
