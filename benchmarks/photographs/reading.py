"""Reading a photograph: every kind of still picture that can be written again as it was, the others refused by name.

Limits are checked on the header, before anything is decoded. Pillow cuts 16-bit colour to its upper bytes, so such
files are decoded twice, once for the upper and once for the lower ones; its decoders, filters and checks do the rest.
"""

from __future__ import annotations

import contextlib
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from ...datasets.errors import DataError
from . import exif as exif_blocks
from .photograph import Metadata, Photograph, turned_upright

MAX_PIXELS = 120_000_000
"""Pixels that a file may have unless more are allowed: 100-megapixel cameras pass, a bomb of 13000x13000 does not."""
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
"""Formats that are read, by Pillow's names, whatever the file is called."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")
"""Extensions that are looked for in folders, in any letter case."""
MOST_BYTES, HEADERS = 8, 2**26
"""Bytes of a pixel that lies in a file as it is (16-bit RGBA), and bytes for all else. Larger files are refused, as
 some decoders read the whole file first."""
SEVERAL_JPEGS = "MPO"
"""Pillow's name of a JPEG with further pictures behind it (a preview, a second view), as many cameras write."""
ROWS = 256
"""Rows that are converted at once."""

_BITS, _PHOTOMETRIC, _PLANES = 258, 262, 284  # tags of TIFF, and values of them
_WHITE_IS_ZERO = 0
_TOGETHER = 1
_PALETTES = ("P", "PA")
_ALPHA = ("RGBA", "LA", "PA")
PLAIN = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")
_HIGH_LOW = {"B": ("B", "L"), "L": ("L", "B")}
"""Byte orders of 16-bit samples: the raw mode that takes their upper bytes, and the one that takes the lower ones."""


def read_photograph(path: Path, *, max_pixels: int = MAX_PIXELS) -> Photograph:
    """The photograph in a file, upright.

    Args:
        path: a PNG, JPEG, TIFF, WebP, BMP or GIF, by its content.
        max_pixels: more are refused before they are decoded.

    Raises:
        DataError: it cannot be read, is damaged, too large, animated, of several pages, or in colours that are not
            RGB or grey of 8 or 16 bits; the message names it.
    """
    _check_file(path, max_pixels)
    try:
        with _opened(path) as image:
            _check_kind(image, path, max_pixels)
            if image.format == "PNG":
                image.verify()  # checksums of all parts; the image cannot be decoded after it
        with _opened(path) as image:
            bits, raw = bits_per_sample(image), _raw_mode(image)  # before anything is decoded
            metadata, orientation, notes = _metadata(image, raw)
            # Pillow turns TIFFs, and nothing else, by itself.
            turn = exif_blocks.UPRIGHT if image.format == "TIFF" else orientation
            samples = _samples_16(image, raw, path) if bits == 16 else samples_8(image)
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: no PNG, JPEG, TIFF, WebP, BMP or GIF that can be read") from error
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path}: memory does not suffice for it") from error
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files, and name no complete list
        raise DataError(f"{path}: damaged or cut off: {' '.join(str(error).split())}") from error
    colours = samples.shape[2] - 1 + samples.shape[2] % 2  # 1 and 2 channels are grey, 3 and 4 are colour
    pixels, alpha = samples[:, :, :colours], samples[:, :, colours] if samples.shape[2] > colours else None
    return Photograph(
        turned_upright(pixels, turn),
        None if alpha is None else turned_upright(alpha, turn),
        metadata,
        notes,
    )


def _check_file(path: Path, max_pixels: int) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: a folder, not a file")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        raise DataError(f"{path}: not a regular file")
    if status.st_size == 0:
        raise DataError(f"{path}: zero bytes long")
    if status.st_size > MOST_BYTES * max_pixels + HEADERS:
        raise DataError(f"{path}: a file of {status.st_size:,} bytes; {max_pixels:,} pixels, the limit, take fewer")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """The file with its header read; Pillow's own limit, which is lower and global, is lifted meanwhile."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, which is noted
            with Image.open(path, formats=FORMATS) as image:
                yield image
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _check_kind(image: ImageFile.ImageFile, path: Path, max_pixels: int) -> None:
    """Refuse what is too large, moves, or cannot be written again as it was."""
    if image.width * image.height > max_pixels:
        size = f"{image.width}x{image.height} pixels"
        raise DataError(f"{path}: {size} are more than the limit of {max_pixels:,}; --max-pixels raises it")
    if image.format != SEVERAL_JPEGS and getattr(image, "is_animated", False):
        kind = "several pages" if image.format == "TIFF" else "animated"
        raise DataError(f"{path}: {kind}; save the one picture that you want restored")
    if image.mode == "CMYK":
        raise DataError(f"{path}: CMYK colours, which are for printing; convert it to RGB by its profile first")
    bits = bits_per_sample(image)
    if bits not in (1, 2, 4, 8, 16):
        raise DataError(f"{path}: {bits} bits per sample; 8 and 16 are read")
    if bits < 16 and image.mode not in PLAIN:
        raise DataError(f"{path}: colours of the kind {image.mode}; RGB and grey are read")


def bits_per_sample(image: ImageFile.ImageFile) -> int:
    """Bits of a sample in the file; Pillow's mode does not tell."""
    if image.format == "TIFF":
        bits: Any = getattr(image, "tag_v2", {}).get(_BITS, 1)
        return int(max(bits) if isinstance(bits, tuple) else bits)
    return 16 if image.format == "PNG" and ";16" in _raw_mode(image) else 8


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How samples lie in the file, in Pillow's words, such as ``RGB;16B``."""
    arguments: Any = image.tile[0][3] if image.tile else ""
    return str(arguments if isinstance(arguments, str) or not arguments else arguments[0])


