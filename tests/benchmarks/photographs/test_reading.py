"""Reading: 16 bits exact in every layout, upright, metadata kept, and what cannot be kept refused before decoding."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from restorebench.benchmarks.photographs.reading import read_photograph
from restorebench.datasets.errors import DataError

from .files import bomb, chunk, exif, noise, png_16


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_is_read_exactly_under_every_filter(channels: int, tmp_path: Path) -> None:
    samples: Any = noise(23, 17, channels, np.uint16)
    (tmp_path / "a.png").write_bytes(png_16(samples))
    photograph = read_photograph(tmp_path / "a.png")
    assert photograph.bits == 16
    assert photograph.is_grey == (channels < 3)
    assert (photograph.alpha is not None) == (channels in (2, 4))
    assert np.array_equal(photograph.interleaved(), samples)


def test_a_transparent_colour_of_a_16_bit_png_becomes_alpha(tmp_path: Path) -> None:
    samples: Any = noise(9, 7, 3, np.uint16)
    key = b"".join(int(value).to_bytes(2, "big") for value in samples[2, 3])
    (tmp_path / "a.png").write_bytes(png_16(samples, more=chunk(b"tRNS", key)))
    photograph = read_photograph(tmp_path / "a.png")
    assert photograph.alpha is not None
    assert photograph.alpha[2, 3] == 0
    assert (photograph.alpha == 65535).sum() == 9 * 7 - 1
    assert np.array_equal(photograph.pixels, samples)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("layout", ["grey", "rgb", "rgb deflate", "rgb deflate predictor", "rgba"])
def test_16_bit_tiff_is_read_exactly(layout: str, byteorder: Any, tmp_path: Path) -> None:
    channels = {"grey": 1, "rgba": 4}.get(layout, 3)
    samples: Any = noise(23, 17, channels, np.uint16)
    stored = samples[:, :, 0] if channels == 1 else samples
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        byteorder=byteorder,
        photometric="minisblack" if channels == 1 else "rgb",
        planarconfig=None if channels == 1 else "contig",
        compression="zlib" if "deflate" in layout else None,
        predictor="predictor" in layout,
        extrasamples=["unassalpha"] if channels == 4 else None,
    )
    assert np.array_equal(read_photograph(tmp_path / "a.tif").interleaved(), samples)


def test_a_tiff_in_which_white_is_zero_is_not_read_as_a_negative(tmp_path: Path) -> None:
    samples: Any = noise(9, 8, 1, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - samples[:, :, 0], photometric="miniswhite")
    assert np.array_equal(read_photograph(tmp_path / "a.tif").pixels, samples)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_samples_in_planes_are_refused_not_misread(compression: str | None, tmp_path: Path) -> None:
    samples = noise(3, 9, 8, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", planarconfig="separate", compression=compression)
    with pytest.raises(DataError, match=r"a\.tif: 16-bit samples in separate planes"):
        read_photograph(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_pixels_are_upright_as_pillow_turns_them(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise(20, 31, 3)).save(path, exif=exif(orientation).tobytes(), lossless=True)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        assert upright is not None
        expected = np.asarray(upright.convert("RGB"))
    photograph = read_photograph(path)
    assert np.array_equal(photograph.pixels, expected)
    tags = Image.Exif()
    tags.load(b"Exif\x00\x00" + photograph.metadata.exif)
    assert tags.get(0x0112, 1) == 1
    assert tags[0x010F] == "Camera Works"
    assert dict(tags.get_ifd(0x8825)) == {1: "N", 2: (48.0, 51.0, 29.6)}


@pytest.mark.parametrize("colours", ["palette", "transparent palette", "two levels", "grey", "grey and alpha"])
def test_palettes_become_colours_and_two_levels_grey(colours: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.fromarray(noise(12, 10, 3))
    if "palette" in colours:
        image = image.quantize(16)
        image.save(path, **({"transparency": 3} if "transparent" in colours else {}))
        mode = "RGBA" if "transparent" in colours else "RGB"
    else:
        image = image.convert({"two levels": "1", "grey": "L", "grey and alpha": "LA"}[colours])
        image.save(path)
        mode = "LA" if "alpha" in colours else "L"
    photograph = read_photograph(path)
    with Image.open(path) as stored:
        expected = np.asarray(stored.convert(mode)).reshape(12, 10, -1)
    assert np.array_equal(photograph.interleaved(), expected)


def test_damaged_exif_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x00")
    photograph = read_photograph(path)
    assert photograph.metadata.exif == b""
    assert photograph.notes == ("damaged EXIF, left out",)


def write_kind(kind: str, path: Path) -> None:
    grey = noise(8, 9, 1)[:, :, 0]
    frames = [Image.fromarray(np.uint8(255) - grey), Image.fromarray(grey // 2)]
    image = Image.fromarray(grey)
    if kind == "cmyk":
        Image.new("CMYK", (8, 8)).save(path, format="JPEG")
    elif kind == "cmyk tiff":
        Image.new("CMYK", (8, 8)).save(path, format="TIFF")
    elif kind == "float":
        Image.fromarray(grey.astype(np.float32)).save(path, format="TIFF")
    elif kind == "lab":
        Image.new("LAB", (8, 8)).save(path, format="TIFF")
    elif kind == "text":
        path.write_text("no image at all\n" * 100)
    elif kind == "empty":
        path.touch()
    elif kind == "cut off":
        Image.fromarray(noise(64, 64, 3)).save(path, format="PNG")
        path.write_bytes(path.read_bytes()[:-3000])
    elif kind == "one bit wrong":
        Image.fromarray(noise(64, 64, 3)).save(path, format="PNG")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif kind == "16 bits, damaged":
        data = bytearray(png_16(noise(20, 20, 3, np.uint16)))  # type: ignore[arg-type]
        data[-30] ^= 5
        path.write_bytes(data)
    elif kind == "postscript":
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    else:
        image.save(path, format=kind, save_all=True, append_images=frames, duration=100)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("GIF", "animated"),
        ("PNG", "animated"),
        ("WEBP", "animated"),
        ("TIFF", "several pages"),
        ("cmyk", "CMYK"),
        ("cmyk tiff", "CMYK"),
        ("float", "32 bits per sample"),
        ("lab", "colours of the kind LAB"),
        ("text", "no PNG, JPEG"),
        ("postscript", "no PNG, JPEG"),
        ("empty", "zero bytes"),
        ("cut off", "damaged or cut off"),
        ("one bit wrong", "damaged or cut off"),
        ("16 bits, damaged", "damaged or cut off"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(kind: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    write_kind(kind, path)
    with pytest.raises(DataError, match=rf"it\.png: .*{reason}"):
        read_photograph(path)


def test_a_bomb_is_refused_on_its_header(tmp_path: Path) -> None:
    bomb(tmp_path / "a.png", 13_000)
    started = time.process_time()
    with pytest.raises(DataError, match="13000x13000 pixels are more than the limit of 120,000,000"):
        read_photograph(tmp_path / "a.png")
    assert time.process_time() - started < 1


def test_the_limit_on_pixels_goes_up_and_down(tmp_path: Path) -> None:
    bomb(tmp_path / "a.png", 100)
    with pytest.raises(DataError, match="100x100 pixels"):
        read_photograph(tmp_path / "a.png", max_pixels=9_999)
    assert read_photograph(tmp_path / "a.png", max_pixels=10_000).pixels.shape == (100, 100, 1)


def test_a_file_of_more_bytes_than_its_pixels_could_take_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "a.webp").open("wb") as file:
        file.write(b"RIFF\x00\x00\x00\x00WEBP")
        file.truncate(2**30 + 2**27)  # sparse: it takes no room
    with pytest.raises(DataError, match="bytes"):
        read_photograph(tmp_path / "a.webp")


def test_pipes_devices_and_folders_are_no_photographs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path, reason in (
        (tmp_path / "pipe.png", "not a regular"),
        (Path("/dev/zero"), "not a"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(DataError, match=reason):
            read_photograph(path)


def test_pillows_own_limit_is_as_it_was(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    bomb(tmp_path / "a.png", 50)
    read_photograph(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS
