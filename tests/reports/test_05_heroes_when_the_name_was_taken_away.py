"""A name that was taken away counts as absent: then the heroes describe the room."""

from __future__ import annotations

import json

from matrix_membership import RoomVersion
from matrix_membership.federation import SendJoinResponse
from tests.builders import everywhere
from tests.federation.conversation import a_public_room, accepted, signed
from tests.federation.signed_rooms import with_member, with_state
from tests.reports.given import report

NAME = "05-heroes-when-the-name-was-taken-away"


@everywhere
class TestJoinAnswer:
    def test_has_the_members_that_the_report_says(self, version: RoomVersion) -> None:
        given = report(NAME)["input"]
        room = a_public_room(version)  # its first member is Ana
        for user in given["members"][1:]:
            room = with_member(room, user, "join")
        for content in given["name"]:
            room = with_state(room, "m.room.name", content)
        answer = accepted(room, signed(room, omit_members=True)).response
        assert isinstance(answer, SendJoinResponse)
        pdus = map(json.loads, answer.state)
        members = [pdu["state_key"] for pdu in pdus if pdu["type"] == "m.room.member"]
        assert members == report(NAME)["expected"]["members_in_state"]
