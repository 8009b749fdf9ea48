"""A page over two suites in Chromium, opened once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.page.writer import write_page

from ..stores import fail_image, write_store
from .browser import CHROMIUM, Tab


@pytest.fixture(scope="package")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page over two suites, with an unfinished restorer and a damaged record."""
    results = write_store(tmp_path_factory.mktemp("store"), images=8)
    lost = next(path for path in (results / "5d" / "kbnet").glob("*/record.json") if '"lowlight"' in path.read_text())
    lost.write_text("{")
    failed = next(path for path in (results / "5d" / "daair").glob("*/record.json") if '"derain"' in path.read_text())
    fail_image(failed.parent, "image-03.png", "NaN in the output")
    cells, problems = read_cells(results)
    return write_page(groups(cells), results / "report", problems=problems)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


@pytest.fixture(scope="package")
def opened_once(browser: Any, report: Path) -> Iterator[Tab]:
    opened = Tab(browser, report.as_uri())
    yield opened
    opened.close()


@pytest.fixture
def view(opened_once: Tab) -> Iterator[Tab]:
    """The page at 1440 pixels, to be looked at only; what it complains about fails the test that used it."""
    opened_once.load()
    yield opened_once
    trouble, opened_once.trouble = opened_once.trouble, []
    assert trouble == []
    assert [url for url in opened_once.requests if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def tab(view: Tab) -> Tab:
    """The same, to be used: the test that comes next has it loaded again."""
    view.fresh = False
    return view
