"""The resident server's answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from matrix_membership import EventTemplate, auth
from matrix_membership._attrs import evolve
from matrix_membership.federation.handshake import JOINING, KNOCKING, LEAVING, AwaitingAcceptance
from matrix_membership.federation.messages import (
    MakeRequest,
    MatrixError,
    SendJoinResponse,
    SendRequest,
)
from matrix_membership.federation.resident import (
    MOST_MOVES_SINCE,
    Accepted,
    answer_make,
    answer_send,
)
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.membership import JOIN, LEAVE
from matrix_membership.room_versions import V1, V2, V7, V8, V10, V11, V12, RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState
from tests.builders import ANA, BEN, CAY, DAN, KEYS, VERSIONS, decision, everywhere
from tests.federation.conversation import (
    a_public_room,
    a_restricted_room,
    accepted,
    begin,
    make_request,
    sent,
    signed,
)
from tests.federation.signed_rooms import AT, A, B, a_signed_room, after, with_member, with_state


def refused_make(room: ResidentRoom | None, request: MakeRequest, **options: Any) -> MatrixError:
    answer = answer_make(options.get("handshake", JOINING), request, room, at=AT)
    assert isinstance(answer, MatrixError)
    return answer


def asked(room: ResidentRoom, **changes: Any) -> MakeRequest:
    return evolve(make_request(room, begin(room)), **changes)


class TestMake:
    def test_of_an_unknown_room(self) -> None:
        room = a_public_room(V11)
        assert refused_make(None, asked(room)).errcode == "M_NOT_FOUND"
        assert refused_make(room, asked(room, room_id="!x:a.example")).status == 404

    def test_of_a_room_without_a_create_event(self) -> None:
        room = evolve(a_public_room(V11), state=RoomState.of(V11, []))
        assert room.room_id == ""
        assert refused_make(room, asked(a_public_room(V11))).errcode == "M_NOT_FOUND"

    def test_of_a_room_that_is_still_being_joined(self) -> None:
        room = a_public_room(V11)
        partial = RoomState.of(V11, room.state.events, partial=True)
        unsure = evolve(room, state=partial)
        assert refused_make(unsure, asked(room)).errcode == "M_NOT_FOUND"

    @pytest.mark.parametrize("user", [ANA, "ben"])
    def test_for_another_servers_user(self, user: str) -> None:
        room = a_public_room(V11)
        assert refused_make(room, asked(room, user_id=user)).errcode == "M_FORBIDDEN"

    def test_in_a_version_that_the_asker_does_not_speak(self) -> None:
        room = a_public_room(V11)
        error = refused_make(room, asked(room, versions=("1", "10")))
        assert error.errcode == "M_INCOMPATIBLE_ROOM_VERSION"
        assert error.to_json()["room_version"] == "11"
        assert error.status == 400

    def test_of_a_leave_asks_for_no_version(self) -> None:
        room = with_member(a_signed_room(V11), BEN, "join")
        answer = answer_make(LEAVING, asked(room, versions=("1",)), room, at=AT)
        assert not isinstance(answer, MatrixError)

    def test_names_the_rule_that_forbids(self) -> None:
        room = a_signed_room(V12)
        error = refused_make(room, asked(room))
        assert error == MatrixError.forbidden(decision("join.otherwise", V12))
        assert str(error).startswith("403 M_FORBIDDEN: rejected by rule 5.3.7")

    def test_of_a_banned_user(self) -> None:
        room = with_state(a_public_room(V12), "m.room.member", {"membership": "ban"}, state_key=BEN)
        assert refused_make(room, asked(room)).decision == decision("join.while_banned", V12)

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_gives_a_template_with_the_auth_events_that_are_needed(
        self, version: RoomVersion
    ) -> None:
        room = a_public_room(version)
        event = signed(room).event
        listed = [room.get_event(found) for found in event.auth_events]
        kinds = sorted(entry.type for entry in listed if entry is not None)
        without_create = ["m.room.join_rules"]
        expected = (
            without_create
            if version.room_id_is_create_event
            else ["m.room.create", *without_create]
        )
        assert kinds == expected
        assert event.prev_events == room.prev_events
        assert event.depth == room.depth + 1

    def test_refers_without_a_hash_to_what_is_not_at_hand(self) -> None:
        room = evolve(a_public_room(V1), get_event=lambda _: None)
        answer = answer_make(JOINING, asked(room), room, at=AT)
        assert not isinstance(answer, MatrixError)
        assert answer.event["prev_events"] == ((room.prev_events[0], {}),)

    def test_goes_no_deeper_than_the_version_allows(self) -> None:
        room = evolve(a_public_room(V11), depth=V11.max_depth)
        answer = answer_make(JOINING, asked(room), room, at=AT)
        assert not isinstance(answer, MatrixError)
        assert answer.event["depth"] == V11.max_depth


class TestRoomThatThisServerLeft:
    @everywhere
    def test_is_not_found(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        step = signed(room)
        left = with_member(room, ANA, "leave")
        expected = MatrixError.of("M_NOT_FOUND", f"this server is not in {room.room_id}")
        assert refused_make(left, asked(room)) == expected
        assert sent(left, step) == expected

    def test_is_not_found_though_others_are_in_it(self) -> None:
        room = with_member(a_public_room(V11), CAY, "join")
        left = with_member(room, ANA, "leave")
        assert refused_make(left, asked(room)).errcode == "M_NOT_FOUND"

    def test_is_the_callers_to_know_over_a_look_up(self) -> None:
        room = a_public_room(V11)
        state = RoomState.over(V11, room.state.get)
        answer = answer_make(JOINING, asked(room), evolve(room, state=state), at=AT)
        assert not isinstance(answer, MatrixError)


class TestEventIdInUse:
    """In versions 1 and 2 the server that sends an event chooses its ID."""

    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_is_refused_for_another_event(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        step = signed(room)
        first = accepted(room, step).event
        other = resigned(step, content={"membership": "join", "displayname": "Eve"})
        assert other.event.event_id == first.event_id
        told = "the event was refused: its ID is that of another event"
        assert sent(after(room, first), other) == MatrixError.of("M_INVALID_PARAM", told)

    @pytest.mark.parametrize("version", [V1, V2, V11], ids=str)
    def test_is_accepted_for_the_same_event(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        step = signed(room)
        assert accepted(after(room, accepted(room, step).event), step)


class TestDeniedServer:
    def test_gets_neither_template_nor_answer(self) -> None:
        room = a_public_room(V11)
        step = signed(room)
        acl = {"allow": ["*"], "deny": ["b.example"]}
        closed = with_state(room, "m.room.server_acl", acl)
        assert refused_make(closed, asked(room)).errcode == "M_FORBIDDEN"
        assert code(sent(closed, step)) == "M_FORBIDDEN"


class TestRestrictedRoom:
    def test_names_a_user_who_vouches(self) -> None:
        assert signed(a_restricted_room(V8)).event.authorised_via == ANA

    def test_forbids_who_meets_no_condition(self) -> None:
        room = evolve(a_restricted_room(V11), memberships=lambda _user, _room: "leave")
        error = refused_make(room, asked(room))
        assert (error.status, error.errcode) == (403, "M_FORBIDDEN")
        assert error.decision == decision("join.authoriser_may_not_invite", V11)

    def test_cannot_tell(self) -> None:
        room = a_restricted_room(V11, member=False)
        error = refused_make(room, asked(room))
        assert (error.status, error.errcode) == (400, "M_UNABLE_TO_AUTHORISE_JOIN")
        assert "this server cannot look into all rooms whose members may join" in str(error)

    @pytest.mark.parametrize("membership", [None, "leave"])
    def test_tells_nobody_which_rooms_let_users_in(self, membership: str | None) -> None:
        room = evolve(a_restricted_room(V11), memberships=lambda _user, _room: membership)
        assert "!club" not in json.dumps(refused_make(room, asked(room)).to_json())

    @pytest.mark.parametrize("others", [True, False])
    def test_has_nobody_who_can_vouch(self, others: bool) -> None:
        room = a_restricted_room(V11)
        users = {CAY: 100} if others else {}
        room = with_member(room, CAY, "join") if others else room
        room = with_state(room, "m.room.power_levels", {"users": users, "invite": 50})
        error = refused_make(room, asked(room))
        assert (error.status, error.errcode) == (400, "M_UNABLE_TO_GRANT_JOIN")
        assert ("c.example" in error.error) is others

    def test_needs_no_vouching_for_an_invited_user(self) -> None:
        room = with_state(
            a_restricted_room(V11), "m.room.member", {"membership": "invite"}, state_key=BEN
        )
        assert signed(room).event.authorised_via is None

    def test_countersigns_without_changing_the_event(self) -> None:
        room = a_restricted_room(V11)
        step = signed(room)
        answer = accepted(room, step)
        assert answer.event == step.event
        assert answer.event.signed_by == {"a.example", "b.example"}
        assert isinstance(answer.response, SendJoinResponse)
        assert answer.response.event == answer.event.pdu

    def test_looks_again_when_the_event_comes(self) -> None:
        step = signed(a_restricted_room(V11))
        answer = sent(a_restricted_room(V11, member=False), step)
        assert isinstance(answer, MatrixError)
        assert answer.errcode == "M_UNABLE_TO_AUTHORISE_JOIN"

    def test_vouches_for_nobody_in_another_servers_name(self) -> None:
        room = with_member(a_restricted_room(V11), CAY, "join")
        step = resigned(signed(room), content={"membership": "join", AUTHORISER: CAY})
        assert code(sent(room, step)) == "M_INVALID_PARAM"

    @pytest.mark.parametrize("version", [V1, V7], ids=str)
    @pytest.mark.parametrize("value", [ANA, "@mal:evil.example", 7])
    def test_overlooks_the_key_before_version_8(self, version: RoomVersion, value: Any) -> None:
        room = a_public_room(version)
        step = resigned(signed(room), content={"membership": "join", AUTHORISER: value})
        answer = sent(room, step)
        assert isinstance(answer, Accepted)
        assert answer.event.signed_by == {"b.example"}


AUTHORISER = "join_authorised_via_users_server"


def resigned(step: AwaitingAcceptance, **fields: Any) -> AwaitingAcceptance:
    """The step with another event, which Ben's server signed too."""
    template = EventTemplate.of(step.event.to_pdu(), step.event.room_version)
    event = template.with_fields(**fields).complete(B)
    return evolve(step, event=event)


