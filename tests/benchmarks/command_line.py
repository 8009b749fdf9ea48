"""The command line as a user starts it: the installed console script in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd


def bench_path() -> str:
    """The console script of the environment that runs the tests."""
    script = shutil.which("bench", path=str(Path(sys.executable).parent))
    assert script is not None, "the project is not installed: no console script `bench` beside this Python"
    return script


def bench(*arguments: str, cwd: Path, timeout: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``bench`` to its end; the weights folder is an empty one, so that the machine's own plays no part."""
    environment = {**os.environ, "RESTOREBENCH_WEIGHTS": str(cwd / "no-weights"), **variables}
    environment.pop("RESTOREBENCH_DATA", None)
    return subprocess.run(
        [bench_path(), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def leaderboard(results: Path) -> pd.DataFrame:
    """The written leaderboard, empty texts as such."""
    return pd.read_csv(results / "leaderboard.csv", dtype={"cell": str, "note": str}).fillna({"cell": "", "note": ""})
