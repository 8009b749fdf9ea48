"""How close the networks come to this machine: their multiply-adds a second over those of its matrix product.

Run by ``nox -s perf``; by hand: ``python -m tests.perf.roofline_speed [NAME ...] [--dtypes float32 bfloat16]
[--operators] [--csv FILE]``. A network's rate is its multiply-adds (counted by dispatch, without Fourier transforms)
over the median time of a forward pass at 1x3x256x256, on the CPU; the machine's is the best of products of two square
matrices (`torch.mm`) in the same dtype and process, taken before and after each pass, so that both see the same clock
and load. The same product as a 1x1 convolution is another library's and may be quicker: the share of the better one
stands beside.
bfloat16 is autocast, where the processor multiplies it itself (AMX, AVX512-BF16). With ``--operators`` every operator
is timed by itself: its share of the time, and of the machine's rate where it multiplies. No bound is set: exit code 0.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from restorebench.benchmarks.environment import device_name
from restorebench.benchmarks.profiling.macs import count_macs

from .network_speed import CASES, THREADS, build, image

SIDE = 256
PRODUCT_SIDE = 1536
"""Of the square matrices: 7 GFLOP, 28 MB in float32, well above what starting threads costs."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of the processor's bfloat16 products in Linux's list of its features, on x86 and ARM."""
LISTED = 8
"""Operators shown of each network."""


@dataclass(frozen=True)
class Share:
    """One line of the output: rates in thousand million multiply-adds a second, shares of 1, of the matrix product and
    of the better of product and 1x1 convolution.

    Where the machine's slowest products are far below its best, something else was running: the share is in doubt.
    """

    network: str
    dtype: str
    giga_macs: float
    seconds: float
    rate: float
    machine_rate: float
    machine_slowest: float
    convolution_rate: float
    share: float
    share_of_best: float
    passes: int
    batch: int
    size: str
    device: str
    threads: int
    torch: str


@dataclass
class OperatorTime:
    """What an operator took in a pass, in seconds, and its multiply-adds."""

    seconds: float = 0.0
    macs: float = 0.0
    calls: int = 0


def multiplies_bfloat16() -> bool:
    """Whether the processor has products of bfloat16, as far as the system says."""
    path = Path("/proc/cpuinfo")
    words = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()
    return any(name in words for name in BFLOAT16_UNITS)


def machine_rates(dtype: torch.dtype, products: int = 3) -> tuple[float, float]:
    """Multiply-adds a second of the best of so many matrix products, and of as many 1x1 convolutions of the same."""
    a, b = (torch.randn(PRODUCT_SIDE, PRODUCT_SIDE).to(dtype) for _ in range(2))
    pixels, kernel, out = a[None, None].permute(0, 3, 1, 2), b[:, :, None, None], a @ b
    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        torch.nn.functional.conv2d(pixels, kernel)
        for _ in range(products):
            started = time.perf_counter()
            torch.mm(a, b, out=out)
            between = time.perf_counter()
            torch.nn.functional.conv2d(pixels, kernel)
            times[0].append(between - started)
            times[1].append(time.perf_counter() - between)
    return PRODUCT_SIDE**3 / min(times[0]), PRODUCT_SIDE**3 / min(times[1])


