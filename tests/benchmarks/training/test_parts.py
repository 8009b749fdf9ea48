"""The parts of a training run, each by itself: losses, means, moving average, learning rate, plan."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from restorebench.benchmarks.training.averaging import MovingAverage
from restorebench.benchmarks.training.config import LossConfig, PhaseConfig, TrainConfig
from restorebench.benchmarks.training.facts import added_up
from restorebench.benchmarks.training.losses import RunningMeans, loss_terms
from restorebench.benchmarks.training.schedule import BatchSchedule, TrainingBudget, cosine, set_learning_rate


def test_the_fourier_loss_is_l1_of_real_and_imaginary_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    restored, clean = torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)
    terms = loss_terms(restored, clean, LossConfig(l1=2.0, fourier=0.1), torch.nn.Identity())
    x, y = np.fft.rfft2(restored.numpy()), np.fft.rfft2(clean.numpy())
    fourier = np.mean([np.abs(x.real - y.real), np.abs(x.imag - y.imag)])
    l1 = np.abs(restored.numpy() - clean.numpy()).mean()
    assert float(terms.fourier) == pytest.approx(fourier, rel=1e-5)
    assert float(terms.total) == pytest.approx(2 * l1 + 0.1 * fourier, rel=1e-5)
    assert float(terms.each.mean()) == pytest.approx(l1, rel=1e-5)


def test_means_are_over_steps_and_over_the_samples_of_a_label() -> None:
    means = RunningMeans(["a", "b", "c"])
    weights = LossConfig()
    for value, labels in ((0.5, ("a", "a")), (0.25, ("a", "b"))):
        terms = loss_terms(torch.full((2, 3, 4, 4), value), torch.zeros(2, 3, 4, 4), weights, torch.nn.Identity())
        means.add(terms, torch.tensor(1.0), labels)
    found = means.means(means.values)
    assert found["loss"] == pytest.approx(0.375)
    assert found["l1_a"] == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    assert (found["l1_b"], found["l1_c"]) == (pytest.approx(0.25), None)


def test_the_moving_average_follows_its_formula() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    average = MovingAverage(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), 0.9)
    before = average.network[0].weight.clone()
    network[1].running_mean.fill_(3)
    average.update(network.state_dict(), 1000)
    torch.testing.assert_close(average.network[0].weight, 0.9 * before + 0.1 * network[0].weight.detach())
    assert average.network[1].running_mean.tolist() == [3, 3]
    before = average.network[0].weight.clone()
    average.update(network.state_dict(), 1)  # 2 / 11: the start is forgotten
    torch.testing.assert_close(average.network[0].weight, before * 2 / 11 + network[0].weight.detach() * 9 / 11)


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


def test_weights_that_were_trained_on_know_of_all_their_stages() -> None:
    def stage(images: int, history: list[dict[str, float]]) -> dict[str, object]:
        same = {
            "recipe": "r",
            "data": "d",
            "lists_sha256": "0",
            "seed": 0,
            "git_revision": "g",
            "images_per_second": 1.0,
        }
        return {**same, "steps": images // 8, "images": images, "seconds": images / 10, "history": history}

    first = stage(800, [{"images": 400, "seconds": 40.0, "gain": 1.0}, {"images": 800, "seconds": 80.0, "gain": 2.0}])
    second = added_up(stage(160, [{"images": 160, "seconds": 16.0, "gain": 3.0}]), first)
    third = added_up(stage(80, [{"images": 80, "seconds": 8.0, "gain": 4.0}]), second)
    assert added_up(first, None) == first
    assert (third["images"], third["steps"], third["seconds"]) == (1040, 130, 104.0)
    assert [(p["images"], p["seconds"], p["gain"]) for p in third["history"]] == [
        (400, 40.0, 1.0),
        (800, 80.0, 2.0),
        (960, 96.0, 3.0),
        (1040, 104.0, 4.0),
    ]
    assert [part["images"] for part in third["stages"]] == [800, 160, 80]
