"""What tells networks apart that have no name and no weights file: a hash of everything that their outputs come from.

The state dict alone does not do: two classes can have the same parameters, and what a constructor was given (a
dilation, a scale) is in no parameter. So the hash is taken over the tree of modules with all their tensors and
attributes, the bytecode of their classes, and that of the functions and classes that it names, as far as they are the
user's: torch, numpy and the standard library count by name. The bytecode is what runs, also where the source has been
edited since, or is not to be had (a notebook). Another version of Python compiles to another one: the same network then
counts as another, which costs a computation and never mixes two up.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import types
from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property, partial
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LIBRARIES = frozenset((*sys.stdlib_module_names, "torch", "torchvision", "numpy", "scipy"))
"""Top-level packages whose code counts by name."""
PLAIN: tuple[type, ...] = (
    *(bool, int, float, complex, str, bytes, range, slice, type(None), type(Ellipsis)),
    *(PurePath, torch.dtype, torch.device, torch.memory_format, torch.layout, np.generic, np.dtype),
)
"""What its ``repr`` says everything of."""
IDLE = frozenset(
    (
        *("training", "_is_full_backward_hook", "_non_persistent_buffers_set", "_version", "call_super_init"),
        *("_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks", "_state_dict_pre_hooks"),
        *("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_compiled_call_impl", "_c"),
    )
)
"""Attributes of every module that no output in evaluation depends on."""
HOOKS = frozenset(
    (
        *("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs"),
        *("_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs"),
    )
)
"""Their keys are numbers counted over the whole process."""
NOT_CODE = frozenset(
    (
        *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__static_attributes__"),
        *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__firstlineno__"),
        *("__annotate_func__", "__annotations_cache__", "__abstractmethods__", "_abc_impl"),
    )
)
"""What a class's body holds that is not run; the methods that a dataclass got hold its defaults."""


def fingerprint(*values: Any) -> str:
    """SHA-256 (hex) of networks, or of anything that belongs to them.

    Args:
        values: modules, plain values, or objects made of them.
    """
    walk = _Walk()
    for value in values:
        walk.add(value)
    walk.finish()
    return walk.digest.hexdigest()


