"""A server's next action for a client's request: send, begin, look up or answer."""

from __future__ import annotations

from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.client.requests import AddressRequest, ClientRequest
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.handshake import Handshake
from matrix_membership.federation.invites.messages import PendingInvite
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import RoomID, ServerName, UserID, is_user_id, server_of
from matrix_membership.membership import BAN, LEAVE
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt.policy_server import PolicyServer

__all__ = [
    "Action",
    "Answer",
    "Begin",
    "Forget",
    "NeedsAlias",
    "NeedsExchange",
    "NeedsIdentityServer",
    "NeedsMemberships",
    "Send",
]


@frozen
class Send:
    """Complete an event and send it.

    This server is in the room, and the rules allow the event.

    Attributes:
        template: the event, to be completed with this server's key.
        decision: the decision that allows it. It is undecided for a join of a public room
            whose members are not all known yet: judge the event again once they are.
        answer_with: the body of the answer, without the event ID.
        offer_to: the invited user's server, which must sign the invite first
            (`federation.invites.offer`); None when only this server signs.
        tells_event_id: whether the answer holds the event ID.
        policy_server: the room's policy server, when it must sign before the event is
            sent (`PolicyServer.ask`). Answer the client with the error that it
            answers, if any.
        shown: False for an invite to hide from its user: a user of this server who ignores
            the one who invites. Neither of them is told.

    .. versionadded:: 0.1.0
    """

    template: EventTemplate
    decision: Decision
    answer_with: JsonObject = JsonObject()
    offer_to: ServerName | None = None
    tells_event_id: bool = False
    policy_server: PolicyServer | None = None
    shown: bool = True

    def answer(self, event: Event) -> dict[str, JsonValue]:
        """Return the body of the answer, to be given once the event is sent."""
        told = {"event_id": event.event_id} if self.tells_event_id else {}
        return {**self.answer_with, **told}


@frozen
class Begin:
    """Begin a handshake through a server that is in the room: see `Attempts.begin`.

    Either this server is not in the room, or it cannot authorise the join.

    Attributes:
        handshake: `JOINING`, `KNOCKING` or `LEAVING`.
        user: the user.
        room_id: the room.
        servers: the servers to try, in this order.
        content: further keys of the event's content.
        answer_with: the body of the answer when it succeeded.
        locally: the membership as it ends on this server when no other answers; None
            for a join or a knock, which then fail.
        invited: whether the user holds an invite. A server that forbids the handshake may
            not have heard of it, so the next one is asked: pass it to `Attempts.begin`.

    .. versionadded:: 0.1.0
    """

    handshake: Handshake
    user: UserID
    room_id: RoomID
    servers: tuple[ServerName, ...]
    content: JsonObject
    answer_with: JsonObject = JsonObject()
    locally: OutOfBand | None = None
    invited: bool = False


@frozen
class Answer:
    """Only answer: the room is already as the request wants it.

    Attributes:
        body: the body of the answer.

    .. versionadded:: 0.1.0
    """

    body: JsonObject


@frozen
class Forget:
    """Forget the room for the user: stop showing it and its history.

    Attributes:
        user: the user.
        room_id: the room.
        body: the body of the answer.

    .. versionadded:: 0.1.0
    """

    user: UserID
    room_id: RoomID
    body: JsonObject = JsonObject()

    @classmethod
    def forced_by(cls, event: Event, server_name: str) -> Forget | None:
        """Return what an event makes this server forget, or None.

        For servers with the capability `m.forget_forced_upon_leave`__: the room, for their own
        user who left, rejected an invite, was kicked or was banned. Ask it of each member event
        that takes effect, also of those by other servers.

        __ https://spec.matrix.org/v1.19/client-server-api/#mforget_forced_upon_leave-capability
        """
        user = event.state_key
        if event.type != "m.room.member" or not is_user_id(user):
            return None
        if server_of(user) != server_name or event.membership not in (LEAVE, BAN):
            return None
        return cls(user, event.room_id)


@frozen
class NeedsAlias:
    """Resolve the alias, then ask again with `request.with_room(room_id, servers)`.

    That raises `InvalidIdentifier` if the directory did not answer with a room ID.

    Attributes:
        alias: the alias; ask the server that it names.
        request: the request.

    .. versionadded:: 0.1.0
    """

    alias: str
    request: ClientRequest


@frozen
class NeedsMemberships:
    """Look the user up in the rooms whose members may join, then ask again.

    Give what was found as the `memberships` of `join`.

    Attributes:
        user: the user whose memberships count.
        rooms: the rooms, in the order of the join rule.

    .. versionadded:: 0.1.0
    """

    user: UserID
    rooms: tuple[RoomID, ...]


@frozen
class NeedsIdentityServer:
    """Ask the identity server whose address it is.

    When it is a user's, invite that user: `invite(request.for_user(user_id), …)`. Otherwise
    have the identity server store the invite, and ask again with its answer:
    `invite(request, …, stored=stored)`.

    Attributes:
        request: the request, with the server to ask and the client's token there.

    .. versionadded:: 0.1.0
    """

    request: AddressRequest


@frozen
class NeedsExchange:
    """Make an invite of what the identity server signed, then ask again.

    Ask with `request.after_exchange()`, whatever came of it. When this server is in the room and the sender is its user, make the invite with
    `federation.third_party.redeem`. Otherwise ask the sender's server:
    `federation.third_party.exchange`.

    Attributes:
        pending: the invite by address that is to become an invite of the user.
        request: the request.

    .. versionadded:: 0.1.0
    """

    pending: PendingInvite
    request: ClientRequest


# One union in place of a callback for each: the caller's `match` shows a type checker that no
# answer was forgotten. A need is an answer too, since nothing in this package waits.
Action = (
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
"""The result of an endpoint function. An error carries the rejecting decision, if any."""
