"""Parameters and multiply-adds of a network, counted by dispatch on tensors without storage.

Module hooks miss whatever is not a module (attention as matrix products, kernel basis attention, custom autograd
functions). Here every operator that the forward pass dispatches is seen with its shapes, and nothing is computed.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..errors import UserError
from .formulas import FORMULAS, KINDS, Kind, guessed_kind, operator_name

logger = logging.getLogger("restorebench")


COUNTER = "restorebench dispatch counter 2"
"""Counter 1 added Fourier transforms to the total (`ComplexityRecord.multiply_adds` reads both alike)."""
OPAQUE = re.compile(r"aten::(.*convolution|.*conv\d?d|.*_mm|.*matmul|.*attention|.*rnn|.*encoder_layer|_trilinear$)")
"""Operators of torch that multiply and add: one without a formula here is named rather than left out in silence."""


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """Cost of one forward pass of one image.

    Attributes:
        parameters: trainable numbers, shared ones once.
        macs: multiply-adds of convolutions, matrix products and attention together, as papers' counters have them:
            without Fourier transforms, which none of these counts.
        macs_by_kind: by ``convolution``, ``matmul``, ``attention``, and beside these ``fft``.
        size: (height, width) of the input in pixels.
        statement: what was counted, at which size: to stand beside every number.
        counter: what counted, with the version of torch.
        uncounted: operators that were met and have no formula; a total with one in it is a lower bound.
        executed: True where the network had to be run on real numbers, because it branches on values.
    """

    parameters: int
    macs: int
    macs_by_kind: dict[str, int]
    size: tuple[int, int]
    statement: str
    counter: str
    uncounted: tuple[str, ...]
    executed: bool


def count_macs(
    network: nn.Module | Callable[[], nn.Module], size: tuple[int, int] = (256, 256), *, channels: int = 3
) -> Complexity:
    """Parameters and multiply-adds of a network in evaluation mode, batch 1.

    The network is run on tensors without storage, so that neither memory nor time is spent on numbers and the counts do
    not depend on the machine. Only where it branches on values is it run for real, on a seeded random image. Gradients
    and float32 are allowed, wherever it is called from, so that it is the network as defined and trained that is
    counted, and not the shortcuts that some device takes in inference.

    Args:
        network: the network, on any device, which is left as it was; or a function that builds it, which is then
            built without storage too.
        size: (height, width) of the input in pixels.
        channels: channels of the input.

    Raises:
        UserError: if the size is not positive, the network branches on values and has none, or torch does not run it.
    """
    if min(size) < 1:
        raise UserError(f"size {size[0]}x{size[1]} is not positive; give height and width in pixels")
    if runtime := getattr(network, "runtime", ""):
        raise UserError(f"{runtime} runs it, not torch, which alone is counted")
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        return _count(network, (1, channels, *size))


def _count(network: nn.Module | Callable[[], nn.Module], shape: tuple[int, int, int, int]) -> Complexity:
    """`count_macs` for an input shape (1, C, H, W)."""
    module, has_storage = (network, True) if isinstance(network, nn.Module) else _build(network)
    parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    try:
        counter, executed = _count_without_storage(module, shape), False
    except RuntimeError as error:
        logger.info("counting multiply-adds by running the network on real numbers: %s", error)
        real = module if has_storage or isinstance(network, nn.Module) else network()
        if any(p.is_meta for p in real.parameters()):
            raise UserError(
                f"the network cannot be counted without numbers ({error}): give it, or build it, on the CPU"
            ) from error
        counter, executed = _count_by_running(real, shape), True
    by_kind: dict[str, int] = {kind: counter.macs[kind] for kind in KINDS}
    return Complexity(
        parameters=parameters,
        macs=sum(count for kind, count in by_kind.items() if kind != "fft"),
        macs_by_kind=by_kind,
        size=shape[2:],
        statement=_statement(shape, counter, executed=executed),
        counter=f"{COUNTER}, torch {torch.__version__.partition('+')[0]}",
        uncounted=tuple(sorted(counter.uncounted)),
        executed=executed,
    )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up multiply-adds of everything dispatched inside it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs: Counter[Kind] = Counter()
        self.uncounted: set[str] = set()
        self.inside_attention = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = operator_name(func)
        if name.endswith("_") and name[:-1] in FORMULAS:  # in place
            name = name[:-1]
        if name not in FORMULAS and not name.startswith("prim::"):  # which know no dispatch keys
            with self:  # composite operators of inference tensors arrive whole
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        if name in FORMULAS:
            kind, formula = FORMULAS[name]
            self._add(kind, formula(args, result))
        elif func.overloadpacket in flop_registry:  # where libraries register their own operators, in two FLOPs a MAC
            flops = flop_registry[func.overloadpacket](*args, **kwargs, out_val=result)
            self._add(guessed_kind(name), flops // 2)
        elif func.namespace not in ("aten", "prims", "prim") or OPAQUE.match(name):
            self.uncounted.add(name)
        return result

    def _add(self, kind: Kind, macs: int) -> None:
        self.macs["attention" if self.inside_attention else kind] += macs


class _AttentionScope(TorchFunctionMode):
    """Lists the matrix products of an unfused `scaled_dot_product_attention` as attention, as those of a fused one."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        inside = func is F.scaled_dot_product_attention
        self.counter.inside_attention += inside
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.counter.inside_attention -= inside


