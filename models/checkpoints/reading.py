"""Weights: reading a file without running its code, fitting it into the network, writing one.

A file is identified by its sha256. Checkpoints are read as their authors left them; `canonical_state_dict` turns their
keys into the network's.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from ...atomic import written_whole
from ...messages import one_line
from ..card import ModelCard, Provenance
from ..errors import ModelError
from ..files import opened
from .bounds import LONGEST_HEADER, LONGEST_KEY, PICKLE, ZIP, check_pickles, check_zip

_CONTAINERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "net", "model")
"""Where checkpoints keep the state dict; the first one present wins."""
_PREFIXES = ("net.", "module.")
"""What Lightning modules and DataParallel put in front of every key."""
_FACTS = (
    *("recipe", "data", "lists_sha256", "steps", "images", "seconds", "images_per_second", "finished"),
    *("history", "stages", "machine", "seed", "ema", "git_revision", "version"),
)
TENSORS = "restorebench.tensors_sha256"
"""Key of the metadata with the sha256 of the tensors that the facts of training are about."""
MOST_PREFIXES = 16
"""Prefixes that are taken off; Lightning, DataParallel and both within each other make four."""
_SHARED = 4  # tensors of a state dict may share memory, which the file holds once
_START = 9  # bytes by which kinds of files are told apart
_COUNTER = "num_batches_tracked"
"""Batch normalisation's step counter: no output depends on it, and old checkpoints lack it."""


def read_checkpoint(
    path: Path | str, *, sha256: str | None = None, limit: int | None = None
) -> dict[str, torch.Tensor]:
    """State dict of a checkpoint, on the CPU, with the keys and dtypes of the file.

    Safetensors are recognised by content, everything else is read by ``torch.load(weights_only=True)``. No code of the
    file is ever run. The state dict may lie under one of the usual keys (``params_ema``, ``state_dict`` and the like).
    The file is read once: its hash is that of the very bytes that are loaded.

    Args:
        path: the file.
        sha256: what its hash has to be; None: any.
        limit: its greatest length in bytes; None: see `files.byte_limit`.

    Raises:
        ModelError: the file is missing, truncated, too large, no checkpoint, not the one that was expected, or cannot
            be read without running its code.
    """
    path = Path(path)
    with opened(path, limit) as file:
        start = file.read(_START)
        file.seek(0)
        safe = _is_safetensors(path, start, os.fstat(file.fileno()).st_size)
        if not safe and not start.startswith((ZIP, PICKLE)):
            raise ModelError(_not_a_checkpoint(path))
        data = file.read()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} has changed since its sha256 was taken ({sha256[:12]}): start the command again")
    return _unwrap(_safetensors(data, path) if safe else _pickled(data, path), str(path), len(data))


