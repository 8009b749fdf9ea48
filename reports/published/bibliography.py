"""BibTeX entries of the sources of printed scores, and of the papers behind restorers, data sets and metrics.

The entry of a source has authors, title and venue of its paper (`references`) where that is known, and the place in it
in ``note``; of another what the citation in ``published/sources.csv`` says and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..errors import PublishedError
from ..escape import bibtex as in_bibtex
from .references import load_references, reference_of
from .results import load_sources

JOURNALS = ("Pattern Recognition", "TMLR", "TIP", "TPAMI", "IJCV")
_VENUE = re.compile(r"^(?P<venue>[A-Z][A-Za-z .&-]*?) (?P<year>(?:19|20)\d\d)(?: \((?P<remark>.+)\))?$")
_ARXIV = re.compile(r"^arXiv (?P<number>(?P<year>\d\d)\d\d\.\d{4,5})$")
_REPOSITORY = re.compile(r"^github\.com/(?P<place>[\w.-]+/[\w.-]+)(?: issue (?P<issue>\d+))?$")
_YEAR = re.compile(r"\(((?:19|20)\d\d)\)")


def bibtex(keys: Sequence[str]) -> str:
    """A ``.bib`` with an entry for each source or paper, in the given order, each once.

    Raises:
        PublishedError: a key that neither ``sources.csv`` nor ``references.csv`` has.
    """
    citations, papers = load_sources(), load_references()
    for key in keys:
        if key not in citations and key not in papers:
            raise PublishedError(f"there is no source {key!r} in published/sources.csv or references.csv")
    return "\n".join(
        entry(key, citations[key]) if key in citations else _printed(papers[key].kind, key, papers[key].fields())
        for key in dict.fromkeys(keys)
    )


def entry(key: str, citation: str) -> str:
    """The BibTeX entry of one citation, such as ``AdaIR, arXiv 2403.14614, ICLR 2025, Table 2``."""
    title, *parts = [part.strip() for part in citation.split(", ")]
    paper = reference_of(title)
    if paper is not None:
        number = paper.note.rpartition(" ")[2]  # of an article, which its citation has too
        others = [_remark(part) for part in parts if not _ARXIV.match(part) and part != number]
        place = [part for part in others if part]
        note = in_bibtex(", ".join([*filter(None, [paper.note]), title, *place]))
        return _printed(paper.kind, key, {**paper.fields(), "note": note})
    fields: dict[str, str] = {"key": in_bibtex(title), "title": f"{{{in_bibtex(title)}}}"}
    kind, rest = "misc", []
    for part in parts:
        venue, arxiv = _VENUE.match(part), _ARXIV.match(part)
        if venue:
            kind = "article" if venue["venue"] in JOURNALS else "inproceedings"
            fields["journal" if kind == "article" else "booktitle"] = in_bibtex(venue["venue"])
            fields["year"] = venue["year"]
            rest += [venue["remark"]] if venue["remark"] else []
        elif arxiv:
            fields |= {"eprint": arxiv["number"], "archiveprefix": "arXiv"}
            fields.setdefault("year", "20" + arxiv["year"])
        else:
            rest.append(part)
    fields |= _address(title)
    if (year := _YEAR.search(title)) is not None:
        fields.setdefault("year", year[1])
    if rest:
        fields["note"] = in_bibtex(", ".join(rest))
    return _printed(kind, key, fields)


def _remark(part: str) -> str:
    """A part of a citation without the venue and year that the entry has in fields of their own."""
    venue = _VENUE.match(part)
    return part if venue is None else venue["remark"] or ""


def _address(title: str) -> Mapping[str, str]:
    """Of a citation that is an address on GitHub."""
    address = _REPOSITORY.match(title)
    if address is None:
        return {}
    issue = f"/issues/{address['issue']}" if address["issue"] else ""
    return {"howpublished": f"https://github.com/{in_bibtex(address['place'])}{issue}"}


def _printed(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines: Iterable[str] = (f"  {name} = {{{value}}}," for name, value in fields.items())
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
