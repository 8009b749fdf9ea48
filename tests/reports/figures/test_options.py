"""Figures look as asked: width, type, captions, limits, intervals; strips show the images, crops and rows asked for."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from restorebench.benchmarks.commands.report import main
from restorebench.benchmarks.errors import UserError
from restorebench.reports.analysis.cells import Group, groups
from restorebench.reports.analysis.costs import AXES
from restorebench.reports.errors import ReportError
from restorebench.reports.figures.costs import draw_costs
from restorebench.reports.figures.options import HOUSE, STYLES, FigureOptions, crop_of, family, length, limits
from restorebench.reports.figures.scores import draw_bars, draw_paired
from restorebench.reports.figures.strip_images import pick
from restorebench.reports.figures.strips import draw_strip
from restorebench.reports.figures.style import DPI, save, settle, styles

from ..stores import shared_cells, write_store

pytestmark = pytest.mark.slow

COLUMN = STYLES["column"]
DEHAZE = "dehaze@embedded-256"


@pytest.fixture(scope="module")
def group() -> Group:
    return groups(shared_cells(suites=("5d",), images=6, side=48))[0]


def costs(group: Group, options: FigureOptions = HOUSE) -> tuple[Figure, Axes]:
    figure = draw_costs(group, AXES[0], looks(group), published=False, options=options)
    assert figure is not None
    return figure, figure.axes[0]


def looks(group: Group) -> dict[str, object]:
    return styles(c.label for c in group.restorers if not c.is_input)  # type: ignore[return-value]


def test_a_column_of_a_paper_holds_every_figure_with_nothing_cut_and_no_label_on_another(group: Group) -> None:
    bars, paired = draw_bars(group, looks(group), COLUMN), draw_paired(group, looks(group), COLUMN)  # type: ignore[arg-type]
    figures = [costs(group, COLUMN)[0], bars, paired, draw_strip(pick(group)[0], COLUMN)]
    for figure in figures:
        assert figure is not None
        settle(figure)
        assert figure.get_figwidth() == pytest.approx(3.4)
        width, height = figure.canvas.get_width_height()
        figure.draw_without_rendering()
        for axes in figure.axes:
            if axes.get_visible():
                box = axes.get_tightbbox()
                assert box is not None
                assert box.x0 >= -1
                assert box.x1 <= width + 1
                assert box.y0 >= -1
                assert box.y1 <= height + 1
            if axes.get_ylabel().startswith("error"):  # along the scale of error maps, and not into what is above
                assert axes.yaxis.label.get_window_extent().height <= axes.get_window_extent().height + 3
            ticks = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
            assert not any(one.overlaps(other) for one, other in combinations(ticks, 2))


def test_type_and_width_are_those_asked_for(group: Group, tmp_path: Path) -> None:
    options = FigureOptions(width=5, font_size=10, font_family="DejaVu Serif")
    figure, axes = costs(group, options)
    assert axes.xaxis.label.get_size() == 10
    assert axes.xaxis.label.get_fontname() == "DejaVu Serif"
    png = next(path for path in save(figure, tmp_path, "f", options) if path.suffix == ".png")
    with Image.open(png) as image:
        assert image.width == 5 * DPI


def test_a_caption_can_stand_beside_the_picture_or_nowhere(group: Group, tmp_path: Path) -> None:
    inside, _ = costs(group)
    beside, _ = costs(group, FigureOptions(caption="beside"))
    nowhere, _ = costs(group, FigureOptions(caption="none"))
    assert inside.texts
    assert not beside.texts
    assert not nowhere.texts
    files = save(beside, tmp_path, "f", FigureOptions(caption="beside"))
    assert [path.name for path in files] == ["f.pdf", "f.png", "f.txt"]
    text = (tmp_path / "f.txt").read_text(encoding="utf-8")
    assert text.split() == inside.texts[0].get_text().split()
    assert beside.get_figheight() < inside.get_figheight()
    assert [path.name for path in save(nowhere, tmp_path, "n", FigureOptions(caption="none"))] == ["n.pdf", "n.png"]


def test_quality_against_cost_spans_the_restorers_and_says_where_the_input_is(group: Group) -> None:
    _, axes = costs(group)
    low, high = axes.get_ylim()
    level = group.scoreboard.input_level("average")
    scores = [group.scoreboard.score(c.label, "average") for c in group.restorers if not c.is_input]
    assert level is not None
    assert level < low
    assert f"degraded input ({level:.2f} dB, below)" in [text.get_text() for text in axes.get_legend().get_texts()]
    ends = [end for score in scores if score for end in (score.low, score.high) if end is not None]
    assert low < min(ends)
    assert max(ends) < high
    assert max(ends) - min(ends) > 0.7 * (high - low)
    _, own = costs(group, FigureOptions(y_limits=(10, 40)))
    assert own.get_ylim() == (10, 40)
    assert f"degraded input ({level:.2f} dB)" in [text.get_text() for text in own.get_legend().get_texts()]


def test_points_have_the_intervals_of_the_scoreboard_unless_told_otherwise(group: Group) -> None:
    _, axes = costs(group)
    drawn = {
        tuple(round(float(y), 9) for _, y in segment)
        for container in axes.containers
        for collection in container.lines[2]
        for segment in collection.get_segments()
    }
    scores = [group.scoreboard.score(c.label, "average") for c in group.restorers if not c.is_input]
    assert drawn == {
        (round(s.low, 9), round(s.high, 9)) for s in scores if s and s.low is not None and s.high is not None
    }
    assert not costs(group, FigureOptions(intervals=False))[1].containers
    figure = draw_bars(group, looks(group), FigureOptions(intervals=False, caption="beside"))  # type: ignore[arg-type]
    assert figure is not None
    assert "interval" not in str(figure.get_label())


def test_several_images_and_a_crop_can_be_named(group: Group) -> None:
    strips = pick(group, 0, {"dehaze": ("image-01.png", "image-03.png")}, (8, 4, 20, 10))
    assert [(strip.image, strip.crop) for strip in strips] == [
        ("image-01.png", (4, 8, 10, 20)),
        ("image-03.png", (4, 8, 10, 20)),
    ]
    everywhere = pick(group, 1, None, (0, 0, 48, 48))
    assert {strip.crop for strip in everywhere} == {(0, 0, 48, 48)}
    with pytest.raises(ReportError, match=r"--crop 40,0,20,10: image-.*png of dehaze@embedded-256 has 48x48 pixels"):
        pick(group, 1, None, (40, 0, 20, 10))


@pytest.mark.parametrize(
    ("make", "text", "said"),
    [
        (length, "3.4", 3.4),
        (length, "86mm", 86 / 25.4),
        (length, "245 pt", 245 / 72.27),
        (length, "3.4ft", "give a length"),
        (length, "1in", "between 2in and 40in"),
        (crop_of, "1,2,3,4", (1, 2, 3, 4)),
        (crop_of, "1,2,0,4", "give x,y,width,height"),
        (crop_of, "a", "give x,y,width,height"),
        (limits, "24,32.5", (24, 32.5)),
        (limits, "32,24", "lowest and the highest"),
        (limits, "nan,24", "lowest and the highest"),
        (family, "dejavu serif", "DejaVu Serif"),
        (family, "DejaVu Serfi", "did you mean 'DejaVu Serif"),
    ],
)
def test_options_are_read_or_refused_in_a_line(make: object, text: str, said: object) -> None:
    if isinstance(said, str) and not said.startswith("DejaVu"):
        with pytest.raises(ReportError, match=said):
            make(text)  # type: ignore[operator]
    else:
        assert make(text) == pytest.approx(said) if not isinstance(said, str) else make(text) == said  # type: ignore[operator]


def test_the_command_line_draws_what_is_asked_for(tmp_path: Path) -> None:
    gains = {"identity": 0.0, "rbair": 6.0, "kbnet": 4.0, "anyir": 5.0}
    results = write_store(tmp_path / "s", suites=("3d",), gains=gains, images=3, side=24)
    command = ["figures", "--results", str(results), "--output", str(tmp_path), "--strips", "0", "--style", "column"]
    named = [
        "--images",
        "dehaze=image-01.png",
        "--images",
        "image-02.png",
        "--crop",
        "2,3,10,8",
        "--rows",
        "rbair,kbnet",
    ]
    assert main([*command, *named, "--y-limits", "10,40"]) == 0
    stem = "3d-embedded-256-promptir-v1"
    strips = {path.stem.removeprefix(f"{stem}-") for path in (tmp_path / "figures/strips").glob("*.png")}
    tasks = ("dehaze", "derain", "denoise-15", "denoise-25", "denoise-50")
    assert strips == {"dehaze-image-01", *(f"{task}-image-02" for task in tasks)}
    with Image.open(tmp_path / f"figures/strips/{stem}-dehaze-image-01.png") as image:
        assert image.width == round(3.4 * DPI)
    assert "embedded-256" in (tmp_path / f"figures/{stem}-bars.txt").read_text(encoding="utf-8")
    for wrong, said in (
        (["--rows", "rbiar"], "--rows rbiar: .*did you mean 'rbair'"),
        (["--images", "image-9.png"], "--images image-9.png: no task has an image"),
        (["--images", "=x"], "give NAME"),
        (["--style", "colum"], "did you mean 'column'"),
        (["--font-size", "100"], "4 to 40 points"),
        (["--strips", "-1"], "a number of strips"),
    ):
        with pytest.raises((UserError, ReportError), match=said):
            main([*command, *wrong])
