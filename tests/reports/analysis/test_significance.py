"""Tests and ranks hold against Student, scipy and the textbook's Holm; what cannot be told apart ties."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pytest
from scipy import stats

from restorebench.reports.analysis.significance import (
    can_be_significant,
    holm,
    paired_average_difference,
    paired_difference,
    rank,
    rank_averages,
)


def scores(values: Iterable[float]) -> dict[str, float]:
    return {f"image-{index:03d}": float(value) for index, value in enumerate(values)}


def drawn(seed: int, images: int, spread: float, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, images)


def test_one_image_proves_nothing_and_none_is_refused() -> None:
    assert paired_difference({"x": 2.0}, {"x": 1.0}, seed="a").p == 1.0
    with pytest.raises(ValueError, match="finite"):
        paired_difference({"a": 1.0}, {"b": 1.0}, seed="a")


def test_a_difference_names_the_means_of_its_own_images_and_turns_round() -> None:
    difference = paired_difference({"a": 3.0, "b": 5.0, "c": 99.0}, {"a": 2.0, "b": 3.0}, seed="a")
    assert (difference.first, difference.second, difference.mean, difference.images) == (4.0, 2.5, 1.5, 2)
    turned = difference.reversed()
    assert (turned.first, turned.second, turned.mean, turned.p) == (2.5, 4.0, -1.5, difference.p)
    assert difference.low is not None
    assert difference.high is not None
    assert (turned.low, turned.high) == (-difference.high, -difference.low)


def test_no_warning_reaches_the_user() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rank({"a": scores([1, 2, 3]), "b": scores([1, 2, 3])}, seed="a")


def test_identical_columns_tie() -> None:
    column = scores(drawn(7, 30, 3.0, 30.0))
    ranking = rank({"a": column, "b": dict(column), "c": dict(column)}, seed="a")
    assert ranking.best == {"a", "b", "c"}
    assert not ranking.second
    assert set(ranking.adjusted.values()) == {1.0}
    difference = paired_difference(column, column, seed="a")
    assert (difference.mean, difference.low, difference.high, difference.p) == (0.0, 0.0, 0.0, 1.0)


def test_columns_that_differ_by_rounding_tie() -> None:
    column = drawn(7, 30, 3.0, 30.0)
    assert rank({"a": scores(column), "b": scores(column + 1e-13)}, seed="a").best == {"a", "b"}


def test_a_constant_shift_is_significant_however_widely_images_differ() -> None:
    column = drawn(8, 15, 5.0, 25.0)
    better, worse = scores(column + 0.01), scores(column)
    difference = paired_difference(better, worse, seed="a")
    assert difference.mean == pytest.approx(0.01)
    assert difference.p < 0.001
    assert rank({"a": worse, "b": better}, seed="a").best == {"b"}
    assert paired_difference(worse, better, seed="a").mean == pytest.approx(-0.01)


def test_fifteen_images_with_the_spread_of_lol_do_not_rank_two_tenths_of_a_decibel() -> None:
    """Paired differences on LOL-v1 spread by about 0.6 dB (mean known to +-0.3 dB), the scores by 3.8 dB."""
    images, spread = drawn(9, 15, 3.8, 23.0), drawn(10, 15, 0.6)
    spread = (spread - spread.mean()) * 0.6 / spread.std(ddof=1)
    columns = {"a": scores(images + 0.2 + spread), "b": scores(images)}
    difference = paired_difference(columns["a"], columns["b"], seed="a")
    assert difference.mean == pytest.approx(0.2)
    assert difference.low is not None
    assert difference.low < 0
    assert rank(columns, seed="a").best == {"a", "b"}
    clear = {"a": scores(images + 0.8 + spread), "b": scores(images)}
    assert rank(clear, seed="a").best == {"a"}


def test_p_is_exact_for_few_images() -> None:
    """Of the 64 signs of six differences of one sign two are as extreme: p is 1/32."""
    difference = paired_difference(scores([2, 3, 4, 5, 6, 7]), scores([1] * 6), seed="a")
    assert difference.p == pytest.approx(2 / 64)


def test_p_is_close_to_students_on_a_normal_sample() -> None:
    a, b = drawn(11, 40, 1.0, 0.35), drawn(12, 40, 1.0)
    p = paired_difference(scores(a), scores(b), seed="a").p
    assert p == pytest.approx(float(stats.ttest_rel(a, b).pvalue), abs=0.01)


def test_p_of_random_flips_agrees_with_scipys() -> None:
    for seed in range(5):
        values = drawn(seed, 25, 1.0, 0.4)
        ours = paired_difference(scores(values), scores([0.0] * 25), seed="a").p
        scipys = stats.permutation_test((values,), np.mean, permutation_type="samples", random_state=seed).pvalue
        assert ours == pytest.approx(float(scipys), abs=0.02)


def test_sets_of_thousands_of_images_are_tested() -> None:
    values = drawn(17, 2025, 0.5, 0.05)
    assert paired_difference(scores(values), scores([0.0] * 2025), seed="a").p < 0.01
    assert paired_difference(scores(values - values.mean()), scores([0.0] * 2025), seed="a").p > 0.9
    assert can_be_significant(2025, 12)


def test_five_images_tie_whatever_they_say_and_six_suffice() -> None:
    few = {"a": scores([9, 8, 9, 8, 9]), "b": scores([1, 2, 1, 2, 1])}
    assert rank(few, seed="a").best == {"a", "b"}
    assert not can_be_significant(5, 1)
    enough = {"a": scores([9, 8, 9, 8, 9, 8]), "b": scores([1, 2, 1, 2, 1, 2])}
    assert rank(enough, seed="a").best == {"a"}
    assert can_be_significant(6, 1)
    assert not can_be_significant(6, 2)
    assert rank({**enough, "c": scores([0] * 6)}, seed="a").best == {"a", "b", "c"}


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_best_second_and_the_rest() -> None:
    base = drawn(13, 30, 3.0, 30.0)
    noise = {name: drawn(seed, 30, 0.3) for seed, name in enumerate("abcde", 20)}
    levels = {"a": 2.0, "b": 1.0, "c": 1.0, "d": 0.0, "e": -1.0}
    columns = {name: scores(base + levels[name] + noise[name] - noise[name].mean()) for name in levels}
    ranking = rank(columns, seed="a")
    assert ranking.order[0] == "a"
    assert ranking.best == {"a"}
    assert ranking.second == {"b", "c"}
    assert ranking.order[3:] == ("d", "e")
    assert ranking.images == 30
    alone = rank({"a": columns["a"]}, seed="a")
    assert (alone.best, alone.second) == (frozenset({"a"}), frozenset())


def test_ranking_uses_the_images_that_all_have() -> None:
    whole = scores([30.0] * 10)
    part = {name: value + 1 for name, value in whole.items() if name < "image-008"}
    ranking = rank({"whole": {**whole, "image-009": 500.0}, "part": part}, seed="a")
    assert ranking.images == 8
    assert ranking.order == ("part", "whole")
    with pytest.raises(ValueError, match="no image"):
        rank({"a": {"x": 1.0}, "b": {"y": 1.0}}, seed="a")


def test_the_order_of_the_columns_changes_nothing() -> None:
    columns = {name: scores(drawn(seed, 20, 1.0)) for seed, name in enumerate("abc")}
    assert rank(columns, seed="s") == rank(dict(reversed(columns.items())), seed="s")


def test_averages_are_tested_by_the_differences_of_their_tasks() -> None:
    """A gain on 15 images of one task of two counts half, whatever the 200 images of the other."""
    first, second = drawn(14, 15, 3.0, 20.0), drawn(15, 200, 3.0, 35.0)
    a = [scores(first + 0.4), scores(second)]
    b = [scores(first), scores(second)]
    difference = paired_average_difference(a, b, seed="a")
    assert difference.mean == pytest.approx(0.2)
    assert difference.images == 215
    assert difference.p < 0.001
    ranking = rank_averages({"a": a, "b": b}, seed="a")
    assert (ranking.best, ranking.second, ranking.images) == ({"a"}, {"b"}, 215)
    opposite = [scores(first - 0.4 + drawn(16, 15, 1.0)), scores(second + 0.4)]
    assert rank_averages({"b": b, "c": opposite}, seed="a").best == {"b", "c"}
