"""Fixtures of the command line's tests."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from restorebench.benchmarks.commands.main import main


class Bench(Protocol):
    """``bench`` without a process of its own."""

    def __call__(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """The suite's logger is put back: a command line sends its messages to standard error, and nowhere else."""
    logger = logging.getLogger("restorebench")
    before = logger.propagate, logger.level, list(logger.handlers)
    yield
    logger.propagate, logger.level, logger.handlers[:] = before


@pytest.fixture
def bench_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_as_before: None) -> Bench:
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
