"""Which name of one side belongs to which of the other, by rules that pair whole folders one to one.

A rule is a key that both sides of a pair have in common: the name without regard to its Unicode form, its letter case,
zeros that pad a number, a word for the image's role, the separators or folders before it, and prefixes and suffixes
that all names of a side have. A rule holds only where it gives every name of both sides one partner. Where several
hold and do not agree, nothing is paired: a wrong pair is worse than none.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import DataError

ROLES = (
    *("noisy", "noise", "norain", "normal", "rainy", "rain", "hazy", "haze", "blurry", "blurred", "blur"),
    *("snowy", "snow", "degraded", "input", "low", "lq", "lr"),
    *("target", "clean", "clear", "sharp", "high", "gt", "hq", "hr", "ref", "reference", "groundtruth", "label"),
)
"""Words that say which side of a pair an image is on."""

SEPARATORS = "-_ ./"

Pairing = dict[str, str]
Key = Callable[[str], str]

# A role with no letter beside it, and what sets it off from the rest.
_ROLE = re.compile(
    rf"([-_ ]*)(?<![^\W\d_])(?:{'|'.join(sorted(ROLES, key=len, reverse=True))})(?![^\W\d_])[-_ ]*", re.IGNORECASE
)
_PADDING = re.compile(r"(?<![0-9])(?<![0-9]\.)0+(?=[0-9])")  # 0.05 is no padded 0.5
_ATOMS = re.compile(r"[0-9]+|[^0-9]", re.DOTALL)  # a number is never cut
_SCALE = re.compile(r"x[0-9]+")


@dataclass(frozen=True)
class WholePairing:
    """A pairing of two sides, and the words for the rule that gave it, empty for equal names."""

    partners: Pairing
    rule: str


def stem(name: str) -> str:
    """A path below a folder without the extension of its last part."""
    folder, slash, file = name.rpartition("/")
    base, dot, _ = file.rpartition(".")
    return f"{folder}{slash}{base}" if dot and base else name


def _without_roles(text: str) -> str:
    def gap(found: re.Match[str]) -> str:
        return (found[1][:1] or "_") if found.start() > 0 and found.end() < len(found.string) else ""

    parts = (re.sub(r"([-_ ])[-_ ]+", r"\1", _ROLE.sub(gap, part)).strip("-_ ") for part in text.split("/"))
    return "/".join(parts)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return text.upper().casefold()


def _unpadded(text: str) -> str:
    return _PADDING.sub("", text)


def _joined(text: str) -> str:
    return re.sub(r"[-_ /]", "_", text)


def _last(text: str) -> str:
    return text.rpartition("/")[2]


_KEYS: tuple[tuple[str, Key], ...] = (
    ("their Unicode form", _composed),
    ("letter case", _folded),
    ("the word for their role", _without_roles),
    ("zeros before a number", _unpadded),
)
_FOLDER_KEYS: tuple[tuple[str, Key], ...] = (
    ("how folders are joined to the name", _joined),
    ("the folders that they lie in", _last),
)
_CUT = "a part of its number"
"""Frames 10 to 19 are not frames 0 to 9 with something before them: such a rule is seen, and refused."""
_AFFIX = "what all names of a side begin or end with"


def whole_pairing(left: Sequence[str], right: Sequence[str]) -> WholePairing | None:
    """The partner on the right of every name on the left, where a rule pairs all of both; else None.

    Args:
        left, right: the names of each side, paths with ``/`` and extensions; each once.

    Raises:
        DataError: rules that do not agree hold; the message has the names.
    """
    if len(left) != len(right) or not left:
        return None
    if set(left) == set(right):
        return WholePairing({name: name for name in left}, "")
    sides = _labels(left, right)
    equal = _bijection(*sides)
    if equal is not None:
        return WholePairing(equal, "")
    found: dict[tuple[tuple[str, str], ...], WholePairing] = {}
    for rule, partners in _candidates(*sides):
        key = tuple(sorted(partners.items()))
        if key not in found or found[key].rule == _CUT:
            found[key] = WholePairing(partners, rule)
        if len(found) > 1:
            _refuse(list(found.values()))
    only = next(iter(found.values()), None)
    if only is not None and only.rule == _CUT:
        name = min(only.partners)
        raise DataError(f"{name} could belong to {only.partners[name]}, without {_CUT}: rename one side to equal names")
    return only


def _refuse(found: Sequence[WholePairing]) -> None:
    first, second = found
    name = next(name for name in sorted(first.partners) if first.partners[name] != second.partners[name])
    raise DataError(
        f"{name} could belong to {first.partners[name]} (by names without {first.rule}) or to {second.partners[name]}"
        f" (without {second.rule}): rename one side to equal names"
    )


def _labels(left: Sequence[str], right: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is compared of each name: it without its extension, or with it where it would not be unique."""
    stems = [{name: stem(name) for name in names} for names in (left, right)]
    if all(len(set(side.values())) == len(side) for side in stems):
        return stems[0], stems[1]
    return {name: name for name in left}, {name: name for name in right}


