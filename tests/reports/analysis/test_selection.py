"""Rows that a reader asks for, by names of the registry or by labels."""

from __future__ import annotations

import pytest

from restorebench.reports.analysis.cells import chosen, knows_row
from restorebench.reports.errors import ReportError

from ..table_examples import embedded_group


def test_names_and_labels_choose_rows_in_their_order_with_the_input_first() -> None:
    group = embedded_group()
    assert chosen(group, None) is group
    rows = chosen(group, ["KBNet (tiny)", "rbair", "identity", "kbnet"]).restorers
    assert [row.label for row in rows] == ["Input", "KBNet (tiny)", "RBaIR (tiny)"]


@pytest.mark.parametrize("written", ["KBNet", "kbnet", "KB-Net", "KBNET (Tiny)"])
def test_names_are_found_as_papers_write_them(written: str) -> None:
    assert [row.label for row in chosen(embedded_group(), [written]).restorers] == ["KBNet (tiny)"]
    assert knows_row(embedded_group(), written)


def test_an_unknown_row_is_refused_with_the_nearest() -> None:
    with pytest.raises(ReportError, match=r"--rows rbiar: .*did you mean 'rbair'"):
        chosen(embedded_group(), ["rbiar"])
