"""For every rule a smallest case in which it fires, in every version that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.auth import Decision
from matrix_membership.auth.auth_events import AuthEvents
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from tests.builders import (
    ANA,
    BEN,
    CAY,
    DAN,
    Room,
    a_levelled_room,
    a_room,
    an_empty_room,
    signed_invite,
)


@attrs.frozen
class Case:
    """An event, and what it is judged against: a state, or its auth events."""

    event: Event
    against: RoomState | AuthEvents

    def decide(self) -> Decision:
        """The decision on it."""
        if isinstance(self.against, AuthEvents):
            return auth.check_auth_events(
                self.event,
                self.against.events,
                rejected=self.against.rejected,
                create=self.against.create,
            )
        return auth.check(self.event, self.against)


Make = Callable[[RoomVersion], Case]


def _in(room: Room, event: Event) -> Case:
    return Case(event, room.state)


def _create(content: Any = None, **fields: Any) -> Make:
    def make(version: RoomVersion) -> Case:
        told = {"room_version": version.identifier, "creator": ANA} if content is None else content
        more = {"prev_events": [], **fields}
        room = an_empty_room(version)
        return _in(room, room.event("m.room.create", ANA, told, "", **more))

    return make


def _of_another_server(version: RoomVersion) -> Case:
    room = an_empty_room(version)
    content = {"room_version": version.identifier, "creator": BEN}
    return _in(room, room.event("m.room.create", BEN, content, "", prev_events=[]))


def _with_room_id(version: RoomVersion) -> Case:
    case = _create()(version)
    pdu = case.event.to_pdu() | {"room_id": "!r:a.example"}
    event = Event.from_pdu(pdu, version, event_id=case.event.event_id)
    return Case(event, case.against)


def _auth(
    choose: Callable[[Room], list[Event]],
    *,
    rejected: Callable[[Room], set[str]] = lambda _room: set(),
    create: Callable[[Room], Event | None] = lambda room: room.events[0],
) -> Make:
    def make(version: RoomVersion) -> Case:
        room = a_room(version).with_levels()
        event = room.message(ANA)
        return Case(event, AuthEvents.of(event, choose(room), rejected(room), create(room)))

    return make


def _needed(room: Room) -> list[Event]:
    create, member, levels = room.events
    return [member, levels] if room.version.room_id_is_create_event else [create, member, levels]


def _of_another_room(version: RoomVersion) -> Case:
    room = a_room(version).with_levels()
    other = a_room(version)
    moved = other.events[1].to_pdu() | {"room_id": "!other:a.example"}
    member = Event.from_pdu(moved, version, event_id=room.events[1].event_id)
    listed = [member if event.type == "m.room.member" else event for event in _needed(room)]
    event = room.message(ANA)
    return Case(event, AuthEvents.of(event, listed, frozenset(), room.events[0]))


def _room(
    build: Callable[[Room], Room], event: Callable[[Room], Event], base: Any = a_room
) -> Make:
    def make(version: RoomVersion) -> Case:
        room = build(base(version))
        return _in(room, event(room))

    return make


def _same(room: Room) -> Room:
    return room


def _members(**memberships: Any) -> Callable[[Room], Room]:
    names = {"ana": ANA, "ben": BEN, "cay": CAY, "dan": DAN}

    def build(room: Room) -> Room:
        for name, membership in memberships.items():
            room = room.with_member(names[name], membership)
        return room

    return build


def _restricted(room: Room) -> Room:
    return room.with_join_rule("restricted")


def _first_join(version: RoomVersion) -> Case:
    create = a_room(version).events[0]
    room = Room(version, (create,))
    join = room.event(
        "m.room.member", ANA, {"membership": "join"}, ANA, prev_events=[create.event_id]
    )
    return _in(room, join)


def _third(event: Callable[[Room], Event], **more: Any) -> Make:
    return _room(lambda room: room.with_third_party_invite(**more), event)


def _levels(new: Any, sender: str = ANA, **levels: Any) -> Make:
    """Ana, of level 50, changes the levels of a room."""

    def make(version: RoomVersion) -> Case:
        room = a_levelled_room(version, **{"events": {"m.room.power_levels": 50}, **levels})
        current = room.events[-1].to_pdu()["content"]
        content = new(current) if callable(new) else new
        return _in(room, room.event("m.room.power_levels", sender, content, ""))

    return make


def _set(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda current: {**current, **changes}


def _first_levels(content: Any) -> Make:
    return _room(_same, lambda room: room.event("m.room.power_levels", ANA, content, ""))


def _invite(**content: Any) -> Callable[[Room], Event]:
    return lambda room: room.invite(ANA, BEN, **content)


CASES: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "create.has_prev_events": _create(prev_events=["$p:a.example"]),
        "create.room_id_of_another_server": _of_another_server,
        "create.has_room_id": _with_room_id,
        "create.unknown_room_version": _create({"room_version": "0", "creator": ANA}),
        "create.no_creator": _create({}),
        "create.additional_creators_unreadable": _create({"additional_creators": ["ben"]}),
        "create.otherwise": _create(),
        "auth_events.room_id_of_no_accepted_create_event": _auth(
            _needed, create=lambda _room: None
        ),
        "auth_events.duplicates": _auth(lambda room: [*_needed(room), room.events[1]]),
        "auth_events.unexpected": _auth(
            lambda room: [*_needed(room), room.with_member(BEN, JOIN).events[-1]]
        ),
        "auth_events.rejected": _auth(_needed, rejected=lambda room: {room.events[1].event_id}),
        "auth_events.no_create_event": _auth(lambda room: _needed(room)[1:]),
        "auth_events.of_another_room": _of_another_room,
        "auth_events.otherwise": _auth(_needed),
        "every_event.sender_from_unfederated_server": _room(
            _members(ben=JOIN),
            lambda room: room.message(BEN),
            lambda version: a_room(version, **{"m.federate": False}),
        ),
        "aliases.no_state_key": _room(
            _same, lambda room: room.event("m.room.aliases", ANA, {"aliases": []})
        ),
        "aliases.state_key_of_another_server": _room(
            _same, lambda room: room.event("m.room.aliases", ANA, {}, "b.example")
        ),
        "aliases.otherwise": _room(
            _same, lambda room: room.event("m.room.aliases", ANA, {}, "a.example")
        ),
        "member.no_state_key_or_membership": _room(
            _same, lambda room: room.event("m.room.member", ANA, {}, ANA)
        ),
        "member.unsigned_by_the_authoriser": _room(
            _restricted, lambda room: room.join(BEN, join_authorised_via_users_server=ANA)
        ),
        "member.unknown_membership": _room(_same, lambda room: room.member(ANA, ANA, "dance")),
        "join.first_join_of_the_creator": _first_join,
        "join.of_another_user": _room(
            lambda room: room.with_join_rule("public"), lambda room: room.member(ANA, BEN, JOIN)
        ),
        "join.while_banned": _room(
            lambda room: room.with_join_rule("public").with_member(BEN, BAN),
            lambda room: room.join(BEN),
        ),
        "join.invited_to_invite_room": _room(
            lambda room: room.with_join_rule("invite").with_member(BEN, INVITE),
            lambda room: room.join(BEN),
        ),
        "join.invited_to_invite_or_knock_room": _room(
            lambda room: room.with_join_rule("knock").with_member(BEN, INVITE),
            lambda room: room.join(BEN),
        ),
        "join.invited_to_restricted_room": _room(
            lambda room: _restricted(room).with_member(BEN, INVITE), lambda room: room.join(BEN)
        ),
        "join.authoriser_may_not_invite": _room(_restricted, lambda room: room.join(BEN)),
        "join.authorised_by_a_member": _room(
            _restricted,
            lambda room: room.join(
                BEN, signed_by=["a.example"], join_authorised_via_users_server=ANA
            ),
        ),
        "join.public_room": _room(
            lambda room: room.with_join_rule("public"), lambda room: room.join(BEN)
        ),
        "join.otherwise": _room(_same, lambda room: room.join(BEN)),
        "invite.third_party_target_banned": _room(
            lambda room: room.with_third_party_invite().with_member(BEN, BAN),
            _invite(third_party_invite=signed_invite()),
        ),
        "invite.third_party_unsigned": _third(_invite(third_party_invite={})),
        "invite.third_party_without_mxid_or_token": _third(
            _invite(third_party_invite={"signed": {"mxid": BEN}})
        ),
        "invite.third_party_mxid_of_another_user": _third(
            _invite(third_party_invite=signed_invite(CAY))
        ),
        "invite.third_party_token_unknown": _third(
            _invite(third_party_invite=signed_invite(token="other"))
        ),
        "invite.third_party_sender_differs": _third(
            _invite(third_party_invite=signed_invite()), sender=DAN
        ),
        "invite.third_party_signed_by_its_key": _third(_invite(third_party_invite=signed_invite())),
        "invite.third_party_otherwise": _third(
            _invite(third_party_invite=signed_invite()), public_key="A" * 43
        ),
        "invite.sender_not_joined": _room(_same, lambda room: room.invite(BEN, CAY)),
        "invite.target_joined_or_banned": _room(_members(ben=BAN), _invite()),
        "invite.sender_may_invite": _room(_same, _invite()),
        "invite.otherwise": _room(
            lambda room: room.with_levels(invite=51), _invite(), a_levelled_room
        ),
        "leave.of_oneself_from_invite_or_join": _room(_same, lambda room: room.leave(ANA)),
        "leave.of_oneself_from_invite_join_or_knock": _room(
            _members(ben=KNOCK), lambda room: room.leave(BEN)
        ),
        "leave.of_oneself_otherwise": _room(_members(ben=BAN), lambda room: room.leave(BEN)),
        "leave.sender_not_joined": _room(_same, lambda room: room.kick(BEN, CAY)),
        "leave.sender_may_not_unban": _room(
            lambda room: room.with_levels({ANA: 50}, ban=51).with_member(BEN, BAN),
            lambda room: room.kick(ANA, BEN),
            a_levelled_room,
        ),
        "leave.sender_may_kick": _room(_members(ben=JOIN), lambda room: room.kick(ANA, BEN)),
        "leave.otherwise": _room(
            lambda room: room.with_levels({ANA: 50, BEN: 50}).with_member(BEN, JOIN),
            lambda room: room.kick(ANA, BEN),
            a_levelled_room,
        ),
        "ban.sender_not_joined": _room(_same, lambda room: room.ban(BEN, CAY)),
        "ban.sender_may_ban": _room(_members(ben=LEAVE), lambda room: room.ban(ANA, BEN)),
        "ban.otherwise": _room(
            lambda room: room.with_levels({ANA: 50, BEN: 50}),
            lambda room: room.ban(ANA, BEN),
            a_levelled_room,
        ),
        "knock.join_rule_is_not_knock": _room(
            lambda room: room.with_join_rule("knock_restricted"), lambda room: room.knock(BEN)
        ),
        "knock.join_rule_is_not_knock_or_knock_restricted": _room(
            _restricted, lambda room: room.knock(BEN)
        ),
        "knock.of_another_user": _room(
            lambda room: room.with_join_rule("knock"), lambda room: room.member(ANA, BEN, KNOCK)
        ),
        "knock.from_outside": _room(
            lambda room: room.with_join_rule("knock"), lambda room: room.knock(BEN)
        ),
        "knock.otherwise": _room(
            lambda room: room.with_join_rule("knock").with_member(BEN, INVITE),
            lambda room: room.knock(BEN),
        ),
        "every_event.sender_not_joined": _room(_same, lambda room: room.message(BEN)),
        "third_party_invite.sender_may_invite": _room(
            _same, lambda room: room.event("m.room.third_party_invite", ANA, {}, "tok")
        ),
        "third_party_invite.otherwise": _room(
            lambda room: room.with_levels({ANA: 50}, invite=51),
            lambda room: room.event("m.room.third_party_invite", ANA, {}, "tok"),
            a_levelled_room,
        ),
        "every_event.sender_below_required_power_level": _room(
            _members(ben=JOIN), lambda room: room.event("m.room.topic", BEN, {}, "")
        ),
        "every_event.state_key_of_another_user": _room(
            _same, lambda room: room.event("x.of_user", ANA, {}, BEN)
        ),
        "power_levels.named_level_not_an_integer": _first_levels({"ban": "50"}),
        "power_levels.map_of_other_than_integers": _first_levels({"events": {"x": "50"}}),
        "power_levels.users_unreadable": _first_levels({"users": {"ben": 50}}),
        "power_levels.creator_listed": _first_levels({"users": {ANA: 50}}),
        "power_levels.first_power_levels": _first_levels({"users": {BEN: 50}}),
        "power_levels.changes_named_level_above_own": _levels(_set(ban=50), ban=60),
        "power_levels.sets_named_level_above_own": _levels(_set(ban=60), ban=50),
        "power_levels.changes_event_level_above_own": _levels(
            _set(events={"m.room.power_levels": 50}),
            events={"m.room.power_levels": 50, "x": 60},
        ),
        "power_levels.changes_event_or_notification_level_above_own": _levels(
            _set(notifications={}), notifications={"room": 60}
        ),
        "power_levels.sets_event_level_above_own": _levels(
            _set(events={"m.room.power_levels": 50, "x": 60})
        ),
        "power_levels.sets_event_or_notification_level_above_own": _levels(
            _set(notifications={"room": 60})
        ),
        "power_levels.changes_user_not_below_own": _levels(_set(users={ANA: 50}), users={BEN: 50}),
        "power_levels.sets_user_above_own": _levels(_set(users={ANA: 50, BEN: 51})),
        "power_levels.otherwise": _levels(_set(users={ANA: 50, BEN: 50})),
        "redaction.sender_may_redact": _room(
            _same, lambda room: room.event("m.room.redaction", ANA, {}, redacts="$x:b.example")
        ),
        "redaction.of_an_event_of_the_same_server": _room(
            _members(dan=JOIN),
            lambda room: room.event("m.room.redaction", DAN, {}, redacts="$x:a.example"),
        ),
        "redaction.otherwise": _room(
            _members(dan=JOIN),
            lambda room: room.event("m.room.redaction", DAN, {}, redacts="$x:b.example"),
        ),
        "every_event.otherwise": _room(_same, lambda room: room.message(ANA)),
    }
)
"""By the rule's name."""
