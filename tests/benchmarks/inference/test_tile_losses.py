"""The cards say of tiles what was measured."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from restorebench.models import create_model, get_card

from ...models.bundled import BUNDLED
from .tile_losses import IMAGES, TILES, losses

(TABLE,) = (Path(__file__).parents[3] / "reports" / "measured").glob("tile-losses-*.csv")
SAFE_DB = 0.1
"""The most by which safe tiles change the PSNR of an image."""


def measured() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_restorer_was_measured_on_every_image_in_every_size_of_tiles() -> None:
    found = {(row["restorer"], row["photograph"], row["task"], int(row["tile"])) for row in measured()}
    wanted = {(model, *image, tile) for model in BUNDLED for image in IMAGES for tile in TILES}
    assert found == wanted
    assert len(measured()) == len(wanted)


@pytest.mark.parametrize("model", BUNDLED)
def test_the_card_says_what_was_measured_and_allows_only_safe_tiles(model: str) -> None:
    tiling = get_card(model).tiling
    changes: dict[int, float] = defaultdict(float)
    for row in measured():
        if row["restorer"] == model:
            changes[int(row["tile"])] = max(changes[int(row["tile"])], abs(float(row["loss_db"])))
    assert tiling.loss_db == pytest.approx(changes[tiling.tile], abs=0.005)
    assert tiling.allowed == (max(changes.values()) <= SAFE_DB)  # of one size alone it may be chance
    assert all(f"{changes[tile]:.2f}" in tiling.note for tile in (256, 512, 768))


@pytest.mark.slow
def test_a_line_of_the_table_can_be_measured_again() -> None:
    (again,) = losses(create_model("daair", variant="tiny", weights="bundled"), "coffee", "denoise-25", (512,))
    (line,) = (
        row for row in measured() if (row["restorer"], row["photograph"], row["tile"]) == ("daair", "coffee", "512")
    )
    assert again.weights == line["weights"]
    assert again.psnr_whole == pytest.approx(float(line["psnr_whole"]), abs=2e-3)
    assert again.psnr_tiled == pytest.approx(float(line["psnr_tiled"]), abs=2e-3)
