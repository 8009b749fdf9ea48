"""Runs keep small pictures for reports: the pixels that were restored, shared pairs, and no cell computed for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.job import CellOutcome
from restorebench.benchmarks.evaluation.pictures.previews import preview_count
from restorebench.datasets.suites import resolve
from restorebench.reports.analysis.cells import StoredCell, read_cells

from ... import scaling_network


@pytest.fixture(autouse=True)
def darker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registered restorer that is no identity; torch's cache is empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with scaling_network.registered("darker", 0.5):
        yield


def run(results: Path, **changes: Any) -> list[CellOutcome]:
    return scaling_network.run("darker", results, **changes)


def only_cell(results: Path) -> StoredCell:
    cells, problems = read_cells(results)
    assert not problems
    return cells[0]


def pixels(path: Path | None) -> np.ndarray[Any, Any]:
    assert path is not None
    with Image.open(path) as image:
        return np.asarray(image)


def test_every_image_of_an_embedded_set_is_kept_as_the_network_saw_it(tmp_path: Path) -> None:
    run(tmp_path)
    cell = only_cell(tmp_path)
    data = resolve("derain", source="embedded", size=72).data[0]
    assert [row.image for row in cell.rows] == list(data.names)
    for index, name in enumerate(data.names):
        sample = data[index]
        assert sample.degraded is not None
        cropped = slice(4, 68)
        np.testing.assert_array_equal(pixels(cell.clean_preview(name)), sample.clean[cropped, cropped])
        np.testing.assert_array_equal(pixels(cell.degraded_preview(name)), sample.degraded[cropped, cropped])
        halved = np.rint(sample.degraded[cropped, cropped].astype(np.float32) / 255 * 0.5 * 255)
        assert np.abs(pixels(cell.restored_preview(name)).astype(int) - halved).max() <= 1


def test_a_number_keeps_the_first_and_computes_what_lacks_them(tmp_path: Path) -> None:
    run(tmp_path, previews="none")
    cell = only_cell(tmp_path)
    names = [row.image for row in cell.rows]
    assert not any(cell.restored_preview(name) for name in names)
    assert run(tmp_path)[0].computed == 0, "auto computes nothing for the sake of pictures"
    assert run(tmp_path, previews=2)[0].computed == 2
    assert [cell.restored_preview(name) is not None for name in names] == [True, True] + [False] * (len(names) - 2)
    assert run(tmp_path, previews=2)[0].computed == 0


def test_a_suite_that_shares_a_cell_takes_its_previews(tmp_path: Path) -> None:
    run(tmp_path, tasks="3d")
    assert sum(outcome.computed for outcome in run(tmp_path, tasks="derain")) == 0
    cell = next(cell for cell in read_cells(tmp_path)[0] if cell.record.suite == "derain")
    assert all(cell.restored_preview(row.image) for row in cell.rows)


def test_of_other_sets_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    for index in range(6):
        Image.new("RGB", (40, 36), (40 * index, 10, 200)).save(clean / f"{index}.png")
    run(tmp_path / "results", tasks=None, dataset="folder", clean=str(clean), sigma=25)
    cell = only_cell(tmp_path / "results")
    assert [cell.clean_preview(f"{index}.png") is not None for index in range(6)] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("value", ["some", -1, 1.5, True])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(UserError, match="previews="):
        preview_count(value)
