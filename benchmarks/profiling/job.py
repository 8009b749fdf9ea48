"""A workload measured: from a configuration to a row of ``profile.csv``, beside the paper's figures."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from ...messages import one_line
from ...models import ModelCard, PublishedFigure, Restorer, build_network, get_card
from ...models.registry import check_variant
from ...models.registry.own import with_multiple
from ...models.weights import choose_weights
from ..environment import device_name
from ..errors import UserError
from ..inference.config import numerics_of
from ..inference.foreign import contained
from ..inference.numerics import check_dtype
from ..inference.out_of_memory import is_out_of_memory
from ..inference.waiting import waiting
from ..store.profiles import FILE_NAME, KEY, ProfileRow
from .config import ProfileConfig
from .gpu import GpuCost, measure_gpu
from .latency import Latency, Memory, Stopwatch, Workload, measure_memory
from .macs import Complexity, count_macs


@dataclass(frozen=True)
class ProfileJob:
    """One workload, how it is timed, and where the row goes."""

    card: ModelCard
    workload: Workload
    weights_label: str
    warmup: int
    repeats: int
    rounds: int
    seconds: float
    file: Path


def make_job(config: ProfileConfig) -> ProfileJob:
    """Resolve every name of a configuration.

    Raises:
        UserError, ModelError: in one line, what is wrong and what to do.
    """
    card = get_card(with_multiple(config.model, config.size_multiple))
    check_variant(card, config.variant)
    choice = choose_weights(card, config.variant, config.weights, 0)
    if card.built_from == "arguments":
        build_network(card.key, variant=choice.variant, device="meta", **{**choice.overrides, **config.overrides})
    for name in ("batch", "repeats", "rounds", "seconds"):
        if getattr(config, name) <= 0:
            raise UserError(f"{name}={getattr(config, name)}: give a positive number")
    if config.warmup < 0:
        raise UserError(f"warmup={config.warmup}: give 0 or more")
    workload = Workload(
        model=card.key,
        variant=choice.variant,
        weights=str(choice.info.path or "none"),
        weights_key=config.weights_key,
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
        rounds=config.rounds,
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


def _weights(job: ProfileJob) -> str:
    """What a row says of weights: those of other files cost the same, unless they decide the network."""
    if job.card.source is not None:
        return f"any; network yours {job.card.source.sha256[:12]}"
    return job.weights_label if job.card.built_from == "checkpoint" else "any"


def _conditions(job: ProfileJob) -> dict[str, str]:
    workload, numerics = job.workload, job.workload.numerics
    height, width = workload.size
    return {
        "model": job.card.name,
        "variant": workload.variant,
        "overrides": json.dumps(workload.overrides, sort_keys=True) if workload.overrides else "",
        "weights": _weights(job),
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


class Measurement:
    """A job being measured: what takes one look at once, its passes in rounds between which others have theirs.

    What does not fit or cannot be counted is said in the row's note.
    """

    def __init__(self, job: ProfileJob) -> None:
        self.job = job
        self._notes: list[str] = []
        self._restorer = job.workload.restorer()
        check_dtype(job.workload.numerics.dtype, self._restorer.card.dtypes, self._restorer.card.title)
        self._cost = self._counted()
        self._memory, self._latency = Memory(None, ""), Latency((), "")
        self._stopwatch: Stopwatch | None = None
        self._gpu: GpuCost | None = None
        with self._noting_failure():
            # First the memory: what timing leaves behind in caches would count as the network's.
            self._memory = measure_memory(job.workload, self._restorer)
            self._stopwatch = Stopwatch(
                job.workload,
                self._restorer,
                warmup=job.warmup,
                repeats=job.repeats,
                rounds=job.rounds,
                seconds=job.seconds,
            )
        if self._memory.peak is None and self._memory.meaning:
            self._notes.append(f"peak memory {self._memory.meaning}")

    @property
    def done(self) -> bool:
        """Whether there is no further round, or no memory for one."""
        return self._stopwatch is None or self._stopwatch.done

    def round(self) -> None:
        """The next round of passes."""
        with self._noting_failure():
            if self._stopwatch is not None:
                self._stopwatch.round()
                self._latency = self._stopwatch.latency()
                if self._stopwatch.done and torch.device(self.job.workload.numerics.device).type == "cuda":
                    self._gpu = measure_gpu(self.job.workload, self._restorer, self._stopwatch)

    def row(self) -> ProfileRow:
        """What is known so far."""
        return ProfileRow(
            **_conditions(self.job),
            parameters=str(self._restorer.parameters_count),
            **_counts(self._cost),
            **_times(self._latency, self.job),
            peak_memory_mib="" if self._memory.peak is None else f"{self._memory.peak / 2**20:.1f}",
            memory_meaning=self._memory.meaning,
            **_published(self.job, self._restorer),
            note="; ".join(self._notes),
            measured=datetime.now(UTC).isoformat(timespec="seconds"),
            **self._of_gpu(),
        )

    def _of_gpu(self) -> dict[str, str]:
        macs = None if self._cost is None else self._cost.macs
        return {} if self._gpu is None else self._gpu.columns(self._latency, self.job.workload.batch, macs)

    def _counted(self) -> Complexity | None:
        try:
            with contained():
                cost = counted(self.job, self._restorer, self.job.workload.size)
        except Exception as error:  # code of the network's author can raise anything
            self._notes.append(f"multiply-adds not counted: {one_line(error)}")
            return None
        if cost.uncounted:
            self._notes.append(f"multiply-adds are a lower bound: no formula for {', '.join(cost.uncounted)}")
        return cost

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            with contained():
                yield
        except UserError:
            raise
        except Exception as error:  # as above
            self._notes.append(f"{'out of memory' if is_out_of_memory(error) else 'not measured'} ({one_line(error)})")
            self._stopwatch = None


def counted(job: ProfileJob, restorer: Restorer, size: tuple[int, int]) -> Complexity:
    """Multiply-adds of one image of this (height, width), padded as the restorer pads it."""
    height, width = (restorer.size.padded(length) for length in size)
    if job.card.built_from == "checkpoint":
        return count_macs(restorer.network, (height, width))
    build = functools.partial(build_network, job.card.key, variant=job.workload.variant, **job.workload.overrides)
    return count_macs(build, (height, width))


def _counts(cost: Complexity | None) -> dict[str, str]:
    if cost is None:
        return {"macs": "", "macs_fft": "", "macs_counter": ""}
    return {"macs": str(cost.macs), "macs_fft": str(cost.macs_by_kind["fft"]), "macs_counter": cost.counter}


def _times(latency: Latency, job: ProfileJob) -> dict[str, str]:
    business = latency.business
    texts = dict.fromkeys(("latency_q1_ms", "latency_ms", "latency_q3_ms", "images_per_second"), "")
    if latency.seconds:
        quartiles = latency.quartiles
        texts = {name: f"{1000 * value:.3f}" for name, value in zip(texts, quartiles, strict=False)}
        texts["images_per_second"] = f"{job.workload.batch / quartiles[1]:.3f}"
    return {
        **texts,
        "repeats": str(len(latency.seconds)),
        "rounds": str(len(latency.rounds)),
        "warmup": str(job.warmup),
        "clock": latency.clock,
        "waiting": waiting(os.environ) if latency.seconds else "",
        "others_processors": "" if business is None or business.others is None else f"{max(0.0, business.others):.2f}",
        "load_average": "" if business is None or business.load is None else f"{business.load:.2f}",
        "doubtful": latency.doubts,
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
