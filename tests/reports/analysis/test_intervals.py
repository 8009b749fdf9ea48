"""Intervals hold against Student, simulation and scipy, and against nothing at all."""

from __future__ import annotations

import statistics
import warnings

import numpy as np
import pytest
from scipy import stats

from restorebench.reports.analysis.intervals import average_interval, mean_interval


def drawn(seed: int, images: int, spread: float, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, images)


def test_the_interval_of_a_symmetric_sample_is_close_to_students() -> None:
    values = drawn(1, 200, 3.0, 30.0)
    interval = mean_interval(values.tolist(), seed="a")
    low, high = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert interval.method == "BCa"
    assert interval.mean == pytest.approx(values.mean(), abs=1e-12)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.05)


def test_the_interval_of_a_skewed_sample_leans_to_its_tail() -> None:
    interval = mean_interval(np.random.default_rng(2).exponential(1.0, 30).tolist(), seed="a")
    assert interval.low is not None
    assert interval.high is not None
    assert interval.high - interval.mean > 1.1 * (interval.mean - interval.low)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """40 samples of 40: 95 % of them cover 0 on average; fewer than 33 would happen once in ten thousand times."""
    intervals = [mean_interval(drawn(seed, 40, 1.0).tolist(), seed=str(seed)) for seed in range(40)]
    covered = [item.low is not None and item.high is not None and item.low <= 0 <= item.high for item in intervals]
    assert 33 <= sum(covered) <= 40
    assert len({item.low for item in intervals}) == 40


def test_an_average_of_one_task_is_the_task() -> None:
    values = drawn(3, 20, 2.0).tolist()
    assert average_interval([values], seed="a") == mean_interval(values, seed="a")


def test_an_average_weighs_tasks_alike_and_resamples_within_them() -> None:
    """The tasks' means lie 20 dB apart, which says nothing about how sure their average is."""
    small, large = drawn(4, 15, 2.0, 20.0), drawn(5, 300, 2.0, 40.0)
    interval = average_interval([small.tolist(), large.tolist()], seed="a")
    error = np.sqrt(small.var() / 15 + large.var() / 300) / 2
    assert interval.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert interval.images == 315
    assert interval.method == "BCa"
    assert (interval.low, interval.high) == pytest.approx(
        (interval.mean - 1.96 * error, interval.mean + 1.96 * error), abs=0.06
    )


def test_the_interval_of_an_average_agrees_with_scipys_bootstrap_of_several_samples() -> None:
    tasks = [np.random.default_rng(seed).exponential(2.0, 12 + seed) for seed in range(3)]
    interval = average_interval([task.tolist() for task in tasks], seed="a")

    def average(*samples: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(sum(sample.mean(axis=axis) for sample in samples) / len(samples))

    other = stats.bootstrap(tuple(tasks), average, n_resamples=20_000, method="BCa", random_state=0)
    assert (interval.low, interval.high) == pytest.approx(tuple(other.confidence_interval), abs=0.04)


def test_equal_values_have_an_exact_interval_and_one_value_none() -> None:
    equal = mean_interval([30.0] * 5, seed="a")
    assert (equal.low, equal.mean, equal.high, equal.method) == (30.0, 30.0, 30.0, "exact")
    single = mean_interval([30.0], seed="a")
    assert (single.low, single.high, single.images) == (None, None, 1)


def test_values_that_are_missing_or_infinite_are_refused() -> None:
    for values in ([], [30.0, float("inf")], [float("nan"), 30.0]):
        with pytest.raises(ValueError, match="finite"):
            mean_interval(values, seed="a")


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


@pytest.mark.parametrize(
    "values", [(28.67, 29.83, 28.27, 20.37), (28.52, 29.21, 28.34, 22.46), (0.1, 0.2, 0.3, 0.7), (-0.3, 0.1, 0.2, 0.6)]
)
def test_of_two_clusters_the_interval_is_from_one_to_the_other(values: tuple[float, ...]) -> None:
    interval = average_interval([values], seed="two", clusters=[["a", "a", "b", "b"]])
    means = sorted((statistics.fmean(values[:2]), statistics.fmean(values[2:])))
    assert (interval.low, interval.high) == pytest.approx(tuple(means))


@pytest.mark.parametrize("shift", [0.0, 20.1, 33.37, -0.2])
@pytest.mark.parametrize("clustered", [False, True])
def test_three_values_that_lie_evenly_have_an_even_interval(shift: float, clustered: bool) -> None:
    values = [shift + each for each in (0.1, 0.2, 0.3)]
    clusters = [["a", "a", "b", "b", "c", "c"]] if clustered else None
    interval = average_interval([sorted(values * 2) if clustered else values], seed="three", clusters=clusters)
    assert (interval.low, interval.high) == pytest.approx((values[0], values[-1]))
