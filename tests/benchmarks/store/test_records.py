"""Records survive the way to the disk and back, byte for byte, and whatever is not one is told."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.store.folders import Store
from restorebench.benchmarks.store.parts import (
    ComplexityRecord,
    CostRecord,
    DataRecord,
    EnvironmentRecord,
    Identity,
    LpipsRecord,
    NumericsRecord,
    WeightsRecord,
    cell_id,
)
from restorebench.benchmarks.store.records import SCHEMA_VERSION, Record, RecordError, canonical
from restorebench.benchmarks.store.rows import ImageRow, Means

STORED = Path(__file__).with_name("record.json")
"""As a run wrote it: tiny RBaIR on haze, on a CPU."""

PLAIN = Record(
    schema_version=SCHEMA_VERSION,
    cell="0123456789abcdef",
    suite="3d",
    suite_tasks=("dehaze@set", "denoise-15@set"),
    task="denoise",
    dataset="set",
    sigma=15,
    model="identity",
    title="Degraded input",
    variant="input",
    overrides={},
    provenance="input",
    weights=WeightsRecord(kind="not needed", path=None, sha256=None, provenance="input", description="", training=None),
    protocol="promptir@1",
    lpips=LpipsRecord(backbone="alex", weights=None),
    identity=Identity(
        model="identity",
        variant="input",
        overrides={},
        revision=1,
        weights=None,
        seed=None,
        task="denoise-15@set",
        data="",
        protocol={"protocol": "promptir@1"},
        numerics=NumericsRecord(
            device="cpu", dtype="float32", tf32=False, channels_last=False, compile=False, tile=None
        ),
    ),
    data=DataRecord(description="", licence=""),
    expected=2,
    scored=2,
    failures=(),
    means=Means(psnr=24.5, ssim=0.5, input_psnr=24.5, input_ssim=0.5),
    complexity=ComplexityRecord(parameters=0, macs=0, statement=""),
    config={},
    environment=EnvironmentRecord(
        versions={},
        python="3",
        platform="",
        git_revision=None,
        host="",
        device="cpu",
        device_name="a CPU",
        cpu_count=2,
        torch_threads=2,
        cuda=None,
    ),
    command="bench run model=identity tasks=3d",
    started="2026-01-01T00:00:00+00:00",
    finished="2026-01-01T00:00:01.000000+00:00",
    seconds=1.0,
    computed=2,
)
COST = CostRecord(latency_ms=1.0, passes=1, size=(1, 1), batch=1, threads=1, peak_mib=None, peak_how="")


def record(**changes: Any) -> Record:
    """A record with everything filled in, whose id is that of its identity unless it is given.

    A dictionary changes single fields of a part.
    """
    made = changed(PLAIN, changes)
    return made if "cell" in changes else dataclasses.replace(made, cell=cell_id(made.identity))


def changed(part: Any, changes: dict[str, Any]) -> Any:
    """A part of a record, or a record, with changes; a dictionary changes single fields of a part of it."""
    values = {}
    for name, value in changes.items():
        old = COST if name == "cost" else getattr(part, name)
        values[name] = changed(old, value) if dataclasses.is_dataclass(old) and isinstance(value, dict) else value
    return dataclasses.replace(part, **values)


def test_a_record_comes_back_equal() -> None:
    several = record(failures=(("a.png", "NaN"),), cost={"size": (8, 9)}, identity={"numerics": {"batch": "auto"}})
    for made in (record(), several):
        assert Record.from_json(made.to_json()) == made


def version_2(text: str) -> str:
    """A record of version 3 as version 2 wrote it: without cost."""
    values = json.loads(text)
    del values["cost"]
    return json.dumps({**values, "schema_version": 2}, indent=2, sort_keys=True) + "\n"


@pytest.mark.parametrize("stored", [STORED.read_text(), version_2(STORED.read_text())], ids=["3", "2"])
def test_a_record_of_a_run_is_written_again_byte_for_byte(stored: str) -> None:
    read = Record.from_json(stored)
    assert read.to_json() == stored
    assert read.weights.sha256 == read.identity.weights
    assert read.complexity.size == (256, 256)
    assert read.identity.numerics.batch == 1
    assert (read.cost is None) == (read.schema_version == 2)


def test_a_record_without_counted_multiply_adds_has_only_what_is_known() -> None:
    values = json.loads(STORED.read_text())
    values["complexity"] = {"parameters": 5, "macs": None, "statement": "not counted: it branches"}
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    assert Record.from_json(text).to_json() == text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:100], "not a record"),
        (lambda text: text.replace('"seconds"', '"secondz"'), "unknown field secondz .did you mean 'seconds'"),
        (lambda text: text.replace('  "seconds": 1.0,\n', ""), "no field seconds"),
        (lambda text: text.replace('"sha256"', '"sha265"'), "unknown field weights.sha265 .did you mean 'sha256'"),
        (lambda text: text.replace('    "host": "",\n', ""), "no field environment.host"),
        (lambda text: text.replace('"tf32"', '"tf23"'), "unknown field identity.numerics.tf23"),
        (lambda text: text.replace('"failures": []', '"failures": [1]'), "not a record"),
        (lambda text: json.dumps({**json.loads(text), "lpips": 1}), "lpips is no object"),
        (lambda text: "[]", "not a record"),
        (lambda text: text.replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'), "schema version 99"),
    ],
)
def test_a_damaged_record_is_an_error(damage: Any, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Record.from_json(resealed(damage(record().to_json())))


def with_value(place: tuple[str, ...], value: Any) -> str:
    """A record's file with another value in a place, and a checksum that fits."""
    values = json.loads(record(cost={"size": (8, 9)}).to_json())
    part = values
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return resealed(json.dumps(values))


