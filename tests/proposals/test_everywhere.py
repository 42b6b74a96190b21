"""An amended rulebook is honoured by all that judges events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth, client, may, who_may
from matrix_membership.auth import rejects
from matrix_membership.errors import RemoteProtocolError
from matrix_membership.fate import fate_of
from matrix_membership.federation import (
    JOINING,
    AwaitingAcceptance,
    MakeRequest,
    MakeResponse,
    MatrixError,
    ResidentRoom,
    SendJoinResponse,
    invites,
)
from matrix_membership.federation.drafts import draft
from matrix_membership.federation.resident import answer_make
from matrix_membership.machine import admit
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt import Disposition, receive
from matrix_membership.resolution import resolve
from matrix_membership.room_versions import V11
from matrix_membership.signing import Signer
from matrix_membership.strategies import auth_cases
from tests.builders import ANA, BEN, CAY, KEYS, SIGNER_A, SIGNER_B, Room, a_room
from tests.client.rooms import about, joins, resident
from tests.federation.conversation import (
    a_public_room,
    accepted,
    begin,
    fatal_codes,
    finish,
    make_request,
    sent,
)
from tests.federation.signed_rooms import AT, a_signed_room, with_state
from tests.histories import a_history
from tests.resolution.forks import a_fork
from tests.rule_cases import CASES, Case
from tests.strategies.minimal import minimal
from tests.vectors.rules import cases


@rejects("4.3.5a")
def of_a_guest(event: Event, state: RoomState) -> bool:
    """Only users of the creator's server join."""
    create = state.create_event
    return create is not None and event.server != create.server


@rejects("4.1a")
def of_another_without_reason(event: Event, _: RoomState) -> bool:
    """The membership of another user changes without a reason."""
    return event.sender != event.state_key and not event.content.get("reason")


MINE: Final = V11.evolve(
    identifier="org.example.mine",
    rules=auth.rulebook(V11)
    .insert(of_a_guest, before="join.public_room")
    .insert(of_another_without_reason, after="4.1"),
)
USUAL: Final = V11.evolve(identifier=MINE.identifier)
"""The same without the amendments."""


def number_of(decision: auth.Decision | None) -> str:
    assert decision is not None
    return decision.number


def number_in(answer: object) -> str:
    """The number of the rule that an answer to a request names; empty without one."""
    return number_of(answer.decision) if isinstance(answer, MatrixError) else ""


def public(version: RoomVersion) -> Room:
    return a_room(version).with_levels({ANA: 100}).with_join_rule("public")


def ben_joins(version: RoomVersion) -> tuple[Event, RoomState]:
    room = public(version)
    return room.join(BEN), room.state


def in_part(version: RoomVersion) -> auth.Decision:
    event, state = ben_joins(version)
    return auth.check(event, RoomState.of(version, state.events, partial=True))


def remedies(version: RoomVersion) -> set[str]:
    """The rules that decide after the remedies for a closed room."""
    room = a_room(version).with_levels({ANA: 100})
    return {each.decision.number for each in auth.explain(room.join(BEN), room.state).remedies}


def kick_out_of_band(version: RoomVersion) -> str:
    """The rule on a kick by somebody else than the sender of the invite that is held."""
    signer = Signer.from_seed("c.example", "ed25519:c", "C" * 42 + "A")
    levels = {"users": {ANA: 100, CAY: 50}}
    history = a_history(version).with_member(CAY, "join", signer=signer)
    history = history.with_state("m.room.power_levels", levels)
    history = history.with_member(BEN, "invite", sender=ANA)
    *shown, invite = history.events
    held = OutOfBand.invited(invite, at=0, room_state=shown)
    kick = history.member(BEN, "leave", sender=CAY, signer=signer)
    return number_of(held.receive(kick, at=1).decision)


def offered(version: RoomVersion) -> object:
    room = a_signed_room(version)
    template = draft(
        room, "m.room.member", BEN, sender=ANA, content={"membership": "invite"}, at=AT
    )
    return invites.offer(template.complete(SIGNER_A), room.state)


PLACES: Final[Mapping[str, tuple[Callable[[RoomVersion], str], str]]] = MappingProxyType(
    {
        "check": (lambda version: auth.check(*ben_joins(version)).number, "4.3.5a"),
        "check in part": (lambda version: in_part(version).number, "4.3.5a"),
        "explain": (lambda version: auth.explain(*ben_joins(version)).steps[-1].number, "4.3.5a"),
        "rules_of": (
            lambda version: f"{auth.rules_of(version).number_of('test_everywhere.of_a_guest')}",
            "4.3.5a",
        ),
        "may": (
            lambda version: number_of(may(BEN, public(version).state).join().decision),
            "4.3.5a",
        ),
        "may, of another": (
            lambda version: number_of(may(ANA, public(version).state).invite(BEN).decision),
            "4.1a",
        ),
        "who_may": (
            lambda version: f"{[*who_may(public(version).state, lambda user: user.invite(BEN))]}",
            "[]",
        ),
        "fate": (lambda version: fate_of(BEN, public(version).state).joining.number, "4.3.5a"),
        "client.join": (
            lambda version: number_in(
                client.join(
                    joins(BEN, "!r:a.example"), resident(public(version), "b.example"), at=0
                )
            ),
            "4.3.5a",
        ),
        "client.invite": (
            lambda version: number_in(
                client.invite(about(ANA, "!r:a.example", BEN), resident(public(version)), at=0)
            ),
            "4.1a",
        ),
        "invites.offer": (lambda version: number_in(offered(version)), "4.1a"),
        "out of band": (kick_out_of_band, "4.1a"),
    }
)


