"""Rows of a device's tables say under which circumstances they were measured."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from restorebench.benchmarks.store.profiles import WITHOUT_GPU, ProfileRow, add_row

from ...perf import device_tables
from ..store.test_records import PLAIN

CIRCUMSTANCES = {"device", "driver", "dtype", "size", "batch", "torch"}


def test_rows_of_scores_and_of_speed_say_the_circumstances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_tables, "driver", lambda _: "570.86")
    profile = replace(ProfileRow(**dict.fromkeys(WITHOUT_GPU, "1")), size="16x24")
    add_row(tmp_path / "profile.csv", profile)
    for rows in (device_tables.score_rows([PLAIN], "cuda:0"), device_tables.speed_rows(tmp_path, "cuda:0")):
        (row,) = rows
        assert row.keys() >= CIRCUMSTANCES
        assert row["driver"] == "570.86"
        device_tables.write(tmp_path / "table.csv", rows)
        with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
            assert next(csv.DictReader(file)).keys() == row.keys()


def test_a_cpu_has_no_driver() -> None:
    assert device_tables.driver("cpu") == ""


def test_commands_measure_each_dtype_and_the_folder_gets_both_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def bench(arguments: list[str]) -> int:
        asked.append(arguments)
        return len(asked) - 1

    monkeypatch.setattr(device_tables, "bench", bench)
    monkeypatch.setattr(device_tables, "read_records", lambda _: ([PLAIN], []))
    monkeypatch.setattr(device_tables, "device_name", lambda _: "Card (X 9)")
    code = device_tables.main([str(tmp_path), "--device", "cpu", "--results", str(tmp_path / "r"), "--data", "sets"])
    assert code == 2
    assert [(each[0], each[1]) for each in asked] == [("profile", "-m"), ("run", "-m"), ("run", "-m")]
    assert all("dtype=float32,bfloat16" in each for each in asked)
    assert "data.root=sets" in asked[2]
    (table,) = tmp_path.glob("*.csv")
    assert table.name.startswith("scores-cpu-Card__X_9_-torch")
