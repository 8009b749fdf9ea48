"""Previews: small pictures beside the scores, for reports, which run no network and read no data set."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ....atomic import written_whole
from ....datasets.samples import TaskData
from ...errors import UserError
from ...store.files import listed
from ...store.parts import Identity
from ...store.records import preview_name, previews_key

PREVIEWS = "previews"
AUTO_COUNT = 4
"""Images of a set that is not embedded whose previews ``previews=auto`` keeps."""


@dataclass(frozen=True)
class Previews:
    """8-bit PNGs of some images of a cell: restored, and, shared by all restorers, degraded and clean.

    Attributes:
        restored: folder of this cell's.
        pairs: folder with ``degraded`` and ``clean``.
        names: the images that are kept.
        insisted: whether an image without its preview counts as missing.
    """

    restored: Path
    pairs: Path
    names: frozenset[str]
    insisted: bool

    def holds(self, name: str) -> bool:
        """Whether everything that was asked for of an image is there."""
        if not self.insisted or name not in self.names:
            return True
        file = preview_name(name)
        return all(path.is_file() for path in (self.pairs / "degraded" / file, self.pairs / "clean" / file)) and (
            (self.restored / file).is_file()
        )

    def save(self, name: str, degraded: Tensor | None, clean: Tensor, restored: Tensor) -> None:
        """Write the previews of an image, if it is one of `names`.

        Args:
            name: of the sample.
            degraded, restored: (3, H', W') in [0, 1], clipped for the picture; padding beyond `clean` is left out. None
                for a degraded image that is not known, which has no preview then.
            clean: (3, H, W) uint8.

        Raises:
            OSError: if one cannot be written.
        """
        if name not in self.names:
            return
        file = preview_name(name)
        size = (slice(None), slice(clean.shape[-2]), slice(clean.shape[-1]))
        try:
            _write(self.restored / file, _levels(restored[size]))
        except OSError:
            (self.restored / file).unlink(missing_ok=True)  # what an earlier computation left need not be this one's
            raise
        for kind, image in (("degraded", None if degraded is None else degraded[size]), ("clean", clean)):
            path = self.pairs / kind / file
            if image is not None and not path.exists():
                _write(path, _levels(image))

    def take(self, other: Path) -> None:
        """Copy the restored ones from another folder of the same cell, if it has any."""
        if other.is_dir() and self.names:
            self.restored.mkdir(parents=True, exist_ok=True)
            for path in listed(other):
                if (
                    not re.fullmatch(r"[^.].*\.png", path.name, re.DOTALL) or path.is_symlink() or not path.is_file()
                ):  # what a foreign store may hold in a picture's place
                    continue
                with written_whole(self.restored / path.name) as part:
                    shutil.copyfile(path, part)


def _levels(image: Tensor) -> Tensor:
    """(3, H, W) in [0, 1], or uint8 -> (H, W, 3) uint8."""
    levels = image if image.dtype == torch.uint8 else image.float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).cpu()


def _write(path: Path, image: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        Image.fromarray(np.ascontiguousarray(image.numpy())).save(part, format="PNG", compress_level=1)


def preview_count(value: object) -> int | str:
    """``previews=``: ``auto``, ``all``, ``none`` or a number of images of each set.

    Raises:
        UserError: if it is none of these.
    """
    if value in ("auto", "all", "none"):
        return str(value)
    if value is None or value is False:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise UserError(f"previews={value}: give auto, all, none or a number of images")


def previews_of(count: int | str, data: TaskData, cell: Path, root: Path, identity: Identity) -> Previews:
    """The previews of a cell.

    Args:
        count: from `preview_count`. ``auto`` keeps all images of an embedded set and the first few of others, and
            computes nothing again for their sake.
        data: the images.
        cell: folder of the cell.
        root: the results folder.
        identity: of the cell.
    """
    embedded = data.task.dataset.startswith("embedded-")
    if count == "auto":
        kept = len(data) if embedded else AUTO_COUNT
    else:
        kept = {"all": len(data), "none": 0}.get(str(count), count if isinstance(count, int) else 0)
    return Previews(
        restored=cell / PREVIEWS,
        pairs=root / PREVIEWS / previews_key(identity),
        names=frozenset(data.names[:kept]),
        insisted=count != "auto",
    )
