"""Statistics count what is independent: simulated scores whose clusters are known, and no difference between them."""

from __future__ import annotations

import numpy as np
import pytest

from restorebench.reports.analysis import intervals, significance
from restorebench.reports.analysis.intervals import average_interval, mean_interval
from restorebench.reports.analysis.scoreboard import SIGNIFICANT
from restorebench.reports.analysis.significance import (
    can_be_significant,
    least_p,
    paired_average_difference,
    rank_averages,
)

SIMULATIONS = 300
FALSE_AT_MOST = 0.0893
"""99.9 % of experiments of 300 with a true rate of 0.05 stay below: 0.05 + 3.12 sd."""


def cluster(image: str) -> str:
    """``c07`` of ``c07-2``."""
    return image.partition("-")[0]


def simulated(seed: int, clusters: int, each: int, *, tasks: int = 1) -> list[dict[str, float]]:
    """Paired differences with mean zero: a share for each cluster, which all tasks have, and little for each image."""
    draws = np.random.default_rng(seed)
    shared = draws.normal(0, 1, clusters)
    return [
        {f"c{c:02}-{i}": float(shared[c] + draws.normal(0, 0.3)) for c in range(clusters) for i in range(each)}
        for _ in range(tasks)
    ]


def null_p(seed: int, clusters: int, each: int, tasks: int, *, by_cluster: bool) -> float:
    differences = simulated(seed, clusters, each, tasks=tasks)
    zeros = [dict.fromkeys(task, 0.0) for task in differences]
    rules = [cluster] * tasks if by_cluster else None
    return paired_average_difference(differences, zeros, seed=str(seed), clusters=rules).p


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a rate, a tenth of the time."""
    for module in (intervals, significance):
        monkeypatch.setattr(module, "RESAMPLES", 1000)
        monkeypatch.setattr(module, "BATCH", 500)


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize(("clusters", "each", "tasks"), [(8, 4, 1), (12, 3, 5), (30, 5, 2)])
def test_without_a_difference_at_most_the_level_is_called_significant(clusters: int, each: int, tasks: int) -> None:
    p_values = [null_p(seed, clusters, each, tasks, by_cluster=True) for seed in range(SIMULATIONS)]
    assert np.mean([p < SIGNIFICANT for p in p_values]) <= FALSE_AT_MOST


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_by_image_the_same_data_would_be_called_significant_far_too_often() -> None:
    p_values = [null_p(seed, 8, 4, 1, by_cluster=False) for seed in range(SIMULATIONS)]
    assert np.mean([p < SIGNIFICANT for p in p_values]) > 0.2


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_no_restorer_of_four_alike_is_called_best_more_often_than_the_level() -> None:
    false = 0
    for seed in range(SIMULATIONS):
        restorers = {name: simulated(4 * seed + k, 12, 3) for k, name in enumerate("abcd")}
        false += len(rank_averages(restorers, seed=str(seed), clusters=[cluster]).best) == 1
    assert false / SIMULATIONS <= FALSE_AT_MOST


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_intervals_by_cluster_hold_the_mean_about_as_often_as_they_say() -> None:
    held = {True: 0, False: 0}
    for seed in range(SIMULATIONS):
        differences = simulated(seed, 25, 4, tasks=2)
        names = [[cluster(image) for image in task] for task in differences]
        for by_cluster in held:
            interval = average_interval(
                [list(task.values()) for task in differences], seed=str(seed), clusters=names if by_cluster else None
            )
            assert interval.low is not None
            assert interval.high is not None
            held[by_cluster] += interval.low <= 0 <= interval.high
    assert held[True] / SIMULATIONS > 0.88
    assert held[False] / SIMULATIONS < 0.7


def test_five_scenes_in_five_tasks_are_five_observations() -> None:
    scores = [{f"c{c:02}-{i}": 1.0 + 0.01 * c for c in range(5) for i in range(2)} for _ in range(5)]
    zeros = [dict.fromkeys(task, 0.0) for task in scores]
    found = paired_average_difference(scores, zeros, seed="s", clusters=[cluster] * 5)
    assert (found.images, found.clusters, found.p) == (50, 5, 0.0625)
    ranking = rank_averages({"a": scores, "b": zeros}, seed="s", clusters=[cluster] * 5)
    assert (ranking.clusters, ranking.hopeless, ranking.mark("a"), ranking.mark("b")) == (5, True, "tie", "tie")


def test_data_sets_with_other_clusters_are_drawn_apart() -> None:
    """Their variances add as those of independent means do."""
    draws = np.random.default_rng(1)
    tasks = [draws.normal(0, 1, 200).tolist() for _ in range(2)]
    apart = [[f"{task} {i}" for i in range(200)] for task in range(2)]
    shared = [[str(i) for i in range(200)] for _ in range(2)]
    same = average_interval([tasks[0], tasks[0]], seed="s", clusters=shared)
    single = mean_interval(tasks[0], seed="s")
    both = average_interval(tasks, seed="s", clusters=apart)
    widths = [float(one.high or 0) - float(one.low or 0) for one in (same, single, both)]
    assert widths[0] == pytest.approx(widths[1], rel=0.05)
    assert widths[2] == pytest.approx(widths[1] / np.sqrt(2), rel=0.15)
    assert (same.clusters, both.clusters, both.images) == (200, 400, 400)
    assert both == average_interval(tasks, seed="s"), "names of clusters that hold one image each change nothing"


def test_unequal_clusters_are_weighted_by_their_images() -> None:
    interval = mean_interval([1.0, 1.0, 1.0, 5.0], seed="s")
    clustered = average_interval([[1.0, 1.0, 1.0, 5.0]], seed="s", clusters=[["a", "a", "a", "b"]])
    assert clustered.mean == interval.mean == 2.0
    assert (clustered.images, clustered.clusters) == (4, 2)
    assert (clustered.low, clustered.high) == (1.0, 5.0)
    alone = average_interval([[1.0, 2.0]], seed="s", clusters=[["a", "a"]])
    assert (alone.low, alone.high, alone.method) == (None, None, "none")


def test_the_least_p_is_that_of_the_sign_flips_and_holm() -> None:
    assert (least_p(5, 1), least_p(8, 1), least_p(5, 3)) == (0.0625, 2 / 2**8, 3 * 0.0625)
    assert least_p(1, 1) == least_p(2, 9) == 1.0
    assert not can_be_significant(5, 1)
    assert can_be_significant(6, 1)
