"""``bench run|train|profile --help``: the groups, and the keys with their defaults and what the files of ``conf`` say.

Everything is read from there: the comments behind the keys, the first sentence above each choice of a group, the
examples of ``hydra.help``; for keys that no file has, from the docstrings of the schema. Nothing is composed.
"""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, get_type_hints

import yaml

from ...evaluation.config import CONFIG_MODULE
from .hydra import HydraCommand

GROUPS = {
    "run": ("data", "experiment", "launcher", "hydra/launcher"),
    "train": ("recipe", "launcher", "hydra/launcher"),
    "profile": ("launcher", "hydra/launcher"),
}
"""Groups of ``conf`` that each command takes; those that there are."""
HYDRA_KEYS = ("defaults", "hydra")
KEY_COLUMN = 30
LEAST_WIDTH, MOST_WIDTH = 80, 140
LONGEST_VALUE = 60
_KEY_LINE = re.compile(r"(?P<indent> *)(?P<key>[\w.@/-]+):(?P<rest>.*)")
_COMMENT = re.compile(r"(?:^|\s)#\s?(?P<text>.*)$")
_ATTRIBUTE = re.compile(r"(?P<names>\w+(?:, \w+)*): (?P<text>.*)")

OPTIONS = """\
options:
  -m, --multirun      a sweep: one job for each combination of values, KEY=A,B,C
  --cfg job           show the configuration that the overrides make, run nothing
  --info defaults     show which files of conf it is made of
  --hydra-help        what Hydra takes besides
  -h, --help          this text"""


@dataclass(frozen=True)
class Entry:
    """A key as it is typed, with its default and what it means."""

    key: str
    value: str
    comment: str


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether ``-h`` or ``--help`` is among the arguments."""
    return any(argument in ("-h", "--help") for argument in arguments)


def help_text(command: HydraCommand[Any], arguments: Sequence[str] = ()) -> str:
    """The help of a command.

    Args:
        command: its configuration.
        arguments: a group chosen among them, as ``recipe=denoise``, shows the keys of that choice.
    """
    width = min(MOST_WIDTH, max(LEAST_WIDTH, shutil.get_terminal_size((120, 24)).columns))
    main = _configuration(f"{command.name}.yaml")
    defaults = default_groups(command.name)
    head, _, _ = main["hydra"]["help"]["template"].partition("Keys and their defaults")
    parts = [head.replace("${hydra.help.header}", main["hydra"]["help"]["header"]).strip(), OPTIONS]
    shown = list(entries(f"{command.name}.yaml"))
    for group in (name for name in GROUPS.get(command.name, ()) if _folder(name).is_dir()):
        sign = "" if group in defaults or group.startswith("hydra/") else "+"
        rows = [
            Entry(f"{sign}{group}={name}", "", f"(default) {said}" if name == defaults.get(group) else said)
            for name, said in choices(group)
        ]
        rows = [Entry(row.key, "", _line(row.comment, width - max(len(each.key) for each in rows) - 4)) for row in rows]
        parts.append(f"{sign}{group}=, one of:\n{_table(rows, width)}")
    for group, default in defaults.items():
        if group in GROUPS.get(command.name, ()):
            choice = next((a.partition("=")[2] for a in arguments if a.startswith(f"{group}=")), default)
            shown += [each for each in _of_choice(group, choice) if each.key not in {e.key for e in shown}]
    of_schema = list(schema_entries(command.schema))
    said = {entry.key: entry.comment for entry in of_schema}
    shown = [Entry(each.key, each.value, each.comment or said.get(each.key, "")) for each in shown]
    known = {entry.key for entry in shown}
    shown += [entry for entry in of_schema if not _is_within(entry.key, known)]
    parts.append(f"keys and their defaults (override with key=value):\n{_table(shown, width)}")
    return "\n\n".join(parts) + "\n"


def default_groups(command: str) -> dict[str, str]:
    """The groups in the defaults list of a command's configuration, with the choice of each."""
    listed = _configuration(f"{command}.yaml")["defaults"]
    return {group: choice for each in listed if isinstance(each, dict) for group, choice in each.items()}


def group_names(command: str) -> tuple[str, ...]:
    """The groups that a command takes, of those that there are."""
    return tuple(name for name in GROUPS.get(command, ()) if _folder(name).is_dir())


def choices(group: str) -> list[tuple[str, str]]:
    """Name and first sentence of every choice of a group, sorted by name."""
    names = sorted(each.name.removesuffix(".yaml") for each in _folder(group).iterdir() if each.name.endswith(".yaml"))
    return [(name, _first_sentence(_text(f"{group}/{name}.yaml"))) for name in names]


def sweep_of(experiment: str) -> str:
    """What an experiment sweeps over, as it would be typed."""
    sweeper = _configuration(f"experiment/{experiment}.yaml").get("hydra", {}).get("sweeper", {})
    return " ".join(f"{key}={value}" for key, value in sweeper.get("params", {}).items())


