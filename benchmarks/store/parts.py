"""The parts of a record: what is known of weights, images, cost and machine, each a type of its own.

Every part reads what it writes, byte for byte; a field that it does not know, or lacks, is an error.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ...messages import nearest
from .rows import RecordError

Part = TypeVar("Part")

ID_LENGTH = 16

DEEPEST = 40
"""Levels of nesting in a record's free parts (configuration, protocol)."""
LARGEST = 2**63
"""No count, time or score is as large."""

LEFT_OUT = "left_out"
"""Key of a field's metadata: it is not in the file where it has this value, which is its default."""


@dataclass(frozen=True, kw_only=True)
class WeightsRecord:
    """The weights of a cell.

    Attributes:
        kind: ``file``, ``bundled``, ``none`` (random), ``not needed``, ``memory`` (a script's network), or ``images``:
            there are none, images of another tool were scored; their folder and hash stand in the place of the file's.
        path: the file on the machine that ran; None where there is none.
        sha256: of the file, in hexadecimal.
        provenance: where they come from (`restorebench.models.card.Provenance`).
        description: one line for people.
        training: what the file says of how it was trained, as the trainer wrote it; None where it says nothing.
        label: what tables call a file of unknown origin; left out of the file where it is empty.
        group: name that several weights of one network share, whose scores are averaged; left out where empty.
        reconstructed: whether the network was rebuilt from its paper, a fact of its card; left out where not.
        key: dotted path of the state dict in the file; left out where the file has only one that fits.
    """

    kind: str
    path: str | None
    sha256: str | None
    provenance: str
    description: str
    training: dict[str, Any] | None
    label: str = field(default="", metadata={LEFT_OUT: ""})
    group: str = field(default="", metadata={LEFT_OUT: ""})
    reconstructed: bool = field(default=False, metadata={LEFT_OUT: False})
    key: str | None = field(default=None, metadata={LEFT_OUT: None})


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
        cuda_graphs: whether passes were recorded and replayed; left out of the file where not.
    """

    device: str
    dtype: str
    tf32: bool
    channels_last: bool
    compile: bool
    tile: int | None
    batch: int | str = field(default=1, metadata={LEFT_OUT: 1})
    cuda_graphs: bool = field(default=False, metadata={LEFT_OUT: False})


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a cell's id hashes: everything that can change the scores.

    Attributes:
        model, variant, overrides, revision: the network; `revision` is its card's.
        weights: sha256 of the weights; None where there is no file.
        weights_key: dotted path of the state dict in that file; left out where it has only one that fits.
        seed: of random weights; None for others.
        task: key of the task.
        data: hash of the images.
        protocol: the protocol's full description, one statement a key.
        numerics: how the network ran.
        source: name, sha256 and what else tells a network apart that came from a file of the user's own
            (`restorebench.models.card.NetworkSource.identity`); None, and left out of the file, for registered ones.
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
    weights_key: str | None = field(default=None, metadata={LEFT_OUT: None})
    source: dict[str, Any] | None = field(default=None, metadata={LEFT_OUT: None})


@dataclass(frozen=True, kw_only=True)
class ComplexityRecord:
    """Parameters and multiply-adds of one image (see `profiling.macs.Complexity`).

    Attributes:
        parameters: trainable numbers; None where nobody knows them (images of another tool).
        macs: multiply-adds; None where they could not be counted. Readers take `multiply_adds`: earlier counters added
            Fourier transforms here.
        statement: what was counted, at which size, or why it could not be.
        macs_by_kind, size, counter, uncounted, executed: as in `Complexity`; None, and left out of the file, where
            nothing was counted.
    """

    parameters: int | None
    macs: int | None
    statement: str
    macs_by_kind: dict[str, int] | None = field(default=None, metadata={LEFT_OUT: None})
    size: tuple[int, ...] | None = field(default=None, metadata={LEFT_OUT: None})
    counter: str | None = field(default=None, metadata={LEFT_OUT: None})
    uncounted: tuple[str, ...] | None = field(default=None, metadata={LEFT_OUT: None})
    executed: bool | None = field(default=None, metadata={LEFT_OUT: None})

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds without Fourier transforms, whichever counter wrote the record: the number that all show."""
        if self.macs is None or self.macs_by_kind is None:
            return self.macs
        return sum(count for kind, count in self.macs_by_kind.items() if kind != "fft")

    @property
    def fourier_multiply_adds(self) -> int | None:
        """Multiply-adds of Fourier transforms, which are not among the others; None where they were not counted."""
        return None if self.macs is None or self.macs_by_kind is None else self.macs_by_kind.get("fft", 0)


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
        runtime: what ran the network in torch's place, with its version and provider; left out where torch did.
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
    runtime: str = field(default="", metadata={LEFT_OUT: ""})


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
        latency_q1_ms, latency_q3_ms: quartiles of those passes; left out of the file where an earlier version measured.
        load: load average of one minute when they were done; likewise.
        doubtful: why the latency is not to be trusted (a busy machine), in words; left out of the file where it is.
    """

    latency_ms: float
    passes: int
    size: tuple[int, ...]
    batch: int
    threads: int
    peak_mib: float | None
    peak_how: str
    latency_q1_ms: float | None = field(default=None, metadata={LEFT_OUT: None})
    latency_q3_ms: float | None = field(default=None, metadata={LEFT_OUT: None})
    load: float | None = field(default=None, metadata={LEFT_OUT: None})
    doubtful: str = field(default="", metadata={LEFT_OUT: ""})


def decoded(kind: Any, value: object, where: str) -> Any:
    """A value of a type from the data that `plain` and JSON made of it.

    Args:
        kind: a dataclass, or what annotates a field of one: a plain type, a tuple, a dictionary, or a union of these.
        value: from JSON.
        where: it stands, for messages; empty for the whole.

    Raises:
        RecordError: a field is missing or unknown, a value has another type, or is larger or deeper than any that this
            suite writes; the message names it.
    """
    origin, arguments, is_part = _shape(kind)
    if is_part:
        return _part_of(kind, value, where)
    if kind is Any:
        return _free(value, where)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, where)
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(decoded(each, item, where) for each, item in zip(kinds, value, strict=True))
    if origin is dict and isinstance(value, dict):
        if arguments[1] is Any and _is_walkable(value, 0):
            return value
        exact = _exact(arguments[1])
        return {
            name: item if type(item) in exact else decoded(arguments[1], item, f"{where}.{name}")
            for name, item in value.items()
        }
    accepted = (int, float) if kind is float else kind
    if origin is None and isinstance(value, accepted) and isinstance(value, bool) == (kind is bool):
        return _usable(value, where)
    raise RecordError(f"not a record: {where} is no {_named(kind)}: {repr(value)[:60]}")


@functools.cache
def _shape(kind: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """Origin and arguments of a type, and whether it is a part, which are asked for each value of each record."""
    return get_origin(kind), get_args(kind), isinstance(kind, type) and is_dataclass(kind)


@functools.cache
def _exact(kind: Any) -> frozenset[type]:
    """The types of which any value is one of `kind` as it is; texts and truth values are most of a record."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return frozenset(kinds) if set(kinds) <= {str, bool, NoneType} else frozenset()


