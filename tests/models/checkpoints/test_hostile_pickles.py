"""Pickles that lie or attack: nothing in them is imported or called, and no tensor reaches beyond its storage."""

from __future__ import annotations

import builtins
import contextlib
import copyreg
import importlib
import io
import os
import pathlib
import pickle
import pickletools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from restorebench.models import ModelError
from restorebench.models.checkpoints import pickles, tensors
from restorebench.models.checkpoints.pickles import CodeError, Name, Placeholder
from restorebench.models.checkpoints.reading import read_checkpoint

from .pickled import content, stored_in, zip_with

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
