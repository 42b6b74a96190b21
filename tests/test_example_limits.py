"""The example homeserver and too much of everything: it reads, asks, keeps and repeats within limits."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from homeserver import asked, joining, rooms, transactions
from homeserver.answers import Answer
from homeserver.asked import LARGEST_BODY, Asked
from homeserver.binding import BURST, MOST_INVITES
from homeserver.bounded import Bounded
from homeserver.client_endpoints import MOST_USERS
from homeserver.doing import MOST_SERVERS
from homeserver.inviting import MOST_OF_A_SERVER, MOST_OF_A_USER
from homeserver.server import MOST_REFUSALS, MOST_TASKS, Homeserver
from homeserver.transactions import Transactions
from homeserver.transport import LARGEST_ANSWER, LARGEST_ERROR, on_loopback
from matrix_membership import KNOWN, Event
from matrix_membership.canonical_json import encode
from matrix_membership.federation import (
    JOINING,
    MatrixError,
    Offered,
    OnBindRequest,
    Refused,
    Request,
)
from matrix_membership.federation.transactions import Transaction
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.membership import INVITE
from tests.stranger import FEDERATION, Stranger, attacked, forged, raw

SEND = f"{FEDERATION}/send/1"


def asked_by(host: Homeserver) -> list[str]:
    """The servers that a homeserver asks from now on."""
    asked: list[str] = []
    host.transport.witness = lambda *said: asked.append(said[1]) if said[3] is None else None
    return asked


class TestBodies:
    def test_are_not_read_of_those_who_are_not_known(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> tuple[int, int]:
            sent = 0

            async def endless() -> AsyncIterator[bytes]:
                nonlocal sent
                while True:
                    sent += 65_536
                    yield b" " * 65_536

            async with aiohttp.ClientSession() as session:
                url = f"http://{host.name}{SEND}"
                async with session.put(url, data=endless()) as response:
                    return response.status, sent

        status, sent = attacked(scenario)
        assert (status, sent < 16 * 1024 * 1024) == (401, True)

    @pytest.mark.parametrize("length_is_told", [False, True])
    def test_that_are_too_long_are_not_read_to_their_end(self, length_is_told: bool) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> int:
            body = b'{"x":"' + b"x" * LARGEST_BODY + b'"}'
            path = f"{FEDERATION}/exchange_third_party_invite/%21r"
            claim = Authorization.of(Request("PUT", path, (), body), host.name, stranger.signer)

            async def chunks() -> AsyncIterator[bytes]:
                yield body

            async with aiohttp.ClientSession() as session:
                url, headers = f"http://{host.name}{path}", {"Authorization": claim.headers[0]}
                data = body if length_is_told else chunks()
                async with session.put(url, data=data, headers=headers) as response:
                    return response.status

        assert attacked(scenario) == 413

    def test_of_clients_are_limited_too(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> tuple[int, Any]:
            ben = {"Authorization": "Bearer ben"}
            body = b'{"x":"' + b"x" * 100_000 + b'"}'
            return await raw(host, "POST", "/_matrix/client/v3/createRoom", body, ben)

        assert attacked(scenario)[0] == 413

    def test_that_do_not_come_are_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asked, "SECONDS", 0.05)

        async def scenario(host: Homeserver, _: Stranger) -> int:
            async def never() -> AsyncIterator[bytes]:
                yield b"{"
                await asyncio.Event().wait()

            async with aiohttp.ClientSession() as session:
                url = f"http://{host.name}{OnBindRequest.PATH}"
                async with session.put(url, data=never()) as response:
                    return response.status

        assert attacked(scenario) == 408

    def test_are_not_unpacked(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> tuple[int, Any]:
            packed = gzip.compress(b'{"x":"' + b"x" * 50_000 + b'"}')
            headers = {"Authorization": "Bearer ben", "Content-Encoding": "gzip"}
            return await raw(host, "POST", "/_matrix/client/v3/createRoom", packed, headers)

        assert attacked(scenario)[0] == 400


class TestAnswers:
    @pytest.mark.parametrize("length", [LARGEST_ANSWER, LARGEST_ANSWER + 1])
    def test_that_are_too_long_count_as_none(self, length: int) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> int:
            stranger.answers["/long"] = b"x" * length
            return (await host.transport.ask(stranger.name, Request("GET", "/long"))).status

        assert attacked(scenario) == (200 if length == LARGEST_ANSWER else 502)

    def test_that_tell_of_errors_are_short(self) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> int:
            error = {"errcode": "M_FORBIDDEN", "error": "x" * LARGEST_ERROR}
            stranger.answers["/error"] = web.json_response(error, status=403)
            return (await host.transport.ask(stranger.name, Request("GET", "/error"))).status

        assert attacked(scenario) == 502

    def test_do_not_send_us_elsewhere(self) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> list[str]:
            headers = {"Location": f"http://{stranger.name}/there", "Set-Cookie": "a=b"}
            stranger.answers["/here"] = web.Response(status=302, headers=headers)
            await host.transport.ask(stranger.name, Request("GET", "/here"))
            return stranger.asked

        assert attacked(scenario) == ["/here"]

    def test_are_not_unpacked(self) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> int:
            packed = gzip.compress(b" " * 1_000_000)
            packing = {"Content-Encoding": "gzip"}
            stranger.answers["/packed"] = web.Response(body=packed, headers=packing)
            answer = await host.transport.ask(stranger.name, Request("GET", "/packed"))
            return len(answer.body)

        assert attacked(scenario) < 10_000


class TestDestinations:
    @pytest.mark.parametrize("address", ["localhost", "localhost:80", "127.0.0.1:8008", "[::1]:2"])
    def test_on_this_machine_may_be_asked(self, address: str) -> None:
        assert on_loopback(address)

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "a.example",
            "10.0.0.1",
            "169.254.169.254:80",
            "[fe80::1]",
            "[::1",
            "192.0.2.1",
            "127.1",
        ],
    )
    def test_elsewhere_may_not(self, address: str) -> None:
        assert not on_loopback(address)

    def test_that_may_not_be_asked_are_not(self) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> tuple[int, list[str]]:
            host.transport.reaches = lambda _: False
            answer = await host.transport.ask(stranger.name, Request("GET", "/x"))
            return answer.status, stranger.asked

        assert attacked(scenario) == (502, [])


class TestTransactions:
    @pytest.mark.parametrize(
        ("name", "most"), [("pdus", Transaction.MOST_PDUS), ("edus", Transaction.MOST_EDUS)]
    )
    def test_are_counted(self, name: str, most: int) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> list[int]:
            bodies: list[dict[str, Any]] = [
                {"pdus": [], name: [{}] * count} for count in (most, most + 1)
            ]
            return [(await stranger.send(host, **body)).status for body in bodies]

        assert attacked(scenario) == [200, 400]

    def test_are_taken_once(self) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> list[Any]:
            room = host.create_room(f"@ana:{host.name}", "11")
            pdu = forged(room, stranger.signer, stranger.mal, "join")
            return [
                (await stranger.ask(host, "PUT", "send/same", {"pdus": pdus})).content
                for pdus in ([pdu], [], [pdu])
            ]

        first, *others = attacked(scenario)
        assert others == [first, first]
        assert len(first["pdus"]) == 1

    def test_of_one_server_wait_for_each_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transactions, "MOST_WAITING", 3)
        under_way = most = 0
        statuses: list[int] = []
        three_refused = asyncio.Event()
        take_all = Transactions.take_all

        async def counting(self: Transactions, asked: Asked) -> Answer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.wait_for(three_refused.wait(), 30)
            under_way -= 1
            return await take_all(self, asked)

        async def send(host: Homeserver, stranger: Stranger) -> None:
            statuses.append((await stranger.send(host)).status)
            if statuses.count(429) == 3:
                three_refused.set()

        async def scenario(host: Homeserver, stranger: Stranger) -> None:
            await asyncio.gather(*(send(host, stranger) for _ in range(6)))

        monkeypatch.setattr(Transactions, "take_all", counting)
        attacked(scenario)
        assert (statuses, most) == ([429] * 3 + [200] * 3, 1)


class TestOnBind:
    def test_asks_few_servers(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> tuple[list[int], int]:
            asks = asked_by(host)
            statuses = [await bound(host, count) for count in (MOST_INVITES + 1, MOST_INVITES)]
            await asyncio.sleep(0.1)
            return statuses, len(asks)

        statuses, asks = attacked(scenario)
        assert (statuses, asks <= MOST_INVITES) == ([400, 200], True)

    def test_is_not_asked_too_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Two more questions come free in two seconds, which a busy machine may take.
        now = Homeserver.now()
        monkeypatch.setattr(Homeserver, "now", lambda _: now)

        async def scenario(host: Homeserver, _: Stranger) -> list[int]:
            return [await bound(host, 0) for _ in range(BURST + 2)]

        statuses = attacked(scenario)
        assert (statuses[0], statuses[-1]) == (200, 429)


async def bound(host: Homeserver, count: int) -> int:
    """The status of an identity server's word on as many invites, each of another server."""
    user = f"@dan:{host.name}"
    who = {"medium": "email", "address": "d@d.example", "mxid": user}
    invites = [
        {
            **who,
            "room_id": "!r:a.example",
            "sender": f"@ana:127.0.0.1:{port}",
            "signed": {"mxid": user},
        }
        for port in range(1, count + 1)
    ]
    body = encode({**who, "invites": invites})
    return (await raw(host, "PUT", OnBindRequest.PATH, body))[0]


