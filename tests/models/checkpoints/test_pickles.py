"""Pickles as plain data: what is no tensor is passed over, and every tensor is as torch has it."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import os
import pathlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from restorebench.models import ModelError
from restorebench.models.checkpoints.reading import open_checkpoint, read_checkpoint

from .pickled import content, stored_in

# Values that weights_only refuses


class Colour(enum.Enum):
    RED = 1


class Settings:
    def __init__(self) -> None:
        self.rate, self.next = 1.0, {"path": pathlib.Path("x")}


class Slotted:
    __slots__ = ("rate",)

    def __init__(self) -> None:
        self.rate = 1.0


class Größe:
    pass


class OwnDict(collections.OrderedDict[str, torch.Tensor]):
    pass


def optimiser() -> dict[str, Any]:
    network = nn.Linear(2, 2)
    adam = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    adam.step()
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.1, total_steps=5)
    return {"optimizer": adam.state_dict(), "schedule": schedule.state_dict(), "whole schedule": schedule}


HARMLESS: dict[str, Callable[[], Any]] = {
    "namespace": lambda: argparse.Namespace(lr=1.0, path=pathlib.Path("x")),
    "numpy scalars": lambda: [np.float64(1.5), np.int64(2), np.bool_(True)],
    "numpy arrays": lambda: {"a": np.arange(12.0).reshape(3, 4), "names": np.array(["a", None], dtype=object)},
    "paths": lambda: (pathlib.Path("x"), pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c")),
    "defaultdict": lambda: collections.defaultdict(list, {"a": [1]}),
    "counter and deque": lambda: [collections.Counter("aab"), collections.deque([1, 2], maxlen=3)],
    "configuration": lambda: OmegaConf.create({"a": {"b": [1, 2, {"c": "${a.b}"}]}}),
    "optimiser and schedule": optimiser,
    "enum": lambda: {Colour.RED: Colour.RED},
    "times": lambda: [datetime.datetime.now(), datetime.timedelta(1), datetime.date.today(), datetime.UTC],
    "own classes": lambda: [Settings(), Slotted()],
    "sets and ranges": lambda: [{1, 2}, frozenset("ab"), range(3), slice(1), 1j, bytearray(b"ab"), ...],
    "functions": lambda: [os.path.join, len, nn.functional.relu, Settings],
    "device and dtype": lambda: [torch.device("cpu"), torch.float16, torch.Size([2, 3])],
    "generators": lambda: [np.random.default_rng(0), np.random.RandomState(0), torch.Generator().get_state()],
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_no_tensor_is_passed_over(tmp_path: Path, kind: str, legacy: bool) -> None:
    state = {"a.weight": torch.rand(3, 2), "a.bias": torch.rand(3)}
    path = stored_in({"epoch": 3, "other": HARMLESS[kind](), "state_dict": state}, tmp_path / "x.ckpt", legacy=legacy)
    loaded = read_checkpoint(path, weights_key="state_dict")
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_gives_the_same_data(protocol: int) -> None:
    value = {"a": [1, -2, 2**40, 2.5, None, True, "ä", "x" * 300], "b": {"c": (1, (2, 3, 4, 5)), "d": ()}, 7: []}
    assert content(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_class_may_be_called_in_any_letters(protocol: int) -> None:
    made = content(pickle.dumps([Größe()], protocol))
    assert made[0].kind.endswith(".Größe")


def test_an_object_says_what_it_would_have_been(tmp_path: Path) -> None:
    stored = {"args": argparse.Namespace(lr=1.0), "path": pathlib.PurePosixPath("x"), "a": torch.ones(1)}
    path = stored_in(stored, tmp_path / "x.pth", legacy=False)
    assert open_checkpoint(path).passed_over == ("argparse.Namespace", "pathlib.PurePosixPath")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_dictionary_of_an_own_class_and_a_whole_module_hold_their_tensors(tmp_path: Path, legacy: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    network.register_buffer("scratch", torch.ones(1), persistent=False)
    state = network.state_dict()
    for stored in (OwnDict(state), network, {"model": nn.DataParallel(network)}):
        loaded = open_checkpoint(stored_in(stored, tmp_path / "x.pth", legacy=legacy))
        found = {name.removeprefix("model.").removeprefix("module."): each.leaf for name, each in loaded.names.items()}
        assert found.keys() == state.keys()
        read = loaded.tensors(found)
        assert all(torch.equal(read[key], state[key]) for key in state)


# Tensors


def shared() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0).reshape(4, 6)
    return {"whole": base, "row": base[1], "turned": base.T, "part": base[1:3, 2:4], "all of it": base.expand(2, 4, 6)}


TENSORS: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
    "types": lambda: {
        str(dtype): torch.arange(-3, 4).to(dtype)
        for dtype in (
            *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16),
            *(torch.int8, torch.bool, torch.complex64, torch.complex128),
        )
    },
    "types without a storage class": lambda: {
        "u16": torch.arange(4).to(torch.uint16),
        "f8": torch.arange(4.0).to(torch.float8_e4m3fn),
    },
    "shared": shared,
    "parameters": lambda: {"p": nn.Parameter(torch.rand(2, 2)), "frozen": nn.Parameter(torch.rand(2), False)},
    "shapes": lambda: {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 3), "deep": torch.rand((1,) * 12)},
    "channels last": lambda: {"a": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)},
}


def as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().flatten().view(torch.uint8)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_read_as_torch_reads_them(tmp_path: Path, kind: str, legacy: bool) -> None:
    if legacy and kind == "types without a storage class":
        pytest.skip("torch itself cannot read these in its older format")
    path = stored_in(TENSORS[kind](), tmp_path / "x.pth", legacy=legacy)
    wanted, loaded = torch.load(path, weights_only=True), read_checkpoint(path)
    assert loaded.keys() == wanted.keys()
    for key, value in wanted.items():
        read = loaded[key]
        assert (read.dtype, read.shape, read.stride()) == (value.dtype, value.shape, value.stride())
        assert torch.equal(as_bytes(read), as_bytes(value))


def test_tensors_that_share_a_storage_share_memory(tmp_path: Path) -> None:
    loaded = read_checkpoint(stored_in(shared(), tmp_path / "x.pth", legacy=False))
    loaded["whole"].fill_(7)
    assert all((value == 7).all() for value in loaded.values())


def test_a_parameter_with_attributes_and_a_subclass_are_tensors(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.rand(3))
    parameter.note = "x"  # type: ignore[attr-defined]
    own = torch.rand(2).as_subclass(OwnTensor)
    path = stored_in({"a": parameter, "b": own}, tmp_path / "x.pth", legacy=False)
    loaded = read_checkpoint(path)
    assert torch.equal(loaded["a"], parameter)
    assert torch.equal(loaded["b"], own.as_subclass(torch.Tensor))
    assert type(loaded["b"]) is torch.Tensor


class OwnTensor(torch.Tensor):
    pass


def test_quantised_tensors_are_passed_over_or_named(tmp_path: Path) -> None:
    quantised = torch.quantize_per_tensor(torch.rand(4), 0.1, 3, torch.qint8)
    state = {"a": torch.ones(2)}
    path = stored_in({"packed": {"q": quantised}, "state_dict": state}, tmp_path / "x.pth", legacy=False)
    assert torch.equal(read_checkpoint(path, weights_key="state_dict")["a"], state["a"])
    with pytest.raises(ModelError, match="its tensor 'q' is sparse, quantised or without values"):
        read_checkpoint(path, weights_key="packed")
