"""Drawn events are what they are said to be, and what is malformed is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from matrix_membership import (
    KNOWN,
    V1,
    V6,
    V7,
    V10,
    V11,
    V12,
    Event,
    InvalidEvent,
    Membership,
    RoomVersion,
    auth,
    strategies,
)
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.membership import MEMBERSHIPS
from matrix_membership.signing import missing_signers, verify
from matrix_membership.state import RoomState
from matrix_membership.strategies import key_ring_of
from matrix_membership.strategies._json import json_objects, json_values
from matrix_membership.strategies.events import ThirdPartyInvitation
from tests.strategies.minimal import any_of

REAL = [
    strategies.events(),
    strategies.events(type="m.room.member"),
    strategies.events(type="m.room.power_levels"),
    strategies.events(type="m.room.join_rules"),
    strategies.malformed_events(),
    strategies.arbitrary_events(),
]


@pytest.mark.parametrize("events", REAL)
class TestEveryStrategyOfEvents:
    @settings(max_examples=20)
    @given(data=st.data())
    def test_draws_events_of_a_good_hash(
        self, data: st.DataObject, events: SearchStrategy[Event]
    ) -> None:
        assert data.draw(events).content_hash_matches

    @settings(max_examples=20)
    @given(data=st.data())
    def test_draws_events_that_their_server_signed(
        self, data: st.DataObject, events: SearchStrategy[Event]
    ) -> None:
        event = data.draw(events)
        assert missing_signers(verify(event, key_ring_of([event]))) == frozenset()

    @settings(max_examples=20)
    @given(data=st.data())
    def test_draws_events_that_can_be_read_again(
        self, data: st.DataObject, events: SearchStrategy[Event]
    ) -> None:
        event = data.draw(events)
        again = Event.from_pdu(event.to_pdu(), event.room_version)
        assert (again, again.pdu) == (event, event.pdu)


@pytest.mark.parametrize("version", KNOWN.values(), ids=str)
class TestEveryRoomVersion:
    @settings(max_examples=5)
    @given(data=st.data())
    def test_has_events_of_its_own(self, data: st.DataObject, version: RoomVersion) -> None:
        assert data.draw(strategies.events(room_version=version)).room_version is version

    @settings(max_examples=25)
    @given(data=st.data())
    def test_refuses_malformed_pdus(self, data: st.DataObject, version: RoomVersion) -> None:
        drawn, pdu = data.draw(strategies.malformed_pdus(room_version=version))
        assert drawn is version
        with pytest.raises(InvalidEvent):
            Event.from_pdu(pdu, drawn)

    @pytest.mark.long
    @settings(max_examples=200, derandomize=True, database=None)
    @given(data=st.data())
    def test_breaks_the_format_of_create_events_too(
        self, data: st.DataObject, version: RoomVersion
    ) -> None:
        """Without chance, for few of the events that are drawn are such."""
        drawn, pdu = data.draw(strategies.malformed_pdus(room_version=version))
        with pytest.raises(InvalidEvent):
            Event.from_pdu(pdu, drawn)

    @settings(max_examples=10)
    @given(data=st.data())
    def test_can_read_its_power_levels(self, data: st.DataObject, version: RoomVersion) -> None:
        drawn = strategies.events(room_version=version, type="m.room.power_levels")
        levels = data.draw(drawn).view
        assert getattr(levels, "users_readable", False)
        assert getattr(levels, "named_readable", False)
        assert getattr(levels, "maps_readable", False)


class TestEvents:
    @pytest.mark.parametrize(
        "event_type",
        [
            *("m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules"),
            *("m.room.third_party_invite", "m.room.aliases", "m.room.message"),
        ],
    )
    def test_are_of_every_type_that_matters(self, event_type: str) -> None:
        assert any_of(strategies.events(), lambda event: event.type == event_type)

    @pytest.mark.parametrize("version", [V10, V11], ids=str)
    def test_name_what_they_redact(self, version: RoomVersion) -> None:
        events = strategies.events(room_version=version)
        redaction = any_of(events, lambda event: event.type == "m.room.redaction")
        where = redaction.content if version is V11 else redaction.document
        assert where["redacts"]

    def test_are_of_a_type_that_they_know(self) -> None:
        with pytest.raises(TypeError, match=r"m\.room\.join_rules, got 'm\.room\.name'"):
            strategies.events(type="m.room.name")

    def test_create_rooms_of_several_creators(self) -> None:
        events = strategies.events(room_version=V12)
        assert any_of(events, lambda event: "additional_creators" in event.content)

    @given(strategies.events().filter(lambda event: event.type == "m.room.create"))
    @settings(max_examples=8)
    def test_create_rooms_by_the_rules(self, event: Event) -> None:
        assert auth.check(event, RoomState.of(event.room_version, []))


class TestMemberEvents:
    @pytest.mark.parametrize("membership", MEMBERSHIPS.values(), ids=str)
    @settings(max_examples=20)
    @given(data=st.data())
    def test_give_the_membership_asked_for(
        self, data: st.DataObject, membership: Membership
    ) -> None:
        events = strategies.events(room_version=V7, membership=membership)
        assert data.draw(events).membership is membership

    @given(strategies.events(room_version=V6, type="m.room.member"))
    @settings(max_examples=50)
    def test_never_knock_where_nobody_can(self, event: Event) -> None:
        assert event.membership is not Membership.KNOCK


class TestPowerLevels:
    @pytest.mark.parametrize("kind", [str, float, int])
    def test_are_written_in_every_way(self, kind: type) -> None:
        events = strategies.events(room_version=V1, type="m.room.power_levels")
        assert any_of(events, lambda event: isinstance(event.content.get("ban"), kind))


class TestThirdPartyInvites:
    @given(strategies.third_party_invites())
    @settings(max_examples=20)
    def test_are_answered_in_a_way_that_the_rules_allow(
        self, invitation: ThirdPartyInvitation
    ) -> None:
        stored, answer = invitation.stored, invitation.answer
        create = {"type": "m.room.create", "sender": stored.sender, "state_key": ""}
        made = Event.from_client_event(create | {"content": {}}, stored.room_version)
        decision = auth.check(answer, RoomState.of(stored.room_version, [made, stored]))
        assert decision.rule == "invite.third_party_signed_by_its_key"

    def test_have_two_ids_where_ids_are_given(self) -> None:
        invitation = any_of(strategies.third_party_invites(room_version=V1), lambda _: True)
        assert invitation.stored != invitation.answer


class TestMalformedEvents:
    @pytest.mark.long
    @pytest.mark.parametrize(
        "rule",
        [
            *("member.no_state_key_or_membership", "member.unknown_membership"),
            *("power_levels.named_level_not_an_integer", "power_levels.users_unreadable"),
        ],
    )
    def test_reach_the_rules_on_what_cannot_be_read(self, rule: str) -> None:
        def reaches(event: Event) -> bool:
            sender = event.sender
            room = [
                {"type": "m.room.create", "state_key": "", "content": {}},
                {"type": "m.room.member", "state_key": sender, "content": {"membership": "join"}},
            ]
            state = [Event.from_client_event({**e, "sender": sender}, V11) for e in room]
            return auth.check(event, RoomState.of(V11, state)).rule == rule

        assert any_of(strategies.malformed_events(room_version=V11), reaches)


class TestArbitraryEvents:
    def test_can_have_odd_values_where_somebody_reads(self) -> None:
        def odd(event: Event) -> bool:
            return event.membership is Membership.UNRECOGNISED

        assert any_of(strategies.arbitrary_events(), odd).type == "m.room.member"


class TestJsonValues:
    @given(json_values() | json_objects())
    def test_are_canonical(self, value: JsonValue) -> None:
        assert encode(value, strict=True)

    def test_hold_floats_only_on_demand(self) -> None:
        values = json_values(floats=True)
        assert isinstance(any_of(values, lambda value: isinstance(value, float)), float)
        assert any_of(
            json_objects(floats=True),
            lambda value: any(isinstance(item, float) for item in value.values()),
        )


class TestSignerOf:
    def test_signs_alike_for_one_server(self) -> None:
        one, other = (strategies.signer_of(server) for server in ("a.example", "b.example"))
        assert one.verify_key == strategies.signer_of("a.example").verify_key != other.verify_key
