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

What is held is never given up on the word of somebody who could not be checked: the room
refuses a user who acts on a wrong invite, but nobody can act on a lost one. Every server
can send an invite, even one that has never been in the room. So the invites of different
servers are held beside each other, one for each server, and none ends another:

- an invite replaces what its own sender's server sent before, and a knock that a server
  took which the caller named;
- its sender withdraws it, and what was held beside it comes back;
- the user's own leave ends it, and all that was held when the user left.

Memory is bounded by `MAX_HELD` and `MAX_REMEMBERED`. Nothing that is held makes room for
an invite of yet another server: strangers who send many invites fill only what is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.errors import LocalProtocolError
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, server_of
from matrix_membership.membership import (
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    UNKNOWN,
    Membership,
    Transition,
    transition,
)
from matrix_membership.out_of_band._events import (
    ASKED_OR_ASKING,
    KINDS,
    is_by_wrong_sender,
    is_signed,
    shows_power_of,
    slot,
    supposed_join,
)
from matrix_membership.out_of_band._verdicts import Reason, Verdict
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import missing_signers
from matrix_membership.state import RoomState

__all__ = ["MAX_HELD", "MAX_REMEMBERED", "OutOfBand", "Reason", "Reception", "Verdict"]

MAX_HELD: Final = 50
"""So many invites and knocks of one user are held for one room, each of another server.

One of the server that the room ID names, or that a held knock names, is held all the same.
"""

MAX_REMEMBERED: Final = 1_000
"""So many IDs of ended events are remembered for one room and user, the newest of them."""


