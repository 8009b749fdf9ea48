"""What the suite knows, for ``bench list`` and for scripts: tasks, data sets, protocols and metrics; without torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from tabulate import tabulate

from ..datasets.standard.sets import ALL_SETS
from ..datasets.suites import list_suites
from ..datasets.tasks import Suite

if TYPE_CHECKING:
    from .protocols.protocol import Protocol

Item = TypeVar("Item")


class Listing(tuple[Item, ...]):
    """A tuple whose text is a table, for reading at a prompt."""

    def __new__(cls, items: Iterable[Item], text: str) -> Listing[Item]:
        made = super().__new__(cls, items)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return (Listing, (tuple(self), self.text))


def list_tasks() -> Listing[Suite]:
    """Every suite and single task that ``tasks=`` takes, with its title and its tasks."""
    suites = list_suites()
    return Listing(suites, tabulate(task_rows(suites), headers="keys", tablefmt="simple", disable_numparse=True))


def list_protocols() -> Listing[Protocol]:
    """Every protocol; `Protocol.describe` states its conventions, ``str`` gives its name with the version."""
    from .protocols.catalogue import get_protocol, list_protocols

    protocols = [get_protocol(name) for name in list_protocols()]
    return Listing(protocols, protocol_table(protocols))


def task_rows(suites: Iterable[Suite]) -> list[dict[str, Any]]:
    """A row a suite or single task."""
    return [
        {"tasks": suite.name, "title": suite.title, "consists of": ", ".join(task.label for task in suite.tasks)}
        for suite in suites
    ]


def dataset_rows() -> list[dict[str, Any]]:
    """A row a data set: the embedded photographs, then the standard test sets by their tasks."""
    from ..datasets.degradations.registry import DEGRADATIONS
    from ..datasets.embedded.photographs import PHOTOGRAPHS

    embedded = {
        "data set": "embedded",
        "tasks": ", ".join(("denoise", *DEGRADATIONS)),
        "images": len(PHOTOGRAPHS),
        "what it is": "photographs of scikit-image's wheel, degraded on the fly: nothing to download",
        "source": "scikit-image",
        "licence": "in the package, see its documentation",
        "goes in": "",
        "note": "not every task takes every photograph",
    }
    return [
        embedded,
        *(
            {
                "data set": each.name,
                "tasks": each.tasks[0] if len(each.tasks) == 1 else f"{each.tasks[0]} and {len(each.tasks) - 1} more",
                "images": each.images,
                "what it is": each.size,
                "source": each.source,
                "licence": each.licence,
                "goes in": each.layout(),
                "note": each.note,
            }
            for each in ALL_SETS
        ),
    ]


def metric_rows(protocols: Iterable[Protocol]) -> list[dict[str, Any]]:
    """A row a metric: what it is, which way is better, and what each protocol makes of it."""
    known = list(protocols)
    windows = {str(each): each.ssim for each in known}
    ssim = [f"{name}: {'none' if each is None else each.window}" for name, each in windows.items()]
    lpips = [f"{each}: {each.lpips}" for each in known if each.lpips]
    return [
        {
            "metric": "psnr",
            "unit": "dB",
            "better": "higher",
            "what it says": "peak signal-to-noise ratio of an image, over all its pixels and channels; a set's is the "
            "mean over its images. " + "; ".join(f"{each}: {each.colour}" for each in known),
        },
        {
            "metric": "ssim",
            "unit": "-",
            "better": "higher",
            "what it says": f"structural similarity, mean over the image. Window by protocol: {'; '.join(ssim)}",
        },
        {
            "metric": "lpips",
            "unit": "-",
            "better": "lower",
            "what it says": "perceptual distance by features of a network, where its weights are here "
            f"(lpips.weights=PATH). Backbone by protocol: {'; '.join(lpips) or 'none'}, else alex",
        },
    ]


def protocol_rows(protocols: Iterable[Protocol]) -> list[dict[str, Any]]:
    """A row a protocol, with its conventions."""
    return [{"protocol": str(protocol), **protocol.describe()} for protocol in protocols]


def protocol_table(protocols: Iterable[Protocol]) -> str:
    """A line a protocol for a terminal: who uses it, and in what they differ; `protocol_rows` has every convention."""
    from .protocols.catalogue import used_by

    rows = [
        {
            "protocol": str(each),
            "used by": used_by(each) or "-",
            "scored in": "RGB" if each.colour == "rgb" else "Y",
            "SSIM window": {"uniform7": "7x7", "gaussian11": "Gaussian 11"}[each.ssim.window] if each.ssim else "-",
            "crop": f"to {each.crop_multiple}s" if each.crop_multiple else "-",
            "tasks": "all" if each.noise and each.pairs else "not denoising" if each.pairs else "denoising",
        }
        for each in protocols
    ]
    return tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True)


def blocks(rows: Iterable[dict[str, Any]]) -> str:
    """Rows of sentences, as blocks of ``key: value`` lines."""
    return "\n\n".join("\n".join(f"{key}: {value}" for key, value in row.items()) for row in rows)
