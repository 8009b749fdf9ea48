"""The README's Python example runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_first_python_example_of_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    example = next(block for block in blocks if "import restorebench" in block)
    environment = {**os.environ, "RESTOREBENCH_WEIGHTS": str(tmp_path / "no-weights")}
    environment.pop("RESTOREBENCH_DATA", None)
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "average" in done.stdout
    assert "mean" in done.stdout
    assert (tmp_path / "results").is_dir()
