"""From a recipe to the mixture of training samples, and batches made while the network runs."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ...datasets.training.folders import DecodedCache, FolderImages, PairedFolder, denoise_images, described_layout
from ...datasets.training.leaf_images import LeafImages
from ...datasets.training.mixtures import CleanImages, Component, Mixture, Order
from ...datasets.training.patches import IDENTITY, check_label
from ..errors import UserError
from .config import TrainConfig

logger = logging.getLogger("restorebench")


@dataclass(frozen=True, eq=False)
class Batch:
    """A process's part of a step's samples.

    Attributes:
        degraded, clean: (B, 3, P, P) uint8 on the CPU.
        labels: what each sample is (``dehaze``), (B,).
        names: each sample's image, (B,).
    """

    degraded: Tensor
    clean: Tensor
    labels: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """Step `step`, over all processes: samples `first` to `first + count` as patches of `patch` pixels."""

    step: int
    first: int
    count: int
    patch: int


@dataclass(frozen=True)
class Shard:
    """Which part of every batch is a process's: `rank` of `processes`."""

    rank: int = 0
    processes: int = 1

    def of(self, request: Request) -> range:
        """Its samples of a request."""
        share = request.count // self.processes
        first = request.first + self.rank * share
        return range(first, first + share)


NATURAL_IMAGES = "data.natural_images"
"""The key that names the user's own images."""


class NaturalImages(FolderImages):
    """The user's own images, which join the clean ones of a recipe."""

    @property
    def identity(self) -> str:
        """Number and total size of the files, under the name that the key had when the bundled weights were trained.

        The line enters the fingerprint of the mixture, which those weights' facts hold as `lists_sha256`: another word
        would make the same training a different one.
        """
        return f"train.folder{super().identity.removeprefix(NATURAL_IMAGES)}"


def cache_folder(config: TrainConfig) -> Path:
    """Where generated images are kept."""
    if config.data.cache:
        return Path(config.data.cache).expanduser()
    return Path.home() / ".cache" / "restorebench" / "training"


def build_mixture(config: TrainConfig) -> Mixture:
    """The mixture that a recipe asks for; generated images are not made yet.

    Raises:
        UserError, DataError: a part that cannot be, or images that are not there.
    """
    shares = {label: float(share) for label, share in config.mix.parts.items() if share}
    for label in shares:
        check_label(label)
    cache = DecodedCache(int(config.data.memory_gb * 2**30), config.data.max_pixels)
    natural = None
    if config.data.natural_images:
        natural = NaturalImages(Path(config.data.natural_images).expanduser(), cache, NATURAL_IMAGES)
    if config.mix.order == "weights":
        components = _weighted_components(config, shares, natural)
    else:
        components = _listed_components(config, shares, natural, cache)
    return Mixture(
        tuple(components), cast("Order", config.mix.order), config.seed, config.mix.ranges, config.mix.contrast
    )


def _weighted_components(config: TrainConfig, shares: dict[str, float], natural: CleanImages | None) -> list[Component]:
    leaves = LeafImages(config.mix.leaves.count, size=config.mix.leaves.size, seed=0, folder=cache_folder(config))
    if natural is None or config.mix.natural == 0:
        return [Component(label, share, leaves) for label, share in shares.items()]
    sources: list[tuple[float, CleanImages]] = [(1 - config.mix.natural, leaves), (config.mix.natural, natural)]
    return [
        Component(label, share * fraction, images)
        for label, share in shares.items()
        for fraction, images in sources
        if fraction
    ]


def _listed_components(
    config: TrainConfig, shares: dict[str, float], natural: CleanImages | None, cache: DecodedCache
) -> list[Component]:
    named = config.data.root or os.environ.get("RESTOREBENCH_DATA")
    if not named:
        raise UserError(
            f"recipe {config.mix.name} reads training sets: give data.root=DIR with {', '.join(described_layout())}; "
            "recipe=embedded needs none"
        )
    root = Path(named).expanduser()
    clean = denoise_images(root, cache) if any(_is_clean(label) for label in shares) else None
    components: list[Component] = []
    for label, share in shares.items():
        if _is_clean(label):
            assert clean is not None
            components += [Component(label, share, images) for images in (clean, natural) if images is not None]
        else:
            pairs = PairedFolder(label, root, cache)
            for note in pairs.notes:
                logger.info("%s", note)
            components.append(Component(label, share, pairs, pairs))
    return components


def _is_clean(label: str) -> bool:
    """Whether a part needs clean images only."""
    return label == IDENTITY or label.startswith("denoise-")


def prepare_leaves(mixture: Mixture, *, progress: bool = False) -> None:
    """Make the generated images that are not there yet, which takes minutes; `progress` shows a bar on a terminal."""
    for images in {id(component.images): component.images for component in mixture.components}.values():
        if isinstance(images, LeafImages):
            missing = not images.path.exists()
            if missing:
                logger.info("making %s (once; kept as %s)", images.identity, images.path)
            hidden = None if progress and missing else True
            with tqdm(total=len(images), desc="dead leaves", unit="image", leave=False, disable=hidden) as bar:
                images.prepare(bar.update)


def make_batch(mixture: Mixture, request: Request, shard: Shard) -> Batch:
    """A process's part of the batch that a request asks for."""
    samples = [mixture.sample(k, request.patch) for k in shard.of(request)]

    def stacked(arrays: list[NDArray[np.uint8]]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    return Batch(
        degraded=stacked([sample.degraded for sample in samples]),
        clean=stacked([sample.clean for sample in samples]),
        labels=tuple(sample.label for sample in samples),
        names=tuple(sample.name for sample in samples),
    )


class BatchMaker:
    """Batches in the order in which they are requested, made ahead by threads.

    Args:
        mixture: what they are drawn from.
        shard: the part of each that is this process's.
        workers: number of threads; 0 makes each batch when it is taken.
        request_after: called with None for the first request, then with the previous one, for the next; None ends.
    """

    def __init__(
        self, mixture: Mixture, shard: Shard, workers: int, request_after: Callable[[Request | None], Request | None]
    ) -> None:
        self._mixture, self._shard, self._request_after = mixture, shard, request_after
        self._ahead = workers + 1 if workers else 0
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batches") if workers else None
        self._waiting: deque[tuple[Request, Future[Batch]]] = deque()
        self._last: Request | None = None
        self._ended = False

    def _next_request(self) -> Request | None:
        if not self._ended:
            request = self._request_after(self._last)
            self._ended, self._last = request is None, request or self._last
            return request
        return None

    def take(self) -> tuple[Request, Batch] | None:
        """The next request and its batch; None after the last."""
        if self._pool is None:
            request = self._next_request()
            return None if request is None else (request, make_batch(self._mixture, request, self._shard))
        while len(self._waiting) < self._ahead:
            request = self._next_request()
            if request is None:
                break
            self._waiting.append((request, self._pool.submit(make_batch, self._mixture, request, self._shard)))
        if not self._waiting:
            return None
        request, future = self._waiting.popleft()
        return request, future.result()

    def close(self) -> None:
        """Let go of the threads; batches under way are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
