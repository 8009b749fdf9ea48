"""The notebook: from an import to a table and a strip in ten cells, each of which runs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

NOTEBOOK = Path(__file__).resolve().parents[3] / "docs" / "notebook.ipynb"
CELLS = 10


def cells() -> list[dict[str, Any]]:
    """The cells as the file has them."""
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """The value of a cell's last expression, as Jupyter would show it; None where it ends with a statement."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_it_has_ten_cells_without_outputs() -> None:
    assert len(cells()) == CELLS
    assert len({cell["id"] for cell in cells()}) == CELLS
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "import restorebench" in "".join(code[0]["source"])


@pytest.mark.slow
def test_it_runs_to_a_table_and_a_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path / "no-weights"))
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    matplotlib.use("Agg")
    names: dict[str, Any] = {}
    shown = {cell["id"]: run_cell("".join(cell["source"]), names) for cell in cells() if cell["cell_type"] == "code"}
    table = shown["table"]
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["identity", "rbair", "anyir"]
    assert "average" in table.index
    assert np.isfinite(table.to_numpy()).all()
    assert shown["scores"]["rbair"] > shown["scores"]["noisy"] + 3
    titles = [axis.get_title() for axis in plt.gcf().axes]
    assert [title.partition(",")[0] for title in titles] == ["noisy", "rbair", "anyir", "clean"]
    assert titles[-1].endswith("inf dB")
    plt.close("all")
