"""Images of another tool as rows of the store: ranked beside others where they are of a suite's task, and checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import restorebench
from restorebench.benchmarks.store.cells import read_cells
from restorebench.datasets.suites import resolve
from restorebench.reports.analysis.cells import groups
from restorebench.reports.analysis.vetting import stored_cells
from restorebench.reports.figures.strip_images import pick

from ...conftest import Bench

SET = ("--data", "embedded", "--size", "48")


@pytest.fixture
def degraded(tmp_path: Path) -> Path:
    """What a tool made that leaves hazy images as they are."""
    folder = tmp_path / "out"
    folder.mkdir()
    data = resolve("dehaze", source="embedded", size=48).data[0]
    for sample in (data[index] for index in range(len(data))):
        assert sample.degraded is not None
        Image.fromarray(sample.degraded).save(folder / f"{Path(sample.name).stem}.png")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Folders with restored, clean and degraded images of the user's."""
    rng = np.random.default_rng(1)
    folders = tmp_path / "restored", tmp_path / "clean", tmp_path / "degraded"
    for folder, noise in zip(folders, (4, 0, 20), strict=True):
        folder.mkdir()
        for name in "ab":
            clean = np.random.default_rng(ord(name)).integers(40, 200, (33, 49, 3))
            noisy = (clean + rng.normal(0, noise, clean.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{name}.png")
    return folders


def score(bench: Bench, cwd: Path, pred: Path, *more: str) -> tuple[int, str]:
    done = bench("score", "--pred", str(pred), "--protocol", "promptir@1", "--store", *more, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


def test_they_stand_among_the_rows_of_a_suites_task(tmp_path: Path, degraded: Path, bench_here: Bench) -> None:
    restorebench.evaluate(
        "identity", "dehaze", data="embedded", size=48, results=tmp_path / "results", device="cpu", progress=False
    )
    code, text = score(
        bench_here, tmp_path, degraded, "--name", "As it is", "--task", "dehaze", "--params", "1.5", *SET
    )
    assert code == 0, text
    assert "As it is (images)" in text
    cells, problems = stored_cells(tmp_path / "results")
    assert not problems
    (group,) = groups(cells)
    mine, floor = sorted((r for r in group.restorers), key=lambda restorer: restorer.is_input)
    assert mine.record.provenance == "images"
    assert mine.record.complexity.parameters == 1_500_000
    assert mine.record.complexity.macs is None
    same = dict(zip(("psnr", "ssim"), (floor.record.means.psnr, floor.record.means.ssim), strict=True))
    assert mine.record.means.psnr == pytest.approx(same["psnr"], abs=1e-9), "the same pixels, the same protocol"
    assert mine.record.means.input_psnr == same["psnr"]
    cell = mine.cells[mine.record.task_key]
    for row in cell.rows:
        assert cell.restored_preview(row.image)
        assert cell.degraded_preview(row.image)
    checked = bench_here("check", "results", "results", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    report = bench_here("report", "table", "--suite", "dehaze", "--format", "markdown", cwd=tmp_path)
    assert "images restored by another tool" in report.stdout
    (strip,) = pick(group)
    assert [label for label, _, _ in strip.restored] == ["As it is (images)"]


def test_other_images_under_the_same_name_take_the_place_of_the_first(
    tmp_path: Path, degraded: Path, bench_here: Bench
) -> None:
    named = ("--name", "mine", "--task", "5d/dehaze", *SET)
    assert score(bench_here, tmp_path, degraded, *named)[0] == 0
    first = next(degraded.iterdir())
    Image.fromarray(255 - np.asarray(Image.open(first))).save(first)
    code, text = score(bench_here, tmp_path, degraded, *named)
    assert code == 0, text
    cells = read_cells(tmp_path / "results")[0]
    assert len({cell.record.cell for cell in cells}) == 2, "the id is of the bytes"
    (group,) = groups(stored_cells(tmp_path / "results")[0])
    (row,) = group.restorers
    latest = max(cells, key=lambda cell: cell.record.finished)
    assert row.cells[row.record.task_key].record.cell == latest.record.cell
    assert text.count("mine (images)") >= 1


def test_a_folder_of_the_users_own_with_and_without_degraded_images(
    tmp_path: Path, pairs: tuple[Path, Path, Path], bench_here: Bench
) -> None:
    restored, clean, degraded = map(str, pairs)
    with_input = ("--name", "tool", "--clean", clean, "--degraded", degraded)
    assert score(bench_here, tmp_path, pairs[0], *with_input)[0] == 0
    assert score(bench_here, tmp_path, pairs[0], "--name", "tool", "--clean", clean)[0] == 0
    records = [cell.record for cell in read_cells(tmp_path / "results")[0]]
    known = {record.means.input_psnr is not None: record for record in records}
    assert set(known) == {True, False}
    assert known[True].means.psnr == known[False].means.psnr
    assert known[True].means.input_psnr < known[True].means.psnr
    by_hand = restorebench.score(restored, clean, degraded=degraded)
    assert known[True].means.psnr == pytest.approx(by_hand.psnr, abs=1e-12)
    assert bench_here("check", "results", "results", cwd=tmp_path).returncode == 0
    assert bench_here("report", "table", "--suite", "folder", "--format", "latex", cwd=tmp_path).returncode == 2
    asked = ("report", "methods")
    done = bench_here(*asked, cwd=tmp_path)
    assert "no network was run here" in " ".join(done.stdout.split())


def test_a_missing_image_is_a_failed_one_and_nothing_looks_complete(
    tmp_path: Path, degraded: Path, bench_here: Bench
) -> None:
    gone = sorted(degraded.iterdir())[0]
    gone.unlink()
    code, text = score(bench_here, tmp_path, degraded, "--name", "mine", "--task", "dehaze", *SET)
    assert code == 1
    assert "FAILED" in text
    assert gone.stem in text
    (cell,) = read_cells(tmp_path / "results")[0]
    assert not cell.record.complete
    assert len(cell.record.failures) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--name", "x", "--task", "3d", *SET), "give one of 3d/dehaze"),
        (("--name", "x", "--task", "5d/rain", *SET), "give one of 5d/dehaze"),
        (("--task", "dehaze"), "--store needs --name"),
        (("--name", "x"), "--store needs --clean DIR, or --task"),
        (("--name", "x\ny", "--task", "dehaze", *SET), "--name: give a name"),
        (("--name", "x", "--task", "dehaze", "--params", "-1", *SET), "--params and --macs"),
        (("--name", "x", "--task", "dehaze", "--size", "big"), "--size big"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    tmp_path: Path, degraded: Path, bench_here: Bench, arguments: tuple[str, ...], words: str
) -> None:
    code, text = score(bench_here, tmp_path, degraded, *arguments)
    assert code == 2
    assert words in text
    assert text.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))


@pytest.mark.parametrize("named", ["Restored_{}", "out/{}-result", "{}_tool_x2"])
def test_they_pair_with_the_set_as_the_folders_of_other_commands_do(
    tmp_path: Path, degraded: Path, bench_here: Bench, named: str
) -> None:
    for path in sorted(degraded.iterdir()):
        other = degraded / f"{named.format(path.stem.upper())}.png"
        other.parent.mkdir(exist_ok=True)
        path.rename(other)
    code, text = score(bench_here, tmp_path, degraded, "--name", "mine", "--task", "dehaze", *SET)
    assert code == 0, text
    (cell,) = read_cells(tmp_path / "results")[0]
    assert cell.record.complete
    assert cell.record.means.psnr == pytest.approx(cell.record.means.input_psnr, abs=1e-9), "each with its own"


def test_of_two_images_of_one_sample_none_is_chosen(tmp_path: Path, degraded: Path, bench_here: Bench) -> None:
    first = sorted(degraded.iterdir())[0]
    first.with_name(f"{first.stem}_v2.png").write_bytes(first.read_bytes())
    code, text = score(bench_here, tmp_path, degraded, "--name", "mine", "--task", "dehaze", *SET)
    assert code == 2
    assert first.stem in text
    assert not list(tmp_path.glob("results/*/*"))


def test_images_of_another_set_are_refused(
    tmp_path: Path, degraded: Path, pairs: tuple[Path, Path, Path], bench_here: Bench
) -> None:
    code, text = score(bench_here, tmp_path, pairs[0], "--name", "x", "--task", "dehaze", *SET)
    assert (code, "fit no image of dehaze@embedded-48" in text) == (2, True)
    clean = tmp_path / "other"
    clean.mkdir()
    for path in degraded.iterdir():
        Image.new("RGB", (48, 48)).save(clean / path.name)
    code, text = score(bench_here, tmp_path, degraded, "--name", "x", "--task", "dehaze", "--clean", str(clean), *SET)
    assert (code, "is not the clean image of" in text) == (2, True)


def test_without_store_its_options_are_refused_and_clean_is_needed(
    tmp_path: Path, degraded: Path, bench_here: Bench
) -> None:
    for more, words in ((("--name", "x", "--clean", "c"), "--name goes with --store"), ((), "--clean DIR is missing")):
        done = bench_here("score", "--pred", str(degraded), "--protocol", "promptir@1", *more, cwd=tmp_path)
        assert (done.returncode, words in done.stderr) == (2, True)


def test_the_command_in_the_record_repeats_it(tmp_path: Path, degraded: Path, bench_here: Bench) -> None:
    assert score(bench_here, tmp_path, degraded, "--name", "A tool", "--task", "dehaze", *SET)[0] == 0
    (path,) = (tmp_path / "results").glob("*/*/*/record.json")
    command = json.loads(path.read_text())["command"]
    assert command.startswith("bench score --pred")
    assert "'A tool'" in command
