"""A network's state dict found in whatever layout a checkpoint has, by the network's own keys."""

from __future__ import annotations

import argparse
import collections
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from restorebench.models import ModelCard, ModelError, Variant, create_model, get_card, list_models, register
from restorebench.models.checkpoints.fitting import fitted
from restorebench.models.checkpoints.names import is_averaged
from restorebench.models.checkpoints.reading import open_checkpoint
from restorebench.models.registry import unregister

pytestmark = pytest.mark.usefixtures("own_registry")

State = dict[str, torch.Tensor]


class Small(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width), nn.Conv2d(width, 3, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.body(x)
        return restored


class Other(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3)


def card(name: str, **variants: dict[str, Any]) -> ModelCard:
    sizes = {variant: Variant(arguments=arguments) for variant, arguments in variants.items()}
    return ModelCard(name=name, title=name, variants=sizes, paper="", url="", year=2024, code_licence="MIT")


@pytest.fixture(autouse=True)
def small(own_registry: None) -> None:
    register(card("small", paper={"width": 4}, large={"width": 6}))(Small)
    register(card("another", only={}))(Other)


def state() -> State:
    torch.manual_seed(1)
    return {key: torch.rand_like(value) if value.is_floating_point() else value for key, value in new().items()}


def new() -> State:
    return Small().state_dict()


def raw() -> State:
    return {key: value * 2 + 1 for key, value in state().items()}


def after(prefix: str, tensors: State) -> State:
    return {prefix + key: value for key, value in tensors.items()}


def loaded(stored: object, folder: Path, **more: Any) -> Any:
    torch.save(stored, folder / "x.pth")
    return create_model("small", weights=folder / "x.pth", **more)


def holds(restorer: Any, tensors: State) -> bool:
    own = restorer.network.state_dict()
    return own.keys() == tensors.keys() and all(torch.equal(own[key], tensors[key]) for key in own)


ONE: dict[str, Callable[[State], Any]] = {
    "compiled": lambda s: after("_orig_mod.", s),
    "lightning": lambda s: {"state_dict": after("model.", s), "epoch": 3},
    "any word": lambda s: after("whatever_it_is.", s),
    "a chain": lambda s: {"state_dict": after("model.module._orig_mod.net_g.", s)},
    "twelve words": lambda s: after("a.b.c.d.e.f.g.h.i.j.k.l.", s),
    "any container": lambda s: {"thing": s},
    "nested": lambda s: {"state": {"generator": s, "discriminator": {"body.0.weight": torch.ones(9)}}},
    "deep": lambda s: {"a": {"b": {"c": {"d": after("e.f.", s)}}}},
    "in a list": lambda s: {"models": [after("net.", s)]},
    "no dot before the keys": lambda s: after("net/", s),
    "wrapped inside": lambda s: {key.replace("body.", "body._orig_mod."): value for key, value in s.items()},
    "ordered": lambda s: {"model": collections.OrderedDict(after("module.", s)), "args": argparse.Namespace(a=1)},
    "shards of a tree": lambda s: {"params": {"body": {key.removeprefix("body."): v for key, v in s.items()}}},
    "beside an optimiser": lambda s: {
        "net": s,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(4, 3, 1, 1)}}, "best": np.float64(31.5)},
    },
}


@pytest.mark.parametrize("layout", ONE)
def test_one_state_dict_is_found_wherever_it_is(tmp_path: Path, layout: str) -> None:
    restorer = loaded(ONE[layout](state()), tmp_path)
    assert holds(restorer, state())
    assert restorer.weights.key is None
    assert "EMA" not in restorer.weights.description


@pytest.mark.parametrize("layout", ["compiled", "a chain", "no dot before the keys"])
def test_safetensors_are_searched_too(tmp_path: Path, layout: str) -> None:
    stored = ONE[layout](state())
    save_file(stored.get("state_dict", stored), tmp_path / "x.safetensors")
    assert holds(create_model("small", weights=tmp_path / "x.safetensors"), state())


