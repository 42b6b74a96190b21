"""Rule 2 (version 12: 2 and 3), the selection of auth events, and the auth chain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from matrix_membership import Event, RoomVersion, auth
from matrix_membership.auth import Decision, auth_chain, select_auth_events
from matrix_membership.identifiers import EventID
from matrix_membership.membership import INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.room_versions import V1, V3, V11, V12
from tests.builders import (
    ANA,
    BEN,
    Room,
    a_room,
    decision,
    everywhere,
    having,
    signed_invite,
    since,
)


def needed(room: Room, event: Event) -> list[Event]:
    """What a state holds of the event's selection, in order of the state."""
    selected = select_auth_events(event)
    return [held for held in room.events if (held.type, held.state_key) in selected]


def judged(room: Room, events: Iterable[Event], rejected: Iterable[str] = ()) -> Decision:
    """The decision on a message of Ana's that lists these."""
    return auth.check_auth_events(
        room.message(ANA), events, rejected=frozenset(rejected), create=room.events[0]
    )


def moved(room: Room, event: Event) -> Event:
    """The event in another room."""
    pdu = {**event.to_pdu(), "room_id": "!other:a.example"}
    return Event.from_pdu(pdu, room.version, event_id=event.event_id)


def a_full_room(version: RoomVersion) -> Room:
    return a_room(version).with_levels().with_join_rule("public").with_member(BEN, JOIN)


