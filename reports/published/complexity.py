"""What papers print of costs: parameters and operations, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..errors import PublishedError
from .transcriptions import Flag, PrintedValue, Trap, number_or_none, read_lines


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


_KERNEL_BASIS = Flag(
    Trap.KERNEL_BASIS_LEFT_OUT,
    "leaves the kernel basis attention out; counted whole at 256x256 KBNet-S takes 117.3 G and KBNet-L 210.2 G",
)
_NO_SIZE = Flag(
    Trap.SIZE_NOT_STATED,
    "input size not stated: columns of FLOPs in papers mix 224x224 and 256x256, multiply-adds and FLOPs",
)


@cache
def load_complexity() -> tuple[PublishedComplexity, ...]:
    """All printed parameter and operation counts, in the order of the file."""
    return tuple(_complexity(line, row) for line, row in enumerate(read_lines("complexity.csv"), start=2))


def _complexity(line: int, row: dict[str, str]) -> PublishedComplexity:
    """One line of ``complexity.csv``, flagged."""
    macs, flops, size = number_or_none(row["macs_g"]), number_or_none(row["flops_g"]), row["input_size"]
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


def printed_parameters(model: str) -> PrintedValue:
    """Parameters in millions, with a footnote on their origin.

    Those that name a frozen network beside the trained one come first, then those counted on the released code, then
    those with most digits. Unverified compilations only where nothing else is there.
    """

    def trust(row: PublishedComplexity) -> tuple[bool, bool, bool, int]:
        digits = len(row.params_text.partition(".")[2])
        return _verified(row), "+" in row.params_text, row.source.startswith("counted here"), digits

    rows = (row for row in load_complexity() if row.model == model and row.params_m is not None)
    row = max(rows, key=trust, default=None)
    if row is None:
        return PrintedValue()
    return PrintedValue(value=row.params_m, text=row.params_text, notes=(f"parameters: {row.source}",))


def printed_operations(model: str) -> PrintedValue:
    """Multiply-adds in thousands of millions, with footnotes on their origin.

    Those at 256x256 come first, then those at another size, multiply-adds before "FLOPs". Unverified compilations only
    where nothing else is there.
    """

    def trust(row: PublishedComplexity) -> tuple[bool, bool, bool]:
        return _verified(row), row.input_size.startswith("256x256"), row.macs_g is not None

    rows = (row for row in load_complexity() if row.model == model)
    row = max((row for row in rows if row.macs_g is not None or row.flops_g is not None), key=trust, default=None)
    if row is None:
        return PrintedValue()
    value, unit = (row.macs_g, "multiply-adds") if row.macs_g is not None else (row.flops_g, "FLOPs as the source says")
    assert value is not None
    where = f"{unit}, input size {row.input_size or 'not stated'}: {row.source}"
    return PrintedValue(value=value, text=f"{value:g}", notes=(where, *(flag.text for flag in row.flags)))


def _verified(row: PublishedComplexity) -> bool:
    return "unverified" not in row.source
