"""Names of images, exactly, in files of one line a row and in the names of files; and what a stored name may be."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata

LONGEST_FILE_NAME = 255
"""Bytes of a file's name that every usual file system takes."""
SHORT = 60
"""Characters of an image's name that stand before the hash in a hashed one."""

_ESCAPED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNESCAPED = {written[1]: character for character, written in _ESCAPED.items()}
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.?))", re.DOTALL)

_HASHED = re.compile(r"-[0-9a-f]{16}$")

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,199}")
_LABEL = re.compile(r"[\w@+()\[\]](?:[\w.@+()\[\] -]{0,198}[\w.@+()\[\]-])?")


def escaped(text: str) -> str:
    """A text that has one line and can be written as UTF-8, from which `unescaped` makes the text again.

    Backslashes, control characters, line and paragraph separators, and surrogates (bytes of a file name that are no
    UTF-8, see PEP 383) are written as Python writes them in a literal; everything else stays as it is.
    """
    if text.isprintable() and "\\" not in text:  # so are nearly all, and looking at each character takes its time
        return text
    return "".join(_written(character) for character in text)


def _written(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


def unescaped(text: str) -> str:
    """The text of which `escaped` made this.

    Raises:
        ValueError: it is none that `escaped` writes.
    """

    def character(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        if code:
            return chr(int(code, 16))
        if found[3] not in _UNESCAPED:
            raise ValueError(f"no escape: {found[0]!r}")
        return _UNESCAPED[found[3]]

    if text.isprintable() and "\\" not in text:
        return text
    result = _ESCAPE.sub(character, text)
    if escaped(result) != text:
        raise ValueError(f"not written as names are: {text[:80]!r}")
    return result


def shown(text: str) -> str:
    """A text for people on one line: what does not print is written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def file_name(image: str, suffix: str) -> str:
    """Name of a file that belongs to an image: the image's own, or a short one with its hash where that cannot be.

    An ordinary name is kept. One that is a path, is too long, begins with a dot, has characters that do not print, is
    not in the Unicode form NFC (which some disks make of every name), or ends as a name with a hash does, gives its
    first characters that do, and the beginning of the SHA-256 of the whole: no two names have one file.

    Args:
        image: name of the sample.
        suffix: of the file, with its dot.
    """
    plain = image.isprintable() and unicodedata.is_normalized("NFC", image)
    if (
        plain
        and image
        and not image.startswith(".")
        and "/" not in image
        and not _HASHED.search(image)
        and len(os.fsencode(image)) + len(suffix) <= LONGEST_FILE_NAME
    ):
        return image + suffix
    digest = hashlib.sha256(image.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    start = re.sub(r"[^A-Za-z0-9_-]+", "-", image.replace("/", "_")[:SHORT]).strip("-")
    return f"{start or 'image'}-{digest}{suffix}"


def preview_name(image: str) -> str:
    """File name of a sample's preview, an 8-bit PNG."""
    return file_name(image, ".png")


def is_folder_name(name: str) -> bool:
    """Whether a suite, model or cell may be called so: it is the name of one folder, and nothing else."""
    return _FOLDER.fullmatch(name) is not None


def is_label(name: str) -> bool:
    """Whether a task, data set, protocol or variant may be called so: letters, digits, ``_.@+()[]-`` and spaces."""
    return _LABEL.fullmatch(name) is not None


def restorer_name(title: str, variant: str) -> str:
    """What lists call a restorer: its title with the variant, unless that is the same word, as the input's is."""
    return title if title.casefold() == variant.casefold() else f"{title} ({variant})"


def is_title(text: str) -> bool:
    """Whether a text for people, which may be empty, is one line of at most 200 characters that print."""
    return len(text) <= 200 and text.isprintable()
