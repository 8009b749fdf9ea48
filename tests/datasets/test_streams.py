from __future__ import annotations

import numpy as np
import pytest

from restorebench.datasets import rng_for


def test_same_parts_give_the_same_numbers_and_a_fresh_stream():
    first = rng_for("noise", 25, "chelsea").standard_normal(8)
    assert np.array_equal(first, rng_for("noise", 25, "chelsea").standard_normal(8))


def test_the_stream_is_the_recorded_one():
    """The numbers must never change: every degraded image hangs on them."""
    expected = [410446249734733718]
    assert rng_for("embedded", "derain", 1, 0.5).integers(0, 2**63, size=1).tolist() == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", "b"), ("ab",)),
        (("1",), (1,)),
        ((1,), (1.0,)),
        (("a", ""), ("a",)),
        (("a", "b"), ("b", "a")),
        (("s1:a",), ("a",)),
    ],
)
def test_different_parts_give_different_numbers(one, other):
    assert rng_for(*one).integers(0, 2**63) != rng_for(*other).integers(0, 2**63)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    rng_for("a").random(5)
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("part", [True, None, b"bytes", ("a",)])
def test_other_types_are_refused(part):
    with pytest.raises(TypeError, match="made of str, int and float"):
        rng_for("a", part)


def test_an_empty_key_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        rng_for()
