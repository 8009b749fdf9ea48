"""What changes from step to step of a training, made in one place, and what a step gives."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from .averaging import MovingAverage
from .config import TrainConfig
from .losses import RunningMeans
from .schedule import Counters


@dataclass(frozen=True)
class StepResult:
    """What an optimiser step gives.

    Attributes:
        loss: of the batch, the mean over all processes.
        seconds: wall time, the mean over all processes.
        learning_rate: that it was made with.
        checkpoint_due: whether the last checkpoint is old enough for a new one; the same in all processes.
    """

    loss: float
    seconds: float
    learning_rate: float
    checkpoint_due: bool


@dataclass
class TrainingState:
    """The state of a training: what its checkpoint holds, and all that a resumed run needs.

    There is no state of a random generator in it, because every random choice comes from a stream keyed by the seed
    and the step or sample.

    Attributes:
        network: the bare network that is trained, on its device.
        average: the moving average of its weights.
        optimizer: of the network's trainable parameters.
        means: sums of the losses since the last line of ``losses.csv``: this process's, in a checkpoint those of all.
        done: what has been done.
        logged: what had been done at the last line of ``losses.csv``.
        validated: how many of the validations are over.
    """

    network: nn.Module
    average: MovingAverage
    optimizer: Optimizer
    means: RunningMeans
    done: Counters = field(default_factory=Counters)
    logged: Counters = field(default_factory=Counters)
    validated: int = 0

    @classmethod
    def begin(cls, network: nn.Module, config: TrainConfig, labels: Sequence[str]) -> TrainingState:
        """The state before the first step.

        Args:
            network: the bare network with its first weights, on its device.
            config: of the training.
            labels: of the samples, for the means.
        """
        optimizer = torch.optim.AdamW(
            [parameter for parameter in network.parameters() if parameter.requires_grad],
            lr=config.optimizer.lr,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            weight_decay=config.optimizer.weight_decay,
        )
        return cls(network, MovingAverage(copy.deepcopy(network), config.ema), optimizer, RunningMeans(labels))

    def checkpoint(self, data: str) -> dict[str, Any]:
        """Plain data and tensors that torch's safe loader reads.

        Args:
            data: fingerprint of the mixture of samples; a run goes on with the same one only.
        """
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": asdict(self.done),
            "logged": asdict(self.logged),
            "validated": self.validated,
            "means": self.means.values,
            "data": data,
        }

    def restore(self, checkpoint: Mapping[str, Any], *, with_means: bool) -> None:
        """Go back to what `checkpoint` was made of.

        Args:
            checkpoint: a result of `checkpoint`.
            with_means: whether to take its sums of losses, which are those of all processes: for one of them.
        """
        self.network.load_state_dict(checkpoint["network"])
        self.average.network.load_state_dict(checkpoint["average"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.done, self.logged = Counters(**checkpoint["done"]), Counters(**checkpoint["logged"])
        self.validated = checkpoint["validated"]
        if with_means:
            self.means.values = checkpoint["means"]
