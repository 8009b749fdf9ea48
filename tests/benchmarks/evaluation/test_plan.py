"""What a plan says of weights, and that what was planned is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.benchmarks.errors import UserError
from restorebench.benchmarks.evaluation.config import RunConfig
from restorebench.benchmarks.evaluation.job import Job
from restorebench.benchmarks.evaluation.plan import make_plan
from restorebench.benchmarks.store.cells import read_records
from restorebench.datasets.errors import DataError
from restorebench.models import create_model, save_weights


def configured(tmp_path: Path, **keys: object) -> RunConfig:
    config = RunConfig(model="anyir", variant="tiny", tasks="dehaze", protocol="promptir@1", device="cpu")
    config.data.source, config.data.size, config.results, config.progress = "embedded", 32, str(tmp_path / "r"), False
    for key, value in keys.items():
        setattr(config, key, value)
    return config


def weights(path: Path, seed: int) -> str:
    save_weights(create_model("anyir", variant="tiny", weights="none", seed=seed).network.state_dict(), path, {})
    return str(path)


def test_a_file_is_called_by_its_name_or_by_its_label(tmp_path: Path) -> None:
    path = weights(tmp_path / "mine.safetensors", 1)
    assert make_plan(configured(tmp_path, weights=path)).weights.label == "mine.safetensors"
    plan = make_plan(configured(tmp_path, weights=path, label="my best"))
    assert (plan.weights.provenance, plan.weights.label) == ("file", "my best")
    Job(plan, "bench run").run()
    (record,) = read_records(tmp_path / "r")[0]
    assert (record.provenance, record.weights.label, record.weights.reconstructed) == ("file", "my best", False)


@pytest.mark.parametrize(
    ("label", "reason"), [("", "takes 1 to 60"), ("a\nb", "takes 1 to 60"), ("x" * 61, "takes 1 to")]
)
def test_a_label_that_no_table_can_print_is_a_mistake(tmp_path: Path, label: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        make_plan(configured(tmp_path, weights=weights(tmp_path / "mine.safetensors", 1), label=label))
    with pytest.raises(UserError, match="names a weights file"):
        make_plan(configured(tmp_path, weights="none", label="mine"))


def test_weights_replaced_since_the_plan_are_one_line_and_no_record(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    plan = make_plan(configured(tmp_path, weights=weights(path, 1)))
    weights(path, 2)
    with pytest.raises(UserError, match=r"mine\.safetensors has changed since the run was planned: start it again"):
        Job(plan, "bench run").run()
    assert read_records(tmp_path / "r") == ([], [])


def test_keys_of_reading_are_checked_when_planning(tmp_path: Path) -> None:
    config = configured(tmp_path, weights="none")
    config.data.max_pixels = -1
    with pytest.raises(DataError, match=r"data\.max_pixels=-1: give the largest number of pixels"):
        make_plan(config)
