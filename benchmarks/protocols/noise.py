"""How protocols draw the noise of denoising tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...datasets.streams import rng_for


@dataclass(frozen=True)
class KeyedNoise:
    """Noise from a stream of its own per image, clipped and truncated to uint8: the same in any order or subset."""

    seed: int = 0

    def degrade(self, clean: NDArray[np.uint8], name: str, sigma: int) -> NDArray[np.float32]:
        """uint8(clip(clean + sigma n, 0, 255)) / 255 for clean (H, W, 3), n from the stream of (seed, name, sigma)."""
        return self.stored(clean, name, sigma).astype(np.float32) / np.float32(255)

    def stored(self, clean: NDArray[np.uint8], name: str, sigma: int) -> NDArray[np.uint8]:
        """What `degrade` gives, before the division by 255."""
        n = rng_for(self.seed, name, sigma).standard_normal(clean.shape)
        return np.clip(clean + sigma * n, 0, 255).astype(np.uint8)

    def describe(self) -> str:
        """Every convention in one line."""
        return (
            "uint8(clip(clean + sigma n, 0, 255)) truncated, n standard normal float64 (H, W, 3) drawn after the crop "
            f"from PCG64 keyed by SHA-256 of (seed {self.seed}, file name, sigma)"
        )


@dataclass(frozen=True)
class ReseededNoise:
    """Noise from numpy's legacy generator, re-seeded for every image; neither clipped nor quantised."""

    seed: int = 0

    def degrade(self, clean: NDArray[np.uint8], name: str, sigma: int) -> NDArray[np.float32]:
        """float32(clean / 255 + normal(0, sigma / 255)) for clean (H, W, 3); the name plays no part."""
        scaled = clean.astype(np.float32) / np.float32(255)
        scaled += np.random.RandomState(self.seed).normal(0, sigma / 255, clean.shape)
        return scaled

    def stored(self, clean: NDArray[np.uint8], name: str, sigma: int) -> NDArray[np.float32]:
        """As `degrade`: it has no smaller form."""
        return self.degrade(clean, name, sigma)

    def describe(self) -> str:
        """Every convention in one line."""
        return (
            "float32(clean / 255 + normal(0, sigma / 255)), numpy's legacy generator re-seeded with "
            f"{self.seed} for every image, not clipped, not quantised"
        )
