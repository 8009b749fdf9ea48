"""``bench export``: a restorer with its weights as a file that other programs run."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.registry import check_variant, get_card
from ..errors import UserError
from .front.names import key_values
from .front.parsing import Parser

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger("restorebench")

KEYS = ("model", "variant", "weights", "weights_key")
FORMATS = ("onnx", "torch")
DYNAMIC = "dynamic"
COMPARED = ((96, 128), (131, 77))
"""Height and width of the parts of photographs on which a file of any size is compared; one with odd sides."""
SIGMA = 25
EPILOG = """\
The file is compared with the network on noisy photographs, and kept only if it restores the same.
Sides have to be multiples of what the file's metadata say (restorebench.size_multiple); larger ones are padded.
Back in the benchmark: bench run model=onnx weights=FILE.onnx"""


def main(arguments: Sequence[str]) -> int:
    """``bench export model=NAME [variant=NAME] [weights=PATH] [--format onnx|torch] [--size 256|dynamic]``.

    Raises:
        UserError, ModelError: what was asked for does not exist, or cannot be exported.
    """
    options = parser().parse_args(arguments)
    asked = settings(options.settings)
    side = chosen_size(options.size)
    card = get_card(asked["model"])
    variant = None if "variant" not in asked else check_variant(card, asked["variant"])
    from ...models.exporting import SUFFIXES, check_packages, export
    from ...models.factory import create_model

    check_packages(options.format)
    restorer = create_model(
        asked["model"], variant=variant, weights=asked.get("weights"), weights_key=asked.get("weights_key")
    )
    default = f"{card.name}-{restorer.variant}{'' if side is None else f'-{side}'}{SUFFIXES[options.format]}"
    path = Path(options.output or default).expanduser()
    if path.suffix != SUFFIXES[options.format]:
        raise UserError(f"{path} does not end in {SUFFIXES[options.format]}; give the output such a name")
    if path.exists() and not options.force:
        raise UserError(f"{path} is there already; give another name with --output, or --force")
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("exporting %s (%s): this takes a minute or two", card.title, restorer.variant)
    exported = export(restorer, path, options.format, side, photographs(side))
    sides = "any batch and size" if side is None else f"images of {side}x{side}, one at a time"
    sys.stdout.write(
        f"{path}: {card.title} ({restorer.variant}), {restorer.weights.description}; {sides}; on noisy photographs at"
        f" most {exported.difference:.1e} from the network's values in [0, 1]\n"
    )
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(
        prog="bench export",
        description="Write a restorer with its weights as a file that other programs run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.keys = KEYS
    top.add_argument(
        "settings",
        nargs="*",
        metavar="key=value",
        help="model=NAME; variant=NAME; weights=PATH, bundled or none; weights_key=KEY",
    )
    top.add_argument(
        "--format", choices=FORMATS, default="onnx", help="onnx (default), or torch: an exported program (.pt2)"
    )
    top.add_argument("--size", default=DYNAMIC, metavar="N", help=f"side of the images in pixels; {DYNAMIC} (default)")
    top.add_argument("--output", metavar="FILE", help="default: MODEL-VARIANT.onnx or .pt2 here")
    top.add_argument("--force", action="store_true", help="replace the file if it is there")
    return top


def settings(given: Sequence[str]) -> dict[str, str]:
    """``key=value`` words as a dictionary.

    Raises:
        UserError: a word is none, or there is no such key, or the model is missing.
    """
    result = key_values("export", given, KEYS, shown=KEYS, example="model=rbair")
    if "model" not in result:
        raise UserError("which restorer? write bench export model=NAME")
    return result


def chosen_size(text: str) -> int | None:
    """The side of the images in pixels; None for any.

    Raises:
        UserError: it is neither a number nor ``dynamic``.
    """
    if text == DYNAMIC:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 2**16:
        raise UserError(f"--size {text}: give a side in pixels, or {DYNAMIC}")
    return int(text)


def photographs(side: int | None) -> list[Tensor]:
    """Noisy parts of the embedded photographs, each (B, 3, H, W) in [0, 1]; two at once where the batch is free."""
    import torch

    from ...datasets.embedded.photographs import PHOTOGRAPHS, pixels
    from ...datasets.streams import rng_for

    images = []
    for index, photograph in enumerate(PHOTOGRAPHS[: len(COMPARED)]):
        height, width = COMPARED[index] if side is None else (side, side)
        clean = pixels(photograph)
        # Larger than the photograph: it is repeated.
        rows, columns = -(-height // clean.shape[0]), -(-width // clean.shape[1])
        tiled = torch.from_numpy(clean.copy()).repeat(rows, columns, 1)[:height, :width]
        noise = torch.from_numpy(rng_for(0, "export", index).standard_normal(tuple(tiled.shape))).float()
        degraded = ((tiled + SIGMA * noise) / 255).clamp(0, 1).permute(2, 0, 1)[None]
        images.append(torch.cat((degraded, degraded.flip(3))) if side is None and index == 0 else degraded)
    return images
