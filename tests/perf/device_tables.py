"""Speed tables and sweeps of a device as CSV files, each row with the device, driver, dtype, size, batch and torch.

Run as ``python -m tests.perf.device_tables reports/measured``; ``nox -s gpu`` does so. It also runs on a CPU
(``--device cpu``), for which ``--models``, ``--sizes`` and ``--limit`` make it small.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from restorebench.benchmarks.commands.main import main as bench
from restorebench.benchmarks.environment import device_name
from restorebench.benchmarks.inference.numerics import resolve_device
from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.store.profiles import FILE_NAME, read_rows
from restorebench.benchmarks.store.records import Record
from restorebench.models import list_models

SIZES = ("256", "321x481", "720x1280")
DTYPES = ("float32", "bfloat16")


def driver(device: str) -> str:
    """The version of a GPU's driver; "" for a CPU, or where nothing says it."""
    if torch.device(device).type != "cuda":
        return ""
    asked = [
        "nvidia-smi",
        "--query-gpu=driver_version",
        "--format=csv,noheader",
        f"--id={torch.device(device).index or 0}",
    ]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """A CSV file with the columns of its first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def speed_rows(results: Path, device: str) -> list[dict[str, object]]:
    """``profile.csv`` of a results folder, with the driver."""
    return [{**asdict(row), "driver": driver(device)} for row in read_rows(results / FILE_NAME)]


def score_rows(records: Iterable[Record], device: str) -> list[dict[str, object]]:
    """A row for each cell: its means, what a pass took, and under which circumstances."""
    rows: list[dict[str, object]] = []
    for record in records:
        numerics, cost, means = record.identity.numerics, record.cost, record.means
        rows.append(
            {
                "suite": record.suite,
                "task": record.task,
                "dataset": record.dataset,
                "sigma": record.sigma,
                "model": record.model,
                "variant": record.variant,
                "provenance": record.provenance,
                "protocol": record.protocol,
                "images": record.scored,
                "failed": len(record.failures),
                "psnr": means.psnr,
                "ssim": means.ssim,
                "lpips": means.lpips,
                "input_psnr": means.input_psnr,
                "latency_ms": None if cost is None else cost.latency_ms,
                "size": None if cost is None else "{}x{}".format(*cost.size),
                "batch": numerics.batch,
                "peak_mib": None if cost is None else cost.peak_mib,
                "dtype": numerics.dtype,
                "tf32": numerics.tf32,
                "channels_last": numerics.channels_last,
                "compile": numerics.compile,
                "cuda_graphs": numerics.cuda_graphs,
                "device": record.environment.device_name,
                "driver": driver(device),
                "torch": record.environment.versions.get("torch"),
                "measured": record.finished,
            }
        )
    return rows


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line says."""
    models = [card.key for card in list_models() if card.built_from == "arguments" and "tiny" in card.variants]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the CSV files go")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--results", type=Path, default=Path("results"), help="store of the sweeps, which go on in it")
    parser.add_argument("--models", nargs="+", default=models)
    parser.add_argument("--variant", help="of the speed table; left out: the published one")
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--batches", nargs="+", default=("1", "8"))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--data", type=Path, help="root of the standard test sets; left out: embedded ones alone")
    parser.add_argument("--limit", type=int, help="images of each task")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure, and write the tables of what there is.

    Returns:
        The worst exit code of the commands.
    """
    asked = options(arguments)
    device = resolve_device(asked.device)
    common = [
        f"model={','.join(asked.models)}",
        f"device={device}",
        f"dtype={','.join(DTYPES)}",
        f"results={asked.results}",
    ]
    variant = [f"variant={asked.variant}"] if asked.variant else []
    sizes = [f"size={','.join(asked.sizes)}", f"batch={','.join(asked.batches)}", f"repeats={asked.repeats}"]
    codes = [bench(["profile", "-m", *common, *variant, *sizes])]
    limit = [f"limit={asked.limit}"] if asked.limit else []
    codes.append(bench(["run", "-m", *common, "variant=tiny", "tasks=5d", "data=embedded", *limit]))
    if asked.data is not None:
        # Published weights where the weights folder has them, which every row says.
        codes.append(bench(["run", "-m", *common, "tasks=5d", "data=standard", f"data.root={asked.data}", *limit]))
    kind = f"{torch.device(device).type}-{device_name(device)}-torch{torch.__version__.partition('+')[0]}"
    kind = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in kind)
    for name, rows in (
        ("speed", speed_rows(asked.results, device)),
        ("scores", score_rows(read_records(asked.results)[0], device)),
    ):
        if rows:
            write(asked.folder / f"{name}-{kind}.csv", rows)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
