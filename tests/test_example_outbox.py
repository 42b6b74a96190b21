"""The example homeserver's outbox: what other servers do not take at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from homeserver import outbox
from homeserver.outbox import Outbox, growing
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership.federation import MatrixError
from tests.stranger import FEDERATION, Stranger, attacked

SEND = f"{FEDERATION}/send/"


class Taking:
    """Takes transactions, or says something else.

    Attributes:
        says: what to answer to the first ones: status and body.
        came: transaction IDs with the bodies of the messages in it.
    """

    def __init__(self, *says: tuple[int, Any]) -> None:
        self.says = list(says)
        self.came: list[tuple[str, list[str]]] = []
        self.under_way = self.most_under_way = 0

    async def respond(self, parts: list[str], body: bytes) -> web.Response:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        said = [pdu["content"].get("body", pdu["type"]) for pdu in json.loads(body)["pdus"]]
        self.came.append((parts[-1], said))
        status, content = self.says.pop(0) if self.says else (200, {"pdus": {}})
        return web.json_response(content, status=status)

    def __call__(self, parts: list[str], body: bytes) -> Any:
        return self.respond(parts, body)


def sending(
    host: Homeserver, mal: Stranger, taking: Taking, pause: Callable[[int], float] = lambda _: 0.0
) -> Room:
    """A room from which the host sends to the stranger."""
    mal.answers[SEND] = taking
    host.outbox.pause = pause
    return host.create_room(f"@ana:{host.name}")


def said(host: Homeserver, room: Room, text: str) -> Any:
    return host.send(room, f"@ana:{host.name}", "m.room.message", {"body": text})


async def until_sent(host: Homeserver) -> None:
    """Wait until the outbox is empty; the test ends with an error if it never is."""
    lines = list(host.outbox.lines.values())
    async with asyncio.timeout(30):
        await asyncio.gather(*(line.task for line in lines if line.task is not None))


REPEATED = [
    (503, {"errcode": "M_UNKNOWN", "error": "down"}),
    (429, {"errcode": "M_LIMIT_EXCEEDED", "error": "slower", "retry_after_ms": 1}),
    (429, {"errcode": "M_LIMIT_EXCEEDED", "error": "slower", "retry_after_ms": True}),
    (502, "no JSON object"),
]


class TestTransactions:
    def test_go_one_at_a_time_in_order(self) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> Taking:
            taking = Taking()
            room = sending(host, mal, taking)
            for number in range(60):
                host.outbox.put([mal.name], said(host, room, str(number)))
            await host.tell([mal.name, host.name], said(host, room, "last"))
            return taking

        taking = attacked(scenario)
        texts = [text for _, came in taking.came for text in came]
        assert texts == [*map(str, range(60)), "last"]
        assert max(len(came) for _, came in taking.came) == outbox.MOST_PDUS
        assert len({transaction for transaction, _ in taking.came}) == len(taking.came)
        assert taking.most_under_way == 1

    def test_are_repeated_until_they_are_taken(self) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> Taking:
            taking = Taking(*REPEATED)
            room = sending(host, mal, taking)
            await host.tell([mal.name], said(host, room, "first"))
            host.outbox.put([mal.name], said(host, room, "second"))
            await until_sent(host)
            return taking

        came = attacked(scenario).came
        assert [texts for _, texts in came] == [["first"]] * 5 + [["second"]]
        assert len({transaction for transaction, _ in came[:5]}) == 1
        assert came[4][0] != came[5][0]

    def test_that_are_refused_do_not_stop_the_next_ones(self) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> tuple[Taking, list[MatrixError]]:
            taking = Taking((403, {"errcode": "M_FORBIDDEN", "error": "no"}))
            room = sending(host, mal, taking)
            for text in ("first", "second"):
                await host.tell([mal.name], said(host, room, text))
            return taking, list(host.refusals)

        taking, refusals = attacked(scenario)
        assert [texts for _, texts in taking.came] == [["first"], ["second"]]
        assert refusals == [MatrixError.of("M_FORBIDDEN", "no")]


class TestServerThatIsDown:
    def test_gets_everything_when_it_is_heard_from(self) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> Taking:
            taking = Taking()
            room = sending(host, mal, taking, lambda _: 1000.0)
            address = host.transport.addresses
            host.transport.addresses = {mal.name: "127.0.0.1:1"}
            for text in ("first", "second"):
                await host.tell([mal.name], said(host, room, text))
            assert taking.came == []
            host.transport.addresses = address
            await mal.ask(host, "GET", "query/profile", user_id="@ana")
            await until_sent(host)
            return taking

        assert [texts for _, texts in attacked(scenario).came] == [["first"], ["second"]]

    def test_does_not_keep_the_process_from_ending(self) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> int:
            taking = Taking(*[(503, {})] * 9)
            room = sending(host, mal, taking, lambda _: 1000.0)
            await host.tell([mal.name], said(host, room, "first"))
            await host.close()
            return len(taking.came)

        assert attacked(scenario) == 2

    def test_loses_only_the_oldest_events(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> Taking:
            monkeypatch.setattr(outbox, "MOST_WAITING", 3)
            taking = Taking((503, {}))
            room = sending(host, mal, taking, lambda _: 1000.0)
            await host.tell([mal.name], said(host, room, "0"))
            host.outbox.put([mal.name], *(said(host, room, str(number)) for number in range(1, 9)))
            host.outbox.heard_from(mal.name)
            await until_sent(host)
            return taking

        texts = [texts for _, texts in attacked(scenario).came]
        assert texts == [["0"], ["0"], ["6", "7", "8"]]

    def test_gets_nothing_if_too_many_are_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scenario(host: Homeserver, mal: Stranger) -> tuple[Taking, list[MatrixError]]:
            monkeypatch.setattr(outbox, "MOST_LINES", 0)
            taking = Taking()
            await host.tell([mal.name], said(host, sending(host, mal, taking), "first"))
            return taking, list(host.refusals)

        taking, refusals = attacked(scenario)
        assert taking.came == []
        assert [error.errcode for error in refusals] == ["M_LIMIT_EXCEEDED"]


class TestPause:
    def test_grows_up_to_an_hour(self) -> None:
        assert [growing(failures) for failures in (1, 2, 3, 12, 13, 10_000)] == [
            1.0,
            2.0,
            4.0,
            2048.0,
            3600.0,
            3600.0,
        ]

    def test_may_be_chosen(self) -> None:
        async def scenario(host: Homeserver, _: Stranger) -> float:
            box = Outbox(host.transport, host.now, host.refusals.append, pause=lambda _: 5.0)
            return box.pause(1)

        assert attacked(scenario) == 5.0
