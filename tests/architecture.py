"""The house as its code has it: which file imports which, read from the syntax trees, and what a rule allows."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOP_FOLDERS = ("restorebench", "models", "datasets", "benchmarks", "reports", "conf")
"""Folders that are installed, as `restorebench` itself and as its sub-packages."""


@dataclass(frozen=True)
class Import:
    """One file imports another; both are paths from the root without ``.py``, a package as its folder."""

    importer: str
    imported: str
    line: int


def modules(root: Path) -> dict[str, Path]:
    """Python files of the installed folders by name: ``models/card``; ``models`` is ``models/__init__.py``."""
    named = {}
    for top in TOP_FOLDERS:
        for path in sorted((root / top).rglob("*.py")):
            name = path.relative_to(root).with_suffix("").as_posix()
            named[name.removesuffix("/__init__")] = path
    return named


def imports(root: Path) -> list[Import]:
    """Every import of one of these files by another, those inside functions too, those for type checkers alone not."""
    known = modules(root)
    return [
        Import(name, imported, line)
        for name, path in known.items()
        for imported, line in _imports_of(name, path, known)
        if imported != name
    ]


def _imports_of(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, int]]:
    package = name if path.name == "__init__.py" else name.rpartition("/")[0]
    for node in _executed(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "restorebench":
                    yield _file(_inside(alias.name), known), node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base is not None:
                for alias in node.names:
                    yield _file(_inside(f"{base}.{alias.name}"), known), node.lineno


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _executed(other)
            continue
        yield child
        yield from _executed(child)


def _inside(dotted: str) -> str:
    """``restorebench.models.card`` as ``models/card``; ``restorebench.atomic`` as ``restorebench/atomic``."""
    parts = dotted.split(".")[1:]
    return "/".join(parts if parts and parts[0] in TOP_FOLDERS else ["restorebench", *parts])


def _base(node: ast.ImportFrom, package: str) -> str | None:
    """What ``from X import`` means by X, as a dotted name; None outside the project."""
    if node.level == 0:
        dotted = node.module or ""
        return dotted if dotted.split(".")[0] == "restorebench" else None
    parts = ["restorebench", *(package.split("/") if package != "restorebench" else [])]
    kept = parts[: len(parts) - (node.level - 1)]
    if not kept:
        raise ValueError(f"an import of level {node.level} leaves the package, in {package}")
    return ".".join([*kept, *([node.module] if node.module else [])])


def _file(path: str, known: Mapping[str, Path]) -> str:
    """The file that defines a path: itself, or the module or package whose attribute it is."""
    while path not in known:
        if "/" not in path:
            raise ValueError(f"{path} is not a file of the project")
        path = path.rpartition("/")[0]
    return path


def cycles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of names that reach each other (strongly connected components of two or more), by Tarjan."""
    graph: dict[str, list[str]] = {}
    for start, end in edges:
        graph.setdefault(start, []).append(end)
        graph.setdefault(end, [])
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for following in graph[node]:
            if following not in index:
                visit(following)
                lowest[node] = min(lowest[node], lowest[following])
            elif following in stack:
                lowest[node] = min(lowest[node], index[following])
        if lowest[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return groups


def room(name: str) -> str:
    """The room of a file: its folder below a top folder; a file of the top folder itself is a room of its own."""
    top, _, rest = name.partition("/")
    return f"{top}/{rest.split('/')[0]}" if rest else top


def within(name: str, places: Iterable[str]) -> bool:
    """Whether a file is one of these files or lies in one of these folders; a top folder stands for all in it."""
    return any(name == place or name.startswith(f"{place}/") for place in places)
