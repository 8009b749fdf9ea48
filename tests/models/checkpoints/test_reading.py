"""Reading checkpoints without running their code, and fitting them into networks."""

import builtins
import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from restorebench.models import ModelCard, ModelError, Variant, save_weights
from restorebench.models.checkpoints.fitting import load_into
from restorebench.models.checkpoints.reading import open_checkpoint, read_checkpoint, without_prefixes
from restorebench.models.checkpoints.writing import read_metadata, training_facts
from restorebench.models.factory import published_sizes
from restorebench.models.files import file_sha256
from restorebench.models.registry import Registration

State = dict[str, torch.Tensor]


class Small(nn.Module):
    """Has a counter, a buffer and a part that is itself called ``net``."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.DaCA = nn.Conv2d(width, 3, 1)
        self.register_buffer("center", torch.linspace(-1, 1, 5))


class Inner(nn.Module):
    """All keys begin with ``net.``."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 3, 1))


CARD = ModelCard(
    name="small", title="Small",
    variants={"paper": Variant(arguments={"width": 4}), "large": Variant(arguments={"width": 6})},
    paper="", url="", year=2024, code_licence="MIT",
    key_map=((r"^DCCA\.", "DaCA."), (r"^centre$", "center")),
)  # fmt: skip


def published() -> State:
    """State of a trained network in reference keys, all values distinct."""
    state = Small().state_dict()
    return {
        key: torch.arange(value.numel()).reshape(value.shape).to(value.dtype) + index
        for index, (key, value) in enumerate(state.items())
    }


def load_into_new(path: Path) -> State:
    network = Small()
    load_into(network, open_checkpoint(path), CARD, sizes=published_sizes(Registration(CARD, Small)))
    return network.state_dict()


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "bare": lambda s: s,
    "lightning": lambda s: {"epoch": 3, "state_dict": prefixed("net.", s), "optimizer_states": [{"lr": 1.0}]},
    "params": lambda s: {"params": s},
    "params_ema before params": lambda s: {"params": {k: v * 0 for k, v in s.items()}, "params_ema": s},
    "net, module": lambda s: {"net": prefixed("module.", s), "iteration": 7},
    "model, module": lambda s: {"model": prefixed("module.", s)},
    "lightning of a parallel network": lambda s: {"state_dict": prefixed("net.module.", s)},
    "nested": lambda s: {"model": {"state_dict": s}},
    "other spelling": lambda s: {k.replace("DaCA", "DCCA"): v for k, v in s.items()},
    "other spelling in lightning": lambda s: {
        "state_dict": {"net." + k.replace("DaCA", "DCCA").replace("center", "centre"): v for k, v in s.items()}
    },
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_layouts_load_as_they_are(tmp_path: Path, layout: str, legacy: bool) -> None:
    state = published()
    path = tmp_path / "model.ckpt"
    torch.save(LAYOUTS[layout](state), path, _use_new_zipfile_serialization=not legacy)
    assert same(load_into_new(path), state)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_safetensors_are_recognised_by_content(tmp_path: Path, name: str) -> None:
    state = published()
    save_file(prefixed("module.", state), tmp_path / name)
    assert same(load_into_new(tmp_path / name), state)


def test_without_a_network_every_word_before_most_keys_is_tried() -> None:
    state = {"a.weight": torch.ones(1), "b": torch.ones(2)}
    spellings = without_prefixes({**prefixed("net.any_word.", state), "loss_fn.weight": torch.ones(3)})
    assert [len(spelling) for spelling in spellings] == [3, 2, 2]
    assert same(spellings[-1], state)


@pytest.mark.parametrize("prefix", ["", "net.", "module."])
def test_a_network_whose_own_keys_begin_with_net_keeps_them(tmp_path: Path, prefix: str) -> None:
    network, own = Inner(), Inner().state_dict()
    torch.save(prefixed(prefix, own), tmp_path / "x.pth")
    load_into(network, open_checkpoint(tmp_path / "x.pth"), CARD)
    assert same(network.state_dict(), own)


