"""A scoreboard gives each statistic one definition, and the same digits whoever asks, in whatever order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest

from restorebench.reports.analysis.cells import Group, StoredCell, groups
from restorebench.reports.analysis.intervals import mean_interval

from ..stores import shared_cells

RBAIR, ANYIR, KBNET = "RBaIR (tiny)", "AnyIR (tiny)", "KBNet (tiny)"
DERAIN = "derain@embedded-256"


def group(change: Callable[[StoredCell], StoredCell] = lambda cell: cell) -> Group:
    """The 5d group of a synthetic store with changed cells."""
    (only,) = groups(map(change, shared_cells(suites=("5d",), images=8, previews=False)))
    return only


def unfinished(cell: StoredCell) -> StoredCell:
    """KBNet's deraining lacks an image."""
    if (cell.record.model, cell.record.task) != ("kbnet", "derain"):
        return cell
    failed = dataclasses.replace(cell.rows[0], status="failed", psnr=math.nan)
    return dataclasses.replace(
        cell, rows=(failed, *cell.rows[1:]), record=dataclasses.replace(cell.record, scored=len(cell.rows) - 1)
    )


def infinite(cell: StoredCell) -> StoredCell:
    """One of AnyIR's derained images equals the clean one."""
    if (cell.record.model, cell.record.task) != ("anyir", "derain"):
        return cell
    return dataclasses.replace(cell, rows=(dataclasses.replace(cell.rows[0], psnr=math.inf), *cell.rows[1:]))


def single(cell: StoredCell) -> StoredCell:
    """Deraining alone is a suite."""
    return dataclasses.replace(cell, record=dataclasses.replace(cell.record, suite="derain", suite_tasks=(DERAIN,)))


def test_what_was_asked_before_changes_no_digit() -> None:
    first, second = group().scoreboard, group().scoreboard
    columns = [*group().tasks, "average"]
    forwards = [(first.score(RBAIR, c), first.gain(RBAIR, c), first.difference(RBAIR, ANYIR, c)) for c in columns]
    backwards = [
        (second.difference(RBAIR, ANYIR, c), second.gain(RBAIR, c), second.score(RBAIR, c)) for c in reversed(columns)
    ]
    assert forwards == [parts[::-1] for parts in reversed(backwards)]
    assert all(part is not None for parts in forwards for part in parts)


def test_a_table_of_fewer_restorers_has_the_same_intervals() -> None:
    whole = group()
    part = dataclasses.replace(whole, restorers=tuple(r for r in whole.restorers if r.label in (RBAIR, ANYIR)))
    for column in (DERAIN, "average"):
        assert part.scoreboard.score(RBAIR, column) == whole.scoreboard.score(RBAIR, column)
        assert part.scoreboard.difference(RBAIR, ANYIR, column) == whole.scoreboard.difference(RBAIR, ANYIR, column)


def test_a_statistic_is_computed_once() -> None:
    board = group().scoreboard
    assert board.score(RBAIR, DERAIN) is board.score(RBAIR, DERAIN)
    assert board.ranking("average") is board.ranking("average")


def test_every_quantity_has_random_numbers_of_its_own() -> None:
    """A gain over an input that is 0 dB everywhere has the scores of the restorer, and still other resamples."""

    def zero(cell: StoredCell) -> StoredCell:
        return dataclasses.replace(cell, rows=tuple(dataclasses.replace(row, input_psnr=0.0) for row in cell.rows))

    board = group(zero).scoreboard
    score, gain = board.score(RBAIR, DERAIN), board.gain(RBAIR, DERAIN)
    assert score is not None
    assert gain is not None
    assert gain.mean == score.mean
    assert gain.low != score.low


def test_a_difference_turned_round_is_its_opposite() -> None:
    board = group().scoreboard
    for column in (DERAIN, "average"):
        there, back = board.difference(RBAIR, ANYIR, column), board.difference(ANYIR, RBAIR, column)
        assert there is not None
        assert back == there.reversed()
        assert there.mean == pytest.approx(there.first - there.second)


