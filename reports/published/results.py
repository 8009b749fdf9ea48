"""What papers print, next to which measured rows are put: every value with its source and what to know about it.

The files in ``published/`` are transcriptions, never edited by hand here. A column of a table may hold values of one
setting only, and values that the authors printed, that others quote and that nobody checked are not mixed unless that
is asked for: `select` refuses it.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Setting = Literal["3d", "5d", "cdd11", "single", "other"]
Kind = Literal["own", "quoted", "tertiary"]

SETTINGS: tuple[Setting, ...] = get_args(Setting)
KINDS: tuple[Kind, ...] = get_args(Kind)
AVERAGE = "average"


class PublishedError(ValueError):
    """A selection that names what is not there, or mixes what cannot stand in one column; one line, what to do."""


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


@dataclass(frozen=True, kw_only=True)
class PublishedComplexity:
    """Printed cost of a model.

    Attributes:
        model: name in the papers' spelling, sometimes with the configuration.
        params_m: parameters in millions, all parts together; None where none are printed.
        params_text: as printed, such as ``35+88`` for a backbone and a frozen vision-language model.
        macs_g, flops_g: thousands of millions of multiply-adds, or of what the source calls FLOPs.
        input_size: as the source states it; "" if it does not.
        source: where it is printed.
        flags: what to know about it.
    """

    model: str
    params_m: float | None
    params_text: str
    macs_g: float | None
    flops_g: float | None
    input_size: str
    source: str
    flags: tuple[Flag, ...]


Rule = Callable[[PublishedResult], bool]


def _told_the_task(row: PublishedResult) -> bool:
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
    (_told_the_task, Flag(Trap.NOT_BLIND, "told the degradation at test time, so not blind")),
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

_KERNEL_BASIS = Flag(
    Trap.KERNEL_BASIS_LEFT_OUT,
    "leaves the kernel basis attention out; counted whole at 256x256 KBNet-S takes 117.3 G and KBNet-L 210.2 G",
)
_NO_SIZE = Flag(
    Trap.SIZE_NOT_STATED,
    "input size not stated: columns of FLOPs in papers mix 224x224 and 256x256, multiply-adds and FLOPs",
)


@cache
def load_published() -> tuple[PublishedResult, ...]:
    """All printed scores, in the order of the file.

    Raises:
        PublishedError: if a line is damaged or names a source that ``sources.csv`` does not have.
    """
    citations = load_sources()
    return tuple(_result(line, row, citations) for line, row in enumerate(_read("results.csv"), start=2))


@cache
def load_sources() -> dict[str, str]:
    """Citation of each source by its key."""
    return {row["source"]: row["citation"] for row in _read("sources.csv")}


@cache
def load_complexity() -> tuple[PublishedComplexity, ...]:
    """All printed parameter and operation counts, in the order of the file."""
    return tuple(_complexity(line, row) for line, row in enumerate(_read("complexity.csv"), start=2))


def select(
    rows: Iterable[PublishedResult] | None = None,
    *,
    setting: str | None = None,
    dataset: str | None = None,
    degradation: str | None = None,
    sigma: int | None = None,
    kind: str | Collection[str] | None = None,
    models: str | Collection[str] | None = None,
) -> tuple[PublishedResult, ...]:
    """Printed scores that may stand in one table: of one setting, and of one kind in every column.

    Args:
        rows: to choose from; all printed scores if None.
        setting: ``3d``, ``5d``, ``cdd11``, ``single`` or ``other``; needed unless the rest leaves only one.
        dataset: a test set, or ``average``; None for all.
        degradation: in the papers' words; None for all.
        sigma: noise level on the 0..255 scale; None for all.
        kind: ``own``, ``quoted`` or ``tertiary``. Several of them, as a collection, ask for the mixture; None is fine
            where every column is left with one.
        models: one name or several in the papers' spelling; None for all.

    Returns:
        The scores in the order of the file; empty if nothing known fits together.

    Raises:
        PublishedError: an unknown name, several settings, or kinds that would be mixed without being asked for.
    """
    everything = load_published() if rows is None else tuple(rows)
    kinds, names = _several(kind), _several(models)
    _known("setting", [setting] if setting is not None else [], SETTINGS)
    _known("kind", kinds or [], KINDS)
    _known("dataset", [dataset] if dataset is not None else [], (row.dataset for row in everything))
    _known("degradation", [degradation] if degradation is not None else [], (row.degradation for row in everything))
    _known("model", names or [], (row.model for row in everything))
    chosen = tuple(
        row
        for row in everything
        if (setting is None or row.setting == setting)
        and (dataset is None or row.dataset == dataset)
        and (degradation is None or row.degradation == degradation)
        and (sigma is None or row.sigma == sigma)
        and (kinds is None or row.kind in kinds)
        and (names is None or row.model in names)
    )
    _refuse_mixtures(chosen, kinds)
    return chosen


def _refuse_mixtures(chosen: Sequence[PublishedResult], kinds: Collection[str] | None) -> None:
    """Refuse several settings, and several kinds in one column that were not asked for together."""
    settings = [name for name in SETTINGS if any(row.setting == name for row in chosen)]
    if len(settings) > 1:
        raise PublishedError(f"settings {', '.join(settings)} cannot stand in one table; give setting=, one of them")
    if kinds is not None and len(kinds) > 1:
        return
    columns: dict[tuple[str, str, int | None], set[Kind]] = {}
    for row in chosen:
        columns.setdefault(row.column, set()).add(row.kind)
    for (dataset, degradation, sigma), found in columns.items():
        if len(found) > 1:
            label = f"{dataset} {degradation}" if sigma is None else f"{dataset} {degradation} {sigma}"
            mixed = ", ".join(kind for kind in KINDS if kind in found)
            raise PublishedError(
                f"the column {label} would mix {mixed} values; give kind=, one of them, or all that are meant together"
            )


def _several(names: str | Collection[str] | None) -> tuple[str, ...] | None:
    """One name or a collection of them as a tuple; None stays None."""
    return (names,) if isinstance(names, str) else None if names is None else tuple(names)


def _known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that do not occur, with the nearest that do."""
    names = sorted(set(known))
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=2)
            hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
            listed = f"; there are {', '.join(names)}" if len(names) < 30 else ""
            raise PublishedError(f"no published results of the {what} {name!r}{hint}{listed}")


def _read(name: str) -> list[dict[str, str]]:
    """Lines of one of the files, by column."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def _number(text: str) -> float | None:
    return float(text) if text else None


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
            psnr_db=_number(row["psnr_db"]),
            ssim=_number(row["ssim"]),
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


def _complexity(line: int, row: dict[str, str]) -> PublishedComplexity:
    """One line of ``complexity.csv``, flagged."""
    macs, flops, size = _number(row["macs_g"]), _number(row["flops_g"]), row["input_size"]
    flags = []
    if row["model"].lower().startswith("kbnet") and macs is not None:
        flags.append(_KERNEL_BASIS)
    if (macs is not None or flops is not None) and (not size or size.startswith("not stated")):
        flags.append(_NO_SIZE)
    try:
        parts = [float(part) for part in row["params_m"].split("+")] if row["params_m"] else []
    except ValueError as error:
        raise PublishedError(f"published/complexity.csv, line {line}: {error}") from error
    return PublishedComplexity(
        model=row["model"],
        params_m=sum(parts) if parts else None,
        params_text=row["params_m"],
        macs_g=macs,
        flops_g=flops,
        input_size=size,
        source=row["source"],
        flags=tuple(flags),
    )
