"""The typed schema behind ``conf/profile.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class ProfileConfig:
    """What ``bench profile`` takes; ``conf/profile.yaml`` says what each key means."""

    model: str = MISSING
    variant: str | None = None
    weights: str = "none"
    overrides: dict[str, Any] = field(default_factory=dict)
    size: Any = 256
    batch: int = 1
    device: str = "auto"
    dtype: str = "float32"
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False
    warmup: int = 3
    repeats: int = 20
    seconds: float = 60.0
    results: str = "results"
