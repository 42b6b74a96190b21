"""Nobody can lift the ban of a user who has as much power as everybody who is left."""

from __future__ import annotations

from matrix_membership import lint, who_may
from tests.builders import BEN
from tests.reports.given import state_of

NAME = "08-banned-and-as-powerful-as-everybody"


def test_the_ban_is_found() -> None:
    (found,) = lint(state_of(NAME))
    assert (found.kind, found.concerns) == ("nobody-can-unban", (BEN,))
    assert found.sentence.startswith("nobody can lift the ban of these users: ")


def test_nobody_may_lift_it() -> None:
    assert list(who_may(state_of(NAME), lambda user: user.unban(BEN))) == []
