"""Read the member event of a request that another server sends to an endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, read_pdu
from matrix_membership.federation.invites.messages import InviteRequest
from matrix_membership.federation.messages import MatrixError, SendRequest
from matrix_membership.identifiers import is_user_id, server_of
from matrix_membership.membership import INVITE, Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing, missing_signers, unverified, verify


def read_member_event(
    request: SendRequest | InviteRequest,
    pdu: bytes | Mapping[str, JsonValue],
    room_version: RoomVersion,
    keys: KeyRing,
    *,
    membership: Membership,
    server_name: str,
) -> Event | MatrixError:
    """Read a member event, verify it, and check it against the request.

    `membership` is the one that the endpoint takes, and `server_name` this server.

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
    fault = next(misfits(event, request, membership, server_name), None)
    # After the comparisons: a message with a fault of its own is refused for that, even when no key
    # is at hand.
    if fault is None and missing_signers(event):
        fault = str(unverified(event, keys))
    # On other paths a wrong hash only redacts. Here this server would sign content that it did not read.
    if fault is None and not read.content_hash_matches:
        fault = "its content hash is wrong"
    if fault is not None:
        noun = "invite" if membership is INVITE else "event"
        return MatrixError.of("M_INVALID_PARAM", f"the {noun} was refused: {fault}")
    return event


def misfits(
    event: Event,
    request: SendRequest | InviteRequest,
    membership: Membership,
    server_name: str,
) -> Iterator[str]:
    """Say where the event does not fit its request, the plainest fault first.

    `server_name` is the server that is asked: an invite must be for one of its users.
    """
    if event.type != "m.room.member":
        yield f"its type is {event.type}, not m.room.member"
    if event.membership is not membership:
        yield f"its membership is {event.membership}, not {membership}"
    user = event.state_key
    if membership is not INVITE:
        if user != event.sender:
            yield "its state key is not its sender"
    elif not is_user_id(user) or server_of(user) != server_name:
        yield f"{user} is not a user of {server_name}"
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
