"""``bench report`` on stores whose records say anything: it writes inside its folder only, and all but what is odd."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from restorebench.benchmarks.commands.report import main
from restorebench.reports.escape import csv_text, latex
from restorebench.reports.report import write_report

from .stores import change_cell, shared_store

TITLES = {
    "anyir": r"x}\input{secret",
    "daair": "<script>alert(1)</script>",
    "kbnet": '=cmd("/c calc")',
    "rbair": "$\\frac a b | [31m",
}
OPTIONS = {"suites": ("5d",), "images": 4, "side": 16}


pytestmark = pytest.mark.slow


def store(folder: Path, *, previews: bool = True) -> Path:
    root = Path(shutil.copytree(shared_store(**OPTIONS), folder / "results"))
    for path in [] if previews else [root / "previews", *root.glob("*/*/*/previews")]:
        shutil.rmtree(path)
    return root


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on records with hostile text in every free field."""
    root = store(tmp_path_factory.mktemp("hostile"))
    for path in sorted(root.glob("5d/*/*/record.json")):
        title = TITLES.get(path.parts[-3])
        if title is not None:
            change_cell(path.parent, title=title, command=title, environment={"device_name": title})
    report = write_report(root)
    assert report.left_out == []
    assert report.whole
    (root / "summary.txt").write_text(report.summary)
    return root


def read(root: Path, suffix: str) -> str:
    (path,) = (p for p in (root / "tables").glob(f"*{suffix}") if not p.stem.endswith("-body"))
    return path.read_text(encoding="utf-8")


def test_titles_are_text_in_latex(told: Path) -> None:
    text = read(told, ".tex")
    assert r"\input" not in text
    assert latex(TITLES["anyir"]) in text
    assert r"\$\textbackslash{}frac a b |" in text


def test_titles_are_text_in_html_and_in_the_page(told: Path) -> None:
    for text in (read(told, ".html"), (told / "report" / "index.html").read_text(encoding="utf-8")):
        assert "<script>alert" not in text
        assert "\x1b" not in text
    assert html.escape(TITLES["daair"]) in read(told, ".html")
    page = (told / "report" / "index.html").read_text(encoding="utf-8")
    data = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert data is not None
    (group,) = json.loads(data[1])["groups"]
    labels = [row["label"] for row in group["rows"]]
    assert all(any(title in label for label in labels) for title in TITLES.values())


def test_titles_are_text_in_markdown(told: Path) -> None:
    for text in (read(told, ".md"), (told / "leaderboard.md").read_text(encoding="utf-8")):
        assert "<script>" not in text
        assert "\\<" not in text
        widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
        assert len(widths) == 1
    assert "&lt;script&gt;" in read(told, ".md")


def test_titles_are_text_in_csv(told: Path) -> None:
    rows = list(csv.reader(read(told, ".csv").splitlines()))
    cells = {cell for row in rows for cell in row}
    assert any(cell.startswith(f"'{TITLES['kbnet']}") for cell in cells)
    assert all(any(csv_text(cell).startswith(title) for cell in cells) for title in TITLES.values())
    assert not [cell for row in rows for cell in row if re.match(r"[=@\t\r]|[+-](?![\d.]+$)", cell)]


def test_titles_are_text_in_terminal_and_methods(told: Path) -> None:
    for text in ((told / "summary.txt").read_text(), (told / "methods.txt").read_text()):
        assert not set(text) & set("\x1b\r\t")
        assert "$\\frac a b | [31m" in " ".join(text.split())


def test_every_figure_is_drawn(told: Path) -> None:
    for what in ("bars", "paired", "psnr-parameters", "psnr-macs"):
        (path,) = (told / "figures").glob(f"*{what}.png")
        Image.open(path).verify()


def sibling_files(root: Path) -> set[str]:
    return {str(path) for path in root.parent.rglob("*") if not path.is_relative_to(root)}


FOREIGN: tuple[dict[str, object], ...] = (
    {"suite": "../../escaped"},
    {"suite": "/tmp/escaped"},
    {"protocol": "../x@1"},
    {"dataset": "../../d", "suite_tasks": ["dehaze@../../d"]},
    {"model": "../../m"},
    {"title": "a/../../b"},
    {"suite": "s" * 400},
)


def test_no_text_of_a_record_decides_a_path(tmp_path: Path) -> None:
    root = store(tmp_path, previews=False)
    before = sibling_files(root)
    for path, changes in zip(sorted(root.glob("5d/*/*/record.json")), FOREIGN, strict=False):
        change(path, **changes)
    report = write_report(root)
    assert sibling_files(root) == before
    assert not Path("/tmp/escaped").exists()
    assert all(path.resolve().is_relative_to(root.resolve()) for path in report.files)
    assert {"5d-embedded-256-promptir-v1.tex"} <= {path.name for path in report.files}


