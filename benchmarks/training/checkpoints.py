"""A training's checkpoint as bytes: torch's own format, with a checksum over it in the comment of its zip file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...messages import one_line
from ...models.checkpoints.trained import COMMENT_LENGTH, DIGEST

_END = b"PK\x05\x06"
_END_LENGTH = 22  # bytes of a zip file's last record without a comment; the last two say how long the comment is


class DamagedCheckpointError(Exception):
    """A checkpoint that cannot be read, or is not as it was written."""


def checkpoint_bytes(state: Mapping[str, Any]) -> bytes:
    """Content of a checkpoint's file, which ``torch.load(weights_only=True)`` reads.

    Args:
        state: plain data and tensors.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    assert content[-_END_LENGTH:].startswith(_END)
    return content[:-2] + COMMENT_LENGTH.to_bytes(2, "little") + DIGEST + _digest(content[:-2])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint's file, on the CPU. One without a checksum, of an earlier version, is read as it is.

    Raises:
        DamagedCheckpointError: it is not there, cannot be read, or a bit of it has changed.
    """
    try:
        content = path.read_bytes()
        start, comment = content[: -COMMENT_LENGTH - 2], content[-COMMENT_LENGTH:]
        checked = not content[-_END_LENGTH:].startswith(_END)  # the last record has a comment
        if checked and comment != DIGEST + _digest(start):
            raise DamagedCheckpointError("its checksum is wrong")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except DamagedCheckpointError:
        raise
    except Exception as error:  # damaged files raise almost anything
        raise DamagedCheckpointError(one_line(error)) from error
    if not isinstance(state, dict):
        raise DamagedCheckpointError("it holds no state")
    return state


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
