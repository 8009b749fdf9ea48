"""Training: exact resume, many processes as one, stops that say why, and a run folder that tells the whole story."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

from restorebench.benchmarks.commands import main as cli
from restorebench.benchmarks.commands.train import COMMAND
from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.training import run_folder as training_folder
from restorebench.benchmarks.training import trainer as training
from restorebench.benchmarks.training.batches import BatchMaker, Request, Shard, build_mixture, make_batch
from restorebench.benchmarks.training.config import TrainConfig
from restorebench.benchmarks.training.losses import MovingAverage
from restorebench.benchmarks.training.schedule import Budget
from restorebench.benchmarks.training.setup import make_fabric
from restorebench.benchmarks.training.trainer import Trainer, TrainingStoppedError
from restorebench.models import create_model, temporary_registry
from restorebench.models.checkpoint import read_metadata

from .. import small_network

SCRIPT = Path(small_network.__file__)

QUICK = [
    "model=small",
    "+overrides.width=12",  # with noise inside
    "recipe=embedded",
    "budget.images=48",
    "patches=[{size: 16, batch: 2, until: 0.5}, {size: 32, batch: 4, until: 1.0}]",
    "mix.leaves.count=4",
    "mix.leaves.size=64",
    "validation.tasks=denoise",
    "validation.size=32",
    "validation.times=2",
    "log_every=2",
    "checkpoint_minutes=0",  # after every step
    "device=cpu",
    "threads=1",
    "progress=false",
]


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The small network is known here and nowhere else."""
    with temporary_registry():
        small_network.enter()
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated images, shared by all tests."""
    return tmp_path_factory.mktemp("leaves")


@pytest.fixture(autouse=True)
def quick_and_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No figures but the reference run's, which are slow; the number of threads as it was."""
    monkeypatch.setattr(training, "plot", lambda folder: None)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def configured(run: Path, cache: Path, *overrides: str) -> TrainConfig:
    lines = [*QUICK, f"run={run}", f"train.cache={cache}", *overrides]
    return COMMAND.compose(lines).configs[0]


def train(run: Path, cache: Path, *overrides: str) -> Trainer:
    config = configured(run, cache, *overrides)
    trainer = Trainer(config, make_fabric(config))
    trainer.run()
    return trainer


