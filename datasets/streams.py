"""Random streams keyed by names, never by order.

Every random choice of the project comes from a stream whose key says what it is for. So an image's degradation does not
depend on which other images are read, in which order, by which process or on which machine.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _encoded(part: str | int | float) -> bytes:
    """`part` with its type and length, so that no two lists of parts give the same bytes."""
    match part:
        case bool():
            raise TypeError("a stream's key is made of str, int and float, not bool")
        case str():
            kind, text = "s", part
        case int():
            kind, text = "i", str(part)
        case float():
            kind, text = "f", float(part).hex()  # exact, and free of numpy's repr
        case _:
            raise TypeError(f"a stream's key is made of str, int and float, not {type(part).__name__}")
    data = text.encode("utf-8", "surrogateescape")  # a file name may have bytes that are no UTF-8
    return f"{kind}{len(data)}:".encode() + data


def rng_for(*parts: str | int | float) -> np.random.Generator:
    """A generator that depends on `parts` alone, the same on every machine.

    The parts are joined with their types and lengths (so `("ab", "c")` and `("a", "bc")`, or `1`, `1.0` and `"1"`,
    differ), hashed by SHA-256, and the 256 bits seed a PCG64.

    Args:
        parts: at least one str, int or float.

    Raises:
        ValueError: no parts.
        TypeError: a part of another type.
    """
    if not parts:
        raise ValueError("rng_for() needs at least one part as its key")
    digest = hashlib.sha256(b"".join(_encoded(part) for part in parts)).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
