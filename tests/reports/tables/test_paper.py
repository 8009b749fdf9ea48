"""A paper's table: who is marked, what is subtracted from what, and what is said where nothing is."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest

from restorebench.benchmarks.store.records import mean_rows
from restorebench.reports.analysis.cells import Group, groups, read_cells
from restorebench.reports.errors import ReportError
from restorebench.reports.tables.model import PaperTable, TableRow
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.printing.formats import write_formats

from ..stores import write_store
from ..table_examples import STANDARD, changed, embedded_group

PAPERS = ["RBaIR", "AnyIR", "DaAIR", "KBNet", "PromptIR", "AdaIR", "MoCE-IR"]


def row(table: PaperTable, method: str) -> TableRow:
    """The row of that name."""
    (match,) = (one for one in table.rows if one.method == method)
    return match


def notes(table: PaperTable) -> str:
    """All footnotes."""
    return "\n".join(table.footnotes())


def test_printed_rows_alone_need_no_results() -> None:
    table = paper_table(None, suite="5d", published=PAPERS)
    assert [one.method for one in table.rows] == PAPERS
    averages = {one.method: one.scores[-2].text for one in table.rows}
    assert averages == {
        "RBaIR": "31.58",
        "AnyIR": "30.65",
        "DaAIR": "30.24",
        "KBNet": "-",
        "PromptIR": "29.15",
        "AdaIR": "30.20",
        "MoCE-IR": "30.58",
    }
    assert row(table, "RBaIR").scores[0].text == "32.79"
    assert [column.key for column in table.columns][-1] == "average"
    assert all(score.mark is None and score.low is None for one in table.rows for score in one.scores)
    assert "take no part in the marks" in " ".join(table.remarks)
    for phrase in (
        "29.15, 29.77 and 28.11",
        "Gaussian 11x11",
        "two versions differ",
        "15 images",
        "SOTS-Outdoor scenes",
    ):
        assert phrase in notes(table)


def test_measured_rows_have_means_intervals_and_marks() -> None:
    group = embedded_group()
    table = paper_table(group, suite="5d")
    methods = [one.method for one in table.rows]
    assert methods == ["Input", "RBaIR (tiny)", "AnyIR (tiny)", "DaAIR (tiny)", "KBNet (tiny)"]
    best = row(table, "RBaIR (tiny)")
    cell = group.restorers[-1].cells["dehaze@embedded-256"]
    assert best.scores[0].value == pytest.approx(cell.record.means.psnr)
    assert best.scores[0].low is not None
    assert best.scores[0].low < cell.record.means.psnr < (best.scores[0].high or 0)
    assert best.scores[0].images == 12
    assert best.scores[-2].images == 60
    marks = {one.method: one.scores[-2].mark for one in table.rows}
    assert marks == {
        "Input": None,
        "RBaIR (tiny)": "tie",
        "AnyIR (tiny)": "tie",
        "DaAIR (tiny)": "second",
        "KBNet (tiny)": None,
    }
    assert [cost.text for cost in best.costs] == ["0.600", "6.00"]
    remarks = " ".join(table.remarks)
    for phrase in ("12 images a task", "sign-flip", "Holm", "10,000", "promptir@1", "input is not ranked"):
        assert phrase in remarks
    assert "no difference can be significant" not in remarks
    assert "over the 4 restorers shown" in remarks


def test_the_input_is_never_marked_even_where_it_is_best(tmp_path: Path) -> None:
    gains = {"identity": 0.0, "rbair": -2.0, "anyir": -6.0}
    (group,) = groups(read_cells(write_store(tmp_path, suites=("5d",), gains=gains, previews=False))[0])
    table = paper_table(group, suite="5d")
    assert table.rows[0].kind == "input"
    assert {score.mark for score in table.rows[0].scores} == {None}
    assert row(table, "RBaIR (tiny)").scores[-2].mark == "best"
    assert row(table, "AnyIR (tiny)").scores[-2].mark == "second"


def test_five_images_tie_and_the_note_says_why() -> None:
    table = paper_table(embedded_group(images=5), suite="5d", columns=["psnr"])
    tasks = [one.scores[0].mark for one in table.rows if one.kind == "measured"]
    assert tasks == ["tie"] * 4
    remarks = " ".join(table.remarks)
    assert "5 scenes: no difference can be significant at 0.05" in remarks
    told = remarks.partition("corrected for 3 comparisons, is 0.19), so all tie: ")[2]
    assert told.startswith("dehaze, ")
    assert "average" in told  # the same five in every task, so 25 scores are five observations


def test_one_restorer_has_nothing_to_be_compared_with() -> None:
    table = paper_table(embedded_group(), suite="5d", columns=["psnr"], rows=["rbair"])
    assert [one.method for one in table.rows] == ["RBaIR (tiny)"]
    assert {score.mark for score in table.rows[0].scores} == {None}
    assert any("No marks" in remark for remark in table.remarks)


def test_rows_and_columns_are_those_asked_for() -> None:
    group = embedded_group()
    table = paper_table(group, suite="5d", rows=["kbnet", "identity", "rbair"], columns=["ssim"])
    assert [one.method for one in table.rows] == ["Input", "KBNet (tiny)", "RBaIR (tiny)"]
    assert {column.metric for column in table.columns} == {"ssim"}
    assert len(table.columns) == 6
    by_ssim = [one.scores[-1].value for one in paper_table(group, suite="5d", columns=["ssim"]).rows[1:]]
    assert by_ssim == sorted(by_ssim, key=lambda value: -(value or 0))


def test_mistakes_are_one_line_with_the_remedy(tmp_path: Path) -> None:
    group = embedded_group()
    with pytest.raises(ReportError, match=r"--rows rbiar.*did you mean 'rbair'"):
        paper_table(group, suite="5d", rows=["rbiar"])
    with pytest.raises(ReportError, match="--columns lpips"):
        paper_table(group, suite="5d", columns=["lpips"])
    with pytest.raises(ReportError, match="without rows"):
        paper_table(None, suite="5d")
    with pytest.raises(ReportError, match="--format word"):
        write_formats(paper_table(group, suite="5d"), ["word"], tmp_path)
    with pytest.raises(ReportError, match="3d, 5d, cdd11"):
        paper_table(None, suite="derain", published=["RBaIR"])


def test_embedded_scores_are_never_subtracted_from_printed_ones() -> None:
    group = changed(embedded_group(), variant="paper", provenance="official")
    table = paper_table(group, suite="5d", columns=["psnr"], published=PAPERS)
    assert [one.kind for one in table.rows] == ["input", *["measured"] * 4, *["published"] * 7]
    assert [block.heading for block in table.blocks] == ["", "Published, not comparable with measured rows"]
    assert "measured on embedded-256, printed on SOTS-Outdoor" in table.blocks[1].notes[0]
    assert "15 images" in notes(table)
    assert not any("15 images" in note for column in table.columns for note in column.notes)


def standard_group(*, provenance: str = "official", protocol: str = "promptir@1") -> Group:
    """The five standard sets, restored by published networks."""
    group = embedded_group(protocol=protocol)
    return changed(group, datasets=STANDARD, variant="paper", provenance=provenance)


def test_on_standard_sets_a_restorer_stands_beside_its_printed_row_with_the_difference() -> None:
    table = paper_table(standard_group(), suite="5d", published=["RBaIR", "AdaIR"])
    methods = [one.method for one in table.rows]
    place = methods.index("RBaIR (paper)")
    assert methods[place : place + 3] == ["RBaIR (paper)", "RBaIR, published", "measured minus published"]
    measured, printed, difference = table.rows[place : place + 3]
    for ours, theirs, between in zip(measured.scores, printed.scores, difference.scores, strict=True):
        assert between.value == pytest.approx((ours.value or 0) - (theirs.value or 0))
    assert difference.scores[0].text == f"{(measured.scores[0].value or 0) - 32.79:+.2f}"
    assert table.blocks[1].heading == "Published"
    assert [one.method for one in table.blocks[1].rows] == ["AdaIR"]
    keys = [(column.key, column.metric) for column in table.columns]
    noisy = [keys[i] for i, score in enumerate(difference.scores) if any("noise" in note for note in score.notes)]
    assert {key for key, _ in noisy} == {"denoise-25@CBSD68", "average"}
    assert difference.notes == ()  # the authors' weights, printed by the authors
    assert any("15 images" in note for column in table.columns for note in column.notes)


@pytest.mark.parametrize(
    ("model", "title", "variant", "asked", "printed", "published_network"),
    [
        ("moceir", "MoCE-IR", "paper", ["all"], "MoCE-IR", True),
        ("moceir", "MoCE-IR", "s", ["all"], "MoCE-IR-S", True),
        ("moceir", "MoCE-IR", "s", ["MoCE-IR"], "MoCE-IR", False),  # the larger network's row
        ("moceir", "MoCE-IR", "paper", ["moceir"], "MoCE-IR", True),
        ("promptir", "Prompt IR", "paper", ["PROMPT-IR"], "PromptIR", True),
        ("nafnet", "NAFNet", "w32", ["all"], "NAFNet", False),  # no paper says of which width its row is
        ("restormer", "Restormer", "paper", ["restormer"], "Restormer", True),
    ],
)
def test_measured_and_printed_rows_meet_by_the_registrys_name_whatever_the_spelling(
    model: str, title: str, variant: str, asked: list[str], printed: str, published_network: bool
) -> None:
    group = changed(standard_group(), variant=variant)
    first = next(restorer for restorer in group.restorers if not restorer.is_input)
    cells = [
        dataclasses.replace(cell, record=dataclasses.replace(cell.record, model=model, title=title))
        for cell in first.cells.values()
    ]
    (alone,) = groups(cells)
    rows = paper_table(alone, suite="5d", columns=["psnr"], published=asked).rows
    beside = [row.method for row in rows if row.kind == "published" and row.method.endswith(", published")]
    assert beside == ([f"{printed}, published"] if published_network else [])
    assert any(row.kind == "difference" for row in rows) == published_network
    twin = next(row for row in rows if row.kind == "published" and row.model == printed)
    assert any("no difference is formed" in note for note in twin.notes) != published_network


def test_reasons_for_a_difference_are_window_and_retraining() -> None:
    group = standard_group(provenance="retrained", protocol="moceir@1")
    table = paper_table(group, suite="5d", published=["RBaIR", "AnyIR"])
    rows = list(table.rows)
    ours = rows[[one.method for one in rows].index("RBaIR (paper)") + 2]
    assert ours.kind == "difference"
    assert any("not those of the printed score" in note for note in ours.notes)
    windows = [any("window" in note for note in score.notes) for score in ours.scores]
    assert windows == [column.metric == "ssim" for column in table.columns]
    quoted = rows[[one.method for one in rows].index("AnyIR (paper)") + 2]
    assert any("quoted" in note for note in quoted.notes)


def test_a_part_of_a_set_is_not_the_set() -> None:
    partial = {**STANDARD, "derain": "Rain100L[4of100]"}
    group = changed(embedded_group(), datasets=partial, variant="paper", provenance="official")
    table = paper_table(group, suite="5d", columns=["psnr"], published=["RBaIR", "AdaIR"])
    difference = next(one for one in table.rows if one.kind == "difference")
    given = {
        column.task: score.value is not None for column, score in zip(table.columns, difference.scores, strict=True)
    }
    assert given == {
        "dehaze": True,
        "derain": False,
        "denoise-25": True,
        "deblur": True,
        "lowlight": True,
        "average": False,
    }
    assert any("measured on Rain100L[4of100], printed on Rain100L" in note for note in difference.notes)
    assert "in part" in table.blocks[1].heading


def test_another_network_or_protocol_forms_no_difference() -> None:
    tiny = changed(embedded_group(), datasets=STANDARD)
    table = paper_table(tiny, suite="5d", columns=["psnr"], published=["RBaIR"])
    assert not any(one.kind == "difference" for one in table.rows)
    assert "RBaIR (tiny) is not the published RBaIR" in notes(table)
    other = standard_group(protocol="basicsr-rgb@1")
    table = paper_table(other, suite="5d", columns=["psnr"], published=["RBaIR"])
    assert not any(one.kind == "difference" for one in table.rows)
    assert "measured under basicsr-rgb@1" in notes(table)


def with_failure(group: Group) -> Group:
    """One image of RBaIR's deraining has failed."""
    cells = []
    for restorer in group.restorers:
        for cell in restorer.cells.values():
            if cell.record.model == "rbair" and cell.record.task == "derain":
                bad = dataclasses.replace(cell.rows[0], status="failed", message="NaN in the output")
                kept = (bad, *cell.rows[1:])
                record = dataclasses.replace(
                    cell.record, scored=11, failures=((bad.image, bad.message),), means=mean_rows(kept)
                )
                cells.append(dataclasses.replace(cell, rows=kept, record=record))
            else:
                cells.append(cell)
    (failed,) = groups(cells)
    return failed


