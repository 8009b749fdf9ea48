"""A printed row is taken from one source, word by word."""

from __future__ import annotations

import csv
import dataclasses
from importlib.resources import files

import pytest

from restorebench.reports.errors import ReportError
from restorebench.reports.published.places import PLACES
from restorebench.reports.published.results import load_published
from restorebench.reports.published.rows import choose_source, published_rows, source_year


def test_every_place_is_a_column_of_the_printed_results() -> None:
    for suite, tasks in PLACES.items():
        printed = {row.column for row in load_published() if row.setting == suite}
        assert {(place.dataset, place.degradation, place.sigma) for place in tasks.values()} <= printed


def test_all_rows_print_exactly_what_the_file_has() -> None:
    """Text against text: every value of every row of `all` is a cell of results.csv of the row's source."""
    text = files("restorebench.reports.published").joinpath("results.csv").read_text(encoding="utf-8")
    printed = {}
    for line in csv.DictReader(text.splitlines()):
        place = (line["setting"], line["model"], line["source"], line["dataset"], line["degradation"], line["sigma"])
        printed[place] = (line["psnr_db"], line["ssim"])
    compared = 0
    for suite, tasks in PLACES.items():
        for row in published_rows(suite, ["all"]):
            for task, place in tasks.items():
                sigma = "" if place.sigma is None else str(place.sigma)
                place_key = (suite, row.model, row.source, place.dataset, place.degradation, sigma)
                for metric, expected in zip(("psnr", "ssim"), printed.get(place_key, ("", "")), strict=True):
                    assert row.score(task, metric).text == (expected or "-")  # type: ignore[arg-type]
                    compared += bool(expected)
    assert compared > 1000


def test_averages_of_the_five_degradation_papers() -> None:
    names = ["RBaIR", "AnyIR", "DaAIR", "AdaIR", "MoCE-IR", "PromptIR"]
    averages = {row.model: row.score("average", "psnr").text for row in published_rows("5d", names)}
    assert list(averages.items()) == [
        ("RBaIR", "31.58"),
        ("AnyIR", "30.65"),
        ("DaAIR", "30.24"),
        ("AdaIR", "30.20"),
        ("MoCE-IR", "30.58"),
        ("PromptIR", "29.15"),
    ]


def test_authors_come_first_then_whole_rows_then_later_ones() -> None:
    rows = {row.model: row for row in published_rows("5d", ["AdaIR", "AnyIR", "PromptIR"])}
    assert rows["AdaIR"].source == "adair2025-5d"  # its own other table has denoising only, four papers quote it
    assert not rows["AdaIR"].quoted
    assert rows["AnyIR"].quoted
    assert any("not printed by its authors" in note for note in rows["AnyIR"].notes)
    assert any("29.15, 29.77 and 28.11" in note for note in rows["PromptIR"].notes)
    printed = [row for row in load_published() if row.setting == "5d" and row.model == "AdaIR"]
    assert choose_source([row for row in printed if row.kind == "quoted"], columns=6) in {
        row.source for row in printed if row.kind == "quoted" and source_year(row.citation) == 2025
    }


def test_the_authors_own_part_of_a_table_comes_before_a_later_whole_one_of_others() -> None:
    printed = [
        row for row in load_published() if row.setting == "5d" and row.model == "AdaIR" and row.dataset != "BSD68"
    ]
    own = [dataclasses.replace(row, citation="2019") for row in printed if row.source == "adair2025-5d"][:2]
    quoted = [row for row in printed if row.kind == "quoted"]
    assert choose_source([*quoted, *own], columns=6) == "adair2025-5d"
    part = [row for row in quoted if row.source != "rbair2025-5d" and row.dataset == "GoPro"]
    whole = [dataclasses.replace(row, citation="2019") for row in quoted if row.source == "rbair2025-5d"]
    assert choose_source([*part, *whole], columns=6) == "rbair2025-5d"


def test_what_holds_for_all_tasks_is_said_once() -> None:
    (row,) = published_rows("cdd11", ["BioIR"])
    assert any("rounded" in note for note in row.notes)
    assert row.score("low", "psnr").notes == ()


def test_years_are_printed_ones_or_of_the_arxiv_number() -> None:
    assert source_year("AdaIR, arXiv 2403.14614, ICLR 2025, Table 2") == 2025
    assert source_year("HAIR, arXiv 2408.08091, table") == 2024
    assert source_year("unverified community compilation") == 0
    assert source_year("AdaIR, arXiv 2019.14614") == 2020


def test_a_family_stands_for_its_members_or_for_a_row_of_dashes() -> None:
    assert [row.model for row in published_rows("5d", ["moce-ir", "InstructIR-5D"])] == ["MoCE-IR", "InstructIR-5D"]
    assert [row.model for row in published_rows("3d", ["MIRAGE"])] == ["MIRAGE-S", "MIRAGE-T"]
    (nothing,) = published_rows("5d", ["KBNet"])
    assert nothing.model == "KBNet"
    assert nothing.score("average", "psnr").text == "-"
    assert nothing.notes == ("KBNet: no 5d result in print that is known here (other settings: single)",)


def test_unknown_names_and_suites_say_what_to_do() -> None:
    with pytest.raises(ReportError, match=r"did you mean .*PromptIR"):
        published_rows("5d", ["PromtIR"])
    with pytest.raises(ReportError, match="3d, 5d, cdd11, not for derain"):
        published_rows("derain", ["PromptIR"])
