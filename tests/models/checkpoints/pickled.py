"""Pickles and checkpoints made for a test, and pickles read as plain data."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from restorebench.models.checkpoints import tensors
from restorebench.models.checkpoints.pickles import read_pickle


def content(pickled: bytes) -> Any:
    return read_pickle(pickled, 0, tensors.MAKERS, tensors.storage_of)[0]


def stored_in(stored: object, path: Path, *, legacy: bool) -> Path:
    torch.save(stored, path, _use_new_zipfile_serialization=not legacy)
    return path


def zip_with(pickled: bytes, storages: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key}", numbers)
    return path
