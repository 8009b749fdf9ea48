"""The static page, as it looks and reads aloud: nothing cut at two widths, contrast, names, no markup from data."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.marks import TIE, WORDS
from restorebench.reports.page.writer import write_page
from restorebench.reports.tables.paper import paper_table
from restorebench.reports.tables.printing.formats import render

from ..stores import change_cell, shared_cells, write_store
from .browser import Tab, needs_browser

pytestmark = pytest.mark.slow

VIEWS = [(width, theme) for width in (390, 1440) for theme in ("light", "dark")]


@needs_browser
@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_nothing_overflows_or_is_cut(browser: Any, report: Path, tmp_path: Path, width: int, theme: str) -> None:
    opened = Tab(browser, report.as_uri(), width=width, theme=theme)
    shots = Path(os.environ.get("RESTOREBENCH_SCREENSHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    for suite in ("3d", "5d"):
        opened.page.get_by_label("Suite").select_option(label=f"{suite} on embedded-256")
        opened.page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager'; })")
        opened.page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        cut = opened.page.evaluate(
            """() => [...document.querySelectorAll("h1,h2,h3,p,li,dt,dd,figcaption,label,button,summary,th,td,a,span")]
            .filter(node => node.clientWidth && node.scrollWidth > node.clientWidth + 1 && !node.matches(".unseen"))
            .map(node => `${node.tagName} ${node.className}: ${node.textContent.slice(0, 60)}`)"""
        )
        assert cut == []
    opened.page.screenshot(path=shots / f"page-{width}-{theme}.png", full_page=True)
    opened.page.get_by_role("button", name="AnyIR (tiny)").first.click()
    assert opened.page.locator("dialog").evaluate("node => node.scrollWidth <= node.clientWidth")
    opened.page.screenshot(path=shots / f"page-record-{width}-{theme}.png")
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 3 * 128) == (theme == "dark")
    assert opened.trouble == []
    opened.close()


@needs_browser
def test_text_has_the_contrast_of_wcag_aa_in_light_and_in_dark(tab: Tab) -> None:
    from playwright.sync_api import expect

    names = ["ground", "panel", "soft", "warn-ground", "ink", "muted", "accent", "best", "warn"]
    pairs = [(text, under) for text in ("ink", "muted", "accent", "best") for under in ("ground", "panel", "soft")]
    grounds = []
    for theme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=theme)
        style = "names => names.map(name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`))"
        colours = dict(zip(names, tab.page.evaluate(style, names), strict=True))
        weak = {
            pair: ratio
            for pair in [*pairs, ("warn", "warn-ground"), ("warn", "panel")]
            if (ratio := _contrast(colours[pair[0]].strip(), colours[pair[1]].strip())) < 4.5
        }
        assert weak == {}
        grounds.append(colours["panel"])
        figure = tab.page.locator("#tasks-plot .xtick text").first
        expect(figure).to_have_css("fill", _rgb(colours["ink"].strip()))  # drawn anew a moment after the change
    assert grounds[0] != grounds[1]
    tab.page.emulate_media(color_scheme="light")


@needs_browser
def test_every_control_has_a_name_and_headings_come_in_order(tab: Tab) -> None:
    nameless = tab.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, [role=region], [role=img]")]
        .filter(node => !(node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length))
        .map(node => node.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    levels = tab.page.evaluate(
        "[...document.querySelectorAll('main :is(h2, h3), header h1')].map(node => Number(node.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert tab.page.locator("img:not([alt])").count() == 0
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "leaderboard"


@needs_browser
def test_names_are_text_and_never_markup(browser: Any, tmp_path: Path) -> None:
    results = write_store(tmp_path, suites=("3d",), gains={"identity": 0, "rbair": 3, "kbnet": 1}, images=3, side=16)
    for path in (results / "3d" / "kbnet").glob("*/record.json"):
        change_cell(path.parent, title="</script><b>K</b><script>alert(1)//", command="<img src=x>")
    cells, _ = read_cells(results)
    target = write_page(groups(cells), results / "report", problems=["<i>odd</i> & more"])
    opened = Tab(browser, target.as_uri())
    name = "</script><b>K</b><script>alert(1)// (tiny)"
    opened.expect_rows("RBaIR (tiny)", name, "Input")
    assert opened.page.locator("b, main i, main img[src=x]").count() == 0
    assert "<i>odd</i> & more" in opened.page.locator("#problems").inner_text()
    assert name in opened.page.locator("#tasks .legend").text_content()
    opened.page.get_by_role("button", name=name).first.click()
    assert opened.page.locator("dialog pre").first.inner_text() == "<img src=x>"
    assert opened.trouble == []
    opened.close()


@needs_browser
def test_a_page_without_results_says_so(browser: Any, tmp_path: Path) -> None:
    target = write_page([], tmp_path / "report")
    context = browser.new_context()
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(target.as_uri())
    assert opened.locator("#headline").inner_text() == "No finished results yet"
    assert not opened.locator("#leaderboard").is_visible()
    assert errors == []
    context.close()


@needs_browser
def test_at_1440_pixels_the_weights_of_every_row_and_the_whole_table_are_seen(view: Tab) -> None:
    scroller = view.page.locator("#table .scroller")
    assert scroller.evaluate("node => node.scrollWidth <= node.clientWidth")
    for row in view.page.locator("#board tbody tr").all():
        said = row.locator("th .interval")
        box = said.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 1440
        assert said.inner_text().split(",")[0] in ("bundled", "not ranked")


@needs_browser
def test_marks_are_those_of_the_tables_and_stand_before_the_number(view: Tab) -> None:
    legend = view.page.locator("#legend").inner_text()
    assert all(WORDS[mark] in legend for mark in ("tie", "second"))
    tied = view.page.locator("#board td", has=view.page.locator(".value.tied")).first
    assert tied.inner_text().startswith(TIE)
    assert tied.locator(".value").evaluate("node => getComputedStyle(node).fontWeight") == "400"
    ends = view.page.locator("#board tbody td:nth-child(2) .value").evaluate_all(
        "nodes => nodes.map(node => node.getBoundingClientRect().right)"
    )
    assert max(ends) - min(ends) < 0.5


@needs_browser
def test_on_paper_charts_stand_apart_and_nothing_is_cut(browser: Any, report: Path, tmp_path: Path) -> None:
    opened = Tab(browser, report.as_uri(), theme="dark")
    page = opened.page
    page.set_viewport_size({"width": 1047, "height": 740})  # A4 across, less its margins, at 96 dots an inch
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_function("() => document.documentElement.classList.contains('printing')")
    page.wait_for_function("() => document.querySelector('#cost-plot .main-svg').clientWidth === 960")
    boxes = [page.locator(f"#{name} .main-svg").first.bounding_box() for name in ("cost", "tasks", "differences")]
    assert all(box is not None and box["x"] + box["width"] <= 1047 for box in boxes)
    for above, below in pairwise(boxes):
        assert above is not None
        assert below is not None
        assert above["y"] + above["height"] <= below["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1047
    assert page.locator("#table .scroller").evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert not page.get_by_role("link", name="Download CSV").is_visible()
    paper = page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    page.emulate_media(media="screen", color_scheme="dark")
    page.wait_for_function("() => document.querySelector('#cost-plot .main-svg').clientWidth !== 960")
    assert opened.trouble == []
    opened.close()


@needs_browser
def test_the_page_says_its_size(view: Tab, report: Path) -> None:
    parts = [report, *(report.parent / "assets").iterdir(), *(report.parent / "images").iterdir()]
    size = sum(path.stat().st_size for path in parts) / 1e6
    said = re.search(r"takes (\d+\.\d) MB", view.page.locator("footer").inner_text())
    assert said is not None
    assert float(said[1]) == pytest.approx(size, abs=0.1)


@needs_browser
def test_a_table_as_a_page_is_whole_on_screen_and_on_paper(browser: Any, tmp_path: Path) -> None:
    group = groups(shared_cells(suites=("5d",), images=6, previews=False))[0]
    path = tmp_path / "table.html"
    path.write_text(render(paper_table(group, suite="5d", published=["all"]), "html"), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    assert page.locator("table").evaluate("node => node.getBoundingClientRect().right") <= 1440
    page.set_viewport_size({"width": 500, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 500
    assert page.locator(".wide").evaluate("node => node.scrollWidth > node.clientWidth")  # scrolls by itself
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1047, "height": 740})
    assert page.locator("table").evaluate("node => node.getBoundingClientRect().right") <= 1047
    context.close()


def _rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def _contrast(first: str, second: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
