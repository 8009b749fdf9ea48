"""16-bit PNG: other programs read what is written, and every filter of the standard is undone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restorebench.benchmarks.evaluation.pictures.png import decode_png16, encode_png


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_other_programs_read_the_png(dtype: type, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (9, 14, 3)).astype(dtype)
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(pixels))
    with Image.open(path) as opened:
        # Pillow keeps the upper 8 of 16 bits.
        np.testing.assert_array_equal(np.array(opened.convert("RGB")), pixels >> 8 if dtype == np.uint16 else pixels)


def filtered(pixels: NDArray[np.uint16], filters: list[int]) -> bytes:
    """A 16-bit PNG whose rows use these filters, coded byte by byte as the specification says."""
    height, width, _ = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1).tolist()
    coded = bytearray()
    for y, row in enumerate(rows):
        coded.append(filters[y])
        for x, value in enumerate(row):
            a = row[x - 6] if x >= 6 else 0
            b = rows[y - 1][x] if y else 0
            c = rows[y - 1][x - 6] if y and x >= 6 else 0
            p = a + b - c
            nearest = (
                a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            )
            coded.append((value - (0, a, b, (a + b) // 2, nearest)[filters[y]]) & 255)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(coded))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, content) for name, content in parts)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk as the specification says: length, type, content, CRC of the last two."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_every_filter_of_the_png_standard_is_undone() -> None:
    pixels = np.random.default_rng(2).integers(0, 65536, (10, 6, 3)).astype(np.uint16)
    np.testing.assert_array_equal(decode_png16(filtered(pixels, [0, 1, 2, 3, 4] * 2), "a"), pixels)
