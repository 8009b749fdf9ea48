"""``bench report`` through the entry point: everything in one go, and each part by itself; no network is loaded."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

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
