"""Training of a restorer: the loop, on one device or many (Lightning Fabric), that any kill can interrupt.

Every random choice of a step comes from streams keyed by the seed and the step or the sample's number. So training that
is resumed, or split over processes, sees the same samples and the same noise, and a resumed run on the CPU ends with
bit-identical weights (with an end in samples, not in minutes, and the same number of threads).
"""

from __future__ import annotations

import errno
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
from ...models.checkpoints.writing import save_weights
from ...models.hooks import HasAfterStep
from ...models.registry.own import with_multiple
from ...models.restorer import Restorer
from ..environment import describe_environment
from ..errors import UserError
from .averaging import ResultWeights
from .batches import Batch, BatchMaker, Request, Shard, build_mixture, prepare_leaves
from .config import TrainConfig
from .devices import over_processes, placed, set_globals
from .facts import added_up, metadata_text, stage_facts
from .losses import TERMS, loss_terms
from .plot import plot
from .run_folder import RunFolder, folder_of
from .schedule import BatchSchedule, Counters, budget_of, cosine, set_learning_rate
from .state import StepResult, TrainingState
from .validation import Validation

logger = logging.getLogger("restorebench")


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES, errno.EPERM)
"""What a full, read-only or failing disk answers: not a fault of the program."""


class TrainingStoppedError(RuntimeError):
    """Training cannot go on; the message is one line that says where it stopped."""


@dataclass(frozen=True)
class Outcome:
    """What a training run came to: its folder, and what has been done in it."""

    folder: Path
    done: Counters


