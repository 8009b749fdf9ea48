"""The command reference: what ``bench COMMAND --help`` prints, for every command and every action of one."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from collections.abc import Iterator
from unittest import mock

WIDTH = "100"


def helps(arguments: list[str]) -> tuple[str, list[argparse.ArgumentParser]]:
    """What ``bench ARGUMENTS --help`` prints, and the parsers that printed it."""
    from restorebench.benchmarks.commands.main import main

    parsers: list[argparse.ArgumentParser] = []
    original = argparse.ArgumentParser.print_help

    def watched(parser: argparse.ArgumentParser, file: object = None) -> None:
        parsers.append(parser)
        original(parser)

    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": WIDTH, "NO_COLOR": "1"}),
        mock.patch.object(argparse.ArgumentParser, "print_help", watched),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        main([*arguments, "--help"])
    return out.getvalue().rstrip(), parsers


def _actions(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Names of the sub-commands of a parser, each once."""
    seen = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                if id(below) not in seen:
                    seen.add(id(below))
                    yield name


def command_page() -> str:
    """The whole page."""
    from restorebench.benchmarks.commands.main import COMMANDS

    parts = [
        "# Commands",
        "What `bench COMMAND --help` says. Exit codes: 0 done, 1 something is incomplete and named, 2 a mistake in the "
        "command, in one line; Ctrl-C ends with 130, and the same command resumes.",
    ]
    for name, command in COMMANDS.items():
        text, parsers = helps([name])
        parts += [f"## bench {name}", f"{command.summary[0].upper()}{command.summary[1:]}.", f"```text\n{text}\n```"]
        for action in [each for parser in parsers for each in _actions(parser)]:
            parts += [f"### bench {name} {action}", f"```text\n{helps([name, action])[0]}\n```"]
    return "\n\n".join(parts) + "\n"
