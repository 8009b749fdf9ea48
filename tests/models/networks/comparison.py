"""How far a tensor is from the one it should equal."""

from torch import Tensor


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected|, Euclidean lengths in float64; tensors of any equal shape."""
    return float((actual - expected).detach().double().norm() / expected.detach().double().norm())
