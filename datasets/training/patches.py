"""Training patches: cut from an image, flipped and turned, and degraded as a label says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..degradations.degradation import Degradation
from ..degradations.haze import HazeParameters, random_depth
from ..degradations.registry import DEGRADATIONS
from ..errors import unknown

IDENTITY = "identity"
"""The label of samples whose input is clean already: they teach a restorer to do no harm."""

LABELS = ("denoise-SIGMA", *DEGRADATIONS, IDENTITY)

_BLUR_MARGIN = 12  # pixels beyond a patch that blur may draw in

Image = NDArray[np.uint8]
Ranges = Mapping[str, Mapping[str, Any]]
"""Parameters of degradations that differ from the embedded sets', by task and name."""


def check_label(label: str) -> int:
    """The sigma of a ``denoise-SIGMA`` label, 0 for the others.

    Raises:
        DataError: no such label.
    """
    if label in (*DEGRADATIONS, IDENTITY):
        return 0
    name, _, sigma = label.partition("-")
    if name == "denoise" and sigma.isdigit() and 0 < int(sigma) < 256:
        return int(sigma)
    raise unknown("part of a training mixture (mix.parts.NAME)", label, LABELS)


def adjusted(ranges: Ranges) -> dict[str, Degradation]:
    """The degradations of the embedded sets with these parameters changed.

    Raises:
        DataError: an unknown task or parameter.
    """
    changed = dict(DEGRADATIONS)
    for task, given in ranges.items():
        if task not in changed:
            raise unknown("degradation (mix.ranges.NAME)", task, DEGRADATIONS)
        degradation = changed[task]
        known = {f.name for f in dataclasses.fields(degradation.parameters)}
        for name in given:
            if name not in known:
                raise unknown(f"parameter of {task} (mix.ranges.{task}.NAME)", name, known)
        values: Any = {name: tuple(value) if isinstance(value, Sequence) else value for name, value in given.items()}
        changed[task] = dataclasses.replace(
            degradation, parameters=dataclasses.replace(degradation.parameters, **values)
        )
    return changed


def description(label: str, degradations: Mapping[str, Degradation]) -> str:
    """What is done to the patches of a label, in one line, every parameter included."""
    if label in degradations:
        return degradations[label].identity
    return "clean" if label == IDENTITY else "Gaussian noise, clipped and truncated to 8 bits"


def degraded_patch(
    image: Image,
    label: str,
    side: int,
    turn: int,
    rng: np.random.Generator,
    *,
    degradations: Mapping[str, Degradation],
    contrast: float,
) -> tuple[Image, Image]:
    """A patch of a clean image, degraded after it was flipped and turned: rain falls and haze lies as in tests.

    Args:
        image: (H, W, 3) uint8, any size.
        label: what is done to it; see `check_label`.
        side: of the patch in pixels.
        turn: one of the eight of `turned`.
        rng: source of every other choice.
        degradations: by task, from `adjusted`.
        contrast: least factor of the contrast of half of the patches that are not made hazy; 1 changes nothing.

    Returns:
        Degraded and clean, both (P, P, 3) uint8.
    """
    margin = _BLUR_MARGIN if label == "deblur" and min(image.shape[:2]) >= side + 2 * _BLUR_MARGIN else 0
    whole_side = side + 2 * margin
    corner = random_corner(image.shape, whole_side, rng)
    clean = turned(cut(image, corner, whole_side), turn)
    if contrast < 1 and label != "dehaze" and rng.random() < 0.5:
        clean = _softened(clean, rng.uniform(contrast, 1))
    if label == IDENTITY:
        return clean, clean
    if label.startswith("denoise-"):
        sigma = check_label(label)
        noisy = clean + sigma * rng.standard_normal(clean.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8), clean  # truncated, as promptir@1 does
    degradation = degradations[label]
    depth = None
    if isinstance(degradation.parameters, HazeParameters):
        height, width = (max(length, whole_side) for length in image.shape[:2])
        whole = random_depth(height, width, rng, nearest=degradation.parameters.nearest)
        depth = whole[corner[0] : corner[0] + whole_side, corner[1] : corner[1] + whole_side]
    degraded = degradation(clean, rng, depth)
    inner = slice(margin, margin + side)
    return degraded[inner, inner], clean[inner, inner]


def random_corner(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top left corner of a random square of that side; 0 along an axis that is too short."""
    top, left = (int(rng.integers(max(length - side, 0) + 1)) for length in shape[:2])
    return top, left


def cut(image: Image, corner: tuple[int, int], side: int) -> Image:
    """The square at `corner`; an image that is too small is continued by reflection."""
    top, left = corner
    square = image[top : top + side, left : left + side]
    missing = side - square.shape[0], side - square.shape[1]
    if any(missing):
        square = np.pad(square, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    return square


def _softened(image: Image, factor: float) -> Image:
    """The image with its contrast about the mean grey level multiplied by a factor up to 1."""
    mean = image.mean()
    softened: Image = np.rint(mean + factor * (image - mean)).astype(np.uint8)
    return softened


def turned(image: Image, turn: int) -> Image:
    """One of the eight flips and rotations of a square image, 0 being the image itself."""
    flipped = image[:, ::-1] if turn >= 4 else image
    return np.ascontiguousarray(np.rot90(flipped, turn % 4))
