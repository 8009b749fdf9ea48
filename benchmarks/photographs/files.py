"""Which photographs are meant, and where each is written: decided for all of them before the first is read."""

from __future__ import annotations

import glob
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from .reading import SUFFIXES
from .writing import FORMATS

DEFAULT_FOLDER = "restored"
"""Folder that is made beside the inputs where no output folder is named."""
FORMAT_SUFFIXES = {
    "png": (".png",),
    "jpg": (".jpg", ".jpeg"),
    "tif": (".tif", ".tiff"),
    "webp": (".webp",),
}
"""Formats that can be asked for, with their extensions: a name that has one of them keeps it."""
COMPARE, STRIP = ".compare.png", ".strip.png"
"""What the names of pictures end with that show the input beside the restored."""
NOT_READ = frozenset(
    (
        *(".heic", ".heif", ".avif", ".jp2", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
        *(".psd", ".exr", ".hdr", ".svg", ".ppm", ".pgm", ".tga"),
    )
)
"""Extensions of other pictures, counted in folders instead of being passed over in silence."""


@dataclass(frozen=True)
class Source:
    """A file that is meant.

    Attributes:
        path: of it.
        place: its path below the output folder.
        home: the folder that the default output folder is made in.
    """

    path: Path
    place: Path
    home: Path


@dataclass
class Found:
    """The files that are meant, in the order given, and how many others of each extension folders hold."""

    sources: list[Source] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outputs:
    """A photograph and the files that are made of it; None where that one is not asked for."""

    source: Path
    restored: Path | None = None
    compare: Path | None = None
    strip: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that are asked for."""
        return tuple(path for path in (self.restored, self.compare, self.strip) if path is not None)


def find_photographs(inputs: Sequence[str], *, recursive: bool = False, output: Path | None = None) -> Found:
    """The files that the inputs mean, each once; a link to a file is one of its own, under its own name.

    Args:
        inputs: files; folders, of which the files with an extension of `SUFFIXES` are taken; patterns with ``*``,
            ``?``, ``[...]`` and ``**``, where no file has that very name.
        recursive: also the folders inside folders.
        output: a folder that is not walked into, nor are those called ``restored`` where it is None.

    Raises:
        UserError: an input that is not there, or folders and patterns without a photograph.
    """
    found = Found()
    for text in inputs:
        path = Path(text).expanduser()
        if path.is_dir():
            found.sources.extend(_in_folder(path, recursive, output, found.others))
        elif os.path.lexists(path):
            found.sources.append(Source(path, Path(path.name), path.parent))
        elif glob.has_magic(text):
            found.sources.extend(_matching(path, output))
        else:
            raise UserError(f"no file, folder or pattern {text!r}")
    once = {_written(source.path): source for source in reversed(found.sources)}
    found.sources = list(reversed(once.values()))
    if not found.sources:
        more = "" if recursive else "; --recursive looks into folders inside, too"
        raise UserError(f"no photographs ({', '.join(SUFFIXES)}) in {', '.join(inputs)}{more}")
    return found


def _written(path: Path) -> str:
    """Where a file of this name lies, however the way there was written; a link at its end is not followed."""
    return os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118 (a string as realpath gives it)


def _in_folder(folder: Path, recursive: bool, output: Path | None, others: Counter[str]) -> Iterator[Source]:
    for where, inside, names in os.walk(folder):
        here = Path(where)
        inside[:] = sorted(name for name in inside if recursive and not _skipped(here / name, output))
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if name.startswith("."):  # hidden, unfinished, and what macOS leaves beside a file under its name
                continue
            if suffix in SUFFIXES:
                yield Source(here / name, (here / name).relative_to(folder), folder)
            elif suffix in NOT_READ:
                others[suffix] += 1


def _skipped(folder: Path, output: Path | None) -> bool:
    """Whether a folder is no place of inputs: hidden, of a system's own, or where outputs go."""
    if folder.name.startswith((".", "@")):
        return True
    return folder.name == DEFAULT_FOLDER if output is None else folder.resolve() == output.resolve()


def _matching(pattern: Path, output: Path | None) -> Iterator[Source]:
    """Files that a pattern means; their places are kept from its first part with a sign in it on."""
    parts = pattern.parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    start = Path(*parts[:fixed]) if fixed else Path()
    for name in sorted(glob.glob(str(pattern), recursive=True)):  # noqa: PTH207 (it takes absolute patterns)
        path = Path(name)
        place = path.relative_to(start)
        passed = (start / Path(*place.parts[: depth + 1]) for depth in range(len(place.parts) - 1))
        if path.is_file() and path.suffix.lower() in SUFFIXES and not any(_skipped(each, output) for each in passed):
            yield Source(path, place, start)


def plan_outputs(
    sources: Iterable[Source],
    *,
    output: Path | None = None,
    format_name: str = "input",
    restored: bool = True,
    compare: bool = False,
    strip: bool = False,
) -> list[Outputs]:
    """What is written for each file, and where: under its own name, which keeps its extension where two would be one
    (``logo.gif.png`` beside ``logo.png``, ``a.jpg.compare.png`` where ``a.png`` is there, too).

    Args:
        sources: the files.
        output: the folder; None takes ``restored`` in each file's home.
        format_name: a key of `FORMAT_SUFFIXES`, or ``input``.
        restored: whether the restored photographs themselves are wanted.
        compare: whether a picture of each beside its input is.
        strip: whether a picture of several restorers' results is.

    Raises:
        UserError: two files would be written to one place, one in place of an input, or one through a link that leads
            out of the folder.
    """
    sources = list(sources)
    targets = _targets(sources, output, format_name)
    stems = Counter((os.path.realpath(target.parent), target.stem) for target in targets)
    plans = []
    for source, target in zip(sources, targets, strict=True):
        alone = stems[os.path.realpath(target.parent), target.stem] == 1
        name = target.stem if alone else target.name
        plans.append(
            Outputs(
                source.path,
                target if restored else None,
                target.with_name(name + COMPARE) if compare else None,
                target.with_name(name + STRIP) if strip else None,
            )
        )
    _check_places(plans)
    return plans


def _targets(sources: Sequence[Source], output: Path | None, format_name: str) -> list[Path]:
    """Where the restored photograph of each would be."""
    targets = []
    for source in sources:
        folder = source.home / DEFAULT_FOLDER if output is None else output
        _check_links(folder / source.place.parent, source.home if output is None else output)
        targets.append(folder / source.place.with_name(named(source.place.name, format_name)))
    taken = Counter(map(_written, targets))
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        if taken[_written(target)] > 1 and target.name != source.place.name:
            targets[index] = target.with_name(source.place.name + target.suffix)
    return targets


def named(name: str, format_name: str) -> str:
    """The name of the restored file; what is read but not written (GIF, no extension) becomes PNG."""
    path = Path(name)
    suffix = path.suffix.lower()
    if format_name == "input":
        return name if suffix in FORMATS else f"{path.stem if suffix in SUFFIXES else name}.png"
    if suffix in FORMAT_SUFFIXES[format_name]:
        return name
    return (path.stem if suffix in SUFFIXES else name) + FORMAT_SUFFIXES[format_name][0]


def _check_links(folder: Path, root: Path) -> None:
    """Refuse a folder to write to that a link leads out of the one it was named by."""
    real, allowed = folder.resolve(), root.resolve()
    if not real.is_relative_to(allowed):
        raise UserError(
            f"{folder} is a link, or lies behind one, to {real}: remove it, or name that folder by --output"
        )


def _check_places(plans: Sequence[Outputs]) -> None:
    inputs = {os.path.realpath(plan.source): plan.source for plan in plans}
    writers: dict[str, list[Path]] = defaultdict(list)
    for plan in plans:
        for file in plan.files:
            place = os.path.realpath(file)
            if place in inputs:
                raise UserError(
                    f"{plan.source} would be written over the input {inputs[place]}; choose another --output"
                )
            writers[place].append(plan.source)
    for place, those in writers.items():
        if len(those) > 1:
            raise UserError(
                f"{' and '.join(map(str, those[:2]))} would both be written to {place}; restore them one by one, "
                "to different --output folders, or name the folder that holds both with --recursive"
            )
