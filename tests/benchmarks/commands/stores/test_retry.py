"""``bench retry`` runs again what failed in the last sweep, and nothing else; ``bench status`` says what that is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.benchmarks.store.cells import read_cells
from restorebench.benchmarks.store.plans import read_plans

from ...conftest import Bench
from .test_gc import plan_of

pytestmark = pytest.mark.slow

STORES = ("results", "undisturbed")
NETWORKS = """
from pathlib import Path
from torch import nn

class Moody(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, image):
        if float(image.mean()) < 0.2 and Path("FOLDER/moody").exists():
            raise KeyError("boom")
        return image

class Heavy(Moody):
    def __init__(self):
        super().__init__()
        if self.layer.weight.device.type == "cpu" and Path("FOLDER/heavy").exists():  # planned on the meta device
            raise MemoryError("no room")
"""
SWEEP = (
    *("run", "-m", "model=nets.py:Moody,nets.py:Heavy,identity", "weights=none", "dataset=folder"),
    *("clean=clean", "degraded=degraded", "device=cpu", "progress=false", "metrics=[psnr]"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs, the second one dark, two networks, and the files that make them fail."""
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        clean = random.integers(120, 256, (40, 40, 3), dtype=np.uint8)
        for kind, image in (("clean", clean), ("degraded", clean // (20 if name == "b.png" else 2))):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / kind / name)
    (tmp_path / "nets.py").write_text(NETWORKS.replace("FOLDER", str(tmp_path)))
    (tmp_path / "moody").touch()
    (tmp_path / "heavy").touch()
    return tmp_path


def test_only_what_failed_is_run_again_and_the_end_is_that_of_a_sweep_without_failures(
    folder: Path, bench_here: Bench
) -> None:
    assert bench_here(*SWEEP, cwd=folder).returncode == 2
    (plan,), problems = read_plans(folder / "results")
    assert problems == []
    assert plan.command.startswith("bench run -m ")
    assert len(list(plan.cells)) == 3
    state = json.loads(bench_here("status", "--json", cwd=folder).stdout)
    failed = {cell["restorer"]: cell["reason"] for cell in state["cells"]}
    assert "1 of 3 images failed, first b.png: KeyError: 'boom'" in failed["Moody (yours)"]
    assert "MemoryError: no room" in failed["Heavy (yours)"]
    assert {cell["state"] for cell in state["cells"]} == {"failed"}
    shown = bench_here("retry", "--show", cwd=folder)
    assert shown.returncode == 1
    assert len(shown.stdout.splitlines()) == 2

    (folder / "moody").unlink()
    (folder / "heavy").unlink()
    identity = next(folder.glob("results/*/identity/*/record.json"))
    before = identity.stat().st_mtime_ns
    done = bench_here("retry", cwd=folder)
    assert done.returncode == 0, done.stderr
    computed = {cell.record.model: cell.record.computed for cell in read_cells(folder / "results")[0]}
    assert computed == {"moody": 1, "heavy": 3, "identity": 3}
    assert identity.stat().st_mtime_ns == before
    assert "nothing failed" in bench_here("retry", cwd=folder).stdout
    state = json.loads(bench_here("status", "--json", cwd=folder).stdout)
    assert state["cells"] == []
    assert sum(row["done"] for row in state["restorers"]) == 3

    assert bench_here(*SWEEP, "results=undisturbed", cwd=folder).returncode == 0
    tables = [sorted(path.read_bytes() for path in (folder / name).glob("*/*/*/images.csv")) for name in STORES]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 3


def test_what_fails_again_is_said_and_the_exit_code_is_1(folder: Path, bench_here: Bench) -> None:
    bench_here(*SWEEP, cwd=folder)
    (folder / "heavy").unlink()
    done = bench_here("retry", cwd=folder)
    assert done.returncode == 1
    assert "1 images failed, first b.png: KeyError: 'boom'" in done.stderr
    assert "Traceback" not in done.stderr
    assert {cell.record.model for cell in read_cells(folder / "results")[0]} == {"moody", "heavy", "identity"}


def test_a_network_that_was_changed_since_is_not_taken_for_the_one_that_failed(folder: Path, bench_here: Bench) -> None:
    bench_here(*SWEEP, cwd=folder)
    (folder / "heavy").unlink()
    (folder / "nets.py").write_text((folder / "nets.py").read_text() + "\n# changed\n")
    done = bench_here("retry", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.count("are others now than when it was planned") == 2
    assert {cell.record.model for cell in read_cells(folder / "results")[0]} == {"moody", "identity"}


def test_without_a_store_or_a_plan_it_is_one_line(tmp_path: Path, bench_here: Bench) -> None:
    assert "there is no results folder" in bench_here("retry", cwd=tmp_path).stderr
    (tmp_path / "results").mkdir()
    done = bench_here("retry", cwd=tmp_path)
    assert done.returncode == 2
    assert "holds no plan of a sweep" in done.stderr


def test_where_a_plan_cannot_be_read_no_earlier_sweep_is_taken_for_the_last(tmp_path: Path, bench_here: Bench) -> None:
    path = plan_of([]).write(tmp_path / "results")
    path.with_name("0000000000000000.json").write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    done = bench_here("retry", cwd=tmp_path)
    assert done.returncode == 2
    assert "plan of version 2" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_plan_of_another_version_is_one_line(folder: Path, bench_here: Bench) -> None:
    bench_here(*SWEEP, cwd=folder)
    (plan,), _ = read_plans(folder / "results")
    jobs = tuple(replace(job, config={**job.config, "unheard_of": 1}) for job in plan.jobs)
    replace(plan, jobs=jobs).write(folder / "results")
    done = bench_here("retry", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.count("planned by another version") == 2
    assert "Traceback" not in done.stderr
