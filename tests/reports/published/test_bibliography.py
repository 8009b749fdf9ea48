"""BibTeX entries hold what the citations say, and nothing is lost or invented."""

from __future__ import annotations

import re

import pytest

from restorebench.reports.errors import PublishedError
from restorebench.reports.published.bibliography import bibtex, entry
from restorebench.reports.published.results import load_sources


def parse(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Kind and fields of each entry by its key; fails where braces do not balance."""
    entries = {}
    for kind, key, body in re.findall(r"@(\w+)\{([^,\s]+),\n(.*?)^\}$", text, re.DOTALL | re.MULTILINE):
        fields = {}
        for line in body.splitlines():
            match = re.fullmatch(r"  (\w+) = \{(.*)\},", line)
            assert match is not None, line
            inner = re.sub(r"\\[{}]", "", match[2])
            assert inner.count("{") == inner.count("}")
            assert match[1] not in fields
            fields[match[1]] = match[2]
        entries[key] = (kind, fields)
    return entries


def test_every_source_has_an_entry() -> None:
    text = bibtex(list(load_sources()))
    entries = parse(text)
    assert list(entries) == list(load_sources())
    assert text.count("@") == len(entries) + text.count("@651")
    assert all(fields["title"] and fields["key"] for _, fields in entries.values())


def test_every_word_of_a_citation_is_in_its_entry_and_no_author_is() -> None:
    for key, (_, fields) in parse(bibtex(list(load_sources()))).items():
        words = " ".join(fields.values())
        for word in re.findall(r"[\w.-]+", load_sources()[key]):
            assert word == "arXiv" or word.rstrip(".") in words.replace("\\", "") or "github" in load_sources()[key], (
                word
            )
        assert "author" not in fields
        years = re.findall(r"\d{4}", load_sources()[key])
        if "year" in fields and fields["year"] not in years:
            assert fields["year"][2:] == fields["eprint"][:2]


def test_conference_journal_and_preprint() -> None:
    entries = parse(bibtex(["adair2025-5d", "rbair2025-5d", "hair2024-5d", "mirage2026", "kbnet-issue5"]))
    assert entries["adair2025-5d"] == (
        "inproceedings",
        {
            "key": "AdaIR",
            "title": "{AdaIR}",
            "eprint": "2403.14614",
            "archiveprefix": "arXiv",
            "year": "2025",
            "booktitle": "ICLR",
            "note": "five-degradation table",
        },
    )
    kind, fields = entries["rbair2025-5d"]
    assert (kind, fields["journal"], fields["year"]) == ("article", "Pattern Recognition", "2025")
    assert fields["note"].startswith("112815")
    assert entries["hair2024-5d"][0] == "misc"
    assert entries["hair2024-5d"][1]["year"] == "2024"
    kind, fields = entries["mirage2026"]
    assert (kind, fields["year"], fields["note"]) == ("inproceedings", "2026", "third-party transcription")
    assert entries["kbnet-issue5"][1]["howpublished"] == "https://github.com/zhangyi-3/KBNet/issues/5"


def test_special_characters_are_escaped() -> None:
    ((kind, fields),) = parse(entry("k", "A & B_{50 %}, 10 # $")).values()
    assert kind == "misc"
    assert fields["title"] == r"{A \& B\_\{50 \%\}}"
    assert fields["note"] == r"10 \# \$"


def test_a_key_is_written_once_and_an_unknown_one_refused() -> None:
    assert bibtex(["hair2024-5d", "hair2024-5d"]).count("@misc") == 1
    with pytest.raises(PublishedError, match="no source 'nobody'"):
        bibtex(["nobody"])
