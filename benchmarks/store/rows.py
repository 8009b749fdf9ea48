"""The rows of a cell, ``images.csv``: one for each image, and means over them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, cast, get_args

SCORES = ("psnr", "ssim", "input_psnr", "input_ssim")

Status = Literal["ok", "failed"]


class RecordError(ValueError):
    """A stored file is not what this version of the suite writes."""


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image of a cell, as a line of ``images.csv``.

    Attributes:
        image: file name of the sample.
        status: ``ok`` or ``failed``.
        psnr, ssim: of the restored image (dB; -1..1); NaN where it failed.
        lpips: of the restored image; NaN where it is not computed.
        input_psnr, input_ssim: of the degraded input under the same protocol.
        how: ``whole``, ``tiles of N`` or ``cpu``: how the image went through the network.
        lpips_by: backbone of `lpips` and the beginning of its weights' hash; empty where it is not computed.
        message: why it failed.
    """

    image: str
    status: Status
    psnr: float = math.nan
    ssim: float = math.nan
    lpips: float = math.nan
    input_psnr: float = math.nan
    input_ssim: float = math.nan
    how: str = "whole"
    lpips_by: str = ""
    message: str = ""

    def line(self) -> str:
        """The row as one CSV line with its newline; floats keep every digit."""
        values = [
            repr(value) if isinstance(value, float) else " ".join(value.split()) for value in asdict(self).values()
        ]
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(values)
        return buffer.getvalue()


IMAGE_HEADER = ",".join(field.name for field in fields(ImageRow)) + "\n"


def parse_rows(text: str) -> list[ImageRow]:
    """Rows of the whole lines of an ``images.csv``; a last line cut off by a killed process is left out.

    Raises:
        RecordError: if the header or a whole line is not what `ImageRow` writes.
    """
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return []
    if not whole.startswith(IMAGE_HEADER):
        raise RecordError(f"unknown columns: {whole.splitlines()[0]!r}")
    rows = []
    for values in csv.DictReader(io.StringIO(whole)):
        try:
            rows.append(_parse_row(values))
        except (TypeError, ValueError) as error:
            raise RecordError(f"damaged row {values!r}") from error
    return rows


def _parse_row(values: dict[str, str]) -> ImageRow:
    status = values["status"]
    if status not in get_args(Status) or None in values.values() or None in values:
        raise ValueError(status)
    return ImageRow(
        image=values["image"],
        status=cast("Status", status),
        psnr=float(values["psnr"]),
        ssim=float(values["ssim"]),
        lpips=float(values["lpips"]),
        input_psnr=float(values["input_psnr"]),
        input_ssim=float(values["input_ssim"]),
        how=values["how"],
        lpips_by=values["lpips_by"],
        message=values["message"],
    )


@dataclass(frozen=True, kw_only=True)
class Means:
    """Means over the scored images of a cell.

    Attributes:
        psnr, ssim, input_psnr, input_ssim: arithmetic means of the finite per-image values; None where there is none.
        lpips: mean; None unless every scored image has one, all by the same backbone with the same weights.
        infinite: how many restored images equal the clean one exactly (infinite PSNR, left out of the mean).
        input_infinite: the same for the degraded inputs.
    """

    psnr: float | None
    ssim: float | None
    input_psnr: float | None
    input_ssim: float | None
    lpips: float | None = None
    infinite: int = 0
    input_infinite: int = 0


def mean_rows(rows: Iterable[ImageRow]) -> Means:
    """Means over rows with status ``ok``, exactly rounded so that their order does not matter."""
    scored = [row for row in rows if row.status == "ok"]
    means: dict[str, float | None] = {}
    for name in SCORES:
        finite = [value for row in scored if math.isfinite(value := getattr(row, name))]
        means[name] = math.fsum(finite) / len(finite) if finite else None
    lpips_scores = [row.lpips for row in scored]
    whole = len({row.lpips_by for row in scored}) == 1 and all(map(math.isfinite, lpips_scores))
    return Means(
        **means,
        lpips=math.fsum(lpips_scores) / len(lpips_scores) if whole else None,
        infinite=sum(math.isinf(row.psnr) for row in scored),
        input_infinite=sum(math.isinf(row.input_psnr) for row in scored),
    )


def in_order(rows: Iterable[ImageRow], names: Sequence[str]) -> list[ImageRow]:
    """Rows in the order of `names`, the last one of each name, others left out."""
    latest = {row.image: row for row in rows}
    return [latest[name] for name in names if name in latest]
