"""``results/profile.csv``: one row per workload and machine."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from filelock import FileLock

from ...atomic import written_whole
from ..errors import UserError
from .files import LARGEST_TABLE, read_regular
from .rows import RecordError

FILE_NAME = "profile.csv"
_SIZE = re.compile("[0-9]{1,9}x[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class ProfileRow:
    """Everything that stands beside a measured cost; all values are text as the file has it, empty where unknown.

    Attributes:
        model, variant, overrides, weights: the restorer; `weights` is the beginning of the file's sha256, or ``none``.
        size, batch: of the images, ``HEIGHTxWIDTH``.
        dtype, tf32, channels_last, compile: numerics.
        device, device_name, threads, torch: where it was measured.
        parameters: trainable numbers.
        macs: multiply-adds of one image of that size, without Fourier transforms; macs_fft: those of these.
        macs_counter: what counted.
        latency_ms, latency_q1_ms, latency_q3_ms: median and quartiles of one pass over the batch.
        repeats, rounds, warmup, clock: how they were timed; between the rounds others of the command were.
        waiting: what the environment said of how threads wait for each other.
        others_processors, load_average: what other processes took meanwhile, and the load of one minute at its highest.
        doubtful: why the latency is not to be trusted, in words; empty where nothing speaks against it.
        images_per_second: batch / median.
        peak_memory_mib: in 2**20 bytes; memory_meaning: what that number is.
        published_parameters_m, published_macs_g, published_size, published_source, published_note: the paper's figures,
            and what they leave out; macs_at_published_size: counted here at that size.
        note: why a number is missing.
        measured: when, UTC.
        graph_latency_ms: median of a pass replayed as a CUDA graph; this and what follows only on a GPU.
        largest_batch, largest_batch_images_per_second: the largest batch that fits, and its throughput.
        energy_j: joules of an image.
        tflops, flops_per_byte: the roofline point: operations (two for a multiply-add) a second, and for each byte that
            operators read and write.
    """

    model: str
    variant: str
    overrides: str
    weights: str
    size: str
    batch: str
    dtype: str
    tf32: str
    channels_last: str
    compile: str
    device: str
    device_name: str
    threads: str
    torch: str
    parameters: str
    macs: str
    macs_fft: str
    macs_counter: str
    latency_ms: str
    latency_q1_ms: str
    latency_q3_ms: str
    repeats: str
    rounds: str
    warmup: str
    clock: str
    waiting: str
    others_processors: str
    load_average: str
    doubtful: str
    images_per_second: str
    peak_memory_mib: str
    memory_meaning: str
    published_parameters_m: str
    published_macs_g: str
    published_size: str
    macs_at_published_size: str
    published_source: str
    published_note: str
    note: str
    measured: str
    graph_latency_ms: str = ""
    largest_batch: str = ""
    largest_batch_images_per_second: str = ""
    energy_j: str = ""
    tflops: str = ""
    flops_per_byte: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What says which measurement this is: a later one with the same key replaces it."""
        return tuple(getattr(self, name) for name in KEY)


COLUMNS = tuple(field.name for field in fields(ProfileRow))
WITHOUT_GPU = COLUMNS[: COLUMNS.index("graph_latency_ms")]
"""The columns of files from before those of a GPU."""
KEY = COLUMNS[: COLUMNS.index("parameters")]


def read_rows(path: Path) -> list[ProfileRow]:
    """Rows of a file; none where there is no file.

    Raises:
        UserError: it is no ordinary file, has other columns, or a line that is no row.
    """
    try:
        text = read_regular(path, LARGEST_TABLE).decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except FileNotFoundError:
        return []
    except (RecordError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: {error}; move it away") from error
    columns = tuple(lines[0]) if lines else ()
    if columns not in (COLUMNS, WITHOUT_GPU):
        raise UserError(f"{path} was written by another version (other columns); move it away")
    rows = []
    for number, values in enumerate(lines[1:], start=2):
        if len(values) != len(columns):
            raise UserError(f"{path}: row {number} has {len(values)} of {len(columns)} values; move it away")
        row = ProfileRow(**dict(zip(columns, values, strict=True)))
        if not (_SIZE.fullmatch(row.size) and row.batch.isdecimal()):
            raise UserError(f"{path}: row {number} is of no size or batch: {row.size[:20]!r}, {row.batch[:20]!r}")
        rows.append(row)
    return rows


def add_row(path: Path, row: ProfileRow) -> None:
    """Add a row to a file in place of the one with the same key; several processes may do so at once."""
    lock = path.with_name(f".{path.name}.lock")
    if lock.is_symlink():  # opening it would empty the file that it leads to
        raise UserError(f"{lock} is a link: remove it")
    with FileLock(lock):
        rows = sorted([row, *(other for other in read_rows(path) if other.key != row.key)], key=_order)
        with written_whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            # Writers of CSV do not quote a carriage return, which readers take for the end of a row.
            writer.writerows({name: text.replace("\r", " ") for name, text in asdict(each).items()} for each in rows)


def _order(row: ProfileRow) -> tuple[object, ...]:
    height, _, width = row.size.partition("x")
    return (row.model, row.variant, int(height) * int(width), int(row.batch), row.key)
