"""The methods paragraph names what a reviewer asks for, from the records alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.methods import methods_text

from .stores import change_cell, write_store


def test_protocol_data_weights_machine_and_statistics_are_named(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), previews=False)
    training = {"images": 32000, "recipe": "embedded"}
    environment = {
        "device_name": "Test CPU",
        "python": "3.11.7",
        "git_revision": "0123456789abcdef+changes",
        "versions": {"torch": "2.15.0", "numpy": "2.4.6", "restorebench": "0.1"},
    }
    for path in sorted(tmp_path.rglob("record.json")):
        change_cell(
            path.parent,
            identity={"protocol": get_protocol("promptir@1").describe()},
            environment=environment,
            weights={"training": training if path.parent.parent.name == "rbair" else None},
        )
    cells, _ = read_cells(tmp_path)
    text = " ".join(methods_text(groups(cells)).split())
    record = next(cell.record for cell in cells if cell.record.model == "rbair" and cell.record.task == "dehaze")
    for needed in (
        "Protocol promptir@1.",
        "multiples of 16",
        "uniform 7x7 window",
        f"dehaze@embedded-256: 12 images ({record.identity.data[:12]})",
        f"weights {(record.weights.sha256 or '')[:12]}, bundled",
        "trained on 32,000 patches (crops, not images)",
        "one stage: embedded: 32,000 patches",
        "float32 with TF32 off on Test CPU (Python 3.11.7, torch 2.15.0, numpy 2.4.6, restorebench 0.1",
        "git 0123456789ab+changes)",
        "95% bootstrap intervals over images (10,000 resamples",
        "Holm-corrected",
        "bench run model=rbair tasks=5d",
    ):
        assert needed in text
    assert "Input" not in text.partition("Restorers:")[2].partition(".")[0]


def test_nothing_is_told_of_nothing() -> None:
    with pytest.raises(ValueError, match="no cells"):
        methods_text([])
