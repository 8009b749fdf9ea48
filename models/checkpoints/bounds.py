"""What a checkpoint claims of itself is looked at before it is read: a hostile file must not cost memory or time.

Its length is bounded already (`files.opened`). Here it is what the length does not bound: what a zip file unpacks to,
how many entries and tensors there are, how deep its pickle is nested. No code of a file is run here either: a pickle's
instructions are gone through by ``pickletools``, which executes none.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import ModelError

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch's format of before version 1.6 begins: five pickles, of which this is the first."""

MOST_ENTRIES = 100_000
"""Entries of a zip file; torch writes one for each tensor, and seven."""
MOST_INSTRUCTIONS = 500_000
"""Instructions of a pickle; a tensor takes 30."""
MOST_NESTED = 100
"""Tuples within tuples; a tensor takes 3."""
LONGEST_HEADER = 2**23
"""Bytes of a safetensors header; a tensor takes about 130."""
LONGEST_KEY = 1000
"""Characters of a tensor's name."""
MOST_PREFIXES = 16
"""Words that may stand before a network's keys; Lightning, DataParallel and both within each other make four."""
GROWTH, SMALL = 4, 2**26
"""A zip file may unpack to so many times its length, and to 64 MiB anyway. torch does not compress."""

_DIRECTORY_ENTRY = b"PK\x01\x02"
_TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_TO_MEMO = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FROM_MEMO = ("GET", "BINGET", "LONG_BINGET")


def check_zip(data: bytes, path: Path) -> None:
    """Refuse a zip file that unpacks to much more than it is, or whose pickle `check_pickle` refuses.

    Raises:
        ModelError: naming the file, and what is wrong.
    """
    entries = data.count(_DIRECTORY_ENTRY)  # counted before the directory is read, which would take memory
    if entries > MOST_ENTRIES:
        raise _refused(path, f"a zip file of {entries} entries, more than the {MOST_ENTRIES} that are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            whole = sum(info.file_size for info in infos)
            if whole > max(GROWTH * len(data), SMALL):
                raise _refused(path, f"its {len(data)} bytes unpack to {whole}, as no checkpoint of torch does")
            for info in infos:
                if info.filename.lower().endswith(".pkl"):  # torch's reader of zip files looks at no case
                    check_pickle(archive.read(info), path)
    except ModelError:
        raise
    except Exception as error:  # damaged zip files raise a dozen types, UnicodeDecodeError among them
        raise _damaged(path, error) from error


def check_pickles(data: bytes, path: Path) -> None:
    """Refuse a file in torch's older format whose pickles `check_pickle` refuses.

    Raises:
        ModelError: naming the file, and what is wrong.
    """
    position = 0
    for _ in range(5 if data.startswith(MAGIC) else 1):
        position = check_pickle(data, path, position)


def check_pickle(data: bytes, path: Path, start: int = 0) -> int:
    """Refuse a pickle of too many instructions or too deeply nested; where it ends.

    A tuple nested a million deep, taken for a key, would end the process: its hash is computed by recursion in C.

    Raises:
        ModelError: naming the file, and what is wrong.
    """
    file = io.BytesIO(data)
    file.seek(start)
    stack = _Depths()
    try:
        for count, (instruction, argument) in enumerate(instructions(file)):
            if count > MOST_INSTRUCTIONS:
                raise _refused(path, f"a pickle of more than {MOST_INSTRUCTIONS} instructions")
            if stack.after(instruction, argument) > MOST_NESTED:
                raise _refused(path, f"nested more than {MOST_NESTED} deep")
    except ModelError:
        raise
    except Exception as error:  # damaged pickles raise almost anything
        raise _damaged(path, error) from error
    return file.tell()


_BY_CODE = {each.code.encode("latin-1"): each for each in pickletools.opcodes}


def instructions(file: IO[bytes]) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    """The instructions of a pickle with their arguments, as ``pickletools.genops``, names of classes in UTF-8 too.

    Raises:
        ValueError: it is damaged.
    """
    while True:
        code = file.read(1)
        instruction = _BY_CODE.get(code)
        if instruction is None:
            raise ValueError("a pickle is cut off" if not code else f"no instruction has the code {code!r}")
        argument = None
        if instruction.name in ("GLOBAL", "INST"):
            argument = f"{_line(file)} {_line(file)}"
        elif instruction.arg is not None:
            argument = instruction.arg.reader(file)
        yield instruction, argument
        if instruction.name == "STOP":
            return


def _line(file: IO[bytes]) -> str:
    line = file.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a name without an end")
    return line[:-1].decode("utf-8")


class _Depths:
    """The stack of a pickle's machine, of whose values only is known how deep tuples are nested in them."""

    def __init__(self) -> None:
        self._stack: list[int | None] = []  # None is a mark
        self._memo: dict[object, int] = {}

    def after(self, instruction: pickletools.OpcodeInfo, argument: object) -> int:
        """How deep the value on top is nested after an instruction."""
        name, stack = instruction.name, self._stack
        if name in _TO_MEMO:
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1] or 0
            return 0
        if name in _FROM_MEMO:
            stack.append(self._memo[argument])
            return 0
        if name == "DUP":
            stack.append(stack[-1])
            return 0
        before = instruction.stack_before
        popped: list[int] = []
        fixed = len(before)
        if pickletools.markobject in before or (name == "POP" and stack and stack[-1] is None):
            while (depth := stack.pop()) is not None:
                popped.append(depth)
            fixed = before.index(pickletools.markobject) if pickletools.markobject in before else 0
        popped.extend(stack.pop() or 0 for _ in range(fixed))
        depth = max(popped, default=0) + (name in _TUPLES)
        made = 0 if name == "BINPERSID" else depth
        stack.extend(None if kind is pickletools.markobject else made for kind in instruction.stack_after)
        return depth


def _refused(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} is refused: {why}; pass a file that holds a bare state dict, or safetensors")


def _damaged(path: Path, error: Exception) -> ModelError:
    text = " ".join(str(error).split())[:100]
    return ModelError(f"{path} is no readable checkpoint, it may be damaged or incomplete ({text})")
