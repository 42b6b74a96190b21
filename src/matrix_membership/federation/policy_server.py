"""Ask a room's policy server to sign an event before it is sent.

In a room with a policy server, a server gets that server's signature on each event of its own,
and only then sends the event. Other servers soft-fail an event without it.
See `Asking for a Policy Server signature on an event`__.

__ https://spec.matrix.org/v1.19/server-server-api/#asking-for-a-policy-server-signature-on-an-event
"""

from __future__ import annotations

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent, RemoteProtocolError
from matrix_membership.events import Event
from matrix_membership.federation.messages import Request
from matrix_membership.receipt.policy_server import POLICY_KEY_ID, PolicyServer
from matrix_membership.signing import signatures_by, with_signatures

__all__ = ["ask", "conclude"]


def ask(event: Event) -> Request:
    """Return the request to send to the server that `PolicyServer.lacking` names.

    The event is hashed and signed by its own server.

    Raises:
        InvalidEvent: the event came in client format, which lacks fields of the PDU.
    """
    if not event.pdu:
        raise InvalidEvent("event", "one read from a PDU", repr(event))
    return Request("POST", "/_matrix/policy/v1/sign", (), event.pdu)


def conclude(event: Event, policy: PolicyServer, answer: JsonValue) -> Event:
    """Return the event with the policy server's signature.

    `answer` is the parsed answer of status 200. If the policy server answers an error, pass that
    on to the client and do not send the event.

    Returns:
        The event to send, with the same ID and verified signers. Cost: one signature check.

    Raises:
        RemoteProtocolError: the answer lacks a good signature by the key in the room's state.
            Do not send the event.
    """
    signature = signatures_by({"signatures": answer}, policy.server_name).get(POLICY_KEY_ID)
    if isinstance(signature, str):
        signed = with_signatures(event, policy.server_name, {POLICY_KEY_ID: signature})
        # Checked before the event is sent: the other servers would soft-fail it, and its sender
        # would never hear of it.
        if policy.has_signed(signed):
            return signed.with_signers(event.signed_by)
    expected = f"a signature of {policy.server_name} by {POLICY_KEY_ID}"
    raise RemoteProtocolError(expected, answer)
