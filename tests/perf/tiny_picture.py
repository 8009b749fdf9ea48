"""README's picture: embedded photographs, degraded, restored by the networks that bring weights, and clean.

``python -m tests.perf.tiny_picture FILE.jpg`` restores one photograph of each task of `PICTURES` at 256x256 with every
bundled network under ``promptir@1``, float32 on the CPU, and writes the middles of all results with the PSNR of the
whole image. A task takes as many lines of `COLUMNS` pictures as it needs; all images are shown alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.datasets.suites import resolve
from restorebench.models import create_model

from ..models.bundled import BUNDLED

PICTURES = {"dehaze": ("haze", "coffee"), "derain": ("rain", "astronaut"), "denoise-25": ("noise 25", "chelsea")}
PICTURES |= {"deblur": ("blur", "astronaut"), "lowlight": ("low light", "astronaut")}
"""Task -> what it is called, and the photograph by the beginning of its name."""
COLUMNS = 6
SIDE, GAP, CAPTION = 192, 4, 22
PROTOCOL = get_protocol("promptir@1")


def pictures_of(label: str) -> Iterator[tuple[str, Tensor]]:
    """Captions and images (3, H, W), [0, 1]: degraded, as each network restores it, clean."""
    word, photograph = PICTURES[label]
    data = next(one for one in resolve("5d", source="embedded", size=256).data if one.task.label == label)
    sample = next(one for one in map(data.__getitem__, range(len(data))) if one.name.startswith(photograph))
    pair = PROTOCOL.prepare(sample)
    yield f"{word}, {PROTOCOL.score(pair.degraded, pair.clean).psnr:.2f} dB", pair.degraded
    for name in BUNDLED:
        restorer = create_model(name, variant="tiny", weights="bundled").eval()
        with torch.inference_mode():
            restored = restorer(pair.degraded[None])[0].float()
        yield f"{restorer.card.title}, {PROTOCOL.score(restored, pair.clean).psnr:.2f} dB", restored
    yield "clean", pair.clean.float() / 255


def middle(image: Tensor) -> Image.Image:
    """The square of `SIDE` pixels in the middle of an image (3, H, W)."""
    top, left = ((side - SIDE) // 2 for side in image.shape[1:])
    square = image[:, top : top + SIDE, left : left + SIDE].clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(square.permute(1, 2, 0).numpy())


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    lines = []
    for label in PICTURES:
        pictures = list(pictures_of(label))
        lines += [pictures[first : first + COLUMNS] for first in range(0, len(pictures), COLUMNS)]
    sheet = Image.new("RGB", (COLUMNS * (SIDE + GAP) + GAP, len(lines) * (SIDE + CAPTION) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, line in enumerate(lines):
        for column, (caption, image) in enumerate(line):
            x, y = GAP + column * (SIDE + GAP), GAP + row * (SIDE + CAPTION)
            sheet.paste(middle(image), (x, y))
            draw.text((x + SIDE / 2, y + SIDE + 2), caption, fill="black", font=font, anchor="ma")
    sheet.save(arguments.output, quality=85)


if __name__ == "__main__":
    main()
