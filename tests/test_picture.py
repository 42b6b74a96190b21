"""Pictures of events: rows and curves, and that strangers' names are harmless."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from matrix_membership import auth
from matrix_membership._picture import picture
from matrix_membership.advice.pages import page_of_explanation
from matrix_membership.events import Event
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, a_room

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines: str) -> ET.Element:
    return ET.fromstring(lines)  # noqa: S314 - this library wrote it


def named(event_type: str, key: str) -> Event:
    fields = {"type": event_type, "state_key": key, "sender": ANA, "content": {}}
    return Event.from_client_event(fields, V11)


def test_has_a_row_for_each_event_and_a_curve_for_each_pair() -> None:
    events = [named("m.room.name", ""), named("m.room.topic", "")]
    found = drawn("".join(picture("two", events, [(1, 0)], 1, "late")))
    texts = [text.text for text in found.iter(f"{SVG}text")]
    assert texts == ["m.room.name", f"by {ANA}", "m.room.topic (late)", f"by {ANA}"]
    assert len(list(found.iter(f"{SVG}circle"))) == 2
    assert len(list(found.iter(f"{SVG}path"))) == 1
    assert [part.get("class") for part in found.iter(f"{SVG}circle")] == [None, "lost"]


@pytest.mark.parametrize("text", ["<script>", "\u202eevil", "x" * 255, "]]>&"], ids=ascii)
def test_is_harmless_whatever_strangers_write(text: str) -> None:
    found = drawn("".join(picture("one", [named(text, text)], [], -1, "")))
    shown = [str(part.text) for part in found.iter(f"{SVG}text")]
    assert {part.tag for part in found} == {f"{SVG}title", f"{SVG}circle", f"{SVG}text"}
    assert all(len(line) <= 43 and line.isprintable() for line in shown)


def test_of_an_explanation_shows_what_was_read() -> None:
    room = a_room(V11)
    refused = auth.explain(room.join(BEN), room.state)
    page = page_of_explanation("no", refused)
    found = drawn(page[page.index("<svg") : page.index("</svg>") + 6])
    assert len(list(found.iter(f"{SVG}circle"))) == len(refused.evidence) + 1
    assert len(list(found.iter(f"{SVG}path"))) == len(refused.evidence) > 0
    assert "m.room.member join (not allowed)" in page
    allowed = auth.explain(room.leave(ANA), room.state)
    assert "(not allowed)" not in page_of_explanation("yes", allowed)
