"""What is known about trained weights: of one run, and of all the runs that they went through."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ...datasets.training.mixtures import Mixture
from ...models.restorer import Restorer
from ..environment import describe_environment, git_revision, package_version
from .config import TrainConfig
from .schedule import Counters
from .validation import CLEAN, Validation


def gains(validation: Iterable[Mapping[str, str]]) -> list[dict[str, float]]:
    """From the lines of ``validation.csv``, what each validation came to: ``images`` and ``seconds`` of training up to
    it, and the ``gain``, the mean over its degraded tasks of the PSNR over the input's (dB)."""
    steps: dict[str, list[Mapping[str, str]]] = {}
    for row in validation:
        steps.setdefault(row["step"], []).append(row)
    history = []
    for rows in steps.values():
        gained = [float(row["psnr"]) - float(row["input_psnr"]) for row in rows if row["task"] != CLEAN]
        if gained:
            images, seconds = int(rows[0]["images"]), float(rows[0]["seconds"])
            history.append({"images": images, "seconds": round(seconds, 3), "gain": math.fsum(gained) / len(gained)})
    return history


def stage_facts(
    config: TrainConfig,
    restorer: Restorer,
    mixture: Mixture,
    validated: Validation,
    done: Counters,
    validation: Iterable[Mapping[str, str]],
    *,
    finished: bool,
    device: str,
) -> dict[str, Any]:
    """What is known of this run alone.

    Args:
        config, restorer, mixture: what is trained, and on what.
        validated: on which images `history` was scored.
        done: what has been done.
        validation: lines of ``validation.csv``.
        finished: whether the budget is spent.
        device: that trains.
    """
    return {
        "provenance": "retrained",
        "model": restorer.card.name,
        "variant": restorer.variant,
        "overrides": restorer.overrides,
        "recipe": config.mix.name,
        "data": mixture.identity(),
        "lists_sha256": mixture.fingerprint(),
        "validated_on": validated.images,
        "steps": done.steps,
        "images": done.images,
        "seconds": round(done.seconds, 1),
        "images_per_second": round(done.images / max(done.seconds, 1e-9), 3),
        "finished": finished,
        "history": gains(validation),
        "machine": machine(device),
        "load_average": load_average(),
        "processors": os.cpu_count(),
        "ema": config.ema,
        "interpolation": config.interpolation,
        "seed": config.seed,
        "git_revision": git_revision(),
        "version": package_version("restorebench"),
    }


STAGE = (
    *("recipe", "data", "lists_sha256", "validated_on", "steps", "images", "seconds", "load_average", "seed"),
    "git_revision",
)


def added_up(facts: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Facts of a run with those of the training that its first weights had: steps, images (patches, in truth) and
    seconds are sums, the load average is the highest, ``history`` is one after the other, ``stages`` tells them
    apart."""
    if not before:
        return facts
    earlier = before.get("stages") or [{key: before[key] for key in STAGE if key in before}]
    loads = [load for load in (before.get("load_average"), facts.get("load_average")) if load is not None]
    sums = {key: (before.get(key) or 0) + facts[key] for key in ("steps", "images", "seconds")}
    shifted = [
        {**point, **{key: round(point[key] + (before.get(key) or 0), 3) for key in ("images", "seconds")}}
        for point in facts["history"]
    ]
    return {
        **facts,
        **sums,
        "load_average": max(loads) if len(loads) == 2 else None,  # of all stages, or not known
        "images_per_second": round(sums["images"] / max(sums["seconds"], 1e-9), 3),
        "history": [*(before.get("history") or []), *shifted],
        "stages": [*earlier, {key: facts[key] for key in STAGE if key in facts}],
    }


def load_average() -> float | None:
    """Load of one minute, by which a reader sees whether the seconds are those of a shared machine."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def machine(device: str) -> str:
    """What trains, in a line: the device, its threads if it is a CPU, and torch's version."""
    environment = describe_environment(device)
    threads = f", {torch.get_num_threads()} threads" if torch.device(device).type == "cpu" else ""
    return f"{environment['device_name']}{threads}, torch {torch.__version__}"


def metadata_text(value: object) -> str:
    """A fact as the text that safetensors keeps."""
    return value if isinstance(value, str) else json.dumps(finite(value))


def finite(value: Any) -> Any:
    """The value with None for every number in it that is NaN or infinite: JSON has none, and records take none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value
