"""Files of photographs as other programs write them, made for the tests."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(height: int, width: int, channels: int, kind: type[np.unsignedinteger] = np.uint8) -> NDArray[np.uint8]:
    """(H, W, C) samples over the whole range, without a symmetry that could hide a turned one."""
    top = np.iinfo(kind).max + 1
    return np.random.default_rng(height * width + channels).integers(0, top, (height, width, channels), dtype=kind)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_16(samples: NDArray[np.uint16], *, more: bytes = b"") -> bytes:
    """A 16-bit PNG of (H, W, C), its rows in turn under each of the five filters of the specification."""
    height, width, channels = samples.shape
    step = 2 * channels
    plain = samples.astype(">u2").view(np.uint8).reshape(height, -1).astype(np.int16)
    coded = b""
    for index, row in enumerate(plain):
        above = plain[index - 1] if index else np.zeros_like(row)
        left = np.concatenate([np.zeros(step, np.int16), row[:-step]])
        corner = np.concatenate([np.zeros(step, np.int16), above[:-step]])
        estimate = left + above - corner
        a, b, c = (np.abs(estimate - other) for other in (left, above, corner))
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        kind = index % 5
        guess = (np.zeros_like(row), left, above, (left + above) // 2, paeth)[kind]
        coded += bytes([kind]) + ((row - guess) & 255).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    parts = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(coded)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def exif(orientation: int = 1) -> Image.Exif:
    """EXIF as a camera writes it: maker, time, exposure, place."""
    block = Image.Exif()
    block[0x010F] = "Camera Works"
    block[0x0112] = orientation
    block.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0x829A: 0.004, 0xA002: 48, 0xA003: 32})
    block.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.6)})
    return block


def pixels(path: Path) -> NDArray[np.uint8]:
    """What Pillow decodes, as it lies in the file."""
    with Image.open(path) as image:
        return np.asarray(image)


def bomb(path: Path, side: int) -> None:
    """A PNG of black pixels that is small as a file and large in memory."""
    row = bytes(1 + (side + 7) // 8)
    compressor = zlib.compressobj(9)
    content = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b""))
