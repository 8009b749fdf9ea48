"""Printed costs say where they are from, what they leave out and at which size they were counted."""

from __future__ import annotations

import pytest

from restorebench.reports.published.complexity import load_complexity, printed_operations, printed_parameters
from restorebench.reports.published.transcriptions import Trap


def test_costs_say_where_they_are_from() -> None:
    params, macs = printed_parameters("PromptIR"), printed_operations("PromptIR")
    assert params.value == pytest.approx(35.592)
    assert macs.value == pytest.approx(172.71)
    assert "256x256" in macs.notes[0]
    assert printed_parameters("Perceive-IR").text == "42+86"
    assert any("not stated" in note for note in printed_operations("MIRAGE-S").notes)
    assert printed_parameters("no such model").value is None
    assert printed_operations("no such model").value is None


def test_kbnets_printed_macs_carry_what_they_leave_out() -> None:
    rows = {row.model: row for row in load_complexity() if row.model.lower().startswith("kbnet")}
    assert {row.macs_g for row in rows.values()} == {69.09, 57.8, 108.0}
    for row in rows.values():
        assert {flag.trap for flag in row.flags} == {Trap.KERNEL_BASIS_LEFT_OUT, Trap.SIZE_NOT_STATED}


def test_complexity_keeps_size_and_parts() -> None:
    rows = load_complexity()
    assert len(rows) == 132
    assert {(row.params_text, row.params_m) for row in rows if row.model == "VLU-Net"} == {("35+88", 123.0)}
    counted = [row for row in rows if row.model == "PromptIR" and row.input_size == "256x256"]
    assert [(row.macs_g, row.flags) for row in counted] == [(172.71, ())]
