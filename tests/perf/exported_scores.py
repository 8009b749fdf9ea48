"""PSNR of exported files beside that of the networks they were made of, on the embedded suite.

``python -m tests.perf.exported_scores OUT.csv [MODEL ...]`` exports the tiny size of every restorer (with its bundled
weights, or random ones), which takes minutes, and scores both; ``--files DIR`` takes ``MODEL.onnx`` of there.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from restorebench import create_model, evaluate, list_models
from restorebench.models.exporting import export
from restorebench.models.weights import bundled_path

COLUMNS = ("model", "variant", "weights", "task", "dataset", "images", "psnr_network", "psnr_exported", "difference")
SIZE = 64


def rows(model: str, file: Path, tasks: str, limit: int | None) -> list[dict[str, object]]:
    """A row a task: both mean PSNRs in dB."""
    card = next(card for card in list_models() if card.name == model)
    weights = "bundled" if bundled_path(card).is_file() else "none"
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
            device="cpu",
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
            "images": one["images"],
            "psnr_network": f"{one['psnr']:.6f}",
            "psnr_exported": f"{other['psnr']:.6f}",
            "difference": f"{abs(one['psnr'] - other['psnr']):.6f}",
        }
        for one, other in pairs
    ]


def main() -> None:
    """Write the table, a restorer after the other."""
    known = [card.name for card in list_models() if card.built_from == "arguments" and card.trainable]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="*", default=known)
    parser.add_argument("--files", type=Path, default=Path("exported"))
    parser.add_argument("--tasks", default="5d")
    parser.add_argument("--limit", type=int, help="only so many images of each task")
    options = parser.parse_args()
    new = not options.out.is_file()
    with options.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for model in options.models:
            for row in rows(model, options.files / f"{model}.onnx", options.tasks, options.limit):
                writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
