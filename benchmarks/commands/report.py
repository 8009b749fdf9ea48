"""``bench report``: what is derived from the store, written anew; no network runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from .front.parsing import Parser, results_folder

if TYPE_CHECKING:
    from ...reports.figures.options import FigureOptions

EXTRA = (
    "rows by hand, own or copied: a line a method and task with method, kind (own|copied), task (dehaze, denoise-25, "
    "average), psnr, ssim, source, and where known citation, params_m, macs_g, note; they are not ranked"
)

FORMATS = ("latex", "markdown", "csv", "html")


def main(arguments: Sequence[str]) -> int:
    """``bench report [table|methods|figures|page|compare]``; without one of these, everything.

    Returns:
        0, also where odd cells were left out, each in a line; 1 where a file could not be written, or a piece not made.

    Raises:
        UserError, ReportError, PublishedError: there is no store, or no such suite, restorer or paper.
    """
    options = parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.run
    try:
        return action(options)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder that is read-only
        from ...reports.outputs import failure

        sys.stderr.write(f"bench: {failure(error)}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(
        prog="bench report",
        description="Derive leaderboard, tables, figures and page from the store. Without an action: all of them.",
    )
    _results(top)
    _partial(top)
    _output(top, "folder for all that is written, such as one beside a store that is read-only (default: the store)")
    top.set_defaults(run=everything)
    actions = top.add_subparsers(metavar="table|methods|figures|page|compare")

    table = actions.add_parser("table", help="a table for a paper, measured beside published")
    _results(table, default=argparse.SUPPRESS)
    table.add_argument("--suite", required=True, help="3d, 5d, ..; published rows are those of the suite's setting")
    table.add_argument("--format", choices=FORMATS, default="latex", dest="fmt")
    table.add_argument("--columns", default="psnr,ssim", help="psnr, ssim or both (default)")
    table.add_argument("--rows", help="measured restorers by their names (rbair,anyir); default: all; none: no row")
    table.add_argument("--published", default="", help="papers' rows by their names (PromptIR,AdaIR), or all")
    _partial(table, default=argparse.SUPPRESS)
    table.add_argument("--extra", type=_path, metavar="CSV", help=EXTRA)
    _table_look(table)
    table.add_argument("--protocol", help="where the store has the suite under several")
    table.add_argument("--data", metavar="NAME", help="where it has the suite on several sets of images: which")
    _output(table, "folder of table and .bib (default: DIR/tables)", default=argparse.SUPPRESS)
    table.set_defaults(run=paper_table)

    methods = actions.add_parser("methods", help="the paragraph on how it was measured")
    _results(methods, default=argparse.SUPPRESS)
    formats = "text: notes; markdown, latex: sentences that cite, latex with methods.tex and methods.bib as files"
    methods.add_argument("--format", choices=("text", "markdown", "latex"), default="text", dest="fmt", help=formats)
    _output(methods, "folder of the files (default: the store; no file but for latex)", default=argparse.SUPPRESS)
    methods.set_defaults(run=methods_paragraph)

    figures = actions.add_parser("figures", help="figures as PDF and PNG")
    _results(figures, default=argparse.SUPPRESS)
    _look(figures)
    _output(figures, "folder in which figures/ is made (default: the store)", default=argparse.SUPPRESS)
    figures.set_defaults(run=draw_figures)

    page = actions.add_parser("page", help="the static page")
    _results(page, default=argparse.SUPPRESS)
    _output(page, "folder in which report/ is made (default: the store)", default=argparse.SUPPRESS)
    page.set_defaults(run=static_page)

    compare = actions.add_parser("compare", help="two restorers, or two results folders, cell by cell")
    compare.add_argument("first", metavar="A")
    compare.add_argument("second", metavar="B")
    _results(compare, default=argparse.SUPPRESS)
    compare.set_defaults(run=comparison)
    return top


def _table_look(table: argparse.ArgumentParser) -> None:
    """What of the numbers a table prints."""
    table.add_argument("--intervals", choices=("on", "off"), default="on", help="95 %% intervals (default: on)")
    table.add_argument("--digits", metavar="PSNR[,SSIM]", help="decimals (default: 2,3)")
    table.add_argument("--costs", default="all", help="none, or some of params_m,macs_g (default: all)")
    names = "names of data sets in the heads (default: where tasks are on several)"
    table.add_argument("--datasets", choices=("on", "off"), help=names)
    table.add_argument("--per-image", action="store_true", help="a table for each task with every image as a row")
    table.add_argument("--task", default="", help="with --per-image, only of these tasks (dehaze,denoise-25)")


def _look(figures: argparse.ArgumentParser) -> None:
    """What figures show, and how."""
    images = "strips of these images: NAME,.. of any task, or TASK=NAME,..; may be given again"
    figures.add_argument("--images", "--image", action="append", default=[], metavar="[TASK=]NAME,..", help=images)
    figures.add_argument("--strips", type=int, default=1, metavar="N", help="strips of each other task, by spread")
    figures.add_argument("--crop", metavar="X,Y,W,H", help="what strips magnify, pixels (default: where rows differ)")
    figures.add_argument("--rows", help="restorers by their names (rbair,anyir) or labels; default: all")
    look = figures.add_argument_group("look")
    look.add_argument("--style", default="house", help="house (default), column (3.4in, serif) or page (7in, serif)")
    look.add_argument("--width", metavar="LENGTH", help="of every figure: 3.4in, 86mm, 245pt")
    look.add_argument("--font-size", type=float, metavar="POINTS")
    look.add_argument("--font-family", metavar="NAME", help="a family on this machine, serif, sans-serif, monospace")
    look.add_argument("--caption", choices=("inside", "beside", "none"), help="beside: STEM.txt beside the picture")
    look.add_argument("--y-limits", metavar="LOW,HIGH", help="of quality against cost, dB (default: the restorers')")
    look.add_argument("--intervals", choices=("on", "off"), help="95 %% intervals (default: on)")


def _results(options: argparse.ArgumentParser, default: str = "results") -> None:
    options.add_argument("--results", default=default, metavar="DIR", help="the store (default: results)")


def _partial(options: argparse.ArgumentParser, default: bool | str = False) -> None:
    text = "average what was scored where images are missing, and say how many they are"
    options.add_argument("--partial", action="store_true", default=default, help=text)


def _output(options: argparse.ArgumentParser, text: str, default: Path | str | None = None) -> None:
    options.add_argument("--output", type=_path, default=default, metavar="DIR", help=text)


def _path(name: str) -> Path:
    return Path(name).expanduser()


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _say(text: str) -> None:
    from ...reports.escape import lines

    sys.stdout.write(lines(text.rstrip("\n")) + "\n")


def _written(files: Sequence[Path]) -> str:
    return "\n".join(["written:", *(f"  {path}" for path in files)])


def everything(options: argparse.Namespace) -> int:
    """All that can be derived."""
    from ...reports.escape import visible
    from ...reports.report import write_report

    report = write_report(results_folder(options.results), options.output, partial=options.partial)
    _say(f"{report.summary}\n\n{_written(report.files)}")
    if report.left_out:
        _say("\n".join(["", "left out:", *(f"  {visible(line)}" for line in report.left_out)]))
    return 0 if report.whole else 1


def paper_table(options: argparse.Namespace) -> int:
    """A paper's table, printed and written beside its ``.bib``."""
    from ...reports.outputs import inside
    from ...reports.report import TABLES, image_table_files, paper_table_files
    from ...reports.tables.options import TableOptions, costs_of, digits_of

    results = Path(options.results).expanduser()
    look = TableOptions(
        intervals=options.intervals == "on",
        costs=costs_of(options.costs),
        datasets=None if options.datasets is None else options.datasets == "on",
        **({"digits": digits_of(options.digits)} if options.digits else {}),
    )
    rows = None if options.rows is None else [] if options.rows == "none" else _names(options.rows)
    if options.task and not options.per_image:
        raise UserError("--task chooses among the tables of --per-image; give both, or a suite of one task")
    if options.per_image and (options.published or options.extra or rows == []):
        raise UserError(
            "--per-image shows measured images, papers print none: leave out --published, --extra and --rows none"
        )
    if options.per_image:
        make = partial(image_table_files, tasks=_names(options.task))
    else:
        make = partial(
            paper_table_files, published=_names(options.published), extra=options.extra, partial=options.partial
        )
    files, text = make(
        results,
        suite=options.suite,
        protocol=options.protocol,
        data=options.data,
        fmt=options.fmt,
        columns=_names(options.columns),
        rows=rows,
        folder=options.output or inside(results, TABLES),
        options=look,
    )
    _say(f"{text}\n\n{_written(files)}")
    return 0


