"""A recorded request between two servers, and its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.federation._shapes import unpaired
from matrix_membership.federation.diagnosis.keys import NO_KEYS
from matrix_membership.federation.handshake import JOINING, KNOCKING, LEAVING, Handshake
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import server_of
from matrix_membership.signing import KeyRing

HANDSHAKES: Final = (JOINING, KNOCKING, LEAVING)
INVITE: Final = "invite"
BY_ENDPOINT: Final[Mapping[str, Handshake]] = JsonObject(
    {name: handshake for handshake in HANDSHAKES for name in (handshake.make, handshake.send)}
)


@frozen
class Exchange:
    """One request between two servers, and its answer.

    Attributes:
        endpoint: `make_join`, `send_join` and so on, or `invite`; empty for any other, and for
            an error without its request.
        version: the version of the endpoint, `v1` or `v2`; empty if the request is not known.
        room_id: the room in the path; empty if the request is not known.
        last: the end of the path: a user ID for make requests, otherwise an event ID.
        method: the HTTP method; empty if the request is not known.
        uri: path and query as they were sent.
        request: the parsed body of the request; None without one.
        status: the HTTP status of the answer; None if no answer came.
        answer: the parsed body of the answer; None if it is not JSON. Without an answer, a
            text that says why, or None.
        origin: the server that asked; empty if it is not known.
        destination: the server that was asked; empty if it is not known.
        authorization: the values of the `Authorization` headers.
        room_version: the version of the room, if the record names it.
        keys: keys that the record has beside the exchange.
        place: where the record has it.

    .. versionadded:: 0.1.0
    """

    endpoint: str
    version: str = ""
    room_id: str = ""
    last: str = ""
    method: str = ""
    uri: str = ""
    request: JsonValue = None
    status: int | None = 200
    answer: JsonValue = None
    origin: str = ""
    destination: str = ""
    authorization: tuple[str, ...] = ()
    room_version: str = ""
    keys: KeyRing = NO_KEYS
    place: str = ""

    @property
    def handshake(self) -> Handshake | None:
        """The handshake that it is part of; None for invites and all else."""
        return BY_ENDPOINT.get(self.endpoint)

    @property
    def makes(self) -> bool:
        """True for the first request of a handshake, which asks for a template."""
        return self.endpoint.startswith("make_")

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The pairs of the query, decoded."""
        return tuple(parse_qsl(urlsplit(self.uri).query, keep_blank_values=True))

    @property
    def is_whole(self) -> bool:
        """True if the request is known, and not the answer alone."""
        return bool(self.uri)

    @property
    def succeeded(self) -> bool:
        """True if the answer is not an error."""
        return self.status is not None and self.status in range(200, 300)

    @property
    def error(self) -> MatrixError:
        """The error in the answer, if it is one."""
        return MatrixError.from_json(self.answer, status=self.status or 0)

    @property
    def reply(self) -> str:
        """The answer in a few words."""
        if self.status is None:
            return f"none: {self.answer}" if isinstance(self.answer, str) else "none"
        return str(self.status) if self.succeeded else str(self.error)

    @property
    def line(self) -> str:
        """The request in one line."""
        return f"{self.method} {self.uri}" if self.uri else f"{self.endpoint}, not recorded"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as a line of a record, which `read_capture` takes."""
        return {
            "method": self.method,
            "uri": self.uri,
            "origin": self.origin,
            "destination": self.destination,
            "request": self.request,
            "status": self.status,
            "response": self.answer,
        }


def in_turn(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """Yield the exchanges that are part of a handshake or an invite.

    A bare answer that does not tell gets the request that it must answer: the one after a template,
    or else the first.
    """
    before: Exchange | None = None
    for exchange in exchanges:
        found = exchange
        if not exchange.endpoint and not exchange.is_whole:
            handshake = JOINING if before is None else before.handshake or JOINING
            answered = before is not None and before.makes and before.succeeded
            # Only an error can be the first answer of all without its form telling so.
            first = "" if exchange.succeeded else handshake.make
            found = evolve(exchange, endpoint=handshake.send if answered else first)
        if found.endpoint:
            before = found
            yield found


def user_of(exchange: Exchange) -> str:
    """Return the user whose membership it is about; empty if it does not tell."""
    if exchange.makes and exchange.last:
        return exchange.last
    for holder in (exchange.request, unpaired(exchange.answer)):
        event = holder
        if isinstance(holder, Mapping) and isinstance(holder.get("event"), Mapping):
            event = holder["event"]
        user = event.get("state_key") if isinstance(event, Mapping) else None
        if isinstance(user, str):
            return user
    return ""


def asking(exchange: Exchange) -> str:
    """Return the server that asked, by the record or by the name of the user."""
    if exchange.origin or exchange.endpoint == INVITE:
        return exchange.origin
    return server_of(user_of(exchange)) if ":" in user_of(exchange) else ""
