"""Photographs for training that any Debian machine can have: wallpapers of its packages, in two sizes.

For ``data.natural_images=`` (the folder ``training``) and ``data.validation_images=`` (``validation``, other scenes).
Nothing is installed: the packages are only unpacked. No
photograph is in a test set: `leakage` finds no pair with the embedded photographs, CBSD68, Rain100H or Rain100L.

    python -m restorebench.datasets.training.wallpapers photographs
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..errors import DataError

logger = logging.getLogger("restorebench")

PACKAGES = (
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "palapeli-data",
    "plasma-workspace-wallpapers",
)
SIDES = (1024, 400)
"""Longest sides in pixels: the originals have 1 to 15 megapixels, in which a patch of 64 pixels shows nothing. In the
smaller size a patch of 128 shows much of the scene, as test images do."""

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
MATE = (
    "Aqua",
    "Blinds",
    "Dune",
    "FreshFlower",
    "Garden",
    "GreenMeadow",
    "LadyBird",
    "RainDrops",
    "Storm",
    "TwoWings",
    "Wood",
    "YellowFlower",
)
"""MATE's pictures of nature."""
PALAPELI = (
    "castle-maintenon",
    "cincinnati-bridge",
    "citrus-fruits",
    "european-honey-bee",
    "panther-chameleon-female",
)
"""Pictures of KDE's jigsaw puzzles."""
PLASMA = ("BytheWater", "ColdRipple", "ColorfulCups", "EveningGlow", "FallenLeaf", "Kite", "OneStandsOut", "Path")
"""Photographs among Plasma's wallpapers (for authors and licences of these three see the packages' copyright files)."""

VALIDATION = (
    "Bridge_by_Sander_Klootwijk",
    "FallenLeaf",
    "Kleiber_by_Lukas_Baubkus",
    "LadyBird",
    "castle-maintenon",
    "friends_by_Aitzol_Berasategi",
    "panther-chameleon-female",
    "picosdeeuropa_by_Aitzol_Berasategi",
)
"""Scenes set apart: what is chosen by looking at scores is chosen on them. No other wallpaper shows the same."""


def fetch(folder: Path) -> Path:
    """Download the packages with ``apt-get`` (170 MB) and unpack them below `folder`; where they then lie.

    Raises:
        DataError: this is no Debian, or a package cannot be had.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DataError(f"{program} is missing: unpack Debian's {', '.join(PACKAGES)} and name the folder")
    unpacked = folder / "unpacked"
    _run(["apt-get", "download", "--quiet", *PACKAGES], folder)
    for package in sorted(folder.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(package), str(unpacked)], folder)
    return unpacked


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise DataError(f"{' '.join(command[:2])} failed: {reason}")


def sources(unpacked: Path) -> dict[str, Path]:
    """Where each photograph lies below the unpacked packages.

    Raises:
        DataError: naming those that are not there.
    """
    share = unpacked / "usr" / "share"
    paths = {name: share / "backgrounds" / f"{name}.jpg" for name in LOMIRI}
    paths |= {name: share / "backgrounds" / "mate" / "nature" / f"{name}.jpg" for name in MATE}
    paths |= {name: share / "palapeli" / "collection" / f"{name}.jpg" for name in PALAPELI}
    paths |= {name: share / "wallpapers" / name / "contents" / "images" / "2560x1600.jpg" for name in PLASMA}
    missing = sorted(name for name, path in paths.items() if not path.is_file())
    if missing:
        raise DataError(f"{unpacked} lacks {', '.join(missing)}: unpack {', '.join(PACKAGES)} there")
    return paths


def reduce_all(unpacked: Path, folder: Path) -> list[Path]:
    """Write every photograph as RGB PNG in each of `SIDES`, the longest side at most that many pixels (Lanczos).

    Files are called ``NAME-SIDE.png`` and lie in ``training`` or, the scenes of `VALIDATION`, in the smaller size
    alone, in ``validation``.

    Raises:
        DataError: see `sources`.
    """
    written = []
    for name, path in sorted(sources(unpacked).items()):
        with Image.open(path) as original:
            image = original.convert("RGB")
        held_out = name in VALIDATION
        part = folder / ("validation" if held_out else "training")
        part.mkdir(parents=True, exist_ok=True)
        for side in (min(SIDES),) if held_out else SIDES:
            scale = min(1, side / max(image.size))
            size = (round(image.width * scale), round(image.height * scale))
            written.append(part / f"{name}-{side}.png")
            image.resize(size, Image.Resampling.LANCZOS).save(written[-1])
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m restorebench.datasets.training.wallpapers OUT [--unpacked FOLDER]``."""
    parser = argparse.ArgumentParser(description="Photographs for training, from wallpapers of Debian packages.")
    parser.add_argument("out", type=Path, help="folder for the photographs")
    parser.add_argument("--unpacked", type=Path, help="where the packages are unpacked (else downloaded)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            written = reduce_all(options.unpacked or fetch(Path(temporary)), options.out)
    except DataError as error:
        parser.exit(2, f"{error}\n")
    logger.info("%d images in %s", len(written), options.out)


if __name__ == "__main__":
    main()
