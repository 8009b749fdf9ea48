"""Restored images as files: float32 ``.npy`` and 16-bit PNG lose nothing that a score could show, 8-bit PNG rounds."""

from __future__ import annotations

import io
import math
import shutil
import stat
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from tokenize import TokenError
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ....atomic import written_whole
from ....datasets.errors import DataError
from ....datasets.files.images import FORMATS, read_image
from ....datasets.files.limits import check_pixels, label, pixel_limit, read_bytes
from ....messages import nearest
from ...errors import UserError
from ...photographs.given import LARGEST
from ...store.names import file_name
from .png import SIGNATURE, decode_png16, encode_png, png_size

ImageFormat = Literal["npy", "png16", "png8"]

SUFFIXES: dict[ImageFormat, str] = {"npy": ".npy", "png16": ".png", "png8": ".png"}
READABLE = (".npy", *FORMATS)
_numpy_header = threading.Lock()
"""numpy parses the header with `ast`, which in Python 3.11 now and then fails in several threads (gh-106905)."""


def image_format(value: object) -> ImageFormat | None:
    """The format that ``save_images=`` asks for; ``true`` is ``npy``, ``false`` none.

    Raises:
        UserError: if there is no such format.
    """
    if value is None or value is False or value == "false":
        return None
    if value is True or value == "true":
        return "npy"
    if value not in get_args(ImageFormat):
        formats = ("false", "true", *get_args(ImageFormat))
        raise UserError(f"unknown save_images={value}{nearest(str(value), formats)}; use {', '.join(formats)}")
    return cast("ImageFormat", value)


def file_names(names: Sequence[str], kind: ImageFormat) -> dict[str, str]:
    """File names for samples, no two the same: their own with the format's extension, ``/`` as ``_``.

    Where two names would differ in their extension or in that alone, or one would be called as another is, they are
    kept whole.
    """

    def stem(name: str) -> str:
        path = PurePath(name)
        return name[: -len(path.suffix)] if path.suffix.lower() in READABLE else name

    short = {name: stem(name).replace("/", "_") for name in names}
    counts, whole = Counter(short.values()), set(names)
    return {
        name: file_name(plain if counts[plain] == 1 and plain not in whole - {name} else name, SUFFIXES[kind])
        for name, plain in short.items()
    }


def write_image(path: Path, image: NDArray[np.float32], kind: ImageFormat) -> None:
    """Write (H, W, 3) float32 so that a reader sees all of it or nothing.

    ``npy`` keeps the values as they are, the PNGs clip them to [0, 1] and round to 65535 or 255 steps.

    Raises:
        OSError: if it cannot be written; no part of it is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(encoded(image, kind))


def encoded(image: NDArray[np.float32], kind: ImageFormat) -> bytes:
    """The content of the file: the same bytes for the same pixels."""
    if kind == "npy":
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(image), allow_pickle=False)
        return buffer.getvalue()
    depth = 16 if kind == "png16" else 8
    levels = np.rint(np.clip(image.astype(np.float64), 0, 1) * (2**depth - 1))
    return encode_png(levels.astype(np.uint16 if depth == 16 else np.uint8))


def read_restored(path: Path) -> NDArray[np.float32]:
    """A restored image: (H, W, 3) float32, nominally in [0, 1].

    ``.npy`` holds (H, W, 3) or (3, H, W), floating point in [0, 1], uint8 or uint16; PNGs have 8 or 16 bits; JPEG, BMP
    and TIFF are read as the data sets are.

    Raises:
        DataError: it cannot be read, is damaged, or is not of such a kind; the message names it.
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    if path.suffix.lower() == ".png":
        data = read_bytes(path)
        if data[:8] == SIGNATURE and len(data) > 24 and data[24] == 16:
            check_pixels(path, *png_size(data), pixel_limit())
            return decode_png16(data, label(path)).astype(np.float32) / np.float32(65535)
    try:
        return read_image(path).astype(np.float32) / np.float32(255)
    except DataError as error:
        if path.suffix.lower() in (".tif", ".tiff"):
            raise DataError(f"{error}; floating point and 16 bits are read from .npy, 16 bits also from PNG") from error
        raise