ODD: dict[str, dict[str, object]] = {
    "a list for a title": {"title": ["x"]},
    "a number for a variant": {"variant": 3},
    "text for a count": {"expected": "8"},
    "an object for a time": {"finished": {}},
    "a number of 30 digits": {"seconds": 10**30},
    "no tasks": {"suite_tasks": []},
    "tasks that are numbers": {"suite_tasks": [1, 2]},
    "a nested configuration": {"config": {"a": json.loads("[" * 60 + "]" * 60)}},
    "no numbers in means": {"means": {"psnr": "x", "ssim": 1, "input_psnr": 1, "input_ssim": 1}},
}


def test_odd_records_cost_their_cells_and_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = store(tmp_path, previews=False)
    paths = sorted(root.glob("5d/rbair/*/record.json")) + sorted(root.glob("5d/kbnet/*/record.json"))
    for path, changes in zip(paths, ODD.values(), strict=False):
        change(path, **changes)
    assert main(["--results", str(root)]) == 0
    left_out = capsys.readouterr().out.partition("left out:")[2]
    page = (root / "report" / "index.html").read_text(encoding="utf-8")
    for path in paths[: len(ODD)]:
        assert path.parent.name in left_out
        assert path.parent.name in page.partition('id="problems"')[2].partition("</ul>")[0]
    assert len([line for line in left_out.splitlines() if line.strip()]) == len(ODD)
    assert "AnyIR (tiny)" in read(root, ".csv")


def bomb(path: Path) -> None:
    """A PNG of a hundred bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def no_picture(path: Path) -> None:
    secret = path.with_name("secret.txt")
    secret.write_text("secret")
    path.unlink()
    path.symlink_to(secret)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "bomb": bomb,
    "pipe": pipe,
    "loop": loop,
    "link to another file": no_picture,
    "other size": lambda path: Image.new("RGB", (8, 9)).save(path),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:50] + b"\xff" * 20 + path.read_bytes()[70:]),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["restored", "degraded", "clean"])
def test_a_bad_preview_costs_that_picture(damage: str, kind: str, tmp_path: Path) -> None:
    root = store(tmp_path)
    pattern = "5d/rbair/*/previews/*.png" if kind == "restored" else f"previews/*/{kind}/*.png"
    folder = sorted(root.glob(pattern))[0].parent
    bad = sorted(folder.glob("*.png"))[:2]
    for path in bad:
        DAMAGE[damage](path)
    from restorebench.reports.report import page_of

    text = page_of(root).read_text(encoding="utf-8")
    data = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert data is not None
    strips = json.loads(data[1])["groups"][0]["strips"]
    assert len({strip["task"] for strip in strips}) == 5, "each task still has a picture"
    assert len(strips) == 5 * 4 - 2, "and all but the bad ones"
    written = b"".join(path.read_bytes() for path in (root / "report" / "images").iterdir())
    assert b"secret" not in written


def test_links_inside_the_output_are_not_followed_out_of_it(tmp_path: Path) -> None:
    root = store(tmp_path)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "holiday.png").write_bytes(b"picture")
    (root / "report").mkdir()
    (root / "report" / "images").symlink_to(mine)
    with pytest.raises(ValueError, match="leads out of"):
        write_report(root)
    assert [path.name for path in mine.iterdir()] == ["holiday.png"]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("report", []),
        ("tables", []),
        ("figures", []),
        ("report", ["page"]),
        ("figures", ["figures"]),
        ("tables", ["table", "--suite", "5d", "--rows", "none", "--published", "all"]),
    ],
)
def test_a_folder_of_the_store_that_is_a_link_out_of_it_is_written_through_only_if_named(
    link: str, words: list[str], tmp_path: Path
) -> None:
    root, mine = tmp_path / "results", tmp_path / "mine"
    mine.mkdir()
    root.mkdir()
    (root / link).symlink_to(mine)
    with pytest.raises(ValueError, match=f"{link} leads out of .*--output"):
        main([*words, "--results", str(root)])
    assert list(mine.iterdir()) == []
    if words[:1] == ["table"]:
        assert main([*words, "--results", str(root), "--output", str(root / link)]) == 0
        assert list(mine.iterdir()) != []


def test_a_read_only_store_is_reported_elsewhere_with_working_links(tmp_path: Path) -> None:
    root = store(tmp_path, previews=False)
    output = tmp_path / "elsewhere" / "report of it"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        assert main(["--results", str(root), "--output", str(output)]) == 0
    finally:
        for path in folders:
            path.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert {"leaderboard.csv", "methods.txt", "tables", "figures", "report"} <= {p.name for p in output.iterdir()}
    text = (output / "report" / "index.html").read_text(encoding="utf-8")
    links = set(re.findall(r'"(?:record|images)":"([^"]+(?:record\.json|images\.csv))"', text))
    assert len(links) == 2 * 25
    assert all((output / "report" / link).resolve().is_file() for link in links)


@pytest.mark.parametrize(("number", "words"), [(28, "No space left on device"), (13, "Permission denied")])
def test_a_file_that_cannot_be_written_is_one_line(
    number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = store(tmp_path)
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if str(target).endswith(".md"):
            raise OSError(number, os.strerror(number), str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    assert main(["--results", str(root)]) == 1
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench:")]
    assert err == [f"bench: {root / 'leaderboard.md'}: {words}"]
    assert not list(root.rglob(".part-*"))
