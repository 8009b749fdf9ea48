"""Speed and memory of the networks against straightforward implementations of the same (tests/oracles), on the CPU.

Run by ``nox -s perf``; by hand: ``python -m tests.perf.network_speed [NAME ...] [--pairs N] [--csv FILE]``. Both
networks have the same weights and image and alternate in one process; the ratio is that of the medians of time. Peak
memory is the resident size above the weights, each network in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from tabulate import tabulate
from torch import nn

from restorebench.models import build_network

from ..oracles.adair_plain import PlainAdaIR
from ..oracles.airnet_plain import PlainAirNet
from ..oracles.anyir_plain import PlainAnyIR
from ..oracles.daair_plain import PlainDaAIR
from ..oracles.kbnet_plain import PlainKBNetL, PlainKBNetS
from ..oracles.moceir_plain import PlainMoCEIR
from ..oracles.nafnet_plain import PlainNAFNet
from ..oracles.promptir_plain import PlainPromptIR
from ..oracles.rbair_plain import PlainRBaIR
from ..oracles.restormer_plain import PlainRestormer
from ..reference import fill

THREADS = 2
NOT_FILLED = ("center", "num_batches_tracked", "complexity", "queue", "queue_ptr")
"""Ends of the names of buffers that keep what they are built with, as in the references."""


@dataclass(frozen=True)
class Case:
    """A network and its plain twin, the allowed ratios of time and memory, and the size for memory.

    Attributes:
        model, variant: in the registry.
        plain: builds the twin, whose state dict has the same keys.
        time_at_most: allowed ratio of times at 256x256; None where no bound is set.
        memory_at_most: allowed ratio of peak memory at `memory_side`; None likewise.
        memory_side: side of the image for the memory, in pixels.
    """

    model: str
    variant: str
    plain: Callable[[], nn.Module]
    time_at_most: float | None
    memory_at_most: float | None
    memory_side: int = 256


CASES = {
    "kbnet-s": Case("kbnet", "s", PlainKBNetS, 0.50, 0.5),
    "kbnet-l": Case("kbnet", "l", PlainKBNetL, 0.40, 0.5),
    "rbair": Case("rbair", "paper", PlainRBaIR, 0.45, 0.5, 512),
    "anyir": Case("anyir", "paper", PlainAnyIR, 0.65, None),
    "daair": Case("daair", "paper", PlainDaAIR, None, None),
    "promptir": Case("promptir", "paper", PlainPromptIR, 0.45, 0.5),
    "adair": Case("adair", "paper", PlainAdaIR, 0.40, 0.5),
    "moceir": Case("moceir", "paper", PlainMoCEIR, 0.60, 0.8),
    "moceir-s": Case("moceir", "s", partial(PlainMoCEIR, dim=32), 0.60, 0.8),
    "nafnet": Case("nafnet", "w32", PlainNAFNet, 0.70, 0.5),
    "restormer": Case("restormer", "paper", PlainRestormer, 0.45, 0.5),
    "airnet": Case("airnet", "paper", PlainAirNet, 0.60, 0.5),
}


@dataclass(frozen=True)
class Measured:
    """One line of the output; times in seconds, memory in MiB, ratios fast / plain."""

    network: str
    time_size: str
    fast_seconds: float
    plain_seconds: float
    time_ratio: float
    time_at_most: float | None
    memory_size: str
    fast_mib: float
    plain_mib: float
    memory_ratio: float
    memory_at_most: float | None
    relative_l2: float
    pairs: int
    dtype: str
    device: str
    threads: int
    torch: str


def build(name: str, *, plain: bool) -> nn.Module:
    """A network with the weights of ``fill.py``, in evaluation mode."""
    case = CASES[name]
    network = case.plain() if plain else build_network(case.model, variant=case.variant)
    state = {
        key: value if key.endswith(NOT_FILLED) else torch.from_numpy(fill.weight(key, value.shape))
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network.eval()


def image(side: int) -> torch.Tensor:
    """A smooth test image (1, 3, side, side)."""
    return torch.from_numpy(fill.image("perf", (1, 3, side, side)))


def timed(network: nn.Module, x: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Wall seconds of one forward pass, and its output."""
    with torch.inference_mode():
        started = time.perf_counter()
        restored = network(x)
        return time.perf_counter() - started, restored


