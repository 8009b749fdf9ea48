"""Numbers of the Triton kernels, run one program after the other by Triton's interpreter."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from .cases import CASES, Case

pytest.importorskip("triton")
RESULTS = {"kernel_basis": 5, "channel_products": 3, "gated_depthwise": 1}
"""Outputs and gradients of a call."""
ROOT = Path(__file__).resolve().parents[4]
BOUNDS = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}
"""Relative distances from float64: sums of float32, and factors and results of 11 and of 8 bits."""


@functools.cache
def results(kernel: str) -> dict[str, list[dict[str, Any]]]:
    """What `interpreted` found, by case. A process of its own: the interpreter is chosen when Triton is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.layers.triton.interpreted", kernel],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        result = json.loads(line)
        found[result["case"]].append(result)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "case"),
    [pytest.param(name, case, id=f"{name} {case}") for name, cases in CASES.items() for case in cases],
)
def test_a_kernel_equals_the_plain_operator(kernel: str, case: Case) -> None:
    """Outputs and gradients: numbers, shapes, memory layout, dtypes."""
    found = results(kernel)[str(case)]
    assert len(found) == RESULTS[kernel]
    for result in found:
        assert result["error"] < BOUNDS[case.dtype], result
        assert result["wrong"] == "", result
