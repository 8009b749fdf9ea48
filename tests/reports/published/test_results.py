"""Printed values: all there, each with its source, flagged where they mislead, and never mixed unasked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from restorebench.reports.published.results import (
    KINDS,
    PublishedError,
    PublishedResult,
    Trap,
    load_complexity,
    load_published,
    load_sources,
    select,
)

PUBLISHED = Path(__file__).resolve().parents[3] / "reports" / "published"


def averages(model: str, setting: str, kind: str) -> set[tuple[float | None, float | None]]:
    """The averages printed of a model."""
    rows = select(setting=setting, dataset="average", degradation="average", kind=kind, models=model)
    return {(row.psnr_db, row.ssim) for row in rows}


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


def test_settings_are_never_mixed() -> None:
    with pytest.raises(PublishedError, match="settings 3d, 5d cannot stand in one table; give setting="):
        select(models="RBaIR", dataset="average")
    assert {row.setting for row in select(setting="5d", models="RBaIR", kind="own")} == {"5d"}


def test_kinds_are_mixed_only_when_asked_for() -> None:
    with pytest.raises(
        PublishedError, match=r"the column SOTS-Outdoor dehazing would mix own, quoted, tertiary values"
    ):
        select(setting="5d", dataset="SOTS-Outdoor")
    mixed = select(setting="5d", dataset="SOTS-Outdoor", kind=("own", "quoted"))
    assert {row.kind for row in mixed} == {"own", "quoted"}
    assert {row.kind for row in select(setting="5d", dataset="SOTS-Outdoor", kind="own")} == {"own"}


def test_a_selection_of_one_kind_in_every_column_needs_no_kind() -> None:
    rows = select(setting="5d", models="DaAIR")
    assert {row.kind for row in rows} == {"quoted"}
    assert len({row.column for row in rows}) == len(rows) == 6


def test_noise_levels_are_separate_columns() -> None:
    rows = select(setting="3d", dataset="BSD68", sigma=50, models="RBaIR", kind="own")
    assert [row.column for row in rows] == [("BSD68", "denoising", 50)]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"models": "RBIR"}, "'RBaIR'"),
        ({"setting": "6d"}, "there are 3d, 5d, cdd11"),
        ({"dataset": "CBSD86"}, "'BSD68'"),
        ({"kind": "owned"}, "'own'"),
        ({"degradation": "dehaze"}, "'dehazing'"),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(selection: dict[str, str], message: str) -> None:
    with pytest.raises(PublishedError, match=message):
        select(**selection)  # type: ignore[arg-type]


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
    told = [row for row in load_published() if row.model in ("DFPIR", "InstructIR-3D")]
    assert all(row.has(Trap.NOT_BLIND) for row in told)


def test_anyirs_versions_are_told_apart() -> None:
    assert averages("AnyIR", "3d", "quoted") == {(32.83, 0.920)}
    assert averages("AnyIR-2407", "3d", "quoted") == {(32.51, 0.916)}
    assert {row.model for row in flagged(Trap.TWO_VERSIONS)} == {"AnyIR", "AnyIR-2407"}


def test_notes_of_the_transcription_are_kept_word_by_word() -> None:
    (row,) = select(setting="3d", dataset="average", models="MoCE-IR-S", kind="quoted")
    assert "disagrees with MoCE-IR own Table 1 (32.57)" in [flag.text for flag in row.flags]


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


def test_the_files_are_the_transcriptions_unchanged() -> None:
    shared = Path(__file__).resolve().parents[4] / "shared" / "published"
    if not shared.is_dir():
        pytest.skip("the transcriptions are not beside this checkout")
    for path in PUBLISHED.glob("*.csv"):
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256((shared / path.name).read_bytes()).digest()
