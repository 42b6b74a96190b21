"""The page: what it marks, that strangers' text changes nothing of it, and that a browser shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership.membership import BAN
from matrix_membership.resolution import Resolution, resets, resolve
from matrix_membership.room_versions import V1, V11
from tests.builders import ANA, BEN, CAY, DAN
from tests.resolution.forks import Fork, a_fork
from tests.resolution.room_graphs import a_case

SVG: Final = "{http://www.w3.org/2000/svg}"
HOSTILE: Final = (
    "<script>document.title='in'</script>",
    "\u202e\u2066evil\u200f",
    "'\"><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "שלום",
    "\x00\n\r\t",
    "w" * 180,
    "]]><!--",
)


def a_dispute(key: str = "") -> tuple[Fork, Resolution]:
    """Ben's topic loses against his demotion, Cay is banned on one branch."""
    room = a_fork(V11)
    late = room.branch()
    late.levels(ANA, {BEN: 0, CAY: 50})
    late.member(ANA, CAY, BAN)
    room.add("m.room.topic", BEN, {}, key)
    return room, resolve(V11, [room.state, late.state], room.events)


def picture(page: str) -> ET.Element:
    """The picture of a page."""
    found = re.search(r"<svg.*</svg>", page, re.DOTALL)
    assert found is not None
    return ET.fromstring(found.group())  # noqa: S314 - written by this project


def texts(page: str, name: str) -> list[str]:
    """The texts of a class in the picture."""
    return [
        found.text or "" for found in picture(page).iter(f"{SVG}text") if found.get("class") == name
    ]


class TestPicture:
    def test_marks_winners_and_losers(self) -> None:
        _, found = a_dispute()
        page = found.to_html()
        assert "wins" in texts(page, "won")
        assert " ".join(texts(page, "lost")).startswith(
            "loses: rejected by rule 7 of room version 11"
        )
        circles = [found.get("class") for found in picture(page).iter(f"{SVG}circle")]
        considered = found.story.considered
        assert circles.count("won") == sum(entry.wins for entry in considered)
        assert circles.count("lost") == 1

    def test_has_curves_to_auth_events(self) -> None:
        _, found = a_dispute()
        considered = {entry.event_id for entry in found.story.considered}
        edges = [
            name
            for event_id in considered
            for name in found._graph.auth_events(event_id)
            if name in considered
        ]
        drawn = [
            path
            for path in picture(found.to_html()).iter(f"{SVG}path")
            if "edge" in path.get("class", "")
        ]
        assert len(drawn) == len(edges) > 0

    def test_names_the_steps(self) -> None:
        _, found = a_dispute()
        assert texts(found.to_html(), "stage") == ["power events", "mainline"]

    def test_says_where_events_come_from(self) -> None:
        _, found = a_dispute()
        soft = " ".join(texts(found.to_html(), "soft"))
        assert "state 0; mainline position" in soft
        assert "state 1; power level" in soft

    def test_shows_events_that_are_not_at_hand(self) -> None:
        room = a_fork(V11)
        other = room.branch()
        del room.events[room.add("m.room.topic", ANA, {})]
        found = resolve(V11, [room.state, other.state], room.events, auth_difference={"$x"})  # type: ignore[arg-type]  # an ID
        page = found.to_html()
        assert "not considered" in texts(page, "stage")
        assert "loses: not at hand" in texts(page, "lost")
        assert "in no state, in an auth chain" in texts(page, "soft")

    def test_of_no_dispute_is_a_sentence(self) -> None:
        room = a_fork(V11)
        page = resolve(V11, [room.state, room.state], room.events).to_html()
        assert "Nothing was in dispute." in page
        assert "<svg" not in page

    def test_leaves_out_what_took_nothing_when_there_is_too_much(self) -> None:
        room = a_fork(V11)
        late = room.branch()
        late.levels(ANA, {BEN: 0, CAY: 50})
        room.add("m.room.topic", BEN, {})
        for number in range(240):
            room.add("x.note", ANA, {}, f"{number}")
        page = resolve(V11, [room.state, late.state], room.events).to_html()
        assert len(list(picture(page).iter(f"{SVG}circle"))) == 200
        assert any(text.startswith("loses: rejected by") for text in texts(page, "lost"))
        assert re.search(r"Events not drawn: \d+\.", page)
        assert "Places not listed: 42." in page


class TestWhatStrangersWrite:
    @pytest.mark.parametrize("text", HOSTILE, ids=ascii)
    def test_changes_no_element(self, text: str) -> None:
        """The page has the same elements as with a harmless state key of the same length."""
        harmless, hostile = (elements(a_dispute(key)[1].to_html()) for key in ("x", text))
        assert hostile == harmless

    @pytest.mark.parametrize("text", HOSTILE, ids=ascii)
    def test_leaves_no_invisible_character(self, text: str) -> None:
        page = a_dispute(text)[1].to_html()
        assert all(char.isprintable() or char == "\n" for char in page)

    def test_is_harmless_as_the_name_of_a_version_too(self) -> None:
        version = V11.evolve(identifier=HOSTILE[0])
        room = a_fork(version)
        page = resolve(version, [room.state], room.events).to_html()
        assert "<script" not in page

    def test_asks_the_network_for_nothing(self) -> None:
        page = a_dispute()[1].to_html().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "default-src 'none'" in page
        assert not re.search(r"https?:|src=|href=|@import|url\(", page)

    @given(st.text(), st.integers(0, 2**32))
    def test_is_always_well_formed(self, note: str, seed: int) -> None:
        case = a_case(seed)
        found = resolve(case.version, case.state_sets, case.events, rejected=case.rejected)
        page = found.to_html(notes=[note])
        assert elements(page).count("section") == 4
        if "<svg" in page:
            picture(page)


class TestNotes:
    def test_are_listed(self) -> None:
        room, found = a_dispute()
        page = found.to_html(notes=map(str, resets(room.state, found)))
        assert "<h2>Resets</h2>" in page
        assert "caused by" in page


class TestVersion1:
    def test_shows_passes(self) -> None:
        room = a_fork(V1)
        other = room.branch()
        room.add("m.room.topic", ANA, {})
        other.add("m.room.topic", DAN, {})
        page = resolve(V1, [room.state, other.state], room.events).to_html()
        assert "other events" in texts(page, "stage")


class Elements(HTMLParser):
    """Collects the names of elements, begun and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)


def elements(page: str) -> Sequence[str]:
    """The elements of a page in order."""
    parser = Elements()
    parser.feed(page)
    return parser.found
