"""Changes to try: of the state, or of the judged event itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from matrix_membership._attrs import constant, frozen
from matrix_membership.auth.explaining.levels import LevelPath, levels_content
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze, thaw
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, UserID, server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, JoinRule, Membership
from matrix_membership.state import RoomState

VIA: Final = "join_authorised_via_users_server"


@frozen
class Repair:
    """One thing that somebody has to do.

    Attributes:
        sentence: what, in words.
        makers: who in the room could, the most powerful first, at most ten; empty
            for what only a server does.
        anyone_joined: every joined member of default power could.
        servers: the servers that would have to sign.
        type: the type of the state event to send; empty when it is the judged event
            that changes.
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
        """The change and who could make it."""
        named = [*self.makers[:_SHOWN], *self.servers[:_SHOWN]]
        if len(self.makers) > _SHOWN:
            named.append("others")
        if self.anyone_joined:
            named.append("any joined member")
        return f"{self.sentence} (by {' or '.join(named)})" if named else self.sentence

    def to_dict(self) -> dict[str, JsonValue]:
        """The change as a JSON object."""
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
"""How many of those who can make a change a sentence names."""


@constant
class Move:
    """A change to try: of the state, or of the judged event.

    Attributes:
        change: it, its makers not yet known.
        slot: what it is about; two changes of one slot exclude each other.
        by: the only one who can make it; None when it is to be found out.
        event: the judged event after it; None for a change of the state.
    """

    change: Repair
    slot: str
    by: UserID | None = None
    event: Event | None = None


# ------------------------------------------------------------------ what to try


def evidence(event: Event) -> Iterator[Move]:
    """The server that has to sign does, or is no longer named."""
    via = event.authorised_via
    if via is None:
        return
    if via and server_of(via) not in event.signed_by:
        server = server_of(via)
        change = Repair(f"{server} signs the event", servers=(server,))
        yield Move(change, "event", event=event.with_signers({*event.signed_by, server}))
    content = {key: value for key, value in event.content.items() if key != VIA}
    change = Repair(f"the event leaves out {VIA}", content=freeze(content))
    yield Move(change, "event", event=rewritten(event, content, event.signed_by))


def unban(user: UserID, state: RoomState) -> Iterator[Move]:
    """A banned user is unbanned."""
    if state.membership_of(user) is BAN:
        yield _member_move(f"unban {user}", user, LEAVE)


def invite(user: UserID, state: RoomState) -> Iterator[Move]:
    """A user who is not in the room is invited."""
    if state.membership_of(user) in (LEAVE, KNOCK, BAN):
        yield _member_move(f"invite {user}", user, INVITE)


def joins(user: UserID, state: RoomState) -> Iterator[Move]:
    """The user joins."""
    if state.membership_of(user) is not JOIN:
        yield _member_move(f"{user} joins", user, JOIN, by=user)


def _member_move(
    sentence: str, user: UserID, membership: Membership, *, by: UserID | None = None
) -> Move:
    content = freeze({"membership": str(membership)})
    change = Repair(sentence, type="m.room.member", state_key=user, content=content)
    return Move(change, f"{membership} {user}", by)


def join_rule(event: Event, state: RoomState, rule: JoinRule) -> Iterator[Move]:
    """The room gets another join rule, if its version has it."""
    if rule is state.join_rule or rule not in event.room_version.join_rules:
        return
    rules = state.get("m.room.join_rules")
    content = {**({} if rules is None else rules.content), "join_rule": str(rule)}
    sentence = f"set the join rule to {rule}"
    change = Repair(sentence, type="m.room.join_rules", content=freeze(content))
    yield Move(change, "join rule")


def levels_move(sentence: str, levels: Mapping[LevelPath, int], state: RoomState) -> Move:
    """The room gets other power levels."""
    content = freeze(levels_content(levels, state))
    return Move(Repair(sentence, type="m.room.power_levels", content=content), "levels")


# ------------------------------------------------------------------ what comes of it


def state_event(change: Repair, sender: UserID, state: RoomState) -> Event:
    """The state event of a change."""
    fields = {
        "type": change.type,
        "state_key": change.state_key,
        "sender": sender,
        "content": change.content,
    }
    return Event.from_client_event(fields, state.room_version)


def state_after(state: RoomState, event: Event) -> RoomState:
    """The state after an event, in constant time whatever the size of the room."""
    place = (event.type, event.state_key)

    def get(event_type: str, state_key: str) -> Event | None:
        return event if (event_type, state_key) == place else state.get(event_type, state_key)

    return RoomState.over(state.room_version, get, partial=state.is_partial)


def sent_by(user: UserID, event: Event) -> Event:
    """The event as another user would send it."""
    fields = {key: value for key, value in event.document.items() if key != "event_id"}
    sent = Event.from_client_event({**fields, "sender": user}, event.room_version)
    return sent.with_signers({*event.signed_by, sent.server})


def rewritten(event: Event, content: Mapping[str, JsonValue], signers: Iterable[str]) -> Event:
    """The event with another content."""
    fields = {key: value for key, value in event.document.items() if key != "event_id"}
    made = Event.from_client_event({**fields, "content": content}, event.room_version)
    return made.with_signers(signers)
