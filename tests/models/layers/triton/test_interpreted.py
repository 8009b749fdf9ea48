"""Numbers of the Triton kernels, run one program after the other by the interpreter, and by a GPU if there is one."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

from .cases import CASES, Case
from .comparison import BOUNDS, RESULTS, Finding, findings

ROOT = Path(__file__).resolve().parents[4]
ALL = pytest.mark.parametrize(
    ("kernel", "case"),
    [pytest.param(name, case, id=f"{name} {case}") for name, cases in CASES.items() for case in cases],
)


@functools.cache
def interpreted(kernel: str) -> dict[str, list[Finding]]:
    """What was found, by case. A process of its own: the interpreter is chosen when Triton is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.layers.triton.interpreted", kernel],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        finding = Finding(**json.loads(line))
        found[finding.case].append(finding)
    return found


def check(found: list[Finding], kernel: str, case: Case) -> None:
    assert len(found) == RESULTS[kernel]
    for finding in found:
        assert finding.error < BOUNDS[case.dtype], finding
        assert finding.wrong == "", finding


@pytest.mark.slow
@ALL
def test_a_kernel_equals_the_plain_operator(kernel: str, case: Case) -> None:
    """Outputs and gradients: numbers, shapes, memory layout, dtypes."""
    check(interpreted(kernel)[str(case)], kernel, case)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@ALL
def test_a_kernel_equals_the_plain_operator_on_a_gpu(kernel: str, case: Case) -> None:
    check(findings(kernel, case, "cuda"), kernel, case)
