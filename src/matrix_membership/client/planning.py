"""Plan the upgrade of a room, before a client asks for it.

The plan is that of `upgrade_room`: the first events of the new room and the last ones of the
old, each judged by the rules of its room's version. It compares who can do what in the old
room with their powers in the new one, once all have followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from matrix_membership import auth
from matrix_membership.advice.may import Permission, may
from matrix_membership.advice.plans import Plan, finished, plan_of, sender_of
from matrix_membership.advice.powers import SHOWN, people, who_can
from matrix_membership.advice.what_if import Step, WhatIf, differences, entries
from matrix_membership.auth.explaining import evidence_for
from matrix_membership.canonical_json import JsonValue, encode
from matrix_membership.client._founding import unsigned
from matrix_membership.client.actions import Send
from matrix_membership.client.upgrading import UpgradedRoom, UpgradeRequest, upgrade_room
from matrix_membership.events import Event
from matrix_membership.fate import member_event
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import (
    RoomID,
    ServerName,
    UserID,
    read_user_id,
    server_of,
    several,
)
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import RoomVersion, room_version
from matrix_membership.state import RoomState

__all__ = ["plan_upgrade"]


def plan_upgrade(
    state: RoomState,
    to: str,
    *,
    by: str | None = None,
    additional_creators: Iterable[str] = (),
    lacking: Iterable[str] = (),
    room_id: str = "",
) -> Plan:
    """Plan to upgrade a room to another version; an older one too.

    Args:
        state: the whole state of the old room.
        to: the new version.
        by: the user who asks for it; by default the member with most power.
        additional_creators: the creators beside that user, from version 12 on.
        lacking: servers that do not speak the new version.
        room_id: the ID of the old room, if the events do not tell it.

    Returns:
        The plan. `Plan.found` compares the old room with the new one as it is once all members
        have followed. The new IDs in it are made up: the real ones depend on the time. Cost: that
        of `upgrade_room` and of `who_can`, twice.

    Raises:
        InvalidIdentifier: a user is not a user ID.
        UnknownRoomVersion: the new version is not known.
        IncompleteState: as from `who_can`.
        TypeError: `additional_creators` or `lacking` is one text.

    .. versionadded:: 0.1.0
    """
    version, sender = room_version(to), sender_of(state, by)
    creators = [
        read_user_id(creator) for creator in several(additional_creators, "additional_creators")
    ]
    without = {*several(lacking, "lacking")}
    title = f"Upgrade the room from version {state.room_version} to {version}"
    room = _resident(state, server_of(sender), room_id)
    if room is None:
        return plan_of(title, state, sender, [], [], "the state has no create event")
    request = UpgradeRequest(sender, RoomID(room.room_id), to, tuple(creators))
    new_id = RoomID(f"!new-room:{room.server_name}")
    made = upgrade_room(request, room, room_id=new_id, at=0)
    if isinstance(made, MatrixError):
        return plan_of(title, state, sender, [], [], made.error)
    found, founded = _found(state, made)
    asked: dict[str, JsonValue] = {"new_version": to}
    if creators:
        asked["additional_creators"] = list(creators)
    body = encode(asked, strict=False).decode()
    notes = [
        "the IDs of the new room and its events are made up: the real ones depend on the time",
        *_not_carried(state, founded, made),
        *_unread(state),
        *_following(state, founded, sender, room.room_id),
        *_lacking(state, without),
        *_unnamed(room, state, room_id),
    ]
    asks = f"POST /_matrix/client/v3/rooms/{room.room_id}/upgrade {body}"
    return finished(title, state, sender, found, notes, request=asks)


def _found(state: RoomState, made: UpgradedRoom) -> tuple[WhatIf, RoomState]:
    """Compare the old room with the new one, and return the new one as it begins."""
    version = made.new_room.room_version
    opening = tuple(_judged(made.new_room.sends, RoomState.of(version, []), made.via))
    steps = (*opening, *_judged(made.closing, state, made.via))
    first = [step.event for step in opening]
    # As if all had followed: who cannot is told in the notes.
    founded = RoomState.of(version, first)
    joins = (
        member_event(user, JOIN, founded)
        for user in state.joined_members()
        if user != first[0].sender
    )
    moved = RoomState.of(version, [*first, *joins])
    before, after = who_can(state), who_can(moved)
    differ = tuple(differences(state, moved, before, after))
    return WhatIf(steps, moved, before, after, differ, entries(before, after)), founded


def _judged(sends: Iterable[Send], state: RoomState, server: ServerName) -> Iterator[Step]:
    """Yield the events of a room with the verdicts that they have got."""
    for send in sends:
        event = unsigned(send.template, server)
        yield Step(event, send.decision, "", (), evidence_for(event, state, auth.check))
        state = state.with_event(event)


def _unnamed(room: ResidentRoom, state: RoomState, told: str) -> Iterator[str]:
    """Yield a note if the old room's ID is made up, as the state does not tell it."""
    create = state.create_event
    named = create is not None and len(create.room_id) > 1  # of version 12's without an ID: "!"
    if not (told or named):
        yield f"the state does not tell the ID of the old room: put it in the place of {room.room_id}"


