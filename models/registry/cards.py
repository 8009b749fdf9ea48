"""Cards read without their networks, so that lists and mistakes need not wait for torch.

Of a file of `networks` only the statements that its cards are made of are executed: constants, functions, and imports
of `card` and of the standard library. Where that does not suffice, the file has to be imported as a whole.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..card import ModelCard

DECORATOR = "register"
_CARDS = "card"
"""The module of cards, as the files of `networks` import it: ``from ..card import ModelCard``."""


@dataclass(frozen=True)
class FoundCard:
    """A card, and where its network is when it is needed.

    Attributes:
        card: read from the file.
        module: full name of the file's module.
        network: name of the class in it.
    """

    card: ModelCard
    module: str
    network: str

    @property
    def where(self) -> str:
        """Full name of the class."""
        return f"{self.module}.{self.network}"


def found_cards(module: str, path: Path) -> list[FoundCard] | None:
    """The cards of the networks that a file registers; None where only importing it can tell.

    Args:
        module: full name of its module.
        path: the file.
    """
    text = path.read_text(encoding="utf-8")
    if DECORATOR not in text:
        return []
    body = ast.parse(text).body
    classes: list[ast.ClassDef] = [each for each in body if isinstance(each, ast.ClassDef)]
    networks = [(one, argument) for one in classes if (argument := _registered_with(one)) is not None]
    uses = [node for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Name) and node.id == DECORATOR]
    if len(uses) != len(networks):  # it registers some in another way
        return None
    cards = []
    for network, argument in networks:
        card = _evaluated(argument, body, module, path)
        if card is None:
            return None
        cards.append(FoundCard(card, module, network.name))
    return cards


def _registered_with(network: ast.ClassDef) -> ast.expr | None:
    """What stands in the brackets of ``@register(...)`` above a class; None without it."""
    for each in network.decorator_list:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == DECORATOR:
            return each.args[0] if len(each.args) == 1 and not each.keywords else None
    return None


def _evaluated(expression: ast.expr, body: list[ast.stmt], module: str, path: Path) -> ModelCard | None:
    """The card that an expression at a file's top level gives; None where it takes more than light statements."""
    statements = _needed(expression, body)
    if statements is None:
        return None
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    result = ast.Assign([ast.Name("__card__", ast.Store())], expression)
    tree = ast.fix_missing_locations(ast.Module([future, *statements, result], []))
    namespace: dict[str, Any] = {"__name__": module, "__package__": module.rpartition(".")[0]}
    try:
        exec(compile(tree, str(path), "exec"), namespace)
    except Exception:  # it needs what was left out: then importing the file says what is wrong, if anything is
        return None
    card = namespace["__card__"]
    return card if isinstance(card, ModelCard) else None


def _needed(expression: ast.expr, body: list[ast.stmt]) -> list[ast.stmt] | None:
    """The statements that give the names in an expression, in order; None where one of them may be heavy."""
    homes: dict[str, ast.stmt] = {}
    for statement in body:
        for name in _defined(statement):
            if name in homes:
                homes[name] = ast.Pass()  # defined twice: which one is meant depends on the place
            else:
                homes[name] = statement
    needed: list[ast.stmt] = []
    waiting = list(_names([expression]))
    while waiting:
        home = homes.get(waiting.pop())
        if home is None or home in needed:
            continue
        if not _is_light(home):
            return None
        needed.append(home)
        waiting += _names([home])
    return [statement for statement in body if statement in needed]


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at a file's top level defines."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from ((each.asname or each.name).partition(".")[0] for each in statement.names)
    elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _is_light(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import):
        return all(each.name.partition(".")[0] in sys.stdlib_module_names for each in statement.names)
    if isinstance(statement, ast.ImportFrom):
        if statement.level:
            return (statement.level, statement.module) == (2, _CARDS)
        return (statement.module or "").partition(".")[0] in sys.stdlib_module_names
    return isinstance(statement, ast.Assign | ast.AnnAssign | ast.FunctionDef)


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that nodes read, those of annotations aside."""
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                children = value if isinstance(value, list) else [value]
                yield from _names(child for child in children if isinstance(child, ast.AST))
