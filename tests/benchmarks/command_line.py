"""The command line as a user starts it: the installed console script in a process of its own.

`forked` and `bench_forked` are for tests that start many: a process, which can be killed, that has not to import torch
first, because it is forked from one that has.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd

from restorebench.benchmarks.store.cells import read_records


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


PRELOADED = (
    *("torch", "torch.utils.flop_counter", "torch.fx.experimental.symbolic_shapes", "torchvision", "lightning_fabric"),
    *("pandas", "scipy.stats", "scipy.ndimage", "skimage.metrics", "hydra", "safetensors.torch", "tqdm", "tabulate"),
)
"""Packages of others, as `bench run` imports them; nothing of the suite's own."""

FORKED = """
import os, sys

os.setsid()
os.chdir(folder)
os.environ.clear()
os.environ.update(environment)
for number, path in ((1, stdout), (2, stderr)):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
sys.path[:0] = sources
for line in lines:
    sys.argv = [script, *line]
    from restorebench.benchmarks.commands.main import main
    code = main()
    if code:
        sys.exit(code)
"""


@cache
def _fork_server() -> ForkServerContext:
    """Of this process's; it ends with it."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(PRELOADED))
    return server


def forked(
    *lines: Sequence[str], cwd: Path, stdout: Path | str = os.devnull, stderr: Path, sources: Sequence[Path] = ()
) -> BaseProcess:
    """A process on its way, leader of its session, that runs these lines after ``bench`` until one does not succeed.

    It is what the console script starts but for the import of other packages. What decides before that, such as
    ``OMP_NUM_THREADS``, is as when the first one was started.

    Args:
        lines: of arguments.
        cwd: its folder; the weights folder is an empty one in it.
        stdout, stderr: files that what it writes is added to.
        sources: folders that are searched for modules first.
    """
    environment = {**os.environ, "RESTOREBENCH_WEIGHTS": str(cwd / "no-weights")}
    environment.pop("RESTOREBENCH_DATA", None)
    names = {
        "lines": [list(line) for line in lines],
        "script": bench_path(),
        "environment": environment,
        "folder": str(cwd),
        "stdout": str(stdout),
        "stderr": str(stderr),
        "sources": [str(each) for each in sources],
    }
    process = _fork_server().Process(target=exec, args=(FORKED, names))
    process.start()
    return process


def bench_forked(
    *lines: Sequence[str], cwd: Path, sources: Sequence[Path] = (), timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """What `bench` does, for one line of arguments or several, in a `forked` process."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder) / "stdout", Path(folder) / "stderr"
        process = forked(*lines, cwd=cwd, stdout=stdout, stderr=stderr, sources=sources)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"bench {lines}: not done after {timeout} s")
        said = [path.read_text() if path.exists() else "" for path in (stdout, stderr)]
        return subprocess.CompletedProcess(lines, process.exitcode, *said)


def stored(results: Path, name: str) -> list[Path]:
    """The files of a name in a store, whose folders may come and go meanwhile: `Path.rglob` fails then."""
    return sorted(Path(folder) / name for folder, _, names in os.walk(results) if name in names)


def tables(results: Path) -> dict[str, bytes]:
    """Bytes of every ``images.csv`` by its place in the store."""
    return {str(path.relative_to(results)): path.read_bytes() for path in stored(results, "images.csv")}


def means(results: Path) -> dict[str, object]:
    """Means of every cell by its folder; all must add up."""
    records, problems = read_records(results)
    assert problems == []
    return {f"{record.suite}/{record.cell}": record.means for record in records}


def leaderboard(results: Path) -> pd.DataFrame:
    """The written leaderboard, empty texts as such."""
    return pd.read_csv(results / "leaderboard.csv", dtype={"cell": str, "note": str}).fillna({"cell": "", "note": ""})
