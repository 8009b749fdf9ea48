"""``bench report``: everything that is derived from the store, written anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..reports.publish import publish
from ..reports.tables import markdown
from .errors import UserError


def main(arguments: Sequence[str]) -> int:
    """``bench report [--results DIR]``."""
    parser = argparse.ArgumentParser(
        prog="bench report", description="Write leaderboard and tables anew from the store."
    )
    parser.add_argument("--results", default="results", metavar="DIR", help="the store (default: results)")
    results = Path(parser.parse_args(arguments).results).expanduser()
    if not results.is_dir():
        raise UserError(f"there is no results folder {results}; bench run makes one, --results DIR names another")
    published = publish(results)
    files = "\n".join(f"  {path}" for path in published.files)
    sys.stdout.write(f"{markdown(published.entries)}\nwritten:\n{files}\n")
    return 0
