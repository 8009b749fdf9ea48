"""Every command and every Python block of README and docs runs, or says why it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .blocks import PAGES, ROOT, RUN, Block, blocks, commands, readers_files, run, with_budget

REASONS = ("needs ", "downloads ", "installs ", "draws ", "measures ", "runs ")
"""How a reason for not running a block begins: what this test does not have, or the time that it would take."""
WITH_BLOCKS = [page for page in PAGES if any(each.language in RUN for each in blocks(page))]


def skipped() -> list[Block]:
    """Blocks that are not run."""
    return [each for page in PAGES for each in blocks(page) if each.reason]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_registry: None
) -> None:
    readers_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RESTOREBENCH_WEIGHTS", str(tmp_path / "no-weights"))
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    for name in {Path(each.title).stem for each in blocks(page)}:
        monkeypatch.delitem(sys.modules, name, raising=False)
    names = {"__name__": "page"}
    for block in blocks(page):
        if block.language in RUN and not block.reason:
            run(block, names)
    if page.name == "README.md":
        printed = capsys.readouterr().out
        assert "average" in printed
        assert "mean" in printed
        assert (tmp_path / "results").is_dir()


def test_what_is_not_run_says_why() -> None:
    for block in skipped():
        assert block.language in RUN, block.place
        assert block.reason.startswith(REASONS), f"{block.place}: {block.reason}"


def test_most_blocks_are_run() -> None:
    asked = [each for page in PAGES for each in blocks(page) if each.language in RUN]
    assert len(asked) > 40
    assert len(skipped()) < len(asked) / 3, [each.place for each in skipped()]


def test_every_block_names_its_language() -> None:
    assert [each.place for page in PAGES for each in blocks(page) if not each.language] == []


def test_a_failing_command_and_failing_code_fail_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = Block(ROOT / "README.md", 1, "sh", "", "bench list nonsense", "")
    with pytest.raises(AssertionError, match=r"README.md:1: bench list nonsense: exit code 2"):
        run(wrong, {})
    with pytest.raises(ZeroDivisionError):
        run(Block(ROOT / "README.md", 1, "python", "", "1 / 0", ""), {})


def test_a_small_budget_leaves_the_keys_of_the_page() -> None:
    block = Block(ROOT / "README.md", 1, "sh", "", "bench run model=rbair limit=7  # seven\n\n# a comment", "")
    (words,) = commands(block)
    assert with_budget(words)[:3] == ["run", "model=rbair", "limit=7"]
    assert [word for word in with_budget(words) if word.startswith("limit=")] == ["limit=7"]
