"""SSIM of a 1280x720 RGB pair against scikit-image's, on the CPU with 2 threads: `python tests/perf/metrics_speed.py`.

Both sides alternate in one process, in float64; the medians and their ratio are printed for every window, and the exit
code is 1 if ours is slower.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import skimage.data
import torch
from skimage.metrics import structural_similarity

from restorebench.benchmarks.protocols.metrics import ssim
from restorebench.benchmarks.protocols.ssim import Window

CASES: dict[Window, dict[str, object]] = {
    "uniform7": {},
    "gaussian11": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": True},
}


def timed(action: Callable[[], float]) -> tuple[float, float]:
    """Seconds and value of an action."""
    started = time.perf_counter()
    value = action()
    return time.perf_counter() - started, value


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(2)
    photograph = np.tile(skimage.data.coffee(), (2, 3, 1))[:720, :1280] / 255
    noisy = (photograph + np.random.default_rng(0).normal(0, 0.1, photograph.shape)).clip(0, 1)
    x, y = (torch.from_numpy(image.transpose(2, 0, 1).copy())[None] for image in (noisy, photograph))
    slower = False
    for window, options in CASES.items():
        sides: tuple[Callable[[], float], ...] = (
            lambda window=window: ssim(x, y, window=window).item(),  # type: ignore[misc]
            lambda options=options: structural_similarity(  # type: ignore[misc]
                photograph, noisy, data_range=1, channel_axis=-1, **options
            ),
        )
        measured: list[list[float]] = [[], []]
        values = [0.0, 0.0]
        for turn in range(rounds + 1):
            for side, action in enumerate(sides):
                elapsed, values[side] = timed(action)
                if turn:
                    measured[side].append(elapsed)
        assert abs(values[0] - values[1]) < 1e-6, values
        ours, theirs = map(statistics.median, measured)
        slower |= ours > theirs
        sys.stdout.write(
            f"SSIM {window}, 1280x720 RGB float64, CPU, {torch.get_num_threads()} threads: {1000 * ours:.0f} ms, "
            f"scikit-image {1000 * theirs:.0f} ms, ratio {ours / theirs:.2f} (limit 1)\n"
        )
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
