"""Blocks of commands and Python in Markdown pages, and what is needed to run them as a reader would."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from restorebench.benchmarks.commands.main import main

ROOT = Path(__file__).resolve().parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
RUN = ("sh", "python")
"""Languages of the blocks that are run; others are output, trees of folders, or text of a file."""
FENCE = re.compile(r"^```(\w*)(.*)$")
NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
TITLE = re.compile(r'title="([^"]+)"')

BUDGET: dict[str, tuple[str, ...]] = {
    "run": ("device=cpu", "progress=false", "data.size=64", "limit=1"),
    "train": (
        *("device=cpu", "progress=false", "budget.images=16", "validation.tasks=denoise", "validation.size=64"),
        *("validation.times=1", "mix.leaves.count=4", "mix.leaves.size=96", "data.cache=cache"),
        "patches=[{size: 32, batch: 8, until: 1.0}]",
    ),
    "profile": ("device=cpu", "size=64", "warmup=1", "repeats=1", "rounds=1"),
    "restore": ("--device", "cpu", "--no-progress"),
    "score": ("--no-progress",),
}
"""What is added to a command so that it is quick; a key that the page gives itself is the page's."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file. line: of the fence, from 1.
        language: after the fence.
        title: name of the file that the block is the text of; "" where it is none.
        text: what is inside.
        reason: why it is not run; "" where it is.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    reason: str

    @property
    def place(self) -> str:
        """The page and the line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    start, above = None, ""
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if start is None and fence:
            start = number
            language, title = fence.group(1), TITLE.search(fence.group(2))
            reason = NOT_RUN.match(above)
        elif start is not None and line == "```":
            text = "\n".join(lines[start : number - 1])
            yield Block(page, start, language, title.group(1) if title else "", text, reason.group(1) if reason else "")
            start = None
        above = line
    assert start is None, f"{page}: the block of line {start} has no end"


def commands(block: Block) -> list[list[str]]:
    """The words of each line of a block of commands, without comments."""
    found = [shlex.split(line, comments=True) for line in block.text.replace("\\\n", " ").splitlines()]
    return [words for words in found if words]


def with_budget(words: list[str]) -> list[str]:
    """A ``bench`` command, made small."""
    given = {word.partition("=")[0].lstrip("+") for word in words}
    added = []
    for word in BUDGET.get(words[1], ()):
        key = word.partition("=")[0]
        if key not in given or (key == "device" and word.startswith("--")):
            added.append(word)
    return [*words[1:], *added]


def run(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the working folder; `names` are those of the page's earlier Python blocks.

    Raises:
        AssertionError: a command failed.
        Exception: whatever Python code raises.
    """
    if block.language == "python":
        if block.title:
            Path(block.title).write_text(block.text + "\n", encoding="utf-8")
        exec(compile(block.text, block.place, "exec"), names)
        return
    for words in commands(block):
        code = _bench(with_budget(words)) if words[0] == "bench" else subprocess.run(words, check=False).returncode
        assert code == 0, f"{block.place}: {shlex.join(words)}: exit code {code}"


def _bench(arguments: list[str]) -> int | str | None:
    before = sys.argv
    sys.argv = ["bench", *arguments]
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code
    finally:
        sys.argv = before


def readers_files(folder: Path) -> None:
    """What the pages take to be there: photographs, scans, and pairs of degraded and clean pictures."""
    pictures = {name: getattr(data, name)()[100:196, 150:230] for name in ("astronaut", "coffee")}
    random = np.random.default_rng(0)
    for place in ("photos/summer", "scans", "pairs/degraded", "pairs/clean"):
        (folder / place).mkdir(parents=True)
    Image.fromarray(pictures["coffee"]).save(folder / "holiday.jpg")
    for name, picture in pictures.items():
        noisy = np.clip(picture + random.normal(0, 25, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / "photos" / "summer" / f"{name}.png")
        Image.fromarray(picture).save(folder / "pairs" / "clean" / f"{name}.png")
        Image.fromarray(noisy).save(folder / "pairs" / "degraded" / f"{name}.png")
    Image.fromarray(pictures["astronaut"]).save(folder / "scans" / "1987.tif")
