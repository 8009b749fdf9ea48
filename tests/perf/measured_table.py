"""A CSV table that is measured a restorer at a time: those measured again replace their rows, the others stay."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from restorebench.atomic import write_text


def kept(path: Path, columns: Sequence[str], restorer: str, measured: Collection[str]) -> list[dict[str, object]]:
    """The rows of a table whose column `restorer` names none of those measured now; none where there is no table."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        there: list[dict[str, object]] = [dict(row) for row in csv.DictReader(file)]
    if there and tuple(there[0]) != tuple(columns):
        raise SystemExit(f"{path} has other columns: move it away")
    return [row for row in there if row[restorer] not in measured]


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Put the table in place, whole or not at all."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())
