"""Read a record of requests and answers."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import Budget, JsonValue, decode
from matrix_membership.errors import InvalidJson, InvalidKey, InvalidMessage
from matrix_membership.federation._shapes import entries_of, text_of, unpaired
from matrix_membership.federation.diagnosis._exchange import (
    BY_ENDPOINT,
    HANDSHAKES,
    INVITE,
    Exchange,
)
from matrix_membership.federation.diagnosis.keys import NO_KEYS, read_keys
from matrix_membership.federation.handshake import JOINING, KNOCKING
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.signing import KeyRing

_PARTS: Final = 4
# The person who runs the command chose the file, and the state of a large room is large.
_BUDGET: Final = Budget(max_bytes=2**31)


def read_capture(value: JsonValue, *, place: str = "capture") -> tuple[Exchange, ...]:
    """Read recorded requests and answers.

    Args:
        value: parsed JSON: a HAR document; a list of exchanges, or one of them; or the bare
            answers of make_join and send_join and the like. An exchange has `method`, `uri` (or
            `url`), `request`, `status` and `response`, and may have `origin`, `destination`,
            `authorization`, `room_version`, and `keys`: by server, keys in base64 by key ID. A
            `status` of null or 0 means that no answer came.
        place: the name of the record, for errors and accounts.

    Returns:
        The exchanges in their order. Cost: linear in the record.

    Raises:
        InvalidMessage: the value has another form. The error names the place.

    >>> uri = "/_matrix/federation/v1/make_join/!r:a.example/@ben:b.example?ver=11"
    >>> [exchange] = read_capture({"uri": uri, "status": 403, "response": {}})
    >>> exchange.endpoint, exchange.last, exchange.status
    ('make_join', '@ben:b.example', 403)

    .. versionadded:: 0.1.0
    """
    if isinstance(value, Mapping) and isinstance(value.get("log"), Mapping):
        entries = entries_of(value["log"].get("entries"), f"{place}: log.entries")
        return tuple(
            _of_har(entry, f"{place}: log.entries[{index}]") for index, entry in enumerate(entries)
        )
    pair = unpaired(value)
    if isinstance(value, (list, tuple)) and pair is value:
        listed = [(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    else:
        listed = [(value, place)]
    return tuple(_of_record(entry, where) for entry, where in listed)


def _of_record(value: JsonValue, place: str) -> Exchange:
    pair = unpaired(value)
    if pair is value and isinstance(value, Mapping):
        uri = next((value[key] for key in ("uri", "url", "path") if key in value), None)
        if uri is not None:
            return _of_line(value, text_of(uri, f"{place}.uri"), place)
    if not isinstance(pair, Mapping):
        raise InvalidMessage(place, "a request with its answer, or an answer", value)
    return _bare(pair, value, place)


def _of_line(value: Mapping[str, JsonValue], uri: str, place: str) -> Exchange:
    status = value.get("status")
    if status is not None and status.__class__ is not int:
        raise InvalidMessage(f"{place}.status", "an HTTP status or null", status)
    headers = value.get("authorization") or ()
    listed = [headers] if isinstance(headers, str) else headers
    if not isinstance(listed, (list, tuple)):
        raise InvalidMessage(f"{place}.authorization", "text, or a list of texts", headers)
    return _made(
        uri,
        method=text_of(value.get("method", "GET"), f"{place}.method"),
        request=value.get("request", value.get("body")),
        status=status or None,
        answer=value.get("response", value.get("answer")),
        origin=text_of(value.get("origin") or "", f"{place}.origin"),
        destination=text_of(value.get("destination") or "", f"{place}.destination"),
        authorization=tuple([text_of(entry, f"{place}.authorization") for entry in listed]),
        room_version=text_of(value.get("room_version") or "", f"{place}.room_version"),
        keys=_keys(value.get("keys"), f"{place}.keys"),
        place=place,
    )


def _keys(value: JsonValue, place: str) -> KeyRing:
    try:
        return NO_KEYS if value is None else read_keys(value, place)
    except InvalidKey as error:
        raise InvalidMessage(place, "keys in base64 by server and key ID", str(error)) from error


def _made(uri: str, *, authorization: tuple[str, ...], **fields: JsonValue) -> Exchange:
    """Make an exchange of a request that is known: read its path and its headers."""
    split = urlsplit(uri)
    path = split.path.strip("/").split("/")
    # `_matrix/federation/v1/make_join/room/user`
    known = path[:2] == ["_matrix", "federation"] and len(path) == 2 + _PARTS
    version, endpoint, room_id, last = map(unquote, path[2:] if known else ("", "", "", ""))
    if endpoint not in BY_ENDPOINT and endpoint != INVITE:
        version = endpoint = room_id = last = ""
    exchange = Exchange(
        endpoint,
        version,
        room_id,
        last,
        uri=f"{split.path}?{split.query}" if split.query else split.path,
        authorization=authorization,
        **fields,
    )
    try:
        signed = Authorization.read(authorization)
    except InvalidMessage:
        signed = None
    origin = exchange.origin or (signed.origin if signed else "")
    named = signed.destination if signed else None
    # The host in a URL may be another one than the name of the server, by delegation.
    destination = exchange.destination or named or split.netloc
    keys = exchange.keys
    if exchange.uri.startswith("/_matrix/key/v2/") and exchange.succeeded:
        keys = keys.with_keys(_answered_keys(exchange))
    return evolve(exchange, origin=origin, destination=destination, keys=keys)


def _answered_keys(exchange: Exchange) -> KeyRing:
    """Return the keys in the answer to a request for keys; none if it is not good."""
    try:
        return read_keys(exchange.answer, exchange.place)
    except (InvalidKey, InvalidMessage):  # of no use here, and the record has other things to tell
        return NO_KEYS


def _of_har(entry: JsonValue, place: str) -> Exchange:
    request = entry.get("request") if isinstance(entry, Mapping) else None
    response = entry.get("response") if isinstance(entry, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(response, Mapping):
        raise InvalidMessage(place, "a request and a response", entry)
    status = response.get("status")
    if status.__class__ is not int:
        raise InvalidMessage(f"{place}.response.status", "an HTTP status", status)
    headers = entries_of(request.get("headers") or (), f"{place}.request.headers")
    return _made(
        text_of(request.get("url"), f"{place}.request.url"),
        method=text_of(request.get("method", "GET"), f"{place}.request.method"),
        request=_body(request.get("postData")),
        status=status or None,
        answer=_body(response.get("content")),
        authorization=tuple(_authorization(headers)),
        place=place,
    )


def _authorization(headers: JsonValue) -> Iterator[str]:
    for header in headers:
        if isinstance(header, Mapping) and str(header.get("name")).lower() == "authorization":
            yield str(header.get("value"))


def _body(content: JsonValue) -> JsonValue:
    """Return the parsed body in a HAR document; None if it is not JSON."""
    text = content.get("text") if isinstance(content, Mapping) else None
    if not isinstance(text, str):
        return None
    try:
        data = b64decode(text) if content.get("encoding") == "base64" else text
        return decode(data, strict=False, budget=_BUDGET)
    except (InvalidJson, ValueError):
        return None


def _bare(answer: Mapping[str, JsonValue], whole: JsonValue, place: str) -> Exchange:
    """Make an exchange of an answer alone: its form says which request it answers."""
    if isinstance(answer.get("errcode"), str):
        status = MatrixError.of(answer["errcode"], "").status
        return Exchange("", status=status, answer=answer, place=place)
    event = answer.get("event")
    content = event.get("content") if isinstance(event, Mapping) else None
    membership = content.get("membership") if isinstance(content, Mapping) else None
    by_membership = {str(handshake.membership): handshake.make for handshake in HANDSHAKES}
    for keys, endpoint in (
        (("state", "auth_chain"), JOINING.send),
        (("knock_room_state",), KNOCKING.send),
        (("event", "room_version"), by_membership.get(str(membership), JOINING.make)),
    ):
        if not answer.keys().isdisjoint(keys):
            found = INVITE if membership == INVITE and endpoint == JOINING.make else endpoint
            return Exchange(found, answer=whole, place=place)
    # The answer to send_leave is empty.
    if not answer:
        return Exchange("", answer=whole, place=place)
    expected = "an exchange, or an answer of make_join or send_join"
    raise InvalidMessage(place, expected, sorted(answer))
