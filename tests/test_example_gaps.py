"""The example homeserver fetches what an event refers to, and judges again what had to wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from homeserver import gaps, joining
from homeserver.answers import Answer
from homeserver.rooms import Room
from homeserver.server import Homeserver
from matrix_membership import Event
from matrix_membership.federation import Joined
from matrix_membership.membership import BAN, LEAVE
from matrix_membership.receipt import Disposition
from tests.stranger import FEDERATION, VERSIONS, Stranger, attacked
from tests.test_examples import between_two, joined

MISSING = f"{FEDERATION}/get_missing_events/"
CHAIN = f"{FEDERATION}/event_auth/"


Told = Callable[[Homeserver, Stranger, Room, Room], Awaitable[Any]]


def in_a_room_of_a_stranger(version: str, told: Told) -> Any:
    """What comes of it when a homeserver joined a stranger's room: its own view comes last."""

    async def scenario(host: Homeserver, mal: Stranger) -> Any:
        room = mal.room(version)
        mal.lets_in(host, room, lambda answer: answer)
        end = await joining.join(
            host, f"@ana:{host.name}", room.room_id, [mal.name], omit_members=False
        )
        assert isinstance(end, Joined)
        mal.asked.clear()
        return await told(host, mal, room, host.rooms[room.room_id])

    return attacked(scenario)


def state(mal: Stranger, room: Room, kind: str, **content: Any) -> Event:
    return room.make(mal.signer, mal.mal, kind, content, state_key="", at=5)


def levels(mal: Stranger, room: Room, **content: Any) -> Event:
    users = {} if room.version.privileged_creators else {mal.mal: 100}
    return state(mal, room, "m.room.power_levels", users=users, **content)


def joins(mal: Stranger, room: Room, name: str) -> Event:
    user = f"@{name}:{mal.name}"
    join = {"membership": "join"}
    return room.make(mal.signer, user, "m.room.member", join, state_key=user, at=5)


def says(
    mal: Stranger, room: Room, localpart: str, kind: str = "m.room.message", **content: Any
) -> Event:
    user = f"@{localpart}:{mal.name}"
    key = {"m.room.message": None, "m.room.member": user}.get(kind, "")
    return room.make(mal.signer, user, kind, content, state_key=key, at=6)


def errors(answer: Answer) -> dict[str, Any]:
    """The events that a transaction's answer refuses."""
    pdus = answer.content["pdus"]
    return {event_id: said["error"] for event_id, said in pdus.items() if said}


class TestPreviousEvents:
    def test_are_fetched_and_taken_in_order(self) -> None:
        async def scenario(host: Homeserver, guest: Homeserver) -> tuple[Room, Room]:
            room, ours = await joined(host, guest, omit_members=False)
            ana = f"@ana:{host.name}"
            events = [
                host.send(room, ana, "m.room.topic", {"topic": str(number)}, state_key="")
                for number in range(5)
            ]
            await host.tell([guest.name], events[-1])
            return room, ours

        room, ours = between_two(scenario)
        assert ours.state == room.state
        assert list(ours.before)[-5:] == list(room.before)[-5:]

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        "said", [{}, {"events": None}, {"events": [1, {}]}, {"events": "x"}, b"{", [1]], ids=str
    )
    def test_that_cannot_be_had_are_left_out(self, version: str, said: Any) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> None:
            state(mal, room, "m.room.topic", topic="never sent")
            mal.answers[MISSING] = said
            name = state(mal, room, "m.room.name", name="x")
            assert errors(await mal.send(host, name.to_pdu())) == {}
            assert ours.state.get("m.room.name") == name
            assert ours.state.get("m.room.topic") is None

        in_a_room_of_a_stranger(version, told)

    def test_of_another_room_are_not_taken(self) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> int:
            other = [event.to_pdu() for event in mal.room("11").events.values()]
            state(mal, room, "m.room.topic", topic="never sent")
            mal.answers[MISSING] = {"events": other}
            await mal.send(host, state(mal, room, "m.room.name", name="x").to_pdu())
            return len(ours.before)

        assert in_a_room_of_a_stranger("11", told) == 1

    def test_cost_few_requests(self) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, _: Room) -> int:
            events = []
            for number in range(10):
                state(mal, room, "m.room.topic", topic=str(number))
                events.append(state(mal, room, "m.room.name", name=str(number)).to_pdu())
            mal.asked.clear()
            await mal.send(host, *events)
            return sum(path.startswith(FEDERATION) for path in mal.asked)

        assert in_a_room_of_a_stranger("11", told) == gaps.MOST_REQUESTS


