"""Pictures of events: rows and curves, and that strangers' names are harmless."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from matrix_membership import auth
from matrix_membership._picture import picture
from matrix_membership.advice import plans
from matrix_membership.advice.pages import page_of, page_of_explanation
from matrix_membership.advice.what_if import what_if
from matrix_membership.client.planning import plan_upgrade
from matrix_membership.events import Event
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import V11
from tests.builders import ANA, BEN, CAY, a_levelled_room, a_room

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines: str) -> ET.Element:
    return ET.fromstring(lines)  # noqa: S314 - this library wrote it


def named(event_type: str, key: str) -> Event:
    fields = {"type": event_type, "state_key": key, "sender": ANA, "content": {}}
    return Event.from_client_event(fields, V11)


def test_has_a_row_for_each_event_and_a_curve_for_each_pair() -> None:
    events = [named("m.room.name", ""), named("m.room.topic", "")]
    found = drawn("".join(picture("two", events, [(1, 0)], {1: "late"})))
    texts = [text.text for text in found.iter(f"{SVG}text")]
    assert texts == ["m.room.name", f"by {ANA}", "m.room.topic (late)", f"by {ANA}"]
    assert len(list(found.iter(f"{SVG}circle"))) == 2
    assert len(list(found.iter(f"{SVG}path"))) == 1
    assert [part.get("class") for part in found.iter(f"{SVG}circle")] == [None, "lost"]


@pytest.mark.parametrize("text", ["<script>", "\u202eevil", "x" * 255, "]]>&"], ids=ascii)
def test_is_harmless_whatever_strangers_write(text: str) -> None:
    found = drawn("".join(picture("one", [named(text, text)], [], {})))
    shown = [str(part.text) for part in found.iter(f"{SVG}text")]
    assert {part.tag for part in found} == {f"{SVG}title", f"{SVG}circle", f"{SVG}text"}
    assert all(len(line) <= 43 and line.isprintable() for line in shown)


def on(page: str) -> ET.Element:
    return drawn(page[page.index("<svg") : page.index("</svg>") + 6])


def rows(picture: ET.Element) -> list[str]:
    """The first line of each event, above the line of its sender."""
    texts = [part for part in picture.iter(f"{SVG}text") if part.get("class") != "soft"]
    return [str(part.text) for part in texts]


def test_of_an_explanation_shows_what_was_read() -> None:
    room = a_room(V11)
    refused = auth.explain(room.join(BEN), room.state)
    page = page_of_explanation("no", refused)
    found = on(page)
    assert len(list(found.iter(f"{SVG}circle"))) == len(refused.evidence) + 1
    assert len(list(found.iter(f"{SVG}path"))) == len(refused.evidence) > 0
    assert "m.room.member join (not allowed)" in page
    allowed = auth.explain(room.leave(ANA), room.state)
    assert "(not allowed)" not in page_of_explanation("yes", allowed)


def test_of_what_would_be_leads_from_an_event_to_those_before_it() -> None:
    room = a_levelled_room(V11, users={ANA: 100, BEN: 50}).with_member(BEN, JOIN)
    room = room.with_member(CAY, JOIN)
    lowered = room.event("m.room.power_levels", ANA, {"users": {ANA: 100}}, "")
    found = what_if(room.state, [lowered, room.kick(BEN, CAY)])
    first, second = found.steps
    assert lowered in second.evidence
    assert lowered not in first.evidence
    shown = on(page_of(found))
    assert rows(shown)[-2:] == ["m.room.power_levels", "m.room.member leave (no effect)"]
    assert len(list(shown.iter(f"{SVG}path"))) == len(first.evidence) + len(second.evidence)


def test_of_no_events_is_left_out() -> None:
    page = page_of(what_if(a_levelled_room(V11).state, []))
    assert "<svg" not in page
    assert "0 of 0 events would take effect" in page


def test_of_what_would_be_counts_the_events_that_have_no_place() -> None:
    room = a_levelled_room(V11).with_member(CAY, JOIN)
    page = page_of(what_if(room.state, [room.kick(CAY, ANA)] * 23))
    assert "Events not drawn: 3." in page
    assert len(rows(on(page))) <= 40


def test_of_a_plan_shows_its_events_in_order() -> None:
    room = a_levelled_room(V11, users={ANA: 100}).with_member(BEN, JOIN)
    assert rows(on(page_of(plans.hand_over(room.state, BEN))))[-1] == "m.room.power_levels"
    assert "<svg" not in page_of(plans.hand_over(room.state, ANA))
    upgrade = plan_upgrade(room.state, "12")
    assert rows(on(page_of(upgrade)))[-1] == upgrade.events[-1].type
