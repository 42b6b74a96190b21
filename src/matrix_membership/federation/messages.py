"""What servers say to each other about membership: requests, answers, errors.

A message is read strictly from parsed JSON and written back to it; who sends it,
and over what, is the caller's business. PDUs inside messages are kept as bytes, so
that nothing is encoded twice. See the `server-server API`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import (
    Budget,
    JsonObject,
    JsonValue,
    decode,
    encode,
    freeze,
    read,
    thaw,
)
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.events import Event
from matrix_membership.federation._slices import sliced
from matrix_membership.identifiers import is_server_name

__all__ = [
    "MakeRequest",
    "MakeResponse",
    "MatrixError",
    "Request",
    "SendJoinResponse",
    "SendKnockResponse",
    "SendLeaveResponse",
    "SendRequest",
]

PREFIX: Final = "/_matrix/federation"


@frozen
class Request:
    """An HTTP request for the caller to send.

    Attributes:
        method: `GET` or `PUT`.
        path: the path, percent-encoded.
        query: names and values, in order, not yet encoded.
        body: the JSON body as bytes; None for a request without.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def uri(self) -> str:
        """Path and query, as the X-Matrix signature covers them."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def content(self) -> JsonValue:
        """The body parsed; None for a request without."""
        return None if self.body is None else decode(self.body, strict=False)


def path_of(version: str, *parts: str) -> str:
    """The path of a federation endpoint, each part percent-encoded.

    >>> path_of("v1", "make_join", "!r:a.example", "@ben:b.example")
    '/_matrix/federation/v1/make_join/%21r%3Aa.example/%40ben%3Ab.example'
    """
    return "/".join([PREFIX, version, *(quote(part, safe="") for part in parts)])


@frozen
class MatrixError:
    """An error that an endpoint answers: a status, a code, a sentence.

    Attributes:
        errcode: the code, such as `M_FORBIDDEN`.
        error: a sentence for people.
        status: the HTTP status.
        extra: further keys of the body, such as `room_version`.
        decision: the decision behind it, for logs; it is not sent.
    """

    errcode: str
    error: str
    status: int
    extra: JsonObject = JsonObject()
    decision: Decision | None = None

    @classmethod
    def of(cls, errcode: str, error: str, **extra: JsonValue) -> MatrixError:
        """An error with the status that its code commonly has.

        >>> MatrixError.of("M_NOT_FOUND", "no such room").status
        404
        """
        return cls(errcode, error, _STATUS.get(errcode, 400), freeze(extra))

    @classmethod
    def from_json(cls, body: JsonValue, *, status: int) -> MatrixError:
        """Read the body of an answer whose status is no success.

        It never fails: whatever is no Matrix error is one of code `M_UNKNOWN`.

        Args:
            body: the parsed body, or None when it was no JSON.
            status: the HTTP status.

        >>> MatrixError.from_json("Bad gateway", status=502)
        MatrixError(errcode='M_UNKNOWN', error='HTTP status 502', status=502, extra={}, decision=None)
        """
        if not isinstance(body, Mapping) or not isinstance(body.get("errcode"), str):
            return cls("M_UNKNOWN", f"HTTP status {status}", status)
        error = body.get("error")
        extra = {key: body[key] for key in body if key not in ("errcode", "error")}
        try:
            kept = freeze(extra)
        except InvalidJson:
            kept = JsonObject()
        return cls(body["errcode"], error if isinstance(error, str) else "", status, kept)

    @classmethod
    def forbidden(cls, decision: Decision) -> MatrixError:
        """The error that tells of a decision to reject."""
        return evolve(cls.of("M_FORBIDDEN", str(decision)), decision=decision)

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the answer."""
        return {**thaw(self.extra), "errcode": self.errcode, "error": self.error}

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that go with it: `Retry-After`, in whole seconds, where it says when."""
        wait = self.extra.get("retry_after_ms")
        if self.errcode != "M_LIMIT_EXCEEDED" or wait.__class__ is not int:
            return ()
        return (("Retry-After", str(max(0, -(-wait // 1000)))),)

    @property
    def means_unknown_endpoint(self) -> bool:
        """Whether the server does not have the endpoint at all.

        So it is when the code says it, or when a 404 or 405 carries no Matrix error.
        A 404 of another code speaks of the room.
        """
        if self.errcode == "M_UNRECOGNIZED":
            return self.status in (400, 404, 405)
        return self.errcode == "M_UNKNOWN" and self.status in (404, 405)

    def __str__(self) -> str:
        return f"{self.status} {self.errcode}: {self.error}"


_STATUS: Final = JsonObject(
    {
        "M_FORBIDDEN": 403,
        "M_INVITE_BLOCKED": 403,
        "M_NOT_FOUND": 404,
        "M_UNRECOGNIZED": 404,
        "M_UNAUTHORIZED": 401,
        "M_LIMIT_EXCEEDED": 429,
        "M_USER_SUSPENDED": 403,
        "M_BAD_STATE": 403,
        "M_UNKNOWN": 500,
    }
)


@frozen
class MakeRequest:
    """make_join, make_knock or make_leave, as the resident server gets it.

    Attributes:
        room_id: the room.
        user_id: who wants to join, knock or leave.
        origin: the server that asks, as its authentication proved.
        versions: the room versions that it speaks; `("1",)` when it names none.
    """

    room_id: str
    user_id: str
    origin: str
    versions: tuple[str, ...] = ("1",)


@frozen
class MakeResponse:
    """The answer to make_join, make_knock or make_leave: an event to sign.

    Attributes:
        event: the template's fields.
        room_version: the room's version; None when the answer does not say.
    """

    event: JsonObject
    room_version: str | None

    @classmethod
    def from_json(cls, body: JsonValue) -> MakeResponse:
        """Read the answer.

        Raises:
            InvalidMessage: it is not of that form.
        """
        body = _object(body, "make answer")
        event = _object(body.get("event"), "make answer.event")
        version = body.get("room_version")
        if version is not None and not isinstance(version, str):
            raise InvalidMessage("make answer.room_version", "text", version)
        return cls(_freeze(event, "make answer.event"), version)

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the answer."""
        version = {} if self.room_version is None else {"room_version": self.room_version}
        return {"event": thaw(self.event), **version}


