"""What a real Synapse sent and answered: see `data/captures/README.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

JsonObject: TypeAlias = dict[str, Any]

FOLDER: Final = Path(__file__).parent / "data" / "captures"
VERSIONS: Final = ("1", "3", "6", "8", "10", "11", "12")

# A template of make_join has no hashes, a stripped event no auth events.
PDU_KEYS: Final = frozenset({"auth_events", "content", "hashes", "prev_events", "sender", "type"})

# The one capture of the client-server API has no envelope: `client_invite` reads it.
CLIENT_INVITE: Final = "synapse_client_sync_invite"


@attrs.frozen
class Capture:
    """One request between two servers and its answer.

    Attributes:
        version: the identifier of the room version.
        name: what the exchange is: `what` in the file.
        origin: the server that asked.
        destination: the server that answered.
        method: the HTTP method.
        uri: path and query as sent, percent-encoded.
        request: the JSON that was sent, None for a GET.
        status: the HTTP status of the answer.
        response: the JSON that came back.
        keys: server -> key ID -> unpadded base64; the keys that verify what is in it.
    """

    version: str
    name: str
    origin: str
    destination: str
    method: str
    uri: str
    request: Any
    status: int
    response: Any
    keys: Mapping[str, Mapping[str, str]]

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of the path, decoded: `("_matrix", "federation", "v2", "send_join", …)`."""
        return tuple(unquote(part) for part in urlsplit(self.uri).path.strip("/").split("/"))

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The pairs of the query, decoded, in order."""
        return tuple(parse_qsl(urlsplit(self.uri).query, keep_blank_values=True))

    def __str__(self) -> str:
        return f"v{self.version}-{self.name}"


def captures(version: str | None = None, name: str | None = None) -> list[Capture]:
    """Read captures, in the order of versions and then of names.

    Every call reads anew, so that a test may change what it gets.

    Args:
        version: only those of this room version.
        name: only those of this name; `*` stands for anything, as in `send_join_*`.
    """
    return [
        Capture(**{field.name: record[field.name] for field in attrs.fields(Capture)})
        for of_version in VERSIONS
        if version in (None, of_version)
        for record in _records(of_version)
        if fnmatchcase(record["name"], name or "*") and record["name"] != CLIENT_INVITE
    ]


def client_invite(version: str) -> list[JsonObject]:
    """The stripped state of an invite, as Synapse showed it to the invited user in /sync."""
    (shown,) = (record for record in _records(version) if record["name"] == CLIENT_INVITE)
    events: list[JsonObject] = shown["invite_state"]["events"]
    return events


def key_documents() -> dict[str, JsonObject]:
    """The signed answers of `GET /_matrix/key/v2/server`, by server."""
    record = json.loads((FOLDER / "server_keys.json").read_text("utf-8"))
    documents: dict[str, JsonObject] = record["key_documents"]
    return documents


def pdus(capture: Capture) -> Iterator[tuple[str, JsonObject]]:
    """Every whole PDU in a capture, with the place where it sits.

    Yields:
        Places such as `request`, `request.event`, `response.state[3]`,
        `response[1].auth_chain[0]` (v1 endpoints) or
        `request.unsigned.invite_room_state[0]`, and the PDU there.
    """
    yield from _pdus("request", capture.request)
    yield from _pdus("response", capture.response)


def _records(version: str) -> Iterator[JsonObject]:
    """The lines of a version's file, in the order of names."""
    # Not splitlines: a display name may hold what it takes for the end of a line.
    lines = (FOLDER / f"{version}.jsonl").read_bytes().strip().split(b"\n")
    for record in sorted(map(json.loads, lines), key=itemgetter("what")):
        yield record | {"version": record["room_version"], "name": record["what"]}


def _pdus(place: str, value: object) -> Iterator[tuple[str, JsonObject]]:
    if isinstance(value, dict):
        if value.keys() >= PDU_KEYS:
            yield place, value
        for key, item in value.items():
            yield from _pdus(f"{place}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _pdus(f"{place}[{index}]", item)
