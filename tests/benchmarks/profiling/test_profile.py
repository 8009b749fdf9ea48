"""``bench profile``: numbers with their conditions, beside the paper's, in a file that a repeated run updates."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.commands import profile as profile_command
from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.inference.machine import Business
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.profiling import job as profiling_job
from restorebench.benchmarks.profiling import latency as profiling
from restorebench.benchmarks.profiling.config import ProfileConfig
from restorebench.benchmarks.profiling.job import image_size
from restorebench.benchmarks.profiling.latency import (
    LEAST_REPEATS,
    Latency,
    Memory,
    Stopwatch,
    Workload,
    measure_latency,
    measure_memory,
)
from restorebench.benchmarks.profiling.macs import count_macs
from restorebench.benchmarks.store.profiles import COLUMNS, KEY, read_rows
from restorebench.models import (
    ModelCard,
    PublishedFigure,
    Variant,
    build_network,
    create_model,
    register,
)

from ..conftest import Bench

QUICK = ("device=cpu", "warmup=1", "repeats=3")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small images gain nothing from threads, and on a busy machine threads that wait for each other cost minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results" / "profile.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_sweep_writes_and_prints_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", "-m", "model=anyir", "variant=tiny", "size=16,24x40", *QUICK]) == 0
    rows = {row["size"]: row for row in table(tmp_path)}
    assert list(rows) == ["16x16", "24x40"]
    row = rows["24x40"]
    assert (row["model"], row["variant"]) == ("anyir", "tiny")
    counted = count_macs(lambda: build_network("anyir", variant="tiny"), (24, 40))
    assert (int(row["parameters"]), int(row["macs"])) == (counted.parameters, counted.macs)
    assert float(row["latency_q1_ms"]) <= float(row["latency_ms"]) <= float(row["latency_q3_ms"])
    assert float(row["images_per_second"]) == pytest.approx(1000 / float(row["latency_ms"]), rel=0.01)
    assert (row["repeats"], row["warmup"], row["clock"]) == ("3", "1", "wall clock")
    assert (row["device"], row["dtype"], row["torch"]) == ("cpu", "float32", torch.__version__)
    assert float(row["peak_memory_mib"]) > 4 * counted.parameters / 2**20
    assert row["memory_meaning"]
    out = capsys.readouterr().out
    for shown in ("anyir", "1x3x24x40", row["latency_ms"], "profile.csv", "resident set", "wall clock"):
        assert shown in out


@pytest.mark.slow
def test_a_repeated_measurement_replaces_its_row_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Memory takes a process of its own each time, and is not what this is about.
    monkeypatch.setattr(profiling_job, "measure_memory", lambda *_: Memory(2**20, "a test's"))
    for overrides in ((), ("repeats=4",), ("batch=2", "channels_last=true")):
        assert main(["profile", "model=identity", "size=16", *QUICK, *overrides]) == 0
    rows = table(tmp_path)
    assert [(row["batch"], row["channels_last"], row["repeats"]) for row in rows] == [
        ("1", "False", "4"),
        ("2", "True", "3"),
    ]
    assert len({tuple(row[name] for name in KEY) for row in rows}) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("own_registry")
def test_the_papers_figures_stand_beside_and_what_they_leave_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    figures = (
        PublishedFigure(variant="l", macs_g=1.5, source="arXiv 0000.00000", note="without its attention"),
        PublishedFigure(variant="s", macs_g=0.25, parameters_m=0.1, input_size="1x3x100x200", source="its authors"),
    )
    card = ModelCard(
        name="toy", title="Toy", variants={"l": Variant(), "s": Variant()}, paper="", url="", year=2026,
        code_licence="MIT", published=figures,
    )  # fmt: skip

    @register(card)
    class Toy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            restored: Tensor = self.body(x)
            return restored

    # The process that measures memory does not know a restorer of this one: that is said, and the exit code is 1.
    assert main(["profile", "-m", "model=toy", "variant=l,s", "size=16", *QUICK]) == 1
    out = capsys.readouterr().out
    assert "1.5 (not stated)" in out
    assert "paper, toy l: arXiv 0000.00000; 1.5 G at a size not stated; without its attention" in out
    assert "paper, toy s: its authors; 0.25 G at 1x3x100x200; counted here at that size 0.00 G" in out
    assert "toy l at 16x16: peak memory not measured: " in out
    small = next(row for row in table(tmp_path) if row["variant"] == "s")
    assert (small["published_parameters_m"], small["macs_at_published_size"]) == ("0.1", str(9 * 100 * 200))


class Idle:
    """A watch on a machine that does nothing else."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def business(self) -> Business:
        return Business(seconds=1.0, own=1.0, others=0.0, load=0.0, processors=2, threads=self.threads)


