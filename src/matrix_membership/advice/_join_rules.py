"""Check the join rules of a room: somebody has to be able to come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.advice._given import need_all_members
from matrix_membership.identifiers import is_room_id, server_of
from matrix_membership.restricted import is_restricted, servers_that_can_authorise
from matrix_membership.state import RoomState


def _join_rule_unknown(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.join_rules")
    if event is None:
        return
    named = event.content.get("join_rule")
    known = state.room_version.join_rules
    if state.join_rule not in known and named not in state.room_version.own_join_rules:
        yield Finding(
            "join-rule-unknown",
            Weight.HURTS,
            event,
            (str(named),),
            f"nobody can join: room version {state.room_version} does not know the join rule",
            "set one that it knows: " + ", ".join(sorted(map(str, known))),
        )


def _nobody_can_authorise(state: RoomState) -> Iterator[Finding]:
    if is_restricted(state) and not servers_that_can_authorise(state):
        # Asked only now: a state that leaves members out can still show somebody who can.
        need_all_members(state)
        yield Finding(
            "nobody-can-authorise",
            Weight.HURTS,
            state.get("m.room.join_rules"),
            (),
            "nobody can join through the rooms named: no joined member reaches the invite level",
            "lower the invite level, or give it to a member",
        )


def _no_conditions(state: RoomState) -> Iterator[Finding]:
    if is_restricted(state) and not state.allow:
        yield Finding(
            "no-conditions",
            Weight.HURTS,
            state.get("m.room.join_rules"),
            (),
            "nobody can join uninvited: the join rule names no room that can be read",
            "name a room under allow, or set another join rule",
        )


def _allow_entries(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.join_rules")
    if event is None or not is_restricted(state):
        return
    allow = event.content.get("allow")
    entries = allow if isinstance(allow, (list, tuple)) else ()
    # Servers pass over such an entry without a word, so nobody notices.
    odd = [f"allow[{index}]" for index, entry in enumerate(entries) if not _leads_somewhere(entry)]
    if odd:
        yield Finding(
            "allow-points-nowhere",
            Weight.MAY_HURT,
            event,
            tuple(odd),
            "these conditions let nobody in: they name no room that can be read",
            "name a room by its ID, with the type m.room_membership",
        )
    # Room IDs of version 12 are hashes: they name no server that could be asked for the room.
    without = tuple(room for room in state.allow if not server_of(room))
    if without:
        yield Finding(
            "allow-without-server",
            Weight.NOTE,
            event,
            without,
            "who is not in these rooms cannot find them: their IDs name no server",
            "tell people an address or a link of the rooms that names servers",
        )


def _leads_somewhere(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping)
        and entry.get("type") == "m.room_membership"
        and is_room_id(entry.get("room_id"))
    )


JOIN_RULE_CHECKS: Final[tuple[Check, ...]] = (
    _join_rule_unknown,
    _nobody_can_authorise,
    _no_conditions,
    _allow_entries,
)
