"""``restorebench.score``: what ``bench score`` does, for two images or two folders that a script has."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import RestorationError, UserError
from ..photographs.given import AnyImage, given_image, unit_values
from ..protocols.catalogue import get_protocol
from ..protocols.lpips import Lpips, choose_lpips
from ..protocols.offsets import AUTO, check_place
from ..protocols.placement import find
from ..protocols.protocol import Protocol, Scores
from .pictures.image_files import read_restored
from .scoring import ScoredPair, means, offset_of, score_arrays, scored

LEVEL_TOLERANCE = 0.02
"""How far a floating point clean image may be from 8-bit grey levels."""


@dataclass(frozen=True)
class ImageScores:
    """Scores of one image, or means of a folder.

    Attributes:
        protocol: name and version.
        psnr: in dB; infinite where every image is exact.
        ssim: NaN where the protocol has none.
        lpips: NaN where it was not asked for.
        input_psnr, input_ssim: of the degraded image, NaN where none was given.
        note: what was done to a single pair first: where an image of another size was found, values that were clipped.
    """

    protocol: str
    psnr: float
    ssim: float
    lpips: float = math.nan
    input_psnr: float = math.nan
    input_ssim: float = math.nan
    note: str = ""


@dataclass(frozen=True, eq=False)
class FolderScores:
    """Scores of a folder.

    Attributes:
        mean: means over the images; all NaN while an image of the folder has no scores.
        images: a row an image: ``restored`` and ``clean`` (file names), ``status`` (``ok`` or ``failed``), ``psnr``,
            ``ssim``, ``lpips``, ``input_psnr``, ``input_ssim``, and a ``message``: why it failed, or how the pair was
            brought to one size.
    """

    mean: ImageScores
    images: pd.DataFrame

    @property
    def psnr(self) -> float:
        """Mean PSNR in dB."""
        return self.mean.psnr

    @property
    def ssim(self) -> float:
        """Mean SSIM."""
        return self.mean.ssim

    @property
    def lpips(self) -> float:
        """Mean LPIPS."""
        return self.mean.lpips

    @property
    def complete(self) -> bool:
        """Whether every image has its scores."""
        return bool((self.images["status"] == "ok").all())

    def __repr__(self) -> str:
        table = self.images[["restored", "clean", "status", "psnr", "ssim", "lpips", "input_psnr", "message"]]
        return f"{self.mean}\n{table.to_string(index=False)}"

    def _repr_html_(self) -> str:
        return str(self.images.to_html(index=False))


def score(
    restored: AnyImage,
    clean: AnyImage,
    *,
    protocol: str = "promptir@1",
    degraded: AnyImage | None = None,
    lpips: bool | str | os.PathLike[str] = False,
    place: str = AUTO,
) -> ImageScores | FolderScores:
    """Score restored images against clean ones under a protocol, as ``bench score`` does.

    Args:
        restored: an image: path, PIL image, (H, W, 3) array or (3, H, W) tensor, uint8 or floating point in [0, 1]
            (arrays also uint16); or a folder of images.
        clean: the same; of 8-bit levels. Folders pair by name.
        protocol: a name of `list_protocols`.
        degraded: what was restored, scored as it is for the floor of the table.
        lpips: True: with LPIPS, weights from torch's cache; or the file with the backbone's weights.
        place: where a restored image of another size than the clean one lies: ``auto`` finds it, or refuses where that
            is ambiguous; ``centre``, ``top-left``, ``top-right``, ``bottom-left`` or ``bottom-right`` says it.

    Returns:
        `ImageScores` for images, `FolderScores` for folders; there, an image that cannot be scored is a row that says
        so.

    Raises:
        UserError, DataError: an unknown protocol, images that cannot be read or compared.
    """
    chosen = get_protocol(protocol)
    check_place(place)
    measure = _lpips(chosen, lpips)
    folders = [_folder(each) for each in (restored, clean)]
    if folders[0] is not None and folders[1] is not None:
        floor = None if degraded is None else _folder(degraded)
        if degraded is not None and floor is None:
            raise UserError("degraded= is an image; give a folder with two folders")
        return _folder_scores(folders[0], folders[1], floor, chosen, measure, place)
    if any(folder is not None for folder in folders):
        raise UserError("a folder goes with a folder, and an image with an image")
    reference = _levels(clean)
    try:
        result, note = _one(restored, reference, chosen, measure, place)
        floor_scores = None if degraded is None else _one(degraded, reference, chosen, {}, place)[0]
    except RestorationError as error:
        raise UserError(str(error)) from error
    return _image_scores(chosen, result, floor_scores, note)


def _lpips(protocol: Protocol, wanted: bool | str | os.PathLike[str]) -> dict[str, Lpips | None]:
    """LPIPS by its backbone, as `scoring` takes it."""
    weights = None if isinstance(wanted, bool) else os.fspath(wanted)
    choice = choose_lpips(["psnr", "ssim", "lpips"] if wanted else ["psnr", "ssim"], weights, protocol.lpips_backbone)
    return {} if choice is None else {protocol.lpips_backbone: Lpips(choice)}


def _folder(image: AnyImage) -> Path | None:
    if isinstance(image, str | os.PathLike):
        path = Path(image).expanduser()
        if not path.exists():
            raise UserError(f"there is no {path}")
        return path if path.is_dir() else None
    return None


def _one(
    image: AnyImage, clean: NDArray[np.uint8], protocol: Protocol, lpips: Mapping[str, Lpips | None], place: str
) -> tuple[Scores, str]:
    restored = _unit(image)
    looked_for = place == AUTO and restored.shape != clean.shape
    places = find(restored, clean) if looked_for else None
    offset = offset_of(restored.shape[:2], clean.shape[:2], places, None if place == AUTO else place)
    scores, notes = score_arrays(restored, clean, [protocol], lpips, offset)
    return scores[str(protocol)], "; ".join(map(str, notes))


def _unit(image: AnyImage) -> NDArray[np.float32]:
    """(H, W, 3) float32, nominally in [0, 1], not clipped: that is the protocol's."""
    if isinstance(image, str | os.PathLike):
        return read_restored(Path(image).expanduser())
    photographs = given_image(image).photographs
    if len(photographs) != 1:
        raise UserError(f"a batch of {len(photographs)} images; score them one by one")
    return unit_values(photographs[0])


