"""``bench weights``: what is published, what is here, and converting without running a file's code."""

from __future__ import annotations

import json
import pickle
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from restorebench.benchmarks.commands.main import main
from restorebench.models import Checkpoint, create_model, get_card, list_models, register, unregister
from restorebench.models import weights as selection
from restorebench.models.checkpoints.writing import read_metadata, save_weights
from restorebench.models.networks.anyir import AnyIR


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder; no weights are bundled."""
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(selection, "BUNDLED", tmp_path / "bundled")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def publish(**details: str) -> None:
    """Let anyir have one published checkpoint, ``anyir.pth``; for tests with a registry of their own."""
    checkpoint = Checkpoint(
        variant="tiny", file_name="anyir.pth", url="https://example.org/anyir", licence="CC BY 4.0",
        trained_for="everything", **details,
    )  # fmt: skip
    card = replace(get_card("anyir"), checkpoints=(checkpoint,))
    unregister("anyir")
    register(card)(AnyIR)


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    assert main(["weights", "list", "--json"]) == 0
    return {row["file"]: row for row in json.loads(capsys.readouterr().out)}


@pytest.mark.usefixtures("folder")
def test_the_list_has_every_published_checkpoint_with_place_and_licence(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys)
    for card in list_models():
        for checkpoint in card.checkpoints:
            row = rows[checkpoint.file_name]
            assert (row["where"], row["licence"], row["state"]) == (checkpoint.url, checkpoint.licence, "not here")
    assert main(["weights", "list"]) == 0
    assert "weights folder:" in capsys.readouterr().out


@pytest.mark.usefixtures("own_registry")
def test_a_file_that_is_here_is_told_by_its_hash(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "anyir.pth").write_bytes(b"weights")
    digest = sha256(b"weights").hexdigest()
    publish()
    assert listed(capsys)["anyir.pth"]["state"] == "here"
    assert listed(capsys)["anyir.pth"]["sha256"] == digest
    publish(sha256=digest)
    assert listed(capsys)["anyir.pth"]["state"] == "here, the published file"
    publish(sha256="0" * 64)
    assert listed(capsys)["anyir.pth"]["state"] == "here, ANOTHER file of that name"


def test_bundled_weights_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder / "tiny.pth"
    torch.save(create_model("anyir", variant="tiny", weights="none").network.state_dict(), source)
    bundled = folder.parent / "bundled" / "anyir-tiny.safetensors"
    assert main(["weights", "convert", str(source), str(bundled), "--model", "anyir", "--variant", "tiny"]) == 0
    capsys.readouterr()
    assert listed(capsys)["anyir-tiny.safetensors"]["state"] == "here, bundled"


@pytest.mark.usefixtures("folder")
def test_a_converted_checkpoint_holds_the_same_tensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {"module.a": torch.randn(2, 3), "module.b": torch.arange(4)}
    source, target = tmp_path / "in.pth", tmp_path / "new" / "out.safetensors"
    torch.save({"epoch": 3, "params_ema": tensors}, source)
    assert main(["weights", "convert", str(source), str(target)]) == 0
    assert sha256(target.read_bytes()).hexdigest() in capsys.readouterr().out
    stored = load_file(target)
    assert stored.keys() == tensors.keys()
    assert all(torch.equal(stored[key], tensors[key]) for key in tensors)
    assert read_metadata(target)["restorebench.source_sha256"] == sha256(source.read_bytes()).hexdigest()


@pytest.mark.usefixtures("folder", "own_registry")
def test_with_a_model_the_file_fits_it_and_keeps_its_provenance(tmp_path: Path) -> None:
    original = create_model("anyir", variant="tiny", weights="none", seed=5)
    source, target = tmp_path / "in.ckpt", tmp_path / "out.safetensors"
    lightning = {f"net.{key}": value for key, value in original.network.state_dict().items()}
    torch.save({"state_dict": lightning}, source)
    publish(sha256=sha256(source.read_bytes()).hexdigest())
    assert create_model("anyir", weights=source).weights.provenance == "official"
    assert main(["weights", "convert", str(source), str(target), "--model", "anyir"]) == 0
    converted = create_model("anyir", weights=target)
    assert converted.variant == "tiny"
    assert converted.weights.provenance == "file"
    assert "it says of itself to be 'official'" in converted.weights.description
    image = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(converted(image), original(image))


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[list[str]]]:
        return subprocess.check_call, (["touch", str(self.path)],)


@pytest.mark.usefixtures("folder")
def test_converting_never_runs_code_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, evidence, target = tmp_path / "in.pth", tmp_path / "evidence", tmp_path / "out.safetensors"
    torch.save({"a": torch.ones(1), "b": Harmful(evidence)}, source)
    assert main(["weights", "convert", str(source), str(target)]) == 2
    assert "would run code" in capsys.readouterr().err
    assert not evidence.exists()
    assert not target.exists()
    with source.open("rb") as file, pytest.raises(pickle.UnpicklingError):
        pickle.load(file)  # an archive of torch, whose own reader would have run it:
    torch.load(source, weights_only=False)
    assert evidence.exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.pth", "out.safetensors"], "no checkpoint at none.pth"),
        (["in.pth", "out.pth"], "does not end in .safetensors"),
        (["in.pth", "there.safetensors"], "is there already"),
        (["in.pth", "out.safetensors", "--variant", "tiny"], "name that with --model"),
        (["in.pth", "out.safetensors", "--model", "anyirr"], "anyir"),
        (["in.pth", "out.safetensors", "--model", "anyir"], "does not fit"),
        (["there.safetensors", "out.safetensors"], "no readable safetensors"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.ones(1)}, "in.pth")
    Path("there.safetensors").write_bytes(b"something")
    assert main(["weights", "convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not Path("out.safetensors").exists()
    assert get_card("anyir").name == "anyir"


def test_half_precision_halves_the_file_and_keeps_the_facts(tmp_path: Path) -> None:
    source, target = tmp_path / "run.safetensors", tmp_path / "half.safetensors"
    network = create_model("anyir", variant="tiny", weights="none").network
    facts = {"restorebench.model": "anyir", "restorebench.variant": "tiny", "restorebench.images": "800"}
    save_weights(network.state_dict(), source, {**facts, "restorebench.history": '[{"images": 800, "gain": 1.5}]'})
    assert main(["weights", "convert", str(source), str(target), "--half"]) == 0
    assert target.stat().st_size < 0.6 * source.stat().st_size
    restorer = create_model("anyir", weights=target)
    assert restorer.weights.training == {"images": 800, "history": [{"images": 800, "gain": 1.5}]}
    for key, value in restorer.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key].half().to(value.dtype), rtol=0, atol=0)
