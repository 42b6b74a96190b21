"""Answer make_* and send_* requests, as a resident server.

Both functions take the request and a snapshot of the room, and return the answer or a
`MatrixError` that carries the decision behind it. See `Joining rooms`__, `Knocking upon a
room`__ and `Leaving rooms`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
__ https://spec.matrix.org/v1.19/server-server-api/#knocking-upon-a-room
__ https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
"""

from __future__ import annotations

from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonValue, freeze
from matrix_membership.events import Event
from matrix_membership.federation._arrival import read_member_event
from matrix_membership.federation.drafts import draft_fields
from matrix_membership.federation.handshake import Handshake
from matrix_membership.federation.invites.room_state import described
from matrix_membership.federation.messages import (
    MakeRequest,
    MakeResponse,
    MatrixError,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
    SendRequest,
    SendResponse,
)
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import ServerName, UserID, is_user_id, server_of
from matrix_membership.machine import admit
from matrix_membership.membership import INVITE, JOIN, KNOCK, Membership
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.restricted import (
    Authorisation,
    Forbidden,
    Granted,
    NotNeeded,
    UnableToAuthorise,
    UnableToGrant,
    authorise,
)
from matrix_membership.signing import KeyRing, Signer, sign
from matrix_membership.state import HEROES, RoomState
from matrix_membership.state.create_event import is_same_event

__all__ = ["Accepted", "answer_make", "answer_send"]

MOST_MOVES_SINCE: Final = 20
"""Member events that may have followed a join that is repeated: its answer was lost just now."""

_SEES_ROOM: Final = (JOIN, INVITE, KNOCK)
"""The memberships of users who may see the description of the room."""


@frozen
class Accepted:
    """A join, knock or leave that this server accepted.

    Attributes:
        response: the answer to send.
        event: the event to store and to send to other servers, with this server's signature
            if one of its users authorises the join.
        state: the state after the event.
        send_to: the other servers in the room, to which the event must be sent.
        policy_server: the room's policy server, if the event needs its signature before it is
            sent: see `PolicyServer.ask`. None otherwise.
        repeated: whether the event was known. Then send the answer and do nothing else: `state`
            is the current state, in which the user may have left since, and `send_to` is empty.

    .. versionadded:: 0.1.0
    """

    response: SendResponse
    event: Event
    state: RoomState
    send_to: frozenset[ServerName]
    policy_server: PolicyServer | None
    repeated: bool = False


def answer_make(
    handshake: Handshake, request: MakeRequest, room: ResidentRoom | None, *, at: int
) -> MakeResponse | MatrixError:
    """Answer make_join, make_knock or make_leave.

    Args:
        handshake: `JOINING`, `KNOCKING` or `LEAVING`.
        request: the request.
        room: the room; None if this server is not in it.
        at: the current time in milliseconds since 1970, for `origin_server_ts`.

    Returns:
        The template, or the error to answer. Cost: one check; in a restricted room, also
        `restricted.authorise`, which is linear in the rooms and users that it looks at.

    .. versionadded:: 0.1.0
    """
    reached = _reached(request, room)
    if isinstance(reached, MatrixError):
        return reached
    room = reached
    # A template shows what the rules say about a user. A server learns that of its own users only.
    if not is_user_id(request.user_id) or server_of(request.user_id) != request.origin:
        return MatrixError.of("M_FORBIDDEN", f"{request.user_id} is not a user of {request.origin}")
    version = room.state.room_version
    if handshake.membership in (JOIN, KNOCK) and version.identifier not in request.versions:
        return MatrixError.of(
            "M_INCOMPATIBLE_ROOM_VERSION",
            f"the room has version {version}",
            room_version=version.identifier,
        )
    content: dict[str, JsonValue] = {"membership": str(handshake.membership)}
    outcome = _authorised(request.user_id, room) if handshake.membership is JOIN else NotNeeded()
    if isinstance(outcome, Granted):
        content["join_authorised_via_users_server"] = outcome.authorised_via
    user = request.user_id
    fields = draft_fields(room, "m.room.member", user, sender=user, content=content, at=at)
    draft = Event.from_client_event(fields, version)
    if isinstance(outcome, Forbidden | UnableToAuthorise | UnableToGrant):
        return _refused_join(outcome, auth.check(draft, room.state))
    # Both will sign. Without their names, rule 4.2.1 would refuse each restricted join.
    decision = auth.check(draft.with_signers([request.origin, room.server_name]), room.state)
    if not decision.allowed:
        return MatrixError.forbidden(decision)
    return MakeResponse(freeze(fields), version.identifier)


