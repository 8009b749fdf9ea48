"""Printed values: all there, each with its source, flagged where they mislead, and never mixed unasked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from restorebench.reports.published.results import KINDS, PublishedResult, load_published, load_sources
from restorebench.reports.published.transcriptions import Trap

PUBLISHED = Path(__file__).resolve().parents[3] / "reports" / "published"


def averages(model: str, setting: str, kind: str) -> set[tuple[float | None, float | None]]:
    """The averages printed of a model."""
    return {
        (row.psnr_db, row.ssim)
        for row in load_published()
        if (row.model, row.setting, row.kind, row.column) == (model, setting, kind, ("average", "average", None))
    }


def test_every_printed_value_is_there_with_its_source() -> None:
    rows = load_published()
    assert len(rows) == 2166
    assert len({row.model for row in rows}) == 108
    assert {row.kind for row in rows} == set(KINDS)
    assert {row.source for row in rows} == set(load_sources())
    assert all(row.citation == load_sources()[row.source] for row in rows)


@pytest.mark.parametrize(
    ("model", "kind", "psnr", "ssim"),
    [
        ("RBaIR", "own", 31.58, 0.924),
        ("AnyIR", "quoted", 30.65, 0.919),
        ("DaAIR", "quoted", 30.24, 0.910),
        ("AdaIR", "own", 30.20, 0.910),
        ("MoCE-IR", "own", 30.58, 0.919),
    ],
)
def test_five_degradation_averages_are_those_of_the_papers(model: str, kind: str, psnr: float, ssim: float) -> None:
    assert averages(model, "5d", kind) == {(psnr, ssim)}


def test_missing_numbers_are_none_and_never_nan() -> None:
    missing = [row for row in load_published() if row.psnr_db is None]
    assert [(row.model, row.source) for row in missing] == [("DA-CLIP", "moceir2025-t1")]
    assert sum(row.ssim is None for row in load_published()) == 174
    assert all(10 < row.psnr_db < 60 for row in load_published() if row.psnr_db is not None)


def test_noise_levels_are_separate_columns() -> None:
    rows = [row for row in load_published() if (row.model, row.setting, row.kind) == ("RBaIR", "3d", "own")]
    assert [row.column for row in rows if row.sigma == 50] == [("BSD68", "denoising", 50)]


def flagged(trap: Trap) -> list[PublishedResult]:
    return [row for row in load_published() if row.has(trap)]


def test_moceir_ssims_carry_their_window() -> None:
    rows = flagged(Trap.SSIM_WINDOW)
    assert {row.model for row in rows} == {"MoCE-IR", "MoCE-IR-S"}
    assert all(row.ssim is not None for row in rows)


def test_promptirs_three_retrainings_carry_that_they_disagree() -> None:
    rows = [row for row in flagged(Trap.RETRAININGS_DISAGREE) if row.dataset == "average"]
    assert {row.psnr_db for row in rows} == {29.15, 29.77, 28.11}
    assert {(row.model, row.setting) for row in flagged(Trap.RETRAININGS_DISAGREE)} == {("PromptIR", "5d")}


def test_models_told_the_task_are_not_blind() -> None:
    models = {row.model for row in flagged(Trap.NOT_BLIND)}
    assert {"DFPIR", "InstructIR", "InstructIR-5D", "OneRestore-text"} <= models
    assert not models & {"RBaIR", "AdaIR", "MoCE-IR", "AnyIR", "DaAIR", "InstructIR-w/o-text", "OneRestore"}
    informed = [row for row in load_published() if row.model in ("DFPIR", "InstructIR-3D")]
    assert all(row.has(Trap.NOT_BLIND) for row in informed)


def test_anyirs_versions_are_told_apart() -> None:
    assert averages("AnyIR", "3d", "quoted") == {(32.83, 0.920)}
    assert averages("AnyIR-2407", "3d", "quoted") == {(32.51, 0.916)}
    assert {row.model for row in flagged(Trap.TWO_VERSIONS)} == {"AnyIR", "AnyIR-2407"}


def test_notes_of_the_transcription_are_kept_word_by_word() -> None:
    (row,) = (
        row
        for row in load_published()
        if (row.model, row.setting, row.dataset, row.kind) == ("MoCE-IR-S", "3d", "average", "quoted")
    )
    assert "disagrees with MoCE-IR own Table 1 (32.57)" in [flag.text for flag in row.flags]


def test_the_files_are_the_transcriptions_unchanged() -> None:
    shared = Path(__file__).resolve().parents[4] / "shared" / "published"
    if not shared.is_dir():
        pytest.skip("the transcriptions are not beside this checkout")
    for path in sorted({*PUBLISHED.glob("*.csv")} - {PUBLISHED / "references.csv"}):  # which is the suite's own
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256((shared / path.name).read_bytes()).digest()
