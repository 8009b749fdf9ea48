"""Many processes train as one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .runs import QUICK, SCRIPT, table, train

pytestmark = pytest.mark.slow


def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path, cache: Path) -> None:
    same = ["overrides.width=8", "patches=[{size: 16, batch: 4, until: 1.0}]", "validation.tasks=derain"]
    one = train(tmp_path / "one", cache, *same)
    lines = [*QUICK, *same, f"run={tmp_path / 'two'}", f"data.cache={cache}", "devices=2"]
    done = subprocess.run([sys.executable, str(SCRIPT), "train", *lines], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "training in 2 processes" in done.stderr
    alone, together = table(tmp_path / "one" / "losses.csv"), table(tmp_path / "two" / "losses.csv")
    assert len(alone) == len(together) == 6
    for a, b in zip(alone, together, strict=True):
        assert a.keys() == b.keys()
        for column in a:
            assert (a[column] == "") == (b[column] == ""), column
            if a[column]:
                assert float(a[column]) == pytest.approx(float(b[column]), abs=1e-4), column
    for a, b in zip(
        table(tmp_path / "one" / "validation.csv"), table(tmp_path / "two" / "validation.csv"), strict=True
    ):
        assert float(a["psnr"]) == pytest.approx(float(b["psnr"]), abs=1e-3)
    ours, theirs = one.folder.checkpoint(), torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    assert ours is not None
    assert ours["done"]["steps"] == theirs["done"]["steps"] == 12