class _Walk:
    """A walk through objects, each once; what comes again is named by when it came first."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._order: dict[int, int] = {}
        self._alive: list[Any] = []  # an id is an object's only while it lives
        self._code: deque[types.FunctionType | type] = deque()

    def finish(self) -> None:
        """Walk through the code that was met; in a queue, since functions that call each other nest deeply."""
        while self._code:
            each = self._code.popleft()
            if isinstance(each, type):
                self._class(each)
            else:
                self._function(each)

    def add(self, value: Any) -> None:
        """Take one value in."""
        if isinstance(value, PLAIN):
            return self._tag(type(value).__qualname__, repr(value))
        if isinstance(value, Enum):
            return self._tag("enum", type(value).__qualname__, value.name)
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray) and value.dtype != object:
            self._tag("array", value.dtype.str, str(value.shape))
            return self.digest.update(np.ascontiguousarray(value).tobytes())
        # Whether equal constants are one object differs from process to process, so that is not asked of tuples.
        if isinstance(value, tuple):
            return self._several("sequence", value)
        if isinstance(value, set | frozenset):
            return self._tag("set", *sorted(fingerprint(each) for each in value))
        if isinstance(value, types.CodeType):
            return self._compiled(value)
        if self._met(value):
            return None
        if isinstance(value, Mapping):
            return self._items("mapping", value.items())
        if isinstance(value, list | deque):
            return self._several("sequence", value)
        return self._object(value)

    def _object(self, value: Any) -> None:
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, type | types.FunctionType):
            return self._met_code(value)
        if isinstance(value, types.MethodType):
            return self._several("method", (value.__func__, value.__self__))
        if isinstance(value, partial):
            return self._several("partial", (value.func, value.args, value.keywords))
        if isinstance(value, staticmethod | classmethod):
            return self._several(type(value).__name__, (value.__func__,))
        if isinstance(value, property):
            return self._several("property", (value.fget,))
        if isinstance(value, cached_property):
            return self._several("property", (value.func,))
        if isinstance(value, types.ModuleType) or _is_library(type(value)):
            return self._opaque(value)
        self.add(type(value))
        return self._items("object", vars(value).items()) if hasattr(value, "__dict__") else self._opaque(value)

    def _module(self, module: nn.Module) -> None:
        module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
        self.add(type(module))
        if isinstance(module, torch.jit.ScriptModule):
            self._tag("script", str(module.inlined_graph))
            return self._items("state", module.state_dict().items())
        own = {name: value for name, value in vars(module).items() if name not in IDLE | HOOKS}
        self._items("module", own.items())
        for name in sorted(HOOKS & vars(module).keys()):
            self._several(name, vars(module)[name].values())
        return None

    def _tensor(self, tensor: Tensor) -> None:
        plain = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
        self._tag("tensor", str(plain.dtype), str(tuple(plain.shape)))
        if plain.is_quantized:
            self._tag("quantized", str(plain.q_scale()), str(plain.q_zero_point()))
            plain = plain.int_repr()
        plain = plain.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        if plain.numel():
            self.digest.update(plain.view(torch.uint8).numpy().tobytes())

    def _class(self, kind: type) -> None:
        for each in kind.__mro__:
            self._tag("class", each.__module__, each.__qualname__)
            if not _is_library(each):
                self._items("body", ((k, v) for k, v in sorted(vars(each).items()) if k not in NOT_CODE))

    def _function(self, function: types.FunctionType) -> None:
        self._compiled(function.__code__)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # a cell that is not filled yet
                self._tag("empty cell")
        names = sorted(_names(function.__code__))
        for name in names:
            if name in function.__globals__:
                self._global(name, function.__globals__[name], names)

    def _global(self, name: str, value: Any, names: Iterable[str]) -> None:
        """What a function reads from its module; of a module that it reads from, the attributes that it names."""
        self._tag("global", name)
        self.add(value)
        if isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] not in LIBRARIES:
            self._items("attributes", ((each, vars(value)[each]) for each in names if each in vars(value)))

    def _compiled(self, code: types.CodeType) -> None:
        self._tag("code", code.co_name, *code.co_names, "|", *code.co_varnames, "|", *code.co_freevars)
        self._tag(str(code.co_argcount), str(code.co_kwonlyargcount), str(code.co_flags))
        self.digest.update(code.co_code + code.co_exceptiontable)
        self._several("constants", code.co_consts)

    def _met_code(self, value: types.FunctionType | type) -> None:
        """Name a function or class, and walk through it later if it is the user's."""
        self._tag("named", value.__module__ or "", value.__qualname__)
        if not _is_library(value):
            self._code.append(value)

    def _opaque(self, value: Any) -> None:
        """What has no attributes to be walked through: its name, or what pickle makes of it, or its type alone."""
        if hasattr(value, "__wrapped__"):  # a decorated function, such as one of lru_cache
            self.add(value.__wrapped__)
        if hasattr(value, "inlined_graph"):  # a function of torch.jit
            self._tag("script", str(value.inlined_graph))
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        if isinstance(name, str):
            return self._tag("opaque", str(getattr(value, "__module__", "")), name)
        try:
            content = pickle.dumps(value, protocol=4)
        except Exception:  # whatever a class's own pickling raises; a lock or a file is no part of a network
            content = b""
        self._tag("opaque", type(value).__module__, type(value).__qualname__)
        return self.digest.update(content)

    def _items(self, kind: str, items: Iterable[tuple[Any, Any]]) -> None:
        self._several(kind, (each for item in items for each in item))

    def _several(self, kind: str, values: Iterable[Any]) -> None:
        self._tag(kind, "(")
        for each in values:
            self.add(each)
        self._tag(")")

    def _met(self, value: Any) -> bool:
        if id(value) in self._order:
            self._tag("again", str(self._order[id(value)]))
            return True
        self._order[id(value)] = len(self._order)
        self._alive.append(value)
        return False

    def _tag(self, *parts: str) -> None:
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            self.digest.update(f"{len(data)}:".encode() + data)


def _is_library(value: Any) -> bool:
    return str(getattr(value, "__module__", None) or "").partition(".")[0] in LIBRARIES


def _names(code: types.CodeType) -> set[str]:
    """Every name that a function and those inside it read from somewhere else."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*(_names(each) for each in inner))
