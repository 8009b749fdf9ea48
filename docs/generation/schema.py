"""JSON Schema of a cell's ``record.json``, from the dataclasses of ``benchmarks/store`` and their docstrings."""

from __future__ import annotations

import inspect
import json
import re
import types
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from restorebench.benchmarks.store.parts import LARGEST, LEFT_OUT
from restorebench.benchmarks.store.records import CHECKSUM, SCHEMA_VERSION, Record
from restorebench.benchmarks.store.rows import ImageRow

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SIMPLE = {str: "string", bool: "boolean"}
NUMBERS = {int: "integer", float: "number"}


def record_schema() -> dict[str, Any]:
    """The schema of the files that this version writes."""
    parts: dict[str, Any] = {}
    whole = _object(Record, parts)
    whole["properties"] |= {
        "schema_version": {
            "const": SCHEMA_VERSION,
            "description": whole["properties"]["schema_version"]["description"],
        },
        CHECKSUM: {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "SHA-256 of all other fields as JSON without spaces, its keys sorted.",
        },
    }
    whole["required"] = sorted([*whole["required"], CHECKSUM])
    return {"$schema": DIALECT, "title": "record.json of restorebench", **whole, "$defs": dict(sorted(parts.items()))}


def _object(kind: type[Any], parts: dict[str, Any]) -> dict[str, Any]:
    hints, texts = get_type_hints(kind), descriptions(kind)
    properties = {}
    for field in fields(kind):
        properties[field.name] = _schema(hints[field.name], parts)
        if field.name in texts:
            properties[field.name] |= {"description": texts[field.name]}
    required = [field.name for field in fields(kind) if LEFT_OUT not in field.metadata]
    return {
        "type": "object",
        "description": inspect.getdoc(kind).partition("\n\n")[0],  # type: ignore[union-attr]
        "properties": properties,
        "required": sorted(required),
        "additionalProperties": False,
    }


def _schema(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type as `parts.decoded` reads it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in parts:
            parts[hint.__name__] = {}
            parts[hint.__name__] = _object(hint, parts)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if hint in NUMBERS:
        return {"type": NUMBERS[hint], "exclusiveMinimum": -LARGEST, "exclusiveMaximum": LARGEST}
    if hint is types.NoneType:
        return {"type": "null"}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each, parts) for each in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], parts)}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": _schema(arguments[0], parts)}
    if origin is tuple:
        return {
            "type": "array",
            "prefixItems": [_schema(each, parts) for each in arguments],
            "minItems": len(arguments),
            "maxItems": len(arguments),
        }
    raise TypeError(f"no schema for {hint}")


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What the ``Attributes`` of a docstring say, by name; a line about several names is each one's."""
    text = inspect.getdoc(kind) or ""
    _, _, listed = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    current: list[str] = []
    for line in listed.splitlines():
        if not line.strip():
            break
        start = re.match(r"    (?! )([\w, ]+): (.*)", line)
        if start:
            current = [name.strip() for name in start.group(1).split(",")]
            found |= dict.fromkeys(current, start.group(2))
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in current}
    return found


def schema_text() -> str:
    """The schema as a file."""
    return json.dumps(record_schema(), indent=2) + "\n"


def record_tables() -> str:
    """The fields of a record and its parts, a table each, and the columns of ``images.csv``."""
    schema = record_schema()
    parts = [*_table("record.json", schema)]
    for name, part in schema["$defs"].items():
        parts += _table(name, part)
    texts = descriptions(ImageRow)
    rows = [f"| `{field.name}` | {texts.get(field.name, '')} |" for field in fields(ImageRow)]
    parts += [
        "### images.csv",
        "\n".join(["| column | meaning |", "|---|---|", *rows, "| `check` | checksum of the row |"]),
    ]
    return "\n\n".join(parts)


def _table(name: str, part: dict[str, Any]) -> list[str]:
    rows = []
    for field, schema in part["properties"].items():
        optional = "" if field in part["required"] else " (may be left out)"
        said = schema.get("description", "")
        rows.append(f"| `{field}` | {_named(schema)}{optional} | {said.replace('|', chr(92) + '|')} |")
    return [f"### {name}", part["description"], "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])]


def _named(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_named(each) for each in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return str(schema.get("type", "any"))
