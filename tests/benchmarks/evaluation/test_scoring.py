"""`bench score` on what other programs leave: crops, padding, other scales. Found and said, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from restorebench.benchmarks.commands import main as cli

Images = NDArray[np.uint8]
CLEAN: dict[str, Images] = {
    "a.png": skimage.data.coffee()[60:181, 100:251],
    "b.png": skimage.data.astronaut()[100:203, 150:279],
    "c.png": skimage.data.chelsea()[50:157, 100:235],
}
"""No side is a multiple of 8, and every image has another size."""


def damaged(clean: Images, seed: int = 0) -> NDArray[np.float32]:
    """A restored image of about 30 dB, within [0, 1]."""
    noise = np.random.default_rng(seed).normal(0, 8, clean.shape)
    return (np.clip(clean + noise, 0, 255) / 255).astype(np.float32)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("clean", "restored"):
        Path(name).mkdir()
    return tmp_path


def put(name: str, restored: NDArray[Any], clean: Images | None = None) -> None:
    """A pair of the folders."""
    Image.fromarray(CLEAN[name] if clean is None else clean).save(Path("clean") / name)
    np.save(Path("restored") / Path(name).with_suffix(".npy"), restored)


def score(capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Images by name from --json, and the text."""
    words = ["score", "--pred", "restored", "--clean", "clean", "--protocol", "basicsr-rgb@1", "--no-progress", *more]
    assert cli.main(words) == code
    text = capsys.readouterr().out
    assert cli.main([*words, "--json"]) == code
    images = json.loads(capsys.readouterr().out)["images"]
    return {image["clean"]: image for image in images}, text


def psnr(image: dict[str, Any]) -> float:
    return float(image["scores"]["basicsr-rgb@1"]["psnr"])


