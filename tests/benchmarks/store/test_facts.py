"""Facts of a cell are those of its record and rows, read the long way round, and whatever is damaged is told alike."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.benchmarks.store import facts as module
from restorebench.benchmarks.store.cells import read_cell
from restorebench.benchmarks.store.facts import CellFacts, read_facts
from restorebench.benchmarks.store.how import how_counts
from restorebench.benchmarks.store.rows import ImageRow, RecordError, mean_rows

from ...reports.stores import shared_store, store_cell
from .test_records import record

FINITE = st.floats(-50, 90, allow_nan=False)


def stored(root: Path, rows: list[ImageRow], **changes: object) -> Path:
    """A finished cell of these rows; its folder."""
    scored = [row for row in rows if row.status == "ok"]
    made = record(
        expected=max(len(rows), 1),
        scored=len(scored),
        failures=tuple((row.image, row.message) for row in rows if row.status == "failed"),
        means=mean_rows(scored),
        **changes,
    )
    folder = root / made.suite / made.model / made.cell
    store_cell(folder, made, rows)
    return folder


def the_long_way(folder: Path) -> CellFacts:
    cell = read_cell(folder)
    return CellFacts.of(cell.record, how_counts(cell.rows))


def said(read: object, folder: Path) -> str:
    """What a reader says of a cell that does not add up; empty where it does."""
    try:
        read(folder)  # type: ignore[operator]
    except RecordError as error:
        return str(error)
    return ""


def test_facts_of_a_store_are_those_of_its_records_and_rows() -> None:
    folders = [path.parent for path in sorted(shared_store(previews=False).glob("*/*/*/record.json"))]
    assert len(folders) == 50
    for folder in folders:
        assert read_facts(folder)[0] == the_long_way(folder)


def test_a_table_that_is_plainly_right_is_not_read_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next(shared_store(previews=False).glob("*/*/*/record.json")).parent
    monkeypatch.setattr(module, "read_cell", lambda folder: pytest.fail("read row by row"))
    assert read_facts(folder)[0].complete


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            ImageRow,
            image=st.one_of(st.text(min_size=1, max_size=8), st.sampled_from(["a.png", 'b".png', "c,d", "e\\f", "ü"])),
            status=st.just("ok"),
            psnr=st.one_of(FINITE, st.just(math.inf)),
            ssim=FINITE,
            lpips=st.one_of(FINITE, st.just(math.nan)),
            input_psnr=FINITE,
            input_ssim=FINITE,
            how=st.sampled_from(["whole", "tiles of 64", "cpu"]),
            lpips_by=st.sampled_from(["", "alex 0123"]),
        )
        | st.builds(
            ImageRow, image=st.text(min_size=1, max_size=8), status=st.just("failed"), message=st.just("NaN, all")
        ),
        max_size=5,
        unique_by=lambda row: row.image,
    )
)
def test_facts_of_any_rows_are_those_of_the_long_way(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ImageRow]
) -> None:
    folder = stored(tmp_path_factory.mktemp("any"), rows)
    assert read_facts(folder)[0] == the_long_way(folder)


@pytest.mark.parametrize(
    "scores", [{"ssim": math.nan, "input_ssim": math.nan}, {"input_psnr": math.nan, "input_ssim": math.nan}]
)
def test_scores_that_nobody_knows_are_no_damage(tmp_path: Path, scores: dict[str, float]) -> None:
    known = {"psnr": 30.0, "ssim": 0.9, "input_psnr": 20.0, "input_ssim": 0.5, **scores}
    folder = stored(tmp_path, [ImageRow(image="a.png", status="ok", **known)])  # type: ignore[arg-type]
    assert read_facts(folder)[0] == the_long_way(folder)


@pytest.mark.parametrize("name", ["record.json", "images.csv"])
def test_any_changed_byte_is_told_as_the_long_way_tells_it(tmp_path: Path, name: str) -> None:
    rows = [
        ImageRow(image=f"{i}.png", status="ok", psnr=30.0 + i, ssim=0.9, input_psnr=20.0, input_ssim=0.5)
        for i in range(2)
    ]
    folder = stored(tmp_path, rows)
    path = folder / name
    data = path.read_bytes()
    step = 7 if name == "record.json" else 1
    for place in range(0, len(data), step):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert said(read_facts, folder) == said(read_cell, folder) != ""
    path.write_bytes(data)
    assert said(read_facts, folder) == ""


def test_a_value_longer_than_any_that_csv_reads_is_told(tmp_path: Path) -> None:
    scores = {"psnr": 30.0, "ssim": 0.9, "input_psnr": 20.0, "input_ssim": 0.5}
    folder = stored(tmp_path, [ImageRow(image="a" * 140_000, status="ok", **scores)])  # type: ignore[arg-type]
    assert said(read_facts, folder) == said(read_cell, folder) != ""


def test_sealed_files_that_contradict_one_another_are_told(tmp_path: Path) -> None:
    """Checksums that were computed anew hold, and still the means are not those of the rows."""
    rows = [ImageRow(image="a.png", status="ok", psnr=30.0, ssim=0.9, input_psnr=20.0, input_ssim=0.5)]
    folder = stored(tmp_path, rows)
    made = read_cell(folder).record
    for wrong in (
        dataclasses.replace(made, means=dataclasses.replace(made.means, psnr=31.0)),
        dataclasses.replace(made, scored=0, failures=(("a.png", "NaN"),)),
        dataclasses.replace(made, expected=0, scored=1),
    ):
        store_cell(folder, wrong, rows)
        assert said(read_facts, folder) == said(read_cell, folder) != ""


def test_a_row_that_contradicts_itself_is_told(tmp_path: Path) -> None:
    rows = [ImageRow(image="a.png", status="ok", psnr=30.0, ssim=math.inf, input_psnr=20.0, input_ssim=0.5)]
    folder = stored(tmp_path, rows)
    assert said(read_facts, folder) == said(read_cell, folder) != ""
