"""One wording for names that do not exist."""

from __future__ import annotations

from restorebench.messages import nearest, one_line, unknown


def test_near_names_are_proposed_whatever_their_letter_case() -> None:
    assert nearest("RBIAR", ["kbnet", "rbair"]) == " (did you mean 'rbair'?)"
    assert nearest("xyz", ["kbnet", "rbair"]) == ""


def test_what_there_is_is_listed_while_it_is_short() -> None:
    assert (
        unknown("task", "rain", ["derain", "blur"])
        == "unknown task 'rain' (did you mean 'derain'?); known: derain, blur"
    )
    assert unknown("suite", "5e", []) == "unknown suite '5e'; there is none"
    assert unknown("row", "zz", map(str, range(100))) == "unknown row 'zz'; there are 100"


def test_an_error_is_its_kind_and_first_line() -> None:
    assert one_line(ValueError(" first\nsecond")) == "ValueError: first"
    assert one_line(KeyError()) == "KeyError"