class TestInvites:
    @pytest.mark.parametrize(
        ("of_one_user", "most"), [(False, MOST_OF_A_SERVER), (True, MOST_OF_A_USER)]
    )
    def test_are_refused_when_there_are_too_many(self, of_one_user: bool, most: int) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> None:
            statuses = []
            for number in range(most + 1):
                user = f"@ben{'' if of_one_user else number}:{host.name}"
                room = stranger.room("11")
                lie = forged(room, stranger.signer, user, sender=stranger.mal)
                create = room.state.create_event
                assert create is not None
                event = Event.from_pdu(lie, KNOWN["11"]).with_signers([stranger.name])
                offered = Offered(event, (create,))
                statuses.append((await stranger.transport.ask(host.name, offered.request)).status)
            assert statuses == [200] * most + [429]
            assert all(held.membership is INVITE for held in host.held.values())

        attacked(scenario)


class TestRooms:
    def test_forget_what_was_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rooms, "MOST_EVENTS", 20)

        async def scenario(host: Homeserver, _: Stranger) -> None:
            ana = f"@ana:{host.name}"
            room = host.create_room(ana, "1")
            state = set(room.state.events)
            for _number in range(50):
                host.send(room, ana, "m.room.message", {})
            assert len(room.before) == 20
            assert state <= set(room.events.values())
            assert len(room.events) <= len(state) + 20

        attacked(scenario)

    def test_forget_what_soft_failed_and_what_was_rejected(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rooms, "MOST_EVENTS", 20)
        monkeypatch.setattr(rooms, "MOST_REJECTED", 5)

        async def scenario(host: Homeserver, stranger: Stranger) -> None:
            ana = f"@ana:{host.name}"
            room = host.create_room(ana, "11")
            assert (await stranger.member(host, room, "join", stranger.mal, "join")).status == 200
            options: dict[str, Any] = {
                "event_type": "m.room.message",
                "content": {},
                "sender": stranger.mal,
                "prev_events": list(room.prev_events),
            }
            said = [
                forged(room, stranger.signer, "x", **options, origin_server_ts=number)
                for number in range(40)
            ]
            for pdu in said:
                del pdu["state_key"]
            ban = {"membership": "ban"}
            host.send(room, ana, "m.room.member", ban, state_key=stranger.mal)
            tips = room.prev_events
            await stranger.send(host, *said)
            assert room.prev_events == tips
            assert len(room.before) <= 20
            assert len(room.receipts) <= 20
            eve = f"@eve:{stranger.name}"
            for number in range(10):
                await stranger.send(host, forged(room, stranger.signer, eve, "knock", depth=number))
            assert len(room.rejected) == 5

        attacked(scenario)


