"""Laws of copies: a value that was pickled or copied equals the value, and goes on as it would."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings

from matrix_membership import RoomVersion, auth, federation, strategies
from matrix_membership.canonical_json import JsonObject
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    AnswerBudget,
    Attempt,
    Attempts,
    AwaitingValidity,
    ExchangeRequest,
    Failed,
    Handshake,
    InvitePolicy,
    KeyValidity,
    Knocked,
    Left,
    MakeRequest,
    MatrixError,
    OnBindRequest,
    PendingInvite,
    Refused,
    Reply,
    SendKnockResponse,
    SendLeaveResponse,
    StoredInvite,
)
from matrix_membership.federation.audit._report import Defect, Severity
from matrix_membership.federation.invites import Invited
from matrix_membership.identifiers import RoomID, ServerName, UserID
from matrix_membership.room_versions import KNOWN, V11, V12
from matrix_membership.strategies import Resident
from tests.builders import ANA, BEN, KEYS, a_room
from tests.federation.conversation import a_public_room, send_request, signed
from tests.federation.invites.test_invites import a_room as a_room_to_invite_to
from tests.federation.invites.test_invites import countersigned, offered_in, received
from tests.federation.signed_rooms import AT
from tests.laws.test_immutability import handed_out, values

MINE: Final = V11.evolve(identifier="org.example.mine")
VERSIONS: Final = (V11, V12)
C: Final = ServerName("c.example")
ROOM: Final = RoomID("!r:a.example")

COPIES: Final[dict[str, Callable[[Any], Any]]] = {
    "pickled": lambda value: pickle.loads(pickle.dumps(value)),
    "deeply": copy.deepcopy,
    "flatly": copy.copy,
}

HOLDING_FUNCTIONS: Final = ("room", "state over")
"""They hold functions of their caller, which may refuse to be pickled."""

WITHOUT_ID: Final = "odd create event"
"""Events without an ID equal no event, not even their copies."""


def answers(version: RoomVersion) -> Iterator[tuple[str, object]]:
    """Ends of handshakes, and what they are made of."""
    event, state = a_room(version).join(BEN), a_room(version).state
    error = MatrixError.forbidden(auth.check(event, state))
    attempt = Attempt(C, "make_join", Reply.FORBIDDEN, error)
    yield "forbidden", error
    yield "failed", Failed((attempt,))
    yield "refused", Refused(error)
    yield "knocked", Knocked(event, (), C, (attempt,))
    yield "left", Left(event, C, (attempt,))
    yield "handshake", Handshake(JOINING.membership, "make", "send", ("v1",), JOINING.response)
    yield "make request", MakeRequest(ROOM, BEN, "b.example", ("1",))
    yield "send request", send_request(signed(a_public_room(version)))
    yield "answer to a knock", SendKnockResponse(())
    yield "answer to a leave", SendLeaveResponse()
    yield "defect", Defect(Severity.DROPPED, "rejected", "by a rule", "$x", "$y", error.decision)
    yield "budget", AnswerBudget(max_bytes=1)


def invitations(version: RoomVersion) -> Iterator[tuple[str, object]]:
    """The messages of invites."""
    event = a_room(version).join(BEN)
    offered = offered_in(a_room_to_invite_to(version))
    request = received(offered)
    answered = countersigned(request, room_versions={version.identifier: version})
    pending = PendingInvite("email", "ben@b.example", UserID(BEN), ROOM, UserID(ANA), JsonObject())
    validity = KeyValidity("https://id.example", "A" * 43)
    yield "offered", offered
    yield "request", request
    yield "countersigned", answered
    yield "invited", Invited(event)
    yield "exchange", ExchangeRequest(ROOM, "b.example", JsonObject(a=1))
    yield "on bind", OnBindRequest("email", "ben@b.example", UserID(BEN), (pending,))
    yield "stored", StoredInvite("token", (JsonObject(),), "ben")
    yield "policy", InvitePolicy(block=("@eve:*",))
    yield "awaiting validity", AwaitingValidity(event, (validity,))


CASES: Final = [
    (f"{name}-{version}", value)
    for version in VERSIONS
    for source in (values, answers, invitations)
    for name, value in source(version)
    if name not in (*HOLDING_FUNCTIONS, WITHOUT_ID)
]


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
class TestACopy:
    @pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in CASES])
    def test_equals_the_value(self, value: object, made: Callable[[Any], Any]) -> None:
        assert made(value) == value

    @pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in CASES])
    def test_has_the_hash_of_the_value(self, value: object, made: Callable[[Any], Any]) -> None:
        assert hash(made(value)) == hash(value)

    @pytest.mark.parametrize("version", [*KNOWN.values(), MINE], ids=str)
    def test_of_a_version_serves_as_it(
        self, version: RoomVersion, made: Callable[[Any], Any]
    ) -> None:
        copied = made(version)
        assert (copied == version, hash(copied) == hash(version)) == (True, True)
        assert version is MINE or copied is version
        event, state = a_room(version).join(BEN), a_room(version).state
        assert auth.check(made(event), state) == auth.check(event, made(state))
        assert made(state).with_event(event) == made(state.with_event(event))

    @pytest.mark.parametrize("handshake", [JOINING, KNOCKING, LEAVING])
    def test_of_a_handshake_is_it(self, handshake: Handshake, made: Callable[[Any], Any]) -> None:
        assert made(handshake) is handshake

    @settings(max_examples=20)
    @given(resident=strategies.residents())
    def test_of_each_step_leads_to_the_same_end(
        self, resident: Resident, made: Callable[[Any], Any]
    ) -> None:
        step: Any = Attempts.begin(
            resident.handshake,
            resident.user,
            resident.room.room_id,
            servers=["a.example"],
            signer=resident.signer,
        )
        while isinstance(step, Attempts):
            other = made(step)
            if step.awaits_keys:
                step, other = step.receive_keys(KEYS), other.receive_keys(made(KEYS))
            else:
                status, body = resident.answer(step.request)
                step = step.receive(status, body, at=AT)
                other = other.receive(status, body, at=AT)
            assert (other, made(step)) == (step, step)


def test_every_value_of_federation_is_copied() -> None:
    found = {type(part) for _, value in CASES for _, part in handed_out(value, "", {})}
    exported: list[Any] = [getattr(federation, name) for name in federation.__all__]
    classes = {entry for entry in exported if isinstance(entry, type) and attrs.has(entry)}
    # A room, and an answer about it, hold functions of their caller, and a reader changes while it is fed.
    expected = {"AwaitingEvents", "ResidentRoom", "SendJoinReader"}
    assert {entry.__name__ for entry in classes - found} == expected


def test_a_version_equals_no_other() -> None:
    same = V11.evolve(identifier="org.example.mine")
    assert (same == MINE, same is MINE, hash(same) == hash(MINE)) == (True, False, True)
    assert V11 not in (MINE, V12, V11.evolve(identifier="11", auth_rules=10), "11")
    assert V12.evolve(identifier="org.example.mine") != MINE
