"""The loop: it learns, in either dtype, and stops where it cannot go on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from restorebench.benchmarks.commands import main as cli
from restorebench.benchmarks.training.batches import build_mixture
from restorebench.benchmarks.training.trainer import TrainingStoppedError

from .runs import QUICK, configured, table, train

pytestmark = pytest.mark.slow


def test_a_loss_that_is_not_finite_stops_with_step_and_names(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "train", cli.Command("train", "train"))
    run = tmp_path / "run"
    lines = [*QUICK, f"run={run}", f"data.cache={cache}", "+overrides.broken_after=5"]
    assert cli.main(["train", *lines]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert len(errors) == 1
    assert "the loss is nan at step 6" in errors[0]
    mixture = build_mixture(configured(run, cache))
    for k in (10, 11):
        assert mixture.draw(k).name in errors[0]
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert state["done"]["steps"] == 5
    assert all(bool(torch.isfinite(value).all()) for value in state["network"].values())


def test_a_gradient_that_is_not_finite_stops_too(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(TrainingStoppedError, match="gradient's norm is inf at step 1"):
        train(tmp_path / "run", cache, "+overrides.steep=true")


def test_training_lowers_the_loss(tmp_path: Path, cache: Path) -> None:
    settings = ["budget.images=1000", "patches=[{size: 16, batch: 4, until: 1.0}]", "validation.times=0"]
    mix = ["mix.parts={denoise-50: 1.0}", "optimizer.lr=1e-2", "log_every=25", "checkpoint_minutes=9"]
    train(tmp_path / "run", cache, *settings, *mix)
    losses = [float(row["l1_denoise-50"]) for row in table(tmp_path / "run" / "losses.csv")]
    assert losses[-1] < 0.8 * losses[0]


def test_bfloat16_and_channels_last_train(tmp_path: Path, cache: Path, reference: Path) -> None:
    train(tmp_path / "run", cache, "dtype=bfloat16", "channels_last=true", "validation.times=0")
    ours, theirs = table(tmp_path / "run" / "losses.csv"), table(reference / "losses.csv")
    assert float(ours[-1]["loss"]) == pytest.approx(float(theirs[-1]["loss"]), rel=0.1)
    assert ours[-1]["loss"] != theirs[-1]["loss"]
    assert all(value.dtype == torch.float32 for value in load_file(tmp_path / "run" / "weights.safetensors").values())


def test_validation_is_on_the_photographs_set_apart_and_the_facts_say_so(tmp_path: Path, cache: Path) -> None:
    photographs = tmp_path / "validation"
    photographs.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(photographs / f"{index}.png")
    apart = [f"data.validation_images={photographs}", "validation.tasks=5d", "validation.times=1"]
    trained = train(tmp_path / "run", cache, *apart, "budget.images=4")
    folder = trained.folder.path
    rows = table(folder / "validation.csv")
    assert {row["count"] for row in rows} == {"3"}
    assert [row["task"] for row in rows] == ["dehaze", "derain", "denoise-25", "deblur", "lowlight", "clean"]
    facts = json.loads((folder / "training.json").read_text())
    assert facts["validated_on"] == "3 photographs set apart"
    # Where the photographs lie does not say what is trained: the run goes on with the folder moved.
    moved = photographs.rename(tmp_path / "moved")
    again = train(tmp_path / "run", cache, f"data.validation_images={moved}", *apart[1:], "budget.images=4")
    assert again.state.done == trained.state.done


def test_embedded_photographs_are_called_test_images_in_the_facts(reference: Path) -> None:
    facts = json.loads((reference / "training.json").read_text())
    assert re.fullmatch(r"\d+ embedded test photographs", facts["validated_on"])
