from __future__ import annotations

import decimal

import numpy as np
import pytest
from scipy import stats

from restorebench.datasets import DataError, rng_for
from restorebench.datasets.degradations.fixedpoint import (
    NORMAL_UNIT,
    bell,
    between,
    decay_curve,
    fixed,
    integers,
    power_curve,
)


def test_integers_are_uniform_and_include_both_ends():
    values = integers(rng_for("integers"), -3, 4, 80_000)
    counts = np.bincount(values + 3, minlength=8)
    assert len(counts) == 8
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_range_of_one_number_gives_it():
    assert integers(rng_for("one"), 7, 7, 3).tolist() == [7, 7, 7]
    assert between(rng_for("one"), (0.25, 0.25), 8) == 64


def test_a_downward_range_is_refused():
    with pytest.raises(DataError, match="upwards"):
        between(rng_for("a"), (1.0, 0.5), 8)


def test_bell_numbers_have_the_moments_of_a_normal_distribution():
    values = bell(rng_for("bell"), 400_000) / NORMAL_UNIT
    assert abs(values.mean()) < 0.006
    assert abs(values.std() - 1) < 0.005
    assert abs(stats.skew(values)) < 0.02
    assert stats.kurtosis(values) == pytest.approx(-1.2 / 8, abs=0.03)


def test_bell_numbers_are_not_correlated():
    values = bell(rng_for("bell"), 100_000).astype(float)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.012
    assert abs(np.corrcoef(values[:50_000], values[50_000:])[0, 1]) < 0.015


@pytest.mark.parametrize("exponent", [1.0, 1.75, 2.2])
def test_power_curve_is_the_rounded_power(exponent):
    bits = fixed(exponent, 8)
    expected = 1e6 * (np.arange(256) / 255) ** (bits / 256)
    assert np.abs(power_curve(bits, 1_000_000) - expected).max() <= 0.5 + 1e-6
    middle = 1e6 * ((np.arange(255) + 0.5) / 255) ** (bits / 256)
    assert np.abs(power_curve(bits, 1_000_000, midpoints=True) - middle).max() <= 0.5 + 1e-6


def test_decay_curve_is_the_rounded_exponential():
    expected = 65536 * np.exp(-0.75 * np.arange(4096) / 4095)
    assert np.abs(decay_curve(192, 4096, 65536) - expected).max() <= 0.5 + 1e-6


def test_curves_do_not_depend_on_the_decimal_context_of_the_thread():
    expected = power_curve(300, 12_345_678)
    power_curve.cache_clear()
    with decimal.localcontext() as context:
        context.prec = 4
        context.rounding = decimal.ROUND_UP
        assert np.array_equal(power_curve(300, 12_345_678), expected)
