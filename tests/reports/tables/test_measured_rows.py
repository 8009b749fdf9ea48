"""What tables say of the weights of a measured row, and beside it of the network."""

from __future__ import annotations

import dataclasses

import pytest

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
    assert notes(provenance, reconstructed=True) == {f"{WEIGHTS[provenance]}; {RECONSTRUCTED}"}
    assert notes(provenance) == {WEIGHTS[provenance]}


def test_records_of_earlier_versions_say_what_they_said() -> None:
    assert notes("reconstructed") == {RECONSTRUCTED}
