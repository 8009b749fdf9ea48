"""A paper's table as booktabs LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...escape import file_stem, latex
from ..model import Number, PaperTable, TableRow
from ..numbers import MISSING

WIDE = 8
"""More columns of scores than this are scaled to the width of the text, or set smaller where pages break."""
ROWS_OF_A_PAGE = 30
"""More rows than this, with their headings, remarks and footnotes, do not fit on a page in landscape."""
BOLD = r"\providecommand{\best}[1]{{\fontseries{b}\selectfont #1}}% bold whose digits are as wide as the others"


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
            *([r"\usepackage{longtable}"] if _is_paged(table) else []),
            r"\begin{document}",
            latex_body(table).rstrip("\n"),
            *bibliography,
            r"\end{document}",
            "",
        ]
    )


def latex_body(table: PaperTable) -> str:
    """The table: caption, booktabs rules, remarks and footnotes. It needs the packages booktabs and graphicx.

    A table that may run over several pages, or has more rows than one holds, needs booktabs and longtable.
    """
    return _pages(table) if _is_paged(table) else _float(table)


def _is_paged(table: PaperTable) -> bool:
    return table.long or sum(len(block.rows) for block in table.blocks) > ROWS_OF_A_PAGE


def _float(table: PaperTable) -> str:
    signs = table.footnotes()
    wide = len(table.columns) > WIDE
    return "\n".join(
        [
            r"% needs \usepackage{booktabs} and \usepackage{graphicx}",
            r"\begin{table*}[tp]",
            r"\centering",
            BOLD,
            rf"\caption{{{latex(table.caption)}}}",
            rf"\label{{tab:{file_stem(table.stem)}}}",
            *([r"\resizebox{\textwidth}{!}{%"] if wide else []),
            rf"\begin{{tabular}}{{{_alignment(table)}}}",
            r"\toprule",
            *_header(table, signs),
            *_lines(table, signs),
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            r"\par\smallskip",
            *_below(table, signs),
            r"\end{table*}",
            "",
        ]
    )


def _pages(table: PaperTable) -> str:
    signs = table.footnotes()
    return "\n".join(
        [
            r"% needs \usepackage{booktabs} and \usepackage{longtable}",
            r"\begingroup\footnotesize",
            *([r"\scriptsize\setlength{\tabcolsep}{1.2pt}"] if len(table.columns) > WIDE else []),
            BOLD,
            rf"\begin{{longtable}}{{{_alignment(table)}}}",
            rf"\caption{{{latex(table.caption)}}}",
            rf"\label{{tab:{file_stem(table.stem)}}} \\",
            *(line for end in ("first", "") for line in (r"\toprule", *_header(table, signs), rf"\end{end}head")),
            *_lines(table, signs),
            r"\bottomrule",
            r"\end{longtable}",
            r"\noindent",
            *_below(table, signs),
            r"\endgroup",
            "",
        ]
    )


def _alignment(table: PaperTable) -> str:
    return "l" + "r" * (len(table.costs) + len(table.columns))


def _lines(table: PaperTable, signs: Mapping[str, str]) -> list[str]:
    return [line for block in _blocks(table, signs) for line in block]


def _below(table: PaperTable, signs: Mapping[str, str]) -> list[str]:
    notes = [rf"\textsuperscript{{{sign}}}~{latex(text)}" for text, sign in signs.items()]
    return [
        r"\begin{minipage}{\textwidth}\footnotesize\raggedright",
        *(rf"{latex(remark)}" for remark in table.remarks),
        *([r"\par " + "; ".join(notes) + "."] if notes else []),
        r"\end{minipage}",
    ]


def _header(table: PaperTable, signs: Mapping[str, str]) -> list[str]:
    spans = table.spans()
    names = [_span(size, latex(column.label) + _signs(column.notes, signs)) for column, size in spans]
    sets = [_span(size, latex(column.dataset)) for column, size in spans]
    rules, start = [], len(table.costs) + 2
    for _, size in spans:
        rules.append(rf"\cmidrule(lr){{{start}-{start + size - 1}}}")
        start += size
    heads = [latex(table.first), *(latex(cost.title) + _signs(cost.notes, signs) for cost in table.costs)]
    heads += [latex(column.unit) for column in table.columns]
    empty = [""] * (1 + len(table.costs))
    below = [] if not table.heads_name_sets else [_line([*empty, *sets])]
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
    # Columns end at the right, so what stands before a number moves no digit.
    costs = [_signs(number.notes, signs) + _text(number) for number in row.costs]
    scores = [_signs(score.notes, signs) + _marked(score) for score in row.scores]
    lines = [_line([name + _signs(row.notes, signs), *costs, *scores])]
    pairs = zip(table.columns, row.scores, strict=True)
    bounds = [score.bounds(column.decimals) for column, score in pairs]
    if any(bounds):
        small = [rf"{{\scriptsize {text}}}" if text else "" for text in bounds]
        lines.append(_line([""] * (1 + len(table.costs)) + small))
    return lines


def _marked(score: Number) -> str:
    text = _text(score)
    marks = {"best": rf"\best{{{text}}}", "tie": rf"$^{{\dagger}}${text}", "second": rf"\underline{{{text}}}"}
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
