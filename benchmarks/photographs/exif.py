"""EXIF blocks that stay as they are byte for byte, less the few values that are no longer true of upright samples."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image

ORIENTATION = 0x0112
UPRIGHT = 1
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
WIDTHS, HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
"""Tags of the image's size: of the first directory, and of the EXIF directory."""
DESCRIPTIVE = (
    *(0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298),
    *(0x4746, 0x4749, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),
)
"""Tags of a TIFF's first directory that describe the photograph, not how its samples lie in the file: names of document
and maker, model, software, times, artist, host, copyright, ratings, and Windows' titles and comments."""

_PREFIX = b"Exif\x00\x00"
SHORT, LONG = 3, 4
_FORMATS = {SHORT: "H", LONG: "I"}
"""Struct formats of the two types that sizes and orientation have."""
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>))[1-8]")


def without_prefix(block: bytes) -> bytes:
    """An EXIF block from its TIFF header on."""
    return block.removeprefix(_PREFIX)


def with_prefix(block: bytes) -> bytes:
    """An EXIF block as JPEG carries it."""
    return _PREFIX + block


def made_upright(block: bytes, width: int, height: int) -> bytes:
    """A block whose orientation is 1 and whose sizes are `width` and `height`, wherever it states them.

    The thumbnail, which would show the photograph as it was and lying on its side, is no longer linked. All other
    bytes stay where they are: makers' notes hold offsets of their own.

    Raises:
        ValueError: the block is damaged.
    """
    data = bytearray(block)
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
        first = struct.unpack_from(f"{order}I", data, 4)[0]
        sizes = {**dict.fromkeys(WIDTHS, width), **dict.fromkeys(HEIGHTS, height)}
        inner = _set(data, order, first, {ORIENTATION: UPRIGHT, **sizes})
        if inner is not None:
            _set(data, order, inner, sizes)
        end = first + 2 + 12 * struct.unpack_from(f"{order}H", data, first)[0]
        if end + 4 <= len(data):  # some writers leave the link to the next directory out
            struct.pack_into(f"{order}I", data, end, 0)
    except (KeyError, struct.error) as error:
        raise ValueError("damaged EXIF block") from error
    return bytes(data)


def _set(data: bytearray, order: str, directory: int, values: dict[int, int]) -> int | None:
    """Give tags of a directory that are there these values; where the EXIF directory lies, if this one names it."""
    inner = None
    for tag, kind, count, place in entries(data, order, directory):
        value = values.get(tag)
        if value is not None and count == 1 and (kind == LONG or (kind == SHORT and value <= 0xFFFF)):
            struct.pack_into(f"{order}{_FORMATS[kind]}", data, place, value)
        elif tag == EXIF_IFD and kind == LONG:
            inner = struct.unpack_from(f"{order}I", data, place)[0]
    return inner


def entries(data: bytearray, order: str, directory: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and place of the value of each entry of a directory."""
    for index in range(struct.unpack_from(f"{order}H", data, directory)[0]):
        start = directory + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, start)
        yield tag, kind, count, start + 8


def upright_xmp(packet: bytes) -> bytes:
    """An XMP packet whose orientation, where it states one, is 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def described(tags: Image.Exif) -> bytes:
    """A block of the descriptive tags that Pillow found, for files that hold them otherwise than as a block (TIFF)."""
    made = Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in tags:
            made[tag] = tags[tag]
    for directory in (EXIF_IFD, GPS_IFD):
        inner = tags.get_ifd(directory)
        if inner:
            made.get_ifd(directory).update(inner)
    return without_prefix(made.tobytes()) if len(made) or made.get_ifd(EXIF_IFD) or made.get_ifd(GPS_IFD) else b""


def directories(block: bytes) -> tuple[dict[int, Any], dict[int, dict[int, Any]]]:
    """The descriptive tags of a block, and the inner directories (EXIF, GPS) by the tag that names them."""
    tags = Image.Exif()
    tags.load(with_prefix(block))
    inner = {directory: dict(tags.get_ifd(directory)) for directory in (EXIF_IFD, GPS_IFD)}
    return {tag: tags[tag] for tag in DESCRIPTIVE if tag in tags}, {key: value for key, value in inner.items() if value}
