"""Strips of rows: none is so short that threads wait longer than they work, and no bit depends on that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from restorebench.models.layers import row_strips
from restorebench.models.layers.row_strips import LEAST_ELEMENTS, feed_forward_, rows_of_strip, strip_ends


@pytest.mark.parametrize(
    ("height", "rows", "elements", "ends"),
    [
        (256, 64, 16_000, [64, 128, 192, 256]),
        (257, 64, 16_000, [64, 128, 192, 257]),
        (257, 64, 70_000, [64, 128, 192, 256, 257]),
        (65, 64, 16_000, [65]),
        (40, 64, 16_000, [40]),
    ],
)
def test_a_short_last_strip_is_joined_with_the_one_before(
    height: int, rows: int, elements: int, ends: list[int]
) -> None:
    assert strip_ends(height, rows, elements, LEAST_ELEMENTS) == ends


def test_strips_that_are_added_up_stay_as_they_are() -> None:
    assert strip_ends(257, 64, 16_000, 0) == [64, 128, 192, 256, 257]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(("channels", "hidden", "width"), [(18, 24, 256), (12, 16, 300), (48, 127, 200)])
@pytest.mark.parametrize("rest", [1, 2])
@pytest.mark.usefixtures("threads")
def test_joining_changes_no_bit(
    channels: int, hidden: int, width: int, rest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of_strip(width, 2 * hidden)
    height = 2 * rows + rest
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, channels, height, width, generator=generator).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(channels, 2 * hidden, 1, bias=False),
        nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False),
        nn.Conv2d(hidden, channels, 1, bias=False),
    )
    seen: list[int] = []
    true_strips = row_strips.depthwise_strips

    def watched(*arguments: object, **options: object) -> Iterator[tuple[int, int, torch.Tensor]]:
        for first, end, strip in true_strips(*arguments, **options):  # type: ignore[arg-type]
            seen.append(end - first)
            yield first, end, strip

    monkeypatch.setattr(row_strips, "depthwise_strips", watched)
    with torch.inference_mode():
        joined = feed_forward_(image.clone(memory_format=torch.channels_last), lambda t: t, *layers)
        assert seen == ([rows, rows + rest] if rest * width * 2 * hidden <= LEAST_ELEMENTS else [rows, rows, rest])
        monkeypatch.setattr(row_strips, "LEAST_ELEMENTS", 0)
        apart = feed_forward_(image.clone(memory_format=torch.channels_last), lambda t: t, *layers)
    assert seen[-1] == rest
    assert torch.equal(joined, apart)
