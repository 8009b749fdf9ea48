"""How far a tensor is from the one it should equal."""

from torch import Tensor


def relative_error(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|, Euclidean lengths in float64; tensors of any equal shape."""
    return float((found - expected).detach().double().norm() / expected.detach().double().norm())
