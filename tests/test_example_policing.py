"""The example as a policy server, and as a server whose events need the signature of another one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from homeserver.server import Homeserver
from matrix_membership import Event
from matrix_membership.federation import Request
from matrix_membership.membership import INVITE, JOIN, LEAVE
from matrix_membership.receipt.policy_server import PolicyServer
from tests import shapes
from tests.test_example_client import Client, played, until
from tests.test_example_showing import said, send, set_state


def refuses_spam(event: Event) -> str | None:
    body = event.content.get("body")
    return "no spam here" if isinstance(body, str) and "spam" in body else None


async def a_policed_room(ana: Client, ben: Client, police: Homeserver, **wanted: Any) -> str:
    """A room of both servers whose policy server is one of them, and refuses spam."""
    room_id = await ana.room(preset="public_chat", **wanted)
    assert (await ben.post(f"join/{quote(room_id)}?via={ana.server.name}"))[0] == 200
    await until(lambda: ana.membership(room_id, ben.user_id) is JOIN)
    police.policing.refuses = refuses_spam
    await set_state(ana, room_id, "m.room.policy", {"via": police.name, **police.policing.document})
    await until(lambda: ben.server.rooms[room_id].state.get("m.room.policy") is not None)
    return room_id


def lacks(server: Homeserver, room_id: str, event_id: str) -> bool:
    """Tell whether the stored event lacks the signature."""
    room = server.rooms[room_id]
    event: Any = room.events[event_id]  # type: ignore[index]  # text
    return PolicyServer.lacking(event, room.state) is not None


def has_come(user: Client, room_id: str, event_id: str) -> bool:
    return event_id in user.server.rooms[room_id].before


@pytest.mark.parametrize("version", ["1", "11", "12"])
@pytest.mark.parametrize("own", [True, False], ids=["of the room's server", "of the other one"])
def test_events_are_signed_before_they_are_sent(version: str, *, own: bool) -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        police = (ana if own else ben).server
        room_id = await a_policed_room(ana, ben, police, room_version=version)
        for user, other in ((ana, ben), (ben, ana)):
            event_id = await send(user, room_id, f"hello from {user.name}")
            await until(partial(has_come, other, room_id, event_id))
            assert not lacks(user.server, room_id, event_id)
            assert not lacks(other.server, room_id, event_id)
            assert other.server.rooms[room_id].receipts[event_id]  # type: ignore[index]  # text

            path = f"rooms/{quote(room_id)}/send/m.room.message/spam"
            status, answer = await user.call("PUT", path, said("buy spam"))
            assert (status, answer) == (400, {"errcode": "M_FORBIDDEN", "error": "no spam here"})

    played(scenario)


def test_memberships_are_signed_too() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        all_invite = {"power_level_content_override": {"invite": 0}}
        room_id = await a_policed_room(ana, ben, ana.server, **all_invite)
        cay = Client(ana.session, ben.server, "cay")
        assert await ben.act(room_id, "invite", user_id=cay.user_id) == (200, {})
        await until(lambda: ana.membership(room_id, cay.user_id) is INVITE)
        assert (await cay.post(f"join/{quote(room_id)}"))[0] == 200
        await until(lambda: ana.membership(room_id, cay.user_id) is JOIN)
        assert await ben.act(room_id, "leave") == (200, {})
        await until(lambda: ana.membership(room_id, ben.user_id) is LEAVE)
        for user in (ben, cay):
            event = ana.server.rooms[room_id].state.get("m.room.member", user.user_id)
            assert event is not None
            assert not lacks(ana.server, room_id, event.event_id)

    played(scenario)


def test_a_join_is_signed_before_it_is_passed_on() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat")
        police = ana.server.policing
        await set_state(ana, room_id, "m.room.policy", {"via": ana.server.name, **police.document})
        assert (await ben.post(f"join/{quote(room_id)}?via={ana.server.name}"))[0] == 200
        event = ana.server.rooms[room_id].state.get("m.room.member", ben.user_id)
        assert event is not None
        await until(lambda: not lacks(ana.server, room_id, event.event_id))

        assert await ben.act(room_id, "leave") == (200, {})
        await until(lambda: ana.membership(room_id, ben.user_id) is LEAVE)
        police.refuses = lambda _: "nobody comes in"
        assert (await ben.post(f"join/{quote(room_id)}?via={ana.server.name}"))[0] == 200
        await until(lambda: any("nobody" in error.error for error in ana.server.refusals))

    played(scenario)


def test_an_event_without_the_signature_gets_one_or_is_not_shown() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await a_policed_room(ana, ben, ana.server)
        room = ben.server.rooms[room_id]

        async def unsigned(text: str) -> tuple[str, bool]:
            """Send a message of Ben without the signature, and return the result at Ana's server."""
            event = ben.server.send(room, ben.user_id, "m.room.message", said(text))
            await ben.server.tell([ana.server.name], event)
            await until(lambda: event.event_id in ana.server.rooms[room_id].before)
            receipt = ana.server.rooms[room_id].receipts[event.event_id]
            return event.event_id, bool(receipt)

        event_id, taken = await unsigned("hello")
        assert taken
        assert not lacks(ana.server, room_id, event_id)
        event_id, taken = await unsigned("spam")
        assert not taken
        status, _ = await ana.call("GET", f"rooms/{quote(room_id)}/event/{event_id}")
        assert status == 404

    played(scenario)


