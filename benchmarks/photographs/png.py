"""Writing 16-bit PNG, which Pillow cannot (PNG specification, third edition); the rows are compressed as they come."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .photograph import Metadata, Photograph

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Colour type by number of channels: grey, grey with alpha, RGB, RGBA."""
SUB = 1
"""The filter that stores each sample as the difference to its left neighbour's."""
ROWS = 64
LEVEL = 4
"""Rows that are filtered at once, and zlib's level."""
XMP_KEYWORD = b"XML:com.adobe.xmp"
METRES_PER_INCH = 0.0254


def write_png_16(file: BinaryIO, photograph: Photograph) -> None:
    """Write a photograph of 16 bits with its profile, EXIF, XMP and resolution."""
    channels = photograph.pixels.shape[2] + (photograph.alpha is not None)
    file.write(SIGNATURE)
    header = struct.pack(">IIBBBBB", photograph.width, photograph.height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    file.write(_chunk(b"IHDR", header))
    for name, content in _metadata(photograph.metadata):
        file.write(_chunk(name, content))
    compressor = zlib.compressobj(LEVEL)
    for top in range(0, photograph.height, ROWS):
        content = compressor.compress(_filtered(photograph, slice(top, top + ROWS)))
        if content:
            file.write(_chunk(b"IDAT", content))
    file.write(_chunk(b"IDAT", compressor.flush()))
    file.write(_chunk(b"IEND", b""))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _metadata(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    if metadata.icc:
        yield b"iCCP", b"ICC profile\x00\x00" + zlib.compress(metadata.icc)
    if metadata.dpi is not None:
        yield b"pHYs", struct.pack(">IIB", *(round(value / METRES_PER_INCH) for value in metadata.dpi), 1)
    if metadata.exif:
        yield b"eXIf", metadata.exif
    if metadata.xmp:
        yield b"iTXt", XMP_KEYWORD + bytes(5) + metadata.xmp


def _filtered(photograph: Photograph, rows: slice) -> bytes:
    """Rows as a PNG compresses them: the filter's number, then differences of big-endian samples, byte by byte."""
    parts = [photograph.pixels[rows]]
    if photograph.alpha is not None:
        parts.append(photograph.alpha[rows, :, None])
    samples = np.concatenate(parts, axis=2).astype(">u2")
    step = 2 * samples.shape[2]
    plain: NDArray[np.uint8] = np.ascontiguousarray(samples).view(np.uint8).reshape(samples.shape[0], -1)
    coded = np.empty((plain.shape[0], 1 + plain.shape[1]), np.uint8)
    coded[:, 0] = SUB
    coded[:, 1:] = plain
    coded[:, 1 + step :] -= plain[:, :-step]
    return coded.tobytes()