def _usable(value: Any, where: str) -> Any:
    if isinstance(value, int | float) and not abs(value) < LARGEST:
        raise RecordError(f"not a record: {where} is no usable number: {value:.6g}")
    return value


def _free(value: Any, where: str) -> Any:
    """Data of no fixed form, such as the configuration, if reports can walk through it."""
    return value if _is_walkable(value, 1) else _walked(value, where)


def _is_walkable(value: Any, depth: int) -> bool:
    """Whether `_walked` finds nothing; a look at the kinds alone, for a third of a record is of no fixed form."""
    for part in value.values() if type(value) is dict else value if type(value) is list else (value,):
        kind = type(part)
        if kind is dict or kind is list:
            if depth + 1 >= DEEPEST or not _is_walkable(part, depth + 1):
                return False
        elif kind not in _HARMLESS and not ((kind is int or kind is float) and -LARGEST < part < LARGEST):
            return False
    return True


def _walked(value: Any, where: str, depth: int = 1) -> Any:
    """The same value.

    Raises:
        RecordError: naming what reports cannot walk through.
    """
    if depth > DEEPEST:
        raise RecordError(f"not a record: {where.partition('.')[0]} is nested more than {DEEPEST} levels deep")
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        if depth == DEEPEST or type(part) not in _HARMLESS:
            _walked(part, f"{where}.{name}", depth + 1)
    return _usable(value, where)


