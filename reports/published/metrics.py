"""The scores that reports show, and how tables name and round them."""

from __future__ import annotations

from typing import Literal

Metric = Literal["psnr", "ssim"]

METRICS: tuple[Metric, ...] = ("psnr", "ssim")
DIGITS: dict[Metric, int] = {"psnr": 2, "ssim": 3}
HEADS: dict[Metric, str] = {"psnr": "PSNR", "ssim": "SSIM"}