def _safetensors(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    read_header(io.BytesIO(data), path)  # its length is checked before it is read
    try:
        return load(data)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no readable safetensors file ({one_line(error)})") from error


def _pickled(data: bytes, path: Path) -> object:
    if data.startswith(ZIP):
        check_zip(data, path)
    else:
        check_pickles(data, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: either the file is read or it is refused
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise almost anything: KeyError, UnicodeDecodeError, AssertionError
        raise ModelError(_why_unreadable(path, error)) from error


def read_metadata(path: Path) -> dict[str, str]:
    """Text that a safetensors file carries besides its tensors; empty for every other file."""
    with opened(path) as file:
        return metadata_of(file, path)


def metadata_of(file: IO[bytes], path: Path) -> dict[str, str]:
    """As `read_metadata`, of an open file."""
    file.seek(0)
    if not _is_safetensors(path, file.read(_START), os.fstat(file.fileno()).st_size):
        return {}
    file.seek(0)
    metadata = read_header(file, path).get("__metadata__", {})
    if not isinstance(metadata, dict):
        return {}
    return {key: text for key, text in metadata.items() if isinstance(text, str)}


def read_header(file: IO[bytes], path: Path) -> dict[str, Any]:
    """The header of a safetensors file, which is JSON of bounded length.

    Raises:
        ModelError: there is none.
    """
    problem = f"{path} is no readable safetensors file"
    length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        raise ModelError(f"{problem} (its header claims {length} bytes, more than the {LONGEST_HEADER} that are read)")
    text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{problem} ({one_line(error)})") from error
    if len(text) < length or not isinstance(header, dict):
        raise ModelError(f"{problem} (its header is cut off or no table)")
    return header


def training_facts(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """What `bench train` wrote into a file's metadata: ``recipe``, ``data``, ``lists_sha256``, ``steps``, ``images``,
    ``seconds``, ``history`` and so on; None where it was not trained by it. A number that is none (NaN, infinity) is
    None."""
    if "restorebench.images" not in metadata:
        return None
    facts: dict[str, Any] = {}
    for key, text in metadata.items():
        name = key.removeprefix("restorebench.")
        if name in _FACTS:
            try:
                facts[name] = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
            except (ValueError, RecursionError):  # no JSON, or numbers of thousands of digits
                facts[name] = text
    return facts


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def canonical_state_dict(
    raw: Mapping[str, Any], card: ModelCard, *, expected: Collection[str] | None = None
) -> dict[str, torch.Tensor]:
    """State dict in reference keys.

    Unwraps containers, strips ``net.`` and ``module.``, and applies the card's key map.

    Args:
        raw: what `read_checkpoint` gave, or a checkpoint's whole dictionary.
        card: of the restorer.
        expected: keys of the network. With them, prefixes are stripped only as far as that makes more keys fit, so that
            a network that itself calls a part ``net`` can be loaded; without, as far as possible.

    Raises:
        ModelError: there is no state dict, or two of its keys become one.
    """
    stripped = without_prefixes(raw)
    if expected is None:
        return _apply_key_map(stripped[-1], card)
    candidates = [_apply_key_map(state, card) for state in stripped]
    known = set(expected)
    # On a tie the last one, so that the message about keys that do not fit shows them without prefixes.
    return max(reversed(candidates), key=lambda state: len(known & state.keys()))


def without_prefixes(raw: Mapping[str, Any]) -> list[dict[str, torch.Tensor]]:
    """The state dict of a checkpoint as it is, then with ``net.`` and ``module.`` stripped once, twice and so on.

    Raises:
        ModelError: there is no state dict.
    """
    stripped = [_unwrap(raw, "the checkpoint")]
    while (shorter := _strip(stripped[-1])) is not None:
        stripped.append(shorter)
        if len(stripped) > MOST_PREFIXES:
            first = next(iter(stripped[0]))[:40]
            raise ModelError(f"the checkpoint has more than {MOST_PREFIXES} prefixes before its keys (first {first!r})")
    return stripped


def load_state(
    network: nn.Module,
    state: Mapping[str, torch.Tensor],
    card: ModelCard,
    source: Path | str,
    *,
    alternatives: Iterable[tuple[str, Mapping[str, torch.Tensor]]],
) -> None:
    """Copy a state dict into a network, cast to the network's dtypes.

    Every key must be there, with its shape, and no other; only ``num_batches_tracked`` may be missing.

    Args:
        network: of the card's class.
        state: in reference keys (`canonical_state_dict`).
        card: of the restorer.
        source: the file, for messages.
        alternatives: other sizes of the restorer (how to ask for one, its state dict, which may be on the meta
            device); only read where the state does not fit, to name the one that it is of.

    Raises:
        ModelError: the state does not fit; the message names the first keys, and the alternative that would fit.
    """
    own: dict[str, torch.Tensor] = network.state_dict()
    problem = _mismatch(own, state)
    if problem:
        fitting = (size for size, other in alternatives if not _mismatch(other, state))
        hint = next(fitting, "no variant of the card")
        raise ModelError(f"{source} does not fit this {card.name}: {problem}; it fits {hint}")
    try:
        # Not strict: the step counters may be missing, the rest has just been compared. Copying casts.
        network.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise ModelError(f"{source} cannot be copied into {card.name}: {one_line(error)}") from error


def save_weights(
    network_state: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str], *, trained: bool = False
) -> None:
    """Write a state dict as safetensors, atomically: the file is there whole or not at all.

    The same tensors and metadata give the same bytes in every process.

    Args:
        network_state: state dict of the bare network.
        path: where to; missing folders are made, an existing file is replaced.
        metadata: text stored with it. ``restorebench.provenance`` is what the file says of itself,
            ``restorebench.model`` and ``restorebench.variant`` the restorer that they belong to.
        trained: whether the metadata are facts of this suite's trainer about these very tensors: their sha256 is
            stored too, by which `has_checked_facts` knows the facts again.

    Raises:
        ModelError: ``restorebench.provenance`` is no provenance.
    """
    stored = metadata.get("restorebench.provenance")
    if stored is not None and stored not in get_args(Provenance):
        choices = ", ".join(get_args(Provenance))
        raise ModelError(f"{path}: restorebench.provenance is {stored!r}, must be one of {choices}")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Copies, because safetensors takes no tensors that share memory.
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in network_state.items()}
    data = save(tensors)
    header, body = read_header(io.BytesIO(data), path), _body(data)
    text = {key: value for key, value in metadata.items() if key != TENSORS}
    if trained:
        text[TENSORS] = _tensors_sha256(header, body)
    # safetensors writes metadata in an order that changes from process to process.
    ordered = {"__metadata__": dict(sorted(text.items())), **header} if text else header
    start = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
    start += b" " * (-len(start) % 8)
    with written_whole(path) as part, part.open("wb") as file:
        file.write(len(start).to_bytes(8, "little") + start)
        file.write(body)


def has_checked_facts(path: Path, sha256: str, metadata: Mapping[str, str], limit: int | None = None) -> bool:
    """Whether a file's metadata are facts that this suite's trainer stored with the very tensors of the file.

    They are a check against facts that got to other tensors, not against one who forges them.

    Args:
        path: the file.
        sha256: of the whole file.
        metadata: its metadata.
        limit: its greatest length in bytes.

    Raises:
        ModelError: it cannot be read, or has another sha256.
    """
    if TENSORS not in metadata or "restorebench.images" not in metadata:
        return False
    with opened(path, limit) as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} has changed while it was read: start the command again")
    return metadata[TENSORS] == _tensors_sha256(read_header(io.BytesIO(data), path), _body(data))


