"""The messages between servers about membership: requests, answers and errors.

Messages are read strictly from parsed JSON and written back to it; the caller sends them. A
reader (`from_json`) raises `InvalidMessage` for a body of another form.
PDUs in messages stay bytes, so that none is encoded twice. See the `server-server API`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from attrs import field

from matrix_membership._attrs import evolve, frozen
from matrix_membership._request import Request
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue, encode, freeze, read, thaw
from matrix_membership.errors import InvalidEvent, InvalidJson, InvalidMessage
from matrix_membership.events import Event
from matrix_membership.federation._shapes import (
    can_be_written,
    frozen_of,
    object_of,
    objects_of,
    text_of,
    unpaired,
)
from matrix_membership.federation._splitting import ANSWER_BUDGET, AnswerBudget, Splitter
from matrix_membership.identifiers import is_server_name, listed, several

__all__ = [
    "AnswerBudget",
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


def path_of(version: str, *parts: str) -> str:
    """Return the path of a federation endpoint, with each part percent-encoded.

    >>> path_of("v1", "make_join", "!r:a.example", "@ben:b.example")
    '/_matrix/federation/v1/make_join/%21r%3Aa.example/%40ben%3Ab.example'

    .. versionadded:: 0.1.0
    """
    # Not even a slash is safe: an ID may hold one, and would reach into the next part of the path.
    return "/".join([PREFIX, version, *(quote(part, safe="") for part in parts)])


@frozen
class MatrixError:
    """An error answer of an endpoint: a status, a code and a sentence.

    Attributes:
        errcode: the code, such as `M_FORBIDDEN`.
        error: a sentence for people.
        status: the HTTP status.
        extra: further keys of the body, such as `room_version`.
        decision: the decision behind the error, for logs; it is not sent. None without one.

    .. versionadded:: 0.1.0
    """

    errcode: str
    error: str
    status: int
    extra: JsonObject = JsonObject()
    decision: Decision | None = None

    @classmethod
    def of(cls, errcode: str, error: str, **extra: JsonValue) -> MatrixError:
        """Make an error with the usual HTTP status of its code, and further keys.

        >>> MatrixError.of("M_NOT_FOUND", "no such room").status
        404
        """
        return cls(errcode, error, _STATUS.get(errcode, 400), freeze(extra))

    @classmethod
    def from_json(cls, body: JsonValue, *, status: int) -> MatrixError:
        """Read the body of an answer with an error status.

        It never raises: a body that is not a Matrix error, or is None because it is not JSON,
        gets the code `M_UNKNOWN`.

        >>> MatrixError.from_json("Bad gateway", status=502)
        MatrixError(errcode='M_UNKNOWN', error='HTTP status 502', status=502, extra={}, decision=None)
        """
        # Proxies answer in HTML. An exception would hide the status, which still says whether to go
        # on.
        found = {**body} if isinstance(body, Mapping) else {}
        errcode, error = found.pop("errcode", None), found.pop("error", None)
        said = error if isinstance(error, str) else ""
        if not isinstance(errcode, str) or not can_be_written([errcode, said]):
            return cls("M_UNKNOWN", f"HTTP status {status}", status)
        return cls(errcode, said, status, freeze(found) if can_be_written(found) else JsonObject())

    @classmethod
    def forbidden(cls, decision: Decision) -> MatrixError:
        """Make the error for a decision that rejects an event."""
        return evolve(cls.of("M_FORBIDDEN", str(decision)), decision=decision)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the answer."""
        return {**thaw(self.extra), "errcode": self.errcode, "error": self.error}

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers to send: `Retry-After`, if `retry_after_ms` is given.

        It is in whole seconds.
        """
        wait = self.extra.get("retry_after_ms")
        if self.errcode != "M_LIMIT_EXCEEDED" or wait.__class__ is not int:
            return ()
        # Rounded up, or a client that waits exactly this long would come too early.
        return (("Retry-After", str(max(0, -(-wait // 1000)))),)

    @property
    def means_unknown_endpoint(self) -> bool:
        """True if the server does not have the endpoint.

        The code `M_UNRECOGNIZED` says so, and so does a 404 or 405 without a Matrix error. A
        404 with another code is about the room.
        """
        if self.errcode == "M_UNRECOGNIZED":
            return self.status in (400, 404, 405)
        # A server that answers `M_UNKNOWN` itself has the endpoint.
        nothing_said = MatrixError.from_json(None, status=self.status)
        return self.status in (404, 405) and self == nothing_said

    @property
    def is_for_client(self) -> bool:
        """True if another server's error can be passed on to the client.

        A fault in this server's request is not the client's. And a client that is shown a 401
        about it would believe that its access token is wrong, and log out.
        """
        return self.status in (400, 403, 429) and self.errcode not in _ABOUT_A_REQUEST

    def __str__(self) -> str:
        return f"{self.status} {self.errcode}: {self.error}"


_ABOUT_A_REQUEST: Final = ("M_MISSING_PARAM", "M_INVALID_PARAM", "M_UNRECOGNIZED")


_STATUS: Final = JsonObject(
    {
        "M_FORBIDDEN": 403,
        "M_GUEST_ACCESS_FORBIDDEN": 403,
        "M_INVITE_BLOCKED": 403,
        "M_NOT_FOUND": 404,
        "M_UNRECOGNIZED": 404,
        "M_UNAUTHORIZED": 401,
        "M_LIMIT_EXCEEDED": 429,
        "M_USER_LOCKED": 401,
        "M_USER_SUSPENDED": 403,
        "M_BAD_STATE": 403,
        "M_UNKNOWN": 500,
    }
)


@frozen
class MakeRequest:
    """A make_join, make_knock or make_leave request, as it is received.

    Attributes:
        room_id: the room.
        user_id: the user who joins, knocks or leaves.
        origin: the server that sent the request, as its X-Matrix signature proved.
        versions: the room versions that it supports; `("1",)` if it names none.

    .. versionadded:: 0.1.0
    """

    room_id: str
    user_id: str
    origin: str
    # The specification's default for a request without `ver`.
    versions: tuple[str, ...] = field(default=("1",), converter=listed)


@frozen
class MakeResponse:
    """The answer to make_join, make_knock or make_leave: an event to sign.

    Attributes:
        event: the fields of the template.
        room_version: the room version; None if the answer has none.

    .. versionadded:: 0.1.0
    """

    event: JsonObject
    room_version: str | None

    @classmethod
    def from_json(cls, body: JsonValue) -> MakeResponse:
        """Read the answer."""
        body = object_of(body, "make answer")
        event = frozen_of(body.get("event"), "make answer.event")
        version = body.get("room_version")
        if version is not None:
            text_of(version, "make answer.room_version")
        return cls(event, version)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the answer."""
        version = {} if self.room_version is None else {"room_version": self.room_version}
        return {"event": thaw(self.event), **version}


