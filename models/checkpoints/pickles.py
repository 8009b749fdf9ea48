"""A pickle read as plain data: its instructions are followed here, and none of them can call or import anything.

Python's own unpickler imports what a pickle names and calls it. This one has no way to do either: a name stays a name
(`Name`), a call of a name becomes what `CONTAINERS` or the reader's own table makes of it, or else a `Placeholder` that
only remembers what it stands for. So whatever a checkpoint holds besides its tensors (settings, numpy values, paths, an
optimiser's state, objects of the user's classes) is passed over, whether or not its classes exist here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bounds import instructions

LONGEST_NAME = 80
"""Characters of a name that messages show."""
SMALL_INTEGER = 2**31
"""Integers below this may be keys: the hashes of larger ones, and of other values, could be made to collide."""

CODE_MODULES = frozenset(
    (
        *("os", "posix", "nt", "subprocess", "sys", "runpy", "importlib", "imp", "code", "codeop", "pty", "ctypes"),
        *("shutil", "socket", "webbrowser", "commands", "popen2", "multiprocessing", "asyncio", "marshal", "pickle"),
        *("pip", "pdb", "bdb", "timeit", "profile", "cProfile", "trace", "threading", "signal", "tempfile"),
    )
)
CODE_BUILTINS = frozenset(
    (
        *("eval", "exec", "compile", "execfile", "open", "file", "__import__", "input", "breakpoint", "apply"),
        *("globals", "locals", "vars", "setattr", "delattr"),
    )
)
"""What no checkpoint calls, unless it is there to do harm: nothing here is called, such a file is refused besides."""


class CodeError(Exception):
    """A pickle calls what only runs code; the message is its name."""


class Name:
    """A module's attribute that a pickle names: never looked up."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"[:LONGEST_NAME]
        return text if text.isprintable() else ascii(text)[1:-1]


class Placeholder:
    """An object that is not made.

    Attributes:
        kind: name of what would have made it.
        items: what would have been put into it by keys.
        state: what would have become its attributes.
    """

    __slots__ = ("items", "kind", "state")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.items: dict[Any, Any] = {}
        self.state: Mapping[Any, Any] = {}


Maker = Callable[[Sequence[Any]], Any]
"""Makes plain data of a call's arguments."""


def _table(arguments: Sequence[Any]) -> dict[Any, Any]:
    """A dictionary, which some versions fill through pairs that are its argument."""
    filled: dict[Any, Any] = {}
    pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) == 2:
            filled[_key(pair[0])] = pair[1]
    return filled


def _sequence(arguments: Sequence[Any]) -> list[Any]:
    return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []


CONTAINERS: Mapping[tuple[str, str], Maker] = {
    ("collections", "OrderedDict"): _table,
    ("collections", "defaultdict"): _table,
    ("builtins", "dict"): _table,
    ("__builtin__", "dict"): _table,
    **{
        (module, name): _sequence
        for module in ("builtins", "__builtin__")
        for name in ("list", "set", "frozenset", "tuple")
    },
}
"""Classes of Python's own that only hold values. `collections.defaultdict` without what makes its default."""


def read_pickle(
    data: bytes, start: int, makers: Mapping[tuple[str, str], Maker], persistent: Callable[[Any], Any]
) -> tuple[Any, int]:
    """What a pickle holds, and where it ends.

    Args:
        data: bytes with a pickle in them. How many instructions it may have is `bounds.check_pickle`'s to say.
        start: where it begins.
        makers: by module and name, what makes plain data of a call's arguments, besides `CONTAINERS`.
        persistent: what stands for a persistent id.

    Returns:
        Numbers, text, bytes, None, lists, tuples, dictionaries, `Name`, `Placeholder`, and what `makers` and
        `persistent` give.

    Raises:
        CodeError: it calls what only runs code.
        ValueError, LookupError, TypeError: it is damaged.
    """
    file = io.BytesIO(data)
    file.seek(start)
    machine = _Machine({**CONTAINERS, **makers}, persistent)
    for instruction, argument in instructions(file):
        machine.follow(instruction.name, argument)
    return machine.pop(), file.tell()


def _key(value: Any) -> Any:
    """A key whose hash costs no time whatever the file says: others are told apart, but nobody finds them."""
    if isinstance(value, str) or (type(value) is int and abs(value) < SMALL_INTEGER):
        return value
    return Placeholder(type(value).__name__)


