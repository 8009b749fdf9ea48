"""The leaderboard's files: what every run leaves up to date. `report` derives the rest."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from pathlib import Path

from ...benchmarks.store.folders import write_atomically
from ...benchmarks.store.records import Record, read_records
from ..analysis.leaderboard import Entry, entries, leaderboard, write_csv
from .numbers import markdown

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


def publish(results: Path) -> Published:
    """Derive ``leaderboard.csv`` and ``leaderboard.md`` from the records of a results folder."""
    records, problems = read_records(results)
    for problem in problems:
        logger.warning("left out of the leaderboard: %s", problem)
    table = entries(records)
    files = [write_leaderboard_csv(records, results / "leaderboard.csv")]
    files.append(write_atomically(results / "leaderboard.md", "# Leaderboard\n\n" + markdown(table)))
    return Published(table, files)


def write_leaderboard_csv(records: list[Record], path: Path) -> Path:
    """Write the CSV through a temporary file of its own."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    write_csv(leaderboard(records), temporary)
    return temporary.replace(path)
