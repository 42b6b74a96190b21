"""The page: its parts, and that strangers' text changes none of them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from matrix_membership.federation.diagnosis import Diagnosis, diagnose, read_capture
from matrix_membership.federation.diagnosis._story import MOST_SHOWN
from matrix_membership.federation.diagnosis.page import page_of
from matrix_membership.federation.handshake import JOINING
from matrix_membership.room_versions import V10, V11
from tests.federation.diagnosis.transcripts import (
    ALL_KEYS,
    Json,
    Play,
    also,
    everywhere,
    played,
    with_user,
)
from tests.federation.signed_rooms import a_signed_room, with_state
from tests.resolution.test_page import HOSTILE

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p"),
    *("dl", "dt", "dd", "ul", "ol", "li", "a", "code", "bdi", "strong", "span", "br", "pre"),
    *("details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "path", "circle", "text"),
}


class Tags(HTMLParser):
    """The tags and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def banned() -> Diagnosis:
    room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "public"})
    room = with_user(room, "ban")
    return diagnose(read_capture(played(Play(JOINING, room))), keys=ALL_KEYS, state=room.state)


def joined(**changes: Any) -> Diagnosis:
    room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "public"})
    return diagnose(read_capture(played(Play(JOINING, room, **changes))), keys=ALL_KEYS)


class TestPage:
    def test_tells_cause_rule_remedies_and_steps(self) -> None:
        page = page_of([banned()])
        assert "<h1><bdi>failed: join of @ben:b.example to !r:a.example</bdi></h1>" in page
        assert "the sender is banned" in page
        assert "unban @ben:b.example (by @ana:a.example)" in page
        assert "<h2>Rules tried</h2>" in page
        assert "403 M_FORBIDDEN" in page
        assert "membership of @ben:b.example: ban" in page

    def test_links_to_the_rules_and_to_nothing_else(self) -> None:
        links = set(Tags(page_of([banned()])).links)
        assert links == {"https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules"}

    def test_draws_the_events_of_an_answer(self) -> None:
        page = page_of([joined()])
        svg = page[page.index("<svg") : page.index("</svg>") + 6]
        picture = ET.fromstring(svg)  # noqa: S314 - this library wrote it
        names = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert "m.room.create" in names
        assert "m.room.member join" in names
        assert len(list(picture.iter("{http://www.w3.org/2000/svg}path"))) >= 3

    def test_marks_the_blamed_event(self) -> None:
        change = everywhere("m.room.join_rules", "", also(signatures={}))
        page = page_of([joined(answer=change)])
        assert "(blamed)" in page

    def test_tells_several_moves_one_after_the_other(self) -> None:
        page = page_of([banned(), joined()])
        assert "<h1><bdi>Diagnosis</bdi></h1>" in page
        assert page.count("<section>") == 2
        assert "<h2><bdi>succeeded: join of @ben:b.example to !r:a.example</bdi></h2>" in page

    def test_tells_what_is_missing_and_who_could_help(self) -> None:
        room = with_state(a_signed_room(V10), "m.room.join_rules", {"join_rule": "public"})
        cay = {"membership": "join"}
        room = with_state(
            room, "m.room.member", cay, sender="@cay:c.example", state_key="@cay:c.example"
        )
        told = (404, {"errcode": "M_NOT_FOUND"})
        found = diagnose(read_capture(played(Play(JOINING, room, made=told))), state=room.state)
        assert "would help: yes: <bdi>c.example</bdi>" in page_of([found])
        unknown = diagnose(read_capture(played(Play(JOINING, room, made=told))))
        assert "<h2>What is missing</h2>" in page_of([unknown])

    def test_tells_of_an_answer_alone(self) -> None:
        found = diagnose(read_capture({"errcode": "M_FORBIDDEN", "error": "no"}))
        assert "answer: <bdi>403 M_FORBIDDEN: no</bdi>\n</li>" in page_of([found])

    def test_of_a_large_answer_is_cut(self) -> None:
        def flooded(body: Json) -> Json:
            return {**body, "state": [*body["state"], *[{"type": "x" * 9_000}] * 60]}

        found = joined(answer=flooded)
        page = page_of([found])
        more = f"and {len(found.steps[1].findings) - MOST_SHOWN} more"
        assert more in page
        assert more in str(found)
        assert "more characters</pre>" in page
        assert len(found.steps[1].to_dict()["checks"]) > 60

    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_is_not_changed_by_strangers(self, text: str) -> None:
        line = {
            "uri": f"/_matrix/federation/v1/make_join/!r:a.example/{quote(text, safe='')}?ver={text}",
            "origin": text,
            "destination": text,
            "status": 403,
            "response": {"errcode": text, "error": text},
        }
        page = page_of([diagnose(read_capture(line))])
        assert set(Tags(page).names) <= ALLOWED
        assert all(char.isprintable() or char == "\n" for char in page)

    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_draws_strangers_text_as_text(self, text: str) -> None:
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "public"})
        room = with_state(room, f"m.{text}", {}, state_key=text)
        found = diagnose(read_capture(played(Play(JOINING, room))), keys=ALL_KEYS)
        assert set(Tags(page_of([found])).names) <= ALLOWED
