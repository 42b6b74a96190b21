"""A browser shows the pages of `whocan`, `whatif` and `plan`: they fit, and strangers' text is text."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix_membership import auth, lint
from matrix_membership.advice import plans
from matrix_membership.advice.pages import page_of, page_of_explanation, page_of_findings
from matrix_membership.advice.powers import who_can
from matrix_membership.advice.what_if import what_if
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import V11, V12
from tests.browser.conftest import SCHEMES, WIDTHS, Show
from tests.builders import ANA, BEN, CAY, Room, a_levelled_room, a_room

pytestmark = pytest.mark.browser

NAMES = (
    "@<script>document.title=1</script>" + "x" * 180 + ":b.example",
    "@\u202egnp.exe\u2066" + "\u0645\u0631\u062d\u0628\u0627" * 10 + ":b.example",
    "@" + "y" * 244 + ":b.example",
)


def room() -> Room:
    """A room of many ranks, with names that try to do something."""
    users = {ANA: 100, BEN: 75, CAY: 50, **dict.fromkeys(NAMES, 60), "@z:b.example": 25}
    made = a_levelled_room(V11, users=users, events={NAMES[0]: 5}, users_default=1)
    for user in users:
        made = made.with_member(user, JOIN)
    return made.with_content("m.room.server_acl", {"allow": ["*"], "deny": ["c.example"]})


def pages() -> dict[str, str]:
    made, twelve = room(), a_room(V12, additional_creators=[BEN]).with_member(BEN, JOIN)
    lowered = made.event("m.room.power_levels", ANA, {"users": {ANA: 100}, "ban": 60}, "")
    kicks = [made.kick(ANA, user) for user in NAMES]
    return {
        "whocan": page_of(who_can(made.state)),
        "whocan-12": page_of(who_can(twelve.state)),
        "whatif": page_of(what_if(made.state, [lowered, *kicks, made.ban(CAY, ANA)])),
        "explain": page_of_explanation("no", auth.explain(made.kick(NAMES[1], ANA), made.state)),
        "lint": page_of_findings(lint(made.state)),
        "plan": page_of(plans.hand_over(made.state, NAMES[0])),
        "plan-refused": page_of(plans.lock_out(made.state, ["*.example"])),
    }


PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [*zip(WIDTHS, reversed(SCHEMES), strict=True)])
def test_a_page(show: Show, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(PAGES[name], "utf-8")
    shown = show(file, width=width, scheme=scheme)
    shown.screenshot(f"{name}-{width}-{scheme}")
    assert shown.fits()
    shown.page.evaluate(
        "document.querySelectorAll('details').forEach((part) => { part.open = true; })"
    )
    assert shown.fits()
    assert shown.page.locator("script").count() == 0
    assert shown.page.locator("main h1").count() == 1
    assert shown.page.title() == shown.page.locator("h1").inner_text()
    assert (shown.errors, shown.outside()) == ([], [])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_have_contrast(show: Show, tmp_path: Path, scheme: str) -> None:
    """4.5 to 1, as WCAG asks of text."""
    file = tmp_path / "page.html"
    file.write_text(PAGES["plan"], "utf-8")
    shown = show(file, scheme=scheme)
    ratios = shown.page.evaluate(CONTRAST)
    assert len(ratios) > 20
    assert min(ratios) >= 4.5


CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => {
      const value = Number(part) / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("p, td, th, li, h1, h2, span, strong, caption, summary, a")].map(
    (element) => {
      const text = light(getComputedStyle(element).color);
      return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    },
  );
}"""


def test_is_used_with_a_keyboard(show: Show, tmp_path: Path) -> None:
    """Tables that scroll, links and folded parts are reached by the tab key, and unfold by enter."""
    file = tmp_path / "page.html"
    file.write_text(PAGES["whocan"], "utf-8")
    page = show(file, width=390).page
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.tagName"))
        if reached[-1] == "SUMMARY":
            break
    assert {"DIV", "SUMMARY"} <= {*reached}
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1


def test_is_printed_with_its_tables(show: Show, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(PAGES["plan"], "utf-8")
    page = show(file).page
    page.emulate_media(media="print")
    assert page.locator("table").first.is_visible()
    assert page.pdf().startswith(b"%PDF")
