"""Foreign restorers: checkpoints that the package spandrel recognises, and those that do not belong here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.conformance import CHECKS, Subject, run_check, wake
from restorebench.models import ModelCard, ModelError, Variant, build_network, create_model, get_card, register

WIDTH = 4


@pytest.fixture(scope="module")
def spandrel() -> ModuleType:
    return pytest.importorskip("spandrel", reason="the optional package spandrel is not installed")


@pytest.fixture(scope="module")
def nafnet(spandrel: ModuleType) -> nn.Module:
    from spandrel.architectures.NAFNet import NAFNet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = NAFNet(width=WIDTH, enc_blk_nums=[1, 1], middle_blk_num=1, dec_blk_nums=[1, 1])
    wake(network)
    return network.eval()


@pytest.fixture
def checkpoint(nafnet: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "nafnet.pth"
    torch.save({"params": nafnet.state_dict()}, path)
    return path


def test_it_restores_as_spandrel_itself_does(spandrel: ModuleType, checkpoint: Path) -> None:
    restorer = create_model("spandrel", weights=checkpoint)
    descriptor = spandrel.ModelLoader(device="cpu").load_from_file(checkpoint)
    for height, width in ((32, 48), (37, 21)):
        image = torch.rand(1, 3, height, width)
        with torch.inference_mode():
            restored = restorer(image)
        assert torch.equal(restored.clamp(0, 1), descriptor(image.clone()))
        assert not torch.equal(restored, image)
    assert restorer.card.title == "NAFNet (spandrel)"
    assert restorer.weights.provenance == "foreign"


@pytest.mark.parametrize("wrap", ["bare", "lightning", "parallel", "safetensors"])
def test_it_reads_the_layouts_that_checkpoints_come_in(nafnet: nn.Module, wrap: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = nafnet.state_dict()
    path = tmp_path / ("weights.safetensors" if wrap == "safetensors" else "weights.pth")
    if wrap == "safetensors":
        save_file(state, path)
    else:
        prefix = {"bare": "", "lightning": "net.", "parallel": "module."}[wrap]
        prefixed = {prefix + key: value for key, value in state.items()}
        torch.save(prefixed if wrap == "bare" else {"epoch": 1, "model_state_dict": prefixed}, path)
    image = torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(create_model("spandrel", weights=path)(image), nafnet(image))


@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check: str, checkpoint: Path) -> None:
    card = get_card("spandrel")
    finding = run_check(check, Subject(card=card, variant="any", weights=str(checkpoint))).finding
    expected = "skip" if check in ("parameters", "multiply-adds") else "pass"
    assert (finding.status, finding.detail) == (expected, finding.detail)


def test_square_images_are_made_for_networks_that_need_them(spandrel: ModuleType, tmp_path: Path) -> None:
    from restorebench.models.networks.spandrel import SpandrelNetwork

    class SquareOnly(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape[-1] == x.shape[-2]
            return x + 1

    foreign = SpandrelNetwork(SquareOnly(), lambda model, image: model(image), square=True)
    image = torch.rand(2, 3, 8, 20)
    assert torch.equal(foreign(image), image + 1)


def test_the_main_job_takes_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "model=spandrel", f"weights={checkpoint}", "tasks=derain", "data.size=32", "device=cpu"]
    assert main([*arguments, "progress=false"]) == 0
    record = json.loads(next((tmp_path / "results").glob("*/spandrel/*/record.json")).read_text())
    assert (record["title"], record["provenance"]) == ("NAFNet (spandrel)", "foreign")
    assert record["scored"] == record["expected"] > 0
    assert record["complexity"]["parameters"] == create_model("spandrel", weights=checkpoint).parameters_count
    assert record["complexity"]["macs"] > 0
    capsys.readouterr()


@pytest.mark.usefixtures("spandrel")
def test_other_scales_and_channels_are_refused(tmp_path: Path) -> None:
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.DnCNN import DnCNN

    path = tmp_path / "weights.pth"
    torch.save(Compact(num_feat=4, num_conv=2, upscale=2).state_dict(), path)
    with pytest.raises(ModelError, match="scale 2: spandrel takes networks from 3 to 3 channels at scale 1"):
        create_model("spandrel", weights=path)
    torch.save(DnCNN(in_nc=1, out_nc=1, nc=8, nb=8, act_mode="R").state_dict(), path)
    with pytest.raises(ModelError, match="DnCNN from 1 to 1 channels"):
        create_model("spandrel", weights=path)


@pytest.mark.usefixtures("spandrel")
def test_what_spandrel_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="no architecture that spandrel"):
        create_model("spandrel", weights=path)


@pytest.mark.usefixtures("spandrel")
def test_a_damaged_checkpoint_is_one_line(nafnet: nn.Module, tmp_path: Path) -> None:
    state = nafnet.state_dict()
    del state["ending.bias"]
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(ModelError, match="spandrel") as error:
        create_model("spandrel", weights=path)
    assert "\n" not in str(error.value)


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[list[str]]]:
        return subprocess.check_call, (["touch", str(self.path)],)


@pytest.mark.usefixtures("spandrel")
def test_no_code_of_the_file_is_run(nafnet: nn.Module, tmp_path: Path) -> None:
    path, evidence = tmp_path / "weights.pth", tmp_path / "evidence"
    torch.save({"params": nafnet.state_dict(), "hook": Harmful(evidence)}, path)
    with pytest.raises(ModelError, match="would run code"):
        create_model("spandrel", weights=path)
    assert not evidence.exists()


def test_without_the_package_it_is_listed_and_says_what_to_install(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert get_card("spandrel").built_from == "checkpoint"
    with pytest.raises(ModelError, match=r"pip install 'restorebench\[spandrel\]'"):
        create_model("spandrel", weights=checkpoint)


def test_without_a_checkpoint_there_is_no_network(checkpoint: Path) -> None:
    for weights in (None, "none", "bundled"):
        with pytest.raises(ModelError, match="pass weights=PATH"):
            create_model("spandrel", weights=weights)
    with pytest.raises(ModelError, match="takes its network from a checkpoint"):
        build_network("spandrel")
    with pytest.raises(ModelError, match="leave out width"):
        create_model("spandrel", weights=checkpoint, width=8)


def test_a_card_built_from_checkpoints_needs_the_method() -> None:
    card = ModelCard(
        name="half-adapter", title="", variants={"any": Variant()}, paper="", url="", year=2026, code_licence="MIT",
        built_from="checkpoint",
    )  # fmt: skip
    with pytest.raises(ModelError, match="lacks from_checkpoint"):
        register(card)(nn.Identity)