def nested(levels: int) -> Any:
    deep: Any = 1
    for _ in range(levels):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("title",), ["x"], "title is no str"),
        (("expected",), True, "expected is no int"),
        (("seconds",), False, "seconds is no float"),
        (("suite_tasks",), ["a", 1], "suite_tasks is no str"),
        (("failures",), [["a", 1]], "failures is no str"),
        (("environment", "torch_threads"), "2", "environment.torch_threads is no int"),
        (("cost", "latency_ms"), 1e300, "cost.latency_ms is no usable number"),
        (("means", "psnr"), -1e200, "means.psnr is no usable number"),
        (("config", "a"), [1e25], "config.a.0 is no usable number"),
        (("overrides",), {"width": {"b": -1e300}}, "overrides.width.b is no usable number"),
        (("weights", "training"), {"images": 1e19}, "weights.training.images is no usable number"),
        (("config",), {"a": nested(41)}, "config is nested more than 40 levels deep"),
        (("config",), {"a": nested(900)}, "config is nested more than 40 levels deep"),
        (("weights", "training"), {"history": nested(41)}, "weights is nested more than 40 levels deep"),
    ],
)
def test_a_value_of_another_type_or_beyond_all_measure_is_named(place: tuple[str, ...], value: Any, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        Record.from_json(with_value(place, value))


def test_forty_levels_are_read() -> None:
    assert Record.from_json(with_value(("config",), {"a": nested(38)})).config == {"a": nested(38)}


def resealed(text: str) -> str:
    """A record whose checksum is right, whatever stands in it."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        return text
    if isinstance(values, dict):
        values.pop("checksum", None)
        values["checksum"] = hashlib.sha256(canonical(values)).hexdigest()
    return json.dumps(values)


def test_a_changed_record_is_told_by_its_checksum() -> None:
    with pytest.raises(RecordError, match="checksum"):
        Record.from_json(record().to_json().replace("24.5", "24.6"))


def test_reading_a_store_names_what_it_cannot_read(tmp_path: Path) -> None:
    good = record()
    folder = Store(tmp_path).cell("3d", "identity", good.cell)
    with folder.claimed():
        folder.begin(rows_of(good))
        folder.finish(good, [row.image for row in rows_of(good)])
    bad = tmp_path / "3d" / "identity" / "bad"
    bad.mkdir()
    (bad / "record.json").write_text("{")
    records, problems = read_records(tmp_path)
    assert [dataclasses.replace(each, rows_sha256=None) for each in records] == [good]
    assert len(problems) == 1
    assert str(bad / "record.json") in problems[0]


def rows_of(made: Record) -> list[ImageRow]:
    """Rows that have the counts and means of a record."""
    means = made.means
    scores = {name: getattr(means, name) for name in ("psnr", "ssim", "lpips", "input_psnr", "input_ssim")}
    known = {name: value for name, value in scores.items() if value is not None}
    return [ImageRow(image=f"image-{i:02d}.png", status="ok", **known) for i in range(made.scored)] + [
        ImageRow(image=name, status="failed", message=reason) for name, reason in made.failures
    ]
