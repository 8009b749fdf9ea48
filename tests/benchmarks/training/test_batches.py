"""From a recipe to batches: lists, shares, shards and threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restorebench.benchmarks.commands.train import COMMAND
from restorebench.benchmarks.training.batches import BatchMaker, Request, Shard, build_mixture, make_batch
from restorebench.benchmarks.training.devices import make_fabric
from restorebench.benchmarks.training.schedule import TrainingBudget
from restorebench.benchmarks.training.trainer import Trainer

from .runs import configured, table

pytestmark = pytest.mark.slow


def test_processes_share_a_batch_without_overlap(tmp_path: Path, cache: Path) -> None:
    mixture = build_mixture(configured(tmp_path, cache))
    request = Request(step=3, first=10, count=6, patch=16)
    whole = make_batch(mixture, request, Shard())
    shards = [make_batch(mixture, request, Shard(rank, 3)) for rank in range(3)]
    assert torch.equal(torch.cat([shard.degraded for shard in shards]), whole.degraded)
    assert torch.equal(torch.cat([shard.clean for shard in shards]), whole.clean)
    assert sum((shard.names for shard in shards), ()) == whole.names


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers: int, tmp_path: Path, cache: Path) -> None:
    mixture = build_mixture(configured(tmp_path, cache))

    def request_after(last: Request | None) -> Request | None:
        first = 0 if last is None else last.first + last.count
        return Request(first // 2 + 1, first, 2, 16) if first < 20 else None

    makers = [BatchMaker(mixture, Shard(), number, request_after) for number in (0, workers)]
    for _ in range(10):
        (a, alone), (b, threaded) = makers[0].take(), makers[1].take()  # type: ignore[misc]
        assert a == b
        assert torch.equal(alone.degraded, threaded.degraded)
        assert alone.names == threaded.names
    assert makers[0].take() is makers[1].take() is None
    for maker in makers:
        maker.close()


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)


def test_five_degradations_goes_through_the_lists_as_promptir_does(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "data" / "Train"
    for number in range(2):
        save(root / f"Denoise/{number}.png", number)
        save(root / f"Dehaze/synthetic/part1/{number}_0.8_0.1.png", number)
        save(root / f"Dehaze/original/{number}.png", number)
        save(root / f"Enhance/low/{number}.png", number)
        save(root / f"Enhance/gt/{number}.png", number)
        save(root / f"Deblur/blur/{number}.png", number)
        save(root / f"Deblur/sharp/{number}.png", number)
    save(root / "Derain/rainy/rain-1.png", 5)
    save(root / "Derain/gt/norain-1.png", 5)
    lines = ["model=small", "recipe=five_degradations", f"data.root={tmp_path / 'data'}", "device=cpu"]
    config = COMMAND.compose([*lines, f"run={tmp_path / 'run'}", "progress=false"]).configs[0]
    mixture = build_mixture(config)
    assert {component.label: component.share * len(component.images) for component in mixture.components} == {
        **{f"denoise-{sigma}": 3 * 2 for sigma in (15, 25, 50)},
        "derain": 120 * 1,
        "dehaze": 1 * 2,
        "deblur": 5 * 2,
        "lowlight": 20 * 2,
    }
    trainer = Trainer(config, make_fabric(config))
    assert trainer.schedule.budget == TrainingBudget(150 * mixture.epoch, None)
    short = ["patches=[{size: 16, batch: 4, until: 1.0}]", "budget.images=16", "validation.times=0"]
    done = COMMAND.compose([*lines, f"run={tmp_path / 'run'}", "progress=false", *short]).configs[0]
    run = Trainer(done, make_fabric(done))
    run.run()
    row = table(tmp_path / "run" / "losses.csv")[-1]
    assert float(row["loss"]) == pytest.approx(
        float(row["l1"]) + 0.1 * float(row["fourier"]) + float(row["auxiliary"]), rel=1e-5
    )


def test_own_images_join_the_generated_ones(tmp_path: Path, cache: Path) -> None:
    save(tmp_path / "own" / "a.png", 0)
    config = configured(tmp_path / "run", cache, f"data.natural_images={tmp_path / 'own'}", "mix.natural=0.25")
    mixture = build_mixture(config)
    names = [mixture.draw(k).name.split()[0] for k in range(2000)]
    assert names.count("a.png") / 2000 == pytest.approx(0.25, abs=0.03)


def test_own_images_are_known_by_the_name_that_the_bundled_weights_have_for_them(tmp_path: Path, cache: Path) -> None:
    save(tmp_path / "own" / "a.png", 0)
    mixture = build_mixture(configured(tmp_path / "run", cache, f"data.natural_images={tmp_path / 'own'}"))
    size = (tmp_path / "own" / "a.png").stat().st_size
    assert f": train.folder: 1 files, {size} bytes; " in mixture.identity()  # enters lists_sha256
