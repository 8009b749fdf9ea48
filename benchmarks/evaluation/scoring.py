"""Scores of a folder of restored images, under as many protocols as asked for; no network of the registry is run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from ..protocols.protocol import Protocol, Scores, mean_psnr
from .pictures.image_files import READABLE, read_restored

WORKERS = 2
MOST_AHEAD = 4


@dataclass(frozen=True)
class ScoredPair:
    """One restored image and the clean one it was compared with.

    Attributes:
        restored, clean: file names; "" for the one that is missing.
        scores: by protocol; empty if it could not be scored.
        problem: why it could not; "" otherwise.
        note: what was done to the pair first; "" if nothing.
    """

    restored: str
    clean: str
    scores: Mapping[str, Scores]
    problem: str = ""
    note: str = ""


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


def image_names(folder: Path, suffixes: Sequence[str]) -> list[str]:
    """Image files of a folder, sorted: its own, or those of the folders below where it has none of its own.

    Raises:
        UserError: if there are none.
    """
    try:
        files = sorted(path.name for path in folder.iterdir() if not is_hidden(path.name) and not path.is_dir())
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}; give a folder of images") from error
    names = [name for name in files if has_suffix(name, suffixes)]
    names = names or [name for name in files_below(folder) if has_suffix(name, suffixes)]
    if not names:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(suffixes))})")
    return names


def scored(
    restored: Path, clean: Path, protocols: Sequence[Protocol], lpips: Mapping[str, Lpips | None]
) -> Iterator[ScoredPair]:
    """Scores of every pair of two folders, in order; an image that cannot be scored comes with its problem.

    Args:
        restored, clean: the folders.
        protocols: those to score under.
        lpips: by backbone; None where it is not available.

    Raises:
        UserError: see `paired`.
    """
    pairs = paired(restored, clean)

    def score(pair: ScoredPair) -> ScoredPair:
        return pair if pair.problem else score_pair(pair, restored, clean, protocols, lpips)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="score") as pool:
        for start in range(0, len(pairs), MOST_AHEAD):
            yield from pool.map(score, pairs[start : start + MOST_AHEAD])


def score_pair(
    pair: ScoredPair, restored: Path, clean: Path, protocols: Sequence[Protocol], lpips: Mapping[str, Lpips | None]
) -> ScoredPair:
    """Read and score one pair under every protocol."""
    try:
        output, reference = read_restored(restored / pair.restored), read_image(clean / pair.clean)
        scores, note = score_arrays(output, reference, protocols, lpips)
    except (DataError, UserError, RestorationError, MemoryError) as error:
        return ScoredPair(pair.restored, pair.clean, {}, str(error))
    return ScoredPair(pair.restored, pair.clean, scores, note=note)


def score_arrays(
    restored: NDArray[np.float32],
    clean: NDArray[np.uint8],
    protocols: Sequence[Protocol],
    lpips: Mapping[str, Lpips | None],
) -> tuple[dict[str, Scores], str]:
    """Scores of one restored image (H, W, 3) in [0, 1] by protocol, and what was done to the clean one first.

    Raises:
        UserError, RestorationError: the sizes do not fit, or the image cannot be scored.
    """
    reference, note = fitted(clean, restored.shape[:2])
    x = torch.from_numpy(np.ascontiguousarray(restored.transpose(2, 0, 1)))
    y = torch.from_numpy(reference.transpose(2, 0, 1).copy())
    return {str(each): each.score_saved(x, y, lpips.get(each.lpips_backbone)) for each in protocols}, note


def fitted(clean: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], str]:
    """The clean image (H, W, 3) at the size of the restored one, and what was done to it.

    A restored image that a run saved under a protocol that crops is smaller than the clean one; the clean one is then
    cropped in the same way.

    Raises:
        UserError: if the restored image has neither the clean one's size nor that of a protocol's crop.
    """
    height, width = clean.shape[:2]
    if size == (height, width):
        return clean, ""
    for protocol in map(get_protocol, list_protocols()):
        try:
            rows, columns = protocol.kept((height, width))
        except UserError:
            continue
        if size == (rows.stop - rows.start, columns.stop - columns.start):
            return clean[rows, columns], f"saved as {protocol} crops, {width}x{height} to {size[1]}x{size[0]} (w x h)"
    raise UserError(f"restored image of {size[1]}x{size[0]} pixels (width x height), clean one of {width}x{height}")


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
