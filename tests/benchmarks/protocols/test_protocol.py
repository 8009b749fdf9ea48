"""Protocols against independent re-computation with numpy and scikit-image."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorebench.benchmarks.errors import RestorationError, UserError
from restorebench.benchmarks.protocols.catalogue import get_protocol, list_protocols
from restorebench.benchmarks.protocols.protocol import GROUPS, Protocol, mean_psnr
from restorebench.datasets.samples import Sample, Task
from restorebench.datasets.suites import resolve
from restorebench.messages import nearest

PROMPTIR = get_protocol("promptir@1")
DENOISE_25 = Task("denoise", "embedded-256", 25)
DERAIN = Task("derain", "embedded-256")


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    """A real photograph, tiled where it is too small: (height, width, 3) uint8."""
    image = skimage.data.coffee()
    return np.tile(image, (2, 2, 1))[:height, :width]


def pair_sample(height: int, width: int) -> Sample:
    """A sample that brings its degraded image."""
    clean = photograph(height, width)
    return Sample("1.png", clean, (clean // 2 + 20).astype(np.uint8), DERAIN)


def restoration(protocol: Protocol, sample: Sample) -> tuple[torch.Tensor, NDArray[np.float32], NDArray[np.uint8]]:
    """A made-up output of the network, the same as (H, W, 3), and the clean image as prepared (H, W, 3)."""
    pair = protocol.prepare(sample)
    generator = torch.Generator().manual_seed(3)
    restored = pair.degraded + 0.05 * torch.randn(pair.degraded.shape, generator=generator)
    return restored, restored.permute(1, 2, 0).numpy(), pair.clean.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("width", "height", "kept_width", "kept_height", "left", "top"),
    [
        (481, 321, 480, 320, 0, 0),
        (600, 400, 592, 400, 4, 0),
        (550, 413, 544, 400, 3, 6),
        (620, 460, 608, 448, 6, 6),
        (1280, 720, 1280, 720, 0, 0),
    ],
)
def test_promptir_crops_to_multiples_of_16(
    width: int, height: int, kept_width: int, kept_height: int, left: int, top: int
) -> None:
    sample = pair_sample(height, width)
    pair = PROMPTIR.prepare(sample)
    window = (slice(top, top + kept_height), slice(left, left + kept_width))
    assert pair.clean.dtype == torch.uint8
    assert pair.degraded.dtype == torch.float32
    assert np.array_equal(pair.clean.permute(1, 2, 0).numpy(), sample.clean[window])
    assert sample.degraded is not None
    expected = sample.degraded[window].astype(np.float32) / 255
    assert np.array_equal(pair.degraded.permute(1, 2, 0).numpy(), expected)


def test_promptir_noise_is_truncated_after_clipping_and_drawn_after_the_crop() -> None:
    clean = photograph(37, 50)
    degraded = PROMPTIR.prepare(Sample("a.png", clean, None, DENOISE_25)).degraded
    cropped = clean[2:34, 1:49]
    key = b"i1:0s5:a.pngi2:25"  # type, length and text of the protocol seed, the file name and sigma
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(key).digest(), "big")))
    n = generator.standard_normal((32, 48, 3))
    levels = np.floor(np.minimum(np.maximum(cropped + 25.0 * n, 0), 255))
    assert np.array_equal(np.rint(degraded.permute(1, 2, 0).numpy() * 255), levels)
    assert np.array_equal(degraded.permute(1, 2, 0).numpy(), levels.astype(np.float32) / np.float32(255))


def test_promptir_noise_is_this_noise() -> None:
    """Known answer: if it changes, every stored denoising score is of another input."""
    grey = np.full((64, 64, 3), 128, np.uint8)
    degraded = PROMPTIR.prepare(Sample("101085.png", grey, None, DENOISE_25)).degraded
    levels = (degraded * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    assert (
        hashlib.sha256(levels.tobytes()).hexdigest()
        == "496e107448e3549b3cd91bc7aab9a93b573d38c88d6cf09dbde23fa69d19e068"
    )


def test_promptir_noise_has_the_stated_statistics() -> None:
    grey = np.full((512, 512, 3), 128, np.uint8)
    for sigma in (15, 25):
        sample = Sample("grey.png", grey, None, Task("denoise", "embedded-256", sigma))
        noise = PROMPTIR.prepare(sample).degraded.double() * 255 - 128
        count = noise.numel()
        # Truncation of a continuous value lowers the mean by one half and adds 1/12 to the variance.
        assert noise.mean().item() == pytest.approx(-0.5, abs=4 * sigma / math.sqrt(count))
        assert noise.var().item() == pytest.approx(sigma**2 + 1 / 12, rel=4 * math.sqrt(2 / count))


def test_promptir_noise_is_the_same_in_any_order_and_subset() -> None:
    samples = [Sample(f"{i}.png", photograph(32, 48), None, DENOISE_25) for i in range(3)]
    alone = {sample.name: PROMPTIR.prepare(sample).degraded for sample in samples}
    for order in itertools.permutations(samples):
        np.random.seed(0)
        for sample in order:
            assert torch.equal(PROMPTIR.prepare(sample).degraded, alone[sample.name])
    assert not torch.equal(alone["0.png"], alone["1.png"])
    stronger = dataclasses.replace(samples[0], task=Task("denoise", "embedded-256", 50))
    weaker = dataclasses.replace(samples[0], task=Task("denoise", "embedded-256", 15))
    scaled = (PROMPTIR.prepare(stronger).degraded - PROMPTIR.prepare(weaker).degraded).abs().mean()
    assert scaled > 0.05
    reseeded = get_protocol("promptir@1", seed=1)
    assert not torch.equal(reseeded.prepare(samples[0]).degraded, alone["0.png"])
    assert reseeded.describe() != PROMPTIR.describe()


def as_authors_have_it(clean: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Clean / 255, divided in float32 as torchvision's ToTensor does."""
    return torch.from_numpy(clean).float().div(255).double().numpy()


