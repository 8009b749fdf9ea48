"""Plans of sweeps come back as they were written, one for each command line, and damage is named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.store.plans import PLANS, PlannedCell, PlannedJob, SweepPlan, read_plan, read_plans
from restorebench.benchmarks.store.rows import RecordError

CELL = PlannedCell(
    suite="3d", model="rbair", cell="0123456789abcdef", task="dehaze@set", previews="fedc", asked=2, images=8
)
JOB = PlannedJob(restorer="RBaIR (tiny)", protocol="promptir@1", config={"model": "rbair", "limit": 2}, cells=(CELL,))
PLAN = SweepPlan(command="bench run model=rbair", jobs=(JOB,), started="2026-01-02T00:00:00+00:00")


def test_a_plan_comes_back(tmp_path: Path) -> None:
    failed = PLAN.finished({0: "the disk is full"})
    path = failed.write(tmp_path)
    assert path.parent == tmp_path / PLANS
    assert read_plan(path) == failed
    assert failed.jobs[0].failure == "the disk is full"
    assert failed.ended


def test_the_same_line_started_again_has_the_same_file(tmp_path: Path) -> None:
    PLAN.write(tmp_path)
    later = dataclasses.replace(PLAN, started="2026-01-03T00:00:00+00:00", host="other")
    later.write(tmp_path)
    assert read_plans(tmp_path) == ([later], [])


def test_the_plan_started_last_stands_last(tmp_path: Path) -> None:
    several = [
        dataclasses.replace(PLAN, command=f"bench run seed={day}", started=f"2026-01-0{day}T00:00:00+00:00")
        for day in (3, 1, 2)
    ]
    for plan in several:
        plan.write(tmp_path)
    assert [plan.started[9] for plan in read_plans(tmp_path)[0]] == ["1", "2", "3"]


def test_a_changed_plan_is_named(tmp_path: Path) -> None:
    path = PLAN.write(tmp_path)
    path.write_text(path.read_text().replace("rbair", "kbnet"))
    with pytest.raises(RecordError, match="checksum"):
        read_plan(path)
    plans, problems = read_plans(tmp_path)
    assert plans == []
    assert str(path) in problems[0]


def test_a_plan_of_a_later_version_is_called_so_whatever_it_holds(tmp_path: Path) -> None:
    path = PLAN.write(tmp_path)
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "version": 2, "priority": "high", "jobs": {"by": "name"}}))
    with pytest.raises(RecordError, match="plan of version 2, this restorebench reads 1"):
        read_plan(path)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / PLANS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="no folder"):
        PLAN.write(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []
