"""EXIF blocks: a few values are made true, every other byte stays, and damage is an error and no endless walk."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image

from restorebench.benchmarks.photographs.exif import made_upright, upright_xmp, without_prefix

from .files import exif


def by_hand(order: str) -> bytes:
    """A block in either byte order: orientation, a link to an EXIF directory with sizes, and to a thumbnail's."""
    start = b"II*\x00" if order == "<" else b"MM\x00*"
    first = struct.pack(f"{order}H", 2)
    first += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(f"{order}HHII", 0x8769, 4, 1, 38)
    first += struct.pack(f"{order}I", 68)
    inner = struct.pack(f"{order}H", 2)
    inner += struct.pack(f"{order}HHII", 0xA002, 4, 1, 4000) + struct.pack(f"{order}HHIHH", 0xA003, 3, 1, 3000, 0)
    inner += struct.pack(f"{order}I", 0)
    return start + struct.pack(f"{order}I", 8) + first + inner + b"the thumbnail"


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_sizes_and_thumbnail_are_made_true_in_place(order: str) -> None:
    block = by_hand(order)
    changed = made_upright(block, 3000, 4000)
    tags: Any = Image.Exif()
    tags.load(b"Exif\x00\x00" + changed)
    assert tags[0x0112] == 1
    assert dict(tags.get_ifd(0x8769)) == {0xA002: 3000, 0xA003: 4000}
    assert changed[34:38] == bytes(4)  # the link to the thumbnail's directory
    different = [index for index in range(len(block)) if block[index] != changed[index]]
    assert all(18 <= index < 22 or 34 <= index < 38 or 48 <= index < 52 or 60 <= index < 64 for index in different)


def test_a_size_that_does_not_fit_its_type_is_left() -> None:
    assert made_upright(by_hand("<"), 5, 70_000)[60:62] == by_hand("<")[60:62]


@pytest.mark.parametrize("cut", [4, 9, 15, 40])
def test_a_block_that_is_cut_off_is_an_error(cut: int) -> None:
    with pytest.raises(ValueError, match="damaged EXIF"):
        made_upright(by_hand("<")[:cut], 10, 10)


def test_a_directory_that_names_itself_ends() -> None:
    block = bytearray(by_hand("<"))
    struct.pack_into("<I", block, 30, 8)
    assert len(made_upright(bytes(block), 10, 10)) == len(block)


def test_what_pillow_writes_is_read() -> None:
    block = without_prefix(exif(8).tobytes())
    tags = Image.Exif()
    tags.load(b"Exif\x00\x00" + made_upright(block, 32, 48))
    assert (tags[0x0112], tags.get_ifd(0x8769)[0xA002], tags.get_ifd(0x8769)[0xA003]) == (1, 32, 48)


@pytest.mark.parametrize("form", [b'<d tiff:Orientation="%d"/>', b"<tiff:Orientation>%d</tiff:Orientation>"])
def test_the_orientation_of_xmp_becomes_1(form: bytes) -> None:
    assert upright_xmp(form % 6) == form % 1
    assert upright_xmp(b"<d exif:Flash='6'/>") == b"<d exif:Flash='6'/>"
