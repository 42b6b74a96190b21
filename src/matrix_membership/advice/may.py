"""Ask what a user may do in a room, before they try.

Each question builds the event that would be sent and has the rules judge it. The answer is
true, false or unknown. It says which rule decided, what would help, or which part of the
state is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth.explaining.levels import levels_content
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.events.contents import NAMED_LEVELS
from matrix_membership.identifiers import UserID, is_user_id, server_of, user_id
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership
from matrix_membership.state import RoomState

__all__ = ["May", "Permission", "may", "who_may"]


@frozen
class Permission:
    """The answer to a question. It is true only if the user may do it for certain.

    Attributes:
        event: the event that would be sent.
        state: the state that it was judged against.
        decision: the verdict of the rules; None if no event can be made without what the
            state leaves out.
        missing: what the state leaves out; empty if the verdict does not depend on it.
    """

    event: Event
    state: RoomState
    decision: auth.Decision | None
    missing: str

    def __bool__(self) -> bool:
        return self.decision is not None and self.decision.allowed

    @property
    def unknown(self) -> bool:
        """Whether the state leaves out too much for an answer."""
        return self.decision is None or self.decision.undecided

    def __str__(self) -> str:
        if self.missing:
            return f"unknown: the state that is at hand leaves out {self.missing}"
        return str(self.decision)

    @property
    def explanation(self) -> auth.Explanation | None:
        """The reasons in full; None if the state leaves out what the rules read.

        Cost: some hundred checks.
        """
        return None if self.decision is None else auth.explain(self.event, self.state)

    @property
    def remedies(self) -> tuple[auth.Remedy, ...]:
        """The changes that would help, the smallest first. Cost: as `explanation`."""
        explanation = self.explanation
        return () if explanation is None else explanation.remedies


@frozen
class May:
    """The questions about one user in one room: one method for each.

    Attributes:
        user: the user.
        state: the state of the room.
    """

    user: UserID
    state: RoomState

    def join(self, *, authorised_via: str | None = None) -> Permission:
        """Join the room.

        Args:
            authorised_via: in a restricted room, the joined user who would authorise the
                join. The answer assumes that this user's server signs.
        """
        if authorised_via is None:
            return self._membership(self.user, JOIN)
        content = {"join_authorised_via_users_server": authorised_via}
        return self._membership(self.user, JOIN, content, (server_of(authorised_via),))

    def knock(self) -> Permission:
        """Knock on the room."""
        return self._membership(self.user, KNOCK)

    def leave(self) -> Permission:
        """Leave the room, reject an invite, or retract a knock."""
        return self._membership(self.user, LEAVE)

    def invite(self, user: str) -> Permission:
        """Invite a user."""
        return self._membership(user, INVITE)

    def kick(self, user: str) -> Permission:
        """Remove a user, withdraw their invite, or deny their knock."""
        return self._membership(user, LEAVE)

    def ban(self, user: str) -> Permission:
        """Ban a user."""
        return self._membership(user, BAN)

    def unban(self, user: str) -> Permission:
        """Lift a user's ban."""
        return self._membership(user, LEAVE)

    def send(
        self,
        event_type: str,
        content: Mapping[str, JsonValue] = JsonObject(),
    ) -> Permission:
        """Send a non-state event, such as `m.room.message`."""
        return self._event(event_type, None, content)

    def set(
        self,
        event_type: str,
        state_key: str = "",
        content: Mapping[str, JsonValue] = JsonObject(),
    ) -> Permission:
        """Set state, such as `m.room.topic`.

        Args:
            event_type: the type.
            state_key: the state key.
            content: the content, for the types that the rules look into.
        """
        return self._event(event_type, state_key, content)

    def change_level(self, of: str, to: int) -> Permission:
        """Change one power level.

        Args:
            of: a user ID; one of the levels that power levels name (`ban`, `kick`,
                `invite`, `redact`, `users_default`, …); or an event type.
            to: the new level.
        """
        path = ("users", of) if is_user_id(of) else (of,) if of in NAMED_LEVELS else ("events", of)
        try:
            content = levels_content({path: to}, self.state)
        except IncompleteState as incomplete:
            event = self._made("m.room.power_levels", "", {})
            return Permission(event, self.state, None, incomplete.missing)
        return self._event("m.room.power_levels", "", content)

    def _membership(
        self,
        user: str,
        membership: Membership,
        content: Mapping[str, JsonValue] = JsonObject(),
        signers: tuple[str, ...] = (),
    ) -> Permission:
        told = {**content, "membership": str(membership)}
        return self._event("m.room.member", user_id(user), told, signers)

    def _event(
        self,
        event_type: str,
        state_key: str | None,
        content: Mapping[str, JsonValue],
        signers: tuple[str, ...] = (),
    ) -> Permission:
        event = self._made(event_type, state_key, content)
        event = event.with_signers({event.server, *signers})
        decision = auth.check(event, self.state)
        return Permission(event, self.state, decision, ", ".join(decision.missing))

    def _made(
        self, event_type: str, state_key: str | None, content: Mapping[str, JsonValue]
    ) -> Event:
        fields: dict[str, JsonValue] = {
            "type": event_type,
            "sender": self.user,
            "content": dict(content),
        }
        if state_key is not None:
            fields["state_key"] = state_key
        return Event.from_client_event(fields, self.state.room_version)


def may(user: str, state: RoomState) -> May:
    """Ask what a user may do in a room.

    Args:
        user: the user.
        state: the state of the room, as `RoomState.of` or `state.from_client.read_state`
            makes it.

    Raises:
        InvalidIdentifier: `user` is not a user ID.

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
    """
    return May(user_id(user), state)


def who_may(state: RoomState, question: Callable[[May], Permission]) -> Iterator[UserID]:
    """Find everybody in a room who may do something.

    Args:
        state: the state of the room.
        question: asks one thing about a joined member.

    Yields:
        The joined members who may, in the order in which the state lists them. Cost: one
        check for each joined member.

    Raises:
        IncompleteState: the state does not list its members, or not all of them.

    >>> from matrix_membership.room_versions import V11
    >>> list(who_may(RoomState.of(V11, []), lambda user: user.ban("@ana:a.example")))
    []
    """
    if state.is_partial:
        raise IncompleteState("who may", "all members")
    for user in state.joined_members():
        if question(May(user, state)):
            yield user
