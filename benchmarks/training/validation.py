"""Validation during training: a suite under its protocol, and the same images without degradation.

On photographs of the user's that are held out, or on the embedded ones, which are the suite's test images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...datasets.samples import TaskData
from ...datasets.suites import resolve
from ...datasets.training.folders import DecodedCache, FolderImages
from ...datasets.training.held_out import DATASET, held_out_tasks
from ...models.restorer import Restorer
from ..protocols.catalogue import get_protocol
from ..protocols.protocol import Protocol
from .config import TrainDataConfig, ValidationConfig

CLEAN = "clean"
"""The label of images that are restored without having been degraded: how much harm is done."""

VALIDATION_IMAGES = "data.validation_images"
"""The key that names the photographs."""

CACHE_BYTES = 2**28
"""Decoded photographs are kept up to this size."""

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
    """Scores a restorer on the validation photographs.

    Args:
        config: which tasks, at which size, by which protocol.
        images: on which photographs.

    Raises:
        DataError, UserError: unknown tasks, size or protocol; no photographs in the folder.
    """

    def __init__(self, config: ValidationConfig, images: TrainDataConfig) -> None:
        self.data: Sequence[TaskData] = ()
        self.protocol: Protocol = get_protocol(config.protocol)
        if config.tasks and images.validation_images:
            folder, cache = Path(images.validation_images).expanduser(), DecodedCache(CACHE_BYTES, images.max_pixels)
            self.data = held_out_tasks(config.tasks, FolderImages(folder, cache, VALIDATION_IMAGES), config.size)
        elif config.tasks:
            self.data = resolve(config.tasks, source="embedded", size=config.size).data

    @property
    def images(self) -> str:
        """What is scored, in words: photographs that are set apart, or the embedded ones, which are test images."""
        if not self.data:
            return "none"
        sets = {data.task.dataset for data in self.data}
        count = len(self.data[0])
        return f"{count} photographs set apart" if sets == {DATASET} else f"{count} embedded test photographs"

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
