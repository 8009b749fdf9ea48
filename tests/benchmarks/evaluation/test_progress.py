"""What is shown of a sweep: bars on a terminal, lines elsewhere, TensorBoard, and what Hydra's callbacks hear."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from restorebench.benchmarks.evaluation import progress as progress_module
from restorebench.benchmarks.evaluation.progress import CellProgress, Progress, sweep_progress
from restorebench.benchmarks.store.rows import ImageRow

from ..conftest import Bench

ROW = ImageRow(image="a.png", status="ok", psnr=30.0, ssim=0.9, lpips=0.1, input_psnr=20.0, input_ssim=0.5)
LINE = ("run", "model=identity", "tasks=denoise", "data.size=64", "device=cpu")


def test_a_line_says_images_speed_and_time_left() -> None:
    cell = CellProgress("rbair derain", 100, lambda: 40, first=20, started=time.monotonic() - 10)
    assert cell.line() == "rbair derain: 40 of 100 images, 2.00 images/s, 00:30 left"
    unknown = CellProgress("rbair derain", 100, lambda: 20, first=20, started=time.monotonic() - 10)
    assert unknown.line() == "rbair derain: 20 of 100 images"


def test_without_a_terminal_there_is_a_line_now_and_then_and_no_bar(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "LOG_SECONDS", 0.05)
    with caplog.at_level(logging.INFO, logger="restorebench"), Progress(3, terminal=False) as progress:
        progress.finished()
        progress.cell("rbair derain", 100, lambda: 40)
        deadline = time.monotonic() + 20
        while len(caplog.messages) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert set(caplog.messages) == {"rbair derain: 40 of 100 images; 1 of 3 cells done"}
    assert len(caplog.messages) >= 2
    assert "\r" not in capsys.readouterr().err, "a bar"


def test_on_a_terminal_a_bar_for_the_cells_and_one_for_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    done = [10]
    with Progress(3, terminal=True) as progress:
        progress.finished()
        progress.cell("rbair derain", 100, lambda: done[0])
        progress.row(ROW)
        done[0] = 60  # others compute it too
        progress._counted = 0.0
        progress.look()
        progress._bar.refresh()
        progress._sweep.refresh()
        shown = capsys.readouterr().err
    assert "cells" in shown
    assert "1/3" in shown
    assert "rbair derain" in shown
    assert "60/100" in shown
    assert "PSNR 30.00 dB" in shown


def test_what_is_not_to_be_shown_is_not(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    for terminal in (False, True):
        with Progress(3, shown=False, terminal=terminal) as progress:
            progress.cell("rbair derain", 100, lambda: 40)
            progress.row(ROW)
            progress.finished()
    assert capsys.readouterr().err == ""
    assert caplog.messages == []


def test_the_jobs_of_a_sweep_count_together() -> None:
    with sweep_progress(4, shown=False) as sweep:
        with sweep_progress(2, shown=False) as job:
            job.finished()
        assert sweep.done == 1
        assert sweep.cells == 4
    with sweep_progress(2, shown=False) as alone:
        assert alone.cells == 2


class Board:
    """What a SummaryWriter is told."""

    told: ClassVar[list[tuple[str, float, int]]] = []

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.told.append((tag, value, step))

    def flush(self) -> None:
        pass


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, int]]:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Board))  # type: ignore[arg-type]
    Board.told.clear()
    return Board.told


def test_tensorboard_hears_every_image_and_the_means(
    board: list[tuple[str, float, int]], bench_here: Bench, tmp_path: Path
) -> None:
    done = bench_here(*LINE, "log.tensorboard=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    images = [(tag, step) for tag, _, step in board if tag.endswith("denoise-25@embedded-64/psnr")]
    assert [step for _, step in images] == list(range(8))
    assert sum(tag.endswith("/mean psnr") for tag, _, _ in board) == 3
    assert (tmp_path / "results" / ".tensorboard").is_dir()
    assert bench_here(*LINE, cwd=tmp_path).returncode == 0  # the folder is no suite


def test_without_its_package_tensorboard_is_the_users_mistake(
    monkeypatch: pytest.MonkeyPatch, bench_here: Bench, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = bench_here(*LINE, "log.tensorboard=true", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install tensorboard" in done.stderr
    assert not (tmp_path / "results").exists()


CALLBACK = """
from hydra.experimental.callback import Callback

class Listener(Callback):
    def __init__(self, file):
        self.file = file

    def on_job_end(self, config, job_return, **kwargs):
        with open(self.file, "a") as file:
            file.write(f"{config.model} {job_return.status.name}\\n")
"""


def test_a_callback_of_hydra_may_listen(bench_here: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "listening.py").write_text(CALLBACK)
    monkeypatch.syspath_prepend(str(tmp_path))
    heard: list[Any] = ["+hydra.callbacks.listener._target_=listening.Listener"]
    heard.append(f"+hydra.callbacks.listener.file={tmp_path / 'heard.txt'}")
    done = bench_here(*LINE, *heard, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "heard.txt").read_text() == "identity COMPLETED\n"
