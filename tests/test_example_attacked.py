"""The example homeserver, attacked from outside: forged events end in a refusal, in versions of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import pytest
from aiohttp import web

from homeserver import joining
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import Event
from matrix_membership.canonical_json import encode
from matrix_membership.federation import Offered, Request
from matrix_membership.federation.messages import path_of
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.signing import sign
from tests.stranger import VERSIONS, Stranger, attacked, forged, raw, references, stranger
from tests.test_examples import two_servers

EXEMPTIONS: Final[tuple[Any, ...]] = (None, 0, {}, {"signed": 1}, {"signed": {}})
"""What a forged invite says of a third party, which never spoke."""


def closed_room(host: Homeserver, version: str, **options: Any) -> Room:
    """A room that Ana alone is in."""
    return host.create_room(f"@ana:{host.name}", version, **{"join_rule": "invite", **options})


def invites(host: Homeserver, room: Room, stranger: Stranger, **options: Any) -> list[Any]:
    """Invites of Mal in Ana's name, which she did not send."""
    return [
        forged(
            room,
            stranger.signer,
            stranger.mal,
            sender=f"@ana:{host.name}",
            content={"membership": "invite", **named(exemption)},
            origin_server_ts=number,
            **options,
        )
        for number, exemption in enumerate(EXEMPTIONS)
    ]


def named(exemption: Any) -> Mapping[str, Any]:
    return {} if exemption is None else {"third_party_invite": exemption}


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_forged_invite_lets_nobody_in(version: str, spoilt: bool, signs: bool) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = closed_room(host, version)
        before = room.state
        for invite in invites(host, room, stranger, spoilt=spoilt, signs=signs):
            answer = await stranger.send(host, invite)
            assert all("error" in result for result in answer.content["pdus"].values())
            assert room.state == before
            join = await stranger.member(host, room, "join", stranger.mal, "join")
            assert (join.status, join.content["errcode"]) == (403, "M_FORBIDDEN")
            state = await stranger.state(host, room)
            assert (state.status, state.content["errcode"]) == (403, "M_FORBIDDEN")
        assert room.state == before

    attacked(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_forged_invite_in_an_answer_to_a_join_is_not_kept(version: str) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = stranger.room(version)
        victim = "@cay:c.example"
        ana = f"@ana:{host.name}"
        lies = invites(host, room, stranger, spoilt=True, signs=False)
        lies = [{**lie, "state_key": victim, "sender": "@eve:e.example"} for lie in lies]

        def tamper(answer: Any) -> Any:
            return {**answer, "state": [*answer["state"], *lies]}

        stranger.lets_in(host, room, tamper)
        await joining.join(host, ana, room.room_id, [stranger.name], omit_members=False)
        if room.room_id in host.rooms:  # refusing the answer is as good as leaving out the lies
            assert host.rooms[room.room_id].state.membership_of(victim) is LEAVE

    attacked(scenario)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("event_type", "content"),
    [
        ("m.room.power_levels", {"users": {}, "events_default": -1}),
        ("m.room.join_rules", {"join_rule": "public"}),
        ("m.room.create", {}),
        ("m.room.server_acl", {"allow": []}),
    ],
)
def test_state_that_nobody_signed_changes_nothing(
    version: str, event_type: str, content: dict[str, Any]
) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = closed_room(host, version)
        before = room.state
        ana = f"@ana:{host.name}"
        options: dict[str, Any] = {
            "sender": ana,
            "event_type": event_type,
            "content": content,
            "state_key": "",
        }
        for signs in (False, True):
            lie = forged(room, stranger.signer, ana, **options, signs=signs)
            assert (await stranger.send(host, lie)).status == 200
        assert room.state == before

    attacked(scenario)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("banned", [False, True])
