"""The visibility of a room's events and state, to users and to servers.

See `Room History Visibility`__ and `Guest Access`__. A room says in
`m.room.history_visibility` who may see its events. The value counts that held when an event
was sent, so each question takes the state before the event. The viewer is a user or a server: a
server may see what one of its users may see. Leave out rejected and soft-failed events,
which no user is shown: nothing here looks at them.

__ https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
__ https://spec.matrix.org/v1.19/client-server-api/#guest-access
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import Word, frozen
from matrix_membership.errors import IncompleteState, InvalidIdentifier
from matrix_membership.events import Event
from matrix_membership.identifiers import (
    ServerName,
    UserID,
    is_server_name,
    is_user_id,
    read_user_id,
    server_of,
)
from matrix_membership.membership import INVITE, JOIN, UNKNOWN, Membership, read_membership
from matrix_membership.state import RoomState
from matrix_membership.state.of_servers import has_invited, has_joined

__all__ = ["guests_can_join", "list_members", "may_see", "readable_state", "timeline"]

_MEMBER: Final = "m.room.member"
_PLACE: Final = "m.room.history_visibility"


class HistoryVisibility(Word):
    """The values of `m.room.history_visibility`."""

    WORLD_READABLE = "world_readable"
    SHARED = "shared"
    INVITED = "invited"
    JOINED = "joined"


class Reason(Word):
    """The rule that shows an event, or why none does."""

    WORLD_READABLE = "everybody may read the history"
    JOINED = "joined at the event"
    JOINED_SINCE = "the history is shared, and joined since"
    INVITED = "invited at the event, and the history is for invited users"
    HIDDEN = "no rule shows it"
    UNKNOWN = "hangs on what the state leaves out"


@frozen
class Visibility:
    """The answer to the question whether a viewer may see an event: true if so.

    Attributes:
        viewer: the user or the server.
        event: the event.
        reason: the rule that shows it, or why none does.
        history_visibility: the values that count: one; for an event that sets the value, the
            one before it and the one after it. None stands for a value that the state leaves
            out.
        joined: whether the viewer was joined at the event; None if that is unknown.
        invited: whether the viewer was invited at the event; None if that is unknown.
        joined_since: whether the viewer joined after the event; None if that is unknown.
        erased: whether the viewer gets the event in redacted form, because its sender's
            account was erased.
    """

    viewer: UserID | ServerName
    event: Event
    reason: Reason
    history_visibility: tuple[HistoryVisibility | None, ...]
    joined: bool | None
    invited: bool | None
    joined_since: bool | None
    erased: bool = False

    def __bool__(self) -> bool:
        return self.reason not in (Reason.HIDDEN, Reason.UNKNOWN)

    def __str__(self) -> str:
        verdict = "visible to" if self else "hidden from"
        values = " or ".join([str(value or "unknown") for value in self.history_visibility])
        return f"{verdict} {self.viewer}: {self.reason} (history visibility {values})"

    @property
    def shown(self) -> Event | None:
        """The event in the form in which to serve it; None if a user may not see it.

        A server gets an event that it may not see in redacted form: without the event it
        could not follow the room's history.

        Raises:
            InvalidEvent: the event must be redacted and came in client format.
        """
        if self and not self.erased:
            return self.event
        return self.event.redacted() if self or not self.viewer.startswith("@") else None


def may_see(
    viewer: str,
    event: Event,
    state_at_event: RoomState,
    state_now: RoomState,
    *,
    joined_since: bool | None = None,
    erased: Mapping[str, RoomState | None] = MappingProxyType({}),
) -> Visibility:
    """Tell whether a user, or a server, may see an event.

    Args:
        viewer: a user ID or the name of a server.
        event: the event.
        state_at_event: the state before the event.
        state_now: the current state.
        joined_since: whether the viewer joined at any time after the event. By default, whether
            the viewer is joined now; pass it for a user who joined and left again.
        erased: the senders whose accounts were `erased`__, each with the state of the room at
            that time, or None. Viewers who were joined then, or at the event, see it as it
            was. Others get the redacted form.

    Returns:
        The answer. It is false, with the reason `UNKNOWN`, if it depends on members that a
        partial state leaves out. Cost: constant.

    Raises:
        InvalidIdentifier: the viewer is neither a user ID nor a server name.

    __ https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> empty = RoomState.of(V11, [])
    >>> print(may_see("@ben:b.example", Event.from_client_event(message, V11), empty, empty))
    hidden from @ben:b.example: no rule shows it (history visibility shared)
    """
    asking = _viewer(viewer)
    since = asking.joined(state_now) if joined_since is None else joined_since
    return _see(asking, event, state_at_event, since, erased)


def timeline(
    viewer: str,
    events: Iterable[tuple[Event, RoomState]],
    state_now: RoomState,
    *,
    joined_since: bool | None = None,
    erased: Mapping[str, RoomState | None] = MappingProxyType({}),
) -> list[Event]:
    """Return the events of a timeline in the form in which a viewer gets them.

    A user gets the events that they may see, as in `/messages`, `/sync` and `/context`. A server
    gets all of them, as in `/backfill` and `/get_missing_events`: those that it may not see in
    redacted form.

    Args:
        viewer: a user ID or the name of a server.
        events: the events, the oldest first, each with the state before it.
        state_now: the current state.
        joined_since: whether the viewer joined at any time after the last of the events. By
            default, whether the viewer is joined now.
        erased: as for `may_see`.

    Returns:
        The events, in the same order. Cost: linear in the number of events, and in the size of
        those that are redacted.

    Raises:
        InvalidIdentifier: the viewer is neither a user ID nor a server name.
        InvalidEvent: an event must be redacted and came in client format.

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> timeline("@ben:b.example", [], RoomState.of(V11, []))
    []
    """
    asking = _viewer(viewer)
    since = asking.joined(state_now) if joined_since is None else joined_since
    found = []
    # From the newest: a viewer who is joined at an event has joined since all earlier ones.
    for event, before in reversed(tuple(events)):
        answer = _see(asking, event, before, since, erased)
        if (shown := answer.shown) is not None:
            found.append(shown)
        since = since or answer.joined or since
    return found[::-1]


def readable_state(
    user: str,
    state_now: RoomState,
    *,
    when_left: RoomState | None = None,
    at: RoomState | None = None,
    joined_since: bool | None = None,
) -> RoomState | None:
    """Return the state that a user may read, as `/state` and `/members` answer it.

    A joined user reads the current state, one who left the state in which they left, and any
    other user, guests among them, the current state of a room that everybody may read.

    Args:
        user: the user.
        state_now: the current state.
        when_left: the state after the user's last leave or ban, if they had been joined.
        at: the state at another point, such as the one that `at` of `/members`__ names.
        joined_since: whether the user joined at any time after that point. By default, whether
            the user is joined now.

    Returns:
        The state; None if the user gets 403 `M_FORBIDDEN`. A state `at` a point is returned if
        the user may see events that are sent there.

    Raises:
        InvalidIdentifier: `user` is not a user ID.

    __ https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> readable_state("@ben:b.example", RoomState.of(V11, [])) is None
    True
    """
    asking = _User(read_user_id(user))
    if at is not None:
        since = asking.joined(state_now) if joined_since is None else joined_since
        reason = _reason(_values(None, at), asking.joined(at), asking.invited(at), since)
        return at if reason in _SHOWN else None
    if asking.joined(state_now):
        return state_now
    if when_left is not None:
        return when_left
    return state_now if HistoryVisibility.WORLD_READABLE in _values(None, state_now) else None


def list_members(
    state: RoomState,
    *,
    membership: Membership | str | None = None,
    not_membership: Membership | str | None = None,
) -> list[Event]:
    """Return the member events of a state, as `/members` answers them.

    Args:
        state: the state, as `readable_state` returns it.
        membership: return the members with this membership.
        not_membership: return the members with any other membership than this. If both are
            given, members are returned to whom either applies.

    Returns:
        The events, in the order of `RoomState.members`. Cost: linear in the members.

    Raises:
        InvalidMessage: a membership is a text that Matrix does not have.
        IncompleteState: the state is over a look-up function.

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> list_members(RoomState.of(V11, []), membership="join")
    []
    """
    wanted = read_membership(membership, "membership")
    unwanted = read_membership(not_membership, "not_membership")
    members = state.members.values()
    if wanted is None and unwanted is None:
        return list(members)
    return [
        event
        for event in members
        if event.membership is wanted or (unwanted is not None and event.membership is not unwanted)
    ]


def guests_can_join(state: RoomState) -> bool:
    """Tell whether guests may join a room and stay in it, by `m.room.guest_access`__.

    When this becomes false, a server makes its guests leave. Guests who are not joined read
    what everybody may read: ask `may_see` for them as for other users.

    Raises:
        IncompleteState: the state is stripped and leaves the event out.

    __ https://spec.matrix.org/v1.19/client-server-api/#guest-access

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> guests_can_join(RoomState.of(V11, []))
    False
    """
    event = state.get("m.room.guest_access")
    return event is not None and event.content.get("guest_access") == "can_join"


def history_visibility(state: RoomState) -> HistoryVisibility:
    """Return the history visibility of a room.

    It is shared if it is unset or not understood.

    Raises:
        IncompleteState: the state is stripped and leaves the event out.
    """
    return _value(state.get(_PLACE))


_VALUES: Final = MappingProxyType({value.value: value for value in HistoryVisibility})


def _value(event: Event | None) -> HistoryVisibility:
    told = None if event is None else event.content.get("history_visibility")
    # By text only: an unhashable value must not raise.
    found = _VALUES.get(told) if isinstance(told, str) else None
    return HistoryVisibility.SHARED if found is None else found


def _values(event: Event | None, before: RoomState) -> tuple[HistoryVisibility | None, ...]:
    """Return the values that count for an event; None where the state leaves one out."""
    found: HistoryVisibility | None = None
    with suppress(IncompleteState):
        found = history_visibility(before)
    if event is not None and event.type == _PLACE and event.state_key == "":
        # The old value or the new one is enough, so that all who can see either see the change.
        return found, _value(event)
    return (found,)


@frozen
class _User:
    name: UserID

    def joined(self, state: RoomState) -> bool | None:
        return self._has(JOIN, state)

    def invited(self, state: RoomState) -> bool | None:
        return self._has(INVITE, state)

    def is_about(self, event: Event) -> bool:
        return event.state_key == self.name

    def _has(self, membership: Membership, state: RoomState) -> bool | None:
        found = state.membership_of(self.name)
        return None if found is UNKNOWN else found is membership


@frozen
class _Server:
    name: ServerName

    def joined(self, state: RoomState) -> bool | None:
        return self._has(has_joined, state)

    def invited(self, state: RoomState) -> bool | None:
        return self._has(has_invited, state)

    def is_about(self, event: Event) -> bool:
        return event.state_key is not None and server_of(event.state_key) == self.name

    def _has(self, question: Callable[[RoomState, str], bool], state: RoomState) -> bool | None:
        try:
            return question(state, self.name)
        except IncompleteState:
            return None


def _viewer(name: str) -> _User | _Server:
    if is_user_id(name):
        return _User(name)
    if is_server_name(name):
        return _Server(name)
    raise InvalidIdentifier("viewer", "a user ID or a server name", name)


def _see(
    viewer: _User | _Server,
    event: Event,
    before: RoomState,
    since: bool | None,  # noqa: FBT001 - a fact like the others
    erased: Mapping[str, RoomState | None],
) -> Visibility:
    values = _values(event, before)
    joined, invited = viewer.joined(before), viewer.invited(before)
    # The membership before a member event of the viewer or the one after it is enough.
    if event.type == _MEMBER and viewer.is_about(event):
        joined = True if event.membership is JOIN else joined
        invited = True if event.membership is INVITE else invited
    reason = _reason(values, joined, invited, since)
    redacts = False
    if event.sender in erased:
        then = erased[event.sender]
        # The history that everybody may read does not count: then nobody would get the event
        # redacted.
        redacts = not (joined or (then is not None and viewer.joined(then)))
    return Visibility(viewer.name, event, reason, values, joined, invited, since, redacts)


_SHOWN: Final = (Reason.WORLD_READABLE, Reason.JOINED, Reason.JOINED_SINCE, Reason.INVITED)


def _reason(
    values: tuple[HistoryVisibility | None, ...],
    joined: bool | None,  # noqa: FBT001 - a fact, as are the two below
    invited: bool | None,  # noqa: FBT001 - the same
    since: bool | None,  # noqa: FBT001 - the same
) -> Reason:
    """Return the first rule of the specification's list that shows an event."""
    # By the place of the rule: its condition, and the values with which it shows the event.
    rules: tuple[tuple[Reason, bool | None, HistoryVisibility | None], ...] = (
        (Reason.WORLD_READABLE, True, HistoryVisibility.WORLD_READABLE),
        (Reason.JOINED, joined, None),
        (Reason.JOINED_SINCE, since, HistoryVisibility.SHARED),
        (Reason.INVITED, invited, HistoryVisibility.INVITED),
    )
    unknown = False
    for reason, holds, value in rules:
        applies = value is None or value in values
        if holds and applies:
            return reason
        # A value that is unknown may be the one that the rule asks for.
        unknown = unknown or (holds is None and applies) or (holds is not False and None in values)
    return Reason.UNKNOWN if unknown else Reason.HIDDEN
