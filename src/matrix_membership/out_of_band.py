"""Out-of-band membership: what a user is to a room that this server is not in.

A server that is not in a room has no state of it: only the invite it took or the knock
it sent, and the few events that came with it. It cannot ask the rules whether a later
event is allowed. So each event that comes is put into one of four kinds:

- accepted: by whoever made what it replaces (the invite's sender withdraws the invite,
  the user rejects it or retracts the knock), and new invites and knocks;
- likely: by another user, on a server seen in the room, of whom nothing at hand says
  that they may not; the membership stays, and `OutOfBand.likely` tells what it probably is;
- unknown: there is nothing to judge it by; the membership stays;
- ignored: it is void, whatever the room's state is.

What is held is never given up on the word of somebody who could not be checked: whoever
acts on a wrong invite is refused by the room, but nobody can act on a lost one.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.errors import LocalProtocolError
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, server_of
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    UNKNOWN,
    Membership,
    Transition,
    transition,
)
from matrix_membership.signing import missing_signers
from matrix_membership.state import RoomState

__all__ = ["OutOfBand", "Outcome", "Reason", "Verdict"]


class Verdict(Enum):
    """How an event on an out-of-band membership is taken."""

    ACCEPTED = "accepted"
    LIKELY = "likely"
    UNKNOWN = "unknown"
    IGNORED = "ignored"

    def __str__(self) -> str:
        return self._value_


class Reason(Enum):
    """Why an event on an out-of-band membership is taken as it is."""

    NEW_INVITE = "a new invite"
    NEW_KNOCK = "the user knocks"
    BY_THE_USER = "the user leaves"
    BY_THE_SAME_SENDER = "by whoever sent what it replaces"
    POWER_SEEN = "the power levels at hand allow it, if they still hold and the sender is joined"
    POWER_UNSEEN = "the sender's server is in the room; no power levels are at hand"
    POWER_LACKING = "the power levels at hand do not allow it, but may be out of date"
    SENDER_NOT_JOINED = "the sender was not joined, as far as is known, but may be by now"
    SERVER_UNSEEN = "the sender's server is not known to be in the room"
    REPLACES_ANOTHER = "it replaces a membership event that is not at hand"
    ELSEWHERE = "it is about another room or user, or no membership event of a known kind"
    HELD_ALREADY = "it is at hand already"
    REPLACED = "it was replaced before"
    UNSIGNED = "it lacks a signature that it owes"
    WRONG_SENDER = "no user can send this about that user"
    NO_SUCH_MOVE = "this membership cannot come after the one held"

    def __str__(self) -> str:
        return self._value_


@frozen
class Outcome:
    """What an event did to an out-of-band membership.

    It is true when the event was accepted.

    Attributes:
        verdict: how it is taken.
        reason: why.
        after: the membership after it.
        transition: what it did, or likely did, to the user; None when nothing.
        decision: what the rules say of it, when power levels were at hand.
    """

    verdict: Verdict
    reason: Reason
    after: OutOfBand
    transition: Transition | None = None
    decision: Decision | None = None

    def __bool__(self) -> bool:
        return self.verdict is Verdict.ACCEPTED

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@frozen
class OutOfBand:
    """A user's membership in a room that this server is not in.

    Made by `invited` or `knocked`; it ends when the server joins the room.

    Attributes:
        event: the newest event that gave it, whoever sent that.
        since: when it became what it is, in milliseconds since 1970, by this server's
            clock.
        room_state: what came with the invite or the knock to tell of the room, as it was
            shown to the user. To judge by it, only PDUs of the room that are signed count.
        servers: servers that were seen in the room.
        rejected_locally: this server left on the user's behalf without telling the room,
            which still has `event`.
        likely: what it probably is, when that is something else.
        replaced: the IDs of the events that gave it before.
    """

    event: Event
    since: int
    room_state: tuple[Event, ...] = ()
    servers: frozenset[ServerName] = frozenset()
    rejected_locally: bool = False
    likely: Membership | None = None
    replaced: frozenset[EventID] = frozenset()

    @classmethod
    def invited(
        cls,
        invite: Event,
        *,
        at: int,
        room_state: Iterable[Event] = (),
        servers: Iterable[str] = (),
    ) -> OutOfBand:
        """Hold an invite that this server took.

        Args:
            invite: the invite, verified.
            at: the time now, in milliseconds since 1970.
            room_state: the events of `invite_room_state` that can be shown.
            servers: servers that are known to be in the room; the one of the sender,
                and those of who signed the room state, need not be named.

        Raises:
            LocalProtocolError: it is no invite, or lacks a signature that it owes.

        >>> from matrix_membership.room_versions import V11
        >>> invite = Event.from_client_event(
        ...     {
        ...         "type": "m.room.member",
        ...         "room_id": "!r:a.example",
        ...         "sender": "@ana:a.example",
        ...         "state_key": "@ben:b.example",
        ...         "content": {"membership": "invite"},
        ...     },
        ...     V11,
        ... ).with_signers(["a.example"])
        >>> OutOfBand.invited(invite, at=0).reject_locally(at=1).membership
        <Membership.LEAVE: 'leave'>
        """
        return cls._held(INVITE, invite, at, room_state, servers)

    @classmethod
    def knocked(
        cls,
        knock: Event,
        *,
        at: int,
        room_state: Iterable[Event] = (),
        servers: Iterable[str] = (),
    ) -> OutOfBand:
        """Hold a knock that this server sent.

        Args:
            knock: the knock, signed.
            at: the time now, in milliseconds since 1970.
            room_state: the events of `knock_room_state` that can be shown.
            servers: servers that are known to be in the room: above all the one that
                took the knock, `Knocked.resident`.

        Raises:
            LocalProtocolError: it is no knock, or lacks a signature that it owes.
        """
        return cls._held(KNOCK, knock, at, room_state, servers)

    @classmethod
    def _held(
        cls,
        membership: Membership,
        event: Event,
        at: int,
        room_state: Iterable[Event],
        servers: Iterable[str],
    ) -> OutOfBand:
        if event.kind != MEMBER_KINDS[membership] or _is_by_wrong_sender(event):
            raise LocalProtocolError(f"a membership {membership}", repr(event))
        if not _is_signed(event):
            raise LocalProtocolError(f"a signed {membership}", repr(event))
        return cls(event, at, tuple(room_state), frozenset(map(ServerName, servers)))

    @property
    def room_id(self) -> RoomID:
        """The room."""
        return self.event.room_id

    @property
    def user_id(self) -> UserID:
        """The user."""
        return UserID(self.event.state_key or "")

    @property
    def membership(self) -> Membership:
        """What the user is to the room, as far as it could be verified."""
        return LEAVE if self.rejected_locally else self._given

    @property
    def _given(self) -> Membership:
        return self.event.membership or LEAVE

    @property
    def servers_seen(self) -> frozenset[ServerName]:
        """The servers that were seen in the room.

        Those of `servers`, the one of the invite's sender, and those of whoever signed
        an event of `room_state`.
        """
        senders = {event.server for event in self._verified()}
        if self.event.sender != self.user_id:
            senders.add(self.event.server)
        return self.servers | senders

    def receive(self, event: Event, *, at: int, room_state: Iterable[Event] = ()) -> Outcome:
        """Take an event that came for the room.

        Args:
            event: the event, verified: `signed_by` counts.
            at: the time now, in milliseconds since 1970.
            room_state: what came with it to tell of the room, if anything.

        Returns:
            The outcome, with the membership after it.
        """
        reason = self._void(event)
        if reason is not None:
            return Outcome(Verdict.IGNORED, reason, self)
        reason = self._grounds(event)
        if reason is not None:
            return self._accepted(event, at, reason, tuple(room_state) or self.room_state)
        if not self._precedes(event):
            return Outcome(Verdict.UNKNOWN, Reason.REPLACES_ANOTHER, self)
        return self._by_another(event)

    def reject_locally(self, *, at: int) -> OutOfBand:
        """Reject the invite, or retract the knock, here alone: no server answers.

        Args:
            at: the time now, in milliseconds since 1970.

        Returns:
            The membership given up; the very same one when it was rejected locally before.

        Raises:
            LocalProtocolError: there is neither invite nor knock.
        """
        if self.rejected_locally:
            return self
        if self.membership not in _ASKED_OR_ASKING:
            raise LocalProtocolError("an invite or a knock", str(self.membership))
        return evolve(self, rejected_locally=True, since=at, likely=None)

    def with_refusal(self) -> OutOfBand:
        """The same membership after the room refused the user's join: likely it is no more.

        Of a user who holds an invite, `M_FORBIDDEN` means that it was withdrawn and that
        nobody told this server.
        """
        return evolve(self, likely=LEAVE) if self.membership in _ASKED_OR_ASKING else self

    def expire(self, *, at: int, after: int) -> OutOfBand:
        """Give up an invite or a knock that has been held for too long.

        Args:
            at: the time now, in milliseconds since 1970.
            after: for how long one may be held, in milliseconds.

        Returns:
            The membership given up; or the very same one when it is no invite and no
            knock, or not that old.
        """
        if self.membership in _ASKED_OR_ASKING and at - self.since > after:
            return self.reject_locally(at=at)
        return self

    def _void(self, event: Event) -> Reason | None:
        """Why an event is void, whatever the state of the room is."""
        held = self.event
        for wrong, reason in (
            (
                event.room_id != held.room_id
                or event.room_version is not held.room_version
                or event.state_key != held.state_key
                or event.kind not in _KINDS,
                Reason.ELSEWHERE,
            ),
            (event == held, Reason.HELD_ALREADY),
            (event.event_id in (*self.replaced, *held.auth_events), Reason.REPLACED),
            (not _is_signed(event), Reason.UNSIGNED),
            (_is_by_wrong_sender(event), Reason.WRONG_SENDER),
            (not self._moves(event), Reason.NO_SUCH_MOVE),
        ):
            if wrong:
                return reason
        return None

    def _grounds(self, event: Event) -> Reason | None:
        """Why an event can be accepted without asking about power; None when it cannot."""
        for good, reason in (
            (event.membership is INVITE, Reason.NEW_INVITE),
            (event.membership is KNOCK, Reason.NEW_KNOCK),
            (not self._precedes(event), None),
            (event.sender == self.user_id, Reason.BY_THE_USER),
            (event.sender == self.event.sender, Reason.BY_THE_SAME_SENDER),
        ):
            if good:
                return reason
        return None

    def _precedes(self, event: Event) -> bool:
        """Whether the event was made in the knowledge of the one held."""
        return self.event.event_id in event.auth_events

    def _moves(self, event: Event) -> bool:
        """Whether the event can come after the one held, and changes something."""
        by_user = event.sender == self.user_id
        if by_user and event.membership is LEAVE:
            return self._given in _ASKED_OR_ASKING
        move = self._transition(event)
        if event.membership in _ASKED_OR_ASKING:
            # The ban before an invite may have been lifted while nobody told this server.
            return move is not Transition.UNEXPECTED or not self._precedes(event)
        return move is not Transition.UNCHANGED

    def _transition(self, event: Event) -> Transition:
        membership = event.membership or LEAVE
        return transition(self._given, membership, by_self=event.sender == self.user_id)

    def _accepted(
        self, event: Event, at: int, reason: Reason, room_state: tuple[Event, ...]
    ) -> Outcome:
        after = OutOfBand(
            event=event,
            since=at,
            room_state=room_state,
            servers=self.servers_seen,
            replaced=self.replaced | {self.event.event_id},
        )
        return Outcome(Verdict.ACCEPTED, reason, after, self._transition(event))

    def _by_another(self, event: Event) -> Outcome:
        """The outcome of what another user, in the room as it seems, does to this one."""
        if event.server not in self.servers_seen:
            return Outcome(Verdict.UNKNOWN, Reason.SERVER_UNSEEN, self)
        state = RoomState.of(self.event.room_version, [*self._verified(), self.event], partial=True)
        standing = state.membership_of(event.sender)
        if standing not in (JOIN, UNKNOWN):
            return Outcome(Verdict.UNKNOWN, Reason.SENDER_NOT_JOINED, self)
        reason, decision = Reason.POWER_UNSEEN, None
        if _shows_power_of(event.sender, state):
            decision = auth.check(event, state.with_event(_supposed_join(event)))
            if not decision.allowed:
                return Outcome(Verdict.UNKNOWN, Reason.POWER_LACKING, self, decision=decision)
            reason = Reason.POWER_SEEN
        likely = event.membership if event.membership is not self.membership else None
        after = evolve(self, likely=likely)
        return Outcome(Verdict.LIKELY, reason, after, self._transition(event), decision)

    def _verified(self) -> list[Event]:
        """Of what tells of the room, the events that somebody signed for."""
        return [
            event
            for event in self.room_state
            if event.pdu
            and event.room_id == self.room_id
            and event.room_version is self.event.room_version
            and not missing_signers(event)
        ]


_ASKED_OR_ASKING: Final = (INVITE, KNOCK)
_KINDS: Final = tuple(MEMBER_KINDS[membership] for membership in (INVITE, KNOCK, LEAVE, BAN))


def _is_signed(event: Event) -> bool:
    """Whether an event is signed by whom it owes, and by a server that it is about.

    Of an invite that a third party signed for, the sender's server owes nothing: then
    it must be one that the user's own server signed when it took it.
    """
    concerned = {event.server, server_of(event.state_key or "")}
    return not missing_signers(event) and not concerned.isdisjoint(event.signed_by)


def _is_by_wrong_sender(event: Event) -> bool:
    """Only a user knocks for themselves; nobody invites or bans themselves from outside."""
    by_user = event.sender == event.state_key
    return event.membership is not LEAVE and by_user is not (event.membership is KNOCK)


def _shows_power_of(user: str, state: RoomState) -> bool:
    """Whether a state tells what power a user has, rather than leaving it to defaults."""
    if state.create_event is None:
        return False
    return state.power_levels.exists or user in state.create.privileged


def _supposed_join(event: Event) -> Event:
    """A membership by which the sender of an event may have sent it."""
    return Event.from_client_event(
        {
            "type": "m.room.member",
            "sender": event.sender,
            "state_key": event.sender,
            "content": {"membership": "join"},
        },
        event.room_version,
    )
