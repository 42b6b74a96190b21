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

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from matrix_membership.canonical_json import JsonValue
from matrix_membership.events import Event
from matrix_membership.identifiers import read_user_id
from matrix_membership.membership import Membership, read_membership
from matrix_membership.state import RoomState
from matrix_membership.visibility.seeing import (
    SHOWN,
    HistoryVisibility,
    Viewer,
    Visibility,
    reason_of,
    see,
    values_of,
)

__all__ = [
    "client_timeline",
    "guests_can_join",
    "list_members",
    "may_see",
    "readable_state",
    "timeline",
]


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
    asking = Viewer.of(viewer)
    since = asking.joined(state_now) if joined_since is None else joined_since
    return see(asking, event, state_at_event, since, erased)


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
    answers = _along(viewer, events, state_now, joined_since, erased)
    return [shown for answer in answers if (shown := answer.shown) is not None]


def client_timeline(
    user: str,
    events: Iterable[tuple[Event, RoomState]],
    state_now: RoomState,
    *,
    joined_since: bool | None = None,
    erased: Mapping[str, RoomState | None] = MappingProxyType({}),
) -> list[dict[str, JsonValue]]:
    """Return the events of a timeline as a user's client gets them.

    These are the events of `timeline`, each with the user's membership at the event in its
    `unsigned`, as `Visibility.to_client_event` gives it. The arguments are those of `timeline`.

    Raises:
        InvalidIdentifier: the user is not a user ID.
        InvalidEvent: an event must be redacted and came in client format.

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> client_timeline("@ben:b.example", [], RoomState.of(V11, []))
    []
    """
    answers = _along(read_user_id(user), events, state_now, joined_since, erased)
    return [told for answer in answers if (told := answer.to_client_event()) is not None]


def _along(
    viewer: str,
    events: Iterable[tuple[Event, RoomState]],
    state_now: RoomState,
    joined_since: bool | None,  # noqa: FBT001 - private
    erased: Mapping[str, RoomState | None],
) -> Iterator[Visibility]:
    """Answer for each event of a timeline, in the same order."""
    asking = Viewer.of(viewer)
    since = asking.joined(state_now) if joined_since is None else joined_since
    found = []
    # From the newest: a viewer who is joined at an event has joined since all earlier ones.
    for event, before in reversed(tuple(events)):
        answer = see(asking, event, before, since, erased)
        found.append(answer)
        since = since or answer.joined or since
    return reversed(found)


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
    asking = Viewer(read_user_id(user), is_user=True)
    if at is not None:
        since = asking.joined(state_now) if joined_since is None else joined_since
        reason = reason_of(values_of(None, at), asking.joined(at), asking.invited(at), since)
        return at if reason in SHOWN else None
    if asking.joined(state_now):
        return state_now
    if when_left is not None:
        return when_left
    return state_now if HistoryVisibility.WORLD_READABLE in values_of(None, state_now) else None


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
