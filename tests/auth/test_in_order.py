"""Lists of auth events that are seen to be in order, and what the rules say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from matrix_membership import Event, RoomVersion, auth
from matrix_membership.auth._in_order import in_order
from matrix_membership.auth.auth_events import selected_by_specification
from matrix_membership.conformance import SYNAPSE, compatible
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import KNOWN, V1, V11, V12
from tests.builders import ANA, BEN, CAY, Room, a_room, decision, everywhere, signed_invite
from tests.generated_cases import events_of, generate

CASES = 150
NOBODY: frozenset[str] = frozenset()


def by_the_rules(version: RoomVersion) -> RoomVersion:
    """The version with a rulebook of its own, whose lists are judged by the rules alone."""
    book = auth.rulebook(version).select(partial(selected_by_specification))
    return version.evolve(identifier=version.identifier, rules=book)


def lists(event: Event, state: list[Event]) -> Iterator[list[Event]]:
    """A good list of auth events, and such as lack one, or have one too many."""
    selected = auth.select_auth_events(event)
    good = [entry for entry in state if (entry.type, entry.state_key) in selected]
    yield from (good, good[1:], good[:-1], [*good, *good[:1]], state)
    yield from ([*good, other] for other in state if other not in good)
    yield from (replaced(good, type=kind) for kind in ("m.room.message", "m.room.create"))
    yield from (replaced(good, state_key=key) for key in (None, "x"))
    yield replaced(good, room_id="!other")


def replaced(good: list[Event], **fields: Any) -> list[Event]:
    """The list with its last event in another place."""
    return [
        *good[:-1],
        *(
            Event.accepted(
                {**last.document, "event_id": last.event_id, **fields}, last.room_version
            )
            for last in good[-1:]
        ),
    ]


def taken_over(version: RoomVersion) -> Callable[[Event], Event]:
    """A function that gives an event of another version object."""

    def take(event: Event) -> Event:
        document = {**event.document, "event_id": event.event_id}
        return Event.accepted(document, version, signed_by=event.signed_by)

    return take


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_in_order_is_what_the_rules_allow(name: str) -> None:
    take = taken_over(by_the_rules(KNOWN[name]))
    for seed in range(CASES):
        state, event = events_of(generate(seed, name))
        create, slow = state[0], take(event)
        for listed in lists(event, state):
            for rejected in (NOBODY, frozenset({state[seed % len(state)].event_id})):
                ids = tuple([entry.event_id for entry in listed])
                ours = auth.check_auth_events(
                    event, listed, rejected=rejected, create=create, listed=ids
                )
                theirs = auth.check_auth_events(
                    slow, map(take, listed), rejected=rejected, create=create, listed=ids
                )
                assert (ours.allowed, ours.number) == (theirs.allowed, theirs.number), seed


def a_full_room(version: RoomVersion) -> Room:
    return a_room(version).with_levels().with_join_rule("public").with_member(BEN, JOIN)


def seen(room: Room, event: Event, *more: Event, rejected: frozenset[str] = NOBODY) -> bool:
    """Tell whether the list of an event is seen to be in order, with more events on it."""
    selected = auth.select_auth_events(event)
    listed = [entry for entry in room.events if (entry.type, entry.state_key) in selected]
    return in_order(event, [*listed, *more], rejected, room.events[0], ())


class TestInOrder:
    @everywhere
    def test_is_a_good_list_of_each_kind(self, version: RoomVersion) -> None:
        room = a_full_room(version)
        kinds = (
            *(room.message(ANA), room.join(CAY), room.leave(BEN), room.kick(ANA, BEN)),
            *(room.invite(ANA, CAY), room.ban(ANA, BEN), room.join(BEN)),
        )
        for event in kinds:
            assert seen(room, event)
            assert not seen(room, event, room.message(ANA))

    def test_knows_the_authorising_user(self) -> None:
        room = a_full_room(V11)
        event = room.join(CAY, join_authorised_via_users_server=BEN)
        assert seen(room, event)
        assert not seen(room, room.join(CAY), *[e for e in room.events if e.state_key == BEN])
        no_joins = V11.evolve(identifier="mine", join_rules={"public"})
        listed = [taken_over(no_joins)(entry) for entry in room.events]
        assert not in_order(taken_over(no_joins)(event), listed, NOBODY, None, ())

    def test_leaves_third_party_invites_and_create_events_to_the_rules(self) -> None:
        room = a_full_room(V11)
        invite = room.invite(ANA, CAY, third_party_invite=signed_invite())
        assert not seen(room, invite)
        assert not in_order(room.events[0], [], NOBODY, None, ())

    def test_is_no_list_with_an_id_twice_or_rejected(self) -> None:
        room = a_full_room(V11)
        message, (create, member, *_) = room.message(ANA), room.events
        assert in_order(message, [create, member], NOBODY, None, (create.event_id,))
        assert not in_order(message, [create, member], NOBODY, None, (create.event_id,) * 2)
        assert not seen(room, message, rejected=frozenset({member.event_id}))
        assert seen(room, message, rejected=frozenset({"$other"}))

    def test_asks_for_the_create_event(self) -> None:
        for version in (V1, V11, V12):
            room = a_full_room(version)
            assert not in_order(room.message(ANA), room.events[1:2], NOBODY, None, ())
        room, create = a_full_room(V12), a_full_room(V12).events[0]
        message, member = room.message(ANA), room.events[1]
        assert in_order(message, [member], NOBODY, create, ())
        assert not in_order(message, [create, member], NOBODY, create, ())
        assert not in_order(message, [member], frozenset({create.event_id}), create, ())
        assert not in_order(message, [member], NOBODY, member, ())


class TestAmendedRules:
    def test_are_asked_if_they_concern_lists(self) -> None:
        room = a_full_room(V11)
        listed = [room.events[0], room.events[1]]

        @auth.rejects(v1="2.1a")
        def never(_: Event, __: object) -> bool:
            """Nothing is listed."""
            return True

        book = auth.rulebook(V11).insert(never, after="auth_events.duplicates")
        mine = V11.evolve(identifier="mine", rules=book)
        message = taken_over(mine)(room.message(ANA))
        assert not auth.check_auth_events(message, map(taken_over(mine), listed)).allowed

    def test_of_the_state_leave_lists_alone(self) -> None:
        room, theirs = a_full_room(V11), compatible(V11, *SYNAPSE)
        message = taken_over(theirs)(room.message(ANA))
        listed = [taken_over(theirs)(entry) for entry in room.events[:2]]
        judged = auth.check_auth_events(message, listed)
        assert judged.number == decision("auth_events.otherwise", V11).number
