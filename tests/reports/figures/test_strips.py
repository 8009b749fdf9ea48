"""A drawn strip shows every column with its score, the crop, and errors on one scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from restorebench.reports.analysis.cells import Group, groups
from restorebench.reports.figures.error_maps import error_map, error_scale
from restorebench.reports.figures.strip_images import Strip, pick
from restorebench.reports.figures.strips import draw_strip

from ..stores import shared_cells


@pytest.fixture(scope="module")
def group() -> Group:
    return groups(shared_cells(suites=("5d",), images=6, side=48))[0]


def test_the_scale_is_common_and_that_of_the_worst_restorer(group: Group) -> None:
    strip = pick(group)[0]

    def alone(kept: int) -> float:
        return error_scale(strip.restored_images[kept : kept + 1], strip.clean)

    scales = [alone(index) for index in range(4)]
    assert error_scale(strip.restored_images, strip.clean) == max(scales)
    assert len(set(scales)) > 1


def texts(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes] + [axes.get_xlabel() for axes in figure.axes]


def test_the_drawing_shows_all_columns_with_their_scores(group: Group) -> None:
    strip = pick(group)[0]
    figure = draw_strip(strip)
    columns = len(strip.restored) + 2
    labels = texts(figure)
    for name in ("degraded", "clean", *(label for label, _, _ in strip.restored)):
        assert name in labels
    assert f"{strip.input_psnr:.2f} dB" in labels
    assert all(f"{psnr:.2f} dB" in labels for _, _, psnr in strip.restored)
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 3 * columns - 1
    crop = pictures[columns].images[0].get_array()
    top, left, height, width = strip.crop
    assert np.array_equal(crop, np.asarray(Image.open(strip.degraded))[top : top + height, left : left + width])
    assert pictures[columns].images[0].get_interpolation() == "nearest"
    maps = [axes.images[0].get_array() for axes in pictures[2 * columns :]]
    scale = error_scale(strip.restored_images, strip.clean)
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
    assert "equal to clean" in texts(draw_strip(exact))
