"""Views of channels-last memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restorebench.models.layers import host, layout
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


@pytest.fixture
def both_ways(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Tensor]], tuple[Tensor, Tensor]]:
    """What a function returns by convolutions and by products, whatever this processor is quicker at."""

    def ways(compute: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        results = []
        for quicker in (True, False):
            monkeypatch.setattr(layout, "convolutions_multiply_faster", lambda quicker=quicker: quicker)
            with torch.inference_mode():
                results.append(compute().clone())
        return results[0], results[1]

    return ways


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(2, 37, 41, 48), (4096, 33), (1, 2048)])
def test_products_are_the_same_by_either_library(bias: bool, shape: tuple[int, ...], both_ways: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, weight = (torch.randn(*s, generator=generator) for s in (shape, (520, shape[-1])))
    shift = torch.randn(520, generator=generator) if bias else None
    exact = nn.functional.linear(rows.double(), weight.double(), None if shift is None else shift.double())
    for result in both_ways(lambda: layout.product(rows, weight, shift)):
        assert result.is_contiguous()
        torch.testing.assert_close(result.double(), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("turned", [False, True])
def test_products_are_written_and_added_where_they_are_wanted(
    pieces: int, turned: bool, both_ways: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "PIECE_BYTES", 4 * 96 * (5000 // pieces))
    generator = torch.Generator().manual_seed(1)
    rows, weight, total = (torch.randn(*s, generator=generator) for s in ((5000, 40), (96, 40), (5000, 96)))
    shift = torch.randn(96, generator=generator)
    if turned:
        rows, weight = rows.t().contiguous().t(), weight.t().contiguous().t()
    place = torch.empty(2, 5000, 96)
    for compute, expected in (
        (lambda: layout.product_into(place[1], rows, weight, shift), rows @ weight.t() + shift),
        (lambda: layout.product_into(place[1], rows, weight), rows @ weight.t()),
        (lambda: layout.add_product(total, rows, weight), rows @ weight.t() + total),
        (lambda: layout.add_product_(total.clone(), rows, weight), rows @ weight.t() + total),
    ):
        for result in both_ways(compute):
            torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_gradients_graphs_and_lower_dtypes_keep_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "convolutions_multiply_faster", lambda: True)
    rows, weight = torch.randn(4096, 64), torch.randn(64, 64)
    assert not layout._by_convolution(rows, weight)
    with torch.no_grad():
        assert layout._by_convolution(rows, weight)
        assert not layout._by_convolution(rows.bfloat16(), weight.bfloat16())
        assert not layout._by_convolution(rows.double(), weight.double())
        assert not layout._by_convolution(rows.to("meta"), weight.to("meta"))
        assert not layout._by_convolution(rows[:8], weight)
        with torch.autocast("cpu", torch.bfloat16):
            assert not layout._by_convolution(rows, weight)
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
        assert not layout._by_convolution(rows, weight)


@pytest.mark.parametrize(
    ("vendor", "capability", "faster"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_convolutions_are_chosen_where_mkl_has_no_wide_kernels(
    vendor: str, capability: str, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _, **__: f"vendor_id : {vendor}\n")
    assert host.convolutions_multiply_faster.__wrapped__() is faster