@frozen
class SendRequest:
    """A send_join, send_knock or send_leave request, as it is received.

    Attributes:
        room_id: the room in the path.
        event_id: the event ID in the path.
        pdu: the event, as it came.
        origin: the server that sent the request, as its X-Matrix signature proved.
        omit_members: whether the answer to a join may leave memberships out.

    .. versionadded:: 0.1.0
    """

    room_id: str
    event_id: str
    pdu: bytes | JsonObject
    origin: str
    omit_members: bool = False


@frozen
class SendLeaveResponse:
    """The answer to send_leave, which is empty.

    .. versionadded:: 0.1.0
    """

    @classmethod
    def from_json(cls, body: JsonValue) -> SendLeaveResponse:
        """Read the answer: an object; at v1, the pair of 200 and an object."""
        object_of(unpaired(body), "send_leave answer")
        return cls()

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the answer."""
        return {}


@frozen
class SendKnockResponse:
    """The answer to send_knock.

    Attributes:
        knock_room_state: events that describe the room to people: full PDUs; stripped
            events from older servers.

    .. versionadded:: 0.1.0
    """

    knock_room_state: tuple[JsonObject, ...]

    @classmethod
    def from_json(cls, body: JsonValue) -> SendKnockResponse:
        """Read the answer."""
        body = object_of(body, "send_knock answer")
        listed = objects_of(body.get("knock_room_state"), "send_knock answer.knock_room_state")
        return cls(tuple(listed))

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the answer."""
        return {"knock_room_state": thaw(self.knock_room_state)}


