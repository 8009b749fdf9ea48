"""torch's two file formats, the zip archive and the one of before version 1.6, read without torch's unpickler."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ...messages import one_line
from ..errors import ModelError
from .bounds import MAGIC, ZIP, check_pickles, check_zip
from .pickles import CodeError, read_pickle
from .tensors import MAKERS, StoredStorage, StoredTensor, TensorReader, storage_of

MAGIC_NUMBER, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SAFE = "pass a file that holds tensors only (a bare state dict, or safetensors)"


@dataclass(frozen=True)
class Archive:
    """What a file of torch's holds: plain data with descriptions of tensors in it, and what reads those."""

    data: Any
    reader: TensorReader

    def tensor(self, stored: StoredTensor) -> Tensor:
        """See `TensorReader.tensor`."""
        return self.reader.tensor(stored)


def read_archive(data: bytes, path: Path) -> Archive:
    """What a file's bytes hold.

    Args:
        data: the whole file, in one of torch's formats, or a bare pickle (which holds no tensors).
        path: the file, for messages.

    Raises:
        ModelError: it is damaged, hostile, or calls code.
    """
    check = check_zip if data.startswith(ZIP) else check_pickles
    check(data, path)
    try:
        if data.startswith(ZIP):
            return _zip(data, path)
        return _legacy(data) if data.startswith(MAGIC) else _bare(data)
    except ModelError:
        raise
    except CodeError as error:
        raise ModelError(f"{path} is refused: reading it would run code ({error}); {SAFE}") from error
    except Exception as error:  # damaged files raise almost anything
        raise ModelError(damaged(path, error)) from error


def damaged(path: Path, error: Exception) -> str:
    """The message for a file that cannot be read for that reason."""
    return f"{path} is no readable checkpoint, it may be damaged or incomplete ({one_line(error)[:150]})"


def _zip(data: bytes, path: Path) -> Archive:
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = archive.namelist()
    folder = names[0].partition("/")[0] if names else ""
    if f"{folder}/constants.pkl" in names or any(name.startswith(f"{folder}/code/") for name in names):
        raise ModelError(f"{path} is refused: a TorchScript archive, which holds code; {SAFE}")
    if f"{folder}/data.pkl" not in names:
        raise ValueError("a zip file without data.pkl")
    order = f"{folder}/byteorder"
    if order in names and archive.read(order) != b"little":
        raise ValueError("written on a big-endian machine")
    stored, _ = read_pickle(archive.read(f"{folder}/data.pkl"), 0, MAKERS, storage_of)
    return Archive(stored, TensorReader(lambda key: archive.read(f"{folder}/data/{key}")))


def _legacy(data: bytes) -> Archive:
    magic, position = read_pickle(data, 0, {}, storage_of)
    protocol, position = read_pickle(data, position, {}, storage_of)
    system, position = read_pickle(data, position, {}, storage_of)
    if (magic, protocol) != (MAGIC_NUMBER, PROTOCOL):
        raise ValueError("another version of torch's format")
    if isinstance(system, Mapping) and system.get("little_endian") is False:
        raise ValueError("written on a big-endian machine")
    widths: dict[str, int] = {}

    def storage(saved: Any) -> Any:
        found = storage_of(saved)
        if isinstance(found, StoredStorage):
            widths.setdefault(found.key, found.dtype.itemsize)
        return found

    stored, position = read_pickle(data, position, MAKERS, storage)
    keys, position = read_pickle(data, position, {}, storage_of)
    contents: dict[str, tuple[int, int]] = {}
    for key in map(str, keys):
        count = int.from_bytes(data[position : position + 8], "little", signed=True)
        position += 8
        length = count * widths[key]
        if count < 0 or position + length > len(data):
            raise ValueError(f"storage {key!r} is cut off")
        contents[key] = (position, position + length)
        position += length
    return Archive(stored, TensorReader(lambda key: data[slice(*contents[key])]))


def _nowhere(key: str) -> bytes:
    raise ValueError(f"storage {key!r} is not in the file")


def _bare(data: bytes) -> Archive:
    stored, _ = read_pickle(data, 0, MAKERS, storage_of)
    return Archive(stored, TensorReader(_nowhere))
