"""Writing a photograph in the format of its file's name, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from ...atomic import written_whole
from ...datasets.errors import DataError
from . import exif as exif_blocks
from .photograph import Photograph
from .png import XMP_KEYWORD, write_png_16
from .tiff import write_tiff

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
"""Formats that are written, by extension in lower case."""
JPEG_QUALITY = 95
"""With all of the colour kept (4:4:4): colours are not halved a second time."""
SEGMENT = 65_000
"""Bytes of EXIF or XMP that one segment of a JPEG holds, with room for its name."""
EIGHT_BITS = ("JPEG", "WEBP", "BMP")
OPAQUE = ("JPEG", "BMP")


def write_photograph(path: Path, photograph: Photograph) -> tuple[str, ...]:
    """Write a photograph to a folder that exists; a file of that name is replaced.

    Args:
        path: its extension, one of `FORMATS`, is the format.
        photograph: with its metadata, which are kept where the format can.

    Returns:
        What had to be left out or rounded, in words.

    Raises:
        DataError: the format cannot hold the photograph, or the file cannot be written; nothing is left of it.
    """
    kind = FORMATS[path.suffix.lower()]
    notes: list[str] = []
    if photograph.alpha is not None and kind in OPAQUE:
        raise DataError(f"{path}: {kind} cannot hold transparency; choose --format png, tif or webp")
    if photograph.bits == 16 and kind in EIGHT_BITS:
        photograph = photograph.in_8_bits()
        notes.append(f"16 bits rounded to the 8 of {kind}")
    try:
        with written_whole(path) as part:
            if kind == "TIFF":
                with part.open("wb") as file:
                    notes.extend(write_tiff(file, photograph))
            elif photograph.bits == 16:
                with part.open("wb") as file:
                    write_png_16(file, photograph)
            else:
                notes.extend(_write_8(part, photograph, kind))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path}: cannot be written as {kind}: {error}") from error
    return tuple(notes)


def _write_8(path: Path, photograph: Photograph, kind: str) -> list[str]:
    """Write with Pillow; what had to be left out."""
    metadata, notes = photograph.metadata, []
    if kind == "JPEG":
        for name in ("exif", "xmp"):
            if len(getattr(metadata, name)) > SEGMENT:
                metadata = replace(metadata, exif=b"") if name == "exif" else replace(metadata, xmp=b"")
                notes.append(f"{name.upper()} longer than a JPEG can hold, left out")
    options: dict[str, Any] = {"dpi": metadata.dpi} if metadata.dpi is not None and kind != "WEBP" else {}
    if kind == "BMP":
        lost = [name.upper() for name in ("exif", "icc", "xmp") if getattr(metadata, name)]
        notes += [f"{' and '.join(lost)} left out: BMP holds none"] if lost else []
    else:
        options |= {"icc_profile": metadata.icc} if metadata.icc else {}
        options |= {"exif": exif_blocks.with_prefix(metadata.exif)} if metadata.exif else {}
    if metadata.xmp and kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt(XMP_KEYWORD.decode(), metadata.xmp.decode("utf-8", "replace"))
        options["pnginfo"] = texts
    elif metadata.xmp and kind != "BMP":
        options["xmp"] = metadata.xmp
    if kind == "JPEG":
        options |= {"quality": JPEG_QUALITY, "subsampling": "4:4:4"}
    if kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    as_image(photograph).save(path, format=kind, **options)
    return notes


def as_image(photograph: Photograph) -> Image.Image:
    """A photograph of 8 bits as Pillow's image: L, LA, RGB or RGBA."""
    samples = photograph.interleaved()
    return Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
