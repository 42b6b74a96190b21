"""Ask what a user may do in a room, before they try.

Each question builds the event that would be sent and has the rules judge it. The answer is
true, false or unknown. It says which rule decided, what would help, or which part of the
state is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.advice._given import lacks_members, require, require_object
from matrix_membership.advice._joining import authoriser_of, by_membership
from matrix_membership.advice._permission import Permission as Permission
from matrix_membership.advice._sending import objection_to_format
from matrix_membership.auth.explaining.levels import levels_content
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.fate import fate_of
from matrix_membership.identifiers import UserID, read_user_id, server_of
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    UNKNOWN,
    Membership,
)
from matrix_membership.receipt.server_acl import ServerAcl, permits
from matrix_membership.restricted import rooms_to_check
from matrix_membership.state import RoomState

__all__ = ["may", "who_may"]


@frozen
class May:
    """The questions about one user in one room: one method for each.

    Attributes:
        user: the user.
        state: the state of the room.

    .. versionadded:: 0.1.0
    """

    user: UserID
    state: RoomState

    def join(
        self,
        *,
        authorised_via: str | None = None,
        memberships: Mapping[str, Membership | str | None] | None = None,
    ) -> Permission:
        """Join the room.

        A client asks for a plain join. In a `restricted room`__ its server checks in which
        rooms the user is, and has a member authorise the join.

        Args:
            authorised_via: in a restricted room, the joined user who would authorise the
                join. The answer assumes that this user's server signs.
            memberships: in a restricted room, the user's membership in each of
                `restricted.rooms_to_check`, as text or not; None, unknown or no entry for a
                room that you cannot look into.

        Returns:
            The answer. In a restricted room it is unknown if it depends on memberships
            that are not given; then `Permission.hangs_on` names their rooms. Cost: a
            check, and in a restricted room that of `restricted.authorisers`.

        Raises:
            InvalidMessage: one of the memberships is a text that Matrix does not have.

        __ https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
        """
        return self._unless_banned_server(self._join(authorised_via, memberships or {}))

    def _join(
        self, authorised_via: str | None, memberships: Mapping[str, Membership | str | None]
    ) -> Permission:
        if authorised_via is not None:
            return self._authorised_join(authorised_via)
        # A client sends a plain join, and its server adds the user who authorises it. So a
        # rejection of the plain join for lack of that user is not yet the answer.
        plain = self._membership(self.user, JOIN)
        decision = plain.decision
        if decision is None or decision.undecided or decision.rule != _NOT_AUTHORISED:
            return plain
        try:
            return self._join_of_a_restricted_room(plain, memberships)
        except IncompleteState as incomplete:
            return evolve(plain, missing=incomplete.missing)

    def _join_of_a_restricted_room(
        self, plain: Permission, memberships: Mapping[str, Membership | str | None]
    ) -> Permission:
        rooms = by_membership(rooms_to_check(self.state), memberships)
        if not any(rooms.values()):
            reason = "is joined to none of the rooms whose members may join"
            return evolve(plain, objection=f"{self.user} {reason}")
        authoriser = authoriser_of(self.state)
        if authoriser is None:
            reason = "no joined member reaches the invite level, so nobody can authorise the join"
            return evolve(plain, objection=reason)
        if rooms[JOIN]:
            return self._authorised_join(authoriser)
        return evolve(plain, hangs_on=rooms[UNKNOWN])

    def _authorised_join(self, authoriser: str) -> Permission:
        content = {"join_authorised_via_users_server": authoriser}
        return self._membership(self.user, JOIN, content, (server_of(authoriser),))

    def knock(self) -> Permission:
        """Knock on the room."""
        return self._unless_banned_server(self._membership(self.user, KNOCK))

    def _unless_banned_server(self, answer: Permission) -> Permission:
        """Object to a join or knock if no server in the room would take it."""
        server = server_of(self.user)
        if not answer and not answer.unknown:
            return answer
        # Stripped state leaves the list out as a rule, and most rooms have none.
        with suppress(IncompleteState):
            if not permits(self.state, server):
                reason = "the access control list of the room bans"
                return evolve(answer, objection=f"{reason} {server}, the user's server")
        return evolve(answer, missing=answer.missing or _list_not_read(self.state))

    def leave(self) -> Permission:
        """Leave the room, reject an invite, or retract a knock."""
        return self._membership(self.user, LEAVE)

    def invite(self, user: str) -> Permission:
        """Invite a user.

        The answer is also false if `fate.fate_of` tells that the user can never accept: the
        room is closed to their server, or its access control list bans it. It is unknown if
        that is unknown.
        """
        answer = self._membership(user, INVITE)
        # Only then: a user who may not invite at all should hear that first.
        if not answer and not answer.unknown:
            return answer
        fate = fate_of(user, self.state)
        if fate.obstacle:
            return evolve(answer, objection=fate.obstacle)
        unknown = ", ".join(fate.joining.missing) or _list_not_read(self.state)
        return evolve(answer, missing=answer.missing or unknown)

    def kick(self, user: str) -> Permission:
        """Remove a user, withdraw their invite, or deny their knock."""
        if user == self.user:
            reason = "nobody kicks themselves: leave the room instead"
            return evolve(self.leave(), objection=reason)
        # A kick, an unban, a withdrawn invite and a denied knock are one event. The rules would
        # answer yes to the kick of a banned user, and the event would lift the ban.
        return self._leave_of_another(user, _NOT_KICKED)

    def ban(self, user: str) -> Permission:
        """Ban a user."""
        return self._membership(user, BAN)

    def unban(self, user: str) -> Permission:
        """Lift a user's ban."""
        if user == self.user:
            return evolve(self.leave(), objection="nobody lifts their own ban")
        return self._leave_of_another(user, _NOT_UNBANNED)

    def send(
        self,
        event_type: str,
        content: Mapping[str, JsonValue] = JsonObject(),
    ) -> Permission:
        """Send a non-state event, such as `m.room.message`."""
        return self._told(event_type, None, content)

    def set(
        self,
        event_type: str,
        state_key: str = "",
        content: Mapping[str, JsonValue] = JsonObject(),
    ) -> Permission:
        """Set state, such as `m.room.topic`.

        Nobody may set `m.room.create`: an event of a room that exists has previous events, so
        rule 1.1 rejects it.

        Args:
            event_type: the type.
            state_key: the state key.
            content: the content, for the types that the rules look into; and of an access
                control list (`m.room.server_acl`), which must not ban the user's server.
        """
        answer = self._told(event_type, state_key, content)
        if event_type != "m.room.server_acl" or state_key or not content:
            return answer
        server = answer.event.server
        if ServerAcl.from_content(answer.event.content).allows(server):
            return answer
        # Nobody would read a later list of this server, and so it could never be mended.
        return evolve(answer, objection=f"the list would ban {server}, the user's own server")

    def redact(self, event: Event) -> Permission:
        """Redact an event of the room.

        Anybody may redact their own events; those of others need the redact level. From
        version 3 on the rules accept other redactions too, but `servers do not apply them`__.

        Args:
            event: the event to be redacted.

        Returns:
            The answer: true if every server applies the redaction, as soon as it has both
            events.

        Raises:
            TypeError: the event is something else, such as its JSON or its ID.

        __ https://spec.matrix.org/v1.19/rooms/v11/#handling-redactions
        """
        require(Event, event)
        version = self.state.room_version
        redacts: dict[str, JsonValue] = {"redacts": event.event_id}
        if version.event_id_in_pdu:
            # Rule 11 compares the servers in the IDs: the user's server would make this one.
            redacts["event_id"] = f"$redaction:{server_of(self.user)}"
        in_content = version.redaction_rules >= _REDACTS_IN_CONTENT
        answer = self._event(
            "m.room.redaction",
            None,
            redacts if in_content else {},
            fields={} if in_content else redacts,
        )
        if not answer:
            unnamed = version.event_id_in_pdu and not event.event_id
            return evolve(answer, missing="the ID of the event") if unnamed else answer
        return evolve(answer, objection=self._objection_to_redaction(event))

    def _objection_to_redaction(self, event: Event) -> str:
        create = self.state.create_event
        rooms = {event.room_id, "" if create is None else create.room_id} - {""}
        if len(rooms) > 1:
            return "the event is in another room"
        # From version 3 on the rules allow every redaction. These two decide which list servers
        # apply.
        own, needed = self.state.power_level_of(self.user), self.state.power_levels.redact
        if event.sender == self.user or own >= needed:
            return ""
        reason = f"{self.user} has {own}, redact needs {needed}"
        if event.server == server_of(self.user):
            return f"only administrators of {event.server} redact events of its users: {reason}"
        return f"servers do not apply the redaction of another user's event: {reason}"

    def notify(self) -> Permission:
        """Notify everybody in the room with a message that mentions `@room`.

        The answer is about the `level for notifications`__ too.

        __ https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
        """
        answer = self.send("m.room.message", {"m.mentions": {"room": True}})
        if not answer:
            return answer
        needed = self.state.power_levels.notifications.get("room", NOTIFY_ROOM)
        own = self.state.power_level_of(self.user)
        if own >= needed:
            return answer
        reason = f"{self.user} has {own}, notifications.room needs {needed}"
        return evolve(answer, objection=f"the message would notify nobody: {reason}")

    def upgrade(self) -> Permission:
        """Upgrade the room to another version: send the tombstone that closes it."""
        return self.set("m.room.tombstone")

    def change_level(self, of: str, to: int) -> Permission:
        """Change one power level.

        Args:
            of: a user ID; one of the levels that power levels name (`ban`, `kick`,
                `invite`, `redact`, `users_default`, …); or an event type.
            to: the new level.

        Raises:
            InvalidIdentifier: `of` begins like a user ID, but is not one.
        """
        path: tuple[str, ...] = (of,) if of in NAMED_LEVELS else ("events", of)
        if of.startswith("@"):
            path = ("users", read_user_id(of))
        try:
            content = levels_content({path: to}, self.state)
        except IncompleteState as incomplete:
            event = self._made("m.room.power_levels", "", {})
            return Permission(event, self.state, None, incomplete.missing)
        return self._told("m.room.power_levels", "", content)

    def _told(
        self, event_type: str, state_key: str | None, content: Mapping[str, JsonValue]
    ) -> Permission:
        """Ask about an event whose type and content the caller tells."""
        require_object(content)
        answer = self._event(event_type, state_key, content)
        # Only then: what the rules say of a user is worth more than a mistake in the content.
        if not answer and not answer.unknown:
            return answer
        return evolve(answer, objection=objection_to_format(answer.event))

    def _leave_of_another(self, user: str, objections: Mapping[Membership, str]) -> Permission:
        """Ask for a leave that is one move; with the other memberships it is another one."""
        answer = self._membership(user, LEAVE)
        membership = self.state.membership_of(user)
        if membership in objections:
            return evolve(answer, objection=f"{user} {objections[membership]}")
        if membership is UNKNOWN and answer:
            return evolve(answer, missing=f"m.room.member {user}")
        return answer

    def _membership(
        self,
        user: str,
        membership: Membership,
        content: Mapping[str, JsonValue] = JsonObject(),
        signers: tuple[str, ...] = (),
    ) -> Permission:
        told = {**content, "membership": str(membership)}
        return self._event("m.room.member", read_user_id(user), told, signers)

    def _event(
        self,
        event_type: str,
        state_key: str | None,
        content: Mapping[str, JsonValue],
        signers: tuple[str, ...] = (),
        fields: Mapping[str, JsonValue] = JsonObject(),
    ) -> Permission:
        event = self._made(event_type, state_key, content, fields)
        return Permission.of(event.with_signers({event.server, *signers}), self.state)

    def _made(
        self,
        event_type: str,
        state_key: str | None,
        content: Mapping[str, JsonValue],
        fields: Mapping[str, JsonValue] = JsonObject(),
    ) -> Event:
        made: dict[str, JsonValue] = {
            "type": event_type,
            "sender": self.user,
            "content": dict(content),
            **fields,
        }
        if state_key is not None:
            made["state_key"] = state_key
        version = self.state.room_version
        # Without them it would be the first event of another room, which rule 1 allows.
        if event_type == "m.room.create":
            made["prev_events"] = [[_BEFORE, {}]] if version.event_id_in_pdu else [_BEFORE]
        return Event.from_client_event(made, version)


