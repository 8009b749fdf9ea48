"""Weights files of this suite: safetensors with what is known of them, written whole, and their metadata read."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, get_args

from ...atomic import written_whole
from ...messages import one_line
from ..card import Provenance
from ..errors import ModelError
from ..files import opened
from .bounds import LONGEST_HEADER

if TYPE_CHECKING:
    from torch import Tensor

_FACTS = (
    *("recipe", "data", "lists_sha256", "validated_on", "steps", "images", "seconds", "images_per_second", "finished"),
    *("history", "stages", "machine", "load_average", "processors", "seed", "ema", "interpolation", "start_share"),
    *("git_revision", "version"),
)
TENSORS = "restorebench.tensors_sha256"
"""Key of the metadata with the sha256 of the tensors that the facts of training are about."""
START = 9  # bytes by which kinds of files are told apart


def read_metadata(path: Path) -> dict[str, str]:
    """Text that a safetensors file carries besides its tensors; empty for every other file."""
    with opened(path) as file:
        return metadata_of(file, path)


def metadata_of(file: IO[bytes], path: Path) -> dict[str, str]:
    """As `read_metadata`, of an open file."""
    file.seek(0)
    if not is_safetensors(path, file.read(START), os.fstat(file.fileno()).st_size):
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


def save_weights(
    network_state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str], *, trained: bool = False
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
    from safetensors.torch import save

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


def is_safetensors(path: Path, start: bytes, length: int) -> bool:
    """By name, or by content: 8 bytes of header length, then the header, a JSON object."""
    if path.suffix == ".safetensors":
        return True
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= length - 8