def _read_npy(path: Path) -> NDArray[np.float32]:
    # A pixel of an array of float64 has 24 bytes, three times as many as those of the image files.
    limit = pixel_limit()
    data = read_bytes(path, 3 * limit)
    try:
        with _numpy_header:
            shape = _npy_shape(data)
            if len(shape) == 3:
                height, width = shape[:2] if shape[2] == 3 else shape[1:]
                check_pixels(path, width, height, limit)
            array = np.load(io.BytesIO(data), allow_pickle=False)
    except DataError:
        raise
    except (
        ValueError,
        EOFError,
        OSError,
        SyntaxError,
        TokenError,
        RecursionError,
        MemoryError,
        OverflowError,
    ) as error:
        raise DataError(f"{label(path)}: not a plain numpy array: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or 3 not in (array.shape[0], array.shape[2]):
        raise DataError(f"{label(path)}: an image is (H, W, 3) or (3, H, W), this is {getattr(array, 'shape', array)}")
    image = array if array.shape[2] == 3 else array.transpose(1, 2, 0)
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if not np.issubdtype(image.dtype, np.floating):
        raise DataError(f"{label(path)}: {image.dtype}; save floating point in [0, 1], uint8 or uint16")
    largest = float(np.abs(image[np.isfinite(image)]).max(initial=0))
    if largest > LARGEST:
        raise DataError(f"{label(path)}: floating point values up to {largest:g}; the scale is [0, 1]")
    return image.astype(np.float32)


def _npy_shape(data: bytes) -> tuple[int, ...]:
    """The shape that an array's header claims; numpy would make room for it before it looks whether the file has it.

    Raises:
        ValueError: no header, or the file is shorter than it claims.
    """
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > len(data):
        raise ValueError(f"its header claims {claimed} bytes, the file has {len(data)}")
    return tuple(shape)


class SavedImages:
    """The restored images of a cell, one file a sample, in the format that was asked for last."""

    def __init__(self, path: Path, names: Sequence[str], kind: ImageFormat | None) -> None:
        """A folder that need not exist.

        Args:
            path: of the folder.
            names: of all samples of the data set.
            kind: what is saved; None saves nothing.
        """
        self.path = path
        self.kind = kind
        self._names = {each: file_names(names, each) for each in get_args(ImageFormat)}

    def holds(self, name: str) -> bool:
        """Whether everything that was asked for of a sample is there: its image in this format, if one is saved."""
        return self.kind is None or stored_format(self.path / self._names[self.kind][name]) == self.kind

    def save(self, name: str, restored: Tensor, size: tuple[int, int]) -> None:
        """Write a sample's restored image (3, H', W'), less the padding beyond `size` (H, W).

        Where nothing is saved, or nothing can be, an image that an earlier computation left is removed: it need not be
        this one's.

        Raises:
            OSError: if it cannot be written.
        """
        kept = None
        try:
            if self.kind is not None:
                image = restored[:, : size[0], : size[1]].permute(1, 2, 0).float().cpu().numpy()
                write_image(self._file(name, self.kind), image, self.kind)
                kept = self._file(name, self.kind)
        finally:
            if self.path.is_dir():
                for kind in get_args(ImageFormat):
                    if self._file(name, kind) != kept:
                        self._file(name, kind).unlink(missing_ok=True)

    def take(self, other: Path) -> None:
        """Copy the images from another folder of the same cell."""
        if self.kind is None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        for file in self._names[self.kind].values():
            with written_whole(self.path / file) as part:
                shutil.copyfile(other / file, part)

    def _file(self, name: str, kind: ImageFormat) -> Path:
        return self.path / self._names[kind][name]


def stored_format(path: Path) -> ImageFormat | None:
    """Which of the formats a file is in; None if it is not there, or a pipe, device or link, which is not opened."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with path.open("rb") as file:
            start = file.read(25)
    except OSError:
        return None
    if path.suffix == ".npy":
        return "npy"
    return "png16" if start[24:] == b"\x10" else "png8"
