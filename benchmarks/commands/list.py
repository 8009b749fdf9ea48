"""``bench list``: what the suite knows, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tabulate import tabulate

from ...models import list_models
from ...models.weights import bundled_path
from ..listings import blocks, list_protocols, list_tasks, protocol_rows, protocol_table, task_rows

ONLY_IN_JSON = frozenset({"code licence", "paper"})
"""Columns too wide for a terminal."""


def models() -> list[dict[str, Any]]:
    """One row per variant of every restorer."""
    return [
        {
            "model": card.name,
            "variant": name,
            "title": card.title,
            "parameters": variant.parameters,
            "MACs 256 (G)": variant.macs_256_g,
            "bundled weights": name == "tiny" and bundled_path(card).exists(),
            "network": card.network_provenance,
            "year": card.year or None,
            "code licence": card.code_licence,
            "paper": card.paper,
            "url": card.url,
        }
        for card in list_models()
        for name, variant in card.variants.items()
    ]


def tasks() -> list[dict[str, Any]]:
    """One row per suite and single task that ``tasks=`` takes."""
    return task_rows(list_tasks())


def protocols() -> list[dict[str, Any]]:
    """One row per protocol, with its conventions."""
    return protocol_rows(list_protocols())


def as_text(what: str, rows: list[dict[str, Any]], *, full: bool = False) -> str:
    """Rows as a table; protocols in full, which are sentences, as blocks of ``key: value`` lines."""
    if what == "protocols":
        hint = "bench list protocols --full says every convention"
        return blocks(rows) if full else f"{protocol_table(list_protocols())}\n\n{hint}"
    narrow = [{key: value for key, value in row.items() if key not in ONLY_IN_JSON} for row in rows]
    return tabulate(narrow, headers="keys", tablefmt="simple", disable_numparse=True, missingval="-")


LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {"models": models, "tasks": tasks, "protocols": protocols}


def main(arguments: Sequence[str]) -> int:
    """``bench list models|tasks|protocols [--full] [--json]``."""
    parser = argparse.ArgumentParser(prog="bench list", description="Show what the suite knows.")
    parser.add_argument("what", choices=LISTS, help="models, tasks or protocols")
    parser.add_argument("--full", action="store_true", help="protocols with every convention")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    rows = LISTS[options.what]()
    sys.stdout.write(
        (json.dumps(rows, indent=2) if options.json else as_text(options.what, rows, full=options.full)) + "\n"
    )
    return 0