BOTH: dict[str, tuple[Callable[[State, State], Any], str, str]] = {
    "BasicSR": (lambda r, e: {"params": r, "params_ema": e}, "params_ema", "params"),
    "the other order": (lambda r, e: {"params_ema": e, "params": r}, "params_ema", "params"),
    "ema": (lambda r, e: {"model": r, "ema": e}, "ema", "model"),
    "model_ema": (lambda r, e: {"model": r, "model_ema": e}, "model_ema", "model"),
    "ema_state_dict": (lambda r, e: {"state_dict": r, "ema_state_dict": e}, "ema_state_dict", "state_dict"),
    "timm": (lambda r, e: {"state_dict": r, "state_dict_ema": e}, "state_dict_ema", "state_dict"),
    "an object's": (lambda r, e: {"net": r, "ema": {"module": e, "updates": 9}}, "ema.module", "net"),
    "capitals": (lambda r, e: {"netG": r, "netEMA": e}, "netEMA", "netG"),
    "averaged": (lambda r, e: {"network": r, "average": e}, "average", "network"),
    "Lightning": (
        lambda r, e: {"state_dict": {**after("net.", r), **after("ema_net.module.", e)}},
        "state_dict.ema_net.module",
        "state_dict.net",
    ),
    "a callback's": (
        lambda r, e: {"state_dict": after("net.", r), "callbacks": {"EMA": {"weights": after("net.", e)}}},
        "callbacks.EMA.weights.net",
        "state_dict.net",
    ),
}


