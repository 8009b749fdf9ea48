"""``bench report`` through the entry point: everything in one go, and each part by itself; no network is loaded."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.store.index import INDEX

from ...reports.stores import write_store
from ..command_line import bench
from ..conftest import Bench

pytestmark = pytest.mark.slow

PAPERS = "RBaIR,AnyIR,DaAIR,KBNet,PromptIR,AdaIR,MoCE-IR"
PUBLISHED = Path(__file__).resolve().parents[3] / "reports" / "published" / "results.csv"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of a store with one suite of five restorers."""
    folder = tmp_path_factory.mktemp("report")
    write_store(folder / "results", suites=("5d",))
    return folder


def test_one_command_writes_everything(store: Path) -> None:
    done = bench("report", cwd=store)
    assert done.returncode == 0, done.stderr
    written = [store / line.strip() for line in done.stdout.partition("written:")[2].splitlines() if line.strip()]
    assert all(path.is_file() and path.stat().st_size > 0 for path in written)
    names = {str(path.relative_to(store / "results")) for path in written}
    stem = "5d-embedded-256-promptir-v1"
    assert {"leaderboard.csv", "leaderboard.md", "methods.txt", "report/index.html"} <= names
    assert {f"tables/{stem}.{suffix}" for suffix in ("tex", "md", "csv", "html")} <= names
    for what in ("psnr-parameters", "psnr-macs", "psnr-latency", "psnr-memory", "bars", "paired"):
        assert {f"figures/{stem}-{what}.pdf", f"figures/{stem}-{what}.png"} <= names
    assert sum(name.startswith("figures/strips/") and name.endswith(".png") for name in names) == 5
    assert "RBaIR (tiny)" in done.stdout
    hidden = [path.name for path in (store / "results").rglob(".*") if path.is_file()]
    assert set(hidden) <= {INDEX}, "temporary files"