def test_promptir_scores_the_clipped_but_unrounded_output() -> None:
    restored, x, clean = restoration(PROMPTIR, pair_sample(101, 131))
    assert (restored < 0).any()
    unit, y = np.clip(x.astype(np.float64), 0, 1), as_authors_have_it(clean)
    scores = PROMPTIR.score(restored, PROMPTIR.prepare(pair_sample(101, 131)).clean)
    assert scores.psnr == pytest.approx(peak_signal_noise_ratio(y, unit, data_range=1), abs=1e-9)
    assert scores.ssim == pytest.approx(structural_similarity(y, unit, data_range=1, channel_axis=-1), abs=1e-10)
    rounded = np.rint(unit * 255) / 255
    assert abs(scores.psnr - peak_signal_noise_ratio(y, rounded, data_range=1)) > 1e-5


def test_moceir_differs_from_promptir_by_the_ssim_window_alone() -> None:
    protocol, sample = get_protocol("moceir@1"), pair_sample(101, 131)
    restored, x, clean = restoration(protocol, sample)
    scores, base = protocol.score(restored, protocol.prepare(sample).clean), PROMPTIR.prepare(sample)
    unit, y = np.clip(x.astype(np.float64), 0, 1), as_authors_have_it(clean)
    gaussian = structural_similarity(y, unit, data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5)
    assert scores.ssim == pytest.approx(gaussian, abs=1e-10)
    assert scores.psnr == PROMPTIR.score(restored, base.clean).psnr
    assert torch.equal(protocol.prepare(sample).degraded, base.degraded)
    assert protocol.describe()["lpips"] == "backbone vgg"


def test_kbnet_reseeds_pads_by_reflection_and_rounds() -> None:
    protocol, clean = get_protocol("kbnet-gauss@1"), photograph(45, 61)
    first = protocol.prepare(Sample("a.png", clean, None, DENOISE_25))
    second = protocol.prepare(Sample("b.png", clean, None, DENOISE_25))
    np.random.seed(seed=0)
    noisy = np.float32(clean) / 255
    noisy += np.random.normal(0, 25 / 255.0, noisy.shape)
    padded = np.pad(noisy, ((0, 3), (0, 3), (0, 0)), mode="reflect")
    assert np.array_equal(first.degraded.permute(1, 2, 0).numpy(), padded)
    assert torch.equal(first.degraded, second.degraded)
    assert first.degraded.min() < 0
    assert np.array_equal(first.clean.permute(1, 2, 0).numpy(), clean)
    restored = np.rint(np.clip(padded.astype(np.float64)[:45, :61], 0, 1) * 255)
    mse = np.mean((restored - clean) ** 2)
    scores = protocol.score(first.degraded, first.clean)
    assert scores.psnr == pytest.approx(20 * math.log10(255 / math.sqrt(mse)), abs=1e-9)
    assert math.isnan(scores.ssim)


