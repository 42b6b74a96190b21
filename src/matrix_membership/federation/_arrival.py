"""Read the member event of a request that another server sends to an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu, read_pdu
from matrix_membership.federation.invites.messages import InviteRequest
from matrix_membership.federation.messages import MatrixError, SendRequest
from matrix_membership.membership import Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing, missing_signers, unverified, verify


def read_member_event(
    request: SendRequest | InviteRequest,
    pdu: bytes | Mapping[str, JsonValue],
    room_version: RoomVersion,
    keys: KeyRing,
    *,
    membership: Membership,
    state_key_fault: Callable[[Event], str | None],
    noun: str = "event",
) -> Event | MatrixError:
    """Read a member event, verify it, and check it against the request.

    `membership` is the one that the endpoint takes. `state_key_fault` says what is wrong with the
    state key; `noun` names the event in an error.

    Returns:
        The event with its verified signers; or the error to answer, for the first fault.
    """
    try:
        read = read_pdu(pdu, room_version)
    except InvalidEvent as error:
        # For an event that does not fit its endpoint the specification has `M_INVALID_PARAM`, where
        # Synapse answers `M_BAD_JSON`. That is left for what cannot be read at all.
        code = "M_BAD_JSON" if error.where == "PDU" else "M_INVALID_PARAM"
        return MatrixError.of(code, str(error))
    event = verify(read, keys)
    fault = next(_faults(event, read, request, keys, membership, state_key_fault), None)
    if fault is not None:
        return MatrixError.of("M_INVALID_PARAM", f"the {noun} was refused: {fault}")
    return event


def _faults(
    event: Event,
    read: ReadPdu,
    request: SendRequest | InviteRequest,
    keys: KeyRing,
    membership: Membership,
    state_key_fault: Callable[[Event], str | None],
) -> Iterator[str]:
    """Say what is wrong with the event, the plainest fault first."""
    yield from misfits(event, request, membership, state_key_fault)
    # After the comparisons: a message with a fault of its own is refused for that, even when no key
    # is at hand.
    if missing_signers(event):
        yield str(unverified(event, keys))
    # On other paths a wrong hash only redacts. Here this server would sign content that it did not read.
    if not read.content_hash_matches:
        yield "its content hash is wrong"


def misfits(
    event: Event,
    request: SendRequest | InviteRequest,
    membership: Membership,
    state_key_fault: Callable[[Event], str | None],
) -> Iterator[str]:
    """Say where the event does not fit its request, the plainest fault first."""
    if event.type != "m.room.member":
        yield f"its type is {event.type}, not m.room.member"
    if event.membership is not membership:
        yield f"its membership is {event.membership}, not {membership}"
    wrong_state_key = state_key_fault(event)
    if wrong_state_key is not None:
        yield wrong_state_key
    # Without this, one server could send events in the name of another's users.
    if event.server != request.origin:
        yield f"its sender is not a user of {request.origin}"
    # The access list and the rules of the room in the path were asked, not of another one.
    if event.room_id != request.room_id:
        yield "its room is not the one in the path"
    # Synapse does not compare them. But a caller may look for repeated requests by the ID in the
    # path, and would then answer for one event and store another.
    if event.event_id != request.event_id:
        yield f"its ID is {event.event_id}, not that in the path"
