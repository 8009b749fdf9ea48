"""PSNR and SSIM against scikit-image, on real photographs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.protocols.metrics import psnr, ssim, to_y

WINDOWS = {
    ("uniform7", True): {},
    ("uniform7", False): {"use_sample_covariance": False},
    ("gaussian11", True): {"gaussian_weights": True, "sigma": 1.5},
    ("gaussian11", False): {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def photograph_pair(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A photograph of scikit-image's wheel and a version with noise and a shifted level, (H, W, 3) in [0, 1]."""
    clean = getattr(skimage.data, name)()[:141, :203, :3] / 255
    noise = np.random.default_rng(5).standard_normal(clean.shape)
    return np.clip(0.93 * clean + 0.02 + 0.04 * noise, 0, 1), clean


def tensor(image: NDArray[np.generic], dtype: torch.dtype = torch.float64) -> Tensor:
    """(H, W, C) -> (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(dtype)


def oracle(
    restored: NDArray[np.float64], clean: NDArray[np.float64], window: str, sample: bool, data_range: float
) -> float:
    """scikit-image's SSIM in float64."""
    options = WINDOWS[window, sample]
    return float(structural_similarity(restored, clean, data_range=data_range, channel_axis=-1, **options))


@pytest.mark.parametrize("data_range", [1, 255])
@pytest.mark.parametrize(("window", "sample"), WINDOWS)
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_float64_agrees_with_scikit_image(name: str, window: str, sample: bool, data_range: int) -> None:
    restored, clean = (image * data_range for image in photograph_pair(name))
    x, y = tensor(restored), tensor(clean)
    expected = peak_signal_noise_ratio(clean, restored, data_range=data_range)
    assert psnr(x, y, data_range=data_range).item() == pytest.approx(expected, abs=1e-9)
    measured = ssim(x, y, data_range=data_range, window=window, sample_covariance=sample).item()
    assert measured == pytest.approx(oracle(restored, clean, window, sample, data_range), abs=1e-10)


@pytest.mark.parametrize("level", [1.0, 0.08])
@pytest.mark.parametrize(("window", "sample"), WINDOWS)
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_float32_keeps_five_digits(name: str, window: str, sample: bool, level: float) -> None:
    """Also on dark images and where the restored one is almost exact, where naive variances lose their digits."""
    restored, clean = photograph_pair(name)
    for closeness in (1.0, 0.01):
        x = (level * (clean + closeness * (restored - clean))).astype(np.float32)
        y = (level * clean).astype(np.float32)
        exact = peak_signal_noise_ratio(y.astype(np.float64), x.astype(np.float64), data_range=1)
        assert psnr(tensor(x, torch.float32), tensor(y, torch.float32)).item() == pytest.approx(exact, abs=1e-4)
        measured = ssim(tensor(x, torch.float32), tensor(y, torch.float32), window=window, sample_covariance=sample)
        wanted = oracle(x.astype(np.float64), y.astype(np.float64), window, sample, 1)
        assert measured.item() == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize(
    ("degraded", "clean"),
    [
        ("rain100l/input/1.png", "rain100l/target/1.png"),
        ("rain100h/input/1.png", "rain100h/target/1.png"),
        ("sots_outdoor/input/0001_0.8_0.2.jpg", "sots_outdoor/target/0001.png"),
        ("lol_v1_eval15/low/778_input.png", "lol_v1_eval15/high/778.png"),
    ],
)
def test_real_pairs_agree_with_scikit_image(test_data: Path, degraded: str, clean: str) -> None:
    images = []
    for name in (degraded, clean):
        if not (test_data / name).is_file():
            pytest.skip(f"{test_data / name} is not there")
        images.append(np.asarray(Image.open(test_data / name).convert("RGB")) / 255)
    x, y = images
    expected = peak_signal_noise_ratio(y, x, data_range=1)
    similar = {window: oracle(x, y, *window, 1) for window in WINDOWS}
    for dtype, decibels, unit in ((torch.float64, 1e-6, 1e-6), (torch.float32, 1e-4, 1e-5)):
        pair = tensor(x, dtype), tensor(y, dtype)
        assert psnr(*pair).item() == pytest.approx(expected, abs=decibels)
        for window, sample in WINDOWS:
            measured = ssim(*pair, window=window, sample_covariance=sample).item()
            assert measured == pytest.approx(similar[window, sample], abs=unit)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_do_not_depend_on_batch_position_memory_format_or_threads(dtype: torch.dtype) -> None:
    restored, clean = (tensor(image, dtype)[:, :, :97, :131] for image in photograph_pair("astronaut"))
    others = torch.rand(2, 3, 97, 131, generator=torch.Generator().manual_seed(1), dtype=dtype)

    def scores(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return psnr(x, y), ssim(x, y), ssim(x, y, window="gaussian11")

    alone = scores(restored.clone(), clean.clone())
    threads = torch.get_num_threads()
    for position in range(3):
        x = torch.cat([others[:position], restored, others[position:]])
        y = torch.cat([others.flip(0)[:position], clean, others.flip(0)[position:]])
        for memory_format in (torch.contiguous_format, torch.channels_last):
            try:
                torch.set_num_threads(1 + position % 2)
                batch = scores(x.to(memory_format=memory_format), y.to(memory_format=memory_format))
            finally:
                torch.set_num_threads(threads)
            assert [score[position].item() for score in batch] == [score.item() for score in alone]
            assert batch[0].shape == (3,)


@pytest.mark.slow
def test_tiles_do_not_show_in_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (tensor(image) for image in photograph_pair("coffee"))
    whole = {
        window: ssim(x[..., :31, :], y[..., :31, :], window=window).item() for window in ("uniform7", "gaussian11")
    }
    for width, elements in ((320, 213 * 13), (50, 60 * 17), (1, 11 * 11)):
        monkeypatch.setattr("restorebench.benchmarks.protocols.metrics.TILE_WIDTH", width)
        monkeypatch.setattr("restorebench.benchmarks.protocols.metrics.SERIAL_ELEMENTS", elements)
        for window, score in whole.items():
            assert ssim(x[..., :31, :], y[..., :31, :], window=window).item() == pytest.approx(score, abs=1e-13)


def test_identical_images_are_infinite_and_exactly_one() -> None:
    for dtype in (torch.float32, torch.float64):
        image = tensor(photograph_pair("astronaut")[1], dtype)
        assert psnr(image, image.clone()).item() == math.inf
        assert ssim(image, image.clone()).item() == 1.0
        assert ssim(image, image.clone(), window="gaussian11").item() == 1.0


def test_nan_is_never_a_score() -> None:
    x, y = (tensor(image) for image in photograph_pair("astronaut"))
    x[0, 1, 50, 60] = math.nan
    assert math.isnan(psnr(x, y).item())
    assert math.isnan(ssim(x, y).item())


def test_constant_images_by_hand() -> None:
    x, y = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64), torch.full((1, 1, 8, 8), 0.25, dtype=torch.float64)
    assert psnr(x, y).item() == pytest.approx(-20 * math.log10(0.25), abs=1e-12)
    luminance = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)
    assert ssim(x, y).item() == pytest.approx(luminance, abs=1e-12)


