"""Reports read the store: what may be compared is grouped, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from restorebench.benchmarks.store.parts import Identity
from restorebench.reports.analysis.cells import groups, read_cells, stems

from ..stores import shared_cells, write_store


@pytest.mark.slow
def test_groups_hold_one_suite_on_the_same_images_under_one_protocol(tmp_path: Path) -> None:
    write_store(tmp_path, side=8)
    cells, problems = read_cells(tmp_path)
    assert not problems
    several = groups(cells)
    assert [(group.suite, len(group.restorers)) for group in several] == [("3d", 5), ("5d", 5)]
    assert several[0].restorers[0].is_input
    assert [c.label for c in several[0].restorers[1:]] == [
        "AnyIR (tiny)",
        "DaAIR (tiny)",
        "KBNet (tiny)",
        "RBaIR (tiny)",
    ]
    cell = several[1].restorers[1].cells["dehaze@embedded-256"]
    assert len(cell.values("psnr")) == 12
    previews = [f("image-03.png") for f in (cell.restored_preview, cell.degraded_preview, cell.clean_preview)]
    assert all(path is not None and path.is_file() for path in previews)
    assert cell.restored_preview("other.png") is None


def test_other_images_under_the_same_name_are_another_group() -> None:
    cells = shared_cells(suites=("5d",), previews=False)
    changed = [
        dataclasses.replace(
            cell,
            record=dataclasses.replace(cell.record, identity=dataclasses.replace(cell.record.identity, data="0" * 64)),
        )
        if cell.record.model == "kbnet" and cell.record.task == "dehaze"
        else cell
        for cell in cells
    ]
    several = groups(changed)
    assert sorted(len(group.restorers) for group in several) == [1, 4]
    assert len(set(stems(several))) == 2


def in_bfloat16(identity: Identity) -> Identity:
    return dataclasses.replace(identity, numerics=dataclasses.replace(identity.numerics, dtype="bfloat16"))


def test_one_restorer_twice_is_told_apart_by_what_differs() -> None:
    cells = shared_cells(suites=("5d",), previews=False)
    half = [
        dataclasses.replace(
            cell,
            record=dataclasses.replace(cell.record, cell=f"half{index}", identity=in_bfloat16(cell.record.identity)),
        )
        for index, cell in enumerate(cells)
        if cell.record.model == "rbair"
    ]
    labels = [restorer.label for restorer in groups([*cells, *half])[0].restorers]
    assert "RBaIR (tiny) float32" in labels
    assert "RBaIR (tiny) bfloat16" in labels
    assert "AnyIR (tiny)" in labels


def test_random_weights_are_told_apart_by_their_seed() -> None:
    untrained = []
    for cell in shared_cells(suites=("5d",), previews=False):
        for seed in (11, 12) if cell.record.model == "rbair" else ():
            weights = dataclasses.replace(cell.record.weights, kind="none", sha256=None)
            identity = dataclasses.replace(cell.record.identity, weights=None, seed=seed)
            facts = {"provenance": "untrained", "weights": weights, "identity": identity, "cell": f"seed{seed}"}
            untrained.append(dataclasses.replace(cell, record=dataclasses.replace(cell.record, **facts)))
    labels = [restorer.label for restorer in groups(untrained)[0].restorers]
    assert labels == ["RBaIR (tiny, untrained) seed 11", "RBaIR (tiny, untrained) seed 12"]


def test_a_damaged_table_of_images_is_named(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), previews=False)
    damaged = next(tmp_path.glob("5d/rbair/*/images.csv"))
    damaged.write_text("nonsense\n")
    cells, problems = read_cells(tmp_path)
    assert len(cells) == 24
    assert len(problems) == 1
    assert str(damaged) in problems[0]


def test_records_of_the_version_before_are_read(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), previews=False)
    path = next(tmp_path.glob("5d/rbair/*/record.json"))
    values = json.loads(path.read_text())
    for name in ("cost", "rows_sha256", "checksum"):
        del values[name]
    path.write_text(json.dumps({**values, "schema_version": 2}))
    cells, problems = read_cells(tmp_path)
    assert not problems
    assert [cell.record.cost for cell in cells if cell.record.schema_version == 2] == [None]