class TestRoomIdOfNoAcceptedCreateEvent:
    RULE = "auth_events.room_id_of_no_accepted_create_event"

    def judged(self, room: Room, create: Event | None, rejected: Iterable[str] = ()) -> Decision:
        event = room.message(ANA)
        listed = needed(room, event)
        return auth.check_auth_events(event, listed, rejected=frozenset(rejected), create=create)

    @having(RULE)
    def test_rejects_without_a_create_event(self, version: RoomVersion) -> None:
        assert self.judged(a_full_room(version), None) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_the_create_event_of_another_room(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        pdu = {**room.events[0].to_pdu(), "depth": 2}
        other = Event.from_pdu(pdu, version)
        assert self.judged(room, other) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_an_event_of_another_type(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        pdu = room.message(ANA).to_pdu()
        other = Event.from_pdu(pdu, version, event_id=room.events[0].event_id)
        assert self.judged(room, other) == decision(self.RULE, version)

    @having(RULE)
    def test_rejects_a_rejected_create_event(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        create = room.events[0]
        assert self.judged(room, create, [create.event_id]) == decision(self.RULE, version)

    @since("1", "11")
    def test_is_no_rule_before_version_12(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        assert self.judged(room, None) == decision("auth_events.otherwise", version)


class TestDuplicates:
    @everywhere
    def test_rejects_the_same_event_twice(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = needed(room, room.message(ANA))
        assert judged(room, [*listed, listed[-1]]) == decision("auth_events.duplicates", version)

    @everywhere
    def test_rejects_an_event_that_is_listed_twice_and_given_once(
        self, version: RoomVersion
    ) -> None:
        room = a_full_room(version)
        given = needed(room, room.message(ANA))
        ids = [event.event_id for event in given]
        for listed, rule in ((ids, "otherwise"), ([*ids, ids[0]], "duplicates")):
            event = linked(version, room.message(ANA).event_id, *listed)
            create = room.events[0]
            judged = auth.check_auth_events(event, given, create=create)
            assert judged == decision(f"auth_events.{rule}", version)
            told = auth.check_auth_events(event, given, create=create, listed=listed)
            assert told == judged

    @everywhere
    def test_rejects_two_events_in_one_place(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = needed(room, room.message(ANA))
        again = room.with_member(ANA, LEAVE).events[-1]
        assert judged(room, [*listed, again]) == decision("auth_events.duplicates", version)

    @everywhere
    def test_stays_silent_at_events_that_are_no_state(self, version: RoomVersion) -> None:
        """They are in no place, so they share none; the next rule is on them."""
        room = a_full_room(version)
        listed = [*needed(room, room.message(ANA)), room.message(ANA), room.message(ANA)]
        assert judged(room, listed) == decision("auth_events.unexpected", version)


class TestUnexpected:
    @everywhere
    def test_rejects_an_event_that_the_event_does_not_need(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        assert judged(room, room.events[1:]) == decision("auth_events.unexpected", version)

    @everywhere
    def test_rejects_an_event_that_is_no_state(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        levels = room.event("m.room.power_levels", ANA, {})
        listed = [held for held in room.events if held.type == "m.room.create"]
        assert judged(room, [*listed, levels]) == decision("auth_events.unexpected", version)

    @everywhere
    def test_rejects_another_state_key(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        levels = room.event("m.room.power_levels", ANA, {}, "x")
        listed = [*needed(room, room.message(ANA)), levels]
        assert judged(room, listed) == decision("auth_events.unexpected", version)

    @since("12")
    def test_rejects_the_create_event_in_version_12(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = [room.events[0], *needed(room, room.message(ANA))]
        assert judged(room, listed) == decision("auth_events.unexpected", version)

    @since("12")
    def test_allows_the_create_event_beside_those_listed(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        event, listed = room.message(ANA), needed(room, room.message(ANA))
        beside = [room.events[0], *listed]
        ids = [entry.event_id for entry in listed]
        assert auth.check_auth_events(event, beside, listed=ids).allowed
        ids.append(room.events[0].event_id)
        judged = auth.check_auth_events(event, beside, create=room.events[0], listed=ids)
        assert judged == decision("auth_events.unexpected", version)

    @everywhere
    def test_comes_before_rejected_ones(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        rejected = [event.event_id for event in room.events[1:]]
        given = judged(room, room.events[1:], rejected)
        assert given == decision("auth_events.unexpected", version)


class TestRejected:
    @everywhere
    def test_rejects_what_a_rejected_event_authorises(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = needed(room, room.message(ANA))
        given = judged(room, listed, [listed[-1].event_id])
        assert given == decision("auth_events.rejected", version)

    @everywhere
    def test_stays_silent_when_others_were_rejected(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = needed(room, room.message(ANA))
        given = judged(room, listed, [room.events[-1].event_id])
        assert given == decision("auth_events.otherwise", version)

    @everywhere
    def test_comes_before_another_room(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        *listed, last = needed(room, room.message(ANA))
        given = judged(room, [*listed, moved(room, last)], [last.event_id])
        assert given == decision("auth_events.rejected", version)


class TestNoCreateEvent:
    @having("auth_events.no_create_event")
    def test_rejects_a_list_without_it(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = needed(room, room.message(ANA))[1:]
        assert judged(room, listed) == decision("auth_events.no_create_event", version)

    @having("auth_events.no_create_event")
    def test_rejects_an_empty_list(self, version: RoomVersion) -> None:
        given = judged(a_full_room(version), [])
        assert given == decision("auth_events.no_create_event", version)

    @since("12")
    def test_is_no_rule_in_version_12(self, version: RoomVersion) -> None:
        given = judged(a_full_room(version), [])
        assert given == decision("auth_events.otherwise", version)


class TestOfAnotherRoom:
    @everywhere
    def test_rejects_an_auth_event_of_another_room(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        *listed, last = needed(room, room.message(ANA))
        given = judged(room, [*listed, moved(room, last)])
        assert given == decision("auth_events.of_another_room", version)


class TestOtherwise:
    @everywhere
    def test_allows_what_is_needed(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        given = judged(room, needed(room, room.message(ANA)))
        assert given == decision("auth_events.otherwise", version)

    @everywhere
    def test_asks_for_no_member_and_no_levels(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        listed = [held for held in needed(room, room.message(ANA)) if held.type == "m.room.create"]
        assert judged(room, listed) == decision("auth_events.otherwise", version)

    @everywhere
    def test_allows_any_iterable(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        given = judged(room, iter(needed(room, room.message(ANA))))
        assert given == decision("auth_events.otherwise", version)


def places(room: Room, event: Event) -> set[tuple[str, str]]:
    """What is selected beside the create event, the levels and the sender."""
    create = set() if room.version.room_id_is_create_event else {("m.room.create", "")}
    always = {("m.room.power_levels", ""), ("m.room.member", event.sender), *create}
    selected = select_auth_events(event)
    assert selected >= always
    return set(selected) - always


RULES = ("m.room.join_rules", "")
TARGET = ("m.room.member", BEN)
STORED = ("m.room.third_party_invite", "tok")
VIA = "join_authorised_via_users_server"


class TestSelection:
    @everywhere
    def test_is_empty_for_a_create_event(self, version: RoomVersion) -> None:
        assert select_auth_events(a_room(version).events[0]) == frozenset()

    @everywhere
    def test_has_no_more_for_other_events(self, version: RoomVersion) -> None:
        room = a_room(version)
        kinds = ("m.room.message", "m.room.aliases", "m.room.topic")
        assert [places(room, room.event(kind, ANA, {}, BEN)) for kind in kinds] == [set()] * 3

    @everywhere
    @pytest.mark.parametrize("membership", ["leave", "ban", "dance", 7])
    def test_has_the_target_of_a_member_event(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version)
        event = room.event("m.room.member", ANA, {"membership": membership}, BEN)
        assert places(room, event) == {TARGET}

    @everywhere
    def test_has_the_target_without_a_membership(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert places(room, room.event("m.room.member", ANA, {}, BEN)) == {TARGET}

    @everywhere
    @pytest.mark.parametrize("membership", [JOIN, INVITE, KNOCK])
    def test_has_the_join_rules_for_who_comes(self, version: RoomVersion, membership: Any) -> None:
        room = a_room(version)
        assert places(room, room.member(ANA, BEN, membership)) == {TARGET, RULES}

    @everywhere
    def test_has_the_join_rules_without_a_target(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.event("m.room.member", ANA, {"membership": "join"})
        assert places(room, event) == {RULES}

    @everywhere
    def test_has_the_stored_invite_of_a_third_party(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.invite(ANA, BEN, third_party_invite=signed_invite())
        assert places(room, event) == {TARGET, RULES, STORED}

    @everywhere
    @pytest.mark.parametrize("invite", [None, {}, {"signed": 7}, {"signed": {"token": 7}}])
    def test_has_no_stored_invite_without_a_token(self, version: RoomVersion, invite: Any) -> None:
        room = a_room(version)
        event = room.invite(ANA, BEN, third_party_invite=invite)
        assert places(room, event) == {TARGET, RULES}

    @everywhere
    def test_has_the_stored_invite_for_invites_only(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = room.join(BEN, third_party_invite=signed_invite())
        assert places(room, event) == {RULES}

    @since("8")
    def test_has_the_authorising_user_of_a_join(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert places(room, room.join(BEN, **{VIA: ANA})) == {RULES, ("m.room.member", ANA)}

    @since("1", "7")
    def test_has_no_authorising_user_before_version_8(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert places(room, room.join(BEN, **{VIA: ANA})) == {RULES}

    @everywhere
    @pytest.mark.parametrize("membership", ["invite", "leave", "ban", "knock"])
    def test_has_the_authorising_user_of_joins_only(
        self, version: RoomVersion, membership: str
    ) -> None:
        room = a_room(version)
        event = room.member(BEN, BEN, membership, **{VIA: ANA})
        assert ("m.room.member", ANA) not in places(room, event)

    @everywhere
    @pytest.mark.parametrize("via", [None, 7, "ana", []])
    def test_has_no_authoriser_that_is_no_user(self, version: RoomVersion, via: Any) -> None:
        room = a_room(version)
        assert places(room, room.join(BEN, **{VIA: via})) == {RULES}


def linked(version: RoomVersion, name: str, *listed: str) -> Event:
    """An event that lists others."""
    pairs = [[entry, {}] for entry in listed] if version.event_id_in_pdu else list(listed)
    pdu = {**a_room(version).message(ANA).to_pdu(), "auth_events": pairs}
    return Event.from_pdu(pdu, version, event_id=name)


def named(letter: str) -> EventID:
    return EventID("$" + letter * 43)


class TestAuthChain:
    @pytest.mark.parametrize("version", [V3, V11, V12], ids=str)
    def test_follows_what_is_listed_once(self, version: RoomVersion) -> None:
        a, b, c, d = map(named, "abcd")
        events = {a: linked(version, a), b: linked(version, b, a), c: linked(version, c, b, a)}
        chain = auth_chain([linked(version, d, c, b)], events.get)
        assert chain == {a: events[a], b: events[b], c: events[c]}

    def test_reads_pairs(self) -> None:
        a, b = EventID("$a:a.example"), EventID("$b:a.example")
        first = linked(V1, a)
        assert auth_chain([linked(V1, b, a)], {a: first}.get) == {a: first}

    def test_leaves_out_what_is_not_at_hand(self) -> None:
        a, b = map(named, "ab")
        assert auth_chain([linked(V11, b, a)], lambda _: None) == {}

    def test_ends_where_events_list_each_other(self) -> None:
        a, b = map(named, "ab")
        events = {a: linked(V11, a, b), b: linked(V11, b, a)}
        assert set(auth_chain([events[a]], events.get)) == {a, b}

    def test_goes_on_after_what_is_listed_twice(self) -> None:
        a, b, c = map(named, "abc")
        events = {a: linked(V11, a), b: linked(V11, b)}
        assert set(auth_chain([linked(V11, c, a, b, b)], events.get)) == {a, b}

    def test_of_nothing_is_empty(self) -> None:
        assert auth_chain([], lambda _: None) == {}