@frozen
class SendRequest:
    """send_join, send_knock or send_leave, as the resident server gets it.

    Attributes:
        room_id: the room in the path.
        event_id: the event ID in the path.
        pdu: the event, as it came.
        origin: the server that sends it, as its authentication proved.
        omit_members: of a join, whether memberships may be left out of the answer.
    """

    room_id: str
    event_id: str
    pdu: bytes | JsonObject
    origin: str
    omit_members: bool = False


@frozen
class SendLeaveResponse:
    """The answer to send_leave: nothing."""

    @classmethod
    def from_json(cls, body: JsonValue) -> SendLeaveResponse:
        """Read the answer, whatever it is; of v1, a pair of status and object.

        Raises:
            InvalidMessage: it is neither an object nor such a pair.
        """
        _object(_unpaired(body), "send_leave answer")
        return cls()

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the answer."""
        return {}


@frozen
class SendKnockResponse:
    """The answer to send_knock.

    Attributes:
        knock_room_state: events of the room, to tell people what it is: full PDUs,
            from older servers stripped ones.
    """

    knock_room_state: tuple[JsonObject, ...]

    @classmethod
    def from_json(cls, body: JsonValue) -> SendKnockResponse:
        """Read the answer.

        Raises:
            InvalidMessage: it is not of that form.
        """
        body = _object(body, "send_knock answer")
        listed = _objects(body.get("knock_room_state"), "send_knock answer.knock_room_state")
        return cls(tuple(listed))

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the answer."""
        return {"knock_room_state": thaw(self.knock_room_state)}


