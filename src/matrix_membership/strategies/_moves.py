"""Moves: what users try in a room, and the events that they send for it."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from matrix_membership.canonical_json import thaw
from matrix_membership.membership import INVITE, JOIN
from matrix_membership.state import RoomState
from matrix_membership.strategies._fields import (
    membership_fields,
    signed_invite,
    state_fields,
    stored_invite,
)
from matrix_membership.strategies._json import Fields
from matrix_membership.strategies._sketch import (
    ANA,
    BEN,
    CLEO,
    DAN,
    JOIN_RULES,
    POWER_LEVELS,
)

Move = tuple[str, str, str, object]
"""The kind of move, the sender, the target user or state key, and the new value."""

_PEOPLE: Final = st.sampled_from((ANA, BEN, CLEO, DAN))
# Ana twice: a history keeps only what the rules allow, and she has the power.
_SENDERS: Final = st.sampled_from((ANA, ANA, BEN, CLEO, DAN))
MOVES: Final[SearchStrategy[Move]] = st.one_of(
    st.tuples(
        st.just("member"),
        _SENDERS,
        _PEOPLE,
        st.sampled_from(("join", "invite", "leave", "ban", "knock", "join")),
    ),
    st.tuples(
        st.just("join rule"),
        st.sampled_from((ANA, ANA, BEN)),
        st.just(""),
        st.sampled_from(("public", "invite", "knock", "restricted", "knock_restricted")),
    ),
    st.tuples(st.just("level"), _SENDERS, _PEOPLE, st.sampled_from((50, 100, 0, 49, 101))),
    st.tuples(
        st.just("named level"),
        _SENDERS,
        st.sampled_from(("invite", "kick", "ban", "users_default", "state_default")),
        st.sampled_from((0, 50, 100)),
    ),
    st.tuples(st.just("third party"), _SENDERS, _PEOPLE, st.sampled_from(("token", "other token"))),
    st.tuples(st.just("name"), _PEOPLE, st.just(""), st.just("A room")),
    st.tuples(st.just("message"), _PEOPLE, st.just(""), st.just("hello")),
)


def sent_for(move: Move, state: RoomState) -> tuple[Fields, ...]:
    """Return the fields of the events of a move, in a room of this state."""
    kind, sender, other, how = move
    match kind:
        case "member":
            return (_member(sender, other, str(how), state),)
        case "join rule":
            return (state_fields(sender, JOIN_RULES, {"join_rule": how}),)
        case "level" | "named level":
            return (state_fields(sender, POWER_LEVELS, _levels(kind, other, how, state)),)
        case "third party":
            # Both: without the stored invite the room has no keys for the other one.
            return stored_invite(str(how)), signed_invite(other, str(how))
        case "name":
            return (state_fields(sender, ("m.room.name", ""), {"name": how}),)
    return ({"type": "m.room.message", "content": {"body": how}},)


def _member(sender: str, other: str, text: str, state: RoomState) -> Fields:
    """Return a member event. Ana authorises an uninvited join of a restricted room."""
    # Nobody joins or knocks for another user, so the target of such a move is its sender.
    if text not in ("join", "knock"):
        return membership_fields(sender, other, text)
    restricted = "restricted" in str(state.join_rule) and state.room_version.restricted_joins
    if text == "join" and restricted and state.membership_of(sender) not in (INVITE, JOIN):
        return membership_fields(sender, sender, text, join_authorised_via_users_server=ANA)
    return membership_fields(sender, sender, text)


def _levels(kind: str, name: str, level: object, state: RoomState) -> Fields:
    """Return the content of the room's power levels, with one of them changed."""
    current = state.get(*POWER_LEVELS)
    if current is not None:
        # As clients do: all levels with one of them changed. An event with one level alone would
        # take everybody's power away, and the history would end there.
        content: Fields = thaw(current.content)
    else:
        content = {"users": {} if state.room_version.privileged_creators else {ANA: 100}}
    if kind == "level":
        content["users"][name] = level
    else:
        content[name] = level
    return content
