"""One latency for a network, size, device and dtype, and no front through those that a busy machine made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from restorebench.benchmarks.store.profiles import COLUMNS, ProfileRow, add_row
from restorebench.reports.analysis.cells import Group, StoredCell, groups
from restorebench.reports.analysis.costs import AXES, cost_points, cost_statement, latencies, pareto
from restorebench.reports.figures.costs import draw_costs
from restorebench.reports.figures.style import styles
from restorebench.reports.page.data import group_data

from ..stores import shared_cells

LATENCY = AXES[2]
BUSY = "other processes took 1.2 of 2 processors"


def group(root: Path, doubtful: dict[str, str] | None = None, **cost: Any) -> Group:
    """The 5d group of a synthetic store whose folder is `root`; costs are changed for the models of `doubtful`."""
    cells = []
    for cell in shared_cells(suites=("5d",), previews=False, images=6):
        record = cell.record
        assert record.cost is not None
        changes = {**cost, "doubtful": (doubtful or {}).get(record.model, "")}
        record = dataclasses.replace(
            record,
            cost=dataclasses.replace(record.cost, **changes),
            identity=dataclasses.replace(record.identity, numerics=numerics(cell)),
        )
        cells.append(dataclasses.replace(cell, record=record, root=root))
    return groups(cells)[0]


def numerics(cell: StoredCell) -> Any:
    return dataclasses.replace(
        cell.record.identity.numerics, device="cpu", dtype="float32", tf32=False, channels_last=False, compile=False,
        tile=None,
    )  # fmt: skip


def profiled(cells: Group, root: Path, **changes: str) -> None:
    """A row of `profile.csv` for RBaIR under the conditions of its record."""
    record = next(r.record for r in cells.restorers if r.record.model == "rbair")
    values = {
        **dict.fromkeys(COLUMNS, ""),
        "model": "rbair",
        "variant": record.variant,
        "weights": "any",
        "size": "256x256",
        "batch": "1",
        "dtype": "float32",
        "tf32": "False",
        "channels_last": "False",
        "compile": "False",
        "device": "cpu",
        "device_name": record.environment.device_name,
        "threads": str(record.environment.torch_threads),
        "latency_q1_ms": "40.0",
        "latency_ms": "41.5",
        "latency_q3_ms": "43.0",
        "measured": "2026-01-01",
        **changes,
    }
    add_row(root / "profile.csv", ProfileRow(**values))


def test_the_profile_s_latency_comes_before_the_run_s(tmp_path: Path) -> None:
    cells = group(tmp_path, latency_q1_ms=55.0, latency_q3_ms=70.0)
    before = latencies(cells)["RBaIR (tiny)"]
    assert (before.ms, before.q1_ms, before.q3_ms, before.source) == (60.0, 55.0, 70.0, "run")
    profiled(cells, tmp_path)
    after = latencies(group(tmp_path))
    assert (after["RBaIR (tiny)"].ms, after["RBaIR (tiny)"].q3_ms) == (41.5, 43.0)
    assert after["RBaIR (tiny)"].source == "profile"
    assert after["KBNet (tiny)"].source == "run"
    point = next(p for p in cost_points(group(tmp_path)) if p.label == "RBaIR (tiny)")
    assert point.latency_ms == 41.5
    row = next(r for r in group_data(group(tmp_path), tmp_path)["rows"] if r["label"] == "RBaIR (tiny)")
    assert row["latency"] == 41.5
    assert "the run's passes over images of 256x256" in cost_statement(group(tmp_path), "latency_ms")
    assert "bench profile's for RBaIR (tiny)" in cost_statement(group(tmp_path), "latency_ms")


@pytest.mark.parametrize(
    "other",
    [{"size": "128x128"}, {"dtype": "bfloat16"}, {"device_name": "another"}, {"threads": "64"}, {"batch": "2"},
     {"variant": "paper"}, {"overrides": '{"dim": 8}'}, {"device": "cuda:0"}, {"weights": "0123456789ab"},
     {"latency_ms": "nan"}, {"latency_ms": ""}, {"latency_ms": "-1"}, {"batch": "0"}],
    ids=lambda other: "-".join(*other.items()),
)  # fmt: skip
def test_a_profile_of_anything_else_or_without_a_number_says_nothing(tmp_path: Path, other: dict[str, str]) -> None:
    profiled(group(tmp_path), tmp_path, **other)
    assert latencies(group(tmp_path))["RBaIR (tiny)"].source == "run"


def test_a_profile_of_another_version_is_left_out_with_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "profile.csv").write_text("model,latency\nrbair,1\n")
    assert latencies(group(tmp_path))["RBaIR (tiny)"].source == "run"
    assert "(other columns); move it away" in caplog.text


def test_a_doubtful_latency_is_marked_and_on_no_front(tmp_path: Path) -> None:
    cells = group(tmp_path, {"rbair": BUSY})
    points = cost_points(cells, published=False)
    assert "RBaIR (tiny)" in [p.label for p in pareto(points, "params")]
    front = [p.label for p in pareto(points, "latency_ms")]
    assert front
    assert "RBaIR (tiny)" not in front
    assert f"doubtful, so on no Pareto front: RBaIR (tiny) ({BUSY})" in cost_statement(cells, "latency_ms")
    page = group_data(cells, tmp_path)
    assert "RBaIR (tiny)" not in page["fronts"]["latency"]
    assert [row["label"] for row in page["rows"] if row["latencyDoubt"]] == ["RBaIR (tiny)"]
    assert [cost["label"] for cost in page["costs"] if cost["latencyDoubt"] == BUSY] == ["RBaIR (tiny)"]


def test_a_figure_of_doubtful_times_has_no_front(tmp_path: Path) -> None:
    spread = {"latency_q1_ms": 9.0, "latency_q3_ms": 80.0}
    cells = group(tmp_path, dict.fromkeys(("anyir", "daair", "kbnet", "rbair"), BUSY), **spread)
    figure = draw_costs(cells, LATENCY, styles(r.label for r in cells.restorers if not r.is_input), published=False)
    assert figure is not None
    drawn = {line.get_gid() for line in figure.axes[0].lines}
    assert "front" not in drawn
    assert {"measured", "spread"} <= drawn
    said = " ".join(figure.texts[0].get_text().split())
    assert "No Pareto front: too few of these times can be trusted." in said
    assert BUSY in said
    assert any("RBaIR (tiny), doubtful" in text.get_text() for text in figure.axes[0].texts)


def test_times_of_several_machines_are_on_no_front(tmp_path: Path) -> None:
    cells = group(tmp_path)
    elsewhere = [
        dataclasses.replace(
            cell, record=dataclasses.replace(
                cell.record,
                environment=dataclasses.replace(cell.record.environment, device_name=f"CPU of {cell.record.model}"),
            ),
        )
        for restorer in cells.restorers
        for cell in restorer.cells.values()
    ]  # fmt: skip
    assert pareto(cost_points(groups(elsewhere)[0]), "latency_ms") == []


def test_tasks_whose_medians_are_far_apart_make_the_run_s_doubtful(tmp_path: Path) -> None:
    times = iter((4983.0, 192.0, 4000.0, 190.0, 1000.0))
    cells = []
    for restorer in group(tmp_path).restorers:
        for cell in restorer.cells.values():
            record = cell.record
            if record.model == "rbair":
                assert record.cost is not None
                record = dataclasses.replace(record, cost=dataclasses.replace(record.cost, latency_ms=next(times)))
            cells.append(dataclasses.replace(cell, record=record))
    found = latencies(groups(cells)[0])
    assert found["RBaIR (tiny)"].doubtful == "medians of its tasks from 190 to 4.98e+03 ms"
    assert found["KBNet (tiny)"].doubtful == ""
