"""Lists that the code keeps: protocols, tasks, test sets, restorers, checkpoints, and the promises of the tests."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; nothing in a cell ends it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def protocols() -> str:
    """Who uses which protocol, and every convention of each."""
    from restorebench import list_protocols
    from restorebench.benchmarks.protocols.catalogue import used_by

    known = list_protocols()
    described = {str(each): each.describe() for each in known}
    conventions = dict.fromkeys(key for each in described.values() for key in each)
    rows = [[key, *(each.get(key, "") for each in described.values())] for key in conventions]
    return "\n\n".join(
        [
            table(["protocol", "whose tables"], [[f"`{each}`", used_by(each)] for each in known]),
            table(["convention", *(f"`{name}`" for name in described)], rows),
        ]
    )


def tasks() -> str:
    """Suites and single tasks."""
    from restorebench import list_tasks

    rows = [[f"`{each.name}`", each.title, ", ".join(task.label for task in each.tasks)] for each in list_tasks()]
    return table(["`tasks=`", "title", "consists of"], rows)


def data_sets() -> str:
    """The standard test sets: images, where they go and come from, terms."""
    from restorebench.datasets.standard import sets

    found = [value for value in vars(sets).values() if isinstance(value, sets.StandardSet)]
    rows = [
        [each.name, ", ".join(each.tasks), each.images, f"`{each.layout()}`", each.size, each.source, each.licence]
        for each in found
    ]
    notes = "\n".join(f"- **{each.name}**: {each.note}." for each in found if each.note)
    head = ["set", "tasks", "images", "below the data root", "size", "source", "terms"]
    return f"{table(head, rows)}\n\n{notes}"


def restorers() -> str:
    """Every restorer: licences, checkpoints as their authors publish them, and what to know."""
    from restorebench import list_models

    cards = list_models()
    rows = [
        [
            f"`{card.name}`",
            ", ".join(f"`{name}`" for name in card.variants),
            card.network_provenance,
            card.code_licence,
            card.weights_licence,
            f"[{card.paper}]({card.url})" if card.url.startswith("http") else card.paper,
        ]
        for card in cards
    ]
    head = ["restorer", "variants", "network", "licence of code", "licence of weights", "paper"]
    checkpoints = [
        [f"`{card.name}`", f"`{each.variant}`", f"`{each.file_name}`", each.trained_for, each.licence, f"<{each.url}>"]
        for card in cards
        for each in card.checkpoints
    ]
    sizes = [
        [f"`{card.name}`", f"`{name}`", _millions(each.parameters), _range(each.macs_256_g, each.macs_256_most_g)]
        for card in cards
        for name, each in card.variants.items()
    ]
    notes = "\n".join(f"- **{card.title}**: {' '.join(card.notes)}" for card in cards if card.notes)
    below = ["restorer", "variant", "file", "trained for", "licence", "where its authors put it"]
    return "\n\n".join(
        [
            table(head, rows),
            "### Sizes",
            table(["restorer", "variant", "parameters (M)", "MACs at 256x256, without FFT (G)"], sizes),
            "### Published checkpoints",
            table(below, checkpoints),
            "### What to know",
            notes,
        ]
    )


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f}"


def _range(least: float | None, most: float | None) -> str:
    """Multiply-adds, from the least to the most where a router chooses by the image what is run."""
    return "" if least is None else f"{least:g}" if most is None else f"{least:g} to {most:g}"


def promises() -> str:
    """What ``tests/README.md`` promises, without its heading."""
    _, _, text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8").partition("\n")
    return text.strip()


def exported_scores() -> str:
    """PSNR of networks and of the ONNX files made of them, from the newest measured table, and on what."""
    path = max((ROOT / "reports" / "measured").glob("exported-*.csv"), key=lambda each: each.name)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = {row["task"]: row for row in rows if row["model"] == model}
        largest = max(float(row["difference"]) for row in own.values())
        scores = [f"{float(own[t]['psnr_network']):.2f} / {float(own[t]['psnr_exported']):.2f}" for t in tasks]
        lines.append([f"`{model}`", *scores, f"{largest:.6f}"])
    first = rows[0]
    said = (
        f"`{first['dataset']}`, {first['images']} images a task, `{first['protocol']}`; {first['dtype']}, "
        f"{first['device']}; torch {first['torch']}, onnxruntime {first['onnxruntime']}."
    )
    return f"{table(['tiny', *tasks, 'largest difference (dB)'], lines)}\n\nPSNR in dB, network / file: {said}"
