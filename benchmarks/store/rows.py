"""The rows of a cell, ``images.csv``: one for each image, and means over them."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, cast, get_args

from .names import escaped, unescaped

SCORES = ("psnr", "ssim", "input_psnr", "input_ssim")

Status = Literal["ok", "failed"]


class RecordError(ValueError):
    """A stored file is not what this version of the suite writes."""


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image of a cell, as a line of ``images.csv``.

    Attributes:
        image: name of the sample, every character of it.
        status: ``ok`` or ``failed``.
        psnr, ssim: of the restored image (dB; -1..1); NaN where it failed.
        lpips: of the restored image; NaN where it is not computed.
        input_psnr, input_ssim: of the degraded input under the same protocol; both NaN where nobody knows it (images of
            another tool).
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

    def line(self, cell: str) -> str:
        """The row as one line of the table of a cell; floats keep every digit, the image's name every character.

        Args:
            cell: id of the cell, over which and the values the last column is a checksum.
        """
        body = self._values()
        return f"{body},{row_check(body, cell)}\n"

    def _values(self) -> str:
        values = [_written(name, value) for name, value in asdict(self).items()]
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow(values)
        return buffer.getvalue()

    @property
    def problem(self) -> str:
        """What contradicts itself in the row; empty where nothing does."""
        if self.status == "failed":
            return ""
        # A protocol without SSIM (kbnet-gauss@1) gives none of the two.
        without_ssim = math.isnan(self.ssim) and math.isnan(self.input_ssim)
        without_input = math.isnan(self.input_psnr) and math.isnan(self.input_ssim)
        left_out = [n for n in SCORES if (without_ssim and "ssim" in n) or (without_input and "input" in n)]
        for name in (name for name in SCORES if name not in left_out):
            value = getattr(self, name)
            if math.isnan(value) or value == -math.inf or (value == math.inf and "psnr" not in name):
                return f"status ok, and {name} is {value}"
        return "status ok, and lpips is infinite" if math.isinf(self.lpips) else ""


def _written(name: str, value: object) -> str:
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    return escaped(text if name == "image" else " ".join(text.split()))


def row_check(values: str, cell: str) -> str:
    """The checksum at the end of a row: the beginning of the SHA-256 of the cell's id and the row's other values."""
    return hashlib.sha256(f"{cell}\n{values}".encode()).hexdigest()[:16]


COLUMNS = tuple(field.name for field in fields(ImageRow))
UNCHECKED_HEADER = ",".join(COLUMNS)
"""First line of a table before version 4 of the records, whose rows have no checksum."""
IMAGE_HEADER = f"{UNCHECKED_HEADER},check\n"


def table(rows: Iterable[ImageRow], cell: str) -> str:
    """The content of ``images.csv``."""
    return IMAGE_HEADER + "".join(row.line(cell) for row in rows)


@dataclass(frozen=True)
class Table:
    """What a table of images holds.

    Attributes:
        rows: of the lines that add up, one for each image.
        problems: what does not, a text each, by line.
        checked: whether its rows have checksums.
        cut: whether it ends inside a line, as where a process was killed; that line is in neither of the others.
    """

    rows: tuple[ImageRow, ...]
    problems: tuple[str, ...]
    checked: bool
    cut: bool


def read_table(data: bytes, cell: str) -> Table:
    """Read a table line by line, each for itself: what is wrong with one costs that one.

    An image with two lines has none that holds, unless they are the same.
    """
    *lines, rest = data.split(b"\n")
    if not lines:
        return Table((), (), checked=True, cut=bool(rest))
    header = lines[0].decode("utf-8", "replace")
    if header not in (IMAGE_HEADER.strip(), UNCHECKED_HEADER):
        return Table((), (f"unknown columns: {header[:200]!r}",), checked=True, cut=bool(rest))
    checked = header != UNCHECKED_HEADER
    rows: dict[str, ImageRow] = {}
    problems: list[str] = []
    twice: set[str] = set()
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = _read_row(line.decode("utf-8"), cell if checked else None)
        except (ValueError, csv.Error) as error:
            problems.append(f"line {number}: damaged row: {str(error)[:200]}")
            continue
        if row.image in rows:
            problems.append(f"line {number}: {row.image[:80]!r} stands there twice")
            if row.line(cell) != rows[row.image].line(cell):
                twice.add(row.image)
        rows.setdefault(row.image, row)
    kept = tuple(row for name, row in rows.items() if name not in twice)
    return Table(kept, tuple(problems), checked=checked, cut=bool(rest))


def parse_rows(data: bytes, cell: str) -> list[ImageRow]:
    """Rows of the whole lines of an ``images.csv``; a last line cut off by a killed process is left out.

    Raises:
        RecordError: if the header or a whole line is not what `ImageRow` writes for this cell.
    """
    read = read_table(data, cell)
    if read.problems:
        raise RecordError(read.problems[0])
    return list(read.rows)


def _read_row(line: str, cell: str | None) -> ImageRow:
    """A row; with `cell` the line ends with its checksum, and texts in it are escaped.

    Raises:
        ValueError, csv.Error: it is none.
    """
    body = line
    if cell is not None:
        body, _, check = line.rpartition(",")
        if check != row_check(body, cell):
            raise ValueError("its checksum is that of other values, or of another cell")
    (fields_read,) = csv.reader([body], strict=True)
    values = dict(zip(COLUMNS, fields_read, strict=True))
    if cell is not None:
        values = {name: unescaped(value) for name, value in values.items()}
    status = values["status"]
    if status not in get_args(Status):
        raise ValueError(f"unknown status {status[:40]!r}")
    row = ImageRow(
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
    if row.problem:
        raise ValueError(row.problem)
    return row


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
