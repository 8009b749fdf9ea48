"""What weights say of their training: of this run, and of those before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from restorebench.benchmarks.training.batches import build_mixture
from restorebench.benchmarks.training.facts import added_up, finite, metadata_text
from restorebench.models import create_model
from restorebench.models.checkpoints.writing import read_metadata, save_weights

from .runs import configured, table

pytestmark = pytest.mark.slow


def test_weights_that_were_trained_on_know_of_all_their_stages() -> None:
    def stage(images: int, history: list[dict[str, float]]) -> dict[str, object]:
        same = {
            "recipe": "r",
            "data": "d",
            "lists_sha256": "0",
            "seed": 0,
            "git_revision": "g",
            "images_per_second": 1.0,
        }
        return {**same, "steps": images // 8, "images": images, "seconds": images / 10, "history": history}

    first = stage(800, [{"images": 400, "seconds": 40.0, "gain": 1.0}, {"images": 800, "seconds": 80.0, "gain": 2.0}])
    second = added_up(stage(160, [{"images": 160, "seconds": 16.0, "gain": 3.0}]), first)
    third = added_up(stage(80, [{"images": 80, "seconds": 8.0, "gain": 4.0}]), second)
    assert added_up(first, None) == first
    assert (third["images"], third["steps"], third["seconds"]) == (1040, 130, 104.0)
    assert [(p["images"], p["seconds"], p["gain"]) for p in third["history"]] == [
        (400, 40.0, 1.0),
        (800, 80.0, 2.0),
        (960, 96.0, 3.0),
        (1040, 104.0, 4.0),
    ]
    assert [part["images"] for part in third["stages"]] == [800, 160, 80]
    assert third["load_average"] is None  # nobody recorded it


def test_the_load_of_several_stages_is_the_highest_and_none_where_one_is_not_known() -> None:
    facts = {"steps": 1, "images": 8, "seconds": 1.0, "history": [], "images_per_second": 8.0}
    both = added_up({**facts, "load_average": 1.5}, {**facts, "load_average": 4.0})
    assert both["load_average"] == 4.0
    assert [stage["load_average"] for stage in both["stages"]] == [4.0, 1.5]
    assert added_up({**facts, "load_average": 1.5}, facts)["load_average"] is None


def test_the_weights_carry_the_facts_of_their_training(reference: Path, tmp_path: Path, cache: Path) -> None:
    path = reference / "weights.safetensors"
    facts = read_metadata(path)
    assert facts["restorebench.provenance"] == "retrained"
    assert (facts["restorebench.model"], facts["restorebench.variant"]) == ("small", "tiny")
    assert json.loads(facts["restorebench.overrides"]) == {"width": 12}
    assert (facts["restorebench.steps"], facts["restorebench.images"]) == ("18", "48")
    assert facts["restorebench.finished"] == "true"
    assert facts["restorebench.recipe"] == "embedded"
    assert float(facts["restorebench.load_average"]) >= 0
    assert int(facts["restorebench.processors"]) >= 1
    assert "dead leaves v2" in facts["restorebench.data"]
    assert facts["restorebench.lists_sha256"] == build_mixture(configured(tmp_path, cache)).fingerprint()
    assert {"restorebench.git_revision", "restorebench.seed", "restorebench.ema"} <= facts.keys()
    restorer = create_model("small", weights=path, width=12)
    assert restorer.weights.provenance == "retrained"
    stored = restorer.weights.training
    assert stored is not None
    assert (stored["steps"], stored["images"], stored["recipe"], stored["finished"]) == (
        18,
        48,
        "embedded",
        True,
    )
    assert "torch" in stored["machine"]
    rows = table(reference / "validation.csv")
    last = [float(row["psnr"]) - float(row["input_psnr"]) for row in rows[-4:] if row["task"] != "clean"]
    assert [point["images"] for point in stored["history"]] == [24, 48]
    assert stored["history"][-1]["gain"] == pytest.approx(sum(last) / 3, abs=1e-6)
    assert 0 < stored["history"][0]["seconds"] < stored["history"][1]["seconds"] <= stored["seconds"] + 0.1
    image = torch.rand(1, 3, 9, 11)
    assert torch.isfinite(restorer(image)).all()


def test_facts_that_are_no_finite_numbers_are_written_as_none() -> None:
    facts = {"seconds": float("nan"), "history": [{"gain": float("inf"), "images": 3}], "stages": ({"seconds": 1.5},)}
    assert finite(facts) == {"seconds": None, "history": [{"gain": None, "images": 3}], "stages": [{"seconds": 1.5}]}
    assert metadata_text(float("nan")) == "null"


def test_a_run_whose_gain_is_not_finite_is_finished_all_the_same(tmp_path: Path, reference: Path) -> None:
    metadata = read_metadata(reference / "weights.safetensors")
    metadata["restorebench.history"] = '[{"images": 24, "seconds": 1.0, "gain": NaN}]'
    metadata["restorebench.seconds"] = "Infinity"
    save_weights(load_file(reference / "weights.safetensors"), tmp_path / "odd.safetensors", metadata, trained=True)
    training = create_model("small", weights=tmp_path / "odd.safetensors", width=12).weights.training
    assert training is not None
    assert training["history"] == [{"images": 24, "seconds": 1.0, "gain": None}]
    stage = dict.fromkeys(("recipe", "data", "lists_sha256", "seed", "git_revision"), 1)
    more = added_up({**stage, "steps": 1, "images": 8, "seconds": 2.0, "history": []}, training)
    assert (more["images"], more["seconds"]) == (56, 2.0)
    json.dumps(training, allow_nan=False)


def test_the_trainers_own_checkpoint_loads_with_its_averaged_weights_and_its_step(
    reference: Path, tmp_path: Path
) -> None:
    wide = {"width": 12}
    restorer = create_model("small", weights=reference / "checkpoint.pt", **wide)
    result = create_model("small", weights=reference / "weights.safetensors", **wide)
    own, other = restorer.network.state_dict(), result.network.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in other)
    info, facts = restorer.weights, result.weights.training
    assert facts is not None
    assert (info.provenance, info.key) == ("retrained", "average")
    assert f"step {facts['steps']} of a training" in info.description
    assert info.training is not None
    assert {key: info.training[key] for key in ("steps", "images", "lists_sha256")} == {
        key: facts[key] for key in ("steps", "images", "lists_sha256")
    }
    raw = create_model("small", weights=reference / "checkpoint.pt", weights_key="network", **wide)
    assert raw.weights.key == "network"
    assert any(not torch.equal(value, own[key]) for key, value in raw.network.state_dict().items())

    stored = torch.load(reference / "checkpoint.pt", weights_only=True)
    torch.save(stored, tmp_path / "resaved.pt")  # without the trainer's checksum its facts are anybody's
    assert create_model("small", weights=tmp_path / "resaved.pt", **wide).weights.provenance == "file"
