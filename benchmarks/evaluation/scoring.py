"""Scores of a folder of restored images, under as many protocols as asked for; no network of the registry is run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...datasets.errors import DataError
from ...datasets.files.images import FORMATS, read_image
from ...datasets.files.name_rules import stem
from ...datasets.files.pairing import Partnership, check_sides, partnership
from ...datasets.files.sides import list_root
from ...datasets.files.walk import files_below, has_suffix, is_hidden
from ..errors import RestorationError, UserError
from ..protocols.catalogue import get_protocol, list_protocols
from ..protocols.lpips import Lpips
from ..protocols.offsets import AUTO, RULES, Offset, Size, check_place, nested, rule_offset, sizes
from ..protocols.placement import Places, common_rule, find
from ..protocols.protocol import Protocol, Scores, mean_psnr
from ..protocols.scale import overshoot
from .pictures.image_files import READABLE, read_restored

WORKERS = 2
MOST_AHEAD = 4


@dataclass(frozen=True)
class Note:
    """What was done to a pair before it was scored: `what` is the same for many images, `detail` is this one's."""

    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}, {self.detail}"


@dataclass(frozen=True)
class ScoredPair:
    """One restored image and the clean one it was compared with.

    Attributes:
        restored, clean: file names; "" for the one that is missing.
        scores: by protocol; empty if it could not be scored.
        problem: why it could not; "" otherwise.
        notes: what was done to the pair first.
    """

    restored: str
    clean: str
    scores: Mapping[str, Scores]
    problem: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def note(self) -> str:
        """All notes in one line."""
        return "; ".join(map(str, self.notes))


@dataclass(frozen=True)
class ScoreMeans:
    """Means of a folder under one protocol.

    Attributes:
        protocol: name and version.
        images: images with scores.
        psnr: mean of the finite values in dB; infinite if every image is exact; None if an image has no scores.
        infinite: images restored exactly, left out of the mean.
        ssim: None also where the protocol has none.
        lpips: None also where it is not available.
        lpips_backbone: backbone that `lpips` is, or would be, computed by.
    """

    protocol: str
    images: int
    psnr: float | None
    infinite: int
    ssim: float | None
    lpips: float | None
    lpips_backbone: str


def paired(restored: Path, clean: Path) -> list[ScoredPair]:
    """Every restored image with its clean one, in the order of names, those without a partner as problems.

    Pairs are found as in the data sets, see `datasets.files.pairing.partnership`. Names are paths below the folders.

    Raises:
        UserError, DataError: if a folder is not there or holds no images, both are one, or rules that do not agree pair
            them.
    """
    outputs, references, pairing = _partnership(restored, clean)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in outputs:
        by_stem[stem(name)].append(name)
    pairs = []
    for name in outputs:
        same = by_stem[stem(name)]
        partner, problem = pairing.clean.get(name, ""), pairing.problems.get(name, "")
        if len(same) > 1 and not set(same) <= set(references):
            problem = f"{' and '.join(same)} are restored images of one name; keep one of them"
        pairs.append(ScoredPair(name, partner, {}, problem))
    used = {pair.clean for pair in pairs}
    lacking = [ScoredPair("", name, {}, f"no restored image for it in {restored}") for name in references]
    return pairs + [pair for pair in lacking if pair.clean not in used]


def pairing_notes(restored: Path, clean: Path) -> tuple[str, ...]:
    """The rule by which two folders are paired, in a line; nothing where names are equal.

    Raises:
        UserError, DataError: see `paired`.
    """
    return _partnership(restored, clean)[2].notes


def _partnership(restored: Path, clean: Path) -> tuple[list[str], list[str], Partnership]:
    outputs, references = image_names(restored, READABLE), image_names(clean, tuple(FORMATS))
    check_sides(restored, clean)
    released = list_root(clean) if all("/" in name for name in references) else None
    if released is None:
        return outputs, references, partnership(outputs, references, str(clean))
    # The root of a set with both sides, SEQUENCE/{blur,sharp}: only its clean images are references.
    paths = {each.clean_name: each.clean for each in released.images if each.clean is not None}
    pairing = partnership(outputs, sorted(paths), str(clean))
    below = {name: path.relative_to(clean).as_posix() for name, path in paths.items()}
    chosen = {name: below[partner] for name, partner in pairing.clean.items()}
    return outputs, sorted(below.values()), replace(pairing, clean=chosen)


