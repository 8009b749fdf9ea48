"""The typed schema behind ``conf/run.yaml``: a wrong key or type in an override is an error, not a silent default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from omegaconf import MISSING

from ...messages import nearest
from ..errors import UserError
from ..inference.config import NumericsConfig, RestorerConfig

CONFIG_MODULE = "restorebench.conf"
RUN_CONFIG = "run"
Overwrite = Literal["missing", "always", "never"]


@dataclass
class DataConfig:
    """Which images: see ``conf/data/``.

    Attributes:
        source: ``auto``, ``embedded`` or ``standard``.
        root: folder with the standard test sets; None reads ``RESTOREBENCH_DATA``.
        size: side in pixels of the embedded images' centre crop, or ``full``.
        partial: take standard sets that have another number of images than they should, under a name that says so.
        max_pixels: pixels of the largest image that is read; None is 64e6 (`datasets/files/limits.py`).
        verify: hash all image files anew, rather than believe what is remembered of unchanged ones.
    """

    source: str = "auto"
    root: str | None = None
    size: Any = 256
    partial: bool = False
    max_pixels: float | None = None
    verify: bool = False


@dataclass
class LpipsConfig:
    """How LPIPS is computed.

    Attributes:
        weights: file with the backbone's weights; None looks into torch's cache.
    """

    weights: str | None = None


@dataclass
class LogConfig:
    """Who listens to a run beside the terminal.

    Attributes:
        tensorboard: scalars for TensorBoard, under ``<results>/.tensorboard``; needs the package ``tensorboard``.
    """

    tensorboard: bool = False


@dataclass
class RunConfig(NumericsConfig, RestorerConfig):
    """What ``bench run`` takes; ``conf/run.yaml`` says what each key means."""

    label: str | None = None
    group: str | None = None
    tasks: str | None = None
    protocol: str = MISSING
    data: DataConfig = field(default_factory=DataConfig)
    dataset: str | None = None
    degraded: str | None = None
    clean: str | None = None
    sigma: int | None = None
    tile: int | None = None
    batch: Any = 1
    cuda_graphs: bool = False
    metrics: Any = "auto"
    lpips: LpipsConfig = field(default_factory=LpipsConfig)
    save_images: Any = False
    previews: Any = "auto"
    seed: int = 0
    limit: int | None = None
    partial: bool = False
    results: str = "results"
    overwrite: str = "missing"
    shards: Any = "auto"
    workers: Any = "auto"
    progress: bool = True
    log: LogConfig = field(default_factory=LogConfig)


def run_config(values: dict[str, Any]) -> RunConfig:
    """A configuration from its plain data, as a plan and a record have it."""
    parts = {"data": DataConfig, "lpips": LpipsConfig, "log": LogConfig}
    return RunConfig(**{key: parts[key](**value) if key in parts else value for key, value in values.items()})


def check_overwrite(value: str) -> None:
    """UserError unless `value` says what happens to cells that are there already."""
    known = get_args(Overwrite)
    if value not in known:
        raise UserError(f"unknown overwrite={value}{nearest(value, known)}; use {', '.join(known)}")
