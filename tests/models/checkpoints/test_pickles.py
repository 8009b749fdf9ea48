"""Pickles as plain data: nothing in them is imported or called, and every tensor is as torch has it."""

from __future__ import annotations

import argparse
import builtins
import collections
import contextlib
import copyreg
import datetime
import enum
import importlib
import io
import os
import pathlib
import pickle
import pickletools
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import nn

from restorebench.models import ModelError
from restorebench.models.checkpoints import pickles, tensors
from restorebench.models.checkpoints.pickles import CodeError, Name, Placeholder, read_pickle
from restorebench.models.checkpoints.reading import open_checkpoint, read_checkpoint


def content(pickled: bytes) -> Any:
    return read_pickle(pickled, 0, tensors.MAKERS, tensors.storage_of)[0]


def stored_in(stored: object, path: Path, *, legacy: bool) -> Path:
    torch.save(stored, path, _use_new_zipfile_serialization=not legacy)
    return path


def zip_with(pickled: bytes, storages: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key}", numbers)
    return path


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


# Descriptions that lie

REBUILD = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
)


def tensor_of(count: int, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]) -> bytes:
    """A pickle of ``{"a": tensor}`` in a storage of so many numbers, as it says."""

    def number(value: Any) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    described = number(offset) + number(size) + number(stride) + b"\x89N"
    return b"\x80\x02}X\x01\x00\x00\x00a" + REBUILD + number(count) + b"tQ" + described + b"tRs."


NUMBERS = np.arange(4, dtype=np.float32).tobytes()


def test_a_description_that_is_true_is_read(tmp_path: Path) -> None:
    path = zip_with(tensor_of(4, 1, (3,), (1,)), {"0": NUMBERS}, tmp_path / "x.pth")
    assert read_checkpoint(path)["a"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("count", "offset", "size", "stride"),
    [
        (4, 1, (4,), (1,)),
        (4, 0, (2, 3), (3, 1)),
        (4, 0, (2,), (2**40,)),
        (4, 0, (2**61,), (0,)),
        (4, -1, (2,), (1,)),
        (4, 4, (1,), (1,)),
        (4, 0, (2,), (-1,)),
        (4, 0, (-2,), (1,)),
        (4, 0, (2,), (1, 1)),
        (4, 0, (1,) * 70, (1,) * 70),
        (4, 0, (2.0,), (1,)),
        (4, 0, ("2",), (1,)),
        (4, 2**63, (1,), (1,)),
        (4, 2**80, (1,), (1,)),
        (5, 0, (5,), (1,)),
        (2**40, 0, (2**40,), (1,)),
        (-4, 0, (1,), (1,)),
        (4, 0, (2**33, 2**33), (2**33, 1)),
    ],
)
def test_a_description_beyond_its_storage_is_refused(
    tmp_path: Path, count: int, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]
) -> None:
    path = zip_with(tensor_of(count, offset, size, stride), {"0": NUMBERS}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"is no readable checkpoint|is refused: its tensors claim") as caught:
        read_checkpoint(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["../data.pkl", "missing", "0/../../data.pkl"])
def test_a_storage_that_is_not_there_is_refused(tmp_path: Path, key: str) -> None:
    pickled = tensor_of(4, 0, (4,), (1,)).replace(
        b"X\x01\x00\x00\x000", b"X" + bytes([len(key), 0, 0, 0]) + key.encode()
    )
    with pytest.raises(ModelError, match="is no readable checkpoint"):
        read_checkpoint(zip_with(pickled, {"0": NUMBERS}, tmp_path / "x.pth"))


# Attacks


class Called:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def text(value: str) -> bytes:
    return pickle.dumps(value, 2)[2:-3]  # without its place in the memo


ATTACKS: dict[str, Callable[[Path], bytes]] = {
    "system": lambda marker: pickle.dumps(Called(os.system, f"touch {marker}"), 2),
    "system 4": lambda marker: pickle.dumps(Called(os.system, f"touch {marker}"), 4),
    "eval": lambda marker: pickle.dumps(Called(builtins.eval, f"open({str(marker)!r}, 'w')"), 2),
    "exec": lambda marker: pickle.dumps(Called(builtins.exec, f"open({str(marker)!r}, 'w')"), 5),
    "import": lambda marker: pickle.dumps(Called(builtins.__import__, "antigravity"), 2),
    "open": lambda marker: pickle.dumps(Called(open, str(marker), "w"), 2),
    "path": lambda marker: pickle.dumps(Called(pathlib.Path.touch, marker), 4),
    "getattr of getattr": lambda marker: pickle.dumps(
        Called(getattr, Called(importlib.import_module, "os"), "system"), 4
    ),
    "nested": lambda marker: pickle.dumps([{"a": (Called(list, [Called(os.system, f"touch {marker}")]),)}], 4),
    "inst": lambda marker: b"(S'touch " + str(marker).encode() + b"'\nios\nsystem\n.",
    "obj": lambda marker: b"(cos\nsystem\n" + text(f"touch {marker}") + b"o.",
    "newobj": lambda marker: b"\x80\x02cos\nsystem\n" + text(f"touch {marker}") + b"\x85\x81.",
    "dotted": lambda marker: b"\x80\x04\x8c\x08builtins\x8c\x13__import__.__call__\x93\x8c\x02os\x85R.",
    "setstate": lambda marker: b"\x80\x02ccollections\nOrderedDict\n)R}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsb.",
    "reduce of the result": lambda marker: b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x08\x00\x00\x00__call__\x86R"
    b"X\x02\x00\x00\x00ls\x85R.",
    "extension": lambda marker: b"\x80\x02\x82\x01)R.",
    "a maker's name": lambda marker: b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\nK\x00)))tR.",
    "persistent": lambda marker: b"\x80\x02cos\nsystem\nQ.",
}  # fmt: skip


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """What is imported, and what the operating system is asked to start, inside the block."""
    happened: list[str] = []
    real = builtins.__import__

    def imported(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] not in sys.modules:
            happened.append(f"import {name}")
        return real(name, *arguments)

    def started(*arguments: Any) -> int:
        happened.append(f"started {arguments}")
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "__import__", imported)
        patch.setattr(os, "system", started)
        yield happened


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_called_and_nothing_imported(tmp_path: Path, attack: str) -> None:
    pickled = ATTACKS[attack](tmp_path / "marker")
    copyreg.add_extension("os", "system", 1)
    copyreg._extension_cache[1] = os.system  # type: ignore[attr-defined]
    before = set(sys.modules)
    with watched() as happened:
        try:
            made = content(pickled)
        except (CodeError, ValueError, LookupError, TypeError) as error:
            made = error
    copyreg.remove_extension("os", "system", 1)
    assert happened == []
    assert not (tmp_path / "marker").exists()
    assert set(sys.modules) == before
    assert is_plain(made) or isinstance(made, Exception)


