"""Words as they were typed, quoted for Hydra's grammar where their key takes a path or a text.

Hydra refuses ordinary file names: ``weights=epoch=9-step=100.ckpt``, names with brackets, commas, ``&``, letters that
are not English. Here a value of such a key is read as people mean it, and quoted:

- a file or folder that is there is meant literally, whatever characters its name has;
- what is in quotes is as it was, and so are ``null``, an interpolation ``${..}`` and a function ``choice(..)``;
- several values, separated by commas, are a sweep, whose values are quoted one by one; ``model=all`` is one over every
  restorer;
- everything else is one value.

Where both readings of a value hold, the user is asked, with the word to type for each. Keys of numbers, lists, names
and config groups are Hydra's alone.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence

from hydra.core.override_parser.types import Quote, QuotedString

from ....models.registry import ALL, network_names
from ...errors import UserError

LONG_KEYS = {"model.size_multiple": "size_multiple"}
"""Other spellings of keys: ``model`` is a word, so nothing can lie below it."""
PATH_KEYS = frozenset(
    (
        *("weights", "degraded", "clean", "results", "run"),
        *("data.root", "data.natural_images", "data.validation_images", "data.cache", "lpips.weights"),
    )
)
TEXT_KEYS = frozenset(("label",))
MODEL_KEY = "model"

_WORD = re.compile(r"(?P<prefix>\+{0,2})(?P<key>[A-Za-z_][A-Za-z0-9_.]*)=(?P<value>.*)", re.DOTALL)
_QUOTED = re.compile(r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*""", re.DOTALL)
_FUNCTION = re.compile(
    r"(?:choice|range|interval|glob|tag|sort|shuffle|int|float|str|bool)\s*\(.*\)", re.DOTALL | re.IGNORECASE
)
_INTERPOLATION = re.compile(r"\$\{[^}]+\}")
_SAFE = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@:-]*")
_ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")
_KEYWORDS = ("null", "true", "false")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def quoted_words(words: Sequence[str], *, multirun: bool) -> list[str]:
    """Overrides as Hydra has to see them.

    Args:
        words: as typed.
        multirun: whether a sweep is asked for, so that commas can separate values.

    Raises:
        UserError: a value can be read in two ways; the line says what to type for each.
    """
    return [_quoted_word(word, multirun=multirun) for word in words]


def quoted_form(word: str) -> str:
    """What to type in a shell for ``key=value`` with that very value."""
    key, _, value = word.partition("=")
    return shlex.quote(f"{key}={quoted(value)}")


def quoted(text: str) -> str:
    """A text as a quoted value of Hydra's grammar, of which Hydra and OmegaConf make the same text again."""
    escaped = escaped_interpolation(text)
    return QuotedString(escaped, Quote.single if '"' in text else Quote.double).with_quotes()


