"""Asking a policy server for its signature."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import V1, V11, V12, Event, RoomVersion, client
from matrix_membership.errors import InvalidEvent, RemoteProtocolError
from matrix_membership.federation import JOINING, Accepted
from matrix_membership.federation.resident import answer_send
from matrix_membership.hashing import signed_bytes
from matrix_membership.identifiers import ServerName
from matrix_membership.receipt.policy_server import POLICY_KEY_ID, PolicyServer
from matrix_membership.signing import Signer
from tests.builders import ANA, BEN, KEYS
from tests.client.rooms import leaves
from tests.federation.conversation import a_public_room, send_request, signed
from tests.federation.signed_rooms import AT, A, with_state

POLICY = Signer.from_seed("a.example", POLICY_KEY_ID, "P" * 42 + "A")
CONTENT = {"via": "a.example", "public_keys": {"ed25519": POLICY.verify_key}}


def policed(version: RoomVersion) -> Any:
    """A public room that Ana's server polices."""
    return with_state(a_public_room(version), "m.room.policy", CONTENT)


def owed(room: Any, event: Event) -> PolicyServer:
    found = PolicyServer.lacking(event, room.state)
    assert found is not None
    return found


def answered(event: Event, signer: Signer = POLICY) -> dict[str, Any]:
    """What the policy server answers."""
    covered = signed_bytes(event.to_pdu(), event.room_version)
    return {"a.example": {POLICY_KEY_ID: signer.signature_over(covered)}}


@pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
class TestEvent:
    def test_is_sent_as_it_is(self, version: RoomVersion) -> None:
        room = policed(version)
        event = signed(room).event
        request = owed(room, event).ask(event)
        assert (request.method, request.uri) == ("POST", "/_matrix/policy/v1/sign")
        assert request.content == event.document

    def test_gets_the_signature_beside_its_own(self, version: RoomVersion) -> None:
        room = policed(version)
        event = signed(room).event
        after = owed(room, event).read_answer(event, answered(event))
        assert PolicyServer.lacking(after, room.state) is None
        assert (after.event_id, after.signed_by) == (event.event_id, event.signed_by)
        assert set(after.document["signatures"]) == {"a.example", "b.example"}


class TestAnswer:
    @pytest.mark.parametrize(
        "answer",
        [
            None,
            [],
            {},
            {"a.example": 5},
            {"a.example": {POLICY_KEY_ID: 5}},
            {"a.example": {POLICY_KEY_ID: "\ud800"}},
            {"b.example": {}},
        ],
    )
    def test_without_a_signature_is_refused(self, answer: Any) -> None:
        room = policed(V11)
        event = signed(room).event
        with pytest.raises(RemoteProtocolError):
            owed(room, event).read_answer(event, answer)

    def test_by_another_key_is_refused(self) -> None:
        room = policed(V11)
        event = signed(room).event
        with pytest.raises(RemoteProtocolError):
            owed(room, event).read_answer(event, answered(event, A))

    def test_keeps_what_the_policy_server_signed_as_the_sender(self) -> None:
        room = policed(V11)
        template = client.leave(leaves(ANA, room.room_id), room, at=AT)
        assert isinstance(template, client.Send)
        event = template.template.complete(A)
        assert template.policy_server is not None
        after = template.policy_server.read_answer(event, answered(event))
        assert set(after.document["signatures"]["a.example"]) == {A.key_id, POLICY_KEY_ID}


class TestRequest:
    def test_takes_a_whole_event_only(self) -> None:
        event = Event.from_client_event({"type": "x", "sender": BEN, "content": {}}, V11)
        with pytest.raises(InvalidEvent):
            PolicyServer(ServerName("a.example"), POLICY.verify_key, True).ask(event)


class TestAcceptedJoin:
    def test_names_who_must_sign_before_it_is_sent_on(self) -> None:
        for room, expected in ((policed(V11), "a.example"), (a_public_room(V11), None)):
            answer = answer_send(JOINING, send_request(signed(room)), room, A, keys=KEYS)
            assert isinstance(answer, Accepted)
            assert (answer.policy_server and answer.policy_server.server_name) == expected
