"""The methods paragraph names what a reviewer asks for, from the records alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restorebench.benchmarks.commands.report import main
from restorebench.benchmarks.protocols.catalogue import get_protocol
from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.methods import methods_text
from restorebench.reports.prose import methods_bibtex, methods_latex, methods_markdown

from .stores import change_cell, write_store


def test_protocol_data_weights_machine_and_statistics_are_named(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), previews=False)
    training = {"images": 32000, "recipe": "embedded"}
    environment = {
        "device_name": "Test CPU",
        "python": "3.11.7",
        "git_revision": "0123456789abcdef+changes",
        "versions": {"torch": "2.15.0", "numpy": "2.4.6", "restorebench": "0.1"},
    }
    for path in sorted(tmp_path.rglob("record.json")):
        change_cell(
            path.parent,
            identity={"protocol": get_protocol("promptir@1").describe()},
            environment=environment,
            weights={"training": training if path.parent.parent.name == "rbair" else None},
        )
    cells, _ = read_cells(tmp_path)
    text = " ".join(methods_text(groups(cells)).split())
    record = next(cell.record for cell in cells if cell.record.model == "rbair" and cell.record.task == "dehaze")
    for needed in (
        "Protocol promptir@1.",
        "multiples of 16",
        "uniform 7x7 window",
        f"dehaze@embedded-256: 12 images ({record.identity.data[:12]})",
        f"weights {(record.weights.sha256 or '')[:12]}, bundled",
        "trained on 32,000 patches (crops, not images)",
        "one stage: embedded: 32,000 patches",
        "float32 with TF32 off on Test CPU (Python 3.11.7, torch 2.15.0, numpy 2.4.6, restorebench 0.1",
        "git 0123456789ab+changes)",
        "95% bootstrap intervals over images (10,000 resamples",
        "Holm-corrected",
        "bench run model=rbair tasks=5d",
    ):
        assert needed in text
    assert "Input" not in text.partition("Restorers:")[2].partition(".")[0]


def test_the_sentences_cite_what_their_bibliography_has(tmp_path: Path) -> None:
    write_store(tmp_path, suites=("5d",), gains={"identity": 0.0, "rbair": 6.0, "daair": 5.0}, images=2, previews=False)
    for path in sorted(tmp_path.rglob("record.json")):
        changes = {"title": r"K_1 & {x} [[a]] \cite{y}"} if path.parent.parent.name == "daair" else {}
        change_cell(path.parent, identity={"protocol": get_protocol("promptir@1").describe()}, **changes)
    several = groups(read_cells(tmp_path)[0])
    text, bib = methods_latex(several), methods_bibtex(several)
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", text) for key in keys.split(",")}
    assert cited == set(re.findall(r"^@\w+\{([^,]+),$", bib, re.MULTILINE))
    assert {"park2025rbair", "wang2004ssim", "efron1987bca", "holm1979", "vanderwalt2014skimage"} <= cited
    assert r"K\_1 \& \{x\} [[a]] \textbackslash{}cite\{y\}" in text
    assert r"RBaIR~\cite{park2025rbair} (tiny, 0.60 M parameters" in text
    assert r"Intervals are 95\% bootstrap" in text
    assert all(one[0].isupper() and one.endswith(".") for one in text.strip().split("\n\n"))
    plain = methods_markdown(several)
    assert "RBaIR [park2025rbair] (tiny" in plain
    assert "- [holm1979] Holm, Sture. A Simple Sequentially Rejective Multiple Test Procedure." in plain


def test_the_command_writes_the_sentences_and_their_bibliography(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_store(tmp_path / "store", suites=("3d",), gains={"rbair": 6.0}, images=2, previews=False)
    assert main(["methods", "--results", str(tmp_path / "store"), "--format", "latex", "--output", str(tmp_path)]) == 0
    assert r"\cite{park2025rbair}" in (tmp_path / "methods.tex").read_text()
    assert "@article{park2025rbair," in (tmp_path / "methods.bib").read_text()
    assert (tmp_path / "methods.tex").read_text().strip() in capsys.readouterr().out
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["methods", "--results", str(tmp_path / "store"), "--format", "markdown"]) == 0
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_is_told_of_nothing() -> None:
    with pytest.raises(ValueError, match="no cells"):
        methods_text([])
