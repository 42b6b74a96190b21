"""The loops of docs/howto, with types: strict mypy accepts them without a cast."""

from __future__ import annotations

from typing import assert_type

import pytest
from hypothesis import find

from matrix_membership.canonical_json import JsonValue
from matrix_membership.federation import (
    JOINING,
    Attempts,
    AwaitingAcceptance,
    AwaitingKeys,
    Failed,
    HandshakeStep,
    Joined,
    Knocked,
    Left,
    MakeResponse,
    Refused,
    Request,
    SendJoinResponse,
)
from matrix_membership.room_versions import V11
from matrix_membership.server import End
from matrix_membership.strategies import residents

RESIDENT = find(residents(room_version=V11, handshake=JOINING), lambda _: True)
ROOM: str = RESIDENT.room.room_id
USER: str = RESIDENT.user
NOW = 1_700_000_000_000


def http(server: str, request: Request) -> tuple[int, JsonValue]:
    if server == "gone.example":
        raise ConnectionError("does not listen")
    return RESIDENT.answer(request)


def enter(user: str, room_id: str, servers: list[str]) -> End:
    attempt = Attempts.begin(JOINING, user, room_id, servers=servers, signer=RESIDENT.signer)
    while isinstance(attempt, Attempts):
        if attempt.awaits_keys:
            attempt = attempt.receive_keys(RESIDENT.keys)
            continue
        try:
            status, body = http(attempt.destination, attempt.request)
        except ConnectionError as error:
            attempt = attempt.unreachable(str(error))
        else:
            attempt = attempt.receive(status, body, at=NOW)
    assert_type(attempt, Joined | Knocked | Left | Failed)
    return attempt


def join_through(server: str, user: str, room_id: str) -> HandshakeStep:
    step: HandshakeStep = JOINING.begin(user, room_id, signer=RESIDENT.signer, resident=server)
    while not isinstance(step, (Joined, Knocked, Left, Refused)):
        if isinstance(step, AwaitingKeys):
            step = step.receive(RESIDENT.keys)
            continue
        _, body = http(server, step.request)
        if isinstance(step, AwaitingAcceptance):
            step = step.receive(SendJoinResponse.from_json(body))
        else:
            step = step.receive(MakeResponse.from_json(body), at=NOW)
    return step


class TestLoopOverAttempts:
    def test_ends_in_the_room(self) -> None:
        assert isinstance(enter(USER, ROOM, ["gone.example", "a.example"]), Joined)

    @pytest.mark.parametrize("servers", [[], ["gone.example"]])
    def test_ends_when_every_server_fails(self, servers: list[str]) -> None:
        assert isinstance(enter(USER, ROOM, servers), Failed)


class TestLoopOverSteps:
    def test_ends_in_the_room(self) -> None:
        assert isinstance(join_through("a.example", USER, ROOM), Joined)
