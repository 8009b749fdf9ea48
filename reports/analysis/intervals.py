"""How sure a mean is: bootstrap intervals over images.

Efron, "Better bootstrap confidence intervals", JASA 1987. Every random choice is seeded by a text, so no result depends
on the order in which a report is made.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 10_000
CONFIDENCE = 0.95
BATCH = 1000
"""Resamples drawn at once, so that a set of thousands of images needs no gigabytes."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: of the images; for an average, of its tasks' means.
        low, high: None for fewer than two images (in any task).
        images: how many.
        method: ``BCa``, ``percentile`` where BCa is not defined, ``exact`` where all values are equal, ``none``.
    """

    mean: float
    low: float | None
    high: float | None
    images: int
    method: str


def mean_interval(values: Sequence[float], *, seed: str) -> Interval:
    """Mean of per-image values with its bootstrap interval.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    return average_interval([values], seed=seed)


def average_interval(tasks: Sequence[Sequence[float]], *, seed: str) -> Interval:
    """Mean of the tasks' means, with an interval from resampling the images within each task.

    Raises:
        ValueError: no task, a task without values, or a value that is not finite.
    """
    samples = [finite(values) for values in tasks]
    if not samples:
        raise ValueError("an average needs at least one task")
    mean = float(np.mean([sample.mean() for sample in samples]))
    images = sum(len(sample) for sample in samples)
    if any(len(sample) < 2 for sample in samples):
        return Interval(mean, None, None, images, "none")
    if all(np.ptp(sample) == 0 for sample in samples):
        return Interval(mean, mean, mean, images, "exact")
    if len(samples) == 1:
        low, high, method = _scipy_interval(samples[0], seed)
    else:
        low, high, method = _stratified_interval(samples, mean, seed)
    return Interval(mean, low, high, images, method)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            bounds = stats.bootstrap(
                (sample,),
                np.mean,
                n_resamples=RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                batch=BATCH,
                random_state=generator(seed),
            ).confidence_interval
        if math.isfinite(bounds.low) and math.isfinite(bounds.high):
            return float(bounds.low), float(bounds.high), method
    raise AssertionError("a percentile interval of finite values is finite")


def _stratified_interval(samples: Sequence[Floats], mean: float, seed: str) -> tuple[float, float, str]:
    """BCa for a mean over strata (Davison and Hinkley, Bootstrap Methods and their Application, 1997, ch. 5)."""
    draws = generator(seed)
    means = np.zeros(RESAMPLES)
    for sample in samples:
        drawn = draws.integers(0, len(sample), size=(RESAMPLES, len(sample)))
        means += sample[drawn].mean(axis=1) / len(samples)
    influence = [(sample - sample.mean()) / (len(samples) * len(sample)) for sample in samples]
    cubes = sum(float((part**3).sum()) for part in influence)
    squares = sum(float((part**2).sum()) for part in influence)
    acceleration = cubes / (6 * squares**1.5)
    below = (np.count_nonzero(means < mean) + 0.5 * np.count_nonzero(means == mean)) / RESAMPLES
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
