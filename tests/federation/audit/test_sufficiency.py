"""An answer to send_join suffices, holds nothing that could go, and is of one state; others are found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix_membership import RoomVersion
from matrix_membership._attrs import evolve
from matrix_membership.federation import JOINING, MakeResponse, SendJoinResponse
from matrix_membership.federation.audit.sufficiency import shortcomings
from matrix_membership.federation.handshake import AwaitingAcceptance
from matrix_membership.room_versions import V11, V12
from matrix_membership.strategies import Resident, residents
from tests.builders import ANA, VERSIONS, everywhere
from tests.federation.conversation import a_public_room, a_restricted_room, accepted, signed
from tests.federation.signed_rooms import with_member, with_state

Pdu = dict[str, Any]


def answered(
    version: RoomVersion = V11, *, omit_members: bool = False
) -> tuple[AwaitingAcceptance, SendJoinResponse]:
    """A join to a room with members, a history and a name of its own, and the answer."""
    room = a_public_room(version)
    for name in ("carl", "dora"):
        room = with_member(room, f"@{name}:a.example", "join")
    room = with_state(room, "m.room.name", {"name": "a room"})
    step = signed(room, omit_members=omit_members)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    return step, response


def faults(step: AwaitingAcceptance, response: SendJoinResponse) -> set[str]:
    """The kinds of what is wrong."""
    return {found.code for found in shortcomings(response, step.event)}


def without(pdus: tuple[bytes, ...], kind: str, key: str = "") -> tuple[bytes, ...]:
    """The PDUs but for one place."""
    return tuple(
        pdu
        for pdu in pdus
        if (json.loads(pdu)["type"], json.loads(pdu)["state_key"]) != (kind, key)
    )


def only(pdus: tuple[bytes, ...], kind: str) -> tuple[bytes, ...]:
    """The PDUs of one type."""
    return tuple(pdu for pdu in pdus if json.loads(pdu)["type"] == kind)


class TestOurAnswers:
    @everywhere
    @pytest.mark.parametrize("omit_members", [True, False])
    def test_have_no_shortcomings(self, version: RoomVersion, omit_members: bool) -> None:
        step, response = answered(version, omit_members=omit_members)
        assert shortcomings(response, step.event) == ()

    @pytest.mark.parametrize(
        "version", [version for version in VERSIONS if version.restricted_joins], ids=str
    )
    def test_to_restricted_joins_have_none(self, version: RoomVersion) -> None:
        room = a_restricted_room(version)
        step = signed(room)
        answer = accepted(room, step)
        assert isinstance(answer.response, SendJoinResponse)
        assert shortcomings(answer.response, answer.event) == ()

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(resident=residents(handshake=JOINING), omit_members=st.booleans())
    def test_of_any_resident_have_none(self, resident: Resident, omit_members: bool) -> None:
        begun = JOINING.begin(
            resident.user,
            resident.room.room_id,
            signer=resident.signer,
            resident="a.example",
            omit_members=omit_members,
        )
        _, template = resident.answer(begun.request)
        step = begun.receive(MakeResponse.from_json(template), at=1)
        assert isinstance(step, AwaitingAcceptance)
        _, body = resident.answer(step.request)
        response = SendJoinResponse.from_json(body)
        assert shortcomings(response, step.event) == ()


class TestShortcoming:
    @pytest.mark.parametrize("version", [V11, V12], ids=str)
    def test_is_a_missing_create_event(self, version: RoomVersion) -> None:
        step, response = answered(version)
        broken = evolve(
            response,
            state=without(response.state, "m.room.create"),
            auth_chain=without(response.auth_chain, "m.room.create"),
        )
        assert "no_create_event" in faults(step, broken)

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_is_a_create_event_that_only_the_chain_has(self, version: RoomVersion) -> None:
        step, response = answered(version)
        (create,) = only(response.state, "m.room.create")
        state = without(response.state, "m.room.create")
        broken = evolve(response, state=state, auth_chain=(create, *response.auth_chain))
        assert "no_create_event" in faults(step, broken)

    def test_is_a_create_event_in_the_chain_of_version_12(self) -> None:
        step, response = answered(V12)
        chain = (*only(response.state, "m.room.create"), *response.auth_chain)
        assert faults(step, evolve(response, auth_chain=chain)) == {"not_needed"}

    def test_is_an_event_of_another_room(self) -> None:
        step, response = answered()
        pdu = {**json.loads(only(response.state, "m.room.name")[0]), "room_id": "!x:a.example"}
        broken = evolve(response, state=(*response.state, json.dumps(pdu).encode()))
        assert "other_room" in faults(step, broken)

    def test_is_a_message_in_the_state(self) -> None:
        step, response = answered()
        pdu = json.loads(only(response.state, "m.room.name")[0])
        del pdu["state_key"]
        broken = evolve(response, state=(*response.state, json.dumps(pdu).encode()))
        assert faults(step, broken) == {"no_state"}

    def test_is_a_state_with_the_join(self) -> None:
        step, response = answered()
        broken = evolve(response, state=(*response.state, step.event.pdu))
        assert faults(step, broken) == {"after_join"}

    def test_is_a_place_that_is_empty(self) -> None:
        step, response = answered()
        broken = evolve(response, state=without(response.state, "m.room.join_rules"))
        assert faults(step, broken) == {"absent_from_state", "join_rejected"}

    def test_is_a_state_event_that_was_replaced(self) -> None:
        room = with_state(a_public_room(V11), "m.room.power_levels", {"users": {ANA: 100}})
        older = room.state.get("m.room.power_levels")
        room = with_state(room, "m.room.power_levels", {"users": {ANA: 99}})
        step = signed(room, omit_members=False)
        response = accepted(room, step).response
        assert isinstance(response, SendJoinResponse)
        assert older is not None
        state = (*without(response.state, "m.room.power_levels"), older.pdu)
        assert faults(step, evolve(response, state=state)) == {"replaced"}

    @pytest.mark.parametrize("event", [None, b"{}", "uncountersigned", "another"])
    def test_is_a_join_without_the_signature_of_who_vouches(self, event: Any) -> None:
        room = a_restricted_room(V11)
        step = signed(room, omit_members=False)
        taken = accepted(room, step)
        assert isinstance(taken.response, SendJoinResponse)
        events = {"uncountersigned": step.event.pdu, "another": taken.response.state[0]}
        broken = evolve(taken.response, event=events.get(event, event))
        (missing,) = (
            found
            for found in shortcomings(broken, taken.event)
            if found.code == "not_countersigned"
        )
        assert missing.event_id == step.event.event_id

    def test_is_a_missing_auth_event(self) -> None:
        step, response = answered()
        broken = evolve(
            response,
            state=without(response.state, "m.room.join_rules"),
            auth_chain=without(response.auth_chain, "m.room.join_rules"),
        )
        fallen = {"depends_on_fallen", "join_unauthorised"}
        assert faults(step, broken) == {"missing_auth_event", *fallen}

    def test_is_an_event_that_its_auth_events_do_not_allow(self) -> None:
        step, response = answered()
        pdus = [json.loads(pdu) for pdu in response.state]
        for pdu in pdus:
            if pdu["type"] == "m.room.name":
                pdu["sender"] = "@eve:a.example"
        broken = evolve(response, state=tuple(json.dumps(pdu).encode() for pdu in pdus))
        assert faults(step, broken) == {"bad_hash", "rejected"}

    def test_is_an_event_that_authorises_nothing(self) -> None:
        step, response = answered(omit_members=True)
        named = tuple(pdu for pdu in response.state if json.loads(pdu)["type"] == "m.room.name")
        broken = evolve(
            response,
            state=without(response.state, "m.room.name"),
            auth_chain=(*response.auth_chain, *named),
        )
        assert faults(step, broken) == {"absent_from_state", "not_needed"}

    @pytest.mark.parametrize(
        "more", [lambda response: response.auth_chain[:1], lambda response: response.state[:1]]
    )
    def test_is_an_event_twice(self, more: Callable[[SendJoinResponse], Any]) -> None:
        step, response = answered(omit_members=True)
        broken = evolve(response, auth_chain=(*response.auth_chain, *more(response)))
        assert faults(step, broken) == {"twice"}

    def test_is_two_events_in_one_place(self) -> None:
        step, response = answered()
        _, other = answered()
        room = with_state(a_public_room(V11), "m.room.name", {"name": "another"})
        another = room.state.get("m.room.name")
        assert another is not None
        broken = evolve(other, state=(*response.state, another.pdu))
        assert "same_place" in faults(step, broken)

    def test_is_what_is_no_event(self) -> None:
        step, response = answered()
        broken = evolve(response, state=(*response.state, b"{}"))
        assert "malformed" in faults(step, broken)

    def test_is_that_the_servers_are_not_told(self) -> None:
        step, response = answered(omit_members=True)
        assert faults(step, evolve(response, servers_in_room=None)) == {"no_servers_in_room"}

    def test_is_that_a_server_is_not_told(self) -> None:
        step, response = answered(omit_members=True)
        step_full, full = answered()
        broken = evolve(full, members_omitted=True, servers_in_room=("z.example",))
        assert "server_untold" in faults(step_full, broken)
        assert "server_untold" not in faults(step, response)
