"""`bench restore` run in this process, with photographs and networks made for a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from restorebench.benchmarks.commands import main as cli
from restorebench.models import register
from restorebench.models.card import ModelCard, Variant
from restorebench.models.registry import unregister

from ...photographs.files import noise


def restore(*words: object, code: int = 0) -> None:
    """Run the command in this process, and look at its exit code."""
    assert cli.main(["restore", *map(str, words)]) == code


def photograph(path: str, height: int = 32, width: int = 48, **more: Any) -> Path:
    """A file with noise in it."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(height, width, 3)).save(file, **more)
    return file


@contextlib.contextmanager
def network(name: str, module: type[nn.Module], **facts: Any) -> Iterator[None]:
    card = ModelCard(
        name=name,
        title=name.title(),
        variants={"only": Variant()},
        paper="",
        url="",
        year=2026,
        code_licence="",
        **facts,
    )
    register(card)(module)
    try:
        yield
    finally:
        unregister(name)


class Darker(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5
