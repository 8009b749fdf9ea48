"""Training samples: which image, degraded how, in which order; sample k of a mixture is the same whoever asks for it.

Every choice comes from a stream keyed by (seed, k). So a run that is resumed, and the processes of a distributed run,
see the one global sequence, whatever the number of workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..degradations.degradation import Degradation
from ..degradations.haze import HazeParameters, random_depth
from ..degradations.registry import DEGRADATIONS
from ..errors import DataError, unknown
from ..streams import rng_for

IDENTITY = "identity"
"""The label of samples whose input is clean already: they teach a restorer to do no harm."""

LABELS = ("denoise-SIGMA", *DEGRADATIONS, IDENTITY)

_BLUR_MARGIN = 12  # pixels beyond a patch that blur may draw in

Image = NDArray[np.uint8]
Order = Literal["weights", "lists"]


class CleanImages(Protocol):
    """Images without degradation: (H, W, 3) uint8, read from several threads."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def identity(self) -> str:
        """What determines the images, in one line."""
        ...

    def __len__(self) -> int: ...

    def clean(self, index: int) -> Image: ...


class PairedImages(CleanImages, Protocol):
    """Images with their degraded versions of the same size."""

    def degraded(self, index: int) -> Image: ...


@dataclass(frozen=True, eq=False)
class Component:
    """One ingredient of a mixture.

    Attributes:
        label: ``denoise-25``, a task that has a synthetic degradation, or ``identity``.
        share: how often it is drawn: a weight, or, in the order ``lists``, how often its list is repeated.
        images: where its clean images come from.
        pairs: the same where the degraded images are real; None degrades the clean ones.
    """

    label: str
    share: float
    images: CleanImages
    pairs: PairedImages | None = None


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """A patch: `degraded` and `clean` are (P, P, 3) uint8; `name` says which image and, with `label`, what was done."""

    name: str
    label: str
    degraded: Image
    clean: Image


@dataclass(frozen=True, eq=False)
class Draw:
    """Which component and image sample k is of, and the stream of its other choices."""

    component: Component
    index: int
    rng: np.random.Generator

    @property
    def name(self) -> str:
        """The image and what is done to it: ``leaves-0-00012 (dehaze)``."""
        return f"{self.component.images.names[self.index]} ({self.component.label})"


