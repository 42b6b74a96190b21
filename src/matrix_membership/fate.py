"""The fate of an invite: whether the invited user can accept or reject it.

The rules judge an invite by the power of its sender. They allow it even if they will reject
the user's join. That happens in a room that is closed to other servers, or whose join rule
the version does not know. And a server that the room's access control list shuts out gets no
answer from the others. Ask before the invite is sent::

    fate = fate_of("@ben:b.example", room.state)
    if fate.can_accept is False:
        print(fate.obstacle)
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.errors import IncompleteState, shown
from matrix_membership.events import Event
from matrix_membership.identifiers import UserID, read_user_id, server_of, several
from matrix_membership.membership import INVITE, JOIN, LEAVE, Membership
from matrix_membership.receipt.server_acl import permits
from matrix_membership.state import RoomState

__all__ = ["fate_of"]


@frozen
class Fate:
    """The moves open to an invited user, as the room is now.

    Attributes:
        user: the invited user.
        joining: the decision of the rules on the user's join.
        leaving: their decision on the user's leave, which rejects the invite.
        permitted: whether the access control list permits the user's server; None if the
            state leaves the list out.
        speaks_version: whether the user's server supports the room version; None if that
            is not known.
        obstacle: what keeps the user from accepting, in a sentence; empty if nothing does,
            as far as is known.
    """

    user: UserID
    joining: Decision
    leaving: Decision
    permitted: bool | None
    speaks_version: bool | None
    obstacle: str

    @property
    def can_accept(self) -> bool | None:
        """True if the user can accept the invite; None if the state leaves it open.

        It does not wait for `speaks_version`, which is seldom known.
        """
        return self._can(self.joining)

    @property
    def can_reject(self) -> bool | None:
        """True if the room takes the user's rejection; None if the state leaves it open.

        The user's server can always reject the invite for itself: `OutOfBand.reject_locally`.
        """
        return self._can(self.leaving)

    def _can(self, decision: Decision) -> bool | None:
        if _rejects(decision) or self.permitted is False or self.speaks_version is False:
            return False
        return None if decision.undecided or self.permitted is None else True


def fate_of(user: str, state: RoomState, *, their_versions: Collection[str] | None = None) -> Fate:
    """Return the fate of an invite, before it is sent or while it is open.

    Args:
        user: the user who is to be invited, or is invited.
        state: the current state of the room.
        their_versions: the room versions that the user's server supports, if you know
            them: the `ver` of its last make_join, for one.

    Returns:
        The fate. The room may change before the user answers; only `m.federate` never
        does. Cost: two checks, and that of `receipt.server_acl.permits` and
        `RoomState.servers_in_room`.

    Raises:
        InvalidIdentifier: `user` is not a user ID.
        TypeError: `their_versions` is one text.

    >>> from matrix_membership.room_versions import V11
    >>> create = {"type": "m.room.create", "sender": "@ana:a.example", "state_key": ""}
    >>> create["content"] = {"m.federate": False}
    >>> state = RoomState.of(V11, [Event.from_client_event(create, V11)])
    >>> fate_of("@ben:b.example", state).obstacle
    'this room is closed to other servers: @ben:b.example can never join it'

    .. versionadded:: 0.1.0
    """
    user = read_user_id(user)
    invited = _with_invite(user, state)
    joining, leaving = (
        auth.check(member_event(user, membership, state), invited) for membership in (JOIN, LEAVE)
    )
    # Stripped state leaves the access control list out as a rule. Then it stays unknown, because
    # absent would mean that every server is let in.
    permitted = None
    with suppress(IncompleteState):
        permitted = permits(state, server_of(user))
    speaks = _speaks_version(user, state, their_versions)
    told = _obstacle(user, state, joining, permitted=permitted, speaks=speaks)
    return Fate(user, joining, leaving, permitted, speaks, told)


def unknown_join_rule(state: RoomState) -> str | None:
    """Return why the join rule lets nobody in; None if it lets invited users in.

    Raises:
        IncompleteState: the state leaves the join rule out.
    """
    rule = state.join_rule
    if rule in state.room_version.join_rules:
        return None
    # A room without the event has the join rule invite, which all versions know.
    event = state.get("m.room.join_rules")
    named = event and event.content.get("join_rule")
    if named in state.room_version.own_join_rules:
        return None
    return (
        f"the join rule of this room, {shown(named)}, lets nobody in: "
        f"room version {state.room_version} does not know it"
    )


def _with_invite(user: UserID, state: RoomState) -> RoomState:
    """Return the state with the user invited, even if the rules forbid that."""
    if state.membership_of(user) is INVITE:
        return state
    invite = member_event(user, INVITE, state)

    # A state over a look-up takes no event: so the invite is laid over any state alike.
    def get(event_type: str, state_key: str) -> Event | None:
        if event_type == "m.room.member" and state_key == user:
            return invite
        return state.get(event_type, state_key)

    # The place of a malformed event is as unknown as one that was left out.
    return RoomState.over(state.room_version, get, partial=not state.is_whole)


def member_event(user: UserID, membership: Membership, state: RoomState) -> Event:
    """Return the member event by which a user gives themselves a membership."""
    fields = {
        "type": "m.room.member",
        "sender": user,
        "state_key": user,
        "content": {"membership": str(membership)},
    }
    return Event.from_client_event(fields, state.room_version).with_signers([server_of(user)])


def _rejects(decision: Decision) -> bool:
    return not (decision.allowed or decision.undecided)


def _speaks_version(
    user: UserID, state: RoomState, their_versions: Collection[str] | None
) -> bool | None:
    # A server with a joined user reads this room's events every day.
    with suppress(IncompleteState):
        if server_of(user) in state.servers_in_room:
            return True
    if their_versions is None:
        return None
    return state.room_version.identifier in several(their_versions, "their_versions")


def _obstacle(
    user: UserID,
    state: RoomState,
    joining: Decision,
    *,
    permitted: bool | None,
    speaks: bool | None,
) -> str:
    """Return what keeps the user from accepting, the most lasting thing first."""
    if _rejects(joining):
        if joining.rule == "every_event.sender_from_unfederated_server":
            return f"this room is closed to other servers: {user} can never join it"
        rejected_for_join_rule = joining.rule == "join.otherwise"
        return (rejected_for_join_rule and unknown_join_rule(state)) or str(joining)
    if permitted is False:
        return f"the server ACL of this room shuts out {server_of(user)}"
    if speaks is False:
        return f"{server_of(user)} does not support room version {state.room_version}"
    return ""