def answer_send(
    handshake: Handshake,
    request: SendRequest,
    room: ResidentRoom | None,
    signer: Signer,
    *,
    keys: KeyRing,
) -> Accepted | MatrixError:
    """Answer send_join, send_knock or send_leave.

    An event that `ResidentRoom.get_event` knows is not judged again and changes nothing: its
    first answer was lost on the way. A join gets the state before it once more, if its user's
    membership of today follows from it, or if the rules allow it today. A knock gets the
    description of the room, unless its user has left and may not knock any more.

    `signer` is this server's key, which signs a restricted join that it authorises, and `keys`
    are those of the server that asks. The other arguments are those of `answer_make`.

    Returns:
        The answer with the event to store and send, or the error to answer. Cost: reading and
        checking one event. The answer to a join is linear in the state; with omitted members,
        in the state without members.

    .. versionadded:: 0.1.0
    """
    reached = _reached(request, room)
    if isinstance(reached, MatrixError):
        return reached
    room = reached
    event = _read(handshake, request, room, keys)
    if isinstance(event, MatrixError):
        return event
    known = room.get_event(event.event_id)
    if known is not None:
        return _repeated(handshake, known, request, room)
    return _first(handshake, event, request, room, signer)


def _first(
    handshake: Handshake,
    event: Event,
    request: SendRequest,
    room: ResidentRoom,
    signer: Signer,
) -> Accepted | MatrixError:
    """Judge and answer an event that this server does not have yet."""
    before = _state_before(event, room)
    if isinstance(before, MatrixError):
        return before
    # Signed before it is judged, since rule 4.2.1 asks for this server's signature.
    if event.authorised_via is not None:
        signed = _countersign(event, room, signer)
        if isinstance(signed, MatrixError):
            return signed
        event = signed
    decision = _judge_before(event, before, room)
    admission = admit(event, room.state) if decision.allowed else None
    if not admission:
        return MatrixError.forbidden(decision if admission is None else admission.decision)
    return Accepted(
        _answer(handshake, event, request, before, room),
        event,
        admission.state,
        # The asking server made the event.
        room.state.servers_in_room - {room.server_name, ServerName(request.origin)},
        PolicyServer.lacking(event, room.state),
    )


def _repeated(
    handshake: Handshake, known: Event, request: SendRequest, room: ResidentRoom
) -> Accepted | MatrixError:
    """Answer an event that this server has already."""
    before = state = room.state
    if handshake.membership is JOIN:
        found = _state_before(known, room)
        before = state if isinstance(found, MatrixError) else found
        # A state is shown only to a user whom it lets in. If the one before is unknown, it is
        # today's, which may ban the user. And `get_event` may know the join only from an auth
        # chain: then it was judged by what it lists, not by the state before it.
        in_effect = before is state and state.get("m.room.member", known.sender) == known
        decision = None if in_effect else auth.check(known, before)
        # A join that was soft-failed when it came is known too, and its sender chose the state
        # before it: one from when the room was public, perhaps.
        if (decision is None or decision.allowed) and not _was_in_effect(known, room):
            decision = auth.check(known, state)
        if decision is not None and not decision.allowed:
            return MatrixError.forbidden(decision)
    elif handshake.membership is KNOCK and state.membership_of(known.sender) not in _SEES_ROOM:
        # The description is today's. A user who may not knock today would follow the room by it.
        decision = auth.check(known, state)
        if not decision.allowed:
            return MatrixError.forbidden(decision)
    answer = _answer(handshake, known, request, before, room)
    return Accepted(answer, known, state, frozenset(), None, repeated=True)