def test_published_rows_have_exactly_the_numbers_of_the_papers(store: Path, bench_here: Bench) -> None:
    done = bench_here(
        *("report", "table", "--suite", "5d", "--format", "latex", "--rows", "none", "--published", PAPERS), cwd=store
    )
    assert done.returncode == 0, done.stderr
    text = (store / "results" / "tables" / "5d-published.tex").read_text()
    with PUBLISHED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["setting"] == "5d"]
    averages = {"RBaIR": "31.58", "AnyIR": "30.65", "DaAIR": "30.24", "AdaIR": "30.20", "MoCE-IR": "30.58"}
    for paper, average in averages.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{paper}~\\cite{{") and line.endswith(r"\\"))
        source = line.partition("{")[2].partition("}")[0]
        cells = [cell.strip() for cell in line.removesuffix(r"\\").split("&")][3:]
        assert cells[-2] == average
        printed = {
            (row["dataset"], row["psnr_db"]) for row in rows if row["model"] == paper and row["source"] == source
        }
        for dataset, cell in zip(("SOTS-Outdoor", "Rain100L", "BSD68", "GoPro", "LOL-v1"), cells[::2], strict=False):
            assert any(dataset in known and float(value) == float(cell) for known, value in printed), (paper, dataset)
    bib = (store / "results" / "tables" / "5d-published.bib").read_text()
    cited = {key.strip() for group in re.findall(r"\\cite\{([^}]*)\}", text) for key in group.split(",")}
    assert cited
    assert all(f"{{{key}," in bib for key in cited)


def test_methods_page_and_figures_by_themselves(store: Path, bench_here: Bench) -> None:
    done = bench_here("report", "methods", cwd=store)
    assert "Holm-corrected" in done.stdout
    done = bench_here("report", "page", cwd=store)
    said = [line.strip() for line in done.stdout.splitlines()]
    assert said[:2] == ["written:", "results/report/index.html"]
    assert [re.sub(r"\d+\.\d", "N", line) for line in said[2:]] == ["N MB with its pictures and scripts"]
    done = bench_here("report", "figures", "--image", "dehaze=image-05.png", "--results", "results", cwd=store)
    assert "strips/5d-embedded-256-promptir-v1-dehaze-image-05" in done.stdout, done.stdout + done.stderr


def test_two_restorers_are_compared(store: Path, bench_here: Bench) -> None:
    done = bench_here("report", "compare", "rbair", "kbnet", cwd=store)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("5d on embedded-256, promptir@1") == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "--suite", "4d"], "no cells of suite 4d"),
        (["table", "--suite", "5d", "--columns", "lpips"], "--columns lpips"),
        (["table", "--suite", "5d", "--rows", "rbairr"], "rbair"),
        (["table", "--suite", "5d", "--published", "AdaIRR"], "AdaIR"),
        (["figures", "--image", "dehaze"], "give TASK=NAME"),
        (["figures", "--image", "dehaze=none.png"], "none.png"),
        (["compare", "rbair", "nothing"], "no restorer 'nothing'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments, "--results", str(store / "results")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def two_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of a store with the pictures of two folders, one of them under two protocols."""
    here = tmp_path_factory.mktemp("folders")
    random = np.random.default_rng(0)
    for name in ("harbour", "garden"):
        for side in ("degraded", "clean"):
            (here / name / side).mkdir(parents=True)
            Image.fromarray(random.integers(0, 255, (40, 48, 3), np.uint8)).save(here / name / side / "1.png")
    for name, protocol in (("harbour", "promptir@1"), ("garden", "promptir@1"), ("garden", "basicsr-rgb@1")):
        pairs = (f"degraded={here / name}/degraded", f"clean={here / name}/clean", f"results={here / 'results'}")
        shown = ("previews=none", "progress=false", "device=cpu")
        assert main(["run", "model=identity", "dataset=folder", f"protocol={protocol}", *pairs, *shown]) == 0
    return here


def test_where_the_store_has_a_suite_several_times_the_message_says_what_chooses(
    two_folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(two_folders)
    table = ("report", "table", "--suite", "folder", "--partial", "--format", "markdown")
    assert main([*table]) == 2
    said = capsys.readouterr().err
    options = re.search(r"choose with --data (\S+) or (\S+) and --protocol (\S+) or (\S+)$", said.strip())
    assert options, said
    data, protocols = options.groups()[:2], options.groups()[2:]
    (garden,) = (name for name in data if "garden" in name)
    (harbour,) = (name for name in data if "harbour" in name)
    assert main([*table, "--data", harbour]) == 0
    assert f"{harbour}, protocol promptir@1" in capsys.readouterr().out
    assert main([*table, "--data", garden]) == 2
    said = capsys.readouterr().err
    assert "--data" not in said.partition("choose with")[2]
    for protocol in protocols:
        assert protocol in said.partition("choose with --protocol")[2]
        assert main([*table, "--data", garden, "--protocol", protocol]) == 0
        assert f"{garden}, protocol {protocol}" in capsys.readouterr().out
    assert main([*table, "--data", garden[:-1]]) == 2
    assert f"has no cells of suite folder with --data {garden[:-1]} (did you mean {garden!r}" in capsys.readouterr().err
    assert main([*table, "--data", harbour, "--protocol", "basicsr-rgb@1"]) == 2
    assert "has no cells of suite folder with" in capsys.readouterr().err


@pytest.mark.parametrize(
    "action",
    [[], ["table", "--suite", "5d"], ["table", "--suite", "5d", "--per-image"], ["methods"], ["figures"], ["page"]],
    ids=lambda action: " ".join(action) or "all",
)
def test_a_results_folder_that_is_not_there_is_one_line_of_every_action_on_one(
    action: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere"
    assert main(["report", *action, "--results", str(missing)]) == 2
    assert capsys.readouterr().err.startswith(f"bench: there is no results folder {missing}; bench run makes one")
    assert not missing.exists()
