"""Fixtures of the command line's tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

import restorebench
from restorebench.benchmarks.commands.main import main


class Bench(Protocol):
    """``bench`` without a process of its own."""

    def __call__(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def bench_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """What `command_line.bench` does, in this process: sooner by seconds, for all that needs no console script."""

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(cwd / "no-weights"))
        monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        written = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, written.out, written.err)

    return run


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cells of a real run, of one task at three noise levels; to be read."""
    results = tmp_path_factory.mktemp("stored")
    restorebench.evaluate("identity", "denoise", size=64, device="cpu", results=results, progress=False)
    return results


@pytest.fixture
def results(stored: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(stored, tmp_path / "results"))