@pytest.mark.parametrize(("window", "least"), [("uniform7", 7), ("gaussian11", 11)])
def test_image_smaller_than_the_window_is_refused_with_its_size(window: str, least: int) -> None:
    fits = torch.rand(1, 3, least, least)
    assert ssim(fits, fits, window=window).item() == 1.0
    small = torch.rand(1, 3, least - 1, 40)
    with pytest.raises(UserError, match=rf"{least - 1}x40 pixels.*{least}x{least}"):
        ssim(small, small, window=window)


def test_what_cannot_be_compared_is_refused() -> None:
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(UserError, match=r"\(1, 3, 16, 16\) and \(1, 3, 16, 15\)"):
        psnr(image, image[..., :15])
    with pytest.raises(UserError, match=r"\(3, 16, 16\)"):
        ssim(image[0], image[0])
    with pytest.raises(UserError, match="uint8"):
        psnr(image.byte(), image.byte())
    with pytest.raises(UserError, match=r"float32 and torch\.float64"):
        psnr(image, image.double())
    with pytest.raises(UserError, match="uniform7 or gaussian11"):
        ssim(image, image, window="gauss")  # type: ignore[arg-type]


def test_inputs_are_left_as_they_were_and_gradients_do_not_matter() -> None:
    x, y = (tensor(image) for image in photograph_pair("astronaut"))
    before = x.clone(), y.clone()
    assert not ssim(x.requires_grad_(), y).requires_grad
    assert not psnr(x, y).requires_grad
    assert torch.equal(x.detach(), before[0])
    assert torch.equal(y, before[1])


def test_luma_is_matlabs() -> None:
    """Y of black, white and the primaries as MATLAB's documentation of rgb2ycbcr gives them, and a rounded half."""
    colours = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)]
    image = torch.tensor(colours, dtype=torch.float64).T[:, None]
    assert to_y(image)[0, 0].tolist() == [16, 235, 81, 145, 41, 126]
    levels = np.random.default_rng(0).integers(0, 256, (50, 40, 3))
    exact = np.floor(16.5 + levels @ np.array([65.481, 128.553, 24.966]) / 255)
    for dtype in (torch.float32, torch.float64):
        assert np.array_equal(to_y(tensor(levels, dtype)[0])[0].numpy(), exact)
