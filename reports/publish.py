"""The leaderboard's files: what every run leaves up to date. `report` derives the rest."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from pathlib import Path

from ..benchmarks.records import Record, read_records
from .leaderboard import Entry, entries, leaderboard, write_csv
from .tables import markdown

logger = logging.getLogger("restorebench")


@dataclass(frozen=True)
class Published:
    """What `publish` wrote.

    Attributes:
        entries: the table entries behind the files.
        files: every file written, the leaderboard first.
    """

    entries: list[Entry]
    files: list[Path]


def replace_file(path: Path, text: str) -> Path:
    """Write a derived file so that two processes deriving it at once never leave a mixture."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(text, encoding="utf-8")
    return temporary.replace(path)


def publish(results: Path) -> Published:
    """Derive ``leaderboard.csv`` and ``leaderboard.md`` from the records of a results folder."""
    records, problems = read_records(results)
    for problem in problems:
        logger.warning("left out of the leaderboard: %s", problem)
    table = entries(records)
    files = [write_leaderboard_csv(records, results / "leaderboard.csv")]
    files.append(replace_file(results / "leaderboard.md", "# Leaderboard\n\n" + markdown(table)))
    return Published(table, files)


def write_leaderboard_csv(records: list[Record], path: Path) -> Path:
    """Write the CSV through a temporary file of its own."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    write_csv(leaderboard(records), temporary)
    return temporary.replace(path)