def code(answer: Accepted | MatrixError) -> str:
    assert isinstance(answer, MatrixError)
    return answer.errcode


class TestSend:
    def test_of_an_unknown_room(self) -> None:
        step = signed(a_public_room(V11))
        request = SendRequest("!x:a.example", step.event.event_id, step.event.pdu, "b.example")
        assert code(answer_send(JOINING, request, None, A, keys=KEYS)) == "M_NOT_FOUND"

    @pytest.mark.parametrize(
        "fields",
        [
            {"type": "m.room.message"},
            {"content": {"membership": "leave"}},
            {"content": {}},
            {"state_key": DAN},
            {"room_id": "!other:a.example"},
        ],
        ids=str,
    )
    def test_refuses_another_event_than_the_endpoints(self, fields: Any) -> None:
        room = a_public_room(V11)
        step = resigned(signed(room), **fields)
        request = SendRequest(room.room_id, step.event.event_id, step.event.pdu, "b.example")
        answer = answer_send(JOINING, request, room, A, keys=KEYS)
        assert code(answer) == "M_INVALID_PARAM"

    def test_refuses_an_event_of_another_server(self) -> None:
        room = a_public_room(V11)
        assert code(sent(room, signed(room), origin="c.example")) == "M_INVALID_PARAM"

    def test_refuses_an_event_of_another_id(self) -> None:
        room = a_public_room(V11)
        assert code(sent(room, signed(room), event_id="$" + "x" * 43)) == "M_INVALID_PARAM"

    def test_refuses_an_event_that_it_cannot_verify(self) -> None:
        room = a_public_room(V11)
        step = signed(room)
        request = SendRequest(room.room_id, step.event.event_id, step.event.pdu, "b.example")
        answer = answer_send(JOINING, request, room, A, keys=KeyRing.of({}))
        assert code(answer) == "M_INVALID_PARAM"

    def test_refuses_altered_content(self) -> None:
        room = a_public_room(V11)
        step = signed(room)
        pdu = step.event.to_pdu()
        pdu["content"]["displayname"] = "Eve"
        assert code(sent(room, step, pdu=json.dumps(pdu).encode())) == "M_INVALID_PARAM"

    @pytest.mark.parametrize(
        ("pdu", "expected"),
        [(b"{", "M_BAD_JSON"), (b"[]", "M_BAD_JSON"), (b"{}", "M_INVALID_PARAM")],
    )
    def test_refuses_what_is_no_event(self, pdu: bytes, expected: str) -> None:
        room = a_public_room(V11)
        assert code(sent(room, signed(room), pdu=pdu)) == expected

    def test_judges_by_the_auth_events(self) -> None:
        room = a_public_room(V11)
        ours = next(iter(room.state.members.values()))
        step = signed(room)
        listed = [*step.event.auth_events, ours.event_id]
        answer = sent(room, resigned(step, auth_events=listed))
        assert isinstance(answer, MatrixError)
        assert answer.decision == decision("auth_events.unexpected", V11)

    @pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
    def test_refuses_an_event_whose_auth_events_it_does_not_know(
        self, version: RoomVersion
    ) -> None:
        """It would send on what nobody can judge."""
        room = a_public_room(version)
        step = signed(room)
        unknown: Any = ["$x:a.example", {}] if version is V1 else "$" + "A" * 43
        pdu = step.event.to_pdu()
        fields = {**pdu, "auth_events": [*pdu["auth_events"], unknown]}
        event = EventTemplate.of(fields, version).complete(B)
        answer = sent(room, evolve(step, event=event))
        assert isinstance(answer, MatrixError)
        assert (answer.status, answer.errcode) == (404, "M_NOT_FOUND")

    def test_judges_by_the_rules(self) -> None:
        room = a_public_room(V11)
        step = signed(room)
        create = room.state.create_event
        assert create is not None
        answer = sent(room, resigned(step, auth_events=[create.event_id]))
        assert isinstance(answer, MatrixError)
        assert answer.decision == decision("join.otherwise", V11)

    def test_judges_by_the_state(self) -> None:
        room = a_public_room(V12)
        step = signed(room)
        banned = with_state(room, "m.room.member", {"membership": "ban"}, state_key=BEN)
        answer = sent(banned, step)
        assert isinstance(answer, MatrixError)
        assert answer.decision == decision("join.while_banned", V12)

    def test_tells_the_other_servers(self) -> None:
        room = with_member(a_public_room(V11), CAY, "join")
        assert accepted(room, signed(room)).send_to == {"c.example"}

    def test_gives_the_state_after(self) -> None:
        room = a_public_room(V11)
        answer = accepted(room, signed(room))
        assert answer.state.membership_of(BEN) is JOIN
        assert room.state.membership_of(BEN) is not JOIN