def may(user: str, state: RoomState) -> May:
    """Ask what a user may do in a room.

    Args:
        user: the user.
        state: the state of the room, as `RoomState.of` or `state.from_client.read_state`
            makes it.

    Raises:
        InvalidIdentifier: `user` is not a user ID.
        TypeError: the state is something else, such as a list of events.

    >>> from matrix_membership.room_versions import V11
    >>> create = {
    ...     "type": "m.room.create",
    ...     "sender": "@ana:a.example",
    ...     "state_key": "",
    ...     "content": {},
    ... }
    >>> state = RoomState.of(V11, [Event.from_client_event(create, V11)])
    >>> print(may("@ben:b.example", state).ban("@ana:a.example"))
    rejected by rule 4.6.1 of room version 11: the sender is not joined

    .. versionadded:: 0.1.0
    """
    require(RoomState, state)
    return May(read_user_id(user), state)


_BEFORE: Final = "$before:room"
"""Stands for an event that the one to be sent follows, in any room version."""

NOTIFY_ROOM: Final = 50
"""The level that a notification of the whole room needs if the power levels name none."""

_REDACTS_IN_CONTENT: Final = 11
"""The version from which on a redaction names the event in its content."""

_NOT_KICKED: Final = MappingProxyType(
    {
        LEAVE: "is not in the room",
        BAN: "is banned, and not in the room: the same event would lift the ban",
    }
)
"""The memberships of users who cannot be kicked, with the reason."""

