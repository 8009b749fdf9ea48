"""Tensors as a checkpoint describes them: type, shape, and where their numbers lie in which storage.

Nothing is believed of a description: a tensor that reaches beyond its storage, or a storage beyond its bytes, is no
tensor. The numbers are read only for the tensors that are wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .pickles import Maker, Name, Placeholder

DTYPES: Mapping[str, torch.dtype] = {
    name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype) and str(value)[6:] == name
}
STORAGES: Mapping[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "QInt8Storage": torch.qint8,
    "QUInt8Storage": torch.quint8,
    "QInt32Storage": torch.qint32,
    "QUInt4x2Storage": torch.quint4x2,
    "QUInt2x4Storage": torch.quint2x4,
    "UntypedStorage": torch.uint8,
}
STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")
QUANTISED = (torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4)
MOST_DIMENSIONS = 64  # torch's own bound


@dataclass(frozen=True, eq=False)
class StoredStorage:
    """Numbers of one type that tensors share.

    Attributes:
        key: by which its bytes are found.
        dtype: of its numbers.
        count: how many there are.
        offset: numbers before it in the bytes (of a view; 0 for others).
    """

    key: str
    dtype: torch.dtype
    count: int
    offset: int = 0


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor of which only the description has been read.

    Attributes:
        shape: of it.
        dtype: of its numbers.
        storage: where they lie; None where they do not lie in the file, or not one by one.
        offset, strides: where in the storage, in numbers.
    """

    shape: torch.Size
    dtype: torch.dtype
    storage: StoredStorage | None
    offset: int = 0
    strides: tuple[int, ...] = ()

    @property
    def bytes_claimed(self) -> int:
        """Length in bytes of all its numbers written one after the other."""
        return math.prod(self.shape) * self.dtype.itemsize


Leaf = StoredTensor | Tensor
"""A tensor that has been read, or of which the description has."""


def storage_of(saved: Any) -> Any:
    """What stands for a persistent id of torch's: a storage, or a `Placeholder` for anything else.

    Raises:
        ValueError: it is the id of a storage, and damaged.
    """
    if not isinstance(saved, tuple) or not saved or saved[0] not in ("storage", b"storage"):
        return Placeholder("persistent id")
    kind, key, _, count, *rest = saved[1:]
    if not isinstance(kind, Name) or kind.module not in STORAGE_MODULES or kind.name not in STORAGES:
        raise ValueError(f"a storage of kind {kind if isinstance(kind, Name) else type(kind).__name__}")
    key = key.decode("ascii") if isinstance(key, bytes) else key
    if not isinstance(key, str | int) or not _is_count(count):
        raise ValueError("a storage without a key or length")
    storage = StoredStorage(str(key), STORAGES[kind.name], count)
    view = rest[0] if rest else None
    if view is None:
        return storage
    _, offset, length = view
    if not (_is_count(offset) and _is_count(length) and offset + length <= count):
        raise ValueError("a view beyond its storage")
    return StoredStorage(storage.key, storage.dtype, length, offset)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _sizes(value: Any) -> tuple[int, ...]:
    sizes = tuple(value) if isinstance(value, list | tuple) else None
    if sizes is None or len(sizes) > MOST_DIMENSIONS or not all(map(_is_count, sizes)):
        raise ValueError("a shape that is none")
    return sizes


def _tensor(arguments: Sequence[Any], dtype: torch.dtype | None = None) -> Any:
    """Of ``_rebuild_tensor(storage, offset, size, stride)``, with more arguments or without."""
    storage, offset, size, stride = arguments[:4]
    if not isinstance(storage, StoredStorage):
        return None
    shape, strides = _sizes(size), _sizes(stride)
    if len(shape) != len(strides) or not _is_count(offset):
        raise ValueError("a tensor whose strides are not those of its shape")
    kind = storage.dtype
    if dtype is not None and dtype != kind:
        if storage.dtype.itemsize != 1 and storage.dtype.itemsize != dtype.itemsize:
            raise ValueError("a tensor of another type than its storage")
        count = storage.count * storage.dtype.itemsize // dtype.itemsize
        storage, kind = StoredStorage(storage.key, dtype, count), dtype
    last = offset + sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.count:
        raise ValueError("a tensor beyond its storage")
    return StoredTensor(torch.Size(shape), kind, None if kind in QUANTISED else storage, offset, strides)


