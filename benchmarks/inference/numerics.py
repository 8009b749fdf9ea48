"""Device, dtype and the options that trade digits for speed; torch is imported by what asks it, not for names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ...messages import unknown
from ..errors import UserError

AUTO_BATCH = 8
AUTO_PIXELS = 2**21
"""Most images, and most pixels of them together, that ``batch=auto`` puts into one batch; memory that does not suffice
for it splits the batch again."""
DTYPES = ("float32", "bfloat16", "float16")
"""Names of the torch dtypes in which networks run."""
KINDS = ("cpu", "cuda", "mps")
"""Kinds of devices."""


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How the network is run; scores are computed in float64 wherever the device has it.

    Attributes:
        device: resolved torch device, such as ``cpu`` or ``cuda:0``.
        dtype: ``float32``, or ``bfloat16`` / ``float16`` under autocast.
        tf32: TF32 matrix products and convolutions in float32 on a GPU.
        channels_last: memory format of input and weights.
        compile: whether the network goes through ``torch.compile``.
        tile: side in pixels of forced tiles; None for whole images.
        batch: images of equal shape that go through the network at once; ``auto`` leaves it to `batch_limit`.
        cuda_graphs: passes over images of a shape that came before are recorded and replayed (`graphs.GraphCache`).
    """

    device: str = "cpu"
    dtype: str = "float32"
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False
    tile: int | None = None
    batch: int | Literal["auto"] = 1
    cuda_graphs: bool = False

    @property
    def kind(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""
        return self.device.partition(":")[0]

    def identity(self) -> dict[str, Any]:
        """The part that enters a cell's id; of the device only its kind.

        Libraries of convolutions choose other algorithms for other batches, so their last digits differ: a batch is
        part of the identity unless it is 1. So are CUDA graphs where they are used: what reads values runs otherwise
        in them.
        """
        batch = {} if self.batch == 1 else {"batch": self.batch}
        return {
            "device": self.kind,
            "dtype": self.dtype,
            "tf32": self.tf32,
            "channels_last": self.channels_last,
            "compile": self.compile,
            "tile": self.tile,
            **batch,
            **({"cuda_graphs": True} if self.cuda_graphs else {}),
        }

    def batch_limit(self, shape: tuple[int, ...]) -> int:
        """The most images of this shape (..., H, W) for one batch."""
        if self.tile is not None:
            return 1
        if self.batch != "auto":
            return self.batch
        if self.kind != "cuda":
            return 1
        return max(1, min(AUTO_BATCH, AUTO_PIXELS // (shape[-2] * shape[-1])))

    @contextlib.contextmanager
    def switched(self) -> Iterator[None]:
        """The global TF32 switches as this run has them; they are put back afterwards."""
        import torch

        before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.tf32
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inference mode under these numerics; the global TF32 switches are put back afterwards."""
        import torch

        lower = self.dtype != "float32"
        with (
            self.switched(),
            torch.inference_mode(),
            torch.autocast(self.kind, getattr(torch, self.dtype) if lower else None, enabled=lower),
        ):
            yield


def resolve_batch(value: object, device: str) -> int | Literal["auto"]:
    """``batch=``: a number of images, or ``auto``, which is 1 where a batch is no faster (on the CPU).

    Raises:
        UserError: if it is neither.
    """
    if value == "auto":
        return "auto" if device.startswith("cuda") else 1
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise UserError(f"batch={value}: give a number of images, or auto")


def check_graphs(wanted: bool, device: str) -> bool:
    """`wanted`, where the device has CUDA graphs.

    Raises:
        UserError: they are wanted on another one.
    """
    if wanted and str(device).partition(":")[0] != "cuda":
        raise UserError(f"cuda_graphs=true needs a CUDA device, and this run is on {device}: leave it out")
    return wanted


def check_tile(tile: int | None) -> int | None:
    """`tile` if it is a side that tiles can have, or None for whole images.

    Raises:
        UserError: if it is smaller than 64 pixels.
    """
    if tile is not None and tile < 64:
        raise UserError(f"tile={tile}: tiles are at least 64 pixels wide")
    return tile


def check_device(name: str) -> None:
    """UserError unless `name` is ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, whether or not it is here."""
    kind, _, index = name.partition(":")
    if name != "auto" and (kind not in KINDS or (index and not index.isdigit())):
        raise UserError(unknown("device", name, ("auto", "cpu", "cuda", "cuda:N", "mps")))


def resolve_device(name: str) -> str:
    """A usable device for ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UserError: if the name is no device or this machine has none of that kind.
    """
    check_device(name)
    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            raise UserError(f"device={name}: this machine has {count} CUDA devices that torch can use; use device=cpu")
        return f"cuda:{int(index or 0)}"
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("device=mps: torch finds no Apple GPU here; use device=cpu")
    return kind


def check_dtype(name: str, supported: tuple[str, ...], title: str) -> str:
    """`name` if the restorer supports it.

    Raises:
        UserError: naming the dtypes that it does support.
    """
    if name not in DTYPES:
        raise UserError(unknown("dtype", name, DTYPES))
    if name not in supported:
        raise UserError(f"{title} does not run in {name}; its card allows {', '.join(supported)}")
    return name
