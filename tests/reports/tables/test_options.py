"""What a table prints of its numbers, and tables of every image."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from restorebench.benchmarks.commands.report import main
from restorebench.reports.errors import ReportError
from restorebench.reports.tables.options import TableOptions, costs_of, digits_of
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.per_image import per_image_tables
from restorebench.reports.tables.printing.formats import render

from ..stores import fail_image, shared_store, write_store
from ..table_examples import STANDARD, changed, embedded_group
from .test_formats import check_latex, compile_latex

FORMATS = ("latex", "markdown", "html")


@pytest.mark.parametrize("fmt", FORMATS)
def test_intervals_can_be_left_out_with_the_sentence_on_them(fmt: str) -> None:
    table = paper_table(embedded_group(), suite="5d", options=TableOptions(intervals=False))
    with_them = render(paper_table(embedded_group(), suite="5d"), fmt)
    without = render(table, fmt)
    assert "Brackets" in with_them
    assert re.search(r"\[\d\d\.\d\d,", with_them)
    assert "Brackets" not in without
    assert not re.search(r"\[\d\d\.\d\d,", without)
    marks = [[score.mark for score in row.scores] for row in table.rows]
    assert marks == [[score.mark for score in row.scores] for row in paper_table(embedded_group(), suite="5d").rows]


def test_digits_are_those_asked_for_and_printed_scores_get_no_more_than_papers_print() -> None:
    group = changed(embedded_group(), datasets=STANDARD, variant="paper", provenance="official")
    options = TableOptions(digits=digits_of("3"))
    table = paper_table(group, suite="5d", published=["RBaIR"], options=options)
    rows = {row.method: row for row in table.rows}
    measured, printed = rows["RBaIR (paper)"], rows["RBaIR, published"]
    assert re.fullmatch(r"\d+\.\d{3}", measured.scores[0].text)
    assert re.fullmatch(r"0\.\d{4}", measured.scores[1].text)
    assert measured.scores[0].text == f"{measured.scores[0].value:.3f}"
    assert printed.scores[0].text == "32.79"
    assert re.fullmatch(r"[+-]\d+\.\d{3}", rows["measured minus published"].scores[0].text)
    assert re.search(r"\[\d\d\.\d{3}, \d\d\.\d{3}\]", render(table, "markdown"))
    short = paper_table(group, suite="5d", published=["RBaIR"], options=TableOptions(digits=digits_of("1,2")))
    texts = {row.method: [score.text for score in row.scores] for row in short.rows}
    assert texts["RBaIR, published"][:2] == ["32.8", "0.98"]


def test_costs_and_names_of_data_sets_are_those_asked_for() -> None:
    group = embedded_group()
    table = paper_table(group, suite="5d", options=TableOptions(costs=(), datasets=True))
    text = render(table, "markdown")
    assert "params" not in text
    assert "dehaze (embedded-256) PSNR" in text
    check_latex(render(table, "latex"))
    assert r"\multicolumn{2}{c}{embedded-256}" in render(table, "latex")
    one = render(paper_table(group, suite="5d", options=TableOptions(costs=costs_of("macs_g"))), "markdown")
    assert "MACs (G)" in one
    assert "params (M)" not in one
    several = changed(group, datasets=STANDARD)
    assert "SOTS-Outdoor" in render(paper_table(several, suite="5d"), "markdown").splitlines()[2]
    bare = render(paper_table(several, suite="5d", options=TableOptions(datasets=False)), "markdown")
    assert "SOTS-Outdoor" not in bare.splitlines()[2]


@pytest.mark.parametrize(
    ("make", "text", "said"),
    [
        (digits_of, "two", "give decimals"),
        (digits_of, "2,3,4", "give decimals"),
        (digits_of, "99", "at most 6"),
        (costs_of, "param_m", "did you mean 'params_m'"),
    ],
)
def test_mistakes_in_options_are_one_line(make: object, text: str, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        make(text)  # type: ignore[operator]


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_marks_a_number_stands_before_it_so_that_columns_end_with_digits(fmt: str) -> None:
    text = render(paper_table(embedded_group(), suite="5d", columns=["psnr"]), fmt)
    tie = {"latex": r"\$\^\{\\dagger\}\$\d\d\.\d\d( &| \\\\)", "markdown": r"†\d\d\.\d\d \[", "html": r">†\d\d\.\d\d<"}
    assert re.search(tie[fmt], text)
    assert not re.search(r"\d(†|\$\^|\\textsuperscript|<sup>)", re.sub(r"pass over .*|\(tiny\).*?[&|<]", "", text))


def test_every_image_of_a_task_is_a_row_with_the_stores_scores(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    shutil.copytree(shared_store(suites=("5d",), images=6, previews=False), tmp_path / "store", dirs_exist_ok=True)
    folder = next(p.parent for p in (tmp_path / "store/5d/anyir").glob("*/record.json") if '"derain"' in p.read_text())
    fail_image(folder, "image-03.png", "NaN in the output")
    command = ["table", "--results", str(tmp_path / "store"), "--suite", "5d", "--per-image", "--task", "derain"]
    assert main([*command, "--format", "csv", "--output", str(tmp_path)]) == 0
    stem = "5d-embedded-256-promptir-v1-derain-images"
    lines = list(csv.DictReader(io.StringIO((tmp_path / f"{stem}.csv").read_text())))
    images = [f"image-{index:02d}.png" for index in range(6)]
    assert [line["image"] for line in lines if (line["restorer"], line["metric"]) == ("Input", "psnr")] == [
        *images,
        "mean",
    ]
    rows = {row["image"]: row for row in csv.DictReader((folder / "images.csv").open())}
    for line in lines:
        if line["restorer"] == "AnyIR (tiny)" and line["image"] in rows:
            assert line["value"] == (
                "" if line["image"] == "image-03.png" else repr(float(rows[line["image"]][line["metric"]]))
            )
    assert main([*command, "--format", "latex", "--rows", "rbair,identity", "--output", str(tmp_path)]) == 0
    text = (tmp_path / f"{stem}.tex").read_text()
    check_latex(text)
    compile_latex(tmp_path / f"{stem}.tex")
    assert r"\usepackage{longtable}" in text
    assert "AnyIR" not in text
    assert re.search(r"image-00\.png & \d+\.\d\d & 0\.\d{3} & \d+\.\d\d & 0\.\d{3} \\\\", text)


def test_tables_of_images_are_made_of_every_task_and_refuse_what_is_not_there() -> None:
    group = embedded_group()
    tables = per_image_tables(group, metrics=["psnr"])
    assert [table.caption.split(": ")[1].split(" on ")[0] for table in tables] == [
        *("dehaze", "derain", "denoise 25", "deblur", "lowlight")
    ]
    assert len({table.stem for table in tables}) == 5
    with pytest.raises(ReportError, match=r"--task derian: .* \(did you mean 'derain'"):
        per_image_tables(group, metrics=["psnr"], tasks=["derian"])


def test_options_reach_the_table_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_store(tmp_path / "s", suites=("3d",), gains={"rbair": 6.0, "daair": 5}, images=4, previews=False)
    command = ["table", "--results", str(results), "--suite", "3d", "--format", "markdown", "--output", str(tmp_path)]
    assert main([*command, "--intervals", "off", "--digits", "1", "--costs", "none", "--datasets", "on"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(line for line in lines if line.startswith("| method"))
    assert head.startswith("| method | dehaze (embedded-256) PSNR | dehaze (embedded-256) SSIM |")
    row = next(line for line in lines if line.startswith("| RBaIR"))
    assert re.fullmatch(r"\| RBaIR[^|]*(\| †?(<u>)?\d+\.\d(</u>)? \| †?(<u>)?0\.\d\d(</u>)? ){6}\|", row)
