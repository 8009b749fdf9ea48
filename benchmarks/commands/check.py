"""``bench check``: the conformance checks of `conformance` on registered restorers; `stores.check` on stored ones."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate
from tqdm import tqdm

from ...messages import nearest_names
from ...models.card import ModelCard
from ...models.registry import ALL, check_variant, get_card, list_models
from ...models.registry.own import with_multiple
from ..errors import UserError
from ..inference.numerics import check_device, resolve_device
from .front.names import key_values
from .front.parsing import Parser
from .front.quoting import LONG_KEYS
from .stores import check as check_results

if TYPE_CHECKING:
    from ..conformance import Result

CHECKED = ("sizes", "batch", "determinism", "bfloat16", "gradients", "tiles", "file", "parameters", "multiply-adds")
"""What `conformance.CHECKS` are about, for the help, which needs no torch."""
KEYS = ("model", "variant", "weights", "device", "size_multiple")


def main(arguments: Sequence[str]) -> int:
    """``bench check model=NAME|all [variant=NAME|all] [weights=PATH] [device=cpu] [--json]``, or ``results DIR``.

    NAME may be a network of the user's own, ``FILE.py:NAME``; then ``size_multiple=8`` is taken too.

    Returns:
        0 if no check failed, 1 otherwise.

    Raises:
        UserError, ModelError: what was asked for does not exist.
    """
    if arguments and arguments[0] == "results":
        return check_results.main(arguments[1:])
    if arguments and "=" not in arguments[0] and nearest_names(arguments[0], ("results",)):
        raise UserError(f"there is no 'bench check {arguments[0]}' (did you mean 'results'?)")
    options = parser().parse_args(arguments)
    asked = settings(options.settings)
    cards = chosen(asked)
    check_device(asked.get("device", "cpu"))
    from ..conformance import run_checks

    device = resolve_device(asked.get("device", "cpu"))
    results = []
    with tqdm(desc="checks", unit="check", disable=not sys.stderr.isatty(), leave=False) as bar:
        for card in cards:
            for result in run_checks(card, asked.get("variant"), weights=asked.get("weights", "none"), device=device):
                results.append(result)
                bar.update()
    rows = [row(result) for result in results]
    sys.stdout.write((json.dumps(rows, indent=2) if options.json else as_text(rows)) + "\n")
    return 1 if any(result.finding.status == "fail" for result in results) else 0


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    result = Parser(
        prog="bench check",
        description=f"Check that restorers do what the suite expects of them: {', '.join(CHECKED)}.",
        epilog="Without variant=, the tiny size is checked if there is one; parameters and multiply-adds of all sizes."
        " `bench check results DIR` verifies a results folder instead.",
    )
    result.keys = KEYS
    result.add_argument(
        "settings",
        nargs="*",
        metavar="key=value",
        help="model=NAME, FILE.py:NAME or all; size_multiple=8 for a file; variant=NAME or variant=all; weights=PATH;"
        " device=cpu, cuda, ...",
    )
    result.add_argument("--json", action="store_true", help="as JSON")
    return result


def settings(given: Sequence[str]) -> dict[str, str]:
    """``key=value`` words as a dictionary.

    Raises:
        UserError: a word is none, or there is no such key, or the model is missing.
    """
    words = key_values("check", given, (*KEYS, *LONG_KEYS), shown=KEYS, example="model=all")
    result = {LONG_KEYS.get(key, key): value for key, value in words.items()}
    if "model" not in result:
        raise UserError("which restorer? write bench check model=NAME, or model=all")
    return result


def chosen(asked: dict[str, str]) -> list[ModelCard]:
    """Cards of the restorers to be checked.

    Raises:
        UserError, ModelError: a model, variant or file does not exist.
    """
    weights, variant = asked.get("weights"), asked.get("variant")
    if asked["model"] == ALL:
        if weights:
            raise UserError("weights=PATH belongs to one restorer; write model=NAME with it")
        if variant not in (None, ALL):
            raise UserError(f"variant={variant} belongs to one restorer; write model=NAME with it, or variant=all")
        if "size_multiple" in asked:
            raise UserError("size_multiple= belongs to one network of your own; write model=FILE.py:NAME with it")
        return list_models()
    multiple = asked.get("size_multiple")
    if multiple is not None and not multiple.isdecimal():
        raise UserError(f"size_multiple={multiple}: give a whole number of pixels")
    card = get_card(with_multiple(asked["model"], None if multiple is None else int(multiple)))
    if variant != ALL:
        check_variant(card, variant)
    if weights and weights != "none" and not Path(weights).expanduser().is_file():
        raise UserError(f"no checkpoint at {weights}; weights takes a path")
    if card.built_from == "checkpoint" and weights in (None, "none"):
        raise UserError(f"{card.name} takes its network from a checkpoint; add weights=PATH")
    return [card]


def row(result: Result) -> dict[str, Any]:
    """A result as plain data."""
    return {
        "model": result.model,
        "variant": result.variant,
        "check": result.check,
        "result": result.finding.status,
        "seconds": round(result.seconds, 2),
        "detail": result.finding.detail,
    }


def as_text(rows: list[dict[str, Any]]) -> str:
    """Rows as a table, with how many there are of each result below."""
    counts = Counter(str(entry["result"]) for entry in rows)
    table = tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True)
    return f"{table}\n\n{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped"
