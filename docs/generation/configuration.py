"""The configuration reference: keys, types, defaults and comments, from ``conf`` and the dataclasses behind it."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from .schema import descriptions

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
SCHEMAS = {
    "run": ("restorebench.benchmarks.evaluation.config", "RunConfig"),
    "train": ("restorebench.benchmarks.training.config", "TrainConfig"),
    "profile": ("restorebench.benchmarks.profiling.config", "ProfileConfig"),
}
"""Module and name of the dataclass that types a main configuration."""
NOT_KEYS = ("defaults", "hydra")


@dataclass(frozen=True)
class Key:
    """A key of a configuration file.

    Attributes:
        name: with dots, as on the command line.
        default: as the file has it.
        comment: beside it in the file; "" where there is none.
    """

    name: str
    default: str
    comment: str


def keys(path: Path) -> list[Key]:
    """The keys of a file in its order, but those of Hydra itself."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text)
    return [] if root is None else list(_keys(root, text.splitlines(), ""))


def _keys(node: yaml.Node, lines: list[str], above: str) -> Iterator[Key]:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        if not above and key.value in NOT_KEYS:
            continue
        name = f"{above}{key.value}"
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _keys(value, lines, f"{name}.")
            continue
        block = isinstance(value, yaml.SequenceNode) and not value.flow_style
        end = key.end_mark if block else value.end_mark
        default = yaml.safe_load(yaml.serialize(value)) if block else _written(value, lines)
        yield Key(name, str(default), _comment(lines[end.line][end.column :]))


def _written(node: yaml.Node, lines: list[str]) -> str:
    """A value as the file has it."""
    return lines[node.start_mark.line][node.start_mark.column : node.end_mark.column]


def _comment(rest: str) -> str:
    """What stands after ``#`` behind a value."""
    found = re.search(r"#\s*(.*)", rest)
    return found.group(1).strip() if found else ""


def head(path: Path) -> str:
    """The comment at the top of a file, as one paragraph."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        found.append(line.lstrip("# ").strip())
    return " ".join(found)


def types_of(kind: type[Any], above: str = "") -> dict[str, tuple[str, str]]:
    """Type of each key of a configuration dataclass and what its docstring says, those of parts with dots."""
    found = {}
    hints, texts = get_type_hints(kind), descriptions(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            found |= types_of(hint, f"{above}{field.name}.")
        else:
            found[f"{above}{field.name}"] = (in_words(hint), texts.get(field.name, ""))
    return found


def in_words(hint: Any) -> str:
    """A type as the reference names it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return "any"
    if hint is types.NoneType:
        return "null"
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(each) for each in arguments)
    if origin is list:
        return f"list of {in_words(arguments[0])}"
    if origin is dict:
        return f"{in_words(arguments[1])} by name"
    if is_dataclass(hint):
        return " and ".join(field.name for field in fields(hint))
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
        hint.__name__, hint.__name__
    )


def _row(key: Key, kind: str, text: str) -> str:
    """A line of the table; a key without a default has one in every recipe."""
    default = f"`{_cell(key.default)}`" if key.default else "the recipe's"
    return f"| `{key.name}` | {kind} | {default} | {_cell(key.comment or text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def command_keys(name: str) -> str:
    """The table of one of the main configurations."""
    module, schema = SCHEMAS[name]
    kinds = types_of(getattr(import_module(module), schema))
    listed = keys(CONF / f"{name}.yaml")
    if name == "run":
        listed += [Key(f"data.{key.name}", key.default, key.comment) for key in keys(CONF / "data" / "auto.yaml")]
    known = {key.name for key in listed}
    listed += [Key(key, "", "") for key in kinds if key not in known]
    rows = [_row(key, *kinds.get(key.name, ("any", ""))) for key in listed]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def group(path: Path) -> str:
    """The choices of a group of configurations, each with the comment at its top and its own keys."""
    parts = []
    for file in sorted(path.glob("*.yaml")):
        override = f"+{path.name}" if path.name == "experiment" else path.name
        parts += [f"### `{override}={file.stem}`", head(file)]
        rows = [f"| `{key.name}` | `{_cell(key.default)}` | {_cell(key.comment)} |" for key in keys(file)]
        if rows:
            parts.append("\n".join(["| key | value | remark |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def configuration_page() -> str:
    """The whole page."""
    parts = [
        "# Configuration",
        "Every key of `bench run`, `bench train` and `bench profile`, from the files of `conf/` and the types behind "
        "them. `key=value` overrides, several values with commas are a sweep (`-m`), `--cfg job` shows the "
        "configuration and runs nothing.",
    ]
    for name in SCHEMAS:
        parts += [f"## bench {name}", head(CONF / f"{name}.yaml"), command_keys(name)]
    groups = sorted(path for path in CONF.iterdir() if path.is_dir() and list(path.glob("*.yaml")))
    for folder in groups:
        parts += [f"## Group {folder.name}", group(folder)]
    return "\n\n".join(parts) + "\n"
