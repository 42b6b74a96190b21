"""Restricted rooms: which condition lets a user in, and who authorises it.

See `Restricted rooms`__. A user who is joined to one of the allowed rooms may join. A
server with a joined user who may invite names that user in the join and signs it.

__ https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import ClassVar

from matrix_membership._attrs import frozen
from matrix_membership.errors import IncompleteState
from matrix_membership.identifiers import RoomID, ServerName, UserID, server_of, several
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    UNKNOWN,
    JoinRule,
    Membership,
    read_membership,
)
from matrix_membership.state import RoomState

__all__ = ["authorise", "needed", "rooms_to_check"]


@frozen
class NotNeeded:
    """No authorising user is needed.

    The room is not restricted, or the user is invited or joined.
    """


@frozen
class Granted:
    """A condition is met, and a user of this server can authorise the join.

    Attributes:
        authorised_via: the user to name in `join_authorised_via_users_server`.
    """

    authorised_via: UserID


@frozen
class Forbidden:
    """All conditions are known to fail, or the user is banned.

    Attributes:
        reason: which of the two, in a few words.
    """

    reason: str

    errcode: ClassVar[str] = "M_FORBIDDEN"
    status: ClassVar[int] = 403


@frozen
class UnableToAuthorise:
    """No condition is met as far as this server can see, and it cannot see all.

    Attributes:
        unknown: the rooms that it cannot look into.
    """

    unknown: tuple[RoomID, ...]

    # Beside `Forbidden`, because the joining server goes on to another one here: that one may see
    # the rooms that this one cannot.
    errcode: ClassVar[str] = "M_UNABLE_TO_AUTHORISE_JOIN"
    status: ClassVar[int] = 400


@frozen
class UnableToGrant:
    """A condition is met, but this server has no joined user who may invite.

    Attributes:
        servers: those that have one, as far as the state shows, the most powerful
            user's first; empty when no user in the room can authorise joins.
    """

    servers: tuple[ServerName, ...]

    errcode: ClassVar[str] = "M_UNABLE_TO_GRANT_JOIN"
    status: ClassVar[int] = 400


Authorisation = NotNeeded | Granted | Forbidden | UnableToAuthorise | UnableToGrant

_RESTRICTED = (JoinRule.RESTRICTED, JoinRule.KNOCK_RESTRICTED)


def is_restricted(state: RoomState) -> bool:
    """Tell whether the members of other rooms may join this one, in its room version."""
    rule = state.join_rule
    # A room of version 7 can hold such an event. There it is an unknown join rule, by which nobody
    # joins.
    return rule in _RESTRICTED and rule in state.room_version.join_rules


def rooms_to_check(state: RoomState) -> tuple[RoomID, ...]:
    """Return the rooms whose members may join, in the order of the event.

    Empty for a room that is not restricted.

    .. versionadded:: 0.1.0
    """
    return state.allow if is_restricted(state) else ()


def authorise(
    user: str,
    state: RoomState,
    memberships: Mapping[str, Membership | str | None],
    local_server: str,
    *,
    local_users: Iterable[str] | None = None,
) -> Authorisation:
    """Find out whether a server can let a user into a restricted room.

    Args:
        user: the user who wants to join.
        state: the current state of the room.
        memberships: the user's membership in each of `rooms_to_check`; None, unknown or
            no entry for a room that this server cannot look into.
        local_server: the server whose user would authorise the join.
        local_users: the joined users of that server, when they are at hand;
            otherwise the state's members are searched.

    Returns:
        One of the five outcomes; the three failures carry `errcode` and `status`. A
        partial state that leaves the user out gives `UnableToAuthorise` with the room
        itself. Cost: linear in the allowed rooms, and that of `authorisers`.

    Raises:
        IncompleteState: the state is over a look-up, and `local_users` is needed.

    >>> from matrix_membership.room_versions import V11
    >>> authorise("@ben:b.example", RoomState.of(V11, []), {}, "a.example")
    NotNeeded()

    .. versionadded:: 0.1.0
    """
    current = state.membership_of(user)
    if not is_restricted(state) or current in (JOIN, INVITE):
        return NotNeeded()
    # Before the conditions: no membership elsewhere helps a banned user, and none has to be looked
    # up.
    if current is BAN:
        return Forbidden("the user is banned")
    if current is UNKNOWN:
        create = state.create_event
        return UnableToAuthorise(() if create is None else (create.room_id,))
    rooms = rooms_to_check(state)
    known = {room: read_membership(memberships.get(room), room) for room in rooms}
    # The conditions come first, then whether a user here can authorise. Synapse asks the other way
    # round.
    if JOIN in known.values():
        able = next(authorisers(state, local_server, local_users=local_users), None)
        return Granted(able) if able else UnableToGrant(servers_that_can_authorise(state))
    unknown = tuple([room for room in rooms if known[room] in (None, UNKNOWN)])
    # One unknown room is enough, as in Synapse and gomatrixserverlib. The letter of the text asks
    # that none can be checked.
    if unknown:
        return UnableToAuthorise(unknown)
    return Forbidden("the user is in none of the rooms whose members may join")


def needed(
    user: str,
    state: RoomState | None,
    local_server: str,
    *,
    local_users: Iterable[str] = (),
) -> frozenset[tuple[str, str]]:
    """Return the places that `authorise` would read and that were not loaded yet.

    Load them, make a state of all that was loaded, and ask again: after two or three rounds
    nothing is needed, of a partial state too. `rooms_to_check` names the other rooms.

    Args:
        user: the user who wants to join.
        state: the state as far as it was loaded, of `RoomState.of_ids`; None to begin with.
        local_server: the server whose user would authorise the join.
        local_users: the joined users of that server, to be given to `authorise` too.

    Returns:
        Pairs of type and state key; empty when `authorise` can be asked. Cost: linear in the
        users with a level of their own.

    >>> sorted(needed("@ben:b.example", None, "a.example"))[2]
    ('m.room.member', '@ben:b.example')

    .. versionadded:: 0.1.0
    """
    first = [("m.room.create", ""), ("m.room.join_rules", ""), ("m.room.power_levels", "")]
    unloaded = _unloaded(state, [*first, ("m.room.member", user)])
    if unloaded or state is None:
        return unloaded
    # The last: a partial state may have left the user out, and then nothing else is asked.
    if not is_restricted(state) or state.membership_of(user) in (JOIN, INVITE, BAN, UNKNOWN):
        return unloaded
    unloaded = _unloaded(state, [("m.room.member", able) for able in _powerful(state)])
    if unloaded:
        return unloaded
    # Of the others one is enough, so they are asked for one by one.
    for able in _candidates(state, local_server, local_users):
        unloaded = _unloaded(state, [("m.room.member", able)])
        if unloaded or state.membership_of(able) is JOIN:
            return unloaded
    return frozenset()


def _unloaded(
    state: RoomState | None, places: Iterable[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """Return the places that nobody looked for yet.

    A partial state does not know a member who was looked for in vain. To ask for that member
    again would never end.
    """
    return frozenset(place for place in places if state is None or not _was_loaded(state, place))


def _was_loaded(state: RoomState, place: tuple[str, str]) -> bool:
    try:
        state.get(*place)
    except IncompleteState:
        return False
    return True


def _candidates(state: RoomState, server: str, local_users: Iterable[str]) -> Iterator[UserID]:
    """Yield the users of a server who reach the invite level, if they are joined.

    As `authorisers`: users with a level of their own first.
    """
    powerful = _powerful(state)
    yield from (user for user in powerful if server_of(user) == server)
    if state.power_levels.users_default >= state.power_levels.invite:
        written_down = {*state.power_levels.users, *powerful}
        for candidate in several(local_users, "local_users"):
            if server_of(candidate) == server and candidate not in written_down:
                yield UserID(candidate)


def authorisers(
    state: RoomState, server: str, *, local_users: Iterable[str] | None = None
) -> Iterator[UserID]:
    """Yield a server's users who can authorise joins.

    They are joined and reach the invite level.

    Args:
        state: the current state of the room.
        server: the server.
        local_users: its joined users, when they are at hand.

    Yields:
        Users with a level of their own, the most powerful first; then, when the default
        level suffices, all others. Cost: linear in the users with a level; the others
        need a search of the members.

    Raises:
        IncompleteState: the state is over a look-up, and `local_users` is needed.
    """

    # Users with a level of their own come first: they are few, and asking for all members may mean
    # loading them.
    def users() -> Iterator[str]:
        if local_users is None:
            yield from state.joined_members()
        else:
            yield from several(local_users, "local_users")

    for user in _candidates(state, server, users()):
        if state.membership_of(user) is JOIN:
            yield user


def servers_that_can_authorise(state: RoomState) -> tuple[ServerName, ...]:
    """Return the servers with a joined user who may invite, most powerful first.

    When the default level suffices, all servers in the room follow, if the state knows
    them.

    Returns:
        The servers; empty when no server can authorise joins. Cost: linear in the users
        with a level of their own, and in the servers.
    """
    found = [server_of(user) for user in _powerful(state) if state.membership_of(user) is JOIN]
    if state.power_levels.users_default >= state.power_levels.invite:
        with suppress(IncompleteState):
            found += sorted(state.servers_in_room)
    return tuple(dict.fromkeys(found))


def _powerful(state: RoomState) -> list[UserID]:
    """Return users who may invite by a level of their own, most powerful first."""
    candidates = {*state.power_levels.users, *state.create.privileged}
    # Until there are power levels the creator has 100 by default, and stands in no list.
    if not state.power_levels.exists and state.create.creator is not None:
        candidates.add(state.create.creator)
    able = [user for user in candidates if state.power_level_of(user) >= state.power_levels.invite]
    able.sort(key=lambda user: (-state.power_level_of(user), user))
    return [UserID(user) for user in able]
