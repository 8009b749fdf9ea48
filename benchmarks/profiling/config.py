"""The typed schema behind ``conf/profile.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..inference.config import NumericsConfig, RestorerConfig


@dataclass
class ProfileConfig(NumericsConfig, RestorerConfig):
    """What ``bench profile`` takes; ``conf/profile.yaml`` says what each key means."""

    weights: str | None = "none"
    size: Any = 256
    batch: int = 1
    warmup: int = 3
    repeats: int = 20
    rounds: int = 4
    seconds: float = 60.0
    results: str = "results"