def methods_paragraph(options: argparse.Namespace) -> int:
    """The paragraph for the paper."""
    from ...reports.report import methods_of

    files, text = methods_of(results_folder(options.results), options.fmt, options.output)
    _say(f"{text}\n{_written(files)}" if files else text)
    return 0


def draw_figures(options: argparse.Namespace) -> int:
    """The figures, with the strips that were asked for."""
    from ...reports.figures.options import StripOptions, crop_of
    from ...reports.report import figures_of

    images: dict[str, tuple[str, ...]] = {}
    for item in options.images:
        task, equals, names = item.partition("=") if "=" in item else ("", "", item)
        if not _names(names) or (equals and not task):
            raise UserError(f"--images {item}: give NAME,.. or TASK=NAME,.., such as dehaze=coffee-right")
        images[task] = (*images.get(task, ()), *_names(names))
    if options.strips < 0:
        raise UserError(f"--strips {options.strips}: give a number of strips a task, 0 for none but named ones")
    files = figures_of(
        results_folder(options.results),
        strips=StripOptions(images=images, count=options.strips, crop=options.crop and crop_of(options.crop)),
        rows=None if options.rows is None else _names(options.rows),
        options=_figure_options(options),
        output=options.output,
    )
    _say(_written(files))
    return 0


def _figure_options(options: argparse.Namespace) -> FigureOptions:
    """The look: a style by its name, and what is to be otherwise."""
    from ...messages import nearest
    from ...reports.figures.options import STYLES, family, length, limits

    if options.style not in STYLES:
        hint = nearest(options.style, list(STYLES)) or f"; give one of {', '.join(STYLES)}"
        raise UserError(f"--style {options.style}: there is no such style{hint}")
    if options.font_size is not None and not 4 <= options.font_size <= 40:
        raise UserError(f"--font-size {options.font_size:g}: give 4 to 40 points")
    changes = {
        "width": options.width and length(options.width),
        "font_size": options.font_size,
        "font_family": options.font_family and family(options.font_family),
        "caption": options.caption,
        "y_limits": options.y_limits and limits(options.y_limits),
        "intervals": options.intervals and options.intervals == "on",
    }
    return replace(STYLES[options.style], **{name: value for name, value in changes.items() if value is not None})


def static_page(options: argparse.Namespace) -> int:
    """The page."""
    from ...reports.page.writer import megabytes, page_bytes
    from ...reports.report import page_of

    page = page_of(results_folder(options.results), options.output)
    _say(f"{_written([page])}\n{megabytes(page_bytes(page))} with its pictures and scripts")
    return 0


def comparison(options: argparse.Namespace) -> int:
    """Two restorers or folders, cell by cell."""
    from ...reports.tables.comparison import compare

    _say(compare(options.first, options.second, Path(options.results).expanduser()))
    return 0