def image_names(folder: Path, suffixes: Iterable[str]) -> list[str]:
    """Image files of a folder, sorted: its own, or those of the folders below where it has none of its own.

    Raises:
        UserError: if there are none.
    """
    try:
        files = sorted(path.name for path in folder.iterdir() if not is_hidden(path.name) and not path.is_dir())
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}; give a folder of images") from error
    wanted = frozenset(suffixes)
    names = [name for name in files if has_suffix(name, wanted)]
    names = names or [name for name in files_below(folder) if has_suffix(name, wanted)]
    if not names:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(wanted))})")
    return names


def scored(
    restored: Path,
    clean: Path,
    protocols: Sequence[Protocol],
    lpips: Mapping[str, Lpips | None],
    place: str = AUTO,
) -> Iterator[ScoredPair]:
    """Scores of every pair of two folders, in order; an image that cannot be scored comes with its problem.

    Args:
        restored, clean: the folders.
        protocols: those to score under.
        lpips: by backbone; None where it is not available.
        place: a name of `PLACES`. ``auto`` finds each image of another size by correlation; where that cannot tell and
            one rule lays all others of the folder where they were found, it holds for this one too.

    Raises:
        UserError: see `paired`; also for an unknown place.
    """
    check_place(place)
    pairs = paired(restored, clean)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="score") as pool:
        found: list[Places | None] = [None] * len(pairs)
        if place == AUTO:
            found = list(pool.map(lambda pair: None if pair.problem else _place(restored, clean, pair), pairs))
        rule = common_rule([each for each in found if each is not None]) if place == AUTO else place

        def score(pair: ScoredPair, places: Places | None) -> ScoredPair:
            if pair.problem:
                return pair
            return score_pair(pair, restored, clean, protocols, lpips, places, rule)

        for start in range(0, len(pairs), MOST_AHEAD):
            ahead = slice(start, start + MOST_AHEAD)
            yield from pool.map(score, pairs[ahead], found[ahead])


def _place(restored: Path, clean: Path, pair: ScoredPair) -> Places | None:
    """Where a restored image lies; None if it has the size of the clean one, or cannot be compared with it."""
    try:
        output, reference = read_restored(restored / pair.restored), read_image(clean / pair.clean)
        return None if output.shape == reference.shape else find(output, reference)
    except (DataError, UserError, MemoryError):  # said when the pair is scored
        return None


def score_pair(
    pair: ScoredPair,
    restored: Path,
    clean: Path,
    protocols: Sequence[Protocol],
    lpips: Mapping[str, Lpips | None],
    places: Places | None = None,
    rule: str | None = None,
) -> ScoredPair:
    """Read and score one pair under every protocol; `places` and `rule` as for `offset_of`."""
    try:
        output, reference = read_restored(restored / pair.restored), read_image(clean / pair.clean)
        offset = offset_of(output.shape[:2], reference.shape[:2], places, rule)
        scores, notes = score_arrays(output, reference, protocols, lpips, offset)
    except (DataError, UserError, RestorationError, MemoryError) as error:
        return ScoredPair(pair.restored, pair.clean, {}, str(error))
    return ScoredPair(pair.restored, pair.clean, scores, notes=notes)


def offset_of(restored: Size, clean: Size, places: Places | None, rule: str | None) -> Offset:
    """Where the smaller of two images begins in the larger one.

    Args:
        restored, clean: their sizes.
        places: where it was found; None where that was not looked for.
        rule: one of `RULES` that holds where `places` does not tell; None: there is none.

    Raises:
        UserError: it is not known, or neither image fits into the other.
    """
    if restored == clean:
        return 0, 0
    inner, outer = nested(restored, clean)
    by_rule = None if rule is None else rule_offset(rule, outer, inner)
    if places is None:
        if by_rule is None:
            raise UserError(f"{sizes(restored, clean)}, and where it lies is not known")
        return by_rule
    if not places.problem:
        return places.offsets[0]
    if by_rule in places.offsets and by_rule is not None:
        return by_rule
    ways = f"; if you know it, say it (--place, place=): {', '.join(RULES)}" if places.offsets else ""
    raise UserError(f"{sizes(restored, clean)}: {places.problem}{ways}")


