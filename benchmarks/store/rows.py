"""The rows of a cell, ``images.csv``: one for each image, and means over them."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

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
    return hashlib.sha256(f"{cell}\n{values}".encode()).hexdigest()[:CHECK_LENGTH]


CHECK_LENGTH = 16
"""Characters of a row's checksum."""
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
    plainly = _plain_rows(data, cell)
    if plainly is not None:
        return Table(plainly, (), checked=True, cut=False)
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


def plain_columns(data: bytes, cell: str) -> dict[str, list[str]] | None:
    """The values of a table by column, where header, checksums and the number of values in each line are plainly right.

    `read_table` finds the same, line by line, in three times the time, which is most of what a large store takes.

    Returns:
        None where a value is quoted or escaped, or anything does not add up: what that means only `read_table` tells.
    """
    if not data.startswith(_HEAD) or not data.endswith(b"\n"):
        return None
    if data.translate(None, _PLAIN) and not _is_plain(data):
        return None
    if len(data) == len(_HEAD):
        return {name: [] for name in COLUMNS}
    body = data[len(_HEAD) : -1]
    lines = body.split(b"\n")
    if set(map(bytes.count, lines, itertools.repeat(b","))) != {len(COLUMNS)}:
        return None
    if len(body) > (longest := csv.field_size_limit()) and any(len(line) > longest for line in lines):
        return None
    begun, checks = hashlib.sha256(f"{cell}\n".encode()), []
    for line in lines:
        digest = begun.copy()
        digest.update(line[: -CHECK_LENGTH - 1])
        checks.append(digest.hexdigest()[:CHECK_LENGTH])
    values = body.decode("utf-8").replace("\n", ",").split(",")
    *columns, stated = (values[place :: len(COLUMNS) + 1] for place in range(len(COLUMNS) + 1))
    return dict(zip(COLUMNS, columns, strict=True)) if stated == checks else None


_HEAD = IMAGE_HEADER.encode()
_PLAIN = bytes(set(range(0x20, 0x7F)) - set(b'"\\')) + b"\n"


def _is_plain(data: bytes) -> bool:
    """Whether a table that has more than `_PLAIN` has neither quotes nor escapes, nor what would need them."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return '"' not in text and "\\" not in text and text.replace("\n", "").isprintable()


def _plain_rows(data: bytes, cell: str) -> tuple[ImageRow, ...] | None:
    """The rows of a table that is plainly right; None where that takes a look at each line."""
    columns = plain_columns(data, cell)
    if columns is None or len(set(columns["image"])) != len(columns["image"]):
        return None
    if not set(columns["status"]) <= set(get_args(Status)):
        return None
    try:
        numbers = {name: list(map(float, columns[name])) for name in (*SCORES, "lpips")}
    except ValueError:
        return None
    values: dict[str, list[Any]] = {**columns, **numbers}
    rows = tuple(ImageRow(**dict(zip(COLUMNS, each, strict=True))) for each in zip(*values.values(), strict=True))
    return None if any(row.problem for row in rows) else rows


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
    scores = {name: [getattr(row, name) for row in scored] for name in SCORES}
    return means_of(scores, [row.lpips for row in scored], {row.lpips_by for row in scored})


def means_of(scores: Mapping[str, Sequence[float]], lpips: Sequence[float], lpips_by: Collection[str]) -> Means:
    """`mean_rows` of scored rows by column.

    Args:
        scores: values of each of `SCORES`.
        lpips: values of that column.
        lpips_by: the different texts of that column.
    """
    means: dict[str, float | None] = {}
    for name in SCORES:
        finite = scores[name]
        if not all(map(math.isfinite, finite)):
            finite = [value for value in finite if math.isfinite(value)]
        means[name] = math.fsum(finite) / len(finite) if finite else None
    whole = len(lpips_by) == 1 and all(map(math.isfinite, lpips))
    return Means(
        **means,
        lpips=math.fsum(lpips) / len(lpips) if whole else None,
        infinite=sum(map(math.isinf, scores["psnr"])),
        input_infinite=sum(map(math.isinf, scores["input_psnr"])),
    )


def in_order(rows: Iterable[ImageRow], names: Sequence[str]) -> list[ImageRow]:
    """Rows in the order of `names`, the last one of each name, others left out."""
    latest = {row.image: row for row in rows}
    return [latest[name] for name in names if name in latest]
