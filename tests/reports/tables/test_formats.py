"""The same table in four formats: LaTeX that compiles, and the others read back."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from restorebench.reports.escape import latex
from restorebench.reports.tables.model import Block, Column, CostHead, Number, PaperTable, TableRow
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.printing.formats import CSV_HEADER, EXTENSIONS, render, write_formats

from ..table_examples import STANDARD, changed, embedded_group

PAPERS = ["RBaIR", "AnyIR", "DaAIR", "KBNet", "PromptIR", "AdaIR", "MoCE-IR"]
COMMANDS = {
    *("documentclass", "usepackage", "begin", "end", "centering", "caption", "label", "resizebox", "textwidth"),
    *("toprule", "midrule", "bottomrule", "cmidrule", "multicolumn", "textsuperscript", "textbf", "underline"),
    *("textit", "scriptsize", "footnotesize", "raggedright", "par", "smallskip", "cite", "dagger", "pm"),
    *("bibliographystyle", "bibliography", "textless", "textgreater", "textquotedbl", "textasciicircum"),
    *("textasciitilde", "textbackslash", "providecommand", "best", "fontseries", "selectfont"),
    *("begingroup", "endgroup", "endfirsthead", "endhead", "setlength", "tabcolsep", "noindent"),
}
"""All that the tables use: LaTeX's own, booktabs' rules and graphicx's resizebox."""

BLANK = (Number(), Number())

AWKWARD = PaperTable(
    suite="5d",
    stem="awkward",
    caption='50 % & more_of {it} #1 $x$ ~ ^ \\ <tag> "quoted" | +-1',
    columns=(
        Column(key="a@x_y", label="a_b", dataset="x_y", metric="psnr", notes=("a note & more",)),
        Column(key="b@z", label="b", dataset="z", metric="psnr"),
    ),
    blocks=(
        Block(
            heading="",
            rows=(
                TableRow(
                    kind="measured",
                    method="[odd] | name_1",
                    model="odd",
                    costs=(Number(value=0.5, text="0.500"), Number()),
                    scores=(
                        Number(value=30.0, text="30.00", low=29.5, high=30.5, mark="best", images=7),
                        Number(value=1.0, text="1.00", mark="tie", notes=("because",)),
                    ),
                ),
                TableRow(
                    kind="difference",
                    method="*star",
                    model="odd",
                    costs=(Number(value=0.5, text="0.500"), Number()),
                    scores=(Number(value=-0.5, text="-0.50"), Number(value=2.0, text="2.00", mark="second")),
                ),
            ),
        ),
        Block(heading="h & i", rows=(TableRow(kind="published", method="P", model="P", costs=BLANK, scores=BLANK),)),
    ),
    costs=(CostHead(name="params_m", heading="params (M)"), CostHead(name="macs_g", heading="MACs (G)")),
    remarks=("100 % sure.",),
)


def check_latex(text: str) -> None:
    """Balanced environments, braces and dollars, known commands, and as many cells in each line as columns."""
    code = re.sub(r"(?<!\\)%.*", "", text)
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", code.replace("\\\\", "")):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    opened: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{([\w*]+)\}", code):
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert len(re.findall(r"(?<!\\)\$", code)) % 2 == 0
    assert set(re.findall(r"\\([A-Za-z]+)", code)) <= COMMANDS
    tabular = re.search(r"\\begin\{(tabular|longtable)\}\{([lr]+)\}(.*?)\\end\{\1\}", code, re.DOTALL)
    assert tabular is not None
    body = re.sub(r"\\(?:top|mid|bottom)rule|\\cmidrule\(lr\)\{[\d-]+\}|\\end(?:first)?head", "", tabular[3])
    body = re.sub(r"^\\caption\{.*\}\n\\label\{.*\} \\\\$", "", body, flags=re.MULTILINE)
    lines = [line.strip() for line in body.split("\\\\") if line.strip()]
    assert len(lines) > 2
    for line in lines:
        spans = sum(int(size) - 1 for size in re.findall(r"\\multicolumn\{(\d+)\}", line))
        assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(tabular[2]), line
        assert line[0] not in "[*"