def _was_in_effect(join: Event, room: ResidentRoom) -> bool:
    """Tell whether a join led by a few moves to its user's membership of today."""
    held = room.state.get("m.room.member", join.sender)
    for _ in range(MOST_MOVES_SINCE):
        if held is None or held == join:
            break
        # Each member event lists the one whose place it takes.
        held = next(iter(_membership_before(held, room)), None)
    return held == join


def _state_before(event: Event, room: ResidentRoom) -> RoomState | MatrixError:
    """Return the state before an event as far as the caller knows it."""
    named = event.prev_events
    if not named:
        # Only the create event follows nothing. The empty state rejects all others.
        return RoomState.of(room.state.room_version, [])
    if set(named) == set(room.prev_events):
        return room.state
    if room.state_after is not None:
        before = room.state_after(named)
        # Members that were unknown then are unknown to the rules, and in the answer.
        if before is not None and not before.is_partial:
            return before
    elif all(found in room.prev_events or room.get_event(found) for found in named):
        return room.state
    # The template came from this server, so its previous events were known when it was made.
    sentence = f"this server does not know the state after the events {', '.join(named)}"
    return MatrixError.of("M_FORBIDDEN", sentence)


def _judge_before(event: Event, before: RoomState, room: ResidentRoom) -> auth.Decision:
    """Judge an event by what it lists and by the state before it."""
    listed = event.auth_events
    found = map(room.get_event, listed)
    decision = auth.judge(
        event,
        [entry for entry in found if entry is not None],
        create=room.state.create_event,
        rejected=room.rejected,
        listed_ids=listed,
    )
    if not decision.allowed or before is room.state:  # `admit` judges by the current state
        return decision
    return auth.check(event, before)


def _reached(
    request: MakeRequest | SendRequest, room: ResidentRoom | None
) -> ResidentRoom | MatrixError:
    """Return the room, or the error for a request that is not looked at."""
    room_id, origin = request.room_id, request.origin
    if room is not None and room.room_id == room_id and room.state.is_partial:
        # Without all members, rules on other servers' users cannot be decided here.
        return MatrixError.of("M_NOT_FOUND", f"this server is still joining {room_id}")
    # After its last user has left, no server sends it events: its state is out of date.
    if room is None or room.room_id != room_id or not room.takes_part:
        return MatrixError.of("M_NOT_FOUND", f"this server is not in {room_id}")
    return room.denial(origin) or room


def _authorised(user: str, room: ResidentRoom) -> Authorisation:
    state = room.state
    memberships: dict[str, Membership | str | None] = {
        allowed: room.memberships(UserID(user), allowed) for allowed in state.allow
    }
    return authorise(user, state, memberships, room.server_name, local_users=room.local_users)


def _refused_join(
    outcome: Forbidden | UnableToAuthorise | UnableToGrant, decision: auth.Decision
) -> MatrixError:
    """Return the error for a join that cannot be authorised here, and its rule."""
    if isinstance(outcome, Forbidden):
        sentence = outcome.reason
    elif isinstance(outcome, UnableToAuthorise):
        # It names no room: only members may see which rooms the join rule lists.
        sentence = "this server cannot look into all rooms whose members may join"
    else:
        able = f": ask {', '.join(outcome.servers)}" if outcome.servers else ", nor can any other"
        sentence = f"no user of this server can authorise the join{able}"
    error = MatrixError.of(outcome.errcode, f"{sentence}; {decision}")
    return evolve(error, decision=decision)