@frozen
class Reception:
    """What an event did to an out-of-band membership.

    It is true when the event was accepted.

    Attributes:
        verdict: how it is taken.
        reason: why.
        after: the membership after it.
        transition: what it did, or likely did, to the invite, the knock or the end that it
            follows; None when nothing. When another invite is held beside that, `after`
            has it.
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
        event: the event that gave it: the newest one, but an invite that has likely
            ended comes after those that have not.
        since: when it became what it is, in milliseconds since 1970, by this server's
            clock.
        room_state: what came with the invite or the knock to tell of the room, as it was
            shown to the user. To judge by it, only PDUs of the room that are signed count.
        servers: servers that were seen in the room.
        rejected_locally: this server left on the user's behalf without telling the room,
            which still has `event`.
        likely: what it probably is, when that is something else.
        replaced: the IDs of the events that gave it before, the newest last: at most
            `MAX_REMEMBERED`.
        others: what is held beside `event`: invites of other servers, and a knock. Each
            can be accepted, and takes the place of `event` when that ends.
    """

    event: Event
    since: int
    room_state: tuple[Event, ...] = ()
    servers: frozenset[ServerName] = frozenset()
    rejected_locally: bool = False
    likely: Membership | None = None
    replaced: tuple[EventID, ...] = ()
    others: tuple[OutOfBand, ...] = ()

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
        if event.kind != MEMBER_KINDS[membership] or is_by_wrong_sender(event):
            raise LocalProtocolError(f"a membership {membership}", repr(event))
        if not is_signed(event):
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
    def invites(self) -> tuple[Event, ...]:
        """The invites that can be accepted, the one that is shown first."""
        return tuple(held.event for held in self._open if held.event.membership is INVITE)

    @property
    def room_versions(self) -> tuple[RoomVersion, ...]:
        """The versions that the room has by what is held: a PDU for the room is of one of them.

        One, unless the senders of invites disagree; that of `event` first.
        """
        return tuple(dict.fromkeys(held.event.room_version for held in (self, *self.others)))

    @property
    def servers_seen(self) -> frozenset[ServerName]:
        """The servers that were seen in the room.

        Those of `servers`, the one of the invite's sender, and those that signed an event
        of `room_state`; and the same of `others`.
        """
        senders = {event.server for event in self._verified()}
        if self.event.sender != self.user_id:
            senders.add(self.event.server)
        return self.servers.union(senders, *[held.servers_seen for held in self.others])

    @property
    def servers_to_ask(self) -> tuple[ServerName, ...]:
        """The servers seen, in the order in which to ask them to let the user in or out.

        The senders' servers first, in the order of `invites`.
        """
        seen = self.servers_seen
        senders = [held.event.server for held in (self, *self.others)]
        first = [server for server in senders if server in seen]
        return tuple(dict.fromkeys([*first, *sorted(seen)]))

    def receive(self, event: Event, *, at: int, room_state: Iterable[Event] = ()) -> Reception:
        """Take an event that came for the room.

        Args:
            event: the event, verified: `signed_by` counts.
            at: the time now, in milliseconds since 1970.
            room_state: what came with it to tell of the room, if anything.

        Returns:
            The outcome, with the membership after it. Cost: linear in what is held.
        """
        held = self._replaced_by(event)
        reason = self._void(event, held or self)
        if reason is not None:
            return Reception(Verdict.IGNORED, reason, self)
        if event.membership in ASKED_OR_ASKING:
            return self._with_another(event, at, tuple(room_state))
        if held is None:
            return Reception(Verdict.UNKNOWN, Reason.REPLACES_ANOTHER, self)
        if event.sender == self.user_id:
            # This server says when its user left. What came after that is not rejected by it,
            # should somebody send the leave again.
            left = event.origin_server_ts
            ended = [other for other in self._open if other is held or other.since <= left]
            servers = held.servers_seen
            return self._ended(event, at, Reason.BY_THE_USER, held, [held, *ended], servers)
        if event.sender == held.event.sender:
            return self._ended(event, at, Reason.BY_THE_SAME_SENDER, held, [held], held.servers)
        return self._by_another(event, held)

    def reject_locally(self, *, at: int) -> OutOfBand:
        """Reject the invites, or retract the knock, here alone: no server answers.

        Args:
            at: the time now, in milliseconds since 1970.

        Returns:
            The membership given up; the very same one when it was rejected locally before.

        Raises:
            LocalProtocolError: there is neither invite nor knock.
        """
        if self.rejected_locally:
            return self
        if self.membership not in ASKED_OR_ASKING:
            raise LocalProtocolError("an invite or a knock", str(self.membership))
        return evolve(
            self,
            rejected_locally=True,
            since=at,
            likely=None,
            replaced=self._remembering(held.event.event_id for held in self.others),
            others=(),
        )

    def with_refusal(self) -> OutOfBand:
        """The same membership after the room refused the user's join: likely it has ended.

        Of a user who holds an invite, `M_FORBIDDEN` means that it was withdrawn and that
        nobody told this server. An invite held beside it, if one is, is shown in its place.
        """
        return self._marked(self._open[0], LEAVE) if self._open else self

    def expire(self, *, at: int, after: int) -> OutOfBand:
        """Give up each invite or knock that has been held for too long.

        Args:
            at: the time now, in milliseconds since 1970.
            after: for how long one may be held, in milliseconds.

        Returns:
            The membership given up, or that of the invites that are not that old; or the
            very same one when there are no invite and knock as old as that.
        """
        fresh = [held for held in self._open if at - held.since <= after]
        if len(fresh) == len(self._open):
            return self
        if not fresh:
            return self.reject_locally(at=at)
        kept = {held.event for held in fresh}
        gone = [held.event.event_id for held in self._open if held.event not in kept]
        return _ordered(fresh, self._remembering(gone))

    @property
    def _open(self) -> tuple[OutOfBand, ...]:
        """The invites and the knock that are held, each alone, the one that is shown first."""
        if self.membership not in ASKED_OR_ASKING:
            return ()
        return (evolve(self, replaced=(), others=()), *self.others)

    def _replaced_by(self, event: Event) -> OutOfBand | None:
        """What is held, alone, that the event was made in the knowledge of."""
        listed = event.auth_events
        alone = evolve(self, replaced=(), others=())
        found = [held for held in (alone, *self.others) if held.event.event_id in listed]
        own = [held for held in found if held.event.sender == event.sender]
        return next(iter((*own, *found)), None)

    def _remembering(self, event_ids: Iterable[EventID]) -> tuple[EventID, ...]:
        return tuple(dict.fromkeys([*self.replaced, *event_ids]))[-MAX_REMEMBERED:]

    def _void(self, event: Event, before: OutOfBand) -> Reason | None:
        """Why an event is void, whatever the state of the room is."""
        held = self.event
        for wrong, reason in (
            (
                event.room_id != held.room_id
                or event.state_key != held.state_key
                or event.kind not in KINDS
                or not (before._is_of_version(event) or event.membership in ASKED_OR_ASKING),
                Reason.ELSEWHERE,
            ),
            (
                any(event == other.event for other in (self, *self.others)),
                Reason.HELD_ALREADY,
            ),
            (self._came_before(event), Reason.REPLACED),
            (not is_signed(event), Reason.UNSIGNED),
            (is_by_wrong_sender(event), Reason.WRONG_SENDER),
            (before._cannot_precede(event), Reason.NO_SUCH_MOVE),
        ):
            if wrong:
                return reason
        return None

    def _is_of_version(self, event: Event) -> bool:
        """Whether the event was read by the room version of the one held.

        An invite may name another one: a stranger's word on the version counts no more than
        the rest of its invite.
        """
        return event.room_version is self.event.room_version

    def _came_before(self, event: Event) -> bool:
        """Whether an event was replaced: here, or by what the same server sent.

        What a stranger's invite lists says nothing of the events of other servers.
        """
        return event.event_id in self.replaced or any(
            event.event_id in held.event.auth_events and slot(held.event) == slot(event)
            for held in (self, *self.others)
        )

    def _precedes(self, event: Event) -> bool:
        """Whether the event was made in the knowledge of the one held."""
        return self.event.event_id in event.auth_events

    def _cannot_precede(self, event: Event) -> bool:
        """Whether the event cannot come after the one held, or changes nothing."""
        by_user = event.sender == self.user_id
        if by_user and event.membership is LEAVE:
            return self._given not in ASKED_OR_ASKING
        move = self._transition(event)
        if event.membership in ASKED_OR_ASKING:
            # The ban before an invite may have been lifted while nobody told this server.
            return move is Transition.UNEXPECTED and self._precedes(event)
        return move is Transition.UNCHANGED

    def _transition(self, event: Event) -> Transition:
        membership = event.membership or LEAVE
        return transition(self._given, membership, by_self=event.sender == self.user_id)

    def _with_another(self, event: Event, at: int, room_state: tuple[Event, ...]) -> Reception:
        """The outcome of an invite or a knock, which is held beside those of other servers."""
        ended = [held for held in self._open if _gives_way(held, event)]
        kept = [held for held in self._open if held not in ended]
        if len(kept) >= MAX_HELD and not self._is_expected(event):
            return Reception(Verdict.UNKNOWN, Reason.TOO_MANY, self)
        before = ended[0] if ended else self
        new = OutOfBand(event, at, room_state or before.room_state, before.servers)
        gone = [held.event.event_id for held in ended] if self._open else [self.event.event_id]
        reason = Reason.NEW_KNOCK if event.membership is KNOCK else Reason.NEW_INVITE
        after = _ordered([new, *kept], self._remembering(gone))
        return Reception(Verdict.ACCEPTED, reason, after, self._transition(event))

    def _is_expected(self, event: Event) -> bool:
        """Whether an invite or a knock comes from a server that need not be a stranger's."""
        asked = [held.servers for held in self._open if held.event.membership is KNOCK]
        known = {server_of(self.room_id), server_of(self.user_id)}.union(*asked)
        return not known.isdisjoint({event.server} & event.signed_by)

    def _ended(
        self,
        event: Event,
        at: int,
        reason: Reason,
        held: OutOfBand,
        ended: list[OutOfBand],
        servers: frozenset[ServerName],
    ) -> Reception:
        """The outcome of an event that ends some of what is held."""
        kept = [other for other in self._open if other not in ended]
        gone = [other.event.event_id for other in ended]
        if kept:
            after = _ordered(kept, self._remembering([*gone, event.event_id]))
        else:
            replaced = self._remembering(gone)
            after = OutOfBand(event, at, held.room_state, servers, replaced=replaced)
        return Reception(Verdict.ACCEPTED, reason, after, held._transition(event))

    def _by_another(self, event: Event, held: OutOfBand) -> Reception:
        """The outcome of what another user, in the room as it seems, does to this one."""
        if event.server not in held.servers_seen:
            return Reception(Verdict.UNKNOWN, Reason.SERVER_UNSEEN, self)
        known = [*held._verified(), held.event]
        state = RoomState.of(held.event.room_version, known, partial=True)
        standing = state.membership_of(event.sender)
        if standing not in (JOIN, UNKNOWN):
            return Reception(Verdict.UNKNOWN, Reason.SENDER_NOT_JOINED, self)
        reason, decision = Reason.POWER_UNSEEN, None
        if shows_power_of(event.sender, state):
            decision = auth.check(event, state.with_event(supposed_join(event)))
            if not decision.allowed:
                return Reception(Verdict.UNKNOWN, Reason.POWER_LACKING, self, decision=decision)
            reason = Reason.POWER_SEEN
        likely = event.membership if event.membership is not held.membership else None
        after = self._marked(held, likely)
        return Reception(Verdict.LIKELY, reason, after, held._transition(event), decision)

    def _marked(self, held: OutOfBand, likely: Membership | None) -> OutOfBand:
        """The same membership, with what one of those that are held probably is."""
        if not self._open:
            return evolve(self, likely=likely)
        marked = evolve(held, likely=likely)
        return _ordered([marked if other == held else other for other in self._open], self.replaced)

    def _verified(self) -> list[Event]:
        """Of what tells of the room, the events that somebody signed for."""
        return [
            event
            for event in self.room_state
            if event.pdu
            and event.room_id == self.room_id
            and event.room_version is self.event.room_version
            and not missing_signers(event)
            and event.server in event.signed_by  # not only a third party, whom nobody asked
        ]


def _ordered(held: Iterable[OutOfBand], replaced: tuple[EventID, ...]) -> OutOfBand:
    """A membership of invites and a knock, newest first; those that likely ended come last."""
    first, *others = sorted(held, key=lambda one: one.likely is not None)
    return evolve(first, replaced=replaced, others=tuple(others))


def _gives_way(held: OutOfBand, event: Event) -> bool:
    """Whether an invite or a knock takes the place of one that is held.

    It does for what the same server sent. A knock also gives way to the answer of a server
    that the caller named.
    """
    if slot(held.event) == slot(event):
        return True
    return held.event.membership is KNOCK and slot(event) in held.servers
