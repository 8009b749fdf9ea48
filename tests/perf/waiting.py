"""How threads should wait at a barrier: time of a pass by OpenMP's waiting policy, alone and on a busy machine.

By hand: ``python -m tests.perf.waiting FILE.csv [--rounds N]``. Every setting is a process of its own, because OpenMP
reads it when torch loads it; the settings take turns in rounds, so that what else the machine does meets all of them. A
busy machine is this one with two processes that count. The load average stands beside each line. What the program
chooses (`benchmarks/inference/waiting.py`) follows from this table.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTINGS: dict[str, dict[str, str]] = {
    "as torch comes": {},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
NETWORKS = (("rbair", "paper", 128, 2), ("anyir", "tiny", 64, 10))
"""(restorer, variant, side in pixels, timed passes)"""
THREADS = 2
BUSY = 2
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")


def timed() -> None:
    """In a process of its own: print the seconds of every pass, by network."""
    import torch

    from restorebench.models import create_model

    torch.set_num_threads(THREADS)
    result: dict[str, list[float]] = {}
    for name, variant, side, passes in NETWORKS:
        network = create_model(name, variant=variant, weights="none")
        image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        seconds = []
        with torch.inference_mode():
            for _ in range(passes + 1):
                started = time.perf_counter()
                network(image)
                seconds.append(time.perf_counter() - started)
        result[name] = seconds[1:]
    sys.stdout.write(json.dumps({"torch": torch.__version__, "seconds": result}) + "\n")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that count, meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


COLUMNS = (
    *("round", "busy_processes_beside", "setting", "network", "variant", "size", "threads", "passes", "median_ms"),
    *("ratio_to_torch_default", "load_average_before", "load_average_after", "processors", "machine", "torch"),
)


def lines(number: int, beside: int) -> Iterator[list[object]]:
    """One round of all settings: a line for each network."""
    bare = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    defaults: dict[str, float] = {}
    for setting, variables in SETTINGS.items():
        before = os.getloadavg()[0]
        with busy(beside):
            command = [sys.executable, "-c", f"from {__spec__.name} import timed; timed()"]
            done = subprocess.run(command, env={**bare, **variables}, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        for name, variant, side, passes in NETWORKS:
            median = 1000 * statistics.median(answer["seconds"][name])
            ratio = median / defaults.setdefault(name, median)
            loads = f"{before:.2f}", f"{os.getloadavg()[0]:.2f}"
            yield [
                *(number, beside, setting, name, variant, f"{side}x{side}", THREADS, passes, f"{median:.1f}"),
                *(f"{ratio:.2f}", *loads, os.cpu_count(), processor(), answer["torch"]),
            ]


def main() -> None:
    """Measure all settings and write the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, BUSY], help="processes beside it that count")
    options = parser.parse_args()
    with options.file.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number in range(1, options.rounds + 1):
            for beside in options.busy:
                for line in lines(number, beside):
                    writer.writerow(line)
                    file.flush()


def processor() -> str:
    """Model name of the CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