def test_incomplete_cells_are_dashes_that_say_why_and_are_not_ranked() -> None:
    table = paper_table(with_failure(embedded_group()), suite="5d", columns=["psnr"])
    failed = row(table, "RBaIR (tiny)")
    assert [score.text == "-" for score in failed.scores] == [False, True, False, False, False, True]
    assert "1 of 12 images failed" in failed.scores[1].notes[0]
    assert "no complete derain" in failed.scores[-1].notes[0]
    assert failed.scores[0].mark == "tie"
    assert row(table, "AnyIR (tiny)").scores[1].mark == "best"
    assert table.rows[-1] == failed  # without an average it has no place before others


def test_a_single_task_has_no_average() -> None:
    group = embedded_group()
    key = "dehaze@embedded-256"
    cells = [
        dataclasses.replace(cell, record=dataclasses.replace(cell.record, suite="dehaze", suite_tasks=(key,)))
        for restorer in group.restorers
        for cell in [restorer.cells[key]]
    ]
    table = paper_table(groups(cells)[0], suite="dehaze")
    assert [(column.key, column.metric) for column in table.columns] == [(key, "psnr"), (key, "ssim")]
    assert table.rows[1].method == "RBaIR (tiny)"


def test_files_are_the_table_its_body_and_the_bibliography(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    files = write_formats(paper_table(None, suite="5d", published=PAPERS), ["latex"], folder)
    assert [path.name for path in files] == ["5d-published.tex", "5d-published-body.tex", "5d-published.bib"]
    entries = files[2].read_text()
    for key in paper_table(None, suite="5d", published=PAPERS).citations:
        assert f"{{{key}," in entries
        assert f"\\cite{{{key}}}" in files[1].read_text()
    group = embedded_group()
    named = write_formats(paper_table(group, suite="5d", stem="mine"), ["csv"], folder)
    assert [path.name for path in named] == ["mine.csv"]
    lines = list(csv.DictReader(io.StringIO(named[0].read_text())))
    assert len(lines) == 5 * (2 + 12)


def test_the_same_store_gives_the_same_table() -> None:
    group = embedded_group()
    reverse = dataclasses.replace(group, restorers=tuple(reversed(group.restorers)))
    assert paper_table(group, suite="5d", columns=["psnr"]) == paper_table(reverse, suite="5d", columns=["psnr"])


def test_rows_that_are_left_out_are_named_with_the_verdicts_that_would_change() -> None:
    group = embedded_group()
    whole = " ".join(paper_table(group, suite="5d").remarks)
    assert "neither shown nor compared" not in whole
    shown = paper_table(group, suite="5d", rows=["anyir", "daair"], columns=["psnr"])
    remarks = " ".join(shown.remarks)
    assert "over the 2 restorers shown" in remarks
    assert (
        "Measured, but neither shown nor compared: KBNet (tiny), RBaIR (tiny); with them the marks are others"
        in remarks
    )
    changed = remarks.partition("the marks are others in ")[2].partition(".")[0].split(", ")
    for column in shown.columns:
        marks = [
            [board.mark(label, column.key) for label in ("AnyIR (tiny)", "DaAIR (tiny)")]
            for board in (
                group.scoreboard,
                dataclasses.replace(
                    group, restorers=tuple(r for r in group.restorers if r.label[:3] in ("Any", "DaA"))
                ).scoreboard,
            )
        ]
        assert (marks[0] != marks[1]) == (f"{column.label} PSNR" in changed)
    same = " ".join(paper_table(group, suite="5d", rows=["rbair", "anyir", "daair", "kbnet"]).remarks)
    assert "neither shown nor compared" not in same
