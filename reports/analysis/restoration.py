"""Images that went through the network otherwise than their cell asked: in tiles or on the CPU, for want of memory.

Their scores need not be those of whole images, so whoever prints them says so, and `Scoreboard` does not rank them
against scores of images that were restored as asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cells import StoredCell

OTHERWISE = "restored otherwise than asked"


def deviations(cell: StoredCell) -> dict[str, str]:
    """How each image with scores went, of those that did not go as the cell's numerics ask."""
    tile = cell.record.identity.numerics.tile
    asked = "whole" if tile is None else f"tiles of {tile}"
    return {row.image: row.how for row in cell.rows if row.status == "ok" and row.how != asked}


def otherwise(cell: StoredCell) -> str:
    """``restored otherwise than asked: 3 images in tiles of 512, 1 image on the CPU``; empty where none was."""
    return otherwise_text(Counter(deviations(cell).values()).most_common())


def otherwise_text(counts: Sequence[tuple[str, int]]) -> str:
    """`otherwise` of numbers of images by how, the most frequent first."""
    words = [f"{n} image{'s' * (n != 1)} {'on the CPU' if how == 'cpu' else f'in {how}'}" for how, n in counts]
    return f"{OTHERWISE}: {', '.join(words)}" if words else ""
