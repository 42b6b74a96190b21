"""The verdicts on out-of-band events, and the facts behind them.

Most facts the event shows by itself, or beside the held event. A kick, ban or unban by another user
is judged by the few events that came with the held one.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import Word
from matrix_membership.auth import Decision
from matrix_membership.events import MEMBER_KINDS, Event
from matrix_membership.identifiers import EventID, ServerName, server_of
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    KNOCK,
    LEAVE,
    UNKNOWN,
    Transition,
    transition,
)
from matrix_membership.signing import missing_signers
from matrix_membership.state import RoomState

ASKED_OR_ASKING: Final = (INVITE, KNOCK)
KINDS: Final = tuple(MEMBER_KINDS[membership] for membership in (INVITE, KNOCK, LEAVE, BAN))


# In a room that it is not in, Synapse takes the withdrawal of an invite, and ignores a ban after an
# invite and a leave or a ban after a knock. `LIKELY` lets a server tell its user what probably
# happened, without ending what it cannot judge.
class Verdict(Word):
    """The verdict on an event of an out-of-band membership.

    - `ACCEPTED`: a new invite or knock, or an event by the sender of what it replaces: the
      invite's sender withdraws it, the user rejects it or retracts the knock.
    - `LIKELY`: by another user whose server was seen in the room, and nothing at hand forbids
      it. The membership stays, and `OutOfBand.likely` says what it probably is.
    - `UNKNOWN`: nothing at hand can judge it; the membership stays.
    - `IGNORED`: it is void in every state of the room.

    .. versionadded:: 0.1.0
    """

    ACCEPTED = "accepted"
    LIKELY = "likely"
    UNKNOWN = "unknown"
    IGNORED = "ignored"


class Reason(Word):
    """The reason for a verdict on an event of an out-of-band membership.

    .. versionadded:: 0.1.0
    """

    NEW_INVITE = "a new invite"
    NEW_KNOCK = "the user knocks"
    BY_THE_USER = "the user leaves"
    BY_THE_SAME_SENDER = "by the sender of what it replaces"
    POWER_SEEN = "the power levels at hand allow it, if they still hold and the sender is joined"
    POWER_UNSEEN = "the sender's server is in the room; no power levels are at hand"
    POWER_LACKING = "the power levels at hand do not allow it, but may be out of date"
    SENDER_NOT_JOINED = "the sender was not joined, as far as is known, but may be by now"
    SERVER_UNSEEN = "the sender's server is not known to be in the room"
    REPLACES_ANOTHER = "it replaces a membership event that is not at hand"
    ELSEWHERE = "it is about another room or user, or no membership event of a known kind"
    # Servers repeat requests that were not answered, so these two are usual.
    HELD_ALREADY = "it is at hand already"
    REPLACED = "it was replaced before"
    # A new invite is refused, and those that are held stay: if the oldest went, strangers could
    # push the real invite out.
    TOO_MANY = "the limit of held invites is reached, all of other servers"
    UNSIGNED = "it lacks a required signature"
    WRONG_SENDER = "no user can send this about that user"
    NO_SUCH_MOVE = "this membership cannot come after the one held"


def slot(event: Event) -> str:
    """Return the slot of an invite or a knock: a slot holds one event at a time.

    It is the sender's server, if that server signed. An invite that only a third party
    signed has a slot of its own: anybody can write a server's name into its sender.
    """
    return event.server if event.server in event.signed_by else event.event_id


def gives_way(held: Event, event: Event, servers: frozenset[ServerName]) -> bool:
    """Tell whether an invite or a knock replaces a held one.

    It replaces what the same server sent. An invite of a server that the caller named also
    replaces the knock: it is the answer to the knock.
    """
    if slot(held) == slot(event):
        return True
    # Only servers that the caller named: otherwise a stranger's invite would end the knock, and the
    # answer to it would find nothing that it could replace.
    return held.membership is KNOCK and slot(event) in servers


def is_signed(event: Event) -> bool:
    """Tell whether an event is signed as required and by a server concerned.

    The sender's server does not have to sign an invite that a third party signed. Then
    the user's own server must have signed it, as it does when it accepts an invite.
    """
    concerned = {event.server, server_of(event.state_key or "")}
    return not missing_signers(event) and not concerned.isdisjoint(event.signed_by)


def is_by_wrong_sender(event: Event) -> bool:
    """Tell whether the sender cannot send this.

    It is a knock for another user, or an invite or ban of oneself.
    """
    by_user = event.sender == event.state_key
    # A leave may come from either side: the user leaves, or somebody removes them.
    return event.membership is not LEAVE and by_user is not (event.membership is KNOCK)


def is_elsewhere(event: Event, held: Event) -> bool:
    """Tell whether an event is not about the membership that a held one gives."""
    return (
        event.room_id != held.room_id
        or event.state_key != held.state_key
        or event.kind not in KINDS
        # Invites may name different versions: a stranger's invite can claim any version.
        or not (event.room_version == held.room_version or event.membership in ASKED_OR_ASKING)
    )


def move(held: Event, event: Event) -> Transition:
    """Return the change of membership that an event makes after a held one."""
    by_self = event.sender == held.state_key
    return transition(held.membership or LEAVE, event.membership or LEAVE, by_self=by_self)


def cannot_follow(held: Event, event: Event) -> bool:
    """Tell whether an event cannot come after a held one, or changes nothing."""
    if event.sender == held.state_key and event.membership is LEAVE:
        return held.membership not in ASKED_OR_ASKING
    if event.membership in ASKED_OR_ASKING:
        # An unban before an invite is not sent to this server: only a listed ban counts.
        return move(held, event) is Transition.UNEXPECTED and held.event_id in event.auth_events
    return move(held, event) is Transition.UNCHANGED


def is_proof(event: Event, held: Event) -> bool:
    """Tell whether an event that came with the held one is a signed PDU of its room."""
    return (
        bool(event.pdu)
        and event.room_id == held.room_id
        # Another version redacts otherwise, so its signatures can be good on an event of other
        # content.
        and event.room_version == held.room_version
        and not missing_signers(event)
        and event.server in event.signed_by  # a third party signs for any sender
    )


def why_void(
    event: Event, before: Event, held: Collection[Event], replaced: Container[EventID]
) -> Reason | None:
    """Return why an event is void in every state of the room, or None.

    `before` is the one of the held events that it replaces; `replaced` are earlier ones.
    """
    # A stranger's invite can list any event, so it proves nothing about other servers.
    came_before = event.event_id in replaced or any(
        event.event_id in one.auth_events and slot(one) == slot(event) for one in held
    )
    for wrong, reason in (
        (is_elsewhere(event, before), Reason.ELSEWHERE),
        (event in held, Reason.HELD_ALREADY),
        (came_before, Reason.REPLACED),
        (not is_signed(event), Reason.UNSIGNED),
        (is_by_wrong_sender(event), Reason.WRONG_SENDER),
        (cannot_follow(before, event), Reason.NO_SUCH_MOVE),
    ):
        if wrong:
            return reason
    return None


def judge_by_proofs(
    event: Event, held: Event, proofs: Iterable[Event], servers_seen: Collection[ServerName]
) -> tuple[Verdict, Reason, Decision | None]:
    """Judge an event that another user sent after the held one.

    `proofs` are the signed PDUs of the room that came with the held event.
    """
    if event.server not in servers_seen:
        return Verdict.UNKNOWN, Reason.SERVER_UNSEEN, None
    state = RoomState.of(held.room_version, [*proofs, held], partial=True)
    if state.membership_of(event.sender) not in (JOIN, UNKNOWN):
        return Verdict.UNKNOWN, Reason.SENDER_NOT_JOINED, None
    if not _shows_power_of(event.sender, state):
        return Verdict.LIKELY, Reason.POWER_UNSEEN, None
    decision = auth.check(event, state.with_event(_supposed_join(event)))
    if not decision.allowed:
        return Verdict.UNKNOWN, Reason.POWER_LACKING, decision
    return Verdict.LIKELY, Reason.POWER_SEEN, decision


def _shows_power_of(user: str, state: RoomState) -> bool:
    """Tell whether a state shows a user's power level, without a default."""
    if state.create_event is None:
        return False
    # Levels that were not told must not become defaults: by default a moderator has 0, and the ban
    # looks forged.
    return state.power_levels.exists or user in state.create.privileged


def _supposed_join(event: Event) -> Event:
    """Return a join of the sender, without which the rules reject the event."""
    # In client format, which needs no signature: this event is neither sent nor kept.
    return Event.from_client_event(
        {
            "type": "m.room.member",
            "sender": event.sender,
            "state_key": event.sender,
            "content": {"membership": "join"},
        },
        event.room_version,
    )
