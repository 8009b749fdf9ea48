"""How images were restored is counted, and what deviates from what the cell asked for is told apart."""

from __future__ import annotations

from restorebench.benchmarks.store.how import described, deviations, how_counts
from restorebench.benchmarks.store.rows import ImageRow


def row(how: str, *, failed: bool = False) -> ImageRow:
    return ImageRow(image="a", status="failed" if failed else "ok", how=how)


ROWS = [
    row("cpu"),
    row("tiles of 512"),
    row("whole"),
    row("tiles of 512"),
    row("tiles of 768"),
    row("cpu", failed=True),
]


def test_images_with_scores_are_counted_by_how_they_were_restored() -> None:
    assert list(how_counts(ROWS).items()) == [("tiles of 512", 2), ("cpu", 1), ("whole", 1), ("tiles of 768", 1)]


def test_a_cell_of_whole_images_deviates_by_tiles_and_by_the_cpu() -> None:
    assert deviations(ROWS, None) == {"tiles of 512": 2, "cpu": 1, "tiles of 768": 1}
    assert deviations([row("whole")] * 3, None) == {}
    assert deviations([], None) == {}


def test_forced_tiles_of_the_right_side_are_what_was_asked_for() -> None:
    assert deviations([row("tiles of 512"), row("tiles of 512")], 512) == {}
    assert deviations([row("tiles of 512"), row("whole"), row("tiles of 768")], 512) == {"whole": 1, "tiles of 768": 1}


def test_a_failed_image_is_no_deviation() -> None:
    assert deviations([row("cpu", failed=True)], None) == {}


def test_deviations_are_said_in_words() -> None:
    assert described({}) == ""
    assert described({"whole": 3}) == "3 images whole"
    assert described({"tiles of 512": 2, "cpu": 1}) == "2 images in tiles of 512, 1 image on the CPU"
