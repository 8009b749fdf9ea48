"""Text from a record is data in every format: one function a format, which all that write use.

Names, titles, overrides, messages and commands may come from anyone. A format's function gives text back that a reader
of that format shows as it was, but for two things: white space of any kind is one space, and what cannot be seen or
would act on a terminal (control characters, changes of writing direction, halves of surrogate pairs) stands as its
number, ``\\x1b`` or ``\\u202e``. CSV keeps white space. May import nothing.
"""

from __future__ import annotations

import hashlib
import html as _html
import re
import unicodedata

_DIRECTIONS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    **{character: "\\" + character for character in "&%$#_{}"},
}
_BIBTEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "{": r"\{",
    "}": r"\}",
    **{character: "\\" + character for character in "&%$#_"},
}
_MARKDOWN = re.compile(r"([\\`*\[\]~$])|(?<!\w)(_)|(_)(?!\w)")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_LINE_START = re.compile(r"^(?:([#+=-])|(\d+)([.)]))(?=\s|$|[#=-])")
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NAME = re.compile(r"[^A-Za-z0-9._+-]+")
LONGEST_NAME = 120
"""Characters of a file name that is made of a record's text, its ending not counted."""


def visible(text: str) -> str:
    """Text on one line for a terminal, a log or a text file: nothing in it acts, breaks a line or hides."""
    line = " ".join(text.split())
    return line if line.isascii() and line.isprintable() else "".join(map(_shown, line))


def _shown(character: str) -> str:
    if character in _DIRECTIONS or unicodedata.category(character) in ("Cc", "Cs"):
        return character.encode("unicode_escape").decode("ascii")
    return character


def lines(text: str) -> str:
    """`visible` of every line of a text whose line breaks are our own."""
    return "\n".join("".join(map(_shown, line)) for line in text.split("\n"))


def latex(text: str) -> str:
    """Text for a LaTeX document; ``+-`` becomes the sign."""
    signed = visible(text).replace("+-", "±")
    escaped = "".join(_LATEX.get(character, character) for character in signed)
    # Two hyphens or quotes in a row would be drawn as one sign of another kind.
    return re.sub(r"(?<=-)(?=-)|(?<=')(?=')", "{}", escaped)


def bibtex(text: str) -> str:
    """Text for a field of a BibTeX entry."""
    return "".join(_BIBTEX.get(character, character) for character in visible(text))


def markdown(text: str) -> str:
    """Text for Markdown, inside a table too: no markup, raw HTML, link or end of a cell; ``+-`` becomes the sign."""
    signed = visible(text).replace("+-", "±")
    escaped = _MARKDOWN.sub(lambda match: "\\" + match[0], signed)
    escaped = "".join(_MARKUP.get(character, character) for character in escaped)
    escaped = _LINE_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", escaped)
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")  # some readers make links of bare addresses


def html(text: str) -> str:
    """Text for an HTML element or a quoted attribute; ``+-`` becomes the sign."""
    return _html.escape(visible(text).replace("+-", "±"))


def csv_cell(text: str) -> str:
    """Text for a CSV cell, so that no spreadsheet computes it.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break and is not simply a number gets an
    apostrophe in front, and so does one that begins with apostrophes before such a character: whoever reads the file
    takes one apostrophe away there (`csv_text`). A carriage return is a line break, since writers of CSV do not quote
    it; NUL and halves of surrogate pairs stand as their numbers.
    """
    if text.isascii() and text.isprintable():
        return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
    known = _SURROGATES.sub(lambda match: _shown(match[0]), text).replace("\0", "\\x00")
    known = known.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{known}" if _FORMULA.match(known) and not _NUMBER.fullmatch(known) else known


def csv_text(cell: str) -> str:
    """The text of a cell that `csv_cell` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def json_in_html(text: str) -> str:
    """JSON text that cannot end the script element it stands in, nor open a comment there."""
    known = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return _SURROGATES.sub(lambda match: f"\\u{ord(match[0]):04x}", known)


def figure(text: str) -> str:
    """Text for matplotlib, whose own lines are kept; `figures.style` draws ``$`` as what it is.

    A name that begins with an underscore, which legends leave out, gets a space in front.
    """
    drawn = "\n".join(visible(line) for line in text.split("\n"))
    return f" {drawn}" if drawn.startswith("_") else drawn


def file_stem(text: str) -> str:
    """A file name without its ending, safe on every system: letters, digits and ``._+-`` of `text`, never a path.

    What had to be changed or cut is told apart by the beginning of a hash of the whole.
    """
    safe = _NAME.sub("-", text).lstrip(".-")
    if safe and safe == text and len(text) <= LONGEST_NAME:
        return safe
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: LONGEST_NAME - 9].rstrip('.-')}-{digest}".lstrip("-")
