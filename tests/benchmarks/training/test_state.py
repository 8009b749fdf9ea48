"""Resume: a run that is killed anywhere goes on to the same bits, and a complete one is left alone."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from restorebench.atomic import PART

from .runs import started, table, train

pytestmark = pytest.mark.slow


def assert_same_run(run: Path, reference: Path) -> None:
    expected, resumed = load_file(reference / "weights.safetensors"), load_file(run / "weights.safetensors")
    assert expected.keys() == resumed.keys()
    for key, value in expected.items():
        assert torch.equal(value, resumed[key]), key
    assert table(run / "losses.csv") == table(reference / "losses.csv")
    assert table(run / "validation.csv") == table(reference / "validation.csv")
    assert {path.name for path in reference.iterdir()} - {path.name for path in run.iterdir()} <= {"training.png"}
    assert {path.name for path in run.iterdir()} <= {path.name for path in reference.iterdir()}


def test_a_complete_run_is_left_alone(reference: Path, finished: Path, cache: Path) -> None:
    before = {path.name: path.read_bytes() for path in reference.iterdir() if path.name != "lock"}
    trainer = train(finished, cache)
    assert trainer.state.done.images == 48
    config = before.pop("config.yaml").decode().replace(str(reference), str(finished)).encode()  # says where it is
    after = {path.name: path.read_bytes() for path in finished.iterdir() if path.name != "lock"}
    assert after == {**before, "config.yaml": config}


def lines(path: Path) -> int:
    """Whole lines of a table that may be growing, its header among them."""
    return path.read_text().count("\n") if path.exists() else 0


def wait_for(reached: Callable[[], bool], process: BaseProcess) -> None:
    deadline = time.monotonic() + 200
    while not reached():
        assert process.is_alive(), "training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)


KILLED = {
    "after steps": lambda run: lines(run / "losses.csv") >= 4,
    "in a validation": lambda run: lines(run / "validation.csv") >= 2,
    "with weights written, their checkpoint not": lambda run: (run / "weights.safetensors").exists(),
    "after the last validation": lambda run: lines(run / "validation.csv") >= 9,
}


@pytest.mark.parametrize("at", KILLED)
def test_a_killed_process_goes_on_to_the_same_bits(at: str, tmp_path: Path, cache: Path, reference: Path) -> None:
    run = tmp_path / "run"
    process = started(run, cache)
    try:
        wait_for(lambda: KILLED[at](run), process)
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    trainer = train(run, cache)
    assert trainer.state.done.steps == 18
    assert_same_run(run, reference)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process's files")
def test_a_checkpoint_half_written_is_as_if_it_had_not_begun(tmp_path: Path, cache: Path, reference: Path) -> None:
    run = tmp_path / "run"
    process = started(run, cache)
    try:
        wait_for(lambda: lines(run / "losses.csv") >= 3, process)
        assert process.pid is not None
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))  # a checkpoint has more: the kernel kills
        process.join(60)
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGXFSZ
    halves = [path for path in run.iterdir() if path.name.startswith(PART)]
    assert [path.stat().st_size for path in halves] == [4096]
    before = torch.load(run / "checkpoint.pt", weights_only=True)
    assert before["done"]["steps"] >= 3
    train(run, cache)
    assert_same_run(run, reference)
    assert not halves[0].exists()
