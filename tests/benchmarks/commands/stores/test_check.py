"""``bench check results`` on whole and damaged folders, and what ``bench run`` makes of the damaged ones."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import restorebench
from restorebench.benchmarks.evaluation.config import DataConfig, RunConfig
from restorebench.benchmarks.evaluation.job import Job
from restorebench.benchmarks.evaluation.plan import make_plan
from restorebench.benchmarks.store.cells import read_cells

from ....reports.stores import cells_of, change_cell
from ...conftest import Bench


def contents(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob("images.csv")}


def change_digit(folder: Path) -> None:
    path = folder / "images.csv"
    path.write_text(re.sub(r"ok,\d", "ok,7", path.read_text(), count=1))


def change_mean(folder: Path) -> None:
    path = folder / "record.json"
    path.write_text(re.sub(r'"psnr": \d', '"psnr": 7', path.read_text(), count=1))


def other_id(folder: Path) -> None:
    path = folder / "record.json"
    path.write_text(path.read_text().replace(f'"cell": "{folder.name}"', '"cell": "0123456789abcdef"'))


def pipe(folder: Path) -> None:
    (folder / "images.csv").unlink()
    os.mkfifo(folder / "images.csv")


def deep(folder: Path) -> None:
    (folder / "record.json").write_text("[" * 100_000)


def no_rows(folder: Path) -> None:
    (folder / "images.csv").unlink()


DAMAGE: list[Callable[[Path], None]] = [change_digit, change_mean, other_id, pipe, deep, no_rows]


def test_a_whole_folder_passes(results: Path, tmp_path: Path, bench_here: Bench) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    done = bench_here("check", "results", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 cells add up, 3 of them complete; 0 interrupted, 0 damaged\n"
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cell_has_one_line_and_the_exit_code_is_1(
    results: Path, tmp_path: Path, bench_here: Bench, damage: Callable[[Path], None]
) -> None:
    folder = cells_of(results)[0]
    damage(folder)
    done = bench_here("check", "results", "results", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("damaged: ")
    assert folder.name in lines[0]
    assert lines[1] == "2 cells add up, 2 of them complete; 0 interrupted, 1 damaged"
    found = json.loads(bench_here("check", "results", "results", "--json", cwd=tmp_path).stdout)
    assert (found["cells"], len(found["damaged"])) == (2, 1)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_run_sets_damage_aside_says_so_and_ends_with_the_true_numbers(
    stored: Path, results: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    folder = cells_of(results)[0]
    damage(folder)
    config = RunConfig(
        model="identity",
        tasks="denoise",
        protocol="promptir@1",
        device="cpu",
        data=DataConfig(size=64),
        results=str(results),
        progress=False,
    )
    outcomes = Job(make_plan(config), command="").run()
    assert {outcome.state for outcome in outcomes} == {"complete"}
    assert contents(results) == contents(stored)
    assert read_cells(results)[1] == []
    said = [message for message in caplog.messages if "set aside as" in message]
    assert len(said) == 1
    assert folder.name in said[0]
    assert sum(outcome.computed for outcome in outcomes) == {change_digit: 1, pipe: 8, no_rows: 8}.get(damage, 0)


def test_interrupted_cells_are_no_damage_but_their_rows_are_checked(
    results: Path, tmp_path: Path, bench_here: Bench
) -> None:
    folder = cells_of(results)[0]
    (folder / "record.json").unlink()
    done = bench_here("check", "results", "results", cwd=tmp_path)
    assert done.returncode == 0
    assert "interrupted, it has no record" in done.stdout
    change_digit(folder)
    done = bench_here("check", "results", "results", cwd=tmp_path)
    assert done.returncode == 1
    assert "checksum" in done.stdout


def test_what_an_earlier_version_wrote_is_said(results: Path, tmp_path: Path, bench_here: Bench) -> None:
    folder = cells_of(results)[0]
    values = json.loads((folder / "record.json").read_text())
    del values["checksum"], values["rows_sha256"]
    (folder / "record.json").write_text(json.dumps({**values, "schema_version": 3}))
    done = bench_here("check", "results", "results", cwd=tmp_path)
    assert done.returncode == 0
    assert f"{folder.name}: no checksum (schema 3)" in done.stdout


def test_a_protocol_is_known_by_name_and_a_changed_description_is_said(
    results: Path, tmp_path: Path, bench_here: Bench
) -> None:
    first, second, _ = cells_of(results)
    change_cell(first, protocol="mine@1", identity={"protocol": {"protocol": "mine@1"}})
    change_cell(second, identity={"protocol": {"protocol": "promptir@1", "reading": "otherwise"}})
    done = bench_here("check", "results", "results", cwd=tmp_path)
    assert done.returncode == 1
    assert "no protocol mine@1 is known" in done.stdout
    assert "describes itself otherwise than in this version" in done.stdout


def test_no_folder_is_a_mistake_and_an_empty_one_is_said(tmp_path: Path, bench_here: Bench) -> None:
    assert bench_here("check", "results", "nowhere", cwd=tmp_path).returncode == 2
    (tmp_path / "empty").mkdir()
    done = bench_here("check", "results", "empty", cwd=tmp_path)
    assert done.returncode == 0
    assert "no finished cells" in done.stdout


def test_one_bad_cell_stops_no_report_and_no_table(results: Path, tmp_path: Path, bench_here: Bench) -> None:
    folder = cells_of(results)[0]
    deep(folder)
    report = bench_here("report", "--results", "results", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert folder.name in report.stderr
    assert (folder / "record.json").read_text().startswith("[[[")
    with pytest.warns(UserWarning, match=folder.name):
        assert len(restorebench.read_results(results)) == 2
