"""Whatever draws or prints says the same of the same: read back from what it made."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from restorebench.reports.analysis.cells import Group, groups, read_cells
from restorebench.reports.analysis.costs import AXES
from restorebench.reports.figures.costs import draw_costs
from restorebench.reports.figures.scores import draw_bars, draw_paired
from restorebench.reports.figures.style import styles
from restorebench.reports.methods import methods_text
from restorebench.reports.page.writer import write_page
from restorebench.reports.tables.comparison import compare
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.printing.formats import write_formats
from restorebench.reports.tables.terminal import terminal_table

from .stores import change_rows, write_store

KEYS = ("dehaze", "derain", "denoise-25", "deblur", "lowlight")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite in which one image of one restorer equals the clean one: infinite PSNR, in no mean."""
    root = write_store(tmp_path_factory.mktemp("store"), suites=("5d",), images=8, side=16, previews=False)
    cell = next(path.parent for path in root.glob("5d/anyir/*/record.json") if '"derain"' in path.read_text())
    change_rows(cell, lambda row: dataclasses.replace(row, psnr=math.inf) if row.image == "image-02.png" else row)
    return root


@pytest.fixture(scope="module")
def group(store: Path) -> Group:
    (only,) = groups(read_cells(store)[0])
    return only


@pytest.fixture(scope="module")
def page(group: Group, store: Path) -> dict[str, Any]:
    """The data inside the page's file."""
    text = write_page([group], store / "report").read_text(encoding="utf-8")
    data = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert data is not None
    (only,) = json.loads(data[1])["groups"]
    return only


@pytest.fixture(scope="module")
def tables(group: Group, store: Path) -> dict[str, str]:
    """The table's files by their suffix."""
    files = write_formats(paper_table(group, suite="5d"), ["csv", "markdown", "latex", "html"], store / "tables")
    return {path.suffix: path.read_text(encoding="utf-8") for path in files if "body" not in path.stem}


