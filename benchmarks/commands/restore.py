"""``bench restore``: people's own photographs through a restorer, at full size, with all that their files carry."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ...datasets.errors import DataError
from ...messages import one_line
from ..errors import RestorationError, UserError
from ..inference.config import NumericsConfig, RestorerConfig
from ..inference.numerics import DTYPES, Numerics, check_dtype, resolve_device
from ..photographs.files import DEFAULT_FOLDER, FORMAT_SUFFIXES, Found, Outputs, find_photographs, plan_outputs
from ..photographs.limits import CPU_BYTES, SMALLEST, TileChoice
from ..photographs.pictures import WIDTH
from ..photographs.reading import MAX_PIXELS
from ..store.names import shown
from .front.names import check_restorer
from .front.parsing import Parser

if TYPE_CHECKING:
    from ..photographs.restoring import PhotographRestorer
    from ..photographs.session import Done
    from ..photographs.tiles import Progress

TIMED, LONG = 5, 60
"""Tiles after which the time that is left is written where there is no bar, and seconds from which it is."""
NO_FILE = ("bundled", "none")
"""Words of --weights that are no path."""
EPILOG = f"""\
examples:
  bench restore holiday.jpg --model rbair                    writes {DEFAULT_FOLDER}/holiday.jpg
  bench restore photos --recursive --model kbnet --output better
  bench restore "scans/*.tif" --model daair --compare
  bench restore holiday.jpg --strip rbair,anyir,daair,kbnet  one picture with all of them

Read and written: PNG and TIFF of 8 and 16 bits, JPEG (quality 95, 4:4:4), WebP (lossless), BMP; GIF becomes PNG. The
photograph keeps its size, bits, colour profile, EXIF, XMP, resolution and transparency; EXIF orientation is applied to
the pixels and set to 1. Grey stays grey: the mean of what the network makes of its three channels. Palettes become
colours. Refused by name: CMYK, animated files, several pages, more than --max-pixels.

Files go to a folder `{DEFAULT_FOLDER}` beside the photographs, or to --output, under their own names; below a folder or
a pattern in quotes its structure is kept. A file that is there is left alone and said so: the same command resumes.

Whole photographs where one pass is estimated at less than {CPU_BYTES // 2**20} MiB (on a CPU, about 0.8 megapixels for
the tiny networks), larger ones in tiles that fade into each other. The restorers of this suite adapt to the image they
see, so what they make of a tile differs a little from what they make of the whole.

Exit code 0: all is there. 1: a file failed; it is named, the others are done. 2: a mistake in the command."""


def main(arguments: Sequence[str]) -> int:
    """``bench restore INPUT... --model NAME``: 0, or 1 if a file failed.

    Raises:
        UserError, ModelError: a mistake in the command, found before anything is written.
    """
    options = parser().parse_args(arguments)
    strip = [name.strip() for name in (options.strip or "").split(",") if name.strip()]
    if options.model is None and not strip:
        raise UserError(
            "which restorer? --model NAME (bench list models), or --strip NAME,NAME for one picture of several"
        )
    if options.compare and options.model is None:
        raise UserError("--compare shows the result of one restorer: add --model NAME")
    output = None if options.output is None else Path(options.output).expanduser()
    if output is not None and output.exists() and not output.is_dir():
        raise UserError(f"--output {output} is a file; name a folder")
    labels = list(dict.fromkeys([*([options.model] if options.model else []), *strip]))
    for label in labels:
        variant, weights, _ = asked(label, options)
        check_restorer(
            RestorerConfig(model=label, variant=variant, weights=weights),
            NumericsConfig(device=options.device, dtype=options.dtype),
        )
    found = find_photographs(options.inputs, recursive=options.recursive, output=output)
    plans = plan_outputs(
        found.sources,
        output=output,
        format_name=options.format,
        restored=options.model is not None,
        compare=options.compare,
        strip=bool(strip),
    )
    restorers = {label: loaded(label, options) for label in labels}
    for restorer in restorers.values():
        model, numerics = restorer.restorer, restorer.numerics
        say(f"{model.card.title} {model.variant}, {model.weights.description}; {numerics.device}, {numerics.dtype}")
    return restored_all(plans, found, restorers, strip, options)


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(
        prog="bench restore",
        description="Restore photographs: no ground truth, no scores, nothing cropped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, patterns in quotes")
    top.add_argument("--model", metavar="NAME", help="the restorer")
    top.add_argument("--variant", metavar="NAME", help="its size")
    top.add_argument("--weights", metavar="PATH", help="a checkpoint; or bundled, or none for random weights")
    top.add_argument(
        "--weights-key", metavar="KEY", help="of a checkpoint with several state dicts, the dotted path of the one"
    )
    top.add_argument(
        "--output", metavar="DIR", help=f"folder of the results (default: {DEFAULT_FOLDER} beside the input)"
    )
    top.add_argument("--recursive", action="store_true", help="also folders inside folders")
    top.add_argument("--format", choices=("input", *FORMAT_SUFFIXES), default="input", help="default: as the input")
    top.add_argument("--overwrite", action="store_true", help="replace files that are there")
    top.add_argument(
        "--compare", action="store_true", help=f"also NAME.compare.png: input | restored, up to {WIDTH} wide"
    )
    top.add_argument(
        "--strip",
        metavar="NAME,NAME",
        help=f"NAME.strip.png: input and each of these, up to {WIDTH} wide; needs no --model",
    )
    top.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    top.add_argument("--dtype", default="float32", metavar="NAME", help=", ".join(DTYPES))
    top.add_argument(
        "--tile",
        type=tile_choice,
        default="auto",
        metavar="N",
        help="side of tiles in pixels; auto, or none: always whole",
    )
    top.add_argument(
        "--max-pixels",
        type=pixel_count,
        default=MAX_PIXELS,
        metavar="N",
        help=f"larger files are refused (default {MAX_PIXELS // 10**6}M)",
    )
    top.add_argument("--no-progress", action="store_true", help="no bars")
    return top


def tile_choice(text: str) -> TileChoice:
    """``auto``, ``none`` or a number of pixels.

    Raises:
        argparse.ArgumentTypeError: it is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    if not text.isdecimal() or int(text) < SMALLEST:
        raise argparse.ArgumentTypeError(f"{text!r}: give auto, none, or a side of at least {SMALLEST} pixels")
    return int(text)


