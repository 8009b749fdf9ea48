"""``bench gc`` shows what no plan names, killed processes left and no cell shows; it removes that alone, if told so."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from restorebench.atomic import part_name
from restorebench.benchmarks.store.cells import read_cell, read_cells
from restorebench.benchmarks.store.claims import SHARDS, Claim, claim_path, write_claim
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.benchmarks.store.plans import PlannedCell, PlannedJob, SweepPlan, read_plans
from restorebench.benchmarks.store.records import previews_key

from ....reports.stores import change_cell, write_store
from ...conftest import Bench


def plan_of(folders: list[Path], command: str = "bench run", started: str = "2026-01-01T00:00:00+00:00") -> SweepPlan:
    """A plan that names these cells."""
    records = [read_cell(folder).record for folder in folders]
    cells = [
        PlannedCell(
            suite=each.suite,
            model=each.model,
            cell=each.cell,
            task=each.task_key,
            previews=previews_key(each.identity),
            asked=each.expected,
            images=each.expected,
        )
        for each in records
    ]
    job = PlannedJob(restorer="some", protocol="promptir@1", config={}, cells=tuple(cells))
    return SweepPlan(command=command, jobs=(job,), started=started)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two restorers on a suite of five tasks, with pictures."""
    gains = {"rbair": 6.0, "kbnet": 4.0}
    return write_store(tmp_path / "results", suites=("3d",), gains=gains, images=2, side=8)


def everything(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


def test_it_shows_first_and_then_removes_what_no_plan_names(store: Path, bench_here: Bench, tmp_path: Path) -> None:
    kept = sorted(store.glob("3d/rbair/*"))[:4]
    plan_of(kept).write(store)
    before = everything(store)
    shown = bench_here("gc", cwd=tmp_path)
    assert shown.returncode == 0
    assert "cells that no plan names: 6, " in shown.stdout
    assert "orphaned previews: 1, " in shown.stdout
    assert "nothing was removed; --yes removes it" in shown.stdout
    assert everything(store) == before
    done = bench_here("gc", "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert [cell.folder for cell in read_cells(store)[0]] == kept
    assert not (store / "3d/kbnet").exists()
    named = {previews_key(read_cell(folder).record.identity) for folder in kept}
    assert {path.name for path in (store / "previews").iterdir()} == named
    again = bench_here("gc", cwd=tmp_path)
    assert "cells that no plan names: 0\n" in again.stdout
    assert "orphaned previews: 0\n" in again.stdout


def test_without_a_plan_every_cell_stays(store: Path, bench_here: Bench, tmp_path: Path) -> None:
    before = everything(store)
    done = bench_here("gc", "--yes", cwd=tmp_path)
    assert "so that every cell stays" in done.stdout
    assert everything(store) == before


def test_a_sweep_that_is_not_planned_to_its_end_keeps_every_cell(
    store: Path, bench_here: Bench, tmp_path: Path
) -> None:
    replace(plan_of([]), whole=False).write(store)
    before = everything(store)
    done = bench_here("gc", "--yes", cwd=tmp_path)
    assert "more jobs than are planned beforehand" in done.stdout
    assert everything(store) == before


def test_of_the_plans_only_the_last_count_where_that_is_asked_for(
    store: Path, bench_here: Bench, tmp_path: Path
) -> None:
    old, new = sorted(store.glob("3d/rbair/*")), sorted(store.glob("3d/kbnet/*"))
    plan_of(old, "bench run model=rbair").write(store)
    plan_of(new, "bench run model=kbnet", "2026-01-02T00:00:00+00:00").write(store)
    assert "cells that no plan names: 0\n" in bench_here("gc", cwd=tmp_path).stdout
    done = bench_here("gc", "--keep", "1", "--yes", cwd=tmp_path)
    assert "cells that no plan names: 5, " in done.stdout
    assert {cell.record.model for cell in read_cells(store)[0]} == {"kbnet"}
    assert [plan.command for plan in read_plans(store)[0]] == ["bench run model=kbnet"]


def test_rows_of_other_tools_stay_with_their_pictures(store: Path, bench_here: Bench, tmp_path: Path) -> None:
    folder = next(store.glob("3d/kbnet/*"))
    foreign = change_cell(folder, provenance="images")
    plan_of(sorted(store.glob("3d/rbair/*"))).write(store)
    done = bench_here("gc", "--yes", cwd=tmp_path)
    assert "1 rows of other tools" in done.stdout
    assert read_cell(foreign).record.provenance == "images"
    assert len(read_cells(store)[0]) == 6


def test_temporary_files_of_dead_processes_go_and_those_of_living_ones_stay(
    store: Path, bench_here: Bench, tmp_path: Path
) -> None:
    mine = store / "3d" / part_name(".csv")
    name = mine.name.replace(f"-{os.getpid()}-", "-999999999-")
    dead = [store / "3d" / name, next(store.glob("3d/rbair/*/previews")) / name, store / name]
    for path in (mine, *dead):
        path.write_bytes(b"half")
    done = bench_here("gc", "--yes", cwd=tmp_path)
    assert "temporary files of killed processes: 3, " in done.stdout
    assert mine.exists()
    assert not any(path.exists() for path in dead)


def test_a_cell_that_is_being_computed_stays(store: Path, bench_here: Bench, tmp_path: Path) -> None:
    busy, free = sorted(store.glob("3d/kbnet/*"))[:2]
    plan_of(sorted(store.glob("3d/rbair/*"))).write(store)
    with CellFolder(busy).claimed():
        done = bench_here("gc", "--yes", cwd=tmp_path)
    assert done.returncode == 1
    assert f"not removed: {busy.relative_to(tmp_path)}: " in done.stdout
    assert read_cell(busy).record.complete
    assert not free.exists()


def test_the_previews_of_a_cell_that_is_being_computed_stay(store: Path, bench_here: Bench, tmp_path: Path) -> None:
    """A script's, which has no plan, on images that no other cell has: no record says yet which previews it has."""
    plan_of(sorted(store.glob("3d/rbair/*"))).write(store)
    pictures = store / "previews" / "fedcba9876543210" / "clean"
    pictures.mkdir(parents=True)
    busy = store / "folder" / "kbnet" / "0123456789abcdef"
    (busy / SHARDS).mkdir(parents=True)
    write_claim(Claim(cell=busy.name, shard=0, shards=1, total=4, host="node-7"), claim_path(busy, 0))
    assert bench_here("gc", "--yes", cwd=tmp_path).returncode == 0
    assert pictures.exists()
    shutil.rmtree(busy)
    assert bench_here("gc", "--yes", cwd=tmp_path).returncode == 0
    assert not pictures.exists()


def test_a_plan_that_cannot_be_read_is_one_line_and_nothing_is_removed(
    store: Path, bench_here: Bench, tmp_path: Path
) -> None:
    path = plan_of([]).write(store)
    path.write_text(path.read_text()[:-9])
    before = everything(store)
    done = bench_here("gc", "--yes", cwd=tmp_path)
    assert done.returncode == 2
    assert path.name in done.stderr
    assert everything(store) == before