@pytest.mark.parametrize("place", PLACES)
def test_an_amended_rulebook_decides(place: str) -> None:
    ask, number = PLACES[place]
    assert ask(MINE) == number
    assert ask(USUAL) != number


def test_remedies_are_tried_with_the_amended_rules() -> None:
    assert "4.3.6" in remedies(USUAL)
    assert remedies(MINE) == set()


def test_on_receipt() -> None:
    history = a_history(MINE)
    event = history.member(BEN, "join", signer=SIGNER_B)
    receipt = receive(
        event.pdu,
        MINE,
        keys=KEYS,
        auth_events=history.events,
        state_before=history.state,
        current_state=history.state,
    )
    assert receipt.disposition is Disposition.REJECTED
    assert receipt.decision is not None
    assert receipt.decision.number == "4.3.5a"


def test_on_admission() -> None:
    room = a_room(MINE).with_join_rule("public")
    assert admit(room.join(BEN, signed_by={"b.example"}), room.state).decision.number == "4.3.5a"


def test_by_the_resident_server() -> None:
    room = with_state(a_signed_room(MINE), "m.room.join_rules", {"join_rule": "public"})
    request = MakeRequest(room.room_id, BEN, "b.example", (MINE.identifier,))
    answer = answer_make(JOINING, request, room, at=AT)
    assert isinstance(answer, MatrixError)
    assert answer.decision is not None
    assert answer.decision.number == "4.3.5a"


def test_by_the_joining_server() -> None:
    room, step = signed_by_another(MINE)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    with pytest.raises(RemoteProtocolError, match=r"4\.3\.5a"):
        finish(step, SendJoinResponse.from_bytes(response.to_bytes()))


def signed_by_another(version: RoomVersion) -> tuple[ResidentRoom, AwaitingAcceptance]:
    """A room that knows no amendments, and a signed join of a server that has this version."""
    room = a_public_room(USUAL)
    begun = begin(room, room_versions={version.identifier: version})
    template = answer_make(JOINING, make_request(room, begun), room, at=AT)
    assert isinstance(template, MakeResponse)
    step = begun.receive(MakeResponse.from_json(template.to_json()), at=AT)
    assert isinstance(step, AwaitingAcceptance)
    return room, step


def test_by_the_resident_server_that_gets_the_join() -> None:
    room, step = signed_by_another(USUAL)
    amended = a_public_room(MINE)
    assert amended.room_id == room.room_id
    answer = sent(amended, step)
    assert isinstance(answer, MatrixError)
    assert number_of(answer.decision) == "4.3.5a"


def test_by_the_audit_of_an_answer() -> None:
    room, step = signed_by_another(MINE)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    assert fatal_codes(step, response) == {"join_rejected"}


def test_by_state_resolution() -> None:
    usual, amended = (a_fork(version) for version in (V11, MINE))
    for fork, joined in ((usual, True), (amended, False)):
        late = fork.branch()
        late.member(CAY, CAY)  # a profile change, allowed in version 11 alone
        fork.add("m.room.topic", ANA, {})
        resolved = resolve(fork.version, [fork.state, late.state], fork.events).state
        place = ("m.room.member", CAY)
        assert (resolved.get(place) == late.state[place]) is joined


def test_by_drawn_cases() -> None:
    case = minimal(auth_cases(room_version=MINE), lambda case: case.decision.number == "4.3.5a")
    assert case.event.room_version is MINE


def test_by_vectors() -> None:
    def guest(version: RoomVersion) -> Case:
        return Case(*ben_joins(version))

    def kicked(version: RoomVersion) -> Case:
        room = public(version)
        return Case(room.kick(ANA, BEN), room.state)

    own = {"of_a_guest": guest, "of_another_without_reason": kicked}
    made = {**CASES, **{f"test_everywhere.{name}": make for name, make in own.items()}}
    vectors = {case["rule"]: case for case in cases(MINE, made)}
    for name, number in (("of_a_guest", "4.3.5a"), ("of_another_without_reason", "4.1a")):
        vector = vectors[f"test_everywhere.{name}"]
        event = Event.from_pdu(vector["event"], MINE)
        state = [Event.from_pdu(pdu, MINE) for pdu in vector["state"]]
        assert auth.check(event, RoomState.of(MINE, state)).number == vector["number"] == number
    # A join by oneself meets the other amended rule first, which stays silent.
    assert "test_everywhere.of_another_without_reason" in vectors["join.while_banned"]["silent"]