def peak_mib(name: str, side: int, *, plain: bool) -> float:
    """Peak resident memory above the weights of one forward pass, in a process of its own."""
    command = [sys.executable, "-m", "tests.perf.network_speed", name, "--memory-of", "plain" if plain else "fast"]
    done = subprocess.run([*command, "--side", str(side)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def print_peak(name: str, side: int, *, plain: bool) -> None:
    """Measure `peak_mib` here and print it."""
    network, x = build(name, plain=plain), image(side)
    with torch.inference_mode():
        network(x[..., :32, :32])  # libraries load what they load once
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else the heap that building the weights left free would hide what a pass takes
    before = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    resident = int(before) * resource.getpagesize()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts here
    timed(network, x)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    sys.stdout.write(json.dumps((peak - resident) / 2**20) + "\n")


def measure(name: str, pairs: int) -> Measured:
    """Time and memory of one case."""
    case, x = CASES[name], image(256)
    fast, plain = build(name, plain=False), build(name, plain=True)
    expected, restored = timed(plain, x)[1], timed(fast, x)[1]  # warm-up
    error = float((restored - expected).norm() / expected.norm())
    times = [(timed(fast, x)[0], timed(plain, x)[0]) for _ in range(pairs)]
    fast_seconds, plain_seconds = (statistics.median(column) for column in zip(*times, strict=True))
    del fast, plain
    fast_mib, plain_mib = (peak_mib(name, case.memory_side, plain=plain) for plain in (False, True))
    return Measured(
        network=f"{case.model} {case.variant}",
        time_size="1x3x256x256",
        fast_seconds=round(fast_seconds, 4),
        plain_seconds=round(plain_seconds, 4),
        time_ratio=round(fast_seconds / plain_seconds, 4),
        time_at_most=case.time_at_most,
        memory_size=f"1x3x{case.memory_side}x{case.memory_side}",
        fast_mib=round(fast_mib, 1),
        plain_mib=round(plain_mib, 1),
        memory_ratio=round(fast_mib / plain_mib, 4),
        memory_at_most=case.memory_at_most,
        relative_l2=float(f"{error:.3g}"),
        pairs=pairs,
        dtype="float32",
        device=f"cpu ({platform.machine()})",
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def table(rows: Sequence[Measured]) -> str:
    """All networks in one table: ratios with what is allowed, and what they are ratios of."""
    first = rows[0]
    head = (
        f"float32, {first.device}, {first.threads} threads, batch 1, torch {first.torch}: medians of {first.pairs} "
        "alternating pairs"
    )
    lines = [
        {
            "network": row.network,
            "seconds (256x256)": row.fast_seconds,
            "plain": row.plain_seconds,
            "ratio": row.time_ratio,
            "at most": row.time_at_most,
            "memory at": row.memory_size,
            "MiB": row.fast_mib,
            "MiB plain": row.plain_mib,
            "MiB ratio": row.memory_ratio,
            "MiB at most": row.memory_at_most,
            "relative L2": row.relative_l2,
        }
        for row in rows
    ]
    return f"{head}\n{tabulate(lines, headers='keys', missingval='-', disable_numparse=True)}"


def main() -> int:
    """Measure, print, write; 1 if a ratio is above its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CASES, []], help="networks; default: all")
    parser.add_argument("--pairs", type=int, default=5, help="alternating pairs of runs")
    parser.add_argument("--csv", type=Path, help="file to write")
    parser.add_argument("--memory-of", choices=("fast", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, default=256, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    names = options.names or list(CASES)
    if options.memory_of:
        print_peak(names[0], options.side, plain=options.memory_of == "plain")
        return 0
    rows = []
    for name in names:
        rows.append(measure(name, options.pairs))
        sys.stderr.write(f"{name} is measured\n")
    sys.stdout.write(f"{table(rows)}\n")
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])), lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    slow = [row for row in rows if row.time_at_most is not None and row.time_ratio > row.time_at_most]
    large = [row for row in rows if row.memory_at_most is not None and row.memory_ratio > row.memory_at_most]
    return 1 if slow or large else 0


if __name__ == "__main__":
    sys.exit(main())
