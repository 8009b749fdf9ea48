"""Views of channels-last memory."""

from __future__ import annotations

import torch

from restorebench.models.layers.layout import channels_last, feature_map, pixel_rows, planes

from .examples import noise


def test_rows_of_pixels_and_planes_undo_each_other() -> None:
    x = noise(2, 3, 4, 5)
    assert torch.equal(pixel_rows(x)[1, 7], x[1, :, 1, 2])
    assert torch.equal(planes(pixel_rows(x), 4, 5), x)


def test_channels_last_and_feature_map_undo_each_other_and_copy_nothing() -> None:
    x = noise(2, 3, 4, 5)
    assert torch.equal(channels_last(x)[1, 2, 3], x[1, :, 2, 3])
    assert torch.equal(feature_map(channels_last(x)), x)
    assert feature_map(channels_last(x)).data_ptr() == x.data_ptr()
