"""Out-of-band membership: invites and a knock for a room of other servers.

A server that is not in a room has no state of it. It has the invite that it accepted or
the knock that it sent, and the few events that came with it. So it cannot judge a later
event by the rules. Each event that comes gets a `Verdict`.

An event that could not be checked never ends an invite. A wrong invite costs little: the
room refuses the user's join. A lost invite cannot be accepted. Every server can send an
invite, even one that has never been in the room. So the invites of different servers are
held beside each other, one for each server, and none ends another:

- an invite replaces what its own sender's server sent before, and a knock that was sent
  through a server which the caller named;
- its sender withdraws it, and the others that were held beside it stay;
- the user's own leave ends it, and all that was held when the user left.

At most 50 invites and the IDs of 1,000 earlier events are held. A held invite is never removed to
make room for another server's: strangers who send many invites fill only the free places.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import field

from matrix_membership._attrs import as_bool, as_tuple, evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.errors import LocalProtocolError
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, server_of, several
from matrix_membership.membership import (
    INVITE,
    KNOCK,
    LEAVE,
    Membership,
    Transition,
    read_membership,
)
from matrix_membership.out_of_band._judging import (
    ASKED_OR_ASKING,
    Reason,
    Verdict,
    gives_way,
    is_by_wrong_sender,
    is_proof,
    is_signed,
    judge_by_proofs,
    move,
    slot,
    why_void,
)
from matrix_membership.room_versions import RoomVersion

__all__ = ["OutOfBand", "Reason", "Verdict"]

MAX_HELD: Final = 50
"""The largest number of invites and knocks held for one user and room, one for each server.

An invite of the server in the room ID, or of a server that a held knock names, is held
beyond this limit.
"""

MAX_REMEMBERED: Final = 1_000
"""The largest number of IDs of ended events remembered for one user and room: the newest ones."""


@frozen
class Reception:
    """The effect of an event on an out-of-band membership.

    It is true when the event was accepted.

    Attributes:
        verdict: what becomes of it.
        reason: why it has that verdict.
        after: the membership after it.
        transition: the change of the held invite or knock, or the likely change; None for
            an event without effect. `after` shows another held invite, if there is one.
        decision: the decision of the rules, when power levels were at hand.
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


# A membership is kept for years, in a database: its rows have lists, text and numbers. One that was
# restored as it came would fail only when the next event comes.
def _named(servers: Iterable[str]) -> frozenset[ServerName]:
    return frozenset(map(ServerName, several(servers, "servers")))


def _likely(told: object) -> Membership | None:
    return read_membership(told, "likely")


