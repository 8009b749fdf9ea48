"""Networks of the user's own: a class or function in a file, or in a module that can be imported, named on the spot.

Nothing is looked for: exactly the file that a reference names is executed, and what that file imports itself. A
reference is ``path/to/file.py:NAME`` or ``package.module:NAME``, and may end in ``@8``: sides are then padded to
multiples of 8 pixels.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from ...messages import nearest, one_line
from ..card import NetworkSource
from ..errors import ModelError

LARGEST_SOURCE = 2**24
"""Bytes of a file that is taken for Python."""
LARGEST_MULTIPLE = 4096

_REFERENCE = re.compile(r"(?P<place>.+):(?P<name>[^:@]*)(?:@(?P<multiple>[^:@]*))?", re.DOTALL)
_imported: dict[str, str] = {}
"""sha256 of their files, by name of the modules that references have named."""
_loading = threading.RLock()


@dataclass(frozen=True)
class Reference:
    """What a reference says: a file or module, a name in it, and the multiple of its sides where it has one."""

    place: str
    name: str
    multiple: int | None

    @property
    def path(self) -> Path | None:
        """The file; None for a module that is to be imported."""
        parts = self.place.split(".")
        is_module = all(part.isidentifier() for part in parts) and not self.place.endswith(".py")
        return None if is_module else Path(self.place).expanduser()


def is_reference(name: str) -> bool:
    """Whether a model's name is a reference to a network of the user's own; no registered one can have a colon."""
    return ":" in name


def with_multiple(name: str, multiple: int | None) -> str:
    """A reference with its size multiple; `name` itself for None.

    Raises:
        ModelError: `name` is of a registered restorer, whose card has the size rule.
    """
    if multiple is None:
        return name
    if not is_reference(name):
        raise ModelError(
            f"size_multiple={multiple} is for a network of your own (model=FILE.py:NAME); {name} has its size rule in"
            " its card: leave it out"
        )
    reference = parsed(name)
    return f"{reference.place}:{reference.name}@{multiple}"


def parsed(text: str) -> Reference:
    """A reference in its parts.

    Raises:
        ModelError: it is none.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None or not all(part.isidentifier() for part in match["name"].split(".")):
        raise ModelError(f"cannot read model={text}: write FILE.py:NAME or package.module:NAME, NAME a class in it")
    multiple = match["multiple"]
    if multiple is None:
        return Reference(match["place"], match["name"], None)
    if not re.fullmatch(r"[1-9][0-9]{0,5}", multiple) or int(multiple) > LARGEST_MULTIPLE:
        raise ModelError(f"size_multiple={multiple}: give a whole number of pixels from 1 to {LARGEST_MULTIPLE}")
    return Reference(match["place"], match["name"], int(multiple))


def loaded(text: str) -> tuple[Any, NetworkSource]:
    """The object that a reference names, its file executed anew (a module: imported once a process).

    Raises:
        ModelError: there is no such file, module or name, or its code fails; one line that says where.
    """
    reference = parsed(text)
    path = reference.path
    with _loading:
        module, sha256, imports = _module(reference.place) if path is None else _executed(path)
    where = reference.place if path is None else str(path)
    found: Any = module
    for part in reference.name.split("."):
        names = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
        try:
            found = getattr(found, part)
        except Exception as error:  # a module's __getattr__ is code of the user's
            likely = nearest(part, names)
            listed = "" if likely else _listed([name for name in names if _is_defined(module, name)])
            raise ModelError(f"{where} has no {part!r}{likely}{listed}") from error
    place = reference.place if path is None else str(path.resolve())
    suffix = "" if reference.multiple is None else f"@{reference.multiple}"
    return found, NetworkSource(
        reference=f"{place}:{reference.name}{suffix}",
        name=reference.name,
        sha256=sha256,
        imports=imports,
        size_multiple=reference.multiple,
    )


