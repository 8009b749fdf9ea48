"""CONTRIBUTING's worked examples: files, changes and commands of the text are tried in a copy of the tree."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from ..benchmarks.command_line import bench_forked, leaderboard
from ..datasets.roots import pixels, save

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("models", "benchmarks", "datasets", "reports", "conf")
UNCHANGED = ("bundled", "files", "measured", "published")
"""Folders with large files, which no example changes: links in the copy."""
PLACE = re.compile(r'^(?P<language>\w+)(?: title="(?P<file>[^"]+)")?$')


@dataclass(frozen=True)
class Block:
    """A block of code of the text: a whole file (`file` new), a change of one (language ``diff``), or commands."""

    language: str
    file: str
    text: str


def blocks(markdown: str) -> dict[str, list[Block]]:
    """The blocks of each section, by its heading."""
    sections: dict[str, list[Block]] = {}
    heading, inside = "", None
    for line in markdown.splitlines(keepends=True):
        if line.startswith("```"):
            if inside is None:
                inside = (line[3:].strip(), [])
                continue
            place = PLACE.match(inside[0])
            if place is not None:
                block = Block(place["language"], place["file"] or "", "".join(inside[1]))
                sections.setdefault(heading, []).append(block)
            inside = None
        elif inside is not None:
            inside[1].append(line)
        elif line.startswith("## "):
            heading = line[3:].strip()
    return sections


def changed(text: str, change: str) -> str:
    """A text after a change: lines that begin with a space or a minus stand in it, once; those with a plus are new."""
    lines = [line if line.strip() else " \n" for line in change.splitlines(keepends=True)]
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, f"found {text.count(before)} times:\n{before}"
    return text.replace(before, after)


def add(block: Block, tree: Path) -> None:
    """Write a block's file, or change the one that is there."""
    place = tree / block.file
    if block.language == "diff":
        place.write_text(changed(place.read_text(encoding="utf-8"), block.text), encoding="utf-8")
    else:
        assert not place.exists(), f"{block.file} is there already"
        place.write_text(block.text, encoding="utf-8")


def copied(tree: Path) -> Path:
    """A copy of the sources, as the installed package has them."""
    package = tree / "restorebench"
    shutil.copytree(ROOT / "restorebench", package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in FOLDERS:
        target = package / folder
        shutil.copytree(ROOT / folder, target, ignore=shutil.ignore_patterns("__pycache__", *UNCHANGED))
        for name in UNCHANGED:
            if (ROOT / folder / name).is_dir():
                (target / name).symlink_to(ROOT / folder / name, target_is_directory=True)
    return package


EXAMPLES = blocks((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def followed(heading: str, tmp_path: Path) -> str:
    """What the commands of an example say after its files and changes were added to a copy of the tree."""
    package, here = copied(tmp_path / "tree"), tmp_path / "here"
    here.mkdir(exist_ok=True)
    commands = []
    for block in EXAMPLES[heading]:
        if block.language == "sh":
            commands += [shlex.split(line, comments=True) for line in block.text.splitlines()]
        elif block.file:
            add(block, package)
    assert commands
    assert {words[0] for words in commands} == {"bench"}
    done = bench_forked(*(words[1:] for words in commands), cwd=here, sources=[package.parent])
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_restorer(tmp_path: Path) -> None:
    said = followed("Add a restorer", tmp_path)
    assert re.search(r"^dncnn\b", said, re.MULTILINE)
    assert " 0 failed" in said
    rows = leaderboard(tmp_path / "here" / "results")
    assert set(rows[rows.model == "dncnn"].provenance) == {"untrained"}


@pytest.mark.slow
def test_the_protocol(tmp_path: Path) -> None:
    said = followed("Add a protocol", tmp_path)
    assert re.search(r"^promptir-png@1 .*8-bit PNG", said, re.MULTILINE)
    rows = leaderboard(tmp_path / "here" / "results")
    psnr = rows[rows.task == "derain"].groupby("protocol").psnr.first()
    assert 0 < abs(psnr["promptir@1"] - psnr["promptir-png@1"]) < 0.1


@pytest.mark.slow
def test_the_degradation(tmp_path: Path) -> None:
    said = followed("Add a degradation", tmp_path)
    assert re.search(r"^snow\b", said, re.MULTILINE)
    rows = leaderboard(tmp_path / "here" / "results")
    assert rows[rows.task == "snow"].psnr.between(12, 30).all()


@pytest.mark.slow
def test_the_data_set(tmp_path: Path) -> None:
    for index in range(18):
        save(tmp_path / "here" / "data" / "test" / "denoise" / "McM" / f"{index + 1}.png", pixels(index))
    said = followed("Add a data set", tmp_path)
    assert "test/denoise/mcmaster" in said
    rows = leaderboard(tmp_path / "here" / "results").query("task != 'average'")
    assert list(zip(rows.dataset, rows.sigma, rows.images, strict=True)) == [("McMaster", s, 18) for s in (15, 25, 50)]


@pytest.mark.slow
def test_the_column(tmp_path: Path) -> None:
    assert "memory (MiB)" in followed("Add a column to the tables", tmp_path)
    tables = tmp_path / "here" / "results" / "tables"
    table = pd.read_csv(next(tables.glob("*.csv")))
    assert (table[table.metric == "memory_mib"]["mean"] > 0).any()


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "conf" / "launcher").is_dir(), reason="this version has no launchers")
def test_the_launcher(tmp_path: Path) -> None:
    followed("Add a launcher", tmp_path)
    rows = leaderboard(tmp_path / "here" / "results")
    assert {"derain", "dehaze"} <= set(rows.task)


@pytest.mark.slow
def test_results_to_contribute(tmp_path: Path) -> None:
    said = followed("Contribute results", tmp_path)
    assert "1 cells add up, 1 of them complete; 0 interrupted, 0 damaged" in said
    assert re.search(r"derain@embedded-64.*\+0\.00", said) or "derain" in said.rpartition("written:")[2]


@pytest.mark.parametrize(
    ("change", "after"),
    [(" b\n-c\n+d\n", "a\nb\nd\ne\n"), ("+x\n a\n", "x\na\nb\nc\ne\n"), ("-e\n", "a\nb\nc\n")],
)
def test_a_change_replaces_what_stands_there(change: str, after: str) -> None:
    assert changed("a\nb\nc\ne\n", change) == after


@pytest.mark.parametrize("change", [" a\n", "-d\n"])
def test_a_change_of_what_stands_there_twice_or_not_at_all_fails(change: str) -> None:
    with pytest.raises(AssertionError, match="found"):
        changed("a\na\n", change)


def test_every_block_of_the_examples_is_used() -> None:
    examples = [heading for heading in EXAMPLES if heading.startswith("Add a ")]
    assert len(examples) == 6
    unused = [
        (heading, block.language)
        for heading in examples
        for block in EXAMPLES[heading]
        if not block.file and block.language != "sh"  # neither put anywhere nor run
    ]
    assert unused == []
