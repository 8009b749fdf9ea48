"""The command line, ``bench``: each command is a module, imported when it is called, so that the help need not wait."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from types import FrameType

from ...messages import nearest
from ..inference.waiting import choose_waiting
from ..store.names import shown
from .front.parsing import Parser
from .front.stderr import in_words, is_user_error, set_up_logging, silence_libraries

EXIT_INCOMPLETE = 1
EXIT_USER_ERROR = 2

DESCRIPTION = "The comparative benchmark of all-in-one image restorers: resumable sweeps under named protocols."
EPILOG = """\
examples:
  bench run model=rbair tasks=5d                     one restorer on the five-degradation suite
  bench run -m model=identity,rbair tasks=3d,5d      a sweep; repeat the same line to resume it
  bench list models                                  what there is

`bench COMMAND --help` says more."""


@dataclass(frozen=True)
class Command:
    """A command: what the help says, and the module of this package whose ``main(arguments) -> int`` runs it.

    Attributes:
        summary: one line.
        module: below this package.
        words: that may follow it, which people also type in its place.
    """

    summary: str
    module: str
    words: tuple[str, ...] = ()


COMMANDS = {
    "data": Command("check, locate and compare the standard test sets", "data", ("where", "leakage", "fetch")),
    "run": Command("evaluate a restorer on a suite (takes Hydra overrides)", "run"),
    "restore": Command("restore photographs of your own", "restore"),
    "train": Command("train a restorer by a recipe (takes Hydra overrides)", "train"),
    "score": Command("score a folder of restored images under one or several protocols", "score"),
    "profile": Command("measure latency, memory and multiply-adds (takes Hydra overrides)", "profile"),
    "check": Command("run the conformance tests of a restorer; verify a results folder", "check", ("results",)),
    "weights": Command("list and convert published checkpoints", "weights", ("convert",)),
    "report": Command(
        "derive leaderboard and tables from the store", "report", ("table", "methods", "figures", "page", "compare")
    ),
    "status": Command("show what is done, running, failed and missing of the sweeps of a store", "stores.status"),
    "retry": Command("run again what failed in the last sweep of a store", "stores.retry"),
    "merge": Command("join the results folders of several machines", "stores.merge"),
    "gc": Command("show, then remove, what a results folder no longer needs", "stores.gc"),
    "list": Command("show restorers, tasks, data sets, protocols, metrics, experiments or recipes", "list"),
    "export": Command("write a restorer with its weights as ONNX or as torch's exported program", "export"),
    "completion": Command("print a completion script for bash, zsh or fish", "front.completion"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code (0 done, 1 incomplete, 2 a mistake of the user)."""
    if arguments is None:
        choose_waiting(os.environ)
        silence_libraries(os.environ)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments:
        parser().print_help(sys.stderr)
        return EXIT_USER_ERROR
    set_up_logging()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need be no UTF-8
    return guarded(lambda: called(arguments))


def called(arguments: Sequence[str]) -> int:
    """Exit code of a command, whose module is imported now.

    Raises:
        UserError: there is no such command.
    """
    # Only the command's name is parsed here: `run` takes Hydra's own command line, the others have their parsers.
    name, arguments = parser().parse_args(arguments[:1]).command, arguments[1:]
    module = import_module(f".{COMMANDS[name].module}", __package__)
    if name == "completion":  # knows of no command by itself, as it stands before them
        return int(module.main(arguments, {name: each.module for name, each in COMMANDS.items()}))
    return int(module.main(arguments))


class FirstWord(Parser):
    """The parser of the first word, which may be one that follows another."""

    def no_choice(self, action: argparse.Action, value: str) -> str:
        """One line for a command that does not exist."""
        longer = [f"{self.prog} {name} {value}" for name, command in COMMANDS.items() if value in command.words]
        meant = f" (did you mean {longer[0]!r}?)" if longer else nearest(value, COMMANDS)
        return f"there is no command {value!r}{meant}; {self.prog} --help lists them"


def parser() -> Parser:
    """The parser of the first word."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    top = FirstWord(
        prog="bench",
        description=f"{DESCRIPTION}\n\ncommands:\n{commands}",
        epilog=EPILOG,
        usage="bench [--help] [--version] COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=ShowVersion, nargs=0, help=argparse.SUPPRESS)
    top.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return top


class ShowVersion(argparse.Action):
    """``--version``: the suite's, Python's and torch's, and the device that ``device=auto`` takes."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from ..environment import device_name, package_version
        from ..inference.numerics import resolve_device

        device = resolve_device("auto")
        sys.stdout.write(
            f"restorebench {version('restorebench')}\ntorch {package_version('torch')}\n"
            f"python {platform.python_version()}\ndevice {device} ({device_name(device)})\n"
        )
        parser.exit()


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a queue or a shutdown sends it."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """In the block SIGTERM ends a command in order, as Ctrl-C does: locks are given back, rows are kept."""

    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)  # a fork, which ends as other processes do
        os.kill(os.getpid(), number)

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def guarded(action: Callable[[], int]) -> int:
    """Run a command; a mistake of the user becomes one line on standard error and exit code 2, a file or folder that
    cannot be read or written (disk full, read-only) one line and 1, Ctrl-C and SIGTERM one line and 128 and their
    number."""
    try:
        with terminable():
            return action()
    except Terminated:
        sys.stderr.write("bench: terminated; the same command resumes\n")
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        sys.stderr.write("bench: interrupted; the same command resumes\n")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of a pipe (head, less) went away; keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        sys.stderr.write(f"bench: {shown(' '.join(in_words(error).split()))}\n")
        return EXIT_INCOMPLETE
    except ValueError as error:
        if not is_user_error(error):
            raise
        sys.stderr.write(f"bench: {shown(' '.join(str(error).split()))}\n")
        return EXIT_USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
