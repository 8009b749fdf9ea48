"""Costs: points of measured and published restorers, what may stand together, and the Pareto front."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from restorebench.reports.analysis.cells import Group, StoredCell, groups
from restorebench.reports.analysis.costs import (
    CostPoint,
    common_conditions,
    cost_points,
    cost_statement,
    incomplete,
    not_comparable,
    pareto,
    published_points,
)
from restorebench.reports.published.places import PLACES

from ..stores import shared_cells

Change = Callable[[StoredCell], Mapping[str, Any]]


def changed(change: Change | None = None, **options: Any) -> list[Group]:
    """Groups of a synthetic store whose records are changed."""
    cells = shared_cells(previews=False, **options)
    changes = change or (lambda _: {})
    return groups(dataclasses.replace(cell, record=dataclasses.replace(cell.record, **changes(cell))) for cell in cells)


def on_standard_sets(cell: StoredCell) -> dict[str, Any]:
    """The changes that make a cell one of the papers' test sets."""
    tasks = [key.partition("@")[0] for key in cell.record.suite_tasks]
    keys = tuple(f"{task}@{PLACES[cell.record.suite][task].measured}" for task in tasks)
    own = keys[cell.record.suite_tasks.index(cell.record.task_key)]
    identity = dataclasses.replace(cell.record.identity, task=own)
    return {"suite_tasks": keys, "dataset": own.partition("@")[2], "identity": identity}


def point(label: str, params: float | None, psnr: float) -> CostPoint:
    return CostPoint(label=label, psnr=psnr, params=params)


def test_the_front_holds_what_nothing_dominates() -> None:
    points = [
        point("small", 1, 20),
        point("worse and larger", 2, 19),
        point("middle", 3, 25),
        point("as good and larger", 4, 25),
        point("as large and worse", 3, 24),
        point("large", 9, 25.1),
        point("unknown", None, 40),
    ]
    assert [p.label for p in pareto(points, "params")] == ["small", "middle", "large"]
    assert [p.label for p in pareto(reversed(points), "params")] == ["small", "middle", "large"]


def test_equal_points_share_the_front() -> None:
    assert [p.label for p in pareto([point("b", 1, 20), point("a", 1, 20)], "params")] == ["a", "b"]
    assert pareto([point("a", None, 20)], "params") == []


def test_points_have_the_stores_values() -> None:
    group = changed(suites=("5d",))[0]
    points = cost_points(group, published=False)
    assert [p.label for p in points] == ["AnyIR (tiny)", "DaAIR (tiny)", "KBNet (tiny)", "RBaIR (tiny)"]
    rbair = points[-1]
    cells = [cell for c in group.restorers if c.label == "RBaIR (tiny)" for cell in c.cells.values()]
    means = [sum(cell.values("psnr").values()) / 12 for cell in cells]
    assert rbair.psnr == pytest.approx(sum(means) / 5, abs=1e-9)
    assert (rbair.params, rbair.macs) == (600_000, 6_000_000_000)
    assert (rbair.latency_ms, rbair.peak_mib) == (60.0, 300.0)
    assert rbair.interval is not None
    assert rbair.interval.low is not None
    assert rbair.interval.high is not None
    assert rbair.interval.low < rbair.psnr < rbair.interval.high
    floors = [sum(cell.values("input_psnr").values()) / 12 for cell in cells]
    assert group.scoreboard.input_level("average") == pytest.approx(sum(floors) / 5, abs=1e-9)


def test_a_restorer_without_its_whole_suite_has_no_point() -> None:
    group = changed(
        lambda cell: {"scored": 11} if cell.record.model == "kbnet" and cell.record.task == "derain" else {},
        suites=("5d",),
    )[0]
    assert "KBNet (tiny)" not in [p.label for p in cost_points(group)]
    assert incomplete(group) == ["KBNet (tiny)"]


def test_latency_is_that_of_the_size_that_most_restorers_share() -> None:
    def other(cell: StoredCell) -> dict[str, Any]:
        assert cell.record.cost is not None
        if cell.record.model == "kbnet":
            return {"cost": dataclasses.replace(cell.record.cost, size=(720, 1280), latency_ms=999.0)}
        if cell.record.model == "daair":
            return {"cost": None}
        if cell.record.model == "rbair" and cell.record.task == "deblur":
            return {"cost": dataclasses.replace(cell.record.cost, size=(720, 1280), latency_ms=500.0)}
        if cell.record.model == "rbair" and cell.record.task == "dehaze":
            return {"cost": dataclasses.replace(cell.record.cost, latency_ms=61.0, peak_mib=None)}
        return {}

    group = changed(other, suites=("5d",))[0]
    assert common_conditions(group) == ((256, 256), 1)
    latency = {p.label: p.latency_ms for p in cost_points(group)}
    assert latency == {"AnyIR (tiny)": 60.0, "DaAIR (tiny)": None, "KBNet (tiny)": None, "RBaIR (tiny)": 60.0}
    assert {p.label: p.peak_mib for p in cost_points(group)}["RBaIR (tiny)"] == 300.0
    assert "256x256, batch 1, a CPU, 2 threads" in cost_statement(group, "latency_ms")
    assert "1x3x256x256, live tensors" in cost_statement(group, "peak_mib")


def test_latencies_of_several_machines_are_said_not_to_be_ranked() -> None:
    group = changed(
        lambda cell: (
            {"environment": dataclasses.replace(cell.record.environment, device_name="another CPU")}
            if cell.record.model == "kbnet"
            else {}
        ),
        suites=("5d",),
    )[0]
    assert "another CPU, 2 threads (measured under different conditions" in cost_statement(group, "latency_ms")


def test_without_any_cost_there_is_none() -> None:
    group = changed(lambda _: {"cost": None}, suites=("5d",))[0]
    assert common_conditions(group) is None
    assert {p.latency_ms for p in cost_points(group)} == {None}
    assert cost_statement(group, "latency_ms") == ""


def test_published_averages_stand_beside_the_papers_sets_alone() -> None:
    embedded = changed(suites=("5d",))[0]
    assert not_comparable(embedded) == "measured on embedded-256, not on the papers' test sets"
    assert {p.source for p in cost_points(embedded)} == {"measured"}
    for standard in changed(on_standard_sets):
        assert not_comparable(standard) == ""
        assert {p.source for p in cost_points(standard)} == {"measured", "published"}
        assert {p.source for p in cost_points(standard, published=False)} == {"measured"}
    other = changed(on_standard_sets, suites=("5d",), protocol="restormer-y@1")[0]
    assert "restormer-y@1" in not_comparable(other)


def test_published_points_are_the_authors_own_before_others_quotations() -> None:
    points = {p.label: p for p in published_points("5d")}
    assert points["RBaIR"].psnr == 31.58
    assert points["DFPIR"].psnr == 30.64
    assert points["DFPIR"].notes == ("told the degradation",)
    assert points["PromptIR"].notes[0] == "quoted, not printed by its authors"
    assert points["PromptIR"].notes[1] == "papers print 28.11 and 29.15 and 29.77 dB"
    assert all(p.source == "published" and p.citation for p in points.values())
    assert points["PromptIR"].params == 35_592_000
    assert points["PromptIR"].macs == pytest.approx(172.71e9)
    assert points["Perceive-IR"].params == 128e6
    assert (points["Restormer"].macs, points["Restormer"].macs_source) == (None, "")
    assert "Input" not in {p.label for p in published_points("cdd11")}
