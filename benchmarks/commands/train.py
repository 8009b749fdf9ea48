"""``bench train``: Hydra's command line in front of the trainer."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from ...models.registry import check_variant, get_card
from ...models.registry.own import with_multiple
from ...models.weights import choose_weights
from ..training.checks import check
from ..training.config import RENAMED_KEYS, TRAIN_CONFIG, TrainConfig
from .front.help import asks_for_help, help_text
from .front.hydra import HydraCommand
from .front.jobs import Jobs
from .front.names import check_restorer

logger = logging.getLogger("restorebench")

COMMAND = HydraCommand(TRAIN_CONFIG, TrainConfig, RENAMED_KEYS)


def main(arguments: Sequence[str]) -> int:
    """``bench train``: run the trainings that Hydra overrides ask for.

    Returns:
        0 if every one is complete, 1 if one had to stop.

    Raises:
        UserError, ModelError, DataError: if an override is wrong, before anything runs, or training data are.
    """
    if asks_for_help(arguments):
        sys.stdout.write(help_text(COMMAND, arguments))
        return 0
    jobs = Jobs(COMMAND, arguments, plan=checked, run=train, failure=str)
    code = jobs.launch_all()
    sys.stderr.write(jobs.failed_lines())
    return max(code, 1 if any(jobs.outcomes) else 0)


def checked(config: TrainConfig) -> TrainConfig:
    """A configuration that can be trained, as far as that is known without images."""
    check(config)
    check_restorer(config, config)
    from ...models.fit import check_fit

    card = get_card(with_multiple(config.model, config.size_multiple))
    choice = choose_weights(card, check_variant(card, config.variant), config.weights, config.seed)
    check_fit(card, choice.variant, choice.info, {**choice.overrides, **config.overrides}, config.weights_key)
    return config


def train(config: TrainConfig) -> str:
    """Train as configured; why it had to stop, empty where it is complete.

    The command line (`sys.argv`) is as it was typed: Lightning Fabric starts its other processes by it.
    """
    from ..training.devices import make_fabric
    from ..training.trainer import Trainer, TrainingStoppedError

    fabric = make_fabric(config)
    fabric.launch()
    if fabric.world_size > 1 and fabric.is_global_zero:
        logger.info("training in %d processes", fabric.world_size)
    trainer = Trainer(config, fabric)
    try:
        outcome = trainer.run()
    except TrainingStoppedError as error:
        sys.stderr.write(f"bench: {error}\n")
        return str(error)
    if fabric.is_global_zero:
        done = outcome.done
        logger.info(
            "%s: %d steps, %d images, %.1f images/s",
            *(trainer.folder.weights, done.steps, done.images, done.images / max(done.seconds, 1e-9)),
        )
    return ""
