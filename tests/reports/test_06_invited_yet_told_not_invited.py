"""No rule knows the room's join rule. An invited user hears that, and not that the invite is missing."""

from __future__ import annotations

from matrix_membership import auth
from matrix_membership.client import join
from matrix_membership.federation import ResidentRoom
from matrix_membership.identifiers import ServerName
from tests.builders import DAN, Room
from tests.client.rooms import joins, refusal
from tests.reports.given import report, state_of

NAME = "06-invited-yet-told-not-invited"


class TestJoin:
    def room(self) -> ResidentRoom:
        """The room, as the server of both users knows it."""
        state = state_of(NAME)
        newest = [event.event_id for event in state.members.values()][-1:]
        return ResidentRoom(ServerName("a.example"), state, tuple(newest), 5, lambda _: None)

    def test_is_what_the_report_asks(self) -> None:
        assert report(NAME)["input"]["user"] == DAN

    def test_names_the_join_rule(self) -> None:
        outcome = join(joins(DAN, "!r:a.example"), self.room(), at=9)
        told = "the join rule of this room, 'private', lets nobody in: "
        version = "room version 11 does not know it"
        assert refusal(outcome) == (403, "M_FORBIDDEN", told + version)

    def test_is_explained_by_the_join_rule_and_the_invite(self) -> None:
        state = state_of(NAME)
        explanation = auth.explain(Room(state.room_version).join(DAN), state)
        facts = {fact.name: fact.value for fact in explanation.facts}
        assert facts == {f"membership of {DAN}": "invite", "join rule": "private"}
        assert [remedy.sentence.partition(" (")[0] for remedy in explanation.remedies] == [
            "set the join rule to public"
        ]