@pytest.mark.parametrize("layout", BOTH)
def test_of_two_the_averaged_weights_are_taken_and_that_is_said(
    tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, averaged, other = BOTH[layout]
    restorer = loaded(make(raw(), state()), tmp_path)
    assert holds(restorer, state())
    assert restorer.weights.key == averaged
    assert restorer.weights.description.endswith(f"; EMA weights {averaged!r} (not {other!r})")
    assert caplog.messages == [f"{tmp_path / 'x.pth'}: taking the EMA weights {averaged!r} (not {other!r})"]


@pytest.mark.parametrize("layout", BOTH)
def test_weights_key_chooses(tmp_path: Path, layout: str) -> None:
    make, averaged, other = BOTH[layout]
    for key, wanted in ((averaged, state()), (other, raw())):
        restorer = loaded(make(raw(), state()), tmp_path, weights_key=key)
        assert holds(restorer, wanted)
        assert restorer.weights.key == key


def test_a_key_of_the_only_state_dict_is_no_choice(tmp_path: Path) -> None:
    for key in ("state_dict", "state_dict.net", "state_dict.net."):
        restorer = loaded({"state_dict": after("net.", state())}, tmp_path, weights_key=key)
        assert holds(restorer, state())
        assert restorer.weights.key is None


def test_the_same_tensors_under_two_names_are_no_choice(tmp_path: Path) -> None:
    same = state()
    assert loaded({"params": same, "params_ema": same}, tmp_path).weights.key is None


def test_several_that_nothing_tells_apart_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    stored = {"student": raw(), "guide": state()}
    with pytest.raises(ModelError, match=r"several state dicts that fit small \('student', 'guide'\): choose with we"):
        loaded(stored, tmp_path)
    assert holds(loaded(stored, tmp_path, weights_key="guide"), state())
    many = {f"epoch_{index}": {key: value + index for key, value in state().items()} for index in range(40)}
    assert holds(loaded(many, tmp_path, weights_key="epoch_33"), many["epoch_33"])


def test_averaged_weights_that_lack_a_buffer_are_not_taken(tmp_path: Path) -> None:
    partial = {key: value for key, value in state().items() if "running" not in key}
    assert holds(loaded({"model": raw(), "ema": partial}, tmp_path), raw())


def test_a_key_that_is_not_there_or_does_not_fit_is_named(tmp_path: Path) -> None:
    stored = {"params": state(), "other": {"head.weight": torch.ones(1)}}
    with pytest.raises(
        ModelError, match=r"unknown weights_key 'param' \(did you mean 'params' or .*\); known: params, "
    ):
        loaded(stored, tmp_path, weights_key="param")
    with pytest.raises(ModelError, match=r"does not fit this small: .*; 'params' fits: pass weights_key=params"):
        loaded(stored, tmp_path, weights_key="other")
    with pytest.raises(ModelError, match="weights_key=params leads into a weights file"):
        create_model("small", weights="none", weights_key="params")


def test_other_modules_of_a_lightning_file_and_counters_are_left_out_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counted = {
        **state(),
        "total_ops": torch.zeros(1),
        "body.0.total_ops": torch.zeros(1),
        "total_params": torch.ones(1),
    }
    others = {
        "loss_fn.vgg.0.weight": torch.ones(2),
        "loss_fn.vgg.0.bias": torch.ones(2),
        "lpips.lin": torch.ones(1),
        "discriminator.a.b": torch.ones(1),
        "something_else.weight": torch.ones(3),
    }
    assert holds(loaded({"state_dict": {**others, **after("net.", counted)}}, tmp_path), state())
    assert caplog.messages == [
        f"{tmp_path / 'x.pth'}: 8 keys that are not the network's are left out: loss_fn (2), total_ops (2), lpips (1), "
        "discriminator (1), something_else (1) and 1 more"
    ]
    caplog.clear()
    bare = {**state(), "loss_fn.vgg.weight": torch.ones(2), "discriminator.a": torch.ones(1)}
    assert holds(loaded(bare, tmp_path), state())
    assert "2 keys that are not the network's are left out: loss_fn (1), discriminator (1)" in caplog.text


def test_unknown_keys_of_the_networks_own_are_not_left_out(tmp_path: Path) -> None:
    for more in ("body.3.weight", "refine.weight"):
        torch.save(after("net.", {**state(), more: torch.ones(1)}), tmp_path / "x.pth")
        stored = open_checkpoint(tmp_path / "x.pth")
        with pytest.raises(ModelError, match=rf"1 of 10 unexpected \(first '{more}'\)"):
            fitted(stored, new(), get_card("small"))


@pytest.mark.slow
def test_a_misfit_names_the_keys_the_prefix_and_what_would_fit(tmp_path: Path) -> None:
    for known in list_models():  # those of the suite, which the next test goes through, take a second a time
        if known.name not in ("small", "another"):
            unregister(known.name)
    part = {key: value for key, value in state().items() if key != "body.0.bias"}
    with pytest.raises(
        ModelError,
        match=r"1 of 9 keys missing \(first 'body\.0\.bias'\), 1 of 9 unexpected \(first 'body\.0\.biass'\)"
        r" \(without 'net\.' before its keys, where it comes nearest\); it fits no variant of the card$",
    ):
        loaded(after("net.", {**part, "body.0.biass": torch.ones(1)}), tmp_path)
    with pytest.raises(ModelError, match=r"without 'gen\.' before its keys it fits variant large: pass variant=large$"):
        loaded(after("gen.", Small(6).state_dict()), tmp_path)
    with pytest.raises(
        ModelError,
        match=r"8 of 9 keys missing \(first 'body\.0\.weight'\), 4 of 4 unexpected \(first 'head\.weight'\);"
        r" without 'gen\.' before its keys it fits another, variant only: pass model=another variant=only$",
    ):
        loaded(after("gen.", Other().state_dict()), tmp_path)


@pytest.mark.slow
def test_a_restorer_of_the_suite_is_recognised_by_its_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network = create_model("kbnet", variant="tiny", weights="none").network
    caplog.set_level(logging.ERROR)
    with pytest.raises(ModelError, match="it fits kbnet, variant tiny: pass model=kbnet variant=tiny"):
        loaded({"state_dict": after("net.", network.state_dict())}, tmp_path)


@pytest.mark.parametrize(
    ("name", "averaged"),
    [
        *(
            (name, True)
            for name in ("ema", "params-ema", "model_ema", "EMAModel", "modelEMA", "g_ema.module", "swa_net")
        ),
        *((name, False) for name in ("schema", "model", "cinema", "state.exp_avg", "demand", "temathing", "")),
    ],
)
def test_a_name_says_whether_weights_are_averaged(name: str, averaged: bool) -> None:
    assert bool(is_averaged(name)) is averaged
