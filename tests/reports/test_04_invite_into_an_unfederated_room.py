"""An invite of another server's user into a closed room: allowed by the rules, never to be accepted."""

from __future__ import annotations

from matrix_membership import auth, lint, may
from tests.reports.given import report, state_of

NAME = "04-invite-into-an-unfederated-room"


def test_lint_lists_the_invited_user() -> None:
    asked = report(NAME)["input"]
    state = state_of(NAME)
    assert lint(state) == ()
    invite = may(asked["user"], state).invite(asked["target"])
    assert auth.check(invite.event, state)
    (found,) = lint(state.with_event(invite.event))
    assert (found.kind, found.concerns) == ("invited-cannot-join", (asked["target"],))
    assert "the room is closed to other servers" in found.sentence
