"""The papers behind restorers, data sets, metrics and statistics, as bibliographies cite them.

``references.csv`` holds what is known for certain: an empty field is one that is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ..escape import bibtex as in_bibtex
from .transcriptions import read_lines


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A paper.

    Attributes:
        key: for ``\\cite``.
        names: of what it introduced: restorers by their titles, data sets, metrics, methods.
        kind: of the BibTeX entry: ``article``, ``inproceedings`` or ``misc``.
        authors: as BibTeX writes them, ``Family, Given and Family, Given``; empty where not known.
        title, venue, year, volume, number, pages, doi, arxiv, note: empty where there is none, or it is not known.
    """

    key: str
    names: tuple[str, ...]
    kind: str
    authors: str
    title: str
    venue: str
    year: str
    volume: str
    number: str
    pages: str
    doi: str
    arxiv: str
    note: str

    def fields(self) -> dict[str, str]:
        """Of its BibTeX entry, escaped; the title keeps its capitals."""
        place = {"article": "journal", "inproceedings": "booktitle"}.get(self.kind, "howpublished")
        authors = " and ".join(
            f"{{{in_bibtex(one.strip('{}'))}}}" if one.startswith("{") else in_bibtex(one)
            for one in self.authors.split(" and ")
        )
        known = {
            "key": "" if authors else in_bibtex(self.names[0]),  # what BibTeX sorts by where no author is known
            "author": authors,
            "title": f"{{{in_bibtex(self.title)}}}",
            place: in_bibtex(self.venue),
            "year": self.year,
            **{name: in_bibtex(getattr(self, name)) for name in ("volume", "number", "pages", "doi")},
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "note": in_bibtex(self.note),
        }
        return {name: value for name, value in known.items() if value}

    @property
    def sentence(self) -> str:
        """For a list of references in plain text."""
        arxiv, doi = (f"arXiv {self.arxiv}" if self.arxiv else ""), (f"doi {self.doi}" if self.doi else "")
        where = " ".join(filter(None, (self.venue, self.year)))
        who = self.authors.replace("{", "").replace("}", "")
        return ". ".join(filter(None, (who, self.title, where, arxiv, doi, self.note))) + "."


@cache
def load_references() -> Mapping[str, Reference]:
    """All papers by their keys."""
    rows = (
        Reference(**{**row, "names": tuple(row["names"].split(";"))})  # type: ignore[arg-type]
        for row in read_lines("references.csv")
    )
    return {row.key: row for row in rows}


def reference_of(name: str) -> Reference | None:
    """The paper that introduced something by its name, whatever its case; None where none is known.

    A data set of the embedded photographs goes by the package that has them.
    """
    wanted = "embedded" if name.startswith("embedded-") else name.partition("[")[0]
    for reference in load_references().values():
        if wanted.casefold() in {known.casefold() for known in reference.names}:
            return reference
    return None
