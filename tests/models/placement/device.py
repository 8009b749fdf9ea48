"""Tensors on a device ``cuda`` that no machine needs to have: shapes, dtypes and places, without values.

Every operator that mixes host and device raises, as it would there. Whatever asks the device for a value is counted: on
a GPU each such question is a wait for all that has been given to it so far.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = "cuda"
VALUES = {"_local_scalar_dense": "item", "equal": "equal", "allclose": "equal", "is_nonzero": "item"}
COPIES = ("_to_copy", "copy_")
SHAPES = ("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "repeat_interleave")
"""Operators whose output's size depends on values."""
CHECKS = ("_linalg_check_errors",)
"""Operators that read whether a library succeeded."""
READ_BY_MASK = ("index", "_unsafe_index")
WRITTEN_BY_MASK = ("index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put")
MASKS = (torch.bool, torch.uint8)


def places_of_a_mask(name: str, args: Any) -> bool:
    """Whether an operator looks up where a mask on the device holds. One number alone is filled in without that."""
    if name not in READ_BY_MASK and name not in WRITTEN_BY_MASK:
        return False
    masks = [each for each in args[1] if each is not None and each.dtype in MASKS and on_the_device(each)]
    return bool(masks) and (name in READ_BY_MASK or args[2].numel() != 1)


def on_the_device(*values: Any) -> bool:
    """Whether a tensor among these is on the device."""
    tensors = [each for each in torch.utils._pytree.tree_leaves(values) if isinstance(each, Tensor)]
    return any(each.device.type == DEVICE for each in tensors)


class Questions:
    """What was asked of the device, by kind.

    Attributes:
        counts: ``tolist``, ``item``, ``equal``, ``mask``, ``check``, copies, or the name of an operator of `SHAPES`.
        answer: the value that every question is answered with.
    """

    def __init__(self, answer: float = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.answer = answer

    @property
    def listed(self) -> Callable[[Tensor], Any]:
        """``Tensor.tolist``."""

        def tolist(tensor: Tensor) -> Any:
            if on_the_device(tensor):
                self.counts["tolist"] += 1
            return _nested(tuple(tensor.shape), self.value(tensor))

        return tolist

    def note(self, kind: str, asked: bool) -> None:
        """Count a question, if it was one."""
        if asked:
            self.counts[kind] += 1

    def value(self, like: Tensor) -> bool | float | int:
        """A value for a tensor's dtype."""
        if like.dtype == torch.bool:
            return bool(self.answer)
        return float(self.answer) if like.is_floating_point() else int(self.answer)


def _nested(shape: tuple[int, ...], value: Any) -> Any:
    return [_nested(shape[1:], value) for _ in range(shape[0])] if shape else value


class _Operators(TorchDispatchMode):
    """Answers questions for a value, and counts copies to the host."""

    def __init__(self, questions: Questions) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.questions = questions

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in VALUES:
            self.questions.note(VALUES[name], on_the_device(args))
            return bool(self.questions.answer) if VALUES[name] == "equal" else self.questions.value(args[0])
        sized = (kwargs or {}).get("output_size") is not None
        self.questions.note(name, name in SHAPES and not sized and on_the_device(args))
        self.questions.note("check", name in CHECKS and on_the_device(args))
        self.questions.note("mask", places_of_a_mask(name, args))
        result = func(*args, **(kwargs or {}))
        if name in COPIES:
            self._copied(name, args, kwargs or {}, result)
        return result

    def _copied(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        non_blocking = kwargs.get("non_blocking", name == "copy_" and args[2:3] == (True,))
        start, end = on_the_device(args[1] if name == "copy_" else args[0]), on_the_device(result)
        self.questions.note("copy to the host", start and not end and not non_blocking)
        self.questions.note("copy from the host", end and not start and not non_blocking)


def _applied(module: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """``Module._apply``, which ``to`` goes through; torch's own swaps tensors in place, which these cannot be."""
    for each in module.modules() if recurse else (module,):
        for key, parameter in each._parameters.items():
            if parameter is not None:
                each._parameters[key] = nn.Parameter(change(parameter.detach()), parameter.requires_grad)
        for key, buffer in each._buffers.items():
            if buffer is not None:
                each._buffers[key] = change(buffer)
    return module


@contextlib.contextmanager
def device(answer: float = 0) -> Iterator[Questions]:
    """A device ``cuda`` for what runs inside, and what is asked of it."""
    questions = Questions(answer)
    # A list is one copy; torch's own for tensors without values asks for one after the other.
    lists = patch.object(FakeTensor, "tolist", questions.listed, create=True)
    moves = patch.object(nn.Module, "_apply", _applied)
    with lists, moves, FakeTensorMode(allow_non_fake_inputs=False), _Operators(questions):
        yield questions


@contextlib.contextmanager
def autocast(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype = torch.bfloat16) -> Iterator[None]:
    """Autocast on that device; without a real one torch leaves it off, with a warning."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    with torch.autocast(DEVICE, dtype):
        assert torch.is_autocast_enabled(DEVICE)
        yield
