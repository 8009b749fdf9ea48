"""The moving average, the interpolation with the starting weights, and that both are what a run writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from restorebench.benchmarks.training.averaging import MovingAverage

from .runs import table, train

pytestmark = pytest.mark.slow


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


def test_the_weights_are_the_moving_average_and_hooks_were_called(reference: Path, tmp_path: Path, cache: Path) -> None:
    state = torch.load(reference / "checkpoint.pt", weights_only=True)
    weights = load_file(reference / "weights.safetensors")
    assert all(torch.equal(weights[key], value) for key, value in state["average"].items())
    assert not torch.equal(weights["first.weight"], state["network"]["first.weight"])
    assert bool((state["network"]["follower"] != 0).any())  # only after_step changes it
    plain = train(tmp_path / "run", cache, "ema=0", "budget.images=8", "validation.tasks=null")
    trained = plain.restorer.network.state_dict()
    assert all(torch.equal(v, trained[k]) for k, v in load_file(plain.folder.weights).items())


@pytest.mark.parametrize("part", [0.25, -0.1])
def test_a_part_of_the_starting_weights_stays_in_the_result(
    part: float, reference: Path, tmp_path: Path, cache: Path
) -> None:
    start = f"weights={reference / 'weights.safetensors'}"
    plain, kept = (
        train(tmp_path / name, cache, start, f"interpolation={given}", "budget.images=8", "validation.times=1")
        for name, given in (("plain", 0), ("kept", part))
    )
    before, after = load_file(reference / "weights.safetensors"), load_file(plain.folder.weights)
    for key, value in load_file(kept.folder.weights).items():
        torch.testing.assert_close(value, part * before[key] + (1 - part) * after[key], rtol=1e-5, atol=1e-7)
    states = [torch.load(run.folder.path / "checkpoint.pt", weights_only=True)["average"] for run in (plain, kept)]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())  # training itself is the same
    scores = [table(run.folder.path / "validation.csv") for run in (plain, kept)]
    assert scores[0] != scores[1]  # of the weights that are written
