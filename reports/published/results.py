"""What papers print, next to which measured rows are put: every value with its source and what to know about it.

The ``.csv`` files here are transcriptions, never edited by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from ..errors import PublishedError
from .transcriptions import Flag, Trap, number_or_none, read_lines

Setting = Literal["3d", "5d", "cdd11", "single", "other"]
Kind = Literal["own", "quoted", "tertiary"]

SETTINGS: tuple[Setting, ...] = get_args(Setting)
KINDS: tuple[Kind, ...] = get_args(Kind)
AVERAGE = "average"


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """One printed score.

    Attributes:
        model: name in the papers' spelling.
        setting: what one set of weights was trained for: ``3d``, ``5d``, ``cdd11``, ``single`` or ``other``.
        dataset: the test set; ``average`` for the mean that the paper prints.
        degradation: in the papers' words (``dehazing``).
        sigma: of Gaussian noise, on the 0..255 scale; None otherwise.
        psnr_db, ssim: as printed; None where the paper prints none.
        kind: printed by the model's authors (``own``), by another paper (``quoted``), or in an unverified compilation
            (``tertiary``).
        source, citation: key and full name of where it is printed.
        flags: what to know about it; tables show them.
    """

    model: str
    setting: Setting
    dataset: str
    degradation: str
    sigma: int | None
    psnr_db: float | None
    ssim: float | None
    kind: Kind
    source: str
    citation: str
    flags: tuple[Flag, ...]

    @property
    def column(self) -> tuple[str, str, int | None]:
        """The column of a table in which it belongs."""
        return self.dataset, self.degradation, self.sigma

    def has(self, trap: Trap) -> bool:
        """Whether a flag of this kind is on it."""
        return any(flag.trap == trap for flag in self.flags)


Rule = Callable[[PublishedResult], bool]


def _given_the_task(row: PublishedResult) -> bool:
    """DFPIR and InstructIR by name, others by what the transcription notes of them."""
    named = row.model == "DFPIR" or (row.model.startswith("InstructIR") and row.model != "InstructIR-w/o-text")
    words = ("at test time", "degradation given as text")
    return named or any(word in flag.text for flag in row.flags if flag.trap == Trap.NOTE for word in words)


_RULES: tuple[tuple[Rule, Flag], ...] = (
    (
        lambda row: row.model.startswith("MoCE-IR") and row.ssim is not None,
        Flag(
            Trap.SSIM_WINDOW,
            "MoCE-IR's SSIM uses a Gaussian 11x11 window (moceir@1), the tables of the PromptIR line a uniform 7x7 "
            "one: not comparable",
        ),
    ),
    (
        lambda row: row.model == "PromptIR" and row.setting == "5d",
        Flag(
            Trap.RETRAININGS_DISAGREE,
            "PromptIR has no five-degradation result of its own; three retrainings in print average 29.15, 29.77 and "
            "28.11 dB",
        ),
    ),
    (_given_the_task, Flag(Trap.NOT_BLIND, "told the degradation at test time, so not blind")),
    (
        lambda row: row.model in ("AnyIR", "AnyIR-2407"),
        Flag(
            Trap.TWO_VERSIONS,
            "AnyIR's two versions differ: 3D average 32.51 (2024, here AnyIR-2407) and 32.83 (2025, here AnyIR)",
        ),
    ),
    (
        lambda row: row.dataset == "LOL-v1",
        Flag(
            Trap.SMALL_TEST_SET, "15 images: a mean is known to about +-1.9 dB, a paired difference to about +-0.3 dB"
        ),
    ),
    (
        lambda row: row.dataset == "SOTS-Outdoor",
        Flag(Trap.TEST_SCENES_IN_TRAINING, "RESIDE OTS, a usual training set, contains SOTS-Outdoor scenes"),
    ),
)


@cache
def load_published() -> tuple[PublishedResult, ...]:
    """All printed scores, in the order of the file.

    Raises:
        PublishedError: if a line is damaged or names a source that ``sources.csv`` does not have.
    """
    citations = load_sources()
    return tuple(_result(line, row, citations) for line, row in enumerate(read_lines("results.csv"), start=2))


@cache
def load_sources() -> dict[str, str]:
    """Citation of each source by its key."""
    return {row["source"]: row["citation"] for row in read_lines("sources.csv")}


def _result(line: int, row: dict[str, str], citations: dict[str, str]) -> PublishedResult:
    """One line of ``results.csv``, flagged."""
    try:
        if row["setting"] not in SETTINGS or row["kind"] not in KINDS:
            raise ValueError(f"{row['setting']}, {row['kind']}")
        result = PublishedResult(
            model=row["model"],
            setting=row["setting"],
            dataset=row["dataset"],
            degradation=row["degradation"],
            sigma=int(row["sigma"]) if row["sigma"] else None,
            psnr_db=number_or_none(row["psnr_db"]),
            ssim=number_or_none(row["ssim"]),
            kind=row["kind"],
            source=row["source"],
            citation=citations[row["source"]],
            flags=tuple(Flag(Trap.NOTE, " ".join(note.split())) for note in row["flag"].split("; ") if note),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PublishedError(f"published/results.csv, line {line}: {error!r}") from error
    return _flagged(result)


def _flagged(row: PublishedResult) -> PublishedResult:
    """The row with a flag for each trap that it falls into."""
    traps = tuple(flag for applies, flag in _RULES if applies(row))
    return PublishedResult(**{**vars(row), "flags": row.flags + traps})
