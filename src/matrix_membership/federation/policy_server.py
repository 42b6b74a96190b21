"""Asking a room's policy server to sign an event before it is sent.

A server that is in a room with a policy server asks for its signature on each event of
its own, adds it, and only then sends the event; without it, others soft-fail the event.
See `Asking for a Policy Server signature on an event`__.

__ https://spec.matrix.org/v1.19/server-server-api/#asking-for-a-policy-server-signature-on-an-event
"""

from __future__ import annotations

from collections.abc import Mapping

from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent, RemoteProtocolError
from matrix_membership.events import Event
from matrix_membership.federation.messages import Request
from matrix_membership.receipt.policy_server import POLICY_KEY_ID, PolicyServer
from matrix_membership.signing import with_signatures

__all__ = ["ask", "conclude"]


def ask(event: Event) -> Request:
    """The request to send to `PolicyServer.lacking`'s server.

    Args:
        event: the event, hashed and signed by its own server.

    Raises:
        InvalidEvent: the event came in client format, which is not all of it.
    """
    if not event.pdu:
        raise InvalidEvent("event", "one read from a PDU", repr(event))
    return Request("POST", "/_matrix/policy/v1/sign", (), event.pdu)


def conclude(event: Event, policy: PolicyServer, answer: JsonValue) -> Event:
    """The event with the policy server's signature.

    An error that it answers is for the client who wanted to send the event, as it stands;
    the event is not sent.

    Args:
        event: the event that was sent to it.
        policy: the policy server.
        answer: what it answered with status 200, parsed.

    Returns:
        The event to send: its ID and what is known of its other signatures stay.

    Raises:
        RemoteProtocolError: the answer holds no signature by the key that the room's
            state names. The event is not to be sent.
    """
    of_server = answer.get(policy.server_name) if isinstance(answer, Mapping) else None
    signature = of_server.get(POLICY_KEY_ID) if isinstance(of_server, Mapping) else None
    if isinstance(signature, str):
        signed = with_signatures(event, policy.server_name, {POLICY_KEY_ID: signature})
        if policy.has_signed(signed):
            return signed.with_signers(event.signed_by)
    expected = f"a signature of {policy.server_name} by {POLICY_KEY_ID}"
    raise RemoteProtocolError(expected, answer)