def candidates(path: Path) -> str:
    """``; it has A, B``: classes and functions of a file by its text, which is not executed; empty if there is none."""
    try:
        nodes = ast.parse(_content(path)).body
    except (ModelError, SyntaxError, ValueError, RecursionError):
        return ""
    classes = [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    return _listed([name for name in classes or functions if not name.startswith("_")])


def multiple_of(network: object) -> int | None:
    """``size_multiple`` of a class or function, if it has one.

    Raises:
        ModelError: it is no whole number of pixels.
    """
    value = getattr(network, "size_multiple", None)
    if value is None or isinstance(value, property | functools.cached_property):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_MULTIPLE:
        raise ModelError(
            f"size_multiple of {getattr(network, '__name__', network)!s} is {value!r}: give a number of pixels"
        )
    return value


def _listed(names: Sequence[str]) -> str:
    return f"; it has {', '.join(names[:10])}" if names else ""


def _is_defined(module: ModuleType, name: str) -> bool:
    value = vars(module).get(name)
    return inspect.isroutine(value) or inspect.isclass(value) if callable(value) else False


def _content(path: Path) -> bytes:
    """The bytes of a file of Python.

    Raises:
        ModelError: there is none.
    """
    try:
        if not path.is_file():
            similar = [each.name for each in path.parent.glob("*.py")] if path.parent.is_dir() else []
            what = f"{path} is no file" if path.exists() else f"there is no file {path}{nearest(path.name, similar)}"
            raise ModelError(f"{what}: model=FILE.py:NAME takes the path of a Python file")
        if path.stat().st_size > LARGEST_SOURCE:
            raise ModelError(f"{path} is {path.stat().st_size} bytes long: that is no file of Python")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be read ({one_line(error)})") from error
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{str(path)!r} cannot be the path of a file ({one_line(error)})") from error


def _executed(path: Path) -> tuple[ModuleType, str, tuple[tuple[str, str], ...]]:
    """A file as a module of its own, the sha256 of what was executed, and those of what it imported beside itself."""
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    path = path.resolve()
    name = f"restorebench_own_{hashlib.sha256(str(path).encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    before = sys.modules.get(name)
    sys.modules[name] = module  # where dataclasses and type hints look
    try:
        with _told(path), _neighbours(path.parent) as imports:
            exec(compile(content, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise
    return module, sha256, tuple(sorted(imports.items()))


def _module(name: str) -> tuple[ModuleType, str, tuple[tuple[str, str], ...]]:
    """An importable module, also one in the working folder, and the sha256 of its source."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        with _told(name):
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"there is no module {name}: write model=path/to/FILE.py:NAME for a file, or install its package"
        ) from error
    finally:
        with contextlib.suppress(ValueError):  # the module may have changed the list itself
            sys.path.remove(folder)
    source = getattr(module, "__file__", None)
    if not source or not Path(source).is_file():
        raise ModelError(f"{name} has no source file, which would tell its scores from those of others: name a file")
    sha256 = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    if _imported.setdefault(name, sha256) != sha256:
        raise ModelError(f"{source} has changed since it was imported: start a new process, or name it by its path")
    return module, sha256, ()


@contextlib.contextmanager
def _told(place: Path | str) -> Iterator[None]:
    """Whatever the user's code raises is one line.

    Raises:
        ModelError: it raised something.
        ModuleNotFoundError: `place` is a module, and not there.
    """
    try:
        yield
    except SyntaxError as error:
        line = "" if error.lineno is None else f", line {error.lineno}"
        raise ModelError(f"{error.filename or place}{line}: {error.msg}: that is no valid Python") from error
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and isinstance(place, str) and (place == missing or place.startswith(f"{missing}.")):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(place)]
        at = f", line {lines[-1]}" if lines else ""
        raise ModelError(f"{place}{at} cannot be imported: {one_line(error)}") from error


class _Neighbours:
    """Finds modules in one folder, as Python does for a script; those of the standard library come first."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.found: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """As ``importlib.abc.MetaPathFinder``."""
        if path is not None or name in sys.stdlib_module_names:
            return None
        spec = PathFinder.find_spec(name, [self.folder])
        if spec is None or spec.loader is None:  # a folder without __init__.py is left to the other finders
            return None
        self.found.add(name)
        return spec


@contextlib.contextmanager
def _neighbours(folder: Path) -> Iterator[dict[str, str]]:
    """Inside the block, modules beside a file can be imported; at its end their hashes are in what it gave.

    They are forgotten then, so that those of the same name beside another file are not taken for them.
    """
    finder, hashes = _Neighbours(folder), dict[str, str]()
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    importlib.invalidate_caches()
    try:
        yield hashes
    finally:
        sys.meta_path.remove(finder)  # type: ignore[arg-type]
        for name in [each for each in sys.modules if each.partition(".")[0] in finder.found]:
            file = getattr(sys.modules.pop(name), "__file__", None)
            if file and Path(file).is_file():
                hashes[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
