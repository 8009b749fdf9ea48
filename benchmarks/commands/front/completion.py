"""``bench completion SHELL``: scripts by which a shell asks for what may follow, and the answer.

The shell hands over the line up to the cursor (``bench completion --for LINE``) and gets a candidate a line: whole
words, of which ``key=`` and folders want no space behind them. torch is never imported for it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

from ....datasets.suites import list_suites
from ....models.errors import ModelError
from ....models.registry import get_card, list_models
from ...inference.numerics import DTYPES, KINDS
from ...protocols.catalogue import list_protocols
from .help import choices, default_groups, entries, group_names, schema_entries
from .parsing import Parser

BASH = """\
# bench: source this file, or: bench completion bash > ~/.local/share/bash-completion/completions/bench
_bench() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' word behind
    COMPREPLY=($("$1" completion --for "$line" 2>/dev/null))
    # bash replaces only what stands behind the last character at which it cuts words.
    word=${line##*[[:space:]]}
    behind=$word
    case $COMP_WORDBREAKS in *=*) behind=${behind##*=} ;; esac
    case $COMP_WORDBREAKS in *:*) behind=${behind##*:} ;; esac
    COMPREPLY=("${COMPREPLY[@]#"${word%"$behind"}"}")
    case ${COMPREPLY[0]} in *[=/]) compopt -o nospace ;; esac
}
complete -F _bench bench
"""

ZSH = """\
#compdef bench
# bench: source this file after compinit, or: bench completion zsh > a folder of your fpath, as _bench
_bench() {
    local -a found open whole
    found=("${(@f)$("${words[1]}" completion --for "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    open=(${(M)found:#*[=/]})
    whole=(${found:#*[=/]})
    (( $#open )) && compadd -S '' -- $open
    (( $#whole )) && compadd -- $whole
    return 0
}
if [[ $funcstack[1] == _bench ]]; then _bench "$@"; else compdef _bench bench; fi
"""

FISH = """\
# bench: source this file, or: bench completion fish > ~/.config/fish/completions/bench.fish
function __bench_complete
    set -l line (commandline -cp | string collect)
    bench completion --for "$line" 2>/dev/null
end
complete -c bench -f -a '(__bench_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
HYDRA_OPTIONS = ("-m", "--multirun", "--cfg", "--info", "--help")
PATH_KEYS = frozenset(
    {"weights", "degraded", "clean", "results", "run", "data.root", "data.natural_images", "data.validation_images"}
    | {"data.cache", "lpips.weights"}
)
"""Keys whose values are files or folders."""
OPTIONS_LIKE = {"strip": "model", "suite": "tasks"}
"""Options whose values are those of a key of another name."""
CONFIGURED = ("run", "train", "profile")
"""Commands with overrides."""


def main(arguments: Sequence[str], commands: Mapping[str, str]) -> int:
    """``bench completion bash|zsh|fish`` prints a script, ``bench completion --for LINE`` what may follow a line.

    Args:
        arguments: as typed behind ``bench completion``.
        commands: names of all commands, with the module of each.
    """
    options = parser().parse_args(arguments)
    if options.line is not None:
        found = candidates(typed(options.line), commands)
        sys.stdout.write("".join(f"{each}\n" for each in found))
        return 0
    sys.stdout.write(SCRIPTS[options.shell])
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(
        prog="bench completion",
        description="Print a script that lets a shell complete commands, options and overrides.",
        epilog='bash: eval "$(bench completion bash)" in ~/.bashrc; the scripts say how they are kept for good.',
    )
    what = top.add_mutually_exclusive_group(required=True)
    what.add_argument("shell", nargs="?", choices=SCRIPTS, metavar="SHELL", help="bash, zsh or fish")
    what.add_argument("--for", dest="line", metavar="LINE", help="what may follow a command line (scripts ask this)")
    return top


def typed(line: str) -> list[str]:
    """The words of a line behind ``bench``; the last one is what is being typed, empty behind a space."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is still open
        words = line.split()
    if not line or line[-1].isspace():
        words.append("")
    return words[1:]


def candidates(words: Sequence[str], commands: Mapping[str, str]) -> list[str]:
    """What the last of `words` may become.

    Args:
        words: typed behind ``bench``; the last one may be empty.
        commands: their names, with the module of each below ``commands``.
    """
    *before, word = words or [""]
    if not before:
        return _starting(word, (*commands, "--help", "--version"))
    command = before[0]
    if command not in commands:
        return []
    if command in CONFIGURED:
        return _override(command, before[1:], word)
    return _plain(commands[command], before[1:], word)


def _starting(word: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(word)})


def _override(command: str, before: Sequence[str], word: str) -> list[str]:
    """What a word of a command with overrides may become: an option, a key or a value."""
    if before and before[-1] in ("--cfg", "-c"):
        return _starting(word, ("job", "hydra", "all"))
    key, is_given, value = word.partition("=")
    if is_given:
        # Behind a comma stands the next value of a sweep.
        head, comma, last = value.rpartition(",")
        return [f"{key}={head}{comma}{each}" for each in _values(command, key, last, before)]
    if word.startswith("-"):
        return _starting(word, HYDRA_OPTIONS)
    groups = group_names(command)
    in_defaults = default_groups(command)
    names = [f"{'' if group in in_defaults or '/' in group else '+'}{group}=" for group in groups]
    return _starting(word, [*names, *(f"{key}=" for key in _keys(command))] + ([] if word else ["-m"]))


def _values(command: str, key: str, word: str, before: Sequence[str]) -> list[str]:
    """The values of a key that begin with `word`."""
    key = key.lstrip("+~")
    if key in group_names(command):
        return _starting(word, (name for name, _ in choices(key)))
    sources = _sources(before)
    found = _starting(word, sources[key]()) if key in sources else []
    if not found and _keys(command).get(key) in ("true", "false"):
        found = _starting(word, ("true", "false"))
    return found + (_paths(word) if key in PATH_KEYS else [])


def _sources(before: Sequence[str]) -> dict[str, Callable[[], Iterable[str]]]:
    """What makes the values of a key, or of an option of that name; `before` are the words that stand there."""
    given = dict(each.partition("=")[::2] for each in before)
    given |= {each.lstrip("-"): after for each, after in pairwise(before) if each[:2] == "--"}
    return {
        "model": lambda: (card.name for card in list_models()),
        "variant": lambda: _variants(given.get("model", "rbair")),
        "tasks": lambda: (suite.name for suite in list_suites()),
        "validation.tasks": lambda: (suite.name for suite in list_suites()),
        "protocol": list_protocols,
        "validation.protocol": list_protocols,
        "dtype": lambda: DTYPES,
        "device": lambda: ("auto", *KINDS),
        "overwrite": lambda: ("missing", "always", "never"),
        "save_images": lambda: ("true", "false", "npy", "png16", "png8"),
        "previews": lambda: ("auto", "all", "none"),
        "metrics": lambda: ("auto", "psnr", "ssim", "lpips"),
        "dataset": lambda: ("folder",),
        "batch": lambda: ("auto",),
        "weights": lambda: ("bundled", "none"),
    }


def _variants(model: str) -> Iterable[str]:
    with contextlib.suppress(ModelError):
        return get_card(model.rpartition(",")[2]).variants
    return ()


def _keys(command: str) -> dict[str, str]:
    """The keys of a command with their defaults."""
    from ...evaluation.config import RunConfig
    from ...profiling.config import ProfileConfig
    from ...training.config import TrainConfig

    schemas: dict[str, type[Any]] = {"run": RunConfig, "train": TrainConfig, "profile": ProfileConfig}
    return {each.key: each.value for each in (*schema_entries(schemas[command]), *entries(f"{command}.yaml"))}


def _plain(module: str, before: Sequence[str], word: str) -> list[str]:
    """What a word of a command with a parser of its own may become: an option, its value, an action, a key."""
    parser: Parser = import_module(f"..{module}", __package__).parser()
    for each in before:
        parser = parser.actions_below().get(each, parser)
    sources = _sources(before)
    valued = {name: action for action in parser._actions if action.nargs != 0 for name in action.option_strings}
    key, is_given, value = word.partition("=")
    option, start, given = (key, f"{key}=", value) if is_given else (before[-1] if before else "", "", word)
    if option in valued:
        action = valued[option]
        head, comma, last = given.rpartition(",")
        names = action.choices or sources.get(OPTIONS_LIKE.get(action.dest, action.dest), tuple)()
        found = [f"{head}{comma}{each}" for each in _starting(last, map(str, names))] or _paths(given)
        return [f"{start}{each}" for each in found]
    if is_given and key in parser.keys:
        return [f"{key}={each}" for each in _starting(value, sources.get(key, tuple)()) or _paths(value)]
    words = [name for action in parser._actions for name in action.option_strings or map(str, action.choices or ())]
    return _starting(word, [*words, *(f"{key}=" for key in parser.keys)]) or _paths(word)


def _paths(word: str) -> list[str]:
    """Files and folders whose paths begin with `word`; folders end in a slash."""
    folder, _, start = word.rpartition("/")
    place = folder or ("/" if word.startswith("/") else ".")
    prefix = word[: len(word) - len(start)]
    try:
        with os.scandir(os.path.expanduser(place)) as listed:  # noqa: PTH111  (a user that is not there is no error)
            found = [(each.name, each.is_dir()) for each in listed if each.name.startswith(start)]
    except OSError:
        return []
    shown = [(name, is_folder) for name, is_folder in found if start or not name.startswith(".")]
    return sorted(prefix + name + ("/" if is_folder else "") for name, is_folder in shown)
