"""Whether a PNG has all its rows: Pillow takes a stream that ends early, properly closed, and leaves the rest black."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_START = 8  # bytes of the signature
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: first column and row of each pass, and the steps between its columns and rows."""
_PIECE = 2**20


def is_interlaced(data: bytes) -> bool:
    """Whether a PNG's rows come in seven passes."""
    return data[_START + 20] != 0


def has_all_rows(data: bytes) -> bool:
    """Whether the compressed stream of a PNG with valid chunks holds as many bytes as its header says.

    It is unpacked piece by piece and never kept.
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, _START + 8)
    bits = depth * _CHANNELS[colour]
    sizes = [(width, height)]
    if interlaced:
        sizes = [
            (-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES if x < width and y < height
        ]
    wanted = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes)
    decoder, found = zlib.decompressobj(), 0
    for content in _image_data(data):
        rest = content
        while rest and found < wanted:
            found += len(decoder.decompress(rest, _PIECE))
            rest = decoder.unconsumed_tail
    return bool(found >= wanted)


def _image_data(data: bytes) -> Iterator[bytes]:
    position = _START
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            yield data[position + 8 : position + 8 + length]
        position += 12 + length
