"""PSNR and SSIM in torch, per image, on the tensors' device and in their dtype.

The score of an image is bit-identical whether it comes alone or in a batch, at any position and under any number of
threads: every image is reduced by itself, rows first. Definitions are those of scikit-image; tests hold them to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .ssim import K1, K2, Window

SERIAL_ELEMENTS = 32767
"""The most elements that torch handles on the calling thread alone. On the CPU the windows are worked off in tiles of
this size: they stay in the processor's cache, and thousands of short operations wait for no other thread, which would
cost seconds an image while a loader keeps the cores busy."""
TILE_WIDTH = 320


def psnr(restored: Tensor, clean: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image, from the mean squared error over all its pixels and channels.

    Args:
        restored, clean: (B, C, H, W), floating point, of one dtype and device, on the scale 0..`data_range`.
        data_range: the peak value.

    Returns:
        (B,) in dB; infinite where the images are identical.

    Raises:
        UserError: if shapes, dtypes or devices do not fit.
    """
    _check(restored, clean)
    return torch.stack([_psnr(x, y, data_range) for x, y in _images(restored, clean)])


def ssim(
    restored: Tensor,
    clean: Tensor,
    *,
    data_range: float = 1.0,
    window: Window = "uniform7",
    sample_covariance: bool = True,
) -> Tensor:
    """Structural similarity of each image: mean over channels and over the pixels whose window lies inside the image.

    Args:
        restored, clean: (B, C, H, W), floating point, of one dtype and device, on the scale 0..`data_range`.
        data_range: the dynamic range L of the constants (K1 L)^2 and (K2 L)^2.
        window: ``uniform7`` is 7x7 with equal weights (3-pixel border left out), ``gaussian11`` is 11x11 with
            sigma 1.5 (5-pixel border left out).
        sample_covariance: (co)variances times n / (n - 1), n the number of pixels in the window (scikit-image's
            default); False for the population covariance of Wang et al. 2004.

    Returns:
        (B,) in [-1, 1]; exactly 1 where the images are identical.

    Raises:
        UserError: if shapes, dtypes or devices do not fit, or an image is smaller than the window.
    """
    _check(restored, clean)
    kernel = WINDOWS.get(window)
    if kernel is None:
        raise UserError(f"unknown SSIM window {window!r}; use {' or '.join(WINDOWS)}")
    height, width = clean.shape[-2:]
    if min(height, width) < kernel.side:
        raise UserError(
            f"image of {height}x{width} pixels (height x width) is smaller than the SSIM window of "
            f"{kernel.side}x{kernel.side}"
        )
    return torch.stack([_ssim(x, y, data_range, kernel, sample_covariance) for x, y in _images(restored, clean)])


def to_y(rgb: Tensor) -> Tensor:
    """Y of MATLAB's rgb2ycbcr, 16..235, rounded to a whole number: (3, H, W) whole numbers 0..255 -> (1, H, W).

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 in whole thousandths, so that halves round up exactly.
    """
    red, green, blue = rgb.to(torch.int64).unbind()
    thousandths = 65481 * red + 128553 * green + 24966 * blue
    return (16 + torch.div(thousandths + 127500, 255000, rounding_mode="floor")).to(rgb.dtype)[None]


def _check(restored: Tensor, clean: Tensor) -> None:
    """Refuse pairs that cannot be compared."""
    if restored.ndim != 4 or restored.shape != clean.shape or restored.numel() == 0:
        raise UserError(
            f"restored and clean must both be (B, C, H, W) of one size, got {tuple(restored.shape)} and "
            f"{tuple(clean.shape)}"
        )
    if restored.dtype != clean.dtype or restored.dtype not in (torch.float32, torch.float64):
        raise UserError(
            f"metrics need float32 or float64 for both images, got {restored.dtype} and {clean.dtype}: convert them"
        )
    if restored.device != clean.device:
        raise UserError(f"restored is on {restored.device}, clean on {clean.device}; move one of them")


