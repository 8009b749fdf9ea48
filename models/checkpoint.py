"""Weights: reading a file without running its code, fitting it into the network, writing one.

A file is identified by its sha256. Checkpoints are read as their authors left them; `canonical_state_dict` turns their
keys into the network's.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from ..atomic import written_whole
from ..messages import one_line
from .card import ModelCard, Provenance
from .errors import ModelError

_CONTAINERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "net", "model")
"""Where checkpoints keep the state dict; the first one present wins."""
_PREFIXES = ("net.", "module.")
"""What Lightning modules and DataParallel put in front of every key."""
_FACTS = (
    *("recipe", "data", "lists_sha256", "steps", "images", "seconds", "images_per_second", "finished"),
    *("history", "stages", "machine", "seed", "ema", "git_revision", "version"),
)
_COUNTER = "num_batches_tracked"
"""Batch normalisation's step counter: no output depends on it, and old checkpoints lack it."""


def file_sha256(path: Path) -> str:
    """sha256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_provenance(path: Path, metadata: Mapping[str, str]) -> Provenance | None:
    """Provenance that a file's metadata states, if any; ModelError where it is no provenance."""
    stored = metadata.get("restorebench.provenance")
    for provenance in get_args(Provenance):
        if stored == provenance:
            return provenance  # type: ignore[no-any-return]
    if stored is not None:
        choices = ", ".join(get_args(Provenance))
        raise ModelError(f"{path}: restorebench.provenance is {stored!r}, must be one of {choices}")
    return None


def check_file(path: Path) -> None:
    """ModelError unless `path` is a file that can be opened."""
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a folder: weights takes the path of a checkpoint file")
        if not path.exists():
            raise ModelError(f"no checkpoint at {path}: weights takes a path, 'bundled' or 'none'")
        with path.open("rb"):
            return
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error


def read_checkpoint(path: Path | str) -> dict[str, torch.Tensor]:
    """State dict of a checkpoint, on the CPU, with the keys and dtypes of the file.

    Safetensors are recognised by content, everything else is read by ``torch.load(weights_only=True)``. No code of the
    file is ever run. The state dict may lie under one of the usual keys (``params_ema``, ``state_dict`` and the like).

    Raises:
        ModelError: the file is missing, truncated, no checkpoint, or cannot be read without running its code.
    """
    path = Path(path)
    check_file(path)
    if _is_safetensors(path):
        try:
            return _unwrap(load_file(path), str(path))
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is no readable safetensors file ({one_line(error)})") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: either the file is read or it is refused
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise almost anything: KeyError, UnicodeDecodeError, AssertionError
        raise ModelError(_why_unreadable(path, error)) from error
    return _unwrap(stored, str(path))


def read_metadata(path: Path) -> dict[str, str]:
    """Text that a safetensors file carries besides its tensors; empty for every other file."""
    if not _is_safetensors(path):
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no readable safetensors file ({one_line(error)})") from error


def training_facts(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """What `bench train` wrote into a file's metadata: ``recipe``, ``data``, ``lists_sha256``, ``steps``, ``images``,
    ``seconds``, ``history`` and so on; None where it was not trained by it."""
    if "restorebench.images" not in metadata:
        return None
    facts: dict[str, Any] = {}
    for key, text in metadata.items():
        name = key.removeprefix("restorebench.")
        if name in _FACTS:
            try:
                facts[name] = json.loads(text)
            except json.JSONDecodeError:
                facts[name] = text
    return facts


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


def save_weights(network_state: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a state dict as safetensors, atomically: the file is there whole or not at all.

    Args:
        network_state: state dict of the bare network.
        path: where to; missing folders are made, an existing file is replaced.
        metadata: text stored with it. ``restorebench.provenance`` is what rows with these weights will say,
            ``restorebench.model`` and ``restorebench.variant`` the restorer that they belong to.

    Raises:
        ModelError: ``restorebench.provenance`` is no provenance.
    """
    stored_provenance(path, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Copies, because safetensors takes no tensors that share memory.
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in network_state.items()}
    with written_whole(path) as part:
        save_file(tensors, part, metadata=dict(metadata))


def _is_safetensors(path: Path) -> bool:
    """By name, or by content: 8 bytes of header length, then the header, a JSON object."""
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size - 8


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
        return (
            f"{path} is not a checkpoint that can be read safely: neither safetensors nor tensors saved by torch.save"
        )
    return f"{path} is no readable checkpoint, it may be damaged or incomplete ({one_line(error)})"


def _unwrap(stored: object, source: str) -> dict[str, torch.Tensor]:
    """State dict inside a checkpoint's dictionaries."""
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
            raise ModelError(f"{source} holds no state dict: its entry {key!r} is {_kind(value)}, not a tensor")
        state[key] = value
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
