"""Several workers on one sweep: whatever is killed, the end is that of a run that nothing disturbed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.store.claims import Claim, claim_path, is_alive, read_claims, write_claim

from ..command_line import bench_path, means, stored, tables

pytestmark = pytest.mark.slow

IMAGES = 24
MOST_KILLED = 5
SLOW = '''
import time
import torch
from torch import nn

class Slow(nn.Module):
    """A convolution that takes its time, so that there is some to be killed in."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image):
        time.sleep(0.12)
        return image + 0.1 * self.convolution(image)
'''


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command line for three cells of two dozen small images."""
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "slow.py").write_text(SLOW)
    (folder / "clean").mkdir()
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "clean" / f"{number:02d}.png")
    images = ("dataset=folder", f"clean={folder / 'clean'}")
    return [f"model={folder / 'slow.py'}:Slow", "weights=none", *images, "device=cpu", "metrics=[psnr,ssim]"]


def started(line: list[str], results: Path, *more: str, output: Path | None = None) -> BaseProcess:
    """``bench run`` in a process of its own: the fork of a server that has imported it, so that it starts at once."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["restorebench.benchmarks.commands.run"])
    arguments = ["run", *line, f"results={results}", *more]
    process: BaseProcess = context.Process(target=_bench, args=(arguments, output or results.parent / "output.txt"))
    process.start()
    _started.append(process)
    return process


_started: list[BaseProcess] = []


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """What a test that fails has started does not go on."""
    yield
    for process in _started:
        process.kill()
        process.join()
    _started.clear()


def _bench(arguments: list[str], output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os._exit(main(arguments))


def ended(process: BaseProcess) -> int | None:
    process.join(timeout=240)
    return process.exitcode


def assert_same(results: Path, whole: Path) -> None:
    assert tables(results) == tables(whole)
    assert means(results) == means(whole)
    assert (results / "leaderboard.csv").read_bytes() == (whole / "leaderboard.csv").read_bytes()
    left = [path for path in results.rglob("*") if path.name == "shards" or path.name.startswith(".part-")]
    assert left == []


@pytest.fixture(scope="module")
def whole(line: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process that nothing disturbed."""
    results = tmp_path_factory.mktemp("whole") / "results"
    assert ended(started(line, results, "shards=1")) == 0, (results.parent / "output.txt").read_text()
    assert len(tables(results)) == 3
    return results


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_a_sweep_whose_workers_are_killed_every_second_ends_as_an_undisturbed_one(
    line: list[str], whole: Path, tmp_path: Path, workers: int
) -> None:
    moments, results = random.Random(workers), tmp_path / "results"
    running = [started(line, results, "shards=8") for _ in range(workers)]
    killed = 0
    while any(process.exitcode is None for process in running):
        moment = time.monotonic() + moments.uniform(0.7, 1.5)
        while any(process.exitcode is None for process in running):
            time.sleep(0.05)
            at_work = {claim.pid for claim in read_claims(results) if is_alive(claim)}
            victims = [number for number, process in enumerate(running) if process.pid in at_work]
            if victims and killed < MOST_KILLED and time.monotonic() >= moment:
                running[victims[0]].kill()
                running[victims[0]].join()
                killed += 1
                running[victims[0]] = started(line, results, "shards=8")
                break
    said = (tmp_path / "output.txt").read_text()
    assert [process.exitcode for process in running] == [0] * workers, said
    assert killed >= 2
    assert "Traceback" not in said
    assert_same(results, whole)


def test_a_second_terminal_helps_with_the_same_cell(line: list[str], whole: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    running = [started(line, results, "shards=6") for _ in range(2)]
    assert list(map(ended, running)) == [0, 0]
    computed = [
        int(word.split()[0])
        for word in (tmp_path / "output.txt").read_text().replace("\n", ", ").split(", ")
        if word.endswith(f"of {IMAGES} images computed now")
    ]
    assert len(computed) == 6
    assert sum(computed) == 3 * IMAGES
    assert any(0 < images < IMAGES for images in computed)
    assert_same(results, whole)
    assert sum(record.computed for record in read_records(results)[0]) == 3 * IMAGES


def test_workers_of_one_host_are_replaced_when_they_are_killed(line: list[str], whole: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    parent = started(line, results, "workers=2", "shards=6")
    killed: set[int] = set()
    deadline = time.monotonic() + 240
    while len(killed) < 2 and parent.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.1)
        for claim in read_claims(results):
            if is_alive(claim) and claim.pid not in killed and len(killed) < 2:
                os.kill(claim.pid, signal.SIGKILL)
                killed.add(claim.pid)
    said = (tmp_path / "output.txt").read_text()
    assert ended(parent) == 0, said
    said = (tmp_path / "output.txt").read_text()
    assert parent.pid not in killed
    assert len(killed) == 2
    assert said.count("SIGKILL; another one goes on") == 2
    assert said.count("written:") == 1
    assert "Traceback" not in said
    assert_same(results, whole)


def test_workers_end_with_their_parent(line: list[str], tmp_path: Path) -> None:
    results = tmp_path / "results"
    parent = started(line, results, "workers=2", "shards=6")
    wait_until(lambda: len({claim.pid for claim in read_claims(results) if is_alive(claim)}) == 2)
    parent.kill()
    wait_until(lambda: not any(map(is_alive, read_claims(results))))


def test_sigterm_ends_a_run_as_ctrl_c_does_and_the_same_line_goes_on(
    line: list[str], whole: Path, tmp_path: Path
) -> None:
    for number, (workers, sent, code) in enumerate(
        [(1, signal.SIGTERM, 143), (1, signal.SIGINT, 130), (2, signal.SIGTERM, 143)]
    ):
        results = tmp_path / str(number) / "results"
        results.parent.mkdir()
        process = started(line, results, f"workers={workers}", "shards=4")
        wait_until(lambda results=results: any(claim.done for claim in read_claims(results)))  # type: ignore[misc]
        assert process.pid is not None
        os.kill(process.pid, sent)
        assert ended(process) == code
        said = (results.parent / "output.txt").read_text()
        word = "terminated" if sent == signal.SIGTERM else "interrupted"
        assert said.endswith(f"bench: {word}; the same command resumes\n")
        assert "Traceback" not in said
        assert not any(map(is_alive, read_claims(results)))
        kept = sum(claim.done for claim in read_claims(results))
        assert kept > 0
        if sent == signal.SIGINT:
            continue
        assert ended(started(line, results, "shards=2")) == 0
        assert_same(results, whole)
        assert sum(record.computed for record in read_records(results)[0]) <= 3 * IMAGES - kept


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that a run can fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is left, to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    return filler


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_is_full_in_the_middle_of_a_shard_costs_no_row_that_was_written(
    line: list[str], whole: Path, small_disk: Path, tmp_path: Path, workers: int
) -> None:
    results, output = small_disk / "results", tmp_path / "output.txt"
    process = started(line, results, f"workers={workers}", "shards=4", output=output)
    wait_until(lambda: sum(claim.done for claim in read_claims(results)) > 2)
    filler = fill(small_disk)
    assert ended(process) == 1
    said = output.read_text()
    assert "Traceback" not in said
    assert re.search(
        rf"^bench: {small_disk}/.*: No space left on device; what is complete is kept", said.splitlines()[-1]
    ), said
    assert not any(map(is_alive, read_claims(results)))
    filler.unlink()
    output.unlink()
    assert ended(started(line, results, "shards=2", output=output)) == 0, output.read_text()
    assert_same(results, whole)
    assert sum(record.computed for record in read_records(results)[0]) < 3 * IMAGES


def test_a_shard_of_a_silent_host_is_taken_over_and_one_of_a_live_host_is_waited_for(
    line: list[str], whole: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    process = started(line, results, "shards=4")
    wait_until(lambda: any(claim.done for claim in read_claims(results)))
    process.kill()
    process.join()
    claim = read_claims(results)[0]
    assert claim.path is not None
    cell, last = claim.path.parents[1], claim.shards - 1
    elsewhere = Claim(cell=claim.cell, shard=last, shards=claim.shards, total=6, host="elsewhere")
    write_claim(elsewhere, claim_path(cell, last))
    alive = time.time() + 600
    os.utime(claim_path(cell, last), (alive, alive))
    again = started(line, results, "shards=4")
    wait_until(lambda: len(stored(results, "record.json")) == 2)
    time.sleep(1)
    assert again.exitcode is None  # it has done what it could, and waits for the other host
    assert not (cell / "record.json").exists()
    os.utime(claim_path(cell, last), (0, 0))
    assert ended(again) == 0
    assert_same(results, whole)


def test_processes_of_torchrun_share_the_sweep_and_print_once(line: list[str], whole: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--no-python"]
    command = [*torchrun, bench_path(), "run", *line, "shards=4", f"results={results}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written:") == 1
    assert done.stderr.count("images computed now") == 3
    assert_same(results, whole)


def wait_until(holds: Any, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        with contextlib.suppress(InterruptedError):
            time.sleep(0.02)
