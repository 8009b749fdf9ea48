"""The main job through the entry point: a sweep on real photographs, numbers that scikit-image agrees with, resume."""

from __future__ import annotations

import math
import random
import re
import resource
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorebench.benchmarks.store.cells import read_records
from restorebench.datasets.streams import rng_for
from restorebench.datasets.suites import resolve

from ..command_line import bench, bench_forked, forked, leaderboard, means, tables
from ..conftest import Bench

pytestmark = pytest.mark.slow

SMALL = ("model=rbair", "variant=tiny", "weights=none", "device=cpu")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole sweep over both suites was run at 96x96."""
    folder = tmp_path_factory.mktemp("sweep")
    done = bench(
        *("run", "-m", "model=identity,rbair", "tasks=3d,5d", "variant=null", "data.size=96", "device=cpu"), cwd=folder
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


def degraded_by_hand(clean: np.ndarray, name: str, sigma: int) -> np.ndarray:
    """promptir@1's noisy image, written out anew from PROTOCOLS.md."""
    noise = rng_for(0, name, sigma).standard_normal(clean.shape)
    return np.clip(clean.astype(np.float64) + sigma * noise, 0, 255).astype(np.uint8)


def test_identity_rows_equal_the_degraded_input_scored_by_scikit_image(sweep: Path) -> None:
    frame = leaderboard(sweep / "results")
    for suite in ("3d", "5d"):
        for data in resolve(suite, source="embedded", size=96).data:
            scores = []
            for index in range(len(data)):
                sample = data[index]
                clean = sample.clean
                degraded = sample.degraded
                if degraded is None:
                    assert sample.task.sigma is not None
                    degraded = degraded_by_hand(clean, sample.name, sample.task.sigma)
                x, y = degraded / 255.0, clean / 255.0
                psnr = peak_signal_noise_ratio(y, x, data_range=1)
                scores.append((psnr, structural_similarity(y, x, data_range=1, channel_axis=-1)))
            psnr, ssim = np.mean(scores, axis=0)
            rows = frame[(frame.suite == suite) & (frame.model == "identity") & (frame.task == data.task.name)]
            row = rows[rows.sigma == data.task.sigma] if data.task.sigma else rows
            assert len(row) == 1
            # The network is fed float32, as the protocol says: its rounding is what the tolerance is for.
            assert row.psnr.item() == pytest.approx(psnr, abs=1e-5)
            assert row.ssim.item() == pytest.approx(ssim, abs=1e-6)
            assert row.images.item() == len(data) >= 6


def test_the_sweep_leaves_every_row_and_its_average(sweep: Path) -> None:
    frame = leaderboard(sweep / "results")
    assert len(frame) == 2 * 2 * 6
    assert set(frame.status) == {"complete"}
    for _, rows in frame.groupby(["suite", "model"]):
        average = rows[rows.task == "average"]
        tasks = rows[rows.task != "average"]
        assert average.psnr.item() == pytest.approx(tasks.psnr.mean(), abs=1e-12)
        assert average.ssim.item() == pytest.approx(tasks.ssim.mean(), abs=1e-12)
    assert set(frame[frame.model == "identity"].provenance) == {"input"}
    assert (frame[frame.model == "rbair"].macs_256 > 0).all()


def test_the_terminal_shows_the_scores_of_the_file_and_where_the_files_are(sweep: Path) -> None:
    printed = (sweep / "stdout.txt").read_text()
    rows = leaderboard(sweep / "results").query("model == 'rbair'")
    for row in rows.itertuples():
        texts = (f"{row.input_psnr:.2f}", f"{row.psnr:.2f}", f"{row.psnr - row.input_psnr:+.2f}", f"{row.ssim:.3f}")
        lines = [line for line in printed.splitlines() if all(text in line.split() for text in texts)]
        assert any(row.task in line for line in lines), (row.task, texts)
    assert "results/leaderboard.csv" in printed
    assert "bench report --results results" in printed
    assert "stands in for" in (sweep / "stderr.txt").read_text()


def test_suites_share_their_cells(sweep: Path) -> None:
    records, problems = read_records(sweep / "results")
    assert not problems
    shared = [record for record in records if record.model == "rbair" and record.task == "derain"]
    assert {record.suite for record in shared} == {"3d", "5d"}
    assert len({record.cell for record in shared}) == 1
    assert len({record.finished for record in shared}) == 1


