"""Conversations with drawn resident servers: honest ones end well, lying ones do no harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from matrix_membership import auth
from matrix_membership.errors import InvalidMessage, RemoteProtocolError
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    AwaitingAcceptance,
    AwaitingKeys,
    Joined,
    Knocked,
    Left,
    MakeResponse,
    MatrixError,
    Refused,
    Request,
    SendJoinResponse,
)
from matrix_membership.room_versions import KNOWN, V11
from matrix_membership.strategies import Resident, residents
from matrix_membership.strategies.handshakes import LIES

ENDS: dict[Any, Any] = {JOINING: Joined, KNOCKING: Knocked, LEAVING: Left}
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def told(resident: Resident, request: Request, message: Any) -> Any:
    """The answer of a resident server, as the other server reads it."""
    status, body = resident.answer(request)
    return message(body) if status == 200 else MatrixError.from_json(body, status=status)


def converse(resident: Resident, *, omit_members: bool = True) -> Any:
    """Go through the handshake, and give the end of it."""
    versions = KNOWN
    step: Any = resident.handshake.begin(
        resident.user,
        resident.room.room_id,
        signer=resident.signer,
        resident="a.example",
        room_versions=versions,
        omit_members=omit_members,
    )
    step = step.receive(told(resident, step.request, MakeResponse.from_json), at=1)
    while isinstance(step, AwaitingAcceptance):
        step = step.receive(told(resident, step.request, resident.handshake.response.from_json))
    return step.receive(resident.keys) if isinstance(step, AwaitingKeys) else step


class TestHonest:
    @UNHURRIED
    @given(resident=residents(), omit_members=st.booleans())
    def test_conversations_end_as_they_should(self, resident: Resident, omit_members: bool) -> None:
        end: Any = converse(resident, omit_members=omit_members)
        assert isinstance(end, ENDS[resident.handshake]), end
        assert auth.check(end.event, resident.room.state).allowed

    @UNHURRIED
    @given(resident=residents(handshake=JOINING))
    def test_joins_end_in_the_rooms_true_state(self, resident: Resident) -> None:
        end = converse(resident, omit_members=False)
        expected = resident.room.state.with_event(end.event)
        assert {event.event_id for event in end.state.events} == {
            event.event_id for event in expected.events
        }
        assert end.audit.defects == ()

    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_servers_are_of_any_version(self, version: Any) -> None:
        found = find(residents(room_version=version, handshake=JOINING), lambda _: True)
        assert isinstance(converse(found), Joined)

    def test_servers_say_what_they_are(self) -> None:
        found = find(residents(room_version=V11, handshake=JOINING), lambda _: True)
        assert str(found) == "make_join into a room of version 11, join rule public"

    @pytest.mark.parametrize(
        "request_",
        [
            Request("GET", "/_matrix/federation/v1/version"),
            Request("GET", "/_matrix/federation/v1/state/!r:a.example/x"),
            Request("PUT", "/_matrix/federation/v3/send_join/!r:a.example/x", (), b"{}"),
            Request("GET", "/_matrix/federation/v1/make_join/!r:a.example/x", (), b"{}"),
        ],
    )
    def test_servers_know_no_other_endpoints(self, request_: Request) -> None:
        found = find(residents(room_version=V11, handshake=JOINING), lambda _: True)
        status, body = found.answer(request_)
        assert (status, dict(body)["errcode"]) == (404, "M_UNRECOGNIZED")

    @pytest.mark.parametrize("endpoint", ["make_join", "send_join"])
    def test_servers_refuse_what_is_not_theirs(self, endpoint: str) -> None:
        found = find(residents(room_version=V11, handshake=JOINING), lambda _: True)
        method, body = ("GET", None) if endpoint == "make_join" else ("PUT", b"{}")
        path = f"/_matrix/federation/v1/{endpoint}/!other:a.example/@ben:b.example"
        status, answer = found.answer(Request(method, path, (), body))
        assert (status, dict(answer)["errcode"]) == (404, "M_NOT_FOUND")

    def test_servers_answer_the_endpoints_of_old(self) -> None:
        found = find(residents(room_version=V11, handshake=JOINING), lambda _: True)
        step: Any = found.handshake.begin(found.user, found.room.room_id, signer=found.signer)
        step = step.receive(told(found, step.request, MakeResponse.from_json), at=1)
        path = step.request.path.replace("/v2/", "/v1/")
        status, body = found.answer(Request("PUT", path, (), step.request.body))
        assert status == 200
        assert SendJoinResponse.from_json(body).state


class TestLying:
    @pytest.mark.parametrize("lie", LIES)
    @settings(parent=UNHURRIED, max_examples=12)
    @given(data=st.data())
    def test_servers_get_no_event_into_the_state_that_is_not_the_rooms(
        self, lie: str, data: st.DataObject
    ) -> None:
        resident = data.draw(residents(lies=(lie,)))
        omit = data.draw(st.booleans())
        try:
            end = converse(resident, omit_members=omit)
        except (InvalidMessage, RemoteProtocolError):
            return
        if isinstance(end, Refused):
            assert end.error.errcode
            return
        assert isinstance(end, ENDS[resident.handshake])
        if isinstance(end, Joined):
            true = {event.event_id for event in resident.room.state.events}
            assert {event.event_id for event in end.state.events} <= true | {end.event.event_id}
            assert all(event.server in event.signed_by for event in end.state.events)

    @pytest.mark.parametrize("lie", [lie for lie in LIES if lie.startswith(("template", "no t"))])
    def test_servers_that_lie_in_the_template_are_found_out(self, lie: str) -> None:
        found = find(residents(lies=(lie,)), lambda _: True)
        try:
            end = converse(found)
        except (InvalidMessage, RemoteProtocolError):
            return
        assert isinstance(end, Refused)

    @pytest.mark.parametrize(
        "lie", ["no create event", "unsigned create event", "no state", "nothing"]
    )
    def test_servers_that_hide_the_room_are_found_out(self, lie: str) -> None:
        found = find(residents(lies=(lie,)), lambda _: True)
        with pytest.raises((InvalidMessage, RemoteProtocolError)):
            converse(found)

    def test_servers_say_how_they_lie(self) -> None:
        found = find(residents(room_version=V11, lies=("nothing",)), lambda _: True)
        assert str(found).endswith("join rule public, lying: nothing")
