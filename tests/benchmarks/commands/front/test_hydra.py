"""Jobs of a command line: run in this process or, pickled, in a launcher's; outcomes and mistakes are kept apart."""

from __future__ import annotations

import errno
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from restorebench.benchmarks.commands.front.hydra import HydraCommand
from restorebench.benchmarks.commands.front.jobs import Jobs
from restorebench.benchmarks.commands.front.stderr import set_up_logging
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.profiling.config import ProfileConfig

pytestmark = pytest.mark.slow

COMMAND = HydraCommand("profile", ProfileConfig)


@dataclass(frozen=True)
class Sizes:
    """What a configuration asks for; pickle has no business with it."""

    sizes: tuple[int, ...]

    def __reduce__(self) -> str:
        raise AssertionError("a plan was pickled")


def plan(config: ProfileConfig) -> Sizes:
    if config.size == 0:
        raise UserError("size=0: nothing to do")
    return Sizes((int(config.size),))


def run(planned: Sizes) -> int:
    (size,) = planned.sizes
    if size == 13:
        raise UserError("size=13 brings bad luck")
    if size == 28:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/disk")
    if size == 14:
        raise ValueError("a defect")
    return size


def odd(outcome: int) -> str:
    return f"{outcome} is odd" if outcome % 2 else ""


def jobs(*arguments: str) -> Jobs[ProfileConfig, Sizes, int]:
    return Jobs(COMMAND, [*arguments, "model=identity"], plan=plan, run=run, failure=odd)


def in_another_process(pickled: bytes, size: int) -> str:
    """What becomes of a job in a process that a launcher started."""
    copy = pickle.loads(pickled)
    report = copy(OmegaConf.structured(ProfileConfig(model="identity", size=size)))
    return f"{report.kind}: {report.text}, {len(copy.outcomes)} kept"


@pytest.fixture
def anywhere(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


@pytest.mark.usefixtures("anywhere")
def test_a_sweep_gives_its_outcomes_in_order_and_leaves_the_typed_command_line_alone() -> None:
    typed = list(sys.argv)
    sweep = jobs("-m", "size=2,3,4")
    assert sweep.plans == [Sizes((2,)), Sizes((3,)), Sizes((4,))]
    assert sweep.launch() == [2, 3, 4]
    assert sys.argv == typed


@pytest.mark.usefixtures("anywhere")
def test_a_mistake_that_only_a_running_job_meets_is_said_when_the_others_are_done() -> None:
    sweep = jobs("-m", "size=2,13,4")
    with pytest.raises(UserError, match="bad luck"):
        sweep.launch()
    assert sweep.outcomes == [2, 4]


@pytest.mark.usefixtures("anywhere")
def test_a_mistake_of_any_job_is_said_before_the_first_one_runs() -> None:
    with pytest.raises(UserError, match="nothing to do"):
        jobs("-m", "size=2,0")


@pytest.mark.usefixtures("anywhere")
def test_our_own_errors_are_not_taken_for_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        jobs("size=14").launch()
    assert stop.value.code == 1
    assert "a defect" in capsys.readouterr().err


@pytest.mark.usefixtures("anywhere")
def test_in_a_process_of_a_launcher_a_failure_is_reported_and_nothing_planned_goes_along() -> None:
    pickled = pickle.dumps(jobs("-m", "size=2,3"))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = [pool.submit(in_another_process, pickled, size).result() for size in (2, 3, 13, 28)]
    assert results == [
        "done: , 0 kept",
        "incomplete: 3 is odd, 0 kept",
        "mistake: size=13 brings bad luck, 0 kept",
        "fault: /full/disk: No space left on device; what is complete is kept, and the same command goes on, 0 kept",
    ]


@pytest.mark.usefixtures("anywhere")
def test_a_file_that_cannot_be_written_is_said_when_the_other_jobs_are_done() -> None:
    sweep = jobs("-m", "size=2,28,4")
    with pytest.raises(OSError, match="No space left on device: '/full/disk'"):
        sweep.launch()
    assert sweep.outcomes == [2, 4]


@pytest.mark.usefixtures("anywhere")
def test_every_mistake_of_a_sweep_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = jobs("-m", "size=13,28,15,13")
    set_up_logging()
    with pytest.raises(UserError, match="bad luck"):
        sweep.launch()
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["/full/disk"]
    assert sweep.outcomes == [15]
