"""Whether one restorer is better than another on the same images.

Tests are paired sign-flip permutation tests (Fisher), corrected by Holm ("A simple sequentially rejective multiple test
procedure", 1979) within a column of a table. Every random choice is seeded by a text, as in `intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from .intervals import BATCH, RESAMPLES, Floats, alone, average_interval, finite, generator

SIGNIFICANT = 0.05
TEST = "paired sign-flip permutation test, two-sided"
ROUNDING = 1e-9
"""Differences smaller than this (dB, or SSIM) are rounding of the arithmetic, and none."""

Mark = Literal["best", "tie", "second"]
ClusterOf = Callable[[str], str]
"""The cluster of an image of a task; the same name in two tasks is one cluster."""


@dataclass(frozen=True)
class Difference:
    """A paired difference of means, first minus second, over the same images.

    Attributes:
        first, second: their means on these images.
        mean, low, high, images, clusters: of the difference, as of an `Interval`.
        p: two-sided p value of the hypothesis that the clusters' differences are symmetric about 0.
        test: its name.
    """

    first: float
    second: float
    mean: float
    low: float | None
    high: float | None
    images: int
    clusters: int
    p: float
    test: str

    def reversed(self) -> Difference:
        """Second minus first."""
        low, high = (None if bound is None else 0.0 - bound for bound in (self.high, self.low))
        return replace(self, first=self.second, second=self.first, mean=0.0 - self.mean, low=low, high=high)


@dataclass(frozen=True)
class Ranking:
    """Who is best in a column.

    Every restorer is tested against the first one, and the p values are corrected by Holm over all these comparisons;
    worse means p below 0.05 then. A restorer with widely spread differences may so tie with the first one although
    another between them is significantly worse. With few clusters no p can be below 0.05 (`least_p`): all
    tie.

    Attributes:
        order: names by mean on the common images, best first; equal means by name.
        best: the first one and all that are not significantly worse than it. One name alone is significantly better
            than every other; several are a tie group.
        second: likewise the first of the rest in `order`, and those of the rest not significantly worse than it,
            corrected over the comparisons within the rest. Empty if all are best.
        adjusted: Holm-adjusted p of the first one against each other: {(first, other): p}.
        images: common images, over all tasks for an average.
        clusters: how many these come from; one in several tasks counts once.
        test: its name.
    """

    order: tuple[str, ...]
    best: frozenset[str]
    second: frozenset[str]
    adjusted: dict[tuple[str, str], float]
    images: int
    clusters: int
    test: str

    def mark(self, name: str) -> Mark | None:
        """How a table marks a restorer; None where there is no other to compare it with."""
        if len(self.order) < 2 or name not in self.order:
            return None
        if name in self.best:
            return "best" if len(self.best) == 1 else "tie"
        return "second" if name in self.second else None

    @property
    def hopeless(self) -> bool:
        """Whether there are too few clusters for any difference to be significant."""
        return len(self.order) > 1 and not can_be_significant(self.clusters, len(self.order) - 1)


def paired_difference(
    a: Mapping[str, float], b: Mapping[str, float], *, seed: str, cluster: ClusterOf | None = None
) -> Difference:
    """Mean of a - b over the images that both have, with interval and test.

    Raises:
        ValueError: no common image.
    """
    return paired_average_difference([a], [b], seed=seed, clusters=None if cluster is None else [cluster])


def paired_average_difference(
    a: Sequence[Mapping[str, float]],
    b: Sequence[Mapping[str, float]],
    *,
    seed: str,
    clusters: Sequence[ClusterOf] | None = None,
) -> Difference:
    """The same for averages: mean over tasks of the mean difference on the common images of each task.

    Raises:
        ValueError: a task without common images.
    """
    differences = _paired(a, b)
    labels = _labels(a, b, differences, clusters)
    interval = average_interval([part.tolist() for part in differences], seed=seed, clusters=labels)
    first, second = (
        float(np.mean([np.mean([task[image] for image in task if image in other]) for task, other in pairs]))
        for pairs in (list(zip(a, b, strict=True)), list(zip(b, a, strict=True)))
    )
    return Difference(
        first=first,
        second=second,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        images=interval.images,
        clusters=interval.clusters,
        p=_sign_flip_p(differences, labels, seed),
        test=TEST,
    )


def _paired(a: Sequence[Mapping[str, float]], b: Sequence[Mapping[str, float]]) -> list[Floats]:
    """Differences on the common images of each task."""
    differences = []
    for first, second in zip(a, b, strict=True):
        common = sorted(first.keys() & second.keys())
        by_image = finite([first[image] - second[image] for image in common])
        differences.append(np.where(np.abs(by_image) < ROUNDING, 0.0, by_image))
    return differences


def _labels(
    a: Sequence[Mapping[str, float]],
    b: Sequence[Mapping[str, float]],
    differences: Sequence[Floats],
    clusters: Sequence[ClusterOf] | None,
) -> list[list[str]]:
    """The cluster of each difference of `_paired`."""
    if clusters is None:
        return alone([part.tolist() for part in differences])
    return [
        [cluster(image) for image in sorted(first.keys() & second.keys())]
        for first, second, cluster in zip(a, b, clusters, strict=True)
    ]


def _sign_flip_p(differences: Sequence[Floats], labels: Sequence[Sequence[str]], seed: str) -> float:
    """Two-sided p of the mean over tasks of mean differences when every cluster's sign may flip."""
    # A mean of means is one weighted sum over all images, and so one sum over clusters.
    sums: dict[str, float] = {}
    for part, names in zip(differences, labels, strict=True):
        for value, name in zip(part / (len(part) * len(differences)), names, strict=True):
            sums[name] = sums.get(name, 0.0) + float(value)
    weighted = np.array(list(sums.values()))
    if all(not part.any() for part in differences) or len(weighted) == 1:
        return 1.0  # scipy refuses a single observation, of which both signs are as extreme
    if len(weighted) > math.log2(RESAMPLES):
        return _random_flips_p(weighted, generator(seed + " test"))
    test = stats.permutation_test(
        (weighted,), np.sum, permutation_type="samples", n_resamples=RESAMPLES, vectorized=True
    )
    return float(min(1.0, test.pvalue))


