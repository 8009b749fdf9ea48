"""Launchers by name: their keys, what they need, each worker's share of its host, and what becomes of their jobs."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from restorebench.benchmarks.commands import profile, run, train
from restorebench.benchmarks.commands.front import launchers, share
from restorebench.benchmarks.commands.front.hydra import HydraCommand
from restorebench.benchmarks.commands.front.launchers import KEYS
from restorebench.benchmarks.commands.front.share import Share, share_of_host
from restorebench.benchmarks.store.cells import read_records

from ...command_line import bench
from ...conftest import Bench

CONF = Path(__file__).resolve().parents[4] / "conf" / "launcher"
RUN = ("run", "model=identity", "tasks=derain")

NETWORKS = """
import os
import signal

from torch import nn


class Lives(nn.Module):
    def forward(self, image):
        return image


class Nothing(nn.Module):
    def forward(self, image):
        return image * float("nan")


class Dies(nn.Module):
    def forward(self, image):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def installed(choice: str, plugin: str) -> object:
    try:
        there = importlib.util.find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is not None
    except ModuleNotFoundError:
        there = False
    return pytest.param(choice, marks=pytest.mark.skipif(not there, reason=f"hydra-{plugin}-launcher not installed"))


POOLS = [installed("joblib", "joblib"), installed("local_cluster", "submitit")]


def test_every_launcher_has_a_configuration_with_its_keys() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(KEYS)
    for name, schema in KEYS.items():
        written = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
        assert isinstance(written, dict)
        assert written["launcher"] == vars(schema()), name


@pytest.mark.parametrize("command", [run.COMMAND, train.COMMAND, profile.COMMAND], ids=lambda command: command.name)
def test_run_train_and_profile_take_every_launcher_and_their_jobs_are_the_same(command: HydraCommand[object]) -> None:
    plain = command.compose(["model=rbair"])
    assert plain.launcher == ""
    for choice in KEYS:
        shown = command.compose(["--cfg", "job", "model=rbair", f"launcher={choice}"])
        assert shown.launcher == choice
        assert shown.configs == plain.configs


