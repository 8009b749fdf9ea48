"""PNG of 16 bits, written and read here: Pillow cuts 16-bit RGB to 8 bits (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ....datasets.errors import DataError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2


def encode_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """(H, W, 3) uint8 or uint16 as an RGB PNG, each row coded as differences to its left neighbours (filter Sub)."""
    height, width, _ = pixels.shape
    size = pixels.dtype.itemsize
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    coded = np.empty((height, 1 + rows.shape[1]), np.uint8)
    coded[:, 0] = 1
    coded[:, 1:] = rows
    coded[:, 1 + 3 * size :] -= rows[:, : -3 * size]
    header = struct.pack(">IIBBBBB", width, height, 8 * size, RGB, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(coded.tobytes(), 3)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def decode_png16(data: bytes, name: str) -> NDArray[np.uint16]:
    """(H, W, 3) uint16 from the content of a 16-bit RGB or grey PNG.

    Raises:
        DataError: damaged, interlaced or with alpha; the message begins with `name`.
    """
    try:
        chunks = list(_chunks(data))
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
        if depth != 16 or colour not in (GREY, RGB) or any(kind == b"tRNS" for kind, _ in chunks):
            raise DataError(f"{name}: a 16-bit PNG with alpha or a palette; save it as RGB without")
        if interlaced:
            raise DataError(f"{name}: an interlaced 16-bit PNG; save it without interlacing")
        step = 2 * (3 if colour == RGB else 1)
        whole = height * (1 + width * step)
        packed = b"".join(content for kind, content in chunks if kind == b"IDAT")
        decoder = zlib.decompressobj()
        coded = decoder.decompress(packed, whole + 1)  # no more than the size in the header takes
        if not decoder.eof:
            raise ValueError("its rows are not those of the size in its header")
        rows = np.frombuffer(coded, np.uint8).reshape(height, 1 + width * step)
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: damaged or cut off: {error}") from error
    plain = np.zeros((height, width * step), np.uint8)
    above = np.zeros(width * step, np.uint8)
    for index, row in enumerate(rows):
        plain[index] = above = _unfiltered(int(row[0]), row[1:], above, step, name)
    pixels = plain.view(">u2").astype(np.uint16).reshape(height, width, -1)
    return np.repeat(pixels, 3, axis=2) if colour == GREY else pixels


def png_size(data: bytes) -> tuple[int, int]:
    """(width, height) from the header of a PNG, which has to be there."""
    return struct.unpack_from(">II", data, len(SIGNATURE) + 8)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and contents of a PNG's chunks up to the last; ValueError where a checksum is wrong or it ends early."""
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        length = struct.unpack_from(">I", data, position)[0]
        kind, content = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        if struct.unpack_from(">I", data, position + 8 + length)[0] != zlib.crc32(kind + content):
            raise ValueError(f"wrong checksum of the chunk {kind!r}")
        yield kind, content
        position += 12 + length


def _unfiltered(kind: int, row: NDArray[np.uint8], above: NDArray[np.uint8], step: int, name: str) -> NDArray[np.uint8]:
    """One row of bytes with its filter undone; `step` is the number of bytes of a pixel."""
    if kind == 0:
        return row
    if kind == 1:
        return np.cumsum(row.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)
    if kind == 2:
        return row + above
    if kind not in (3, 4):
        raise DataError(f"{name}: damaged: unknown PNG filter {kind}")
    # Average and Paeth feed every byte back into the next: no array operation does that.
    coded, up = row.tolist(), [0] * step + above.tolist()
    result = [0] * step
    for index, value in enumerate(coded):
        a, b, c = result[index], up[index + step], up[index]
        result.append((value + ((a + b) // 2 if kind == 3 else _paeth(a, b, c))) & 255)
    return np.array(result[step:], np.uint8)


def _paeth(left: int, above: int, corner: int) -> int:
    """The neighbour nearest to left + above - corner; ties go to the left one, then to the one above."""
    estimate = left + above - corner
    distances = (abs(estimate - left), abs(estimate - above), abs(estimate - corner))
    return (left, above, corner)[distances.index(min(distances))]
