"""A run's folder: what it tells, and who may go on in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.training.devices import make_fabric
from restorebench.benchmarks.training.trainer import Trainer

from .runs import configured, table, train

pytestmark = pytest.mark.slow


def test_the_folder_tells_the_whole_story(reference: Path, cache: Path) -> None:
    losses = table(reference / "losses.csv")
    assert [int(row["step"]) for row in losses] == list(range(2, 19, 2))
    assert [int(row["patch"]) for row in losses] == [16] * 6 + [32] * 3
    assert int(losses[-1]["images"]) == 48
    parts = OmegaConf.load(reference / "config.yaml").mix.parts
    assert all(f"l1_{label}" in losses[0] for label in parts)
    for row in losses:
        assert float(row["loss"]) == pytest.approx(float(row["l1"]) + float(row["auxiliary"]), rel=1e-6)
        assert float(row["auxiliary"]) > 0
    scores = table(reference / "validation.csv")
    assert [row["task"] for row in scores] == ["denoise-15", "denoise-25", "denoise-50", "clean"] * 2
    assert float(scores[-1]["input_psnr"]) == 100
    assert float(scores[0]["input_psnr"]) == pytest.approx(24.9, abs=0.4)  # sigma 15, clipped
    with Image.open(reference / "training.png") as figure:
        assert figure.size[0] > 500
    facts = json.loads((reference / "training.json").read_text())
    assert facts["images_per_second"] > 0
    assert facts["config"]["optimizer"]["lr"] == pytest.approx(8e-4)


def test_a_run_is_not_continued_with_other_settings_or_images(tmp_path: Path, finished: Path, cache: Path) -> None:
    with pytest.raises(UserError, match="holds a run with another optimizer: give run=DIR"):
        train(finished, cache, "optimizer.lr=1e-3")
    folder = tmp_path / "own"
    folder.mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "a.png")
    with pytest.raises(UserError, match="other images"):
        train(finished, cache, f"data.natural_images={folder}")


def test_a_run_in_use_is_not_entered(tmp_path: Path, cache: Path) -> None:
    config = configured(tmp_path / "run", cache)
    trainer = Trainer(config, make_fabric(config))
    with trainer.folder.claimed(config), pytest.raises(UserError, match="another process is training there"):
        train(tmp_path / "run", cache)


def test_a_run_begun_under_the_old_names_of_keys_goes_on(finished: Path, cache: Path) -> None:
    path = finished / "config.yaml"
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(config, dict)
    config["precision"], config["start_share"] = config.pop("dtype"), config.pop("interpolation")
    config["train"] = {"folder": config["data"].pop("natural_images"), "cache": config["data"].pop("cache")}
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    assert train(finished, cache).state.done.images == 48
    assert OmegaConf.load(path).dtype == "float32"
    config["precision"] = "bfloat16"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    with pytest.raises(UserError, match="holds a run with another dtype: give run=DIR"):
        train(finished, cache)
