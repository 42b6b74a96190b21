"""The examples of the documentation run, and their own parts do what they say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest

import demo
from homeserver import joining
from homeserver.answers import Answer, listening
from homeserver.endpoints import Endpoints
from homeserver.rooms import Rejected, Room
from homeserver.server import Homeserver
from homeserver.transport import Transport
from matrix_membership import Signer
from matrix_membership.canonical_json import encode
from matrix_membership.federation import (
    KNOCKING,
    LEAVING,
    Joined,
    Knocked,
    Left,
    MatrixError,
    Refused,
    Request,
)
from matrix_membership.identifiers import RoomID, UserID
from matrix_membership.membership import JOIN, KNOCK, LEAVE
from matrix_membership.receipt import Disposition

A: Final = Signer.from_seed("a.example", "ed25519:a", "A" * 43)


class TestDemo:
    def test_turns_out_as_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert asyncio.run(demo.main()) == 0
        told = capsys.readouterr().out
        for rule in ("5.3.6 of room version 12", "4.3.5.3 of room version 11", "rule 5.3.3"):
            assert rule in told
        assert told.count("Ben is in") == 4
        assert told.count("Ben stays out") == 4

    def test_fails_when_something_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def other_story(self: demo.Story) -> None:
            self.demo.expect("something else", holds=False)

        monkeypatch.setattr(demo.Story, "public_room", other_story)
        assert asyncio.run(demo.main()) == 1


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[Homeserver, Homeserver]]:
    """A host and a guest that reach each other."""
    async with AsyncExitStack() as stack:
        servers = []
        for seed in ("C" * 42 + "A", "D" * 42 + "A"):
            listener = socket.create_server(("127.0.0.1", 0))
            name = f"127.0.0.1:{listener.getsockname()[1]}"
            signer = Signer.from_seed(name, "ed25519:1", seed)
            server = Homeserver(Transport(signer, scheme="http"))
            await stack.enter_async_context(listening(Endpoints(server).application(), listener))
            stack.push_async_callback(server.close)
            servers.append(server)
        yield servers[0], servers[1]


Scenario = Callable[[Homeserver, Homeserver], Awaitable[Any]]


def between_two(scenario: Scenario) -> Any:
    """What comes of a scenario between a host and a guest."""

    async def run() -> Any:
        async with two_servers() as (host, guest):
            return await scenario(host, guest)

    return asyncio.run(run())


def get(path: str, *query: tuple[str, str]) -> Request:
    return Request("GET", f"/_matrix/federation/v1/{path}", query)


def asked(request: Request) -> MatrixError:
    """What the host answers to a request of the guest, who is in none of its rooms."""

    async def scenario(host: Homeserver, guest: Homeserver) -> Answer:
        return await guest.transport.ask(host.name, request)

    answer: Answer = between_two(scenario)
    return MatrixError.from_json(answer.content, status=answer.status)


async def joined(host: Homeserver, guest: Homeserver, **options: Any) -> tuple[Room, Room]:
    """A room of the host as both servers have it after Ben joined."""
    room = host.create_room(f"@ana:{host.name}", "11")
    end = await joining.join(guest, f"@ben:{guest.name}", room.room_id, [host.name], **options)
    assert isinstance(end, Joined), end
    return room, guest.rooms[room.room_id]


class TestEndpoints:
    @pytest.mark.parametrize(
        ("request_", "status", "errcode"),
        [
            (get("openid/userinfo"), 404, "M_UNRECOGNIZED"),
            (Request("PUT", "/_matrix/federation/v1/version"), 404, "M_UNRECOGNIZED"),
            (get("make_join/!r:a.example/@ben:b.example"), 404, "M_NOT_FOUND"),
            (get("state/!r:a.example", ("event_id", "$e")), 404, "M_NOT_FOUND"),
            (get("event/$e"), 404, "M_NOT_FOUND"),
            (get("query/directory", ("room_alias", "#r:a.example")), 404, "M_NOT_FOUND"),
        ],
    )
    def test_refuse(self, request_: Request, status: int, errcode: str) -> None:
        error = asked(request_)
        assert (error.status, error.errcode) == (status, errcode)

    @pytest.mark.parametrize(("body", "status"), [(b"", 401), (b"{", 401)])
    def test_refuse_who_does_not_sign(self, body: bytes, status: int) -> None:
        async def scenario(host: Homeserver, _: Homeserver) -> int:
            url = f"http://{host.name}/_matrix/federation/v1/send/1"
            async with aiohttp.ClientSession() as session, session.put(url, data=body) as answer:
                return answer.status

        assert between_two(scenario) == status

    def test_refuse_who_signs_with_a_wrong_key(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> int:
            wrong = Signer.from_seed(guest.name, "ed25519:1", "E" * 42 + "A")
            transport = Transport(wrong, scheme="http")
            answer = await transport.ask(host.name, get("event/$e"))
            await transport.close()
            return answer.status

        assert between_two(scenario) == 401


class TestHistory:
    def test_is_closed_to_servers_that_are_not_in_the_room(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> list[int]:
            room = host.create_room(f"@ana:{host.name}")
            newest = room.prev_events[0]
            paths = (f"state/{room.room_id}", f"event_auth/{room.room_id}/{newest}")
            asks = [guest.transport.ask(host.name, get(path)) for path in paths]
            return [answer.status for answer in await asyncio.gather(*asks)]

        assert between_two(scenario) == [403, 403]

    def test_gives_the_state_before_an_event(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[Any, Room]:
            room, ours = await joined(host, guest)
            asks = get(f"state_ids/{room.room_id}", ("event_id", ours.prev_events[0]))
            return (await guest.transport.ask(host.name, asks)).content, room

        answer, room = between_two(scenario)
        before = room.before[room.prev_events[0]]
        assert set(answer["pdu_ids"]) == {event.event_id for event in before.events}
        assert set(answer["auth_chain_ids"]) <= set(answer["pdu_ids"])

    def test_gives_what_came_before_and_between(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[Any, Any, list[Any]]:
            room, _ = await joined(host, guest)
            line = list(room.before)
            path = f"backfill/{room.room_id}"
            older = get(path, ("v", line[-1]), ("limit", "2"))
            body = f'{{"earliest_events":["{line[1]}"],"latest_events":["{line[4]}"]}}'
            missing = f"/_matrix/federation/v1/get_missing_events/{room.room_id}"
            between = Request("POST", missing, (), body.encode())
            answers = [await guest.transport.ask(host.name, asks) for asks in (older, between)]
            return answers[0].content["pdus"], answers[1].content["events"], line

        older, between, line = between_two(scenario)
        assert [pdu["depth"] for pdu in older] == [len(line), len(line) - 1]
        assert [pdu["depth"] for pdu in between] == [3, 4]


class TestSpaces:
    def test_are_told_to_servers_that_may_learn_of_them(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[Any, Any]:
            ana, rooms = f"@ana:{host.name}", []
            for rule in ("public", "invite"):
                room = host.create_room(ana)
                content = {"join_rule": rule}
                host.send(room, ana, "m.room.join_rules", content, state_key="")
                rooms.append(room.room_id)
            asks = [get(f"hierarchy/{room_id}") for room_id in rooms]
            answers = [await guest.transport.ask(host.name, request) for request in asks]
            return answers[0].content["room"], answers[1].status

        told, status = between_two(scenario)
        assert (told["join_rule"], told["num_joined_members"], status) == ("public", 1, 404)


class TestJoining:
    def test_goes_on_to_the_next_server(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> Any:
            room = host.create_room(f"@ana:{host.name}")
            nobody = "127.0.0.1:1"
            via = [nobody, host.name]
            return await joining.join(guest, f"@ben:{guest.name}", room.room_id, via)

        assert isinstance(between_two(scenario), Joined)

    def test_needs_a_server(self) -> None:
        async def scenario(_: Homeserver, guest: Homeserver) -> Any:
            return await joining.join(guest, f"@ben:{guest.name}", "!r:a.example", [])

        end = between_two(scenario)
        assert end == Refused(MatrixError.of("M_NOT_FOUND", "expected at least one server to ask"))

    def test_does_not_believe_a_template_for_somebody_else(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def lie(_: Endpoints, *__: object) -> Answer:
            return Answer.of({"event": {"type": "m.room.member"}, "room_version": "11"})

        async def scenario(host: Homeserver, guest: Homeserver) -> Any:
            return await joining.join(guest, f"@ben:{guest.name}", "!r:a.example", [host.name])

        monkeypatch.setattr(Endpoints, "make", lambda self, _: lie)
        end = between_two(scenario)
        assert (end.error.status, end.try_another_server) == (502, True)

    def test_is_followed_by_the_whole_state(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[Room, Room]:
            room, ours = await joined(host, guest)
            assert ours.state.is_partial
            said = host.send(room, f"@ana:{host.name}", "m.room.topic", {}, state_key="")
            await host.tell([guest.name], said)
            assert ours.receipts[said.event_id].provisional
            assert ours.receipts[said.event_id].disposition is Disposition.ACCEPTED
            assert await joining.complete(guest, ours)
            return room, ours

        room, ours = between_two(scenario)
        assert ours.state == room.state
        assert ours.prev_events == room.prev_events

    def test_has_siblings_that_knock_and_leave(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> list[Any]:
            ben = f"@ben:{guest.name}"
            room = host.create_room(f"@ana:{host.name}", join_rule="knock")
            seen = []
            for handshake in (KNOCKING, LEAVING):
                end = await joining.converse(
                    handshake, guest, ben, room.room_id, resident=host.name
                )
                seen += [type(end), room.state.membership_of(ben)]
            return seen

        assert between_two(scenario) == [Knocked, KNOCK, Left, LEAVE]


class TestEventsOfOthers:
    def test_are_kept_when_the_rules_allow_them(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> bool:
            room, ours = await joined(host, guest)
            said = guest.send(ours, f"@ben:{guest.name}", "m.room.message", {"body": "hi"})
            await guest.tell([host.name], said)
            return said.event_id in room.events

        assert between_two(scenario)

    def test_are_refused_when_they_do_not(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[bool, bool]:
            room, ours = await joined(host, guest, omit_members=False)
            ben = f"@ben:{guest.name}"
            ban = {"membership": "ban"}
            host.send(room, f"@ana:{host.name}", "m.room.member", ban, state_key=ben)
            said = guest.send(ours, ben, "m.room.message", {"body": "hi"})
            await guest.tell([host.name], said)
            soft_failed = room.receipts[said.event_id].disposition is Disposition.SOFT_FAILED
            return soft_failed, said.event_id in room.prev_events

        assert between_two(scenario) == (True, False)

    def test_are_judged_here_before_they_are_sent(self) -> None:
        async def scenario(host: Homeserver, _: Homeserver) -> None:
            room = host.create_room(f"@ana:{host.name}")
            host.send(room, f"@eve:{host.name}", "m.room.message", {"body": "hi"})

        with pytest.raises(Rejected) as rejected:
            between_two(scenario)
        assert rejected.value.decision.number == "6"

    @pytest.mark.parametrize("body", [b'{"pdus":[]}', b'{"pdus":[1,{"room_id":"!r:a"}]}'])
    def test_may_be_none(self, body: bytes) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[int, dict[str, Any]]:
            path = "/_matrix/federation/v1/send/1"
            answer = await guest.transport.ask(host.name, Request("PUT", path, (), body))
            return answer.status, answer.content["pdus"]

        status, results = between_two(scenario)
        assert (status, set(results) <= {""}) == (200, True)

    @pytest.mark.parametrize(
        "body", [b"[]", b'{"pdus":1}', b'{"edus":[]}', b'{"pdus":[],"edus":1}']
    )
    def test_come_in_lists(self, body: bytes) -> None:
        error = asked(Request("PUT", "/_matrix/federation/v1/send/1", (), body))
        assert (error.status, error.errcode) == (400, "M_BAD_JSON")

    def test_are_refused_without_a_signature(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[bool, bool]:
            room, ours = await joined(host, guest)
            said = guest.send(ours, f"@ben:{guest.name}", "m.room.message", {"body": "hi"})
            pdu = {**said.to_pdu(), "signatures": {}}
            path = "/_matrix/federation/v1/send/1"
            sent = Request("PUT", path, (), encode({"pdus": [pdu]}, strict=False))
            answer = await guest.transport.ask(host.name, sent)
            error = answer.content["pdus"][said.event_id]["error"]
            return error.startswith("dropped by check 2"), said.event_id in room.events

        assert between_two(scenario) == (True, False)


class TestKeys:
    def test_of_another_server_are_not_believed(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[bool, bool]:
            address, host.signer, host.name = host.name, A, A.server_name
            keys = await guest.keys_for({address: ["ed25519:a"]})
            return address in keys, A.server_name in keys

        assert between_two(scenario) == (False, False)

    def test_are_fetched_once(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> int:
            requests: list[str] = []
            guest.transport.witness = lambda *said: requests.append(said[2].path)
            for _ in range(2):
                await guest.keys_for({host.name: ["ed25519:1"]})
            return len(requests)

        assert between_two(scenario) == 2  # the request and its answer


class TestMembership:
    def test_is_unknown_where_we_cannot_look(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> list[Any]:
            room, _ = await joined(host, guest)
            ben, fan = UserID(f"@ben:{guest.name}"), UserID(f"@fan:{host.name}")
            return [
                host.membership(ben, room.room_id),
                host.membership(fan, room.room_id),
                guest.membership(fan, room.room_id),  # its members were omitted
                guest.membership(ben, RoomID("!elsewhere:a.example")),
            ]

        assert between_two(scenario) == [JOIN, LEAVE, None, None]
