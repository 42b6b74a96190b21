"""What comes of a client's request: what to send, to begin, to find out, or to answer."""

from __future__ import annotations

from collections.abc import Mapping

from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.client.requests import AddressRequest, ClientRequest
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.handshake import AwaitingTemplate, Handshake
from matrix_membership.federation.invites.messages import PendingInvite
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import RoomID, ServerName, UserID
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt.policy_server import PolicyServer
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import Signer

__all__ = [
    "Answer",
    "Begin",
    "Forget",
    "NeedsAlias",
    "NeedsExchange",
    "NeedsIdentityServer",
    "NeedsMemberships",
    "Outcome",
    "Send",
]


@frozen
class Send:
    """Build an event and send it: this server is in the room, and the rules allow it.

    Attributes:
        template: the event, yet to be completed with this server's key.
        decision: the rule that allows it.
        answer_with: the body of the answer, but for what only the event can tell.
        offer_to: the invited user's server, which has to sign an invite of its user
            first (`federation.invites.offer`); None when nobody else has to.
        tells_event_id: the answer carries the event's ID.
        policy_server: the room's policy server, when its signature has to be asked for
            before the event is sent: `federation.policy_server`. An error that it answers is
            answered to the client.
    """

    template: EventTemplate
    decision: Decision
    answer_with: JsonObject = JsonObject()
    offer_to: ServerName | None = None
    tells_event_id: bool = False
    policy_server: PolicyServer | None = None

    def answer(self, event: Event) -> dict[str, JsonValue]:
        """The body of the answer, once the event is sent."""
        told = {"event_id": event.event_id} if self.tells_event_id else {}
        return {**self.answer_with, **told}


@frozen
class Begin:
    """Begin a handshake: other servers are in the room, or alone can let the user in.

    Attributes:
        handshake: `JOINING`, `KNOCKING` or `LEAVING`.
        user: the user.
        room_id: the room.
        servers: the servers to try, in this order.
        content: further keys of the event's content.
        answer_with: the body of the answer when it succeeded.
        locally: what the membership becomes when no server answers; None where
            without a server nothing becomes of it.
    """

    handshake: Handshake
    user: UserID
    room_id: RoomID
    servers: tuple[ServerName, ...]
    content: JsonObject
    answer_with: JsonObject = JsonObject()
    locally: OutOfBand | None = None

    def with_server(
        self,
        server: ServerName,
        signer: Signer,
        *,
        room_versions: Mapping[str, RoomVersion] = KNOWN,
    ) -> AwaitingTemplate:
        """The first step of the handshake with one of the servers.

        Args:
            server: the server.
            signer: this server's key.
            room_versions: the room versions that this server speaks.

        Raises:
            LocalProtocolError: the user is not of the signer's server.
        """
        return self.handshake.begin(
            self.user,
            self.room_id,
            signer=signer,
            resident=server,
            room_versions=room_versions,
            content=self.content,
        )


@frozen
class Answer:
    """There is nothing to do but answer: what was asked for is so already.

    Attributes:
        body: the body of the answer.
    """

    body: JsonObject


@frozen
class Forget:
    """Forget the room for the user: it and its history are no longer shown.

    Attributes:
        user: the user.
        room_id: the room.
        body: the body of the answer.
    """

    user: UserID
    room_id: RoomID
    body: JsonObject = JsonObject()


@frozen
class NeedsAlias:
    """Resolve the alias, then ask again with `request.with_room(room_id, servers)`.

    Attributes:
        alias: the alias; the server in it is the one that knows it.
        request: the request.
    """

    alias: str
    request: ClientRequest


@frozen
class NeedsMemberships:
    """Look into the rooms whose members may join, then ask again with what was found.

    Attributes:
        user: whose membership counts.
        rooms: the rooms, in the order of the join rule.
    """

    user: UserID
    rooms: tuple[RoomID, ...]


@frozen
class NeedsIdentityServer:
    """Ask the identity server whose address it is.

    When it is somebody's, invite them: `invite(request.for_user(user_id), …)`. When it
    is nobody's yet, have the identity server store the invite, and put what that answers
    into the room: `invite_stored(request, stored, …)`.

    Attributes:
        request: the request, with the server to ask and the client's token there.
    """

    request: AddressRequest


@frozen
class NeedsExchange:
    """Make an invite of the identity server's word, then ask again.

    `federation.third_party.redeem` makes it where the room is at hand and the inviting
    user is of this server; `federation.third_party.exchange` asks that user's server.

    Attributes:
        pending: the invite that is to become one.
    """

    pending: PendingInvite


Outcome = (
    Send
    | Begin
    | Answer
    | Forget
    | NeedsAlias
    | NeedsMemberships
    | NeedsIdentityServer
    | NeedsExchange
    | MatrixError
)
"""What an endpoint function gives; an error carries the decision behind it."""
