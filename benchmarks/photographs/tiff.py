"""Writing TIFF of 8 and 16 bits with profile, XMP and EXIF, strip by strip (TIFF 6.0; Pillow writes the directory).

Pillow writes no 16-bit colour, and tifffile no directory of EXIF inside the first one.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from . import exif as exif_blocks
from .photograph import Photograph, Samples

HEADER = b"II\x2a\x00"
STRIP_BYTES = 2**20
LEVEL = 6
"""Size of a strip before compression, about, and zlib's level."""
DEFLATE, HORIZONTAL, CHUNKY, UNASSOCIATED, INCH, UNSIGNED = 8, 2, 1, 2, 2, 1
"""Values of tags: compression, predictor, planar configuration, kind of alpha, unit of resolution, sample format."""


def write_tiff(file: BinaryIO, photograph: Photograph) -> tuple[str, ...]:
    """Write a photograph, compressed without loss; what had to be left out, in words."""
    notes = []
    try:
        tags = _described(photograph)
    except Exception:  # Pillow's reader of EXIF raises half a dozen types on damage
        tags = {}
        notes.append("EXIF that cannot be read, left out")
    channels = photograph.pixels.shape[2] + (photograph.alpha is not None)
    rows = max(1, STRIP_BYTES // (photograph.width * channels * photograph.bits // 8))
    file.write(HEADER + bytes(4))
    strips = []
    for top in range(0, photograph.height, rows):
        content = zlib.compress(_differences(photograph, slice(top, top + rows)), LEVEL)
        strips.append((file.tell(), len(content)))
        file.write(content + bytes(len(content) % 2))  # directories and strips begin at even places
    start = file.tell()
    tags |= _layout(photograph, channels, rows, [length for _, length in strips])
    file.write(_directory(tags, [place for place, _ in strips], start))
    file.seek(len(HEADER))
    file.write(struct.pack("<I", start))
    return tuple(notes)


def _differences(photograph: Photograph, rows: slice) -> bytes:
    """Samples of a strip as differences to their left neighbours, little-endian."""
    parts: list[Samples] = [photograph.pixels[rows]]
    if photograph.alpha is not None:
        parts.append(photograph.alpha[rows, :, None])
    samples = np.concatenate(parts, axis=2)
    coded = samples.copy()
    np.subtract(samples[:, 1:], samples[:, :-1], out=coded[:, 1:])  # modulo 2**bits, as the predictor is defined
    return coded.astype(coded.dtype.newbyteorder("<")).tobytes()


def _directory(tags: dict[int, Any], places: list[int], start: int) -> bytearray:
    """The first directory as it lies at `start`, with the directories inside it."""
    made = TiffImagePlugin.ImageFileDirectory_v2(ifh=HEADER + struct.pack("<I", 8))
    for tag, value in {**tags, TiffImagePlugin.STRIPOFFSETS: (0,) * len(places)}.items():
        made[tag] = value
    data = bytearray(made.tobytes(start))
    # Pillow takes the strips to follow the directory; here they go before it, so their places are put in afterwards.
    for tag, _, count, value in exif_blocks.entries(data, "<", 0):
        if tag == TiffImagePlugin.STRIPOFFSETS:
            inside = value if count == 1 else struct.unpack_from("<I", data, value)[0] - start
            struct.pack_into(f"<{count}I", data, inside, *places)
    return data


def _layout(photograph: Photograph, channels: int, rows: int, lengths: list[int]) -> dict[int, Any]:
    """The tags by which a reader finds the samples."""
    alpha = {} if photograph.alpha is None else {TiffImagePlugin.EXTRASAMPLES: UNASSOCIATED}
    return {
        TiffImagePlugin.IMAGEWIDTH: photograph.width,
        TiffImagePlugin.IMAGELENGTH: photograph.height,
        TiffImagePlugin.BITSPERSAMPLE: (photograph.bits,) * channels,
        TiffImagePlugin.COMPRESSION: DEFLATE,
        TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: 1 if photograph.is_grey else 2,
        TiffImagePlugin.SAMPLESPERPIXEL: channels,
        TiffImagePlugin.ROWSPERSTRIP: rows,
        TiffImagePlugin.STRIPBYTECOUNTS: tuple(lengths),
        TiffImagePlugin.PLANAR_CONFIGURATION: CHUNKY,
        TiffImagePlugin.PREDICTOR: HORIZONTAL,
        TiffImagePlugin.SAMPLEFORMAT: (UNSIGNED,) * channels,
        **alpha,
    }


def _described(photograph: Photograph) -> dict[int, Any]:
    """The tags that come with the photograph: EXIF, profile, XMP, resolution, and that it is upright."""
    metadata = photograph.metadata
    tags: dict[int, Any] = {}
    if metadata.exif:
        described, inner = exif_blocks.directories(metadata.exif)
        tags |= described | inner | {exif_blocks.ORIENTATION: exif_blocks.UPRIGHT}
    if metadata.icc:
        tags[TiffImagePlugin.ICCPROFILE] = metadata.icc
    if metadata.xmp:
        tags[TiffImagePlugin.XMP] = metadata.xmp
    if metadata.dpi is not None:
        tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = metadata.dpi
        tags[TiffImagePlugin.RESOLUTION_UNIT] = INCH
    return tags
