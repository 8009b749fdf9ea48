"""Hostile image files: each is refused by name, in one line, within two seconds and without taking memory."""

from __future__ import annotations

import io
import os
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.datasets import DataError
from restorebench.datasets.files.images import image_size, read_image
from restorebench.datasets.files.limits import MAX_PIXELS, pixel_limit
from restorebench.datasets.standard.leakage import find_leakage, folder_images

from ..roots import pixels, save
from .special_files import bound_socket, device, fifo

SECONDS = 2.0


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, rows: int | None = None) -> bytes:
    """A black RGB PNG of that size, compressed a thousandfold; ``rows`` of it are there."""
    row = bytes(1 + width * 3 * depth // 8)
    packer = zlib.compressobj(9)
    parts = [packer.compress(row) for _ in range(height if rows is None else rows)]
    body = b"".join(parts) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", body), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff_of_overlapping_tags() -> bytes:
    """Thirty thousand tags, each of which is said to be all of the file's bytes."""
    count = 30_000
    entries = b"".join(struct.pack("<HHLL", 1000 + index, 1, 300_000, 8) for index in range(count))
    return b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", count) + entries + bytes(4)


def tiff_of_many_pictures() -> bytes:
    buffer = io.BytesIO()
    one = Image.fromarray(pixels(1))
    one.save(buffer, "TIFF", save_all=True, append_images=[one] * 40)
    return buffer.getvalue()


def jpeg_of_many_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((2000, 2000, 3), np.uint8)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 1000 + data[-2:]


HOSTILE = {
    "bomb.png": (lambda: png(13_000, 13_000), "13000x13000 pixels, more than the 64 million that are read: data.max_p"),
    "header.png": (lambda: png(2**31 - 1, 2**31 - 1, rows=0), "2147483647x2147483647 pixels, more than"),
    "text.png": (lambda: png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))), "damaged or cut off"),
    "profile.png": (lambda: png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8)))), "damaged or cut off"),
    "short.png": (lambda: png(4000, 4000, rows=10), "damaged or cut off"),
    "bomb.bmp": (
        lambda: b"BM" + struct.pack("<LLLLllHHLLllLL", 54, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "30000x30000",
    ),
    "tags.tif": (tiff_of_overlapping_tags, "damaged or cut off: its tags claim 9000000000 bytes"),
    "pages.tif": (tiff_of_many_pictures, "holds 16 or more images"),
    "scans.jpg": (jpeg_of_many_scans, "a JPEG of 10"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name_at_once(tmp_path: Path, name: str) -> None:
    make, reason = HOSTILE[name]
    path = tmp_path / "input" / name
    path.parent.mkdir()
    path.write_bytes(make())
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(DataError, match=f"^input/{name}: {reason}") as caught:
            read_image(path)
        assert time.process_time() - started < SECONDS
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_a_file_longer_than_any_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "long.png").open("wb") as file:
        file.write(png(8, 8))
        file.truncate(2**40)
    started = time.process_time()
    with pytest.raises(DataError, match=r"long\.png: 1099512 MB, more than an image of 64 million pixels takes"):
        read_image(tmp_path / "long.png")
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("make", [fifo, device, bound_socket])
def test_a_pipe_device_or_socket_is_refused_by_name_without_being_opened(tmp_path: Path, make) -> None:
    make(tmp_path / "1.png")
    for read in (read_image, image_size):
        with pytest.raises(DataError, match=r"1\.png: not a regular file"):
            read(tmp_path / "1.png")


def test_the_limit_can_be_raised_and_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "1.png"
    save(path, pixels(1, 20, 30))
    with pytest.raises(DataError, match=r"30x20 pixels, more than the 0\.000599 million"):
        read_image(path, 599)
    assert read_image(path, 600).shape == (20, 30, 3)
    monkeypatch.setenv("RESTOREBENCH_MAX_PIXELS", "599")
    with pytest.raises(DataError, match="more than"):
        read_image(path)
    assert read_image(path, 600).shape == (20, 30, 3)


def test_a_limit_above_pillows_own_holds_and_pillows_stays_as_it_was(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    save(tmp_path / "1.png", pixels(1, 20, 30))
    assert read_image(tmp_path / "1.png").shape == (20, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("value", ["many", "0", "-5", "nan", "inf"])
def test_a_limit_that_is_no_number_is_a_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RESTOREBENCH_MAX_PIXELS", value)
    with pytest.raises(DataError, match=f"RESTOREBENCH_MAX_PIXELS={value}: give the largest number of pixels"):
        pixel_limit()


def test_cameras_of_50_megapixels_and_full_frame_ones_of_61_pass() -> None:
    assert 8688 * 5792 < 9504 * 6336 < MAX_PIXELS


@pytest.mark.parametrize("options", [{}, {"bits": 4}, {"mode": "1"}, {"mode": "L"}])
def test_black_images_of_all_kinds_are_whole(tmp_path: Path, options: dict[str, object]) -> None:
    black = Image.new(str(options.pop("mode", "P" if options else "RGB")), (37, 21))
    black.save(tmp_path / "1.png", **options)
    assert not read_image(tmp_path / "1.png").any()


def interlaced(rows: int) -> bytes:
    """A black interlaced PNG of 8x8, of whose seven passes, 15 rows in all, the first `rows` are there."""
    widths = [1, 1, 2, 2, 2, *[4] * 6, *[8] * 4]
    body = zlib.compress(b"".join(bytes(1 + 3 * width) for width in widths[:rows]))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_an_interlaced_png_is_read_and_one_without_its_last_pass_is_not(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(interlaced(15))
    assert not read_image(tmp_path / "1.png").any()
    (tmp_path / "2.png").write_bytes(interlaced(11))
    with pytest.raises(DataError, match="rows are missing"):
        read_image(tmp_path / "2.png")


def test_an_ordinary_progressive_jpeg_is_read(tmp_path: Path) -> None:
    Image.fromarray(pixels(3)).save(tmp_path / "1.jpg", progressive=True)
    np.testing.assert_array_equal(read_image(tmp_path / "1.jpg"), np.asarray(Image.open(tmp_path / "1.jpg")))


def test_leakage_names_a_hostile_file_and_goes_on(tmp_path: Path) -> None:
    save(tmp_path / "a.png", pixels(1))
    (tmp_path / "bomb.png").write_bytes(png(13_000, 13_000))
    images = folder_images(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    images["pipe.png"] = tmp_path / "pipe.png"
    report = find_leakage(images, images)
    assert report.images_a == 1
    assert [text.partition(": ")[2][:20] for text in report.unreadable] == [
        "13000x13000 pixels, ",
        "not a regular file",
    ]
