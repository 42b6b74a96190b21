"""Inviting and being invited, with honest and with lying peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from matrix_membership.auth import Decision
from matrix_membership.canonical_json import freeze, thaw
from matrix_membership.errors import LocalProtocolError, RemoteProtocolError
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.invites import (
    Countersigned,
    Invited,
    Offered,
    answer,
    conclude,
    draft_invite,
    offer,
)
from matrix_membership.federation.invites.messages import InviteRequest, InviteResponse
from matrix_membership.federation.invites.policy import InvitePolicy, InviteVerdict
from matrix_membership.federation.messages import MatrixError
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.room_versions import KNOWN, V1, V2, V6, V10, V11, V12, RoomVersion
from matrix_membership.signing import KeyRing, Signer, verify
from tests.builders import ANA, BEN, KEYS, VERSIONS
from tests.captures import Capture, captures, client_invite
from tests.federation.signed_rooms import (
    AT,
    NO_KEYS,
    A,
    B,
    a_signed_room,
    after,
    with_member,
    with_state,
)

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
CARL = "@carl:b.example"


def a_room(version: RoomVersion = V11) -> ResidentRoom:
    return with_state(a_signed_room(version), "m.room.name", {"name": "R"})


def invite_in(room: ResidentRoom, user: str = BEN, **content: Any) -> Event:
    return draft_invite(ANA, user, room, at=AT, content=content).complete(A)


def offered_in(room: ResidentRoom) -> Offered:
    step = offer(invite_in(room), room.state)
    assert isinstance(step, Offered)
    return step


def received(offered: Offered) -> InviteRequest:
    """The offer as the invited server reads it."""
    _, _, _, endpoint, _, _, _ = offered.request.path.split("/")
    return InviteRequest.from_json(
        offered.request.content,
        room_id=offered.event.room_id,
        event_id=offered.event.event_id,
        origin="a.example",
        endpoint=endpoint,
    )


def countersigned(request: InviteRequest, **options: Any) -> Countersigned:
    answered = answer(request, B, **{"keys": KEYS, **options})
    assert isinstance(answered, Countersigned)
    return answered


def refused(request: InviteRequest, **options: Any) -> MatrixError:
    answered = answer(request, B, **{"keys": KEYS, **options})
    assert isinstance(answered, MatrixError)
    return answered


def resigned(event: Event, signer: Signer = A, **changes: Any) -> Event:
    """The event with other fields, hashed and signed anew."""
    return EventTemplate.of({**event.to_pdu(), **changes}, event.room_version).complete(signer)


def carrying(request: InviteRequest, event: Event, **changes: str) -> InviteRequest:
    """The request with another event in it, its path adapted."""
    return InviteRequest(
        request.endpoint,
        changes.get("room_id", event.room_id),
        changes.get("event_id", event.event_id),
        changes.get("origin", request.origin),
        freeze(event.to_pdu()),
        request.invite_room_state,
        request.room_version,
    )


def altered(response: InviteResponse, change: Callable[[dict[str, Any]], None]) -> InviteResponse:
    event = thaw(response.event)
    change(event)
    return InviteResponse(freeze(event), response.endpoint)


class TestOffer:
    def test_tells_of_the_room_in_full_pdus_and_without_notes(self) -> None:
        room = a_room(V12)
        create = room.state.create_event
        assert create is not None
        noted = Event.from_pdu({**create.to_pdu(), "unsigned": {"age": 1}}, V12)
        content = offered_in(after(room, noted)).request.content
        assert content["invite_room_state"][0] == freeze(create.to_pdu())
        assert (content["room_version"], "unsigned" in content["event"]) == ("12", False)

    def test_goes_to_the_server_of_the_invited_user(self) -> None:
        assert offered_in(a_room()).destination == "b.example"

    def test_is_refused_by_the_rules(self) -> None:
        room = with_member(a_room(), BEN, "join")
        refusal = offer(invite_in(room), room.state)
        assert isinstance(refusal, MatrixError)
        assert isinstance(refusal.decision, Decision)
        assert (refusal.errcode, refusal.decision.number) == ("M_FORBIDDEN", "4.4.3")

    def test_may_be_to_a_user_of_a_server_in_the_room(self) -> None:
        room = with_member(a_room(), CARL, "join")
        assert offered_in(room).destination == "b.example"

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"type": "m.x"}, LocalProtocolError("an invite", "m.x")),
            ({"content": {}}, LocalProtocolError("an invite", "m.room.member")),
            ({"state_key": "ben"}, LocalProtocolError("an invited user", "ben")),
            ({"state_key": "@al:a.example"}, LocalProtocolError("a user of another server", "@al:a.example")),
            ({"room_id": "!x:a"}, LocalProtocolError("an invite to the room of the state", "!x:a")),
        ],
    )  # fmt: skip # a table, read by rows
    def test_is_of_an_invite(self, change: dict[str, Any], error: LocalProtocolError) -> None:
        room = a_room()
        with pytest.raises(LocalProtocolError) as raised:
            offer(resigned(invite_in(room), **change), room.state)
        assert raised.value == error

    def test_is_of_a_signed_event(self) -> None:
        room = a_room()
        event = invite_in(room).with_signers([])
        with pytest.raises(LocalProtocolError) as raised:
            offer(event, room.state)
        assert raised.value == LocalProtocolError("a signature of a.example", event.event_id)

    def test_is_refused_without_a_create_event(self) -> None:
        room = a_room()
        refusal = offer(invite_in(room), type(room.state).of(V11, []))
        assert isinstance(refusal, MatrixError)
        assert refusal.decision is not None
        assert refusal.decision.number == "2.4"


class TestBothServers:
    @EVERY_VERSION
    def test_agree_on_an_invite(self, version: RoomVersion) -> None:
        offered = offered_in(a_room(version))
        answered = countersigned(received(offered))
        reply = InviteResponse.from_json(answered.response.to_json())
        invited = conclude(offered, reply, keys=KEYS)
        assert isinstance(invited, Invited)
        assert (invited.event, answered.event) == (offered.event, offered.event)
        assert invited.event.signed_by == {"a.example", "b.example"}
        assert verify(invited.event, KEYS).signed_by == invited.event.signed_by
        assert (answered.warnings, answered.shown) == ((), True)

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_agree_at_the_v1_endpoint(self, version: RoomVersion) -> None:
        offered = offered_in(a_room(version))
        again = conclude(offered, MatrixError.of("M_UNRECOGNIZED", ""), keys=NO_KEYS)
        assert isinstance(again, Offered)
        answered = countersigned(received(again))
        assert answered.event.room_version is version
        reply = InviteResponse.from_json(answered.response.to_json())
        assert reply.endpoint == "v1"
        assert isinstance(conclude(again, reply, keys=KEYS), Invited)

    @pytest.mark.parametrize("version", VERSIONS[2:], ids=str)
    def test_need_no_signature_of_the_sender_on_a_third_partys_invite(
        self, version: RoomVersion
    ) -> None:
        event = invite_in(a_room(version), third_party_invite={"signed": {}})
        unsigned = Event.from_pdu({**event.to_pdu(), "signatures": {}}, version)
        request = carrying(received(offered_in(a_room(version))), unsigned)
        assert countersigned(request).event.signed_by == {"b.example"}


class TestConclude:
    def test_needs_the_invited_servers_keys(self) -> None:
        offered = offered_in(a_room())
        answered = countersigned(received(offered))
        assert offered.needs(answered.response) == {"b.example": frozenset({B.key_id})}

    def test_keeps_our_signature_when_the_reply_drops_it(self) -> None:
        offered = offered_in(a_room())
        reply = altered(
            countersigned(received(offered)).response, lambda e: e["signatures"].pop("a.example")
        )
        invited = conclude(offered, reply, keys=KEYS)
        assert isinstance(invited, Invited)
        assert invited.event.signed_by == {"a.example", "b.example"}

    def test_takes_over_nothing_else(self) -> None:
        def add(event: dict[str, Any]) -> None:
            event["unsigned"] = {"x": 1}
            event["signatures"]["c.example"] = {"ed25519:1": "x"}
            event["signatures"]["b.example"]["ed25519:unknown"] = "x" * 1000

        offered = offered_in(a_room())
        honest = countersigned(received(offered))
        invited = conclude(offered, altered(honest.response, add), keys=KEYS)
        assert isinstance(invited, Invited)
        assert invited.event.to_pdu() == honest.event.to_pdu()

    def test_refuses_another_event(self) -> None:
        offered = offered_in(a_room())
        other = resigned(offered.event, origin_server_ts=AT + 1)
        with pytest.raises(RemoteProtocolError) as raised:
            conclude(offered, InviteResponse(freeze(other.to_pdu())), keys=KEYS)
        expected = f"the invite {offered.event.event_id}"
        assert raised.value == RemoteProtocolError(expected, other.event_id, "M_UNKNOWN", 502)

    @pytest.mark.parametrize("version", [V1, V12], ids=str)
    def test_refuses_a_changed_event(self, version: RoomVersion) -> None:
        offered = offered_in(a_room(version))
        reply = altered(
            countersigned(received(offered)).response, lambda e: e["content"].update(reason="x")
        )
        with pytest.raises(RemoteProtocolError) as raised:
            conclude(offered, reply, keys=KEYS)
        assert raised.value.expected == "the invite, unchanged"

    def test_refuses_what_is_no_event(self) -> None:
        with pytest.raises(RemoteProtocolError) as raised:
            conclude(offered_in(a_room()), InviteResponse(freeze({})), keys=KEYS)
        sentence = "type: expected text, got None"
        assert raised.value == RemoteProtocolError("the invite", sentence, "M_UNKNOWN", 502)

    @pytest.mark.parametrize("signatures", [{}, {"b.example": {B.key_id: "x"}}, {"b.example": 1}])
    def test_refuses_a_reply_without_a_good_signature(self, signatures: Any) -> None:
        offered = offered_in(a_room())
        pdu = {**offered.event.to_pdu(), "signatures": signatures}
        with pytest.raises(RemoteProtocolError) as raised:
            conclude(offered, InviteResponse(freeze(pdu)), keys=KEYS)
        expected = "a good signature of b.example"
        assert raised.value == RemoteProtocolError(expected, signatures, "M_UNKNOWN", 502)

    def test_refuses_a_signature_by_a_key_that_is_unknown_here(self) -> None:
        offered = offered_in(a_room())
        reply = countersigned(received(offered)).response
        with pytest.raises(RemoteProtocolError) as raised:
            conclude(offered, reply, keys=NO_KEYS)
        assert raised.value.expected == "a signature by a known key of b.example"

    def test_takes_no_other_message(self) -> None:
        with pytest.raises(LocalProtocolError) as raised:
            conclude(offered_in(a_room()), {}, keys=KEYS)  # type: ignore[arg-type]  # that is the test
        assert raised.value == LocalProtocolError("InviteResponse or MatrixError", "dict")


UNKNOWN_ENDPOINT = [
    MatrixError.from_json({"errcode": "M_UNRECOGNIZED"}, status=404),
    MatrixError.from_json({"errcode": "M_UNRECOGNIZED"}, status=405),
    MatrixError.from_json({"errcode": "M_UNRECOGNIZED"}, status=400),
    MatrixError.from_json(None, status=404),
    MatrixError.from_json("<html>", status=405),
]
OTHER_ERRORS = [
    MatrixError.of("M_FORBIDDEN", "no"),
    MatrixError.of("M_INVITE_BLOCKED", "no"),
    MatrixError.of("M_LIMIT_EXCEEDED", "no", retry_after_ms=1),
    MatrixError.of("M_INCOMPATIBLE_ROOM_VERSION", "no", room_version="1"),
]


class TestConcludeAfterAnError:
    @pytest.mark.parametrize("error", UNKNOWN_ENDPOINT, ids=str)
    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_falls_back_to_the_v1_endpoint(self, version: RoomVersion, error: MatrixError) -> None:
        offered = offered_in(a_room(version))
        again = conclude(offered, error, keys=NO_KEYS)
        assert again == Offered(offered.event, offered.room_state, "v1")

    @pytest.mark.parametrize("error", UNKNOWN_ENDPOINT, ids=str)
    @pytest.mark.parametrize("version", VERSIONS[2:], ids=str)
    def test_tells_the_client_of_the_room_version(
        self, version: RoomVersion, error: MatrixError
    ) -> None:
        sentence = f"b.example does not know the invites of room version {version}"
        expected = MatrixError.of("M_UNSUPPORTED_ROOM_VERSION", sentence)
        assert conclude(offered_in(a_room(version)), error, keys=NO_KEYS) == expected

    @pytest.mark.parametrize("error", OTHER_ERRORS, ids=str)
    @pytest.mark.parametrize("version", [V1, V12], ids=str)
    def test_passes_it_on(self, version: RoomVersion, error: MatrixError) -> None:
        assert conclude(offered_in(a_room(version)), error, keys=NO_KEYS) is error

    @pytest.mark.parametrize(
        "error",
        [
            MatrixError.of("M_INVALID_PARAM", "no"),
            MatrixError.of("M_MISSING_PARAM", "no"),
            MatrixError.of("M_UNAUTHORIZED", "no"),
            MatrixError.of("M_NOT_FOUND", "no"),
            MatrixError.from_json(None, status=500),
        ],
        ids=str,
    )
    def test_makes_it_one_of_ours(self, error: MatrixError) -> None:
        expected = MatrixError("M_UNKNOWN", f"b.example answered {error}", 502)
        assert conclude(offered_in(a_room(V1)), error, keys=NO_KEYS) == expected

    def test_does_not_fall_back_twice(self) -> None:
        offered = offered_in(a_room(V1))
        again = Offered(offered.event, offered.room_state, "v1")
        error = MatrixError("M_UNRECOGNIZED", "no", 400)
        expected = MatrixError("M_UNKNOWN", f"b.example answered {error}", 502)
        assert conclude(again, error, keys=NO_KEYS) == expected


class TestAnswer:
    def test_shows_the_user_stripped_state(self) -> None:
        shown = countersigned(received(offered_in(a_room(V12)))).invite_state
        types = ["m.room.create", "m.room.name", "m.room.member", "m.room.member"]
        assert [entry["type"] for entry in shown] == types
        assert all(set(entry) == {"type", "sender", "state_key", "content"} for entry in shown)
        assert (shown[-1]["state_key"], shown[-1]["content"]) == (BEN, {"membership": "invite"})

    def test_changes_nothing_but_signatures(self) -> None:
        request = received(offered_in(a_room()))
        noted = InviteRequest.from_json(
            {**request.to_json(), "event": {**request.event, "unsigned": {"age": 1}}},
            room_id=request.room_id,
            event_id=request.event_id,
            origin=request.origin,
        )
        event = dict(countersigned(noted).response.event)
        assert set(event.pop("signatures")) == {"a.example", "b.example"}
        assert event == {key: noted.event[key] for key in noted.event if key != "signatures"}

    def test_does_not_count_the_rooms_state_as_part_of_the_event(self) -> None:
        room = with_state(a_room(V1), "m.room.topic", {"topic": "x" * 40_000})
        room = with_state(room, "m.room.name", {"name": "x" * 40_000})
        offered = offered_in(room)
        request = received(Offered(offered.event, offered.room_state, "v1"))
        assert countersigned(request).event == offered.event

    def test_refuses_a_room_version_that_is_unknown_here(self) -> None:
        error = refused(received(offered_in(a_room(V12))), room_versions={"11": V11})
        sentence = "this server does not support room version 12"
        code = "M_INCOMPATIBLE_ROOM_VERSION"
        assert error == MatrixError.of(code, sentence, room_version="12")

    def test_refuses_what_is_no_event_of_the_version(self) -> None:
        request = received(offered_in(a_room(V11)))
        versionless = InviteRequest(
            "v1", request.room_id, request.event_id, request.origin, request.event, ({},)
        )
        sentence = "event_id: expected an event ID, got None"
        assert refused(versionless) == MatrixError.of("M_INVALID_PARAM", sentence)

    @pytest.mark.parametrize("entry", [1, {"type": "m.room.create", "content": []}])
    def test_is_of_version_1_when_a_v1_request_does_not_say(self, entry: Any) -> None:
        request = received(offered_in(a_room(V1)))
        event = (request.room_id, request.event_id, request.origin, request.event)
        answered = countersigned(InviteRequest("v1", *event, (entry,)))
        assert answered.event.room_version is V1

    def test_refuses_numbers_that_the_version_does_not_take(self) -> None:
        request = received(offered_in(a_room(V6)))
        event = freeze({**request.event, "content": {"membership": "invite", "x": 1.5}})
        changed = InviteRequest(
            "v2", request.room_id, request.event_id, request.origin, event, (), "6"
        )
        assert refused(changed).errcode == "M_BAD_JSON"

    def test_refuses_unsigned_data_that_is_no_object(self) -> None:
        request = received(offered_in(a_room()))
        event = freeze({**request.event, "unsigned": 1})
        changed = InviteRequest(
            "v2", request.room_id, request.event_id, request.origin, event, (), "11"
        )
        sentence = "unsigned: expected an object, got 1"
        assert refused(changed) == MatrixError.of("M_INVALID_PARAM", sentence)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"type": "m.x"}, "its type is m.x, not m.room.member"),
            ({"content": {"membership": "join"}}, "its membership is join, not invite"),
            ({"content": {}}, "its membership is None, not invite"),
            ({"state_key": "@al:a.example"}, "@al:a.example is not a user of b.example"),
            ({"state_key": ":b.example"}, ":b.example is not a user of b.example"),
        ],
    )
    def test_signs_nothing_but_an_invite_of_its_user(
        self, change: dict[str, Any], sentence: str
    ) -> None:
        request = received(offered_in(a_room()))
        event = resigned(invite_in(a_room()), **change)
        expected = MatrixError.of("M_INVALID_PARAM", f"the invite was refused: {sentence}")
        assert refused(carrying(request, event)) == expected

    def test_signs_no_event_without_a_state_key(self) -> None:
        request = received(offered_in(a_room()))
        fields = {k: v for k, v in invite_in(a_room()).to_pdu().items() if k != "state_key"}
        event = EventTemplate.of(fields, V11).complete(A)
        sentence = "the invite was refused: None is not a user of b.example"
        assert refused(carrying(request, event)) == MatrixError.of("M_INVALID_PARAM", sentence)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"origin": "c.example"}, "its sender is not a user of c.example"),
            ({"room_id": "!x:a.example"}, "its room is not the one in the path"),
        ],
    )
    def test_compares_the_event_with_the_request(
        self, change: dict[str, str], sentence: str
    ) -> None:
        request = received(offered_in(a_room()))
        changed = carrying(request, invite_in(a_room()), **change)
        expected = MatrixError.of("M_INVALID_PARAM", f"the invite was refused: {sentence}")
        assert refused(changed) == expected

    def test_compares_the_event_id_with_the_path(self) -> None:
        event = invite_in(a_room())
        changed = carrying(received(offered_in(a_room())), event, event_id="$x")
        sentence = f"the invite was refused: its ID is {event.event_id}, not that in the path"
        assert refused(changed) == MatrixError.of("M_INVALID_PARAM", sentence)

    def test_refuses_a_sender_who_is_not_of_the_origin_of_a_third_partys_invite(self) -> None:
        event = invite_in(a_room(), third_party_invite={"signed": {}})
        changed = carrying(received(offered_in(a_room())), event, origin="c.example")
        sentence = "the invite was refused: its sender is not a user of c.example"
        assert refused(changed) == MatrixError.of("M_INVALID_PARAM", sentence)

    def test_refuses_a_signature_that_cannot_be_verified(self) -> None:
        why = "no key is known for the signature of a.example, by ed25519:a"
        sentence = f"the invite was refused: {why}"
        error = refused(received(offered_in(a_room())), keys=B.key_ring)
        assert error == MatrixError.of("M_INVALID_PARAM", sentence)

    def test_refuses_an_altered_event(self) -> None:
        request = received(offered_in(a_room()))
        pdu = invite_in(a_room()).to_pdu()
        event = Event.from_pdu({**pdu, "content": {"membership": "invite", "x": 1}}, V11)
        sentence = "the invite was refused: its content hash is wrong"
        error = refused(carrying(request, event))
        assert error == MatrixError.of("M_INVALID_PARAM", sentence)


class TestAnswerToAForgedInvite:
    @pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
    @pytest.mark.parametrize("third", [0, None, [], {}, {"signed": 0}, {"signed": None}])
    @pytest.mark.parametrize("spoil", [{}, {"hashes": {"sha256": "AAAA"}}])
    def test_signs_nothing(self, version: RoomVersion, third: Any, spoil: dict[str, Any]) -> None:
        request = received(offered_in(a_room(version)))
        content = {"membership": "invite", "third_party_invite": third}
        invite = resigned(Event.from_pdu(thaw(request.event), version), content=content)
        pdu = {**invite.to_pdu(), "signatures": {}, **spoil}
        forged = carrying(request, Event.from_pdu(pdu, version))
        assert "a.example did not sign" in refused(forged).error


class TestAnswerToBadRoomState:
    @pytest.mark.parametrize("version", VERSIONS[:11], ids=str)
    def test_warns_while_servers_migrate(self, version: RoomVersion) -> None:
        answered = countersigned(bare(version))
        assert [warning.errcode for warning in answered.warnings] == ["M_MISSING_PARAM"]

    def test_refuses_in_version_12(self) -> None:
        sentence = "invite_room_state has no create event"
        assert refused(bare(V12)) == MatrixError.of("M_MISSING_PARAM", sentence)

    def test_refuses_in_versions_of_ones_own(self) -> None:
        mine = V11.evolve(identifier="org.example.mine")
        assert refused(bare(mine), room_versions={mine.identifier: mine}).status == 400

    def test_refuses_a_stripped_create_event_in_version_12(self) -> None:
        create = {"type": "m.room.create", "sender": ANA, "state_key": "", "content": {}}
        error = refused(bare(V12, create))
        assert error.errcode == "M_INVALID_PARAM"

    @pytest.mark.parametrize("mine", [False, True])
    def test_warns_of_stripped_events_beside_a_good_create_event(self, *, mine: bool) -> None:
        """So Synapse sent invites until July 2026; the create event proves the room ID."""
        version = V12.evolve(identifier="org.example.mine") if mine else V12
        create, stripped = describing(version)
        request = bare(version, create, stripped)
        options = {"room_versions": {version.identifier: version}}
        answered = countersigned(request, **options)
        assert [event.type for event in answered.room_state] == ["m.room.create", "m.room.name"]
        assert len(answered.warnings) == 1
        assert refused(request, strict=True, **options) == answered.warnings[0]

    @pytest.mark.parametrize("claim", [{"signatures": {}}, {"hashes": {}}])
    def test_refuses_what_claims_to_be_a_pdu_in_version_12(self, claim: dict[str, Any]) -> None:
        create, stripped = describing(V12)
        assert refused(bare(V12, create, {**stripped, **claim})).errcode == "M_INVALID_PARAM"

    def test_refuses_an_unsigned_pdu_in_version_12(self) -> None:
        room = a_room(V12)
        (create, _), member = describing(V12), room.state.members[ANA].to_pdu()
        assert refused(bare(V12, create, {**member, "signatures": {}})).status == 400

    def test_refuses_a_list_without_end_in_version_12(self) -> None:
        create, stripped = describing(V12)
        assert refused(bare(V12, create, *[stripped] * 100)).errcode == "M_INVALID_PARAM"

    def test_is_as_strict_as_the_caller_says(self) -> None:
        assert refused(bare(V11), strict=True).errcode == "M_MISSING_PARAM"
        assert len(countersigned(bare(V12), strict=False).warnings) == 1


def describing(version: RoomVersion) -> tuple[dict[str, Any], dict[str, Any]]:
    """The create event of a room as a PDU, and its name as a stripped event."""
    create = a_room(version).state.create_event
    assert create is not None
    name = {"type": "m.room.name", "sender": ANA, "state_key": "", "content": {"name": "N"}}
    return create.to_pdu(), name


def bare(version: RoomVersion, *entries: Any) -> InviteRequest:
    """An invite that tells nothing of the room but this."""
    request = received(offered_in(a_room(version)))
    return InviteRequest(
        "v2",
        request.room_id,
        request.event_id,
        request.origin,
        request.event,
        freeze(entries),
        version.identifier,
    )


ANAS = ("@ana:*",)


class TestAnswerWithAPolicy:
    def test_blocks_for_the_user(self) -> None:
        error = refused(received(offered_in(a_room())), policy=InvitePolicy(block=ANAS))
        sentence = "@ben:b.example does not take this invite"
        assert error == MatrixError("M_INVITE_BLOCKED", sentence, 403)

    def test_forbids_for_the_server(self) -> None:
        nobody = InvitePolicy(default=InviteVerdict.BLOCK)
        error = refused(received(offered_in(a_room())), policy=nobody, server_policy=nobody)
        assert (error.errcode, error.status) == ("M_FORBIDDEN", 403)

    @pytest.mark.parametrize("name", ["policy", "server_policy"])
    def test_signs_and_does_not_show_what_is_ignored(self, name: str) -> None:
        options = {name: InvitePolicy(ignore=ANAS)}
        assert not countersigned(received(offered_in(a_room())), **options).shown


class TestAnswerInTheRoom:
    def test_asks_the_rules(self) -> None:
        room = a_room()
        error = refused(received(offered_in(room)), state=with_member(room, BEN, "ban").state)
        assert error.decision is not None
        assert (error.errcode, error.decision.number) == ("M_FORBIDDEN", "4.4.3")

    def test_signs_what_they_allow(self) -> None:
        room = with_member(a_room(), CARL, "join")
        assert countersigned(received(offered_in(room)), state=room.state).shown

    def test_refuses_a_server_that_the_room_bans(self) -> None:
        content = {"allow": ["*"], "deny": ["a.example"]}
        room = with_state(a_room(), "m.room.server_acl", content)
        error = refused(received(offered_in(room)), state=room.state)
        assert error == MatrixError(
            "M_FORBIDDEN", "the server ACL of this room shuts out a.example", 403
        )

    def test_signs_what_they_cannot_decide(self) -> None:
        room = a_room()
        create = room.state.create_event
        assert create is not None
        partial = type(room.state).of(V11, [create], partial=True)
        assert countersigned(received(offered_in(room)), state=partial).shown


class TestSynapse:
    @pytest.mark.parametrize("capture", captures(name="synapse_invite*"), ids=str)
    def test_is_answered(self, capture: Capture) -> None:
        request = request_of(capture)
        answered = answer(request, peer(capture), keys=KeyRing.of(capture.keys))
        assert isinstance(answered, Countersigned)
        assert (answered.event.event_id, answered.warnings) == (request.event_id, ())

    @pytest.mark.parametrize(
        "capture", [*captures(name="invite"), *captures("1", "invite_v1_endpoint")], ids=str
    )
    def test_answers_with_the_event_that_was_sent(self, capture: Capture) -> None:
        offered = offered_of(capture)
        reply = InviteResponse.from_json(capture.response)
        invited = conclude(offered, reply, keys=KeyRing.of(capture.keys))
        assert isinstance(invited, Invited)
        assert invited.event.signed_by == {capture.origin, capture.destination}

    @pytest.mark.parametrize("capture", captures(name="synapse_invite_v2_fallback"), ids=str)
    def test_does_as_we_do_after_an_unknown_endpoint(self, capture: Capture) -> None:
        error = MatrixError.from_json(capture.response, status=capture.status)
        again = conclude(offered_of(capture), error, keys=NO_KEYS)
        fell_back = captures(capture.version, "synapse_invite_v1_fallback")
        assert isinstance(again, Offered) == bool(fell_back)

    @pytest.mark.parametrize("version", ["1", "3", "6", "8", "10", "11", "12"])
    def test_shows_its_user_what_we_would_show(self, version: str) -> None:
        (capture,) = captures(version, "invite")
        request = request_of(capture)
        local = Signer.from_seed(capture.destination, "ed25519:1", "A" * 43)
        answered = answer(request, local, keys=KeyRing.of(capture.keys))
        assert isinstance(answered, Countersigned)
        assert answered.invite_state == client_invite(version)


def peer(capture: Capture) -> Signer:
    """The server that Synapse asked, with a key of ours."""
    return Signer.from_seed(capture.destination, "ed25519:1", "A" * 43)


def request_of(capture: Capture) -> InviteRequest:
    _, _, endpoint, _, room_id, event_id = capture.path
    return InviteRequest.from_json(
        capture.request,
        room_id=room_id,
        event_id=event_id,
        origin=capture.origin,
        endpoint=endpoint,
    )


def offered_of(capture: Capture) -> Offered:
    pdu = capture.request.get("event", capture.request)
    event = verify(Event.from_pdu(pdu, KNOWN[capture.version]), KeyRing.of(capture.keys))
    return Offered(event, (), capture.path[2])