def samples_8(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, C) uint8: grey, grey with alpha, RGB or RGBA; palettes become colours, two levels become grey."""
    transparent = image.mode in _ALPHA or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA")
    mode = ("LA" if grey else "RGBA") if transparent else ("L" if grey else "RGB")
    image.load()
    result = np.empty((image.height, image.width, len(mode)), np.uint8)
    for top in range(0, image.height, ROWS):  # in bands: Pillow's way to an array goes through two further copies
        band = image.crop((0, top, image.width, min(image.height, top + ROWS)))
        converted = band if band.mode == mode else band.convert(mode)
        result[top : top + ROWS] = np.asarray(converted).reshape(converted.height, image.width, len(mode))
    return result


def _samples_16(image: ImageFile.ImageFile, raw: str, path: Path) -> NDArray[np.uint16]:
    """(H, W, C) uint16: grey, grey with alpha, RGB or RGBA; `raw` is how they lie in the file."""
    kind, _, order = raw.partition(";16")
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(_PLANES, _TOGETHER) != _TOGETHER:  # Pillow reads such files wrongly
        raise DataError(f"{path}: 16-bit samples in separate planes; save it with interleaved ones")
    if image.mode.startswith("I;16") and kind == "I":
        image.load()
        samples = np.asarray(image).astype(np.uint16)[:, :, None]
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            samples = np.uint16(65535) - samples
    elif kind == "LA" and order == "B":
        # Four bytes a pixel, as RGBA of 8 bits has them: upper and lower byte of grey, then of alpha.
        samples = _decoded(path, "RGBA").view(">u2").astype(np.uint16)
    elif kind in ("RGB", "RGBA") and order in ("B", "L", "N"):
        native = "L" if np.little_endian else "B"
        upper, lower = _HIGH_LOW[native if order == "N" else order]
        samples = _decoded(path, f"{kind};16{upper}").astype(np.uint16)
        samples <<= 8
        samples |= _decoded(path, f"{kind};16{lower}")
    else:
        raise DataError(f"{path}: 16-bit samples of the kind {raw}; grey, RGB and RGBA with plain alpha are read")
    key = image.info.get("transparency")
    if key is None:
        return samples
    opaque = (samples != np.atleast_1d(np.asarray(key, np.uint16))).any(axis=2)
    return np.concatenate([samples, np.where(opaque, 65535, 0).astype(np.uint16)[:, :, None]], axis=2)


def _decoded(path: Path, raw_mode: str) -> NDArray[np.uint8]:
    """(H, W, C) uint8 that Pillow decodes by another raw mode than its own choice."""
    with _opened(path) as image:
        tiles: Any = []
        for tile in image.tile:
            codec, box, offset, arguments = tile
            chosen = (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
            make = getattr(type(tile), "_make", tuple)  # named tuples in later versions of Pillow
            tiles.append(make((codec, box, offset, chosen)))
        image.tile = tiles
        image.info.pop("transparency", None)  # a colour of 16 bits, which these bytes are not
        return samples_8(image)


def _metadata(image: ImageFile.ImageFile, raw: str) -> tuple[Metadata, int, tuple[str, ...]]:
    """What the file says besides its samples, as it is true of them upright; the orientation; what was left out."""
    notes: list[str] = []
    orientation, block = exif_blocks.UPRIGHT, b""
    try:
        tags = image.getexif()
        stated = tags.get(exif_blocks.ORIENTATION, exif_blocks.UPRIGHT)
        orientation = stated if stated in range(1, 9) else exif_blocks.UPRIGHT
        width, height = (image.height, image.width) if orientation >= 5 else (image.width, image.height)
        block = exif_blocks.without_prefix(image.info.get("exif", b"")) or exif_blocks.described(tags)
        block = exif_blocks.made_upright(block, width, height) if block else b""
    except Exception:  # Pillow's reader of EXIF raises half a dozen types on damage
        notes.append("damaged EXIF, left out")
        block = b""
    if image.format == SEVERAL_JPEGS:
        notes.append("the first picture of several in the file")
    if raw.startswith("RGBX"):
        notes.append("a fourth channel of unknown meaning, left out")
    xmp: Any = image.info.get("xmp", b"")
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    dpi: Any = image.info.get("dpi")
    across = tuple(float(value) for value in dpi) if dpi and all(value > 0 for value in dpi) else None
    icc: Any = image.info.get("icc_profile") or b""
    assert across is None or len(across) == 2
    return Metadata(exif=block, icc=bytes(icc), xmp=exif_blocks.upright_xmp(xmp), dpi=across), orientation, tuple(notes)
