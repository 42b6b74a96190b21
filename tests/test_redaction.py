"""What survives redaction."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership.errors import InvalidEvent
from matrix_membership.redaction import redact
from matrix_membership.room_versions import V8, V10, V11, V12, RoomVersion
from tests.builders import VERSIONS

ALWAYS = [
    "event_id",
    "type",
    "room_id",
    "sender",
    "state_key",
    "content",
    "hashes",
    "signatures",
    "depth",
    "prev_events",
    "auth_events",
    "origin_server_ts",
]
UNTIL_10 = ["prev_state", "origin", "membership"]
LEVELS = [
    "ban",
    "events",
    "events_default",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
]

NEWEST = len(VERSIONS)

# Event type, content keys, the first and the last version in which they survive.
TABLE = [
    ("m.room.member", ["membership"], 1, NEWEST),
    ("m.room.member", ["join_authorised_via_users_server"], 9, NEWEST),
    ("m.room.create", ["creator"], 1, NEWEST),
    ("m.room.create", ["room_version", "m.federate", "x"], 11, NEWEST),
    ("m.room.join_rules", ["join_rule"], 1, NEWEST),
    ("m.room.join_rules", ["allow"], 8, NEWEST),
    ("m.room.power_levels", LEVELS, 1, NEWEST),
    ("m.room.power_levels", ["invite"], 11, NEWEST),
    ("m.room.power_levels", ["notifications"], 99, 99),
    ("m.room.aliases", ["aliases"], 1, 5),
    ("m.room.history_visibility", ["history_visibility"], 1, NEWEST),
    ("m.room.redaction", ["redacts"], 11, NEWEST),
    ("m.room.message", ["body"], 99, 99),
]


def redacted(event_type: str, content: Any, version: RoomVersion) -> Any:
    return redact({"type": event_type, "content": content}, version)["content"]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestRedaction:
    def test_keeps_top_level_keys(self, version: RoomVersion) -> None:
        event: dict[str, Any] = dict.fromkeys([*ALWAYS, *UNTIL_10, "unsigned", "redacts", "x"], 1)
        event |= {"type": "x", "content": {"a": 1}}
        kept = ALWAYS if int(version.identifier) >= 11 else [*ALWAYS, *UNTIL_10]
        assert sorted(redact(event, version)) == sorted(kept)

    @pytest.mark.parametrize(("event_type", "keys", "first", "last"), TABLE)
    def test_keeps_content(
        self, version: RoomVersion, event_type: str, keys: list[str], first: int, last: int
    ) -> None:
        content = dict.fromkeys(keys, 1)
        kept = content if first <= int(version.identifier) <= last else {}
        assert redacted(event_type, {**content, "displayname": 2}, version).items() >= kept.items()
        if event_type != "m.room.create":
            assert redacted(event_type, {**content, "displayname": 2}, version) == kept

    @pytest.mark.parametrize(
        ("invite", "kept"),
        [
            ({"signed": {"a": 1}, "display_name": "b"}, {"signed": {"a": 1}}),
            ({"signed": None}, {"signed": None}),
            ({}, {}),
            (None, ...),
            ("x", ...),
        ],
    )
    def test_keeps_what_is_signed_of_a_third_party_invite(
        self, version: RoomVersion, invite: Any, kept: Any
    ) -> None:
        found = redacted("m.room.member", {"third_party_invite": invite}, version)
        survives = int(version.identifier) >= 11 and kept is not ...
        assert found == ({"third_party_invite": kept} if survives else {})

    def test_is_the_same_in_a_version_of_ones_own(self, version: RoomVersion) -> None:
        mine = V12.evolve(identifier="mine", redaction_rules=int(version.identifier))
        event: dict[str, Any] = dict.fromkeys([*ALWAYS, *UNTIL_10], 1)
        for event_type, keys, _, _ in TABLE:
            event |= {"type": event_type, "content": dict.fromkeys(keys, 1)}
            assert redact(event, mine) == redact(event, version)


class TestWhatIsNoEvent:
    @pytest.mark.parametrize("pdu", [{}, {"type": 5}, {"type": "x"}, {"type": "x", "content": 1}])
    def test_is_refused(self, pdu: Any) -> None:
        with pytest.raises(InvalidEvent):
            redact(pdu, V11)


class TestOriginal:
    def test_is_left_alone(self) -> None:
        event = {"type": "x", "content": {"a": 1}, "unsigned": {}}
        before = str(event)
        redact(event, V10)
        assert str(event) == before

    def test_loses_its_authoriser_in_version_8_only(self) -> None:
        key = "join_authorised_via_users_server"
        assert redacted("m.room.member", {key: "@a:a"}, V8) == {}
        assert redacted("m.room.member", {key: "@a:a"}, V10) == {key: "@a:a"}
