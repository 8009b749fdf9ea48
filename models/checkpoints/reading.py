"""Reading a weights file: its tensors by name, without running its code, and only those that are wanted.

A file is identified by its sha256: it is read once, and the hash is that of the very bytes that are loaded.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from ...messages import one_line, unknown
from ..errors import ModelError
from ..files import opened
from .archives import Archive, damaged, read_archive
from .bounds import MOST_PREFIXES, PICKLE, ZIP
from .names import Named, Names, is_averaged, named_tensors, nothing_there, passed_over
from .tensors import Leaf, StoredTensor
from .writing import START, is_safetensors, read_header

FEW_WORDS = 5
"""First words of a container's keys that are named: more of them are the parts of one network."""
_SHARED = 4  # tensors of a state dict may share memory, which the file holds once


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint whose structure has been read, its tensors not yet.

    Attributes:
        path: the file.
        names: its tensors by dotted path.
        passed_over: kinds of objects in it that are no tensors and were not made.
        length: of the file in bytes.
    """

    path: Path
    names: Names
    passed_over: tuple[str, ...]
    length: int
    archive: Archive | None = None

    def tensors(self, state: Mapping[str, Leaf]) -> dict[str, torch.Tensor]:
        """The tensors of a state dict, on the CPU, in the dtypes of the file.

        Args:
            state: of `names`, under any keys.

        Raises:
            ModelError: one is damaged or of no kind that a network takes, or all claim more than the file can hold.
        """
        claimed = 0
        for key, leaf in state.items():
            empty = leaf.storage is None if isinstance(leaf, StoredTensor) else leaf.layout is not torch.strided
            if empty:
                raise ModelError(f"{self.path} is refused: its tensor {key!r} is sparse, quantised or without values")
            claimed += leaf.bytes_claimed if isinstance(leaf, StoredTensor) else leaf.numel() * leaf.element_size()
        if claimed > _SHARED * self.length:
            raise ModelError(f"{self.path} is refused: its tensors claim {claimed} bytes, the file has {self.length}")
        try:
            return {key: self._tensor(leaf) for key, leaf in state.items()}
        except ModelError:
            raise
        except Exception as error:  # zipfile and torch answer damage with a dozen types
            raise ModelError(damaged(self.path, error)) from error

    def _tensor(self, leaf: Leaf) -> torch.Tensor:
        if isinstance(leaf, torch.Tensor):
            return leaf
        if self.archive is None:
            raise ValueError("a tensor without a file")
        return self.archive.tensor(leaf)

    def state_dict(self, weights_key: str | None = None) -> tuple[str, dict[str, torch.Tensor]]:
        """The state dict that a file is most likely meant by, where no network can say: its location, and its tensors.

        It is the container that holds most tensors; of several with the same keys and shapes averaged weights, else
        the first.

        Args:
            weights_key: dotted path of the container instead.

        Raises:
            ModelError: there is no such container, or `tensors` refuses.
        """
        groups = containers(self.names)
        if weights_key is not None:
            state = under(self.names, weights_key, str(self.path))
            return weights_key.strip("."), self.tensors({key: named.leaf for key, named in state.items()})
        largest = max(groups.values(), key=len)
        shapes = {key: leaf.shape for key, leaf in largest.items()}
        alike = [place for place, group in groups.items() if {key: leaf.shape for key, leaf in group.items()} == shapes]
        place = max(alike, key=is_averaged)  # the first of equal ones
        return place, self.tensors(groups[place])


def containers(names: Names) -> dict[str, dict[str, Leaf]]:
    """The tensors that each container holds itself, by its dotted path."""
    groups: dict[str, dict[str, Leaf]] = {}
    for name, named in names.items():
        groups.setdefault(name[: named.container].rstrip("."), {})[name[named.container :]] = named.leaf
    return groups


def under(names: Names, weights_key: str, source: str) -> dict[str, Named]:
    """The tensors under a dotted path, by what follows it.

    Raises:
        ModelError: there are none; the message names what there is.
    """
    prefix = weights_key.strip(".") + "."
    found = {
        name[len(prefix) :]: Named(named.leaf, max(0, named.container - len(prefix)))
        for name, named in names.items()
        if name.startswith(prefix)
    }
    if not found:
        known = list(dict.fromkeys(place for place in _paths(names) if place and place.isprintable()))
        raise ModelError(f"{source}: {unknown('weights_key', weights_key, known)}")
    return found


def _paths(names: Names) -> Iterator[str]:
    """Paths that `weights_key` can be: of containers, and the first words of keys where those are few."""
    for place, group in containers(names).items():
        yield place
        words = {first for first, dot, _ in (key.partition(".") for key in group) if dot}
        if len(words) <= FEW_WORDS:
            yield from (f"{place}.{word}" if place else word for word in sorted(words))


def open_checkpoint(path: Path | str, *, sha256: str | None = None, limit: int | None = None) -> StoredCheckpoint:
    """A checkpoint's structure. Safetensors are recognised by content. No code of the file is ever run.

    Args:
        path: the file.
        sha256: what its hash has to be; None: any.
        limit: its greatest length in bytes; None: see `files.byte_limit`.

    Raises:
        ModelError: the file is missing, truncated, too large, no checkpoint, not the one that was expected, hostile, or
            holds no tensors.
    """
    path = Path(path)
    with opened(path, limit) as file:
        start = file.read(START)
        file.seek(0)
        safe = is_safetensors(path, start, os.fstat(file.fileno()).st_size)
        if not safe and not start.startswith((ZIP, PICKLE)):
            raise ModelError(
                f"{path} is not a checkpoint that can be read safely: neither safetensors nor tensors saved by"
                " torch.save"
            )
        data = file.read()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} has changed since its sha256 was taken ({sha256[:12]}): start the command again")
    if safe:
        return stored_checkpoint(_safetensors(data, path), path, len(data))
    archive = read_archive(data, path)
    return stored_checkpoint(archive.data, path, len(data), archive)


def stored_checkpoint(stored: object, path: Path, length: int, archive: Archive | None = None) -> StoredCheckpoint:
    """The structure of what a file holds.

    Raises:
        ModelError: there are no tensors in it.
    """
    names = named_tensors(stored, str(path))
    if not names:
        raise ModelError(nothing_there(stored, str(path)))
    return StoredCheckpoint(path, names, tuple(passed_over(stored)), length, archive)


def read_checkpoint(
    path: Path | str, *, sha256: str | None = None, limit: int | None = None, weights_key: str | None = None
) -> dict[str, torch.Tensor]:
    """State dict of a checkpoint, on the CPU, with the keys and dtypes of the file (`StoredCheckpoint.state_dict`).

    Raises:
        ModelError: see `open_checkpoint` and `StoredCheckpoint.state_dict`.
    """
    return open_checkpoint(path, sha256=sha256, limit=limit).state_dict(weights_key)[1]


def _safetensors(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    read_header(io.BytesIO(data), path)  # its length is checked before it is read
    try:
        return load(data)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no readable safetensors file ({one_line(error)})") from error


def without_prefixes(state: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """A state dict as it is, then with what most of its keys begin with taken off, word by word: ``net.``, ``module.``.

    Keys that begin otherwise, of a loss or another module, are left out.
    """
    spellings = [dict(state)]
    while len(spellings) <= MOST_PREFIXES:
        words: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in spellings[-1].items():
            first, _, rest = key.partition(".")
            if rest:
                words.setdefault(first, {})[rest] = value
        largest = max(words.values(), key=len, default={})
        if 2 * len(largest) <= len(spellings[-1]):
            break
        spellings.append(largest)
    return spellings
