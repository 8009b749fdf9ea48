"""The typed schema behind ``conf/train.yaml`` and the recipes, and the checks that need no image."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from omegaconf import MISSING

from ...messages import nearest
from ...models import get_card
from ..errors import UserError

TRAIN_CONFIG = "train"
PRECISIONS = ("float32", "bfloat16")
ORDERS = ("weights", "lists")


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
        natural: part of the samples that come from ``train.folder`` where it is given (order ``weights``), 0 to 1.
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
    """Scores on the embedded photographs, and on the same without degradation.

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
    """

    root: str | None = None


@dataclass
class TrainFolderConfig:
    """Images of the user's own.

    Attributes:
        folder: natural images that join the clean ones, or null.
        cache: where generated images are kept; null is ``~/.cache/restorebench/training``.
        memory_gb: decoded images are kept in memory up to this size.
    """

    folder: str | None = None
    cache: str | None = None
    memory_gb: float = 4.0


@dataclass
class TrainConfig:
    """What ``bench train`` takes; ``conf/train.yaml`` says what each key means."""

    model: str = MISSING
    variant: str | None = None
    weights: str = "none"
    overrides: dict[str, Any] = field(default_factory=dict)
    mix: MixConfig = field(default_factory=MixConfig)
    patches: list[PhaseConfig] = field(default_factory=lambda: [PhaseConfig()])
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: float = 0.999
    start_share: float = 0.0
    clip: float | None = 1.0
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    data: TrainDataConfig = field(default_factory=TrainDataConfig)
    train: TrainFolderConfig = field(default_factory=TrainFolderConfig)
    seed: int = 0
    run: str | None = None
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: str = "float32"
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False
    threads: int | None = None
    workers: int = 1
    log_every: int = 50
    checkpoint_minutes: float = 5.0
    progress: bool = True


MACHINE_KEYS = (
    *("run", "data", "train", "device", "devices", "nodes", "threads", "workers", "checkpoint_minutes", "progress"),
)
"""Keys that do not say what is trained: a run may be continued with other values of these.

Where the images are may change; that they are the same is known by the fingerprint of the mixture.
"""


def check(config: TrainConfig) -> None:
    """Refuse values that cannot be.

    Raises:
        UserError: one line that names the key and what it takes.
    """
    if config.precision not in PRECISIONS:
        raise UserError(
            f"unknown precision={config.precision}{nearest(config.precision, PRECISIONS)}; use {', '.join(PRECISIONS)}"
        )
    if config.mix.order not in ORDERS:
        raise UserError(f"unknown mix.order={config.mix.order}; use {' or '.join(ORDERS)}")
    positive = {
        "devices": config.devices,
        "nodes": config.nodes,
        "log_every": config.log_every,
        "optimizer.lr": config.optimizer.lr,
        "mix.leaves.count": config.mix.leaves.count,
    }
    for budget in ("epochs", "images", "minutes"):
        value = getattr(config.budget, budget)
        if value is not None:
            positive[f"budget.{budget}"] = value
    if config.clip is not None:
        positive["clip"] = config.clip
    if config.threads is not None:
        positive["threads"] = config.threads
    for key, value in positive.items():
        if not value > 0:
            raise UserError(f"{key}={value}: give a number above 0")
    for key, value in (("workers", config.workers), ("validation.times", config.validation.times)):
        if value < 0:
            raise UserError(f"{key}={value}: give 0 or more")
    for key, part in (("mix.natural", config.mix.natural), ("schedule.warmup", config.schedule.warmup)):
        if not 0 <= part <= 1:
            raise UserError(f"{key}={part}: give a part from 0 to 1")
    if not 0 <= config.ema < 1:
        raise UserError(f"ema={config.ema}: give a decay from 0 (none) to below 1, such as 0.999")
    if not -1 < config.start_share < 1:
        raise UserError(f"start_share={config.start_share}: give a part above -1 and below 1, 0 for none")
    if config.start_share and config.weights == "none":
        raise UserError(f"start_share={config.start_share} needs weights to start from: give weights=PATH")
    _check_phases(config)


def _check_phases(config: TrainConfig) -> None:
    phases = config.patches
    ends = [phase.until for phase in phases]
    if not phases or ends != sorted(set(ends)) or ends[0] <= 0 or ends[-1] != 1:
        raise UserError(f"patches: `until` must rise to 1 in the last phase, not {ends}")
    processes = config.devices * config.nodes
    multiple = get_card(config.model).size
    for phase in phases:
        if phase.size != multiple.padded(phase.size):
            raise UserError(
                f"patches of {phase.size} pixels: {config.model} takes multiples of {multiple.multiple} "
                f"from {multiple.minimum}"
            )
        if phase.batch < 1 or phase.batch % processes:
            raise UserError(f"a batch of {phase.batch} cannot be split over {processes} processes; give a multiple")


def identity(config: TrainConfig) -> dict[str, Any]:
    """What a run is: every key but those of the machine, as plain data."""
    return {key: value for key, value in asdict(config).items() if key not in MACHINE_KEYS}
