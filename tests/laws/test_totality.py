"""Whatever JSON comes, every public entry gives a value or one of our errors, in bounded time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import Event, RoomVersion, auth, signing
from matrix_membership.canonical_json import JsonFloat, decode, encode, freeze
from matrix_membership.errors import InvalidEvent, InvalidJson, MatrixMembershipError
from matrix_membership.room_versions import V1, V5, V6, V10, V12
from tests.builders import ANA, BEN, KEYS, VERSIONS, a_room
from tests.entries import CLIENT_FIELDS, ENTRIES, NOT_FROM_OUTSIDE, WITHIN, taking_json, total
from tests.generated_cases import events_of, generate

pytestmark = pytest.mark.long

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([ANA, BEN, "m.room.member", "join", "$x:a.example", "!r:a.example"])
)
KEYS_OF_EVENTS = st.sampled_from(
    [
        "type",
        "sender",
        "state_key",
        "content",
        "membership",
        "users",
        "signatures",
        "hashes",
        "sha256",
        "third_party_invite",
        "signed",
        "allow",
        "state",
        "auth_chain",
        "event",
        "server_name",
        "verify_keys",
    ]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS_OF_EVENTS | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)
CONTENTS = st.dictionaries(KEYS_OF_EVENTS | st.text(max_size=4), JSON, max_size=6)
ANYTHING = JSON | st.binary(max_size=200) | st.text(max_size=200)


@pytest.mark.parametrize("name", ENTRIES)
class TestEntry:
    @settings(max_examples=60)
    @given(value=ANYTHING, version=st.sampled_from(VERSIONS))
    def test_gives_a_value_or_one_of_our_errors(
        self, name: str, value: Any, version: RoomVersion
    ) -> None:
        assert total(ENTRIES[name], value, version) != "an error without a sentence"


@pytest.mark.parametrize("name", WITHIN)
class TestEntryInside:
    @settings(max_examples=60)
    @given(value=CONTENTS | JSON, version=st.sampled_from(VERSIONS))
    def test_gives_a_value_or_one_of_our_errors(
        self, name: str, value: Any, version: RoomVersion
    ) -> None:
        assert total(WITHIN[name], value, version) != "an error without a sentence"


ODD: Final[tuple[Any, ...]] = (
    JsonFloat("1e400"),
    JsonFloat("-1.5"),
    10**399,
    -1,
    5,
    True,
    None,
    "x",
    "",
    "\ud800",
    [],
    [[]],
    [5],
    ["$e:a.example"],
    [["$e:a.example", {}]],
    [["$e:a.example"]],
    {},
    {"membership": {"a": JsonFloat("1e400")}},
    {"users": {ANA: JsonFloat("1e400")}, "events": {"m.room.member": 10**399}, "invite": "9" * 400},
    {
        "users": {ANA: "9" * 400, BEN: 10**399},
        "users_default": JsonFloat("1e308"),
        "kick": -(10**399),
    },
    {"users": {ANA: 10**399}, "invite": 10**399, "ban": JsonFloat("1e399"), "state_default": "-5"},
    {"join_rule": [], "allow": {}},
    {"creator": 5, "m.federate": {}, "room_version": {}, "additional_creators": [5]},
)
"""What has been read once and raised later, and its like."""


@pytest.mark.parametrize("version", [V1, V5, V10, V12], ids=str)
@pytest.mark.parametrize("field", CLIENT_FIELDS)
class TestClientEvent:
    def test_is_refused_on_reading_or_never_raises(self, field: str, version: RoomVersion) -> None:
        entry = WITHIN[f"the {field} of a client's event"]
        for value in ODD:
            assert total(entry, value, version) != "an error without a sentence"


class TestEntries:
    def test_are_all_that_take_json(self) -> None:
        assert set(taking_json()) - set(NOT_FROM_OUTSIDE) <= set(ENTRIES)

    def test_excuse_none_that_is_gone(self) -> None:
        assert set(NOT_FROM_OUTSIDE) <= set(taking_json())


class TestSignatures:
    @given(signatures=JSON)
    def test_of_any_kind_sign_nothing(self, signatures: Any) -> None:
        room = a_room(V12)
        try:
            event = room.event("m.room.message", ANA, {}, signatures={"a.example": signatures})
        except (InvalidEvent, InvalidJson):
            return
        assert signing.verify(event, KEYS).signed_by == frozenset()


def seconds(call: Callable[..., Any], *args: Any, **options: Any) -> float:
    before = time.process_time()
    with suppress(MatrixMembershipError):
        call(*args, **options)
    return time.process_time() - before


class TestBoundedTime:
    """Limits a hundred times above what is measured, so that only the order counts."""

    def test_of_deep_nesting(self) -> None:
        for text in ("[" * 1_000_000, '{"a":' * 200_000, '["' + "[" * 1_000_000 + '"]'):
            assert seconds(decode, text, strict=False) < 3

    def test_of_many_users_in_the_power_levels(self) -> None:
        users = {f"@u{number}:a.example": 1 for number in range(2_000)}
        room = a_room(V6).with_levels(users)
        changed = dict.fromkeys(users, 2)
        event = room.event("m.room.power_levels", ANA, {"users": changed}, "")
        assert seconds(room.check, event) < 3

    @pytest.mark.parametrize("version", [V1, V5, V6, V12], ids=str)
    def test_of_huge_integers(self, version: RoomVersion) -> None:
        digits = "9" * 60_000
        content = '{"users":{"@u:a.example":' + digits + "}}"
        pdu = json.dumps(a_room(version).message(ANA).to_pdu())
        assert seconds(Event.from_pdu, pdu.replace('{"body": "hello"}', content), version) < 3
        for strict in (True, False):
            assert seconds(encode, 10**5_000, strict=strict) < 3
        assert seconds(freeze, {"a": -(10**5_000)}) < 3
        text = {"users": {"@u:a.example": digits}}
        assert seconds(a_room(version).event, "m.room.power_levels", ANA, text, "") < 3

    def test_of_ten_thousand_auth_edges(self) -> None:
        room = a_room(V12)
        listed = [room.message(ANA)] * 10_000
        event = room.message(ANA)
        assert seconds(auth.check_auth_events, event, listed) < 3

    def test_of_a_long_auth_chain(self) -> None:
        room = a_room(V1)
        events = {}
        before: list[Any] = []
        for number in range(3_000):
            name = f"$c{number}:a.example"
            pdu = room.message(ANA).to_pdu() | {"event_id": name, "auth_events": before}
            events[name] = Event.from_pdu(pdu, V1)
            before = [[name, {}]]
        last = events["$c2999:a.example"]
        assert seconds(auth.auth_chain, [last], events.get) < 10
        chain = auth.auth_chain([last], events.get)
        assert len(chain) == 2_999


class TestSeeds:
    def test_give_the_same_case_again(self) -> None:
        assert generate(7) == generate(7)
        assert events_of(generate(7))[1] == events_of(generate(7))[1]
