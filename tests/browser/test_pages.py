"""A browser shows the pages that the commands write: they fit, and nothing that strangers wrote runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix_membership.federation.diagnosis import diagnose, read_capture
from matrix_membership.federation.diagnosis.page import page_of
from matrix_membership.federation.handshake import JOINING
from matrix_membership.proposals import compare
from matrix_membership.resolution import resets
from matrix_membership.room_versions import V11, V12
from tests.browser.conftest import SCHEMES, WIDTHS, Show, Shown
from tests.federation.diagnosis.transcripts import ALL_KEYS, Play, played, with_user
from tests.federation.signed_rooms import a_signed_room, with_state
from tests.resolution.test_page import HOSTILE, a_dispute

pytestmark = pytest.mark.browser

BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}


def style(shown: Shown, name: str) -> str:
    """A computed style of the page's body."""
    return str(shown.page.evaluate(f"getComputedStyle(document.body).{name}"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_resolution(show: Show, tmp_path: Path, width: int, scheme: str) -> None:
    """It fits the width, its picture is not shrunk, and strangers' scripts do not run."""
    room, found = a_dispute(HOSTILE[0] + HOSTILE[1] + HOSTILE[6])
    file = tmp_path / "page.html"
    file.write_text(found.to_html(notes=map(str, resets(room.state, found))), "utf-8")
    shown = show(file, width=width, scheme=scheme)
    shown.screenshot(f"resolution-{width}-{scheme}")
    assert shown.page.title() == "State resolution 2, room version 11"
    assert shown.fits()
    assert shown.page.locator("svg").first.bounding_box()["width"] >= 350
    assert shown.page.locator("script").count() == 0
    assert style(shown, "backgroundColor") == BACKGROUNDS[scheme]
    assert (shown.errors, shown.outside()) == ([], [])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison(show: Show, tmp_path: Path, width: int) -> None:
    file = tmp_path / "page.html"
    file.write_text(compare(V11, V12).to_html().replace("<details>", "<details open>"), "utf-8")
    shown = show(file, width=width)
    shown.screenshot(f"comparison-{width}")
    assert shown.fits()
    assert (shown.errors, shown.outside()) == ([], [])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_diagnosis(show: Show, tmp_path: Path, width: int, scheme: str) -> None:
    """It fits, its picture is not shrunk, and strangers' scripts do not run."""
    room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "public"})
    room = with_state(room, "m.room.name", {"name": HOSTILE[0]}, state_key=HOSTILE[6])
    joined = diagnose(read_capture(played(Play(JOINING, room))), keys=ALL_KEYS)
    banned = with_user(room, "ban")
    refused = diagnose(read_capture(played(Play(JOINING, banned))), state=banned.state)
    hostile = diagnose(read_capture({"errcode": HOSTILE[2], "error": "".join(HOSTILE)}))
    file = tmp_path / "page.html"
    page = page_of([refused, joined, hostile]).replace("<details>", "<details open>")
    file.write_text(page, "utf-8")
    shown = show(file, width=width, scheme=scheme)
    shown.screenshot(f"diagnosis-{width}-{scheme}")
    assert shown.page.title() == "Diagnosis"
    assert shown.page.locator("main").count() == 1
    assert shown.page.get_by_text("the sender is banned").count()
    assert shown.fits()
    assert shown.page.locator("svg").first.bounding_box()["width"] >= 350
    assert shown.page.locator("script").count() == 0
    assert style(shown, "backgroundColor") == BACKGROUNDS[scheme]
    assert (shown.errors, shown.outside()) == ([], [])