def test_a_file_of_the_part_that_a_network_only_wraps_fits_it(tmp_path: Path) -> None:
    network, own = Inner(), Inner().state_dict()
    torch.save({"params": {key.removeprefix("net."): value for key, value in own.items()}}, tmp_path / "x.pth")
    load_into(network, open_checkpoint(tmp_path / "x.pth"), CARD)
    assert same(network.state_dict(), own)


def test_two_keys_that_become_one_are_refused(tmp_path: Path) -> None:
    state = published()
    torch.save({**state, "DCCA.bias": state["DaCA.bias"]}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"keys 'DaCA\.bias' and 'DCCA\.bias' of the checkpoint are both 'DaCA\.bias'"):
        load_into_new(tmp_path / "x.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_stored_dtypes_are_cast_to_the_networks(tmp_path: Path, dtype: torch.dtype) -> None:
    state = published()
    torch.save({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, tmp_path / "half.pth")
    loaded = load_into_new(tmp_path / "half.pth")
    assert {key: value.dtype for key, value in loaded.items()} == {key: value.dtype for key, value in state.items()}
    assert same(loaded, state)  # small integers, exact in every dtype


def test_missing_step_counters_are_no_error_and_other_missing_buffers_are(tmp_path: Path) -> None:
    state = published()
    del state["norm.num_batches_tracked"]
    torch.save(state, tmp_path / "old.pth")
    assert same({k: v for k, v in load_into_new(tmp_path / "old.pth").items() if k in state}, state)

    del state["norm.running_mean"]
    torch.save(state, tmp_path / "older.pth")
    with pytest.raises(ModelError, match=r"1 of 10 keys missing \(first 'norm\.running_mean'\)"):
        load_into_new(tmp_path / "older.pth")


def test_a_mismatch_names_counts_and_first_keys(tmp_path: Path) -> None:
    state = published()
    del state["DaCA.weight"], state["net.bias"]
    state["extra.b"] = state["extra.a"] = torch.ones(1)
    state["center"] = torch.ones(9)
    torch.save(state, tmp_path / "odd.pth")
    network = Small()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    stored = open_checkpoint(tmp_path / "odd.pth")
    with pytest.raises(ModelError) as caught:
        load_into(network, stored, CARD, sizes=published_sizes(Registration(CARD, Small)))
    message = str(caught.value)
    assert message == (
        f"{tmp_path / 'odd.pth'} does not fit this small: 2 of 10 keys missing (first 'net.bias'), "
        "2 of 10 unexpected (first 'extra.b'), 1 of wrong shape (first 'center': (9,), not (5,)); "
        "it fits no variant of the card"
    )
    assert same(before, network.state_dict())


def test_a_mismatch_names_the_variant_that_fits(tmp_path: Path) -> None:
    torch.save({"params": Small(6).state_dict()}, tmp_path / "large.pth")
    with pytest.raises(ModelError, match=r"it fits variant large: pass variant=large$"):
        load_into_new(tmp_path / "large.pth")


class Payload:
    """Pickles as a call of `function`, which unpickling would run."""

    def __init__(self, function: Callable[..., Any], argument: str) -> None:
        self.call = function, (argument,)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return self.call


def save_zip(stored: object, path: Path) -> None:
    torch.save(stored, path)


def save_legacy(stored: object, path: Path) -> None:
    torch.save(stored, path, _use_new_zipfile_serialization=False)


def save_pickle(stored: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(stored, protocol=2))


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
@pytest.mark.parametrize("way", ["system", "exec"])
@pytest.mark.parametrize("forced", [False, True])
def test_code_in_a_file_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[[object, Path], None], way: str, forced: bool
) -> None:
    marker = tmp_path / "marker"
    attack = (
        Payload(os.system, f"touch {marker}")
        if way == "system"
        else Payload(builtins.exec, f"open({str(marker)!r}, 'w')")
    )
    if save is save_pickle:
        pickle.loads(pickle.dumps(attack, protocol=2))
        assert marker.exists()  # the attack itself works
        marker.unlink()
    path = tmp_path / "model.pth"
    save({"state_dict": {"a": torch.ones(2)} if save is not save_pickle else {}, "hook": attack}, path)
    if forced:  # torch's own way to switch the protection off from outside
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(ModelError, match=rf"refused: reading it would run code \(\S*{way}\); pass a file") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_every_truncation_is_one_line(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "zip.pth")
    torch.save(published(), tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(published(), tmp_path / "safe.safetensors")
    cut = tmp_path / "cut"
    for whole in ("zip.pth", "legacy.pth", "safe.safetensors"):
        content = (tmp_path / whole).read_bytes()
        for length in range(0, len(content), max(1, len(content) // 40)):
            path = cut.with_suffix(Path(whole).suffix)
            path.write_bytes(content[:length])
            with pytest.raises(ModelError) as caught:
                read_checkpoint(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello world", b"<!DOCTYPE html><html>", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04 no", b"version 1\n{}"]
)
@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_other_files_are_no_checkpoints(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is (no|not a)( readable)? (safetensors|checkpoint)") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ([torch.ones(1)], "holds no state dict but a list"),
        (torch.ones(1), "holds no state dict but a Tensor"),
        ({}, "holds no state dict but an empty dictionary"),
        ({"state_dict": {}}, "holds no state dict but an empty dictionary"),
        ({"epoch": 3}, "its entry 'epoch' is a int, not a tensor"),
        ({3: torch.ones(1)}, "its entry 3 is"),
    ],
)
def test_checkpoints_without_a_state_dict_are_refused(tmp_path: Path, stored: object, problem: str) -> None:
    torch.save(stored, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=problem):
        read_checkpoint(tmp_path / "x.pth")


def test_a_dictionary_that_contains_itself_is_refused(tmp_path: Path) -> None:
    loop: dict[str, Any] = {"epoch": 1}
    loop["state_dict"] = loop
    torch.save(loop, tmp_path / "loop.pth")
    with pytest.raises(ModelError, match="its entry 'epoch'"):
        read_checkpoint(tmp_path / "loop.pth")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no checkpoint at \S+gone\.pth: weights takes a path, 'bundled' or 'none'"):
        read_checkpoint(tmp_path / "gone.pth")
    with pytest.raises(ModelError, match="is a folder"):
        read_checkpoint(tmp_path)


def test_the_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    content = os.urandom(300_001)
    (tmp_path / "x").write_bytes(content)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_saved_weights_come_back_with_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "new" / "small.safetensors"
    shared = torch.rand(4, 4)
    state = {"a": shared, "b": shared, "c": shared.T, "count": torch.tensor(3)}
    save_weights(state, path, {"restorebench.provenance": "retrained", "note": "x"})
    assert same(read_checkpoint(path), state)
    assert read_metadata(path) == {"restorebench.provenance": "retrained", "note": "x"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.safetensors"
    save_weights({"a": torch.ones(2)}, path, {})

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights({"a": torch.zeros(2)}, path, {})
    assert list(tmp_path.iterdir()) == [path]
    assert torch.equal(load_file(path)["a"], torch.ones(2))


def test_an_invented_provenance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"restorebench\.provenance is 'best', must be one of official, retrained, bundled, file"
    ):
        save_weights({"a": torch.ones(2)}, tmp_path / "x.safetensors", {"restorebench.provenance": "best"})
    assert not list(tmp_path.iterdir())


WRITE = """
import pathlib, sys, torch
from restorebench.models import save_weights
facts = {f"restorebench.{name}": name * 3 for name in "zyxwvutsrqponmlkjihgfedcba"}
save_weights({"b": torch.ones(3), "a": torch.zeros(2, dtype=torch.float16)}, pathlib.Path(sys.argv[1]), facts)
"""


@pytest.mark.slow
def test_the_same_weights_have_the_same_bytes_in_every_process_and_ordinary_permissions(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", WRITE, str(tmp_path / f"{seed}.safetensors")]
        subprocess.run(command, env=environment, check=True)
    one, two = (tmp_path / f"{seed}.safetensors" for seed in ("1", "2"))
    assert one.read_bytes() == two.read_bytes()
    (tmp_path / "plain").write_bytes(b"")
    assert one.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert load_file(one)["b"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("text", ["NaN", "[1.0, Infinity]", "1e999", "9" * 5000, "[" * 100_000])
def test_facts_that_are_no_numbers_are_read_as_none_or_text(text: str) -> None:
    facts = training_facts({"restorebench.images": "5", "restorebench.history": text})
    assert facts is not None
    json.dumps(facts, allow_nan=False)
