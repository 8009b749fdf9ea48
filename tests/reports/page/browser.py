"""An open page in Chromium, and what went wrong in it."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ABSENT = [
    name
    for name, program in (("chromium", CHROMIUM), ("playwright", importlib.util.find_spec("playwright")))
    if not program
]
needs_browser = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")


class Tab:
    """An open page, and what went wrong in it."""

    def __init__(self, browser: Any, url: str, *, width: int = 1440, theme: str = "light") -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        self.close = context.close
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)  # a busy machine takes its time
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text) if message.type != "log" else None)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url, self.size = url, {"width": width, "height": 900}
        self.fresh = False
        self.load()

    def load(self) -> None:
        """Open the page anew, as it was at first, unless it still is."""
        if not self.fresh:
            self.page.set_viewport_size(self.size)
            self.page.goto(self.url)
            self.page.wait_for_selector("#cost-plot .main-svg")
            self.fresh = True

    def expect_rows(self, *names: str) -> None:
        """Wait until the table has these rows in this order; sorting and filtering finish a moment after the event."""
        from playwright.sync_api import expect

        expect(self.page.locator("#board tbody th button")).to_have_text(list(names))


def head(tab: Tab, name: str) -> Any:
    return tab.page.locator("#board thead th", has=tab.page.locator(".head", has_text=name))
