"""An access control list that bans every server cannot be changed: nobody reads the change."""

from __future__ import annotations

from matrix_membership import lint
from tests.reports.given import state_of

NAME = "10-acl-without-a-way-back"


def test_the_remedy_is_another_room() -> None:
    (found,) = lint(state_of(NAME))
    assert (found.kind, found.concerns) == ("acl-bans-members", ("a.example", "b.example"))
    assert found.remedy == (
        "nobody can mend it from inside, because the servers of all who may change the list are"
        " banned: make another room, and invite the members"
    )