def compile_latex(path: Path) -> None:
    """Compile with its bibliography, as authors do; without a TeX the parser of `check_latex` has to do."""
    pdflatex, bibtex = shutil.which("pdflatex"), shutil.which("bibtex")
    if not pdflatex or not bibtex:
        check_latex(path.read_text())
        return
    once = [pdflatex, "-halt-on-error", "-interaction=nonstopmode", path.name]
    cited = "\\bibliography{" in path.read_text()
    for command in (once, *([[bibtex, path.stem]] if cited else []), once, once, once):
        done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = path.with_suffix(".log").read_text(encoding="latin-1")
    assert re.findall("undefined|multiply defined|Float too large", said) == []
    # Nothing runs into the margin by more than a hair.
    assert [width for width in re.findall(r"Overfull \\hbox \(([\d.]+)pt", said) if float(width) > 2] == []


def test_latex_of_printed_rows_compiles_and_holds_the_papers_numbers(tmp_path: Path) -> None:
    path, body, bib = write_formats(paper_table(None, suite="5d", published=PAPERS), ["latex"], tmp_path)
    check_latex(path.read_text())
    compile_latex(path)
    assert body.read_text() in path.read_text()
    assert f"\\bibliography{{{bib.stem}}}" in path.read_text()
    lines = {line.partition("~")[0]: line for line in body.read_text().splitlines() if "\\cite" in line}
    for model, average in (
        ("RBaIR", "31.58 & 0.924"),
        ("AnyIR", "30.65 & 0.919"),
        ("DaAIR", "30.24 & 0.910"),
        ("PromptIR", "29.15 & 0.904"),
        ("AdaIR", "30.20 & 0.910"),
        ("MoCE-IR", "30.58 & 0.919"),
    ):
        assert lines[model].endswith(f" & {average} \\\\")
    assert " 32.79 & 0.983 & 39.46 & 0.986 & 31.50 & 0.894 & 29.96 & 0.894 & 24.22 & 0.862 & " in lines["RBaIR"]


def test_a_table_of_more_rows_than_a_page_holds_runs_over_several(tmp_path: Path) -> None:
    table = paper_table(None, suite="5d", published=["all"])
    assert sum(len(block.rows) for block in table.blocks) > 50
    path, body, _ = write_formats(table, ["latex"], tmp_path)
    text = path.read_text()
    check_latex(text)
    compile_latex(path)
    assert r"\usepackage{longtable}" in text
    assert [text.count(part) for part in (r"\label{", r"\endfirsthead", r"\endhead")] == [1, 1, 1]
    assert "longtable" in body.read_text().splitlines()[0]
    assert "longtable" not in render(paper_table(None, suite="5d", published=PAPERS), "latex")


@pytest.mark.parametrize(("published", "way"), [(["all"], "longtable"), (PAPERS, "resizebox")])
def test_latex_of_measured_rows_compiles(tmp_path: Path, published: list[str], way: str) -> None:
    group = changed(embedded_group(), datasets=STANDARD, variant="paper", provenance="official")
    path = write_formats(paper_table(group, suite="5d", published=published), ["latex"], tmp_path)[0]
    text = path.read_text()
    check_latex(text)
    compile_latex(path)
    assert r"$^{\dagger}$" in text
    assert r"\underline{" in text
    assert r"{\scriptsize [" in text
    assert way in text


def test_latex_of_awkward_names_compiles(tmp_path: Path) -> None:
    path = tmp_path / "awkward.tex"
    path.write_text(render(AWKWARD, "latex"), encoding="utf-8")
    check_latex(path.read_text())
    compile_latex(path)
    assert r"\best{30.00}" in path.read_text()
    assert "$-0.50$" in path.read_text()


@pytest.mark.parametrize("damage", [(" & ", " ", 5), ("}", "", 9), (r"\end{minipage}", "", 1), ("toprule", "hline", 1)])
def test_the_parser_of_these_tests_sees_damage(damage: tuple[str, str, int]) -> None:
    old, new, count = damage
    text = render(AWKWARD, "latex")
    parts = text.split(old)
    broken = old.join(parts[:count]) + new + old.join(parts[count:])
    assert broken != text
    with pytest.raises((AssertionError, IndexError)):
        check_latex(broken)


