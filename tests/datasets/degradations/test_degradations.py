from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from restorebench.datasets import DataError, rng_for
from restorebench.datasets.degradations.blur import KERNEL_SUM, BlurParameters, blur, shake_kernel
from restorebench.datasets.degradations.haze import DEPTH_MAX, HazeParameters, haze, random_depth
from restorebench.datasets.degradations.lowlight import LowLightParameters, low_light
from restorebench.datasets.degradations.rain import RainParameters, rain
from restorebench.datasets.degradations.registry import DEGRADATIONS

TASKS = tuple(DEGRADATIONS)


@pytest.fixture(scope="module")
def image():
    """A smooth (96, 112, 3) colour image with every grey level."""
    y, x = np.mgrid[0:96, 0:112]
    channels = [127.5 + 127.5 * np.sin(y / a + x / b) for a, b in ((9, 13), (17, 7), (23, 31))]
    return np.rint(np.stack(channels, axis=2)).astype(np.uint8)


def test_every_file_that_has_a_degradation_is_found_in_the_order_of_the_tasks():
    assert TASKS == ("derain", "dehaze", "deblur", "lowlight")
    assert [DEGRADATIONS[task].identity for task in TASKS] == [
        f"rain streaks v1 {RainParameters()}",
        f"haze v1 {HazeParameters()}",
        f"camera shake v1 {BlurParameters()}",
        f"low light v1 {LowLightParameters()}",
    ]
    assert [task for task in TASKS if DEGRADATIONS[task].uses_depth] == ["dehaze"]


@pytest.mark.parametrize("task", TASKS)
def test_the_same_stream_gives_the_same_image_and_the_input_is_left_alone(task, image):
    before = image.copy()
    first = DEGRADATIONS[task](image, rng_for("x"))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, DEGRADATIONS[task](image, rng_for("x")))
    assert not np.array_equal(first, DEGRADATIONS[task](image, rng_for("y")))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 8, 3), (61, 47, 3)])
def test_any_size_works(task, shape):
    image = np.full(shape, 90, dtype=np.uint8)
    for key in range(5):
        assert DEGRADATIONS[task](image, rng_for("size", key)).shape == shape


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "wrong",
    [np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_other_shapes_and_types_are_refused(task, wrong):
    with pytest.raises(DataError, match=r"\(H, W, 3\) uint8"):
        DEGRADATIONS[task](wrong, rng_for("x"))


def test_the_parameters_are_part_of_the_identity():
    degradation = DEGRADATIONS["derain"]
    assert replace(degradation, parameters=RainParameters(limit=0.5)).identity != degradation.identity
    assert replace(degradation, version=2).identity != degradation.identity


# rain


def test_rain_only_brightens_and_spares_white(image):
    assert (rain(image, rng_for("x")) >= image).all()
    white = np.full((40, 40, 3), 255, np.uint8)
    assert np.array_equal(rain(white, rng_for("x")), white)


def test_rain_screens_white_over_the_image_with_one_opacity_for_all_channels():
    dark, light = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 100, np.uint8)
    opacity = rain(dark, rng_for("x")) / 255
    assert np.array_equal(opacity[..., 0], opacity[..., 2])
    assert np.abs(rain(light, rng_for("x")) - (100 + 155 * opacity)).max() <= 1


def test_rain_covers_more_where_it_is_denser_and_respects_the_limit():
    dark = np.zeros((128, 128, 3), np.uint8)
    thin = rain(dark, rng_for("x"), parameters=RainParameters(density=(1, 1)))
    thick = rain(dark, rng_for("x"), parameters=RainParameters(density=(30, 30), limit=0.5))
    assert 0 < (thin > 0).mean() < (thick > 0).mean()
    assert thick.max() == 128  # 0.5 of white


@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.4])
def test_streaks_have_the_slope_asked_for(slope):
    parameters = RainParameters(slope=(slope, slope), slope_jitter=0.0, width=(1.0, 1.0))
    streaks = rain(np.zeros((256, 256, 3), np.uint8), rng_for("x"), parameters=parameters)[..., 0].astype(float)
    shifted = [np.mean(streaks[:-10, 20:-20] * streaks[10:, 20 + s : 236 + s]) for s in range(-8, 9)]
    assert abs(int(np.argmax(shifted)) - 8 - 10 * slope) <= 1


# haze


