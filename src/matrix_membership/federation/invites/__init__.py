"""Inviting a user of another server, from both sides.

The sender's server drafts and signs the invite, and has the invited user's server sign
it too::

    event = draft_invite(sender, user, room, at=now_ms).complete(signer)
    step = offer(event, room.state)
    while isinstance(step, Offered):
        step = conclude(step, await send(step.request), keys=keys)

The invited server answers with `answer`. It is usually not in the room, so it checks
what it can before it signs. See `Inviting to a room`__.

__ https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonValue, encode, freeze
from matrix_membership.errors import InvalidEvent, LocalProtocolError, RemoteProtocolError
from matrix_membership.events import Event, EventTemplate, read_pdu
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.invites._receiving import Countersigned, answer
from matrix_membership.federation.invites.messages import InviteRequest, InviteResponse, key_ids_of
from matrix_membership.federation.invites.room_state import described
from matrix_membership.federation.messages import MatrixError, Request
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import ServerName, is_user_id, server_of
from matrix_membership.membership import INVITE
from matrix_membership.signing import KeyRing, KeysToFetch, verify
from matrix_membership.state import RoomState

__all__ = ["Countersigned", "Offered", "answer", "conclude", "draft_invite", "offer"]

# The v1 endpoint does not name the room version, so it carries only these two.
_V1_ENDPOINT: Final = ("1", "2")


@frozen
class Offered:
    """An invite that the invited user's server has yet to sign. Send its `request`.

    Attributes:
        event: the invite, signed by this server.
        room_state: the events that describe the room to the invited user.
        endpoint: the version of the endpoint to try: `v2` or `v1`.

    .. versionadded:: 0.1.0
    """

    event: Event
    room_state: tuple[Event, ...]
    endpoint: str = "v2"

    @property
    def destination(self) -> ServerName:
        """The server to send the request to: that of the invited user."""
        return server_of(str(self.event.state_key))

    @property
    def request(self) -> Request:
        """The request, with full PDUs in `invite_room_state`."""
        return InviteRequest(
            endpoint=self.endpoint,
            room_id=self.event.room_id,
            event_id=self.event.event_id,
            origin=self.event.server,
            event=freeze(_bare(self.event.to_pdu())),
            invite_room_state=tuple(freeze(_bare(entry.to_pdu())) for entry in self.room_state),
            room_version=self.event.room_version.identifier,
        ).request

    def needs(self, response: InviteResponse) -> dict[ServerName, frozenset[str]]:
        """Return the keys to fetch before `conclude`: key IDs of the invited server."""
        # Only the invited server's signature is new. Asking for others would let that server choose
        # whom this one asks.
        needs = KeysToFetch(1)
        for key_id in sorted(key_ids_of(response.event, self.destination)):
            needs.add(self.destination, key_id)
        return needs.given()


@frozen
class Invited:
    """An invite with both signatures. Send it to all servers in the room.

    Attributes:
        event: the invite.
    """

    event: Event


def draft_invite(
    sender: str,
    user: str,
    room: ResidentRoom,
    *,
    at: int,
    content: Mapping[str, JsonValue] | None = None,
) -> EventTemplate:
    """Draft an invite, to be completed with this server's signature.

    `content` has further keys, such as `reason` and `displayname`. The other arguments are those
    of `drafts.draft`.

    Raises:
        InvalidEvent: the sender is not a user ID, or the content is not JSON.

    .. versionadded:: 0.1.0
    """
    fields = {**(content or {}), "membership": "invite"}
    return draft(room, "m.room.member", user, sender=sender, content=fields, at=at)


def offer(event: Event, state: RoomState) -> Offered | MatrixError:
    """Offer an invite that this server signed to the invited user's server.

    The current state of the room has to allow it. Send an invite of this server's own user
    without an offer.

    Returns:
        The offer to send; or the error to answer to the client.

    Raises:
        LocalProtocolError: the event is not an invite of another server's user, lacks
            the signature, or belongs to another room.
        InvalidEvent: an event of the state came in client format.

    .. versionadded:: 0.1.0
    """
    create = state.create_event
    for good, expected, got in (
        (event.type == "m.room.member" and event.membership is INVITE, "an invite", event.kind),
        (is_user_id(event.state_key), "an invited user", event.state_key),
        (event.server in event.signed_by, f"a signature of {event.server}", event.event_id),
        (
            server_of(event.state_key or "") != event.server,
            "a user of another server",
            event.state_key,
        ),
        (
            create is None or create.room_id == event.room_id,
            "an invite to the room of the state",
            event.room_id,
        ),
    ):
        if not good:
            raise LocalProtocolError(expected, got)
    # Judged before it is offered: the invited server cannot judge it, and would sign what every
    # server in the room rejects.
    decision = auth.check(event, state)
    if not decision.allowed:
        return MatrixError.forbidden(decision)
    return Offered(event, described(state, sender=event.sender))


def conclude(
    offered: Offered,
    reply: InviteResponse | MatrixError,
    *,
    keys: KeyRing,
) -> Invited | Offered | MatrixError:
    """Take the signature out of the invited server's reply. Ignore the rest of it.

    The keys are those of `Offered.needs`.

    Returns:
        The invite with both signatures. If the server does not know the v2 endpoint,
        in room versions 1 and 2: the offer for the v1 endpoint. Otherwise the error to
        answer to the client. Cost: at most one Ed25519 verification for each known key.

    Raises:
        LocalProtocolError: the reply is of neither type.
        RemoteProtocolError: the reply holds another event, an altered one, or one
            without a good signature of that server. The message tells when a key was
            missing from `keys` that could be fetched.

    .. versionadded:: 0.1.0
    """
    if isinstance(reply, MatrixError):
        return _refused(offered, reply)
    if not isinstance(reply, InviteResponse):
        raise LocalProtocolError("InviteResponse or MatrixError", type(reply).__name__)
    event, server = offered.event, offered.destination
    pdu = event.to_pdu()
    try:
        _check_unchanged(event, reply)
        # This server's copy with one signature more. The copy in the reply could bring anything
        # along.
        pdu["signatures"] = {**pdu["signatures"], server: _known_signatures(reply, server, keys)}
        read = read_pdu(pdu, event.room_version, event_id=event.event_id)
    except InvalidEvent as error:
        raise _lie("the invite", str(error)) from error
    if server not in verify(read, keys).signed_by:
        needs = offered.needs(reply)
        at = event.origin_server_ts if event.room_version.enforces_key_validity else 0
        absent = bool(needs) and keys.missing(needs, at=at) == needs
        good = "signature by a known key" if absent else "good signature"
        raise _lie(f"a {good} of {server}", reply.event.get("signatures"))
    return Invited(read.event.with_signers(event.signed_by | {server}))


def _bare(pdu: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a PDU without `unsigned`, which no signature covers."""
    return {key: value for key, value in pdu.items() if key != "unsigned"}


