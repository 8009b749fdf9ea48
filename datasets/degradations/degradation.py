"""What every degradation is: a function, the ranges of its parameters, and the version that enters fingerprints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Degradation:
    """A degradation with fixed ranges of parameters.

    Attributes:
        task: the task whose inputs it makes; one of `tasks.TASK_NAMES`.
        name: what it is, in words.
        version: raised whenever any output changes; part of the key of every random stream and of every fingerprint.
        parameters: the ranges it draws from, a frozen dataclass; its `repr` is part of every fingerprint.
        stands_for: the real or standard set whose input PSNR it is near.
        function: called with image, generator and `parameters=`, and with `depth=` where it uses depth.
        uses_depth: whether a depth of the scene, where there is one, plays a part.
    """

    task: str
    name: str
    version: int
    parameters: DataclassInstance
    stands_for: str
    function: Callable[..., NDArray[np.uint8]]
    uses_depth: bool = False

    def __call__(
        self, image: NDArray[np.uint8], rng: np.random.Generator, depth: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint8]:
        """Degrade `image`, (H, W, 3) uint8; `depth`, (H, W) uint16, is ignored by what does not use it."""
        if self.uses_depth:
            return self.function(image, rng, depth=depth, parameters=self.parameters)
        return self.function(image, rng, parameters=self.parameters)

    @property
    def identity(self) -> str:
        """Name, version and every parameter in one line."""
        return f"{self.name} v{self.version} {self.parameters}"
