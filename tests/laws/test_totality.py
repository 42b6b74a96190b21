"""Whatever JSON comes, every public entry gives a value or one of our errors, in bounded time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import Event, EventTemplate, RoomState, Signer, auth, signing
from matrix_membership.acl import permits
from matrix_membership.canonical_json import decode, encode, freeze
from matrix_membership.errors import MatrixMembershipError
from matrix_membership.federation import (
    JOINING,
    MakeResponse,
    MatrixError,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
)
from matrix_membership.hashing import content_hash, event_id, reference_hash
from matrix_membership.machine import admit
from matrix_membership.redaction import redact
from matrix_membership.room_versions import V1, V5, V6, V12, RoomVersion, room_version
from matrix_membership.signing import KeyRing
from tests.builders import ANA, BEN, KEYS, SIGNER_B, VERSIONS, a_room
from tests.generated_cases import events_of, generate

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
TYPES = st.sampled_from(
    [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.third_party_invite",
        "m.room.redaction",
        "m.room.aliases",
        "m.room.server_acl",
        "x",
    ]
)


def total(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The value of a call, or None when it raised one of our errors."""
    try:
        return call(*args, **options)
    except MatrixMembershipError as error:
        return None if str(error) else "an error without a sentence"


def signed_template(value: Any, version: RoomVersion) -> Event:
    return EventTemplate.of(value, version).complete(SIGNER_B)


class TestArbitraryJson:
    @given(value=JSON, version=st.sampled_from(VERSIONS))
    def test_as_a_pdu_is_an_event_or_an_error(self, value: Any, version: RoomVersion) -> None:
        if isinstance(value, dict):
            total(Event.from_pdu, value, version)
            total(Event.from_client_event, value, version)
            for call in (redact, reference_hash, event_id):
                total(call, value, version)
            total(content_hash, value)
            total(signed_template, value, version)

    @given(data=st.binary(max_size=200) | st.text(max_size=200), strict=st.booleans())
    def test_as_bytes_is_decoded_or_refused(self, data: Any, strict: bool) -> None:
        value = total(decode, data, strict=strict)
        total(encode, value, strict=strict)
        total(Event.from_pdu, data, V12)
        total(SendJoinResponse.from_bytes, data if isinstance(data, bytes) else b"")

    @given(value=JSON)
    def test_as_a_message_is_one_or_an_error(self, value: Any) -> None:
        for read in (
            MakeResponse.from_json,
            SendJoinResponse.from_json,
            SendKnockResponse.from_json,
            SendLeaveResponse.from_json,
            lambda body: MatrixError.from_json(body, status=400),
            lambda body: KeyRing.from_documents([body], at=0),
            KeyRing.of,
            lambda body: Signer.from_seed(body, body, body),
            room_version,
            freeze,
            lambda body: encode(body, strict=False),
        ):
            total(read, value)

    @given(value=JSON)
    def test_as_a_template_is_signed_or_refused(self, value: Any) -> None:
        step = JOINING.begin(BEN, "!r:a.example", signer=SIGNER_B)
        for fields in (value, {"type": "m.room.member", "content": value, "sender": BEN}):
            answer = total(MakeResponse.from_json, {"event": fields, "room_version": "6"})
            if answer is not None:
                total(step.receive, answer, at=1)

    @settings(max_examples=200)
    @given(
        version=st.sampled_from(VERSIONS),
        kind=TYPES,
        content=CONTENTS,
        key=st.sampled_from([None, "", ANA, BEN, "x"]),
        wanted=TYPES,
        wanted_content=CONTENTS,
    )
    def test_in_events_and_states_is_judged(
        self,
        version: RoomVersion,
        kind: str,
        content: Any,
        key: str | None,
        wanted: str,
        wanted_content: Any,
    ) -> None:
        room = a_room(version).with_member(BEN, "join")
        in_state = total(room.event, kind, ANA, content, key)
        event = total(room.event, wanted, BEN, wanted_content, key)
        if in_state is None or event is None:
            return
        state = RoomState.of(version, [*room.events, in_state])
        assert isinstance(auth.check(event, state), auth.Decision)
        assert isinstance(auth.check_auth_events(event, state.events), auth.Decision)
        assert isinstance(auth.select_auth_events(event), frozenset)
        admit(event, state)
        permits(state, "a.example")
        signing.verify(event, KEYS)
        assert event.redacted() == event

    @given(signatures=JSON)
    def test_as_signatures_is_a_verdict(self, signatures: Any) -> None:
        room = a_room(V12)
        event = total(room.event, "m.room.message", ANA, {}, signatures={"a.example": signatures})
        if event is not None:
            assert signing.verify(event, KEYS).signed_by == frozenset()


def seconds(call: Callable[..., Any], *args: Any, **options: Any) -> float:
    before = time.process_time()
    total(call, *args, **options)
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
