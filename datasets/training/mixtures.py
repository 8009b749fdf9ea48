"""Training samples: which image, degraded how, in which order; sample k of a mixture is the same whoever asks for it.

Every choice comes from a stream keyed by (seed, k). So a run that is resumed, and the processes of a distributed run,
see the one global sequence, whatever the number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..degradations.degradation import Degradation
from ..errors import DataError
from ..streams import rng_for
from .patches import (
    Image,
    Ranges,
    adjusted,
    check_label,
    cut,
    degraded_patch,
    description,
    random_corner,
    turned,
)

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
    ranges: Ranges = field(default_factory=dict)
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

    @cached_property
    def _degradations(self) -> Mapping[str, Degradation]:
        return adjusted(self.ranges)

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
            how = "real pairs" if component.pairs is not None else description(component.label, self._degradations)
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
            corner = random_corner(clean.shape, patch, rng)
            pair = (turned(cut(degraded, corner, patch), turn), turned(cut(clean, corner, patch), turn))
        else:
            degradations = self._degradations
            pair = degraded_patch(
                clean, component.label, patch, turn, rng, degradations=degradations, contrast=self.contrast
            )
        return TrainingSample(chosen.name, component.label, *pair)

    def _ends(self) -> NDArray[np.int64]:
        """Where each component's list ends in an epoch."""
        return np.cumsum([int(component.share) * len(component.images) for component in self.components])


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of an epoch."""
    return rng_for("training epoch", seed, epoch).permutation(count)
