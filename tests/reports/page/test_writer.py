"""The folder of the static page: files of others with their licences, whole pages only, nothing stale."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from PIL import Image

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.page import writer as page
from restorebench.reports.page.writer import write_page

from ..stores import write_store

VENDOR = Path(page.__file__).parent / "files" / "vendor"


def test_files_of_others_are_those_the_readme_names() -> None:
    rows = re.findall(
        r"^\| `[^`]+` \| [\d.]+ \| `[^`]+` \| `([^`]+)` \| MIT, `([^`]+)` \| `([0-9a-f]{64})` \|$",
        (VENDOR / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    present = {path.name for path in VENDOR.iterdir()} - {"README.md"}
    assert present == {name for row in rows for name in row[:2]}
    for name, licence, digest in rows:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
        assert "Permission is hereby granted" in (VENDOR / licence).read_text(encoding="utf-8")


def test_writing_again_leaves_one_whole_page_and_no_stale_image(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", suites=("3d",), gains={"identity": 0, "rbair": 3}, images=3, side=16)
    folder = results / "report"

    def write() -> set[str]:
        write_page(groups(read_cells(results)[0]), folder)
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "mine.pdf").write_bytes(b"kept")
    first, text = write(), (folder / "index.html").read_text(encoding="utf-8")
    assert write() == first
    assert (folder / "index.html").read_text(encoding="utf-8") == text
    for path in results.glob("3d/rbair/*/previews/*.png"):
        Image.new("RGB", (16, 16), "red").save(path)
    third = write()
    assert len(third) == len(first)
    assert third != first
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert {name for name in third if name.startswith("images/")} == set(re.findall(r'"(images/[^"]+\.png)"', text))
    assert (folder / "figures" / "mine.pdf").read_bytes() == b"kept"
    assert [path.name for path in results.iterdir() if path.name.startswith(".")] == []


def test_a_failed_page_leaves_the_old_one_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "report"
    target = write_page([], folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def fail(*_: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(page, "_fill", fail)
    with pytest.raises(OSError, match="disk full"):
        write_page([], folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert target.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