_NOT_UNBANNED: Final = MappingProxyType(
    {
        LEAVE: "is not banned",
        JOIN: "is joined, not banned: the same event would be a kick",
        INVITE: "is invited, not banned: the same event would withdraw the invite",
        KNOCK: "knocks, and is not banned: the same event would deny the knock",
    }
)
"""The memberships of users who have no ban to lift, with the reason."""

_NOT_AUTHORISED: Final = "join.authoriser_may_not_invite"
"""The rule that rejects a join to a restricted room which names nobody who authorises it."""


def _list_not_read(state: RoomState) -> str:
    """Return the type of the access control list if it could not be read."""
    kind = "m.room.server_acl"
    # Only stripped state does not know a place that no room has, and it leaves the list out as a
    # rule. A look through the malformed events would cost each question all of them.
    return kind if not state.knows(kind) and state.knows(kind, "?") else ""


def who_may(state: RoomState, question: Callable[[May], Permission]) -> Iterator[UserID]:
    """Find everybody in a room who may do something.

    Args:
        state: the state of the room.
        question: asks one thing about a joined member.

    Yields:
        The joined members who may for certain, in the order in which the state lists them.
        Cost: one question for each joined member.

    Raises:
        IncompleteState: there may be others: the state does not list its members, leaves
            some of them out, or leaves out an event on which an answer depends. It is raised
            last, after the members who may for certain.
        TypeError: the state is something else, such as a list of events; or the question
            returns something else than an answer.

    >>> from matrix_membership.room_versions import V11
    >>> list(who_may(RoomState.of(V11, []), lambda user: user.ban("@ana:a.example")))
    []

    .. versionadded:: 0.1.0
    """
    require(RoomState, state)
    # Raised at the end: the users that are found before it are certain.
    missing = "all members" if lacks_members(state) else ""
    for user in state.joined_members():
        answer = question(May(user, state))
        # Any other value would count as yes: a method that the caller forgot to call, for one.
        if not isinstance(answer, Permission):
            raise TypeError(f"expected the answer of May, got {type(answer).__name__}")
        if answer:
            yield user
        elif answer.unknown:
            missing = missing or answer.missing or "what an answer hangs on"
    if missing:
        raise IncompleteState("who may", missing)
