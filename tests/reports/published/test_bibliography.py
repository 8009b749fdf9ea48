"""BibTeX entries hold what the citations say, and nothing is lost or invented."""

from __future__ import annotations

import re

import pytest

from restorebench.datasets.tasks import SUITES
from restorebench.models import list_models
from restorebench.reports.errors import PublishedError
from restorebench.reports.published.bibliography import bibtex, entry
from restorebench.reports.published.references import load_references, reference_of
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
    assert all(fields["title"] and (fields.get("author") or fields["key"]) for _, fields in entries.values())


def test_every_word_of_a_citation_is_in_its_entry() -> None:
    for key, (_, fields) in parse(bibtex(list(load_sources()))).items():
        words = " ".join(fields.values())
        for word in re.findall(r"[\w.-]+", load_sources()[key]):
            assert word == "arXiv" or word.rstrip(".") in words.replace("\\", "") or "github" in load_sources()[key], (
                word
            )
        years = re.findall(r"\d{4}", load_sources()[key])
        if "author" not in fields and "year" in fields and fields["year"] not in years:
            assert fields["year"][2:] == fields["eprint"][:2]


def test_conference_journal_and_preprint() -> None:
    entries = parse(bibtex(["adair2025-5d", "rbair2025-5d", "hair2024-5d", "mirage2026", "kbnet-issue5"]))
    assert entries["adair2025-5d"] == (
        "inproceedings",
        {
            "author": "Cui, Yuning and Zamir, Syed Waqas and Khan, Salman and Knoll, Alois and Shah, Mubarak and "
            "Khan, Fahad Shahbaz",
            "title": "{AdaIR: Adaptive All-in-One Image Restoration via Frequency Mining and Modulation}",
            "booktitle": "ICLR",
            "year": "2025",
            "eprint": "2403.14614",
            "archiveprefix": "arXiv",
            "note": "AdaIR, five-degradation table",
        },
    )
    kind, fields = entries["rbair2025-5d"]
    assert (kind, fields["journal"], fields["year"]) == ("article", "Pattern Recognition", "2025")
    assert fields["note"].startswith("article 112815, RBaIR")
    assert fields["author"] == "Park, Cheolhoon and Choi, Hyunduck"
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


def test_every_paper_has_what_a_bibliography_needs() -> None:
    papers = load_references()
    entries = parse(bibtex(list(papers)))
    assert list(entries) == list(papers)
    for key, (kind, fields) in entries.items():
        paper = papers[key]
        assert re.fullmatch(r"(19|20)\d\d", fields["year"]), key
        assert {"article": "journal", "inproceedings": "booktitle", "misc": "title"}[kind] in fields, key
        assert "author" in fields or "key" in fields, key
        for author in paper.authors.split(" and ") if paper.authors else []:
            assert author.startswith("{") or re.fullmatch(r"[^,]+, [^,]+", author), author
        assert not paper.arxiv or re.fullmatch(r"\d{4}\.\d{4,5}", paper.arxiv), key
        assert not paper.doi or re.fullmatch(r"10\.\d{4,}/\S+", paper.doi), key
    assert [key for key, paper in papers.items() if not paper.authors] == ["cao2024hair"]


def test_restorers_data_sets_metrics_and_statistics_have_their_papers() -> None:
    titles = [card.title for card in list_models() if card.name not in ("identity", "onnx", "spandrel")]
    datasets = {task.dataset for suite in SUITES.values() for task in suite.tasks}
    for name in (*titles, *datasets, "Urban100", "Kodak24", "HIDE", "embedded-256", "SSIM", "LPIPS", "BCa", "Holm"):
        assert reference_of(name) is not None, name
    assert reference_of("Rain100L[4of100]") == reference_of("Rain100L")
    assert reference_of("my own data") is None


def test_a_paper_agrees_with_the_citation_of_its_source() -> None:
    for citation in load_sources().values():
        paper = reference_of(citation.partition(",")[0])
        if paper is not None:
            number = re.search(r"arXiv ([\d.]+)", citation)
            years = re.findall(r"[A-Za-z] (20\d\d)(?![\d.])", citation)
            assert number is None or number[1] == paper.arxiv
            assert not years or paper.year in years
