"""Checkpoints as people have them, through the commands that take ``weights=``."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.commands.profile import COMMAND, planned
from restorebench.models import build_network

from ..small_network import enter

pytestmark = pytest.mark.usefixtures("own_registry")

State = dict[str, torch.Tensor]
RUN = ("run", "model=small", "tasks=derain", "data.size=32", "device=cpu", "progress=false")


@pytest.fixture(autouse=True)
def here(own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small network is known, and paths are short."""
    enter()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(seed: int) -> State:
    return build_network("small", seed=seed).state_dict()


def lightning(path: str) -> Path:
    """A file of Lightning's with raw and averaged weights, a loss's own, and what no safe loader of torch's reads."""
    keys = {
        f"{prefix}{key}": value for prefix, seed in (("net.", 1), ("ema_net.", 2)) for key, value in state(seed).items()
    }
    stored: dict[str, Any] = {
        "epoch": 3,
        "state_dict": {**keys, "loss_fn.vgg.weight": torch.ones(3), "net.total_ops": torch.ones(1)},
        "hyper_parameters": argparse.Namespace(data=pathlib.Path("x"), rate=np.float64(0.1)),
    }
    torch.save(stored, path)
    return Path(path)


def records() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(Path("results").rglob("record.json"))]


def test_a_run_takes_the_averaged_weights_says_so_and_keeps_which(capsys: pytest.CaptureFixture[str]) -> None:
    lightning("x.ckpt")
    assert main([*RUN, "weights=x.ckpt"]) == 0
    said = capsys.readouterr().err
    assert "x.ckpt: taking the EMA weights 'state_dict.ema_net' (not 'state_dict.net')" in said
    assert "are left out: loss_fn (1)" in said
    (record,) = records()
    assert record["weights"]["key"] == "state_dict.ema_net"
    assert "EMA weights 'state_dict.ema_net'" in record["weights"]["description"]


def test_weights_key_makes_another_cell(capsys: pytest.CaptureFixture[str]) -> None:
    lightning("x.ckpt")
    for key in ("null", "state_dict.ema_net", "state_dict.net"):
        assert main([*RUN, "weights=x.ckpt", f"weights_key={key}"]) == 0
    both = records()  # the first two are the same tensors
    assert sorted(record["weights"]["key"] for record in both) == ["state_dict.ema_net", "state_dict.net"]
    assert len({json.dumps(record["means"]) for record in both}) == 2
    assert len({record["weights"]["sha256"] for record in both}) == 1
    capsys.readouterr()
    assert main([*RUN, "weights=x.ckpt", "weights_key=state_dict.nett"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert "unknown weights_key 'state_dict.nett' (did you mean 'state_dict.net'" in line


def test_a_file_with_one_state_dict_has_the_cell_that_it_always_had() -> None:
    torch.save({"params": state(1)}, "x.pth")
    assert main([*RUN, "weights=x.pth"]) == 0
    (record,) = records()
    assert "key" not in record["weights"]


def test_restore_and_convert_take_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    lightning("x.ckpt")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save("photo.png")
    for key, folder in (("state_dict.net", "raw"), ("state_dict.ema_net", "ema")):
        words = ("restore", "photo.png", "--model", "small", "--weights", "x.ckpt", "--weights-key", key)
        assert main([*words, "--output", folder, "--device", "cpu"]) == 0
    assert Path("raw/photo.png").read_bytes() != Path("ema/photo.png").read_bytes()
    assert main(["restore", "photo.png", "--model", "small", "--weights", "x.ckpt", "--output", "c"]) == 0
    assert Path("c/photo.png").read_bytes() == Path("ema/photo.png").read_bytes()
    assert "EMA weights 'state_dict.ema_net'" in capsys.readouterr().out

    convert = ("weights", "convert", "x.ckpt")
    assert main([*convert, "a.safetensors", "--model", "small", "--weights-key", "state_dict.net"]) == 0
    assert torch.equal(load_file("a.safetensors")["last.weight"], state(1)["last.weight"])
    assert main([*convert, "b.safetensors", "--model", "small"]) == 0
    assert torch.equal(load_file("b.safetensors")["last.weight"], state(2)["last.weight"])
    assert main([*convert, "c.safetensors", "--weights-key", "state_dict.ema_net"]) == 0
    assert torch.equal(load_file("c.safetensors")["last.weight"], state(2)["last.weight"])


def test_profile_takes_a_key_and_refuses_a_wrong_one(capsys: pytest.CaptureFixture[str]) -> None:
    lightning("x.ckpt")
    words = ("model=small", "size=16", "device=cpu", "weights=x.ckpt")
    (config,) = COMMAND.compose([*words, "weights_key=state_dict.net"]).configs
    restorer = planned(config).workload.restorer()
    assert torch.equal(restorer.network.state_dict()["last.weight"], state(1)["last.weight"])
    assert main(["profile", *words, "weights_key=loss"]) == 2
    assert "unknown weights_key 'loss'" in capsys.readouterr().err


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch marker",)


def test_a_file_that_calls_code_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": state(1), "callbacks": Attack()}, "x.ckpt")
    assert main([*RUN, "weights=x.ckpt"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert "x.ckpt is refused: reading it would run code" in line
    assert not Path("marker").exists()


def test_a_checkpoint_of_another_restorer_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    other = build_network("kbnet", variant="tiny").state_dict()
    torch.save({"state_dict": {f"net_g.{key}": value for key, value in other.items()}}, "x.ckpt")
    assert main([*RUN, "weights=x.ckpt"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert "5 of 5 keys missing (first 'follower')" in line
    assert "(first 'intro.weight')" in line
    assert (
        "without 'state_dict.net_g.' before its keys it fits kbnet, variant tiny: pass model=kbnet variant=tiny" in line
    )
