r"""The methods paragraph as sentences that cite, in Markdown and LaTeX, with the bibliography to go with it.

A paragraph is a sequence of texts and citations, so that text from a record is escaped and a citation is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..benchmarks.store.records import Record
from .analysis.cells import Group
from .analysis.scoreboard import CONFIDENCE, RESAMPLES, SIGNIFICANT, TEST
from .escape import latex
from .escape import markdown as in_markdown
from .methods import DIGITS, first_by, machines_of, restorer_facts
from .published.bibliography import bibtex
from .published.references import load_references, reference_of

_RULES = (
    ("reading", "Images are read as {}.", ""),
    ("crop", "We crop {}.", ""),
    ("noise", "Noisy images are {}.", ""),
    ("pairs", "The network is given the {}.", ""),
    ("padding", "The protocol's padding is {}.", ""),
    ("output", "The output is {}.", ""),
    ("colour", "Scores are computed in {}.", ""),
    ("psnr", "PSNR is computed {}.", ""),
    ("ssim", "SSIM{} has a {}.", "SSIM"),
    ("arithmetic", "Scores are computed in {}.", ""),
)


@dataclass(frozen=True)
class Cite:
    """A citation: keys of `published.references`."""

    keys: tuple[str, ...]


Paragraph = list[str | Cite]


def methods_paragraphs(groups: Sequence[Group]) -> list[Paragraph]:
    """Protocols, data, restorers, machine, statistics and counts of a store as sentences.

    Raises:
        ValueError: no group.
    """
    records = [cell.record for group in groups for c in group.restorers for cell in c.cells.values()]
    if not records:
        raise ValueError("no cells to tell of")
    return [
        *(_protocol(record) for record in first_by(records, "protocol")),
        _data(records),
        _restorers(records),
        [f"Networks ran in {' and in '.join(machines_of(records))}."],
        _statistics(),
        _counts(records),
    ]


def methods_latex(groups: Sequence[Group]) -> str:
    r"""The sentences for a paper, with ``\cite``; the ``.bib`` of `methods_bibtex` holds what they cite."""
    return _written(groups, latex, lambda keys: rf"~\cite{{{','.join(keys)}}}")


def methods_markdown(groups: Sequence[Group]) -> str:
    """The sentences with keys in brackets, and the references below."""
    text = _written(groups, in_markdown, lambda keys: " " + " ".join(f"[{key}]" for key in keys))
    papers = load_references()
    listed = [f"- [{key}] {in_markdown(papers[key].sentence)}" for key in _keys(methods_paragraphs(groups))]
    return "\n".join([text, *listed, ""]) if listed else text


def methods_bibtex(groups: Sequence[Group]) -> str:
    """The entries that the sentences cite."""
    return bibtex(_keys(methods_paragraphs(groups)))


def _written(groups: Sequence[Group], escape: Callable[[str], str], cite: Callable[[Sequence[str]], str]) -> str:
    paragraphs = []
    for paragraph in methods_paragraphs(groups):
        parts: list[str] = []
        for part in paragraph:
            if isinstance(part, Cite):
                parts.append(cite(part.keys))
            else:  # `escape` takes the blanks at the ends away, and these divide the parts
                lead, trail = part[:1] == " ", part[-1:] == " " and len(part) > 1
                parts.append(" " * lead + escape(part) + " " * trail)
        paragraphs.append("".join(parts))
    return "\n\n".join(paragraphs) + "\n"


def _keys(paragraphs: Sequence[Paragraph]) -> list[str]:
    return list(dict.fromkeys(key for p in paragraphs for part in p if isinstance(part, Cite) for key in part.keys))


def _cited(*names: str) -> Paragraph:
    """A citation of the papers behind these names, where they are known."""
    keys = tuple(dict.fromkeys(found.key for name in names if (found := reference_of(name)) is not None))
    return [Cite(keys)] if keys else []


def _protocol(record: Record) -> Paragraph:
    rules: Mapping[str, Any] = record.identity.protocol
    parts: Paragraph = [f"We evaluate under protocol {record.protocol}."]
    for name, sentence, cited in _RULES:
        value = rules.get(name)
        if value in (None, "", "none"):
            continue
        if cited:
            before, after = sentence.split("{}", 1)
            parts += [f" {before}", *_cited(cited), after.format(value)]
        else:
            parts.append(" " + sentence.format(value))
    average = rules.get("average", {})
    if isinstance(average, dict) and "set" in average:
        parts.append(f" The score of a set is the {average['set']}; a suite's average is the plain mean of its tasks.")
    if record.lpips.backbone and record.means.lpips is not None:
        parts += [f" LPIPS uses the {record.lpips.backbone} backbone", *_cited("LPIPS"), "."]
    return parts


def _data(records: Sequence[Record]) -> Paragraph:
    seen: dict[tuple[str, str], Record] = {}
    for record in records:
        seen.setdefault((record.task_key, record.identity.data), record)
    parts: Paragraph = ["The tasks are "]
    told: set[str] = set()
    for place, ((key, digest), record) in enumerate(sorted(seen.items(), key=lambda item: item[0])):
        task, _, dataset = key.partition("@")
        parts.append(f"{', ' if place else ''}{task.replace('-', ' ')} on {dataset}")
        parts += _cited(dataset) if dataset not in told else []
        parts.append(f" ({record.expected} images, SHA-256 {digest[:DIGITS]})")
        told.add(dataset)
    return [*parts, ". Each hash is of everything that determines the images."]


def _restorers(records: Sequence[Record]) -> Paragraph:
    described = {restorer_facts(r): r for r in records if r.provenance != "input"}
    if not described:
        return ["Only the degraded input was scored."]
    parts: Paragraph = ["We compare "]
    for place, (text, record) in enumerate(sorted(described.items())):
        name = record.title
        rest = text.removeprefix(name)
        parts += [f"{'; ' if place else ''}{name}", *_cited(name, record.model)[:1], rest]
    return [*parts, "."]


def _statistics() -> Paragraph:
    return [
        f"Intervals are {CONFIDENCE:.0%} bootstrap intervals ({RESAMPLES:,} resamples of whole clusters, "
        "bias-corrected and accelerated where that is defined",
        *_cited("BCa"),
        "); a cluster is the scene, photograph or sequence that images come from, the same in all tasks of a data set. "
        f"Restorers are compared on the same images by a {TEST}, whose signs flip by cluster, corrected",
        *_cited("Holm"),
        f" within a column over the restorers that a table shows, at level {SIGNIFICANT:g}.",
    ]


def _counts(records: Sequence[Record]) -> Paragraph:
    statements = sorted({r.complexity.statement for r in records if r.complexity.statement})
    return [f"Counts of operations are {'; '.join(statements)}." if statements else "Operations were not counted."]
