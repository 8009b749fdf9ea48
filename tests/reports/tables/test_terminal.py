"""The table at the end of a run: input, restored, gain, speed, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.tables.terminal import terminal_table

from ..stores import fail_image, write_store


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
