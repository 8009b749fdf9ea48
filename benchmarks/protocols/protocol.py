"""Evaluation protocols: how a task is read, fed and scored, each with a name and a version.

A protocol is data: its fields, in the order of evaluation, are the rules of the papers' evaluation code. Whatever
changes a score is in `Protocol.describe()`, which enters the record and the cell's id. A protocol is never changed,
only followed by a new version. torch is imported by what computes, so that names and conventions come without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...datasets.samples import Sample
from ...datasets.tasks import SUITES
from ..errors import RestorationError, UserError
from .noise import KeyedNoise, ReseededNoise
from .ssim import Ssim

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .pairs import Packed, Pair

__all__ = [
    "GROUPS",
    "Protocol",
    "PsnrMean",
    "RestorationError",
    "Scores",
    "mean_psnr",
    "scores_read",
]

GROUPS: Mapping[str, tuple[str, ...]] = {name: SUITES[name].labels for name in ("3d", "5d")}
"""Tasks whose set scores a group average takes the plain mean of (so denoising counts three times in 3D)."""


@dataclass(frozen=True)
class Scores:
    """Scores of one image: PSNR in dB (infinite if restored exactly), SSIM (NaN where the protocol has none), LPIPS
    (NaN where it is not computed)."""

    psnr: float
    ssim: float
    lpips: float = math.nan


LpipsFunction: TypeAlias = "Callable[[Tensor, Tensor], float | Tensor]"
"""LPIPS of restored and clean, both (3, H, W) RGB in [0, 1]: a number, or a scalar on their device."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a task is read, fed and scored. `str(protocol)` is the name with the version, such as ``promptir@1``.

    Attributes:
        name, version: what tables print; rows of different ones are never ranked together.
        crop_multiple: degraded and clean are centre-cropped to multiples of this; None for the whole image.
        noise: how noise is drawn; None where the protocol is not defined for denoising.
        pairs: whether it is defined for tasks that bring their degraded image.
        pad_multiple: the degraded image is reflect-padded on the right and bottom to multiples of this, and the output
            cropped back; None leaves padding to the restorer.
        rounded: the output, clipped to [0, 1], is rounded to uint8 before scoring.
        colour: ``rgb``, or ``y`` of MATLAB's rgb2ycbcr (16..235), rounded to uint8.
        data_range: scale on which images are scored: 1 or 255.
        ssim: its SSIM; None where it has none.
        lpips: backbone of its LPIPS, None where it has none.
    """

    name: str
    version: int
    crop_multiple: int | None
    noise: KeyedNoise | ReseededNoise | None
    pairs: bool
    pad_multiple: int | None
    rounded: bool
    colour: Literal["rgb", "y"]
    data_range: Literal[1, 255]
    ssim: Ssim | None
    lpips: Literal["alex", "vgg"] | None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def prepare(self, sample: Sample) -> Pair:
        """What the network sees of a sample and what it is scored against.

        Raises:
            UserError: if the sample's arrays do not fit each other or the protocol, naming the sample.
        """
        import torch

        return self.pack(sample).placed(torch.device("cpu"))

    def pack(self, sample: Sample) -> Packed:
        """As `prepare`, in the form that is sent to a device.

        Raises:
            UserError: likewise.
        """
        from .pairs import Packed, channels_first

        self._check(sample)
        clean = self._cropped(sample.clean)
        degraded: NDArray[Any]
        if sample.degraded is not None:
            degraded = self._cropped(sample.degraded)
        else:
            assert self.noise is not None
            assert sample.task.sigma is not None
            degraded = self.noise.stored(clean, sample.name, sample.task.sigma)
        return Packed(channels_first(degraded), channels_first(clean), self.pad_multiple)

    def finish(self, restored: Tensor, size: tuple[int, int]) -> Tensor:
        """What is done to a network's output before scoring: unpadded, clipped, and rounded where the protocol rounds.

        Args:
            restored: (3, H', W') floating point, nominally in [0, 1], of the size that `prepare` gave the network.
            size: (H, W) of the clean image.

        Returns:
            (3, H, W) on the scale 0..`data_range`, float64 (float32 on an MPS device, which has no float64).

        Raises:
            RestorationError: if shape or dtype are wrong, or a value is not finite.
        """
        import torch

        self._check_output(restored, size)
        _check_finite(torch.stack(torch.aminmax(restored)).tolist(), restored)
        return self._finished(restored, size)

    def _check_output(self, restored: Tensor, size: tuple[int, int]) -> None:
        from .pairs import next_multiple

        height, width = size
        expected = (3, next_multiple(height, self.pad_multiple), next_multiple(width, self.pad_multiple))
        if tuple(restored.shape) != expected:
            raise RestorationError(f"restored has the shape {tuple(restored.shape)}, expected {expected}")
        if not restored.is_floating_point():
            raise RestorationError(f"restored has the dtype {restored.dtype}, expected floating point")

    def _finished(self, restored: Tensor, size: tuple[int, int]) -> Tensor:
        height, width = size
        unit = restored[:, :height, :width].clamp(0, 1)
        if not self.rounded:
            unit = unit.float()  # the authors' tensors are float32, and so is the clean image
        unit = unit.to(_score_dtype(restored.device))
        if self.rounded:
            levels = (unit * 255).round()
            return levels if self.data_range == 255 else levels / 255
        return unit if self.data_range == 1 else unit * self.data_range

    def score(self, restored: Tensor, clean: Tensor, lpips: LpipsFunction | None = None) -> Scores:
        """Scores of one image, on the device of `restored`.

        Args:
            restored: (3, H', W') floating point: the output for `Pair.degraded`.
            clean: (3, H, W) uint8: `Pair.clean`.
            lpips: given if LPIPS is wanted; it sees the images in RGB, clipped and rounded as for the other scores.

        Raises:
            RestorationError: if the output cannot be scored (see `finish`).
            UserError: if the image is smaller than the SSIM window.
        """
        return scores_read(self.measure(restored, clean, lpips).tolist(), restored)

    def measure(self, restored: Tensor, clean: Tensor, lpips: LpipsFunction | None = None) -> Tensor:
        """As `score`, without waiting for the device: a vector (5,) on it, for `scores_read`.

        Raises:
            RestorationError: shape or dtype are wrong; whether values are finite, `scores_read` says.
            UserError: if the image is smaller than the SSIM window.
        """
        import torch

        from . import metrics

        if clean.dtype != torch.uint8 or clean.ndim != 3:
            raise UserError(f"clean must be (3, H, W) uint8, got {tuple(clean.shape)} {clean.dtype}")
        size = (clean.shape[-2], clean.shape[-1])
        self._check_output(restored, size)
        x = self._finished(restored, size)
        y = _unit_levels(clean, x.device) if self.data_range == 1 else clean.to(x.device).to(x.dtype)
        distance = math.nan if lpips is None else lpips(x / self.data_range, y / self.data_range)
        if self.colour == "y":
            x, y = metrics.to_y(x), metrics.to_y(y)
        psnr = metrics.psnr(x[None], y[None], data_range=self.data_range)
        ssim = torch.full_like(psnr, math.nan) if self.ssim is None else self._similarity(x[None], y[None], self.ssim)
        if not isinstance(distance, torch.Tensor):
            distance = torch.full((), distance, dtype=x.dtype, device=x.device)
        bounds = [bound.to(x.dtype) for bound in torch.aminmax(restored)]
        return torch.stack([psnr[0], ssim[0], distance.to(x.dtype), *bounds])

    def _similarity(self, x: Tensor, y: Tensor, ssim: Ssim) -> Tensor:
        from . import metrics

        return metrics.ssim(
            x,
            y,
            data_range=self.data_range,
            window=ssim.window,
            sample_covariance=ssim.sample_covariance,
        )

    def score_saved(self, restored: Tensor, clean: Tensor, lpips: LpipsFunction | None = None) -> Scores:
        """Scores of a restored image of the clean one's size, such as one read from a file: both are cropped as the
        protocol crops; no padding is expected.

        Args:
            restored: (3, H, W) floating point, nominally in [0, 1].
            clean: (3, H, W) uint8.
            lpips: as for `score`.

        Raises:
            RestorationError, UserError: as `score`; also if the sizes differ or the crop leaves nothing.
        """
        if restored.shape != clean.shape:
            raise RestorationError(f"restored has the shape {tuple(restored.shape)}, clean {tuple(clean.shape)}")
        rows, columns = self.kept((clean.shape[-2], clean.shape[-1]))
        unpadded = self if self.pad_multiple is None else replace(self, pad_multiple=None)
        return unpadded.score(restored[:, rows, columns], clean[:, rows, columns], lpips)

    def kept(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns that the crop leaves of an image (H, W): [c // 2, H - c + c // 2), c = H mod multiple.

        Raises:
            UserError: if it leaves nothing.
        """
        if self.crop_multiple is None:
            return slice(0, size[0]), slice(0, size[1])
        if min(size) < self.crop_multiple:
            least = f"{self.crop_multiple}x{self.crop_multiple}"
            raise UserError(f"{size[0]}x{size[1]} pixels (height x width), {self} needs {least}")
        rest = [length % self.crop_multiple for length in size]
        rows, columns = (slice(c // 2, length - c + c // 2) for c, length in zip(rest, size, strict=True))
        return rows, columns

    @property
    def lpips_backbone(self) -> Literal["alex", "vgg"]:
        """The backbone of LPIPS under this protocol; AlexNet where the protocol itself has no LPIPS."""
        return self.lpips or "alex"

    def describe(self) -> dict[str, Any]:
        """Every convention as plain JSON data; two protocols that score differently never describe themselves alike."""
        rounding = "clipped to [0, 1], rounded to uint8" if self.rounded else "clipped to [0, 1], not rounded to 8 bits"
        unpadding = "" if self.pad_multiple is None else "padding cropped off, "
        rgb = "RGB, no border"
        luma_of = "Y of MATLAB's rgb2ycbcr (16..235) rounded to uint8, no border"
        return {
            "protocol": str(self),
            "reading": "PIL, RGB, uint8, not resized",
            "crop": _crop_statement(self.crop_multiple),
            "noise": self.noise.describe() if self.noise else "not defined for denoising",
            "pairs": "degraded image / 255 as float32" if self.pairs else "not defined for given degraded images",
            "padding": f"reflected on the right and bottom to multiples of {self.pad_multiple}"
            if self.pad_multiple
            else "none (the restorer's own)",
            "output": unpadding + rounding,
            # Where whole grey levels are compared there is nothing to say, and earlier cells keep their ids.
            **({"clean": "clean / 255 as float32"} if self.data_range == 1 else {}),
            "colour": rgb if self.colour == "rgb" else luma_of,
            "psnr": f"per image, mean squared error over all pixels and channels, peak {self.data_range}",
            "ssim": f"{self.ssim.describe()}, dynamic range {self.data_range}" if self.ssim else "none",
            "lpips": f"backbone {self.lpips}" if self.lpips else "none",
            "arithmetic": "float64 (float32 on MPS)",
            "average": {
                "set": "mean of per-image values; infinite PSNRs counted and left out",
                "groups": {name: list(tasks) for name, tasks in GROUPS.items()},
            },
        }

    def _check(self, sample: Sample) -> None:
        """Refuse samples that the protocol is not defined for."""
        clean, degraded = sample.clean, sample.degraded
        if clean.dtype != np.uint8 or clean.ndim != 3 or clean.shape[2] != 3:
            raise UserError(f"{sample.name}: the clean image is {clean.shape} {clean.dtype}, not (H, W, 3) uint8")
        if degraded is None and (self.noise is None or sample.task.sigma is None):
            raise UserError(f"{sample.name}: {self} needs a degraded image for the task {sample.task.key}")
        if degraded is not None and not self.pairs:
            raise UserError(f"{sample.name}: {self} is for denoising only, not for the task {sample.task.key}")
        if degraded is not None and (degraded.shape != clean.shape or degraded.dtype != np.uint8):
            raise UserError(
                f"{sample.name}: the degraded image is {degraded.shape} {degraded.dtype}, the clean one {clean.shape}"
            )
        least = self.crop_multiple or self.pad_multiple or 1
        if min(clean.shape[:2]) < least:
            height, width = clean.shape[:2]
            raise UserError(f"{sample.name}: {height}x{width} pixels (height x width), {self} needs {least}x{least}")

    def _cropped(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) cropped as `kept` says."""
        return image[self.kept(image.shape[:2])]


def scores_read(measured: Sequence[float], restored: Tensor) -> Scores:
    """The scores in a vector of `Protocol.measure`, once the host has it.

    Raises:
        RestorationError: a value of `restored`, which it is of, is not finite.
    """
    psnr, ssim, lpips, *bounds = measured
    _check_finite(bounds, restored)
    # One NaN for all, as equal scores compare equal by it.
    ssim, lpips = (math.nan if math.isnan(value) else value for value in (ssim, lpips))
    return Scores(psnr=psnr, ssim=ssim, lpips=lpips)


def _check_finite(bounds: Iterable[float], restored: Tensor) -> None:
    """Refuse an image whose smallest and largest values (`aminmax`) say that some is not finite."""
    if all(map(math.isfinite, bounds)):
        return
    import torch

    wrong = int((~torch.isfinite(restored)).sum())
    kind = "NaN" if bool(torch.isnan(restored).any()) else "infinite"
    raise RestorationError(f"{wrong} of {restored.numel()} restored values are not finite ({kind})")


class PsnrMean(NamedTuple):
    """Mean PSNR of a set: over the finite values, with the number of infinite ones left out; infinite if all are."""

    mean: float
    n_infinite: int

    @property
    def statement(self) -> str:
        """What a table must say beside the mean; empty where every value is finite."""
        if not self.n_infinite:
            return ""
        images = "image" if self.n_infinite == 1 else "images"
        return f"{self.n_infinite} {images} restored exactly: infinite PSNR, left out of the mean"


def mean_psnr(values: Iterable[float]) -> PsnrMean:
    """Mean of per-image PSNRs in dB, exactly rounded, so that their order does not matter.

    Raises:
        UserError: if there is no value or one is NaN: failed images have no place in a mean.
    """
    scores = list(values)
    if not scores or any(math.isnan(value) for value in scores):
        raise UserError("a mean PSNR needs at least one value, and none of a failed image (NaN)")
    finite = [value for value in scores if math.isfinite(value)]
    mean = math.fsum(finite) / len(finite) if finite else math.inf
    return PsnrMean(mean, len(scores) - len(finite))


def _crop_statement(multiple: int | None) -> str:
    """The crop rule in words."""
    if multiple is None:
        return "none, whole image"
    return f"degraded and clean to multiples of {multiple}, rows [c // 2, H - c + c // 2) with c = H mod {multiple}"


def _unit_levels(clean: Tensor, device: torch.device) -> Tensor:
    """uint8 / 255 rounded to float32, in the widest floating point of a device.

    Through float64: a GPU divides by multiplying with the reciprocal, which in float32 alone gives other last digits.
    """
    import torch

    if _score_dtype(device) == torch.float32:
        return clean.cpu().float().div_(255).to(device)
    return clean.to(device, torch.float64).div_(255).float().double()


def _score_dtype(device: torch.device) -> torch.dtype:
    """The widest floating point of the device."""
    import torch

    return torch.float32 if device.type == "mps" else torch.float64
