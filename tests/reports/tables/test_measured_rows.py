"""What tables say of the weights of a measured row, and beside it of the network."""

from __future__ import annotations

import dataclasses

import pytest

from restorebench.reports.analysis.cells import groups
from restorebench.reports.tables.measured_rows import RECONSTRUCTED, WEIGHTS, measured_rows

from ..table_examples import changed, embedded_group


def notes(provenance: str, **fields: object) -> set[str]:
    """The remarks on the rows of restorers whose records say this of their weights."""
    group = embedded_group()
    weights = next(restorer.record.weights for restorer in group.restorers if not restorer.is_input)
    stored = dataclasses.replace(weights, provenance=provenance, **fields)  # type: ignore[arg-type]
    group = changed(group, provenance=provenance, weights=stored)
    return {note for row in measured_rows(group, ()) for note in row.notes}


def test_a_file_of_unknown_origin_is_said_to_be_one_with_its_label() -> None:
    assert notes("file", label="my best") == {"weights from a file whose origin is not known (my best)"}


@pytest.mark.parametrize("provenance", ["official", "retrained", "bundled", "file", "untrained"])
def test_that_a_network_was_rebuilt_stands_beside_what_is_known_of_its_weights(provenance: str) -> None:
    assert notes(provenance, reconstructed=True) == {WEIGHTS[provenance], RECONSTRUCTED}
    assert notes(provenance) == {WEIGHTS[provenance]}


def test_records_of_earlier_versions_say_what_they_said_and_what_their_weights_are() -> None:
    assert notes("reconstructed", kind="bundled") == {WEIGHTS["bundled"], RECONSTRUCTED}
    assert notes("reconstructed", kind="none") == {WEIGHTS["untrained"], RECONSTRUCTED}
    assert notes("reconstructed", kind="file") == {RECONSTRUCTED}


def test_two_files_of_one_network_are_told_apart_by_their_names() -> None:
    group = embedded_group()
    weights = next(restorer.record.weights for restorer in group.restorers if not restorer.is_input)
    labels = []
    for label in ("plain", "with more rain"):
        named = changed(group, provenance="file", weights=dataclasses.replace(weights, label=label))
        cells = [cell for restorer in named.restorers for cell in restorer.cells.values()]
        labels += [restorer.label for each in groups(cells) for restorer in each.restorers if not restorer.is_input]
    assert any(label.endswith("(tiny, plain)") for label in labels)
    assert any(label.endswith("(tiny, with more rain)") for label in labels)
