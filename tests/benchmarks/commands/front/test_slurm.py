"""A sweep through a real SLURM, one node on this machine: jobs that are cancelled, killed, or meet their time limit.

``start`` and ``stop`` of `RESTOREBENCH_SLURM`, or of ``../shared/slurm`` beside the project, bring it up and down.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from restorebench.benchmarks.commands.front.slurm import ended_by, memory_of, minutes_of
from restorebench.benchmarks.errors import UserError

from ...command_line import bench, bench_path

PROJECT_ROOT = Path(__file__).resolve().parents[4]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")

PORT = 16817
"""Of the controller, by the configuration that ``start`` writes."""

NETWORK = '''
"""The degraded image as it is; after five passes of a job it waits until the file `go` is there."""
import os
import time
from pathlib import Path

from torch import nn


class Held(nn.Module):
    seen = 0

    def forward(self, image):
        Held.seen += 1
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        if task is not None and Held.seen > 5 and not Path("go").exists():
            mark = Path(f"held-{task}")
            mark.with_suffix(".new").write_text(str(os.getpid()))
            mark.with_suffix(".new").rename(mark)
            while not Path("go").exists():
                time.sleep(0.05)
        return image
'''
TASKS = ("derain", "dehaze", "deblur")
SWEEP = ("model=held.py:Held", "weights=none", f"tasks={','.join(TASKS)}", "previews=none")
QUEUED = ("launcher=slurm", "launcher.notice=1", "launcher.gpus=0")
"""SLURM looks at its clock every 30 seconds: it gives notice of a limit of one minute after 30 to 60."""


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """Variables by which SLURM's commands find a cluster of one node, which lives as long as this file's tests."""
    named = os.environ.get("RESTOREBENCH_SLURM")
    scripts = Path(named) if named else PROJECT_ROOT.parent / "shared" / "slurm"
    if not (scripts / "start").is_file():
        pytest.skip(f"no SLURM to start: {scripts} is not there (set RESTOREBENCH_SLURM)")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        pytest.skip(f"no SLURM to start: {', '.join(missing)} not installed (slurmctld slurmd slurm-client munge)")
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("no launcher of SLURM: hydra-submitit-launcher is not installed")
    if os.geteuid() != 0:
        pytest.skip("no SLURM to start: its start needs root")
    if port_taken():
        pytest.skip(f"no SLURM to start: another one, or something else, listens on port {PORT} of this machine")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: a socket lies in it
    variables = {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
    said = folder / "start.log"
    starting = {**os.environ, **variables}
    del starting["OMP_NUM_THREADS"]  # nproc, by which the node learns of its processors, would say that number
    try:
        with said.open("w") as log:  # a file: a pipe would stay open in the daemons
            done = subprocess.run([scripts / "start", folder], env=starting, stdout=log, stderr=log, check=False)
        assert done.returncode == 0 or comes_up(variables), said.read_text()
        yield variables
    finally:
        subprocess.run(["scancel", "--me"], env={**os.environ, **variables}, check=False, capture_output=True)
        subprocess.run([scripts / "stop", folder], env={**os.environ, **variables}, check=False, capture_output=True)
        for _ in range(100):  # its daemons write their state when they end
            if not port_taken():
                break
            time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)


def port_taken() -> bool:
    """Whether something on this machine listens where the cluster would."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", PORT)) == 0


def comes_up(variables: dict[str, str]) -> bool:
    """Whether the node becomes idle after all: ``start`` waits for ten seconds, a busy machine may need more."""
    command, end = ["sinfo", "-h", "-t", "idle", "-o", "%D"], time.monotonic() + 90
    while time.monotonic() < end:
        done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
        if done.stdout.strip() == "1":
            return True
        time.sleep(1)
    return False


