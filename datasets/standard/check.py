"""Checking a standard set on disk: every file is read and decoded, and whatever is wrong is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import DataError
from ..files.hashes import THREADS, remember, sha256, stamps_of
from ..files.images import check_suffix, decode
from ..files.limits import label, read_bytes
from ..files.pairing import ListedImage, Listing
from ..files.task import members, size_mismatch
from .layout import Subset

State = Literal["whole", "incomplete", "damaged", "absent"]


@dataclass(frozen=True)
class SubsetReport:
    """What was found of a standard set for one of its tasks; every tuple names files.

    Attributes:
        set, task: what was looked for.
        folders: where it lies; empty if it is absent.
        expected: number of images that the set has.
        images: number of images found (of degraded ones, where there are any).
        good: how many of them can be scored.
        unpaired: images without a partner, with the reason.
        unreadable: files that are damaged, of a kind that is not read, or cannot be opened, with the reason.
        mismatched: pairs of different sizes, with the sizes.
        ignored: files that are no images; they do no harm.
        sizes: how many of the images found have which size, as "481x321" (width x height).
        sha256: of the set, as a run records it; "" if it is absent.
        layout: where it goes under the data root.
    """

    set: str
    task: str
    folders: tuple[str, ...]
    expected: int
    images: int
    good: int
    unpaired: tuple[str, ...]
    unreadable: tuple[str, ...]
    mismatched: tuple[str, ...]
    ignored: tuple[str, ...]
    sizes: dict[str, int]
    sha256: str
    layout: str

    @property
    def state(self) -> State:
        """`absent`; `incomplete`: another number of images; `damaged`: a file unreadable, unpaired or mismatched."""
        if not self.folders:
            return "absent"
        if self.images != self.expected:
            return "incomplete"
        return "damaged" if self.unpaired or self.unreadable or self.mismatched else "whole"


@dataclass(frozen=True)
class _File:
    """What reading one file gave: the SHA-256 or the reason, and the shape (H, W, 3) or None."""

    digest: str
    shape: tuple[int, ...] | None
    problem: str


def _examine(path: Path) -> _File:
    digest = ""
    try:
        data = read_bytes(path)
        digest = sha256(data)
        check_suffix(path)
        return _File(digest, decode(data, path).shape, "")
    except DataError as error:
        return _File(digest or f"unreadable: {error}", None, str(error))


def check_subset(subset: Subset, advance: Callable[[], object] = lambda: None) -> SubsetReport:
    """Read and decode every file of a subset of a standard set.

    Args:
        subset: from `layout.find_subset`.
        advance: called after each file.
    """
    listing = subset.listing or Listing((), (), (), ())
    paths = [*listing.files, *listing.orphans]
    stamps = stamps_of(paths)
    files: dict[Path, _File] = {}
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="check") as pool:
        for path, file in zip(paths, pool.map(_examine, paths), strict=True):
            files[path] = file
            advance()
    hashes = {path: file.digest for path, file in files.items()}
    remember(hashes, stamps)
    mismatched = {image.name: words for image in listing.images if (words := _mismatch(image, files))}
    good = [image for image in listing.images if _good(image, files) and image.name not in mismatched]
    shapes = [files[first].shape for image in listing.images if (first := image.degraded or image.clean) is not None]
    sizes = Counter(f"{shape[1]}x{shape[0]}" for shape in shapes if shape is not None)
    return SubsetReport(
        set=subset.set.name,
        task=subset.task,
        folders=tuple(str(folder) for folder in listing.folders),
        expected=subset.set.images,
        images=subset.images,
        good=len(good),
        unpaired=_unpaired(listing),
        unreadable=tuple(_placed(listing, path, file.problem) for path, file in files.items() if file.problem),
        mismatched=tuple(f"{name}: {words}" for name, words in mismatched.items()),
        ignored=tuple(label(path) for path in listing.ignored),
        sizes=dict(sizes.most_common()),
        sha256=members(listing, hashes) if listing.images else "",
        layout=subset.set.layout(subset.task),
    )


def _unpaired(listing: Listing) -> tuple[str, ...]:
    alone = [(e.degraded, e.problem) for e in listing.images if e.clean is None and e.degraded is not None]
    alone += [(path, "no degraded image for it") for path in listing.orphans]
    return tuple(_placed(listing, path, f"{label(path)}: {words}") for path, words in alone)


def _placed(listing: Listing, path: Path, words: str) -> str:
    """Words that begin with a file's folder and name, as the path below what was read where that is longer."""
    for folder in listing.folders:
        if path.is_relative_to(folder) and len(path.relative_to(folder).parts) > 1:
            start = label(path)
            below = path.relative_to(folder.parent).as_posix()
            return f"{below}{words.removeprefix(start)}" if words.startswith(start) else f"{below}: {words}"
    return words


def _good(image: ListedImage, files: dict[Path, _File]) -> bool:
    paths: Iterable[Path | None] = (image.clean, image.degraded) if image.degraded is not None else (image.clean,)
    return not image.problem and all(path is not None and not files[path].problem for path in paths)


def _mismatch(image: ListedImage, files: dict[Path, _File]) -> str:
    if image.degraded is None or image.clean is None:
        return ""
    degraded, clean = files[image.degraded].shape, files[image.clean].shape
    if degraded is None or clean is None or degraded == clean:
        return ""
    return size_mismatch(degraded, clean, image.clean.name)
