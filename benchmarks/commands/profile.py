"""``bench profile``: parameters, multiply-adds, latency, throughput and peak memory, beside the paper's figures."""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from omegaconf import DictConfig

from ...messages import one_line
from ...models import ModelCard, PublishedFigure, Restorer, build_network, get_card
from ...models.registry import check_variant
from ...models.weights import choose_weights
from ..environment import device_name
from ..errors import UserError
from ..inference.numerics import Numerics, check_dtype, resolve_device
from ..inference.runner import is_out_of_memory
from ..profiling.config import ProfileConfig
from ..profiling.latency import Latency, Memory, Workload, measure_latency, measure_memory
from ..profiling.macs import Complexity, count_macs
from ..profiling.table import FILE_NAME, KEY, ProfileRow, add_row, as_text, read_rows
from ..store.folders import Store
from .hydra import HydraCommand

logger = logging.getLogger("restorebench")

COMMAND = HydraCommand("profile", ProfileConfig)


@dataclass(frozen=True)
class ProfilePlan:
    """One workload, how it is timed, and where the row goes."""

    card: ModelCard
    workload: Workload
    weights_label: str
    warmup: int
    repeats: int
    seconds: float
    file: Path


def main(arguments: Sequence[str]) -> int:
    """``bench profile``: measure what Hydra overrides ask for, print the table and write ``profile.csv``.

    Returns:
        0 if everything was measured, 1 if something was not (out of memory, no count).

    Raises:
        UserError, ModelError: if an override is wrong, before anything runs.
    """
    asked = COMMAND.compose(arguments)
    plans = [] if asked.only_shown else [make_plan(config) for config in asked.configs]
    for plan in plans:
        Store(plan.file.parent).prepare()
        read_rows(plan.file)
    COMMAND.launch(arguments, job)
    if asked.only_shown:
        return 0
    rows = [row for plan in plans for row in read_rows(plan.file) if row.key == row_key(plan)]
    files = "\n".join(f"  {path}" for path in dict.fromkeys(plan.file for plan in plans))
    sys.stdout.write(f"\n{as_text(rows)}\n\nwritten:\n{files}\n")
    return 1 if any(row.note for row in rows) else 0


def job(config: DictConfig) -> None:
    """One workload, in this process or in a launcher's."""
    from .main import set_up_logging

    set_up_logging()
    plan = make_plan(COMMAND.typed(config))
    height, width = plan.workload.size
    logger.info("%s %s, %dx3x%dx%d", plan.card.name, plan.workload.variant, plan.workload.batch, height, width)
    add_row(plan.file, measured_row(plan))


def make_plan(config: ProfileConfig) -> ProfilePlan:
    """Resolve every name of a configuration.

    Raises:
        UserError, ModelError: in one line, what is wrong and what to do.
    """
    card = get_card(config.model)
    check_variant(card, config.variant)
    choice = choose_weights(card, config.variant, config.weights, 0)
    if card.built_from == "arguments":
        build_network(card.name, variant=choice.variant, device="meta", **{**choice.overrides, **config.overrides})
    for name in ("batch", "repeats", "seconds"):
        if getattr(config, name) <= 0:
            raise UserError(f"{name}={getattr(config, name)}: give a positive number")
    if config.warmup < 0:
        raise UserError(f"warmup={config.warmup}: give 0 or more")
    numerics = Numerics(
        device=resolve_device(config.device),
        dtype=check_dtype(config.dtype, card.dtypes, card.title),
        tf32=config.tf32,
        channels_last=config.channels_last,
        compile=config.compile,
    )
    workload = Workload(
        model=card.name,
        variant=choice.variant,
        weights=str(choice.info.path or "none"),
        overrides={**choice.overrides, **config.overrides},
        size=image_size(config.size),
        batch=config.batch,
        numerics=numerics,
    )
    return ProfilePlan(
        card=card,
        workload=workload,
        weights_label=(choice.info.sha256 or "none")[:12],
        warmup=config.warmup,
        repeats=config.repeats,
        seconds=config.seconds,
        file=Path(config.results).expanduser() / FILE_NAME,
    )


def image_size(value: object) -> tuple[int, int]:
    """(height, width) from a side in pixels or ``HEIGHTxWIDTH``.

    Raises:
        UserError: if it is neither.
    """
    found = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", str(value))
    if found is None:
        raise UserError(f"size={value}: give a side in pixels, or HEIGHTxWIDTH such as 720x1280")
    return int(found[1]), int(found[2] or found[1])


def row_key(plan: ProfilePlan) -> tuple[str, ...]:
    """The key of the row that a plan writes on this machine."""
    conditions = _conditions(plan)
    return tuple(conditions[name] for name in KEY)


