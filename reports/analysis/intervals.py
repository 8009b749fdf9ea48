"""How sure a mean is: bootstrap intervals over clusters of images.

A cluster is what is independent: the photograph, scene or sequence that images come from (`datasets.clusters`). Whole
clusters are drawn, in all tasks together, so that a photograph used in five tasks counts once.

Efron, "Better bootstrap confidence intervals", JASA 1987. Every random choice is seeded by a text, so no result depends
on the order in which a report is made.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 10_000
CONFIDENCE = 0.95
BATCH = 1000
"""Resamples drawn at once, so that a set of thousands of images needs no gigabytes."""

DECIMALS = 12
"""To which means are compared. Of few clusters many draws are the sample itself in another order; BCa counts how many
means lie below the sample's, and rounding would put those on either side of it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: of the images; for an average, of its tasks' means.
        low, high: None for fewer than two clusters (in any task).
        images: how many, over all tasks.
        clusters: how many they come from; the same one in several tasks counts once.
        method: ``BCa``, ``percentile`` where BCa is not defined, ``exact`` where all values are equal, ``none``.
    """

    mean: float
    low: float | None
    high: float | None
    images: int
    clusters: int
    method: str


def mean_interval(values: Sequence[float], *, seed: str) -> Interval:
    """Mean of per-image values with its bootstrap interval.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    return average_interval([values], seed=seed)


def average_interval(
    tasks: Sequence[Sequence[float]], *, seed: str, clusters: Sequence[Sequence[str]] | None = None
) -> Interval:
    """Mean of the tasks' means, with an interval from resampling clusters.

    Args:
        tasks: values by image.
        seed: of the draws.
        clusters: the cluster of each value, in the same form; a name in two tasks is one cluster. None where every
            value is one of its own.

    Raises:
        ValueError: no task, a task without values, or a value that is not finite.
    """
    samples = [finite(values) for values in tasks]
    if not samples:
        raise ValueError("an average needs at least one task")
    labels = alone(tasks) if clusters is None else [list(names) for names in clusters]
    mean = float(np.mean([sample.mean() for sample in samples]))
    images, count = sum(len(sample) for sample in samples), len({name for names in labels for name in names})
    if any(len(set(names)) < 2 for names in labels):
        return Interval(mean, None, None, images, count, "none")
    if all(np.ptp(sample) == 0 for sample in samples):
        return Interval(mean, mean, mean, images, count, "exact")
    if len(samples) == 1 and count == images:
        low, high, method = _scipy_interval(samples[0], seed)
    else:
        low, high, method = _clustered_interval(samples, labels, mean, seed)
    return Interval(mean, low, high, images, count, method)


def alone(tasks: Sequence[Sequence[float]]) -> list[list[str]]:
    """Names of clusters where every value is its own."""
    return [[f"{task} {place}" for place in range(len(values))] for task, values in enumerate(tasks)]


def finite(values: Sequence[float]) -> Floats:
    """Values as an array.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise ValueError("statistics need finite values, at least one")
    return sample


def _scipy_interval(sample: Floats, seed: str) -> tuple[float, float, str]:
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            bounds = stats.bootstrap(
                (sample,),
                _mean,
                n_resamples=RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                batch=BATCH,
                random_state=generator(seed),
            ).confidence_interval
        if math.isfinite(bounds.low) and math.isfinite(bounds.high):
            return float(bounds.low), float(bounds.high), method
    raise AssertionError("a percentile interval of finite values is finite")


def _mean(values: Floats, axis: int) -> Any:
    """Means to `DECIMALS`: those of the same values in another order are equal."""
    return np.round(np.mean(values, axis=axis), DECIMALS)


@dataclass(frozen=True)
class _Stratum:
    """Tasks that share clusters: sums of values and numbers of images, (tasks, clusters)."""

    sums: Floats
    counts: Floats


def _strata(samples: Sequence[Floats], labels: Sequence[Sequence[str]]) -> list[_Stratum]:
    """Tasks bundled by common clusters, in their order; clusters in the order in which they are met."""
    bundles: list[list[int]] = []
    for task, names in enumerate(labels):
        near = [bundle for bundle in bundles if any(set(labels[other]) & set(names) for other in bundle)]
        joined = [task, *(other for bundle in near for other in bundle)]
        bundles = [*(bundle for bundle in bundles if bundle not in near), joined]
    strata = []
    for bundle in sorted(sorted(bundle) for bundle in bundles):
        places = {name: place for place, name in enumerate(dict.fromkeys(n for task in bundle for n in labels[task]))}
        sums, counts = np.zeros((len(bundle), len(places))), np.zeros((len(bundle), len(places)))
        for row, task in enumerate(bundle):
            columns = [places[name] for name in labels[task]]
            np.add.at(sums[row], columns, samples[task])
            np.add.at(counts[row], columns, 1)
        strata.append(_Stratum(sums, counts))
    return strata


def _clustered_interval(
    samples: Sequence[Floats], labels: Sequence[Sequence[str]], mean: float, seed: str
) -> tuple[float, float, str]:
    """BCa for a mean of means, clusters drawn within strata (Davison and Hinkley, Bootstrap Methods, 1997, ch. 5)."""
    draws, tasks = generator(seed), len(samples)
    means = np.zeros(RESAMPLES)
    influence = []
    for stratum in _strata(samples, labels):
        number = stratum.sums.shape[1]
        drawn = draws.integers(0, number, size=(RESAMPLES, number))
        pull = np.zeros(number)
        for sums, counts in zip(stratum.sums, stratum.counts, strict=True):
            total, own = counts[drawn].sum(axis=1), sums.sum() / counts.sum()
            # A draw may have no image of a task that not all clusters have: it says nothing of that task's mean then.
            means += np.where(total > 0, sums[drawn].sum(axis=1) / np.maximum(total, 1), own) / tasks
            pull += (sums - counts * own) / (tasks * counts.sum())
        influence.append(pull)
    cubes = sum(float((part**3).sum()) for part in influence)
    squares = sum(float((part**2).sum()) for part in influence)
    acceleration = cubes / (6 * squares**1.5) if squares > 0 else 0.0
    apart = np.round(means - mean, DECIMALS)
    below = (np.count_nonzero(apart < 0) + 0.5 * np.count_nonzero(apart == 0)) / RESAMPLES
    tail = (1 - CONFIDENCE) / 2
    levels, method = (tail, 1 - tail), "percentile"
    if 0 < below < 1:
        bias = float(stats.norm.ppf(below))
        shifted = [bias + float(stats.norm.ppf(level)) for level in levels]
        if all(1 - acceleration * z > 0 for z in shifted):
            low, high = (float(stats.norm.cdf(bias + z / (1 - acceleration * z))) for z in shifted)
            levels, method = (low, high), "BCa"
    low, high = np.quantile(means, levels)
    return float(low), float(high), method


def generator(seed: str) -> np.random.Generator:
    """A generator of its own for every text."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big"))
