"""Reading one image file: exactly what Pillow decodes, and a refusal by name of everything that is not 8-bit RGB.

- PNG, JPEG, BMP and TIFF, known by their content; an extension that says something else is refused.
- 8-bit RGB is taken as it is; grey (also of 1, 2 and 4 bits) and palette images are converted to RGB.
- Alpha (a channel, or a transparent colour), 16 bits, CMYK and any other mode are refused, and so are files with
  several images. Nothing is dropped in silence.
- EXIF orientation and colour profiles are not applied: the protocols read with PIL alone, as the papers' code does.
- A PNG's checksums are verified, so a damaged file is refused and never half decoded.
- The header comes first: a file with more pixels than the limit (`limits.pixel_limit`) is refused before it is decoded.
"""

from __future__ import annotations

import contextlib
import io
import threading
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import DataError
from .limits import (
    MAX_PICTURES,
    check_pixels,
    check_scans,
    check_tags,
    label,
    opened,
    pixel_limit,
    read_bytes,
)
from .png_rows import has_all_rows, is_interlaced

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
        *(".exr", ".hdr", ".dng", ".raw"),
    )
)
"""Extensions of other image files, which are named instead of being passed over."""

_PLAIN = ("RGB", "L", "P", "1")
_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
_BITS_PER_SAMPLE = 258  # the TIFF tag
_TIFF_HEADER = 4
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_opening = threading.Lock()


def decode(data: bytes, path: Path, max_pixels: float | None = None) -> NDArray[np.uint8]:
    """The pixels of an image file's content.

    Args:
        data: the whole file.
        path: names it in messages, and its extension says what it should be.
        max_pixels: the largest image that is decoded; None: see `limits.pixel_limit`.

    Returns:
        (H, W, 3) uint8 RGB, contiguous and read-only.

    Raises:
        DataError: damaged, too large, or not of a kind described above; the message names the file.
    """
    limit = pixel_limit(max_pixels)
    try:
        if data[:4] in _TIFF:
            check_tags(path, data)
        with _header(io.BytesIO(data)) as image:
            _check_kind(image, data, path)
            check_pixels(path, *image.size, limit)
            if image.format in ("JPEG", "MPO"):
                check_scans(path, data, image.width * image.height, limit)
            if image.format == "PNG":
                image.verify()  # checksums; the image cannot be decoded after it
        with _header(io.BytesIO(data)) as image:
            image.load()
            if image.format == "PNG" and not _is_whole(image, data):
                raise DataError(f"{label(path)}: damaged or cut off: rows are missing at its end")
            plain = image if image.mode == "RGB" else image.convert("RGB")
            pixels: NDArray[np.uint8] = np.array(plain, dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise DataError(f"{label(path)}: not an image that can be read") from error
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files, and name no complete list
        raise DataError(f"{label(path)}: damaged or cut off: {' '.join(str(error).split())}") from error
    pixels.setflags(write=False)
    return pixels


def _is_whole(image: Image.Image, data: bytes) -> bool:
    """Whether a decoded PNG had all its rows. They are counted where the last is as Pillow leaves a missing one."""
    if not is_interlaced(data) and image.crop((0, image.height - 1, image.width, image.height)).getbbox() is not None:
        return True
    return has_all_rows(data)


def _header(file: IO[bytes]) -> Image.Image:
    """An image of which only the header is read. The limit on its pixels is ours, so Pillow's own (which warns from 89
    million on and cannot be raised for one call) is put aside meanwhile."""
    with _opening:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) from the header of an image file; its pixels are not decoded.

    Raises:
        DataError: it is no regular file, or has no header that can be read.
    """
    with opened(path) as file:
        try:
            start = file.read(_TIFF_HEADER)
            if start in _TIFF:
                check_tags(path, read_bytes(path))
            file.seek(0)
            with _header(file) as image:
                return image.height, image.width
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{label(path)}: not an image that can be read") from error


def read_image(path: Path, max_pixels: float | None = None) -> NDArray[np.uint8]:
    """The pixels of an image file: (H, W, 3) uint8 RGB, contiguous and read-only.

    Args:
        path: the file.
        max_pixels: the largest image that is read; None: see `limits.pixel_limit`.

    Raises:
        DataError: it cannot be read, is damaged, too large, or not of a kind described above; the message names it.
    """
    check_suffix(path)
    return decode(read_bytes(path, max_pixels), path, max_pixels)


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
    pictures = _pictures(image)
    if pictures > 1:
        more = " or more" if pictures == MAX_PICTURES else ""
        raise DataError(f"{name}: holds {pictures}{more} images, one is expected")


def _pictures(image: Image.Image) -> int:
    """How many images a PNG (its header says it) or a TIFF holds; a TIFF's are counted up to `MAX_PICTURES`."""
    if image.format == "PNG":
        return int(getattr(image, "n_frames", 1))
    if image.format != "TIFF":
        return 1
    count = 1
    with contextlib.suppress(EOFError):
        while count < MAX_PICTURES:
            image.seek(count)
            count += 1
    image.seek(0)
    return count


def _bits_per_channel(image: Image.Image, data: bytes) -> int:
    """Bits of a channel in the file; Pillow's mode does not tell, as it cuts 16-bit RGB to 8 on its own."""
    if image.format == "PNG":
        return data[24]  # in the header chunk, which comes first
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 8
