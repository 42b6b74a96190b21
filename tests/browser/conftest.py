"""A headless Chromium, started once for all tests of pages. It may ask the network for nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

SCREENSHOTS: Final = Path("build/screenshots")

WIDTHS: Final = (390, 1280)
SCHEMES: Final = ("light", "dark")


class Shown:
    """An open page, with the errors and requests that the browser reported."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def fits(self) -> bool:
        """Tell whether all of the page shows without scrolling sideways."""
        root = "document.documentElement"
        return bool(self.page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))

    def outside(self) -> list[str]:
        """The requests that left the folder of the page."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]

    def screenshot(self, name: str) -> None:
        """Keep a picture of the whole page, to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


Show = Callable[..., Shown]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - `make test` has no playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no Chromium in PATH: `make browser` says so, and leaves the tests out"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Any) -> Iterator[Show]:
    """Open a file: `show(path, width=390, scheme="dark")`."""
    with ExitStack() as opened:

        def open_page(file: Path, *, width: int = 1280, scheme: str = "light") -> Shown:
            context = chromium.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
            )
            opened.callback(context.close)
            shown = Shown(context.new_page())
            shown.page.goto(file.resolve().as_uri())
            return shown

        yield open_page
