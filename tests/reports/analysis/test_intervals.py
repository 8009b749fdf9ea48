"""Statistics against cases whose answer is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pytest
from scipy import stats

from restorebench.reports.analysis.intervals import (
    average_interval,
    can_be_significant,
    holm,
    mean_interval,
    paired_average_difference,
    paired_difference,
    rank,
    rank_averages,
)


def scores(values: Iterable[float]) -> dict[str, float]:
    return {f"image-{index:03d}": float(value) for index, value in enumerate(values)}


def drawn(seed: int, images: int, spread: float, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, images)


def test_the_interval_of_a_symmetric_sample_is_close_to_students() -> None:
    values = drawn(1, 200, 3.0, 30.0)
    found = mean_interval(values.tolist(), seed="a")
    low, high = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert found.method == "BCa"
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05)


def test_the_interval_of_a_skewed_sample_leans_to_its_tail() -> None:
    found = mean_interval(np.random.default_rng(2).exponential(1.0, 30).tolist(), seed="a")
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.mean > 1.1 * (found.mean - found.low)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """40 samples of 40: 95 % of them cover 0 on average; fewer than 33 would happen once in ten thousand times."""
    found = [mean_interval(drawn(seed, 40, 1.0).tolist(), seed=str(seed)) for seed in range(40)]
    covered = [item.low is not None and item.high is not None and item.low <= 0 <= item.high for item in found]
    assert 33 <= sum(covered) <= 40
    assert len({item.low for item in found}) == 40


def test_an_average_of_one_task_is_the_task() -> None:
    values = drawn(3, 20, 2.0).tolist()
    assert average_interval([values], seed="a") == mean_interval(values, seed="a")


def test_an_average_weighs_tasks_alike_and_resamples_within_them() -> None:
    """The tasks' means lie 20 dB apart, which says nothing about how sure their average is."""
    small, large = drawn(4, 15, 2.0, 20.0), drawn(5, 300, 2.0, 40.0)
    found = average_interval([small.tolist(), large.tolist()], seed="a")
    error = np.sqrt(small.var() / 15 + large.var() / 300) / 2
    assert found.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert found.images == 315
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error), abs=0.06)


def test_the_interval_of_an_average_agrees_with_scipys_bootstrap_of_several_samples() -> None:
    tasks = [np.random.default_rng(seed).exponential(2.0, 12 + seed) for seed in range(3)]
    found = average_interval([task.tolist() for task in tasks], seed="a")

    def average(*samples: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(sum(sample.mean(axis=axis) for sample in samples) / len(samples))

    other = stats.bootstrap(tuple(tasks), average, n_resamples=20_000, method="BCa", random_state=0)
    assert (found.low, found.high) == pytest.approx(tuple(other.confidence_interval), abs=0.04)


def test_equal_values_have_an_exact_interval_and_one_value_none() -> None:
    equal = mean_interval([30.0] * 5, seed="a")
    assert (equal.low, equal.mean, equal.high, equal.method) == (30.0, 30.0, 30.0, "exact")
    single = mean_interval([30.0], seed="a")
    assert (single.low, single.high, single.images) == (None, None, 1)
    assert paired_difference({"x": 2.0}, {"x": 1.0}, seed="a").p == 1.0


def test_values_that_are_missing_or_infinite_are_refused() -> None:
    for values in ([], [30.0, float("inf")], [float("nan"), 30.0]):
        with pytest.raises(ValueError, match="finite"):
            mean_interval(values, seed="a")
    with pytest.raises(ValueError, match="finite"):
        paired_difference({"a": 1.0}, {"b": 1.0}, seed="a")


def test_the_seed_alone_decides() -> None:
    values = drawn(6, 20, 1.0).tolist()
    first = mean_interval(values, seed="a")
    mean_interval(values, seed="b")
    assert mean_interval(values, seed="a") == first
    assert mean_interval(values, seed="b") != first


def test_no_warning_reaches_the_user() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean_interval([1.0, 1.0, 1.0, 2.0], seed="a")
        mean_interval([1.0, 2.0], seed="a")
        rank({"a": scores([1, 2, 3]), "b": scores([1, 2, 3])}, seed="a")


def test_identical_columns_tie() -> None:
    column = scores(drawn(7, 30, 3.0, 30.0))
    found = rank({"a": column, "b": dict(column), "c": dict(column)}, seed="a")
    assert found.best == {"a", "b", "c"}
    assert not found.second
    assert set(found.adjusted.values()) == {1.0}
    difference = paired_difference(column, column, seed="a")
    assert (difference.mean, difference.low, difference.high, difference.p) == (0.0, 0.0, 0.0, 1.0)


def test_columns_that_differ_by_rounding_tie() -> None:
    column = drawn(7, 30, 3.0, 30.0)
    assert rank({"a": scores(column), "b": scores(column + 1e-13)}, seed="a").best == {"a", "b"}


def test_a_constant_shift_is_significant_however_widely_images_differ() -> None:
    column = drawn(8, 15, 5.0, 25.0)
    better, worse = scores(column + 0.01), scores(column)
    found = paired_difference(better, worse, seed="a")
    assert found.mean == pytest.approx(0.01)
    assert found.p < 0.001
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
    found = paired_difference(scores([2, 3, 4, 5, 6, 7]), scores([1] * 6), seed="a")
    assert found.p == pytest.approx(2 / 64)


def test_p_is_close_to_students_on_a_normal_sample() -> None:
    a, b = drawn(11, 40, 1.0, 0.35), drawn(12, 40, 1.0)
    found = paired_difference(scores(a), scores(b), seed="a").p
    assert found == pytest.approx(float(stats.ttest_rel(a, b).pvalue), abs=0.01)


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
    found = rank(columns, seed="a")
    assert found.order[0] == "a"
    assert found.best == {"a"}
    assert found.second == {"b", "c"}
    assert found.order[3:] == ("d", "e")
    assert found.images == 30
    alone = rank({"a": columns["a"]}, seed="a")
    assert (alone.best, alone.second) == (frozenset({"a"}), frozenset())


def test_ranking_uses_the_images_that_all_have() -> None:
    whole = scores([30.0] * 10)
    part = {name: value + 1 for name, value in whole.items() if name < "image-008"}
    found = rank({"whole": {**whole, "image-009": 500.0}, "part": part}, seed="a")
    assert found.images == 8
    assert found.order == ("part", "whole")
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
    found = paired_average_difference(a, b, seed="a")
    assert found.mean == pytest.approx(0.2)
    assert found.images == 215
    assert found.p < 0.001
    ranking = rank_averages({"a": a, "b": b}, seed="a")
    assert (ranking.best, ranking.second, ranking.images) == ({"a"}, {"b"}, 215)
    opposite = [scores(first - 0.4 + drawn(16, 15, 1.0)), scores(second + 0.4)]
    assert rank_averages({"b": b, "c": opposite}, seed="a").best == {"b", "c"}
