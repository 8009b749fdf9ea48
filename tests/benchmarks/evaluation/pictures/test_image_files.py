"""Restored images on disk: what is written comes back, other programs read it, and nothing is half written."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.pictures.image_files import (
    ImageFormat,
    file_names,
    image_format,
    read_restored,
    write_image,
)
from restorebench.benchmarks.store.names import file_name
from restorebench.datasets.errors import DataError


def image(height: int = 13, width: int = 17) -> NDArray[np.float32]:
    """Values with some outside [0, 1], as networks give them."""
    return np.random.default_rng(0).uniform(-0.1, 1.1, (height, width, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "suffix", "error"), [("npy", "npy", 0), ("png16", "png", 0.5 / 65535), ("png8", "png", 0.5 / 255)]
)
def test_what_is_written_comes_back(kind: ImageFormat, suffix: str, error: float, tmp_path: Path) -> None:
    path = tmp_path / "images" / f"a.{suffix}"
    write_image(path, image(), kind)
    back = read_restored(path)
    expected = image() if kind == "npy" else image().clip(0, 1)
    assert back.dtype == np.float32
    assert np.abs(back.astype(np.float64) - expected).max() <= error + 1e-7
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_grey_16_bit_images_become_rgb(tmp_path: Path) -> None:
    grey = np.arange(0, 60000, 1000, dtype=np.uint16).reshape(6, 10)
    path = tmp_path / "a.png"
    Image.fromarray(grey).save(path)
    np.testing.assert_allclose(read_restored(path)[..., 1], grey / 65535, atol=1e-7)


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_a_damaged_16_bit_png_is_refused_by_name(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, image(), "png16")
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data if damage == "bit" else data[:-40])
    with pytest.raises(DataError, match=r"a\.png: damaged"):
        read_restored(path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), "an image is"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.full((4, 4, 3), 200.0), "the scale is"),
        (np.array([{}], dtype=object), "not a plain numpy array"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array: NDArray[np.generic], message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read_restored(tmp_path / "a.npy")


def test_channels_first_arrays_are_turned(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", image().transpose(2, 0, 1))
    np.testing.assert_array_equal(read_restored(tmp_path / "a.npy"), image())


def test_an_image_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("")
    with pytest.raises(OSError, match="images"):
        write_image(tmp_path / "images" / "a.npy", image(), "npy")
    assert [entry.name for entry in tmp_path.iterdir()] == ["images"]


def test_file_names_are_the_samples_own_and_never_collide() -> None:
    names = ["a.png", "a.jpg", "0001_0.8_0.2.jpg", "coffee-left", "v1.5"]
    assert list(file_names(names, "npy").values()) == [
        "a.png.npy",
        "a.jpg.npy",
        "0001_0.8_0.2.npy",
        "coffee-left.npy",
        "v1.5.npy",
    ]


@pytest.mark.parametrize("kind", ["npy", "png16"])
def test_no_two_samples_have_one_file(kind: ImageFormat) -> None:
    pieces = st.text("ab/_.", max_size=3).flatmap(
        lambda text: st.sampled_from(["", ".png", ".bmp", ".npy", ".png.bmp"]).map(lambda end: text + end)
    )

    @settings(max_examples=200, deadline=None)
    @given(st.lists(pieces, unique=True, max_size=8))
    def check(names: list[str]) -> None:
        files = file_names(names, kind)
        assert set(files) == set(names)
        assert len(set(files.values())) == len(names)
        assert not any("/" in file for file in files.values())

    check()


def test_frames_of_sequences_are_saved_under_readable_names() -> None:
    assert file_names(["S1/0001.png", "S2/0001.png", "S2/0002.png", "S2_0002.png"], "png8") == {
        "S1/0001.png": "S1_0001.png",
        "S2/0001.png": "S2_0001.png",
        "S2/0002.png": file_name("S2/0002.png", ".png"),
        "S2_0002.png": "S2_0002.png.png",
    }


def test_formats_by_name() -> None:
    assert [image_format(value) for value in (False, True, "png16", None)] == [None, "npy", "png16", None]
    with pytest.raises(UserError, match=r"unknown save_images=png \(did you mean 'png8'"):
        image_format("png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def npy(shape: str, content: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


HOSTILE = {
    "large.png": (lambda: png16(20_000, 20_000, zlib.compress(bytes(10**6))), "20000x20000 pixels, more than"),
    "bomb.png": (lambda: png16(8, 8, zlib.compress(bytes(10**9 // 2), 9)), "damaged or cut off"),
    "short.png": (lambda: png16(4000, 4000, zlib.compress(bytes(1000))), "damaged or cut off"),
    "large.npy": (lambda: npy("(100000, 100000, 3)"), "not a plain numpy array: its header claims 120000000000 bytes"),
    "wide.npy": (lambda: npy(f"(3, 1, {10**30})"), "not a plain numpy array: its header claims"),
    "deep.npy": (lambda: npy("(" * 3000 + ")" * 3000), "not a plain numpy array"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_restored_image_is_refused_by_name_at_once(tmp_path: Path, name: str) -> None:
    make, reason = HOSTILE[name]
    (tmp_path / name).write_bytes(make())
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(DataError, match=f"^{tmp_path.name}/{name}: {reason}"):
            read_restored(tmp_path / name)
        assert time.process_time() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["1.npy", "1.png"])
def test_a_pipe_in_place_of_a_restored_image_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="not a regular file"):
        read_restored(tmp_path / name)


def test_the_limit_of_pixels_holds_for_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "1.npy", np.zeros((20, 30, 3), np.float32))
    monkeypatch.setenv("RESTOREBENCH_MAX_PIXELS", "600")
    assert read_restored(tmp_path / "1.npy").shape == (20, 30, 3)
    monkeypatch.setenv("RESTOREBENCH_MAX_PIXELS", "599")
    with pytest.raises(DataError, match="30x20 pixels, more than"):
        read_restored(tmp_path / "1.npy")