@frozen
class OutOfBand:
    """A user's membership in a room that this server is not in.

    Made by `invited` or `knocked`, or of its stored fields, as lists and text or not; it ends
    when the server joins the room. `at` is always the time now, in milliseconds since 1970.

    Attributes:
        event: the event that gives the membership. Of several held ones it is the newest
            that has not likely ended.
        since: when the membership began, in milliseconds since 1970, by this server's
            clock.
        room_state: the events that came with the invite or the knock and describe the
            room to the user. Judgements use only signed PDUs of the room among them.
        servers: servers that were seen in the room.
        rejected_locally: whether this server left on the user's behalf without telling
            the room, which still has `event`.
        likely: the probable membership, when another user changed it.
        contradicted: whether the server that signed the invite refused the user's join.
            Nothing proves that it was withdrawn: ask again, or for another invite.
        replaced: the IDs of earlier events, the newest last: at most 1,000.
        others: the invites of other servers and the knock that are held beside `event`.
            Each can be accepted, and the first takes the place of `event` when that ends.

    .. versionadded:: 0.1.0
    """

    event: Event
    since: int
    room_state: tuple[Event, ...] = field(default=(), converter=as_tuple)
    servers: frozenset[ServerName] = field(default=frozenset(), converter=_named)
    rejected_locally: bool = field(default=False, converter=as_bool)
    likely: Membership | None = field(default=None, converter=_likely)
    replaced: tuple[EventID, ...] = field(default=(), converter=as_tuple)
    others: tuple[OutOfBand, ...] = field(default=(), converter=as_tuple)
    contradicted: bool = field(default=False, converter=as_bool)

    @classmethod
    def invited(
        cls,
        invite: Event,
        *,
        at: int,
        room_state: Iterable[Event] = (),
        servers: Iterable[str] = (),
    ) -> OutOfBand:
        """Hold an invite that this server accepted.

        Args:
            invite: the invite, verified.
            at: the time now, in milliseconds since 1970.
            room_state: the events of `invite_room_state` that can be shown.
            servers: servers that are known to be in the room, beside the sender's and
                those that signed the room state.

        Raises:
            LocalProtocolError: it is another event, or lacks a required signature.

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
        """Hold a knock that this server sent. The other arguments are those of `invited`.

        `servers` names above all the one that answered the knock, `Knocked.resident`.

        Raises:
            LocalProtocolError: it is another event, or lacks a required signature.
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
        return cls(
            event, at, tuple(room_state), frozenset(map(ServerName, several(servers, "servers")))
        )

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
        """The user's membership, as far as it could be verified."""
        return LEAVE if self.rejected_locally else self.event.membership or LEAVE

    @property
    def invites(self) -> tuple[Event, ...]:
        """The invites that can be accepted, the one that is shown first."""
        return tuple(held.event for held in self._open if held.event.membership is INVITE)

    @property
    def room_versions(self) -> tuple[RoomVersion, ...]:
        """The versions by which a PDU may have to be read, that of `event` first.

        It is one version, unless the senders of invites disagree.
        """
        return tuple(dict.fromkeys(held.event.room_version for held in (self, *self.others)))

    @property
    def servers_seen(self) -> frozenset[ServerName]:
        """The servers that were seen in the room.

        They are `servers`, the server of the invite's sender, and the senders' servers of
        the signed events in `room_state`; and the same of `others`.
        """
        senders = {event.server for event in self._verified()}
        if self.event.sender != self.user_id:
            senders.add(self.event.server)
        return self.servers.union(senders, *[held.servers_seen for held in self.others])

    @property
    def servers_to_ask(self) -> tuple[ServerName, ...]:
        """The servers to ask for the user's join or leave, in the order in which to ask.

        The senders' servers come first, in the order of `invites`.
        """
        seen = self.servers_seen
        senders = [held.event.server for held in (self, *self.others)]
        first = [server for server in senders if server in seen]
        return tuple(dict.fromkeys([*first, *sorted(seen)]))

    def receive(self, event: Event, *, at: int, room_state: Iterable[Event] = ()) -> Reception:
        """Receive an event about the user's membership. Its `signed_by` counts.

        `room_state` are the events that came with it and describe the room. Cost: linear in the
        held events, their room state and `replaced`.
        """
        held = self._replaced_by(event)
        every = [one.event for one in (self, *self.others)]
        reason = why_void(event, (held or self).event, every, self.replaced)
        if reason is not None:
            return Reception(Verdict.IGNORED, reason, self)
        if event.membership in ASKED_OR_ASKING:
            return self._with_another(event, at, tuple(room_state))
        if held is None:
            return Reception(Verdict.UNKNOWN, Reason.REPLACES_ANOTHER, self)
        if event.sender == self.user_id:
            # A repeated leave must not reject invites that came after the user left: only
            # what was held at its time ends.
            left = event.origin_server_ts
            ended = [other for other in self._open if other is held or other.since <= left]
            servers = held.servers_seen
            return self._ended(event, at, Reason.BY_THE_USER, held, [held, *ended], servers)
        if event.sender == held.event.sender:
            return self._ended(event, at, Reason.BY_THE_SAME_SENDER, held, [held], held.servers)
        return self._by_another(event, held)

    def reject_locally(self, *, at: int) -> OutOfBand:
        """Reject the invites, or retract the knock, when no server answers.

        Raises:
            LocalProtocolError: neither an invite nor a knock is held.
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
            contradicted=False,
            replaced=self._remembering(held.event.event_id for held in self.others),
            others=(),
        )

    def with_refusal(self, servers: Iterable[str] | None = None) -> OutOfBand:
        """Return the membership after servers refused the user's join: `M_FORBIDDEN`.

        An invite whose signer refused becomes `contradicted`. Any other server may not have
        heard of the invite, so its refusal changes nothing. If it is not known who refused
        (None), `likely` becomes leave. Other invites are shown first.
        """
        if servers is None:
            return self._marked(self._open[0], LEAVE) if self._open else self
        refused = frozenset(several(servers, "servers"))
        # A server that has a withdrawal can send it; without it, its two words disagree.
        broken = [held for held in self._open if slot(held.event) in refused]
        kept = [held for held in self._open if held not in broken]
        marked = [evolve(held, contradicted=True) for held in broken]
        return _ordered([*kept, *marked], self.replaced) if broken else self

    def expire(self, *, at: int, after: int) -> OutOfBand:
        """Reject locally each invite or knock that was held for more than `after` ms.

        The others stay held. If all are too old, the membership is rejected locally; if all
        are young enough, the same object is returned.
        """
        fresh = [held for held in self._open if at - held.since <= after]
        if len(fresh) == len(self._open):
            return self
        if not fresh:
            return self.reject_locally(at=at)
        gone = [held.event.event_id for held in self._open if held not in fresh]
        return _ordered(fresh, self._remembering(gone))

    @property
    def _open(self) -> tuple[OutOfBand, ...]:
        """The held invites and the knock, each alone, the one that is shown first."""
        if self.membership not in ASKED_OR_ASKING:
            return ()
        return (evolve(self, replaced=(), others=()), *self.others)

    def _replaced_by(self, event: Event) -> OutOfBand | None:
        """Return the held membership that the event lists in its auth events, alone."""
        alone = evolve(self, replaced=(), others=())
        all_held = (alone, *self.others)
        found = [held for held in all_held if held.event.event_id in event.auth_events]
        return min(found, key=lambda held: held.event.sender != event.sender, default=None)

    def _remembering(self, event_ids: Iterable[EventID]) -> tuple[EventID, ...]:
        return tuple(dict.fromkeys([*self.replaced, *event_ids]))[-MAX_REMEMBERED:]

    def _with_another(self, event: Event, at: int, room_state: tuple[Event, ...]) -> Reception:
        """Receive an invite or a knock: hold it beside those of other servers."""
        ended = [held for held in self._open if gives_way(held.event, event, held.servers)]
        kept = [held for held in self._open if held not in ended]
        if len(kept) >= MAX_HELD and not self._is_expected(event):
            return Reception(Verdict.UNKNOWN, Reason.TOO_MANY, self)
        before = ended[0] if ended else self
        new = OutOfBand(event, at, room_state or before.room_state, before.servers)
        gone = [held.event.event_id for held in ended] if self._open else [self.event.event_id]
        reason = Reason.NEW_KNOCK if event.membership is KNOCK else Reason.NEW_INVITE
        after = _ordered([new, *kept], self._remembering(gone))
        return Reception(Verdict.ACCEPTED, reason, after, move(self.event, event))

    def _is_expected(self, event: Event) -> bool:
        """Tell whether an event comes from a server that the user has dealt with."""
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
        """Receive an event that ends some of the held events."""
        kept = [other for other in self._open if other not in ended]
        gone = [other.event.event_id for other in ended]
        if kept:
            after = _ordered(kept, self._remembering([*gone, event.event_id]))
        else:
            replaced = self._remembering(gone)
            after = OutOfBand(event, at, held.room_state, servers, replaced=replaced)
        return Reception(Verdict.ACCEPTED, reason, after, move(held.event, event))

    def _by_another(self, event: Event, held: OutOfBand) -> Reception:
        """Receive a kick, ban or unban by another user, who seems to be in the room."""
        proofs, seen = held._verified(), held.servers_seen
        verdict, reason, decision = judge_by_proofs(event, held.event, proofs, seen)
        if verdict is Verdict.UNKNOWN:
            return Reception(verdict, reason, self, decision=decision)
        likely = event.membership if event.membership is not held.membership else None
        change = move(held.event, event)
        return Reception(verdict, reason, self._marked(held, likely), change, decision)

    def _marked(self, held: OutOfBand, likely: Membership | None) -> OutOfBand:
        """Return the membership with the likely membership of one held event changed."""
        if not self._open:
            return evolve(self, likely=likely)
        marked = evolve(held, likely=likely)
        return _ordered([marked if other == held else other for other in self._open], self.replaced)

    def _verified(self) -> list[Event]:
        """Return the signed PDUs of the room among the events that describe it."""
        return [event for event in self.room_state if is_proof(event, self.event)]


def _ordered(held: Iterable[OutOfBand], replaced: tuple[EventID, ...]) -> OutOfBand:
    """Return the membership of invites and a knock, newest first, doubtful ones last."""
    first, *others = sorted(held, key=lambda one: one.likely is not None or one.contradicted)
    return evolve(first, replaced=replaced, others=tuple(others))
