"""Photographs for training that any Debian machine can have: wallpapers of its packages, reduced to 1024 pixels.

For ``train.folder=``, as in ``recipe=photographs``. None of them is in a test set: `leaks` finds no pair with the
embedded photographs, CBSD68, Rain100H or Rain100L.

    apt-get download lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 plasma-workspace-wallpapers
    for package in *.deb; do dpkg-deb -x $package unpacked; done
    python -m restorebench.datasets.wallpapers unpacked photographs
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from .errors import DataError

logger = logging.getLogger("restorebench")

PACKAGES = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "plasma-workspace-wallpapers")
LONGEST = 1024
"""Longest side in pixels: the originals have 2 to 15 megapixels, in which a patch of 64 pixels shows nothing."""

LOMIRI = (
    "Bridge_by_Sander_Klootwijk",
    "Dragonfly_by_Bolly",
    "Fossa_by_Jasper_Roks",
    "Kleiber_by_Lukas_Baubkus",
    "Painting-Colors_by__herobrine7gamer",
    "Picture_0B_by_freespace",
    "Wine_by_Jakkub_Mede",
    "aitzgorri_by_Aitzol_Berasategi",
    "analogpattern_by_Peter_Nerlich",
    "friends_by_Aitzol_Berasategi",
    "greentock_by_Peter_Nerlich",
    "picosdeeuropa_by_Aitzol_Berasategi",
    "seeding_by_Clements_Engelhardt",
    "sunset_by_Aitzol_Berasategi",
)
"""Winners of Ubuntu Touch's wallpaper contests; CC BY 4.0, CC BY-SA 3.0 or 4.0, or CC0 (the packages' copyright)."""
PLASMA = ("BytheWater", "ColdRipple", "ColorfulCups", "EveningGlow", "FallenLeaf", "Kite", "OneStandsOut", "Path")
"""Photographs among Plasma's wallpapers (see the package's copyright file for their authors)."""


def sources(unpacked: Path) -> dict[str, Path]:
    """Where each photograph lies below the unpacked packages.

    Raises:
        DataError: naming those that are not there.
    """
    backgrounds, wallpapers = (unpacked / "usr" / "share" / name for name in ("backgrounds", "wallpapers"))
    found = {name: backgrounds / f"{name}.jpg" for name in LOMIRI}
    found |= {name: wallpapers / name / "contents" / "images" / "2560x1600.jpg" for name in PLASMA}
    missing = sorted(name for name, path in found.items() if not path.is_file())
    if missing:
        raise DataError(f"{unpacked} lacks {', '.join(missing)}: unpack {', '.join(PACKAGES)} there")
    return found


def reduce_all(unpacked: Path, folder: Path) -> list[Path]:
    """Write every photograph as RGB PNG, its longest side at most `LONGEST` pixels (Lanczos).

    Raises:
        DataError: see `sources`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, path in sorted(sources(unpacked).items()):
        with Image.open(path) as original:
            image = original.convert("RGB")
        scale = LONGEST / max(image.size)
        if scale < 1:
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
        image.save(folder / f"{name}.png")
        written.append(folder / f"{name}.png")
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m restorebench.datasets.wallpapers UNPACKED OUT``."""
    parser = argparse.ArgumentParser(description="Reduce wallpapers of Debian packages to training photographs.")
    parser.add_argument("unpacked", type=Path, help="folder into which the packages were unpacked")
    parser.add_argument("out", type=Path, help="folder for the photographs")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logger.info("%d photographs in %s", len(reduce_all(options.unpacked, options.out)), options.out)


if __name__ == "__main__":
    main()
