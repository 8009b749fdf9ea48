"""One task on image files; see `samples.TaskData`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ..errors import DataError
from ..samples import Sample
from ..tasks import Task
from .hashes import file_hashes, set_hash
from .images import read_image
from .pairing import Entry, Listing


def members(listing: Listing, hashes: Mapping[Path, str]) -> str:
    """SHA-256 (hex) of a set: over role, name and SHA-256 of every image of its entries.

    Folders and their spelling play no part. An image that is missing or cannot be read counts with the reason.
    """
    found: dict[str, str] = {}
    for entry in listing.entries:
        if entry.degraded is not None:
            found[f"degraded/{entry.name}"] = hashes[entry.degraded]
        if entry.clean is None:
            found[f"clean of {entry.name}"] = entry.problem
        else:
            found[f"clean/{entry.clean.name}"] = hashes[entry.clean]
    return set_hash(found.items())


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
    """

    def __init__(self, task: Task, listing: Listing, description: str, licence: str) -> None:
        self._task = task
        self._listing = listing
        self._description = description
        self._licence = licence

    @property
    def task(self) -> Task:
        return self._task

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self._listing.entries)

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
        return len(self._listing.entries)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, decoded now.

        Raises:
            IndexError: outside.
            DataError: a file is missing, damaged or not of a kind that is read, or the two have different sizes.
        """
        return self._sample(self._listing.entries[index])

    def _sample(self, entry: Entry) -> Sample:
        if entry.problem or entry.clean is None:
            raise DataError(f"{entry.name}: {entry.problem}")
        clean = read_image(entry.clean)
        if entry.degraded is None:
            return Sample(entry.name, clean, None, self._task)
        degraded = read_image(entry.degraded)
        if degraded.shape != clean.shape:
            raise DataError(f"{entry.name}: {size_mismatch(degraded.shape, clean.shape, entry.clean.name)}")
        return Sample(entry.name, clean, degraded, self._task)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the set, as `bench data check` shows it: of the names and the bytes of all its files."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return members(self._listing, file_hashes(self._listing.files))


def size_mismatch(degraded: tuple[int, ...], clean: tuple[int, ...], clean_name: str) -> str:
    """Words for a pair of different sizes; shapes are (H, W, 3)."""
    return f"{degraded[1]}x{degraded[0]} pixels, but its clean image {clean_name} has {clean[1]}x{clean[0]}"
