"""Printed values stand in the column of their task."""

from __future__ import annotations

from restorebench.benchmarks.protocols.protocol import GROUPS
from restorebench.datasets.standard.sets import CDD11
from restorebench.datasets.tasks import CDD11_TASKS, STANDARD_SETS
from restorebench.reports.published.places import PLACES, column_notes
from restorebench.reports.published.rows import published_rows


def test_places_are_the_suites_tasks_on_their_standard_sets() -> None:
    assert {suite: tuple(PLACES[suite]) for suite in GROUPS} == dict(GROUPS)
    assert tuple(PLACES["cdd11"]) == CDD11_TASKS
    for suite in GROUPS:
        for task, place in PLACES[suite].items():
            assert place.measured == STANDARD_SETS[task.partition("-")[0]]
    assert {place.measured for place in PLACES["cdd11"].values()} == {CDD11.name}


def test_what_is_true_of_a_test_set_is_a_note_of_its_column() -> None:
    assert "15 images" in column_notes("5d", "lowlight")[0]
    assert column_notes("5d", "deblur") == ()
    assert not any("15 images" in note for row in published_rows("5d", ["all"]) for note in row.notes)
