"""Restorers as files for other programs: the forms that networks take for it, what is written, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import torch

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.conformance import wake
from restorebench.models import ModelError, build_network, create_model, list_models
from restorebench.models.exporting import SUFFIXES, TOLERANCE, check_packages, export

from .bundled import BUNDLED

NETWORKS = [card.name for card in list_models() if card.built_from == "arguments" and card.trainable]


def smallest(name: str) -> torch.nn.Module:
    """The tiny size of a network, awake: with its bundled weights, or random ones that all count."""
    card = next(card for card in list_models() if card.name == name)
    variant = "tiny" if "tiny" in card.variants else card.default_variant
    if name in BUNDLED:
        return create_model(name, variant="tiny", weights="bundled").network.eval()
    network = build_network(name, variant=variant, seed=0).eval()
    wake(network)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_form_for_other_programs_restores_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = smallest(name)
    sides = (256, 264) if name == "adair" else (48, 64)  # from 256 pixels on its boxes of low frequencies hold some
    images = torch.rand(2 if name != "adair" else 1, 3, *sides, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        usual = network(images.clone())
        monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        plain = network(images.clone())
    assert plain.shape == usual.shape
    assert float((usual - images).abs().max()) > 10 * TOLERANCE
    assert float((plain - usual).abs().max()) < TOLERANCE / 2


NETWORK = """
import torch
from torch import nn

class Small(nn.Module):
    size_multiple = 4

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(48, 48, 3, padding=1)

    def forward(self, x):
        return x + nn.functional.pixel_shuffle(self.inner(nn.functional.pixel_unshuffle(x, 4)), 4)

class Strange(Small):
    def forward(self, x):
        factor = 2 if torch.compiler.is_exporting() else 1
        return super().forward(x) * factor

class Wide(Small):
    def forward(self, x):
        if torch.compiler.is_exporting():
            torch._check(x.shape[3] > x.shape[2])
        return super().forward(x)

class Branching(Small):
    def forward(self, x):
        return x if float(x.mean()) > 0.5 else super().forward(x)
"""


@pytest.fixture
def network_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with networks of the user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own.py"
    path.write_text(NETWORK)
    return path


@pytest.mark.slow
def test_a_network_becomes_an_onnx_file_that_restores_the_same(
    network_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    assert main(["export", "model=own.py:Small", "weights=none"]) == 0
    said = capsys.readouterr()
    assert "small-yours.onnx: Small (yours)" in said.out
    assert "any batch and size" in said.out
    assert len(said.err.splitlines()) == 1  # nothing of the exporter's own
    network = create_model("own.py:Small", weights="none")
    exported = create_model("onnx", weights="small-yours.onnx")
    assert exported.size.multiple == 4
    for shape in ((1, 3, 21, 34), (3, 3, 8, 64)):
        image = torch.rand(shape)
        with torch.inference_mode():
            assert float((exported(image) - network(image)).abs().max()) < TOLERANCE / 10
    assert main(["export", "model=own.py:Small", "weights=none"]) == 2
    assert "small-yours.onnx is there already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_fixed_size_and_the_exported_program(network_file: Path, tmp_path: Path) -> None:
    assert main(["export", "model=own.py:Small", "weights=none", "--format", "torch", "--size", "16"]) == 0
    program = torch.export.load(tmp_path / "small-yours-16.pt2").module()
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(program(image), create_model("own.py:Small", weights="none")(image), atol=1e-6)
    with pytest.raises((AssertionError, RuntimeError), match="16"):
        program(torch.rand(1, 3, 20, 16))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Strange", "was not kept: its images differ by up to"),
        ("Branching", "Branching cannot be exported"),
        ("Wide", "was not kept: it fails on images of the shape (1, 3, 131, 77); --size N makes one"),
    ],
)
def test_what_does_not_restore_the_same_is_not_kept(
    name: str, said: str, network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", f"model=own.py:{name}", "weights=none", "--format", "torch", "--output", "out/a.pt2"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1]
    assert not [each for each in (tmp_path / "out").iterdir() if each.suffix == ".pt2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which restorer? write bench export model=NAME"),
        (["model=rbiar"], "did you mean 'rbair'"),
        (["modle=rbair"], "did you mean 'model'"),
        (["model=rbair", "variant=tyny"], "did you mean 'tiny'"),
        (["rbair"], "cannot read 'rbair'; write key=value"),
        (["model=rbair", "--size", "large"], "--size large: give a side in pixels, or dynamic"),
        (["model=rbair", "variant=tiny", "--size", "100", "--format", "torch"], "take 104"),
        (["model=rbair", "variant=tiny", "--output", "a.pth", "--format", "torch"], "a.pth does not end in .pt2"),
        (["model=onnx"], "pass weights=PATH"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1]
    assert sum(line.startswith("bench: ") for line in error) == 1


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx", ModuleType("onnx"))
    with pytest.raises(ModelError, match=r"needs the package onnxscript .*restorebench\[export\]"):
        check_packages("onnx")


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_of_every_network_restores_any_batch_and_size(
    name: str, kind: Literal["onnx", "torch"], tmp_path: Path
) -> None:
    """With bundled weights or random ones: half a minute each."""
    check_packages(kind)
    weights = "bundled" if name in BUNDLED else "none"
    restorer = create_model(name, variant="tiny", weights=weights, seed=0)
    if weights == "none":
        wake(restorer.network)
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(shape, generator=random) for shape in ((1, 3, 64, 64), (3, 3, 48, 72), (1, 3, 61, 45))]
    done = export(restorer, tmp_path / f"file{SUFFIXES[kind]}", kind, None, images)
    assert done.difference is not None
    assert done.difference < TOLERANCE
