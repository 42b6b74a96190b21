"""Strategies for rooms over time: histories of one honest server, and forks.

All events are complete PDUs: they refer to earlier events, and are hashed and signed
with `signer_of` their sender's server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from hypothesis.vendor.pretty import RepresentationPrinter

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, thaw
from matrix_membership.events import Event
from matrix_membership.machine import admit
from matrix_membership.membership import INVITE, JOIN
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState
from matrix_membership.strategies._fields import (
    create_content,
    membership_fields,
    next_event,
    signed_invite,
    signer_of,
    state_fields,
    stored_invite,
)
from matrix_membership.strategies._json import Fields
from matrix_membership.strategies._script import Writer
from matrix_membership.strategies._trials import (
    ANA,
    BEN,
    CLEO,
    CREATE,
    DAN,
    JOIN_RULES,
    POWER_LEVELS,
)
from matrix_membership.strategies.identifiers import room_versions

__all__ = ["forks", "key_ring_of", "room_histories"]


@frozen
class RoomHistory:
    """The events of a room, each admitted by one honest server.

    `str` gives a script that rebuilds the history.

    Attributes:
        room_version: the version of the room.
        events: the events in their order.
        states: the state after each of them.
    """

    room_version: RoomVersion
    events: tuple[Event, ...] = ()
    states: tuple[RoomState, ...] = ()

    @property
    def state(self) -> RoomState:
        """The state after the last event."""
        return self.states[-1] if self.states else RoomState.of(self.room_version, ())

    @property
    def steps(self) -> tuple[tuple[Event, RoomState], ...]:
        """Each event with the state before it."""
        before = (RoomState.of(self.room_version, ()), *self.states)
        return tuple(zip(self.events, before, strict=False))

    def next_event(self, sender: str, fields: Mapping[str, JsonValue]) -> Event:
        """Return the next event by a sender, whether the rules allow it or not.

        Args:
            sender: the sender.
            fields: the type, the content and, for a state event, the state key. Other
                fields of a PDU replace those that the history gives.
        """
        number = len(self.events)
        return next_event(
            {"sender": sender, **fields},
            self.state,
            self.events[-1:],
            depth=number + 1,
            # By the length and not by a clock, so that a script makes the same events again.
            at=number * _MINUTE,
        )

    def with_event(self, event: Event) -> RoomHistory:
        """Return the history with one more event, without judging the event."""
        states = (*self.states, self.state.with_event(event))
        return RoomHistory(self.room_version, (*self.events, event), states)

    @property
    def script(self) -> str:
        """Python that rebuilds the history and admits each event."""
        writer = Writer.of(self.room_version, self.events)
        return "\n".join(
            [
                *writer.opening("Event", "RoomState", "machine"),
                "events = [",
                *writer.list_of(self.events),
                "]",
                f"state = RoomState.of({writer.version}, [])",
                "for event in events:",
                "    admission = machine.admit(event, state)",
                "    assert admission, str(admission)",
                "    state = admission.state",
                "",
            ]
        )

    def __str__(self) -> str:
        return self.script

    def __repr__(self) -> str:
        return f"<history of {len(self.events)} events, version {self.room_version}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:  # noqa: FBT001 - Hypothesis calls it
        """Let Hypothesis show the script."""
        printer.text(f"...:\n{self.script}")


@frozen
class Fork:
    """A room whose history split, as when its servers lose contact.

    Attributes:
        trunk: the common beginning.
        branches: the histories, each with the trunk at its beginning.
    """

    trunk: RoomHistory
    branches: tuple[RoomHistory, ...]


_MINUTE: Final = 60_000


def key_ring_of(events: Iterable[Event]) -> KeyRing:
    """Return the keys of these events, if the strategies of this module signed them.

    >>> from matrix_membership.signing import verify
    >>> from hypothesis import find
    >>> events = find(room_histories(), lambda history: True).events
    >>> all(verify(event, key_ring_of([event])).signed_by for event in events)
    True

    .. versionadded:: 0.1.0
    """
    ring = KeyRing.of({})
    for server in sorted({server for event in events for server in event.signed_by}):
        ring = ring.with_keys(signer_of(server).key_ring)
    return ring


def room_histories(
    *, room_version: RoomVersion | None = None, max_moves: int = 12
) -> SearchStrategy[RoomHistory]:
    """Draw histories of small rooms: each event is admitted in the state before it.

    Args:
        room_version: the version of the room; None for any.
        max_moves: the most events that users try after the creation of the room.

    >>> from hypothesis import find
    >>> find(room_histories(max_moves=2), lambda history: True).events[0].type
    'm.room.create'

    .. versionadded:: 0.1.0
    """
    return st.builds(
        _history,
        room_versions() if room_version is None else st.just(room_version),
        st.lists(MOVES, max_size=max_moves),
    )


def forks(
    *, room_version: RoomVersion | None = None, branches: int = 2, max_moves: int = 6
) -> SearchStrategy[Fork]:
    """Draw histories that split: all branches follow the same event.

    Args:
        room_version: the version of the room; None for any.
        branches: how many branches there are.
        max_moves: the most events that users try in the trunk and in each branch.

    >>> from hypothesis import find
    >>> len(find(forks(), lambda fork: True).branches)
    2

    .. versionadded:: 0.1.0
    """
    moves = st.lists(MOVES, max_size=max_moves)
    return st.builds(
        _fork,
        room_histories(room_version=room_version, max_moves=max_moves),
        st.lists(moves, min_size=branches, max_size=branches),
    )


def new_room(version: RoomVersion) -> RoomHistory:
    """Return the history of a room that Ana created and joined."""
    create = state_fields(ANA, CREATE, create_content(version, ANA))
    history = RoomHistory(version)
    for fields in (create, membership_fields(ANA, ANA, "join")):
        history = history.with_event(history.next_event(ANA, fields))
    return history


def _history(version: RoomVersion, moves: Iterable[Move]) -> RoomHistory:
    return _with_moves(new_room(version), moves)


def _fork(trunk: RoomHistory, branches: Iterable[Iterable[Move]]) -> Fork:
    return Fork(trunk, tuple(_with_moves(trunk, moves) for moves in branches))


def _with_moves(history: RoomHistory, moves: Iterable[Move]) -> RoomHistory:
    """Return the history after these moves, without those that the rules reject."""
    for move in moves:
        for fields in sent_for(move, history.state):
            event = history.next_event(move[1], fields)
            if admit(event, history.state):
                history = history.with_event(event)
    return history


# ------------------------------------------------------------------ what users try

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