def is_plain(value: Any) -> bool:
    """Whether a value is data alone, all through."""
    if isinstance(value, dict):
        return all(is_plain(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, Placeholder):
        return is_plain(value.items) and (value.state is value.items or is_plain(dict(value.state)))
    plain = (int, float, str, bytes, bytearray, type(None), Name, tensors.StoredStorage, tensors.StoredTensor)
    return isinstance(value, plain)


INTERESTING = (
    b"cos\nsystem\n", b"cbuiltins\ngetattr\n", b"cbuiltins\n__import__\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n", b"ios\nsystem\n",
    b"cargparse\nNamespace\n", b"cantigravity\nfly\n", b"X\x02\x00\x00\x00ls", b"X\x07\x00\x00\x00storage", b"\x82\x01",
    b"K\x04", b"q\x00", b"h\x00", b"Pos\n", b"\x8c\x0bantigravity\x8c\x03fly\x93", b"J\xff\xff\xff\xff", b"\x94",
)  # fmt: skip
CODES = tuple(each.code.encode("latin-1") for each in pickletools.opcodes)
ONE_BYTE = tuple(each.code.encode("latin-1") for each in pickletools.opcodes if each.arg is None and each.code != ".")


@settings(max_examples=400, deadline=None)
@given(
    start=st.binary(max_size=3),
    parts=st.lists(st.sampled_from([*INTERESTING, *ONE_BYTE, *CODES]) | st.binary(max_size=3), max_size=40),
)
def test_any_stream_of_instructions_gives_plain_data_or_an_error(start: bytes, parts: list[bytes]) -> None:
    asked: list[str] = []
    before = set(sys.modules)
    real = builtins.__import__
    builtins.__import__ = lambda name, *rest: asked.append(name) or real(name, *rest)  # type: ignore[func-returns-value]
    try:
        made = content(start + b"".join(parts) + b".")
    except (CodeError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        made = str(error)
    finally:
        builtins.__import__ = real
    assert not set(asked) & {"os", "antigravity", "argparse", "builtins", "torch._utils"}
    assert set(sys.modules) == before
    assert isinstance(made, str) or not isinstance(made, type(os.system))


def test_the_reader_has_no_way_to_import_or_call_by_name() -> None:
    """Its files use none of the functions that look a name up."""
    for module in (pickles, tensors):
        source = Path(module.__file__).read_text(encoding="utf-8")
        for word in (
            "import_module(",
            "__import__(",
            "getattr(",
            "eval(",
            "exec(",
            "find_class",
            "Unpickler(",
            "load(",
        ):
            assert word not in source, (module.__name__, word)


def test_hashes_of_keys_cannot_be_made_to_collide() -> None:
    colliding = {index * (2**61 - 1): None for index in range(1, 4)}
    assert [type(key) for key in content(pickle.dumps(colliding))] == [Placeholder] * 3
    assert content(pickle.dumps({1: "a", "b": 2})) == {1: "a", "b": 2}


@pytest.mark.parametrize("word", ["eval", "getattr", "__import__"])
def test_an_attack_is_refused_or_inert_through_a_checkpoint(tmp_path: Path, word: str) -> None:
    function = vars(builtins)[word]
    stored = {"a": torch.ones(1), "hook": Called(function, *(("os", "system") if word == "getattr" else ("os",)))}
    path = stored_in(stored, tmp_path / "x.pth", legacy=False)
    if word == "getattr":  # an enum's members are pickled so
        assert read_checkpoint(path).keys() == {"a"}
        return
    with pytest.raises(ModelError, match=rf"refused: reading it would run code \(\S*{word}\)"):
        read_checkpoint(path)


def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), buffer)
    (tmp_path / "x.pt").write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match="a TorchScript archive, which holds code"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["\x0b", "\r", "a\u2028b", "x" * 5000])
def test_a_name_in_a_message_is_one_line(tmp_path: Path, name: str) -> None:
    pickled = b"\x80\x02}X\x01\x00\x00\x00ac" + f"{name}\nA\n)R".encode() + b"s."
    with pytest.raises(ModelError, match="holds no state dict") as caught:
        read_checkpoint(zip_with(pickled, {}, tmp_path / "x.pth"))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
