"""The devices that a training runs on, by way of Lightning Fabric, and what its processes tell each other."""

from __future__ import annotations

import logging
import warnings
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from ...models.restorer import Restorer
from ..errors import UserError
from ..inference.numerics import resolve_device
from .config import TrainConfig

PRECISION_NAMES = {"float32": "32-true", "bfloat16": "bf16-mixed"}
"""Fabric's names of the dtypes under autocast."""


def make_fabric(config: TrainConfig) -> Fabric:
    """Lightning Fabric for the configured devices; its processes are not started yet.

    Raises:
        UserError: this machine has no such device.
    """
    # Its hints are about its own interface: that srun is there, say, or which precision it has understood.
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    kind = torch.device(resolve_device(config.device)).type
    many = config.devices * config.nodes > 1
    if kind == "cuda" and config.devices > torch.cuda.device_count():
        raise UserError(f"devices={config.devices}: this machine has {torch.cuda.device_count()} CUDA devices")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Fabric(
            accelerator=kind,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy=DDPStrategy(process_group_backend="nccl" if kind == "cuda" else "gloo") if many else "auto",
            precision=cast("Any", PRECISION_NAMES[config.dtype]),
        )


def set_globals(config: TrainConfig) -> None:
    """torch's switches of this process: TF32, and threads on the CPU."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.tf32
    if config.threads:
        torch.set_num_threads(config.threads)


def placed(restorer: Restorer, config: TrainConfig, fabric: Fabric) -> Restorer:
    """The restorer on this process's device, in the configured memory format."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        # Batch normalisation over all processes; only GPUs have it.
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        restorer.network = cast("nn.Module", convert(restorer.network))
    if config.channels_last:
        restorer = restorer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return restorer.to(fabric.device)


def over_processes(fabric: Fabric, values: Tensor, reduction: str) -> Tensor:
    """The ``mean`` or ``sum`` of `values` over all processes, on the CPU; with one process, `values` themselves."""
    if fabric.world_size == 1:
        return values
    return cast("Tensor", fabric.all_reduce(values.to(fabric.device), reduce_op=reduction)).cpu()
