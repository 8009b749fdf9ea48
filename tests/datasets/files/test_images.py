from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from restorebench.datasets import DataError
from restorebench.datasets.files.images import read_image

from ..roots import pixels

PICTURE = pixels(3)
GREY = PICTURE[:, :, 0]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_depth(depth: int, colour: int, channels: int) -> bytes:
    """A PNG written by hand, as Pillow writes no 16-bit RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(8 * channels * depth // 8) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


RGB = Image.fromarray(PICTURE)


@pytest.mark.parametrize(
    ("name", "image", "kind", "expected"),
    [
        ("rgb.png", RGB, "PNG", PICTURE),
        ("RGB.PNG", RGB, "PNG", PICTURE),
        ("rgb.bmp", RGB, "BMP", PICTURE),
        ("rgb.tif", RGB, "TIFF", PICTURE),
        ("rgb.tiff", RGB, "TIFF", PICTURE),
        ("grey.png", Image.fromarray(GREY), "PNG", np.stack([GREY] * 3, axis=2)),
        ("grey.bmp", Image.fromarray(GREY), "BMP", np.stack([GREY] * 3, axis=2)),
        ("palette.png", RGB.quantize(256), "PNG", np.asarray(RGB.quantize(256).convert("RGB"))),
        ("bilevel.png", Image.fromarray(GREY > 99), "PNG", np.stack([(GREY > 99) * np.uint8(255)] * 3, axis=2)),
    ],
)
def test_lossless_kinds_are_read_exactly(tmp_path, name, image, kind, expected):
    (tmp_path / name).write_bytes(encoded(image, kind))
    read = read_image(tmp_path / name)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, expected)
    with pytest.raises(ValueError, match="read-only"):
        read[0, 0, 0] = 1


@pytest.mark.parametrize("name", ["photo.jpg", "photo.JPEG"])
def test_jpeg_is_read_as_pillow_does_without_turning_it(tmp_path, name):
    turned = Image.Exif()
    turned[274] = 6  # orientation: to be turned by 90 degrees for display
    (tmp_path / name).write_bytes(encoded(RGB, "JPEG", exif=turned))
    read = read_image(tmp_path / name)
    assert read.shape == PICTURE.shape
    np.testing.assert_array_equal(read, np.asarray(Image.open(tmp_path / name)))


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


PNG = encoded(RGB, "PNG")
JPEG = encoded(RGB, "JPEG", quality=95)


def several(kind: str) -> bytes:
    return encoded(RGB, kind, save_all=True, append_images=[Image.fromarray(pixels(4))])


def tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.png", PNG[: len(PNG) // 2], "damaged or cut off"),
        ("end.png", PNG[:-12], "damaged or cut off"),
        ("flipped.png", flipped(PNG, len(PNG) // 2), "damaged or cut off"),
        ("cut.jpg", JPEG[: len(JPEG) // 2], "damaged or cut off"),
        ("cut.bmp", encoded(RGB, "BMP")[:300], "damaged or cut off"),
        ("cut.tif", encoded(RGB, "TIFF")[:-300], "damaged or cut off"),
        ("zero.png", b"", "zero bytes"),
        ("text.png", b"<html>404</html>", "not an image"),
        ("jpeg.png", JPEG, "wrong extension: the file holds JPEG, not PNG"),
        ("png.jpg", PNG, "wrong extension: the file holds PNG, not JPG"),
        ("image.webp", PNG, r"wrong extension \('.webp'\)"),
        ("image", PNG, r"wrong extension \(none\)"),
        ("rgba.png", encoded(RGB.convert("RGBA"), "PNG"), "has alpha"),
        ("la.png", encoded(Image.fromarray(GREY).convert("LA"), "PNG"), "has alpha"),
        ("clear.png", encoded(RGB.quantize(16), "PNG", transparency=3), "has alpha"),
        ("key.png", encoded(RGB, "PNG", transparency=(1, 2, 3)), "has alpha"),
        ("rgba.tif", encoded(RGB.convert("RGBA"), "TIFF"), "has alpha"),
        ("grey16.png", png_of_depth(16, 0, 1), "16 bits per channel"),
        ("rgb16.png", png_of_depth(16, 2, 3), "16 bits per channel"),
        ("grey16.tif", tiff(np.zeros((8, 8), np.uint16)), "16 bits per channel"),
        ("rgb16.tif", tiff(np.zeros((8, 8, 3), np.uint16), photometric="rgb"), "16 bits per channel"),
        ("float.tif", tiff(np.zeros((8, 8), np.float32)), "32 bits per channel"),
        ("cmyk.jpg", encoded(RGB.convert("CMYK"), "JPEG"), "CMYK"),
        ("cmyk.tif", encoded(RGB.convert("CMYK"), "TIFF"), "CMYK"),
        ("lab.tif", encoded(RGB.convert("LAB"), "TIFF"), "Pillow mode LAB"),
        ("pages.tif", several("TIFF"), "holds 2 images"),
        ("moving.png", several("PNG"), "holds 2 images"),
    ],
)
def test_what_is_no_8_bit_rgb_is_refused_by_name(tmp_path, name, content, reason):
    path = tmp_path / "input" / name
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^input/{name}: {reason}"):
        read_image(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "a folder, not a file"),
        (lambda path: path.symlink_to("nowhere.png"), "cannot be read: No such file"),
        (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels"),
        (lambda path: os.mkfifo(path), "not a regular file"),
    ],
)
def test_what_is_no_file_that_can_be_read_is_refused_by_name(tmp_path: Path, make: Callable[[Path], None], reason: str):
    make(tmp_path / "1.png")
    with pytest.raises(DataError, match=f"^{tmp_path.name}/1.png: {reason}"):
        read_image(tmp_path / "1.png")


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "1.png").write_bytes(PNG)

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"1\.png: cannot be read: Permission denied"):
        read_image(tmp_path / "1.png")
