"""Real test sets through the entry point: whole sets, part of one, a folder, and damaged files among good ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from restorebench.benchmarks.store.cells import read_records
from restorebench.datasets.streams import rng_for

from ...datasets.roots import arrange, pixels, save
from ..command_line import bench_forked, leaderboard
from ..conftest import Bench

pytestmark = pytest.mark.slow

SHORT = ("model=identity", "device=cpu", "progress=false")


@pytest.fixture(scope="module")
def root(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return arrange(test_data, tmp_path_factory.mktemp("root"))


def noisy(path: Path, sigma: int) -> tuple[np.ndarray, np.ndarray]:
    """promptir@1's noisy and clean image of a file of CBSD68, written out anew from PROTOCOLS.md."""
    clean = np.asarray(Image.open(path).convert("RGB"))
    clean = clean[: clean.shape[0] // 16 * 16, : clean.shape[1] // 16 * 16]  # 481x321: the offset is 0
    noise = rng_for(0, path.name, sigma).standard_normal(clean.shape)
    return np.clip(clean + sigma * noise, 0, 255).astype(np.uint8), clean


def test_cbsd68_under_two_protocols_agrees_with_scikit_image(root: Path, test_data: Path, tmp_path: Path) -> None:
    sweep = "protocol=promptir@1,kbnet-gauss@1"
    line = ("run", "-m", *SHORT, "tasks=denoise", "data=standard", f"data.root={root}", sweep)
    done = bench_forked(line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    frame = leaderboard(tmp_path / "results")
    tasks = frame[frame.task == "denoise"]
    assert set(tasks.dataset) == {"CBSD68"}
    assert set(tasks.images) == {68}
    assert sorted(tasks.groupby("protocol").sigma.apply(list)["promptir@1"]) == [15, 25, 50]
    for sigma in (15, 25, 50):
        pairs = [noisy(path, sigma) for path in sorted((test_data / "cbsd68").glob("*.png"))]
        expected = np.mean([peak_signal_noise_ratio(clean, degraded) for degraded, clean in pairs])
        row = tasks[(tasks.sigma == sigma) & (tasks.protocol == "promptir@1")]
        assert row.psnr.item() == pytest.approx(expected, abs=1e-5)


def test_part_of_a_set_runs_only_when_asked_for_and_under_a_name_that_says_so(
    root: Path, tmp_path: Path, bench_here: Bench
) -> None:
    refused = bench_here("run", *SHORT, "tasks=dehaze", "data=standard", f"data.root={root}", cwd=tmp_path)
    assert refused.returncode == 2
    assert "2" in refused.stderr
    assert "500" in refused.stderr
    part = ("tasks=dehaze", "data=standard", "data.partial=true", f"data.root={root}")
    assert bench_here("run", *SHORT, *part, cwd=tmp_path).returncode == 0
    (record,) = read_records(tmp_path / "results")[0]
    assert record.dataset.startswith("SOTS-Outdoor[2of500")
    assert record.means.psnr is not None
    assert 17 < record.means.psnr < 20


def test_auto_says_that_it_falls_back_to_the_embedded_images(root: Path, tmp_path: Path, bench_here: Bench) -> None:
    done = bench_here("run", *SHORT, "tasks=derain", "data.size=64", f"data.root={root}", cwd=tmp_path)
    assert done.returncode == 0
    assert "Rain100L" in done.stderr
    assert set(leaderboard(tmp_path / "results").dataset) == {"embedded-64"}


def test_a_folder_of_pairs_is_scored_and_damaged_files_are_named(tmp_path: Path, bench_here: Bench) -> None:
    degraded, clean = tmp_path / "in", tmp_path / "out"
    for index in range(4):
        save(degraded / f"{index}.png", pixels(index, 40, 48))
        save(clean / f"{index}.png", pixels(index + 10, 40, 48))
    whole = (degraded / "1.png").read_bytes()
    (degraded / "1.png").write_bytes(whole[: len(whole) // 2])
    (degraded / "2.png").write_bytes(b"")
    Image.fromarray(np.zeros((40, 48), np.uint16)).save(degraded / "4.png")
    save(clean / "4.png", pixels(4, 40, 48))
    Image.fromarray(np.zeros((40, 48, 4), np.uint8), mode="CMYK").save(degraded / "5.jpg")
    save(clean / "5.png", pixels(5, 40, 48))
    save(degraded / "6.png", pixels(6, 40, 48))
    save(clean / "6.png", pixels(6, 48, 48))
    (degraded / "7.png").mkdir()
    (degraded / "8.png").write_bytes(b"not an image")
    save(clean / "8.png", pixels(8, 40, 48))
    folder = ("dataset=folder", f"degraded={degraded}", f"clean={clean}")
    done = bench_here("run", *SHORT, *folder, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (record,) = read_records(tmp_path / "results")[0]
    failed = dict(record.failures)
    assert {"1.png", "2.png", "4.png", "5.jpg", "6.png", "8.png"} <= set(failed)
    assert record.scored == 2
    assert "16" in failed["4.png"]
    assert "CMYK" in failed["5.jpg"]
    assert "incomplete" in done.stdout


def test_folder_keys_without_folder_are_a_mistake(tmp_path: Path, bench_here: Bench) -> None:
    done = bench_here("run", *SHORT, f"clean={tmp_path}", cwd=tmp_path)
    assert done.returncode == 2
    assert "dataset=folder" in done.stderr