@pytest.mark.parametrize("choice", sorted(KEYS))
def test_a_launcher_that_is_not_installed_is_one_line_that_says_what_to_install(
    choice: str, monkeypatch: pytest.MonkeyPatch, bench_here: Bench, tmp_path: Path
) -> None:
    extra = launchers.EXTRAS[choice]
    absent = launchers.Extra(extra.name, extra.distribution, ("hydra_plugins.no_such_package",))
    monkeypatch.setitem(launchers.EXTRAS, choice, absent)
    done = bench_here(*RUN, f"launcher={choice}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"bench: launcher={choice} needs {extra.distribution}, which is not installed: "
        f"pip install 'restorebench[{extra.name}]'\n"
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["launcher=slrm"], "launcher=slrm: no such choice (did you mean 'slurm'?)"),
        (["launcher.time=5"], "launcher.time is a key of a launcher, and none is chosen; there are launcher=joblib"),
        (["launcher=slurm", "launcher.tim=5"], "has no key launcher.tim (did you mean 'time'?)"),
        (["launcher=slurm", "+launcher.nodes=5"], "has no key launcher.nodes"),
        (["launcher=slurm", "launcher.time=soon"], "launcher.time=soon: write minutes"),
        (["launcher=slurm", "launcher.cpus=none"], "launcher.cpus=none: write a whole number"),
        (["launcher=slurm", "launcher.gpus=-1"], "launcher.gpus=-1: write a whole number"),
        (["launcher=slurm", "launcher.memory=much"], "launcher.memory=much: write GB"),
        (["launcher=slurm", "launcher.requeue=maybe"], "launcher.requeue=maybe: write true, false"),
        (["launcher=slurm", "launcher.options.nice=5"], "write +launcher.options.nice=..."),
        (["launcher=joblib", "launcher.workers=0"], "launcher.workers=0: write a whole number"),
        (["launcher=local_cluster", "launcher.threads=x"], "launcher.threads=x: write a whole number"),
        (["launcher=ray", "launcher.gpus=x"], "launcher.gpus=x: write a number"),
        (["launcher=slurm,joblib"], "launcher=slurm,joblib: a sweep has one launcher"),
        (["launcher=slurm", "launcher.time=5,6"], "launcher.time=5,6: a sweep has one launcher"),
    ],
)
def test_a_mistake_about_a_launcher_is_one_line(
    typed: list[str], said: str, monkeypatch: pytest.MonkeyPatch, bench_here: Bench, tmp_path: Path
) -> None:
    monkeypatch.setattr(launchers, "_is_there", lambda module: True)
    done = bench_here(*RUN, *typed, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("bench: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_machine_without_slurm_is_one_line(
    monkeypatch: pytest.MonkeyPatch, bench_here: Bench, tmp_path: Path
) -> None:
    monkeypatch.setattr(launchers, "_is_there", lambda module: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = bench_here(*RUN, "launcher=slurm", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "bench: launcher=slurm needs SLURM's sbatch, srun, squeue, scontrol, not found here: type it on a login node\n"
    )


@pytest.mark.parametrize(
    ("workers", "threads", "jobs", "gpus", "shared"),
    [
        ("auto", "auto", 9, [], (4, 4)),  # sixteen cores
        ("auto", "auto", 9, ["0", "1"], (2, 8)),
        ("auto", "auto", 1, ["0", "1"], (1, 16)),
        (8, "auto", 9, ["0", "1"], (8, 2)),
        (8, "auto", 3, [], (3, 5)),
        (100, "auto", 100, [], (100, 1)),
        ("2", "3", 9, [], (2, 3)),
    ],
)
def test_cores_are_shared_out_among_the_workers(
    workers: object,
    threads: object,
    jobs: int,
    gpus: list[str],
    shared: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(share, "cores", lambda: 16)
    found = share_of_host(workers, threads, jobs, gpus)
    assert (found.workers, found.threads, found.gpus) == (*shared, tuple(gpus))


def test_a_host_of_few_cores_has_two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "cores", lambda: 2)
    assert share_of_host("auto", "auto", 5, []) == Share(2, 1)


def test_processes_learn_of_their_threads_only_in_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with Share(2, 8).told():
        assert {os.environ[name] for name in share.THREADS} == {"6"}  # the user's word is the upper bound
    with Share(2, 3).told():
        assert {os.environ[name] for name in share.THREADS} == {"3"}
    assert os.environ["OMP_NUM_THREADS"] == "6"
    assert "MKL_NUM_THREADS" not in os.environ


def taken(part: Share) -> tuple[int, str, int]:
    import torch

    part.take()
    part.take()
    time.sleep(1)
    return os.getpid(), os.environ[share.VISIBLE], torch.get_num_threads()


@pytest.mark.slow
def test_every_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (
        Share(2, 1, ("5", "GPU-a")).told() as part,
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        found = set(pool.map(taken, [part] * 4))
    assert {gpu for _, gpu, _ in found} == {"5", "GPU-a"}
    assert len(found) == 2, "a worker changed its GPU"
    assert {threads for *_, threads in found} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("choice", POOLS)
def test_jobs_that_fail_elsewhere_are_told_with_their_logs_and_the_others_end(choice: str, tmp_path: Path) -> None:
    (tmp_path / "networks.py").write_text(NETWORKS)
    models = "model=networks.py:Dies,networks.py:Lives,networks.py:Nothing"
    sweep = ("run", f"launcher={choice}", "launcher.workers=2", models, "weights=none", "tasks=derain", "limit=2")
    done = bench(*sweep, "previews=none", cwd=tmp_path, OMP_NUM_THREADS="64")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stdout[done.stdout.index("2 of 3 jobs failed:") :].splitlines()[1:]
    reasons = {"Dies": "its process was killed, or ended early; the same command goes on", "Nothing": "is incomplete"}
    for name, reason in reasons.items():
        (line,) = [line for line in lines if f"networks.py:{name}" in line]
        assert reason in line
        if choice == "local_cluster":
            assert Path(line.rpartition("(log: ")[2].rstrip(")")).is_file()
    records = {record.model: record for record in read_records(tmp_path / "results")[0]}
    assert set(records) == {"lives", "nothing"}
    assert records["lives"].scored == 2
    assert records["lives"].environment.torch_threads == max(1, share.cores() // 2)
