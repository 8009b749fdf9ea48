"""The standard sets: the counts of the field, their sources and terms, near names."""

from __future__ import annotations

import pytest

from restorebench.datasets import TASK_NAMES, DataError
from restorebench.datasets.standard.sets import ALL_SETS, get_set
from restorebench.datasets.tasks import CDD11_TASKS, STANDARD_SETS


def test_the_sets_have_the_counts_of_the_field():
    counts = [68, 24, 100, 100, 100, 500, 1111, 2025, 15, 100, 200]
    assert [s.images for s in ALL_SETS] == counts
    assert [s.name for s in ALL_SETS] == [
        *("CBSD68", "Kodak24", "Urban100", "Rain100L", "Rain100H", "SOTS-Outdoor"),
        *("GoPro", "HIDE", "LOL-v1", "LOL-v2-real", "CDD-11"),
    ]
    assert len(CDD11_TASKS) == 11
    assert set(STANDARD_SETS) == set(TASK_NAMES) - {"restore"}
    assert all(task in get_set(name).tasks for task, name in STANDARD_SETS.items())


def test_every_set_says_where_it_comes_from_and_under_which_terms():
    for s in ALL_SETS:
        assert "https://" in s.source
        assert s.licence
        assert str(s.images) in s.size


def test_names_of_sets_are_suggested():
    with pytest.raises(DataError, match="did you mean 'Urban100'"):
        get_set("urban10")
    with pytest.raises(DataError, match=r"unknown data set of the task derain 'CBSD68'; known: Rain100L, Rain100H$"):
        get_set("CBSD68", "derain")
