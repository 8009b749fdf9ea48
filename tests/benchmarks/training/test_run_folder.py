"""A run's folder: what it tells, and who may go on in it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

from restorebench.benchmarks.commands import main as cli
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.training.checkpoints import DamagedCheckpointError, checkpoint_bytes, read_checkpoint
from restorebench.benchmarks.training.devices import make_fabric
from restorebench.benchmarks.training.run_folder import RunFolder
from restorebench.benchmarks.training.trainer import Trainer

from .runs import QUICK, configured, table, train

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


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "folder"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_it_and_says_so(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path, ("step",))
    for step in (1, 2, 3):
        folder.save_checkpoint({"step": step, "weights": torch.full((500,), float(step))})
    path = tmp_path / "checkpoint.pt"
    match damage:
        case "bit":
            flip(path, path.read_bytes().index(torch.full((9,), 3.0).numpy().tobytes()) + 400)
            assert torch.load(path, weights_only=True)["step"] == 3  # torch itself does not see it
        case "cut":
            path.write_bytes(path.read_bytes()[:-500])
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.unlink()
            path.mkdir()
    again = RunFolder(tmp_path, ("step",))
    state = again.checkpoint()
    assert state is not None
    assert (state["step"], state["weights"][0]) == (2, 2.0)
    assert "checkpoint.pt is damaged" in caplog.text
    assert "going on from the checkpoint before it" in caplog.text
    if damage != "folder":
        again.save_checkpoint({"step": 4})
        flip(path, 0)
        kept = RunFolder(tmp_path, ("step",)).checkpoint()
        assert kept is not None
        assert kept["step"] == 2  # the damaged one was not kept in its place


@given(position=st.integers(0))
@settings(max_examples=200, deadline=None)
def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path_factory: pytest.TempPathFactory, position: int) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.pt"
    path.write_bytes(checkpoint_bytes({"step": 3, "weights": torch.arange(9.0)}))
    flip(path, position)
    try:
        state = read_checkpoint(path)
    except DamagedCheckpointError:
        return
    assert state["step"] == 3
    assert torch.equal(state["weights"], torch.arange(9.0))


def test_two_damaged_checkpoints_are_one_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, ("step",))
    for step in (1, 2):
        folder.save_checkpoint({"step": step})
    flip(tmp_path / "checkpoint.pt", 90)
    flip(tmp_path / "checkpoint.previous.pt", 90)
    with pytest.raises(
        UserError, match=r"checkpoint\.pt cannot be read .* nor the one before it .*: remove it to train"
    ):
        RunFolder(tmp_path, ("step",)).checkpoint()


def test_a_checkpoint_of_an_earlier_version_is_read_and_one_that_is_gone_is_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, ("step",))
    assert folder.checkpoint() is None
    torch.save({"step": 7}, tmp_path / "checkpoint.pt")
    assert folder.checkpoint() == {"step": 7}


def test_a_run_with_a_damaged_checkpoint_ends_with_the_same_weights(
    finished: Path, reference: Path, cache: Path
) -> None:
    flip(finished / "checkpoint.pt", 5000)
    assert train(finished, cache).state.done.images == 48
    assert (finished / "checkpoint.pt").read_bytes() != (reference / "checkpoint.pt").read_bytes()[:-1]
    ours, theirs = (load_file(run / "weights.safetensors") for run in (finished, reference))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("content", [b"", b"a: [", b"\xff\xfe\x00", b"- 1\n- 2\n", b"mix: ${nowhere}\n\ta", b"null\n"])
def test_a_damaged_configuration_is_one_line(finished: Path, cache: Path, content: bytes) -> None:
    (finished / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml is damaged \(.*\): remove it to go on") as caught:
        train(finished, cache)
    assert "\n" not in str(caught.value)
    (finished / "config.yaml").unlink()
    assert train(finished, cache).state.done.images == 48


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    tmp_path: Path, reference: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full at the twelfth file that is synced, and has room again later."""
    real, synced = os.fsync, []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    run = tmp_path / "run"
    monkeypatch.setattr(os, "fsync", full)
    command = ["train", *QUICK, f"run={run}", f"data.cache={cache}"]
    assert cli.main(command) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench:")]
    assert len(error) == 1
    assert "No space left on device" in error[0]
    assert "the same command goes on from there" in error[0]
    monkeypatch.setattr(os, "fsync", real)
    assert cli.main(command) == 0
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (run, reference))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
