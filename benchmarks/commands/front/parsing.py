"""Command lines without overrides: a mistake in one is one line that names the nearest word, or what is not there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ....messages import nearest, nearest_names, no_results_folder
from ...errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and so are those of its actions (`add_subparsers`).

    Attributes:
        keys: that the command takes as ``key=value``, for who writes them as options.
    """

    keys: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Raise the message.

        Raises:
            UserError: always.
        """
        raise UserError(f"{message}; {self.prog} --help says more")

    def parse_known_args(  # type: ignore[override]  # the overloads of typeshed, whose types these are
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As in argparse, which would say first what is missing beside an option that it does not know."""
        words = list(sys.argv[1:] if args is None else args)
        for option in self._options(words):
            if not self._knows(option):
                raise UserError(self._no_option(option))
        found: tuple[Any, list[str]] = super().parse_known_args(words, namespace)
        return found

    def _options(self, words: Sequence[str]) -> Iterator[str]:
        """Options among the words that are this parser's: those of an action are read by its own."""
        actions = self.actions_below()
        for word in words:
            if word == "--" or word in actions:
                return
            if word[:1] == "-" and word != "-" and not word[1:2].isdigit() and " " not in word:
                yield word.partition("=")[0]

    def _knows(self, option: str) -> bool:
        """Whether argparse does: written out, cut short, or a letter with its value behind it."""
        known = self._option_string_actions
        if not option.startswith("--") and option[:2] in known:
            return True
        return any(name.startswith(option) for name in known)

    def actions_below(self) -> dict[str, Parser]:
        """The parsers of the words that `add_subparsers` made."""
        found = [dict(each.choices or ()) for each in self._actions if isinstance(each, argparse._SubParsersAction)]
        return {name: parser for each in found for name, parser in each.items() if isinstance(parser, Parser)}

    def _no_option(self, option: str) -> str:
        """One line for an option that does not exist."""
        name = option.lstrip("-").replace("-", "_")
        if name in self.keys:
            return f"there is no option {option!r}: write {name}=VALUE; {self.prog} --help lists the keys"
        options = dict.fromkeys(self._option_string_actions, self)
        for parser in self.actions_below().values():
            options = {**dict.fromkeys(parser._option_string_actions, parser), **options}
        bare = {each.lstrip("-"): each for each in options}
        near = [bare[match] for match in nearest_names(option.lstrip("-"), bare)]
        if near and options[near[0]] is not self:
            return f"there is no option {option!r} of {self.prog}; {options[near[0]].prog} has {near[0]!r}"
        meant = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        return f"there is no option {option!r}{meant}; {self.prog} --help lists them"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        raise UserError(self.no_choice(action, str(value)))

    def no_choice(self, action: argparse.Action, value: str) -> str:
        """One line for a word that is none of those that may stand there."""
        known = [str(choice) for choice in action.choices or ()]
        there = f"{nearest(value, known)}; there are {', '.join(known)}"
        if action.option_strings:
            return f"{action.option_strings[-1]} {value}: no such choice{there}"
        return f"there is no {f'{self.prog} {value}'!r}{there}"


def results_folder(name: str) -> Path:
    """The store that ``--results`` names.

    Raises:
        UserError: there is no such folder.
    """
    results = Path(name).expanduser()
    if not results.is_dir():
        raise UserError(no_results_folder(results))
    return results