def said_by(variables: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    return done.stdout


def wait_for(what: str, condition: Callable[[], bool], driver: subprocess.Popen[str], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert driver.poll() is None, f"the sweep ended before {what}: {driver.communicate()}"
        assert time.monotonic() < end, f"no {what} after {seconds} s"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_becomes_of_jobs_in_the_queue_is_told_and_the_same_line_finishes(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "held.py").write_text(NETWORK)
    environment = {**os.environ, **slurm, "RESTOREBENCH_WEIGHTS": str(tmp_path / "no-weights")}
    environment.pop("RESTOREBENCH_DATA", None)
    started = time.monotonic()
    undisturbed = bench("run", "-m", *SWEEP, "results=undisturbed", cwd=tmp_path, OMP_NUM_THREADS="1")
    assert undisturbed.returncode == 0, undisturbed.stderr
    # One minute, the least that SLURM knows, unless this machine is so busy that a job has not begun by then.
    minutes = 1 + int(1.5 * (time.monotonic() - started)) // 60
    typed = ("run", *QUEUED, f"launcher.time={minutes}", *SWEEP)
    line = [bench_path(), *typed]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    driver = subprocess.Popen(line, cwd=tmp_path, env=environment, text=True, **pipes)

    def restarts() -> int:
        """How often the third job was queued again, on a busy machine even before it computed. SLURM lets such a job
        wait for two minutes, for a node that may be broken; here it need not."""
        said = said_by(slurm, "scontrol", "show", "job", "-o", f"{array}_2")
        if "Reason=BeginTime" in said:
            said_by(slurm, "scontrol", "update", f"JobId={array}_2", "StartTime=now")
        return int(said.partition("Restarts=")[2].split()[0])

    def result(job: str) -> Path:
        return tmp_path / "results" / ".hydra" / "jobs" / job / f"{job}_0_result.pkl"

    try:
        wait_for("first job", (tmp_path / "held-0").exists, driver)
        (array,) = set(said_by(slurm, "squeue", "-h", "-o", "%F").split())
        said_by(slurm, "scancel", f"{array}_0")
        wait_for("second job", (tmp_path / "held-1").exists, driver)
        os.kill(int((tmp_path / "held-1").read_text()), signal.SIGKILL)
        wait_for("third job", lambda: restarts() >= 0 and (tmp_path / "held-2").exists(), driver)
        before = restarts()
        wait_for("notice of the time limit", lambda: restarts() > before, driver)
        (tmp_path / "go").touch()
        end = time.monotonic() + 600
        while driver.poll() is None and not result(f"{array}_2").exists():
            restarts()
            assert time.monotonic() < end, "the third job did not end"
            time.sleep(0.5)
        out, err = driver.communicate(timeout=150)
    finally:
        driver.kill()
    assert driver.returncode == 1, err
    assert "Traceback" not in out + err
    jobs = tmp_path / "results" / ".hydra" / "jobs"
    logs = [jobs / f"{array}_{task}" / f"{array}_{task}_0_log.out" for task in range(3)]
    cancelled, _, limited = (log.read_text() for log in logs)
    failed = out[out.index("2 of 3 jobs failed:") :].splitlines()[1:]
    for task, reason, log in ((TASKS[0], "it was cancelled", logs[0]), (TASKS[1], "killed by SIGKILL", logs[1])):
        (row,) = [row for row in failed if f"tasks={task}" in row]
        assert reason in row
        assert str(log) in row
    assert "Traceback" not in cancelled + limited
    assert "bench: told to end; what is complete is kept" in cancelled
    assert "it is queued again and goes on" in limited
    (done,) = [text for text in limited.splitlines() if "images computed now" in text]
    assert 0 < int(done.partition("complete, ")[2].split()[0]) < 8, "what was finished was not kept"

    again = bench(*typed, cwd=tmp_path, **slurm)
    assert again.returncode == 0, again.stderr
    assert "failed" not in again.stdout
    whole = (tmp_path / "undisturbed" / "leaderboard.csv").read_bytes()
    assert whole.count(b"complete") == len(TASKS)
    assert (tmp_path / "results" / "leaderboard.csv").read_bytes() == whole


@pytest.mark.slow
def test_what_sbatch_refuses_is_one_line(slurm: dict[str, str], tmp_path: Path) -> None:
    nowhere = ("launcher=slurm", "launcher.partition=nowhere")
    done = bench("run", *nowhere, "model=identity", "tasks=derain", cwd=tmp_path, **slurm)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("bench: ")]
    assert "SLURM refused the jobs" in line
    assert "invalid partition" in line


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [("90", 90), ("90:00", 90), ("0:30", 1), ("2:00:00", 120), ("1-00:00:00", 1440), ("1-2", 1560), ("1-2:03", 1563)],
)
def test_time_limits_are_read_as_slurm_reads_them(typed: str, minutes: int) -> None:
    assert minutes_of(typed) == minutes


@pytest.mark.parametrize("typed", ["", "0", "-1", "soon", "1:2:3:4", "1-", "1.5", "0:00"])
def test_what_is_no_time_limit_is_told(typed: str) -> None:
    with pytest.raises(UserError, match=r"launcher\.time"):
        minutes_of(typed)


@pytest.mark.parametrize(
    ("typed", "gigabytes"), [(16, 16), ("16", 16), ("16G", 16), ("0.5", 0.5), ("512M", 0.5), ("1T", 1024), ("2gb", 2)]
)
def test_memory_is_in_gigabytes_where_it_has_no_unit(typed: object, gigabytes: float) -> None:
    assert memory_of(typed) == gigabytes


@pytest.mark.parametrize("typed", ["much", "-1", "0", "1X", ""])
def test_what_is_no_memory_is_told(typed: str) -> None:
    with pytest.raises(UserError, match=r"launcher\.memory"):
        memory_of(typed)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("0:9", "it was killed by SIGKILL"),
        ("137:0", "it was killed by SIGKILL"),
        ("143:0", "it was killed by SIGTERM"),
        ("1:0", "it ended with exit code 1"),
        ("0:0", "it ended without a result"),
        ("", "it ended without a result"),
    ],
)
def test_the_end_of_a_job_is_said_in_words(code: str, words: str) -> None:
    assert ended_by(code) == words
