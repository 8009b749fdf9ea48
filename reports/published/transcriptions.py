"""The transcriptions as lines, and what may mislead about a printed value."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files


class Trap(StrEnum):
    """Why a printed value may mislead."""

    NOTE = "note"
    SSIM_WINDOW = "SSIM window"
    RETRAININGS_DISAGREE = "retrainings disagree"
    NOT_BLIND = "not blind"
    TWO_VERSIONS = "two versions"
    SMALL_TEST_SET = "small test set"
    TEST_SCENES_IN_TRAINING = "test scenes in training sets"
    KERNEL_BASIS_LEFT_OUT = "kernel basis attention left out"
    SIZE_NOT_STATED = "input size not stated"


@dataclass(frozen=True)
class Flag:
    """One thing to know about a printed value: of what kind, and a sentence for a footnote."""

    trap: Trap
    text: str


@dataclass(frozen=True, kw_only=True)
class PrintedValue:
    """A value of a table's row that papers print.

    Attributes:
        value: None where none is printed.
        text: as its source prints it, a dash for none.
        notes: footnotes.
    """

    value: float | None = None
    text: str = "-"
    notes: tuple[str, ...] = ()


def read_lines(name: str) -> list[dict[str, str]]:
    """Lines of one of the files, by column."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def number_or_none(text: str) -> float | None:
    """A printed number; None where the paper prints none."""
    return float(text) if text else None
