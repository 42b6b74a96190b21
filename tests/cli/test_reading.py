"""What every command reads: the room version, and errors with their place."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership.cli._reading import UnreadableError, located, room_version_of
from matrix_membership.errors import InvalidMessage, UnknownRoomVersion
from matrix_membership.room_versions import V1, V11

CREATE = {"type": "m.room.create", "content": {"room_version": "11"}}


class TestRoomVersion:
    @pytest.mark.parametrize(
        ("named", "documents", "version"),
        [
            (None, [{"type": "m.room.name"}, CREATE], V11),
            (None, [{**CREATE, "content": {}}], V1),
            ("11", [CREATE], V11),
            ("11", [], V11),
            ("11", [{**CREATE, "content": 7}], V11),
        ],
    )
    def test_is_named_or_told(self, named: str | None, documents: Any, version: Any) -> None:
        assert room_version_of(named, documents) is version

    @pytest.mark.parametrize(
        ("named", "documents", "error"),
        [
            (None, [], InvalidMessage("state", "a create event, or --room-version", "neither")),
            (None, [{**CREATE, "content": 7}], UnknownRoomVersion(7)),
            ("x", [], UnknownRoomVersion("x")),
            (
                "10",
                [CREATE],
                InvalidMessage("m.room.create: room_version", "10, as --room-version says", "11"),
            ),
        ],
    )
    def test_is_never_guessed(self, named: str | None, documents: Any, error: Exception) -> None:
        with pytest.raises(type(error)) as raised:
            room_version_of(named, documents)
        assert raised.value == error


def test_an_error_is_told_with_its_place() -> None:
    with pytest.raises(UnreadableError) as raised, located("a.json"):
        raise UnknownRoomVersion("x")
    assert str(raised.value).startswith("a.json: room version: ")
