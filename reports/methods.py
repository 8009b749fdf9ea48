"""The paragraph that a paper needs: how the numbers of a store were measured, from its records alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from ..benchmarks.store.parts import plain
from ..benchmarks.store.records import Record
from .analysis.captions import counting
from .analysis.cells import Group
from .analysis.scoreboard import CONFIDENCE, RESAMPLES, SIGNIFICANT, TEST
from .analysis.training import facts_of, training_told
from .escape import visible

WIDTH = 110
DIGITS = 12
"""Of hashes: enough to tell any two apart."""
_RULES = (
    ("reading", "images are read by"),
    ("crop", "crop:"),
    ("noise", "noise:"),
    ("pairs", "input:"),
    ("padding", "padding:"),
    ("output", "output:"),
    ("colour", "scored in"),
    ("psnr", "PSNR:"),
    ("ssim", "SSIM:"),
    ("arithmetic", "arithmetic:"),
)


def methods_text(groups: Sequence[Group]) -> str:
    """Plain text, a paragraph a topic: protocols, data, restorers, numerics and machine, statistics, commands.

    Raises:
        ValueError: no group.
    """
    records = [cell.record for group in groups for c in group.restorers for cell in c.cells.values()]
    if not records:
        raise ValueError("no cells to tell of")
    paragraphs = [
        *(_protocol(record) for record in first_by(records, "protocol")),
        _data(records),
        _restorers(records),
        *_training(records),
        f"Numerics and machine: {'; '.join(machines_of(records)) or 'no network was run here'}.",
        _statistics(),
        _complexity(records),
        "Repeated by: " + "; ".join(sorted({record.command for record in records})) + ".",
    ]
    return "\n\n".join(
        textwrap.fill(visible(text), WIDTH, break_long_words=False, break_on_hyphens=False) for text in paragraphs
    )


def first_by(records: Iterable[Record], name: str) -> list[Record]:
    """The first record of each value of a field, by these values."""
    firsts: dict[Any, Record] = {}
    for record in records:
        firsts.setdefault(getattr(record, name), record)
    return [firsts[key] for key in sorted(firsts)]


def _protocol(record: Record) -> str:
    rules: dict[str, Any] = record.identity.protocol
    parts = [f"{words} {rules[name]}" for name, words in _RULES if rules.get(name) not in (None, "", "none")]
    average = rules.get("average", {})
    means = (
        f" Over a set: {average['set']}; a suite's average is the plain mean of its tasks."
        if isinstance(average, dict) and "set" in average
        else ""
    )
    return f"Protocol {record.protocol}. {'; '.join(parts)}.{means}"


def _data(records: Sequence[Record]) -> str:
    """Every task with the number of its images and the hash of their decoded pixels."""
    seen: dict[tuple[str, str], Record] = {}
    for record in records:
        seen.setdefault((record.task_key, record.identity.data), record)
    tasks = [
        f"{key}: {record.expected} images ({digest[:DIGITS]}){_asked(record)}"
        for (key, digest), record in sorted(seen.items(), key=lambda item: item[0])
    ]
    return f"Data, with the first {DIGITS} digits of the SHA-256 of what determines the images: {'; '.join(tasks)}."


def _asked(record: Record) -> str:
    """That only the first images were asked for."""
    return f", only {record.expected - record.not_asked} of them asked for" if record.not_asked else ""


def _restorers(records: Sequence[Record]) -> str:
    descriptions = {restorer_facts(record) for record in records if record.provenance != "input"}
    return (
        f"Restorers: {'; '.join(sorted(descriptions))}."
        if descriptions
        else "Restorers: none, only the degraded input was scored."
    )


def _training(records: Sequence[Record]) -> list[str]:
    """How weights were trained that say it, those trained alike together."""
    titles: dict[str, set[str]] = {}
    for record in records:
        if told := training_told(record):
            titles.setdefault(told, set()).add(f"{record.title} ({record.variant})")
    trained = [f"{', '.join(sorted(names))}, {told}" for told, names in titles.items()]
    return [f"Training: {'. '.join(sorted(trained))}."] if trained else []


def restorer_facts(record: Record) -> str:
    """A restorer with what is known of its size, weights and training: ``RBaIR (tiny, ...)``."""
    if record.provenance == "images":
        return f"{record.title} (images of another tool, {record.complexity.statement})"
    digest = record.weights.sha256
    weights = f"weights {str(digest)[:DIGITS]}, {record.provenance}" if digest else _random(record)
    training = facts_of(record)
    trained = f", {training['patches']:,} patches of training" if training else ""
    millions = f"{record.complexity.parameters / 1e6:.2f} M parameters" if record.complexity.parameters else ""
    return f"{record.title} ({', '.join(filter(None, [record.variant, millions, weights]))}{trained})"


def _random(record: Record) -> str:
    if record.provenance == "yours":
        return f"yours, no weights file, seed {record.identity.seed}"
    return f"random weights, seed {record.identity.seed}" if record.provenance == "untrained" else record.provenance


def machines_of(records: Sequence[Record]) -> list[str]:
    """Numerics, machine and versions of records, each once."""
    machines = set()
    for record in records:
        if record.provenance == "images":  # whose network did not run here
            continue
        numerics, environment = plain(record.identity.numerics), record.environment
        options = [
            f"{name} {numerics[name]}" for name in ("channels_last", "compile", "tile", "batch") if numerics.get(name)
        ]
        versions = environment.versions
        named = ", ".join(
            f"{package} {versions[package]}" for package in ("torch", "numpy", "restorebench") if package in versions
        )
        machines.add(
            f"{numerics['dtype']} with TF32 {'on' if numerics.get('tf32') else 'off'}"
            f"{', ' + ', '.join(options) if options else ''} on {environment.device_name}"
            f" (Python {environment.python}, {named}, "
            f"git {_revision(environment.git_revision)})"
        )
    return sorted(machines)


def _revision(revision: str | None) -> str:
    """The commit's first digits, and whether files differed from it."""
    commit, plus, changes = (revision or "not recorded").partition("+")
    return (commit[:DIGITS] if revision else commit) + plus + changes


def _statistics() -> str:
    return (
        f"Statistics: {CONFIDENCE:.0%} bootstrap intervals over images ({RESAMPLES:,} resamples of whole clusters, "
        f"bias-corrected and accelerated where that is defined; a cluster is the scene, photograph or sequence that "
        f"images come from, the same in all tasks of a data set); restorers are compared on the same images by a "
        f"{TEST} (signs flip by cluster, {RESAMPLES:,} flips, all of them where there are fewer), Holm-corrected "
        f"within a column over the restorers that a table shows, significant below {SIGNIFICANT:g}. All random "
        f"numbers are seeded by the names of what they are for."
    )


def _complexity(records: Sequence[Record]) -> str:
    statements = sorted({counting(r.complexity.statement) for r in records if r.complexity.statement})
    return f"Complexity: {'; '.join(statements)}." if statements else "Complexity: not counted."
