"""Every configuration file that is shipped composes into jobs that can be planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.benchmarks.commands.run import COMMAND
from restorebench.benchmarks.evaluation.plan import make_plan

CONF = Path(__file__).resolve().parents[2] / "conf"


def names(group: str) -> list[str]:
    """Choices of a config group."""
    choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert choices
    return choices


@pytest.mark.slow
@pytest.mark.parametrize("name", names("experiment"))
def test_every_experiment_can_be_planned(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    configs = COMMAND.compose([f"+experiment={name}"]).configs
    assert len(configs) > 1
    assert len({make_plan(config).card.name for config in configs}) > 1


@pytest.mark.parametrize("name", [name for name in names("data") if name != "standard"])
def test_every_data_choice_can_be_planned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    (config,) = COMMAND.compose(["model=identity", f"data={name}"]).configs
    assert make_plan(config).suite.data


def test_an_override_of_an_experiment_wins() -> None:
    configs = COMMAND.compose(["+experiment=five_degradations", "data.size=64"]).configs
    assert {config.data.size for config in configs} == {64}


@pytest.mark.slow
def test_protocols_metrics_and_images_compose_in_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    asked = ["-m", "model=identity", "tasks=denoise", "protocol=promptir@1,kbnet-gauss@1", "metrics=[psnr,ssim]"]
    configs = COMMAND.compose([*asked, "save_images=png16", "batch=auto", "device=cpu"]).configs
    plans = [make_plan(config) for config in configs]
    assert [str(plan.protocol) for plan in plans] == ["promptir@1", "kbnet-gauss@1"]
    assert {(plan.save_images, plan.lpips, plan.numerics.batch) for plan in plans} == {("png16", None, 1)}