@dataclass(frozen=True, eq=False)
class Mixture:
    """An endless sequence of training samples.

    Attributes:
        components: the ingredients.
        order: ``weights``: each sample draws its component by its share, then any of its images. ``lists``: the lists
            of all components, each repeated `share` times, form an epoch, which is shuffled anew every time (as
            PromptIR does).
        seed: of all streams.
        ranges: parameters of the synthetic degradations that differ from the embedded sets', by task.
        contrast: least factor that multiplies the contrast of clean patches about their mean, for half of those that
            are not made hazy: a scene may be pale without haze. Uniform from `contrast` to 1; 1 changes nothing.

    Raises:
        DataError: no component, a share or label that cannot be, an empty list, an unknown parameter, a contrast that
            is not above 0 and up to 1.
    """

    components: tuple[Component, ...]
    order: Order = "weights"
    seed: int = 0
    ranges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    contrast: float = 1.0

    def __post_init__(self) -> None:
        if not self.components:
            raise DataError("a training mixture needs at least one part with a share above 0")
        for component in self.components:
            check_label(component.label)
            if not component.share > 0 or (self.order == "lists" and component.share != int(component.share)):
                kind = "a weight above 0" if self.order == "weights" else "a whole number of repeats, 1 or more"
                raise DataError(f"mix.parts.{component.label}={component.share}: give {kind}")
            if not len(component.images):
                raise DataError(f"the training list of {component.label} is empty")
        adjusted(self.ranges)
        if not 0 < self.contrast <= 1:
            raise DataError(f"mix.contrast={self.contrast}: give a factor above 0, up to 1")

    @property
    def epoch(self) -> int:
        """Samples of an epoch: all lists with their repeats; by weights, all different images."""
        if self.order == "lists":
            return int(self._ends()[-1])
        return sum(
            len(images) for images in {id(component.images): component.images for component in self.components}.values()
        )

    def identity(self) -> str:
        """Everything that determines the sequence of samples (patch size aside), one line a component."""
        softened = "" if self.contrast == 1 else f", contrast from {self.contrast:g} for half of all but haze"
        lines = [f"{self.order} seed {self.seed}{softened}"]
        for component in self.components:
            origin = component.images if component.pairs is None else component.pairs
            how = "real pairs" if component.pairs is not None else _how(component.label, self.ranges)
            lines.append(f"{component.label} x {component.share:g}: {origin.identity}; {how}")
        return "\n".join(lines)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of `identity` and all names."""
        digest = hashlib.sha256(self.identity().encode())
        for component in self.components:
            digest.update("\n".join(["", *component.images.names]).encode())
        return digest.hexdigest()

    def draw(self, k: int) -> Draw:
        """Sample k's component, image and stream; no pixel is read."""
        rng = rng_for("training sample", self.seed, k)
        if self.order == "weights":
            shares = np.cumsum([component.share for component in self.components])
            number = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
            component = self.components[min(number, len(self.components) - 1)]
            return Draw(component, int(rng.integers(len(component.images))), rng)
        epoch, position = divmod(k, self.epoch)
        entry = int(_shuffled(self.seed, epoch, self.epoch)[position])
        ends = self._ends()
        number = int(np.searchsorted(ends, entry, side="right"))
        component = self.components[number]
        first = int(ends[number - 1]) if number else 0
        return Draw(component, (entry - first) % len(component.images), rng)

    def sample(self, k: int, patch: int) -> TrainingSample:
        """Sample k as a square of `patch` pixels, randomly placed, flipped and turned."""
        chosen = self.draw(k)
        component, rng = chosen.component, chosen.rng
        clean = component.images.clean(chosen.index)
        turn = int(rng.integers(8))
        if component.pairs is not None:
            degraded = component.pairs.degraded(chosen.index)
            if degraded.shape != clean.shape:
                name = component.images.names[chosen.index]
                raise DataError(
                    f"{name}: degraded {degraded.shape} and clean {clean.shape} differ in size; "
                    "remove the pair or repair it"
                )
            box = _box(clean.shape, patch, rng)
            pair = (turned(_cut(degraded, box, patch), turn), turned(_cut(clean, box, patch), turn))
        else:
            pair = self._degraded(clean, component.label, patch, turn, rng)
        return TrainingSample(chosen.name, component.label, *pair)

    def _degraded(
        self, image: Image, label: str, patch: int, turn: int, rng: np.random.Generator
    ) -> tuple[Image, Image]:
        """A patch of a clean image, degraded after it was flipped and turned: rain falls and haze lies as in tests."""
        margin = _BLUR_MARGIN if label == "deblur" and min(image.shape[:2]) >= patch + 2 * _BLUR_MARGIN else 0
        side = patch + 2 * margin
        box = _box(image.shape, side, rng)
        clean = turned(_cut(image, box, side), turn)
        if self.contrast < 1 and label != "dehaze" and rng.random() < 0.5:
            clean = _softened(clean, rng.uniform(self.contrast, 1))
        if label == IDENTITY:
            return clean, clean
        if label.startswith("denoise-"):
            sigma = check_label(label)
            noisy = clean + sigma * rng.standard_normal(clean.shape)
            return np.clip(noisy, 0, 255).astype(np.uint8), clean  # truncated, as promptir@1 does
        degradation = _degradations(self._frozen_ranges())[label]
        depth = None
        if isinstance(degradation.parameters, HazeParameters):
            height, width = (max(length, side) for length in image.shape[:2])
            whole = random_depth(height, width, rng, nearest=degradation.parameters.nearest)
            depth = whole[box[0] : box[0] + side, box[1] : box[1] + side]
        degraded = degradation(clean, rng, depth)
        inner = slice(margin, margin + patch)
        return degraded[inner, inner], clean[inner, inner]

    def _ends(self) -> NDArray[np.int64]:
        """Where each component's list ends in an epoch."""
        return np.cumsum([int(component.share) * len(component.images) for component in self.components])

    def _frozen_ranges(self) -> tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]:
        def hashable(value: Any) -> Any:
            return tuple(value) if isinstance(value, Sequence) else value

        return tuple(
            (task, tuple((name, hashable(value)) for name, value in sorted(given.items())))
            for task, given in sorted(self.ranges.items())
        )


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


def adjusted(ranges: Mapping[str, Mapping[str, Any]]) -> dict[str, Degradation]:
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


@lru_cache(maxsize=8)
def _degradations(ranges: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]) -> dict[str, Degradation]:
    return adjusted({task: dict(given) for task, given in ranges})


def _how(label: str, ranges: Mapping[str, Mapping[str, Any]]) -> str:
    if label in DEGRADATIONS:
        return adjusted(ranges)[label].identity
    return "clean" if label == IDENTITY else "Gaussian noise, clipped and truncated to 8 bits"


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of an epoch."""
    return rng_for("training epoch", seed, epoch).permutation(count)


def _box(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top left corner of a random square of that side; 0 along an axis that is too short."""
    top, left = (int(rng.integers(max(length - side, 0) + 1)) for length in shape[:2])
    return top, left


def _cut(image: Image, corner: tuple[int, int], side: int) -> Image:
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
