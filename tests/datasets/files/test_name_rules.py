"""Rules that pair whole folders: exactly back, or refused, and never wrongly paired."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from restorebench.datasets.errors import DataError
from restorebench.datasets.files.name_rules import whole_pairing
from restorebench.datasets.files.pairing import partnership

CHANGES: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "prefix": (lambda s: f"restored_{s}", str),
    "suffix": (lambda s: f"{s}_out", str),
    "scale": (lambda s: f"{s}x4", str),
    "suffix of the clean side": (str, lambda s: f"{s}_HR"),
    "a letter before": (lambda s: f"a{s}", str),
    "a digit before": (lambda s: f"0{s}", str),
    "a digit behind": (lambda s: f"{s}1", str),
    "upper case": (str.upper, str),
    "lower case": (str.lower, str),
    "NFD": (lambda s: unicodedata.normalize("NFD", s), str),
    "NFC": (lambda s: unicodedata.normalize("NFC", s), str),
    "padding": (lambda s: re.sub("[0-9]+", lambda run: run[0].zfill(4), s), str),
    "a role within": (lambda s: s.replace("_", "_NOISY_", 1), lambda s: s.replace("_", "_GT_", 1)),
    "a role before": (lambda s: f"hazy-{s}", lambda s: f"clear-{s}"),
    "a role behind": (lambda s: f"{s}_blur", lambda s: f"{s}_sharp"),
    "both ends": (lambda s: f"my {s}.v2", lambda s: f"the-{s}"),
}
PIECES = st.one_of(
    st.text("ab01_-. x4A", min_size=1, max_size=5),
    st.text("ab01_éÅßıİé", min_size=1, max_size=4),
    st.sampled_from(["restored", "restored_a", "a_out", "1x4", "gt", "GT_1", "low", "low1", "0001_noisy_2", "rain-1"]),
    st.from_regex(r"[a-c]{0,2}[0-9]{1,4}(_[0-9]{1,3})?", fullmatch=True),
)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_any_names_with_one_change_pair_exactly_back_or_are_refused(change: str, nested: bool) -> None:
    folders = st.sampled_from(["s/", "t/", "s/u/"] if nested else [""])
    mine, its = CHANGES[change]

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(folders, PIECES), min_size=1, max_size=6, unique=True))
    def check(names: list[tuple[str, str]]) -> None:
        assume(all(piece.strip(". ") for _, piece in names))
        truth = {f"{folder}{mine(piece)}.png": f"{folder}{its(piece)}.png" for folder, piece in names}
        assume(len(truth) == len(set(truth.values())) == len(names))
        try:
            pairs = partnership(sorted(truth), sorted(truth.values()), "clean")
        except DataError as error:
            if not any(name in str(error) for name in truth):
                raise
            return
        assert all(truth[name] == clean for name, clean in pairs.clean.items())
        assert pairs.clean.keys() | pairs.problems.keys() == truth.keys()

    check()


@pytest.mark.parametrize(
    ("mine", "its", "rule"),
    [
        ("{}_NOISY_SRGB_010.PNG", "{}_GT_SRGB_010.PNG", "the word for their role"),
        ("IMG_{}.png", "img_{}.png", "letter case"),
        ("{}.png", "00{}.png", "zeros before a number"),
        ("caf\u00e9{}.png", "cafe\u0301{}.png", "their Unicode form"),
        ("restored_{}.png", "{}.png", "what all names of a side begin or end with"),
        ("{}_out.png", "{}.png", "what all names of a side begin or end with"),
        ("{}x4.png", "{}.png", "what all names of a side begin or end with"),
        ("Restored_{}_noisy.png", "{}_gt.jpg", "what all names of a side begin or end with"),
        ("s_{}.png", "s/{}.png", "how folders are joined to the name"),
        ("s/{}.png", "{}.png", "the folders that they lie in"),
    ],
)
def test_a_rule_pairs_the_whole_folder_and_is_said(mine: str, its: str, rule: str) -> None:
    truth = {mine.format(number): its.format(number) for number in (101, 202, 303)}
    pairs = partnership(sorted(truth), sorted(truth.values()), "clean")
    assert pairs.clean == truth
    (note,) = pairs.notes
    assert rule in note
    assert f"{min(truth)} with {truth[min(truth)]}" in note


def test_equal_names_need_no_words() -> None:
    assert partnership(["1.png", "2.jpg"], ["1.png", "2.png"], "clean").notes == ()


@pytest.mark.parametrize(
    ("mine", "its"),
    [
        (["A1.png", "a01.png"], ["A01.png", "a1.png"]),  # by case and by padding
        (["10.png", "11.png"], ["0.png", "1.png"]),  # frames 10 and 11 are not 0 and 1
    ],
)
def test_what_could_belong_to_two_is_refused_with_the_names(mine: list[str], its: list[str]) -> None:
    with pytest.raises(DataError, match=rf"^{mine[0]} could belong to .*: rename one side"):
        whole_pairing(mine, its)


@pytest.mark.parametrize(
    ("mine", "its"),
    [
        (["restored_1.png", "restored_2.png", "restored_3.png"], ["1.png", "2.png"]),
        (["1_NOISY_a.png"], ["1_GT_a.png", "2_GT_a.png"]),
        (["A.png"], ["a.png", "b.png"]),
        (["cat.png"], ["dog.png"]),
        (["cats.png"], ["cat.png"]),
        (["0.05.png", "1.png"], ["0.5.png", "1.png"]),
    ],
)
def test_a_rule_that_does_not_pair_both_sides_whole_is_not_taken(mine: list[str], its: list[str]) -> None:
    assert whole_pairing(mine, its) is None
