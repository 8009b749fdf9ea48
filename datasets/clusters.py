"""Which images of a data set are of one kind: the photograph, scene or sequence that an image comes from.

Images of one cluster share what they show, so their scores are no independent observations: intervals, tests and
counts go by cluster. A cluster has one name in all tasks of a data set. Light: no numpy, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

_SCENE = re.compile(r"^(astronaut|chelsea|coffee|motorcycle|rocket)(?:-|$)")
"""Scenes of the embedded photographs: crops of one photograph share it, and so do the two views of the motorcycle."""
_FRAME = re.compile(r"^(?P<sequence>.+?)[-_](?P<frame>\d{4,})$")
"""A frame's name behind its sequence's, as GoPro's and HIDE's files have it once they lie in one folder."""
_FROM = re.compile(r"^\d+from(?P<sequence>[A-Za-z]+\d+)$")
"""HIDE's own way to name a frame of a sequence: ``12fromGOPR0950``."""
_STRENGTH = re.compile(r"^(?P<clean>[^_]+)_[\d.]+_[\d.]+$")
"""Airlight and scattering behind the name of a hazy image's clean one: ``0001_0.8_0.2``."""
_OTHER_DEGRADATION = re.compile(r"_(?:clear|low|haze|rain|snow)(?:_(?:haze|rain|snow))*$", re.IGNORECASE)
"""What a name of CDD-11 may say of its degradation."""


def cluster_of(dataset: str, image: str) -> str:
    """The cluster of an image; the image itself where nothing else is known of the data set.

    Args:
        dataset: its name, ``embedded-256`` or ``SOTS-Outdoor``.
        image: name of the sample.
    """
    if dataset.startswith("folder-"):
        return _sequence_of_folders(image)
    rule = _embedded if dataset.startswith("embedded-") else _RULES.get(dataset)
    return rule(image) if rule else image


def kind_of(dataset: str, images: Iterable[str] = ()) -> str:
    """What the clusters of a data set are, in the plural; empty where every image is its own.

    Args:
        dataset: its name.
        images: names of samples of it, by which a folder of the user's shows whether it has sequences.
    """
    if dataset.startswith("folder-"):
        return "sequences" if any("/" in image for image in images) else ""
    return "scenes" if dataset.startswith("embedded-") else _KINDS.get(dataset, "")


def _stem(image: str) -> str:
    return PurePosixPath(image).stem if "/" in image or "." in image else image


def _embedded(image: str) -> str:
    scene = _SCENE.match(_stem(image))
    return scene[1] if scene else image


def _hazy(image: str) -> str:
    name = PurePosixPath(image).name
    named = _STRENGTH.match(name.rpartition(".")[0] if re.search(r"\.[A-Za-z]+$", name) else name)
    return named["clean"] if named else PurePosixPath(image).stem


def _sequence(image: str) -> str:
    """``GOPR0384_11_00`` of ``GOPR0384_11_00/blur/000001.png`` and of ``GOPR0384_11_00-000001.png``."""
    named = _FROM.match(_stem(image))
    if named:
        return named["sequence"]
    folders = [part for part in PurePosixPath(image).parts[:-1] if part.casefold() not in _SUBFOLDERS]
    if folders:
        return folders[-1]
    framed = _FRAME.match(_stem(image))
    return framed["sequence"] if framed else image


def _sequence_of_folders(image: str) -> str:
    """The folder of a frame, ``train/000`` and ``val/000`` being two; the image itself where it lies in none."""
    if "/" not in image:
        return image
    named = _FROM.match(_stem(image))
    return named["sequence"] if named else str(PurePosixPath(image).parent)


_SUBFOLDERS = frozenset({"blur", "blur_gamma", "sharp", "input", "target", "test"})


def _composite(image: str) -> str:
    return _OTHER_DEGRADATION.sub("", PurePosixPath(image).stem)


_RULES: dict[str, Callable[[str], str]] = {
    "SOTS-Outdoor": _hazy,
    "GoPro": _sequence,
    "HIDE": _sequence,
    "CDD-11": _composite,
}
"""By the name of a standard set. A folder of a user's has sequences where its images lie in folders below it."""
_KINDS = {"SOTS-Outdoor": "clean images", "GoPro": "sequences", "HIDE": "sequences", "CDD-11": "scenes"}
