"""The pipeline: rows in order whatever overtakes what, loading and scoring beside the network, batches that agree."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.pipeline import Scorer, batched, compute_rows
from restorebench.benchmarks.inference.numerics import Numerics, resolve_batch
from restorebench.benchmarks.inference.runner import Runner
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.benchmarks.protocols.pairs import Pair
from restorebench.benchmarks.protocols.protocol import LpipsFunction, Protocol, Scores
from restorebench.benchmarks.store.folders import CellFolder
from restorebench.benchmarks.store.records import ImageRow
from restorebench.datasets.errors import DataError
from restorebench.datasets.samples import Sample
from restorebench.datasets.tasks import Task

from ..inference.test_runner import restorer

PROMPTIR = get_protocol("promptir@1")
SIZES = [(32, 48), (32, 48), (32, 48), (48, 32), (32, 48), (32, 48), (48, 32), (48, 32)]


class Shapes:
    """Eight images of two shapes; the sixth cannot be read."""

    task = Task("derain", "probe")
    names = tuple(f"{index}.png" for index in range(len(SIZES)))
    description = licence = "made by a test"

    def __init__(self, damaged: int | None = 5) -> None:
        self.damaged = damaged

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if index == self.damaged:
            raise DataError("truncated")
        clean = np.random.default_rng(index).integers(0, 256, (*SIZES[index], 3), dtype=np.uint8)
        return Sample(self.names[index], clean, clean[::-1].copy(), self.task)

    def fingerprint(self) -> str:
        return "0" * 64


class Noted(nn.Module):
    """A convolution that notes its batches."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.batches: list[int] = []
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        if self.most is not None and len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        y: Tensor = x + 0.1 * self.convolution(x)
        return y


def rows(folder: Path, network: nn.Module, numerics: Numerics, data: Shapes | None = None) -> list[ImageRow]:
    """Rows of a run, as stored."""
    cell = CellFolder(folder)
    cell.path.mkdir(parents=True, exist_ok=True)
    cell.begin([])
    data = data or Shapes()
    compute_rows(cell, data, data.names, Runner(restorer(network), numerics), Scorer(PROMPTIR), progress=False)
    return cell.rows()


def test_batches_hold_neighbours_of_one_shape_and_exceptions_come_alone() -> None:
    pairs = [
        (index, DataError("") if index == 5 else Pair(torch.zeros(3, *size), torch.zeros(3, *size, dtype=torch.uint8)))
        for index, size in enumerate(SIZES)
    ]
    groups = [[index for index, _ in group] for group in batched(pairs, lambda shape: 2)]
    assert groups == [[0, 1], [2], [3], [4], [5], [6, 7]]
    assert [len(group) for group in batched(pairs, lambda shape: 1)] == [1] * 8


def test_batches_score_as_single_images_do(tmp_path: Path) -> None:
    single, several = Noted(), Noted()
    expected = rows(tmp_path / "single", single, Numerics())
    batches = rows(tmp_path / "several", several, Numerics(batch=4))
    assert single.batches == [1] * 7
    assert several.batches == [3, 1, 1, 2]
    assert [row.image for row in batches] == [row.image for row in expected] == list(Shapes.names)
    assert [row.status for row in batches] == ["ok"] * 5 + ["failed"] + ["ok"] * 2
    for one, other in zip(batches, expected, strict=True):
        if one.status == "ok":
            assert one.psnr == pytest.approx(other.psnr, abs=1e-5)
            assert one.ssim == pytest.approx(other.ssim, abs=1e-6)
            assert (one.input_psnr, one.how) == (other.input_psnr, "whole")


def test_a_batch_that_does_not_fit_the_memory_goes_one_by_one(tmp_path: Path) -> None:
    network = Noted(most=1)
    stored = rows(tmp_path, network, Numerics(batch=4), Shapes(damaged=None))
    assert network.batches == [3, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert {(row.status, row.how) for row in stored} == {("ok", "whole")}


def test_a_nan_in_a_batch_is_one_images_failure(tmp_path: Path) -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.clone()
            y[1:2] = torch.nan
            return y

    stored = rows(tmp_path, Blind(), Numerics(batch=3), Shapes(damaged=None))
    assert [row.image for row in stored if row.status == "failed"] == ["1.png", "5.png", "7.png"]


def test_rows_keep_their_order_and_bytes_when_loading_and_scoring_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(tmp_path / "plain" / "cell", Noted(), Numerics())
    delay = threading.Event()
    score, load = Protocol.score, Shapes.__getitem__

    def slow_score(self: Protocol, x: Tensor, y: Tensor, lpips: LpipsFunction | None = None) -> Scores:
        delay.wait(0.01)
        return score(self, x, y, lpips)

    def slow_load(self: Shapes, index: int) -> Sample:
        delay.wait(0.03 if index % 2 == 0 else 0)
        return load(self, index)

    monkeypatch.setattr(Protocol, "score", slow_score)
    monkeypatch.setattr(Shapes, "__getitem__", slow_load)
    rows(tmp_path / "slow" / "cell", Noted(), Numerics())
    assert (tmp_path / "slow" / "cell" / "images.csv").read_bytes() == (
        tmp_path / "plain" / "cell" / "images.csv"
    ).read_bytes()


def test_the_network_runs_on_while_an_image_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    went_on, score = threading.Event(), Protocol.score
    network = Noted()
    network.register_forward_hook(lambda *_: went_on.set() if len(network.batches) == 2 else None)

    def waiting(self: Protocol, x: Tensor, y: Tensor, lpips: LpipsFunction | None = None) -> Scores:
        # The first image's scores wait for the second one's forward pass: one after the other, this never ends.
        assert went_on.wait(30)
        return score(self, x, y, lpips)

    monkeypatch.setattr(Protocol, "score", waiting)
    assert len(rows(tmp_path, network, Numerics())) == 8


def test_a_batch_is_part_of_the_identity_unless_it_is_one() -> None:
    assert "batch" not in Numerics().identity()
    assert Numerics(batch=4).identity()["batch"] == 4
    assert resolve_batch("auto", "cpu") == 1
    assert resolve_batch("auto", "cuda:0") == "auto"


def test_auto_batches_on_a_gpu_by_pixels() -> None:
    numerics = Numerics(device="cuda:0", batch="auto")
    assert numerics.batch_limit((3, 320, 480)) == 8
    assert numerics.batch_limit((3, 720, 1280)) == 2
    assert numerics.batch_limit((3, 4000, 6000)) == 1
    assert Numerics(device="cuda:0", batch=4, tile=128).batch_limit((3, 320, 480)) == 1


@pytest.mark.parametrize("value", [0, -1, "many", True, 1.5])
def test_a_batch_is_a_number_or_auto(value: object) -> None:
    with pytest.raises(UserError, match="batch="):
        resolve_batch(value, "cpu")
