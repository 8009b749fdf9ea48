"""Two restorers, or two results folders, cell by cell: paired differences on the images that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from ..analysis.cells import Contender, Group, StoredCell, groups, read_cells
from ..analysis.statistics import Difference, holm, paired_difference
from ..errors import ReportError
from .numbers import MISSING

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Pairing:
    """One task on which two cells meet: `difference` is that of the PSNRs, first minus second, None without images.

    Attributes:
        title: of the group.
        restorer: label, where two folders are compared; empty for two restorers of one folder.
        task_key: the task.
        first, second: mean PSNR on the common images (dB).
        ssim: difference of the mean SSIMs on them.
        difference: of the PSNRs, with interval and test.
    """

    title: str
    restorer: str
    task_key: str
    first: float | None
    second: float | None
    ssim: float | None
    difference: Difference | None


def compare(first: str, second: str, results: Path) -> str:
    """A table for the terminal.

    Args:
        first, second: two results folders, or two restorers of `results`, each by its name in the registry or by its
            label in the tables.

    Raises:
        ReportError: they are neither, or have no cell in common.
    """
    folders = [Path(name).expanduser() for name in (first, second)]
    if all(folder.is_dir() for folder in folders):
        pairings, lonely = _of_folders(folders[0], folders[1])
    else:
        pairings, lonely = _of_restorers(first, second, results)
    if not pairings:
        raise ReportError(
            f"{first} and {second} have no cell in common: the same task on the same images under one protocol"
        )
    return _text(first, second, pairings, lonely)


def _of_folders(first: Path, second: Path) -> tuple[list[Pairing], list[str]]:
    """Cells of equal place: same suite, task, images, protocol and label."""

    def places(folder: Path) -> dict[tuple[str, str, str], StoredCell]:
        cells, _ = read_cells(folder)
        return {
            (group.title, contender.label, key): cell
            for group in groups(cells)
            for contender in group.contenders
            for key, cell in contender.cells.items()
        }

    a, b = places(first), places(second)
    common = [place for place in a if place in b and _same_images(a[place], b[place])]
    lonely = [f"{' '.join(place)}: only in {folder}" for place, folder in _differences(a, b, first, second)]
    lonely += [f"{' '.join(place)}: on other images" for place in a if place in b and place not in common]
    return [_pairing(*place, a[place], b[place]) for place in common], lonely


def _differences(
    a: dict[tuple[str, str, str], StoredCell], b: dict[tuple[str, str, str], StoredCell], first: Path, second: Path
) -> list[tuple[tuple[str, str, str], Path]]:
    return [(place, first) for place in a if place not in b] + [(place, second) for place in b if place not in a]


def _same_images(a: StoredCell, b: StoredCell) -> bool:
    return a.record.identity.data == b.record.identity.data


def _of_restorers(first: str, second: str, results: Path) -> tuple[list[Pairing], list[str]]:
    """Tasks that both have in a group."""
    if not results.is_dir():
        raise ReportError(f"{first} and {second} are no results folders, and {results} is none to look them up in")
    found = groups(read_cells(results)[0])
    names = sorted({name for group in found for c in group.contenders for name in (c.record.model, c.label)})
    for name in (first, second):
        if name not in names:
            raise ReportError(f"{results} has no restorer {name!r}; there are {', '.join(names) or 'none'}")
    pairings, lonely = [], []
    for group in found:
        a, b = _chosen(group, first), _chosen(group, second)
        if a is None or b is None:
            continue
        for key in group.tasks:
            if key in a.cells and key in b.cells:
                pairings.append(_pairing(group.title, "", key, a.cells[key], b.cells[key]))
            else:
                having = [c.label for c in (a, b) if key in c.cells]
                lonely.append(f"{group.title} {key}: only {having[0]}" if having else f"{group.title} {key}: neither")
    return pairings, lonely


def _chosen(group: Group, name: str) -> Contender | None:
    """The contender of that label or model; several of a model must be told apart by label."""
    by_label = [contender for contender in group.contenders if contender.label == name]
    by_model = [contender for contender in group.contenders if contender.record.model == name]
    found = by_label or by_model
    if len(found) > 1:
        labels = ", ".join(repr(contender.label) for contender in found)
        raise ReportError(f"{name} stands for several rows of {group.title}: give one of {labels}")
    return found[0] if found else None


def _pairing(title: str, restorer: str, key: str, a: StoredCell, b: StoredCell) -> Pairing:
    def means(metric: str) -> tuple[float, float] | None:
        one, other = a.values(metric), b.values(metric)
        common = [image for image in one if image in other]
        if not common:
            return None
        return sum(one[i] for i in common) / len(common), sum(other[i] for i in common) / len(common)

    psnr, ssim = means("psnr"), means("ssim")
    difference = paired_difference(a.values("psnr"), b.values("psnr"), seed=f"{title} {key}") if psnr else None
    return Pairing(
        title=title,
        restorer=restorer,
        task_key=key,
        first=psnr[0] if psnr else None,
        second=psnr[1] if psnr else None,
        ssim=ssim[0] - ssim[1] if ssim else None,
        difference=difference,
    )


def _text(first: str, second: str, pairings: Sequence[Pairing], lonely: Sequence[str]) -> str:
    measured = [pairing.difference for pairing in pairings if pairing.difference is not None]
    adjusted = dict(zip(map(id, measured), holm([difference.p for difference in measured]), strict=True))
    lines = []
    for pairing in pairings:
        difference = pairing.difference
        p = None if difference is None else adjusted[id(difference)]
        lines.append(
            [
                pairing.title,
                *([pairing.restorer] if pairing.restorer else []),
                pairing.task_key.partition("@")[0],
                "0" if difference is None else str(difference.images),
                MISSING if pairing.first is None else f"{pairing.first:.2f}",
                MISSING if pairing.second is None else f"{pairing.second:.2f}",
                MISSING if difference is None else f"{difference.mean:+.3f}",
                _interval(difference),
                MISSING if p is None else f"{p:.3f}" + (" *" if p < SIGNIFICANT else ""),
                MISSING if pairing.ssim is None else f"{pairing.ssim:+.4f}",
            ]
        )
    folders = ["restorer"] if pairings[0].restorer else []
    heads = [
        "suite, data, protocol",
        *folders,
        "task",
        "images",
        "A (dB)",
        "B (dB)",
        "A - B",
        "95 %",
        "p",
        "SSIM A - B",
    ]
    table = tabulate(
        lines,
        headers=heads,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left",) * (2 + len(folders)) + ("right",) * 7,
    )
    test = measured[0].test if measured else ""
    note = f"PSNR on the images that both have. p: {test}, Holm-adjusted over the lines; * below {SIGNIFICANT}."
    return "\n".join([f"A: {first}", f"B: {second}", "", table, "", note, *(f"- {line}" for line in lonely)])


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return MISSING
    return f"[{difference.low:+.3f}, {difference.high:+.3f}]"
