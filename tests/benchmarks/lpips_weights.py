"""Backbones with random weights, in files laid out as torchvision's."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision


def alexnet_file(folder: Path, name: str = "alexnet-owt-7be5be79.pth", seed: int = 0) -> Path:
    """An untrained AlexNet's state dict, less the classifier, which LPIPS does not use."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = torchvision.models.alexnet(weights=None).features.state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({f"features.{key}": value for key, value in state.items()}, folder / name)
    return folder / name
