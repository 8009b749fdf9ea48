"""``bench train``: Hydra's command line in front of the trainer."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from omegaconf import DictConfig

from ...models.registry import check_variant, get_card
from ..training.checks import check
from ..training.config import RENAMED_KEYS, TRAIN_CONFIG, TrainConfig
from .hydra import HydraCommand

logger = logging.getLogger("restorebench")

COMMAND = HydraCommand(TRAIN_CONFIG, TrainConfig, RENAMED_KEYS)


@dataclass
class Progress:
    """What the jobs run by this process came to: the command line they were typed as, exit codes, a user's mistake."""

    main_process: int = 0
    typed: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    mistake: ValueError | None = None


_progress = Progress()


def main(arguments: Sequence[str]) -> int:
    """``bench train``: run the trainings that Hydra overrides ask for.

    Returns:
        0 if every one is complete, 1 if one had to stop.

    Raises:
        UserError, ModelError, DataError: if an override is wrong, before anything runs, or training data are.
    """
    global _progress
    asked = COMMAND.compose(arguments)
    for config in asked.configs if not asked.only_shown else ():
        check(config)
        check_variant(get_card(config.model), config.variant)
    _progress = Progress(os.getpid(), list(sys.argv))
    COMMAND.launch(arguments, job)
    if _progress.mistake is not None:
        raise _progress.mistake
    return max(_progress.codes, default=0)


def job(config: DictConfig) -> None:
    """One training, in this process or in a launcher's."""
    from ..training.trainer import TrainingStoppedError
    from .main import is_user_error, set_up_logging

    set_up_logging()
    mine = os.getpid() == _progress.main_process
    hydra_line = sys.argv
    try:
        if mine:
            sys.argv = _progress.typed  # Fabric starts its other processes by this line
        code = train(COMMAND.typed(config))
    except TrainingStoppedError as error:
        if not mine:
            raise
        sys.stderr.write(f"bench: {error}\n")
        code = 1
    except ValueError as error:
        if not mine or not is_user_error(error):
            raise
        _progress.mistake = error
        code = 2
    finally:
        sys.argv = hydra_line
    _progress.codes.append(code)


def train(config: TrainConfig) -> int:
    """Train as configured; the exit code."""
    from ..training.devices import make_fabric
    from ..training.trainer import Trainer

    fabric = make_fabric(config)
    fabric.launch()
    trainer = Trainer(config, fabric)
    outcome = trainer.run()
    if fabric.is_global_zero:
        done = outcome.done
        logger.info(
            "%s: %d steps, %d images, %.1f images/s",
            *(trainer.folder.weights, done.steps, done.images, done.images / max(done.seconds, 1e-9)),
        )
    return 0
