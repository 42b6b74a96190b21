"""The example homeserver and what makes no sense: it answers 400 or the like, and never 500."""

from __future__ import annotations

from typing import Any, Final

import pytest

from homeserver.server import Homeserver
from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidEvent
from matrix_membership.federation import OnBindRequest, Request
from tests.stranger import FEDERATION, VERSIONS, Stranger, attacked, forged, raw

ODD: Final[tuple[Any, ...]] = (
    None,
    0,
    -1,
    True,
    "",
    "x",
    [],
    [[]],
    [{}],
    {},
    {"x": []},
    {"$e": 1},
    "@mal:evil.example",
    2**60,
    "x" * 70_000,
)
"""Values that hardly any field may have."""

PATHS: Final = (
    "make_join/{room}/{user}",
    "make_knock/{room}/{user}",
    "make_leave/{room}/{user}",
    "make_join/{room}/mal",
    "make_join/x/{user}",
    "make_join/{room}/{user}?ver=&ver=%00&ver=12",
    "state/{room}",
    "state/{room}?event_id=%24x",
    "state/{room}?event_id=%FF",
    "state_ids/{room}?event_id=",
    "event/%24x",
    "event/%00",
    "event/%ED%A0%80",
    "event_auth/{room}/x",
    "backfill/{room}",
    "backfill/{room}?v=x&limit=-1",
    "backfill/{room}?v=x&limit=",
    "backfill/{room}?limit=%D9%A3",
    "backfill/{room}?limit=" + "9" * 5000,
    "query/profile",
    "query/profile?user_id=%ED%A0%80",
    "query/directory?room_alias=%FF",
    "%FF/%FF",
)
"""What can be asked with GET; the room is one that the stranger is in."""

LISTS: Final = ("earliest_events", "latest_events")


def seen(status: int) -> None:
    assert status == 200 or 400 <= status < 500, status


async def in_room(host: Homeserver, stranger: Stranger, version: str = "11") -> str:
    """A room that the stranger is in, as it stands in a path."""
    room = host.create_room(f"@ana:{host.name}", version)
    assert (await stranger.member(host, room, "join", stranger.mal, "join")).status == 200
    return room.room_id.replace("!", "%21").replace(":", "%3A")


def test_questions_that_make_no_sense_are_refused() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = await in_room(host, stranger)
        user = stranger.mal.replace("@", "%40").replace(":", "%3A")
        for path in PATHS:
            filled = f"{FEDERATION}/{path.format(room=room, user=user)}"
            seen((await stranger.transport.ask(host.name, Request("GET", filled))).status)

    attacked(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_bodies_that_make_no_sense_are_refused(version: str) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = await in_room(host, stranger, version)
        paths = [
            f"{FEDERATION[:-1]}{number}/{name}/{room}/%24x"
            for name in ("send_join", "send_leave", "send_knock", "invite")
            for number in (1, 2)
        ]
        paths += [f"{FEDERATION}/{name}/{room}" for name in ("exchange_third_party_invite",)]
        for path in paths:
            for odd in ODD:
                nested = {"event": odd, "room_version": version, "invite_room_state": odd}
                for content in (odd, nested, {"content": odd, "type": odd, "sender": odd}):
                    body = encode(content, strict=False)
                    asked = Request("PUT", path, (), body)
                    seen((await stranger.transport.ask(host.name, asked)).status)

    attacked(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_events_that_make_no_sense_are_refused(version: str) -> None:
    """Every field of an event, in turn, is something else."""

    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        await in_room(host, stranger, version)
        (room,) = host.rooms.values()
        good = forged(room, stranger.signer, stranger.mal, "leave")
        before = room.state
        for field in (*good, "redacts", "unsigned", "event_id", "membership"):
            odd = [{**good, field: value} for value in ODD]
            answer = await stranger.send(host, *odd, *ODD, {"room_id": room.room_id})
            assert answer.status == 200
        for value in ODD:
            content = {"membership": value, "third_party_invite": value, "reason": value}
            try:
                signed = forged(room, stranger.signer, stranger.mal, content=content)
            except InvalidEvent:  # it cannot even be hashed
                continue
            assert (await stranger.send(host, signed)).status == 200
        assert room.state.get("m.room.create") == before.get("m.room.create")

    attacked(scenario)


def test_transactions_that_make_no_sense_are_refused() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = await in_room(host, stranger)
        for number, odd in enumerate(ODD):
            for content in (odd, {"pdus": odd}, {"pdus": [], "edus": odd}):
                body = encode(content, strict=False)
                path = f"{FEDERATION}/send/{number}{len(body)}"
                answer = await stranger.transport.ask(host.name, Request("PUT", path, (), body))
                seen(answer.status)
            for name in LISTS:
                content = {"earliest_events": [], "latest_events": [], name: odd}
                path = f"get_missing_events/{room}"
                seen((await stranger.ask(host, "POST", path, content)).status)

    attacked(scenario)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 200 + b"]" * 200, b'{"a":1,"a":2}', b"NaN"]
)
def test_bytes_that_are_not_json_are_refused(body: bytes) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        ben = {"Authorization": "Bearer ben"}
        for path in ("createRoom", "join/%21r", "rooms/%21r/invite", "rooms/%21r/kick"):
            status, _ = await raw(host, "POST", f"/_matrix/client/v3/{path}", body, ben)
            seen(status)
        seen((await raw(host, "PUT", OnBindRequest.PATH, body))[0])
        header = f'X-Matrix origin="{stranger.name}",key="ed25519:1",sig="x"'
        signed = {"Authorization": header}
        status, _ = await raw(host, "PUT", f"{FEDERATION}/send/1", body, signed)
        assert status in (400, 401)

    attacked(scenario)


