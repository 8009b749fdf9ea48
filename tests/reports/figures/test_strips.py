"""Strips show the image on which restorers differ most, where they differ most, with errors on one scale."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from restorebench.reports.analysis.cells import Group, groups, read_cells
from restorebench.reports.errors import ReportError
from restorebench.reports.figures.strips import Strip, draw, error_map, error_scale, find_crop, knows, pick

from ..stores import write_store

DEHAZE = "dehaze@embedded-256"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), suites=("5d",), images=6, side=48)


@pytest.fixture(scope="module")
def group(store: Path) -> Group:
    return groups(read_cells(store)[0])[0]


def restorers_spread(group: Group, task: str) -> dict[str, float]:
    scores = [c.cells[task].values("psnr") for c in group.contenders if not c.is_input]
    return {name: max(s[name] for s in scores) - min(s[name] for s in scores) for name in scores[0]}


def saved(path: Path, image: np.ndarray) -> Path:
    Image.fromarray(image).save(path)
    return path


def test_each_task_gives_its_image_of_largest_spread(group: Group) -> None:
    strips = pick(group)
    assert [strip.task_key for strip in strips] == list(group.tasks)
    for strip in strips:
        spreads = restorers_spread(group, strip.task_key)
        assert strip.image == max(spreads, key=spreads.__getitem__)
        assert strip.spread == pytest.approx(spreads[strip.image])
        assert [label for label, _, _ in strip.restored] == [c.label for c in group.contenders if not c.is_input]


def test_several_images_come_by_falling_spread(group: Group) -> None:
    spreads = [strip.spread for strip in pick(group, count=3) if strip.task_key == DEHAZE]
    assert len(spreads) == 3
    assert spreads == sorted(spreads, reverse=True)


def test_scores_are_those_of_the_store(group: Group) -> None:
    strip = pick(group)[0]
    for label, path, psnr in strip.restored:
        cell = next(c for c in group.contenders if c.label == label).cells[DEHAZE]
        assert psnr == cell.values("psnr")[strip.image]
        assert path == cell.restored_preview(strip.image)
        assert strip.input_psnr == cell.values("input_psnr")[strip.image]


def test_a_named_image_is_taken_and_the_others_stay_automatic(group: Group) -> None:
    strips = pick(group, images={"dehaze": "image-02.png"})
    assert [(s.image, s.chosen) for s in strips if s.task_key == DEHAZE] == [("image-02.png", True)]
    assert [s.chosen for s in strips].count(True) == 1
    assert len(strips) == 5


def test_an_image_without_some_preview_is_passed_over(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), images=4, side=16)
    group = groups(read_cells(tmp_path)[0])[0]
    first = pick(group)[0]
    first.restored[1][1].unlink()
    second = pick(group)[0]
    assert second.image != first.image
    spreads = restorers_spread(group, DEHAZE)
    assert second.spread == pytest.approx(sorted(spreads.values())[-2])
    named = pick(group, images={DEHAZE: first.image})[0]
    assert len(named.restored) == 3


def test_a_restorer_without_previews_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_store(tmp_path, suites=("5d",), images=4, side=16)
    shutil.rmtree(next((tmp_path / "5d" / "kbnet").glob("*/previews")))
    group = groups(read_cells(tmp_path)[0])[0]
    strips = pick(group)
    assert len(strips) == 5
    assert sorted(len(strip.restored) for strip in strips) == [3, 4, 4, 4, 4]
    assert "without KBNet (tiny): the run kept no previews" in caplog.text


def test_a_store_without_previews_gives_no_strip(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), images=4, previews=False)
    group = groups(read_cells(tmp_path)[0])[0]
    assert pick(group) == []
    with pytest.raises(ReportError, match="previews=all"):
        pick(group, images={DEHAZE: "image-02.png"})


def test_unknown_names_are_refused_with_near_ones(group: Group) -> None:
    with pytest.raises(ReportError, match=r"no image 'image-2.png' \(did you mean 'image-0"):
        pick(group, images={DEHAZE: "image-2.png"})
    with pytest.raises(ReportError, match=r"no task 'dehaze@embedded' \(did you mean 'dehaze@embedded-256'"):
        pick(group, images={"dehaze@embedded": "image-02.png"})
    assert knows(group, "dehaze", "image-02.png")
    assert not knows(group, "dehaze", "image-99.png")
    assert not knows(group, "haze", "image-02.png")


def test_the_crop_is_where_restored_images_differ(tmp_path: Path) -> None:
    clean = np.full((64, 100, 3), 100, np.uint8)
    other = clean.copy()
    other[40:56, 70:95] = 180
    paths = [saved(tmp_path / "a.png", clean), saved(tmp_path / "b.png", other)]
    assert find_crop(paths, paths[0]) == (40, 70, 16, 25)
    assert find_crop(paths[1:], paths[0]) == (40, 70, 16, 25)


@pytest.mark.parametrize("corner", [(0, 0), (0, 88), (52, 0), (52, 88)])
def test_the_crop_stays_inside(tmp_path: Path, corner: tuple[int, int]) -> None:
    clean = np.full((64, 100, 3), 100, np.uint8)
    other = clean.copy()
    other[corner[0] : corner[0] + 12, corner[1] : corner[1] + 12] = 180
    top, left, height, width = find_crop(
        [saved(tmp_path / "a.png", clean), saved(tmp_path / "b.png", other)], saved(tmp_path / "c.png", clean)
    )
    assert (height, width) == (16, 25)
    assert 0 <= top <= corner[0]
    assert 0 <= left <= corner[1]
    assert corner[0] + 12 <= top + height <= 64
    assert corner[1] + 12 <= left + width <= 100


def test_the_crop_of_equal_images_is_the_middle(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.full((64, 32, 3), 7, np.uint8))
    assert find_crop([path, path], path) == (24, 12, 16, 8)


def test_the_error_map_is_black_without_error_and_light_at_the_scale(tmp_path: Path) -> None:
    clean = np.full((8, 8, 3), 100, np.uint8)
    other = clean.copy()
    other[0, 0] = (130, 100, 100)
    other[0, 1] = (80, 120, 80)
    other[0, 2] = 0
    colours = error_map(saved(tmp_path / "a.png", other), saved(tmp_path / "c.png", clean), 20)
    table = matplotlib.colormaps["inferno"]
    assert colours.shape == (8, 8, 3)
    assert colours.dtype == np.uint8
    assert tuple(colours[5, 5]) == table(0.0, bytes=True)[:3]
    assert tuple(colours[0, 0]) == table(0.5, bytes=True)[:3]
    assert tuple(colours[0, 1]) == tuple(colours[0, 2]) == table(1.0, bytes=True)[:3]


def test_another_size_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    clean = saved(tmp_path / "c.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ReportError, match="4x8 pixels, the clean image has 8x8"):
        error_map(saved(tmp_path / "a.png", np.zeros((8, 4, 3), np.uint8)), clean, 1)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ReportError, match=r"b\.png: not a readable preview"):
        error_map(tmp_path / "b.png", clean, 1)


def test_the_scale_is_common_and_that_of_the_worst_restorer(group: Group) -> None:
    strip = pick(group)[0]

    def alone(kept: int) -> float:
        return error_scale(dataclasses.replace(strip, restored=strip.restored[kept : kept + 1]))

    scales = [alone(index) for index in range(4)]
    assert error_scale(strip) == max(scales)
    assert len(set(scales)) > 1


def texts(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes] + [axes.get_xlabel() for axes in figure.axes]


def test_the_drawing_shows_all_columns_with_their_scores(group: Group) -> None:
    strip = pick(group)[0]
    figure = draw(strip)
    columns = len(strip.restored) + 2
    shown = texts(figure)
    for name in ("degraded", "clean", *(label for label, _, _ in strip.restored)):
        assert name in shown
    assert f"{strip.input_psnr:.2f} dB" in shown
    assert all(f"{psnr:.2f} dB" in shown for _, _, psnr in strip.restored)
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 3 * columns - 1
    crop = pictures[columns].images[0].get_array()
    top, left, height, width = strip.crop
    assert np.array_equal(crop, np.asarray(Image.open(strip.degraded))[top : top + height, left : left + width])
    assert pictures[columns].images[0].get_interpolation() == "nearest"
    maps = [axes.images[0].get_array() for axes in pictures[2 * columns :]]
    scale = error_scale(strip)
    for path, drawn in zip([strip.degraded, *(p for _, p, _ in strip.restored)], maps, strict=True):
        assert np.array_equal(drawn, error_map(path, strip.clean, scale))
    caption = figure.texts[0].get_text()
    assert "largest spread between restorers" in caption
    assert f"one scale up to {scale:g}" in caption
    assert "promptir@1" in caption


def test_a_restored_image_equal_to_the_clean_one_is_said_so(group: Group) -> None:
    strip: Strip = pick(group)[0]
    label, _, _ = strip.restored[0]
    exact = dataclasses.replace(strip, restored=((label, strip.clean, float("inf")), *strip.restored[1:]))
    assert "equal to clean" in texts(draw(exact))