def test_a_policy_server_that_is_gone_or_lies_stops_the_event() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await a_policed_room(ana, ben, ana.server)
        path = f"rooms/{quote(room_id)}/send/m.room.message/1"
        ana.server.policing.answer = lambda *_: {}  # type: ignore[method-assign]  # a lie
        status, answer = await ben.call("PUT", path, said("hello"))
        assert (status, answer["errcode"]) == (502, "M_UNKNOWN")
        ben.server.transport.reaches = lambda _: False
        status, answer = await ben.call("PUT", path, said("hello"))
        assert (status, answer["errcode"]) == (502, "M_UNKNOWN")

    played(scenario)


def test_the_key_document_is_public() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        url = f"http://{ana.server.name}/.well-known/matrix/policy_server"
        async with ana.session.get(url) as response:
            document = await response.json()
        assert shapes.misfits(document, shapes.POLICY_KEYS) == []
        assert document == ana.server.policing.document
        assert document["public_keys"]["ed25519"] != ana.server.signer.verify_key

    played(scenario)


def test_it_signs_only_in_rooms_that_name_it() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat")
        await ben.post(f"join/{quote(room_id)}?via={ana.server.name}")
        event = ben.server.send(ben.server.rooms[room_id], ben.user_id, "m.room.message", said("x"))
        for body in (event.pdu, b"{}", b"[]", b""):
            asked = Request("POST", "/_matrix/policy/v1/sign", (), body or None)
            answer = await ben.server.transport.ask(ana.server.name, asked)
            assert answer.status == 404
            assert shapes.misfits(answer.content, shapes.ERROR) == []

    played(scenario)


def test_signatures_are_asked_for_few_times_in_a_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("homeserver.transactions.MOST_ASKED_FOR", 2)

    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await a_policed_room(ana, ben, ana.server)
        room = ben.server.rooms[room_id]
        events = [
            ben.server.send(room, ben.user_id, "m.room.message", said(f"{number}"))
            for number in range(4)
        ]
        await ben.server.tell([ana.server.name], *events)
        kept = ana.server.rooms[room_id]
        await until(lambda: all(event.event_id in kept.before for event in events))
        assert [bool(kept.receipts[event.event_id]) for event in events] == [True] * 2 + [False] * 2
        await asyncio.sleep(0)

    played(scenario)


def test_the_tombstone_of_an_upgrade_is_signed() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await a_policed_room(ana, ben, ben.server)
        status, _ = await ana.act(room_id, "upgrade", new_version="12")
        assert status == 200
        await until(lambda: ben.server.rooms[room_id].state.get("m.room.tombstone") is not None)
        event = ben.server.rooms[room_id].state.get("m.room.tombstone")
        assert event is not None
        assert not lacks(ben.server, room_id, event.event_id)

    played(scenario)


def test_an_upgrade_that_the_policy_server_refuses_makes_no_room() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await a_policed_room(ana, ben, ben.server)
        ben.server.policing.refuses = lambda _: "stay"
        rooms = len(ana.server.rooms)
        status, answer = await ana.act(room_id, "upgrade", new_version="12")
        assert (status, answer["error"]) == (400, "stay"), answer
        assert len(ana.server.rooms) == rooms

    played(scenario)
