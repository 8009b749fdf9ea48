"""The one latency of a network at a size on a device: the profile's where there is one, else the run's; its doubts."""

from __future__ import annotations

import json
import logging
import math
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from ...benchmarks.errors import UserError
from ...benchmarks.store.parts import CostRecord
from ...benchmarks.store.profiles import FILE_NAME, ProfileRow, read_rows
from ..escape import visible
from .cells import RestorerResult, StoredCell

logger = logging.getLogger("restorebench")

Conditions: TypeAlias = tuple[tuple[int, int], int]
"""Size (height, width) of the images and number of images in a batch."""

MOST_APART = 0.25
"""Of the run's medians over several tasks of images of one size, relative to the least: what is above is doubtful."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time that a network takes for one image.

    Attributes:
        ms: median. q1_ms, q3_ms: quartiles; None where an earlier version measured.
        source: ``profile`` (`bench profile`, in rounds) or ``run`` (a side product of the scores).
        where: device and threads.
        doubtful: why it is not to be trusted, in words; "" where nothing speaks against it.
    """

    ms: float
    q1_ms: float | None
    q3_ms: float | None
    source: Literal["profile", "run"]
    where: str
    doubtful: str = ""


def place(cost: CostRecord | None) -> Conditions | None:
    """Size and batch of a record's cost."""
    if cost is None or len(cost.size) != 2:
        return None
    height, width = cost.size
    return (height, width), cost.batch


def latency_of(restorer: RestorerResult, shared: Conditions | None) -> Latency | None:
    """The latency of a restorer under these conditions; None where nothing measured it.

    Args:
        restorer: one that was run here.
        shared: size and batch.
    """
    if shared is None or restorer.is_input:
        return None
    cells = [cell for cell in restorer.cells.values() if place(cell.record.cost) == shared]
    return _profiled(restorer, shared) or (_of_run(cells) if cells else None)


def _of_run(cells: Sequence[StoredCell]) -> Latency:
    costs = [cell.record.cost for cell in cells if cell.record.cost is not None]
    values = [cost.latency_ms for cost in costs]
    reasons = list(dict.fromkeys(cost.doubtful for cost in costs if cost.doubtful))
    doubtful = reasons[0] if 2 * sum(bool(cost.doubtful) for cost in costs) >= len(costs) and reasons else ""
    middle = statistics.median(values)
    # One task among several that met a busy machine leaves their median as it is.
    near = [value for value in values if abs(value - middle) <= MOST_APART * middle]
    if not doubtful and 2 * len(near) <= len(values):
        doubtful = f"medians of its tasks from {min(values):.3g} to {max(values):.3g} ms"
    return Latency(
        ms=middle,
        q1_ms=_middle([cost.latency_q1_ms for cost in costs]),
        q3_ms=_middle([cost.latency_q3_ms for cost in costs]),
        source="run",
        where=" / ".join(dict.fromkeys(_where(cell) for cell in cells)),
        doubtful=doubtful,
    )


def _where(cell: StoredCell) -> str:
    assert cell.record.cost is not None
    return f"{cell.record.environment.device_name}, {cell.record.cost.threads} threads"


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _profiled(restorer: RestorerResult, shared: Conditions) -> Latency | None:
    """What `bench profile` measured of this network last, under the run's conditions."""
    found = [
        (row.measured, latency)
        for root in dict.fromkeys(cell.root for cell in restorer.cells.values())
        for row in _rows(root)
        if _fits(row, restorer, shared) and (latency := _of_row(row)) is not None
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _fits(row: ProfileRow, restorer: RestorerResult, shared: Conditions) -> bool:
    record = restorer.record
    numerics, (size, batch) = record.identity.numerics, shared
    asked = {
        "model": record.model,
        "variant": record.variant,
        "overrides": json.dumps(record.overrides, sort_keys=True) if record.overrides else "",
        "size": f"{size[0]}x{size[1]}",
        "batch": str(batch),
        "dtype": numerics.dtype,
        "tf32": str(numerics.tf32),
        "channels_last": str(numerics.channels_last),
        "compile": str(numerics.compile),
        "device_name": record.environment.device_name,
    }
    if numerics.device == "cpu":
        asked["threads"] = str(record.environment.torch_threads)
    return (
        numerics.tile is None
        and row.device.partition(":")[0] == numerics.device
        and row.weights in ("any", (record.weights.sha256 or "none")[:12])
        and all(getattr(row, name) == value for name, value in asked.items())
    )


def _of_row(row: ProfileRow) -> Latency | None:
    """The numbers of a row, by image; None where they are none."""
    with suppress(ValueError, ZeroDivisionError):
        first, median, third = (
            float(text) / int(row.batch) for text in (row.latency_q1_ms, row.latency_ms, row.latency_q3_ms)
        )
        if 0 <= first <= median <= third and math.isfinite(third):
            return Latency(
                ms=median,
                q1_ms=first,
                q3_ms=third,
                source="profile",
                where=f"{row.device_name}, {row.threads} threads",
                doubtful=row.doubtful,
            )
    return None


def _rows(root: Path) -> tuple[ProfileRow, ...]:
    """The profile beside a store's cells; nothing, and a line, where it cannot be read."""
    path = root / FILE_NAME
    try:
        return _read(path, path.stat().st_mtime_ns) if path.exists() else ()
    except (OSError, UserError, ValueError, TypeError) as error:
        logger.warning("latencies of %s are left out: %s", visible(str(path)), visible(str(error)))
        return ()


@cache
def _read(path: Path, _: int) -> tuple[ProfileRow, ...]:
    return tuple(read_rows(path))
