"""How workers share a host: their number, their devices, their threads, and who speaks."""

from __future__ import annotations

import pytest
import torch

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.inference import processors
from restorebench.benchmarks.inference.processors import (
    loader_count,
    speaks,
    take_local_device,
    worker_count,
    worker_devices,
    worker_threads,
)


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.parametrize(
    ("value", "device", "count"), [("auto", "cuda", 4), ("auto", "cpu", 1), ("auto", "cuda:1", 1), (3, "cpu", 3)]
)
def test_auto_is_one_worker_a_gpu(four_gpus: None, value: object, device: str, count: int) -> None:
    assert worker_count(value, device, {}) == count


@pytest.mark.parametrize("value", [0, -1, "many", 1.5, True, None])
def test_what_is_no_number_of_workers_is_the_users_mistake(value: object) -> None:
    with pytest.raises(UserError, match="workers="):
        worker_count(value, "cpu", {})


def test_torchrun_says_how_many_there_are_and_only_its_first_process_speaks() -> None:
    first, other = ({"RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": "4"} for rank in ("0", "3"))
    elsewhere = {"RANK": "4", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "4"}
    assert [worker_count("auto", "cpu", each) for each in (first, other, elsewhere)] == [4, 4, 4]
    assert [speaks(each) for each in (first, other, elsewhere, {})] == [True, False, False, True]


def test_workers_have_the_visible_gpus_in_turn(four_gpus: None) -> None:
    assert [worker_devices(worker, {}) for worker in range(6)] == ["0", "1", "2", "3", "0", "1"]
    chosen = {"CUDA_VISIBLE_DEVICES": "6, 7"}
    assert [worker_devices(worker, chosen) for worker in range(3)] == ["6", "7", "6"]
    under_torchrun = {**chosen, "LOCAL_RANK": "1"}
    take_local_device(under_torchrun)
    assert under_torchrun["CUDA_VISIBLE_DEVICES"] == "7"
    alone: dict[str, str] = {}
    take_local_device(alone)
    assert alone == {}


def test_threads_and_loaders_are_divided_among_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [worker_threads(workers, 8) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]
    for cores, expected in ((1, [2, 1, 1]), (2, [2, 1, 1]), (8, [8, 4, 1]), (64, [16, 16, 8])):
        monkeypatch.setattr(processors, "cores", lambda cores=cores: cores)
        assert [loader_count(workers) for workers in (1, 2, 8)] == expected