def test_latex_specials_are_harmless() -> None:
    assert latex("50 % & a_b") == r"50 \% \& a\_b"
    assert latex("x^2 ~ \\ {}") == r"x\textasciicircum{}2 \textasciitilde{} \textbackslash{} \{\}"
    assert latex("+-1.9") == r"$\pm$1.9"


def test_markdown_has_a_cell_for_every_column() -> None:
    text = render(paper_table(embedded_group(), suite="5d", columns=["psnr"], published=PAPERS), "markdown")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {10}
    assert len(table) == 2 + 5 + 1 + 7
    best = next(line for line in table if line.startswith("| RBaIR (tiny)"))
    assert re.search(r"\| †\d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\] \|", best)
    assert "<u>" in text
    assert "| 31.58 |" in text
    assert "- <sup>a</sup> " in text
    assert "- [adair2025-5d] AdaIR, arXiv 2403.14614, ICLR 2025" in text
    awkward = render(AWKWARD, "markdown").splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in awkward if line.startswith("|")} == {6}


def test_csv_has_a_line_for_every_method_task_and_metric() -> None:
    group = embedded_group()
    text = render(paper_table(group, suite="5d", published=["RBaIR"]), "csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert tuple(lines[0]) == CSV_HEADER
    assert len(lines) == 6 * (2 + 12)
    cell = group.restorers[1].cells["derain@embedded-256"]
    (derained,) = (
        one
        for one in lines
        if (one["method"], one["task"], one["metric"]) == (group.restorers[1].label, "derain", "psnr")
    )
    assert float(derained["mean"]) == pytest.approx(cell.record.means.psnr, abs=1e-12)
    assert float(derained["low"]) < float(derained["mean"]) < float(derained["high"])
    assert (derained["images"], derained["kind"], derained["dataset"], derained["source"]) == (
        "12",
        "measured",
        "embedded-256",
        "restorebench",
    )
    (printed,) = (one for one in lines if (one["kind"], one["task"], one["metric"]) == ("published", "average", "psnr"))
    assert (printed["mean"], printed["low"], printed["source"]) == ("31.58", "", "rbair2025-5d")


class Reader(HTMLParser):
    """Tags that are open, and the cells of each line of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.widths: list[int] = []
        self.headings: list[str | None] = []
        self.anchors: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.targets |= {attributes["id"] or ""} if "id" in attributes else set()
        self.anchors |= {(attributes["href"] or "")[1:]} if tag == "a" else set()
        if tag == "tr":
            self.widths.append(0)
        if tag in ("th", "td"):
            self.widths[-1] += int(attributes.get("colspan") or 1)
        if tag == "th":
            self.headings.append(attributes.get("scope"))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    """The page, read to its end."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def test_html_is_a_whole_page_with_a_semantic_table() -> None:
    text = render(paper_table(embedded_group(), suite="5d", published=PAPERS), "html")
    page = read(text)
    assert page.widths[0] == 3 + 12
    assert page.widths[1] == 12  # the first three reach down
    assert set(page.widths[2:]) == {3 + 12}
    assert None not in page.headings
    assert set(page.headings) == {"col", "colgroup", "row", "rowgroup"}
    assert page.anchors == page.targets
    assert text.count("<caption>") == 1
    assert "†" in text
    awkward = render(AWKWARD, "html")
    read(awkward)
    assert "&lt;tag&gt;" in awkward
    assert "<strong>30.00</strong>" in awkward


@pytest.mark.parametrize("fmt", EXTENSIONS)
def test_every_format_has_all_numbers_of_the_table(fmt: str) -> None:
    table = paper_table(None, suite="3d", published=["all"])
    text = render(table, fmt)
    assert all(score.text in text for row in table.rows for score in row.scores if score.value is not None)
    assert all(key in text for key in table.citations)
