"""The parts of a record: what is known of weights, images, cost and machine, each a type of its own.

Every part reads what it writes, byte for byte; a field that it does not know, or lacks, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from ...messages import nearest
from .rows import RecordError

Part = TypeVar("Part")


LEFT_OUT = "left_out"
"""Key of a field's metadata: it is not in the file where it has this value, which is its default."""


@dataclass(frozen=True, kw_only=True)
class WeightsRecord:
    """The weights of a cell.

    Attributes:
        kind: ``file``, ``bundled``, ``none`` (random) or ``not needed``.
        path: the file on the machine that ran; None where there is none.
        sha256: of the file, in hexadecimal.
        provenance: where they come from (`restorebench.models.card.Provenance`).
        description: one line for people.
        training: what the file says of how it was trained, as the trainer wrote it; None where it says nothing.
        label: what tables call a file of unknown origin; left out of the file where it is empty.
        reconstructed: whether the network was rebuilt from its paper, a fact of its card; left out where not.
    """

    kind: str
    path: str | None
    sha256: str | None
    provenance: str
    description: str
    training: dict[str, Any] | None
    label: str = field(default="", metadata={LEFT_OUT: ""})
    reconstructed: bool = field(default=False, metadata={LEFT_OUT: False})


@dataclass(frozen=True, kw_only=True)
class LpipsRecord:
    """The LPIPS column: its backbone, and the sha256 of its weights (None where it was not available)."""

    backbone: str
    weights: str | None


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """The images of a cell: what they are, and their licence."""

    description: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class NumericsRecord:
    """How the network ran, as far as it can change a digit (see `inference.numerics.Numerics`).

    Attributes:
        device: its kind: ``cpu``, ``cuda`` or ``mps``.
        dtype, tf32, channels_last, compile: as asked for.
        tile: side in pixels of forced tiles; None for whole images.
        batch: images at once, or ``auto``; left out of the file where it is 1.
    """

    device: str
    dtype: str
    tf32: bool
    channels_last: bool
    compile: bool
    tile: int | None
    batch: int | str = field(default=1, metadata={LEFT_OUT: 1})


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a cell's id hashes: everything that can change the scores.

    Attributes:
        model, variant, overrides, revision: the network; `revision` is its card's.
        weights: sha256 of the weights; None where there is no file.
        seed: of random weights; None for others.
        task: key of the task.
        data: hash of the images.
        protocol: the protocol's full description, one statement a key.
        numerics: how the network ran.
    """

    model: str
    variant: str
    overrides: dict[str, Any]
    revision: int
    weights: str | None
    seed: int | None
    task: str
    data: str
    protocol: dict[str, Any]
    numerics: NumericsRecord


@dataclass(frozen=True, kw_only=True)
class ComplexityRecord:
    """Parameters and multiply-adds of one image (see `profiling.macs.Complexity`).

    Attributes:
        parameters: trainable numbers.
        macs: multiply-adds; None where they could not be counted.
        statement: what was counted, at which size, or why it could not be.
        macs_by_kind, size, counter, uncounted, executed: as in `Complexity`; None, and left out of the file, where
            nothing was counted.
    """

    parameters: int
    macs: int | None
    statement: str
    macs_by_kind: dict[str, int] | None = field(default=None, metadata={LEFT_OUT: None})
    size: tuple[int, ...] | None = field(default=None, metadata={LEFT_OUT: None})
    counter: str | None = field(default=None, metadata={LEFT_OUT: None})
    uncounted: tuple[str, ...] | None = field(default=None, metadata={LEFT_OUT: None})
    executed: bool | None = field(default=None, metadata={LEFT_OUT: None})


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecord:
    """The machine and the software that computed a cell.

    Attributes:
        versions: installed versions by distribution; None for one that is not installed.
        python, platform, host: of the process.
        git_revision: of the source; None outside a checkout.
        device, device_name: torch's name of the device, and the product's.
        cpu_count, torch_threads: processors, and threads that torch used.
        cuda: version that torch was built for; None without.
    """

    versions: dict[str, str | None]
    python: str
    platform: str
    git_revision: str | None
    host: str
    device: str
    device_name: str
    cpu_count: int | None
    torch_threads: int
    cuda: str | None


@dataclass(frozen=True, kw_only=True)
class CostRecord:
    """What the network took on the machine of the run.

    Attributes:
        latency_ms: median of its passes over one image.
        passes: number of those.
        size: (height, width) of those images.
        batch: images at once.
        threads: threads that torch used.
        peak_mib: most memory of one pass over such an image, weights included; None where it was not measured.
        peak_how: what measured that.
    """

    latency_ms: float
    passes: int
    size: tuple[int, ...]
    batch: int
    threads: int
    peak_mib: float | None
    peak_how: str


def check_names(part: Any, values: object, where: str) -> Mapping[str, Any]:
    """`values` if it has exactly the fields of a dataclass, those aside that may be left out.

    Raises:
        RecordError: naming the field, below `where`.
    """
    if not isinstance(values, dict):
        raise RecordError(f"not a record: {where.rstrip('.') or 'it'} is no object")
    known = {each.name: each for each in fields(part)}
    for name in values:
        if name not in known:
            raise RecordError(f"not a record: unknown field {where}{name}{nearest(name, known)}")
    for name, each in known.items():
        if name not in values and LEFT_OUT not in each.metadata:
            raise RecordError(f"not a record: no field {where}{name}")
    return values


def part_of(part: type[Part], values: object, where: str) -> Part:
    """A part from the data that `plain` made of it.

    Raises:
        RecordError: a field is missing or unknown; the message names it below `where`.
    """
    checked = dict(check_names(part, values, f"{where}."))
    for each in fields(part):  # type: ignore[arg-type]
        if str(each.type).startswith("tuple") and isinstance(checked.get(each.name), list):
            checked[each.name] = tuple(checked[each.name])
    return part(**checked)


def plain(part: Any) -> dict[str, Any]:
    """A dataclass as data for JSON, sorted by name, without the fields that are left out for their value."""
    result: dict[str, Any] = {}
    for each in sorted(fields(part), key=lambda each: each.name):
        value = getattr(part, each.name)
        if LEFT_OUT in each.metadata and value == each.metadata[LEFT_OUT]:
            continue
        result[each.name] = plain(value) if hasattr(value, "__dataclass_fields__") else value
    return result
