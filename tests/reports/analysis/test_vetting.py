"""Records that come from anywhere: what reports cannot compute with is named, everything else is believed.

Types and sizes are the store's to check (`benchmarks/store/test_records.py`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.reports.analysis.vetting import oddity

from ..stores import made_record, shared_cells

TEXTS = ("suite", "model", "title", "variant", "provenance", "protocol", "command", "finished", "task", "dataset")


def test_the_records_of_runs_are_sound() -> None:
    assert [oddity(cell.record) for cell in shared_cells(previews=False) if oddity(cell.record)] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"suite_tasks": ()}, "suite_tasks is empty"),
        ({"weights": {"training": {"images": 0}}}, "weights.training is not what the trainer writes"),
        ({"weights": {"training": {"images": 5, "history": [3]}}}, "weights.training is not what the trainer writes"),
    ],
)
def test_what_is_odd_is_named(changes: dict[str, Any], words: str) -> None:
    assert words in oddity(made_record(**changes))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEXTS), st.text())
def test_any_text_is_a_text(name: str, text: str) -> None:
    assert oddity(dataclasses.replace(made_record(), **{name: text})) == ""


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FACTS = st.sampled_from(("images", "steps", "seconds", "recipe", "lists_sha256", "machine", "history"))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FACTS | st.text(max_size=3), ANYTHING, max_size=5))
def test_any_facts_of_a_training_are_judged_without_an_error(facts: dict[str, Any]) -> None:
    assert isinstance(oddity(made_record(weights={"training": facts})), str)
