"""What servers say to each other about membership: requests, answers, errors.

A message is read strictly from parsed JSON and written back to it; who sends it,
and over what, is the caller's business. PDUs inside messages are kept as bytes, so
that nothing is encoded twice. See the `server-server API`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from matrix_membership._attrs import evolve, frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import (
    JsonObject,
    JsonValue,
    decode,
    freeze,
    thaw,
)
from matrix_membership.errors import InvalidJson, InvalidMessage
from matrix_membership.federation._join_answer import SendJoinResponse
from matrix_membership.federation._shapes import frozen_of, object_of, objects_of, unpaired
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
        # A server may answer `M_UNKNOWN` itself, and then it has the endpoint.
        nothing_said = MatrixError.from_json(None, status=self.status)
        return self.status in (404, 405) and self == nothing_said

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
        body = object_of(body, "make answer")
        event = object_of(body.get("event"), "make answer.event")
        version = body.get("room_version")
        if version is not None and not isinstance(version, str):
            raise InvalidMessage("make answer.room_version", "text", version)
        return cls(frozen_of(event, "make answer.event"), version)

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
        object_of(unpaired(body), "send_leave answer")
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
        body = object_of(body, "send_knock answer")
        listed = objects_of(body.get("knock_room_state"), "send_knock answer.knock_room_state")
        return cls(tuple(listed))

    def to_json(self) -> dict[str, JsonValue]:
        """The body of the answer."""
        return {"knock_room_state": thaw(self.knock_room_state)}