def cells(page: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Restorer, task (or average) and numbers of each score of the page."""
    for row in page["rows"]:
        yield row["label"], "average", row["average"]
        for key, score in row["tasks"].items():
            yield row["label"], key.partition("@")[0].replace("-", " "), score


def bounds(numbers: dict[str, Any], digits: int) -> str:
    return f"[{numbers['low']:.{digits}f}, {numbers['high']:.{digits}f}]"


def test_page_and_tables_have_the_same_means_intervals_and_marks(page: dict[str, Any], tables: dict[str, str]) -> None:
    printed = {
        (line["method"], line["task"]): line
        for line in csv.DictReader(tables[".csv"].splitlines())
        if line["metric"] == "psnr"
    }
    marks = {"": None, "best": "best", "tie": "tied", "second": "second"}
    compared = 0
    for label, task, score in cells(page):
        line = printed[label, task]
        assert [float(line[name]) for name in ("mean", "low", "high")] == [score["psnr"], score["low"], score["high"]]
        assert marks[line["mark"]] == score["mark"]
        for kind in (".md", ".tex", ".html"):
            assert bounds(score, 2) in tables[kind]
        compared += 1
    assert compared == 5 * 6
    assert {score["mark"] for _, _, score in cells(page)} >= {None, "tied", "second"}


def by_label(figure: Figure | None, group: Group) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Height and ends of the whisker of each bar, by restorer and place on the axis."""
    assert figure is not None
    axes = figure.axes[0]
    columns = [*KEYS, "average"]
    ends = [tuple(line[:, 1]) for whisker in axes.collections for line in whisker.get_segments()]  # type: ignore[attr-defined]
    bars = [(c.get_label(), bar) for c in axes.containers for bar in getattr(c, "patches", [])]
    assert len(bars) == len(ends) == 4 * 6
    heights = {}
    for (label, bar), (low, high) in zip(bars, ends, strict=True):
        column = columns[round(bar.get_x() + bar.get_width() / 2)]
        heights[str(label), column] = (bar.get_height(), low, high)
    return heights


def test_page_bars_and_terminal_have_the_same_gains(group: Group, page: dict[str, Any]) -> None:
    looks = styles(c.label for c in group.restorers if not c.is_input)
    drawn = by_label(draw_bars(group, looks), group)
    lines = terminal_table([group]).splitlines()
    label = ""
    compared = 0
    for line in (line for line in lines[4:] if not line.startswith("- ")):  # notes below the table aside
        label = next((row["label"] for row in page["rows"] if line.startswith(row["label"])), label)
        row = next(row for row in page["rows"] if row["label"] == label)
        key = next(key for key in (*group.tasks, "average@") if key.partition("@")[0].replace("-", " ") in line)
        gain = {"mean": row["gain"]} if key == "average@" else row["tasks"][key]["gain"]
        mean, low, high = drawn[label, key.partition("@")[0]]
        assert mean == pytest.approx(gain["mean"], abs=1e-12)
        assert f"{mean:+.2f}" in line
        if key != "average@":
            assert (low, high) == pytest.approx((gain["low"], gain["high"]), abs=1e-12)
        compared += 1
    assert compared == 4 * 6


def test_an_infinite_score_is_left_out_of_both_sides_of_a_gain(group: Group, page: dict[str, Any]) -> None:
    cell = next(c for c in group.restorers if c.record.model == "anyir").cells["derain@embedded-256"]
    kept = [row.psnr - row.input_psnr for row in cell.rows if row.psnr < 1000]
    assert len(kept) == len(cell.rows) - 1
    gain = next(row for row in page["rows"] if row["model"] == "anyir")["tasks"]["derain@embedded-256"]["gain"]
    assert gain["mean"] == pytest.approx(sum(kept) / len(kept), abs=1e-12)


@pytest.mark.slow
def test_page_figure_and_comparison_have_the_same_paired_differences(
    group: Group, page: dict[str, Any], store: Path
) -> None:
    labels = [row["label"] for row in page["rows"]]
    looks = styles(c.label for c in group.restorers if not c.is_input)
    figure = draw_paired(group, looks)
    assert figure is not None
    compared = 0
    for key, axes in zip(group.tasks, figure.axes, strict=False):
        best = axes.get_title(loc="left").partition(": ")[2].removesuffix(" minus")
        rivals = [text.get_text() for text in axes.get_yticklabels()]
        intervals = [line.get_xdata() for line in axes.lines if line.get_gid() == "interval"]
        means = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "mean"]
        for rival, (low, high), mean in zip(rivals, intervals, means, strict=True):
            first, second = sorted((labels.index(best), labels.index(rival)))
            pair = page["differences"][key][f"{first}-{second}"]
            turned = labels.index(best) != first
            expected = (pair["mean"], pair["low"], pair["high"])
            assert (mean, low, high) == (tuple(-x for x in (expected[0], *expected[:0:-1])) if turned else expected)
            line = next(
                line
                for line in compare(best, rival, store).splitlines()
                if line.startswith(group.title) and f" {key.partition('@')[0]} " in line
            )
            assert f"{mean:+.3f}" in line
            assert f"[{low:+.3f}, {high:+.3f}]" in line
            compared += 1
    assert compared == 5 * 3


def test_cost_figure_and_summary_have_the_averages_of_the_page(group: Group, page: dict[str, Any]) -> None:
    looks = styles(c.label for c in group.restorers if not c.is_input)
    figure = draw_costs(group, AXES[0], looks, published=False)
    assert figure is not None
    heights = sorted(line.get_ydata()[0] for line in figure.axes[0].lines if line.get_gid() == "measured")
    averages = {row["label"]: row["average"] for row in page["rows"] if not row["isInput"]}
    assert heights == sorted(average["psnr"] for average in averages.values())
    assert [(cost["mean"], cost["low"]) for cost in page["costs"]] == [(a["psnr"], a["low"]) for a in averages.values()]
    best = averages[page["order"][0]]
    (answer,) = (text for name, text in page["facts"] if name == "Best average")
    assert bounds(best, 2) in answer.replace("\u00a0", " ")


def test_the_words_of_methods_table_and_terminal_name_one_way(
    group: Group, tables: dict[str, str], store: Path
) -> None:
    methods = " ".join(methods_text([group]).split())
    for text in (methods, tables[".md"]):
        assert "10,000 resamples" in text
    test = "paired sign-flip permutation test, two-sided"
    for text in (methods, tables[".md"], compare("rbair", "kbnet", store)):
        assert test in text.replace("Paired", "paired")
        assert "0.05" in text
