"""Leakage between sets: images of one that are also in the other."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..files.hashes import THREADS
from ..files.images import image_size, read_image
from ..files.perceptual_hash import BITS, hash_distance, perceptual_hash
from ..files.walk import image_names
from .layout import StandardSet

Size = tuple[int, int]
Kind = Literal["same pixels", "same pixels, cropped", "alike"]

LARGEST_CROP = 16
"""Images whose sides differ by at most this many pixels are also compared on their common top left part: test sets are
passed on cropped to even sizes or to multiples of 16 (CBSD68's 481x321 is 480x320 in Rain100H)."""

LARGEST_DISTANCE = 6
"""Perceptual hashes with at most this many different bits of 64 are alike. Between Rain100H and CBSD68 the same scenes
are 0 or 2 bits apart and all others at least 16."""


@dataclass(frozen=True)
class Leak:
    """An image of A that is also in B; `distance` is that of the perceptual hashes, None where one is too flat."""

    a: str
    b: str
    kind: Kind
    distance: int | None


@dataclass(frozen=True)
class LeakageReport:
    """The result of `find_leakage`.

    Attributes:
        leaks: sorted by names.
        images_a, images_b: how many images were compared.
        distinct_a: how many of A's differ in their pixels.
        unreadable: files left out, with the reason.
    """

    leaks: tuple[Leak, ...]
    images_a: int
    images_b: int
    distinct_a: int
    unreadable: tuple[str, ...]

    @property
    def leaked_a(self) -> int:
        """How many images of A are also in B."""
        return len({leak.a for leak in self.leaks})

    @property
    def leaked_b(self) -> int:
        """How many images of B are also in A."""
        return len({leak.b for leak in self.leaks})


@dataclass(frozen=True)
class _Picture:
    """What is kept of a decoded image of `size` (H, W): hashes of its top left parts by size, the whole included."""

    name: str
    size: Size
    pixels: Mapping[Size, bytes]
    perceptual: NDArray[np.bool_] | None


def set_images(standard: StandardSet, root: Path) -> dict[str, Path]:
    """The clean images of a standard set under the data root, by name.

    Raises:
        DataError: it is not there.
    """
    listing = standard.listing(root, standard.tasks[0])
    if listing is None:
        raise DataError(f"{standard.name} is not under data.root={root}: it goes in {standard.layout()}")
    named = {image.clean_name: image.clean for image in listing.images if image.clean is not None}
    return dict(sorted({**named, **{path.name: path for path in listing.orphans}}.items()))


def folder_images(folder: Path) -> dict[str, Path]:
    """All images in a folder and its sub-folders, by their path below it.

    Raises:
        DataError: there is none.
    """
    names = image_names(folder)
    if not names:
        raise DataError(f"no PNG, JPEG, BMP or TIFF image in {folder}")
    return {name: folder / name for name in names}


def find_leakage(
    a: Mapping[str, Path], b: Mapping[str, Path], advance: Callable[[], object] = lambda: None
) -> LeakageReport:
    """Images of A that are also in B: with the same pixels, the same apart from a crop, or alike to the eye.

    With the same files in A and B, the images that A has more than once.

    Args:
        a, b: paths of the images by name.
        advance: called after each image that is decoded.
    """
    same = list(a.values()) == list(b.values())
    sizes_a, sizes_b = _sizes(a.values()), _sizes(b.values())
    unreadable: list[str] = []
    pictures_a = list(_pictures(a, _crops(sizes_a, sizes_b), unreadable, advance))
    pictures_b = pictures_a if same else list(_pictures(b, _crops(sizes_b, sizes_a), unreadable, advance))
    kinds = dict(_same_pixels(pictures_a, pictures_b))
    for pair in _alike(pictures_a, pictures_b):
        kinds.setdefault(pair, "alike")
    leaks = [
        Leak(pictures_a[i].name, pictures_b[j].name, kind, _distance(pictures_a[i], pictures_b[j]))
        for (i, j), kind in kinds.items()
        if not same or i < j
    ]
    return LeakageReport(
        leaks=tuple(sorted(leaks, key=lambda leak: (leak.a, leak.b))),
        images_a=len(pictures_a),
        images_b=len(pictures_b),
        distinct_a=len({picture.pixels[picture.size] for picture in pictures_a}),
        unreadable=tuple(unreadable),
    )


def _sizes(paths: Iterable[Path]) -> set[Size]:
    """The sizes (H, W) that occur, from the files' headers; files without a readable one are named when decoded."""
    sizes: set[Size] = set()
    for path in paths:
        with contextlib.suppress(DataError):
            sizes.add(image_size(path))
    return sizes


def _common(one: Size, other: Size) -> Size:
    return min(one[0], other[0]), min(one[1], other[1])


def _crops(sizes: Iterable[Size], others: Iterable[Size]) -> dict[Size, set[Size]]:
    """For each of `sizes` those that it has in common with `others` nearly as large, itself included."""
    others = set(others)
    return {
        size: {size}
        | {
            _common(size, other)
            for other in others
            if all(abs(mine - its) <= LARGEST_CROP for mine, its in zip(size, other, strict=True))
        }
        for size in sizes
    }


def _pictures(
    images: Mapping[str, Path], crops: Mapping[Size, set[Size]], unreadable: list[str], advance: Callable[[], object]
) -> Iterator[_Picture]:
    """Decode the images, a few at a time; what cannot be read is added to `unreadable`."""

    def picture(item: tuple[str, Path]) -> _Picture | str:
        name, path = item
        try:
            image = read_image(path)
        except DataError as error:
            return str(error)
        size: Size = (image.shape[0], image.shape[1])
        pixels = {
            crop: hashlib.sha256(np.ascontiguousarray(image[: crop[0], : crop[1]]).data).digest()
            for crop in crops.get(size, {size})
        }
        return _Picture(name, size, pixels, perceptual_hash(image))

    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="leakage") as pool:
        for outcome in pool.map(picture, images.items()):
            advance()
            if isinstance(outcome, str):
                unreadable.append(outcome)
            else:
                yield outcome


