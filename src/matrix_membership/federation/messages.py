"""The messages between servers about membership: requests, answers and errors.

Messages are read strictly from parsed JSON and written back to it; the caller sends them. A
reader (`from_json`) raises `InvalidMessage` for a body of another form.
PDUs in messages stay bytes, so that none is encoded twice. See the `server-server API`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from matrix_membership._attrs import evolve, frozen
from matrix_membership._request import Request
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze, thaw
from matrix_membership.errors import InvalidJson
from matrix_membership.federation._join_answer import SendJoinResponse
from matrix_membership.federation._shapes import frozen_of, object_of, objects_of, text_of, unpaired
from matrix_membership.federation._splitting import AnswerBudget

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
    """A make_join, make_knock or make_leave request, as it is received.

    Attributes:
        room_id: the room.
        user_id: the user who joins, knocks or leaves.
        origin: the server that sent the request, as its X-Matrix signature proved.
        versions: the room versions that it supports; `("1",)` if it names none.
    """

    room_id: str
    user_id: str
    origin: str
    # The specification's default for a request without `ver`.
    versions: tuple[str, ...] = ("1",)


@frozen
class MakeResponse:
    """The answer to make_join, make_knock or make_leave: an event to sign.

    Attributes:
        event: the fields of the template.
        room_version: the room version; None if the answer has none.
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
    """

    room_id: str
    event_id: str
    pdu: bytes | JsonObject
    origin: str
    omit_members: bool = False


@frozen
class SendLeaveResponse:
    """The answer to send_leave, which is empty."""

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