class Trainer:
    """Trains one restorer as configured.

    Raises:
        UserError, ModelError, DataError: something was asked for that cannot be.
    """

    def __init__(self, config: TrainConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        self.mixture = build_mixture(config)
        self.schedule = BatchSchedule(budget_of(config, self.mixture.epoch), tuple(config.patches))
        self.validation = Validation(config.validation, config.data)
        # Untrained weights depend on the seed alone.
        self.restorer = create_model(
            with_multiple(config.model, config.size_multiple),
            variant=config.variant,
            weights=config.weights,
            weights_key=config.weights_key,
            seed=config.seed,
            **config.overrides,
        )
        if not self.restorer.card.trainable or not self.restorer.parameters_count:
            raise UserError(f"{config.model} has nothing to train: choose another model")
        labels = tuple(dict.fromkeys(component.label for component in self.mixture.components))
        columns = ("step", "images", "seconds", "images_per_second", "patch", "lr", *TERMS)
        card = self.restorer.card
        self.folder = RunFolder(
            folder_of(config, card.name, self.restorer.variant),
            (*columns, *(f"l1_{label}" for label in labels)),
            None if card.source is None else card.source.identity(),
        )
        self.restorer = placed(self.restorer, config, fabric)
        self.state = TrainingState.begin(self.restorer.network, config, labels)
        self.result = ResultWeights(self.restorer, self.state.average, config.interpolation)
        self.learning_rates = cosine(self.state.optimizer, config)
        self.restorer.train()
        module: nn.Module = self.restorer
        if config.compile:
            module = cast("nn.Module", torch.compile(module))
        self.model, self.optimizer = fabric.setup(module, self.state.optimizer)
        self.saved_at = time.perf_counter()

    def run(self) -> Outcome:
        """Train to the end of the budget, from the beginning or from the checkpoint in the run's folder.

        Raises:
            UserError: see `RunFolder.claimed`.
            TrainingStoppedError: the loss is not finite, or something cannot be written.
        """
        try:
            return self._run()
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            where = error.filename or self.folder.path
            raise TrainingStoppedError(
                f"{where}: {error.strerror}; {self.folder.path} has all up to its last checkpoint: the same command"
                " goes on from there"
            ) from error

    def _run(self) -> Outcome:
        if self.fabric.is_global_zero:
            with self.folder.claimed(self.config):
                self.folder.clear_temporaries()
                prepare_leaves(self.mixture, progress=self.config.progress)
                self.fabric.barrier()
                return self._train()
        self.fabric.barrier()
        prepare_leaves(self.mixture, progress=self.config.progress)
        return self._train()

    # The parts of a run

    def _train(self) -> Outcome:
        set_globals(self.config)
        self._restore()
        done = self.state.done
        if self._finished:
            logger.info("%s is complete: %d steps, %d images", self.folder.path, done.steps, done.images)
            return Outcome(self.folder.path, done)
        shard = Shard(self.fabric.global_rank, self.fabric.world_size)
        maker = BatchMaker(self.mixture, shard, self.config.workers, self._next_request)
        try:
            with self._bar() as bar:
                self._loop(maker, bar)
        finally:
            maker.close()
        return Outcome(self.folder.path, done)

    def _restore(self) -> None:
        """Go on where the checkpoint is, if there is one."""
        checkpoint = self.folder.checkpoint()
        if checkpoint is not None:
            if checkpoint["data"] != self.mixture.fingerprint():
                raise UserError(
                    f"{self.folder.path} was trained on other images than there are now: give run=DIR for a new run, "
                    "or the same data.root, data.natural_images and version to continue it"
                )
            self.state.restore(checkpoint, with_means=self.fabric.is_global_zero)
            logger.info("%s: going on from step %d", self.folder.path, self.state.done.steps)
        if self.fabric.is_global_zero:
            self.folder.losses.begin(self.state.done.steps)
            self.folder.validation.begin(self.state.done.steps)
        self.saved_at = time.perf_counter()
        self.fabric.barrier()

    @property
    def progress(self) -> float:
        """The part of the budget that is spent."""
        return self.schedule.budget.progress(self.state.done.images, self.state.done.seconds)

    @property
    def _finished(self) -> bool:
        """Whether the budget is spent and the last validation done."""
        return self.progress >= 1 and self.state.validated >= max(self.config.validation.times, 1)

    def _next_request(self, last: Request | None) -> Request | None:
        done = self.state.done
        if last is None:
            return self.schedule.request(done.steps + 1, done.images, done.seconds)
        return self.schedule.request(last.step + 1, last.first + last.count, done.seconds)

    def _bar(self) -> tqdm[Any]:
        visible = self.config.progress and self.fabric.is_global_zero
        total = self.schedule.budget.images
        return tqdm(
            total=total,
            initial=min(self.state.done.images, total or self.state.done.images),
            desc=f"{self.restorer.card.name} {self.config.mix.name}",
            unit="image",
            disable=None if visible else True,
        )

    def _loop(self, maker: BatchMaker, bar: tqdm[Any]) -> None:
        done, logged = self.state.done, self.state.logged
        started = time.perf_counter()
        while self.progress < 1:
            taken = maker.take()
            if taken is None:
                break
            request, batch = taken
            step = self._step(request, batch, started)
            started = time.perf_counter()
            done.steps, done.images = request.step, request.first + request.count
            done.seconds += step.seconds
            bar.update(request.count)
            bar.set_postfix_str(f"loss {step.loss:.4f}", refresh=False)
            if done.steps % self.config.log_every == 0:
                self._log(request.patch, step.learning_rate)
            if self._validation_is_due():
                if self.progress >= 1 and logged.steps < done.steps:
                    self._log(request.patch, step.learning_rate)
                self._validate()
                started = time.perf_counter()
            elif step.checkpoint_due:
                self._save_checkpoint()
                started = time.perf_counter()
        if not self._finished:  # killed between the last step and its validation
            self._validate()

    def _step(self, request: Request, batch: Batch, started: float) -> StepResult:
        """One optimiser step; `started` is when the one before ended (`time.perf_counter`)."""
        config, state = self.config, self.state
        progress = self.schedule.budget.progress(request.first, state.done.seconds)
        rate = set_learning_rate(self.learning_rates, state.optimizer, progress)
        key = rng_for("training step", config.seed, request.step, self.fabric.global_rank)
        torch.manual_seed(int(key.integers(2**63)))
        clean = self._on_device(batch.clean)
        restored = self.model(self._on_device(batch.degraded))
        terms = loss_terms(restored, clean, config.loss, state.network)
        self.optimizer.zero_grad()
        self.fabric.backward(terms.total)
        norm = self._clipped()
        now = time.perf_counter()
        # What the clock decides must be the same in all processes: the first one's word counts.
        due = self.fabric.is_global_zero and now - self.saved_at >= config.checkpoint_minutes * 60
        own = torch.stack([terms.total.detach(), norm]).tolist()  # one copy from the device
        shared = torch.tensor([*own, now - started, float(due)], dtype=torch.float64)
        loss, gradient, seconds, due_anywhere = over_processes(self.fabric, shared, "mean").tolist()
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            self._stop(request, loss, gradient)
        self.optimizer.step()
        if isinstance(state.network, HasAfterStep):
            state.network.after_step()
        state.average.update(state.network.state_dict(), request.step)
        state.means.add(terms, norm, batch.labels)
        return StepResult(loss, seconds, rate, due_anywhere > 0)

    def _on_device(self, images: Tensor) -> Tensor:
        """(B, 3, P, P) uint8 -> float32 in [0, 1] on the device."""
        moved = images.to(self.fabric.device, non_blocking=True).float().div_(255)
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
        done, logged, means = self.state.done, self.state.logged, self.state.means
        sums = over_processes(self.fabric, means.values, "sum")
        row: dict[str, object] = {
            "step": done.steps,
            "images": done.images,
            "seconds": round(done.seconds, 3),
            "images_per_second": round((done.images - logged.images) / max(done.seconds - logged.seconds, 1e-9), 3),
            "patch": patch,
            "lr": rate,
            **means.means(sums),
        }
        if self.fabric.is_global_zero:
            self.folder.losses.append(row)
        means.reset()
        logged.steps, logged.images, logged.seconds = done.steps, done.images, done.seconds

    def _validation_is_due(self) -> bool:
        times = self.config.validation.times
        return self.progress >= 1 or (times > 0 and math.floor(self.progress * times) > self.state.validated)

    def _validate(self) -> None:
        """Score the result as of now, write it and what is known of it, and a checkpoint."""
        done, times = self.state.done, max(self.config.validation.times, 1)
        self.state.validated = times if self.progress >= 1 else math.floor(self.progress * times)
        if self.fabric.is_global_zero:
            result = self.result.restorer()
            rows = self.validation.scores(result, self.fabric.device) if self.config.validation.times else []
            for row in rows:
                now = {"step": done.steps, "images": done.images, "seconds": done.seconds}
                self.folder.validation.append({**now, **asdict(row)})
            if rows:
                scores = ", ".join(f"{row.task} {row.psnr:.2f} ({row.input_psnr:.2f})" for row in rows)
                logger.info("step %d: PSNR (input) %s", done.steps, scores)
            self._save_weights(result)
            plot(self.folder)
        self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        means = self.state.means
        sums = over_processes(self.fabric, means.values, "sum")
        if self.fabric.is_global_zero:  # has the sums of all processes from here on, the others have none
            means.values = sums
            self.folder.save_checkpoint(self.state.checkpoint(self.mixture.fingerprint()))
        else:
            means.reset()
        self.saved_at = time.perf_counter()
        self.fabric.barrier()

    def _save_weights(self, result: Restorer) -> None:
        """The weights with the facts of this run and of those before it, and the facts by themselves."""
        run, device = self.folder.validation.rows(), str(self.fabric.device)
        facts = added_up(
            stage_facts(
                *(self.config, self.restorer, self.mixture, self.validation, self.state.done, run),
                finished=self.progress >= 1,
                device=device,
            ),
            self.restorer.weights.training,
        )
        metadata = {f"restorebench.{key}": metadata_text(value) for key, value in facts.items()}
        save_weights(result.network.state_dict(), self.folder.weights, metadata, trained=True)
        self.folder.save_facts({**facts, "environment": describe_environment(device), "config": asdict(self.config)})