def forward(network: nn.Module, x: Tensor, dtype: torch.dtype) -> float:
    """Wall seconds of one pass."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        started = time.perf_counter()
        network(x)
        return time.perf_counter() - started


def measure(name: str, network: nn.Module, dtype_name: str, passes: int) -> Share:
    """One network in one dtype."""
    dtype, x = DTYPES[dtype_name], image(SIDE)
    macs = count_macs(network, (SIDE, SIDE)).macs
    forward(network, x, dtype)  # libraries choose what they choose once
    rates, times = [machine_rates(dtype)], []
    for _ in range(passes):
        times.append(forward(network, x, dtype))
        rates.append(machine_rates(dtype))
    products, convolutions = zip(*rates, strict=True)
    seconds, best, other = statistics.median(times), max(products), max(convolutions)
    return Share(
        network=name,
        dtype=dtype_name,
        giga_macs=round(macs / 1e9, 2),
        seconds=round(seconds, 4),
        rate=round(macs / seconds / 1e9, 1),
        machine_rate=round(best / 1e9, 1),
        machine_slowest=round(min(products) / 1e9, 1),
        convolution_rate=round(other / 1e9, 1),
        share=round(macs / seconds / best, 3),
        share_of_best=round(macs / seconds / max(best, other), 3),
        passes=passes,
        size=f"1x3x{SIDE}x{SIDE}",
        batch=1,
        device=f"{device_name('cpu')} ({platform.machine()})",
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


class Timer(TorchDispatchMode):
    """Times every operator below autograd and autocast, and counts its multiply-adds where it has a formula."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: defaultdict[str, OperatorTime] = defaultdict(OperatorTime)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        started = time.perf_counter()
        out = func(*args, **kwargs)
        entry = self.operators[operator_name(func, args)]
        entry.seconds += time.perf_counter() - started
        entry.calls += 1
        formula: Callable[..., float] | None = flop_registry.get(func.overloadpacket)
        if formula is not None:
            entry.macs += formula(*args, **kwargs, out_val=out) / 2
        return out


def operator_name(func: Any, args: Sequence[Any]) -> str:
    """The operator, a convolution with its kernel and whether it is 1x1, depthwise or grouped."""
    name = str(func.overloadpacket)
    if name == "aten.convolution":
        weight, groups = args[1], args[8]
        kind = "depthwise " if groups > 1 and groups == weight.shape[0] else f"{groups} groups " if groups > 1 else ""
        return f"convolution {kind}{weight.shape[2]}x{weight.shape[3]}"
    return name


def operators(network: nn.Module, dtype: torch.dtype, rate: float) -> list[dict[str, object]]:
    """Where the time of a pass goes, the most first; `rate` is the machine's multiply-adds a second."""
    x = image(SIDE)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16), Timer() as timer:
        network(x)
    total = sum(entry.seconds for entry in timer.operators.values())
    ranked = Counter({name: entry.seconds for name, entry in timer.operators.items()}).most_common(LISTED)
    lines: list[dict[str, object]] = []
    for name, seconds in ranked:
        entry = timer.operators[name]
        of_rate = f"{entry.macs / seconds / rate:.0%}" if entry.macs else "-"
        lines.append(
            {"operator": name, "calls": entry.calls, "of the time": f"{seconds / total:.0%}", "of the rate": of_rate}
        )
    return lines


def table(rows: Sequence[Share]) -> str:
    """All networks, with what their numbers mean."""
    first = rows[0]
    head = (
        f"{first.size}, {first.device}, {first.threads} threads, torch {first.torch}; "
        f"medians of {first.passes} passes, "
        f"thousand million multiply-adds a second, beside {PRODUCT_SIDE}x{PRODUCT_SIDE} matrix products"
    )
    lines = [
        {
            "network": row.network,
            "dtype": row.dtype,
            "GMACs": row.giga_macs,
            "seconds": row.seconds,
            "rate": row.rate,
            "machine": row.machine_rate,
            "slowest": row.machine_slowest,
            "convolution": row.convolution_rate,
            "share": f"{row.share:.0%}",
            "of the best": f"{row.share_of_best:.0%}",
        }
        for row in rows
    ]
    return f"{head}\n{tabulate(lines, headers='keys', disable_numparse=True)}"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CASES, []], help="networks; default: all")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, help="default: those that the processor multiplies")
    parser.add_argument("--passes", type=int, default=5, help="timed passes")
    parser.add_argument("--operators", action="store_true", help="show where the time goes")
    parser.add_argument("--csv", type=Path, help="file to write")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    dtypes = options.dtypes or (["float32", "bfloat16"] if multiplies_bfloat16() else ["float32"])
    rows, details = [], []
    for name in options.names or list(CASES):
        network = build(name, plain=False)
        for dtype in dtypes:
            row = measure(name, network, dtype, options.passes)
            rows.append(row)
            if options.operators:
                lines = operators(network, DTYPES[dtype], row.machine_rate * 1e9)
                details.append(f"{name}, {dtype}\n{tabulate(lines, headers='keys', disable_numparse=True)}")
        sys.stderr.write(f"{name} is measured\n")
    sys.stdout.write("\n\n".join([table(rows), *details]) + "\n")
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])), lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
