"""What stands over and under what a group's numbers are shown in."""

from __future__ import annotations

import dataclasses

from restorebench.reports.analysis.captions import conditions, image_counts, stand_in
from restorebench.reports.analysis.cells import Group, groups

from ..stores import shared_cells


def group() -> Group:
    (made,) = groups(shared_cells(suites=("5d",), previews=False))
    return made


def test_stand_ins_are_said_to_be_ones_and_standard_sets_are_not() -> None:
    assert "not comparable with the papers' tables" in stand_in(group())
    standard = dataclasses.replace(group(), tasks=("dehaze@SOTS-Outdoor", "derain@Rain100L"))
    assert stand_in(standard) == ""
    mixed = dataclasses.replace(group(), tasks=("dehaze@SOTS-Outdoor", "derain@embedded-64"))
    assert stand_in(mixed)


def test_images_that_nobody_asked_for_are_not_counted_and_the_row_is_named() -> None:
    first = shared_cells(suites=("5d",), previews=False)
    quick = [
        dataclasses.replace(
            cell, record=dataclasses.replace(cell.record, scored=2, failures=()), rows=tuple(cell.rows[:2])
        )
        for cell in first
        if cell.record.model == "rbair"
    ]
    (made,) = groups(quick)
    assert image_counts(made, "dehaze@embedded-256").startswith("2 images")
    assert "RBaIR (tiny), dehaze, partial: only 2 of 12 images were asked for" in conditions(made)
    assert image_counts(group(), "dehaze@embedded-256").startswith("12 images")
