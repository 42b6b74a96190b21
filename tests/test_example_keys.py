"""The example homeserver and keys that ran out, keys that were exchanged, and names of keys that nobody has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeserver.keys import MOST_ASKED, MOST_SERVERS, WAIT_MS
from homeserver.server import Homeserver
from matrix_membership import Signer
from matrix_membership.federation import Request
from matrix_membership.identifiers import ServerName
from tests.stranger import FEDERATION, KEY_PATH, Stranger, attacked, forged, published, raw

OTHER_SEED = "N" * 42 + "A"


class Clock:
    """A time that the test sets, in milliseconds since 1970."""

    def __init__(self, server: Homeserver) -> None:
        self.time = 1_000_000
        server.now = server.keys.now = lambda: self.time  # type: ignore[method-assign]  # the server's own clock


async def knows(host: Homeserver, stranger: Stranger) -> bool:
    """Tell whether the host believes who the stranger is."""
    return (await stranger.ask(host, "GET", "query/profile")).status == 200


def fetched(stranger: Stranger) -> int:
    """How often the stranger was asked for its keys."""
    return stranger.asked.count(KEY_PATH)


def test_a_key_that_ran_out_does_not_authenticate() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        clock = Clock(host)
        stranger.document = published(stranger.signer, until=clock.time + WAIT_MS)
        assert await knows(host, stranger)
        clock.time += WAIT_MS + 1
        assert not await knows(host, stranger)
        assert fetched(stranger) == 2

    attacked(scenario)


def test_a_key_that_runs_out_is_asked_for_again() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        clock = Clock(host)
        for number in range(1, 4):
            stranger.document = published(stranger.signer, until=clock.time + WAIT_MS)
            assert await knows(host, stranger)
            assert await knows(host, stranger)
            assert fetched(stranger) == number
            clock.time += WAIT_MS + 1

    attacked(scenario)


def test_a_key_that_its_server_calls_old_does_not_authenticate() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        clock = Clock(host)
        new = Signer.from_seed(stranger.name, "ed25519:2", OTHER_SEED)
        old = {"key": stranger.signer.verify_key, "expired_ts": clock.time - 1}
        stranger.document = published(new, old_verify_keys={"ed25519:1": old})
        assert not await knows(host, stranger)
        ring = await host.keys_for({ServerName(stranger.name): ["ed25519:1"]})
        assert ring.key(stranger.name, "ed25519:1") is not None  # old events are verified by it

    attacked(scenario)


def test_another_key_under_an_old_id_counts_once_the_old_one_ran_out() -> None:
    """As of a server that lost its key and started anew."""

    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        clock = Clock(host)
        stranger.document = published(stranger.signer, until=clock.time + 2 * WAIT_MS)
        assert await knows(host, stranger)
        other = Signer.from_seed(stranger.name, "ed25519:1", OTHER_SEED)
        stranger.document, stranger.transport.signer = published(other), other
        clock.time += WAIT_MS
        assert not await knows(host, stranger)
        assert fetched(stranger) == 1  # a wrong signature makes nobody ask
        clock.time += WAIT_MS + 1
        assert await knows(host, stranger)

    attacked(scenario)


def test_a_key_that_cannot_be_had_is_not_asked_for_at_once() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        clock = Clock(host)
        good, stranger.document = stranger.document, None
        for _ in range(3):
            assert not await knows(host, stranger)
        assert fetched(stranger) == 1
        stranger.document = good
        clock.time += WAIT_MS
        assert await knows(host, stranger)

    attacked(scenario)


def test_many_who_need_a_key_ask_once() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        needs = {ServerName(stranger.name): ["ed25519:1"]}
        rings = await asyncio.gather(*(host.keys_for(needs) for _ in range(20)))
        assert all(stranger.name in ring for ring in rings)
        assert fetched(stranger) == 1

    attacked(scenario)


@pytest.mark.parametrize(
    "document",
    [b"", b"[", b"[]", b"{}", b"x" * 70_000, b'{"a":' * 200 + b"1" + b"}" * 200],
    ids=["nothing", "half", "list", "empty", "long", "deep"],
)
def test_a_document_that_makes_no_sense_holds_no_key(document: bytes) -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        stranger.document = document
        assert not await knows(host, stranger)

    attacked(scenario)


def test_a_document_of_another_server_holds_no_key() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        victim = Signer.from_seed("a.example", "ed25519:1", OTHER_SEED)
        stranger.document = published(victim)
        needs = {ServerName(stranger.name): ["ed25519:1"], ServerName("a.example"): ["ed25519:1"]}
        ring = await host.keys_for(needs)
        assert list(ring.servers) == [host.name]

    attacked(scenario)


def test_names_of_keys_and_servers_in_a_pdu_cause_few_requests() -> None:
    """Only those whose signatures count are asked, each once, however many keys the PDUs name."""

    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        room = host.create_room(f"@ana:{host.name}", "11")
        assert await knows(host, stranger)
        asked: list[str] = []
        host.transport.witness = lambda *said: asked.append(said[1]) if said[3] is None else None
        pdus = []
        for number in range(50):
            pdu = forged(room, stranger.signer, f"@mal:127.0.0.1:{number + 1}", "join")
            names = {f"127.0.0.1:{port}": {"ed25519:x": "y"} for port in range(1, 200)}
            keys = {f"ed25519:{key}": "y" for key in range(100)}
            pdus.append({**pdu, "signatures": {**names, stranger.name: keys}})
        answer = await stranger.send(host, *pdus)
        assert len(answer.content["pdus"]) == 50
        assert len(asked) == MOST_ASKED
        assert len(set(asked)) == MOST_ASKED

    attacked(scenario)


def test_names_of_servers_in_headers_are_forgotten() -> None:
    async def scenario(host: Homeserver, _: Stranger) -> None:
        for number in range(MOST_SERVERS + 50):
            await host.keys_for({ServerName(f"{number}.example"): ["ed25519:1"]})
        assert len(host.keys.published) == MOST_SERVERS

    attacked(scenario)


def test_a_request_that_is_replayed_elsewhere_is_refused() -> None:
    async def scenario(host: Homeserver, stranger: Stranger) -> None:
        elsewhere = Stranger(stranger.name)
        elsewhere.transport.addresses = {"b.example": host.name}
        asked = Request("GET", f"{FEDERATION}/query/profile")
        assert (await elsewhere.transport.ask("b.example", asked)).status == 401
        await elsewhere.transport.close()

    attacked(scenario)


@pytest.mark.parametrize(
    "origin",
    ["10.0.0.1", "127.0.0.1:99999", "[::1", "metadata.example", "a" * 300, "127.0.0.1:0", "é", ""],
)
def test_an_origin_that_must_not_be_asked_is_refused(origin: str) -> None:
    async def scenario(host: Homeserver, _: Stranger) -> Any:
        header = f'X-Matrix origin="{origin}",key="ed25519:1",sig="x"'
        path = f"{FEDERATION}/query/profile"
        return await raw(host, "GET", path, headers={"Authorization": header})

    assert attacked(scenario)[0] == 401
