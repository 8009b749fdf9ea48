"""What a record says about the machine and the software that computed it."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("restorebench", "torch", "numpy", "scipy", "scikit-image", "pillow", "timm", "einops", "hydra-core")
SOURCE = Path(__file__).resolve().parent.parent


@functools.cache
def git_revision() -> str | None:
    """Commit of the running source tree, with ``+changes`` where files differ from it; None outside a checkout."""
    if not (SOURCE / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(SOURCE), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        revision = git("rev-parse", "HEAD")
        return revision + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def package_version(name: str) -> str | None:
    """Installed version of a distribution, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@functools.cache
def processor() -> str:
    """Model name of the CPU, as the system gives it."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def device_name(device: str) -> str:
    """The product name of a torch device."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor() if device == "cpu" else device


def describe_environment(device: str) -> dict[str, Any]:
    """Versions, revision, host and device as plain JSON data."""
    return {
        "versions": {name: package_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git_revision": git_revision(),
        "host": platform.node(),
        "device": device,
        "device_name": device_name(device),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
    }