def with_history(*rooms: ResidentRoom) -> ResidentRoom:
    """The last of some rooms, which knows the state after each of them."""
    states = {room.prev_events: room.state for room in rooms}
    return evolve(rooms[-1], state_after=states.get)


def a_room_that_was_opened(version: RoomVersion) -> tuple[ResidentRoom, ResidentRoom]:
    """A room before it was public, and after."""
    closed = with_state(a_signed_room(version), "m.room.name", {"name": "x"})
    return closed, with_state(closed, "m.room.join_rules", {"join_rule": "public"})


class TestPreviousEvents:
    @everywhere
    def test_may_not_be_absent(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        answer = sent(room, resigned(signed(room), prev_events=[]))
        assert isinstance(answer, MatrixError)
        event = resigned(signed(room), prev_events=[]).event
        expected = auth.check(event, RoomState.of(version, []))
        assert answer == MatrixError.forbidden(expected)

    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize("looked_up", [True, False])
    def test_may_not_be_unknown(self, known: bool, looked_up: bool) -> None:
        room = a_public_room(V11)
        named = [*(room.prev_events if known else ()), "$" + "A" * 43]
        answer = sent(with_history(room) if looked_up else room, signed_after(room, named))
        told = f"this server does not know the state after the events {', '.join(named)}"
        assert answer == MatrixError.of("M_FORBIDDEN", told)

    @everywhere
    def test_on_a_branch_from_before_the_room_was_public_reject_the_join(
        self, version: RoomVersion
    ) -> None:
        closed, room = a_room_that_was_opened(version)
        answer = sent(with_history(closed, room), signed_after(room, closed.prev_events))
        assert isinstance(answer, MatrixError)
        assert answer.decision == decision("join.otherwise", version)

    def test_that_are_known_are_enough_without_a_look_up(self) -> None:
        closed, room = a_room_that_was_opened(V11)
        assert (
            accepted(room, signed_after(room, closed.prev_events)).state.membership_of(BEN) is JOIN
        )

    def test_give_the_state_of_the_answer(self) -> None:
        early = with_state(a_public_room(V11), "m.room.name", {"name": "x"})
        room = with_member(early, CAY, "join")
        answer = accepted(with_history(early, room), signed_after(room, early.prev_events))
        assert isinstance(answer.response, SendJoinResponse)
        assert ("m.room.member", CAY) not in kinds(answer.response.state)
        assert answer.state.membership_of(CAY) is JOIN
        assert answer.send_to == {"c.example"}

    def test_are_not_looked_up_when_they_are_the_newest(self) -> None:
        room = evolve(a_public_room(V11), state_after={}.__getitem__)
        assert accepted(room, signed(room))

    def test_with_a_partial_state_after_them_are_unknown(self) -> None:
        early = a_public_room(V11)
        room = with_member(early, CAY, "join")
        partial = RoomState.of(V11, early.state.events, partial=True)
        unsure = evolve(room, state_after=lambda _: partial)
        assert code(sent(unsure, signed_after(room, early.prev_events))) == "M_FORBIDDEN"

    @pytest.mark.parametrize("membership", ["leave", "knock"])
    def test_count_for_leaves_and_knocks(self, membership: str) -> None:
        handshake = {"leave": LEAVING, "knock": KNOCKING}[membership]
        knocked = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        room = with_member(knocked, BEN, "knock") if membership == "leave" else knocked
        step = resigned(signed(room, handshake), prev_events=["$" + "A" * 43])
        assert code(sent(room, step)) == "M_FORBIDDEN"
        assert isinstance(sent(room, signed(room, handshake)), Accepted)


def signed_after(room: ResidentRoom, event_ids: Any) -> AwaitingAcceptance:
    """The join with other previous events."""
    if not room.state.room_version.event_id_in_pdu:
        return resigned(signed(room), prev_events=list(event_ids))
    return resigned(signed(room), prev_events=[[event_id, {}] for event_id in event_ids])


KNOCK_RULE = "knock.join_rule_is_not_knock_or_knock_restricted"


class TestKnownEvent:
    @everywhere
    @pytest.mark.parametrize("after_the_join", [[], ["leave"], ["leave", "ban"]], ids=str)
    @pytest.mark.parametrize("join_rule", ["public", "invite"])
    def test_of_a_join_changes_nothing_and_gets_the_answer_it_got(
        self, version: RoomVersion, after_the_join: list[str], join_rule: str
    ) -> None:
        room = a_public_room(version)
        step = signed(room)
        first = accepted(room, step)
        since = [room, after(room, first.event)]
        since.append(with_state(since[-1], "m.room.join_rules", {"join_rule": join_rule}))
        for membership in after_the_join:
            moved = {"membership": membership}
            since.append(with_state(since[-1], "m.room.member", moved, state_key=BEN))
        now = with_history(*since)
        again = accepted(now, step)
        assert again == evolve(
            first,
            state=now.state,
            send_to=frozenset(),
            policy_server=None,
            repeated=True,
            response=again.response,
        )
        assert isinstance(again.response, SendJoinResponse)
        assert again.response == first.response

    def test_of_a_join_without_a_look_up_changes_nothing_after_a_leave(self) -> None:
        room = a_public_room(V11)
        step = signed(room)
        left = with_member(after(room, accepted(room, step).event), BEN, "leave")
        again = accepted(left, step)
        assert (again.repeated, again.state) == (True, left.state)
        assert again.state.membership_of(BEN) is LEAVE

    @pytest.mark.parametrize("looked_up", [False, True])
    def test_of_a_join_shows_no_later_state_to_a_banned_user(self, looked_up: bool) -> None:
        """Of an event that only the auth chain knows, the state before is unknown."""
        room = a_public_room(V11)
        step = signed(room)
        joined = after(room, accepted(room, step).event)
        banned = with_state(joined, "m.room.member", {"membership": "ban"}, state_key=BEN)
        banned = evolve(banned, state_after=(lambda _: None) if looked_up else None)
        answer = sent(banned, step)
        assert answer == MatrixError.forbidden(decision("join.while_banned", V11))

    def test_of_a_join_that_was_only_in_an_auth_chain_shows_no_state_that_forbids_it(self) -> None:
        """Its sender may have made it, and an event that lists it, to get at the state."""
        opened = a_public_room(V11)
        shut = with_state(opened, "m.room.join_rules", {"join_rule": "invite"})
        room = with_state(shut, "m.room.name", {"name": "x"})
        step = resigned(signed(opened), prev_events=list(shut.prev_events))
        known = {step.event.event_id: step.event}
        room = evolve(
            with_history(opened, shut, room),
            get_event=lambda event_id: known.get(event_id) or shut.get_event(event_id),
        )
        assert sent(room, step) == MatrixError.forbidden(decision("join.otherwise", V11))

    def test_of_a_join_that_never_took_effect_shows_no_earlier_state(self) -> None:
        """A soft-failed event is stored: its sender had put it behind the time of the open room."""
        opened = a_public_room(V11)
        step = signed(opened)
        shut = with_state(opened, "m.room.join_rules", {"join_rule": "invite"})
        room = with_history(opened, shut, with_state(shut, "m.room.name", {"name": "x"}))
        forbidden = MatrixError.forbidden(decision("join.otherwise", V11))
        assert sent(room, step) == forbidden
        known = {step.event.event_id: step.event}
        stored = evolve(
            room, get_event=lambda event_id: known.get(event_id) or room.get_event(event_id)
        )
        assert sent(stored, step) == forbidden

    def test_of_a_join_long_ago_is_judged_by_the_state_of_today(self) -> None:
        room = a_public_room(V11)
        step = signed(room)
        since = [room, after(room, accepted(room, step).event)]
        for _ in range(MOST_MOVES_SINCE):
            since.append(with_member(since[-1], BEN, "join"))
        banned = with_state(since[-1], "m.room.member", {"membership": "ban"}, state_key=BEN)
        assert accepted(with_history(*since), step).repeated
        answer = sent(with_history(*since, banned), step)
        assert answer == MatrixError.forbidden(decision("join.while_banned", V11))

    @pytest.mark.parametrize("version", [V1, V11], ids=str)
    def test_that_was_rejected_stays_so(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        step = signed(room)
        told = "this server rejected the event when it came first"
        rejecting = evolve(room, rejected={step.event.event_id})
        assert sent(rejecting, step) == MatrixError.of("M_FORBIDDEN", told)

    def test_of_a_restricted_join_has_our_signature_though_nobody_could_give_it_now(self) -> None:
        room = a_restricted_room(V11)
        step = signed(room)
        first = accepted(room, step)
        again = accepted(evolve(after(room, first.event), memberships=lambda *_: None), step)
        assert again.event.signed_by == {"a.example", "b.example"}
        assert isinstance(again.response, SendJoinResponse)
        assert again.response.event == first.event.pdu

    @everywhere
    def test_of_a_leave(self, version: RoomVersion) -> None:
        room = with_member(a_public_room(version), BEN, "join")
        step = signed(room, LEAVING)
        first = accepted(room, step)
        left = after(room, first.event)
        again = accepted(left, step)
        assert (again.response, again.repeated, again.state) == (first.response, True, left.state)
        back = with_member(left, BEN, "join")
        assert accepted(back, step).state.membership_of(BEN) is JOIN

    def test_of_a_knock(self) -> None:
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        step = signed(room, KNOCKING)
        first = accepted(room, step)
        invite = {"membership": "invite"}
        invited = with_state(after(room, first.event), "m.room.member", invite, state_key=BEN)
        again = accepted(invited, step)
        assert (again.response, again.repeated, again.state) == (
            first.response,
            True,
            invited.state,
        )

    @pytest.mark.parametrize(
        ("membership", "rule"), [("ban", "knock.otherwise"), ("leave", KNOCK_RULE)]
    )
    def test_of_a_knock_tells_nothing_of_the_room_to_who_may_not_knock_now(
        self, membership: str, rule: str
    ) -> None:
        """Otherwise the user would learn each new name of the room by the old knock."""
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        step = signed(room, KNOCKING)
        room = after(room, accepted(room, step).event)
        room = with_state(room, "m.room.member", {"membership": membership}, state_key=BEN)
        if membership == "leave":
            assert accepted(room, step).repeated
            room = with_state(room, "m.room.join_rules", {"join_rule": "invite"})
        assert sent(room, step) == MatrixError.forbidden(decision(rule, V11))


def join_answer(room: ResidentRoom, *, omit_members: bool) -> SendJoinResponse:
    answer = accepted(room, signed(room, omit_members=omit_members))
    assert isinstance(answer.response, SendJoinResponse)
    return answer.response


def kinds(pdus: tuple[bytes, ...]) -> list[tuple[str, str]]:
    found = [json.loads(pdu) for pdu in pdus]
    return sorted((pdu["type"], pdu["state_key"]) for pdu in found)


class TestJoinAnswer:
    def test_in_full_has_all_members_and_their_chains(self) -> None:
        room = with_member(a_public_room(V11), CAY, "join")
        response = join_answer(room, omit_members=False)
        assert len(response.state) == len(list(room.state.events))
        assert not response.members_omitted
        assert response.servers_in_room is None
        assert ("m.room.create", "") in kinds(response.auth_chain)

    @pytest.mark.parametrize(
        ("kind", "content"),
        [("m.room.name", {"name": "x"}), ("m.room.canonical_alias", {"alias": "#x:a.example"})],
    )
    def test_without_members_of_a_named_room_has_none(
        self, kind: str, content: dict[str, str]
    ) -> None:
        room = with_state(with_member(a_public_room(V11), CAY, "join"), kind, content)
        response = join_answer(room, omit_members=True)
        assert not [key for key in kinds(response.state) if key[0] == "m.room.member"]
        assert response.members_omitted
        assert response.servers_in_room == ("a.example", "c.example")

    def test_without_members_has_five_heroes(self) -> None:
        room = a_public_room(V11)
        for number in range(7):
            room = with_member(room, f"@m{number}:c.example", "join")
        response = join_answer(room, omit_members=True)
        users = [key for kind, key in kinds(response.state) if kind == "m.room.member"]
        assert users == sorted([ANA, *(f"@m{number}:c.example" for number in range(4))])

    @pytest.mark.parametrize(
        ("event_type", "key"), [("m.room.name", "name"), ("m.room.canonical_alias", "alias")]
    )
    @pytest.mark.parametrize("told", [{}, None, "", 7, ["x"]])
    def test_without_members_has_heroes_when_the_name_says_nothing(
        self, event_type: str, key: str, told: Any
    ) -> None:
        content = told if told == {} else {key: told}
        room = with_state(a_public_room(V11), event_type, content)
        response = join_answer(room, omit_members=True)
        assert ("m.room.member", ANA) in kinds(response.state)

    def test_keeps_the_users_own_membership(self) -> None:
        room = with_state(a_public_room(V11), "m.room.name", {"name": "x"})
        room = with_member(room, BEN, "leave")
        response = join_answer(room, omit_members=True)
        assert ("m.room.member", BEN) in kinds(response.state)

    def test_repeats_nothing_without_members(self) -> None:
        response = join_answer(a_public_room(V11), omit_members=True)
        assert response.auth_chain == ()

    @everywhere
    @pytest.mark.parametrize("membership", ["invite", None])
    @pytest.mark.parametrize("omit_members", [True, False])
    def test_is_of_the_state_before_when_the_join_is_sent_again(
        self, version: RoomVersion, membership: str | None, omit_members: bool
    ) -> None:
        room = a_public_room(version)
        if membership is not None:
            content = {"membership": membership}
            room = with_state(room, "m.room.member", content, state_key=BEN)
        step = signed(room, omit_members=omit_members)
        first = accepted(room, step)
        again = accepted(after(room, first.event), step)
        assert isinstance(first.response, SendJoinResponse)
        assert isinstance(again.response, SendJoinResponse)
        assert set(again.response.state) == set(first.response.state)
        assert set(again.response.auth_chain) == set(first.response.auth_chain)

    def test_has_the_chain_of_who_vouches(self) -> None:
        room = with_state(a_restricted_room(V10), "m.room.name", {"name": "x"})
        response = join_answer(room, omit_members=True)
        assert kinds(response.auth_chain) == [("m.room.member", ANA)]


class TestKnock:
    def test_is_refused_by_its_rule(self) -> None:
        room = a_public_room(V11)
        request = make_request(room, begin(room, KNOCKING))
        error = refused_make(room, request, handshake=KNOCKING)
        assert error.decision == decision("knock.join_rule_is_not_knock_or_knock_restricted", V11)

    def test_is_refused_where_there_is_none(self) -> None:
        room = a_public_room(V1)
        request = make_request(room, begin(room))
        error = refused_make(room, request, handshake=KNOCKING)
        assert error.decision == decision("member.unknown_membership", V1)


class TestChain:
    def test_of_an_event_leads_back_to_the_start(self) -> None:
        room = with_member(a_public_room(V11), CAY, "join")
        member = room.state.get("m.room.member", CAY)
        assert member is not None
        chain = auth.auth_chain([member], room.get_event)
        assert {event.type for event in chain.values()} == {
            "m.room.create",
            "m.room.member",
            "m.room.join_rules",
        }
