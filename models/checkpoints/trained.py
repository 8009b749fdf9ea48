"""Checkpoints of this suite's own trainer (``checkpoint.pt``): known again by the checksum at their end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ..files import opened
from .archives import read_archive
from .bounds import ZIP

DIGEST = b"restorebench sha256 "
"""What the comment of the zip file begins with; the sha256 of all before the comment's length follows."""
COMMENT_LENGTH = len(DIGEST) + 64


def trainer_metadata(path: Path, limit: int | None = None) -> dict[str, str]:
    """What a checkpoint of the trainer says of its training, in the spelling of `writing.training_facts`.

    Empty for every other file, and for one whose checksum is wrong.

    Args:
        path: the file.
        limit: its greatest length in bytes.

    Raises:
        ModelError: it cannot be read, or is such a checkpoint and damaged.
    """
    with opened(path, limit) as file:
        if file.read(len(ZIP)) != ZIP or file.seek(0, 2) <= COMMENT_LENGTH + 2:
            return {}
        file.seek(-COMMENT_LENGTH, 2)
        comment = file.read(COMMENT_LENGTH)
        if not comment.startswith(DIGEST):
            return {}
        file.seek(0)
        data = file.read()
    if hashlib.sha256(data[: -COMMENT_LENGTH - 2]).hexdigest().encode() != comment.removeprefix(DIGEST):
        return {}
    stored = read_archive(data, path).data
    done = stored.get("done") if isinstance(stored, Mapping) else None
    if not isinstance(done, Mapping) or not {"network", "average"} <= stored.keys():
        return {}
    steps, images, seconds = (done.get(name) for name in ("steps", "images", "seconds"))
    if not (isinstance(steps, int) and isinstance(images, int) and images > 0 and isinstance(seconds, int | float)):
        return {}
    facts = {"steps": steps, "images": images, "seconds": round(seconds, 1), "lists_sha256": stored.get("data")}
    return {f"restorebench.{name}": json.dumps(value) for name, value in facts.items() if value is not None}
