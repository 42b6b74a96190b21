"""Invites by address, on the invited user's server: an identity server says whose an address is.

What waited for the address becomes an invite: our server makes it itself when it is in the room,
otherwise it asks the inviting server.
"""

from __future__ import annotations

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
"""Invites that may have waited for one address."""

PER_SECOND: Final = 1
BURST: Final = 10
"""How often all identity servers together may say that an address was bound."""


class Binding:
    """What becomes of addresses of the users of one server."""

    def __init__(self, server: Homeserver, by_address: ByAddress) -> None:
        self.server = server
        self.by_address = by_address
        self.bucket = TokenBucket.full(per_second=PER_SECOND, burst=BURST, at=server.now())

    async def on_bind(self, request: web.Request) -> Answer:
        """onbind: an address is now that of a user of ours.

        Identity servers are not homeservers and sign no requests, so anybody can ask this. None of it
        is believed before the rules have looked at the signatures, and what it makes us ask of
        other servers is bounded by the rate and by the number of invites. The answer waits for no
        other server.
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
        outcomes = third_party.bound(
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
        """Do what one of the pending invites comes to, and remember what went wrong.

        The identity server says it once: a server that keeps what it knows tries again later when
        the inviting server cannot be reached.
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
        """Have the inviting server make the invite, which may be this one."""
        if asked.destination == self.server.name:
            return await self.by_address.exchanged(asked)
        answer = await self.server.transport.ask(asked.destination, asked.request)
        if answer.status == 200:  # noqa: PLR2004 - success, in HTTP
            return None
        return MatrixError.from_json(answer.content, status=answer.status)

    async def redeem(self, pending: PendingInvite) -> MatrixError | None:
        """Make an invite of the identity server's word that a user brings with their join."""
        server = self.server
        room = server.snapshot(pending.room_id)
        if room is None or server_of(pending.sender) == server.name:
            return await self.have_exchanged(third_party.exchange(pending))
        event = third_party.redeem(pending, room, server.signer, at=server.now())
        if isinstance(event, MatrixError):
            return event
        server.publish(event)
        return None
