"""What bounds one pass over a photograph: the sides of tiles, and memory."""

from __future__ import annotations

from typing import Literal

TileChoice = int | Literal["auto", "none"]
"""The side of tiles in pixels; ``auto``: whole where that fits into memory; ``none``: always whole."""
CPU_BYTES = 768 * 2**20
"""Most memory of one pass on the CPU, estimated: with Python, torch and a photograph of 24 megapixels under 2 GB."""
SMALLEST = 32
"""Least side of a tile, in pixels."""