def _levels(clean: AnyImage) -> NDArray[np.uint8]:
    """(H, W, 3) uint8.

    Raises:
        UserError: the clean image is not of 8 bits.
    """
    levels = _unit(clean).astype(np.float64) * 255
    rounded = np.rint(levels)
    if not (np.abs(levels - rounded).max() <= LEVEL_TOLERANCE and rounded.min() >= 0 and rounded.max() <= 255):
        raise UserError("the clean image is not made of 8-bit grey levels, which the protocols score against")
    return rounded.astype(np.uint8)


def _image_scores(protocol: Protocol, result: Scores, floor: Scores | None, note: str = "") -> ImageScores:
    psnr, ssim = (math.nan, math.nan) if floor is None else (floor.psnr, floor.ssim)
    return ImageScores(str(protocol), result.psnr, result.ssim, result.lpips, psnr, ssim, note)


def _folder_scores(
    restored: Path,
    clean: Path,
    degraded: Path | None,
    protocol: Protocol,
    lpips: Mapping[str, Lpips | None],
    place: str,
) -> FolderScores:
    pairs = list(scored(restored, clean, [protocol], lpips, place))
    floors: dict[str, Scores] = {}
    if degraded is not None:
        pairs, floors = _with_floors(
            pairs, list(scored(degraded, clean, [protocol], {}, place)), str(protocol), degraded
        )
    rows = []
    for pair in pairs:
        scores = pair.scores.get(str(protocol))
        floor = floors.get(pair.restored)
        each = _image_scores(protocol, scores or Scores(math.nan, math.nan), floor if scores else None)
        status = "failed" if pair.problem else "ok"
        values = {name: getattr(each, name) for name in ("psnr", "ssim", "lpips", "input_psnr", "input_ssim")}
        message = pair.problem or pair.note
        rows.append({"restored": pair.restored, "clean": pair.clean, "status": status, **values, "message": message})
    mean, floor_mean = means(pairs, protocol), None
    if degraded is not None:
        same = [ScoredPair(p.restored, p.clean, _only(floors, p, protocol), p.problem) for p in pairs]
        floor_mean = means(same, protocol)
    floor_numbers = (floor_mean.psnr, floor_mean.ssim) if floor_mean else (None, None)
    numbers = [mean.psnr, mean.ssim, mean.lpips, *floor_numbers]
    psnr, ssim, perceptual, input_psnr, input_ssim = (math.nan if value is None else value for value in numbers)
    return FolderScores(ImageScores(str(protocol), psnr, ssim, perceptual, input_psnr, input_ssim), pd.DataFrame(rows))


def _only(floors: Mapping[str, Scores], pair: ScoredPair, protocol: Protocol) -> dict[str, Scores]:
    return {str(protocol): floors[pair.restored]} if pair.restored in floors else {}


def _with_floors(
    pairs: list[ScoredPair], inputs: list[ScoredPair], protocol: str, folder: Path
) -> tuple[list[ScoredPair], dict[str, Scores]]:
    """The pairs, and the degraded images' scores by the name of the restored one; one without is a problem."""
    by_stem = {PurePath(each.restored).stem: each for each in inputs if each.restored}
    checked, floors = [], {}
    for pair in pairs:
        degraded = by_stem.get(PurePath(pair.restored).stem)
        if not pair.problem and (degraded is None or degraded.problem):
            reason = f"no degraded image for it in {folder}" if degraded is None else f"degraded: {degraded.problem}"
            checked.append(ScoredPair(pair.restored, pair.clean, {}, reason))
            continue
        checked.append(pair)
        if not pair.problem and degraded is not None:
            floors[pair.restored] = degraded.scores[protocol]
    return checked, floors
