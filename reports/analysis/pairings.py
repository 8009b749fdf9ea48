"""Two restorers, or two results folders, cell by cell: paired differences on the images that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ReportError
from .cells import Group, RestorerResult, groups
from .scoreboard import Difference, holm
from .vetting import stored_cells

Place = tuple[str, str, str]
"""Title of the group, label of the restorer, key of the task."""


@dataclass(frozen=True)
class Pairing:
    """One task on which two cells meet; differences are first minus second, None without a common image.

    Attributes:
        title: of the group.
        restorer: label, where two folders are compared; empty for two restorers of one folder.
        task_key: the task.
        psnr, ssim: the differences (dB; -1..1).
        p: of `psnr`, corrected by Holm over all pairings; None without a difference.
        cells: ids of the two; of a cell that is in several suites, the title names all of them.
    """

    title: str
    restorer: str
    task_key: str
    psnr: Difference | None
    ssim: Difference | None
    p: float | None = None
    cells: tuple[str, str] = ("", "")


def pairings(first: str, second: str, results: Path) -> tuple[list[Pairing], list[str]]:
    """The cells of equal place, and a line for each place that has only one.

    Args:
        first, second: two results folders, or two restorers of `results`, each by its name in the registry or by its
            label in the tables.

    Raises:
        ReportError: they are neither, or have no cell in common.
    """
    folders = [Path(name).expanduser() for name in (first, second)]
    if all(folder.is_dir() for folder in folders):
        pairs, lonely = _of_folders(folders[0], folders[1])
    else:
        pairs, lonely = _of_restorers(first, second, results)
    if not pairs:
        raise ReportError(
            f"{first} and {second} have no cell in common: the same task on the same images under one protocol"
        )
    return _corrected(_once(pairs)), lonely


def _of_folders(first: Path, second: Path) -> tuple[list[Pairing], list[str]]:
    """Cells of equal place: same suite, task, images, protocol and label."""
    a, b = _places(first), _places(second)
    common = [place for place in a if place in b and _same_images(place, a[place], b[place])]
    lonely = [f"{' '.join(place)}: only in {first}" for place in a if place not in b]
    lonely += [f"{' '.join(place)}: only in {second}" for place in b if place not in a]
    lonely += [f"{' '.join(place)}: on other images" for place in a if place in b and place not in common]
    return [_of_two_folders(place, a[place], b[place]) for place in common], lonely


def _places(folder: Path) -> dict[Place, tuple[Group, RestorerResult]]:
    return {
        (group.title, restorer.label, key): (group, restorer)
        for group in groups(stored_cells(folder)[0])
        for restorer in group.restorers
        for key in restorer.cells
    }


def _same_images(place: Place, a: tuple[Group, RestorerResult], b: tuple[Group, RestorerResult]) -> bool:
    first, second = (restorer.cells[place[2]].record.identity.data for _, restorer in (a, b))
    return bool(first == second)


def _of_two_folders(place: Place, a: tuple[Group, RestorerResult], b: tuple[Group, RestorerResult]) -> Pairing:
    """The restorer of one folder against itself of the other, in a group of the two."""
    _, label, key = place
    names = [f"{label} A", f"{label} B"]
    restorers = tuple(replace(restorer, label=name) for (_, restorer), name in zip((a, b), names, strict=True))
    return _pairing(replace(a[0], restorers=restorers), names[0], names[1], key, restorer=label)


def _of_restorers(first: str, second: str, results: Path) -> tuple[list[Pairing], list[str]]:
    """Tasks that both have in a group."""
    if not results.is_dir():
        raise ReportError(f"{first} and {second} are no results folders, and {results} is none to look them up in")
    several = groups(stored_cells(results)[0])
    names = sorted({name for group in several for r in group.restorers for name in r.names})
    for name in (first, second):
        if name not in names:
            raise ReportError(f"{results} has no restorer {name!r}; there are {', '.join(names) or 'none'}")
    pairs, lonely = [], []
    for group in several:
        a, b = _named(group, first), _named(group, second)
        if a is None or b is None:
            continue
        for key in group.tasks:
            if key in a.cells and key in b.cells:
                pairs.append(_pairing(group, a.label, b.label, key))
            else:
                having = [restorer.label for restorer in (a, b) if key in restorer.cells]
                lonely.append(f"{group.title} {key}: only {having[0]}" if having else f"{group.title} {key}: neither")
    return pairs, lonely


def _named(group: Group, name: str) -> RestorerResult | None:
    """The restorer of that label, model or weights label; several of a name must be told apart by label."""
    by_label = [restorer for restorer in group.restorers if restorer.label == name]
    named = by_label or [restorer for restorer in group.restorers if name in restorer.names]
    if len(named) > 1:
        labels = ", ".join(repr(restorer.label) for restorer in named)
        raise ReportError(f"{name} stands for several rows of {group.title}: give one of {labels}")
    return named[0] if named else None


def _pairing(group: Group, first: str, second: str, key: str, *, restorer: str = "") -> Pairing:
    psnr = group.scoreboard.difference(first, second, key)
    ids = [r.cells[key].record.cell for label in (first, second) for r in group.restorers if r.label == label]
    ssim = group.scoreboard.difference(first, second, key, "ssim")
    return Pairing(group.title, restorer, key, psnr, ssim, cells=(ids[0], ids[1]))


def _once(pairs: Sequence[Pairing]) -> list[Pairing]:
    """Each two cells once, however many suites have their task."""
    several: dict[tuple[str, str, str], list[Pairing]] = {}
    for pair in pairs:
        several.setdefault((*pair.cells, pair.restorer), []).append(pair)
    titles = {key: list(dict.fromkeys(pair.title for pair in same)) for key, same in several.items()}
    return [replace(same[0], title="; ".join(titles[key])) for key, same in several.items()]


def _corrected(pairs: Sequence[Pairing]) -> list[Pairing]:
    """With Holm's p values over all that have a difference."""
    adjusted = iter(holm([pair.psnr.p for pair in pairs if pair.psnr is not None]))
    return [pair if pair.psnr is None else replace(pair, p=next(adjusted)) for pair in pairs]
