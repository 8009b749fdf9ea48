"""Two restorers, or two results folders, cell by cell on the images that both have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.analysis.leaderboard import by_restorer
from restorebench.reports.errors import ReportError
from restorebench.reports.tables.comparison import compare
from restorebench.reports.tables.leaderboard import markdown
from restorebench.reports.tables.paper import paper_table

from ..stores import change_cell, shared_store, write_store


def test_two_restorers_are_compared_on_every_cell_that_both_have() -> None:
    store = shared_store(previews=False)
    text = compare("rbair", "kbnet", store)
    rows = [line for line in text.splitlines() if "embedded-256, promptir@1" in line]
    assert len(rows) == 7, "ten of two suites, which share three"
    cells = {(c.record.suite, c.record.model, c.record.task_key): c for c in read_cells(store)[0]}
    first, second = (cells["5d", model, "deblur@embedded-256"].record.means.psnr for model in ("rbair", "kbnet"))
    assert first is not None
    assert second is not None
    row = next(line for line in rows if "deblur" in line)
    for number in (f"{first:.2f}", f"{second:.2f}", f"{first - second:+.3f}"):
        assert number in row
    assert "*" in row, "2 dB on 12 images with half a dB of spread"


def test_a_restorer_against_itself_is_a_tie() -> None:
    store = shared_store(suites=("5d",), previews=False)
    rows = [line for line in compare("rbair", "rbair", store).splitlines() if "promptir" in line]
    assert all("+0.000" in row and "1.000" in row and "*" not in row for row in rows)


def test_two_folders_are_compared_restorer_by_restorer(tmp_path: Path) -> None:
    write_store(tmp_path / "a", suites=("5d",), gains={"rbair": 6.0, "anyir": 5.0}, previews=False)
    write_store(tmp_path / "b", suites=("5d",), gains={"rbair": 5.0, "kbnet": 5.0}, previews=False)
    text = compare(str(tmp_path / "a"), str(tmp_path / "b"), tmp_path / "none")
    rows = [line for line in text.splitlines() if "RBaIR" in line and "+1.000" in line]
    assert len(rows) == 5
    assert "AnyIR (tiny) deblur@embedded-256: only in" in text
    assert "KBNet (tiny) deblur@embedded-256: only in" in text


def test_names_that_are_neither_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no restorer 'rbairr'"):
        compare("rbairr", "kbnet", shared_store(suites=("5d",), previews=False))
    with pytest.raises(ReportError, match="no results folders"):
        compare("rbair", "kbnet", tmp_path / "none")


def test_without_a_common_cell_there_is_nothing_to_compare() -> None:
    a, b = (shared_store(suites=(suite,), previews=False) for suite in ("5d", "3d"))
    with pytest.raises(ReportError, match="no cell in common"):
        compare(str(a), str(b), a)


def test_a_cell_of_two_suites_is_tested_once(tmp_path: Path) -> None:
    root = write_store(tmp_path, gains={"identity": 0.0, "rbair": 6.0, "kbnet": 4.0}, previews=False)
    ids: dict[tuple[str, str], str] = {}
    for path in sorted(root.glob("*/*/*/record.json")):
        record = json.loads(path.read_text())
        cell = ids.setdefault((record["model"], record["identity"]["task"]), record["cell"])
        path.write_text(json.dumps(record | {"cell": cell}))
        path.parent.rename(path.parent.with_name(cell))
    text = compare("rbair", "kbnet", root)
    rows = [line for line in text.splitlines() if "promptir@1" in line]
    assert len(rows) == 7
    assert sum("3d on" in row and "5d on" in row for row in rows) == 3
    assert "over the 7 lines" in text


def test_too_few_clusters_are_said() -> None:
    text = compare("rbair", "kbnet", shared_store(suites=("5d",), images=5, previews=False))
    assert "With at most 5 clusters no difference can be significant at 0.05" in text


def test_weights_files_are_compared_by_their_labels(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"rbair": 6.0, "anyir": 5.0}, previews=False)
    for model, label in (("rbair", "night run"), ("anyir", "day.pt")):
        for folder in (tmp_path / "5d" / model).iterdir():
            change_cell(folder, provenance="file", weights={"label": label, "kind": "file"})
    text = compare("night run", "day.pt", tmp_path)
    assert text.splitlines()[:2] == ["A: night run", "B: day.pt"]
    assert sum("promptir@1" in line for line in text.splitlines()) == 5
    assert compare("RBaIR (tiny, night run)", "anyir", tmp_path).count("promptir@1") == 5
    (group,) = groups(read_cells(tmp_path)[0])
    rows = [row.method for row in paper_table(group, suite="5d", rows=["day.pt"]).rows]
    assert rows == ["AnyIR (tiny, day.pt)"]
    assert "night run" in markdown(by_restorer(c.record for c in read_cells(tmp_path)[0]))
