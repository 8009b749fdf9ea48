"""Training images on disk: folders of natural images, and paired sets in the layout that PromptIR's users have.

Under the data root, in ``Train`` or ``train``:

====================  =========================================================================================
``Denoise/*``         clean images (BSD400 and WED)
``Derain``            ``rainy/rain-1.png`` with ``gt/norain-1.png`` (Rain100L's 200 training pairs)
``Dehaze``            ``synthetic/part1/0025_0.8_0.1.jpg`` with ``original/0025.png`` (RESIDE OTS)
``Deblur``            ``blur/NAME.png`` with ``sharp/NAME.png`` (GoPro), or ``SEQUENCE/{blur,sharp}`` as released
``Enhance``           ``low/2.png`` with ``gt/2.png`` (LOL-v1)
====================  =========================================================================================

``input`` and ``target`` are taken for any of the paired folders, too. Files are
read by the rules of evaluation, and the photographs of the embedded test sets are refused wherever they turn up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..files.images import FOREIGN_SUFFIXES, FORMATS, read_image, wrong_extension
from ..files.limits import pixel_limit
from ..files.pairing import Listing, list_tree
from ..files.sides import list_root
from ..files.walk import files_below
from .guard import refuse_test_photograph

Image = NDArray[np.uint8]


class DecodedCache:
    """Decoded images, kept as long as they fit into `limit` bytes; shared by threads.

    Args:
        limit: in bytes.
        max_pixels: the largest image that is read; None: see `files.limits.pixel_limit`.
    """

    def __init__(self, limit: int, max_pixels: float | None = None) -> None:
        self.limit, self.used = limit, 0
        self.max_pixels = pixel_limit(max_pixels)
        self._images: dict[Path, Image] = {}
        self._lock = threading.Lock()

    def get(self, path: Path) -> Image:
        """The image at `path`, read-only, decoded unless it is kept; see `read`."""
        image = self._images.get(path)
        if image is None:
            image = read(path, self.max_pixels)
            with self._lock:
                if path not in self._images and self.used + image.nbytes <= self.limit:
                    self._images[path] = image
                    self.used += image.nbytes
        return image


class FolderImages:
    """All images in a folder and its sub-folders, sorted by name; see `mixtures.CleanImages`.

    Args:
        folder: where they are.
        cache: keeps decoded images.
        kind: what the folder is for, in messages.

    Raises:
        DataError: there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path, cache: DecodedCache, kind: str = "natural images") -> None:
        self.folder, self._cache, self._kind = folder, cache, kind
        self._cleared: set[int] = set()
        self._paths = image_files(folder, kind)
        self.names = tuple(path.relative_to(folder).as_posix() for path in self._paths)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def identity(self) -> str:
        """Kind, number, and total size of the files."""
        return f"{self._kind}: {len(self)} files, {sum(path.stat().st_size for path in self._paths)} bytes"

    def clean(self, index: int) -> Image:
        """Image `index`, (H, W, 3) uint8.

        Raises:
            DataError: it cannot be read (see `read`), or is a photograph of the embedded test sets.
        """
        image = self._cache.get(self._paths[index])
        if index not in self._cleared:
            refuse_test_photograph(image, self._paths[index])
            self._cleared.add(index)
        return image


@dataclass(frozen=True)
class _Layout:
    """A paired training set: its folder under ``Train`` and the sub-folders (degraded, clean)."""

    title: str
    folder: str
    subfolders: tuple[tuple[str, str], ...]


_INPUT_TARGET = ("input", "target")
LAYOUTS = {
    "derain": _Layout("Rain100L's training pairs", "Derain", (("rainy", "gt"), _INPUT_TARGET)),
    "dehaze": _Layout("RESIDE OTS", "Dehaze", (("synthetic", "original"), _INPUT_TARGET)),
    "deblur": _Layout("GoPro", "Deblur", (("blur", "sharp"), _INPUT_TARGET)),
    "lowlight": _Layout("LOL-v1", "Enhance", (("low", "gt"), ("low", "high"), _INPUT_TARGET)),
}
"""The paired training sets by task."""


