"""A paper's table as booktabs LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..escape import file_stem, latex
from ..published.metrics import DIGITS, HEADS
from .model import Number, PaperTable, TableRow
from .numbers import MISSING

WIDE = 8
"""More columns of scores than this are scaled to the width of the text."""


def latex_document(table: PaperTable) -> str:
    """A document that compiles as it is; BibTeX finds the ``.bib`` beside it."""
    bibliography = (
        [r"\bibliographystyle{plain}", rf"\bibliography{{{file_stem(table.stem)}}}"] if table.citations else []
    )
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[a4paper,landscape,margin=12mm]{geometry}",
            r"\usepackage{booktabs}",
            r"\usepackage{graphicx}",
            r"\begin{document}",
            latex_body(table).rstrip("\n"),
            *bibliography,
            r"\end{document}",
            "",
        ]
    )


def latex_body(table: PaperTable) -> str:
    """The float: caption, booktabs table, remarks and footnotes. It needs the packages booktabs and graphicx."""
    signs = table.footnotes()
    numbers = len(table.costs) + len(table.columns)
    wide = len(table.columns) > WIDE
    rows = [line for block in _blocks(table, signs) for line in block]
    notes = [rf"\textsuperscript{{{sign}}}~{latex(text)}" for text, sign in signs.items()]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs} and \usepackage{graphicx}",
            r"\begin{table*}[tp]",
            r"\centering",
            rf"\caption{{{latex(table.caption)}}}",
            rf"\label{{tab:{file_stem(table.stem)}}}",
            *([r"\resizebox{\textwidth}{!}{%"] if wide else []),
            rf"\begin{{tabular}}{{l{'r' * numbers}}}",
            r"\toprule",
            *_header(table, signs),
            *rows,
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            r"\par\smallskip",
            r"\begin{minipage}{\textwidth}\footnotesize\raggedright",
            *(rf"{latex(remark)}" for remark in table.remarks),
            *([r"\par " + "; ".join(notes) + "."] if notes else []),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _header(table: PaperTable, signs: Mapping[str, str]) -> list[str]:
    spans = table.spans()
    names = [_span(size, latex(column.label) + _signs(column.notes, signs)) for column, size in spans]
    sets = [_span(size, latex(column.dataset)) for column, size in spans]
    rules, start = [], len(table.costs) + 2
    for _, size in spans:
        rules.append(rf"\cmidrule(lr){{{start}-{start + size - 1}}}")
        start += size
    heads = ["Method", *(latex(cost.title) + _signs(cost.notes, signs) for cost in table.costs)]
    heads += [HEADS[column.metric] for column in table.columns]
    empty = [""] * (1 + len(table.costs))
    below = [] if table.one_dataset else [_line([*empty, *sets])]
    return [_line([*empty, *names]), *below, " ".join(rules), _line(heads)]


def _span(size: int, text: str) -> str:
    return rf"\multicolumn{{{size}}}{{c}}{{{text}}}"


def _blocks(table: PaperTable, signs: Mapping[str, str]) -> Iterable[list[str]]:
    for block in table.blocks:
        lines = [r"\midrule"]
        if block.heading:
            heading = rf"\textit{{{latex(block.heading)}}}{_signs(block.notes, signs)}"
            lines.append(rf"\multicolumn{{{1 + len(table.costs) + len(table.columns)}}}{{l}}{{{heading}}} \\")
        for row in block.rows:
            lines += _row(row, table, signs)
        yield lines


def _row(row: TableRow, table: PaperTable, signs: Mapping[str, str]) -> list[str]:
    """The row, and below it its intervals where it has any."""
    name = latex(row.method)
    # A bracket or star at the beginning would be taken for an argument of the line end before it.
    name = f"{{{name[0]}}}{name[1:]}" if name[:1] in ("[", "*") else name
    name += rf"~\cite{{{row.citation}}}" if row.citation else ""
    costs = [_text(number) + _signs(number.notes, signs) for number in row.costs]
    scores = [_marked(score) + _signs(score.notes, signs) for score in row.scores]
    lines = [_line([name + _signs(row.notes, signs), *costs, *scores])]
    pairs = zip(table.columns, row.scores, strict=True)
    bounds = [score.bounds(DIGITS[column.metric]) for column, score in pairs]
    if any(bounds):
        small = [rf"{{\scriptsize {text}}}" if text else "" for text in bounds]
        lines.append(_line([""] * (1 + len(table.costs)) + small))
    return lines


def _marked(score: Number) -> str:
    text = _text(score)
    marks = {"best": rf"\textbf{{{text}}}", "tie": rf"{text}$^{{\dagger}}$", "second": rf"\underline{{{text}}}"}
    return marks[score.mark] if score.mark else text


def _text(number: Number) -> str:
    if number.text == MISSING:
        return "--"
    return latex(number.text) if number.text[0] not in "+-" else f"${latex(number.text)}$"


def _signs(notes: Iterable[str], signs: Mapping[str, str]) -> str:
    listed = ",".join(signs[note] for note in notes)
    return rf"\textsuperscript{{{listed}}}" if listed else ""


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
