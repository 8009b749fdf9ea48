"""Checks of a training's configuration that need no image."""

from __future__ import annotations

from pathlib import Path

from ...messages import nearest
from ...models import get_card
from ...models.registry.own import with_multiple
from ..errors import UserError
from .config import TrainConfig

DTYPES = ("float32", "bfloat16")
ORDERS = ("weights", "lists")


def check(config: TrainConfig) -> None:
    """Refuse values that cannot be.

    Raises:
        UserError: one line that names the key and what it takes.
    """
    if config.dtype not in DTYPES:
        raise UserError(f"unknown dtype={config.dtype}{nearest(config.dtype, DTYPES)}; use {', '.join(DTYPES)}")
    if config.weights is None:
        raise UserError("weights=null does not say where training starts: give none (random), bundled or a PATH")
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
    if not -1 < config.interpolation < 1:
        raise UserError(f"interpolation={config.interpolation}: give a part above -1 and below 1, 0 for none")
    if config.interpolation and config.weights == "none":
        raise UserError(f"interpolation={config.interpolation} needs weights to start from: give weights=PATH")
    _check_phases(config)
    _check_folders(config)


def _check_folders(config: TrainConfig) -> None:
    """Photographs that choices are made on must not be trained on."""
    if not (config.data.natural_images and config.data.validation_images):
        return
    trained, held_out = (
        Path(folder).expanduser().resolve() for folder in (config.data.natural_images, config.data.validation_images)
    )
    if trained == held_out or trained in held_out.parents:
        raise UserError(
            f"data.validation_images={config.data.validation_images} is trained on: data.natural_images reads all of "
            f"{config.data.natural_images}; set other photographs apart"
        )


def _check_phases(config: TrainConfig) -> None:
    phases = config.patches
    ends = [phase.until for phase in phases]
    if not phases or ends != sorted(set(ends)) or ends[0] <= 0 or ends[-1] != 1:
        raise UserError(f"patches: `until` must rise to 1 in the last phase, not {ends}")
    processes = config.devices * config.nodes
    card = get_card(with_multiple(config.model, config.size_multiple))
    multiple = card.size_of(config.variant or card.default_variant)
    for phase in phases:
        if phase.size != multiple.padded(phase.size):
            raise UserError(
                f"patches of {phase.size} pixels: {config.model} takes multiples of {multiple.multiple} "
                f"from {multiple.minimum}"
            )
        if phase.batch < 1 or phase.batch % processes:
            raise UserError(f"a batch of {phase.batch} cannot be split over {processes} processes; give a multiple")
