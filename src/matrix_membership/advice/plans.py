"""Plan a change of a room: the events to send, and what they would do.

Each plan is a few events, made for the room as it is and judged by the rules of its version.
It tells what `what_if` and `lint` say of them, and why it must not or should not be carried
out. Nothing is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.advice._finding import Finding
from matrix_membership.advice._given import lacks_members, require
from matrix_membership.advice._powers import part, people
from matrix_membership.advice._servers import can_match
from matrix_membership.advice.lint import beyond, lint
from matrix_membership.advice.may import may
from matrix_membership.advice.powers import SHOWN, who_can
from matrix_membership.advice.what_if import WhatIf, what_if
from matrix_membership.auth.explaining.levels import LevelPath, levels_content
from matrix_membership.canonical_json import MAX_INTEGER, JsonValue, encode
from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event
from matrix_membership.identifiers import (
    UserID,
    read_room_id,
    read_user_id,
    server_of,
    several,
)
from matrix_membership.membership import INVITE, JOIN, KNOCK, UNKNOWN, JoinRule
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.restricted import is_restricted, servers_that_can_authorise
from matrix_membership.state import FIRST_CREATOR_POWER_LEVEL, RoomState

__all__ = ["close", "hand_over", "lock_out", "open_to"]


@frozen
class Plan:
    """A planned change: true if it can be, and leaves somebody in charge.

    Attributes:
        title: the change in a few words.
        sender: the user who sends the events.
        found: the events with their verdicts, and what they do.
        added: the findings of `lint` that they add.
        removed: the findings that they remove.
        notes: more facts about it, a sentence each.
        objection: why it cannot be carried out; empty if it can.
        danger: why it should not be; empty if it leaves somebody in charge.
        request: the request of a client whose server then sends the events; empty if the
            client sends them itself.
    """

    title: str
    sender: UserID
    found: WhatIf
    added: tuple[Finding, ...]
    removed: tuple[Finding, ...]
    notes: tuple[str, ...]
    objection: str
    danger: str
    request: str

    def __bool__(self) -> bool:
        return not self.objection and not self.danger

    @property
    def events(self) -> tuple[Event, ...]:
        """The events to send, in their order."""
        return tuple(step.event for step in self.found.steps)

    def __str__(self) -> str:
        parts = [self.title]
        parts += [f"no: {reason}" for reason in (self.objection, self.danger) if reason]
        sent = [line for event in self.events for line in _sent(event)]
        asked = [self.request] if self.request else sent or ["nothing"]
        parts += [part(f"Send, as {self.sender}", asked)]
        parts += [part("The server would send", sent)] if self.request else []
        parts += [str(self.found)] if self.events else []
        for title, lines in (
            ("It would hurt", self.added),
            ("It would mend", self.removed),
            ("Notes", self.notes),
        ):
            parts += [part(title, lines)] if lines else []
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the plan as a JSON object."""
        return {
            "title": self.title,
            "sender": self.sender,
            "events": [
                {"type": e.type, "state_key": e.state_key, "content": e.document["content"]}
                for e in self.events
            ],
            "objection": self.objection,
            "danger": self.danger,
            "request": self.request,
            "added": [finding.to_dict() for finding in self.added],
            "removed": [finding.to_dict() for finding in self.removed],
            "notes": list(self.notes),
            "what_if": self.found.to_dict(),
        }


def _sent(event: Event) -> Iterator[str]:
    yield f"{event.type} {event.state_key}".rstrip()
    yield f"  {encode(event.document['content'], strict=False).decode()}"