@pytest.mark.parametrize("name", ["restormer-y@1", "basicsr-rgb@1"])
def test_restormer_line_scores_rounded_images_with_the_population_window(name: str) -> None:
    protocol, sample = get_protocol(name), pair_sample(83, 101)
    restored, image, clean = restoration(protocol, sample)
    assert clean.shape == (83, 101, 3)
    x, y = np.rint(np.clip(image.astype(np.float64), 0, 1) * 255), clean.astype(np.float64)
    if name == "restormer-y@1":
        weights = np.array([65.481, 128.553, 24.966]) / 255
        x, y = (np.floor(16.5 + z @ weights)[..., None] for z in (x, y))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    scores = protocol.score(restored, protocol.prepare(sample).clean)
    expected = structural_similarity(y, x, data_range=255, channel_axis=-1, **options)
    assert scores.psnr == pytest.approx(peak_signal_noise_ratio(y, x, data_range=255), abs=1e-9)
    assert scores.ssim == pytest.approx(expected, abs=1e-10)


def test_exact_restoration_is_infinite_under_every_protocol() -> None:
    for name in list_protocols():
        protocol = get_protocol(name)
        clean = torch.from_numpy(photograph(48, 64).transpose(2, 0, 1).copy())
        for unit in (clean.float() / 255, clean.double() / 255):
            scores = protocol.score(unit, clean)
            assert scores.psnr == math.inf, name
            assert scores.ssim == 1 or protocol.ssim is None, name


@pytest.mark.parametrize("name", ["promptir@1", "moceir@1"])
def test_one_pixel_off_by_the_least_step_of_float32_is_no_exact_restoration(name: str) -> None:
    clean = torch.from_numpy(photograph(48, 64).transpose(2, 0, 1).copy())
    restored = clean.float() / 255
    restored[0, 24, 32] = torch.nextafter(restored[0, 24, 32], torch.tensor(2.0))
    assert 150 < get_protocol(name).score(restored, clean).psnr < math.inf


@pytest.mark.parametrize("name", ["promptir@1", "moceir@1"])
def test_float32_moves_ordinary_scores_by_less_than_a_hundred_thousandth_of_a_decibel(name: str) -> None:
    restored, image, clean = restoration(get_protocol(name), pair_sample(101, 131))
    scores = get_protocol(name).score(restored, get_protocol(name).prepare(pair_sample(101, 131)).clean)
    exact = peak_signal_noise_ratio(clean / 255, np.clip(image.astype(np.float64), 0, 1), data_range=1)
    assert scores.psnr == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_a_failure_and_never_clipped_away(value: float) -> None:
    pair = PROMPTIR.prepare(pair_sample(32, 48))
    restored = pair.degraded.clone()
    restored[1, 2, 3] = value
    with pytest.raises(RestorationError, match="1 of 4608 restored values are not finite"):
        PROMPTIR.score(restored, pair.clean)


def test_wrong_outputs_are_failures_that_name_the_problem() -> None:
    pair = PROMPTIR.prepare(pair_sample(32, 48))
    with pytest.raises(RestorationError, match=r"\(3, 32, 40\), expected \(3, 32, 48\)"):
        PROMPTIR.score(pair.degraded[..., :40], pair.clean)
    with pytest.raises(RestorationError, match="uint8"):
        PROMPTIR.score(pair.clean, pair.clean)
    kbnet = get_protocol("kbnet-gauss@1")
    noisy = kbnet.prepare(Sample("a.png", photograph(45, 61), None, DENOISE_25))
    with pytest.raises(RestorationError, match=r"\(3, 45, 61\), expected \(3, 48, 64\)"):
        kbnet.score(noisy.degraded[:, :45, :61], noisy.clean)


