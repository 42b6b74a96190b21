"""The example's client-server endpoints: users of two servers join, knock, invite, kick and ban over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest

from homeserver import creating
from homeserver.server import Homeserver
from matrix_membership.federation import Offered
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.room_versions import V11
from tests import shapes
from tests.test_examples import two_servers

KNOCKING: Final = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}


class Client:
    """A user of one of the servers, as curl would be."""

    def __init__(self, session: aiohttp.ClientSession, server: Homeserver, name: str) -> None:
        self.session = session
        self.server = server
        self.name = name

    @property
    def user_id(self) -> str:
        """The user."""
        return f"@{self.name}:{self.server.name}"

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request and what came of it: status and body."""
        url = f"http://{self.server.name}/_matrix/client/v3/{path}"
        headers = {"Authorization": f"Bearer {self.name}"} if self.name else {}
        async with self.session.request(method, url, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def post(self, path: str, **fields: Any) -> tuple[int, Any]:
        """A POST."""
        return await self.call("POST", path, fields)

    async def room(self, **wanted: Any) -> str:
        """A new room's ID."""
        status, answer = await self.post("createRoom", **wanted)
        assert status == 200, answer
        assert shapes.misfits(answer, shapes.CREATED_ROOM) == []
        return str(answer["room_id"])

    async def act(self, room_id: str, action: str, **fields: Any) -> tuple[int, Any]:
        """What came of an action in a room."""
        return await self.post(f"rooms/{quote(room_id)}/{action}", **fields)

    def membership(self, room_id: str, user: str) -> Any:
        """What a user is to a room, as this server sees it."""
        return self.server.rooms[room_id].state.membership_of(user)


Scenario = Callable[[Client, Client], Awaitable[None]]


def played(scenario: Scenario) -> None:
    """Play a scenario between Ana of one server and Ben of another one."""

    async def run() -> None:
        async with two_servers() as (host, guest), aiohttp.ClientSession() as session:
            await scenario(Client(session, host, "ana"), Client(session, guest, "ben"))

    asyncio.run(run())


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    """The status and the code of an error."""
    return answer[0], str(answer[1].get("errcode"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what one server tells the other."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the example has no event to wait for
            await asyncio.sleep(0.02)


def test_a_user_joins_by_alias_and_leaves() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat", room_alias_name="talk")
        alias = quote(f"#talk:{ana.server.name}")
        assert await ben.post(f"join/{alias}", reason="hi") == (200, {"room_id": room_id})
        assert await ben.post(f"join/{alias}") == (200, {"room_id": room_id})
        joined: dict[str, Any] = {ana.user_id: {}, ben.user_id: {}}
        path = f"rooms/{quote(room_id)}/joined_members"
        assert await ben.call("GET", path) == (200, {"joined": joined})
        assert (await ben.act(room_id, "forget"))[0] == 400
        assert await ben.act(room_id, "leave") == (200, {})
        await until(lambda: ana.membership(room_id, ben.user_id) is LEAVE)
        assert await ben.act(room_id, "forget") == (200, {})
        assert (await ben.call("GET", path))[0] == 403

    played(scenario)


@pytest.mark.parametrize("version", ["1", "11", "12"])
def test_a_user_is_invited_as_the_room_is_made(version: str) -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        wanted = {"room_version": version, "preset": "trusted_private_chat", "is_direct": True}
        room_id = await ana.room(invite=[ben.user_id], **wanted)
        held = ben.server.held[room_id, ben.user_id]
        assert (held.membership, held.event.content["is_direct"]) == (INVITE, True)
        assert await ben.post(f"join/{quote(room_id)}") == (200, {"room_id": room_id})
        levels = [ana.server.rooms[room_id].state.power_level_of(who.user_id) for who in (ana, ben)]
        assert levels[0] == levels[1] >= 100

    played(scenario)


def test_an_invite_to_a_server_that_does_not_speak_the_version_is_refused() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        ben.server.room_versions = {"11": V11}
        answer = await ana.post("createRoom", invite=[ben.user_id])
        assert refused(answer) == (400, "M_UNSUPPORTED_ROOM_VERSION")
        assert await ana.post("createRoom", room_version="11", invite=[ben.user_id])

    played(scenario)


@pytest.mark.parametrize(("old", "new"), [("1", "2"), ("11", "12"), ("12", "12")])
def test_a_room_is_upgraded(old: str, new: str) -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat", room_version=old, room_alias_name="talk")
        alias = quote(f"#talk:{ana.server.name}")
        await ben.post(f"join/{alias}")
        assert refused(await ben.act(room_id, "upgrade", new_version=new))[1] == "M_FORBIDDEN"
        assert refused(await ana.act(room_id, "upgrade")) == (400, "M_MISSING_PARAM")
        status, answer = await ana.act(room_id, "upgrade", new_version=new)
        assert (status, shapes.misfits(answer, shapes.UPGRADED_ROOM)) == (200, [])
        seen = ben.server.rooms[room_id].state
        await until(lambda: ben.server.rooms[room_id].state.power_levels.events_default == 50)
        tombstone = ben.server.rooms[room_id].state.get("m.room.tombstone")
        assert tombstone is not None
        assert seen.get("m.room.tombstone") is None
        assert tombstone.content["replacement_room"] == answer["replacement_room"]
        assert await ben.post(f"join/{alias}") == (200, {"room_id": answer["replacement_room"]})
        assert ben.server.rooms[answer["replacement_room"]].version.identifier == new

    played(scenario)


def test_there_are_only_so_many_rooms_and_invites(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(ana: Client, _: Client) -> None:
        monkeypatch.setattr(creating, "MOST_ROOMS", 1)
        invite = [f"@{number}:a.example" for number in range(101)]
        answer = await ana.post("createRoom", invite=invite)
        assert refused(answer) == (403, "M_RESOURCE_LIMIT_EXCEEDED")
        room_id = await ana.room()
        for answer in (
            await ana.post("createRoom"),
            await ana.act(room_id, "upgrade", new_version="1"),
        ):
            assert refused(answer) == (403, "M_RESOURCE_LIMIT_EXCEEDED")

    played(scenario)


@pytest.mark.parametrize("version", ["1", "11", "12"])
def test_a_user_is_invited_and_joins(version: str) -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(room_version=version)
        assert (await ben.post(f"join/{quote(room_id)}"))[1]["errcode"] in (
            "M_FORBIDDEN",
            "M_NOT_FOUND",
        )
        assert await ana.act(room_id, "invite", user_id=ben.user_id) == (200, {})
        assert await ana.act(room_id, "invite", user_id=ben.user_id) == (200, {})
        assert await ben.post(f"join/{quote(room_id)}") == (200, {"room_id": room_id})
        await until(lambda: ana.membership(room_id, ben.user_id) is JOIN)

    played(scenario)


def test_an_invite_is_rejected_and_another_one_withdrawn() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room()
        await ana.act(room_id, "invite", user_id=ben.user_id)
        assert await ben.act(room_id, "leave", reason="no") == (200, {})
        await until(lambda: ana.membership(room_id, ben.user_id) is LEAVE)
        await ana.act(room_id, "invite", user_id=ben.user_id)
        assert await ana.act(room_id, "kick", user_id=ben.user_id) == (200, {})
        held = ben.server.held
        await until(lambda: held[room_id, ben.user_id].membership is LEAVE)
        status, answer = await ben.post(f"join/{quote(room_id)}?via={ana.server.name}")
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")

    played(scenario)


def test_an_invite_that_was_withdrawn_does_not_come_back() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room()
        await ana.act(room_id, "invite", user_id=ben.user_id)
        invite = ana.server.rooms[room_id].state.get("m.room.member", ben.user_id)
        assert invite is not None
        await ana.act(room_id, "kick", user_id=ben.user_id)
        held = ben.server.held
        await until(lambda: held[room_id, ben.user_id].membership is LEAVE)
        create = ana.server.rooms[room_id].state.create_event
        assert create is not None
        again = Offered(invite, (create,))
        answer = await ana.server.transport.ask(ben.server.name, again.request)
        assert (answer.status, held[room_id, ben.user_id].membership) == (200, LEAVE)

    played(scenario)


def test_an_invite_is_rejected_here_alone_when_nobody_answers() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room()
        await ana.act(room_id, "invite", user_id=ben.user_id)
        ana.server.rooms.clear()
        assert await ben.act(room_id, "leave") == (200, {})
        assert ben.server.held[room_id, ben.user_id].rejected_locally

    played(scenario)


def test_a_user_knocks_is_let_in_and_banned() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(initial_state=[KNOCKING], room_version="11")
        knock = f"knock/{quote(room_id)}"
        assert await ben.post(knock, reason="please") == (200, {"room_id": room_id})
        assert ana.membership(room_id, ben.user_id) is KNOCK
        told = ben.server.held[room_id, ben.user_id].room_state
        assert [event.type for event in told] == ["m.room.create", "m.room.join_rules"]
        await ana.act(room_id, "invite", user_id=ben.user_id)
        assert (await ben.post(f"join/{quote(room_id)}"))[0] == 200
        assert await ana.act(room_id, "ban", user_id=ben.user_id) == (200, {})
        await until(lambda: ben.membership(room_id, ben.user_id) is BAN)
        status, answer = await ben.act(room_id, "invite", user_id="@cay:c.example")
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
        assert await ana.act(room_id, "unban", user_id=ben.user_id) == (200, {})
        status, answer = await ana.act(room_id, "unban", user_id=ben.user_id)
        assert (status, answer["errcode"]) == (403, "M_BAD_STATE")

    played(scenario)


def test_a_knock_is_held_with_the_server_that_took_it() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(initial_state=[KNOCKING])
        asked = f"via=127.0.0.1:1&via={ana.server.name}"
        assert (await ben.post(f"knock/{quote(room_id)}?{asked}"))[0] == 200
        held = ben.server.held[room_id, ben.user_id]
        assert held.servers == {ana.server.name}

    played(scenario)


def test_a_user_of_the_same_server_joins_a_restricted_room_through_another_one() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        dan = Client(ana.session, ana.server, "dan")
        staff = await ana.room(preset="public_chat", room_version="10")
        room = ana.server.create_room(ana.user_id, "10", join_rule="restricted", allow=[staff])
        path = f"join/{quote(room.room_id)}"
        status, answer = await dan.post(path)
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
        await dan.post(f"join/{quote(staff)}")
        assert (await dan.post(path))[0] == 200
        join = room.state.get("m.room.member", dan.user_id)
        assert join is not None
        assert join.authorised_via == ana.user_id

    played(scenario)


def test_a_membership_is_set_as_state() -> None:
    async def scenario(ana: Client, ben: Client) -> None:
        room_id = await ana.room(preset="public_chat")
        await ben.post(f"join/{quote(room_id)}?via={ana.server.name}")
        path = f"rooms/{quote(room_id)}/state/m.room.member/{quote(ben.user_id)}"
        status, answer = await ben.call("PUT", path, {"membership": "join", "displayname": "B"})
        assert status == 200
        assert answer["event_id"] in ben.server.rooms[room_id].events

    played(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "errcode"),
    [
        ("join/nowhere", {}, 400, "M_INVALID_PARAM"),
        ("join/%23x%3A127.0.0.1", {}, 404, "M_NOT_FOUND"),
        ("join/!r:a.example", [], 400, "M_BAD_JSON"),
        ("rooms/!r:a.example/kick", {}, 400, "M_MISSING_PARAM"),
        ("rooms/!r:a.example/leave", {}, 404, "M_NOT_FOUND"),
        ("createRoom", {"room_version": "x"}, 400, "M_UNSUPPORTED_ROOM_VERSION"),
        ("createRoom", [], 400, "M_BAD_JSON"),
        ("createRoom", {"name": 1}, 400, "M_INVALID_PARAM"),
        ("createRoom", {"name": "x" * 65_000}, 400, "M_BAD_JSON"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    path: str, body: Any, status: int, errcode: str
) -> None:
    async def scenario(ana: Client, _: Client) -> None:
        answer = await ana.call("POST", path, body)
        assert (answer[0], answer[1]["errcode"]) == (status, errcode)

    played(scenario)


def test_who_does_not_say_who_they_are_is_refused() -> None:
    async def scenario(ana: Client, _: Client) -> None:
        nobody = Client(ana.session, ana.server, "")
        for path in ("createRoom", "join/!r:a.example"):
            status, answer = await nobody.post(path)
            assert (status, answer["errcode"]) == (401, "M_MISSING_TOKEN")

    played(scenario)


def test_who_asks_too_often_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # A server that takes 50 ms for a request, on a busy machine, never has too many of them.
    now = Homeserver.now()
    monkeypatch.setattr(Homeserver, "now", lambda _: now)

    async def scenario(ana: Client, _: Client) -> None:
        status, answer = await ana.post("join/nowhere")
        for _again in range(200):
            if status == 429:
                break
            status, answer = await ana.post("join/nowhere")
        assert answer["errcode"] == "M_LIMIT_EXCEEDED"
        assert answer["retry_after_ms"] > 0

    played(scenario)