def pixel_count(text: str) -> int:
    """A number of pixels, such as 150000000 or 150M.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,11})([mM]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number of pixels, such as 150M")
    return int(match[1]) * (10**6 if match[2] else 1)


def asked(name: str, options: argparse.Namespace) -> tuple[str | None, str | None, str | None]:
    """Variant, weights and the key of these; --weights PATH and --variant are --model's, where there is one."""
    if options.model is None or name == options.model:
        return options.variant, options.weights, options.weights_key
    return None, options.weights if options.weights in NO_FILE else None, None


def loaded(name: str, options: argparse.Namespace) -> PhotographRestorer:
    """A restorer on its device.

    Raises:
        UserError, ModelError: what was asked for does not exist.
    """
    from ...models.factory import create_model
    from ..photographs.restoring import PhotographRestorer

    variant, weights, key = asked(name, options)
    restorer = create_model(name, variant=variant, weights=weights, weights_key=key)
    dtype = check_dtype(options.dtype, restorer.card.dtypes, restorer.card.title)
    return PhotographRestorer(restorer, Numerics(device=resolve_device(options.device), dtype=dtype), tile=options.tile)


def restored_all(
    plans: Sequence[Outputs],
    found: Found,
    restorers: dict[str, PhotographRestorer],
    strip: Sequence[str],
    options: argparse.Namespace,
) -> int:
    """Every file in turn, a line each; 0, or 1 if one failed."""
    from ..photographs.session import restore_file

    counts = {"restored": 0, "there already": 0, "failed": 0}
    hidden = True if options.no_progress else None
    with tqdm(total=len(plans), unit="photograph", leave=False, disable=True if len(plans) == 1 else hidden) as bar:
        for plan in plans:
            try:
                done = restore_file(
                    plan,
                    restorers,
                    main=options.model,
                    strip=strip,
                    overwrite=options.overwrite,
                    max_pixels=options.max_pixels,
                    progress=lambda label, plan=plan: tile_bar(plan.source.name, label, hidden),  # type: ignore[misc]
                )
            except Exception as error:  # code of the network's author can raise anything
                counts["failed"] += 1
                expected = isinstance(error, DataError | RestorationError)
                reason = str(error) if expected else one_line(error)
                named = reason if str(plan.source) in reason else f"{plan.source}: {reason}"
                say_aside(f"bench: not restored: {' '.join(named.split())}")
            else:
                counts["there already" if done is None else "restored"] += 1
                say(line(plan, done))
            bar.update()
    if found.others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.others.items()))
        say(f"not looked at, no format that is read: {kinds}")
    say(", ".join(f"{count} {what}" for what, count in counts.items() if count))
    return 1 if counts["failed"] else 0


def line(plan: Outputs, done: Done | None) -> str:
    """What is said of a file that did not fail."""
    if done is None:
        return f"{' and '.join(map(str, plan.files))}: there already, left alone (--overwrite replaces it)"
    notes = "".join(f"; {note}" for note in done.notes)
    width, height = done.size
    written = ", ".join(map(str, done.written))
    return f"{plan.source} -> {written}  {width}x{height}, {done.how}, {done.seconds:.1f} s{notes}"


def say(text: str) -> None:
    """A line on standard output, above the bars."""
    tqdm.write(shown(text), file=sys.stdout)


def tile_bar(name: str, label: str, hidden: bool | None) -> Progress:
    """A bar of the tiles of one photograph with the time that is left; without it, one line if that is long."""
    bar = tqdm(unit="tile", desc=f"{name} {label}", leave=False, disable=hidden)
    began: list[float] = []

    def update(done: int, total: int) -> None:
        bar.total = total
        if bar.n >= done:  # it began anew, in smaller tiles
            bar.reset(total)
        bar.update(done - bar.n)
        if done == 1:
            began[:] = [time.monotonic()]  # the first tile also takes what is made once
        elif bar.disable and done == TIMED:
            left = (time.monotonic() - began[0]) / (done - 1) * (total - done)
            if left > LONG:
                say_aside(f"{name} {label}: {total} tiles, about {left / 60:.0f} minutes left")
        if done == total:
            bar.close()

    return update


def say_aside(text: str) -> None:
    """A line on standard error, above the bars."""
    tqdm.write(shown(text), file=sys.stderr)
