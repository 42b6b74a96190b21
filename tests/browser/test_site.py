"""The documentation's site in a browser, from files: it fits, asks for nothing from elsewhere, and its search finds rules."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from matrix_membership import auth
from matrix_membership.auth import Decision
from tests.browser.conftest import WIDTHS, Show
from tests.builders import VERSIONS
from tests.sources import ROOT

pytestmark = pytest.mark.browser

SITE: Final = ROOT / "build" / "docs"
PAGES: Final = tuple(
    sorted(path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md"))
)


class Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.append(value)
            if (tag, name) in {("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")}:
                self.links.append(value or "")


@cache
def read(file: Path) -> Page:
    return Page(file)


def file_of(page: Path) -> Path:
    return SITE / f"{page}.html"


HIDDEN: Final = "all => all.map(table => table.scrollWidth - table.clientWidth).filter(Boolean)"


@pytest.mark.parametrize("width", WIDTHS)
def test_each_page_fits_and_asks_for_nothing_from_elsewhere(show: Show, width: int) -> None:
    faults = []
    shown = show(file_of(PAGES[0]), width=width)
    for page in PAGES:
        shown.page.goto(file_of(page).as_uri())
        if not shown.fits():
            faults.append((page.as_posix(), "scrolls sideways"))
        if width == max(WIDTHS) and shown.page.eval_on_selector_all(".table-wrapper", HIDDEN):
            faults.append((page.as_posix(), "has a table that is cut"))
    assert (faults, shown.errors, shown.outside()) == ([], [], [])


@pytest.mark.parametrize("page", PAGES, ids=Path.as_posix)
def test_links_of_a_page_lead_to_files_and_anchors(page: Path) -> None:
    """Those of the navigation as well as those of the text."""
    file = file_of(page)
    broken = []
    for link in read(file).links:
        address, anchor = urldefrag(link)
        if urlsplit(address).scheme:
            continue
        target = file.parent / unquote(urlsplit(address).path) if address else file
        if not target.is_file() or (anchor and unquote(anchor) not in read(target).anchors):
            broken.append(link)
    assert broken == []


def test_each_rule_of_each_version_has_its_anchor() -> None:
    decisions = [
        Decision(allowed=False, rule=rule.name, number=number, room_version=version, text="")
        for version in VERSIONS
        for number, rule in auth.rules_of(version)
    ]
    page, anchors = "reference/rules.html", read(SITE / "reference" / "rules.html").anchors
    assert {decision.docs_url for decision in decisions} <= {f"{page}#{each}" for each in anchors}
    assert len(anchors) == len({*anchors})


RETURN_TYPE: Final = re.compile(r"Return type<.*?</dt>\s*<dd[^>]*>(.*?)</dd>", re.DOTALL)


def test_no_sentence_passes_for_a_return_type() -> None:
    """The extension that reads docstrings takes all before the first colon for one."""
    pages = [file_of(page).read_text("utf-8") for page in PAGES]
    types = [re.sub("<.*?>", "", found) for page in pages for found in RETURN_TYPE.findall(page)]
    assert len(types) > 100
    assert [found for found in types if re.search(r"\. |^[A-Z]\w+ [a-z]|Cost", found)] == []


@pytest.mark.parametrize("number", ["4.3.5.2", "1.1", "8"])
def test_search_finds_a_rule_by_its_number(show: Show, number: str) -> None:
    shown = show(SITE / "search.html")
    shown.page.goto(f"{(SITE / 'search.html').as_uri()}?q={number}")
    found = shown.page.locator("#search-results a", has_text=f"rule {number} of version 10")
    found.first.click()
    assert shown.page.url.endswith(f"reference/rules.html#v10-{number}")
    assert (shown.errors, shown.outside()) == ([], [])


def test_the_first_column_stays_when_a_table_is_scrolled(show: Show) -> None:
    shown = show(SITE / "reference" / "rules.html", width=390)
    cell = shown.page.locator(".table-wrapper td").first
    before = cell.bounding_box()["x"]
    shown.page.locator(".table-wrapper").first.evaluate("table => table.scrollLeft = 200")
    assert cell.bounding_box()["x"] == before
