"""``bench report``: what is derived from the store, written anew; no network runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UserError

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
    top = argparse.ArgumentParser(
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
    table.add_argument("--protocol", help="where the store has the suite under several")
    _output(table, "folder of table and .bib (default: DIR/tables)", default=argparse.SUPPRESS)
    table.set_defaults(run=paper_table)

    methods = actions.add_parser("methods", help="the paragraph on how it was measured")
    _results(methods, default=argparse.SUPPRESS)
    methods.set_defaults(run=methods_paragraph)

    figures = actions.add_parser("figures", help="figures as PDF and PNG")
    _results(figures, default=argparse.SUPPRESS)
    figures.add_argument("--image", action="append", default=[], metavar="TASK=NAME", help="a strip of this image")
    figures.add_argument("--strips", type=int, default=1, metavar="N", help="strips a task, largest spread first")
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


def _results(options: argparse.ArgumentParser, default: str = "results") -> None:
    options.add_argument("--results", default=default, metavar="DIR", help="the store (default: results)")


def _partial(options: argparse.ArgumentParser, default: bool | str = False) -> None:
    text = "average what was scored where images are missing, and say how many they are"
    options.add_argument("--partial", action="store_true", default=default, help=text)


def _output(options: argparse.ArgumentParser, text: str, default: Path | str | None = None) -> None:
    options.add_argument("--output", type=_path, default=default, metavar="DIR", help=text)


def _path(name: str) -> Path:
    return Path(name).expanduser()


def _folder(options: argparse.Namespace) -> Path:
    results = Path(options.results).expanduser()
    if not results.is_dir():
        raise UserError(f"there is no results folder {results}; bench run makes one, --results DIR names another")
    return results


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

    report = write_report(_folder(options), options.output, partial=options.partial)
    _say(f"{report.summary}\n\n{_written(report.files)}")
    if report.left_out:
        _say("\n".join(["", "left out:", *(f"  {visible(line)}" for line in report.left_out)]))
    return 0 if report.whole else 1


def paper_table(options: argparse.Namespace) -> int:
    """A paper's table, printed and written beside its ``.bib``."""
    from ...reports.outputs import inside
    from ...reports.report import TABLES, paper_table_files

    results = Path(options.results).expanduser()
    files, text = paper_table_files(
        results,
        suite=options.suite,
        protocol=options.protocol,
        fmt=options.fmt,
        columns=_names(options.columns),
        rows=None if options.rows is None else [] if options.rows == "none" else _names(options.rows),
        published=_names(options.published),
        folder=options.output or inside(results, TABLES),
        partial=options.partial,
        extra=options.extra,
    )
    _say(f"{text}\n\n{_written(files)}")
    return 0


def methods_paragraph(options: argparse.Namespace) -> int:
    """The paragraph for the paper."""
    from ...reports.report import methods_of

    _say(methods_of(_folder(options)))
    return 0


def draw_figures(options: argparse.Namespace) -> int:
    """The figures, with the strips that were asked for."""
    from ...reports.report import figures_of

    images: dict[str, str] = {}
    for item in options.image:
        task, _, name = item.partition("=")
        if not name:
            raise UserError(f"--image {item}: give TASK=NAME, such as dehaze=coffee.png")
        images[task] = name
    files = figures_of(_folder(options), images=images, count=options.strips, output=options.output)
    _say(_written(files))
    return 0


def static_page(options: argparse.Namespace) -> int:
    """The page."""
    from ...reports.report import page_of

    _say(_written([page_of(_folder(options), options.output)]))
    return 0


def comparison(options: argparse.Namespace) -> int:
    """Two restorers or folders, cell by cell."""
    from ...reports.tables.comparison import compare

    _say(compare(options.first, options.second, Path(options.results).expanduser()))
    return 0
