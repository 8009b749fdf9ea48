"""What stands in README, for tests that compare it with what is printed."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).resolve().parents[3] / "README.md"
FIRST, AFTER = "**PSNR (dB) of suite 5d", "\nMotion blur is beyond"
"""How the result table begins, and the text behind its footnotes."""


def table_in_readme() -> str:
    """The result table with its caption and footnotes."""
    text = README.read_text(encoding="utf-8")
    return text[text.index(FIRST) : text.index(AFTER)]


def scores_in_readme() -> dict[str, dict[str, float]]:
    """Its means in dB: method without variant -> task as in the head -> number."""
    lines = [line for line in table_in_readme().splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    tasks = [cell.removesuffix(" PSNR") for cell in head[1:]]
    return {
        row[0].split()[0].lower(): dict(zip(tasks, (float(cell.strip("†*_ ")) for cell in row[1:]), strict=True))
        for row in rows
    }
