"""A restorer of one parameter that scales its input, and jobs that run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorebench.benchmarks.evaluation.config import RunConfig
from restorebench.benchmarks.evaluation.job import CellOutcome, Job
from restorebench.benchmarks.evaluation.plan import make_plan
from restorebench.models import ModelCard, Variant, register, temporary_registry


@contextmanager
def registered(name: str, factor: float) -> Iterator[None]:
    """The restorer is known, under that name and with that factor, as long as this lasts."""

    class Scaling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(factor))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    variants = {"only": Variant()}
    card = ModelCard(name=name, title="", variants=variants, paper="", url="", year=2026, code_licence="")
    with temporary_registry():
        register(card)(Scaling)
        yield


def run(name: str, results: Path, **changes: Any) -> list[CellOutcome]:
    """A job of that restorer on embedded images of 72x72: promptir@1 crops them to 64x64."""
    config = RunConfig(model=name, weights="none", tasks="derain", protocol="promptir@1", device="cpu")
    config.data.source, config.data.size, config.results, config.progress = "embedded", 72, str(results), False
    for key, value in changes.items():
        setattr(config, key, value)
    return Job(make_plan(config), "bench run").run()
