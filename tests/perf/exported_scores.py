"""PSNR of exported files beside that of the networks they were made of, on the embedded suite.

``python -m tests.perf.exported_scores FILE.csv [MODEL ...]`` exports the tiny size of restorers to ONNX (minutes
each), scores both on every image, and writes a row a task. Without names it takes those whose weights are bundled, with
them; one that is named and has none takes random ones. Rows of other restorers that FILE.csv has stay. ``--files DIR``
takes ``MODEL.onnx`` of there.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

import torch

from restorebench import create_model, evaluate, list_models
from restorebench.benchmarks.environment import device_name
from restorebench.models.exporting import export

from ..models.bundled import BUNDLED
from .measured_table import kept, write

SIZE = 64
DEVICE, DTYPE = "cpu", "float32"
COLUMNS = (
    *("model", "variant", "weights", "task", "dataset", "size", "images", "protocol"),
    *("psnr_network", "psnr_exported", "difference", "device", "dtype", "torch", "onnxruntime"),
)


def exportable() -> list[str]:
    """Names of the restorers that are networks of the registry, in its order."""
    return [card.name for card in list_models() if card.built_from == "arguments" and card.trainable]


def with_weights() -> list[str]:
    """Those of them whose weights are in the package."""
    return [name for name in exportable() if name in BUNDLED]


def rows(model: str, file: Path, tasks: str, limit: int | None) -> list[dict[str, object]]:
    """A row a task: both mean PSNRs in dB."""
    weights = "bundled" if model in with_weights() else "none"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        export(create_model(model, variant="tiny", weights=weights), file, "onnx", None)
    network, exported = (
        evaluate(
            name,
            tasks,
            variant=variant,
            weights=given,
            data="embedded",
            size=SIZE,
            device=DEVICE,
            dtype=DTYPE,
            lpips=False,
            limit=limit,
        )
        for name, variant, given in ((model, "tiny", weights), ("onnx", None, file))
    )
    pairs = zip(*(each.summary.iloc[:-1].to_dict("records") for each in (network, exported)), strict=True)
    return [
        {
            "model": model,
            "variant": "tiny",
            "weights": weights,
            "task": one["task"] if one["task"] != "denoise" else f"denoise-{one['sigma']}",
            "dataset": one["dataset"],
            "size": f"{SIZE}x{SIZE}",
            "images": one["images"],
            "protocol": one["protocol"],
            "psnr_network": f"{one['psnr']:.6f}",
            "psnr_exported": f"{other['psnr']:.6f}",
            "difference": f"{abs(one['psnr'] - other['psnr']):.6f}",
            "device": f"{DEVICE} ({device_name(DEVICE)})",
            "dtype": DTYPE,
            "torch": torch.__version__,
            "onnxruntime": version("onnxruntime"),
        }
        for one, other in pairs
    ]


def main() -> None:
    """Write the table, a restorer after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="FILE.csv")
    parser.add_argument("models", nargs="*", metavar="MODEL", default=with_weights())
    parser.add_argument("--files", type=Path, default=Path("exported"), metavar="DIR")
    parser.add_argument("--tasks", default="5d")
    parser.add_argument("--limit", type=int, metavar="N", help="only so many images of each task")
    options = parser.parse_args()
    found = kept(options.out, COLUMNS, "model", options.models)
    order = exportable()
    for model in options.models:
        found += rows(model, options.files / f"{model}.onnx", options.tasks, options.limit)
        found.sort(key=lambda row: order.index(str(row["model"])))
        write(options.out, COLUMNS, found)


if __name__ == "__main__":
    main()