@pytest.mark.parametrize("odd", ODD)
def test_fields_of_clients_that_make_no_sense_are_refused(odd: Any) -> None:
    async def scenario(host: Homeserver, _: Stranger) -> None:
        dan = {"Authorization": "Bearer dan"}
        for name in (
            "room_version",
            "preset",
            "name",
            "room_alias_name",
            "invite",
            "initial_state",
        ):
            body = encode({name: odd}, strict=False)
            seen((await raw(host, "POST", "/_matrix/client/v3/createRoom", body, dan))[0])
        room = host.create_room(f"@ana:{host.name}").room_id
        for path, name in (
            ("invite", "user_id"),
            ("invite", "id_server"),
            ("join", "third_party_signed"),
            ("leave", "reason"),
            ("kick", "user_id"),
        ):
            body = encode({name: odd}, strict=False)
            seen((await raw(host, "POST", f"/_matrix/client/v3/rooms/{room}/{path}", body, dan))[0])

    attacked(scenario)


@pytest.mark.parametrize("odd", ODD)
def test_bindings_that_make_no_sense_are_refused(odd: Any) -> None:
    async def scenario(host: Homeserver, _: Stranger) -> None:
        user = f"@dan:{host.name}"
        bound = {"medium": "email", "address": "d@d.example", "mxid": user, "invites": [odd]}
        signed = {**bound, "room_id": "!r:a.example", "sender": "@ana:a.example", "signed": odd}
        for content in (odd, {**bound, "invites": odd}, bound, {**bound, "invites": [signed]}):
            seen((await raw(host, "PUT", OnBindRequest.PATH, encode(content, strict=False)))[0])

    attacked(scenario)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "X-Matrix",
        "X-Matrix ",
        "X-Matrix origin=",
        "X-Matrix " + "a" * 4000,
        "X-Matrix " + "a=b," * 1000,
        'X-Matrix origin="a.example",origin="b.example",key="ed25519:1",sig="x"',
        'X-Matrix origin="a.example" key="ed25519:1" sig="x"',
        'X-Matrix origin="a.example,key="ed25519:1",sig="x"',
        "Bearer x",
    ],
)
def test_headers_that_make_no_sense_are_refused(header: str) -> None:
    async def scenario(host: Homeserver, _: Stranger) -> None:
        headers = {"Authorization": header}
        assert (await raw(host, "PUT", f"{FEDERATION}/send/1", b"{}", headers))[0] == 401

    attacked(scenario)