def test_a_difference_is_over_the_images_of_which_both_are_finite() -> None:
    board = group(infinite).scoreboard
    with_infinite, without = board.difference(RBAIR, ANYIR, DERAIN), board.difference(RBAIR, KBNET, DERAIN)
    assert with_infinite is not None
    assert without is not None
    assert (with_infinite.images, without.images) == (7, 8), "KBNet's difference keeps the image that AnyIR lacks"
    assert len(board.differences_by_image(RBAIR, ANYIR, DERAIN)) == 7
    ranking = board.ranking(DERAIN)
    assert ranking is not None
    assert ranking.images == 7, "whoever is ranked is ranked on the images of all"


def test_an_unfinished_cell_has_a_gain_but_no_score_no_rank_and_no_average() -> None:
    board = group(unfinished).scoreboard
    assert board.score(KBNET, DERAIN) is None
    assert board.score(KBNET, "average") is None
    assert board.gain(KBNET, "average") is None
    assert board.mean_gain(KBNET, "average") is None
    gain = board.gain(KBNET, DERAIN)
    assert gain is not None
    assert gain.images == 7
    assert gain.mean == pytest.approx(board.mean_gain(KBNET, DERAIN))
    for column in (DERAIN, "average"):
        ranking = board.ranking(column)
        assert ranking is not None
        assert KBNET not in ranking.order
        assert board.mark(KBNET, column) is None


def test_the_average_of_one_task_is_that_task() -> None:
    (only,) = (
        g for g in groups(single(c) for c in shared_cells(suites=("5d",), previews=False) if c.record.task == "derain")
    )
    board = only.scoreboard
    assert board.score(RBAIR, "average") == board.score(RBAIR, DERAIN)
    assert board.gain(RBAIR, "average") == board.gain(RBAIR, DERAIN)
    assert board.ranking("average") == board.ranking(DERAIN)
    assert board.difference(RBAIR, ANYIR, "average") == board.difference(RBAIR, ANYIR, DERAIN)


def test_one_restorer_alone_is_first_and_has_no_mark() -> None:
    whole = group()
    alone = dataclasses.replace(whole, restorers=tuple(r for r in whole.restorers if r.is_input or r.label == RBAIR))
    ranking = alone.scoreboard.ranking(DERAIN)
    assert ranking is not None
    assert ranking.order == (RBAIR,)
    assert alone.scoreboard.mark(RBAIR, DERAIN) is None


def test_without_a_common_image_nobody_is_ranked() -> None:
    def halved(cell: StoredCell) -> StoredCell:
        odd = cell.record.model == "anyir"
        rows = [
            dataclasses.replace(row, psnr=row.psnr if index % 2 == odd else math.inf)
            for index, row in enumerate(cell.rows)
        ]
        return dataclasses.replace(cell, rows=tuple(rows))

    board = group(halved).scoreboard
    assert board.ranking(DERAIN) is None
    assert board.ranking("average") is None
    assert board.difference(RBAIR, ANYIR, DERAIN) is None
    assert board.score(ANYIR, DERAIN) is not None


def test_the_inputs_level_is_that_of_whole_cells() -> None:
    def partial(cell: StoredCell) -> StoredCell:
        if cell.record.task != "derain":
            return cell
        return dataclasses.replace(cell, record=dataclasses.replace(cell.record, scored=3))

    level = group().scoreboard.input_level(DERAIN)
    cell = next(r for r in group().restorers if r.label == RBAIR).cells[DERAIN]
    assert level == pytest.approx(sum(cell.values("input_psnr").values()) / 8)
    assert group(partial).scoreboard.input_level(DERAIN) is None
    assert group(partial).scoreboard.input_level("average") is None
    assert group(partial).scoreboard.input_level("deblur@embedded-256") is not None


def test_a_score_is_the_interval_of_the_cells_values_seeded_by_task_protocol_and_restorer() -> None:
    """A cell has one interval in every suite that has its task."""
    cell = next(r for r in group().restorers if r.label == RBAIR).cells[DERAIN]
    expected = mean_interval(list(cell.values("psnr").values()), seed=f"{DERAIN}, {group().protocol}/{RBAIR}")
    assert group().scoreboard.score(RBAIR, DERAIN) == expected
