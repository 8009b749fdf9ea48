"""`limit=N`, a quick look whose rows say partial and are gone on from; `label=` and `group=`, names of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import restorebench
from restorebench.benchmarks.store.cells import read_cells
from restorebench.models import create_model
from restorebench.reports.analysis.cells import groups
from restorebench.reports.analysis.seeds import seed_groups
from restorebench.reports.analysis.vetting import stored_cells

from ..conftest import Bench

pytestmark = pytest.mark.slow

RUN = ("run", "model=identity", "tasks=dehaze", "data=embedded", "data.size=48", "device=cpu", "progress=false")


def test_a_quick_look_is_partial_everywhere_and_a_full_run_goes_on_from_it(tmp_path: Path, bench_here: Bench) -> None:
    quick = bench_here(*RUN, "limit=3", cwd=tmp_path)
    assert quick.returncode == 0, "what was asked for is there"
    assert "3 partial" in quick.stdout
    assert "only 3 of 8 images were asked for" in quick.stdout
    (cell,) = read_cells(tmp_path / "results")[0]
    assert (len(cell.rows), cell.record.complete, cell.record.not_asked) == (3, False, 5)
    frame = restorebench.read_results(tmp_path / "results")
    assert frame["status"].tolist() == ["partial"]
    assert frame["psnr"].isna().all()
    for name in ("leaderboard.csv", "leaderboard.md"):
        assert "partial" in (tmp_path / "results" / name).read_text()
    checked = bench_here("check", "results", "results", cwd=tmp_path)
    assert checked.returncode == 0
    assert "1 cells add up, 0 of them complete" in checked.stdout
    table = bench_here("report", "table", "--suite", "dehaze", "--format", "markdown", cwd=tmp_path).stdout
    assert "partial: only 3 of 8 images" in table
    assert "mean over the 3" not in table
    asked = ("report", "table", "--suite", "dehaze", "--format", "markdown", "--partial")
    assert "mean over the 3 of 8 images with scores" in bench_here(*asked, cwd=tmp_path).stdout

    full = bench_here(*RUN, cwd=tmp_path)
    assert "complete, 5 of 8 images computed now" in full.stderr
    assert "partial" not in full.stdout
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    bench_here(*RUN, cwd=fresh)
    (again,), (one,) = read_cells(tmp_path / "results")[0], read_cells(fresh / "results")[0]
    assert [row.line("") for row in again.rows] == [row.line("") for row in one.rows]
    assert again.record.cell == cell.record.cell


def test_a_quick_look_at_what_is_there_computes_and_changes_nothing(tmp_path: Path, bench_here: Bench) -> None:
    bench_here(*RUN, cwd=tmp_path)
    (path,) = (tmp_path / "results").glob("*/*/*/record.json")
    before = path.read_bytes()
    for more in ((), ("overwrite=never",)):
        done = bench_here(*RUN, "limit=2", *more, cwd=tmp_path)
        assert "complete, 0 of 8 images computed now" in done.stderr
        assert path.read_bytes() == before
    done = bench_here(*RUN, "limit=2", "overwrite=always", cwd=tmp_path)
    assert "complete, 2 of 8 images computed now" in done.stderr, "the other rows are kept"


def test_a_larger_look_adds_to_a_smaller_one(tmp_path: Path, bench_here: Bench) -> None:
    bench_here(*RUN, "limit=2", cwd=tmp_path)
    done = bench_here(*RUN, "limit=4", cwd=tmp_path)
    assert "partial, 2 of 8 images computed now" in done.stderr
    done = bench_here(*RUN, "limit=1", cwd=tmp_path)
    assert "partial, 0 of 8 images computed now" in done.stderr


@pytest.mark.parametrize("limit", ["0", "-3"])
def test_no_image_at_all_is_the_users_mistake(tmp_path: Path, bench_here: Bench, limit: str) -> None:
    done = bench_here(*RUN, f"limit={limit}", cwd=tmp_path)
    assert (done.returncode, f"limit={limit}" in done.stderr) == (2, True)


def test_a_script_can_store_a_quick_look(tmp_path: Path) -> None:
    options = {"data": "embedded", "size": 48, "device": "cpu", "progress": False, "results": tmp_path}
    quick = restorebench.evaluate("identity", "dehaze", limit=2, **options)
    assert (quick.complete, len(quick.images)) == (False, 2)
    assert restorebench.evaluate("identity", "dehaze", **options).complete


def test_label_and_group_of_a_finished_cell_can_be_given_later(tmp_path: Path, bench_here: Bench) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(
        {k: v.clone() for k, v in create_model("daair", variant="tiny", weights="none").network.state_dict().items()},
        weights,
    )
    run = (RUN[0], "model=daair", "variant=tiny", f"weights={weights}", *RUN[2:], "limit=1")
    assert bench_here(*run, cwd=tmp_path).returncode == 0
    done = bench_here(*run, "label=night run", "group=three seeds", cwd=tmp_path)
    assert "partial, 0 of 8 images computed now" in done.stderr
    assert "DaAIR (tiny, night run)" in done.stdout
    (cell,) = read_cells(tmp_path / "results")[0]
    assert (cell.record.weights.label, cell.record.weights.group) == ("night run", "three seeds")
    bench_here(*run, cwd=tmp_path)
    (again,) = read_cells(tmp_path / "results")[0]
    assert again.record == cell.record, "a run that gives neither leaves both"


def test_a_sweep_over_weights_of_one_group_is_one_row_more_and_only_its_own_suite_is_shown(
    tmp_path: Path, bench_here: Bench
) -> None:
    bench_here(*RUN[:2], "tasks=derain", *RUN[3:], "limit=1", cwd=tmp_path)
    bench_here(*RUN, "data.size=64", "limit=1", cwd=tmp_path)
    files = []
    for seed in range(2):
        state = create_model("daair", variant="tiny", weights="none", seed=seed).network.state_dict()
        files.append(tmp_path / f"seed-{seed}.safetensors")
        save_file({name: value.clone() for name, value in state.items()}, files[-1])
    run = (
        "run",
        "-m",
        "model=daair",
        "variant=tiny",
        f"weights={files[0]},{files[1]}",
        "group=two seeds",
        *RUN[2:],
        "limit=1",
    )
    done = bench_here(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    titles = [line for line in done.stdout.splitlines() if line.endswith(", promptir@1")]
    assert titles == ["dehaze on embedded-48, promptir@1"], "neither another suite nor other images"
    assert done.stderr.count("will be n/a") <= 1
    for seed in range(2):
        assert f"DaAIR (tiny, seed-{seed}.safetensors)" in done.stdout
    asked = ("report", "table", "--suite", "derain", "--format", "markdown")
    assert "two seeds" not in bench_here(*asked, cwd=tmp_path).stdout
    (cells,) = [[c for c in read_cells(tmp_path / "results")[0] if c.record.model == "daair"]]
    assert {cell.record.weights.group for cell in cells} == {"two seeds"}
    (group,) = [
        g for g in groups(stored_cells(tmp_path / "results")[0]) if "embedded-48" in g.title and g.suite == "dehaze"
    ]
    (joined,) = seed_groups(group)
    assert joined.label == "DaAIR (tiny), two seeds: mean of 2 weights"


def test_a_group_needs_weights(tmp_path: Path, bench_here: Bench) -> None:
    done = bench_here(*RUN, "group=x", cwd=tmp_path)
    assert (done.returncode, "group=x joins several weights" in done.stderr) == (2, True)


def test_rows_of_the_same_quick_look_share_one_footnote(tmp_path: Path, bench_here: Bench) -> None:
    line = [word for word in RUN if not word.startswith(("model=", "tasks="))]
    done = bench_here(*line, "-m", "model=anyir,kbnet", "tasks=3d", "limit=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = bench_here("report", "table", "--suite", "3d", "--format", "markdown", "--partial", cwd=tmp_path).stdout
    notes = [line for line in table.splitlines() if line.startswith("- <sup>")]
    assert sum("only 1 of 8 images were asked for" in note for note in notes) == 1
    assert sum("of the 40 images of those run" in note for note in notes) == 1  # of the averages
    assert "of the same 1 scene;" in table
    assert "No marks: no column has two restorers whose images all have scores to compare." in table