@frozen
class SendJoinResponse:
    """The answer to send_join: the room before the join, and what authorises it.

    Attributes:
        state: the PDUs of the state before the join.
        auth_chain: the PDUs of the auth chains of the state and the join.
        event: the join, with the resident server's signature if that was needed.
        members_omitted: whether memberships were left out of the state.
        servers_in_room: the servers in the room before the join; None if not said.
    """

    state: tuple[bytes, ...]
    auth_chain: tuple[bytes, ...]
    event: bytes | None = None
    members_omitted: bool = False
    servers_in_room: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        state: Iterable[Event],
        auth_chain: Iterable[Event],
        *,
        event: Event | None = None,
        servers_in_room: Iterable[str] | None = None,
    ) -> SendJoinResponse:
        """The answer that consists of these events.

        Args:
            state: the state before the join.
            auth_chain: what authorises state and join.
            event: the join with the resident server's signature.
            servers_in_room: given when memberships were left out: the servers in
                the room before the join.
        """
        return cls(
            tuple(entry.pdu for entry in state),
            tuple(entry.pdu for entry in auth_chain),
            None if event is None else event.pdu,
            servers_in_room is not None,
            None if servers_in_room is None else tuple(servers_in_room),
        )

    @classmethod
    def from_json(cls, body: JsonValue) -> SendJoinResponse:
        """Read the parsed answer; of v1, a pair of status and object.

        Raises:
            InvalidMessage: it is not of that form.
        """
        body = _object(_unpaired(body), "send_join answer")
        event = body.get("event")
        if event is not None:
            event = _bytes(_object(event, "send_join answer.event"))
        return _send_join(
            body,
            tuple(map(_bytes, _objects(body.get("state"), "send_join answer.state"))),
            tuple(map(_bytes, _objects(body.get("auth_chain"), "send_join answer.auth_chain"))),
            event,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SendJoinResponse:
        """Read the answer as it came.

        PDUs are kept as they came: `examine` reads them, and says of each what is wrong
        with it. Cost: linear, as one `json.loads`.

        Raises:
            InvalidMessage: it is not of that form.
        """
        found = sliced(data, max_bytes=Budget().max_bytes)
        if found is None:
            try:
                return cls.from_json(read(data, strict=False)[0])
            except InvalidJson as error:
                raise InvalidMessage("send_join answer", "JSON", str(error)) from error
        body, events = found
        for name in ("state", "auth_chain"):
            if name not in events:
                raise InvalidMessage(f"send_join answer.{name}", "a list of events", body.get(name))
        if body.get("event") is not None:
            raise InvalidMessage("send_join answer.event", "an object", body["event"])
        return _send_join(
            body,
            events.get("state", ()),
            events.get("auth_chain", ()),
            next(iter(events.get("event", ())), None),
        )

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the answer, parsed."""
        return dict(read(self.to_bytes(), strict=False)[0])

    def to_bytes(self) -> bytes:
        """The body of the answer. No PDU is encoded again."""
        parts = [
            b'"auth_chain":[' + b",".join(self.auth_chain) + b"]",
            b'"members_omitted":' + (b"true" if self.members_omitted else b"false"),
            b'"state":[' + b",".join(self.state) + b"]",
        ]
        if self.event is not None:
            parts.append(b'"event":' + self.event)
        if self.servers_in_room is not None:
            parts.append(b'"servers_in_room":' + encode(list(self.servers_in_room)))
        return b"{" + b",".join(parts) + b"}"


def _send_join(
    body: Mapping[str, JsonValue],
    state: tuple[bytes, ...],
    auth_chain: tuple[bytes, ...],
    event: bytes | None,
) -> SendJoinResponse:
    omitted = body.get("members_omitted", False)
    if not isinstance(omitted, bool):
        raise InvalidMessage("send_join answer.members_omitted", "true or false", omitted)
    servers = body.get("servers_in_room")
    if servers is not None and not (
        isinstance(servers, (list, tuple)) and all(map(is_server_name, servers))
    ):
        raise InvalidMessage("send_join answer.servers_in_room", "server names", servers)
    return SendJoinResponse(
        state, auth_chain, event, omitted, None if servers is None else tuple(servers)
    )


def _object(value: JsonValue, where: str) -> Mapping[str, JsonValue]:
    if not isinstance(value, Mapping):
        raise InvalidMessage(where, "an object", value)
    return value


def _objects(value: JsonValue, where: str) -> Iterator[JsonObject]:
    if not isinstance(value, (list, tuple)):
        raise InvalidMessage(where, "a list of events", value)
    for index, entry in enumerate(value):
        yield _freeze(_object(entry, f"{where}[{index}]"), f"{where}[{index}]")


def _freeze(value: Mapping[str, JsonValue], where: str) -> Any:
    try:
        return freeze(dict(value))
    except InvalidJson as error:
        raise InvalidMessage(where, "JSON values", str(error)) from error


def _bytes(value: Mapping[str, JsonValue]) -> bytes:
    return encode(value, strict=False)


def _unpaired(body: JsonValue) -> JsonValue:
    """The object of a v1 answer, which is a pair of 200 and the object."""
    if isinstance(body, (list, tuple)) and len(body) == 2 and body[0] == 200:  # noqa: PLR2004
        return body[1]
    return body
