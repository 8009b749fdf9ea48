"""The page's images: the pairs and restored images that strips choose, with their error maps, under lasting names."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..analysis.captions import task_label
from ..analysis.cells import Group
from ..figures.error_maps import error_map, error_scale
from ..figures.previews import read_file, read_image
from ..figures.strip_images import Strip, pick

IMAGES = "images"
MOST_IMAGES = 8
"""Of a task that can be chosen in the page."""
MOST_BYTES = 14 * 10**6
"""Of all pictures, past the first image of each task: with its scripts the page can be mailed then."""


class ImageFiles:
    """Images of a page on their way into its folder.

    Files are named by their content, so that a page that is open keeps its own while the next one is written.
    """

    def __init__(self, folder: Path) -> None:
        """Images go to `folder`, which is made when the first one comes."""
        self.folder = folder
        self.names: set[str] = set()
        self.bytes = 0

    def collect(self, group: Group) -> dict[str, Any]:
        """Write images of each task, and describe them with addresses relative to the page.

        The image of largest spread of every task comes first, then the second of each, and so on, as long as
        the pictures of the page stay below `MOST_BYTES`. Images of a task stand in that order.
        """
        by_task: dict[str, list[Strip]] = {}
        for strip in pick(group, MOST_IMAGES):
            by_task.setdefault(strip.task_key, []).append(strip)
        described: dict[str, list[dict[str, Any]]] = {task: [] for task in by_task}
        left_out = 0
        for rank in range(MOST_IMAGES):
            for task, strips in by_task.items():
                if rank < len(strips) and (rank == 0 or self.bytes < MOST_BYTES):
                    described[task].append(self._strip(group, strips[rank]))
                elif rank < len(strips):
                    left_out += 1
        return {"strips": [one for several in described.values() for one in several], "imagesLeftOut": left_out}

    def _strip(self, group: Group, strip: Strip) -> dict[str, Any]:
        height, width = read_image(strip.clean).shape[:2]
        scale = error_scale(strip.restored_images, strip.clean)
        return {
            "task": task_label(group, strip.task_key),
            "image": strip.image,
            "width": width,
            "height": height,
            "spread": strip.spread,
            "errorScale": scale,
            "inputPsnr": strip.input_psnr,
            "degraded": self._add(strip, "degraded", read_file(strip.degraded)),
            "clean": self._add(strip, "clean", read_file(strip.clean)),
            "restored": [
                {
                    "label": label,
                    "psnr": psnr,
                    "url": self._add(strip, label, read_file(path)),
                    "error": self._add(strip, f"{label} error", _png(error_map(path, strip.clean, scale))),
                }
                for label, path, psnr in strip.restored
            ],
        }

    def _add(self, strip: Strip, what: str, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()[:12]
        words = f"{strip.task_key.partition('@')[0]} {Path(strip.image).stem} {what}"
        name = f"{re.sub(r'[^a-z0-9]+', '-', words.lower()).strip('-')[:80]}-{digest}.png"
        if name not in self.names:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)
            self.names.add(name)
            self.bytes += len(content)
        return f"{IMAGES}/{name}"


def _png(array: Any) -> bytes:
    """A picture of at most 256 colours, as error maps are, as a PNG with a palette: a third of the bytes."""
    colours, places = np.unique(array.reshape(-1, 3), axis=0, return_inverse=True)
    picture = Image.fromarray(places.reshape(array.shape[:2]).astype(np.uint8))
    picture.putpalette(colours.astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
