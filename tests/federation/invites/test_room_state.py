"""What an invite tells of its room."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import auth
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.invites import room_state
from matrix_membership.federation.invites.room_state import MOST_DESCRIBING, described
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.room_versions import KNOWN, V1, V6, V10, V11, V12, RoomVersion
from matrix_membership.signing import KeyRing, verify
from matrix_membership.state import RoomState
from tests.builders import ANA, BEN, KEYS, VERSIONS
from tests.captures import Capture, captures, client_invite
from tests.federation.signed_rooms import AT, NO_KEYS, A, B, a_signed_room, with_state

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
MISSING = MatrixError.of("M_MISSING_PARAM", "invite_room_state has no create event")
STRIPPED_NAME = {"type": "m.room.name", "sender": ANA, "state_key": "", "content": {"name": "R"}}


def a_room(version: RoomVersion) -> ResidentRoom:
    return with_state(a_signed_room(version), "m.room.name", {"name": "R"})


def invite_in(room: ResidentRoom) -> Event:
    content = {"membership": "invite"}
    return draft(room, "m.room.member", BEN, sender=ANA, content=content, at=AT).complete(A)


def create_of(room: ResidentRoom) -> Event:
    assert room.state.create_event is not None
    return room.state.create_event


def fault(sentence: str, index: int = 1) -> MatrixError:
    return MatrixError.of("M_INVALID_PARAM", f"invite_room_state[{index}] {sentence}")


def examined(
    entries: Any, event: Event, keys: KeyRing, **where: str
) -> tuple[tuple[Event, ...], tuple[MatrixError, ...]]:
    """The events that can be shown, and the faults, grave or not."""
    events, faults = room_state.examined(entries, event, keys, **where)
    return events, tuple(faults)


class TestDescribed:
    def test_tells_which_room_it_is_and_who_invites(self) -> None:
        room = with_state(a_room(V11), "m.room.power_levels", {"users": {ANA: 100}})
        shown = [event.type for event in described(room.state, sender=ANA)]
        assert shown == ["m.room.create", "m.room.name", "m.room.member"]

    @EVERY_VERSION
    def test_passes_the_examination(self, version: RoomVersion) -> None:
        room = a_room(version)
        invite = invite_in(room)
        told = described(room.state, sender=invite.sender)
        assert examined([event.to_pdu() for event in told], invite, KEYS) == (told, ())


class TestExamined:
    def test_verifies_what_it_gives(self) -> None:
        room = a_room(V12)
        ((create,), _) = examined([create_of(room).to_pdu()], invite_in(room), KEYS)
        assert create.signed_by == {"a.example"}

    def test_looks_at_nothing_of_too_much(self) -> None:
        room = a_room(V12)
        entries = [create_of(room).to_pdu(), *[STRIPPED_NAME] * (MOST_DESCRIBING - 1)]
        assert len(examined(entries, invite_in(room), KEYS)[0]) == MOST_DESCRIBING
        told = MatrixError.of("M_INVALID_PARAM", "invite_room_state has more than 100 entries")
        assert examined([*entries, None], invite_in(room), KEYS) == ((), (told,))

    @pytest.mark.parametrize("entries", [[], [STRIPPED_NAME]])
    def test_misses_the_create_event_first(self, entries: list[Any]) -> None:
        _, faults = examined(entries, invite_in(a_room(V12)), KEYS)
        assert faults[0] == MISSING

    def test_speaks_of_what_was_looked_at(self) -> None:
        _, faults = examined([None], invite_in(a_room(V12)), KEYS, where="knock_room_state")
        told = ["knock_room_state has no create event", "knock_room_state[0] is not an event"]
        assert [fault.error for fault in faults] == told

    @pytest.mark.parametrize("entry", [None, 1, "x", []])
    def test_finds_what_is_no_event(self, entry: Any) -> None:
        room = a_room(V12)
        events, faults = examined([create_of(room).to_pdu(), entry], invite_in(room), KEYS)
        assert (events, faults) == ((create_of(room),), (fault("is not an event"),))

    def test_shows_stripped_events_in_spite_of_the_fault(self) -> None:
        room = a_room(V11)
        entry = {**STRIPPED_NAME, "origin_server_ts": 1}
        events, faults = examined([create_of(room).to_pdu(), entry], invite_in(room), KEYS)
        assert events[1].to_stripped() == STRIPPED_NAME
        sentence = "is not an event of room version 11: hashes: expected an object, got None"
        assert faults == (fault(sentence),)

    @pytest.mark.parametrize(
        "change", [{"hashes": {}}, {"signatures": {}}, {"type": 1}, {"state_key": None}]
    )
    def test_does_not_show_what_is_in_neither_form(self, change: dict[str, Any]) -> None:
        room = a_room(V11)
        entry = {**STRIPPED_NAME, **change}
        events, faults = examined([create_of(room).to_pdu(), entry], invite_in(room), KEYS)
        assert (len(events), len(faults)) == (1, 1)

    def test_does_not_show_an_event_that_is_no_state(self) -> None:
        entry = {key: STRIPPED_NAME[key] for key in ("type", "sender", "content")}
        events, _ = examined([entry], invite_in(a_room(V11)), KEYS)
        assert events == ()

    def test_finds_a_create_event_that_makes_another_room(self) -> None:
        room = a_room(V12)
        fields = {**create_of(room).to_pdu(), "origin_server_ts": AT + 1}
        other = EventTemplate.of(fields, V12).complete(A)
        _, faults = examined([other.to_pdu()], invite_in(room), KEYS)
        assert faults == (fault("is of another room", 0),)

    @pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
    def test_finds_a_create_event_that_claims_the_room(self, version: RoomVersion) -> None:
        """Any server can write the ID of a room into a create event of its own, and sign that."""
        room = a_room(version)
        invite = invite_in(room)
        content = {"room_version": version.identifier, "creator": BEN}
        fields = {**create_of(room).to_pdu(), "sender": BEN, "content": content}
        template = EventTemplate.of({**fields, "room_id": invite.room_id}, version)
        claim = template.complete(B, event_id="$1:b.example" if version is V1 else None)
        decision = auth.check(claim, RoomState.of(version, ()))
        assert decision.number == "1.2"
        assert examined([claim.to_pdu()], invite, KEYS) == ((), (fault(f"is {decision}", 0),))

    def test_finds_an_event_of_another_room_by_its_room_id(self) -> None:
        room = a_room(V11)
        pdu = {**create_of(room).to_pdu(), "room_id": "!other:a.example"}
        _, faults = examined([pdu], invite_in(room), KEYS)
        assert faults == (fault("is of another room", 0),)

    def test_finds_an_event_without_a_good_signature(self) -> None:
        room = a_room(V12)
        events, faults = examined([create_of(room).to_pdu()], invite_in(room), NO_KEYS)
        assert events == ()
        why = "no key is known for the signature of a.example, by ed25519:a"
        assert faults == (fault(f"could not be verified: {why}", 0),)

    def test_tells_a_forgery_from_a_missing_key(self) -> None:
        room = a_room(V12)
        forged = {**create_of(room).to_pdu(), "signatures": {"a.example": {A.key_id: "A" * 86}}}
        _, faults = examined([forged], invite_in(room), KEYS)
        why = "the signature of a.example is bad"
        assert faults == (fault(f"could not be verified: {why}", 0),)

    def test_finds_a_message(self) -> None:
        room = a_room(V11)
        template = draft(room, "m.room.message", "", sender=ANA, content={}, at=AT)
        fields = {key: template.fields[key] for key in template.fields if key != "state_key"}
        message = EventTemplate.of(fields, V11).complete(A)
        _, faults = examined([create_of(room).to_pdu(), message.to_pdu()], invite_in(room), KEYS)
        assert faults == (fault("is a non-state event"),)

    @pytest.mark.parametrize("version", [V6, V10, V11], ids=str)
    def test_finds_a_create_event_of_another_room_version(self, version: RoomVersion) -> None:
        room = a_room(version)
        content = {"creator": ANA, "room_version": "9"}
        create = {**create_of(room).to_pdu(), "content": content}
        other = EventTemplate.of(create, version).complete(A)
        _, faults = examined([other.to_pdu()], invite_in(room), KEYS)
        assert faults == (fault("names another room version, '9'", 0),)

    @pytest.mark.parametrize("named", ["9", "10"])
    def test_takes_an_altered_create_event_for_one_of_version_1(self, named: str) -> None:
        room = a_room(V10)
        content = {"creator": ANA, "room_version": named, "altered": True}
        _, faults = examined(
            [{**create_of(room).to_pdu(), "content": content}], invite_in(room), KEYS
        )
        assert faults == (fault("names another room version, '1'", 0),)

    @pytest.mark.parametrize("third", [0, None, {}, {"signed": 0}])
    @pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
    @pytest.mark.parametrize("spoil", [{}, {"hashes": {"sha256": "AAAA"}}])
    def test_finds_an_invite_that_nobody_signed(
        self, version: RoomVersion, third: Any, spoil: dict[str, Any]
    ) -> None:
        room = a_room(version)
        invite = invite_in(room)
        content = {"membership": "invite", "third_party_invite": third}
        other = EventTemplate.of({**invite.to_pdu(), "content": content}, version).complete(A)
        pdus = [create_of(room).to_pdu(), {**other.to_pdu(), "signatures": {}, **spoil}]
        events, faults = examined(pdus, invite, KEYS)
        assert (events, faults) == (
            (create_of(room),),
            (fault("could not be verified: a.example did not sign"),),
        )

    @pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
    def test_finds_an_invite_that_a_third_party_alone_signed_for(
        self, version: RoomVersion
    ) -> None:
        room = a_room(version)
        invite = invite_in(room)
        content = {"membership": "invite", "third_party_invite": {"signed": {}}}
        fields = {**invite.to_pdu(), "content": content, "sender": "@cay:c.example"}
        other = EventTemplate.of(fields, version).complete(A)
        events, faults = examined([create_of(room).to_pdu(), other.to_pdu()], invite, KEYS)
        assert (events, faults) == (
            (create_of(room),),
            (fault("is an invite that only a third party signed"),),
        )

    @pytest.mark.parametrize("version", [V1, V6, V10, V11], ids=str)
    def test_finds_a_second_create_event(self, version: RoomVersion) -> None:
        room = a_room(version)
        create = create_of(room)
        fields = {**create.to_pdu(), "origin_server_ts": AT + 1}
        other = EventTemplate.of(fields, version).complete(A)
        pdus = [create.to_pdu(), other.to_pdu()]
        events, faults = examined(pdus, invite_in(room), KEYS)
        assert (events, faults) == ((create,), (fault("is a second create event"),))

    def test_shows_of_an_altered_event_what_was_signed(self) -> None:
        room = a_room(V11)
        name = room.state.get("m.room.name")
        assert name is not None
        altered = {**name.to_pdu(), "content": {"name": "altered"}}
        events, faults = examined([create_of(room).to_pdu(), altered], invite_in(room), KEYS)
        assert (events[1].to_stripped()["content"], faults) == ({}, ())

    def test_takes_what_the_server_of_the_event_id_signed(self) -> None:
        room = a_room(V1)
        _, faults = examined([create_of(room).to_pdu()], invite_in(room), KEYS)
        assert faults == ()


class TestOfSynapse:
    @pytest.mark.parametrize("capture", captures(name="synapse_invite*"), ids=str)
    def test_has_no_fault(self, capture: Capture) -> None:
        invite, entries = read(capture)
        events, faults = examined(entries, invite, KeyRing.of(capture.keys))
        assert (len(events), faults) == (len(entries), ())

    @pytest.mark.parametrize("version", ["1", "6", "11"])
    def test_is_shown_as_synapse_shows_it(self, version: str) -> None:
        (capture,) = captures(version, "invite")
        invite, entries = read(capture)
        events, faults = examined(entries, invite, KeyRing.of(capture.keys))
        shown = client_invite(version)
        assert [event.to_stripped() for event in events] == shown[:-1]
        assert len(faults) == len(entries)  # the test peer sends stripped events

    def test_describes_a_room_by_the_same_types(self) -> None:
        (capture,) = captures("11", "synapse_invite")
        invite, entries = read(capture)
        events, _ = examined(entries, invite, KeyRing.of(capture.keys))
        assert described(RoomState.of(V11, events), sender=invite.sender) == events


def read(capture: Capture) -> tuple[Event, list[Any]]:
    """The invite of a capture, and what it tells of the room."""
    body = capture.request
    event = body.get("event", body)
    entries = body.get("invite_room_state") or event["unsigned"]["invite_room_state"]
    invite = Event.from_pdu(event, KNOWN[capture.version])
    return verify(invite, KeyRing.of(capture.keys)), entries
