"""What tiles cost each restorer, measured: photographs of 1024x768 restored whole and in tiles.

``python -m tests.benchmarks.inference.tile_losses FILE.csv [MODEL ...]`` writes the table that the cards' `Tiling` is
set by, of all restorers that bring weights, or of those named; rows of others that FILE.csv has stay.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.tiles import restore_in_tiles
from restorebench.datasets.degradations.registry import DEGRADATIONS
from restorebench.datasets.embedded.photographs import PHOTOGRAPHS, pixels
from restorebench.datasets.streams import rng_for
from restorebench.models import create_model
from restorebench.models.restorer import Restorer

from ...models.bundled import BUNDLED
from ...perf.measured_table import kept, write

IMAGES = (("motorcycle-left", "dehaze"), ("coffee", "denoise-25"), ("rocket", "lowlight"))
"""Photographs and what degrades them: once locally, twice in a way that depends on the whole scene."""
SIZE = (768, 1024)
TILES = (256, 384, 512, 768)
OVERLAP = 64


@dataclass(frozen=True, kw_only=True)
class TileLoss:
    """A line of the table: PSNRs in dB over all pixels and channels, of the output clipped to [0, 1], not rounded.

    Attributes:
        loss_db: PSNR against the clean image of the whole restoration less that of the tiled one.
        between_db: PSNR of the tiled restoration against the whole one.
    """

    restorer: str
    variant: str
    weights: str
    photograph: str
    task: str
    size: str
    tile: int
    overlap: int
    psnr_whole: float
    psnr_tiled: float
    loss_db: float
    between_db: float
    dtype: str
    device: str
    threads: int
    torch: str


def photograph(name: str, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A photograph of scikit-image's wheel, its middle of the right shape enlarged (bicubic) to (height, width)."""
    whole = pixels(next(each for each in PHOTOGRAPHS if each.name == name))
    height, width = size
    scale = min(whole.shape[0] / height, whole.shape[1] / width)
    rows, columns = round(height * scale), round(width * scale)
    top, left = (whole.shape[0] - rows) // 2, (whole.shape[1] - columns) // 2
    middle = Image.fromarray(whole[top : top + rows, left : left + columns])
    return np.asarray(middle.resize((width, height), Image.Resampling.BICUBIC))


def degraded(clean: NDArray[np.uint8], name: str, task: str) -> NDArray[np.uint8]:
    """The image degraded as the embedded sets are, haze with a made-up depth."""
    rng = rng_for("tiles", task, name)
    if task == "denoise-25":
        return np.clip(clean + 25 * rng.standard_normal(clean.shape), 0, 255).astype(np.uint8)
    return DEGRADATIONS[task](clean, rng)


def psnr(x: torch.Tensor, y: torch.Tensor) -> float:
    """PSNR in dB of images in [0, 1]."""
    return float(-10 * torch.log10((x.double() - y.double()).square().mean()))


def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def losses(restorer: Restorer, name: str, task: str, tiles: tuple[int, ...] = TILES) -> Iterator[TileLoss]:
    """What tiles of each size cost a restorer on one image."""
    image = photograph(name)
    clean, given = tensor(image), tensor(degraded(image, name, task))
    with Numerics().applied():
        whole = restorer(given).float().clamp(0, 1)
        for tile in tiles:
            tiled = restore_in_tiles(restorer, given, tile, OVERLAP).clamp(0, 1)
            best, reached = psnr(whole, clean), psnr(tiled, clean)
            yield TileLoss(
                restorer=restorer.card.name,
                variant=restorer.variant,
                weights=(restorer.weights.sha256 or "none")[:12],
                photograph=name,
                task=task,
                size=f"{SIZE[0]}x{SIZE[1]}",
                tile=tile,
                overlap=OVERLAP,
                psnr_whole=round(best, 3),
                psnr_tiled=round(reached, 3),
                loss_db=round(best - reached, 3),
                between_db=round(psnr(tiled, whole), 2),
                dtype="float32",
                device=f"cpu ({platform.machine()})",
                threads=torch.get_num_threads(),
                torch=torch.__version__.partition("+")[0],
            )


def main() -> None:
    """Measure, and write the table after each restorer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("models", nargs="*", default=BUNDLED)
    arguments = parser.parse_args()
    columns = [each.name for each in fields(TileLoss)]
    rows = kept(arguments.output, columns, "restorer", arguments.models)
    for model in arguments.models:
        restorer = create_model(model, variant="tiny", weights="bundled")
        rows += [asdict(line) for name, task in IMAGES for line in losses(restorer, name, task)]
        write(arguments.output, columns, sorted(rows, key=lambda row: str(row["restorer"])))


if __name__ == "__main__":
    main()
