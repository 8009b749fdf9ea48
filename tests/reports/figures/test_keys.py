"""A figure is drawn again when something it was drawn from changed, or in doubt, and not otherwise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from restorebench.reports.analysis.cells import Group, groups, read_cells
from restorebench.reports.figures import keys, writer
from restorebench.reports.figures.options import FigureOptions, StripOptions
from restorebench.reports.figures.writer import write_figures

from ..stores import change_rows, write_store

STEM = "5d-embedded-256-promptir-v1"
TASKS = ("dehaze@embedded-256", "derain@embedded-256")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_store(tmp_path / "store", suites=("5d",), gains={"rbair": 6.0, "kbnet": 4.0}, images=3, side=24)


def read(results: Path) -> list[Group]:
    """The store's groups with two tasks, which are quick to draw."""
    return groups(
        dataclasses.replace(cell, record=dataclasses.replace(cell.record, suite_tasks=TASKS))
        for cell in read_cells(results)[0]
        if cell.record.task_key in TASKS
    )


@pytest.fixture
def drawn(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Draw the figures of a store, here as empty ones; the names of those that were drawn, not kept."""
    names: list[str] = []

    def saved(figure: object, folder: Path, stem: str, options: FigureOptions) -> list[Path]:
        names.append(stem.removeprefix(f"{STEM}-"))
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{stem}.{kind}" for kind in ("pdf", "png")]
        for path in files:
            path.write_text(f"{stem} {len(names)}")
        return files

    monkeypatch.setattr(writer, "save", saved)
    for name in ("draw_costs", "draw_bars", "draw_paired", "draw_strip"):
        monkeypatch.setattr(writer, name, lambda *_, **__: Figure())

    def draw(**options: object) -> list[str]:
        names.clear()
        files = write_figures(read(results), tmp_path / "figures", **options)  # type: ignore[arg-type]
        assert all(path.is_file() for path in files)
        return list(names)

    return draw


def test_only_what_changed_is_drawn_again(results: Path, tmp_path: Path, drawn: Callable[..., list[str]]) -> None:
    strips = StripOptions(images={"dehaze": ("image-01.png",), "derain": ("image-00.png",)})
    first = drawn(strips=strips)
    assert len(first) == 6 + 2
    before = {path: path.read_bytes() for path in (tmp_path / "figures").rglob("*") if path.is_file()}
    assert drawn(strips=strips) == []
    assert {path: path.read_bytes() for path in (tmp_path / "figures").rglob("*") if path.is_file()} == before
    one_more = StripOptions(images={"dehaze": ("image-01.png", "image-02.png"), "derain": ("image-00.png",)})
    assert drawn(strips=one_more) == ["dehaze-image-02"]
    assert drawn(strips=dataclasses.replace(strips, crop=(1, 1, 8, 8))) == ["dehaze-image-01", "derain-image-00"]
    cell = next(c for c in read(results)[0].restorers if "KBNet" in c.label).cells[TASKS[1]]
    preview = cell.restored_preview("image-00.png")
    assert preview is not None
    Image.new("RGB", (24, 24), "red").save(preview)
    assert drawn(strips=dataclasses.replace(strips, crop=(1, 1, 8, 8))) == ["derain-image-00"]
    change_rows(cell.folder, lambda row: dataclasses.replace(row, psnr=row.psnr + 0.1))
    again = drawn(strips=dataclasses.replace(strips, crop=(1, 1, 8, 8)))
    assert again == ["psnr-parameters", "psnr-macs", "psnr-latency", "psnr-memory", "bars", "paired", "derain-image-00"]


def test_in_doubt_a_figure_is_drawn(
    tmp_path: Path, drawn: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = StripOptions(count=0)
    drawn(strips=strips)
    folder = tmp_path / "figures"
    (folder / f"{STEM}-bars.pdf").unlink()
    (folder / f"{STEM}-paired.png").write_bytes(b"mine")
    (folder / f"{STEM}-psnr-macs.key").write_text("[]")
    key = folder / f"{STEM}-psnr-latency.key"
    outside = json.loads(key.read_text())
    key.write_text(json.dumps({**outside, "files": {"../x.png": "0"}}))
    (folder / f"{STEM}-psnr-memory.key").unlink()
    assert drawn(strips=strips) == ["psnr-macs", "psnr-latency", "psnr-memory", "bars", "paired"]
    assert drawn(strips=strips, options=FigureOptions(font_size=9))[0] == "psnr-parameters"
    assert drawn(strips=strips, options=FigureOptions(font_size=9)) == []
    monkeypatch.setattr(keys, "_drawing", lambda: "other code")
    assert len(drawn(strips=strips, options=FigureOptions(font_size=9))) == 6
