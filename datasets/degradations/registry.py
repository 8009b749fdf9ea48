"""The synthetic degradations by task, each with the version that enters a data set's fingerprint.

Formulas and sources are in `rain`, `haze`, `blur` and `lowlight`. Noise is not here: evaluation protocols draw it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .blur import BlurParameters, blur
from .haze import DEPTH_MAX, HazeParameters, haze, random_depth
from .lowlight import LowLightParameters, low_light
from .rain import RainParameters, rain

__all__ = [
    "DEGRADATIONS",
    "DEPTH_MAX",
    "BlurParameters",
    "Degradation",
    "HazeParameters",
    "LowLightParameters",
    "RainParameters",
    "blur",
    "haze",
    "low_light",
    "rain",
    "random_depth",
]

Parameters = RainParameters | HazeParameters | BlurParameters | LowLightParameters


@dataclass(frozen=True)
class Degradation:
    """A degradation with fixed ranges of parameters.

    Attributes:
        task: the task whose inputs it makes.
        name: what it is, in words.
        version: raised whenever any output changes; part of the key of every random stream and of every fingerprint.
        parameters: the ranges it draws from.
        stands_for: the real or standard set whose input PSNR it is near.
    """

    task: str
    name: str
    version: int
    parameters: Parameters
    stands_for: str

    def __call__(
        self, image: NDArray[np.uint8], rng: np.random.Generator, depth: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint8]:
        """Degrade `image`, (H, W, 3) uint8; `depth`, (H, W) uint16, is used by haze alone."""
        match self.parameters:
            case RainParameters():
                return rain(image, rng, parameters=self.parameters)
            case HazeParameters():
                return haze(image, rng, depth, parameters=self.parameters)
            case BlurParameters():
                return blur(image, rng, parameters=self.parameters)
            case LowLightParameters():
                return low_light(image, rng, parameters=self.parameters)

    @property
    def identity(self) -> str:
        """Name, version and every parameter in one line."""
        return f"{self.name} v{self.version} {self.parameters}"


DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {
        "derain": Degradation("derain", "rain streaks", 1, RainParameters(), "Rain100L"),
        "dehaze": Degradation("dehaze", "haze", 1, HazeParameters(), "SOTS-Outdoor"),
        "deblur": Degradation("deblur", "camera shake", 1, BlurParameters(), "GoPro"),
        "lowlight": Degradation("lowlight", "low light", 1, LowLightParameters(), "LOL-v1"),
    }
)
"""The degradation of each task that has one, with the parameters of the embedded sets."""
