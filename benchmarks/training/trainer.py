"""Training of a restorer: the loop, on one device or many (Lightning Fabric), that any kill can interrupt.

Every random choice of a step comes from streams keyed by the seed and the step or the sample's number. So training that
is resumed, or split over processes, sees the same samples and the same noise, and a resumed run on the CPU ends with
bit-identical weights (with an end in samples, not in minutes, and the same number of threads).
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from ...datasets.streams import rng_for
from ...models import create_model
from ...models.checkpoint import save_weights
from ...models.hooks import HasAfterStep
from ..environment import describe_environment, git_revision, package_version
from ..errors import UserError
from .batches import Batch, BatchMaker, Request, Shard, build_mixture, prepare_leaves
from .config import TrainConfig
from .facts import added_up, gains, machine, metadata_text
from .losses import TERMS, MovingAverage, RunningMeans, blended, loss_terms
from .plot import plot
from .run_folder import RunFolder
from .schedule import Done, Plan, budget_of, cosine, set_learning_rate
from .setup import run_folder, synchronised, untrained_twin
from .validation import Validation

logger = logging.getLogger("restorebench")


class TrainingStoppedError(RuntimeError):
    """Training cannot go on; the message is one line that says where it stopped."""


@dataclass(frozen=True)
class Outcome:
    """What a training run came to: its folder, and what has been done in it."""

    folder: Path
    done: Done


class Trainer:
    """Trains one restorer as configured.

    Raises:
        UserError, ModelError, DataError: something was asked for that cannot be.
    """

    def __init__(self, config: TrainConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        self.mixture = build_mixture(config)
        self.plan = Plan(budget_of(config, self.mixture.epoch), tuple(config.patches))
        self.validation = Validation(config.validation)
        # Untrained weights depend on the seed alone.
        self.restorer = create_model(
            config.model, variant=config.variant, weights=config.weights, seed=config.seed, **config.overrides
        )
        if not self.restorer.card.trainable or not self.restorer.parameters_count:
            raise UserError(f"{config.model} has nothing to train: choose another model")
        self.labels = tuple(dict.fromkeys(component.label for component in self.mixture.components))
        columns = ("step", "images", "seconds", "images_per_second", "patch", "lr", *TERMS)
        self.folder = RunFolder(
            run_folder(config, self.restorer.variant), (*columns, *(f"l1_{label}" for label in self.labels))
        )
        self.done = Done()
        self.validated = 0
        self.means = RunningMeans(self.labels)
        self.logged = Done()

    def run(self) -> Outcome:
        """Train to the end of the budget, from the beginning or from the checkpoint in the run's folder.

        Raises:
            UserError: see `RunFolder.claimed`.
            TrainingStoppedError: the loss is not finite.
        """
        if self.fabric.is_global_zero:
            with self.folder.claimed(self.config):
                self.folder.clear_temporaries()
                prepare_leaves(self.mixture)
                self.fabric.barrier()
                return self._train()
        self.fabric.barrier()
        prepare_leaves(self.mixture)
        return self._train()

    # The parts of a run

    def _train(self) -> Outcome:
        self._set_up()
        self._restore()
        if self._finished:
            logger.info("%s is complete: %d steps, %d images", self.folder.path, self.done.steps, self.done.images)
            return Outcome(self.folder.path, self.done)
        shard = Shard(self.fabric.global_rank, self.fabric.world_size)
        maker = BatchMaker(self.mixture, shard, self.config.workers, self._next_request)
        try:
            with self._bar() as bar:
                self._loop(maker, bar)
        finally:
            maker.close()
        return Outcome(self.folder.path, self.done)

    def _set_up(self) -> None:
        """Model, average, optimiser and schedule on their devices."""
        config, fabric = self.config, self.fabric
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.tf32
        if config.threads:
            torch.set_num_threads(config.threads)
        self.device = fabric.device
        restorer = self.restorer
        if fabric.world_size > 1 and self.device.type == "cuda":
            restorer.network = synchronised(restorer.network)
        if config.channels_last:
            restorer = restorer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        restorer = restorer.to(self.device)
        average = untrained_twin(restorer)
        self.average = MovingAverage(average.network, config.ema)
        self.start = untrained_twin(restorer).network.state_dict() if config.start_share else {}
        self.written = untrained_twin(restorer) if config.start_share else average
        trained = [parameter for parameter in restorer.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trained,
            lr=config.optimizer.lr,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            weight_decay=config.optimizer.weight_decay,
        )
        self.schedule = cosine(optimizer, config)
        restorer.train()
        self.raw_optimizer = optimizer
        module: nn.Module = restorer
        if config.compile:
            module = cast("nn.Module", torch.compile(restorer))
        self.model, self.optimizer = fabric.setup(module, optimizer)

    def _restore(self) -> None:
        """Go on where the checkpoint is, if there is one."""
        state = self.folder.checkpoint()
        if state is not None:
            if state["data"] != self.mixture.fingerprint():
                raise UserError(
                    f"{self.folder.path} was trained on other images than there are now: give run=DIR for a new run, "
                    "or the same data.root, train.folder and version to continue it"
                )
            self.restorer.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self.raw_optimizer.load_state_dict(state["optimizer"])
            self.done, self.logged = Done(**state["done"]), Done(**state["logged"])
            self.validated = state["validated"]
            if self.fabric.is_global_zero:  # the sums of all processes
                self.means.values = state["means"]
            logger.info("%s: going on from step %d", self.folder.path, self.done.steps)
        if self.fabric.is_global_zero:
            self.folder.losses.begin(self.done.steps)
            self.folder.validation.begin(self.done.steps)
        self.saved_at = time.perf_counter()
        self.fabric.barrier()

    @property
    def progress(self) -> float:
        """The part of the budget that is spent."""
        return self.plan.budget.progress(self.done.images, self.done.seconds)

    @property
    def _finished(self) -> bool:
        """Whether the budget is spent and the last validation done."""
        return self.progress >= 1 and self.validated >= max(self.config.validation.times, 1)

    def _next_request(self, last: Request | None) -> Request | None:
        if last is None:
            return self.plan.request(self.done.steps + 1, self.done.images, self.done.seconds)
        return self.plan.request(last.step + 1, last.first + last.count, self.done.seconds)

    def _bar(self) -> tqdm[Any]:
        shown = self.config.progress and self.fabric.is_global_zero
        total = self.plan.budget.images
        return tqdm(
            total=total,
            initial=min(self.done.images, total or self.done.images),
            desc=f"{self.config.model} {self.config.mix.name}",
            unit="image",
            disable=None if shown else True,
        )

    def _loop(self, maker: BatchMaker, bar: tqdm[Any]) -> None:
        started = time.perf_counter()
        while self.progress < 1:
            taken = maker.take()
            if taken is None:
                break
            request, batch = taken
            loss, seconds, rate, checkpoint = self._step(request, batch, started)
            started = time.perf_counter()
            self.done.steps, self.done.images = request.step, request.first + request.count
            self.done.seconds += seconds
            bar.update(request.count)
            bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            if self.done.steps % self.config.log_every == 0:
                self._log(request.patch, rate)
            if self._validation_is_due():
                if self.progress >= 1 and self.logged.steps < self.done.steps:
                    self._log(request.patch, rate)
                self._validate()
                started = time.perf_counter()
            elif checkpoint:
                self._save_checkpoint()
                started = time.perf_counter()
        if not self._finished:  # killed between the last step and its validation
            self._validate()

    def _step(self, request: Request, batch: Batch, started: float) -> tuple[float, float, float, bool]:
        """One optimiser step: loss, seconds (means over all processes), learning rate, whether a checkpoint is due."""
        config = self.config
        progress = self.plan.budget.progress(request.first, self.done.seconds)
        rate = set_learning_rate(self.schedule, self.raw_optimizer, progress)
        key = rng_for("training step", config.seed, request.step, self.fabric.global_rank)
        torch.manual_seed(int(key.integers(2**63)))
        clean = self._on_device(batch.clean)
        restored = self.model(self._on_device(batch.degraded))
        terms = loss_terms(restored, clean, config.loss, self.restorer.network)
        self.optimizer.zero_grad()
        self.fabric.backward(terms.total)
        norm = self._clipped()
        now = time.perf_counter()
        # What the clock decides must be the same in all processes: the first one's word counts.
        due = self.fabric.is_global_zero and now - self.saved_at >= config.checkpoint_minutes * 60
        shared = torch.tensor([terms.total.item(), norm.item(), now - started, float(due)], dtype=torch.float64)
        loss, gradient, seconds, due_anywhere = self._mean_over_processes(shared).tolist()
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            self._stop(request, loss, gradient)
        self.optimizer.step()
        if isinstance(self.restorer.network, HasAfterStep):
            self.restorer.network.after_step()
        self.average.update(self.restorer.network.state_dict(), request.step)
        self.means.add(terms, norm, batch.labels)
        return loss, seconds, rate, due_anywhere > 0

    def _on_device(self, images: Tensor) -> Tensor:
        """(B, 3, P, P) uint8 -> float32 in [0, 1] on the device."""
        moved = images.to(self.device, non_blocking=True).float().div_(255)
        if self.config.channels_last:
            return moved.contiguous(memory_format=torch.channels_last)
        return moved.contiguous()

    def _clipped(self) -> Tensor:
        """The norm of the gradient, before it was clipped."""
        parameters = [p for p in self.restorer.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([cast("Tensor", p.grad) for p in parameters])
        if self.config.clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.config.clip, norm)
        return norm.detach()

    def _mean_over_processes(self, values: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return values
        return cast("Tensor", self.fabric.all_reduce(values.to(self.device), reduce_op="mean")).cpu()

    def _stop(self, request: Request, loss: float, gradient: float) -> None:
        names = ", ".join(self.mixture.draw(k).name for k in range(request.first, request.first + request.count))
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {gradient}"
        raise TrainingStoppedError(
            f"{what} at step {request.step}; its batch: {names}. The checkpoint before is kept in {self.folder.path}; "
            "a lower optimizer.lr or clip, in a new run=DIR, may help"
        )

    # What is written

    def _log(self, patch: int, rate: float) -> None:
        """A line of losses.csv: means since the last one, over all processes."""
        values = self.means.values
        if self.fabric.world_size > 1:
            values = cast("Tensor", self.fabric.all_reduce(values.to(self.device), reduce_op="sum")).cpu()
        seconds = self.done.seconds - self.logged.seconds
        row: dict[str, object] = {
            "step": self.done.steps,
            "images": self.done.images,
            "seconds": round(self.done.seconds, 3),
            "images_per_second": round((self.done.images - self.logged.images) / max(seconds, 1e-9), 3),
            "patch": patch,
            "lr": rate,
            **self.means.means(values),
        }
        if self.fabric.is_global_zero:
            self.folder.losses.append(row)
        self.means.reset()
        self.logged = Done(**asdict(self.done))

    def _validation_is_due(self) -> bool:
        times = self.config.validation.times
        return self.progress >= 1 or (times > 0 and math.floor(self.progress * times) > self.validated)

    def _validate(self) -> None:
        """Score the averaged weights (blended, see `start_share`), write them and what is known, and a checkpoint."""
        times = max(self.config.validation.times, 1)
        self.validated = times if self.progress >= 1 else math.floor(self.progress * times)
        if self.fabric.is_global_zero:
            if self.config.start_share:
                trained = self.average.network.state_dict()
                self.written.network.load_state_dict(blended(self.start, trained, self.config.start_share))
            rows = self.validation.scores(self.written, self.device) if self.config.validation.times else []
            for row in rows:
                entry = {
                    "step": self.done.steps,
                    "images": self.done.images,
                    "seconds": self.done.seconds,
                    **asdict(row),
                }
                self.folder.validation.append(entry)
            if rows:
                scores = ", ".join(f"{row.task} {row.psnr:.2f} ({row.input_psnr:.2f})" for row in rows)
                logger.info("step %d: PSNR (input) %s", self.done.steps, scores)
            self._save_weights()
            plot(self.folder)
        self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        values = self.means.values
        if self.fabric.world_size > 1:
            values = cast("Tensor", self.fabric.all_reduce(values.to(self.device), reduce_op="sum")).cpu()
            if not self.fabric.is_global_zero:
                self.means.reset()
            else:
                self.means.values = values
        if self.fabric.is_global_zero:
            self.folder.save_checkpoint(
                {
                    "network": self.restorer.network.state_dict(),
                    "average": self.average.network.state_dict(),
                    "optimizer": self.raw_optimizer.state_dict(),
                    "done": asdict(self.done),
                    "logged": asdict(self.logged),
                    "validated": self.validated,
                    "means": values,
                    "data": self.mixture.fingerprint(),
                }
            )
        self.saved_at = time.perf_counter()
        self.fabric.barrier()

    def _save_weights(self) -> None:
        facts = self._facts()
        metadata = {f"restorebench.{key}": metadata_text(value) for key, value in facts.items()}
        save_weights(self.written.network.state_dict(), self.folder.weights, metadata)
        environment = describe_environment(str(self.device))
        self.folder.save_facts({**facts, "environment": environment, "config": asdict(self.config)})

    def _facts(self) -> dict[str, Any]:
        """What is known about the weights."""
        seconds = max(self.done.seconds, 1e-9)
        return added_up(self._stage_facts(seconds), self.restorer.weights.training)

    def _stage_facts(self, seconds: float) -> dict[str, Any]:
        """What is known of this run alone."""
        return {
            "provenance": "retrained",
            "model": self.config.model,
            "variant": self.restorer.variant,
            "overrides": self.restorer.overrides,
            "recipe": self.config.mix.name,
            "data": self.mixture.identity(),
            "lists_sha256": self.mixture.fingerprint(),
            "steps": self.done.steps,
            "images": self.done.images,
            "seconds": round(self.done.seconds, 1),
            "images_per_second": round(self.done.images / seconds, 3),
            "finished": self.progress >= 1,
            "history": gains(self.folder.validation.rows()),
            "machine": machine(str(self.device)),
            "ema": self.config.ema,
            "start_share": self.config.start_share,
            "seed": self.config.seed,
            "git_revision": git_revision(),
            "version": package_version("restorebench"),
        }
