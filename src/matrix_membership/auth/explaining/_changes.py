"""The changes of the state or of the event that a search for remedies tries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from matrix_membership._attrs import constant, frozen
from matrix_membership.auth.explaining.levels import LevelPath, levels_content
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze, thaw
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, UserID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, JoinRule, Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState

VIA: Final = "join_authorised_via_users_server"


@frozen
class Repair:
    """One change of the room or of the event, and who can make it.

    Attributes:
        sentence: the change in words.
        makers: at most ten users of the room who can make it, the most powerful first;
            empty for a change that only a server makes.
        anyone_joined: whether every joined member of default power can make it.
        servers: the servers that would have to sign.
        type: the type of the state event to send; empty if the judged event itself
            changes.
        state_key: its state key.
        content: its content.
    """

    sentence: str
    makers: tuple[UserID, ...] = ()
    anyone_joined: bool = False
    servers: tuple[ServerName, ...] = ()
    type: str = ""
    state_key: str = ""
    content: JsonObject = JsonObject()

    def __str__(self) -> str:
        """Return the change and who could make it."""
        named = [*self.makers[:_SHOWN], *self.servers[:_SHOWN]]
        if len(self.makers) > _SHOWN:
            named.append("others")
        if self.anyone_joined:
            named.append("any joined member")
        return f"{self.sentence} (by {' or '.join(named)})" if named else self.sentence

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the change as a JSON object."""
        return {
            "sentence": self.sentence,
            "makers": list(self.makers),
            "anyone_joined": self.anyone_joined,
            "servers": list(self.servers),
            "type": self.type,
            "state_key": self.state_key,
            "content": thaw(self.content),
        }


_SHOWN = 3
"""The most users and servers that a sentence names."""


@constant
class Move:
    """A change to try: of the state, or of the judged event.

    Attributes:
        change: the change, its makers not yet known.
        slot: the subject of the change; two changes with one slot exclude each other.
        by: the only user who can make it; None if the search has to find out.
        event: the judged event after the change; None for a change of the state.
    """

    change: Repair
    slot: str
    by: UserID | None = None
    event: Event | None = None


# ------------------------------------------------------------------ what to try


def evidence(event: Event) -> Iterator[Move]:
    """Let the authorising server sign, or leave its user out of the event."""
    via = event.authorised_via
    if via is None:
        return
    if via and server_of(via) not in event.signed_by:
        server = server_of(via)
        change = Repair(f"{server} signs the event", servers=(server,))
        yield Move(change, "event", event=event.with_signers({*event.signed_by, server}))
    # The signature of an authorising server is owed by every membership (4.2.1), so leaving the
    # name out helps a leave or a ban too.
    content = {key: value for key, value in event.content.items() if key != VIA}
    change = Repair(f"the event leaves out {VIA}", content=freeze(content))
    yield Move(change, "event", event=rewritten(event, content, event.signed_by))


def unban(user: UserID, state: RoomState) -> Iterator[Move]:
    """Unban a banned user."""
    if state.membership_of(user) is BAN:
        yield _member_move(f"unban {user}", user, LEAVE)


def invite(user: UserID, state: RoomState) -> Iterator[Move]:
    """Invite a user who is not in the room."""
    # Also for a banned user: the search puts the invite behind an unban, and tries it in the state
    # that the unban leaves.
    if state.membership_of(user) in (LEAVE, KNOCK, BAN):
        yield _member_move(f"invite {user}", user, INVITE)


def joins(user: UserID, state: RoomState) -> Iterator[Move]:
    """Let the user join."""
    if state.membership_of(user) is not JOIN:
        yield _member_move(f"{user} joins", user, JOIN, by=user)


def _member_move(
    sentence: str, user: UserID, membership: Membership, *, by: UserID | None = None
) -> Move:
    content = freeze({"membership": str(membership)})
    change = Repair(sentence, type="m.room.member", state_key=user, content=content)
    return Move(change, f"{membership} {user}", by)


def join_rule(event: Event, state: RoomState, rule: JoinRule) -> Iterator[Move]:
    """Set another join rule, if the room version has it."""
    # The rules allow a join rule that the version does not know, but then nobody could join by it.
    if rule is state.join_rule or rule not in event.room_version.join_rules:
        return
    rules = state.get("m.room.join_rules")
    # Keeps `allow`, so that the rooms of a restricted room survive a change to knock_restricted.
    content = {**({} if rules is None else rules.content), "join_rule": str(rule)}
    sentence = f"set the join rule to {rule}"
    change = Repair(sentence, type="m.room.join_rules", content=freeze(content))
    yield Move(change, "join rule")


def levels_move(sentence: str, levels: Mapping[LevelPath, int], state: RoomState) -> Move:
    """Set other power levels."""
    content = freeze(levels_content(levels, state))
    return Move(Repair(sentence, type="m.room.power_levels", content=content), "levels")


# ------------------------------------------------------------------ what comes of it


def state_event(change: Repair, sender: UserID, state: RoomState) -> Event:
    """Make the state event of a change."""
    fields = {
        "type": change.type,
        "state_key": change.state_key,
        "sender": sender,
        "content": change.content,
    }
    create = state.create_event if state.knows("m.room.create") else None
    return _made(fields, state.room_version, create)


# Not `with_event`: its first call on a state of `RoomState.of` is linear in the members, and a
# search makes hundreds of states that live for one judgement.
def state_after(state: RoomState, event: Event) -> RoomState:
    """Return the state after an event, in constant time for a room of any size."""
    place = (event.type, event.state_key)

    def get(event_type: str, state_key: str) -> Event | None:
        return event if (event_type, state_key) == place else state.get(event_type, state_key)

    # A user whose member event was malformed may have any membership, like one left out.
    return RoomState.over(state.room_version, get, partial=not state.is_whole)


def sent_by(user: UserID, event: Event) -> Event:
    """Return the event as another user would send it."""
    # Another sender makes another event, with another ID, which nobody knows before it is made.
    fields = {key: value for key, value in event.document.items() if key != "event_id"}
    sent = _made({**fields, "sender": user}, event.room_version, event)
    return sent.with_signers({*event.signed_by, sent.server})


def rewritten(event: Event, content: Mapping[str, JsonValue], signers: Iterable[str]) -> Event:
    """Return the event with another content."""
    fields = {key: value for key, value in event.document.items() if key != "event_id"}
    made = _made({**fields, "content": content}, event.room_version, event)
    return made.with_signers(signers)


def _made(fields: Mapping[str, JsonValue], room_version: RoomVersion, like: Event | None) -> Event:
    """Make an event in the form of another one: names pass that a host accepted."""
    if like is not None and like.host_form is not None:
        return Event.accepted(fields, room_version)
    return Event.from_client_event(fields, room_version)
