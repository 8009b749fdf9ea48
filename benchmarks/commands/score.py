"""``bench score``: the scores of any folder of restored images, under one protocol or all of them."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate
from tqdm import tqdm

from ..errors import UserError
from ..protocols.catalogue import get_protocol, list_protocols
from ..protocols.offsets import AUTO, PLACES, check_place
from ..protocols.protocol import Protocol, Scores
from ..store.names import shown
from .front.parsing import Parser
from .stores import images

if TYPE_CHECKING:
    from ..evaluation.scoring import ScoredPair, ScoreMeans
    from ..protocols.lpips import LpipsChoice

ALL = "all"
NOT_AVAILABLE = "n/a"
EPILOG = """\
example, one folder under every protocol:
  bench score --pred results/5d/rbair/0123456789abcdef/images --clean data/test/denoise/bsd68 --protocol all

images of another tool as a row among those of 5d:
  bench score --pred OUT --task 5d/dehaze --name "Their tool" --params 26.1 --protocol promptir@1 --store

Restored images are .npy (float32 in [0, 1], (H, W, 3) or (3, H, W)), PNG of 8 or 16 bits, JPEG, BMP or TIFF. They pair
with the clean ones by name. A restored image of another size (cropped, or padded) is looked for on the clean one by
correlation, and where it lies is said; one that fits at several places, fits nowhere or was resized is refused, unless
the others of the folder all follow one rule that does for it, or --place names one. Exit code 1: some image could not
be scored; it is named, and no mean is shown."""


def main(arguments: Sequence[str]) -> int:
    """``bench score --pred DIR --clean DIR --protocol NAME[,NAME...]``: 0, or 1 if an image could not be scored.

    Raises:
        UserError: an unknown protocol or metric, or a folder without images.
    """
    options = parser().parse_args(arguments)
    images.check_options(options)
    protocols = chosen_protocols(options.protocol)
    check_place(options.place)
    from ..evaluation.scoring import means, paired, pairing_notes, scored
    from ..protocols.lpips import Lpips, lpips_notice

    if options.store:
        chosen = chosen_lpips(protocols, options.metrics, options.lpips_weights)
        measures = {name: Lpips(choice) if choice.path else None for name, choice in chosen.items()}
        return images.store_images(options, protocols, measures, arguments)
    restored, clean = (Path(text).expanduser() for text in (options.pred, options.clean))
    choices = chosen_lpips(protocols, options.metrics, options.lpips_weights)
    total = len(paired(restored, clean))
    lpips = {name: Lpips(choice) if choice.path else None for name, choice in choices.items()}
    hidden = options.json or options.no_progress or None
    pairs = list(
        tqdm(
            scored(restored, clean, protocols, lpips, options.place),
            total=total,
            unit="image",
            leave=False,
            disable=hidden,
        )
    )
    rows = [means(pairs, protocol) for protocol in protocols]
    notices = [*pairing_notes(restored, clean), *filter(None, [lpips_notice(choices.values())])]
    if options.json:
        data = {**as_data(restored, clean, rows, pairs, choices), "notes": notices}
        text = json.dumps(data, indent=2, allow_nan=False)
    else:
        text = as_text(rows, pairs, notices, per_image=options.images)
    sys.stdout.write(text + "\n")
    return 0 if all(not pair.problem for pair in pairs) else 1


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    known = ", ".join(list_protocols())
    top = Parser(
        prog="bench score",
        description="Scores of a folder of restored images.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--pred", required=True, metavar="DIR", help="the restored images")
    top.add_argument("--clean", metavar="DIR", help="the clean images")
    top.add_argument("--protocol", required=True, metavar="NAME[,NAME...]", help=f"{known}; or all")
    top.add_argument(
        "--place",
        default=AUTO,
        metavar="NAME",
        help=f"where restored images of another size lie on the clean ones: {', '.join(PLACES)} (default: found)",
    )
    top.add_argument("--images", action="store_true", help="every image's scores, too")
    top.add_argument("--json", action="store_true", help="all of it as JSON")
    top.add_argument(
        "--metrics", default="auto", metavar="NAMES", help="auto (LPIPS where its weights are here), or psnr,ssim,lpips"
    )
    top.add_argument("--lpips-weights", metavar="PATH", help="weights of the LPIPS backbone (default: torch's cache)")
    top.add_argument("--no-progress", action="store_true", help="no bar")
    images.add_options(top)
    return top


def chosen_protocols(text: str) -> list[Protocol]:
    """The protocols named, each once.

    Raises:
        UserError: if there is none of a name.
    """
    names = list_protocols() if text == ALL else tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UserError(f"--protocol: give one or several of {', '.join(list_protocols())}, or all")
    return [get_protocol(name) for name in dict.fromkeys(names)]


def chosen_lpips(protocols: Sequence[Protocol], metrics: str, weights: str | None) -> dict[str, LpipsChoice]:
    """The LPIPS of every backbone that the protocols use.

    Raises:
        UserError: see `choose_lpips`; also for one file of weights for several backbones.
    """
    from ..protocols.lpips import choose_lpips

    backbones = list(dict.fromkeys(protocol.lpips_backbone for protocol in protocols))
    if weights is not None and len(backbones) > 1:
        raise UserError(f"--lpips-weights is for one backbone, these protocols use {' and '.join(backbones)}")
    chosen = {each: choose_lpips([name.strip() for name in metrics.split(",")], weights, each) for each in backbones}
    return {name: choice for name, choice in chosen.items() if choice is not None}


def as_text(rows: Sequence[ScoreMeans], pairs: Sequence[ScoredPair], notices: Sequence[str], *, per_image: bool) -> str:
    """Tables for a terminal, and the problems by name."""
    parts = []
    if per_image:
        head = ["image", *(f"{row.protocol} PSNR / SSIM" for row in rows)]
        body = [
            [shown(pair.restored), *(_brief(pair.scores[row.protocol]) for row in rows)]
            for pair in pairs
            if pair.scores
        ]
        parts += [tabulate(body, headers=head, tablefmt="github", disable_numparse=True), ""]
    backbones = list(dict.fromkeys(row.lpips_backbone for row in rows))
    head = ["protocol", "images", "PSNR (dB)", "SSIM", *(f"lpips_{name}" for name in backbones)]
    body = [
        [
            row.protocol,
            str(row.images) if row.psnr is not None else f"{row.images} of {len(pairs)} (incomplete)",
            _number(row.psnr, 4),
            _number(row.ssim, 5),
            *(_number(row.lpips if name == row.lpips_backbone else None, 4) for name in backbones),
        ]
        for row in rows
    ]
    align = ("left", *("right",) * (3 + len(backbones)))
    parts.append(tabulate(body, headers=head, tablefmt="github", disable_numparse=True, colalign=align))
    exact = max((row.infinite for row in rows), default=0)
    if exact:
        parts.append(f"- up to {exact} images restored exactly (infinite PSNR): left out of the mean, see --images")
    parts += [f"- {line}" for line in noted(pairs)]
    parts += [f"- {notice}" for notice in notices]
    parts += [shown(f"- not scored: {pair.restored or pair.clean}: {pair.problem}") for pair in pairs if pair.problem]
    return "\n".join(parts)


def noted(pairs: Sequence[ScoredPair]) -> list[str]:
    """A line for each thing that was done to pairs before they were scored: to how many, and the first as example."""
    notes = [note for pair in pairs for note in pair.notes]
    counts = Counter(note.what for note in notes)
    first = {note.what: note.detail for note in reversed(notes)}
    return [f"{count} image{'s' * (count > 1)}: {what}, {first[what]}" for what, count in counts.items()]


def _number(value: float | None, digits: int) -> str:
    return NOT_AVAILABLE if value is None else f"{value:.{digits}f}"


def _brief(scores: Scores) -> str:
    return f"{scores.psnr:.4f} / {NOT_AVAILABLE if math.isnan(scores.ssim) else f'{scores.ssim:.5f}'}"


def as_data(
    restored: Path,
    clean: Path,
    rows: Sequence[ScoreMeans],
    pairs: Sequence[ScoredPair],
    choices: dict[str, LpipsChoice],
) -> dict[str, Any]:
    """Everything as plain JSON data; infinite PSNRs are the text ``inf``, missing values null."""
    return {
        "pred": str(restored),
        "clean": str(clean),
        "complete": all(not pair.problem for pair in pairs),
        "lpips_weights": {name: choice.sha256 for name, choice in choices.items()},
        "protocols": [
            {
                **{key: _plain(value) for key, value in asdict(row).items()},
                "describe": get_protocol(row.protocol).describe(),
            }
            for row in rows
        ],
        "images": [
            {
                "restored": pair.restored or None,
                "clean": pair.clean or None,
                "problem": pair.problem or None,
                "note": pair.note or None,
                "scores": {name: {k: _plain(v) for k, v in asdict(s).items()} for name, s in pair.scores.items()},
            }
            for pair in pairs
        ],
    }


def _plain(value: Any) -> Any:
    """JSON has neither infinity nor NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if math.isinf(value) else None
    return value