def test_a_second_create_event_changes_nothing(version: str, banned: bool) -> None:
    """It is signed by a user of the server that the room ID names, which made the room."""

    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = stranger.room(version)
        ana = f"@ana:{host.name}"
        stranger.lets_in(host, room, lambda answer: answer)
        await joining.join(host, ana, room.room_id, [stranger.name], omit_members=False)
        ours = host.rooms[room.room_id]
        eve = f"@eve:{stranger.name}"
        if banned:
            ban = {"membership": "ban"}
            event = room.make(
                stranger.signer, stranger.mal, "m.room.member", ban, state_key=eve, at=3
            )
            await stranger.send(host, event.to_pdu())
            assert ours.state.membership_of(eve) is BAN
        created = ours.state.create_event
        content = {"creator": eve, "room_version": version}
        options: dict[str, Any] = {
            "event_type": "m.room.create",
            "content": content,
            "state_key": "",
        }
        first: dict[str, Any] = {"prev_events": [], "auth_events": [], "depth": 1}
        for more in ({}, first):
            second = forged(room, stranger.signer, eve, **options, **more)
            await stranger.send(host, second)
            assert ours.state.create_event == created

    attacked(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_held_invite_survives_a_stranger(version: str) -> None:
    """A server that knows room and user invites them too, and takes its own invite back."""

    async def run() -> None:
        async with two_servers() as (host, guest), stranger() as mal:
            room = closed_room(host, version)
            created = room.state.create_event
            assert created is not None
            ben = f"@ben:{guest.name}"
            path = quote(room.room_id)
            assert await act(host, "ana", f"rooms/{path}/invite", user_id=ben) == 200
            writing: dict[str, Any] = {"sender": mal.mal, "auth_events": [], "prev_events": []}
            lie = Event.from_pdu(forged(room, mal.signer, ben, **writing), room.version)
            offered = Offered(lie.with_signers([mal.name]), (created,))
            await mal.transport.ask(guest.name, offered.request)
            room.events[lie.event_id] = lie  # so that it can be referred to
            writing["auth_events"] = references(room, [lie.event_id])
            await mal.send(guest, forged(room, mal.signer, ben, "leave", **writing))
            assert guest.held[room.room_id, ben].membership is INVITE
            assert await act(guest, "ben", f"join/{path}") == 200
            assert room.state.membership_of(ben) is JOIN

    asyncio.run(run())


def forbidding(*_: object) -> web.Response:
    """A refusal."""
    return web.json_response({"errcode": "M_FORBIDDEN", "error": "no"}, status=403)


def test_a_stranger_who_invites_and_refuses_keeps_nobody_out() -> None:
    """The stranger's invite is newer, so it is shown first and its server is asked first."""

    async def run() -> None:
        async with two_servers() as (host, guest), stranger() as mal:
            mal.answers["/_matrix/federation/v1/make_join/"] = forbidding
            room = closed_room(host, "11")
            created = room.state.create_event
            assert created is not None
            ben = f"@ben:{guest.name}"
            path = quote(room.room_id)
            assert await act(host, "ana", f"rooms/{path}/invite", user_id=ben) == 200
            lie = Event.from_pdu(forged(room, mal.signer, ben, sender=mal.mal), room.version)
            offered = Offered(lie.with_signers([mal.name]), (created,))
            await mal.transport.ask(guest.name, offered.request)
            assert guest.held[room.room_id, ben].event.server == mal.name
            assert await act(guest, "ben", f"join/{path}") == 200
            assert any("make_join" in asked for asked in mal.asked)

    asyncio.run(run())


def test_a_server_that_refuses_whom_it_invited_is_not_believed() -> None:
    """The invite was withdrawn, but nobody told the guest: it stays, and the user may ask again."""

    async def run() -> None:
        async with two_servers() as (host, guest):
            room = closed_room(host, "11")
            ben = f"@ben:{guest.name}"
            path = quote(room.room_id)
            assert await act(host, "ana", f"rooms/{path}/invite", user_id=ben) == 200
            gone = {"membership": "leave"}
            ana = f"@ana:{host.name}"
            room.make(host.signer, ana, "m.room.member", gone, state_key=ben, at=host.now())
            assert await act(guest, "ben", f"join/{path}") == 403
            held = guest.held[room.room_id, ben]
            assert (held.membership, held.contradicted) == (INVITE, True)
            told = f"{host.name} signed your invite, and refuses you now: ask again; "
            assert guest.refusals[-1].error.startswith(told)

    asyncio.run(run())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_room_that_was_left_takes_no_events(version: str) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = closed_room(host, version, join_rule="public")
        assert (await stranger.member(host, room, "join", stranger.mal, "join")).status == 200
        assert await act(host, "ana", f"rooms/{quote(room.room_id)}/leave") == 200
        before = room.state
        leave = forged(room, stranger.signer, stranger.mal, "leave")
        answer = await stranger.send(host, leave)
        assert answer.content["pdus"] == {}
        assert room.state == before
        assert (await stranger.state(host, room)).status == 404

    attacked(scenario)


@pytest.mark.parametrize("version", ["1"])
def test_an_event_id_is_not_used_twice(version: str) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = closed_room(host, version, join_rule="public")
        assert (await stranger.member(host, room, "join", stranger.mal, "join")).status == 200
        event_id = room.prev_events[0]
        joined = room.events[event_id]
        again = {**forged(room, stranger.signer, stranger.mal, "leave", signs=False)}
        again["event_id"] = event_id
        event = sign(Event.from_pdu(again, room.version), stranger.signer)
        await stranger.send(host, event.to_pdu())
        path = path_of("v1", "send_leave", room.room_id, event_id)
        body = encode(event.to_pdu(), strict=False)
        await stranger.transport.ask(host.name, Request("PUT", path, (), body))
        assert room.events[event_id] == joined
        assert room.events[event_id].content["membership"] == "join"

    attacked(scenario)


async def act(server: Homeserver, user: str, path: str, **fields: Any) -> int:
    """The status of what a user asks of their own server."""
    headers = {"Authorization": f"Bearer {user}"}
    body = encode(fields)
    status, _ = await raw(server, "POST", f"/_matrix/client/v3/{path}", body, headers)
    return status