class TestTables:
    def test_forget_what_was_written_longest_ago(self) -> None:
        table: Bounded[int, str] = Bounded(2)
        for key, value in ((1, "a"), (2, "b"), (1, "c"), (3, "d")):
            table[key] = value
        assert dict(table) == {1: "c", 3: "d"}

    def test_of_refusals_keep_the_newest(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> int:
            for number in range(MOST_REFUSALS + 10):
                host.refuse(MatrixError.of("M_FORBIDDEN", str(number)))
            return len(host.refusals)

        assert attacked(scenario) == MOST_REFUSALS

    def test_of_users_forget_those_who_asked_long_ago(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> set[int]:
            path = "/_matrix/client/v3/join/nowhere"
            who = [{"Authorization": f"Bearer u{number}"} for number in range(20)]
            answers = await asyncio.gather(*(raw(host, "POST", path, b"{}", user) for user in who))
            return {status for status, _ in answers}

        assert attacked(scenario) == {400}
        assert MOST_USERS == 1000

    def test_of_what_is_under_way_are_bounded(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> int:
            done = asyncio.Event()
            started = 0

            async def work() -> None:
                nonlocal started
                started += 1
                await done.wait()

            for _number in range(MOST_TASKS + 10):
                host.in_background(work())
            await asyncio.sleep(0)
            done.set()
            return started

        assert attacked(scenario) == MOST_TASKS


class TestJoining:
    def test_asks_few_servers_however_many_are_named(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> tuple[int, int]:
            asks = asked_by(host)
            via = "&".join(f"via=127.0.0.1:{port}" for port in range(1, 101))
            path = f"/_matrix/client/v3/join/!r:127.0.0.1:1?{via}"
            ben = {"Authorization": "Bearer ben"}
            status, _ = await raw(host, "POST", path, b"{}", ben)
            return status, len(asks)

        status, asks = attacked(scenario)
        assert 400 <= status < 600
        assert asks <= MOST_SERVERS

    def test_ends_at_a_template_that_is_too_long(self) -> None:
        async def scenario(host: Homeserver, stranger: Stranger) -> Any:
            stranger.answers[f"{FEDERATION}/make_join/"] = b"{" + b" " * LARGEST_ANSWER + b"}"
            user = f"@ben:{host.name}"
            return await joining.converse(
                JOINING, host, user, "!r:a.example", resident=stranger.name
            )

        end = attacked(scenario)
        assert isinstance(end, Refused)
        assert end.error.status == 502
