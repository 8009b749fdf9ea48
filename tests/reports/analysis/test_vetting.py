"""Records that come from anywhere: what is not what its field says is named, everything else is believed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.benchmarks.store.records import Record
from restorebench.reports.analysis.vetting import oddity

from ..stores import made_record, shared_cells

TEXTS = ("suite", "model", "title", "variant", "provenance", "protocol", "command", "finished", "task", "dataset")


def test_the_records_of_runs_are_sound() -> None:
    assert [oddity(cell.record) for cell in shared_cells(previews=False) if oddity(cell.record)] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": ["x"]}, "title is list, not str"),
        ({"expected": True}, "expected is bool, not int"),
        ({"seconds": float("nan")}, "seconds is no usable number"),
        ({"scored": 2**70}, "scored is no usable number"),
        ({"suite_tasks": ()}, "suite_tasks is empty"),
        ({"suite_tasks": ("a", 1)}, "suite_tasks[1] is int, not str"),
        ({"failures": (("a", 1),)}, "failures[0][1] is int, not str"),
        ({"weights": {"training": {"images": 0}}}, "weights.training is not what the trainer writes"),
        ({"weights": {"training": {"images": 5, "history": [3]}}}, "weights.training is not what the trainer writes"),
        ({"environment": {"torch_threads": "2"}}, "environment.torch_threads is str, not int"),
        ({"config": {"a": [10**40]}}, "config.a.0 is no usable number"),
    ],
)
def test_what_is_odd_is_named(changes: dict[str, Any], words: str) -> None:
    assert words in oddity(made_record(**changes))


def test_deep_nesting_is_refused_and_not_followed() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    assert "nested more than" in oddity(made_record(config={"a": deep}))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEXTS), st.text())
def test_any_text_is_a_text(name: str, text: str) -> None:
    assert oddity(dataclasses.replace(made_record(), **{name: text})) == ""


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([field.name for field in dataclasses.fields(Record)]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.lists(st.integers(), max_size=2)
    | st.binary(max_size=2),
)
def test_any_other_value_is_judged_without_an_error(name: str, value: object) -> None:
    assert isinstance(oddity(dataclasses.replace(made_record(), **{name: value})), str)
