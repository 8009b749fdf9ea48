"""How the images of a cell went through the network, and whether that is what its numerics asked for.

A cell asks for whole images (``tile`` None) or for tiles of a side. Where memory did not suffice, rows say ``tiles of
N`` or ``cpu`` in their column ``how``; such scores need not be those of the cell that was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .rows import ImageRow


def asked(tile: int | None) -> str:
    """What `ImageRow.how` is where nothing went otherwise.

    Args:
        tile: side in pixels of the forced tiles, ``identity.numerics.tile`` of a record; None for whole images.
    """
    return "whole" if tile is None else f"tiles of {tile}"


def how_counts(rows: Iterable[ImageRow]) -> dict[str, int]:
    """Images with scores by how they were restored, the most frequent first."""
    return dict(Counter(row.how for row in rows if row.status == "ok").most_common())


def deviations(rows: Iterable[ImageRow], tile: int | None) -> dict[str, int]:
    """Images with scores that were restored otherwise than `asked`, by how, the most frequent first; empty for none."""
    return {how: count for how, count in how_counts(rows).items() if how != asked(tile)}


def described(counts: Mapping[str, int]) -> str:
    """``deviations`` in words: ``3 images in tiles of 512, 1 image on the CPU``; "" for none."""
    places = {"cpu": "on the CPU", "whole": "whole"}
    return ", ".join(
        f"{count} image{'s' * (count != 1)} {places.get(how, f'in {how}')}" for how, count in counts.items()
    )
