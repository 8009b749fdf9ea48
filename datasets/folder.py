"""Any folder of images as a suite of one task: `dataset=folder degraded=DIR clean=DIR`, or `degraded=ROOT` of both."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import DataError, unknown
from .files.hashes import file_hashes
from .files.pairing import Listing, list_folder, list_pairs
from .files.sides import list_root
from .files.task import FileTask, Reading, members
from .suites import ResolvedSuite
from .tasks import NOISE_LEVELS, TASK_NAMES, Suite, Task

SUITE_NAME = "folder"


def folder_suite(
    degraded: Path | None,
    clean: Path | None,
    task: str = "restore",
    sigma: int | None = None,
    *,
    max_pixels: float | None = None,
    verify: bool = False,
) -> ResolvedSuite:
    """Images of the user's as a suite; pairs are found by name, see `pairing.partnership`.

    The data set's name has the folder's name and the beginning of the images' SHA-256, so that rows on different
    images are never ranked together.

    Args:
        degraded: folder of degraded images; None where the protocol draws noise on the clean ones. Without `clean`, a
            root that has both sides, as `sides.list_root` finds them.
        clean: folder of clean images.
        task: one of `TASK_NAMES`.
        sigma: standard deviation of the noise in grey levels (0 to 255), without `degraded`; None for 15, 25 and 50.
        max_pixels: the largest image that is read; None: see `files.limits.pixel_limit`.
        verify: hash all files anew, whatever is remembered of them.

    Raises:
        DataError: a folder is missing or has no images, an unknown task, or noise asked for on degraded images.
    """
    if task not in TASK_NAMES:
        raise unknown("task (tasks=)", task, TASK_NAMES)
    if clean is None and degraded is None:
        raise DataError(_NO_CLEAN)
    for key, folder in (("degraded", degraded), ("clean", clean)):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{key}={folder} is not a folder")
    reading = Reading(max_pixels, verify)
    if degraded is None:
        assert clean is not None
        return _noisy(clean, reading, task, NOISE_LEVELS if sigma is None else (sigma,))
    if sigma is not None:
        raise DataError("sigma= is for noise drawn on clean images: leave it out, or leave degraded= out")
    listing = list_root(degraded) if clean is None else list_pairs(degraded, clean)
    if listing is None:
        raise DataError(f"{_NO_CLEAN}; {degraded} has no folders below that are named for two sides, as blur and sharp")
    _check_images(listing)
    suite_task = Task(task, _dataset_name(listing, reading))
    data = FileTask(suite_task, listing, _description(listing), _LICENCE, reading)
    suite = Suite(SUITE_NAME, f"Images of {degraded}", (suite_task,))
    return ResolvedSuite(suite, (data,), _notice(listing, suite_task.dataset))


_NO_CLEAN = "dataset=folder needs clean=DIR, the folder of the clean images, or degraded=ROOT of a set with both sides"
_LICENCE = "not known: images of the user's"


def _noisy(clean: Path, reading: Reading, task: str, sigmas: tuple[int, ...]) -> ResolvedSuite:
    if task not in ("denoise", "restore"):
        raise DataError(f"the task {task} needs degraded=DIR, the folder of the degraded images")
    if any(not 0 < sigma <= 255 for sigma in sigmas):
        raise DataError(f"sigma={sigmas[0]}: give a noise level from 1 to 255 grey levels")
    listing = list_folder(clean, nested=True)
    both = list_root(clean) if any("/" in image.name for image in listing.images) else None
    if both is not None and any(image.clean is not None for image in both.images):
        raise DataError(f"{clean} has degraded images and clean ones: give degraded={clean} to restore the former")
    _check_images(listing)
    name = _dataset_name(listing, reading)
    tasks = tuple(Task("denoise", name, sigma) for sigma in sigmas)
    data = tuple(FileTask(task, listing, _description(listing), _LICENCE, reading) for task in tasks)
    return ResolvedSuite(Suite(SUITE_NAME, f"Images of {clean}", tasks), data, _notice(listing, name))


def _check_images(listing: Listing) -> None:
    if not listing.images:
        raise DataError(f"no PNG, JPEG, BMP or TIFF image in {listing.folders[0]}")
    if all(image.clean is None for image in listing.images):
        degraded, clean = listing.folders[0], listing.folders[-1]
        raise DataError(f"no image in {degraded} has a clean one in {clean}: names have to correspond")


def _dataset_name(listing: Listing, reading: Reading) -> str:
    """`folder-NAME-12345678`: NAME of the folder, or of what holds both, and the beginning of the images' hash."""
    folders = [folder.absolute() for folder in listing.folders]
    same_parent = len(folders) == 2 and folders[0].parent == folders[1].parent
    name = folders[0].parent.name if same_parent else folders[0].name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "images"
    hashes = file_hashes(listing.files, verify=reading.verify, max_pixels=reading.max_pixels)
    return f"folder-{plain}-{members(listing, hashes)[:8]}"


def _description(listing: Listing) -> str:
    return f"{len(listing.images)} images in {' and '.join(str(folder) for folder in listing.folders)}"


def _notice(listing: Listing, name: str) -> str:
    """Which images, and everything that the listing passes over or that will fail, by name."""
    notice = "; ".join((f"{name}: {_description(listing)}", *listing.notes))
    for words, paths in (
        ("will fail", [f"{image.name} ({image.problem})" for image in listing.problems]),
        ("clean without a degraded image", [path.name for path in listing.orphans]),
        ("no images", [f"{path.parent.name}/{path.name}" for path in listing.ignored]),
    ):
        if paths:
            notice += f"; {words}: {_some(paths)}"
    return notice


def _some(names: list[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
