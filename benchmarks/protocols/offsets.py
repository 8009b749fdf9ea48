"""Where images of two sizes lie on each other by a rule that programs follow; `placement` finds it by the pixels."""

from __future__ import annotations

from ...messages import unknown
from ..errors import UserError

Size = tuple[int, int]
"""Height and width in pixels."""
Offset = tuple[int, int]
"""Rows from the top and columns from the left at which the smaller image begins in the larger one."""

AUTO = "auto"
"""The place is found."""
RULES = ("centre", "top-left", "top-right", "bottom-left", "bottom-right")
"""Places that programs crop to and pad around; ``centre`` is what all protocols that crop do, [c // 2, ...)."""
PLACES = (AUTO, *RULES)
"""Where restored images of another size lie on the clean ones: found, or by a rule."""


def rule_offset(rule: str, outer: Size, inner: Size) -> Offset:
    """Where a rule of `RULES` lays an image of the size `inner` in one of the size `outer`."""
    down, across = outer[0] - inner[0], outer[1] - inner[1]
    if rule == "centre":
        return down // 2, across // 2
    vertical, _, horizontal = rule.partition("-")
    return (0 if vertical == "top" else down), (0 if horizontal == "left" else across)


def nested(restored: Size, clean: Size) -> tuple[Size, Size]:
    """The sizes of the inner and the outer image.

    Raises:
        UserError: neither fits into the other.
    """
    if restored[0] <= clean[0] and restored[1] <= clean[1]:
        return restored, clean
    if restored[0] >= clean[0] and restored[1] >= clean[1]:
        return clean, restored
    raise UserError(f"{sizes(restored, clean)}: neither is a crop of the other")


def sizes(restored: Size, clean: Size) -> str:
    """Both sizes in words."""
    return f"restored image of {restored[1]}x{restored[0]} pixels (width x height), clean one of {clean[1]}x{clean[0]}"


def check_place(place: str) -> None:
    """Refuse a name that is none of `PLACES`.

    Raises:
        UserError: with the nearest names.
    """
    if place not in PLACES:
        raise UserError(unknown("place", place, PLACES))
