"""Runs that save their images: every row has its image, as asked for, and scoring the folder gives the row again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restorebench.benchmarks.commands import score as score_command
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.config import RunConfig
from restorebench.benchmarks.evaluation.job import CellOutcome
from restorebench.benchmarks.evaluation.pictures.image_files import stored_format
from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.datasets.suites import resolve
from restorebench.reports.tables.leaderboard import write_leaderboard

from .. import scaling_network
from ..lpips_weights import alexnet_file


@pytest.fixture(autouse=True)
def brighter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registered restorer that is no identity; torch's cache is empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with scaling_network.registered("brighter", 1.01):
        yield


def run(results: Path, **changes: Any) -> list[CellOutcome]:
    return scaling_network.run("brighter", results, **changes)


def cell(results: Path, suite: str = "derain") -> Path:
    (path,) = (results / suite / "brighter").iterdir()
    return path


def saved(results: Path) -> dict[str, int]:
    """Image files and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted((cell(results) / "images").iterdir())}


@pytest.mark.parametrize(("asked", "suffix"), [(True, ".npy"), ("npy", ".npy"), ("png16", ".png"), ("png8", ".png")])
def test_every_image_is_saved_and_scores_as_its_row(
    asked: Any, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outcome,) = run(tmp_path / "results", save_images=asked)
    assert outcome.state == "complete"
    names = resolve("derain", source="embedded", size=72).data[0].names
    assert list(saved(tmp_path / "results")) == sorted(f"{name}{suffix}" for name in names)
    clean = tmp_path / "clean"
    clean.mkdir()
    data = resolve("derain", source="embedded", size=72).data[0]
    from PIL import Image

    for index, name in enumerate(names):
        Image.fromarray(data[index].clean).save(clean / f"{name}.png")
    images = cell(tmp_path / "results") / "images"
    score_command.main(["--pred", str(images), "--clean", str(clean), "--protocol", "promptir@1", "--json"])
    scores = {
        Path(i["restored"]).stem: i["scores"]["promptir@1"] for i in json.loads(capsys.readouterr().out)["images"]
    }
    for row in CellFolder(cell(tmp_path / "results")).rows():
        if suffix == ".npy":
            assert (scores[row.image]["psnr"], scores[row.image]["ssim"]) == (row.psnr, row.ssim)
        else:
            assert scores[row.image]["psnr"] == pytest.approx(row.psnr, abs=1e-4 if asked == "png16" else 0.1)


def test_what_is_saved_is_not_clipped_in_float32(tmp_path: Path) -> None:
    run(tmp_path, save_images=True)
    arrays = [np.load(path) for path in (cell(tmp_path) / "images").iterdir()]
    assert {(array.shape, array.dtype.name) for array in arrays} == {((64, 64, 3), "float32")}
    assert max(array.max() for array in arrays) > 1


def test_a_cell_computed_without_images_is_computed_again_with_the_same_rows(tmp_path: Path) -> None:
    run(tmp_path)
    table = (cell(tmp_path) / "images.csv").read_bytes()
    assert not (cell(tmp_path) / "images").exists()
    (outcome,) = run(tmp_path, save_images=True)
    assert outcome.computed == outcome.expected
    assert (cell(tmp_path) / "images.csv").read_bytes() == table
    before = saved(tmp_path)
    assert run(tmp_path, save_images=True)[0].computed == run(tmp_path)[0].computed == 0
    assert saved(tmp_path) == before


def test_only_the_image_that_is_gone_is_computed_again(tmp_path: Path) -> None:
    run(tmp_path, save_images="png16")
    before = saved(tmp_path)
    gone = next(iter(before))
    (cell(tmp_path) / "images" / gone).unlink()
    assert run(tmp_path, save_images="png16")[0].computed == 1
    after = saved(tmp_path)
    assert set(after) == set(before)
    assert [name for name in before if after[name] != before[name]] == [gone]


def test_another_format_replaces_the_images(tmp_path: Path) -> None:
    for asked in ("png16", "png8", "npy"):
        (outcome,) = run(tmp_path, save_images=asked)
        assert outcome.computed == outcome.expected
        files = list((cell(tmp_path) / "images").iterdir())
        assert [stored_format(path) for path in files] == [asked] * outcome.expected