def hand_over(state: RoomState, to: str, *, by: str | None = None, keep: int | None = None) -> Plan:
    """Plan to hand a room over: another user gets the owner's level.

    A creator of version 12 keeps infinite power for ever, and stays above the new owner. The new
    owner then gets the highest level that the room names, at least 100.

    Args:
        state: the state of the room.
        to: the new owner.
        by: the owner; by default the member with most power.
        keep: the level that the owner keeps; by default that of users without one of their own.

    Raises:
        InvalidIdentifier: one of the users is not a user ID.
        IncompleteState: as from `powers.who_can`.

    .. versionadded:: 0.1.0
    """
    sender, new = sender_of(state, by), read_user_id(to)
    creators = state.create.privileged
    level = _highest(state) if sender in creators else state.power_level_of(sender)
    objection = ""
    if new == sender:
        objection = f"{new} has the room already"
    elif keep is not None and sender not in creators and keep > level:
        # The rules would allow it in a room without power levels, where the first ones may be any.
        objection = f"{sender} cannot keep {keep}: the new owner gets {level}"
    elif new in creators and sender in creators:
        objection = f"{new} is a creator too: both have infinite power for ever"
    changed: dict[LevelPath, int] = {}
    if new not in creators and state.power_level_of(new) < level:
        changed["users", new] = level
    if sender not in creators:
        changed["users", sender] = state.power_levels.users_default if keep is None else keep
    content = levels_content(changed, state)
    events = [may(sender, state).set("m.room.power_levels", "", content).event]
    notes = [*_creators_above(state, new), *_as_high(state, {sender, new}, level)]
    notes += _once_joined(state, new)
    send = events if changed and not objection else []
    return plan_of(f"Hand the room over to {new}", state, sender, send, notes, objection)


def _once_joined(state: RoomState, new: str) -> Iterator[str]:
    membership = state.membership_of(new)
    if membership is UNKNOWN:
        yield f"{new} has the power only while they are joined, and the state does not tell"
    elif membership is not JOIN:
        yield f"{new} is not joined, and has the power only once they are: invite them first"


def _highest(state: RoomState) -> int:
    """Return the highest level that the power levels name, at least 100."""
    levels = state.power_levels
    named = (levels.users, levels.events, levels.notifications, levels.named)
    return max(FIRST_CREATOR_POWER_LEVEL, *(level for each in named for level in each.values()), 0)


def _creators_above(state: RoomState, new: str) -> Iterator[str]:
    creators = state.create.privileged
    if creators and new not in creators:
        named = people(sorted(creators)[:SHOWN], len(creators))
        yield (
            f"creators keep infinite power for ever, and stay above {new}: {named}; only an upgrade"
            " by the new owner makes another creator"
        )


def _as_high(state: RoomState, but: set[UserID], level: int) -> Iterator[str]:
    others = [user for user, theirs in state.power_levels.users.items() if theirs >= level]
    others = sorted(user for user in others if user not in but)
    if others:
        yield f"others have as much power as the new owner: {people(others[:SHOWN], len(others))}"


def close(state: RoomState, *, by: str | None = None, withdraw: bool = False) -> Plan:
    """Plan to close a room: nobody new comes in.

    Only members of the ban level may still invite.

    Args:
        state: the state of the room.
        by: the user who closes it; by default the member with most power.
        withdraw: withdraw the invites that are open, and deny the knocks.

    Raises:
        InvalidIdentifier: `by` is not a user ID.
        IncompleteState: as from `powers.who_can`.

    .. versionadded:: 0.1.0
    """
    sender = sender_of(state, by)
    asked, levels = may(sender, state), state.power_levels
    events: list[Event] = []
    if state.join_rule not in (JoinRule.INVITE, JoinRule.PRIVATE):
        events.append(asked.set("m.room.join_rules", "", {"join_rule": "invite"}).event)
    # The invite of somebody with as much power stays: nobody kicks them.
    waiting = [(user, asked.kick(user)) for user in _waiting(state)]
    kept = [user for user, answer in waiting if not (withdraw and answer)]
    if withdraw:
        events += [answer.event for _, answer in waiting if answer]
        events += [
            asked.set(event.type, event.state_key or "", {}).event for event in _by_address(state)
        ]
    objection = ""
    if levels.invite <= levels.users_default:
        # At most the sender's own level, which is all that the rules let them set.
        most = min(state.power_level_of(sender), MAX_INTEGER)
        needed = min(max(levels.ban, levels.users_default + 1), most)
        content = levels_content({("invite",): needed}, state)
        events.append(asked.set("m.room.power_levels", "", content).event)
        if needed <= levels.users_default:
            objection = (
                f"{sender} cannot set an invite level above {needed}, and members without a level"
                f" of their own have {levels.users_default}: they could still invite"
            )
    notes = [f"still invited, or knocking: {people(kept[:SHOWN], len(kept))}"] if kept else []
    if lacks_members(state):
        notes.append("others may be invited or knock: the state leaves members out")
    if not withdraw and _by_address(state):
        notes.append(f"still invited by address: {len(_by_address(state))}")
    notes += _readable(state)
    notes.append(
        "addresses and the room's place in directories are kept outside its state: remove them too"
    )
    plan = plan_of("Close the room", state, sender, events, notes)
    # Only then: a user who may not send the events at all should hear that first.
    return plan if plan.objection else evolve(plan, objection=objection)


