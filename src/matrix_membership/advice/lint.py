"""Find settings of a room that hurt its members.

Each check in `CHECKS` looks for one thing. It says what happens to whom, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

from matrix_membership._attrs import frozen
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS, level_of
from matrix_membership.identifiers import is_room_id, server_of
from matrix_membership.membership import JOIN
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.restricted import is_restricted, servers_that_can_authorise
from matrix_membership.state import RoomState

__all__ = ["MOST_COMPARISONS", "Finding", "Weight", "lint"]


class Weight(Enum):
    """The weight of a finding: it hurts now, it may hurt, or it is good to know."""

    HURTS = "hurts"
    MAY_HURT = "may hurt"
    NOTE = "note"

    def __str__(self) -> str:
        return self._value_


@frozen
class Finding:
    """One thing in a room that hurts, or may.

    Attributes:
        kind: a name with hyphens that stays the same between releases.
        weight: its weight.
        event: the state event to mend; None if one is missing.
        concerns: the users, servers, rooms or keys affected.
        sentence: what happens to whom.
        remedy: how to mend it.
    """

    kind: str
    weight: Weight
    event: Event | None
    concerns: tuple[str, ...]
    sentence: str
    remedy: str

    def __str__(self) -> str:
        about = f" [{', '.join(self.concerns)}]" if self.concerns else ""
        return f"{self.weight}: {self.sentence}{about}; {self.remedy}"


def lint(state: RoomState) -> tuple[Finding, ...]:
    """Find settings of a room that hurt its members.

    Args:
        state: the current state of the room, all members included.

    Returns:
        The findings, those that hurt now first. Cost: linear in the power levels, the
        access control list and the servers in the room, plus at most
        `MOST_COMPARISONS` comparisons of a server with a pattern; and for the first
        question to a state of `RoomState.of` linear in its members.

    Raises:
        IncompleteState: members are missing from the state.

    >>> from matrix_membership.room_versions import V11
    >>> [finding.kind for finding in lint(RoomState.of(V11, []))]
    ['no-create-event']
    """
    if state.create_event is None:
        sentence = "nothing can happen in a room without m.room.create"
        return (Finding("no-create-event", Weight.HURTS, None, (), sentence, "make another room"),)
    found = [finding for check in CHECKS for finding in check(state)]
    order = list(Weight)
    return tuple(sorted(found, key=lambda finding: order.index(finding.weight)))


# ---------------------------------------------------------------------- join rules


def _join_rule_unknown(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.join_rules")
    if event is not None and state.join_rule not in state.room_version.join_rules:
        named = event.content.get("join_rule")
        yield Finding(
            "join-rule-unknown",
            Weight.HURTS,
            event,
            (str(named),),
            f"nobody can join: room version {state.room_version} does not know the join rule",
            "set one that it knows: "
            + ", ".join(sorted(str(rule) for rule in state.room_version.join_rules)),
        )


def _nobody_can_authorise(state: RoomState) -> Iterator[Finding]:
    if is_restricted(state) and not servers_that_can_authorise(state):
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
    entries = allow if isinstance(allow, tuple) else ()
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


# -------------------------------------------------------------------- power levels


def _highest(state: RoomState) -> int | None:
    """Return the highest power level of a joined member; None if nobody is joined."""
    levels = state.power_levels
    named = {*levels.users, *state.create.privileged}
    if state.create.creator is not None:
        named.add(state.create.creator)
    found = [state.power_level_of(user) for user in named if state.membership_of(user) is JOIN]
    if any(user not in named for user in state.joined_members()):
        found.append(levels.users_default)
    return max(found, default=None)


def _out_of_reach(state: RoomState) -> Iterator[Finding]:
    highest = _highest(state)
    event = state.get("m.room.power_levels")
    if highest is None:
        sentence = "nobody is joined: nobody can send, invite or change anything"
        yield Finding("nobody-joined", Weight.NOTE, None, (), sentence, "forget the room")
        return
    for kind, level, sentence in (
        (
            "nobody-can-invite",
            state.power_levels.invite,
            "nobody can invite: no joined member reaches the invite level",
        ),
        (
            "nobody-can-change-levels",
            state.power_levels.required_for("m.room.power_levels", is_state=True),
            "power can never be given again: no joined member may change the power levels",
        ),
        (
            "nobody-can-change-join-rules",
            state.power_levels.required_for("m.room.join_rules", is_state=True),
            "who may join can never be changed: no joined member may",
        ),
        (
            "nobody-can-ban",
            state.power_levels.ban,
            "nobody can ban: no joined member reaches the ban level",
        ),
    ):
        if level > highest:
            remedy = f"lower it to {highest}, or raise a member to {level}, if anybody still can"
            yield Finding(kind, Weight.HURTS, event, (), sentence, remedy)


def _odd_levels(state: RoomState) -> Iterator[Finding]:
    event = state.get("m.room.power_levels")
    if event is None:
        return
    odd = {path: value for path, value in _levels(event.content) if value.__class__ is not int}
    unread = tuple(p for p, value in odd.items() if level_of(value, state.room_version) is None)
    if unread:
        yield Finding(
            "level-unreadable",
            Weight.HURTS,
            event,
            unread,
            "servers disagree on who may do what: these are not levels, and count as their defaults",
            "write integers",
        )
    others = tuple(path for path in odd if path not in unread)
    if others:
        yield Finding(
            "level-not-an-integer",
            Weight.MAY_HURT,
            event,
            others,
            "servers may disagree on who may do what: not all read text and fractions alike",
            "write integers",
        )


def _levels(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in NAMED_LEVELS:
        if name in content:
            yield name, content[name]
    for name in ("users", "events", "notifications"):
        entries = content.get(name)
        if isinstance(entries, Mapping):
            yield from ((f"{name}.{key}", value) for key, value in entries.items())


def _creators_listed(state: RoomState) -> Iterator[Finding]:
    listed = tuple(sorted(state.create.privileged & state.power_levels.users.keys()))
    if listed:
        yield Finding(
            "creator-listed",
            Weight.HURTS,
            state.get("m.room.power_levels"),
            listed,
            "the power levels can never be changed: creators must not stand among the users",
            "leave the creators out",
        )


# --------------------------------------------------------------------------- others


def _shut_out(state: RoomState) -> Iterator[Finding]:
    event, acl = state.get("m.room.server_acl"), ServerAcl.of(state)
    if acl is None:
        return
    # A stranger may write thousands of odd patterns for a room of thousands of servers, and the
    # comparisons are their product.
    most = MOST_COMPARISONS // max(1, acl.odd_patterns)
    servers = sorted(state.servers_in_room)
    denied = tuple(server for server in servers[:most] if not acl.allows(server))
    if denied:
        every = len(denied) == len(servers)
        yield Finding(
            "acl-bans-members",
            Weight.HURTS,
            event,
            denied,
            "every server of the room is banned from it"
            if every
            else "members on these servers are cut off: their events are refused",
            "permit the servers, or remove their users",
        )


def _closed_with_others(state: RoomState) -> Iterator[Finding]:
    create = state.create_event
    if state.create.federate or create is None:
        return
    others = tuple(sorted(server for server in state.servers_in_room if server != create.server))
    if others:
        yield Finding(
            "unfederated-with-others",
            Weight.HURTS,
            create,
            others,
            "members on these servers can send nothing: the room is closed to other servers",
            "make another room, and invite them",
        )


MOST_COMPARISONS: Final = 50_000
"""The most comparisons of a server with a pattern that is matched character by character.

If there are more, `lint` looks at the first servers by name: at 5,000 if the list has 10 such
patterns (`receipt.server_acl.ServerAcl.odd_patterns`).
"""

Check = Callable[[RoomState], Iterable[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    _join_rule_unknown,
    _nobody_can_authorise,
    _no_conditions,
    _allow_entries,
    _out_of_reach,
    _odd_levels,
    _creators_listed,
    _shut_out,
    _closed_with_others,
)