class Slow(nn.Module):
    """Takes 20 ms."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.02)
        return x


def identity_workload(**changes: object) -> Workload:
    details: dict[str, object] = {
        "model": "identity", "variant": "input", "weights": "none", "overrides": {}, "size": (16, 16), "batch": 1,
        "numerics": Numerics(),
    }  # fmt: skip
    return Workload(**(details | changes))  # type: ignore[arg-type]


@pytest.mark.alone
def test_latency_is_what_a_pass_takes_and_stops_in_time() -> None:
    restorer = create_model("identity")
    restorer.network = Slow()
    latency = measure_latency(identity_workload(), restorer, warmup=1, repeats=7, seconds=60)
    assert len(latency.seconds) == 7
    first, median, third = latency.quartiles
    assert 0.02 <= first <= median <= third < 0.2
    short = measure_latency(identity_workload(), restorer, warmup=0, repeats=100, seconds=0.01)
    assert len(short.seconds) == LEAST_REPEATS


def test_quartiles_are_those_of_the_passes() -> None:
    assert Latency(((5.0, 1.0), (2.0, 4.0, 3.0)), "").quartiles == (2.0, 3.0, 4.0)
    assert Latency(((2.0,),), "").quartiles == (2.0, 2.0, 2.0)


def test_passes_are_shared_out_to_rounds() -> None:
    def shared(repeats: int, rounds: int) -> list[int]:
        restorer = create_model("identity")
        return Stopwatch(identity_workload(), restorer, warmup=0, repeats=repeats, rounds=rounds, seconds=60).quotas

    assert shared(20, 4) == [5, 5, 5, 5]
    assert shared(7, 3) == [3, 2, 2]
    assert shared(2, 4) == [1, 1]
    measured = measure_latency(identity_workload(), create_model("identity"), warmup=0, repeats=7, seconds=60, rounds=3)
    assert [len(one) for one in measured.rounds] == [3, 2, 2]


def test_the_jobs_of_a_sweep_take_turns_and_a_slow_round_makes_its_latency_doubtful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three rounds the second of size 16 meets a machine that is ten times as slow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(profiling_job, "measure_memory", lambda *_: Memory(2**20, "a test's"))
    monkeypatch.setattr(profiling, "Watch", Idle)
    order: list[int] = []

    def seconds(stopwatch: Stopwatch) -> float:
        side = stopwatch.workload.size[0]
        order.append(side)
        if side == 24:
            return 0.02
        return 0.1 if order.count(16) in (3, 4) else 0.01

    monkeypatch.setattr(Stopwatch, "_pass", seconds)
    command = ["profile", "-m", "model=identity", "size=16,24", "device=cpu", "warmup=0", "repeats=6", "rounds=3"]
    assert main(command) == 0
    assert order == [16, 16, 24, 24] * 3
    slow, fast = table(tmp_path)
    assert (slow["rounds"], slow["repeats"], fast["rounds"], fast["repeats"]) == ("3", "6", "3", "6")
    assert "medians of the rounds from 10 to 100 ms" in slow["doubtful"]
    assert fast["doubtful"] == ""
    out = capsys.readouterr().out
    assert f"{slow['latency_ms']}?" in out
    assert f"{fast['latency_ms']}?" not in out
    assert "? doubtful, not to be ranked: latency of identity input at 16x16: " in out
    assert "in 3 rounds, in which all that was asked for took turns" in out


def test_a_launchers_process_goes_through_the_rounds_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling_job, "measure_memory", lambda *_: Memory(2**20, "a test's"))
    config = ProfileConfig(model="identity", size=16, device="cpu", repeats=4, rounds=2, results=str(tmp_path))
    measured = profile_command.measure(profile_command.planned(config))
    assert measured.done
    (row,) = read_rows(tmp_path / "profile.csv")
    assert (row.rounds, row.repeats) == ("2", "4")


@pytest.mark.alone
def test_memory_on_a_cpu_follows_what_the_network_holds() -> None:
    small = measure_memory(identity_workload(), create_model("identity")).peak
    # 16 images of 1024x1024: 192 MiB, which the identity holds once.
    large = measure_memory(identity_workload(size=(1024, 1024), batch=16), create_model("identity")).peak
    assert small is not None
    assert large is not None
    assert 0 <= small < 32 * 2**20
    assert 192 * 2**20 <= large < 260 * 2**20


@pytest.mark.slow
def test_out_of_memory_is_a_row_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def too_small(self: Workload) -> Tensor:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr(profiling.Workload, "images", too_small)
    assert main(["profile", "model=identity", "size=16", *QUICK]) == 1
    assert "out of memory" in capsys.readouterr().out
    (row,) = table(tmp_path)
    assert row["latency_ms"] == ""
    assert "tried to allocate 80 GiB" in row["note"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_timed_by_its_events_and_its_own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", "model=anyir", "size=64", "device=cuda"]) == 0
    (row,) = table(tmp_path)
    assert row["clock"] == "CUDA events"
    assert float(row["peak_memory_mib"]) > 4 * int(row["parameters"]) / 2**20
    assert "GPU" in row["memory_meaning"]


def test_a_file_of_another_version_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "profile.csv").write_text("model,latency\na,1\n")
    assert main(["profile", "model=identity", "size=16", *QUICK]) == 2
    assert "(other columns); move it away" in capsys.readouterr().err
    assert (tmp_path / "results" / "profile.csv").read_text() == "model,latency\na,1\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["sise=64"], "there is no key 'sise' (did you mean 'size'?); bench profile --help lists them"),
        (["model=identitty"], "identity"),
        (["variant=papr"], "unknown variant of identity 'papr'"),
        (["size=16,32"], "add -m to sweep over them: bench profile -m"),
        (["size=3x"], "size=3x: give a side in pixels"),
        (["size=0"], "size=0: give a side in pixels"),
        (["batch=0"], "batch=0: give a positive number"),
        (["repeats=0"], "repeats=0"),
        (["rounds=0"], "rounds=0"),
        (["warmup=-1"], "warmup=-1"),
        (["dtype=float8"], "unknown dtype"),
        (["device=gpu"], "unknown device"),
        (["model=spandrel"], "pass weights=PATH"),
        (["+overrides.widht=3"], "unknown constructor argument of identity 'widht'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    overrides: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", "model=identity", "device=cpu", *overrides]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_help_and_cfg_measure_nothing(tmp_path: Path, bench_here: Bench) -> None:
    for option in (("--help",), ("--cfg", "job")):
        done = bench_here("profile", *option, cwd=tmp_path)
        assert done.returncode == 0
        assert "repeats" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_sizes_are_sides_or_height_times_width() -> None:
    assert image_size(256) == (256, 256)
    assert image_size("720x1280") == (720, 1280)


def test_columns_are_documented_by_the_conditions_that_identify_a_row() -> None:
    assert {"model", "variant", "size", "batch", "dtype", "device_name", "torch"} <= set(KEY)
    assert set(KEY) < set(COLUMNS)