# PDUs stay bytes from end to end. The server that answers sends what it stored, the one that reads
# keeps what it verified, and neither encodes an event again. That would cost time for each member,
# and could change the text of a float, which the hashes of versions 1 to 5 cover.
@frozen
class SendJoinResponse:
    """The answer to send_join: the room before the join, and what authorises it.

    Attributes:
        state: the PDUs of the state before the join.
        auth_chain: the PDUs of the auth chains of the state and the join.
        event: the join, with the resident server's signature if it authorises the join; None
            if the answer has none.
        members_omitted: whether memberships were left out of the state.
        servers_in_room: the servers in the room before the join; None if the answer does not
            name them.

    .. versionadded:: 0.1.0
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
        """Make an answer of these events. It omits members if it names the servers.

        Raises:
            InvalidEvent: an event has no PDU.
        """
        return cls(
            tuple(map(_pdu_of, state)),
            tuple(map(_pdu_of, auth_chain)),
            None if event is None else _pdu_of(event),
            # One argument says both: the specification requires the servers exactly when members
            # are omitted.
            servers_in_room is not None,
            None if servers_in_room is None else tuple(several(servers_in_room, "servers_in_room")),
        )

    @classmethod
    def from_json(cls, body: JsonValue) -> SendJoinResponse:
        """Read the parsed answer; at v1, the pair of 200 and the object."""
        # Not strict: what the room version forbids has to reach the reader of the event, which names
        # it as the defect of this event. Refused here, one bad event would cost the whole answer.
        try:
            return cls.from_bytes(encode(body, strict=False))
        except InvalidJson as error:
            raise InvalidMessage("send_join answer", "JSON values", str(error)) from error

    @classmethod
    def from_bytes(cls, data: bytes, *, budget: AnswerBudget = ANSWER_BUDGET) -> SendJoinResponse:
        """Read the whole body at once.

        PDUs stay as they came; `examine` reads them and reports their defects. A reader from
        `AwaitingAcceptance.reader` needs less memory. Cost: linear, about one `json.loads`.

        Raises:
            InvalidMessage: the body has another form, or exceeds the budget.
        """
        found: dict[str, list[bytes]] = {"state": [], "auth_chain": [], "event": []}
        # The splitter of the reader that is fed in pieces, so that both take and refuse the same
        # answers.
        splitter = Splitter(lambda key, text, _: found[key].append(text.encode()), budget)
        splitter.feed(data)
        beside = beside_events(splitter.finish())
        event = next(iter(found["event"]), None)
        return cls(tuple(found["state"]), tuple(found["auth_chain"]), event, *beside)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the parsed body of the answer."""
        return dict(read(self.to_bytes(), strict=False)[0])

    def to_bytes(self) -> bytes:
        """Return the body of the answer, without encoding a PDU again."""
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


SendResponse = SendJoinResponse | SendKnockResponse | SendLeaveResponse


def _pdu_of(event: Event) -> bytes:
    # An event in another form has no bytes, and would leave a hole in the answer.
    if not event.pdu:
        raise InvalidEvent("event", "one read from a PDU", repr(event))
    return event.pdu


def beside_events(body: Mapping[str, JsonValue]) -> tuple[bool, tuple[str, ...] | None]:
    """Return `members_omitted` and `servers_in_room` of an answer to send_join."""
    # No other type counts as true or false: a text "false" would be true, and the state would lack
    # members whom nobody misses.
    omitted = body.get("members_omitted", False)
    if not isinstance(omitted, bool):
        raise InvalidMessage("send_join answer.members_omitted", "true or false", omitted)
    servers = body.get("servers_in_room")
    if servers is not None and not (
        isinstance(servers, (list, tuple)) and all(map(is_server_name, servers))
    ):
        raise InvalidMessage("send_join answer.servers_in_room", "server names", servers)
    return omitted, None if servers is None else tuple(servers)
