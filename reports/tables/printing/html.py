"""A paper's table as an HTML page of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...escape import html
from ...marks import TIE
from ...published.results import load_sources
from ..model import Block, Number, PaperTable, TableRow

STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem}table{border-collapse:collapse;border-block:2px solid}"
    ".wide{overflow-x:auto}td{font-variant-numeric:tabular-nums}"
    "caption{text-align:start;font-weight:600;padding-block:.5rem}th,td{padding:.2rem .4rem;text-align:right}"
    "th[scope=row],th[scope=rowgroup]{text-align:start;font-weight:400}th[scope=rowgroup]{font-style:italic}"
    "thead th{text-align:center}tbody{border-block-start:1px solid}small{display:block}"
    "footer{max-width:70rem;font-size:.85rem;overflow-wrap:anywhere}"
    "@page{size:A4 landscape;margin:10mm}"
    "@media print{body{margin:0;font-size:7.5pt}.wide{overflow:visible}th,td{padding:.1rem .25rem}"
    "tr{break-inside:avoid}}"
)


def html_document(table: PaperTable) -> str:
    """The page: table, remarks, footnotes and sources."""
    signs = table.footnotes()
    body = ['<div class="wide" tabindex="0" role="region" aria-label="Table">', html_table(table), "</div>", "<footer>"]
    if table.remarks:
        body.append(f"<p>{' '.join(map(html, table.remarks))}</p>")
    if signs:
        items = "\n".join(f'<dt id="note-{sign}">{sign}</dt><dd>{html(text)}</dd>' for text, sign in signs.items())
        body.append(f"<dl>\n{items}\n</dl>")
    if table.citations:
        sources = {**load_sources(), **table.sources}
        items = "\n".join(f'<li id="source-{html(key)}">{html(sources[key])}</li>' for key in table.citations)
        body.append(f"<ol>\n{items}\n</ol>")
    body.append("</footer>")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f"<title>{html(table.caption)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def html_table(table: PaperTable) -> str:
    """The table element alone."""
    signs = table.footnotes()
    first = [html(table.first), *(html(cost.title) + _signs(cost.notes, signs) for cost in table.costs)]
    tasks = [
        f'<th scope="colgroup" colspan="{size}">{html(column.label)}{_signs(column.notes, signs)}'
        + (f"<small>{html(column.dataset)}</small>" if column.dataset and table.heads_name_sets else "")
        + "</th>"
        for column, size in table.spans()
    ]
    lines = [
        "<table>",
        f"<caption>{html(table.caption)}</caption>",
        "<thead>",
        "<tr>" + "".join(f'<th scope="col" rowspan="2">{name}</th>' for name in first) + "".join(tasks) + "</tr>",
        "<tr>" + "".join(f'<th scope="col">{html(column.unit)}</th>' for column in table.columns) + "</tr>",
        "</thead>",
    ]
    width = len(first) + len(table.columns)
    for block in table.blocks:
        lines += ["<tbody>", *_block(block, table, signs, width), "</tbody>"]
    return "\n".join([*lines, "</table>"])


def _block(block: Block, table: PaperTable, signs: Mapping[str, str], width: int) -> Iterable[str]:
    if block.heading:
        heading = html(block.heading) + _signs(block.notes, signs)
        yield f'<tr><th scope="rowgroup" colspan="{width}">{heading}</th></tr>'
    for row in block.rows:
        yield _row(row, table, signs)


def _row(row: TableRow, table: PaperTable, signs: Mapping[str, str]) -> str:
    name = html(row.method) + _signs(row.notes, signs)
    if row.citation:
        place = table.citations.index(row.citation) + 1
        name += f' <a href="#source-{html(row.citation)}">[{place}]</a>'
    cells = [f"<td>{_signs(number.notes, signs)}{html(number.text)}</td>" for number in row.costs]
    for column, score in zip(table.columns, row.scores, strict=True):
        bounds = score.bounds(column.decimals)
        small = f"<small>{bounds}</small>" if bounds else ""
        cells.append(f"<td>{_signs(score.notes, signs)}{_marked(score)}{small}</td>")
    return f'<tr class="{row.kind.replace(" ", "-")}"><th scope="row">{name}</th>{"".join(cells)}</tr>'


def _marked(score: Number) -> str:
    text = html(score.text)
    # Columns end at the right, so a dagger before a number moves no digit.
    marks = {"best": f"<strong>{text}</strong>", "tie": f"{TIE}{text}", "second": f"<u>{text}</u>"}
    return marks[score.mark] if score.mark else text


def _signs(notes: Iterable[str], signs: Mapping[str, str]) -> str:
    links = ",".join(f'<a href="#note-{signs[note]}">{signs[note]}</a>' for note in notes)
    return f"<sup>{links}</sup>" if links else ""