def _typed_tensor(arguments: Sequence[Any]) -> Any:
    """Of ``_rebuild_tensor_v3``, whose seventh argument is the type."""
    return _tensor(arguments, _dtype(arguments[6]))


def _dtype(name: Any) -> torch.dtype:
    if not isinstance(name, Name) or name.module != "torch" or name.name not in DTYPES:
        raise ValueError("a type of numbers that torch does not have")
    return DTYPES[name.name]


def _parameter(arguments: Sequence[Any]) -> Any:
    """Of ``_rebuild_parameter(data, requires_grad, hooks)``: the data."""
    return arguments[0] if isinstance(arguments[0], StoredTensor) else None


def _without_numbers(shape: Any, dtype: torch.dtype = torch.float32) -> StoredTensor:
    return StoredTensor(torch.Size(_sizes(shape)), dtype, None)


def _quantised(arguments: Sequence[Any]) -> Any:
    return _without_numbers(arguments[2], torch.qint8)


def _meta(arguments: Sequence[Any]) -> Any:
    return _without_numbers(arguments[1], _dtype(arguments[0]))


def _sparse(arguments: Sequence[Any]) -> Any:
    data = arguments[1]
    shape = next((each for each in data[1:] if isinstance(each, list | tuple)), ())
    return _without_numbers(shape)


def _of_a_subclass(arguments: Sequence[Any]) -> Any:
    """Of ``_rebuild_from_type_v2(function, type, arguments, state)``: the tensor, without its class and attributes."""
    function, _, inner = arguments[:3]
    maker = MAKERS.get((function.module, function.name)) if isinstance(function, Name) else None
    return maker(inner) if maker is not None and isinstance(inner, tuple) else None


def _size(arguments: Sequence[Any]) -> Any:
    return tuple(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else ()


MAKERS: dict[tuple[str, str], Maker] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch._utils", "_rebuild_qtensor"): _quantised,
    ("torch._utils", "_rebuild_sparse_tensor"): _sparse,
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _meta,
    ("torch._tensor", "_rebuild_from_type"): _of_a_subclass,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_a_subclass,
    ("torch", "Size"): _size,
}
"""How torch writes tensors into pickles, by module and function."""


class TensorReader:
    """Makes tensors of descriptions; those that share a storage share memory.

    Args:
        content: the bytes of a storage by its key; LookupError or ValueError where there are none.
    """

    def __init__(self, content: Callable[[str], bytes]) -> None:
        self._content = content
        self._read: dict[str, bytearray] = {}

    def tensor(self, stored: StoredTensor) -> Tensor:
        """The tensor, on the CPU.

        Raises:
            ValueError, LookupError: its storage is shorter than it says, or not there.
        """
        storage = stored.storage
        if storage is None:
            raise ValueError("a tensor without numbers")
        if storage.key not in self._read:
            self._read[storage.key] = bytearray(self._content(storage.key))
        content, width = self._read[storage.key], storage.dtype.itemsize
        if (storage.offset + storage.count) * width > len(content):
            raise ValueError(f"a storage of {storage.count} numbers has {len(content)} bytes")
        if not storage.count or 0 in stored.shape:
            return torch.empty(stored.shape, dtype=stored.dtype)
        flat = torch.frombuffer(content, dtype=storage.dtype, count=storage.count, offset=storage.offset * width)
        return flat.as_strided(stored.shape, stored.strides, stored.offset)