def _read(
    handshake: Handshake, request: SendRequest, room: ResidentRoom, keys: KeyRing
) -> Event | MatrixError:
    """Return the event of the request, verified, or the error to answer."""
    version = room.state.room_version
    event = read_member_event(
        request,
        request.pdu,
        version,
        keys,
        membership=handshake.membership,
        server_name=room.server_name,
    )
    if isinstance(event, MatrixError):
        return event
    if version.event_id_in_pdu:
        # In versions 1 and 2 the sender's server chooses the ID, so it may be taken.
        known = room.get_event(event.event_id)
        if known is not None and not is_same_event(known, event):
            taken = "the event was refused: its ID is that of another event"
            return MatrixError.of("M_INVALID_PARAM", taken)
    if event.event_id in room.rejected:
        return MatrixError.of("M_FORBIDDEN", "this server rejected the event when it came first")
    unknown = [event_id for event_id in event.auth_events if room.get_event(event_id) is None]
    if unknown:
        # This server could not supply its auth events to other servers, so 404 sends the
        # joining server to another resident server.
        return MatrixError.of(
            "M_NOT_FOUND", f"this server does not know the auth events {', '.join(unknown)}"
        )
    return event


def _countersign(event: Event, room: ResidentRoom, signer: Signer) -> Event | MatrixError:
    """Sign a restricted join that a user of this server may authorise."""
    if event.membership is not JOIN or server_of(event.authorised_via or "") != room.server_name:
        return MatrixError.of(
            "M_INVALID_PARAM", f"{event.authorised_via!r} is not a user of {room.server_name}"
        )
    # Asked again, although make_join did: the user may have left the other rooms since, and this
    # server's signature is what lets the user in.
    outcome = _authorised(event.sender, room)
    if isinstance(outcome, Forbidden | UnableToAuthorise | UnableToGrant):
        return _refused_join(outcome, auth.check(event, room.state))
    return sign(event, signer)


def _answer(
    handshake: Handshake,
    event: Event,
    request: SendRequest,
    before: RoomState,
    room: ResidentRoom,
) -> SendResponse:
    if handshake.membership is JOIN:
        return _join_answer(event, before, room, omit_members=request.omit_members)
    if handshake.membership is KNOCK:
        shown = described(room.state)
        return SendKnockResponse(tuple(freeze(entry.to_pdu()) for entry in shown))
    return SendLeaveResponse()


def _join_answer(
    event: Event, state: RoomState, room: ResidentRoom, *, omit_members: bool
) -> SendJoinResponse:
    """Return the state before the join, and its auth chain.

    With `omit_members`, the only members are the joining user's previous membership and, if the
    room has no name, its heroes. The auth chain then leaves out what the state has already.
    """
    shown = list(state.events_but_members if omit_members else state.events)
    if omit_members:
        shown += _members_shown(event.sender, state, room)
    if state.get("m.room.member", event.sender) == event:
        # The same join came before, and its answer was lost on the way.
        before = _membership_before(event, room)
        shown = [entry for entry in shown if entry != event] + before
    # Of the join too, which Synapse and tuwunel leave out: an event that it lists need not stand in
    # the state.
    listed = auth.auth_chain([*shown, event], room.get_event)
    if omit_members:
        for entry in shown:
            listed.pop(entry.event_id, None)
    return SendJoinResponse.of(
        shown,
        listed.values(),
        event=event,
        servers_in_room=sorted(state.servers_in_room) if omit_members else None,
    )


def _membership_before(event: Event, room: ResidentRoom) -> list[Event]:
    """Return the member event that a join replaced: one of its auth events, if any."""
    found = map(room.get_event, event.auth_events)
    place = (event.type, event.state_key)
    return [entry for entry in found if entry and (entry.type, entry.state_key) == place]


def _members_shown(user: str, state: RoomState, room: ResidentRoom) -> list[Event]:
    """Return the member events that an answer with omitted members still has."""
    found = [state.get("m.room.member", user)]
    if not (_says(state, "m.room.name", "name") or _says(state, "m.room.canonical_alias", "alias")):
        if room.heroes is None:
            heroes = state.heroes(excluding=user)
            found += [state.get("m.room.member", hero) for hero in heroes]
        else:
            ids = [event_id for hero, event_id in room.heroes if hero != user]
            found += map(room.get_event, ids[:HEROES])
    return [entry for entry in found if entry is not None]


def _says(state: RoomState, event_type: str, key: str) -> bool:
    """Tell whether an event gives the room a name; an emptied name counts as absent."""
    event = state.get(event_type)
    value = None if event is None else event.content.get(key)
    return isinstance(value, str) and value != ""
