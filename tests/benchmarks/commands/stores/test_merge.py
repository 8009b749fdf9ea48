"""``bench merge``: the finished cells of several folders in one, verified; of two for one place the better one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from restorebench.benchmarks.store.cells import read_cells
from restorebench.benchmarks.store.plans import SweepPlan, read_plans

from ....reports.stores import change_cell, change_rows, fail_image, write_store
from ...conftest import Bench
from .test_check import change_digit


@pytest.fixture
def halves(tmp_path: Path) -> tuple[Path, Path]:
    """Two machines' stores: RBaIR and AnyIR here, RBaIR and KBNet there."""
    gains = {"identity": 0.0, "rbair": 6.0, "anyir": 5.9}
    one = write_store(tmp_path / "one", suites=("3d",), gains=gains, images=3, side=8)
    other = write_store(tmp_path / "other", suites=("3d",), gains={"rbair": 6.0, "kbnet": 4.0}, images=3, side=8)
    return one, other


def pictures(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.png")}


def test_two_folders_become_one_with_their_pictures_and_plans(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path
) -> None:
    one, other = halves
    plan = SweepPlan(command="bench run model=kbnet", jobs=())
    plan.write(other)
    done = bench_here("merge", str(one), str(other), "--into", "whole", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "whole: 20 cells taken over, 5 were there already, 0 were there otherwise" in done.stdout
    whole = tmp_path / "whole"
    cells, problems = read_cells(whole)
    assert {cell.record.model for cell in cells} == {"identity", "rbair", "anyir", "kbnet"}
    assert (len(cells), problems) == (20, [])
    assert pictures(whole) == {**pictures(one), **pictures(other)}
    assert read_plans(whole) == ([plan], [])
    again = bench_here("merge", str(one), str(other), "--into", "whole", cwd=tmp_path)
    assert "whole: 0 cells taken over, 25 were there already" in again.stdout


def test_the_leaderboard_of_the_whole_is_that_of_one_store(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path
) -> None:
    gains = {"identity": 0.0, "rbair": 6.0, "anyir": 5.9, "kbnet": 4.0}
    direct = write_store(tmp_path / "direct", suites=("3d",), gains=gains, images=3, previews=False)
    bench_here("merge", *map(str, halves), "--into", "whole", cwd=tmp_path)
    bench_here("merge", str(direct), "--into", "copy", cwd=tmp_path)
    tables = [(tmp_path / name / "leaderboard.csv").read_bytes() for name in ("whole", "copy")]
    assert tables[0] == tables[1]


def test_a_damaged_cell_is_named_and_left_out(halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path) -> None:
    one, other = halves
    damaged = next(other.glob("3d/kbnet/*"))
    change_digit(damaged)
    done = bench_here("merge", str(one), str(other), "--into", "whole", cwd=tmp_path)
    assert done.returncode == 1
    assert f"left out: {damaged / 'images.csv'}: " in done.stdout
    assert not (tmp_path / "whole" / damaged.relative_to(other)).exists()
    assert len(read_cells(tmp_path / "whole")[0]) == 19


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_the_one_with_more_scores_stays_whichever_comes_first(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path, *, turned: bool
) -> None:
    one, other = halves
    folder = next(other.glob("3d/rbair/*"))
    fail_image(folder, "image-00.png", "NaN")
    change_cell(folder, finished="2027-01-01T00:00:01.000000+00:00")
    done = bench_here("merge", *map(str, (other, one) if turned else (one, other)), "--into", "whole", cwd=tmp_path)
    place = folder.relative_to(other)
    stays = one if turned else Path("whole")
    assert f"{place}: {stays} stays, with 3 scores instead of 2" in done.stdout
    whole = tmp_path / "whole" / place
    assert (whole / "images.csv").read_bytes() == (one / place / "images.csv").read_bytes()
    assert pictures(whole) == pictures(one / place)


def test_of_two_with_other_scores_the_one_finished_last_stays(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path
) -> None:
    one, other = halves
    folder = next(other.glob("3d/rbair/*"))
    change_rows(folder, lambda row: replace(row, psnr=row.psnr + 0.25))
    change_cell(folder, finished="2027-01-01T00:00:01.000000+00:00")
    place = folder.relative_to(other)
    done = bench_here("merge", str(one), str(other), "--into", "whole", cwd=tmp_path)
    assert f"{place}: {other} stays, finished 2027" in done.stdout
    assert "differ by up to 0.25 dB" in done.stdout
    assert (tmp_path / "whole" / place / "record.json").read_bytes() == (folder / "record.json").read_bytes()


def test_the_same_scores_from_another_hour_are_no_other_scores(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path
) -> None:
    one, other = halves
    folder = next(other.glob("3d/rbair/*"))
    change_cell(folder, finished="2027-01-01T00:00:01.000000+00:00")
    place = folder.relative_to(other)
    done = bench_here("merge", str(one), str(other), "--into", "whole", cwd=tmp_path)
    assert f"{place}: whole stays, whose scores are the same in both" in done.stdout
    assert (tmp_path / "whole" / place / "record.json").read_bytes() == (one / place / "record.json").read_bytes()


def test_a_damaged_cell_in_the_target_is_set_aside(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path
) -> None:
    one, other = halves
    shutil.copytree(one, tmp_path / "whole")
    damaged = next((tmp_path / "whole").glob("3d/rbair/*"))
    change_digit(damaged)
    done = bench_here("merge", str(other), "--into", "whole", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place = damaged.relative_to(tmp_path / "whole")
    assert f"{place}: {other} stays, " in done.stdout
    assert (damaged / "images.csv").read_bytes() == (other / place / "images.csv").read_bytes()
    assert list(damaged.glob("*.damaged-*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--into", "whole"), "there is no results folder nowhere"),
        (("one", "--into", "one/inside"), "lie in one another"),
        (("one", "--into", "one"), "lie in one another"),
    ],
)
def test_a_mistake_is_one_line(
    halves: tuple[Path, Path], bench_here: Bench, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = bench_here("merge", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
