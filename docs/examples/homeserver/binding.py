"""Take invites by address on the invited user's server, once an identity server names the user.

Each pending invite becomes an invite. Our server makes it itself if it is in the room; otherwise it asks
the sender's server.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from aiohttp import web

from homeserver.answers import Answer
from homeserver.asked import LARGEST_EVENT, read_body
from homeserver.by_address import ByAddress
from homeserver.server import Homeserver
from matrix_membership import Event, InvalidJson, InvalidMessage
from matrix_membership.client import TokenBucket
from matrix_membership.server import (
    ExchangeRequest,
    MatrixError,
    OnBindRequest,
    PendingInvite,
    decode,
    server_of,
    third_party,
)

__all__ = ["Binding"]

MOST_INVITES: Final = 10
"""Pending invites in one request."""

PER_SECOND: Final = 1
BURST: Final = 10
"""The rate of requests from all identity servers together."""


class Binding:
    """Takes the bound addresses of the users of one server."""

    def __init__(self, server: Homeserver, by_address: ByAddress) -> None:
        self.server = server
        self.by_address = by_address
        self.bucket = TokenBucket.full(per_second=PER_SECOND, burst=BURST, at=server.now())

    async def on_bind(self, request: web.Request) -> Answer:
        """Answer onbind: an address now belongs to a user of ours.

        Identity servers are not homeservers and do not sign requests, so anybody can send this. We believe
        none of it before the rules have checked the signatures. The rate and the number of invites bound
        the requests to other servers that it causes. The answer does not wait for them.
        """
        server = self.server
        bucket = self.bucket.take(at=server.now())
        if isinstance(bucket, MatrixError):
            return Answer.refusing(bucket)
        self.bucket = bucket
        body = await read_body(request, LARGEST_EVENT)
        if isinstance(body, MatrixError):
            return Answer.refusing(body)
        try:
            bound = OnBindRequest.from_json(decode(body, strict=False))
        except (InvalidJson, InvalidMessage) as error:
            return Answer.refusing(MatrixError.of("M_BAD_JSON", str(error)))
        if len(bound.invites) + len(bound.malformed) > MOST_INVITES:
            return Answer.refusing(
                MatrixError.of("M_BAD_JSON", f"more than {MOST_INVITES} invites")
            )
        rooms = {invite.room_id: server.snapshot(invite.room_id) for invite in bound.invites}
        outcomes = third_party.answer_on_bind(
            bound,
            {room_id: room for room_id, room in rooms.items() if room is not None},
            server.signer,
            at=server.now(),
        )
        if isinstance(outcomes, MatrixError):
            return Answer.refusing(outcomes)
        for outcome in outcomes:
            server.in_background(self.follow(outcome))
        return Answer.of({})

    async def follow(self, outcome: Event | ExchangeRequest | MatrixError) -> None:
        """Act on one pending invite, and remember an error.

        The identity server sends it only once. A server with a database should store it, and try again
        later if the sender's server cannot be reached.
        """
        refusal: MatrixError | None
        match outcome:
            case Event():
                refusal = None
                self.server.publish(outcome)
            case ExchangeRequest():
                refusal = await self.have_exchanged(outcome)
            case MatrixError():
                refusal = outcome
        if refusal is not None:
            self.server.refusals.append(refusal)

    async def have_exchanged(self, asked: ExchangeRequest) -> MatrixError | None:
        """Have the sender's server, which may be ours, make the invite."""
        if asked.destination == self.server.name:
            return await self.by_address.exchanged(asked)
        answer = await self.server.transport.ask(asked.destination, asked.request)
        if answer.status == HTTPStatus.OK:
            return None
        return MatrixError.from_json(answer.content, status=answer.status)

    async def redeem(self, pending: PendingInvite) -> MatrixError | None:
        """Make an invite from the identity server's signed object that a user sent with their join."""
        server = self.server
        room = server.snapshot(pending.room_id)
        if room is None or server_of(pending.sender) == server.name:
            return await self.have_exchanged(third_party.exchange(pending))
        event = third_party.redeem(pending, room, server.signer, at=server.now())
        if isinstance(event, MatrixError):
            return event
        server.publish(event)
        return None
