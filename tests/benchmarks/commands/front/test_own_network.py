"""A network of the user's own through the command line: run, sweep, restore, profile, check, train, and mistakes."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from restorebench.benchmarks.commands.front.jobs import Jobs
from restorebench.benchmarks.commands.profile import COMMAND, planned
from restorebench.benchmarks.profiling.config import ProfileConfig
from restorebench.benchmarks.profiling.job import ProfileJob
from restorebench.benchmarks.store.cells import read_records

from ...command_line import leaderboard
from ...conftest import Bench

pytestmark = pytest.mark.slow

NET = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, image):
        return image + 0.01 * self.body(image)

class Failing(nn.Module):
    def forward(self, image):
        raise KeyError("boom")

class Heavy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        if self.layer.weight.device.type == "cpu":  # planned on the meta device
            raise MemoryError("no room")

    def forward(self, image):
        return image
"""
NAME = "my net, v=1.py"
TASK = (
    "tasks=derain",
    "data=embedded",
    "data.size=32",
    "weights=none",
    "device=cpu",
    "progress=false",
    "metrics=[psnr]",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_text(NET)
    return tmp_path


def test_a_row_says_yours_and_its_identity_holds_the_file_and_the_multiple(folder: Path, bench_here: Bench) -> None:
    model = f"model={NAME}:MyNet"
    assert bench_here("run", model, *TASK, cwd=folder).returncode == 0
    done = bench_here("run", model, *TASK, cwd=folder)
    assert "MyNet (yours, weights=none)" in done.stdout
    assert "0 of 8 images computed now" in done.stderr
    assert bench_here("run", model, "model.size_multiple=16", *TASK, cwd=folder).returncode == 0
    (folder / NAME).write_text(NET.replace("0.01", "0.02"))
    assert bench_here("run", model, "+overrides.width=5", *TASK, cwd=folder).returncode == 0
    records, problems = read_records(folder / "results")
    assert not problems
    sources = [record.identity.source or {} for record in records]
    assert len({source["sha256"] for source in sources}) == 2
    assert sorted(source.get("size_multiple", 0) for source in sources) == [0, 0, 16]
    frame = leaderboard(folder / "results")
    assert set(frame["provenance"]) == {"yours"}
    assert len(set(frame["cell"])) == 3
    assert bench_here("report", "--output", "report", cwd=folder).returncode == 0
    for name in ("leaderboard.csv", "leaderboard.md", "methods.txt", "report/index.html"):
        assert "yours" in (folder / "report" / name).read_text()
    (table,) = (folder / "report" / "tables").glob("*.md")
    assert "a network of the user's own (yours), given no weights file: random unless" in table.read_text()


def test_every_failed_job_of_a_sweep_is_a_row_and_a_line_beside_what_succeeded(folder: Path, bench_here: Bench) -> None:
    models = ",".join([f"'{NAME}:{name}'" for name in ("MyNet", "Failing", "Heavy")] + ["identity"])
    done = bench_here("run", "-m", f"model={models}", *TASK, cwd=folder)
    assert done.returncode == 2
    rows = [line for line in done.stdout.splitlines() if "derain" in line and "(yours" in line]
    images = {line.split()[0]: line.partition(")")[2].split()[1] for line in rows if not line.startswith("-")}
    assert images == {"MyNet": "8", "Failing": "failed", "Heavy": "failed"}
    listed = done.stdout.partition("2 of 4 jobs failed:\n")[2].splitlines()
    assert len(listed) == 2
    assert "Failing" in listed[0]
    assert "8 images failed, first astronaut-face: KeyError: 'boom'" in listed[0]
    assert "cannot be built: MemoryError: no room" in listed[1]
    frame = leaderboard(folder / "results").set_index("model")
    assert frame["status"].to_dict() == {"failing": "failed", "identity": "complete", "mynet": "complete"}


def test_mistakes_are_one_line_with_exit_code_2(folder: Path, bench_here: Bench) -> None:
    for model, said in (
        (f"{NAME}:MyNot", "did you mean 'MyNet'?"),
        (NAME, "it has MyNet, Failing, Heavy"),
        ("mynet.py:MyNet", "there is no file mynet.py"),
        ("rbair", "size_multiple=8 is for a network of your own"),
    ):
        extra = ("model.size_multiple=8",) if model == "rbair" else ()
        for command, task in (("run", TASK), ("train", ()), ("profile", ())):
            word = f"model='{model}'" if "," in model else f"model={model}"
            done = bench_here(command, word, *extra, *task, cwd=folder)
            assert (done.returncode, said in done.stderr) == (2, True), done.stderr
            assert len(done.stderr.strip().splitlines()) == 1


def test_restore_profile_check_and_train_take_it(folder: Path, bench_here: Bench) -> None:
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(folder / "photo.png")
    reference = f"{NAME}:MyNet"
    assert bench_here("restore", "photo.png", "--model", reference, "--weights", "none", cwd=folder).returncode == 0
    assert Image.open(folder / "restored" / "photo.png").size == (30, 20)
    done = bench_here("check", f"model={reference}", "size_multiple=8", cwd=folder)
    assert (done.returncode, " 0 failed" in done.stdout) == (0, True)
    trained = bench_here(
        *("train", f"model={reference}", "budget.images=4", "patches=[{size:16,batch:2,until:1}]", "data.cache=cache"),
        *("mix.leaves.count=2", "mix.leaves.size=64", "validation.tasks=null", "progress=false", "device=cpu"),
        cwd=folder,
    )
    assert trained.returncode == 0, trained.stderr
    (weights,) = (folder / "runs").glob("mynet-yours-*/weights.safetensors")
    done = bench_here("run", f"model={reference}", f"weights={weights}", *(TASK[:3] + TASK[4:]), cwd=folder)
    assert done.returncode == 0, done.stderr
    ((record,), _) = read_records(folder / "results")
    assert (record.provenance, record.weights.kind, record.weights.label) == ("yours", "file", "weights.safetensors")


def test_profile_measures_it_in_a_process_of_its_own_too(folder: Path, bench_here: Bench) -> None:
    done = bench_here(
        *("profile", f"model={NAME}:MyNet", "size=16", "repeats=1", "warmup=0", "device=cpu", "results=r"), cwd=folder
    )
    assert done.returncode == 0, done.stdout
    assert "mynet,yours" in (folder / "r" / "profile.csv").read_text()


def name_of(job: ProfileJob) -> str:
    return json.dumps([job.card.title, job.card.size.multiple])


def in_another_process(pickled: bytes, model: str) -> str:
    copy: Jobs[ProfileConfig, ProfileJob, str] = pickle.loads(pickled)
    report = copy(OmegaConf.structured(ProfileConfig(model=model, size=16, size_multiple=8)))
    assert report is not None
    return f"{report.kind} {report.text}"


def test_a_launchers_process_loads_the_file_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    reference = f"{NAME}:MyNet"
    words = ["-m", f"model='{reference}',identity", "size=16"]
    jobs = Jobs(COMMAND, words, plan=planned, run=name_of, failure=str)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        said = pool.submit(in_another_process, pickle.dumps(jobs), reference).result()
    assert said == 'incomplete ["MyNet", 8]'