def expected(restored: NDArray[Any], clean: Images) -> float:
    rounded = np.rint(np.clip(restored.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    return float(peak_signal_noise_ratio(clean, rounded))


CROPS = {
    "top-left": lambda high, wide, h, w: (0, 0),
    "top-right": lambda high, wide, h, w: (0, wide - w),
    "bottom-left": lambda high, wide, h, w: (high - h, 0),
    "bottom-right": lambda high, wide, h, w: (high - h, wide - w),
    "centre": lambda high, wide, h, w: ((high - h) // 2, (wide - w) // 2),
    "own": lambda high, wide, h, w: (3, 2),
}


@pytest.mark.parametrize("multiple", [8, 16, 20])
@pytest.mark.parametrize("place", CROPS)
def test_a_crop_is_scored_where_it_lies_and_said(
    place: str, multiple: int, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {}
    for name, clean in CLEAN.items():
        high, wide = clean.shape[:2]
        height, width = high - 6 - (high - 6) % multiple, wide - 6 - (wide - 6) % multiple
        top, left = CROPS[place](high, wide, height, width)
        window = slice(top, top + height), slice(left, left + width)
        restored = damaged(clean)[window]
        put(name, restored)
        wanted[name] = expected(restored, clean[window])
    images, text = score(capsys)
    for name, value in wanted.items():
        assert psnr(images[name]) == pytest.approx(value, abs=1e-6)
    assert text.count("3 images: ") == 1 or place == "centre"
    assert place in text or (place == "own" and "from row 3 and column 2" in text) or "crops" in text


@pytest.mark.parametrize(("top", "left", "mode"), [(0, 0, "reflect"), (4, 4, "edge"), (0, 0, "constant")])
def test_padding_is_found_and_cropped_off(
    top: int, left: int, mode: Any, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, clean in CLEAN.items():
        restored = damaged(clean)
        put(name, np.pad(restored, ((top, 9 - top), (left, 9 - left), (0, 0)), mode=mode))
    images, text = score(capsys)
    for name, clean in CLEAN.items():
        assert psnr(images[name]) == pytest.approx(expected(damaged(clean), clean), abs=1e-6)
    assert f"3 images: padded, the clean image lies at the {'top-left' if top == 0 else 'centre'} of it" in text


def test_the_protocols_own_pixels_are_scored_where_they_are_all_there(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put("a.png", damaged(CLEAN["a.png"]))
    words = ["score", "--pred", "restored", "--clean", "clean", "--protocol", "promptir@1", "--no-progress", "--json"]
    assert cli.main(words) == 0
    whole = json.loads(capsys.readouterr().out)["protocols"][0]["psnr"]
    # rows 4 to 116 and columns 3 to 147 are the protocol's; this crop holds them, and is no centre crop
    put("a.png", damaged(CLEAN["a.png"])[1:117, 2:151])
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["protocols"][0]["psnr"] == whole


STRIPES = np.tile((np.arange(64) // 4 % 2 * 200 + 20).astype(np.uint8)[None, :, None], (64, 1, 3))
GRADIENT = np.tile((np.arange(64) * 3).astype(np.uint8)[None, :, None], (64, 1, 3))
FLAT = np.full((64, 64, 3), 99, np.uint8)


@pytest.mark.parametrize(
    ("clean", "restored", "reason"),
    [
        (FLAT, FLAT[:48, :48] / 255, "it is flat"),
        (STRIPES, STRIPES[:48, 4:52] / 255, "equally well"),
        (GRADIENT, GRADIENT[:48, :48] / 255, "equally well"),
        (CLEAN["a.png"], np.random.default_rng(0).random((100, 100, 3)), "shows something else"),
        (CLEAN["a.png"], np.asarray(Image.fromarray(CLEAN["a.png"]).resize((145, 116))) / 255, "resized"),
        (CLEAN["a.png"], np.asarray(Image.fromarray(CLEAN["a.png"]).resize((302, 242))) / 255, "resized"),
        (CLEAN["a.png"], CLEAN["a.png"][:100].repeat(2, axis=1) / 255, "neither is a crop of the other"),
    ],
)
def test_what_fits_at_several_places_or_nowhere_is_refused(
    clean: Images, restored: NDArray[Any], reason: str, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put("x.png", restored.astype(np.float32), clean)
    images, text = score(capsys, code=1)
    assert images["x.png"]["scores"] == {}
    assert reason in images["x.png"]["problem"]
    assert f"not scored: x.npy: restored image of {restored.shape[1]}x{restored.shape[0]} pixels" in text


def test_a_flat_image_follows_the_one_rule_of_the_others(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        put(name, damaged(CLEAN[name])[:96, :112])
    put("flat.png", (FLAT[:48, :40] / 255 + 0.1).astype(np.float32), FLAT)
    images, text = score(capsys)
    assert psnr(images["flat.png"]) == pytest.approx(expected(FLAT / 255 + 0.1, FLAT), abs=1e-6)
    assert "3 images: cropped, it lies at the top-left" in text
    # two rules in one folder: nothing is known of the flat one
    put("b.png", damaged(CLEAN["b.png"])[7:, 17:])
    images, text = score(capsys, code=1)
    assert "it is flat" in images["flat.png"]["problem"]
    assert "(incomplete)" in text


def test_a_place_that_is_named_is_taken(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("x.png", STRIPES[:48, :46].astype(np.float32) / 255, STRIPES)
    assert "--place" in score(capsys, code=1)[1]
    images, _ = score(capsys, "--place", "top-left")
    assert images["x.png"]["scores"]["basicsr-rgb@1"]["psnr"] == "inf"
    images, _ = score(capsys, "--place", "bottom-right")
    assert psnr(images["x.png"]) < 20
    assert cli.main(["score", "--pred", "restored", "--clean", "clean", "--protocol", "all", "--place", "left"]) == 2
    assert "unknown place" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scaled", "reason"),
    [
        (lambda x: 2 * x - 1, r"look like the scale [-1, 1]; save (x + 1) / 2"),
        (lambda x: x - 0.5, r"look like the scale [-0.5, 0.5]"),
        (lambda x: 255 * x, "up to 2"),
        (lambda x: 255 * x * 0.05, "are levels"),
        (lambda x: np.where(x > 0.999, np.nan, x), "not finite"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_another_scale_is_refused_by_its_name(
    scaled: Any, reason: str, dtype: Any, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = CLEAN["b.png"]
    dark = (clean * 0.05).astype(np.uint8) if "levels" in reason else clean
    put("b.png", scaled(damaged(clean)).astype(dtype), dark)
    images, _ = score(capsys, code=1)
    assert reason in images["b.png"]["problem"]


def test_a_little_overshoot_is_clipped_and_said(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, CLEAN["a.png"].shape)
    restored = (CLEAN["a.png"] / 255 + noise).astype(np.float32)
    put("a.png", restored)
    put("b.png", damaged(CLEAN["b.png"]))
    images, text = score(capsys)
    low, high = f"{restored.min():.3g}", f"{restored.max():.3g}"
    assert f"1 image: values outside [0, 1] were clipped, as every protocol does, from {low} to {high}" in text
    assert psnr(images["a.png"]) == pytest.approx(expected(restored, CLEAN["a.png"]), abs=1e-6)
    assert images["b.png"]["note"] is None


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_a_tiff_of_other_samples_is_refused_with_what_to_do(
    kind: Any, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put("a.png", damaged(CLEAN["a.png"]))
    Path("restored/a.npy").unlink()
    tifffile.imwrite("restored/a.tif", (CLEAN["a.png"] * 2.0).astype(kind), photometric="rgb")
    images, _ = score(capsys, code=1)
    assert "floating point and 16 bits are read from .npy" in images["a.png"]["problem"]