def _statement(shape: tuple[int, ...], counter: _Counter, *, executed: bool) -> str:
    """What a number of this module is a number of."""
    parts = [
        "multiply-adds of convolutions, linear layers, matrix products and attention by dispatch, without Fourier "
        "transforms (kept beside them, 2.5 N log2 N for one of N complex points)",
        "elementwise operations, normalisation, pooling and interpolation left out",
        "x".join(map(str, shape)),
    ]
    if executed:
        parts.append("counted on one seeded random image, because the network branches on values")
    if counter.uncounted:
        parts.append(f"a lower bound, without {', '.join(sorted(counter.uncounted))}")
    return "; ".join(parts)


def _build(factory: Callable[[], nn.Module]) -> tuple[nn.Module, bool]:
    """The factory's network and whether it has storage: only where it cannot be built without."""
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return factory(), False
    except RuntimeError:  # some constructors read values, such as a schedule of drop rates
        return factory(), True


def _count_without_storage(module: nn.Module, shape: tuple[int, ...]) -> _Counter:
    """Counts of a forward pass in which tensors have shapes only."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        replica = _replica(module, _without_storage)
        with _counting() as counter:
            replica(torch.empty(shape, dtype=_input_dtype(module)))
    return counter


def _count_by_running(module: nn.Module, shape: tuple[int, ...]) -> _Counter:
    """Counts of a real forward pass on the network's device, on detached weights: no graph is kept."""
    first = next(module.parameters(), torch.empty(0))
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    replica = _replica(module, torch.Tensor.detach)
    with _counting() as counter:
        replica(image.to(first.device, _input_dtype(module)))
    return counter


@contextlib.contextmanager
def _counting() -> Iterator[_Counter]:
    """A counter over dispatched operators."""
    counter = _Counter()
    with _AttentionScope(counter), counter:
        yield counter


def _replica(module: nn.Module, convert: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of the module tree in evaluation mode with converted tensors; nothing of the original is touched.

    Not `copy.deepcopy`, which copies storage and fails on attributes that cannot be copied.
    """
    done: dict[int, Any] = {}

    def converted(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        if id(tensor) not in done:
            done[id(tensor)] = convert(tensor)
        return done[id(tensor)]  # type: ignore[no-any-return]

    def copied(original: nn.Module) -> nn.Module:
        original = getattr(original, "_orig_mod", original)  # torch.compile would trace the counter itself
        if id(original) in done:
            return done[id(original)]  # type: ignore[no-any-return]
        copy = original.__new__(type(original))
        done[id(original)] = copy
        for name, value in vars(original).items():
            if name in ("_parameters", "_buffers"):
                value = {key: converted(tensor) for key, tensor in value.items()}
            elif name == "_modules":
                value = {key: child if child is None else copied(child) for key, child in value.items()}
            elif isinstance(value, Tensor):
                value = converted(value)
            elif type(value) in (dict, list, set):
                value = value.copy()
            copy.__dict__[name] = value
        copy.__dict__["training"] = False
        return copy

    return copied(module)


def _without_storage(tensor: Tensor) -> Tensor:
    """Shape, strides and dtype of a tensor, on no device's memory (made inside a `FakeTensorMode`)."""
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty


def _input_dtype(module: nn.Module) -> torch.dtype:
    """Dtype of the first floating parameter; float32 for a network without any."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
