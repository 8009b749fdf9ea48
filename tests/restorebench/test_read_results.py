"""``restorebench.read_results``: a store as frames."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import restorebench
from restorebench import Evaluation, ReportError

from .networks import Blend


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    store = tmp_path_factory.mktemp("store")
    restorebench.evaluate("identity", "3d", size=64, device="cpu", data="embedded", results=store, progress=False)
    mine = restorebench.evaluate(
        Blend(), "3d", size=64, device="cpu", data="embedded", results=store, name="mine", progress=False
    )
    return store, mine


def test_there_is_a_row_a_cell(stored: tuple[Path, Evaluation]) -> None:
    store, mine = stored
    frame = restorebench.read_results(store)
    assert len(frame) == 10
    ours = frame[frame["model"] == "mine"]
    assert set(ours["suite"]) == {"3d"}
    assert set(ours["protocol"]) == {"promptir@1"}
    assert set(ours["provenance"]) == {"foreign"}
    assert sorted(ours["sigma"].dropna()) == [15, 25, 50]
    both = ours.merge(mine.summary, on=["task", "sigma"], suffixes=("", "_evaluated"))
    assert len(both) == 5
    assert both["psnr"].tolist() == both["psnr_evaluated"].tolist()
    assert both["input_ssim"].tolist() == both["input_ssim_evaluated"].tolist()


def test_there_is_a_row_an_image(stored: tuple[Path, Evaluation]) -> None:
    store, mine = stored
    frame = restorebench.read_results(store, images=True)
    assert len(frame) == 80
    ours = frame[frame["model"] == "mine"].merge(
        mine.images, on=["task", "sigma", "image"], suffixes=("", "_evaluated")
    )
    assert len(ours) == 40
    assert ours["psnr"].tolist() == ours["psnr_evaluated"].tolist()
    pd.testing.assert_index_equal(frame.columns[-10:], pd.Index(IMAGE_COLUMNS))


IMAGE_COLUMNS = (
    *("image", "status", "psnr", "ssim", "lpips", "input_psnr", "input_ssim", "how", "lpips_by", "message"),
)


def test_a_damaged_cell_is_left_out_with_a_warning(tmp_path: Path) -> None:
    restorebench.evaluate("identity", "denoise", size=64, device="cpu", results=tmp_path, progress=False)
    damaged = next(tmp_path.glob("*/*/*/record.json"))
    damaged.write_text("{")
    with pytest.warns(UserWarning, match=damaged.parent.name):
        frame = restorebench.read_results(tmp_path)
    assert len(frame) == 2


def test_an_empty_store_gives_empty_frames_and_none_is_a_mistake(tmp_path: Path) -> None:
    assert restorebench.read_results(tmp_path).empty
    assert restorebench.read_results(tmp_path, images=True).empty
    with pytest.raises(ReportError, match="there is no results folder"):
        restorebench.read_results(tmp_path / "nowhere")