def escaped_interpolation(text: str) -> str:
    """A text that OmegaConf takes for no interpolation."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)


def _quoted_word(word: str, *, multirun: bool) -> str:
    match = _WORD.fullmatch(word)
    if match is None:
        return word
    prefix, value = match["prefix"], match["value"]
    key = LONG_KEYS.get(match["key"], match["key"])
    if key in PATH_KEYS:
        return f"{prefix}{key}={_value(key, value, _is_there, multirun=multirun)}"
    if key == MODEL_KEY:
        value = _every_restorer(value)
        return f"{prefix}{key}={_value(key, value, _is_file_of_reference, multirun=multirun)}"
    if key in TEXT_KEYS:
        return f"{prefix}{key}={_value(key, value, lambda _: False, multirun=multirun)}"
    return f"{prefix}{key}={value}"


def _every_restorer(value: str) -> str:
    """Names with ``all`` among them, in whose place every restorer stands that has a network without a checkpoint."""
    names = [name.strip() for name in value.split(",")]
    if ALL not in names:
        return value
    return ",".join(dict.fromkeys(each for name in names for each in (network_names() if name == ALL else [name])))


def _value(key: str, value: str, is_there: Callable[[str], bool], *, multirun: bool) -> str:
    """A value as Hydra has to see it; `is_there` says whether it is something that exists."""
    if not value.strip():
        return value
    there = is_there(value)
    if value.lower() == "null":
        if there:
            raise UserError(
                f"{key}={value} can be no value at all, or the file {value} that is here: for the file type"
                f" {key}=./{value}, for none leave {key}= out"
            )
        return value
    if _QUOTED.fullmatch(value):
        inner = value.strip()[1:-1]
        if there and is_there(inner):
            raise _ambiguous(key, value, f"the file {value}", quoted(value), f"the file {inner}", quoted(f"./{inner}"))
        return _literal(key, value) if there else value
    plain = _ESCAPED.sub(r"\1", value)
    if plain != value and not there and is_there(plain):  # Hydra's own escapes, as in command lines that it prints
        return _literal(key, plain)
    parts = _parts(value)
    if len(parts) > 1:
        return _several(key, value, parts, is_there, multirun=multirun)
    if not there and (_FUNCTION.fullmatch(value) or _INTERPOLATION.search(value)):
        return value
    return _single(key, value)


def _several(key: str, value: str, parts: Sequence[str], is_there: Callable[[str], bool], *, multirun: bool) -> str:
    if is_there(value):
        if multirun and all(is_there(part) for part in parts):
            sweep = ",".join(map(quoted, parts))
            raise _ambiguous(key, value, "the one file", quoted(value), "a sweep over the others", sweep)
        return _literal(key, value)
    return ",".join(_part(key, part) for part in parts)


def _part(key: str, part: str) -> str:
    """One of several values of a sweep."""
    as_it_is = part.lower() == "null" or _QUOTED.fullmatch(part) or _INTERPOLATION.search(part)
    # Hydra writes the values of a sweep anew, and would write a colon with a backslash.
    return part if as_it_is else _literal(key, part) if ":" in part else _single(key, part)


def _ambiguous(key: str, value: str, first: str, one: str, second: str, other: str) -> UserError:
    return UserError(
        f"{key}={value} can be {first} or {second}, and all are here; for {first} type {shlex.quote(f'{key}={one}')},"
        f" for {second} type {shlex.quote(f'{key}={other}')}"
    )


def _single(key: str, value: str) -> str:
    """One value; a plain name is left as it is, so that command lines in records stay readable."""
    if _SAFE.fullmatch(value) and value.lower() not in _KEYWORDS and not _is_number(value):
        return value
    return _literal(key, value)


def _literal(key: str, value: str) -> str:
    if key not in TEXT_KEYS:
        value = _home(value)
        if value == "???":  # OmegaConf's word for a value that is missing
            value = "./???"
    return quoted(value)


def _home(value: str) -> str:
    """A path with ``~`` as a shell expands it; a file here whose name begins with it stays that file."""
    if not value.startswith("~"):
        return value
    expanded = os.path.expanduser(value)  # noqa: PTH111  (Path's raises where there is no such user)
    return f"./{value}" if expanded == value or os.path.lexists(value) else expanded


def _parts(value: str) -> list[str]:
    """A value at its commas outside quotes and brackets; the whole where a part would be empty: that is no sweep."""
    parts, open_brackets, quote, start, place = [], list[str](), "", 0, 0
    while place < len(value):
        character = value[place]
        if quote:
            if character == "\\":
                place += 1
            elif character == quote:
                quote = ""
        elif character in "'\"" and not value[start:place].strip():
            quote = character
        elif character in _CLOSING:
            open_brackets.append(_CLOSING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        elif character == "," and not open_brackets:
            parts.append(value[start:place])
            start = place + 1
        place += 1
    parts.append(value[start:])
    if quote or open_brackets:  # not closed: then they are letters of a name
        parts = value.split(",")
    stripped = [part.strip() for part in parts]
    return stripped if len(parts) > 1 and all(stripped) else [value]


def _is_there(path: str) -> bool:
    return os.path.lexists(path) or os.path.lexists(os.path.expanduser(path))  # noqa: PTH111  (as above)


def _is_file_of_reference(name: str) -> bool:
    place, _, attribute = name.rpartition(":")
    return bool(place) and "," not in attribute and _is_there(place)  # with a comma, what follows is another value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