def score_arrays(
    restored: NDArray[np.float32],
    clean: NDArray[np.uint8],
    protocols: Sequence[Protocol],
    lpips: Mapping[str, Lpips | None],
    offset: Offset,
) -> tuple[dict[str, Scores], tuple[Note, ...]]:
    """Scores of one restored image (H, W, 3) in [0, 1] by protocol, and what was done first.

    Of images of two sizes, the part that both show is scored: of it, a protocol's crop of the clean image where it is
    all there, and else its crop of that part.

    Args:
        restored, clean: of one size, or one a part of the other.
        protocols, lpips: as for `scored`.
        offset: where the smaller one begins in the larger one.

    Raises:
        UserError, RestorationError: the sizes do not fit, or the image cannot be scored.
    """
    size, whole = restored.shape[:2], clean.shape[:2]
    inner, _ = nested(size, whole)
    window = tuple(slice(start, start + length) for start, length in zip(offset, inner, strict=True))
    start = (0, 0)
    if inner != whole:
        clean, start = clean[window], offset
    elif inner != size:
        restored = restored[window]
    notes = [] if size == whole else [_placed(size, whole, offset)]
    beyond = overshoot(restored, clean)
    if beyond:
        notes.append(Note("values outside [0, 1] were clipped, as every protocol does", beyond))
    x = torch.from_numpy(np.ascontiguousarray(restored.transpose(2, 0, 1)))
    y = torch.from_numpy(clean.transpose(2, 0, 1).copy())
    scores = {}
    for protocol in protocols:
        part = _kept_inside(protocol, whole, start, inner)
        scores[str(protocol)] = protocol.score_saved(x[part], y[part], lpips.get(protocol.lpips_backbone))
    return scores, tuple(notes)


def _kept_inside(protocol: Protocol, whole: Size, start: Offset, inner: Size) -> tuple[slice, ...]:
    """What a protocol's crop of the whole image leaves, inside a part of it; all of that part if it lacks some."""
    try:
        kept = protocol.kept(whole)
    except UserError:  # said when the part is scored
        return (slice(None),)
    inside = tuple(slice(each.start - first, each.stop - first) for each, first in zip(kept, start, strict=True))
    lacking = any(each.start < 0 or each.stop > length for each, length in zip(inside, inner, strict=True))
    return (slice(None),) if lacking else (slice(None), *inside)


def _placed(size: Size, whole: Size, offset: Offset) -> Note:
    """What is said of a restored image of another size."""
    detail = f"{whole[1]}x{whole[0]} to {size[1]}x{size[0]} (w x h)"
    inner, outer = nested(size, whole)
    names = [name for name in RULES if rule_offset(name, outer, inner) == offset]
    at = f"at the {names[0]}" if names else "at an offset of its own"
    if not names:
        detail += f", from row {offset[0]} and column {offset[1]}"
    if inner == whole:
        return Note(f"padded, the clean image lies {at} of it", detail)
    for protocol in map(get_protocol, list_protocols()):
        if min(whole) >= (protocol.crop_multiple or 1):
            rows, columns = protocol.kept(whole)
            if offset == (rows.start, columns.start) and size == (rows.stop - rows.start, columns.stop - columns.start):
                return Note(f"saved as {protocol} crops", detail)
    return Note(f"cropped, it lies {at} of the clean one", detail)


def means(pairs: Sequence[ScoredPair], protocol: Protocol) -> ScoreMeans:
    """Means over a folder; none while an image of it has no scores."""
    scores = [pair.scores[str(protocol)] for pair in pairs if not pair.problem]
    whole = bool(scores) and len(scores) == len(pairs)
    mean, infinite = mean_psnr(each.psnr for each in scores) if scores else (math.nan, 0)
    return ScoreMeans(
        protocol=str(protocol),
        images=len(scores),
        psnr=mean if whole else None,
        infinite=infinite,
        ssim=_mean(scores, lambda each: each.ssim) if whole else None,
        lpips=_mean(scores, lambda each: each.lpips) if whole else None,
        lpips_backbone=protocol.lpips_backbone,
    )


def _mean(scores: Sequence[Scores], value: Callable[[Scores], float]) -> float | None:
    """Mean; None if a value is missing."""
    values = [value(each) for each in scores]
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else None