def test_half_precision_output_is_scored_in_float64() -> None:
    pair = PROMPTIR.prepare(pair_sample(32, 48))
    restored = (pair.degraded * 0.9).to(torch.bfloat16)
    assert PROMPTIR.score(restored, pair.clean) == PROMPTIR.score(restored.double(), pair.clean)


def test_samples_that_do_not_fit_are_refused_by_name() -> None:
    clean = photograph(32, 48)
    with pytest.raises(UserError, match=r"small\.png: 15x48 pixels.*16x16"):
        PROMPTIR.prepare(Sample("small.png", clean[:15], None, DENOISE_25))
    with pytest.raises(UserError, match=r"odd\.png: the degraded image is \(30, 48, 3\)"):
        PROMPTIR.prepare(Sample("odd.png", clean, clean[:30], DERAIN))
    with pytest.raises(UserError, match=r"grey\.png: the clean image is \(32, 48\)"):
        PROMPTIR.prepare(Sample("grey.png", clean[..., 0], None, DENOISE_25))
    with pytest.raises(UserError, match="kbnet-gauss@1 is for denoising only"):
        get_protocol("kbnet-gauss@1").prepare(Sample("a.png", clean, clean, DERAIN))
    with pytest.raises(UserError, match=r"restormer-y@1 needs a degraded image for the task denoise-25@embedded-256"):
        get_protocol("restormer-y@1").prepare(Sample("a.png", clean, None, DENOISE_25))


def test_descriptions_are_plain_data_and_all_different() -> None:
    assert list_protocols()[0] == "promptir@1"
    descriptions = []
    for name in list_protocols():
        description = get_protocol(name).describe()
        assert json.loads(json.dumps(description, allow_nan=False)) == description
        assert description.pop("protocol") == name == str(get_protocol(name))
        descriptions.append(json.dumps(description, sort_keys=True))
    assert len(set(descriptions)) == len(list_protocols()) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"crop_multiple": 8},
        {"noise": None},
        {"pairs": False},
        {"pad_multiple": 8},
        {"rounded": True},
        {"colour": "y"},
        {"data_range": 255},
        {"ssim": None},
        {"lpips": "alex"},
        {"version": 2},
    ],
)
def test_every_convention_is_in_the_description(change: dict[str, object]) -> None:
    assert dataclasses.replace(PROMPTIR, **change).describe() != PROMPTIR.describe()  # type: ignore[arg-type]
    assert set(change) <= {field.name for field in dataclasses.fields(Protocol)}


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'promptir' \(did you mean 'promptir@1'\?\)"):
        get_protocol("promptir")
    with pytest.raises(UserError, match=r"did you mean 'moceir@1'"):
        get_protocol("mocier@1")
    with pytest.raises(UserError, match=r"unknown protocol 'zzz'; use promptir@1, "):
        get_protocol("zzz")
    assert nearest("PromptIR@1", list_protocols()).startswith(" (did you mean 'promptir@1'")
    assert nearest("zzz", list_protocols()) == ""


def test_mean_psnr_counts_infinite_values_and_keeps_them_out() -> None:
    mean = mean_psnr([30.0, math.inf, 32.0, math.inf])
    assert mean == (31.0, 2)
    assert mean.statement == "2 images restored exactly: infinite PSNR, left out of the mean"
    assert mean_psnr([30.0, 32.0]).statement == ""
    assert mean_psnr([math.inf]) == (math.inf, 1)
    values = [0.1] * 10 + [1e16, -1e16]
    assert mean_psnr(values).mean == mean_psnr(values[::-1]).mean
    for nothing in ([], [30.0, math.nan]):
        with pytest.raises(UserError, match="at least one value"):
            mean_psnr(nothing)


def test_groups_are_the_tasks_of_the_suites_denoising_three_times_in_3d() -> None:
    for name, labels in GROUPS.items():
        assert tuple(data.task.label for data in resolve(name, source="embedded", size=64).data) == labels
    assert sum(label.startswith("denoise") for label in GROUPS["3d"]) == 3
