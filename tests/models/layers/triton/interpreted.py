"""The kernels under Triton's interpreter against the plain operators, on the CPU; run as a program by its tests.

``TRITON_INTERPRET=1 python -m tests.models.layers.triton.interpreted KERNEL`` prints a line of JSON for each result of
each case: its relative distance from the plain operator in float64, and what else was found wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from triton import language as tl
from triton.runtime import interpreter

from .cases import CASES
from .comparison import findings


def with_bfloat16_products(create: Callable[..., Any]) -> Callable[..., Any]:
    """Triton 3.8's interpreter keeps bfloat16 as 16-bit integers, and multiplies these: products get float32."""

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        bits = handle.data.astype(np.uint32) << 16
        return interpreter.TensorHandle(bits.view(np.float32), tl.float32)

    def create_dot(a: Any, b: Any, *others: Any) -> Any:
        return create(widened(a), widened(b), *others)

    return create_dot


def main() -> None:
    create = interpreter.interpreter_builder.create_dot
    interpreter.interpreter_builder.create_dot = with_bfloat16_products(create)
    for case in CASES[sys.argv[1]]:
        for finding in findings(sys.argv[1], case):
            print(json.dumps(asdict(finding)), flush=True)


if __name__ == "__main__":
    main()
