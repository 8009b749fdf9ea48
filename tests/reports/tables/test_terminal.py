"""The table at the end of a run: input, restored, gain, speed, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.terminal import terminal_table

from ..stores import change_cell, fail_image, write_store


def lines(root: Path) -> list[str]:
    return terminal_table(groups(read_cells(root)[0])).splitlines()


def test_a_line_a_task_with_input_restored_gain_and_speed(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"identity": 0.0, "rbair": 6.0}, previews=False)
    cell = next(c for c in read_cells(tmp_path)[0] if c.record.model == "rbair" and c.record.task == "derain")
    means = cell.record.means
    assert means.psnr is not None
    assert means.input_psnr is not None
    printed = lines(tmp_path)
    assert printed[0] == "5d on embedded-256, promptir@1"
    line = next(line for line in printed if "derain" in line)
    for text in (f"{means.input_psnr:.2f}", f"{means.psnr:.2f}", f"{means.psnr - means.input_psnr:+.2f}", " 8", "12"):
        assert text in line
    assert sum("average" in line for line in printed) == 1
    assert not any("identity" in line or "Input" in line for line in printed[4:]), "the input stands in every line"
    assert max(map(len, printed)) <= 100


def test_lpips_has_a_column_where_a_line_has_it(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 6.0, "anyir": 5.0}, previews=False, lpips={"rbair": 0.1234})
    printed = lines(tmp_path)
    place = printed[2].index("LPIPS")
    column = [line[place : place + 5].strip() for line in printed[4:]]
    assert column.count("0.123") == 6
    assert set(column) == {"0.123", "-"}
    write_store(tmp_path / "without", suites=("5d",), gains={"rbair": 6.0}, previews=False)
    assert not any("LPIPS" in line for line in lines(tmp_path / "without"))


def test_the_input_alone_is_shown(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("3d",), gains={"identity": 0.0}, previews=False)
    assert sum("+0.00" in line for line in lines(tmp_path)) == 6


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 6.0}, previews=False)
    for path in tmp_path.glob("5d/rbair/*/record.json"):
        record = json.loads(path.read_text())
        if record["task"] == "deblur":
            path.unlink()
        if record["task"] == "dehaze":
            fail_image(path.parent, "image-03.png", "NaN")
    text = "\n".join(lines(tmp_path))
    assert "1 of 12 images failed, first image-03.png: NaN" in text
    assert "missing: dehaze@embedded-256, deblur@embedded-256" in text


def test_an_empty_store_says_so() -> None:
    assert terminal_table([]) == "No finished cells yet."


def test_the_inputs_ssim_has_a_head_of_its_own(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 6.0}, previews=False)
    head = lines(tmp_path)[2]
    assert head.count("SSIM") == 2
    assert "input PSNR" in head
    assert "input SSIM" in head


def test_failed_and_untrained_rows_are_marked(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 6.0, "anyir": 5.0}, previews=False)
    for path in tmp_path.glob("5d/rbair/*/record.json"):
        if json.loads(path.read_text())["task"] == "dehaze":
            fail_image(path.parent, "image-03.png", "NaN")
    for path in tmp_path.glob("5d/anyir/*"):
        change_cell(path, provenance="untrained")
    printed = lines(tmp_path)
    place = next(line for line in printed if line.startswith("RBaIR"))
    assert "11 FAILED" in place
    assert sum("FAILED" in line for line in printed) == 1
    assert any("average" in line and "incomplete" in line for line in printed)
    assert any(line.startswith("AnyIR (tiny, untrained)") for line in printed)


def test_partial_averages_what_was_scored_and_says_how_many(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 6.0}, previews=False)
    for path in tmp_path.glob("5d/rbair/*/record.json"):
        if json.loads(path.read_text())["task"] == "dehaze":
            fail_image(path.parent, "image-03.png", "NaN")
    several = groups(read_cells(tmp_path)[0])
    cells = [cell for r in several[0].restorers for cell in r.cells.values()]
    means = [cell.record.means.psnr for cell in cells]
    shown = terminal_table(several, partial=True)
    average = next(line for line in shown.splitlines() if " average " in line)
    assert f"{sum(means) / len(means):.2f}" in average
    assert "incomplete" in average
    assert "mean over the 11 of 12 images with scores" in shown
    assert "mean over 5 of 5 tasks, 59 of the 60 images of those run" in shown
    plain = terminal_table(several)
    assert "mean over" not in plain
    assert next(line for line in plain.splitlines() if " average " in line).count(" -") >= 3


def test_partial_rows_of_a_papers_table_say_how_many_and_are_not_ranked(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 9.0, "anyir": 5.0, "daair": 4.0}, previews=False)
    for path in tmp_path.glob("5d/rbair/*/record.json"):
        fail_image(path.parent, "image-03.png", "NaN")
    (group,) = groups(read_cells(tmp_path)[0])
    without = {row.model: row for row in paper_table(group, suite="5d").rows}
    assert all(score.value is None for score in without["rbair"].scores)
    rows = paper_table(group, suite="5d", partial=True).rows
    assert [row.model for row in rows][-1] == "rbair", "after those of all images, though its means are the highest"
    assert all(score.value is not None and score.mark is None for score in rows[-1].scores)
    notes = [score.notes[0] for score in rows[-1].scores]
    assert all("the 11 of 12 images" in note or "55 of the 60 images" in note for note in notes)
    assert {row.model: row.scores for row in rows}["anyir"] == without["anyir"].scores
