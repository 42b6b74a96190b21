"""The joining, knocking and leaving server."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import pytest

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import freeze
from matrix_membership.errors import (
    InvalidIdentifier,
    LocalProtocolError,
    MatrixMembershipError,
    RemoteProtocolError,
)
from matrix_membership.federation.handshake import (
    JOINING,
    KNOCKING,
    LEAVING,
    STEPS,
    AwaitingAcceptance,
    AwaitingKeys,
    Handshake,
    Joined,
    Knocked,
    Left,
    Refused,
)
from matrix_membership.federation.messages import (
    MakeResponse,
    MatrixError,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
)
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import JOIN, KNOCK, UNKNOWN
from matrix_membership.room_versions import KNOWN, V1, V2, V6, V9, V11, V12, RoomVersion
from tests.builders import ANA, BEN, KEYS, VERSIONS
from tests.federation.conversation import (
    a_public_room,
    a_restricted_room,
    accepted,
    begin,
    finish,
    join,
    refusal,
    signed,
    template,
)
from tests.federation.signed_rooms import AT, B, a_signed_room, with_member, with_state

RESTRICTED = [version for version in VERSIONS if version.restricted_joins]
KNOCKABLE = [version for version in VERSIONS if version.knocking]


def changed(response: MakeResponse, **fields: Any) -> MakeResponse:
    return evolve(response, event=freeze({**response.event, **fields}))


def knocked(version: RoomVersion) -> Knocked:
    """Ben knocks at a room of that version."""
    room = with_state(a_signed_room(version), "m.room.join_rules", {"join_rule": "knock"})
    step = signed(room, KNOCKING)
    answer = accepted(room, step)
    assert answer.state.membership_of(BEN) is KNOCK
    end = step.receive(SendKnockResponse.from_json(answer.response.to_json()))
    assert isinstance(end, Knocked)
    return end


def vouched_for(room: ResidentRoom, voucher: Any) -> MakeResponse:
    """A template in which somebody, or something, vouches."""
    content = {"membership": "join", "join_authorised_via_users_server": voucher}
    return changed(template(room), content=content)


class TestJoining:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    @pytest.mark.parametrize("omit", [True, False])
    def test_ends_in_the_room(self, version: RoomVersion, omit: bool) -> None:
        end = join(a_public_room(version), omit_members=omit)
        assert end.audit.defects == ()
        assert end.state.membership_of(BEN) is JOIN
        assert end.state.is_partial is omit
        assert end.event.signed_by == {"b.example"}
        assert end.resident == "a.example"

    @pytest.mark.parametrize("version", RESTRICTED, ids=str)
    def test_of_a_restricted_room_is_vouched_for(self, version: RoomVersion) -> None:
        end = join(a_restricted_room(version))
        assert end.event.authorised_via == ANA
        assert end.event.signed_by == {"a.example", "b.example"}
        assert set(end.event.to_pdu()["signatures"]) == {"a.example", "b.example"}

    def test_does_not_know_who_was_left_out(self) -> None:
        room = with_state(a_public_room(V11), "m.room.name", {"name": "x"})
        end = join(room)
        assert end.state.membership_of(ANA) is UNKNOWN

    def test_carries_the_profile(self) -> None:
        step = signed(a_public_room(V11), content={"displayname": "Ben", "reason": "hi"})
        assert step.event.content["displayname"] == "Ben"
        assert step.event.document["origin"] == "b.example"
        assert step.event.origin_server_ts == AT + 1

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_names_the_event_itself_in_old_versions(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        assert signed(room).event.event_id.endswith(":b.example")
        assert signed(room).event == signed(room).event

    def test_goes_to_the_server_that_vouches(self) -> None:
        room = a_restricted_room(V11)
        step = evolve(signed(room), resident="other.example")
        assert step.destination == "a.example"
        response = accepted(room, step).response
        assert isinstance(response, SendJoinResponse)
        assert finish(step, response).resident == "a.example"

    @pytest.mark.parametrize("version", [V6, KNOWN["7"]], ids=str)
    def test_has_nobody_vouch_before_version_8(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        step = begin(room).receive(vouched_for(room, "@eve:evil.example"), at=AT)
        assert isinstance(step, AwaitingAcceptance)
        assert (step.destination, step.event.content) == ("a.example", {"membership": "join"})

    def test_lets_no_user_say_who_vouches(self) -> None:
        content = {"join_authorised_via_users_server": "@eve:evil.example"}
        step = signed(a_public_room(V11), content=content)
        assert (step.destination, step.event.content) == ("a.example", {"membership": "join"})

    @pytest.mark.parametrize("voucher", [7, "", "ana", "@ana", [ANA], {}])
    def test_refuses_a_template_in_which_no_user_vouches(self, voucher: Any) -> None:
        room = a_public_room(V11)
        with pytest.raises(RemoteProtocolError):
            begin(room).receive(vouched_for(room, voucher), at=AT)

    def test_goes_to_the_resident_server_otherwise(self) -> None:
        assert signed(a_public_room(V11)).destination == "a.example"


class TestKnocking:
    @pytest.mark.parametrize("version", KNOCKABLE, ids=str)
    def test_ends_at_the_door(self, version: RoomVersion) -> None:
        end = knocked(version)
        assert end.event.membership is KNOCK
        assert end.resident == "a.example"
        kinds = [entry["type"] for entry in end.knock_room_state]
        assert kinds == ["m.room.create", "m.room.join_rules"]

    @pytest.mark.parametrize("version", KNOCKABLE, ids=str)
    def test_is_told_of_the_room_what_can_be_checked(self, version: RoomVersion) -> None:
        end = knocked(version)
        assert end.needs == {"a.example": {"ed25519:a"}}
        shown, faults = end.examined(KEYS)
        assert [freeze(event.to_pdu()) for event in shown] == list(end.knock_room_state)
        assert all(event.signed_by == {"a.example"} for event in shown)
        assert faults == ()

    def test_finds_what_is_wrong_with_what_it_is_told(self) -> None:
        end = evolve(knocked(V11), knock_room_state=(freeze({"type": "m.room.name"}),))
        (missing, other) = end.examined(KEYS)[1]
        sentence = "knock_room_state has no create event"
        assert (end.needs, missing) == ({}, MatrixError.of("M_MISSING_PARAM", sentence))
        assert other.error.startswith("knock_room_state[0] is not an event of room version 11: ")

    def test_offers_only_versions_that_have_it(self) -> None:
        offered = [version for _, version in begin(a_public_room(V11), KNOCKING).request.query]
        assert offered == [name for name in KNOWN if int(name) >= 7]

    def test_has_one_endpoint(self) -> None:
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        step = signed(room, KNOCKING)
        assert step.request.path.startswith("/_matrix/federation/v1/send_knock/")
        unknown = MatrixError.of("M_UNRECOGNIZED", "")
        assert step.receive(unknown) == Refused(unknown)


class TestLeaving:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_ends_outside(self, version: RoomVersion) -> None:
        room = with_member(a_signed_room(version), BEN, "join")
        step = signed(room, LEAVING)
        answer = accepted(room, step)
        end = step.receive(SendLeaveResponse.from_json(answer.response.to_json()))
        assert end == Left(step.event, ServerName("a.example"))

    def test_names_no_versions(self) -> None:
        assert begin(a_public_room(V11), LEAVING).request.query == ()

    def test_strips_the_authoriser(self) -> None:
        room = with_member(a_signed_room(V11), BEN, "join")
        content = {"membership": "leave", "join_authorised_via_users_server": ANA}
        offered = changed(template(room, LEAVING), content=content)
        step = begin(room, LEAVING).receive(offered, at=AT)
        assert isinstance(step, AwaitingAcceptance)
        assert step.event.authorised_via is None


class TestBeginning:
    def test_is_for_a_user_of_the_signer(self) -> None:
        with pytest.raises(LocalProtocolError) as raised:
            JOINING.begin(ANA, "!r:a.example", signer=B)
        assert raised.value == LocalProtocolError("a user of b.example", ANA)

    @pytest.mark.parametrize(("user", "room"), [("ben", "!r:a.example"), (BEN, "r")])
    def test_refuses_what_is_no_identifier(self, user: str, room: str) -> None:
        with pytest.raises(InvalidIdentifier):
            JOINING.begin(user, room, signer=B)

    def test_asks_for_a_template(self) -> None:
        request = begin(a_public_room(V1)).request
        assert (request.method, request.body, request.content) == ("GET", None, None)
        assert request.path == (
            "/_matrix/federation/v1/make_join/%21r%3Aa.example/%40ben%3Ab.example"
        )
        assert request.uri.endswith("?" + "&".join(f"ver={name}" for name in KNOWN))

    def test_asks_to_omit_members_or_not(self) -> None:
        room = a_public_room(V11)
        assert signed(room).request.query == (("omit_members", "true"),)
        assert signed(room, omit_members=False).request.query == (("omit_members", "false"),)
        left = with_member(a_signed_room(V11), BEN, "join")
        assert signed(left, LEAVING).request.query == ()


class TestTemplate:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("type", "m.room.message"),
            ("room_id", "!other:a.example"),
            ("sender", ANA),
            ("state_key", ANA),
        ],
    )
    def test_must_be_for_what_was_asked(self, field: str, value: str) -> None:
        room = a_public_room(V11)
        with pytest.raises(RemoteProtocolError) as raised:
            begin(room).receive(changed(template(room), **{field: value}), at=AT)
        assert raised.value.got == value

    @pytest.mark.parametrize("content", [{"membership": "leave"}, {}, None, []])
    def test_must_have_the_membership(self, content: Any) -> None:
        room = a_public_room(V11)
        with pytest.raises(RemoteProtocolError):
            begin(room).receive(changed(template(room), content=content), at=AT)

    @pytest.mark.parametrize("field", ["depth", "auth_events", "prev_events"])
    def test_must_make_an_event(self, field: str) -> None:
        room = a_public_room(V11)
        with pytest.raises(RemoteProtocolError) as raised:
            begin(room).receive(changed(template(room), **{field: "x"}), at=AT)
        assert raised.value.expected == "a template of an event"

    def test_must_be_of_a_version_that_was_offered(self) -> None:
        room = a_public_room(V11)
        offered = evolve(template(room), room_version="11x")
        with pytest.raises(RemoteProtocolError) as raised:
            begin(room).receive(offered, at=AT)
        assert raised.value.errcode == "M_INCOMPATIBLE_ROOM_VERSION"

    def test_without_a_version_is_of_the_first(self) -> None:
        room = a_public_room(V1)
        step = begin(room).receive(evolve(template(room), room_version=None), at=AT)
        assert isinstance(step, AwaitingAcceptance)
        assert step.event.room_version is V1

    def test_of_a_knock_must_name_its_version(self) -> None:
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        offered = evolve(template(room, KNOCKING), room_version=None)
        with pytest.raises(RemoteProtocolError):
            begin(room, KNOCKING).receive(offered, at=AT)


class TestFallback:
    @pytest.mark.parametrize(
        "error",
        [
            MatrixError.of("M_UNRECOGNIZED", ""),
            MatrixError("M_UNRECOGNIZED", "", 400),
            MatrixError("M_UNRECOGNIZED", "", 405),
            MatrixError.from_json(None, status=404),
        ],
        ids=str,
    )
    def test_to_v1_when_the_endpoint_is_unknown(self, error: MatrixError) -> None:
        step = signed(a_public_room(V9)).receive(error)
        assert isinstance(step, AwaitingAcceptance)
        assert step.request.path.startswith("/_matrix/federation/v1/send_join/")
        assert step.request.query == ()
        assert step.receive(error) == Refused(error)

    @pytest.mark.parametrize(
        "error",
        [
            MatrixError.of("M_NOT_FOUND", ""),
            MatrixError.of("M_FORBIDDEN", ""),
            MatrixError.from_json(None, status=500),
        ],
        ids=str,
    )
    def test_not_otherwise(self, error: MatrixError) -> None:
        assert signed(a_public_room(V9)).receive(error) == Refused(error)

    def test_takes_the_pair_of_v1(self) -> None:
        room = a_public_room(V6)
        step = signed(room, omit_members=False)
        body = accepted(room, step).response.to_json()
        assert isinstance(finish(step, SendJoinResponse.from_json([200, body])), Joined)


class TestRefused:
    @pytest.mark.parametrize(
        ("error", "another"),
        [
            (MatrixError.of("M_FORBIDDEN", ""), False),
            (MatrixError.of("M_INCOMPATIBLE_ROOM_VERSION", ""), False),
            (MatrixError("M_INVALID_PARAM", "", 400), False),
            (MatrixError.of("M_UNABLE_TO_AUTHORISE_JOIN", ""), True),
            (MatrixError.of("M_UNABLE_TO_GRANT_JOIN", ""), True),
            (MatrixError.of("M_NOT_FOUND", ""), True),
            (MatrixError.of("M_LIMIT_EXCEEDED", ""), False),
            (MatrixError.from_json("bad gateway", status=502), True),
        ],
        ids=str,
    )
    def test_says_whether_another_server_may_help(self, error: MatrixError, another: bool) -> None:
        step = begin(a_public_room(V11)).receive(error, at=AT)
        assert step == Refused(error)
        assert isinstance(step, Refused)
        assert (step.errcode, step.try_another_server) == (error.errcode, another)
        assert refusal(step) is error


MESSAGES = (
    MakeResponse(freeze({}), "11"),
    SendJoinResponse((), ()),
    SendKnockResponse(()),
    SendLeaveResponse(),
    MatrixError.of("M_FORBIDDEN", ""),
    KEYS,
    None,
)


class TestSteps:
    @pytest.mark.parametrize(
        ("handshake", "message"),
        list(itertools.product((JOINING, KNOCKING, LEAVING), MESSAGES)),
    )
    def test_take_what_the_table_says(self, handshake: Handshake, message: Any) -> None:
        room = a_restricted_room(V12)
        awaiting = evolve(signed(room), handshake=handshake)
        taken = STEPS[AwaitingAcceptance]
        if isinstance(message, (handshake.response, MatrixError)):
            assert type(awaiting.receive(message)) in taken[type(message)]
        else:
            with pytest.raises(LocalProtocolError):
                awaiting.receive(message)

    @pytest.mark.parametrize("message", MESSAGES)
    def test_first_takes_what_the_table_says(self, message: Any) -> None:
        step = begin(a_public_room(V12))
        if type(message) in STEPS[type(step)]:
            try:
                after = step.receive(message, at=AT)
            except RemoteProtocolError:
                return
            assert type(after) in STEPS[type(step)][type(message)]
        else:
            with pytest.raises(LocalProtocolError):
                step.receive(message, at=AT)

    def test_third_takes_keys_only(self) -> None:
        room = a_public_room(V12)
        step = signed(room)
        response = accepted(room, step).response
        awaiting = step.receive(response)
        assert isinstance(awaiting, AwaitingKeys)
        assert awaiting.needs == {"a.example": frozenset({"ed25519:a"})}
        with pytest.raises(LocalProtocolError):
            awaiting.receive({})

    def test_can_be_stored(self) -> None:
        room = a_public_room(V12)
        step = signed(room)
        again = pickle.loads(pickle.dumps(step))
        assert (again.event, again.request) == (step.event, step.request)

    def test_errors_are_of_one_tree(self) -> None:
        assert issubclass(LocalProtocolError, MatrixMembershipError)
        assert issubclass(RemoteProtocolError, MatrixMembershipError)