def children_seconds() -> float:
    """Processor seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_running_again_is_quick_and_recomputes_nothing(sweep: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (sweep / "results").rglob("*/*/*/*.*")}
    assert len(before) >= 40
    before_seconds = children_seconds()
    done = bench(
        *("run", "-m", "model=identity,rbair", "tasks=3d,5d", "variant=null", "data.size=96", "device=cpu"), cwd=sweep
    )
    assert done.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (sweep / "results").rglob("*/*/*/*.*")} == before
    assert ", 0 of 8 images computed now" in done.stderr
    assert not any(f", {count} of 8 images" in done.stderr for count in range(1, 9))
    # Processor seconds, which other work on the machine does not stretch; alone, wall time is about the same.
    assert children_seconds() - before_seconds < 10


def test_always_computes_all_again_with_identical_rows(tmp_path: Path, bench_here: Bench) -> None:
    arguments = ("run", "model=identity", "tasks=denoise", "data.size=64", "device=cpu")
    assert bench_here(*arguments, cwd=tmp_path).returncode == 0
    tables = {path: path.read_bytes() for path in tmp_path.rglob("images.csv")}
    done = bench_here(*arguments, "overwrite=always", cwd=tmp_path)
    assert done.stderr.count("8 of 8 images computed now") == 3
    assert {path: path.read_bytes() for path in tmp_path.rglob("images.csv")} == tables


def stored_rows(results: Path) -> int:
    """Finished images in a store, counted by whole lines."""
    return sum(max(0, text.count(b"\n") - 1) for text in tables(results).values())


FIVE = ("run", *SMALL, "tasks=5d", "data.size=96", "progress=false")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that nothing disturbed."""
    results = tmp_path_factory.mktemp("whole") / "results"
    done = bench_forked((*FIVE, f"results={results}"), cwd=results.parent)
    assert done.returncode == 0, done.stderr
    return results


def started(results: Path) -> BaseProcess:
    """The same run on its way."""
    return forked((*FIVE, f"results={results}"), cwd=results.parent, stderr=results.parent / "stderr.txt")


def leftovers(results: Path) -> list[Path]:
    """Files that were being written, and what was set aside."""
    return [path for path in results.rglob("*") if path.name.startswith(".part-") or ".damaged-" in path.name]


@pytest.mark.parametrize("rounds", [3, pytest.param(25, marks=pytest.mark.nightly)], ids=["12 kills", "100 kills"])
@pytest.mark.timeout(3 * 3600)
def test_a_run_killed_at_any_moment_and_started_again_ends_the_same(tmp_path: Path, whole: Path, rounds: int) -> None:
    moments = random.Random(20261121)
    print("seed 20261121")
    for each in range(rounds):
        broken = tmp_path / str(each) / "results"
        broken.parent.mkdir()
        killed_four_times(broken, whole, moments)


def killed_four_times(broken: Path, whole: Path, moments: random.Random) -> None:
    """Kill a run four times, and let it end."""
    total = stored_rows(whole)
    finished: dict[Path, int] = {}
    for attempt in range(4):
        # Not before a few more images than last time, and then at a random instant: inside an image, a write, a rename.
        wanted = min(total - 2, stored_rows(broken) + moments.randint(1, total // 5))
        process = started(broken)
        deadline = time.monotonic() + 120
        while stored_rows(broken) < wanted and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.25))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"attempt {attempt} ended before it was killed"
        # What was finished is never computed again.
        assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
        finished = {path: path.stat().st_mtime_ns for path in broken.rglob("record.json")}
        # A kill is no damage: what is there adds up.
        assert read_records(broken)[1] == []
    before = stored_rows(broken)
    assert 0 < before < total
    done = bench_forked((*FIVE, f"results={broken}"), cwd=broken.parent)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
    assert tables(broken) == tables(whole)
    assert means(broken) == means(whole)
    assert (broken / "leaderboard.csv").read_bytes() == (whole / "leaderboard.csv").read_bytes()
    assert leftovers(broken) == []
    computed = sum(
        record.computed
        for record in read_records(broken)[0]
        if f"{record.cell}" not in {p.parent.name for p in finished}
    )
    assert computed == total - before


@pytest.mark.parametrize("processes", [2, 4])
def test_racing_processes_share_the_work_and_end_the_same(tmp_path: Path, whole: Path, processes: int) -> None:
    results = tmp_path / "results"
    racing = [started(results) for _ in range(processes)]
    for process in racing:
        process.join(timeout=500)
    assert [process.exitcode for process in racing] == [0] * processes
    assert tables(results) == tables(whole)
    assert means(results) == means(whole)
    assert (results / "leaderboard.csv").read_bytes() == (whole / "leaderboard.csv").read_bytes()
    assert leftovers(results) == []
    computed = re.findall(r"(\d+) of 8 images computed now", (tmp_path / "stderr.txt").read_text())
    assert len(computed) == 5 * processes
    assert sum(map(int, computed)) == stored_rows(whole)


def test_the_record_says_what_a_reviewer_asks(sweep: Path) -> None:
    record = next(r for r in read_records(sweep / "results")[0] if r.model == "rbair")
    assert record.protocol == "promptir@1"
    assert "truncated" in record.identity.protocol["noise"]
    assert len(record.identity.data) == 64
    assert record.environment.versions["torch"]
    assert record.environment.device_name
    assert "1x3x256x256" in record.complexity.statement
    assert record.command.startswith("bench run ")
    assert record.config["data"]["size"] == 96
    assert record.means.psnr is not None
    assert math.isfinite(record.means.psnr)