def _refused(offered: Offered, error: MatrixError) -> Offered | MatrixError:
    version = offered.event.room_version
    if error.means_unknown_endpoint and offered.endpoint == "v2":
        if version.identifier in _V1_ENDPOINT:
            return evolve(offered, endpoint="v1")
        return MatrixError.of(
            "M_UNSUPPORTED_ROOM_VERSION",
            f"{offered.destination} does not know the invites of room version {version}",
        )
    if error.is_for_client:
        return error
    return MatrixError("M_UNKNOWN", f"{offered.destination} answered {error}", 502)


def _check_unchanged(event: Event, reply: InviteResponse) -> None:
    """Raise if the reply holds another event than the invite that was sent."""
    # Equal event IDs do not prove equal content. In versions 1 and 2 the sender chooses the ID; in
    # later ones it covers the content only through `hashes`.
    came = Event.from_pdu(_bare(reply.event), event.room_version)
    if came.event_id != event.event_id:
        raise _lie(f"the invite {event.event_id}", came.event_id)
    if _canonical(came) != _canonical(event):
        raise _lie("the invite, unchanged", repr(came))


def _canonical(event: Event) -> bytes:
    """Return an event in canonical JSON, without signatures and `unsigned`."""
    kept = {key: value for key, value in event.to_pdu().items() if key != "signatures"}
    return encode(_bare(kept), strict=False)


def _known_signatures(
    reply: InviteResponse, server: ServerName, keys: KeyRing
) -> dict[str, JsonValue]:
    """Return the server's signatures by known keys.

    A reply may hold thousands of others; keeping them would grow the event that is sent
    to all servers of the room.
    """
    known = [key_id for key_id in key_ids_of(reply.event, server) if keys.key(server, key_id)]
    return {key_id: reply.event["signatures"][server][key_id] for key_id in sorted(known)}


def _lie(expected: str, got: JsonValue) -> RemoteProtocolError:
    return RemoteProtocolError(expected, got, "M_UNKNOWN", 502)