def entries(file: str, prefix: str = "") -> Iterator[Entry]:
    """The keys of a file of ``conf`` with their comments, in its order; Hydra's own aside.

    Args:
        file: its name below ``conf``.
        prefix: stands before each key.
    """
    said = _comments(_text(file))
    for key, value in _leaves(_configuration(file)):
        if key.partition(".")[0] not in HYDRA_KEYS:
            yield Entry(prefix + key, _short(value), said.get(key, ""))


def schema_entries(schema: type[Any], prefix: str = "") -> Iterator[Entry]:
    """The keys of a schema with their defaults and what its docstrings say."""
    said = _attributes(inspect.getdoc(schema) or "")
    hints = get_type_hints(schema)
    instance = schema()
    for each in fields(schema):
        kind = hints[each.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from schema_entries(kind, f"{prefix}{each.name}.")
        else:
            value = getattr(instance, each.name)
            yield Entry(
                f"{prefix}{each.name}", _short(value if not isinstance(value, list) else []), said.get(each.name, "")
            )


def _of_choice(group: str, choice: str) -> list[Entry]:
    """The keys that a choice of a group sets, those of the choices that it builds on among them."""
    if not _folder(group).joinpath(f"{choice}.yaml").is_file():
        return []
    text = _text(f"{group}/{choice}.yaml")
    prefix = "" if "@package _global_" in text else f"{group}."
    own = {entry.key: entry for entry in entries(f"{group}/{choice}.yaml", prefix)}
    below: dict[str, Entry] = {}
    for base in _configuration(f"{group}/{choice}.yaml").get("defaults", []):
        if isinstance(base, str) and base != "_self_":
            below |= {entry.key: entry for entry in _of_choice(group, base)}
    merged = {
        key: Entry(key, own[key].value, own[key].comment or entry.comment) if key in own else entry
        for key, entry in below.items()
    }
    return list((merged | {key: entry for key, entry in own.items() if key not in merged}).values())


def _is_within(key: str, known: Iterable[str]) -> bool:
    """Whether a key, or one above or below it, is among those known."""
    return any(key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.") for other in known)


def _folder(group: str) -> Traversable:
    return files(CONFIG_MODULE).joinpath(*group.split("/"))


def _text(file: str) -> str:
    return files(CONFIG_MODULE).joinpath(*file.split("/")).read_text(encoding="utf-8")


def _configuration(file: str) -> dict[str, Any]:
    return dict(yaml.safe_load(_text(file)) or {})


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _comments(text: str) -> dict[str, str]:
    """What stands behind ``#`` on the line of each key, by the dotted key; of a key with keys below it, theirs too."""
    said: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _KEY_LINE.fullmatch(line)
        if match is None:
            continue
        depth = len(match["indent"])
        above = [(indent, key) for indent, key in above if indent < depth]
        above.append((depth, match["key"]))
        comment = _COMMENT.search(match["rest"])
        if comment:
            said[".".join(key for _, key in above)] = comment["text"].strip()
    return said


def _attributes(docstring: str) -> dict[str, str]:
    """What a docstring's ``Attributes:`` say of each."""
    said: dict[str, str] = {}
    names: list[str] = []
    _, _, listed = docstring.partition("Attributes:\n")
    for line in listed.splitlines():
        match = _ATTRIBUTE.fullmatch(line.strip()) if re.match(r" {4}\S", line) else None
        if match:
            names = match["names"].split(", ")
            said |= dict.fromkeys(names, match["text"])
        elif line.strip() and line.startswith("     "):
            said |= {name: f"{said[name]} {line.strip()}" for name in names}
        else:
            names = []
    return {name: text.rstrip(".").replace("``", "") for name, text in said.items()}


def _first_sentence(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if "@package" not in line:
            lines.append(line.removeprefix("#").strip())
    sentence, _, _ = " ".join(lines).partition(". ")
    return sentence.rstrip(".")


def _line(text: str, width: int) -> str:
    """What of a text goes on one line."""
    return textwrap.shorten(text, width, placeholder=" ..", break_on_hyphens=False)


def _short(value: object) -> str:
    """A default in the form that an override takes, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} .."


def _table(rows: Sequence[Entry], width: int) -> str:
    """A row an entry: key and default, then its comment in a column of its own, wrapped."""
    lines = []
    column = KEY_COLUMN if any(row.value for row in rows) else max(len(row.key) for row in rows) + 4
    for row in rows:
        start = f"  {row.key}={row.value}" if row.value else f"  {row.key}"
        if not row.comment:
            lines.append(start)
            continue
        if len(start) >= column:
            lines.append(start)
            start = ""
        indent = " " * column
        wrapped = textwrap.wrap(
            row.comment, width, initial_indent=start.ljust(column), subsequent_indent=indent, break_on_hyphens=False
        )
        lines += wrapped
    return "\n".join(lines)
