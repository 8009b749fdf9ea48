"""Figures show the store's values, tell measured from published, and are the same bytes each time."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from restorebench.reports.analysis.cells import Group, StoredCell, groups, read_cells
from restorebench.reports.analysis.costs import AXES, cost_points, pareto, published_points
from restorebench.reports.errors import ReportError
from restorebench.reports.figures.costs import draw_costs
from restorebench.reports.figures.options import StripOptions
from restorebench.reports.figures.scores import bars, draw_bars, draw_paired, paired
from restorebench.reports.figures.style import COLOURS, save, styles
from restorebench.reports.figures.writer import write_figures

from ..analysis.test_costs import changed, on_standard_sets
from ..stores import write_store

pytestmark = pytest.mark.slow

PARAMETERS, MACS, LATENCY, MEMORY = AXES
SIZES = {"kbnet": 400_000, "daair": 2_000_000, "anyir": 900_000, "rbair": 27_000_000}


def sized(cell: StoredCell) -> dict[str, Any]:
    """Parameters that differ and span more than a decade."""
    parameters = SIZES.get(cell.record.model, 0)
    statement = "multiply-adds; 1x3x256x256"
    return {"complexity": dataclasses.replace(cell.record.complexity, parameters=parameters, statement=statement)}


@pytest.fixture(scope="module")
def embedded() -> Group:
    return changed(sized, suites=("5d",), images=6)[0]


@pytest.fixture(scope="module")
def standard() -> Group:
    return changed(lambda cell: {**sized(cell), **on_standard_sets(cell)}, suites=("5d",), images=6)[0]


def drawn(figure: Figure | None) -> tuple[Figure, Axes]:
    assert figure is not None
    return figure, figure.axes[0]


def lines(axes: Axes, gid: str) -> list[Any]:
    return [line for line in axes.lines if line.get_gid() == gid]


def caption(figure: Figure) -> str:
    return " ".join(figure.texts[0].get_text().split())


def test_measured_points_are_filled_and_at_the_stores_values(embedded: Group) -> None:
    figure, axes = drawn(draw_costs(embedded, PARAMETERS, styles_of(embedded), published=True))
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in lines(axes, "measured")}
    assert points == {(p.params / 1e6, p.psnr) for p in cost_points(embedded, published=False) if p.params}
    assert all(line.get_markerfacecolor() != "none" for line in lines(axes, "measured"))
    assert lines(axes, "published") == []
    assert "Published points left out: measured on embedded-256" in caption(figure)
    assert axes.get_xscale() == "log"


def test_the_front_goes_through_the_points_that_are_not_dominated(embedded: Group) -> None:
    _, axes = drawn(draw_costs(embedded, PARAMETERS, styles_of(embedded), published=False))
    (front,) = lines(axes, "front")
    expected = [(p.params / 1e6, p.psnr) for p in pareto(cost_points(embedded, published=False), "params") if p.params]
    assert list(zip(front.get_xdata(), front.get_ydata(), strict=True))[:-1] == expected
    assert front.get_xdata()[-1] == pytest.approx(axes.get_xlim()[1])
    assert front.get_drawstyle() == "steps-post"


def test_the_input_is_a_line_and_no_point(embedded: Group) -> None:
    _, axes = drawn(draw_costs(embedded, PARAMETERS, styles_of(embedded), published=False))
    (level,) = lines(axes, "input")
    assert list(level.get_ydata()) == [embedded.scoreboard.input_level("average")] * 2
    assert len(lines(axes, "measured")) == 4
    assert "Input" not in [text.get_text() for text in axes.texts]


def test_published_points_are_hollow_and_named(standard: Group) -> None:
    figure, axes = drawn(draw_costs(standard, PARAMETERS, styles_of(standard), published=True))
    hollow = lines(axes, "published")
    expected = [p for p in published_points("5d") if p.params is not None]
    assert sorted(line.get_ydata()[0] for line in hollow) == sorted(p.psnr for p in expected)
    assert {line.get_markerfacecolor() for line in hollow} == {"none"}
    names = [text.get_text() for text in axes.texts]
    assert all(p.label in names for p in expected)
    assert "AdaIR, arXiv 2403.14614" in caption(figure)
    assert "Told the degradation: InstructIR-5D, InstructIR, DFPIR." in caption(figure)
    _, without = drawn(draw_costs(standard, PARAMETERS, styles_of(standard), published=False))
    assert lines(without, "published") == []


def test_labels_cover_neither_each_other_nor_points(standard: Group) -> None:
    figure, axes = drawn(draw_costs(standard, PARAMETERS, styles_of(standard), published=True))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 30
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])
        assert axes.get_window_extent().contains(box.x0, box.y0)
        assert axes.get_window_extent().contains(box.x1, box.y1)
    for line in (*lines(axes, "measured"), *lines(axes, "published")):
        x, y = axes.transData.transform((line.get_xdata()[0], line.get_ydata()[0]))
        assert not any(box.contains(x, y) for box in boxes)


def test_captions_name_the_conditions(embedded: Group) -> None:
    macs, _ = drawn(draw_costs(embedded, MACS, styles_of(embedded), published=True))
    assert (
        "5d on embedded-256; protocol promptir@1; 6 images a task, of the same 6 scenes; device a CPU; dtype float32"
        in caption(macs)
    )
    assert "Multiply-adds counted at 1x3x256x256, without Fourier transforms." in caption(macs)
    latency, _ = drawn(draw_costs(embedded, LATENCY, styles_of(embedded), published=True))
    assert "images of 256x256, batch 1, a CPU, 2 threads" in caption(latency)
    memory, _ = drawn(draw_costs(embedded, MEMORY, styles_of(embedded), published=True))
    assert "Memory of one pass over 1x3x256x256, live tensors" in caption(memory)


def test_restorers_without_the_value_are_named() -> None:
    group = changed(lambda cell: {"cost": None} if cell.record.model == "kbnet" else {}, suites=("5d",), images=3)[0]
    figure, axes = drawn(draw_costs(group, LATENCY, styles_of(group), published=False))
    assert len(lines(axes, "measured")) == 3
    assert axes.get_xscale() == "linear"
    assert "Not shown, without a value: KBNet (tiny)." in caption(figure)


def test_bars_are_the_mean_gains_over_the_input(embedded: Group) -> None:
    figure, axes = drawn(draw_bars(embedded, styles_of(embedded)))
    heights = {}
    for container in axes.containers:
        if label := container.get_label():
            heights[label] = [bar.get_height() for bar in getattr(container, "patches", [])]
    labels = [c.label for c in embedded.restorers if not c.is_input]
    assert [label for label in heights if not label.startswith("_")] == labels
    for restorer in embedded.restorers[1:]:
        cells = [restorer.cells[task] for task in embedded.tasks]
        means = [float(np.mean([row.psnr - row.input_psnr for row in cell.rows])) for cell in cells]
        assert heights[restorer.label] == pytest.approx([*means, float(np.mean(means))], abs=1e-9)
    assert lines(axes, "input")[0].get_ydata()[0] == 0
    hatches = {bar.get_hatch() for container in axes.containers for bar in getattr(container, "patches", [])}
    assert len(hatches) == 4
    assert "95 % bootstrap interval" in caption(figure)
    assert "input" in axes.get_xticklabels()[0].get_text()


def test_every_bar_has_its_interval(embedded: Group) -> None:
    gains = bars(embedded)
    assert len(gains) == 4 * 6
    for bar in gains:
        assert bar.gain.low is not None
        assert bar.gain.high is not None
        assert bar.gain.low < bar.gain.mean < bar.gain.high


def test_an_unfinished_restorer_has_bars_but_no_average() -> None:
    group = changed(
        lambda c: {"scored": 5} if c.record.model == "kbnet" and c.record.task == "derain" else {}, images=6
    )[1]
    kbnet = [bar.task for bar in bars(group) if bar.label == "KBNet (tiny)"]
    assert kbnet == list(group.tasks)


def test_paired_differences_are_those_of_the_best_against_each(embedded: Group) -> None:
    task = embedded.tasks[0]
    pairs = paired(embedded, task)
    scores = {c.label: c.cells[task].values("psnr") for c in embedded.restorers if not c.is_input}
    means = {label: np.mean(list(values.values())) for label, values in scores.items()}
    order = sorted(means, key=lambda label: -means[label])
    assert [pair.best for pair in pairs] == [order[0]] * 3
    assert [pair.rival for pair in pairs] == order[1:]
    for pair in pairs:
        for name, difference in pair.differences.items():
            assert difference == pytest.approx(scores[pair.best][name] - scores[pair.rival][name])
        assert pair.difference.mean == pytest.approx(means[pair.best] - means[pair.rival])
    figure, axes = drawn(draw_paired(embedded, styles_of(embedded)))
    dots = lines(axes, "images")
    assert [sorted(line.get_xdata()) for line in dots] == [sorted(pair.differences.values()) for pair in pairs]
    assert [line.get_xdata()[0] for line in lines(axes, "mean")] == [pair.difference.mean for pair in pairs]
    assert len([panel for panel in figure.axes if panel.get_visible()]) == 5


def test_what_needs_two_restorers_is_not_drawn_of_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_store(tmp_path / "store", suites=("5d",), gains={"identity": 0.0, "rbair": 6.0}, images=3, side=16)
    several = groups(read_cells(tmp_path / "store")[0])
    files = write_figures(several, tmp_path / "figures")
    assert [path.name for path in files] == [
        "5d-embedded-256-promptir-v1-bars.pdf",
        "5d-embedded-256-promptir-v1-bars.png",
    ]
    assert "no figure of PSNR against latency" in caplog.text
    assert "no figure of paired" in caplog.text
    assert "only one restorer" in caplog.text


def test_all_files_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    write_store(tmp_path / "store", suites=("5d",), gains={"rbair": 6.0, "kbnet": 4.0}, images=3, side=24)
    tasks = ("dehaze@embedded-256", "derain@embedded-256")
    several = groups(
        dataclasses.replace(cell, record=dataclasses.replace(cell.record, suite_tasks=tasks))
        for cell in read_cells(tmp_path / "store")[0]
        if cell.record.task_key in tasks
    )
    first = write_figures(several, tmp_path / "a", strips=StripOptions(images={"dehaze": ("image-01.png",)}))
    stem = "5d-embedded-256-promptir-v1"
    stems = [f"psnr-{name}" for name in ("parameters", "macs", "latency", "memory")] + ["bars", "paired"]
    assert [path.name for path in first[:12]] == [f"{stem}-{s}.{kind}" for s in stems for kind in ("pdf", "png")]
    assert (tmp_path / "a" / "strips" / f"{stem}-dehaze-image-01.png") in first
    assert len(first) == 2 * (6 + 2)
    for path in first:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF-1.4")
            assert b"CreationDate" not in content
            assert b"/FontType 3" not in content
        else:
            with Image.open(io.BytesIO(content)) as image:
                assert image.format == "PNG"
                assert image.width >= 1200
                assert image.height >= 300
    again = write_figures(several, tmp_path / "b", strips=StripOptions(images={"dehaze": ("image-01.png",)}))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in first]
    assert not list(tmp_path.glob("a/.*")) + list(tmp_path.glob("a/strips/.*"))


def test_a_name_that_no_group_has_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "store", gains={"rbair": 6.0}, images=2, previews=False)
    several = groups(read_cells(tmp_path / "store")[0])
    with pytest.raises(ReportError, match="no image 'image-9"):
        write_figures(several, tmp_path / "figures", strips=StripOptions(images={"lowlight": ("image-9.png",)}))
    with pytest.raises(ReportError, match="no task 'snow'"):
        write_figures(several, tmp_path / "figures", strips=StripOptions(images={"snow": ("image-01.png",)}))
    assert not (tmp_path / "figures").exists()


def test_restorers_keep_their_look_and_no_two_are_alike() -> None:
    looks = styles(f"restorer {index:02d}" for index in range(60))
    assert len(set(looks.values())) == 60
    first = list(looks.values())[: len(COLOURS)]
    assert len({look.colour for look in first}) == len({look.marker for look in first}) == len(first)
    assert len({look.hatch for look in first}) == len(first)
    assert styles(["b", "a", "a"]) == dict(zip("ab", list(looks.values())[:2], strict=True))


def test_a_failed_write_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        save(Figure(), tmp_path, "figure")
    assert list(tmp_path.iterdir()) == []


def test_the_users_matplotlib_settings_change_nothing(embedded: Group, tmp_path: Path) -> None:
    plain = save(drawn(draw_bars(embedded, styles_of(embedded)))[0], tmp_path / "a", "f")
    with mpl.rc_context({"font.size": 20, "savefig.facecolor": "red", "lines.linewidth": 9}):
        other = save(drawn(draw_bars(embedded, styles_of(embedded)))[0], tmp_path / "b", "f")
        assert mpl.rcParams["font.size"] == 20
    assert [path.read_bytes() for path in plain] == [path.read_bytes() for path in other]


def styles_of(group: Group) -> dict[str, Any]:
    return styles(c.label for c in group.restorers if not c.is_input)
