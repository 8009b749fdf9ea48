"""Budget, phases and learning rate as functions of how much is done: however training was cut up."""

from __future__ import annotations

from dataclasses import dataclass

from timm.scheduler.cosine_lr import CosineLRScheduler
from torch.optim import Optimizer

from ..errors import UserError
from .batches import Request
from .config import PhaseConfig, TrainConfig

TICKS = 1_000_000
"""Steps of the learning rate schedule over the whole budget, however it is measured."""


@dataclass
class Counters:
    """What has been done: optimiser steps, training samples, and seconds of training steps."""

    steps: int = 0
    images: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainingBudget:
    """The end of training: at the first of the two that is reached; None is no limit.

    Attributes:
        images: training samples.
        seconds: wall time of training steps.
    """

    images: int | None
    seconds: float | None

    def progress(self, images: int, seconds: float) -> float:
        """The part of the budget that is spent, 0 to 1."""
        parts = [0.0]
        if self.images is not None:
            parts.append(images / self.images)
        if self.seconds is not None:
            parts.append(seconds / self.seconds)
        return min(max(parts), 1.0)


def budget_of(config: TrainConfig, epoch: int) -> TrainingBudget:
    """The budget of a configuration; `epoch` is the number of samples of an epoch.

    Raises:
        UserError: none is given.
    """
    given = config.budget
    if given.images is None and given.minutes is None:
        if given.epochs is None:
            raise UserError("training needs an end: give budget.images=N, budget.minutes=N or budget.epochs=N")
        return TrainingBudget(round(given.epochs * epoch), None)
    return TrainingBudget(given.images, None if given.minutes is None else given.minutes * 60)


@dataclass(frozen=True)
class BatchSchedule:
    """Which samples come next, in which patches."""

    budget: TrainingBudget
    phases: tuple[PhaseConfig, ...]

    def phase(self, progress: float) -> PhaseConfig:
        """The phase at that part of the budget."""
        return next((phase for phase in self.phases if progress < phase.until), self.phases[-1])

    def request(self, step: int, first: int, seconds: float) -> Request | None:
        """The request of step `step` (counted from 1), which begins with sample `first`; None when all is done."""
        progress = self.budget.progress(first, seconds)
        if progress >= 1:
            return None
        phase = self.phase(progress)
        return Request(step, first, phase.batch, phase.size)


def cosine(optimizer: Optimizer, config: TrainConfig) -> CosineLRScheduler:
    """timm's schedule over `TICKS` updates: a linear warm-up, then half a cosine; to be used by `set_learning_rate`."""
    warmup = round(config.schedule.warmup * TICKS)
    return CosineLRScheduler(
        optimizer,
        t_initial=max(TICKS - warmup, 1),
        lr_min=config.schedule.minimum,
        warmup_t=warmup,
        warmup_lr_init=config.schedule.minimum,
        warmup_prefix=True,
        t_in_epochs=False,
    )


def set_learning_rate(schedule: CosineLRScheduler, optimizer: Optimizer, progress: float) -> float:
    """Set, and return, the learning rate at that part of the budget."""
    schedule.step_update(round(progress * TICKS))
    return float(optimizer.param_groups[0]["lr"])
