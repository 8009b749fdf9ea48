"""Times that a busy machine made are called doubtful, those of a quiet one are not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from restorebench.benchmarks.inference.machine import Business, Watch, doubts
from restorebench.benchmarks.inference.waiting import choose_waiting, waiting

STEADY = ((0.100, 0.101, 0.099), (0.100, 0.102, 0.098))


def business(**changes: float) -> Business:
    return Business(
        **{"seconds": 1.0, "own": 1.9, "others": 0.05, "load": 2.0, "processors": 2, "threads": 2, **changes}
    )  # type: ignore[arg-type]


def test_steady_times_on_a_quiet_machine_are_believed() -> None:
    assert doubts(STEADY, business()) == ""
    assert doubts(((0.1,),), Business()) == ""
    assert doubts((), business()) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"others": 1.0, "own": 1.0}, "other processes took 1.0 of 2 processors, 2 timed threads had 1.0"),
        ({"load": 4.1}, "load average 4.1 on 2 processors"),
    ],
)
def test_what_others_took_makes_steady_times_doubtful(changes: dict[str, float], reason: str) -> None:
    assert doubts(STEADY, business(**changes)) == reason


def test_others_do_no_harm_on_processors_that_the_timed_threads_do_not_need() -> None:
    assert doubts(STEADY, business(others=6.0, load=8.0, processors=8, threads=2)) == ""
    assert doubts(STEADY, business(others=6.5, load=8.0, processors=8, threads=2)) != ""


@pytest.mark.parametrize(
    ("rounds", "reason"),
    [
        (((0.1, 0.1, 0.2, 0.2),), "a quartile lies 33% from the median"),
        (((0.1, 0.1), (0.19, 0.19), (0.1, 0.1), (0.1, 0.1), (0.1, 0.1)), "medians of the rounds from 100 to 190"),
        (((4.983, 4.990), (0.192, 0.193)), "medians of the rounds from 192 to 4.99e+03 ms"),
    ],
)  # fmt: skip
def test_times_that_scatter_are_doubtful_on_any_machine(rounds: tuple[tuple[float, ...], ...], reason: str) -> None:
    assert reason in doubts(rounds, business())


def test_the_scatter_of_passes_of_microseconds_says_nothing() -> None:
    assert doubts(((0.0001, 0.0003, 0.0002, 0.0001, 0.0003),), business()) == ""


def test_businesses_of_several_rounds_are_one() -> None:
    joined = business(others=1.0, seconds=3.0, load=1.0).joined(business(others=0.0, seconds=1.0, load=5.0))
    assert (joined.seconds, joined.others, joined.load) == (4.0, 0.75, 5.0)
    assert business().joined(business(others=None)).others is None  # type: ignore[arg-type]


@pytest.mark.alone
def test_a_watch_sees_the_processors_that_another_process_takes() -> None:
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        watch = Watch(threads=1)
        time.sleep(1.0)
        seen = watch.business()
    finally:
        loop.kill()
        loop.wait()
    if seen.others is None:
        pytest.skip("this system does not say what processes take")
    assert seen.others > 0.3
    assert seen.own < 0.5
    assert seen.seconds >= 1.0


@pytest.mark.parametrize(
    ("bundled", "chosen"),
    [
        ("torch/lib/libgomp.so.1", {"GOMP_SPINCOUNT": "10000"}),
        ("torch.libs/libgomp-a34b3233.so.1.0.0", {"GOMP_SPINCOUNT": "10000"}),
        ("torch/lib/libomp.dylib", {"OMP_WAIT_POLICY": "PASSIVE"}),
        ("torch/lib/libtorch_cpu.so", {"OMP_WAIT_POLICY": "PASSIVE"}),
    ],
)
def test_threads_spin_for_a_moment_where_that_can_be_said_and_else_sleep(
    bundled: str, chosen: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch/__init__.py", bundled):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    environment: dict[str, str] = {}
    choose_waiting(environment)
    assert environment == chosen
    assert waiting(environment) == "=".join(*chosen.items())


def test_the_users_own_way_of_waiting_wins() -> None:
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "1000"), ("KMP_BLOCKTIME", "200")):
        environment = {name: value}
        choose_waiting(environment)
        assert environment == {name: value}
        assert waiting(environment) == f"{name}={value}"


def test_the_program_chooses_before_torch_loads_and_a_library_does_not() -> None:
    script = """
import os, sys
for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
    os.environ.pop(name, None)
before = dict(os.environ)
import restorebench
from restorebench.benchmarks.commands import main
assert os.environ == before
sys.argv = ["bench", "--help"]
try:
    main.main()
except SystemExit:
    pass
assert "torch" not in sys.modules
chosen = dict(os.environ)
from restorebench.benchmarks.inference.waiting import choose_waiting, waiting
choose_waiting(before)
assert waiting(before) == waiting(chosen)
print(waiting(chosen))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] in ("GOMP_SPINCOUNT=10000", "OMP_WAIT_POLICY=PASSIVE")
