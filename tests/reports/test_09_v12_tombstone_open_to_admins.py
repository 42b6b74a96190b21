"""In version 12 an admin who can send a tombstone moves the room away from its creators."""

from __future__ import annotations

from matrix_membership import lint, may
from tests.builders import BEN
from tests.reports.given import state_of

NAME = "09-v12-tombstone-open-to-admins"


def test_the_level_is_found() -> None:
    (found,) = lint(state_of(NAME))
    assert (found.kind, found.concerns) == ("tombstone-open", (BEN,))
    assert "m.room.tombstone needs level 50, and the creators' is infinite" in found.sentence


def test_the_admin_may_send_it() -> None:
    assert may(BEN, state_of(NAME)).set("m.room.tombstone")