def _body(data: bytes) -> memoryview:
    """The tensors' bytes in a safetensors file's."""
    return memoryview(data)[8 + int.from_bytes(data[:8], "little") :]


def _tensors_sha256(header: Mapping[str, Any], body: memoryview) -> str:
    """sha256 of the tensors of a safetensors file: over name, type, shape and bytes of each, by name."""
    digest = hashlib.sha256()
    for name in sorted(header.keys() - {"__metadata__"}):
        entry = header[name]
        try:
            start, end = entry["data_offsets"]
            digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
            digest.update(body[start:end])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the safetensors header is damaged at {name[:80]!r}") from error
    return digest.hexdigest()


def _is_safetensors(path: Path, start: bytes, length: int) -> bool:
    """By name, or by content: 8 bytes of header length, then the header, a JSON object."""
    if path.suffix == ".safetensors":
        return True
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= length - 8


def _not_a_checkpoint(path: Path) -> str:
    return f"{path} is not a checkpoint that can be read safely: neither safetensors nor tensors saved by torch.save"


def _why_unreadable(path: Path, error: Exception) -> str:
    text = str(error)
    needed = re.search(r"GLOBAL (\S+)", text)
    if needed:
        return (
            f"{path} is refused: reading it would run code ({needed[1]}); "
            "pass a file that holds tensors only (a bare state dict, or safetensors)"
        )
    if isinstance(error, OSError):
        return f"{path} cannot be read ({error.strerror or one_line(error)})"
    if text.startswith("Weights only load failed") or isinstance(error, (LookupError, UnicodeError, EOFError)):
        return _not_a_checkpoint(path)
    return f"{path} is no readable checkpoint, it may be damaged or incomplete ({one_line(error)})"


