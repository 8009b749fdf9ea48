"""The processors and GPUs of this host, and how the worker processes of a run share them.

torch is imported where it is asked: what only reads the environment comes at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from ..errors import UserError

MOST_LOADERS = 16
VISIBLE = "CUDA_VISIBLE_DEVICES"
RANK, LOCAL_RANK, LOCAL_WORLD_SIZE = "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
"""Variables by which ``torchrun`` tells its processes, and those of one host, apart."""


def cores() -> int:
    """Processors that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # a system that does not say
        return os.cpu_count() or 1


def worker_count(value: object, device: str, environment: Mapping[str, str] = os.environ) -> int:
    """``workers=``: processes that compute a job on this host.

    Args:
        value: a number, or ``auto``: one for each GPU; 1 on a CPU, and on one GPU that is named. Under ``torchrun``,
            which starts the processes itself, it is their number.
        device: as resolved, ``cpu``, ``cuda``, ``cuda:1``.
        environment: where ``torchrun`` says that it is there.

    Raises:
        UserError: it is neither.
    """
    if LOCAL_RANK in environment:
        return max(1, _number(environment, LOCAL_WORLD_SIZE))
    if value == "auto":
        import torch

        return max(1, torch.cuda.device_count()) if device == "cuda" else 1
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise UserError(f"workers={value}: give a number of processes, 1 or more, or auto")


def speaks(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process says what is done: under ``torchrun`` the first one, otherwise every one."""
    return LOCAL_RANK not in environment or _number(environment, RANK) == _number(environment, LOCAL_RANK) == 0


def take_local_device(environment: MutableMapping[str, str] = os.environ) -> None:
    """Under ``torchrun``, leave this process its own GPU; to be called before a GPU is used."""
    if LOCAL_RANK in environment:
        device = worker_devices(_number(environment, LOCAL_RANK), environment)
        if device:
            environment[VISIBLE] = device


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    return int(text) if text.isdecimal() else 0


def worker_threads(workers: int, threads: int | None = None) -> int:
    """Threads of each of several workers: its part of those that one process would use.

    Args:
        workers: on this host.
        threads: of one process; None: what torch uses here.
    """
    if threads is None:
        import torch

        threads = torch.get_num_threads()
    return max(1, threads // workers)


def worker_devices(worker: int, environment: Mapping[str, str] = os.environ) -> str:
    """``CUDA_VISIBLE_DEVICES`` of a worker: one of the GPUs that are visible here, in turn.

    Args:
        worker: its number, from 0.
        environment: says which GPUs are visible.
    """
    visible = environment.get(VISIBLE)
    if visible:
        names = visible.split(",")
    else:
        import torch

        names = list(map(str, range(torch.cuda.device_count())))
    return names[worker % len(names)].strip() if names else ""


def loader_count(workers: int = 1) -> int:
    """Threads that load and degrade images ahead of the network, in each of several workers."""
    return max(2 if workers == 1 else 1, min(MOST_LOADERS, cores() // workers))
