"""The typed schema behind ``conf/train.yaml`` and the recipes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from omegaconf import MISSING

from ..inference.config import NumericsConfig, RestorerConfig

TRAIN_CONFIG = "train"


@dataclass
class LeavesConfig:
    """Dead-leaves images (``datasets/training/dead_leaves.py``).

    Attributes:
        count: number of images.
        size: their side in pixels.
    """

    count: int = 600
    size: int = 320


@dataclass
class MixConfig:
    """Training data.

    Attributes:
        name: of the recipe.
        order: ``weights``: parts are drawn by weight; ``lists``: every list is gone through, repeated so many times.
        parts: weight or repeats by label (``denoise-25``, ``derain``, .., ``identity``).
        leaves: generated images; used by the order ``weights``.
        natural: part of the samples, 0 to 1, that come from ``data.natural_images`` if given (order ``weights``).
        ranges: parameters of synthetic degradations that differ from the embedded sets', by task.
        contrast: least factor, up to 1, that lowers the contrast of half of the clean patches, but not of hazy ones.
    """

    name: str = MISSING
    order: str = "weights"
    parts: dict[str, float] = field(default_factory=dict)
    leaves: LeavesConfig = field(default_factory=LeavesConfig)
    natural: float = 0.5
    ranges: dict[str, Any] = field(default_factory=dict)
    contrast: float = 1.0


@dataclass
class PhaseConfig:
    """Patches of `size` pixels in batches of `batch` (over all devices), up to the part `until` of the budget."""

    size: int = 64
    batch: int = 8
    until: float = 1.0


@dataclass
class LossConfig:
    """Weights of L1, and of the L1 distance of real and imaginary parts of the Fourier transforms (rfft2)."""

    l1: float = 1.0
    fourier: float = 0.0


@dataclass
class OptimizerConfig:
    """AdamW."""

    lr: float = 2e-4
    weight_decay: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999


@dataclass
class ScheduleConfig:
    """Linear warm-up over the part `warmup` of the budget, then a cosine down to the learning rate `minimum`."""

    warmup: float = 0.02
    minimum: float = 1e-6


@dataclass
class BudgetConfig:
    """When training ends: at the first of these that is reached.

    Attributes:
        epochs: times that the lists are gone through; not looked at where one of the others is given.
        images: training samples (patches).
        minutes: wall time of training steps; validation and the making of leaves do not count.
    """

    epochs: float | None = None
    images: int | None = None
    minutes: float | None = None


@dataclass
class ValidationConfig:
    """Scores on the photographs of `data.validation_images`, or the embedded ones, and on the same without degradation.

    Attributes:
        tasks: a suite of ``bench list tasks``; null for none.
        size: side of the crops in pixels.
        protocol: how they are scored.
        times: how often during training, the end included.
    """

    tasks: str | None = "5d"
    size: int = 128
    protocol: str = "promptir@1"
    times: int = 10


@dataclass
class TrainDataConfig:
    """Where training images are.

    Attributes:
        root: folder with ``Train/Denoise`` and so on; null reads ``RESTOREBENCH_DATA``.
        natural_images: folder of the user's own images that join the clean ones, or null.
        validation_images: folder of clean photographs that are neither trained on nor tested on, which are degraded as
            the embedded sets are; null: the embedded photographs themselves, which are test images. What is chosen by
            looking at scores is chosen on the former.
        cache: where generated images are kept; null is ``~/.cache/restorebench/training``.
        memory_gb: decoded images are kept in memory up to this size.
        max_pixels: pixels of the largest image that is read; null is 64e6 (`datasets/files/limits.py`).
    """

    root: str | None = None
    natural_images: str | None = None
    validation_images: str | None = None
    cache: str | None = None
    memory_gb: float = 4.0
    max_pixels: float | None = None


@dataclass
class TrainConfig(NumericsConfig, RestorerConfig):
    """What ``bench train`` takes; ``conf/train.yaml`` says what each key means."""

    weights: str | None = "none"
    mix: MixConfig = field(default_factory=MixConfig)
    patches: list[PhaseConfig] = field(default_factory=lambda: [PhaseConfig()])
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: float = 0.999
    interpolation: float = 0.0
    clip: float | None = 1.0
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    data: TrainDataConfig = field(default_factory=TrainDataConfig)
    seed: int = 0
    run: str | None = None
    devices: int = 1
    nodes: int = 1
    threads: int | None = None
    workers: int = 1
    log_every: int = 50
    checkpoint_minutes: float = 5.0
    progress: bool = True


MACHINE_KEYS = (*("run", "data", "device", "devices", "nodes", "threads", "workers", "checkpoint_minutes", "progress"),)
"""Keys that do not say what is trained: a run may be continued with other values of these.

Where the images are may change; that they are the same is known by the fingerprint of the mixture.
"""


RENAMED_KEYS = {
    "start_share": "interpolation",
    "precision": "dtype",
    "train.folder": "data.natural_images",
    "train.cache": "data.cache",
    "train.memory_gb": "data.memory_gb",
}
"""What keys were called up to version 0.1.0.dev0, in folders of runs too, and what they are called now."""


def identity(config: TrainConfig) -> dict[str, Any]:
    """What a run is: every key but those of the machine, as plain data."""
    return {key: value for key, value in asdict(config).items() if key not in MACHINE_KEYS}
