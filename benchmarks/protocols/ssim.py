"""Which SSIM a protocol takes; computing it is in `metrics`. No torch here, so that protocols can be listed without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Window = Literal["uniform7", "gaussian11"]

K1, K2 = 0.01, 0.03


@dataclass(frozen=True, kw_only=True)
class Ssim:
    """The SSIM of a protocol; see `metrics.ssim`."""

    window: Window
    sample_covariance: bool

    def describe(self) -> str:
        """Every convention in one line."""
        shape, border = {"uniform7": ("uniform 7x7", 3), "gaussian11": ("Gaussian 11x11 sigma 1.5", 5)}[self.window]
        covariance = "sample" if self.sample_covariance else "population"
        return (
            f"{shape} window, {covariance} covariance, K1 {K1}, K2 {K2}, mean over the image without a "
            f"{border}-pixel border, channel mean"
        )
