"""Equal budgets are shown as equal, unequal ones as such, and curves are those of the weights' metadata."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import pytest

from restorebench.reports.analysis.cells import Group, groups
from restorebench.reports.analysis.training import training_costs
from restorebench.reports.figures.style import styles
from restorebench.reports.figures.training import draw_training
from restorebench.reports.tables.training import curves_csv, training_markdown

from ..stores import GAINS, shared_cells


def trained(**changes: dict[str, Any]) -> Group:
    """The 5d group of a store whose weights tell of 1000 images in 100 s, but for `changes` by model."""
    cells = []
    for cell in shared_cells(suites=("5d",), previews=False):
        facts: dict[str, Any] | None = {
            "recipe": "embedded",
            "lists_sha256": "ab" * 32,
            "images": 1000,
            "steps": 125,
            "seconds": 100.0,
            "machine": "a CPU",
            "history": [{"images": 500, "seconds": 50.0, "gain": 1.0}, {"images": 1000, "seconds": 100.0, "gain": 2.5}],
            **changes.get(cell.record.model, {}),
        }
        if cell.record.model == "identity":
            facts = None
        record = dataclasses.replace(cell.record, weights=dataclasses.replace(cell.record.weights, training=facts))
        cells.append(dataclasses.replace(cell, record=record))
    return groups(cells)[0]


def test_each_restorer_has_what_it_cost_and_what_that_bought() -> None:
    costs = training_costs(trained(rbair={"seconds": 400.0}))
    assert len(costs) == 4
    best = costs[0]
    assert best.gain == pytest.approx(max(GAINS.values()), abs=0.5)
    assert (best.images, best.steps) == (1000, 125)
    text = training_markdown(trained(rbair={"seconds": 400.0}))
    row = next(line for line in text.splitlines() if "RBaIR" in line)
    gain = next(b.gain for b in costs if b.label.startswith("RBaIR"))
    assert gain is not None
    assert f"{gain:.2f}" in row
    assert f"{gain / 400 * 60:.3f}" in row
    assert f"{gain / 1000 * 1000:.3f}" in row
    assert "each saw 1,000 images, of the same sequence of samples" in text


def test_unequal_budgets_are_called_unequal() -> None:
    text = training_markdown(trained(kbnet={"images": 900, "lists_sha256": "cd" * 32, "machine": "a GPU"}))
    assert "NOT the same number of images" in text
    assert "NOT of the same training data" in text
    assert "different machines" in text


def test_nothing_is_said_where_the_weights_say_nothing() -> None:
    group = groups(shared_cells(suites=("5d",), previews=False))[0]
    assert training_costs(group) == []
    assert training_markdown(group) == ""
    assert draw_training(group, {}) is None


def test_curves_are_the_metadata_s() -> None:
    group = trained()
    rows = list(csv.DictReader(io.StringIO(curves_csv(group))))
    assert len(rows) == 8
    assert rows[1]["validation_gain_db"] == "2.5"
    figure = draw_training(group, styles(b.label for b in training_costs(group)))
    assert figure is not None
    by_images, by_time = figure.axes
    line = by_images.get_lines()[0]
    assert list(line.get_xdata()) == [0.5, 1.0]
    assert list(line.get_ydata()) == [1.0, 2.5]
    assert list(by_time.get_lines()[0].get_xdata()) == pytest.approx([50 / 60, 100 / 60])
