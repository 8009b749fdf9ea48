"""Where a standard test set lies under the data root, and what of it is there.

The layout is the one that RBaIR, PromptIR and AdaIR users have on disk, in every spelling that is in use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from ..files.pairing import Listing, list_folder, list_pairs
from ..files.sides import list_root


@dataclass(frozen=True)
class StandardSet:
    """A standard test set.

    Attributes:
        name: as papers call it.
        tasks: the tasks that it is a test set of; all of CDD-11's share their clean images.
        images: number of images or pairs of each task.
        folders: the spellings of its folder under the data root, the usual one first; case plays no part.
        subfolders: the spellings of the sub-folders (degraded, clean); no degraded one where the protocol draws noise.
        size: what it consists of, and how much it is on disk.
        source: where it comes from.
        licence: its terms, as far as its source states any.
        note: what to know before using it; "" if there is nothing.
        part: of a set that is also read as its archive has it, the folder below its own that has the test images; "" of
            a set that is not.
        clean: of such a set, the folder of the clean images beside `part`; "" where `part` has both sides.
    """

    name: str
    tasks: tuple[str, ...]
    images: int
    folders: tuple[str, ...]
    subfolders: tuple[tuple[str, str], ...]
    size: str
    source: str
    licence: str
    note: str = ""
    part: str = ""
    clean: str = ""

    def spellings(self, task: str) -> tuple[tuple[str, str], ...]:
        """The sub-folders (degraded, clean) for a task."""
        return self.subfolders or ((task, "clear"),)

    def layout(self, task: str | None = None) -> str:
        """Where the files go under the data root: `test/dehaze/{input,target}/*`; for all tasks together if None."""
        spellings = self.subfolders or ((task or f"{self.tasks[0]},...", "clear"),)
        pairs = [f"{self.folders[0]}/{{{','.join(pair)}}}/*" for pair in spellings if pair[0]]
        return " or ".join((*pairs, *self._released())) or f"{self.folders[0]}/*"

    def _released(self) -> tuple[str, ...]:
        """Where the files go as the archive has them."""
        if self.clean:
            return (f"{self.folders[0]}/{{{self.part},{self.clean}}}/** as released",)
        return (
            (f"{self.folders[0]}/{self.part}/SEQUENCE/{{{','.join(self.subfolders[0])}}}/* as released",)
            if self.part
            else ()
        )

    def locate(self, root: Path, task: str) -> tuple[Path | None, Path] | None:
        """The folders (degraded, clean) for a task under the data root, or None if they are not both there."""
        for folder in self.folders:
            # The data root may be the folder `test` itself.
            base = _descend(root, folder) or _descend(root, folder.removeprefix("test/"))
            if base is None:
                continue
            for degraded, clean in self.spellings(task):
                inputs, targets = _descend(base, degraded) if degraded else None, _descend(base, clean)
                if targets is not None and (inputs is not None or not degraded):
                    return inputs, targets
        return None

    def listing(self, root: Path, task: str) -> Listing | None:
        """The images for a task under the data root; None if the folders are not there.

        Raises:
            DataError: the names of the two sides cannot be paired.
        """
        folders = self.locate(root, task)
        if folders is None:
            return self._as_released(root) if self.part else None
        degraded, clean = folders
        return list_folder(clean) if degraded is None else list_pairs(degraded, clean)

    def _as_released(self, root: Path) -> Listing | None:
        """The images of the set as its archive has them, `GOPRO_Large/test/SEQUENCE/{blur,sharp}`."""
        for folder in self.folders:
            base = _descend(root, folder) or _descend(root, folder.removeprefix("test/"))
            if base is None:
                continue
            part = _descend(base, self.part)
            if self.clean:
                clean = _descend(base, self.clean)
                listing = None if part is None or clean is None else list_pairs(part, clean)
                listing = listing and replace(
                    listing, orphans=()
                )  # the clean images of the training part lie there too
            else:
                training = _descend(base, "train") is not None
                listing = list_root(part or base) if part or not training else None
            if listing is not None:
                return listing
        return None


def _descend(base: Path, relative: str) -> Path | None:
    """The folder `relative` below `base`, whatever the case of its names; the exact spelling is preferred."""
    folder = base
    for name in filter(None, relative.split("/")):
        if (folder / name).is_dir():
            folder = folder / name
            continue
        try:
            same = sorted(p for p in folder.iterdir() if p.name.lower() == name.lower() and p.is_dir())
        except OSError:  # no such folder, or not ours to look into
            return None
        if not same:
            return None
        folder = same[0]
    return folder if folder.is_dir() else None


def check_root(root: Path) -> None:
    """Refuse a data root that is not there.

    Raises:
        DataError: it is no folder.
    """
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a folder; it is the one that has test/denoise, test/derain and so on")


@dataclass(frozen=True)
class Subset:
    """The images of one standard set for one task, as far as the folders tell.

    Attributes:
        set: the standard set.
        task: name of the task.
        listing: its images, or None where the folders are absent.
    """

    set: StandardSet
    task: str
    listing: Listing | None

    @property
    def images(self) -> int:
        """How many there are."""
        return 0 if self.listing is None else len(self.listing.images)

    @property
    def files(self) -> int:
        """How many files there are to read."""
        return 0 if self.listing is None else len(self.listing.files) + len(self.listing.orphans)

    @property
    def counted(self) -> bool:
        """Whether there are exactly as many as the set has."""
        return self.images == self.set.images

    @property
    def whole(self) -> bool:
        """Whether there are as many as the set has and each has its clean image; no file has been opened."""
        return self.listing is not None and self.counted and not self.listing.problems

    @property
    def title(self) -> str:
        """Name of the set, with the degradation for one of several."""
        return self.set.name if len(self.set.tasks) == 1 else f"{self.set.name} {self.task}"

    @property
    def shortfall(self) -> str:
        """What is missing, in words; for a set that is not whole."""
        where = f"goes in {self.set.layout(self.task)}"
        if self.listing is None:
            return f"{self.title} is absent ({self.set.images} images), {where}"
        words = f"{self.title} has {self.images} of {self.set.images} images"
        if self.listing.problems:
            first = self.listing.problems[0]
            words += f", {len(self.listing.problems)} of them unpaired ({first.name}: {first.problem})"
        return f"{words}, {where}"


def find_subset(standard: StandardSet, task: str, root: Path | None) -> Subset:
    """What lies under the data root of a set's images for a task."""
    return Subset(standard, task, None if root is None else standard.listing(root, task))


def shortfalls(subsets: Iterable[Subset]) -> str:
    """What is missing of these subsets, in one line; the subsets of an absent CDD-11 are one."""
    words: dict[str, None] = {}
    for subset in subsets:
        if subset.listing is None and len(subset.set.tasks) > 1:
            words[f"{subset.set.name} is absent ({subset.set.images} images each), goes in {subset.set.layout()}"] = (
                None
            )
        else:
            words[subset.shortfall] = None
    return "; ".join(words)