def _waiting(state: RoomState) -> list[str]:
    """Return the invited and the knocking users."""
    return [user for user, event in state.members.items() if event.membership in (INVITE, KNOCK)]


def _by_address(state: RoomState) -> list[Event]:
    """Return the open invites by address."""
    kind = "m.room.third_party_invite"
    return [event for event in state.events_but_members if event.type == kind and event.content]


def _readable(state: RoomState) -> Iterator[str]:
    kind = "m.room.history_visibility"
    event = state.get(kind) if state.knows(kind) else None
    if event is not None and event.content.get("history_visibility") == "world_readable":
        yield "anybody can still read the room: its history visibility is world_readable"


def open_to(state: RoomState, rooms: Iterable[str], *, by: str | None = None) -> Plan:
    """Plan to open a room to the members of others: of a space, as a rule.

    Args:
        state: the state of the room.
        rooms: the IDs of the rooms whose members may join.
        by: the user who opens it; by default the member with most power.

    Raises:
        InvalidIdentifier: `by` is not a user ID, or a room not a room ID.
        IncompleteState: as from `powers.who_can`.
        TypeError: `rooms` is one text.

    .. versionadded:: 0.1.0
    """
    sender = sender_of(state, by)
    wanted = [read_room_id(room) for room in several(rooms, "rooms")]
    title = f"Open the room to members of {', '.join(wanted)}"
    version = state.room_version
    if not version.restricted_joins:
        reason = f"room version {version} has no restricted rooms: upgrade the room to 8 or newer"
        return plan_of(title, state, sender, [], [], reason)
    events, rule = [], JoinRule.RESTRICTED
    knocks = state.join_rule in (JoinRule.KNOCK, JoinRule.KNOCK_RESTRICTED)
    if knocks and JoinRule.KNOCK_RESTRICTED in version.join_rules:
        rule = JoinRule.KNOCK_RESTRICTED
    new = [room for room in wanted if not is_restricted(state) or room not in state.allow]
    if new:
        allow = [{"type": "m.room_membership", "room_id": room} for room in new]
        content = {"join_rule": str(rule), "allow": [*_allowed(state), *allow]}
        events = [may(sender, state).set("m.room.join_rules", "", content).event]
    notes = [f"the room is not in {room} by that: add it there as m.space.child" for room in new]
    notes += _letting_in(state)
    if state.join_rule is JoinRule.PUBLIC:
        notes.append("anybody may join now: this shuts out all but the members of these rooms")
    return plan_of(title, state, sender, events, notes)


def _letting_in(state: RoomState) -> Iterator[str]:
    """Say who lets the members of other rooms in, and who stays outside."""
    servers = sorted(servers_that_can_authorise(state))
    if servers:
        yield f"servers that can let them in: {people(servers[:SHOWN], len(servers))}"
    elif not lacks_members(state):
        yield "nobody can let them in: no joined member reaches the invite level"
    create = state.create_event
    if create is not None and not state.create.federate:
        yield f"the room is closed to other servers: only users of {create.server} can join"


def _allowed(state: RoomState) -> list[JsonValue]:
    """Return the conditions that the room has, those of other types too."""
    event = state.get("m.room.join_rules") if is_restricted(state) else None
    allow = None if event is None else event.content.get("allow")
    return [*allow] if isinstance(allow, (list, tuple)) else []