def _same_pixels(a: Sequence[_Picture], b: Sequence[_Picture]) -> Iterator[tuple[tuple[int, int], Kind]]:
    """Positions of the pairs with the same pixels in their common top left part."""
    index: dict[tuple[Size, bytes], list[int]] = defaultdict(list)
    for j, picture in enumerate(b):
        for crop, digest in picture.pixels.items():
            index[crop, digest].append(j)
    for i, picture in enumerate(a):
        for key in picture.pixels.items():
            for j in index.get(key, []):
                if key[0] == _common(picture.size, b[j].size):
                    yield (i, j), "same pixels" if picture.size == b[j].size else "same pixels, cropped"


def _alike(a: Sequence[_Picture], b: Sequence[_Picture]) -> Iterator[tuple[int, int]]:
    """Positions of the pairs with near perceptual hashes."""
    rows = [i for i, picture in enumerate(a) if picture.perceptual is not None]
    columns = [j for j, picture in enumerate(b) if picture.perceptual is not None]
    if not rows or not columns:
        return
    signs = _signs(b[j] for j in columns).T
    for start in range(0, len(rows), 1024):  # a training set has 70,000 images: never the whole table at once
        chunk = rows[start : start + 1024]
        agreement = _signs(a[i] for i in chunk) @ signs  # bits that agree less bits that differ
        for row, column in np.argwhere(agreement >= BITS - 2 * LARGEST_DISTANCE):
            yield chunk[row], columns[column]


def _signs(pictures: Iterable[_Picture]) -> NDArray[np.float32]:
    bits = np.array([picture.perceptual for picture in pictures], dtype=np.float32)
    signs: NDArray[np.float32] = 2 * bits - 1
    return signs


def _distance(one: _Picture, other: _Picture) -> int | None:
    if one.perceptual is None or other.perceptual is None:
        return None
    return hash_distance(one.perceptual, other.perceptual)