_HARMLESS = _exact(str | bool | None)


def _one_of(kinds: Sequence[Any], value: object, where: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    several = [kind for kind in kinds if kind is not NoneType]
    for kind in several[:-1]:
        with contextlib.suppress(RecordError):
            return decoded(kind, value, where)
    return decoded(several[-1], value, where)


def _named(kind: Any) -> str:
    return str(kind) if get_origin(kind) else str(getattr(kind, "__name__", kind))


def _part_of(part: type[Part], values: object, where: str) -> Part:
    if not isinstance(values, dict):
        raise RecordError(f"not a record: {where or 'it'} is no object")
    known, needed, kinds = _form(part)  # type: ignore[arg-type]
    below = f"{where}." if where else ""
    for name in values:
        if name not in known:
            raise RecordError(f"not a record: unknown field {below}{name[:80]}{nearest(name[:80], known)}")
    for name in needed:
        if name not in values:
            raise RecordError(f"not a record: no field {below}{name}")
    return part(
        **{
            name: value if type(value) in kinds[name][1] else decoded(kinds[name][0], value, f"{below}{name}")
            for name, value in values.items()
        }
    )


@functools.cache
def _form(part: type[Any]) -> tuple[dict[str, Field[Any]], list[str], dict[str, tuple[Any, frozenset[type]]]]:
    """Fields of a part, those that must be there, and the type of each with what is `_exact` for it."""
    known = _known_fields(part)  # type: ignore[arg-type]
    kinds = {name: (kind, _exact(kind)) for name, kind in _kinds(part).items() if name in known}  # type: ignore[arg-type]
    return known, [name for name, each in known.items() if LEFT_OUT not in each.metadata], kinds


@functools.cache
def _known_fields(part: type[Any]) -> dict[str, Field[Any]]:
    return {each.name: each for each in _sorted_fields(part)}  # type: ignore[arg-type]


@functools.cache
def _kinds(part: type[Any]) -> dict[str, Any]:
    return get_type_hints(part)


def plain(part: Any) -> dict[str, Any]:
    """A dataclass as data for JSON, sorted by name, without the fields that are left out for their value."""
    result: dict[str, Any] = {}
    for each in _sorted_fields(type(part)):  # type: ignore[arg-type]
        value = getattr(part, each.name)
        if LEFT_OUT in each.metadata and value == each.metadata[LEFT_OUT]:
            continue
        result[each.name] = plain(value) if hasattr(value, "__dataclass_fields__") else value
    return result


@functools.cache
def _sorted_fields(part: type[Any]) -> list[Field[Any]]:
    return sorted(fields(part), key=lambda each: each.name)


def cell_id(identity: Identity) -> str:
    """The id of a cell: the beginning of the SHA-256 of its identity, in hexadecimal.

    Raises:
        ValueError: the identity has a number that JSON does not have.
    """
    return hashlib.sha256(canonical(plain(identity))).hexdigest()[:ID_LENGTH]


def canonical(values: dict[str, Any]) -> bytes:
    """JSON without spaces, its keys sorted: the same bytes for the same values.

    Raises:
        ValueError: there is a number in them that JSON does not have.
    """
    return _encoded(values).encode()


_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
