"""One task on image files; see `samples.TaskData`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..samples import Sample
from ..tasks import Task
from .hashes import file_hashes, forget, set_hash, sha256
from .images import check_suffix, decode
from .limits import label, pixel_limit, read_bytes
from .pairing import ListedImage, Listing


def members(listing: Listing, hashes: Mapping[Path, str]) -> str:
    """SHA-256 (hex) of a set: over role, name and SHA-256 of every image of it.

    Folders and their spelling play no part. An image that is missing or cannot be read counts with the reason.
    """
    digests: dict[str, str] = {}
    for image in listing.images:
        if image.degraded is not None:
            digests[f"degraded/{image.name}"] = hashes[image.degraded]
        if image.clean is None:
            digests[f"clean of {image.name}"] = image.problem
        else:
            digests[f"clean/{image.clean_name}"] = hashes[image.clean]
    return set_hash(digests.items())


@dataclass(frozen=True)
class Reading:
    """How image files are read.

    Attributes:
        max_pixels: pixels of the largest image that is read; None: see `limits.pixel_limit`.
        verify: whether hashes are taken of all files anew, whatever is remembered of them.
    """

    max_pixels: float | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        pixel_limit(self.max_pixels)  # a mistake in a key surfaces here


class FileTask:
    """One task on a folder of clean images, or on a folder of degraded and one of clean images.

    `names` are the file names of all degraded images (of all images, where there are no degraded ones), so an image
    that cannot be read, or has no clean image, is not passed over: asking for its sample raises a `DataError` that
    names it, and a run records it as failed. Clean images that no degraded one belongs to are no samples.

    Args:
        task: with the data set's name.
        listing: from `pairing`.
        description: one line: which images.
        licence: one line.
        reading: how its files are read.
    """

    def __init__(
        self, task: Task, listing: Listing, description: str, licence: str, reading: Reading = Reading()
    ) -> None:
        self._task = task
        self._listing = listing
        self._description = description
        self._licence = licence
        self._reading = reading
        self._planned: dict[Path, str] = {}

    @property
    def task(self) -> Task:
        return self._task

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(image.name for image in self._listing.images)

    @property
    def description(self) -> str:
        """One line: which images from which folders, and who degrades them."""
        if self._task.sigma is None:
            return self._description
        return f"{self._description}, noise of sigma {self._task.sigma} drawn by the protocol"

    @property
    def licence(self) -> str:
        return self._licence

    def __len__(self) -> int:
        return len(self._listing.images)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, decoded now.

        Raises:
            IndexError: outside.
            DataError: a file is missing, damaged or not of a kind that is read, has changed since the fingerprint was
                taken, or the two have different sizes.
        """
        return self._sample(self._listing.images[index])

    def _sample(self, image: ListedImage) -> Sample:
        if image.problem or image.clean is None:
            raise DataError(f"{image.name}: {image.problem}")
        clean = self._pixels(image.clean)
        if image.degraded is None:
            return Sample(image.name, clean, None, self._task)
        degraded = self._pixels(image.degraded)
        if degraded.shape != clean.shape:
            raise DataError(f"{image.name}: {size_mismatch(degraded.shape, clean.shape, image.clean.name)}")
        return Sample(image.name, clean, degraded, self._task)

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        """Decode the very bytes that the fingerprint was taken of."""
        check_suffix(path)
        data = read_bytes(path, self._reading.max_pixels)
        planned = self._planned.get(path, "")
        if planned and sha256(data) != planned:
            forget(path)
            raise DataError(f"{label(path)}: changed since the run was planned: start it again")
        return decode(data, path, self._reading.max_pixels)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the set, as `bench data check` shows it: of the names and the bytes of all its files."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        self._planned = file_hashes(
            self._listing.files, verify=self._reading.verify, max_pixels=self._reading.max_pixels
        )
        return members(self._listing, self._planned)


def size_mismatch(degraded: tuple[int, ...], clean: tuple[int, ...], clean_name: str) -> str:
    """Words for a pair of different sizes; shapes are (H, W, 3)."""
    return f"{degraded[1]}x{degraded[0]} pixels, but its clean image {clean_name} has {clean[1]}x{clean[0]}"