def _resident(state: RoomState, server: ServerName, room_id: str) -> ResidentRoom | None:
    """Return the room as its server has it, with IDs made up if need be."""
    create, version = state.create_event, state.room_version
    if create is None:
        return None
    by_hash = version.room_id_is_create_event
    ids = [event.event_id or _made_up(n, version) for n, event in enumerate(state.events)]
    # The create event is the first that a state lists only by chance.
    own = next(n for n, event in enumerate(state.events) if event.type == _CREATE)
    if by_hash and room_id and not create.event_id:
        ids[own] = f"${room_id[1:]}"
    told = f"!{ids[own][1:]}" if by_hash else create.room_id or room_id or f"!old-room:{server}"
    events = {}
    for event_id, event in zip(ids, state.events, strict=True):
        fields = {**event.document, "event_id": event_id, "room_id": told}
        if by_hash and event.type == _CREATE:
            del fields["room_id"]
        is_whole = event.event_id and event.room_id
        events[event_id] = event if is_whole else Event.from_client_event(fields, version)
    known = RoomState.of(version, events.values(), partial=state.is_partial)
    return ResidentRoom(server, known, (), 0, events.get)


_CREATE: Final = "m.room.create"


def _made_up(number: int, version: RoomVersion) -> str:
    return f"$made-up-{number}:invalid" if version.event_id_in_pdu else f"${number:0>43}"


def _not_carried(state: RoomState, founded: RoomState, made: UpgradedRoom) -> Iterator[str]:
    for (kind, key), error in made.left_out.items():
        yield f"not carried over, as the new version refuses it: {kind} {key}: {error.error}"
    if founded.join_rule is not state.join_rule:
        yield f"the new version has no join rule {state.join_rule}: it becomes {founded.join_rule}"
    kept = {event.type for event in founded.events} | _OF_ONE_ROOM
    lost = sorted({event.type for event in state.events_but_members if event.content} - kept)
    if lost:
        yield f"not carried over: {', '.join(lost)}"


def _unread(state: RoomState) -> Iterator[str]:
    """Name the malformed events, which the new room goes without."""
    entries = state.passed_over
    members = sorted({entry.state_key or "" for entry in entries if entry.type == "m.room.member"})
    others = sorted({entry.type for entry in entries} - {"m.room.member", ""})
    if members:
        named = people(members[:SHOWN], len(members))
        yield f"not carried over if they are banned, as their events cannot be read: {named}"
    if others:
        yield f"not carried over, as they cannot be read: {', '.join(others)}"


_OF_ONE_ROOM: Final = frozenset({"m.room.tombstone", "m.room.canonical_alias"})
"""The types that do not belong to the new room, or that its server moves with its aliases."""


def _following(state: RoomState, founded: RoomState, sender: UserID, old: str) -> Iterator[str]:
    """Say who cannot follow, and what would let them."""
    users = [user for user in state.joined_members() if user != sender]
    # One of each server: bans aside, which joined members do not have, they are judged alike.
    asked = {server_of(user): _follows(user, founded, old) for user in users}
    stuck = [user for user in users if not asked[server_of(user)]]
    if not stuck:
        return
    reason = asked[server_of(stuck[0])]
    yield f"cannot follow by themselves: {people(stuck[:SHOWN], len(stuck))}: {reason}"
    if founded.room_version.restricted_joins and not founded.allow:
        allow = [{"type": "m.room_membership", "room_id": old}]
        content = {"join_rule": "restricted", "allow": allow}
        event = may(sender, founded).set("m.room.join_rules", "", content).event
        opened = founded.with_event(event)
        if all(_follows(user, opened, old) for user in stuck[:1]):
            told = encode(content, strict=False).decode()
            yield f"to let them follow, send this in the new room: m.room.join_rules {told}"


def _follows(user: str, room: RoomState, old: str) -> Permission:
    return may(user, room).join(memberships={old: JOIN})


def _lacking(state: RoomState, servers: set[str]) -> Iterator[str]:
    users = [user for user in state.joined_members() if server_of(user) in servers]
    if users:
        yield f"on a server that does not speak the new version: {people(users[:SHOWN], len(users))}"
