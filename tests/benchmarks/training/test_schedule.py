"""Learning rate, phases and budget, whatever the budget is counted in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from restorebench.benchmarks.training.config import PhaseConfig, TrainConfig
from restorebench.benchmarks.training.schedule import BatchSchedule, TrainingBudget, cosine, set_learning_rate

from .runs import table, train

pytestmark = pytest.mark.slow


def test_the_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    config = TrainConfig(model="small")
    config.optimizer.lr, config.schedule.warmup, config.schedule.minimum = 1e-2, 0.1, 1e-4
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=config.optimizer.lr)
    schedule = cosine(optimizer, config)

    def rate(progress: float) -> float:
        return set_learning_rate(schedule, optimizer, progress)

    assert rate(0) == pytest.approx(1e-4)
    assert rate(0.05) == pytest.approx((1e-4 + 1e-2) / 2)
    assert rate(0.1) == pytest.approx(1e-2)
    for progress in (0.3, 0.55, 0.9):
        expected = 1e-4 + (1e-2 - 1e-4) * (1 + math.cos(math.pi * (progress - 0.1) / 0.9)) / 2
        assert rate(progress) == pytest.approx(expected, rel=1e-3)
    assert rate(1) == pytest.approx(1e-4, rel=1e-2)


def test_the_plan_goes_through_the_phases_and_ends() -> None:
    plan = BatchSchedule(TrainingBudget(20, None), (PhaseConfig(16, 4, 0.5), PhaseConfig(32, 2, 1.0)))
    requests, first = [], 0
    while (request := plan.request(len(requests) + 1, first, 0.0)) is not None:
        requests.append((request.step, request.first, request.count, request.patch))
        first += request.count
    sizes = [(4, 16)] * 3 + [(2, 32)] * 4
    assert [(count, patch) for _, _, count, patch in requests] == sizes
    assert first == 20
    both = TrainingBudget(100, 10.0)
    assert both.progress(50, 2.0) == 0.5
    assert both.progress(50, 9.0) == 0.9
    assert both.progress(500, 0.0) == 1


@pytest.mark.alone
def test_a_budget_in_minutes_ends_on_time_and_anneals(tmp_path: Path, cache: Path) -> None:
    settings = ["budget.images=null", "budget.minutes=0.03", "validation.times=0", "log_every=1"]
    trainer = train(tmp_path / "run", cache, *settings, "checkpoint_minutes=9")
    assert 1.8 <= trainer.state.done.seconds < 4
    rates = [float(row["lr"]) for row in table(tmp_path / "run" / "losses.csv")]
    assert rates[-1] < 0.1 * max(rates)