def test_haze_follows_the_scattering_model(image):
    depth = np.broadcast_to(np.linspace(0, DEPTH_MAX, 112).astype(np.uint16), (96, 112)).copy()
    parameters = HazeParameters(beta=(1.25, 1.25), light=(0.75, 0.75))
    transmission = np.exp(-1.25 * depth / DEPTH_MAX)[..., None]
    expected = image * transmission + 0.75 * 255 * (1 - transmission)
    assert np.abs(haze(image, rng_for("x"), depth, parameters=parameters) - expected).max() <= 1.2


def test_no_haze_at_depth_zero(image):
    assert np.array_equal(haze(image, rng_for("x"), np.zeros((96, 112), np.uint16)), image)


@pytest.mark.parametrize("depth", [np.zeros((96, 111), np.uint16), np.zeros((96, 112))])
def test_a_depth_of_another_shape_or_type_is_refused(image, depth):
    with pytest.raises(DataError, match="uint16"):
        haze(image, rng_for("x"), depth)


@pytest.mark.parametrize("shape", [(256, 256), (100, 333)])
def test_random_depth_is_smooth_and_spans_its_range(shape):
    depth = random_depth(*shape, rng_for("x"), nearest=0.25).astype(int)
    assert depth.shape == shape
    assert depth.min() == DEPTH_MAX // 4 + 1
    assert depth.max() == DEPTH_MAX
    assert max(np.abs(np.diff(depth, axis=axis)).max() for axis in (0, 1)) < 0.02 * DEPTH_MAX
    assert not np.array_equal(depth, random_depth(*shape, rng_for("y"), nearest=0.25))


def test_the_top_is_farther_than_the_bottom():
    depths = [random_depth(64, 64, rng_for("top", key)).astype(float) for key in range(20)]
    assert np.mean([d[:16].mean() - d[-16:].mean() for d in depths]) > 0.2 * DEPTH_MAX


# blur


def test_kernels_are_normalised_centred_and_compact():
    for key in range(30):
        kernel = shake_kernel(rng_for("kernel", key))
        size = len(kernel)
        assert kernel.shape == (size, size)
        assert size % 2 == 1
        assert size <= 2 * 14 + 3
        assert kernel.sum() == KERNEL_SUM
        assert kernel.min() >= 0
        assert np.abs(np.array(ndimage.center_of_mass(kernel)) - size // 2).max() <= 0.5
        assert np.count_nonzero(kernel) >= 4


def test_a_longer_path_blurs_more(image):
    def error(length):
        parameters = BlurParameters(length=(length, length), shakes=0)
        return np.mean((blur(image, rng_for("x"), parameters=parameters) - image.astype(float)) ** 2)

    assert error(3.0) < error(10.0) < error(30.0)


def test_blur_is_a_mirrored_convolution_in_linear_light(image):
    kernel = shake_kernel(rng_for("x")) / KERNEL_SUM
    gamma = 563 / 256
    linear = (image / 255) ** gamma
    summed = np.stack([ndimage.convolve(linear[..., c], kernel, mode="reflect") for c in range(3)], axis=2)
    expected = 255 * np.clip(summed, 0, 1) ** (1 / gamma)
    assert np.abs(blur(image, rng_for("x")) - expected).max() <= 0.7  # half a level, and 20 bits near black


@pytest.mark.parametrize("level", [0, 1, 2, 128, 254, 255])
def test_blur_keeps_an_even_surface(level):
    even = np.full((20, 30, 3), level, np.uint8)
    assert np.array_equal(blur(even, rng_for("x")), even)


# low light


def test_low_light_without_noise_is_gain_times_gamma(image):
    parameters = LowLightParameters(gamma=(2.0, 2.0), gain=(0.5, 0.5), shot=0.0, read=0.0)
    expected = 255 * 0.5 * (image / 255) ** 2
    assert np.abs(low_light(image, rng_for("x"), parameters=parameters) - expected).max() <= 0.51


def test_the_noise_has_the_variance_of_the_sensor():
    parameters = LowLightParameters(gamma=(1.0, 1.0), gain=(0.5, 0.5), shot=0.5, read=2.0)
    even = np.full((200, 200, 3), 200, np.uint8)
    dark = low_light(even, rng_for("x"), parameters=parameters).astype(float)
    assert dark.mean() == pytest.approx(100, abs=0.1)
    assert dark.var() == pytest.approx(0.5 * 100 + 2.0**2 + 1 / 12, rel=0.02)  # 1 / 12 for rounding