def _unwrap(stored: object, source: str, length: int | None = None) -> dict[str, torch.Tensor]:
    """State dict inside a checkpoint's dictionaries.

    Args:
        stored: the checkpoint.
        source: names it in messages.
        length: of its file in bytes; the tensors may claim no more than `_SHARED` times as much. None: not looked at.
    """
    for _ in range(len(_CONTAINERS) + 1):  # bounded: a pickled dictionary may contain itself
        if not isinstance(stored, Mapping) or not stored:
            raise ModelError(f"{source} holds no state dict but {_kind(stored)}")
        inner = next((stored[key] for key in _CONTAINERS if isinstance(stored.get(key), Mapping)), None)
        if inner is None:
            break
        stored = inner
    state: dict[str, torch.Tensor] = {}
    for key, value in stored.items():  # type: ignore[attr-defined]
        if not (isinstance(key, str) and isinstance(value, torch.Tensor)):
            name = repr(key)[:80] if isinstance(key, str | int) else _kind(key)
            raise ModelError(f"{source} holds no state dict: its entry {name} is {_kind(value)}, not a tensor")
        if len(key) > LONGEST_KEY:
            raise ModelError(f"{source} is refused: a key of {len(key)} characters, which begins {key[:40]!r}")
        empty = length is not None and value.device.type == "meta"  # shapes alone are no file's
        if value.layout is not torch.strided or value.is_quantized or empty:
            raise ModelError(f"{source} is refused: its tensor {key!r} is sparse, quantised or without values")
        state[key] = value
    claimed = sum(value.numel() * value.element_size() for value in state.values())
    if length is not None and claimed > _SHARED * length:
        raise ModelError(f"{source} is refused: its tensors claim {claimed} bytes, the file has {length}")
    return state


def _kind(value: object) -> str:
    if isinstance(value, Mapping) and not value:
        return "an empty dictionary"
    return f"a {type(value).__name__}"


def _strip(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
    """Take one prefix off all keys, or else off those that have it; None where there is none to take."""
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            return {key.removeprefix(prefix): value for key, value in state.items()}
    for prefix in _PREFIXES:
        if any(key.startswith(prefix) for key in state):
            shorter = {key.removeprefix(prefix): value for key, value in state.items()}
            return shorter if len(shorter) == len(state) else None
    return None


def _apply_key_map(state: Mapping[str, torch.Tensor], card: ModelCard) -> dict[str, torch.Tensor]:
    mapped: dict[str, torch.Tensor] = {}
    origins: dict[str, str] = {}
    for key, value in state.items():
        new = key
        for pattern, replacement in card.key_map:
            new = re.sub(pattern, replacement, new)
        if new in mapped:
            raise ModelError(f"keys {origins[new]!r} and {key!r} of the checkpoint are both {new!r} of {card.name}")
        mapped[new] = value
        origins[new] = key
    return mapped


def _mismatch(own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> str:
    """What keeps `state` from fitting `own`, in words; empty where it fits."""
    missing = [key for key in own if key not in state and key.rpartition(".")[2] != _COUNTER]
    unexpected = [key for key in state if key not in own]
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(own)} keys missing (first {missing[0]!r})")
    if unexpected:
        parts.append(f"{len(unexpected)} of {len(state)} unexpected (first {unexpected[0]!r})")
    if wrong:
        key = wrong[0]
        shapes = f"{tuple(state[key].shape)}, not {tuple(own[key].shape)}"
        parts.append(f"{len(wrong)} of wrong shape (first {key!r}: {shapes})")
    return ", ".join(parts)
