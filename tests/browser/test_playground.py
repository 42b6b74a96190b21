"""The playground answers in the page, and asks only the server that it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import pytest

from matrix_membership import may, read_state
from tests.browser.conftest import Shown
from tests.sources import ROOT

SITE: Final = ROOT / "build" / "docs"
BUILT: Final = (SITE / "playground" / "packages.zip").exists()

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not BUILT, reason="`make playground` was not run"),
]


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the site on this machine: a browser loads no WebAssembly from files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def playground(chromium: Any, address: str) -> Iterator[Shown]:
    """Open the page once, and wait until it can answer."""
    context = chromium.new_context(viewport={"width": 390, "height": 900})
    shown = Shown(context.new_page())
    shown.page.goto(f"{address}playground/index.html")
    shown.page.wait_for_selector("#ask:enabled", timeout=120_000)
    yield shown
    context.close()


def ask(
    playground: Shown, state: str, user: str, question: str, target: str = ""
) -> tuple[str, str]:
    """Fill in the form, send it, and read the verdict and the answer."""
    page = playground.page
    page.fill("#state", state)
    page.fill("#user", user)
    page.select_option("#question", question)
    if target:
        page.fill("#target", target)
    page.click("#ask")
    return page.inner_text("#verdict"), page.inner_text("#answer")


def test_answers_as_the_library_does(playground: Shown) -> None:
    example = playground.page.input_value("#state")
    state = read_state(json.loads(example))
    said = ask(playground, example, "@ben:b.example", "join")
    assert said == ("No", str(may("@ben:b.example", state).join()))
    said = ask(playground, example, "@ana:a.example", "unban", "@ben:b.example")
    assert said == ("Yes", str(may("@ana:a.example", state).unban("@ben:b.example")))
    playground.screenshot("playground-390")


def test_links_the_rule(playground: Shown, address: str) -> None:
    ask(playground, playground.page.input_value("#state"), "@ben:b.example", "join")
    assert playground.page.evaluate("document.getElementById('rule').href") == (
        f"{address}reference/rules.html#v11-4.3.3"
    )
    assert playground.page.inner_text("#remedies").startswith("unban @ben:b.example")


@pytest.mark.parametrize("state", ["", "{", "[]", "[1]", '"x"'])
def test_says_what_is_wrong_with_a_state(playground: Shown, state: str) -> None:
    before = playground.page.input_value("#state")
    verdict, _ = ask(playground, state, "@ben:b.example", "join")
    assert verdict == "This cannot be answered"
    playground.page.fill("#state", before)


def test_shows_text_of_strangers_as_text(playground: Shown) -> None:
    name = "@<img src=x onerror=alert(1)>:b.example"
    ask(playground, playground.page.input_value("#state"), name, "join")
    assert playground.page.locator("#result img").count() == 0


def test_asks_only_its_own_server_and_fits(playground: Shown, address: str) -> None:
    assert [url for url in playground.requests if not url.startswith((address, "data:"))] == []
    assert playground.errors == []
    assert playground.fits()
