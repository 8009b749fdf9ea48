"""The documentation's JSON Schema accepts the records that runs write, and refuses what the suite itself refuses."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from restorebench import evaluate
from restorebench.benchmarks.store.records import Record, RecordError, canonical

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from docs.generation.schema import record_schema, record_tables, schema_text


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Records of a run, as JSON."""
    results = tmp_path_factory.mktemp("results")
    for model, tasks in (("identity", "5d"), ("anyir", "denoise")):
        evaluate(model, tasks, size=64, limit=1, results=results, device="cpu", progress=False)
    return [json.loads(path.read_text()) for path in sorted(results.rglob("record.json"))]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """Of the schema, once it is one."""
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.slow
def test_it_accepts_the_records_of_a_run(
    stored: list[dict[str, Any]], validator: jsonschema.Draft202012Validator
) -> None:
    assert len(stored) == 8
    for record in stored:
        assert [error.message for error in validator.iter_errors(record)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"scored": "8"},
        {"scored": 2**70},
        {"schema_version": 3},
        {"unheard_of": 1},
        {"failures": [["name"]]},
        {"checksum": "short"},
        {"means": {}},
        {"suite_tasks": [1]},
    ],
    ids=str,
)
def test_it_refuses_what_the_suite_refuses(
    change: dict[str, Any], stored: list[dict[str, Any]], validator: jsonschema.Draft202012Validator
) -> None:
    changed = {**stored[0], **change}
    if "checksum" not in change:
        del changed["checksum"]
        changed["checksum"] = hashlib.sha256(canonical(changed)).hexdigest()
    assert not validator.is_valid(changed)
    with pytest.raises(RecordError):
        Record.from_json(json.dumps(changed))


@pytest.mark.slow
def test_it_accepts_other_values_of_the_right_types(
    stored: list[dict[str, Any]], validator: jsonschema.Draft202012Validator
) -> None:
    changed = {**stored[0], "title": "Another", "failures": [["a", "b"]], "cost": None}
    del changed["checksum"]
    changed["checksum"] = hashlib.sha256(canonical(changed)).hexdigest()
    assert validator.is_valid(changed)
    assert Record.from_json(json.dumps(changed)).title == "Another"


@pytest.mark.slow
def test_it_refuses_a_record_without_any_one_of_its_fields(
    stored: list[dict[str, Any]], validator: jsonschema.Draft202012Validator
) -> None:
    for name in record_schema()["required"]:
        assert not validator.is_valid({key: value for key, value in stored[0].items() if key != name}), name


def test_every_field_of_a_record_is_described() -> None:
    schema = record_schema()
    assert set(schema["properties"]) == {field.name for field in fields(Record)} | {"checksum"}
    undescribed = [name for name, value in schema["properties"].items() if not value.get("description")]
    assert undescribed == []
    assert all(f"| `{field.name}` |" in record_tables() for field in fields(Record))
