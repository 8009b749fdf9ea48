"""Both sides of a set under one root, as archives are released: `SEQUENCE/{blur,sharp}`, `train_blur/000`, `GT`.

Which side a file is on is said by the deepest folder above it whose name has a word for a role; what is left of the
path without that folder is the image's name, `GOPR0384_11_00/000001.png`. Where no folder has one, the files' own names
may (`0001/NOISY_SRGB_010.PNG`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import DataError
from .images import FOREIGN_SUFFIXES
from .pairing import Listing, paired_sides
from .walk import files_below, has_suffix

DEGRADED = frozenset(
    (
        *("noisy", "noise", "rainy", "rain", "hazy", "haze", "blurry", "blurred", "blur", "snowy", "snow"),
        *("degraded", "input", "inputs", "low", "lq", "lr"),
    )
)
CLEAN = frozenset(
    (
        *("target", "targets", "clean", "clear", "sharp", "high", "gt", "hq", "hr", "norain", "normal"),
        *("groundtruth", "reference", "original"),
    )
)
"""Words of folders' names that say which side of a pair their images are on."""

Role = Literal["degraded", "clean", ""]


@dataclass(frozen=True)
class _Place:
    """Where a file lies: its side, the folder that says so (in lower case, from its word for a role on), its name."""

    role: Role
    version: str
    name: str


def _place(path: str) -> _Place:
    *folders, file = path.split("/")
    for depth in reversed(range(len(folders))):
        words = re.split(r"[-_ .]", folders[depth].lower())
        for at, word in enumerate(words):
            if word in DEGRADED | CLEAN:
                before = folders[depth][: len("_".join(words[:at]))]
                above = folders[:depth] if before in ("", *folders[depth - 1 : depth]) else [*folders[:depth], before]
                role: Role = "degraded" if word in DEGRADED else "clean"
                return _Place(role, "_".join(words[at:]), "/".join([*above, *folders[depth + 1 :], file]))
    return _Place("", "", path)


def _place_by_file(path: str) -> _Place:
    """The place of a file whose own name says its side, `0001/NOISY_SRGB_010.PNG`."""
    folder, slash, file = path.rpartition("/")
    words = [word for word in re.split(r"[-_ .]|(?<=[a-z])(?=[0-9])", file.lower()) if word in DEGRADED | CLEAN]
    if len(set(words)) != 1:
        return _Place("", "", path)
    return _Place("degraded" if words[0] in DEGRADED else "clean", words[0], f"{folder}{slash}{file}")


def list_root(root: Path) -> Listing | None:
    """The pairs under a root that has both sides; None where no name below is that of a side.

    Of several versions of a side (`blur` and `blur_gamma`) the plain one is read and the others are named. Where only
    the clean side has folders of its own (HIDE's `GT`), all other images are the degraded ones.

    Raises:
        DataError: a folder cannot be listed, there are several degraded sides, or the names cannot be paired.
    """
    places = {path: _place(path) for path in files_below(root)}
    images = {path: place for path, place in places.items() if has_suffix(path)}
    if not any(place.role for place in images.values()):  # no folder says it: perhaps the files do (SIDD)
        places = {path: _place_by_file(path) for path in places}
        images = {path: places[path] for path in images}
        if {place.role for place in images.values()} != {"degraded", "clean"}:
            return None
    if not any(place.role == "clean" for place in images.values()):
        return None
    notes: list[str] = []
    clean = _chosen(root, images, "clean", notes)
    degraded = _chosen(root, images, "degraded", notes)
    loose = {path: place for path, place in images.items() if not place.role}
    if not degraded:
        degraded, loose = loose, {}
    if not degraded:
        return None
    if loose:
        notes.append(f"left out: {len(loose)} images in no folder of a side, {next(iter(loose))} for one")
    foreign = {
        path: place
        for path, place in places.items()
        if has_suffix(path, FOREIGN_SUFFIXES) and place.version in {each.version for each in degraded.values()}
    }
    listing = paired_sides(
        _by_name(root, degraded), _by_name(root, clean), _by_name(root, foreign), {}, "its clean side"
    )
    return replace(
        listing,
        ignored=tuple(root / path for path in places if path not in images and path not in foreign),
        folders=(root,),
        notes=(*notes, *listing.notes),
    )


def _chosen(root: Path, images: Mapping[str, _Place], role: Role, notes: list[str]) -> dict[str, _Place]:
    """The images of a side, of the plain version where there are several; a note names the others.

    Raises:
        DataError: none is the plain one of all others.
    """
    versions: dict[str, dict[str, _Place]] = defaultdict(dict)
    for path, place in images.items():
        if place.role == role:
            versions[place.version][path] = place
    if len(versions) < 2:
        return next(iter(versions.values()), {})
    plain = min(versions, key=len)
    if not all(other == plain or other.startswith(f"{plain}_") for other in versions):
        raise DataError(
            f"{root} has several folders of {role} images, {', '.join(sorted(versions))}: give one of each side, as"
            " degraded=DIR clean=DIR"
        )
    others = sorted(versions.keys() - {plain})
    notes += (f"left out: {other}, another version of {plain} ({len(versions[other])} images)" for other in others)
    return versions[plain]


def _by_name(root: Path, files: Mapping[str, _Place]) -> dict[str, Path]:
    """Paths by name.

    Raises:
        DataError: two files have one name.
    """
    named: dict[str, Path] = {}
    for path, place in files.items():
        if place.name in named:
            raise DataError(f"{named[place.name]} and {root / path} are images of one name, {place.name}")
        named[place.name] = root / path
    return named
