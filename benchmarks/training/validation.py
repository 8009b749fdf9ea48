"""Validation during training: the embedded suite under its protocol, and the same images without degradation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...datasets.samples import TaskData
from ...datasets.suites import resolve
from ...models.restorer import Restorer
from ..protocols.catalogue import get_protocol
from ..protocols.protocol import Protocol
from .config import ValidationConfig

CLEAN = "clean"
"""The label of images that are restored without having been degraded: how much harm is done."""

PSNR_LIMIT = 100.0
"""The most that an image counts for in a mean, in dB: one that is restored exactly has an infinite PSNR."""


@dataclass(frozen=True)
class Validated:
    """Mean scores of one task over `count` images: PSNR (dB) and SSIM, and the PSNR of the inputs."""

    task: str
    count: int
    psnr: float
    ssim: float
    input_psnr: float


class Validation:
    """Scores a restorer on the embedded photographs.

    Raises:
        DataError, UserError: unknown tasks, size or protocol.
    """

    def __init__(self, config: ValidationConfig) -> None:
        self.data: Sequence[TaskData] = ()
        self.protocol: Protocol = get_protocol(config.protocol)
        if config.tasks:
            self.data = resolve(config.tasks, source="embedded", size=config.size).data

    def scores(self, restorer: Restorer, device: torch.device) -> list[Validated]:
        """Mean scores of every task, and of the clean images."""
        rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        clean: dict[str, Tensor] = {}
        with torch.inference_mode():
            for data in self.data:
                for index in range(len(data)):
                    sample = data[index]
                    pair = self.protocol.prepare(sample)
                    clean[sample.name] = pair.clean
                    rows[data.task.label].append(self._scored(restorer, pair.degraded, pair.clean, device))
            for image in clean.values():
                rows[CLEAN].append(self._scored(restorer, image.float() / 255, image, device))
        return [
            Validated(task, len(scores), *(sum(column) / len(column) for column in zip(*scores, strict=True)))
            for task, scores in rows.items()
        ]

    def _scored(
        self, restorer: Restorer, degraded: Tensor, clean: Tensor, device: torch.device
    ) -> tuple[float, float, float]:
        image = degraded.to(device)
        restored = restorer(image[None])[0].float()
        score = self.protocol.score(restored, clean.to(device))
        floor = self.protocol.score(image, clean.to(device))
        return _limited(score.psnr), score.ssim, _limited(floor.psnr)


def _limited(psnr: float) -> float:
    return min(psnr, PSNR_LIMIT)
