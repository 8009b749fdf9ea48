"""Mistakes of configuration and data: one line and exit code 2, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.benchmarks.commands import main as cli

from .runs import QUICK

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("overrides", "message"),
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
        (["dtype=fp16"], "unknown dtype=fp16; use float32, bfloat16"),
        (["ema=1"], "ema=1.0"),
        (["start_share=-0.1"], "'start_share' is called 'interpolation' now"),
        (["+start_share=-0.1"], "'start_share' is called 'interpolation' now"),
        (["precision=bfloat16"], "'precision' is called 'dtype' now"),
        (["train.folder=/no/such"], "'train.folder' is called 'data.natural_images' now"),
        (["train.cache=/no/such"], "'train.cache' is called 'data.cache' now"),
        (["interpolation=1"], "interpolation=1.0"),
        (["interpolation=0.1"], "give weights=PATH"),
        (["weights=null"], "does not say where training starts"),
        (["variant=papr"], "unknown variant of small 'papr'"),
        (["model=identity"], "nothing to train"),
        (["validation.tasks=6d"], "6d"),
        (["data.natural_images=/no/such"], "data.natural_images: there is no folder /no/such"),
        (["data.natural_images=/no/such", "data.validation_images=/no/such/apart"], "is trained on"),
        (["data.validation_images=/no/such"], "data.validation_images: there is no folder /no/such"),
        (["seed=1,2"], "add -m to sweep"),
        (["+mix.ranges.dehaze.bta=[0,1]"], "did you mean 'beta'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    overrides: list[str],
    message: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    monkeypatch.setitem(cli.COMMANDS, "train", cli.Command("train", "train"))
    lines = [line for line in QUICK if "width" not in line or overrides != ["model=identity"]]
    assert cli.main(["train", *lines, f"data.cache={cache}", *overrides]) == 2
    captured = capsys.readouterr()
    mistakes = [line for line in captured.err.splitlines() if line.startswith("bench: ")]
    assert len(mistakes) == 1, captured.err
    assert message in mistakes[0]
    assert "Traceback" not in captured.err
    assert not (tmp_path / "runs").exists()