def _bijection(left: dict[str, str], right: dict[str, str]) -> Pairing | None:
    """Pairs of names with one text, where every text is there once on each side."""
    left_by = {text: name for name, text in left.items()}
    right_by = {text: name for name, text in right.items()}
    if len(left_by) != len(left) or len(right_by) != len(right) or left_by.keys() != right_by.keys():
        return None
    return {name: right_by[text] for text, name in left_by.items()}


def _candidates(left: dict[str, str], right: dict[str, str]) -> Iterator[tuple[str, Pairing]]:
    """Every rule that holds, the simplest first: the words for what is left out, and the pairs."""
    one_flat = _nested(left) != _nested(right)
    keys = (*_KEYS, *_FOLDER_KEYS) if one_flat else _KEYS
    subsets = [each for size in range(len(keys) + 1) for each in itertools.combinations(keys, size)]
    for chosen in subsets[1:]:
        pairs = _bijection(_keyed(left, chosen), _keyed(right, chosen))
        if pairs is not None:
            yield _listed([word for word, _ in chosen]), pairs
    for chosen in subsets:
        if len(chosen) <= 1 or len(chosen) == len(keys):
            for pairs, cut in _affixed(_keyed(left, chosen), _keyed(right, chosen)):
                yield _CUT if cut else _listed([*(word for word, _ in chosen), _AFFIX]), pairs


def _nested(side: dict[str, str]) -> bool:
    return any("/" in text for text in side.values())


def _keyed(side: dict[str, str], keys: Sequence[tuple[str, Key]]) -> dict[str, str]:
    texts = dict(side)
    for _, key in keys:
        texts = {name: key(text) for name, text in texts.items()}
    return texts


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _affixed(left: dict[str, str], right: dict[str, str]) -> Iterator[tuple[Pairing, bool]]:
    """Pairings by names without what is common to the beginnings or ends of a side; whether they cut a number."""
    if len(set(left.values())) != len(left) or len(set(right.values())) != len(right):
        return
    if len(left) > 1:
        for prefix_first in (True, False):
            pairs = _bijection(_stripped(left, prefix_first), _stripped(right, prefix_first))
            if pairs is not None:
                yield pairs, False
    yield from _added(left, right)
    for pairs, cut in _added(right, left):
        yield {mine: its for its, mine in pairs.items()}, cut


def _stripped(side: dict[str, str], prefix_first: bool) -> dict[str, str]:
    """The names less the longest beginning and end that all their last parts share; numbers stay whole."""
    parts = {name: text.rpartition("/") for name, text in side.items()}
    atoms = {name: _ATOMS.findall(base) for name, (_, _, base) in parts.items()}
    for from_start in (prefix_first, not prefix_first):
        lists = [each if from_start else each[::-1] for each in atoms.values()]
        shared = _shared(lists)
        atoms = {name: each[shared:] if from_start else each[: len(each) - shared] for name, each in atoms.items()}
    return {name: f"{folder}{slash}{''.join(atoms[name])}" for name, (folder, slash, _) in parts.items()}


def _shared(sequences: list[str] | list[list[str]]) -> int:
    """How many elements all sequences begin with."""
    first: Sequence[str] = min(sequences)
    last: Sequence[str] = max(sequences)
    return next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


def _added(longer: dict[str, str], shorter: dict[str, str]) -> Iterator[tuple[Pairing, bool]]:
    """Pairings where each name of one side is one of the other with the same text before and behind it.

    Every place where that text can be divided is tried, so what was really added is among the results.
    """
    whole = sum(map(len, longer.values())) - sum(map(len, shorter.values()))
    length, rest = divmod(whole, len(longer))
    if rest or length < 1:
        return
    names = {text: name for name, text in longer.items()}
    for inner in (True, False) if any("/" in text for text in shorter.values()) else (False,):
        shared = [text.rpartition("/")[2] if inner else text for text in longer.values()]
        most, least = _shared(shared), length - _shared([text[::-1] for text in shared])
        for before in range(max(least, 0), min(most, length) + 1):
            prefix, suffix = shared[0][:before], shared[0][len(shared[0]) - (length - before) :]
            made = {name: _with(text, prefix, suffix, inner) for name, text in shorter.items()}
            if set(made.values()) == names.keys() and (len(made) > 1 or _set_off(prefix, suffix)):
                cut = _cuts_number(prefix, suffix, shorter.values())
                yield {names[text]: name for name, text in made.items()}, cut


def _cuts_number(prefix: str, suffix: str, texts: Iterable[str]) -> bool:
    before, behind = prefix[-1:].isdecimal(), suffix[:1].isdecimal()
    bases = [text.rpartition("/")[2] for text in texts]
    return (before and any(base[:1].isdecimal() for base in bases)) or (
        behind and any(base[-1:].isdecimal() for base in bases)
    )


def _with(text: str, prefix: str, suffix: str, inner: bool) -> str:
    folder, slash, base = text.rpartition("/") if inner else ("", "", text)
    return f"{folder}{slash}{prefix}{base}{suffix}"


def _set_off(prefix: str, suffix: str) -> bool:
    """Whether what was added to a single name is set off from it, so that ``cats`` is not taken for ``cat``."""
    before = not prefix or prefix[-1] in SEPARATORS
    return before and (not suffix or suffix[0] in SEPARATORS or _SCALE.fullmatch(suffix) is not None)
