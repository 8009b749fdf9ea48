"""One bad image never costs the others: damaged files, NaN and wrong shapes become rows that say so."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.evaluation.config import RunConfig
from restorebench.benchmarks.evaluation.job import Job
from restorebench.benchmarks.evaluation.pipeline import Scorer, compute_rows, loaded
from restorebench.benchmarks.evaluation.plan import make_plan
from restorebench.benchmarks.inference.numerics import Numerics
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.benchmarks.store.cells import read_records
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.datasets.errors import DataError
from restorebench.datasets.samples import Sample
from restorebench.datasets.tasks import Task
from restorebench.models import ModelCard, Variant, register
from restorebench.reports.analysis.leaderboard import leaderboard

from ..inference.test_runner import restorer

TASK = Task("derain", "probe")


class ProbeData:
    """Five images of 32x32; the third cannot be read."""

    task = TASK
    names = ("a.png", "b.png", "c.png", "d.png", "e.png")
    description = licence = "made by a test"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if index == 2:
            raise DataError("c.png: truncated")
        clean = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        return Sample(self.names[index], clean, clean[::-1].copy(), TASK)

    def fingerprint(self) -> str:
        return "0" * 64


class Fickle(nn.Module):
    """Correct, then NaN, then a wrong shape, by turns."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            return x * math.nan
        return x[..., :16] if self.calls == 3 else x * 0.5


def test_failures_are_recorded_by_name_and_the_rest_is_scored(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    data, runner = ProbeData(), Runner(restorer(Fickle()), Numerics())
    folder.begin([])
    computed = compute_rows(folder, data, data.names, runner, Scorer(get_protocol("promptir@1")), progress=False)
    rows = folder.rows()
    assert computed.images == 5
    assert [(row.image, row.status) for row in rows] == [
        *(("a.png", "ok"), ("b.png", "failed"), ("c.png", "failed"), ("d.png", "failed"), ("e.png", "ok"))
    ]
    assert "not finite" in rows[1].message
    assert "truncated" in rows[2].message
    assert "shape" in rows[3].message
    assert math.isnan(rows[1].psnr)
    assert rows[0].psnr != rows[0].input_psnr


def test_an_exact_restoration_is_infinite_and_kept_so(tmp_path: Path) -> None:
    class Exact(ProbeData):
        def __getitem__(self, index: int) -> Sample:
            clean = np.full((32, 32, 3), index, np.uint8)
            return Sample(self.names[index], clean, clean, TASK)

    folder = CellFolder(tmp_path)
    folder.begin([])
    runner = Runner(restorer(nn.Identity()), Numerics())
    compute_rows(folder, Exact(), ("a.png",), runner, Scorer(get_protocol("promptir@1")), progress=False)
    assert folder.rows()[0].psnr == folder.rows()[0].input_psnr == math.inf


def test_samples_are_loaded_in_order_and_ahead() -> None:
    order: list[int] = []

    class Slow(ProbeData):
        def __getitem__(self, index: int) -> Sample:
            order.append(index)
            return super().__getitem__(index)

    stream = loaded(Slow(), [4, 0, 1, 3], get_protocol("promptir@1"))
    assert [index for index, _ in stream] == [4, 0, 1, 3] == order


@pytest.fixture
def half_blind(own_registry: None) -> nn.Module:
    """A registered restorer that returns NaN until it is told to work."""

    class HalfBlind(nn.Module):
        works = False

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            dark = bool(x.mean() < 0.5)
            return x * self.scale if dark or HalfBlind.works else x * math.nan

    card = ModelCard(
        name="halfblind", title="Half blind", variants={"only": Variant()}, paper="", url="", year=2026, code_licence=""
    )
    register(card)(HalfBlind)
    return HalfBlind  # type: ignore[return-value]


def test_a_cell_with_failures_is_incomplete_until_they_are_mended(
    half_blind: nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = RunConfig(model="halfblind", weights="none", tasks="dehaze", protocol="promptir@1", device="cpu")
    config.data.source, config.data.size, config.results, config.progress = "embedded", 64, str(tmp_path), False
    plan = make_plan(config)
    (outcome,) = Job(plan, "bench run").run()
    assert outcome.state == "incomplete"
    row = leaderboard(read_records(tmp_path)[0])[0]
    assert (row.status, row.psnr) == ("incomplete", None)
    failed = len(plan.suite.data[0]) - row.images
    assert 0 < failed < len(plan.suite.data[0])
    assert "not finite" in row.note
    half_blind.works = True  # type: ignore[assignment]
    (outcome,) = Job(plan, "bench run").run()
    assert (outcome.state, outcome.computed) == ("complete", failed)
    row = leaderboard(read_records(tmp_path)[0])[0]
    assert (row.status, row.note) == ("complete", "")
    assert row.psnr == pytest.approx(row.input_psnr, abs=1e-6)


def test_never_leaves_a_begun_cell_alone(half_blind: nn.Module, tmp_path: Path) -> None:
    config = RunConfig(model="halfblind", weights="none", tasks="dehaze", protocol="promptir@1", device="cpu")
    config.data.source, config.data.size, config.results, config.progress = "embedded", 64, str(tmp_path), False
    Job(make_plan(config), "bench run").run()
    config.overwrite = "never"
    (outcome,) = Job(make_plan(config), "bench run").run()
    assert (outcome.state, outcome.computed) == ("left alone", 0)
