"""An invite of another server's user into a closed room: allowed by the rules, never to be accepted.

The user hears that before the invite is sent, and `lint` tells it afterwards.
"""

from __future__ import annotations

from matrix_membership import auth, lint, may
from matrix_membership.client import invite
from matrix_membership.fate import fate_of
from matrix_membership.federation import ResidentRoom
from matrix_membership.identifiers import ServerName
from tests.builders import ANA, BEN
from tests.client.rooms import about, refusal
from tests.reports.given import report, state_of

NAME = "04-invite-into-an-unfederated-room"
TOLD = f"this room is closed to other servers: {BEN} can never join it"


class TestInvite:
    def test_is_what_the_report_asks(self) -> None:
        asked = report(NAME)["input"]
        assert (asked["user"], asked["target"]) == (ANA, BEN)

    def test_is_refused(self) -> None:
        state = state_of(NAME)
        newest = tuple(event.event_id for event in state.members.values())
        room = ResidentRoom(ServerName("a.example"), state, newest, 4, lambda _: None)
        outcome = invite(about(ANA, "!r:a.example", BEN), room, at=9)
        assert refusal(outcome) == (403, "M_FORBIDDEN", TOLD)

    def test_has_a_fate_that_can_be_asked_before(self) -> None:
        fate = fate_of(BEN, state_of(NAME))
        assert (fate.can_accept, fate.can_reject, fate.obstacle) == (False, False, TOLD)


def test_may_warns_before_it_is_sent() -> None:
    asked = report(NAME)["input"]
    answer = may(asked["user"], state_of(NAME)).invite(asked["target"])
    assert not answer
    assert str(answer) == (
        "no: this room is closed to other servers: @ben:b.example can never join it"
    )


def test_lint_lists_the_invited_user() -> None:
    asked = report(NAME)["input"]
    state = state_of(NAME)
    assert lint(state) == ()
    asked_of = may(asked["user"], state).invite(asked["target"])
    assert auth.check(asked_of.event, state)
    (found,) = lint(state.with_event(asked_of.event))
    assert (found.kind, found.concerns) == ("invited-cannot-join", (asked["target"],))
    assert "the room is closed to other servers" in found.sentence