def _images(restored: Tensor, clean: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Image pairs (C, H, W), contiguous, so that no later sum depends on the batch or its memory format."""
    pairs = zip(restored.detach(), clean.detach(), strict=True)
    return [(x.contiguous(), y.contiguous()) for x, y in pairs]


def _mean(rows: Tensor, count: int) -> Tensor:
    """Mean from row sums (..., H) over `count` values. Short sums: torch never splits them among threads."""
    return rows.sum(dim=-1).sum() / count


def _psnr(restored: Tensor, clean: Tensor, data_range: float) -> Tensor:
    """PSNR of one image (C, H, W)."""
    error = restored - clean
    mse = _mean(error.mul_(error).sum(dim=-1), clean.numel())
    return 10 * torch.log10(data_range**2 / mse)


def _ssim(restored: Tensor, clean: Tensor, data_range: float, kernel: _Kernel, sample_covariance: bool) -> Tensor:
    """SSIM of one image (C, H, W): the mean of its map."""
    channels, height, width = clean.shape
    shift = clean.sum(dim=-1, keepdim=True).sum(dim=-2, keepdim=True) / (height * width)
    constants = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    scale = kernel.side**2 / (kernel.side**2 - 1) if sample_covariance else 1.0
    border = kernel.side - 1
    scores = clean.new_empty((channels, height - border, width - border))
    for channel, row, column in _tiles(scores, border):
        grown = (channel, slice(row.start, row.stop + border), slice(column.start, column.stop + border))
        _ssim_map(restored[grown], clean[grown], shift[channel], constants, kernel, scale, scores[channel, row, column])
    return _mean(scores.sum(dim=-1), scores.numel())


def _tiles(scores: Tensor, border: int) -> Iterator[tuple[slice, slice, slice]]:
    """Channels, rows and columns of a map (C, H, W), piece by piece: all of it at once except on the CPU."""
    channels, height, width = scores.shape
    if scores.device.type != "cpu":
        yield slice(0, channels), slice(0, height), slice(0, width)
        return
    across = _shared_out(width, TILE_WIDTH)
    down = _shared_out(height, SERIAL_ELEMENTS // (across + border) - border)
    for channel in range(channels):
        for top in range(0, height, down):
            for left in range(0, width, across):
                right, bottom = min(left + across, width), min(top + down, height)
                yield slice(channel, channel + 1), slice(top, bottom), slice(left, right)


def _shared_out(length: int, largest: int) -> int:
    """The side of equal tiles, as few as `largest` allows, that cover `length`."""
    return math.ceil(length / math.ceil(length / largest))


def _ssim_map(
    restored: Tensor,
    clean: Tensor,
    shift: Tensor,
    constants: tuple[float, float],
    kernel: _Kernel,
    scale: float,
    out: Tensor,
) -> None:
    """SSIM at every pixel whose window lies inside (C, h, w), into `out` (C, h - side + 1, w - side + 1).

    In the clean image y, the restored x and their difference d = x - y, the two factors of SSIM are
        luminance           1 - mean(d)^2 / (mean(x)^2 + mean(y)^2 + C1)
        contrast-structure  1 - var(d) / (var(x) + var(y) + C2)
    which is the same function, needs four windowed moments instead of five, and keeps the digits in float32 that
    mean(x y) - mean(x) mean(y) would lose. Subtracting the channel's mean first keeps the squares small likewise.
    The windows give sums of total weight n rather than means; numerators and denominators are n times, or n^2 times,
    the ones above.
    """
    n, (c1, c2) = kernel.weight, constants
    y = clean - shift
    d = restored - clean
    x = y + d
    squares = kernel.sums((y * y).addcmul_(x, x))
    sum_dd, sum_d, sum_y = kernel.sums(d * d), kernel.sums(d), kernel.sums(y)
    sum_x = sum_y + sum_d
    square_d = sum_d * sum_d
    of_means = (sum_y * sum_y).addcmul_(sum_x, sum_x)
    variances = squares.sub_(of_means, alpha=1 / n).add_(n * c2 / scale)
    structure = sum_dd.sub_(square_d, alpha=1 / n).div_(variances)
    # (Y + n s)^2 + (X + n s)^2 puts the shift s back.
    n_shift = n * shift
    of_means.addcmul_(sum_y.add_(sum_x), 2 * n_shift).add_(2 * n_shift * n_shift + n * n * c1)
    luminance = square_d.div_(of_means)
    torch.mul(luminance.sub_(1), structure.sub_(1), out=out)


@dataclass(frozen=True)
class _Kernel:
    """A separable window: its side in pixels, the weighted sum along one axis, and the weight of all its pixels."""

    side: int
    along: Callable[[Tensor, int], Tensor]
    weight: float

    def sums(self, values: Tensor) -> Tensor:
        """Windowed sums (..., h, w) -> (..., h - side + 1, w - side + 1), rows first."""
        return self.along(self.along(values, -2), -1)


def _box7(values: Tensor, dim: int) -> Tensor:
    """Sum of 7 neighbours along `dim`, as 4 + 2 + 1: four additions rather than six, and no running sum."""
    length = values.shape[dim]
    pairs = values.narrow(dim, 0, length - 1) + values.narrow(dim, 1, length - 1)
    total = pairs.narrow(dim, 0, length - 6) + pairs.narrow(dim, 2, length - 6)
    total += pairs.narrow(dim, 4, length - 6)
    total += values.narrow(dim, 6, length - 6)
    return total


def _gaussian_weights(sigma: float, radius: int) -> tuple[float, ...]:
    """Weights from the centre outwards; both sides together add up to one."""
    half = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(radius + 1)]
    total = half[0] + 2 * sum(half[1:])
    return tuple(weight / total for weight in half)


def _weighted(half: Sequence[float]) -> Callable[[Tensor, int], Tensor]:
    """Symmetric weighted mean along one axis from the weights of the centre and one side."""
    radius = len(half) - 1

    def along(values: Tensor, dim: int) -> Tensor:
        length = values.shape[dim] - 2 * radius
        total = values.narrow(dim, radius, length) * half[0]
        for offset in range(1, radius + 1):
            both = values.narrow(dim, radius - offset, length) + values.narrow(dim, radius + offset, length)
            total.add_(both, alpha=half[offset])
        return total

    return along


WINDOWS: dict[str, _Kernel] = {
    "uniform7": _Kernel(7, _box7, weight=49.0),
    "gaussian11": _Kernel(11, _weighted(_gaussian_weights(1.5, 5)), weight=1.0),
}
