"""Equal budgets are shown as equal, unequal ones as such, and curves are those of the weights' metadata."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest

from restorebench.benchmarks.store.records import Record
from restorebench.models import get_card
from restorebench.models.weights import choose_weights
from restorebench.reports.analysis.cells import Group, StoredCell, groups
from restorebench.reports.analysis.training import equality, training_costs, training_note, training_told
from restorebench.reports.figures.style import styles
from restorebench.reports.figures.training import draw_training
from restorebench.reports.methods import methods_text
from restorebench.reports.page.data import group_data
from restorebench.reports.tables.measured_rows import measured_rows
from restorebench.reports.tables.training import curves_csv, training_markdown

from ...models.bundled import BUNDLED
from ..stores import GAINS, shared_cells

NAMES = ("rbair", "anyir", "daair", "kbnet")


def trained(**changes: dict[str, Any]) -> Group:
    """The 5d group of a store whose weights tell of 1000 images in 100 s, but for `changes` by model."""
    return groups(trained_cells(**changes))[0]


def trained_cells(**changes: dict[str, Any]) -> list[StoredCell]:
    """The cells of that group."""
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
    return cells


def test_each_restorer_has_what_it_cost_and_what_that_bought() -> None:
    costs = training_costs(trained(rbair={"seconds": 400.0}))
    assert len(costs) == 4
    best = costs[0]
    assert best.gain == pytest.approx(max(GAINS.values()), abs=0.5)
    assert (best.patches, best.steps) == (1000, 125)
    text = training_markdown(trained(rbair={"seconds": 400.0}))
    row = next(line for line in text.splitlines() if "RBaIR" in line)
    gain = next(b.gain for b in costs if b.label.startswith("RBaIR"))
    assert gain is not None
    assert f"{gain:.2f}" in row
    assert f"{gain / 1000 * 1000:.3f}" in row
    assert "each saw 1,000 patches, of the same sequence of samples" in text
    assert "per minute" not in text
    assert "machine shared or not, not recorded" in row
    assert "a shared machine makes times that order nothing" in text


def test_unequal_budgets_are_called_unequal() -> None:
    text = training_markdown(trained(kbnet={"images": 900, "lists_sha256": "cd" * 32, "machine": "a GPU"}))
    assert "NOT the same number of patches" in text
    assert "NOT of the same training data" in text
    assert "different machines" in text


def test_nothing_is_said_where_the_weights_say_nothing() -> None:
    group = groups(shared_cells(suites=("5d",), previews=False))[0]
    assert training_costs(group) == []
    assert training_markdown(group) == ""
    assert draw_training(group, {}) is None


def test_curves_are_the_metadata_s() -> None:
    group = trained(**{name: {"load_average": 1.2, "processors": 2} for name in NAMES})
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


def test_gains_on_different_images_are_not_drawn_in_one_panel() -> None:
    known = {"load_average": 1.2, "processors": 2, "validated_on": "8 photographs set apart"}
    group = trained(**{name: {**known, **({"validated_on": "3 others"} if name == "kbnet" else {})} for name in NAMES})
    rows = list(csv.DictReader(io.StringIO(curves_csv(group))))
    assert {row["validated_on"] for row in rows if row["restorer"] == "KBNet (tiny)"} == {"3 others"}
    figure = draw_training(group, styles(b.label for b in training_costs(group)))
    assert figure is not None
    curves = {axes.get_xlabel(): [line.get_label() for line in axes.get_lines()[:-1]] for axes in figure.axes}
    assert curves == {
        "training patches seen (thousands)\nvalidated on 3 others": ["KBNet (tiny)"],
        "training patches seen (thousands)\nvalidated on 8 photographs set apart": [
            f"{title} (tiny)" for title in ("AnyIR", "DaAIR", "RBaIR")
        ],
    }


@pytest.mark.parametrize("load", [None, 5.0])
def test_times_of_a_machine_that_was_shared_are_not_drawn(load: float | None) -> None:
    group = trained(**{name: {"load_average": load, "processors": 2} for name in NAMES})
    figure = draw_training(group, styles(b.label for b in training_costs(group)))
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlabel() == "training patches seen (thousands)"
    text = training_markdown(group)
    assert ("load 5.0 on 2 processors" in text) == (load is not None)


def test_data_that_differ_in_an_early_stage_are_not_the_same() -> None:
    stages = [{"recipe": "a", "lists_sha256": "1", "images": 10}, {"recipe": "b", "lists_sha256": "2", "images": 20}]
    other = [{**stages[0], "lists_sha256": "3"}, stages[1]]
    group = trained(**{name: {"stages": other if name == "kbnet" else stages} for name in NAMES})
    assert "NOT of the same training data in stage 1 (a)" in equality(training_costs(group))


def bundled(name: str) -> Record:
    """A record with the facts of a bundled file."""
    cells = shared_cells(suites=("5d",), previews=False)
    cell = next((cell for cell in cells if cell.record.model == name), cells[0])
    training = choose_weights(get_card(name), "tiny", "bundled", 0).info.training
    assert training is not None
    weights = dataclasses.replace(cell.record.weights, training=dict(training))
    return dataclasses.replace(cell.record, weights=weights)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_file_tells_the_whole_of_its_training(name: str) -> None:
    told = training_told(bundled(name))
    assert told.startswith(
        "trained on 52,400 patches (crops, not images) in 8,187 steps, 3 stages, each from the weights"
    )
    first = "embedded: 32,000 patches in 4,400 steps, seed 0, of dead leaves v2, seed 0, 600 images of 320x320"
    assert f"{first}, validated on 8 photographs set apart; " in told
    assert "photographs: 14,000 patches in 2,187 steps, seed 0, of dead leaves v2, seed 0, 600 images" in told
    assert "contrast: 6,400 patches in 1,600 steps, seed 1" in told
    assert "train.folder: 62 files" in told
    assert "the weights lie at 1.1 of the way of the last stage" in told
    assert told.count("validated on 8 photographs set apart") == 3
    note = training_note(bundled(name))
    assert note == "trained on 52,400 patches in 8,187 steps (embedded 32,000, photographs 14,000, contrast 6,400)"
    assert "looking at the test images" not in told


def test_what_is_known_of_the_training_stands_in_methods_tables_and_page(tmp_path: Path) -> None:
    looked = {"recipe": "restraint", "images": 1000, "steps": 125, "lists_sha256": "ab" * 32}
    (group,) = groups(
        [
            dataclasses.replace(
                cell, record=dataclasses.replace(cell.record, weights=bundled(cell.record.model).weights)
            ) if cell.record.model in NAMES[1:] else cell
            for cell in trained_cells(rbair={**looked, "stages": [looked]})
        ]
    )  # fmt: skip
    chosen = "chosen by looking at the test images of the embedded suites, Rain100L and SOTS-outdoor"
    methods = " ".join(methods_text([group]).split())
    assert methods.count(chosen) == 1  # RBaIR's; the others were trained alike
    assert "52,400 patches of training" in methods
    assert "images by recipe" not in methods
    text = training_markdown(group)
    assert text.count(chosen) == 1
    assert "NOT the same number of patches" in text
    notes = {note for row in measured_rows(group, ()) for note in row.notes}
    assert sum(chosen in note for note in notes) == 1
    page = group_data(group, tmp_path)
    assert {row["label"]: chosen in row["training"] for row in page["rows"] if not row["isInput"]} == {
        "AnyIR (tiny)": False, "DaAIR (tiny)": False, "KBNet (tiny)": False, "RBaIR (tiny)": True,
    }  # fmt: skip