def table(path: Path) -> list[dict[str, str]]:
    """A table without its clock times."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, cache: Path, registered: None) -> Path:
    """The folder of an undisturbed run."""
    run = tmp_path_factory.mktemp("reference") / "run"
    train(run, cache)
    return run


def assert_same_run(run: Path, reference: Path) -> None:
    expected, found = load_file(reference / "weights.safetensors"), load_file(run / "weights.safetensors")
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(value, found[key]), key
    assert table(run / "losses.csv") == table(reference / "losses.csv")
    assert table(run / "validation.csv") == table(reference / "validation.csv")
    assert {path.name for path in reference.iterdir()} - {path.name for path in run.iterdir()} <= {"training.png"}
    assert {path.name for path in run.iterdir()} <= {path.name for path in reference.iterdir()}


# Resume


class Killed(BaseException):
    """What the process is struck by."""


def strike(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, at: int, *, before: bool) -> None:
    """Raise `Killed` before or after call number `at` of a function."""
    original, calls = getattr(owner, name), 0

    def struck(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if before and calls == at:
            raise Killed
        result = original(*args, **kwargs)
        if calls == at:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, struck)


@pytest.mark.parametrize(
    ("owner", "name", "at", "before"),
    [
        (training, "loss_terms", 9, False),
        (MovingAverage, "update", 14, True),
        (training_folder.Table, "append", 9, False),  # a line of losses, none of scores
        (training_folder.torch, "save", 5, False),  # written, not yet in its place
        (training, "save_weights", 1, False),
        (training_folder.RunFolder, "save_checkpoint", 18, True),  # the last one
    ],
)
def test_a_run_struck_anywhere_goes_on_to_the_same_bits(
    owner: Any, name: str, at: int, before: bool, tmp_path: Path, cache: Path, reference: Path
) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patched:
        strike(patched, owner, name, at, before=before)
        with pytest.raises(Killed):
            train(run, cache)
    trainer = train(run, cache)
    assert trainer.done.steps == 18
    assert_same_run(run, reference)


def test_a_killed_process_goes_on_to_the_same_bits(tmp_path: Path, cache: Path, reference: Path) -> None:
    run = tmp_path / "run"
    lines = [*QUICK, f"run={run}", f"train.cache={cache}"]
    process = subprocess.Popen([sys.executable, str(SCRIPT), "train", *lines], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 200
        while not (run / "losses.csv").exists() or len((run / "losses.csv").read_text().splitlines()) < 4:
            assert process.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    train(run, cache)
    assert_same_run(run, reference)


def test_a_complete_run_is_left_alone(reference: Path, cache: Path) -> None:
    before = {path.name: path.read_bytes() for path in reference.iterdir() if path.name != "lock"}
    trainer = train(reference, cache)
    assert trainer.done.images == 48
    assert {path.name: path.read_bytes() for path in reference.iterdir() if path.name != "lock"} == before


def test_a_run_is_not_continued_with_other_settings_or_images(tmp_path: Path, reference: Path, cache: Path) -> None:
    with pytest.raises(UserError, match="holds a run with another optimizer: give run=DIR"):
        train(reference, cache, "optimizer.lr=1e-3")
    folder = tmp_path / "own"
    folder.mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "a.png")
    with pytest.raises(UserError, match="other images"):
        train(reference, cache, f"train.folder={folder}")


def test_a_run_in_use_is_not_entered(tmp_path: Path, cache: Path) -> None:
    config = configured(tmp_path / "run", cache)
    trainer = Trainer(config, make_fabric(config))
    with trainer.folder.claimed(config), pytest.raises(UserError, match="another process is training there"):
        train(tmp_path / "run", cache)


# Many processes


def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path, cache: Path) -> None:
    same = ["overrides.width=8", "patches=[{size: 16, batch: 4, until: 1.0}]", "validation.tasks=derain"]
    one = train(tmp_path / "one", cache, *same)
    lines = [*QUICK, *same, f"run={tmp_path / 'two'}", f"train.cache={cache}", "devices=2"]
    done = subprocess.run([sys.executable, str(SCRIPT), "train", *lines], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Starting with 2 processes" in done.stderr
    alone, together = table(tmp_path / "one" / "losses.csv"), table(tmp_path / "two" / "losses.csv")
    assert len(alone) == len(together) == 6
    for a, b in zip(alone, together, strict=True):
        assert a.keys() == b.keys()
        for column in a:
            assert (a[column] == "") == (b[column] == ""), column
            if a[column]:
                assert float(a[column]) == pytest.approx(float(b[column]), abs=1e-4), column
    for a, b in zip(
        table(tmp_path / "one" / "validation.csv"), table(tmp_path / "two" / "validation.csv"), strict=True
    ):
        assert float(a["psnr"]) == pytest.approx(float(b["psnr"]), abs=1e-3)
    ours, theirs = one.folder.checkpoint(), torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    assert ours is not None
    assert ours["done"]["steps"] == theirs["done"]["steps"] == 12


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

    def plan(last: Request | None) -> Request | None:
        first = 0 if last is None else last.first + last.count
        return Request(first // 2 + 1, first, 2, 16) if first < 20 else None

    makers = [BatchMaker(mixture, Shard(), number, plan) for number in (0, workers)]
    for _ in range(10):
        (a, alone), (b, threaded) = makers[0].take(), makers[1].take()  # type: ignore[misc]
        assert a == b
        assert torch.equal(alone.degraded, threaded.degraded)
        assert alone.names == threaded.names
    assert makers[0].take() is makers[1].take() is None
    for maker in makers:
        maker.close()


# What stops a run


def test_a_loss_that_is_not_finite_stops_with_step_and_names(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "train", cli.Command("train", "train"))
    run = tmp_path / "run"
    lines = [*QUICK, f"run={run}", f"train.cache={cache}", "+overrides.broken_after=5"]
    assert cli.main(["train", *lines]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert len(said) == 1
    assert "the loss is nan at step 6" in said[0]
    mixture = build_mixture(configured(run, cache))
    for k in (10, 11):
        assert mixture.draw(k).name in said[0]
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert state["done"]["steps"] == 5
    assert all(bool(torch.isfinite(value).all()) for value in state["network"].values())


def test_a_gradient_that_is_not_finite_stops_too(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.nn.utils, "get_total_norm", lambda gradients: torch.tensor(float("inf")))
    with pytest.raises(TrainingStoppedError, match="gradient's norm is inf at step 1"):
        train(tmp_path / "run", cache)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["recipe=embeded"], "recipe=embeded: no such choice (did you mean 'embedded'?)"),
        (["optimiser.lr=1"], "there is no key 'optimiser.lr' (did you mean 'optimizer.lr'"),
        (["optimizer.lr=0"], "optimizer.lr=0.0: give a number above 0"),
        (["recipe=five_degradations"], "Train/Dehaze/{synthetic,original} (RESIDE OTS)"),
        (["recipe=three_degradations", "data.root=/no/such"], "/no/such has no folder Train"),
        (["+mix.parts.denois-25=1"], "denoise-SIGMA"),
        (["budget.images=null"], "give budget.images=N, budget.minutes=N"),
        (["patches=[{size: 18, batch: 2, until: 1.0}]"], "takes multiples of 4"),
        (["devices=3"], "cannot be split over 3 processes"),
        (["patches=[{size: 16, batch: 2, until: 0.5}]"], "must rise to 1"),
        (["precision=fp16"], "use float32, bfloat16"),
        (["ema=1"], "ema=1.0"),
        (["start_share=1"], "start_share=1.0"),
        (["start_share=0.1"], "give weights=PATH"),
        (["variant=papr"], "unknown variant of small 'papr'"),
        (["model=identity"], "nothing to train"),
        (["validation.tasks=6d"], "6d"),
        (["train.folder=/no/such"], "no folder /no/such"),
        (["seed=1,2"], "add -m to sweep"),
        (["+mix.ranges.dehaze.bta=[0,1]"], "did you mean beta"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    overrides: list[str],
    said: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    monkeypatch.setitem(cli.COMMANDS, "train", cli.Command("train", "train"))
    lines = [line for line in QUICK if "width" not in line or overrides != ["model=identity"]]
    assert cli.main(["train", *lines, f"train.cache={cache}", *overrides]) == 2
    captured = capsys.readouterr()
    mistakes = [line for line in captured.err.splitlines() if line.startswith("bench: ")]
    assert len(mistakes) == 1, captured.err
    assert said in mistakes[0]
    assert "Traceback" not in captured.err
    assert not (tmp_path / "runs").exists()


# The run's folder


def test_the_folder_tells_the_whole_story(reference: Path, cache: Path) -> None:
    losses = table(reference / "losses.csv")
    assert [int(row["step"]) for row in losses] == list(range(2, 19, 2))
    assert [int(row["patch"]) for row in losses] == [16] * 6 + [32] * 3
    assert int(losses[-1]["images"]) == 48
    parts = OmegaConf.load(reference / "config.yaml").mix.parts
    assert all(f"l1_{label}" in losses[0] for label in parts)
    for row in losses:
        assert float(row["loss"]) == pytest.approx(float(row["l1"]) + float(row["auxiliary"]), rel=1e-6)
        assert float(row["auxiliary"]) > 0
    scores = table(reference / "validation.csv")
    assert [row["task"] for row in scores] == ["denoise-15", "denoise-25", "denoise-50", "clean"] * 2
    assert float(scores[-1]["input_psnr"]) == 100
    assert float(scores[0]["input_psnr"]) == pytest.approx(24.9, abs=0.4)  # sigma 15, clipped
    with Image.open(reference / "training.png") as figure:
        assert figure.size[0] > 500
    facts = json.loads((reference / "training.json").read_text())
    assert facts["images_per_second"] > 0
    assert facts["config"]["optimizer"]["lr"] == pytest.approx(8e-4)


def test_the_weights_carry_the_facts_of_their_training(reference: Path, tmp_path: Path, cache: Path) -> None:
    path = reference / "weights.safetensors"
    facts = read_metadata(path)
    assert facts["restorebench.provenance"] == "retrained"
    assert (facts["restorebench.model"], facts["restorebench.variant"]) == ("small", "tiny")
    assert json.loads(facts["restorebench.overrides"]) == {"width": 12}
    assert (facts["restorebench.steps"], facts["restorebench.images"]) == ("18", "48")
    assert facts["restorebench.finished"] == "true"
    assert facts["restorebench.recipe"] == "embedded"
    assert "dead leaves v2" in facts["restorebench.data"]
    assert facts["restorebench.lists_sha256"] == build_mixture(configured(tmp_path, cache)).fingerprint()
    assert {"restorebench.git_revision", "restorebench.seed", "restorebench.ema"} <= facts.keys()
    restorer = create_model("small", weights=path, width=12)
    assert restorer.weights.provenance == "retrained"
    told = restorer.weights.training
    assert told is not None
    assert (told["steps"], told["images"], told["recipe"], told["finished"]) == (18, 48, "embedded", True)
    assert "torch" in told["machine"]
    rows = table(reference / "validation.csv")
    last = [float(row["psnr"]) - float(row["input_psnr"]) for row in rows[-4:] if row["task"] != "clean"]
    assert [point["images"] for point in told["history"]] == [24, 48]
    assert told["history"][-1]["gain"] == pytest.approx(sum(last) / 3, abs=1e-6)
    assert 0 < told["history"][0]["seconds"] < told["history"][1]["seconds"] <= told["seconds"] + 0.1
    image = torch.rand(1, 3, 9, 11)
    assert torch.isfinite(restorer(image)).all()


def test_the_weights_are_the_moving_average_and_hooks_were_called(reference: Path, tmp_path: Path, cache: Path) -> None:
    state = torch.load(reference / "checkpoint.pt", weights_only=True)
    weights = load_file(reference / "weights.safetensors")
    assert all(torch.equal(weights[key], value) for key, value in state["average"].items())
    assert not torch.equal(weights["first.weight"], state["network"]["first.weight"])
    assert bool((state["network"]["follower"] != 0).any())  # only after_step changes it
    plain = train(tmp_path / "run", cache, "ema=0", "budget.images=8", "validation.tasks=null")
    trained = plain.restorer.network.state_dict()
    assert all(torch.equal(v, trained[k]) for k, v in load_file(plain.folder.weights).items())


@pytest.mark.parametrize("share", [0.25, -0.1])
def test_a_part_of_the_starting_weights_stays_in_the_result(
    share: float, reference: Path, tmp_path: Path, cache: Path
) -> None:
    start = f"weights={reference / 'weights.safetensors'}"
    plain, kept = (
        train(tmp_path / name, cache, start, f"start_share={part}", "budget.images=8", "validation.times=1")
        for name, part in (("plain", 0), ("kept", share))
    )
    before, after = load_file(reference / "weights.safetensors"), load_file(plain.folder.weights)
    for key, value in load_file(kept.folder.weights).items():
        torch.testing.assert_close(value, share * before[key] + (1 - share) * after[key], rtol=1e-5, atol=1e-7)
    states = [torch.load(run.folder.path / "checkpoint.pt", weights_only=True)["average"] for run in (plain, kept)]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())  # training itself is the same
    scores = [table(run.folder.path / "validation.csv") for run in (plain, kept)]
    assert scores[0] != scores[1]  # of the weights that are written


def test_training_lowers_the_loss(tmp_path: Path, cache: Path) -> None:
    settings = ["budget.images=1000", "patches=[{size: 16, batch: 4, until: 1.0}]", "validation.times=0"]
    mix = ["mix.parts={denoise-50: 1.0}", "optimizer.lr=1e-2", "log_every=25", "checkpoint_minutes=9"]
    train(tmp_path / "run", cache, *settings, *mix)
    losses = [float(row["l1_denoise-50"]) for row in table(tmp_path / "run" / "losses.csv")]
    assert losses[-1] < 0.8 * losses[0]


def test_bfloat16_and_channels_last_train(tmp_path: Path, cache: Path, reference: Path) -> None:
    train(tmp_path / "run", cache, "precision=bfloat16", "channels_last=true", "validation.times=0")
    ours, theirs = table(tmp_path / "run" / "losses.csv"), table(reference / "losses.csv")
    assert float(ours[-1]["loss"]) == pytest.approx(float(theirs[-1]["loss"]), rel=0.1)
    assert ours[-1]["loss"] != theirs[-1]["loss"]
    assert all(value.dtype == torch.float32 for value in load_file(tmp_path / "run" / "weights.safetensors").values())


def test_a_budget_in_minutes_ends_on_time_and_anneals(tmp_path: Path, cache: Path) -> None:
    settings = ["budget.images=null", "budget.minutes=0.03", "validation.times=0", "log_every=1"]
    trainer = train(tmp_path / "run", cache, *settings, "checkpoint_minutes=9")
    assert 1.8 <= trainer.done.seconds < 4
    rates = [float(row["lr"]) for row in table(tmp_path / "run" / "losses.csv")]
    assert rates[-1] < 0.1 * max(rates)


# Lists


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
    assert {part.label: part.share * len(part.images) for part in mixture.parts} == {
        **{f"denoise-{sigma}": 3 * 2 for sigma in (15, 25, 50)},
        "derain": 120 * 1,
        "dehaze": 1 * 2,
        "deblur": 5 * 2,
        "lowlight": 20 * 2,
    }
    trainer = Trainer(config, make_fabric(config))
    assert trainer.plan.budget == Budget(150 * mixture.epoch, None)
    short = ["patches=[{size: 16, batch: 4, until: 1.0}]", "budget.images=16", "validation.times=0"]
    done = COMMAND.compose([*lines, f"run={tmp_path / 'run'}", "progress=false", *short]).configs[0]
    run = Trainer(done, make_fabric(done))
    run.run()
    row = table(tmp_path / "run" / "losses.csv")[-1]
    assert float(row["loss"]) == pytest.approx(
        float(row["l1"]) + 0.1 * float(row["fourier"]) + float(row["auxiliary"]), rel=1e-5
    )


@pytest.mark.parametrize(
    "recipe",
    ["embedded", "photographs", "restraint", "denoise", "three_degradations", "five_degradations"],
)
def test_every_recipe_composes_for_every_restorer_it_is_meant_for(recipe: str) -> None:
    for model in ("anyir", "daair"):
        config = COMMAND.compose([f"model={model}", f"recipe={recipe}"]).configs[0]
        assert config.mix.name == recipe
        assert config.mix.parts
        assert config.patches[-1].until == 1


def test_own_images_join_the_generated_ones(tmp_path: Path, cache: Path) -> None:
    save(tmp_path / "own" / "a.png", 0)
    config = configured(tmp_path / "run", cache, f"train.folder={tmp_path / 'own'}", "mix.natural=0.25")
    mixture = build_mixture(config)
    names = [mixture.draw(k).name.split()[0] for k in range(2000)]
    assert names.count("a.png") / 2000 == pytest.approx(0.25, abs=0.03)
