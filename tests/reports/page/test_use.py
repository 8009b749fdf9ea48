"""The static page, as a reader uses it: opened from disk in Chromium, sorted, filtered, looked into."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from restorebench.reports.analysis.cells import groups, read_cells
from restorebench.reports.page.writer import write_page

from ..stores import write_store
from .browser import Tab, head, needs_browser

pytestmark = pytest.mark.slow


@needs_browser
def test_sorting_with_the_mouse_and_with_the_keyboard_changes_the_order(tab: Tab) -> None:
    best_first = ["RBaIR (tiny)", "AnyIR (tiny)", "DaAIR (tiny)", "KBNet (tiny)", "Input"]
    tab.expect_rows(*best_first)
    average = head(tab, "Average")
    assert average.get_attribute("aria-sort") == "descending"
    average.click()
    tab.expect_rows(*best_first[::-1])
    assert average.get_attribute("aria-sort") == "ascending"
    restorer = head(tab, "Restorer")
    restorer.locator("[tabindex='0']").focus()
    tab.page.keyboard.press("Enter")
    tab.expect_rows(*sorted(best_first))


@needs_browser
def test_missing_values_stand_last_whichever_way_a_column_is_sorted(tab: Tab) -> None:
    latency = head(tab, "Latency")
    for direction in ("ascending", "descending"):
        latency.click()
        tab.page.locator(f"#board th[aria-sort={direction}] .head", has_text="Latency").wait_for()
        assert tab.page.locator("#board tbody th button").last.inner_text() == "Input"


@needs_browser
def test_filters_reduce_the_rows(tab: Tab) -> None:
    tab.page.get_by_label("Filter").fill("anyir")
    tab.expect_rows("AnyIR (tiny)")
    tab.page.get_by_label("Filter").fill("no such restorer")
    assert "No restorer matches" in tab.page.locator("#board tbody").inner_text()
    tab.page.get_by_label("Filter").fill("")
    tab.page.locator("#provenance").select_option("input")
    tab.expect_rows("Input")


@needs_browser
def test_another_suite_shows_its_own_table_and_stays_in_the_address(tab: Tab, browser: Any) -> None:
    assert "denoise 50" in tab.page.locator("#board thead").inner_text()
    tab.page.get_by_label("Suite").select_option(label="5d on embedded-256")
    assert "lowlight" in tab.page.locator("#board thead").inner_text()
    assert "denoise 50" not in tab.page.locator("#board thead").inner_text()
    again = Tab(browser, tab.page.url)
    assert again.page.locator("#suite").input_value() == "5d on embedded-256"
    assert "lowlight" in again.page.locator("#board thead").inner_text()
    assert again.trouble == []
    again.close()


@needs_browser
def test_the_summary_says_who_is_best_at_what_cost_and_how_sure(view: Tab) -> None:
    assert view.page.locator("#headline").inner_text().startswith("RBaIR (tiny)")
    facts = view.page.locator("#facts").inner_text()
    for part in ("Best average", "At what cost", "0.6 M parameters", "Holm", "8 images a task", "Best at each task"):
        assert part in facts


@needs_browser
def test_it_opens_by_saying_that_its_data_are_stand_ins(tab: Tab) -> None:
    banner = tab.page.locator("#banner")
    assert banner.is_visible()
    assert banner.inner_text() == "Embedded photographs: not comparable with the papers' tables."
    assert banner.bounding_box()["y"] < tab.page.locator("#headline").bounding_box()["y"]


@needs_browser
def test_incomplete_rows_are_not_ranked_and_say_why(tab: Tab) -> None:
    tab.page.get_by_label("Suite").select_option(label="5d on embedded-256")
    for name in ("KBNet (tiny)", "DaAIR (tiny)"):
        row = tab.page.locator("#board tbody tr", has_text=name)
        assert row.locator("td").first.inner_text() == "incomplete"
        assert row.locator("td").first.locator(".best, .tied, .second").count() == 0
    reasons = tab.page.locator("#reasons").inner_text()
    assert "KBNet (tiny): lowlight: not run" in reasons
    assert "NaN in the output" in reasons
    assert "record.json" in tab.page.locator("#problems").inner_text()


@needs_browser
def test_a_record_is_one_click_away_and_closes_with_escape(tab: Tab) -> None:
    opener = tab.page.get_by_role("button", name="AnyIR (tiny)").first
    opener.click()
    dialog = tab.page.get_by_role("dialog")
    assert dialog.is_visible()
    text = dialog.inner_text()
    assert "bench run model=anyir tasks=3d" in text
    assert hashlib.sha256(b"weights/anyir").hexdigest() in text
    assert "Configuration of all tasks" in text
    dialog.locator("summary", has_text="Versions and machine").click()
    assert "a CPU" in dialog.inner_text()
    dialog.get_by_role("button", name="Copy").click()
    dialog.locator("[role=status]", has_text=re.compile("copied|selected")).wait_for()
    tab.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert opener.evaluate("node => node === document.activeElement")


@needs_browser
def test_the_divider_moves_by_keyboard_and_by_mouse(tab: Tab) -> None:
    strip = tab.page.locator("#strip-0")
    clip = "node => getComputedStyle(node).clipPath"
    assert strip.locator(".right").evaluate(clip) == "inset(0px 0px 0px 50%)"
    slider = strip.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        tab.page.keyboard.press("ArrowRight")
    assert strip.locator(".right").evaluate(clip) == "inset(0px 0px 0px 53%)"
    tab.page.keyboard.press("Home")
    assert strip.locator(".right").evaluate(clip) == "inset(0px 0px 0px 0%)"
    pane = strip.locator(".pane")
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + 5, box["y"] + 20)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20)
    tab.page.mouse.up()
    assert slider.input_value() == "25"


@needs_browser
def test_images_can_be_chosen_compared_and_zoomed(tab: Tab) -> None:
    strip = tab.page.locator("#strip-0")
    assert "RBaIR" in strip.get_by_role("status").inner_text()  # the best on average comes first
    strip.locator(".thumbnails button", has_text="KBNet").click()
    assert re.match(r"KBNet \(tiny\): \d+\.\d\d dB, \+\d", strip.get_by_role("status").inner_text())
    right = strip.locator(".right").get_attribute("src")
    assert right is not None
    assert "kbnet" in right
    sources = []
    for choice in ("Degraded input", "Clean image", "Error map"):
        strip.get_by_role("combobox", name="Left").select_option(label=choice)
        sources.append(strip.locator(".left").get_attribute("src"))
    assert len(set(sources)) == 3
    strip.get_by_role("button", name="4×").click()
    assert strip.locator(".stage").evaluate("node => node.clientWidth") == 4 * 64
    assert strip.locator(".right").evaluate("node => getComputedStyle(node).imageRendering") == "pixelated"
    divided = "node => parseFloat(node.style.getPropertyValue('--at'))"
    tab.page.set_viewport_size({"width": 300, "height": 900})  # the image at 4x is wider than what is seen of it
    pane, at = strip.locator(".pane"), strip.locator(".stage")
    pane.evaluate("node => { node.scrollLeft = 0; }")
    tab.page.wait_for_function("() => document.querySelector('#strip-0 .pane').clientWidth < 256")
    tab.page.wait_for_timeout(100)
    left = at.evaluate(divided)
    pane.evaluate("node => { node.scrollLeft = 1000; }")
    tab.page.wait_for_timeout(100)
    assert left < 50 < at.evaluate(divided)  # in the middle of what is seen
    strip.get_by_role("button", name="1×").click()
    assert strip.locator(".stage").evaluate("node => node.clientWidth") == 64
    loaded = "nodes => nodes.every(node => node.complete && node.naturalWidth === 64)"
    strip.scroll_into_view_if_needed()
    tab.page.wait_for_timeout(200)
    assert strip.locator("img").evaluate_all(loaded)


@needs_browser
def test_figures_answer_the_mouse_and_their_selects(tab: Tab) -> None:
    figure = tab.page.locator("#cost")
    figure.scroll_into_view_if_needed()
    point = figure.locator(".scatterlayer .points path").first.bounding_box()
    assert point is not None
    tab.page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    label = figure.locator(".hoverlayer .hovertext")
    label.first.wait_for()
    assert "dB" in label.first.inner_html()
    before = figure.locator("figcaption").inner_text()
    figure.get_by_role("combobox", name="Cost").select_option("latency")
    assert "latency" in figure.locator("figcaption").inner_text()
    assert before != figure.locator("figcaption").inner_text()
    differences = tab.page.locator("#differences")
    differences.get_by_role("combobox", name="minus").select_option(label="KBNet (tiny)")
    assert "RBaIR (tiny) is better on" in differences.locator("figcaption").inner_text()
    differences.locator("summary").click()
    assert differences.locator("tbody tr").count() == 8
    differences.get_by_role("combobox", name="minus").select_option(label="RBaIR (tiny)")
    assert "Choose two different" in differences.locator("figcaption").inner_text()
    assert differences.locator(".barlayer path").count() == 0
    differences.get_by_role("combobox", name="minus").select_option(label="DaAIR (tiny)")
    assert differences.locator(".barlayer .point").count() == 8


@needs_browser
def test_a_difference_turned_round_has_the_opposite_sign(tab: Tab) -> None:
    caption = tab.page.locator("#differences figcaption")

    def caption_of(first: str, second: str) -> tuple[float, float, float]:
        tab.page.locator("#difference-a").select_option(label=first)
        tab.page.locator("#difference-b").select_option(label=second)
        numbers = re.search(r"difference (\S+) dB \[(\S+), (\S+)\]", caption.inner_text().replace("−", "-"))
        assert numbers
        mean, low, high = map(float, numbers.groups())
        return mean, low, high

    mean, low, high = caption_of("AnyIR (tiny)", "KBNet (tiny)")
    assert low < mean < high
    assert caption_of("KBNet (tiny)", "AnyIR (tiny)") == (-mean, -high, -low)


@needs_browser
def test_every_link_and_source_resolves(tab: Tab, report: Path) -> None:
    addresses: set[str] = set()
    for suite in tab.page.locator("#suite option").all_inner_texts():
        tab.page.get_by_label("Suite").select_option(label=suite)
        tab.page.get_by_role("button", name="AnyIR (tiny)").first.click()
        gather = "nodes => nodes.map(node => node.href || node.src)"
        addresses |= set(tab.page.locator("[href], [src]").evaluate_all(gather))
        tab.page.keyboard.press("Escape")
    files = {url.partition("#")[0] for url in addresses if url.startswith("file:")}
    assert sum(url.endswith("record.json") for url in files) == 10
    assert sum("/images/" in url for url in files) > 40
    assert [url for url in files if not Path(url.removeprefix("file://")).is_file()] == []
    assert [url for url in addresses if not url.startswith(("file:", "data:"))] == []


@needs_browser
def test_lpips_has_a_column_where_a_run_computed_it(browser: Any, tmp_path: Path) -> None:
    results = write_store(
        tmp_path, suites=("5d",), gains={"rbair": 3, "anyir": 2}, images=2, previews=False, lpips={"rbair": 0.1234}
    )
    opened = Tab(browser, write_page(groups(read_cells(results)[0]), tmp_path / "report").as_uri())
    assert "LPIPS" in opened.page.locator("#board thead").inner_text()
    rows = {name: opened.page.locator("#board tbody tr", has_text=name).inner_text() for name in ("RBaIR", "AnyIR")}
    assert "0.1234" in rows["RBaIR"]
    assert "0.1234" not in rows["AnyIR"]
    opened.page.get_by_role("button", name="RBaIR").first.click()
    assert opened.page.locator("dialog").get_by_text("0.1234").count() == 5
    assert opened.trouble == []
    opened.close()


@needs_browser
def test_lpips_has_no_column_where_no_run_computed_it(view: Tab) -> None:
    assert "SSIM" in view.page.locator("#board thead").inner_text()
    assert "LPIPS" not in view.page.locator("#board thead").inner_text()


@needs_browser
def test_another_image_of_a_task_can_be_picked_and_the_choice_of_restorer_stays(tab: Tab) -> None:
    strip = tab.page.locator("#strip-0")
    picker = strip.get_by_role("combobox", name="Image")
    names = picker.locator("option").all_inner_texts()
    assert len(names) == len(set(names)) == 8
    strip.locator(".thumbnails button", has_text="KBNet").click()
    strip.get_by_role("combobox", name="Left").select_option(label="Clean image")
    before = strip.locator(".right").get_attribute("src")
    picker.select_option(label=names[3])
    assert strip.locator("h3 .unit").inner_text() == names[3]
    after = strip.locator(".right").get_attribute("src")
    assert after != before
    assert "kbnet" in str(after)
    assert "clean" in str(strip.locator(".left").get_attribute("src"))
    assert strip.get_by_role("combobox", name="Image").evaluate("node => node === document.activeElement")
    other = tab.page.locator("#strip-1").get_by_role("combobox", name="Image")
    assert other.locator("option").count() == 8


@needs_browser
def test_zoom_is_one_for_all_pictures_and_thumbnails_show_the_same_part(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 300, "height": 900})
    tab.page.locator("#strip-0").get_by_role("button", name="4×").click()
    for strip in tab.page.locator(".strip").all():
        assert strip.locator(".stage").evaluate("node => node.clientWidth") == 4 * 64
        assert strip.locator(".zooms [aria-pressed=true]").inner_text() == "4×"
    strip = tab.page.locator("#strip-0")
    pane, list_ = strip.locator(".pane"), strip.locator(".thumbnails")
    tab.page.wait_for_function("() => document.querySelector('#strip-0 .pane').clientWidth < 256")
    pane.evaluate("node => { node.scrollLeft = 10; }")
    tab.page.wait_for_timeout(100)
    seen = pane.evaluate("node => node.clientWidth")
    times, part = (
        float(list_.evaluate("(node, name) => node.style.getPropertyValue(name)", name)) for name in ("--times", "--x")
    )
    assert times == pytest.approx(256 / seen, abs=1e-3)
    scrolled = pane.evaluate("node => node.scrollLeft")
    assert scrolled > 0
    assert part == pytest.approx(scrolled / 256, abs=1e-3)
    picture = list_.locator(".window").nth(1)
    inner = picture.locator("img").bounding_box()
    outer = picture.bounding_box()
    assert inner is not None
    assert outer is not None
    assert inner["width"] == pytest.approx(times * outer["width"], rel=0.01)
    assert outer["x"] - inner["x"] == pytest.approx(part * inner["width"], abs=0.6)


@needs_browser
def test_error_maps_have_a_scale_with_the_colours_they_are_drawn_in(view: Tab) -> None:
    scale = view.page.locator("#strip-0 .scale")
    assert re.fullmatch(r"Error: 0\s*\d+ and more, of 255", scale.inner_text().replace("\n", " "))
    ramp = scale.locator(".ramp").evaluate("node => getComputedStyle(node).backgroundImage")
    colours = [tuple(map(int, re.findall(r"\d+", one))) for one in re.findall(r"rgb\([^)]*\)", ramp)]
    table = matplotlib.colormaps["inferno"]
    assert colours == [table(step / 8, bytes=True)[:3] for step in range(9)]
    assert scale.locator(".ramp").evaluate("node => node.clientWidth") > 40


@needs_browser
def test_the_table_can_be_downloaded_as_csv(tab: Tab, report: Path) -> None:
    with tab.page.expect_download() as started:
        tab.page.get_by_role("link", name="Download CSV").click()
    assert started.value.suggested_filename == "3d-embedded-256-promptir-v1.csv"
    lines = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    (best,) = (
        one for one in lines if (one["restorer"], one["task"], one["metric"]) == ("RBaIR (tiny)", "average", "psnr")
    )
    row = tab.page.locator("#board tbody tr", has_text="RBaIR (tiny)").locator("td").first
    assert f"{float(best['mean']):.2f}" == row.locator(".value").inner_text()
    assert f"[{float(best['low']):.2f}, {float(best['high']):.2f}]" == row.locator(".interval").inner_text()
    assert (best["weights"], best["mark"], best["images"], best["clusters"]) == ("bundled", "tie", "40", "8")
    assert {one["metric"] for one in lines} == {"psnr", "ssim", "params", "macs", "latency_ms", "peak_mib"}


@needs_browser
def test_the_fullest_suite_is_shown_first(browser: Any, tmp_path: Path) -> None:
    results = write_store(tmp_path, suites=("3d",), gains={"rbair": 3, "kbnet": 1}, images=2, previews=False)
    write_store(tmp_path, suites=("5d",), gains={"rbair": 3, "kbnet": 1, "anyir": 2}, images=2, previews=False)
    opened = Tab(browser, write_page(groups(read_cells(results)[0]), tmp_path / "report").as_uri())
    assert opened.page.locator("#suite").input_value() == "5d on embedded-256"
    assert not opened.page.locator("#images").is_visible()  # no picture was kept
    assert not opened.page.get_by_role("link", name="Images").is_visible()
    assert opened.trouble == []
    opened.close()


@needs_browser
def test_nothing_empty_is_selected(tab: Tab, browser: Any, tmp_path: Path) -> None:
    tab.page.get_by_label("Suite").select_option(label="5d on embedded-256")
    task = tab.page.locator("#difference-task")
    for label in task.locator("option").all_inner_texts():  # KBNet has no low light
        task.select_option(label=label)
        first, second = (tab.page.locator(f"#difference-{id}").input_value() for id in "ab")
        assert first != second
        assert tab.page.locator("#differences .barlayer .point").count() >= 7
        shown = tab.page.locator("#difference-a option").all_inner_texts()
        assert ("KBNet (tiny)" in shown) == (label != "lowlight")
    results = write_store(tmp_path, suites=("5d",), gains={"identity": 0, "rbair": 3}, images=2, previews=False)
    opened = Tab(browser, write_page(groups(read_cells(results)[0]), tmp_path / "report").as_uri())
    assert not opened.page.locator("#differences").is_visible()
    assert opened.page.locator("#cost").is_visible()
    assert opened.trouble == []
    opened.close()
