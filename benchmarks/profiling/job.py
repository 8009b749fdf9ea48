"""A workload measured: from a configuration to a row of ``profile.csv``, beside the paper's figures."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from ...messages import one_line
from ...models import ModelCard, PublishedFigure, Restorer, build_network, get_card
from ...models.registry import check_variant
from ...models.weights import choose_weights
from ..environment import device_name
from ..errors import UserError
from ..inference.config import numerics_of
from ..inference.foreign import contained
from ..inference.numerics import check_dtype
from ..inference.out_of_memory import is_out_of_memory
from ..store.profiles import FILE_NAME, KEY, ProfileRow
from .config import ProfileConfig
from .latency import Latency, Memory, Workload, measure_latency, measure_memory
from .macs import Complexity, count_macs


@dataclass(frozen=True)
class ProfileJob:
    """One workload, how it is timed, and where the row goes."""

    card: ModelCard
    workload: Workload
    weights_label: str
    warmup: int
    repeats: int
    seconds: float
    file: Path


def make_job(config: ProfileConfig) -> ProfileJob:
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
    workload = Workload(
        model=card.name,
        variant=choice.variant,
        weights=str(choice.info.path or "none"),
        overrides={**choice.overrides, **config.overrides},
        size=image_size(config.size),
        batch=config.batch,
        numerics=numerics_of(config, card),
    )
    return ProfileJob(
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
    sides = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", str(value))
    if sides is None:
        raise UserError(f"size={value}: give a side in pixels, or HEIGHTxWIDTH such as 720x1280")
    return int(sides[1]), int(sides[2] or sides[1])


def row_key(job: ProfileJob) -> tuple[str, ...]:
    """The key of the row that a job writes on this machine."""
    conditions = _conditions(job)
    return tuple(conditions[name] for name in KEY)


def _conditions(job: ProfileJob) -> dict[str, str]:
    workload, numerics = job.workload, job.workload.numerics
    height, width = workload.size
    return {
        "model": workload.model,
        "variant": workload.variant,
        "overrides": json.dumps(workload.overrides, sort_keys=True) if workload.overrides else "",
        "weights": job.weights_label if job.card.built_from == "checkpoint" else "any",
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


def measured_row(job: ProfileJob) -> ProfileRow:
    """Measure a plan's workload; what does not fit or cannot be counted is said in the row's note."""
    notes = []
    restorer = job.workload.restorer()
    check_dtype(job.workload.numerics.dtype, restorer.card.dtypes, restorer.card.title)
    cost = None
    try:
        with contained():
            cost = counted(job, restorer, job.workload.size)
    except Exception as error:  # code of the network's author can raise anything
        notes.append(f"multiply-adds not counted: {one_line(error)}")
    if cost is not None and cost.uncounted:
        notes.append(f"multiply-adds are a lower bound: no formula for {', '.join(cost.uncounted)}")
    latency, memory = Latency((), ""), Memory(None, "")
    try:
        # First the memory: what timing leaves behind in caches would count as the network's.
        with contained():
            memory = measure_memory(job.workload, restorer)
            latency = measure_latency(
                job.workload, restorer, warmup=job.warmup, repeats=job.repeats, seconds=job.seconds
            )
    except UserError:
        raise
    except Exception as error:  # as above
        notes.append(f"{'out of memory' if is_out_of_memory(error) else 'not measured'} ({one_line(error)})")
    if memory.peak is None and memory.meaning:
        notes.append(f"peak memory {memory.meaning}")
    return ProfileRow(
        **_conditions(job),
        parameters=str(restorer.parameters_count),
        **_counts(cost),
        **_times(latency, job),
        peak_memory_mib="" if memory.peak is None else f"{memory.peak / 2**20:.1f}",
        memory_meaning=memory.meaning,
        **_published(job, restorer),
        note="; ".join(notes),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def counted(job: ProfileJob, restorer: Restorer, size: tuple[int, int]) -> Complexity:
    """Multiply-adds of one image of this (height, width), padded as the restorer pads it."""
    height, width = (restorer.card.size.padded(length) for length in size)
    if job.card.built_from == "checkpoint":
        return count_macs(restorer.network, (height, width))
    build = functools.partial(build_network, job.card.name, variant=job.workload.variant, **job.workload.overrides)
    return count_macs(build, (height, width))


def _counts(cost: Complexity | None) -> dict[str, str]:
    if cost is None:
        return {"macs": "", "macs_fft": "", "macs_counter": ""}
    return {"macs": str(cost.macs), "macs_fft": str(cost.macs_by_kind["fft"]), "macs_counter": cost.counter}


def _times(latency: Latency, job: ProfileJob) -> dict[str, str]:
    texts = dict.fromkeys(("latency_q1_ms", "latency_ms", "latency_q3_ms", "images_per_second"), "")
    if latency.seconds:
        quartiles = latency.quartiles
        texts = {name: f"{1000 * value:.3f}" for name, value in zip(texts, quartiles, strict=False)}
        texts["images_per_second"] = f"{job.workload.batch / quartiles[1]:.3f}"
    return {
        **texts,
        "repeats": str(len(latency.seconds)),
        "warmup": str(job.warmup),
        "clock": latency.clock,
    }


def _published(job: ProfileJob, restorer: Restorer) -> dict[str, str]:
    """The paper's figures of the variant, and the multiply-adds counted at the size that the paper names."""
    variant = job.workload.variant
    figure = next((each for each in job.card.published if each.variant == variant), PublishedFigure(variant=variant))
    size = re.search(r"([0-9]+)x([0-9]+)$", figure.input_size) if figure.macs_g is not None else None
    counted_there = str(counted(job, restorer, (int(size[1]), int(size[2]))).macs) if size else ""
    known = figure.parameters_m is not None or figure.macs_g is not None
    return {
        "published_parameters_m": "" if figure.parameters_m is None else f"{figure.parameters_m:g}",
        "published_macs_g": "" if figure.macs_g is None else f"{figure.macs_g:g}",
        "published_size": figure.input_size if figure.macs_g is not None else "",
        "macs_at_published_size": counted_there,
        "published_source": figure.source if known else "",
        "published_note": figure.note if known else "",
    }