class PairedFolder:
    """A paired training set; see `mixtures.PairedImages`. One entry for each degraded image.

    Args:
        task: a key of `LAYOUTS`.
        root: the data root.
        cache: keeps decoded images.

    Attributes:
        names: of the degraded images, their paths below the folder of their side.
        notes: a line for each choice that was made, by which rule names pair for one.

    Raises:
        DataError: a folder is missing, both are one, or a degraded image has no clean one.
    """

    def __init__(self, task: str, root: Path, cache: DecodedCache) -> None:
        layout = LAYOUTS[task]
        self._cache, self._title = cache, layout.title
        self._cleared: set[Path] = set()
        listing = _pairs(layout, train_folder(root))
        for image in listing.problems:
            assert image.degraded is not None
            raise DataError(f"{image.degraded}: {image.problem}: add the right one or remove the file")
        self.names = tuple(image.name for image in listing.images)
        self._degraded = [image.degraded for image in listing.images if image.degraded is not None]
        self._clean = [image.clean for image in listing.images if image.clean is not None]
        self.notes = tuple(f"{layout.title}: {note}" for note in listing.notes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def identity(self) -> str:
        """Set, number of pairs, and total size of the files."""
        size = sum(path.stat().st_size for path in (*self._degraded, *dict.fromkeys(self._clean)))
        return f"{self._title}: {len(self)} pairs, {size} bytes"

    def clean(self, index: int) -> Image:
        """Clean image of pair `index`, (H, W, 3) uint8.

        Raises:
            DataError: it cannot be read (see `read`), or is a photograph of the embedded test sets.
        """
        path = self._clean[index]
        image = self._cache.get(path)
        if path not in self._cleared:
            refuse_test_photograph(image, path)
            self._cleared.add(path)
        return image

    def degraded(self, index: int) -> Image:
        """Degraded image of pair `index`, (H, W, 3) uint8.

        Raises:
            DataError: it cannot be read, see `read`.
        """
        return self._cache.get(self._degraded[index])


def train_folder(root: Path) -> Path:
    """``Train`` or ``train`` under the data root.

    Raises:
        DataError: neither is there.
    """
    for name in ("Train", "train"):
        if (root / name).is_dir():
            return root / name
    raise DataError(f"data.root={root} has no folder Train: it should hold {', '.join(described_layout())}")


def described_layout() -> list[str]:
    """Where every training set goes, in words."""
    pairs = [f"Train/{set_.folder}/{{{','.join(set_.subfolders[0])}}} ({set_.title})" for set_ in LAYOUTS.values()]
    return ["Train/Denoise (BSD400 and WED)", *pairs]


def denoise_images(root: Path, cache: DecodedCache) -> FolderImages:
    """The clean images of the denoising set.

    Raises:
        DataError: they are not there.
    """
    return FolderImages(train_folder(root) / "Denoise", cache, "BSD400 and WED")


def _pairs(layout: _Layout, train: Path) -> Listing:
    """The pairs of a set: its two sub-folders, or the folder itself as its archive has it, `SEQUENCE/{blur,sharp}`."""
    folder = train / layout.folder
    for names in layout.subfolders:
        degraded, clean = (folder / name for name in names)
        if degraded.is_dir() and clean.is_dir():
            for side in (degraded, clean):
                image_files(side, layout.title)
            return list_tree(degraded, clean)
    released = list_root(folder) if folder.is_dir() else None
    if released is None:
        wanted = " or ".join(f"{{{','.join(pair)}}}" for pair in layout.subfolders)
        raise DataError(f"{layout.title} is missing: put its images into {folder}/{wanted}")
    return released


def image_files(folder: Path, kind: str) -> list[Path]:
    """Image files in a folder and below, sorted by their path.

    Raises:
        DataError: there is no such folder, no image in it, or one of a format that is not read.
    """
    if not folder.is_dir():
        raise DataError(f"{kind}: there is no folder {folder}")
    files = [folder / name for name in files_below(folder)]
    for path in files:
        if path.suffix.lower() in FOREIGN_SUFFIXES:
            raise DataError(f"{kind}: {wrong_extension(path)}: convert or remove {path}")
    images = sorted(path for path in files if path.suffix.lower() in FORMATS)
    if not images:
        raise DataError(f"{kind}: there is no image in {folder} ({', '.join(sorted(FORMATS))})")
    return images


def read(path: Path, max_pixels: float | None = None) -> Image:
    """An image file as (H, W, 3) uint8 RGB, by the rules of evaluation (`files.images`): nothing is altered in silence.

    Raises:
        DataError: it cannot be read, is damaged, or is not 8-bit RGB, grey or palette without alpha.
    """
    try:
        return read_image(path, max_pixels)
    except DataError as error:
        raise DataError(f"{error}: repair or remove {path}") from error
