"""README's result table is what its two commands print: the whole text here, its numbers in `test_bundled`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from restorebench.benchmarks.commands.main import main

from .readme import README, table_in_readme

SCORE = re.compile(r"†?-?\d+\.\d\d\b")
"""A mean with its mark: with five scenes all of a column tie, whatever the numbers are."""


def form(table: str) -> list[str]:
    """The lines of a table without what another size of the images, machine or release of torch changes.

    Rows come by their average, which the size changes; letters of footnotes come by the rows, so that the text of a
    footnote stands in the place of its letter.
    """
    notes = dict(re.findall(r"^- <sup>(\w)</sup> (.*)$", table, re.MULTILINE))
    table = re.sub(r"(device) [^;]*; (dtype \w+; torch) [^ ]*\.", r"\1 X; \2 X.", table)
    table = re.sub(r"embedded-\d+", "embedded-N", table)
    table = SCORE.sub(lambda found: "†S" if found[0].startswith("†") else "S", table)
    table = re.sub(r"<sup>([\w,]+)</sup>", lambda found: str([notes[key] for key in found[1].split(",")]), table)
    return sorted(line for line in table.splitlines() if line)


@pytest.mark.slow
def test_its_commands_print_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path / "no-weights"))
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    text = " ".join(README.read_text(encoding="utf-8").split())
    run, report = (
        shlex.split(found)[1:] for found in re.findall(r"`(bench [^`]*(?:equal_budget|--costs none))`", text)
    )
    quick = ("tasks=5d", "data.size=32", "metrics=[psnr]", "previews=none", "device=cpu", "progress=false")
    assert main([*run, *quick]) == 0
    capsys.readouterr()
    assert main(report) == 0
    printed = capsys.readouterr().out.partition("\nwritten:")[0]
    assert form(printed) == form(table_in_readme())
