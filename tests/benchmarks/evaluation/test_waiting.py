"""A run says what its network waited for, and decodes ahead on as many threads as it takes."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.commands.front.workers import together
from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.evaluation.job import CellOutcome
from restorebench.benchmarks.evaluation.pipeline import Computed, Lookahead, Scorer, Waits, compute_rows, loaded
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.benchmarks.protocols.pairs import Packed
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.datasets.samples import Sample
from restorebench.datasets.streams import rng_for
from restorebench.datasets.tasks import Task

from ..inference.test_runner import restorer

PROTOCOL = get_protocol("promptir@1")
GPU = torch.device("cuda")


class Photographs:
    """Images of 32x32 that take a while to decode."""

    task = Task("derain", "probe")
    description = licence = "made by a test"

    def __init__(self, count: int, seconds: float) -> None:
        self.names = tuple(f"{number:02}.png" for number in range(count))
        self.seconds = seconds
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        clean = rng_for(0, self.names[index], 0).integers(0, 256, (32, 32, 3)).astype("uint8")
        return Sample(self.names[index], clean, clean[::-1].copy(), self.task)

    def fingerprint(self) -> str:
        return "0" * 64


class Slow(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return x / 2


def run(folder: Path, data: Photographs, network: nn.Module) -> Computed:
    cell = CellFolder(folder)
    cell.begin([])
    return compute_rows(cell, data, data.names, Runner(restorer(network), Numerics()), Scorer(PROTOCOL), progress=False)


def test_a_network_that_waits_for_images_is_said_to(tmp_path: Path) -> None:
    computed = run(tmp_path, Photographs(6, 0.1), nn.Identity())
    assert computed.waits.images > 0.15
    assert computed.waits.images > 0.5 * computed.seconds
    assert re.fullmatch(
        r"the network waited \d+ % of the time \(\d+ % for images, \d+ % for scores\)", computed.statement
    )


def test_a_network_that_is_slower_than_all_else_waits_for_little(tmp_path: Path) -> None:
    computed = run(tmp_path, Photographs(6, 0.0), Slow(0.1))
    assert computed.network >= 0.6
    assert computed.waits.images < 0.5 * computed.network


@pytest.mark.parametrize(
    ("computed", "statement"),
    [
        (
            Computed(4, 10.0, 9.0, Waits(images=0.5)),
            "the network waited 10 % of the time (5 % for images, 0 % for scores)",
        ),
        (
            Computed(4, 10.0, 9.0, Waits(images=6)),
            "the network waited 10 % of the time (10 % for images, 0 % for scores)",
        ),
        (Computed(4, 10.0, 10.2), "the network waited 0 % of the time (0 % for images, 0 % for scores)"),
        (Computed(0, 0.0), ""),
    ],
)
def test_a_gpu_waits_no_longer_than_it_is_idle_however_long_the_host_does(computed: Computed, statement: str) -> None:
    assert computed.statement == statement


def test_the_waits_of_several_workers_are_those_of_all_together() -> None:
    """One that had its images at once, and one that waited for them half of its time."""
    own = CellOutcome("derain@set", "complete", computed=0, expected=12, seconds=0.0)
    parts = [
        replace(own, computed=8, seconds=10.0, spent=Computed(8, 10.0, 10.0)),
        replace(own, computed=4, seconds=10.0, spent=Computed(4, 10.0, 5.0, Waits(images=4.0, scores=1.0))),
    ]
    other = replace(own, task="dehaze@set", spent=Computed(9, 9.0, 1.0))
    whole = together(own, [[other, part] for part in parts])
    assert (whole.computed, whole.seconds) == (12, 10.0)
    assert whole.waited == "the network waited 25 % of the time (20 % for images, 5 % for scores)"
    assert own.waited == ""


def test_images_for_a_gpu_are_decoded_on_all_threads_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packed, "pinned", lambda packed: packed)
    data, waits = Photographs(30, 0.02), Waits()
    stream = loaded(data, range(30), PROTOCOL, GPU, waits, loaders=12)
    assert [index for index, _ in stream] == list(range(30))
    assert len(data.threads) > 6
    assert waits.images > 0


def test_a_network_on_the_cpu_gets_images_that_are_placed_already() -> None:
    data = Photographs(12, 0.01)
    assert all(not isinstance(image, Packed) for _, image in loaded(data, range(12), PROTOCOL, loaders=2))
    assert len(data.threads) == 2


@pytest.mark.parametrize(("device", "most"), [(GPU, 32), (torch.device("cpu"), 18)])
def test_how_far_ahead_has_a_limit(device: torch.device, most: int) -> None:
    ahead = Lookahead(device, 16)
    assert (ahead.threads, ahead.images) == (16, 18)
    for _ in range(5):
        ahead.waited()
    assert ahead.images == most


def test_images_lie_in_pinned_memory_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[Tensor] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    images = [image for _, image in loaded(Photographs(2, 0), range(2), PROTOCOL, GPU)]
    assert all(isinstance(image, Packed) for image in images)
    assert len(pinned) == 4


def test_bench_run_says_what_was_waited_for_and_what_a_lower_dtype_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", "model=nafnet", "variant=tiny", "weights=none", "tasks=derain", "limit=1", f"results={tmp_path}"]
    asked += ["metrics=[psnr]", "previews=none"]
    assert main(asked) == 0
    assert "the network waited" in capsys.readouterr().err
    assert main([*asked, "dtype=bfloat16"]) == 0
    assert re.search(r"bfloat16 costs -?\d+\.\d{4} dB against float32", capsys.readouterr().err)
