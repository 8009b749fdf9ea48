"""A photograph between its file and the network: upright samples, and what the file said besides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
KINDS = (np.uint8, np.uint16, np.float32)


def white(samples: Samples) -> float:
    """What white is in samples of that type: the largest level, or 1."""
    return {1: 255.0, 2: 65535.0, 4: 1.0}[samples.dtype.itemsize]


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file carries besides its samples; empty where it has none.

    Attributes:
        exif: the EXIF block, a TIFF structure that begins with ``II`` or ``MM``.
        icc: the colour profile.
        xmp: the XMP packet (XML).
        dpi: dots per inch, across and down.
    """

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photograph:
    """Samples as they are seen, top row first, and what belongs to them.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 1) grey, uint8 or uint16 over their whole range; float32, nominally in [0, 1],
            where a script gave it: files have none.
        alpha: (H, W) opacity in the same type; None where everything is opaque.
        metadata: of the file; orientation is already applied to the samples and 1 in it.
        notes: what a reader or writer had to leave out or change, in words.
    """

    pixels: Samples
    alpha: Samples | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or kind not in KINDS:
            raise ValueError(f"a photograph is (H, W, 3) or (H, W, 1) of {KINDS}, this is {kind} {shape}")
        if self.alpha is not None and (self.alpha.shape != shape[:2] or self.alpha.dtype != kind):
            raise ValueError(f"alpha is {kind} {shape[:2]}, this is {self.alpha.dtype} {self.alpha.shape}")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def is_grey(self) -> bool:
        """Whether it has one channel."""
        return bool(self.pixels.shape[2] == 1)

    @property
    def bits(self) -> int:
        """Bits of a sample: 8 or 16; 32 of floating point."""
        return int(8 * self.pixels.dtype.itemsize)

    def noted(self, *notes: str) -> Photograph:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    def in_8_bits(self) -> Photograph:
        """The same with samples rounded to 8 bits; itself where it has no more."""
        if self.bits == 8:
            return self
        alpha = None if self.alpha is None else to_8_bits(self.alpha)
        return replace(self, pixels=to_8_bits(self.pixels), alpha=alpha)

    def interleaved(self) -> Samples:
        """(H, W, C) with C = 1 to 4, contiguous: grey or RGB, then alpha where there is one."""
        if self.alpha is None:
            return cast("Samples", np.ascontiguousarray(self.pixels))
        return cast("Samples", np.concatenate([self.pixels, self.alpha[:, :, None]], axis=2))


def to_8_bits(samples: Samples) -> NDArray[np.uint8]:
    """Samples at the nearest of 256 levels, row by row so that no wide copy of all of them is made."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    result = np.empty(samples.shape, np.uint8)
    for row, rounded in zip(samples, result, strict=True):
        rounded[...] = (row.astype(np.uint32) + 128) // 257
    return result


def turned_upright(samples: Samples, orientation: int) -> Samples:
    """Samples (H, W, ...) as a viewer shows them that obeys the EXIF orientation (1 to 8); a view, nothing is copied.

    Source: EXIF 2.32, tag 0x0112: where row 0 and column 0 of the stored image lie on the visible one.
    """
    if orientation >= 5:  # rows and columns are exchanged
        samples = samples.swapaxes(0, 1)
    down, across = {
        1: (1, 1),
        2: (1, -1),
        3: (-1, -1),
        4: (-1, 1),
        5: (1, 1),
        6: (1, -1),
        7: (-1, -1),
        8: (-1, 1),
    }[orientation]
    return samples[::down, ::across]