def lock_out(state: RoomState, servers: Iterable[str], *, by: str | None = None) -> Plan:
    """Plan to lock servers out of a room by its access control list.

    A list that would ban the sender's own server is an objection: no server would read a later
    list of theirs, so it could never be mended.

    Args:
        state: the state of the room.
        servers: names of servers, with `*` and `?` as wildcards. A port is cut off, as the list
            has none.
        by: the user who sends the list; by default the member with most power.

    Raises:
        InvalidIdentifier: `by` is not a user ID.
        InvalidMessage: one of the servers cannot be a pattern of the list.
        IncompleteState: as from `powers.who_can`.
        TypeError: `servers` is one text.

    .. versionadded:: 0.1.0
    """
    sender = sender_of(state, by)
    patterns = [_pattern(server) for server in several(servers, "servers")]
    event = state.get("m.room.server_acl")
    content: dict[str, Any] = {"allow": ["*"]} if event is None else {**event.content}
    denied = content.get("deny")
    deny = [*denied] if isinstance(denied, (list, tuple)) else []
    new = [pattern for pattern in patterns if pattern not in deny]
    content["deny"] = [*deny, *new]
    title, own = f"Lock out {', '.join(patterns)}", server_of(sender)
    acl = ServerAcl.from_content(content)
    if not acl.allows(own):
        reason = f"the list would ban {own}, the sender's own server: nobody there could mend it"
        return plan_of(title, state, sender, [], [], reason)
    events = [may(sender, state).set("m.room.server_acl", "", content).event] if new else []
    return plan_of(title, state, sender, events, [*_locked_out(state, content, patterns)])


def _pattern(server: str) -> str:
    name, port = server.lower(), re.search(r"(?<=[^:]):[0-9]{1,5}$", server)
    if port is not None:
        name = name[: port.start()]
    if not can_match(name):
        raise InvalidMessage("server", "a server name, with * and ? as the only wildcards", server)
    return name


def _locked_out(
    state: RoomState, content: Mapping[str, JsonValue], patterns: list[str]
) -> Iterator[str]:
    banned = ServerAcl(allow=("*",), deny=tuple(patterns))
    users = [user for user in state.joined_members() if not banned.allows(server_of(user))]
    if users:
        yield (
            f"still members, though nobody takes what they send: {people(users[:SHOWN], len(users))};"
            " remove them, so that their servers get no new events"
        )
    if lacks_members(state):
        yield "others may be members there: the state leaves members out"
    elif not users:
        yield "no member is on a server that this locks out"
    if ServerAcl.from_content(content).allow_ip_literals:
        yield "servers named by an IP address are permitted: set allow_ip_literals to false if not wanted"


def sender_of(state: RoomState, by: str | None) -> UserID:
    """Return the user who is to send: by default the member with most power."""
    require(RoomState, state)
    if by is not None:
        return read_user_id(by)
    ranks = who_can(state).ranks
    members = [user for rank in ranks if not rank.standing.barred for user in rank.members]
    create = state.create_event
    # Where nobody is joined, the rules say so of the creator.
    away = UserID("@nobody:somewhere.invalid") if create is None else create.sender
    return members[0] if members else away


def plan_of(
    title: str,
    state: RoomState,
    sender: UserID,
    events: Iterable[Event],
    notes: Iterable[str],
    objection: str = "",
) -> Plan:
    """Judge the events of a plan, and look at the room after them."""
    found = what_if(state, events)
    failed = next((step for step in found.steps if not step), None)
    reason = objection or ("" if failed is None else str(failed))
    return finished(title, state, sender, found, notes, objection=reason)


def finished(
    title: str,
    state: RoomState,
    sender: UserID,
    found: WhatIf,
    notes: Iterable[str],
    *,
    objection: str = "",
    request: str = "",
) -> Plan:
    """Look at the room after the events of a plan."""
    before, after = lint(state), lint(found.state)
    return Plan(
        title,
        sender,
        found,
        beyond(before, after),
        beyond(after, before),
        tuple(notes),
        objection,
        "" if found.after.in_charge else _NOBODY if found.after.whole else _NOBODY_KNOWN,
        request,
    )


_NOBODY: Final = "nobody would be left who may change the power levels"
_NOBODY_KNOWN: Final = (
    "nobody may be left who may change the power levels: the state leaves members out"
)
