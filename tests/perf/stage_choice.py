"""Where to stop on the line from the second stage's weights to the third's, judged by the validation photographs alone.

``python -m tests.perf.stage_choice OUT.csv RUNS MODEL=FOLDER...`` scores each network MODEL at `PARTS` of the line from
the weights of ``RUNS/MODEL-tiny-photographs-0`` to those of ``RUNS/FOLDER``, a trial of the last stage that began with
them, on ``RUNS/photographs/validation``: clean photographs set apart by scene, degraded as the embedded sets are. No
test image is read. A row a network, trial, part and task; the trial's mix and patches stand in each.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import Tensor

from restorebench.benchmarks.errors import RestorationError
from restorebench.benchmarks.training.averaging import interpolated
from restorebench.benchmarks.training.config import TrainDataConfig, ValidationConfig
from restorebench.benchmarks.training.validation import Validation
from restorebench.models import create_model
from restorebench.models.restorer import Restorer

SECOND = "tiny-photographs-0"
PARTS = (1.0, 0.5, 0.25, 0.0, -0.1, -0.25, -0.5)
"""Parts of the second stage in the weights, see `interpolated`: 1 is the second stage itself, 0 the third."""
SIZE = 192
COLUMNS = ("model", "mix", "patches", "part", "task", "images", "psnr", "gain", "size", "dtype", "device", "torch")


def weights_at(
    part: float, second: Mapping[str, Tensor], third: Mapping[str, Tensor], stored: float
) -> dict[str, Tensor]:
    """The weights at a part of the line, of which the file of the third stage holds those at `stored`."""
    # stored weights = stored * second + (1 - stored) * end, so the line is known from any two of its points.
    return interpolated(second, third, (part - stored) / (1 - stored))


def mix_of(folder: Path) -> str:
    """The parts of a run's mix, ``derain 0.15, dehaze 0.24 ..``."""
    parts = OmegaConf.load(folder / "config.yaml").mix.parts
    return ", ".join(f"{name} {part:g}" for name, part in sorted(parts.items()))


def gains(validation: Validation, restorer: Restorer) -> list[tuple[str, int, str, str]]:
    """Task, images, PSNR and its gain over the input, a row a task; one row of NaN where weights give no image."""
    try:
        rows = validation.scores(restorer, torch.device("cpu"))
    except RestorationError:  # far from all weights that training saw
        return [("every", 0, "nan", "nan")]
    return [(row.task, row.count, f"{row.psnr:.3f}", f"{row.psnr - row.input_psnr:.3f}") for row in rows]


def main() -> None:
    """Write the table, a network after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("trials", nargs="+", metavar="MODEL=FOLDER")
    arguments = parser.parse_args()
    photographs = TrainDataConfig(validation_images=str(arguments.runs / "photographs" / "validation"))
    validation = Validation(ValidationConfig(size=SIZE), photographs)
    torch.set_num_threads(1)
    begun = arguments.output.is_file()
    with arguments.output.open("a", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not begun:
            table.writeheader()
        for argument in arguments.trials:
            model, _, folder = argument.partition("=")
            folders = (arguments.runs / f"{model}-{SECOND}", arguments.runs / folder)
            second, third = (load_file(folder / "weights.safetensors") for folder in folders)
            facts = json.loads((folders[1] / "training.json").read_text(encoding="utf-8"))
            restorer = create_model(model, variant="tiny", weights="none").eval()
            for part in PARTS:
                restorer.network.load_state_dict(weights_at(part, second, third, facts["interpolation"]))
                trial = (model, mix_of(folders[1]), facts["stages"][-1]["images"], part)
                for scores in gains(validation, restorer):
                    values = (*trial, *scores, SIZE, "float32", "cpu", torch.__version__)
                    table.writerow(dict(zip(COLUMNS, values, strict=True)))
                file.flush()


if __name__ == "__main__":
    main()