def _conditions(plan: ProfilePlan) -> dict[str, str]:
    workload, numerics = plan.workload, plan.workload.numerics
    height, width = workload.size
    return {
        "model": workload.model,
        "variant": workload.variant,
        "overrides": json.dumps(workload.overrides, sort_keys=True) if workload.overrides else "",
        "weights": plan.weights_label if plan.card.built_from == "checkpoint" else "any",
        "size": f"{height}x{width}",
        "batch": str(workload.batch),
        "dtype": numerics.dtype,
        "tf32": str(numerics.tf32),
        "channels_last": str(numerics.channels_last),
        "compile": str(numerics.compile),
        "device": numerics.device,
        "device_name": device_name(numerics.device),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }


def measured_row(plan: ProfilePlan) -> ProfileRow:
    """Measure a plan's workload; what does not fit or cannot be counted is said in the row's note."""
    notes = []
    restorer = plan.workload.restorer()
    check_dtype(plan.workload.numerics.dtype, restorer.card.dtypes, restorer.card.title)
    cost = None
    try:
        cost = counted(plan, restorer, plan.workload.size)
    except (UserError, RuntimeError) as error:
        notes.append(f"multiply-adds not counted: {str(error).splitlines()[0]}")
    if cost is not None and cost.uncounted:
        notes.append(f"multiply-adds are a lower bound: no formula for {', '.join(cost.uncounted)}")
    latency, memory = Latency((), ""), Memory(None, "")
    try:
        # First the memory: what timing leaves behind in caches would count as the network's.
        memory = measure_memory(plan.workload, restorer)
        latency = measure_latency(
            plan.workload, restorer, warmup=plan.warmup, repeats=plan.repeats, seconds=plan.seconds
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        notes.append(f"out of memory ({one_line(error)})")
    if memory.peak is None and memory.meaning:
        notes.append(f"peak memory {memory.meaning}")
    return ProfileRow(
        **_conditions(plan),
        parameters=str(restorer.parameters_count),
        **_counts(cost),
        **_times(latency, plan),
        peak_memory_mib="" if memory.peak is None else f"{memory.peak / 2**20:.1f}",
        memory_meaning=memory.meaning,
        **_published(plan, restorer),
        note="; ".join(notes),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def counted(plan: ProfilePlan, restorer: Restorer, size: tuple[int, int]) -> Complexity:
    """Multiply-adds of one image of this (height, width), padded as the restorer pads it."""
    height, width = (restorer.card.size.padded(length) for length in size)
    if plan.card.built_from == "checkpoint":
        return count_macs(restorer.network, (height, width))
    build = functools.partial(build_network, plan.card.name, variant=plan.workload.variant, **plan.workload.overrides)
    return count_macs(build, (height, width))


def _counts(cost: Complexity | None) -> dict[str, str]:
    if cost is None:
        return {"macs": "", "macs_fft": "", "macs_counter": ""}
    return {"macs": str(cost.macs), "macs_fft": str(cost.macs_by_kind["fft"]), "macs_counter": cost.counter}


def _times(latency: Latency, plan: ProfilePlan) -> dict[str, str]:
    shown = dict.fromkeys(("latency_q1_ms", "latency_ms", "latency_q3_ms", "images_per_second"), "")
    if latency.seconds:
        quartiles = latency.quartiles
        shown = {name: f"{1000 * value:.3f}" for name, value in zip(shown, quartiles, strict=False)}
        shown["images_per_second"] = f"{plan.workload.batch / quartiles[1]:.3f}"
    return {
        **shown,
        "repeats": str(len(latency.seconds)),
        "warmup": str(plan.warmup),
        "clock": latency.clock,
    }


def _published(plan: ProfilePlan, restorer: Restorer) -> dict[str, str]:
    """The paper's figures of the variant, and the multiply-adds counted at the size that the paper names."""
    variant = plan.workload.variant
    figure = next((each for each in plan.card.published if each.variant == variant), PublishedFigure(variant=variant))
    size = re.search(r"([0-9]+)x([0-9]+)$", figure.input_size) if figure.macs_g is not None else None
    counted_there = str(counted(plan, restorer, (int(size[1]), int(size[2]))).macs) if size else ""
    known = figure.parameters_m is not None or figure.macs_g is not None
    return {
        "published_parameters_m": "" if figure.parameters_m is None else f"{figure.parameters_m:g}",
        "published_macs_g": "" if figure.macs_g is None else f"{figure.macs_g:g}",
        "published_size": figure.input_size if figure.macs_g is not None else "",
        "macs_at_published_size": counted_there,
        "published_source": figure.source if known else "",
        "published_note": figure.note if known else "",
    }