@pytest.mark.parametrize("version", VERSIONS)
class TestAuthEvents:
    def test_are_fetched(self, version: str) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> None:
            allowed = levels(mal, room, state_default=0)
            mal.answers[CHAIN] = {"auth_chain": [allowed.to_pdu(), {}, 5]}
            name = state(mal, room, "m.room.name", name="x")
            assert errors(await mal.send(host, name.to_pdu())) == {}
            assert ours.state.get("m.room.name") == name
            # It is known as an auth event alone, so it is taken when it comes.
            assert not ours.knows(allowed.event_id)
            await mal.send(host, allowed.to_pdu())
            assert ours.knows(allowed.event_id)

        in_a_room_of_a_stranger(version, told)

    def test_that_nobody_signed_are_not_taken(self, version: str) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> None:
            forged = {**joins(mal, room, "bob").to_pdu(), "signatures": {}}
            mal.answers[CHAIN] = {"auth_chain": [forged]}
            said = says(mal, room, "bob")
            assert said.event_id in errors(await mal.send(host, said.to_pdu()))
            assert not ours.knows(said.event_id)

        in_a_room_of_a_stranger(version, told)

    def test_that_come_later_let_in_what_waited_for_them(self, version: str) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> None:
            join, said = joins(mal, room, "bob"), says(mal, room, "bob")
            away = says(mal, room, "bob", kind="m.room.member", membership="leave")
            refused = errors(await mal.send(host, away.to_pdu(), said.to_pdu()))
            assert set(refused) == {away.event_id, said.event_id}
            assert not ours.rejected
            assert errors(await mal.send(host, join.to_pdu())) == {}
            assert all(ours.knows(event.event_id) for event in (join, said, away))
            assert ours.state.membership_of(f"@bob:{mal.name}") is LEAVE
            assert not ours.rejected

        in_a_room_of_a_stranger(version, told)

    def test_that_come_later_do_not_undo_what_came_since(self, version: str) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> None:
            await mal.send(host, levels(mal, room, state_default=0).to_pdu())
            join = joins(mal, room, "bob")
            old = says(mal, room, "bob", kind="m.room.name", name="old")
            await mal.send(host, old.to_pdu())
            new = host.send(ours, f"@ana:{host.name}", "m.room.name", {"name": "new"}, state_key="")
            await mal.send(host, join.to_pdu())
            assert ours.knows(old.event_id)
            # The deeper event stands by algorithm 1, the newer one by the others.
            assert ours.state.get("m.room.name") == (old if version == "1" else new)

        in_a_room_of_a_stranger(version, told)

    def test_that_the_current_state_forbids_soft_fail_what_waited_for_them(
        self, version: str
    ) -> None:
        async def told(host: Homeserver, mal: Stranger, room: Room, ours: Room) -> None:
            join, said = joins(mal, room, "bob"), says(mal, room, "bob")
            await mal.send(host, said.to_pdu())
            ban = {"membership": "ban"}
            bob = f"@bob:{mal.name}"
            ours.make(mal.signer, mal.mal, "m.room.member", ban, state_key=bob, at=9)
            await mal.send(host, join.to_pdu())
            receipts = [ours.receipts[event.event_id] for event in (join, said)]
            assert {receipt.disposition for receipt in receipts} == {Disposition.SOFT_FAILED}
            assert ours.state.membership_of(bob) is BAN

        in_a_room_of_a_stranger(version, told)
