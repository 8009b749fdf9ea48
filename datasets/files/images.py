"""Reading one image file: exactly what Pillow decodes, and a refusal by name of everything that is not 8-bit RGB.

- PNG, JPEG, BMP and TIFF, known by their content; an extension that says something else is refused.
- 8-bit RGB is taken as it is; grey (also of 1, 2 and 4 bits) and palette images are converted to RGB.
- Alpha (a channel, or a transparent colour), 16 bits, CMYK and any other mode are refused, and so are files with
  several images. Nothing is dropped in silence.
- EXIF orientation and colour profiles are not applied: the protocols read with PIL alone, as the papers' code does.
- A PNG's checksums are verified, so a damaged file is refused and never half decoded.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import DataError

FORMATS = {
    ".png": ("PNG",),
    ".jpg": ("JPEG", "MPO"),  # MPO: what several cameras write into .jpg, a JPEG with a preview after it
    ".jpeg": ("JPEG", "MPO"),
    ".bmp": ("BMP", "DIB"),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
}
"""Extensions read (in any case), with Pillow's names of the formats that they stand for."""

FOREIGN_SUFFIXES = frozenset(
    (
        *(".webp", ".gif", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
        *(".exr", ".hdr", ".dng", ".raw", ".npy", ".mat", ".svg"),
    )
)
"""Extensions of other image files, which are named instead of being passed over."""

_PLAIN = ("RGB", "L", "P", "1")
_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
_BITS_PER_SAMPLE = 258  # the TIFF tag


def label(path: Path) -> str:
    """How messages name a file: its folder and its name."""
    return f"{path.parent.name}/{path.name}"


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        DataError: it cannot be read, or is empty; the message names it.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DataError(f"{label(path)}: a folder, not a file")
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            raise DataError(f"{label(path)}: not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{label(path)}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise DataError(f"{label(path)}: zero bytes long")
    return data


def decode(data: bytes, path: Path) -> NDArray[np.uint8]:
    """The pixels of an image file's content.

    Args:
        data: the whole file.
        path: names it in messages, and its extension says what it should be.

    Returns:
        (H, W, 3) uint8 RGB, contiguous and read-only.

    Raises:
        DataError: damaged, or not of a kind described above; the message names the file.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_kind(image, data, path)
            if image.format == "PNG":
                image.verify()  # checksums; the image cannot be decoded after it
        with Image.open(io.BytesIO(data)) as image:
            pixels: NDArray[np.uint8] = np.array(image.convert("RGB"), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise DataError(f"{label(path)}: not an image that can be read") from error
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files, and name no complete list
        raise DataError(f"{label(path)}: damaged or cut off: {error}") from error
    pixels.setflags(write=False)
    return pixels


def read_image(path: Path) -> NDArray[np.uint8]:
    """The pixels of an image file: (H, W, 3) uint8 RGB, contiguous and read-only.

    Raises:
        DataError: it cannot be read, is damaged, or is not of a kind described above; the message names it.
    """
    check_suffix(path)
    return decode(read_bytes(path), path)


def check_suffix(path: Path) -> None:
    """Refuse a file whose extension is not one of `FORMATS`.

    Raises:
        DataError: naming it.
    """
    if path.suffix.lower() not in FORMATS:
        raise DataError(wrong_extension(path))


def wrong_extension(path: Path) -> str:
    """Words for a file whose extension is not one of `FORMATS`, naming it."""
    suffix = repr(path.suffix) if path.suffix else "none"
    return f"{label(path)}: wrong extension ({suffix}): PNG, JPEG, BMP and TIFF are read"


def _check_kind(image: Image.Image, data: bytes, path: Path) -> None:
    """Refuse what cannot become 8-bit RGB without a choice that is the user's."""
    name, suffix = label(path), path.suffix.lower()
    if image.format not in FORMATS.get(suffix, ()):
        raise DataError(f"{name}: wrong extension: the file holds {image.format}, not {suffix[1:].upper()}")
    bits = _bits_per_channel(image, data)
    if bits > 8:
        raise DataError(f"{name}: {bits} bits per channel, only 8-bit images are read")
    if image.mode in _ALPHA or "transparency" in image.info:
        raise DataError(f"{name}: has alpha (transparency); save it as RGB without")
    if image.mode == "CMYK":
        raise DataError(f"{name}: CMYK colours; save it as RGB")
    if image.mode not in _PLAIN:
        raise DataError(f"{name}: Pillow mode {image.mode}, only 8-bit RGB, grey and palette images are read")
    if image.format in ("TIFF", "PNG") and getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{name}: holds {getattr(image, 'n_frames', 1)} images, one is expected")


def _bits_per_channel(image: Image.Image, data: bytes) -> int:
    """Bits of a channel in the file; Pillow's mode does not tell, as it cuts 16-bit RGB to 8 on its own."""
    if image.format == "PNG":
        return data[24]  # in the header chunk, which comes first
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 8
