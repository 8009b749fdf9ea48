"""What `bench restore` keeps of a photograph in the file that it writes: orientation, profile, alpha, bits, grey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image, PngImagePlugin

from restorebench.benchmarks.photographs.reading import read_photograph

from ...photographs.files import PROFILE, exif, noise, pixels, png_16
from .restoring import Darker, network, photograph, restore


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in the tests are short, and lie in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_in_the_pixels_and_1_in_the_exif_and_the_rest_is_carried_on(orientation: int) -> None:
    photograph("a.png", exif=exif(orientation).tobytes(), icc_profile=PROFILE, dpi=(300, 300))
    restore("a.png", "--model", "identity")
    stored = noise(32, 48, 3)
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored.swapaxes(0, 1)[:, ::-1],
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: stored.swapaxes(0, 1)[::-1],
    }[orientation]
    assert np.array_equal(pixels(Path("restored/a.png")), turned)
    with Image.open("restored/a.png") as image:
        tags = image.getexif()
        assert tags[0x0112] == 1
        assert tags[0x010F] == "Camera Works"
        inner = tags.get_ifd(0x8769)
        assert (inner[0x9003], float(inner[0x829A])) == ("2024:05:06 07:08:09", 0.004)
        assert (inner[0xA002], inner[0xA003]) == image.size
        assert tags.get_ifd(0x8825)[1] == "N"
        assert image.info["icc_profile"] == PROFILE
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_every_format_keeps_profile_exif_and_xmp(suffix: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6"/></x:xmpmeta>'
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
    # Pillow takes XMP by another word for each format.
    tags = exif(6)
    if suffix == ".tif":
        tags[700] = xmp
    packet: dict[str, Any] = {".png": {"pnginfo": texts}, ".tif": {}}.get(suffix, {"xmp": xmp})
    photograph(f"a{suffix}", exif=tags.tobytes(), icc_profile=PROFILE, **packet)
    restore(f"a{suffix}", "--model", "identity")
    with Image.open(f"restored/a{suffix}") as image:
        assert image.size == (32, 48)
        tags = image.getexif()
        assert (tags[0x0112], tags[0x010F]) == (1, "Camera Works")
        assert tags.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert dict(tags.get_ifd(0x8825)) == {1: "N", 2: (48.0, 51.0, 29.6)}
        assert image.info["icc_profile"] == PROFILE
        kept = image.info["xmp"]
        assert (kept.encode() if isinstance(kept, str) else kept) == xmp.replace(b'"6"', b'"1"')


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 4), ("LA", 2)])
def test_alpha_passes_through_unchanged(mode: str, channels: int) -> None:
    samples = noise(20, 30, channels)
    Image.fromarray(samples).save("a.png")
    with network("darker", Darker):
        restore("a.png", "--model", "darker", "--weights", "none")
        restore("a.png", "--model", "darker", "--weights", "none", "--format", "tif")
    for name in ("restored/a.png", "restored/a.tif"):
        with Image.open(name) as image:
            assert image.mode == mode
        result = pixels(Path(name))
        assert np.array_equal(result[:, :, -1], samples[:, :, -1])
        assert np.abs(result[:, :, :-1] - samples[:, :, :-1] * 0.5).max() <= 0.501


def test_a_palette_with_transparency_becomes_colours_with_alpha() -> None:
    image = Image.fromarray(noise(20, 30, 3)).quantize(16)
    image.save("a.png", transparency=bytes(range(0, 256, 16)))
    with Image.open("a.png") as stored:
        expected = np.asarray(stored.convert("RGBA"))
    restore("a.png", "--model", "identity")
    assert np.array_equal(pixels(Path("restored/a.png")), expected)
    assert len(np.unique(expected[:, :, 3])) == 16


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_stay_16_bits_exactly(channels: int) -> None:
    samples: Any = noise(40, 33, channels, np.uint16)
    Path("a.png").write_bytes(png_16(samples))
    restore("a.png", "--model", "identity")
    restore("a.png", "--model", "identity", "--format", "tif")
    assert np.array_equal(read_photograph(Path("restored/a.png")).interleaved(), samples)
    assert np.array_equal(tifffile.imread("restored/a.tif").reshape(samples.shape), samples)
    tifffile.imwrite("b.tif", samples[:, :, 0] if channels < 3 else samples[:, :, :3])
    restore("b.tif", "--model", "identity")
    assert np.array_equal(tifffile.imread("restored/b.tif"), tifffile.imread("b.tif"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_grey_stays_grey(suffix: str) -> None:
    Image.fromarray(skimage.data.camera()[100:164, 100:190]).save(f"a{suffix}", quality=95)
    with Image.open(f"a{suffix}") as image:
        stored = np.asarray(image).astype(int)
    restore(f"a{suffix}", "--model", "identity")
    with Image.open(f"restored/a{suffix}") as image:
        assert image.mode == "L"
        assert np.abs(np.asarray(image).astype(int) - stored).max() <= (6 if suffix == ".jpg" else 0)


@pytest.mark.parametrize(
    ("wanted", "kind", "name"),
    [("png", "PNG", "a.png"), ("jpg", "JPEG", "a.jpeg"), ("tif", "TIFF", "a.tif"), ("webp", "WEBP", "a.webp")],
)
def test_the_format_is_the_one_chosen(wanted: str, kind: str, name: str) -> None:
    photograph("a.jpeg", quality=95)
    restore("a.jpeg", "--model", "identity", "--format", wanted)
    with Image.open(Path("restored") / name) as image:
        assert image.format == kind
        if kind != "JPEG":
            assert np.array_equal(np.asarray(image), pixels(Path("a.jpeg")))


def test_jpeg_is_written_with_all_its_colour() -> None:
    photograph("a.png")
    restore("a.png", "--model", "identity", "--format", "jpg")
    with Image.open("restored/a.jpg") as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # type: ignore[attr-defined]
        assert image.quantization[0][0] <= 2  # type: ignore[attr-defined]


def test_what_a_format_cannot_hold_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(noise(20, 30, 4)).save("clear.png")
    Path("deep.png").write_bytes(png_16(noise(20, 30, 3, np.uint16)))  # type: ignore[arg-type]
    restore("clear.png", "deep.png", "--model", "identity", "--format", "jpg", code=1)
    output = capsys.readouterr()
    assert "clear.jpg: JPEG cannot hold transparency" in output.err
    assert "16 bits rounded to the 8 of JPEG" in output.out
    assert sorted(path.name for path in Path("restored").iterdir()) == ["deep.jpg"]


def test_a_gif_of_one_picture_becomes_png_and_a_bmp_stays_one() -> None:
    photograph("a.gif")
    photograph("b.bmp")
    restore("a.gif", "b.bmp", "--model", "identity")
    with Image.open("a.gif") as image:
        assert np.array_equal(pixels(Path("restored/a.png")), np.asarray(image.convert("RGB")))
    assert np.array_equal(pixels(Path("restored/b.bmp")), pixels(Path("b.bmp")))
