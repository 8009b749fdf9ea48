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
from ..listings import (
    blocks,
    dataset_rows,
    list_protocols,
    list_tasks,
    metric_rows,
    protocol_rows,
    protocol_table,
    task_rows,
)
from .front.help import choices, sweep_of
from .front.parsing import Parser

MACS, MOST_MACS = "MACs 256 without FFT (G)", "most MACs 256 without FFT (G)"
"""The second where a router chooses what is run: the first is then the cheapest choice."""
WRAPPED, WIDEST = ("what it does", "what it says"), 80
"""Columns of sentences, and their width in characters."""
ONLY_IN_JSON = frozenset({"code licence", "paper", MOST_MACS, "source", "licence", "goes in", "note"})
"""Columns too wide for a terminal, or shown within another."""
MACS_NOTE = (
    "MACs: multiply-adds of convolutions, matrix products and attention for one 1x3x256x256 image, without Fourier "
    "transforms; a range where a router chooses by the image what is run."
)


def models() -> list[dict[str, Any]]:
    """One row per variant of every restorer."""
    return [
        {
            "model": card.name,
            "variant": name,
            "title": card.title,
            "parameters": variant.parameters,
            MACS: variant.macs_256_g,
            MOST_MACS: variant.macs_256_most_g,
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


def datasets() -> list[dict[str, Any]]:
    """One row per data set that tasks name: the embedded ones and the standard test sets."""
    return dataset_rows()


def metrics() -> list[dict[str, Any]]:
    """One row per score, with what it means and which protocols have it."""
    return metric_rows(list_protocols())


def experiments() -> list[dict[str, Any]]:
    """One row per prepared sweep."""
    return [
        {"experiment": name, "what it does": said, "sweeps over": sweep_of(name)}
        for name, said in choices("experiment")
    ]


def recipes() -> list[dict[str, Any]]:
    """One row per recipe of training."""
    return [{"recipe": name, "what it does": said} for name, said in choices("recipe")]


HINTS = {
    "models": MACS_NOTE,
    "protocols": "bench list protocols --full says every convention",
    "datasets": "bench data where NAME says where a set comes from, its terms and where it goes",
    "experiments": "bench run +experiment=NAME runs one",
    "recipes": "bench train recipe=NAME trains by one; bench train recipe=NAME --help shows its keys",
}
"""What stands below a table."""


def as_text(what: str, rows: list[dict[str, Any]], *, full: bool = False) -> str:
    """Rows as a table; protocols in full, which are sentences, as blocks of ``key: value`` lines."""
    hint = f"\n\n{HINTS[what]}" if what in HINTS else ""
    if what == "protocols":
        return blocks(rows) if full else f"{protocol_table(list_protocols())}{hint}"
    narrow = [{key: _shown(row, key) for key in row if key not in ONLY_IN_JSON} for row in rows]
    widths = [WIDEST if key in WRAPPED else None for key in narrow[0]] if narrow else None
    table = tabulate(
        narrow, headers="keys", tablefmt="simple", disable_numparse=True, missingval="-", maxcolwidths=widths
    )
    return f"{table}{hint}"


def _shown(row: dict[str, Any], key: str) -> Any:
    """A value as the table has it: multiply-adds that depend on the image from the least to the most."""
    least, most = row.get(MACS), row.get(MOST_MACS)
    return f"{least:g} to {most:g}" if key == MACS and None not in (least, most) else row[key]


LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "models": models,
    "tasks": tasks,
    "datasets": datasets,
    "protocols": protocols,
    "metrics": metrics,
    "experiments": experiments,
    "recipes": recipes,
}


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(prog="bench list", description="Show what the suite knows.")
    top.add_argument("what", choices=LISTS, metavar="WHAT", help=", ".join(LISTS))
    top.add_argument("--full", action="store_true", help="protocols with every convention")
    top.add_argument("--json", action="store_true", help="as JSON")
    return top


def main(arguments: Sequence[str]) -> int:
    """``bench list WHAT [--full] [--json]``."""
    options = parser().parse_args(arguments)
    rows = LISTS[options.what]()
    sys.stdout.write(
        (json.dumps(rows, indent=2) if options.json else as_text(options.what, rows, full=options.full)) + "\n"
    )
    return 0
