"""Be a policy server: sign the events that other servers ask about.

The asking side is `receipt.policy_server`. See `Policy servers`__.

__ https://spec.matrix.org/v1.19/server-server-api/#policy-servers
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, ReadPdu, read_pdu
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.hashing import signed_bytes
from matrix_membership.receipt.policy_server import POLICY_KEY_ID, PolicyServer
from matrix_membership.signing import Signer

__all__ = ["answer_sign"]


def answer_sign(
    pdu: bytes | Mapping[str, JsonValue],
    room: ResidentRoom | None,
    signer: Signer,
    *,
    origin: str,
    refuses: Callable[[Event], str | None],
) -> dict[str, JsonValue] | MatrixError:
    """Answer a server that asks for this policy server's signature on an event.

    Publish the signer's key as `{"public_keys": {"ed25519": signer.verify_key}}`, the document of
    `/.well-known/matrix/policy_server`. Its ID is `ed25519:policy_server`; use another key for
    requests and events. The signatures of the event are not verified: the servers that receive it
    do that.

    Args:
        pdu: the body of the request.
        room: the room that it names, if this server is in it.
        signer: the key that signs for policies.
        origin: the server that asks.
        refuses: your policy: why an event is refused, or None to sign it.

    Returns:
        The body of the answer, with this server's signature alone; or the error.

    .. versionadded:: 0.1.0
    """
    policy = None if room is None else PolicyServer.of(room.state)
    if room is None or policy is None or not _is_of(signer, policy):
        return MatrixError.of("M_NOT_FOUND", "this server is not the policy server of that room")
    refusal = room.denial(origin)
    if refusal is not None:
        return refusal
    try:
        read = read_pdu(pdu, room.state.room_version)
    except InvalidEvent as error:
        return MatrixError.of("M_BAD_JSON", str(error))
    why = _fault(read, room, policy) or refuses(read.event)
    if why is not None:
        return MatrixError("M_FORBIDDEN", why, 400)
    covered = signed_bytes(read.event.to_pdu(), read.event.room_version)
    return {signer.server_name: {POLICY_KEY_ID: signer.signature_over(covered)}}


def _is_of(signer: Signer, policy: PolicyServer) -> bool:
    named = (policy.server_name, POLICY_KEY_ID, policy.public_key)
    return named == (signer.server_name, signer.key_id, signer.verify_key)


def _fault(read: ReadPdu, room: ResidentRoom, policy: PolicyServer) -> str | None:
    if not policy.must_sign(read.event):
        return "the event that names the policy server needs no signature of it"
    create = room.state.create_event
    if create is not None and read.event.room_id != create.room_id:
        return "the event is of another room"
    # The other servers redact it: this one would sign what they never show.
    return None if read.content_hash_matches else "its content hash is wrong"
