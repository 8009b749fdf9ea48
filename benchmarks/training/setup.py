"""What training starts from: the run's folder, the devices, and copies of the network."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from ...models.restorer import Restorer
from ..errors import UserError
from ..inference.numerics import resolve_device
from .config import TrainConfig

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}
"""Fabric's names of the dtypes under autocast."""


def run_folder(config: TrainConfig, variant: str) -> Path:
    """The run's folder: as given, or one named after what is trained."""
    if config.run:
        return Path(config.run).expanduser()
    return Path("runs") / f"{config.model}-{variant}-{config.mix.name}-{config.seed}"


def make_fabric(config: TrainConfig) -> Fabric:
    """Lightning Fabric for the configured devices; its processes are not started yet.

    Raises:
        UserError: this machine has no such device.
    """
    kind = torch.device(resolve_device(config.device)).type
    many = config.devices * config.nodes > 1
    if kind == "cuda" and config.devices > torch.cuda.device_count():
        raise UserError(f"devices={config.devices}: this machine has {torch.cuda.device_count()} CUDA devices")
    return Fabric(
        accelerator=kind,
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=DDPStrategy(process_group_backend="nccl" if kind == "cuda" else "gloo") if many else "auto",
        precision=cast("Any", PRECISIONS[config.precision]),
    )


def synchronised(network: nn.Module) -> nn.Module:
    """The network with batch normalisation over all processes; only GPUs have it."""
    convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
    return cast("nn.Module", convert(network))


def untrained_twin(restorer: Restorer) -> Restorer:
    """A copy that no optimiser changes, in evaluation mode."""
    return copy.deepcopy(restorer).requires_grad_(False).eval()
