"""The page's images: the pairs and restored images that strips choose, with their error maps, under lasting names."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

from PIL import Image

from ..analysis.captions import task_label
from ..analysis.cells import Group
from ..figures.error_maps import error_map, error_scale
from ..figures.previews import read_file, read_image
from ..figures.strip_images import Strip, pick

IMAGES = "images"


class ImageFiles:
    """Images of a page on their way into its folder.

    Files are named by their content, so that a page that is open keeps its own while the next one is written.
    """

    def __init__(self, folder: Path) -> None:
        """Images go to `folder`, which is made when the first one comes."""
        self.folder = folder
        self.names: set[str] = set()

    def collect(self, group: Group) -> list[dict[str, Any]]:
        """Write the images of a group's strips, and describe them with addresses relative to the page."""
        return [self._strip(group, strip) for strip in pick(group)]

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
        return f"{IMAGES}/{name}"


def _png(array: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()