class _Machine:
    """The stack, marks and memo of a pickle."""

    def __init__(self, makers: Mapping[tuple[str, str], Maker], persistent: Callable[[Any], Any]) -> None:
        self._makers, self._persistent = makers, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        if name in _PLAIN:
            self._stack.append(argument)
        elif name in _SINGLE:
            self._stack.append(_SINGLE[name]())
        else:
            step = _STEPS.get(name)
            if step is None:
                raise ValueError(f"instruction {name}")
            step(self, argument)

    def pop(self) -> Any:
        """Take the top value; a mark is in nobody's reach."""
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise IndexError("a pickle takes from an empty stack")
        return self._stack.pop()

    @property
    def _top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise IndexError("a pickle looks at an empty stack")
        return self._stack[-1]

    def _marked(self) -> list[Any]:
        """Take the values above the last mark, and the mark."""
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # What the instructions do

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _drop(self, _: Any) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self.pop()

    def _drop_marked(self, _: Any) -> None:
        self._marked()

    def _twice(self, _: Any) -> None:
        self._stack.append(self._top)

    def _nothing(self, _: Any) -> None:
        pass

    def _remember(self, argument: Any) -> None:
        self._memo[len(self._memo) if argument is None else int(argument)] = self._top

    def _recall(self, argument: Any) -> None:
        self._stack.append(self._memo[int(argument)])

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._marked()))

    def _tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(values)))

    def _list(self, _: Any) -> None:
        self._stack.append(self._marked())

    def _dict(self, _: Any) -> None:
        values = self._marked()
        table: dict[Any, Any] = {}
        self._put_all(table, values)
        self._stack.append(table)

    def _append(self, _: Any) -> None:
        value = self.pop()
        self._extend([value])

    def _append_marked(self, _: Any) -> None:
        self._extend(self._marked())

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self._top, list):
            self._top.extend(values)

    def _set_item(self, _: Any) -> None:
        value = self.pop()
        key = self.pop()
        self._put_all(self._top, [key, value])

    def _set_marked(self, _: Any) -> None:
        values = self._marked()
        self._put_all(self._top, values)

    def _put_all(self, target: Any, values: list[Any]) -> None:
        table = target.items if isinstance(target, Placeholder) else target
        if len(values) % 2:
            raise ValueError("a key without a value")
        if isinstance(table, dict):
            for key, value in zip(values[::2], values[1::2], strict=True):
                table[_key(key)] = value

    def _name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(Name(module, name))

    def _name_from_stack(self, _: Any) -> None:
        name = self.pop()
        module = self.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self._stack.append(Name(module, name))

    def _extension(self, argument: Any) -> None:
        self._stack.append(Placeholder(f"extension {argument}"))

    def _call(self, _: Any) -> None:
        arguments = self.pop()
        self._made(self.pop(), arguments)

    def _call_with_keywords(self, _: Any) -> None:
        self.pop()
        self._call(None)

    def _call_named(self, argument: str) -> None:
        values = self._marked()
        self._name(argument)
        self._made(self.pop(), tuple(values))

    def _call_marked(self, _: Any) -> None:
        values = self._marked()
        self._made(values[0], tuple(values[1:]))

    def _made(self, called: Any, arguments: Any) -> None:
        """Put what stands for the result of a call on the stack."""
        if not isinstance(called, Name):
            kind = called.kind if isinstance(called, Placeholder) else type(called).__name__
            self._stack.append(Placeholder(kind))
            return
        root = called.module.partition(".")[0]
        builtin = root in ("builtins", "__builtin__") and called.name.partition(".")[0] in CODE_BUILTINS
        if root in CODE_MODULES or builtin:
            raise CodeError(str(called))
        maker = self._makers.get((called.module, called.name))
        made = maker(arguments) if maker is not None and isinstance(arguments, tuple) else None
        self._stack.append(Placeholder(str(called)) if made is None else made)

    def _attributes(self, _: Any) -> None:
        state = self.pop()
        if isinstance(state, tuple) and len(state) == 2:  # attributes, and those in slots
            state = state[0] if isinstance(state[0], dict) else state[1]
        if isinstance(self._top, Placeholder) and isinstance(state, dict):
            self._top.state = state

    def _persistent_id(self, _: Any) -> None:
        self._stack.append(self._persistent(self.pop()))

    def _persistent_text(self, argument: Any) -> None:
        self._stack.append(self._persistent(argument))


_PLAIN = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)
_SINGLE: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP", "READONLY_BUFFER"), _Machine._nothing),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine._remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._recall),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Machine._extension),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine._call),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine._append_marked),
    **dict.fromkeys(("LIST", "FROZENSET"), _Machine._list),
    "MARK": _Machine._mark,
    "POP": _Machine._drop,
    "POP_MARK": _Machine._drop_marked,
    "DUP": _Machine._twice,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "DICT": _Machine._dict,
    "APPEND": _Machine._append,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_marked,
    "GLOBAL": _Machine._name,
    "STACK_GLOBAL": _Machine._name_from_stack,
    "INST": _Machine._call_named,
    "OBJ": _Machine._call_marked,
    "NEWOBJ_EX": _Machine._call_with_keywords,
    "BUILD": _Machine._attributes,
    "BINPERSID": _Machine._persistent_id,
    "PERSID": _Machine._persistent_text,
}
