"""Rows by hand: the format is checked, and nothing of them is ranked or hides where it is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from restorebench.reports.errors import ReportError
from restorebench.reports.published.by_hand import hand_rows
from restorebench.reports.report import paper_table_files

from ..stores import shared_store

HEAD = "method,kind,task,psnr,ssim,source,citation,params_m,macs_g,note\n"
GOOD = HEAD + (
    "Ours,own,dehaze,99.10,0.999,lab notebook 12,me2026,12.50,,three seeds\n"
    "Ours,own,average,98.5,,lab notebook 12,me2026,12.50,,\n"
    "Known,copied,derain,31.06,0.98,Table 1,adair2025-5d,,,\n"
)


def written(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def table(folder: Path, text: str, fmt: str = "markdown", rows: tuple[str, ...] | None = None) -> tuple[str, str]:
    """The table with these rows, and its ``.bib``."""
    store = shared_store(suites=("5d",), previews=False)
    files, printed = paper_table_files(
        store,
        suite="5d",
        protocol=None,
        fmt=fmt,
        columns=("psnr", "ssim"),
        rows=rows,
        published=(),
        folder=folder,
        extra=written(folder, text),
    )
    return printed, "".join(path.read_text() for path in files if path.suffix == ".bib")


def test_they_stand_apart_as_written_with_their_source_and_are_never_marked(tmp_path: Path) -> None:
    printed, bib = table(tmp_path, GOOD)
    lines = printed.splitlines()
    heading = next(i for i, line in enumerate(lines) if "Given by hand, not measured here, not ranked" in line)
    ours = next(i for i, line in enumerate(lines) if line.startswith("| Ours [me2026]"))
    measured = [i for i, line in enumerate(lines) if line.startswith("| RBaIR")]
    assert max(measured) < heading < ours, "not among the measured ones, though its score is the highest"
    assert "| 99.10 | 0.999 |" in lines[ours]
    assert not any(mark in lines[ours] for mark in ("**", "<u>", "†"))
    assert "own measurement, given by hand, not measured by this suite; source: lab notebook 12" in printed
    assert "copied, given by hand" in printed
    assert "No BibTeX entry is known for me2026" in printed
    assert "% me2026 is missing" in bib
    assert "{adair2025-5d," in bib
    without, _ = table(tmp_path, GOOD, rows=("rbair", "anyir"))
    assert "over the 2 restorers shown" in without, "they are no family of a test"


@pytest.mark.parametrize("fmt", ["latex", "csv", "html"])
def test_every_format_has_them(tmp_path: Path, fmt: str) -> None:
    printed, _ = table(tmp_path, GOOD, fmt)
    assert "99.10" in printed
    assert "lab notebook 12" in printed
    assert "by hand" in printed


def test_a_byte_order_mark_and_blank_lines_are_nothing(tmp_path: Path) -> None:
    rows = hand_rows(written(tmp_path, "\ufeff" + GOOD.replace("\nKnown", "\n\nKnown")))
    assert [row.method for row in rows] == ["Ours", "Known"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("ssim", "sim", 1), "unknown column 'sim'"),
        (GOOD.replace(",ssim", ",psnr", 1), "twice the column 'psnr'"),
        (GOOD.replace("source", "note", 1).replace(",note\n", ",ssim\n", 1), "twice the column"),
        ("method,kind,task,psnr\nA,own,dehaze,30\n", "no column source"),
        (HEAD, "no line below the head"),
        ("", "empty"),
        (HEAD + "A,own,dehaze,30,,,,,,\n", "source is ''"),
        (HEAD + "A,own,dehaze,30,,   ,,,,\n", "source is ''"),
        (HEAD + ",own,dehaze,30,,s,,,,\n", "method is ''"),
        (HEAD + "A,owned,dehaze,30,,s,,,,\n", "kind is 'owned'"),
        (HEAD + "A,own,dehaze,-3,,s,,,,\n", "psnr is '-3'"),
        (HEAD + "A,own,dehaze,nan,,s,,,,\n", "psnr is 'nan'"),
        (HEAD + "A,own,dehaze,1e3,,s,,,,\n", "psnr is '1e3'"),
        (HEAD + "A,own,dehaze,inf,,s,,,,\n", "psnr is 'inf'"),
        (HEAD + "A,own,dehaze,,98,s,,,,\n", "ssim is '98'"),
        (HEAD + "A,own,dehaze,30,,s,,-1,,\n", "params_m is '-1'"),
        (HEAD + "A,own,dehaze,30,,s,,,0,\n", "macs_g is '0'"),
        (HEAD + "A,own,dehaze,,,s,,,,\n", "neither psnr nor ssim"),
        (HEAD + "A,own,dehaze,30,,s,a}b,,,\n", "no BibTeX key"),
        (HEAD + "A,own,dehaze,30,,s,,,,\nA,own,dehaze,31,,s,,,,\n", "A has dehaze twice"),
        (HEAD + "A,own,dehaze,30,,s,,,,\nA,own,derain,31,,t,,,,\n", "another source of A"),
        (HEAD + "A,own,dehaze,30,,s\n", "6 values under 10 columns"),
        (HEAD + 'A,own,dehaze,30,,"s,,,,\n', "line"),
        (HEAD + "A,own,dehase,30,,s,,,,\n", "a task 'dehase'"),
        (HEAD + "A,own,denoise-15,30,,s,,,,\n", "a task 'denoise-15'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ReportError) as raised:
        table(tmp_path, text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with pytest.raises(ReportError, match="No such file"):
        hand_rows(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReportError, match="no UTF-8"):
        hand_rows(path)