def test_images_of_an_older_computation_do_not_outlive_it(tmp_path: Path) -> None:
    run(tmp_path, save_images=True)
    run(tmp_path, overwrite="always")
    assert saved(tmp_path) == {}


def test_a_disk_that_refuses_a_restored_image_costs_no_scores_and_the_next_run_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from restorebench.benchmarks.evaluation.pictures import image_files

    write, refused = image_files.write_image, []

    def full(path: Path, *arguments: Any) -> None:
        if not refused:
            refused.append(path.stem)
            raise OSError(28, "No space left on device")
        write(path, *arguments)

    monkeypatch.setattr(image_files, "write_image", full)
    (outcome,) = run(tmp_path, save_images=True)
    assert (outcome.state, outcome.unsaved) == ("complete", 1)
    rows = (cell(tmp_path) / "images.csv").read_text()
    assert {row.status for row in CellFolder(cell(tmp_path)).rows()} == {"ok"}
    assert f"{refused[0]}: restored image not saved" in caplog.text
    assert "No space left" in caplog.text
    (outcome,) = run(tmp_path, save_images=True)
    assert (outcome.state, outcome.computed, outcome.unsaved) == ("complete", 1, 0)
    assert (cell(tmp_path) / "images.csv").read_text() == rows
    assert len(saved(tmp_path)) == outcome.expected


def test_a_cell_of_another_suite_lends_its_images(tmp_path: Path) -> None:
    run(tmp_path, save_images="png16")
    outcomes = run(tmp_path, save_images="png16", tasks="3d")
    assert [outcome.computed for outcome in outcomes if outcome.task.startswith("derain")] == [0]
    ours, theirs = (cell(tmp_path) / "images", tmp_path / "3d" / "brighter" / cell(tmp_path).name / "images")
    assert {p.name: p.read_bytes() for p in ours.iterdir()} == {p.name: p.read_bytes() for p in theirs.iterdir()}


def test_a_cell_of_another_suite_without_images_is_not_taken(tmp_path: Path) -> None:
    run(tmp_path)
    outcomes = run(tmp_path, save_images=True, tasks="3d")
    assert all(outcome.computed == outcome.expected for outcome in outcomes)


def test_lpips_is_a_column_that_names_its_backbone(tmp_path: Path) -> None:
    results = tmp_path / "results"
    run(results)
    text = write_leaderboard(results)[1].read_text()
    assert "lpips_alex" in text
    assert "n/a" in text
    before = (results / "leaderboard.csv").read_text()
    assert ",n/a,n/a," in before
    alexnet_file(tmp_path / "hub" / "checkpoints")
    assert run(results)[0].computed == 0, "complete cells are left alone unless LPIPS is insisted on"
    (outcome,) = run(results, metrics=["lpips"])
    assert outcome.computed == outcome.expected
    (record,) = read_records(results)[0]
    assert record.lpips.backbone == "alex"
    assert len(record.lpips.weights or "") == 64
    assert record.means.lpips is not None
    assert record.means.lpips > 0
    write_leaderboard(results)
    assert repr(record.means.lpips) in (results / "leaderboard.csv").read_text()
    assert run(results, metrics=["lpips"])[0].computed == 0


@pytest.mark.slow
def test_insisting_on_other_lpips_weights_computes_again(tmp_path: Path) -> None:
    config: dict[str, Any] = {"metrics": ["lpips"], "lpips": RunConfig().lpips}
    values = []
    for seed in (0, 1):
        config["lpips"].weights = str(alexnet_file(tmp_path / str(seed), seed=seed))
        (outcome,) = run(tmp_path / "results", **config)
        assert outcome.computed == outcome.expected
        values.append(read_records(tmp_path / "results")[0][0].means)
    assert values[0].lpips != values[1].lpips
    assert values[0].psnr == values[1].psnr
    assert all(math.isfinite(mean.lpips or math.nan) for mean in values)


def test_unknown_formats_and_tasks_that_a_protocol_lacks_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="save_images"):
        run(tmp_path, save_images="jpg")
    with pytest.raises(UserError, match=r"kbnet-gauss@1 is for denoising only, not for derain"):
        run(tmp_path, protocol="kbnet-gauss@1")
    with pytest.raises(UserError, match=r"restormer-y@1 is for given degraded images only, not for denoise-15"):
        run(tmp_path, protocol="restormer-y@1", tasks="denoise")
    assert list(tmp_path.iterdir()) == []