def _random_flips_p(weighted: Floats, draws: np.random.Generator) -> float:
    """As `scipy.stats.permutation_test` does it, with signs drawn as bits: ten times as fast on a thousand images."""
    observed, extreme = abs(float(weighted.sum())), 0
    for _ in range(RESAMPLES // BATCH):
        bits = np.frombuffer(draws.bytes(BATCH * ((len(weighted) + 7) // 8)), dtype=np.uint8).reshape(BATCH, -1)
        signs = np.unpackbits(bits, axis=1, count=len(weighted)).astype(np.float64)
        sums = 2 * (signs @ weighted) - weighted.sum()
        extreme += int(np.count_nonzero(np.abs(sums) >= observed * (1 - ROUNDING)))
    return (extreme + 1) / (RESAMPLES + 1)


def least_p(clusters: int, comparisons: int) -> float:
    """The smallest p that any of so many comparisons on so many clusters can have after Holm's correction.

    The smallest two-sided p of n sign flips is 2 / 2^n, and Holm multiplies the smallest of k by k.
    """
    return min(1.0, comparisons * 2.0 ** (1 - clusters))


def can_be_significant(clusters: int, comparisons: int) -> bool:
    """Whether any of so many comparisons can be significant: one needs 6 clusters, eleven need 9."""
    return least_p(clusters, comparisons) < SIGNIFICANT


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank_, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank_) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def rank(columns: Mapping[str, Mapping[str, float]], *, seed: str, cluster: ClusterOf | None = None) -> Ranking:
    """Rank restorers by their means on the images that all of them have; higher is better.

    Args:
        columns: scores by image for each restorer.
        seed: of the tests.

    Raises:
        ValueError: nothing to rank, or no common image.
    """
    return rank_averages(
        {name: [scores] for name, scores in columns.items()}, seed=seed, clusters=None if cluster is None else [cluster]
    )


def rank_averages(
    averages: Mapping[str, Sequence[Mapping[str, float]]], *, seed: str, clusters: Sequence[ClusterOf] | None = None
) -> Ranking:
    """Rank restorers by their averages over tasks; scores by image for each task, in one order of tasks.

    Raises:
        ValueError: nothing to rank, or a task without an image that all have.
    """
    if not averages:
        raise ValueError("nothing to rank")
    common = [
        sorted(set.intersection(*(set(scores) for scores in task))) for task in zip(*averages.values(), strict=True)
    ]
    if not all(common):
        raise ValueError("no image that all restorers have")
    means = {
        name: float(
            np.mean([np.mean([scores[i] for i in images]) for scores, images in zip(tasks, common, strict=True)])
        )
        for name, tasks in averages.items()
    }
    shared = {
        name: [{image: scores[image] for image in images} for scores, images in zip(tasks, common, strict=True)]
        for name, tasks in averages.items()
    }
    order = tuple(sorted(means, key=lambda name: (-means[name], name)))
    adjusted = _against_first(order, shared, seed, clusters)
    best = frozenset(name for name in order if name == order[0] or adjusted[order[0], name] >= SIGNIFICANT)
    rest = tuple(name for name in order if name not in best)
    second: frozenset[str] = frozenset()
    if rest:
        against = _against_first(rest, shared, seed, clusters)
        second = frozenset(name for name in rest if name == rest[0] or against[rest[0], name] >= SIGNIFICANT)
    number = (
        sum(map(len, common))
        if clusters is None
        else len({cluster(image) for cluster, images in zip(clusters, common, strict=True) for image in images})
    )
    return Ranking(order, best, second, adjusted, sum(map(len, common)), number, TEST)


def _against_first(
    order: Sequence[str],
    shared: Mapping[str, Sequence[Mapping[str, float]]],
    seed: str,
    clusters: Sequence[ClusterOf] | None,
) -> dict[tuple[str, str], float]:
    """Holm-adjusted p of the first name against each other one."""
    first = order[0]
    p_values = []
    for name in order[1:]:
        differences = _paired(shared[first], shared[name])
        labels = _labels(shared[first], shared[name], differences, clusters)
        p_values.append(_sign_flip_p(differences, labels, seed=f"{seed} {first} {name}"))
    return {(first, name): p for name, p in zip(order[1:], holm(p_values), strict=True)}
