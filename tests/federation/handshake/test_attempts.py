"""Servers tried in turn: who is next, when it ends, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidIdentifier, InvalidMessage, LocalProtocolError
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    AnswerBudget,
    Attempt,
    Attempts,
    Failed,
    Handshake,
    Joined,
    Knocked,
    Left,
    MatrixError,
    Reply,
    ResidentRoom,
)
from matrix_membership.federation.handshake._ends import goes_on, reply_of
from matrix_membership.federation.resident import Accepted, answer_send
from matrix_membership.identifiers import RoomID, UserID
from matrix_membership.room_versions import V1, V8, V11, V12
from tests.builders import BEN, KEYS
from tests.federation.conversation import (
    a_public_room,
    a_restricted_room,
    send_request,
    template,
)
from tests.federation.signed_rooms import AT, NO_KEYS, A, B, a_signed_room, with_member, with_state

SERVERS = ("a.example", "c.example", "d.example")
ROOM = a_public_room(V11)

FORBIDDEN = (403, {"errcode": "M_FORBIDDEN", "error": "you are banned"})
NOT_FOUND = (404, {"errcode": "M_NOT_FOUND", "error": "what room?"})
CANNOT_GRANT = (400, {"errcode": "M_UNABLE_TO_GRANT_JOIN", "error": "nobody here"})
CANNOT_AUTHORISE = (400, {"errcode": "M_UNABLE_TO_AUTHORISE_JOIN", "error": "cannot see"})
INCOMPATIBLE = (400, {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "x", "room_version": "x"})
BROKEN = (502, None)
BUSY = (429, {"errcode": "M_LIMIT_EXCEEDED", "error": "later", "retry_after_ms": 5})
NONSENSE = (200, {"event": {}, "room_version": "11"})
ODD = (400, {"errcode": "M_BAD_JSON", "error": "?"})


def begun(
    room: ResidentRoom = ROOM,
    handshake: Handshake = JOINING,
    servers: tuple[str, ...] = SERVERS,
    **options: Any,
) -> Attempts:
    """Ben's server begins with the first of several servers."""
    found = Attempts.begin(
        handshake, UserID(BEN), RoomID(room.room_id), servers=servers, signer=B, **options
    )
    assert isinstance(found, Attempts)
    return found


def told(attempts: Any, *answers: tuple[int, Any]) -> Any:
    """What comes of answers, one after the other."""
    for status, body in answers:
        attempts = attempts.receive(status, body, at=AT)
    return attempts


def templated(room: ResidentRoom = ROOM, handshake: Handshake = JOINING) -> tuple[int, Any]:
    """A good template."""
    return 200, template(room, handshake).to_json()


def accepted(attempts: Attempts, room: ResidentRoom = ROOM) -> tuple[int, Any]:
    """The answer to what is sent now."""
    answer = answer_send(
        attempts.begun.handshake,
        send_request(attempts.step),  # type: ignore[arg-type]  # an event awaits acceptance
        room,
        A,
        keys=KEYS,
    )
    assert isinstance(answer, Accepted), answer
    return 200, answer.response.to_json()


class TestTranscript:
    @pytest.mark.parametrize("handshake", [JOINING, KNOCKING, LEAVING])
    def test_is_carried_by_the_end(self, handshake: Handshake) -> None:
        rule = "knock" if handshake is KNOCKING else "public"
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": rule})
        if handshake is LEAVING:
            room = with_member(room, BEN, "invite")
        attempts = told(begun(room, handshake), NOT_FOUND, templated(room, handshake))
        end = told(attempts, accepted(attempts, room))
        if isinstance(end, Attempts):
            end = end.receive_keys(KEYS)
        assert isinstance(end, Joined | Knocked | Left)
        assert [(entry.server, entry.reply) for entry in end.transcript] == [
            ("a.example", Reply.NOT_FOUND)
        ]


class TestBegin:
    def test_asks_the_first_server(self) -> None:
        attempts = begun()
        assert (attempts.destination, attempts.waiting) == ("a.example", ("c.example", "d.example"))
        assert "/make_join/" in attempts.request.path

    def test_passes_over_itself_and_repeats(self) -> None:
        attempts = begun(servers=("b.example", "c.example", "c.example", "a.example"))
        assert (attempts.destination, attempts.waiting) == ("c.example", ("a.example",))

    @pytest.mark.parametrize("servers", [(), ("b.example",)])
    def test_fails_without_a_server(self, servers: tuple[str, ...]) -> None:
        failed = Attempts.begin(
            JOINING, UserID(BEN), RoomID(ROOM.room_id), servers=servers, signer=B
        )
        assert failed == Failed(())
        assert isinstance(failed, Failed)
        assert (failed.error.status, failed.error.errcode) == (404, "M_NOT_FOUND")
        assert failed.sentence == "no server is known that is in the room"

    def test_takes_servers_alone(self) -> None:
        with pytest.raises(InvalidIdentifier):
            begun(servers=("not a server",))


class TestNextServer:
    @pytest.mark.parametrize(
        ("answer", "reply"),
        [
            (NOT_FOUND, Reply.NOT_FOUND),
            (BROKEN, Reply.BROKEN),
            (NONSENSE, Reply.NONSENSE),
            ((200, None), Reply.NONSENSE),
            ((301, None), Reply.BROKEN),
            (CANNOT_GRANT, Reply.CANNOT_GRANT),
            (CANNOT_AUTHORISE, Reply.CANNOT_AUTHORISE),
        ],
    )
    def test_is_asked_after(self, answer: tuple[int, Any], reply: Reply) -> None:
        attempts = told(begun(), answer)
        assert (attempts.destination, attempts.waiting) == ("c.example", ("d.example",))
        assert [(entry.server, entry.asked, entry.reply) for entry in attempts.transcript] == [
            ("a.example", "make_join", reply)
        ]

    def test_is_asked_when_one_cannot_be_reached(self) -> None:
        attempts = begun().unreachable("timed out")
        assert isinstance(attempts, Attempts)
        assert attempts.destination == "c.example"
        assert str(attempts.transcript[0]) == (
            "a.example could not be reached (make_join: timed out)"
        )

    def test_is_asked_when_the_event_is_not_taken(self) -> None:
        attempts = told(begun(), templated(), CANNOT_GRANT)
        assert (attempts.destination, attempts.transcript[0].asked) == ("c.example", "send_join")

    def test_is_asked_when_the_answer_cannot_be_verified(self) -> None:
        attempts = told(begun(), templated())
        attempts = told(attempts, accepted(attempts))
        assert attempts.awaits_keys
        after = attempts.receive_keys(NO_KEYS)
        assert isinstance(after, Attempts)
        assert (after.destination, after.transcript[0].asked) == ("c.example", "keys")
        assert after.transcript[0].reply is Reply.NONSENSE

    @pytest.mark.parametrize(
        ("answer", "reply"),
        [
            (FORBIDDEN, Reply.FORBIDDEN),
            (INCOMPATIBLE, Reply.INCOMPATIBLE),
            (BUSY, Reply.BUSY),
            (ODD, Reply.REFUSED),
            ((401, {"errcode": "M_UNAUTHORIZED", "error": "who?"}), Reply.REFUSED),
        ],
    )
    def test_is_not_asked_after(self, answer: tuple[int, Any], reply: Reply) -> None:
        failed = told(begun(), NOT_FOUND, answer)
        assert isinstance(failed, Failed)
        assert [entry.reply for entry in failed.transcript] == [Reply.NOT_FOUND, reply]

    @pytest.mark.parametrize("reply", Reply)
    def test_is_a_matter_of_one_table(self, reply: Reply) -> None:
        ends = (Reply.BUSY, Reply.REFUSED, Reply.INCOMPATIBLE, Reply.FORBIDDEN)
        assert goes_on(reply) is (reply not in ends)
        assert goes_on(reply, invited=True) is (reply not in ends[:-1])

    @pytest.mark.parametrize("handshake", [JOINING, LEAVING], ids=lambda one: one.make)
    def test_is_asked_after_one_that_may_not_know_the_invite(self, handshake: Handshake) -> None:
        attempts = begun(handshake=handshake, invited=True)
        asked = [attempts.destination]
        while isinstance(after := told(attempts, FORBIDDEN), Attempts):
            attempts = after
            asked.append(attempts.destination)
        assert tuple(asked) == SERVERS
        assert (after.error.status, after.error.errcode) == (403, "M_FORBIDDEN")
        assert [entry.reply for entry in after.transcript] == [Reply.FORBIDDEN] * len(SERVERS)

    def test_is_not_asked_when_the_client_has_to_wait(self) -> None:
        failed = told(begun(), NOT_FOUND, BUSY)
        assert (failed.error.status, failed.error.headers) == (429, (("Retry-After", "1"),))

    def test_is_no_matter_of_the_code_alone(self) -> None:
        assert reply_of(MatrixError("M_FORBIDDEN", "", 500)) is Reply.BROKEN


class TestOldEndpoint:
    @pytest.mark.parametrize("answer", [(404, None), (404, {"errcode": "M_UNRECOGNIZED"})])
    def test_is_tried_with_the_same_server(self, answer: tuple[int, Any]) -> None:
        attempts = told(begun(), templated(), answer)
        assert attempts.destination == "a.example"
        assert attempts.request.path.startswith("/_matrix/federation/v1/send_join/")
        (attempt,) = attempts.transcript
        assert (attempt.server, attempt.asked, attempt.reply) == (
            "a.example",
            "send_join",
            Reply.OLDER,
        )

    def test_is_not_told_when_others_have_more_to_say(self) -> None:
        older = (404, {"errcode": "M_UNRECOGNIZED", "error": "?"})
        failed = told(begun(servers=("a.example",)), templated(), older, NOT_FOUND)
        assert [attempt.reply for attempt in failed.transcript] == [Reply.OLDER, Reply.NOT_FOUND]
        assert failed.sentence == "a.example does not know the room: what room?"

    def test_is_not_tried_for_a_room_that_is_not_found(self) -> None:
        attempts = told(begun(), templated(), NOT_FOUND)
        assert attempts.destination == "c.example"


class TestReader:
    def test_reads_the_answer_to_a_join_piece_by_piece(self) -> None:
        attempts = told(begun(), templated())
        _, body = accepted(attempts, ROOM)
        reader = attempts.reader()
        for byte in encode(body):
            reader.feed(bytes([byte]))
        awaiting = told(attempts, (200, reader))
        assert isinstance(awaiting.receive_keys(KEYS), Joined)

    def test_may_be_finished_by_the_caller(self) -> None:
        attempts = told(begun(), templated())
        _, body = accepted(attempts, ROOM)
        reader = attempts.reader()
        reader.feed(encode(body))
        awaiting = told(attempts, (200, reader.finish()))
        assert isinstance(awaiting.receive_keys(KEYS), Joined)

    def test_remembers_what_was_wrong_at_the_end(self) -> None:
        attempts = told(begun(), templated())
        reader = attempts.reader()
        reader.feed(b"{}")
        with pytest.raises(InvalidMessage):
            reader.finish()
        after = told(attempts, (200, reader))
        assert after.transcript[-1].reply is Reply.NONSENSE

    def test_remembers_what_was_wrong(self) -> None:
        attempts = told(begun(), templated())
        reader = attempts.reader(budget=AnswerBudget(max_bytes=9))
        with pytest.raises(InvalidMessage):
            reader.feed(b"x" * 10)
        after = told(attempts, (200, reader))
        assert after.destination == "c.example"
        assert after.transcript[-1].reply is Reply.NONSENSE
        assert "at most 9 bytes" in after.transcript[-1].error.error

    def test_has_nothing_to_say_about_an_error(self) -> None:
        attempts = told(begun(), templated())
        assert told(attempts, (502, attempts.reader())).transcript[-1].reply is Reply.BROKEN

    def test_is_for_no_small_answer(self) -> None:
        assert begun().reader() is None
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        attempts = told(begun(room, KNOCKING), templated(room, KNOCKING))
        assert attempts.reader() is None

    def test_of_a_join_reads_no_template(self) -> None:
        reader = told(begun(), templated()).reader()
        reader.feed(b'{"state":[],"auth_chain":[]}')
        with pytest.raises(LocalProtocolError):
            told(begun(), (200, reader))


class TestEnd:
    @pytest.mark.parametrize("version", [V1, V8, V11, V12], ids=str)
    def test_of_a_join_is_the_room(self, version: Any) -> None:
        room = a_public_room(version)
        attempts = told(begun(room), BROKEN, templated(room))
        attempts = told(attempts, accepted(attempts, room))
        assert set(attempts.needs) >= {"a.example"}
        end = attempts.receive_keys(KEYS, map=map)
        assert isinstance(end, Joined)
        assert end.resident == "c.example"

    def test_of_a_knock_is_a_knock(self) -> None:
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        attempts = told(begun(room, KNOCKING), BROKEN, templated(room, KNOCKING))
        end = told(attempts, accepted(attempts, room))
        assert isinstance(end, Knocked)
        assert end.resident == "c.example"

    def test_of_a_rejected_invite_is_a_leave(self) -> None:
        room = with_member(a_signed_room(V11), BEN, "invite")
        attempts = told(begun(room, LEAVING), NOT_FOUND, templated(room, LEAVING))
        end = told(attempts, accepted(attempts, room))
        assert isinstance(end, Left)
        assert end.resident == "c.example"

    def test_of_a_restricted_join_goes_through_who_vouches(self) -> None:
        room = a_restricted_room(V11)
        attempts = told(begun(room, servers=("c.example", "a.example")), templated(room))
        assert (attempts.begun.resident, attempts.destination) == ("c.example", "a.example")
        attempts = told(attempts, accepted(attempts, room))
        end = attempts.receive_keys(KEYS)
        assert isinstance(end, Joined)
        assert end.event.signed_by == {"a.example", "b.example"}
        assert end.resident == "a.example"

    def test_carries_what_the_user_wants_said(self) -> None:
        attempts = told(begun(content={"reason": "hi"}), BROKEN, templated())
        assert attempts.step.event.content["reason"] == "hi"

    def test_may_ask_for_all_members(self) -> None:
        attempts = told(begun(omit_members=False), BROKEN, templated())
        assert attempts.request.query == (("omit_members", "false"),)


class TestOutOfTurn:
    def test_no_keys_are_taken_before_an_answer(self) -> None:
        with pytest.raises(LocalProtocolError):
            begun().receive_keys(KEYS)

    def test_no_answer_is_taken_before_the_keys(self) -> None:
        attempts = told(begun(), templated())
        attempts = told(attempts, accepted(attempts))
        with pytest.raises(LocalProtocolError):
            told(attempts, FORBIDDEN)
        with pytest.raises(LocalProtocolError):
            attempts.request  # noqa: B018 - it raises

    def test_no_keys_are_needed_before_an_answer(self) -> None:
        assert begun().needs == {}
        assert not begun().awaits_keys


class TestFailed:
    def test_tells_the_most_telling_reply(self) -> None:
        failed = told(begun(), CANNOT_GRANT, NOT_FOUND, BROKEN)
        assert isinstance(failed, Failed)
        assert failed.most_telling == failed.transcript[0]
        assert (failed.error.status, failed.error.errcode) == (400, "M_UNABLE_TO_GRANT_JOIN")
        assert failed.error.error == failed.sentence
        assert failed.sentence == (
            "a.example has nobody in the room who may let users in: nobody here; "
            "c.example does not know the room; d.example failed"
        )

    def test_groups_servers_that_replied_alike(self) -> None:
        failed = told(begun(), NOT_FOUND, NOT_FOUND, FORBIDDEN)
        assert failed.sentence == (
            "d.example forbids it: you are banned; a.example, c.example does not know the room"
        )
        assert (failed.error.status, failed.error.errcode) == (403, "M_FORBIDDEN")

    def test_tells_the_first_of_two_alike(self) -> None:
        failed = told(begun(), CANNOT_AUTHORISE, NOT_FOUND, CANNOT_AUTHORISE)
        assert failed.most_telling.server == "a.example"

    @pytest.mark.parametrize("answer", [BROKEN, NONSENSE])
    def test_blames_servers_that_fail(self, answer: tuple[int, Any]) -> None:
        failed = told(begun(), answer, answer, answer)
        assert (failed.error.status, failed.error.errcode) == (502, "M_UNKNOWN")

    @pytest.mark.parametrize(
        ("status", "errcode"),
        [
            (400, "M_MISSING_PARAM"),
            (400, "M_INVALID_PARAM"),
            (400, "M_UNRECOGNIZED"),
            (401, "M_UNAUTHORIZED"),
            (405, "M_FOREIGN"),
        ],
    )
    def test_does_not_blame_the_client_for_our_request(self, status: int, errcode: str) -> None:
        failed = told(begun(), (status, {"errcode": errcode, "error": "no"}))
        assert failed.most_telling.reply is Reply.REFUSED
        assert (failed.error.status, failed.error.errcode) == (502, "M_UNKNOWN")

    @pytest.mark.parametrize(("status", "errcode"), [(400, "M_FOREIGN"), (403, "M_USER_SUSPENDED")])
    def test_passes_a_refusal_on(self, status: int, errcode: str) -> None:
        failed = told(begun(), (status, {"errcode": errcode, "error": "no"}))
        assert (failed.error.status, failed.error.errcode) == (status, errcode)

    def test_speaks_of_the_room_when_an_endpoint_is_not_there(self) -> None:
        unknown = (404, {"errcode": "M_UNRECOGNIZED", "error": "what?"})
        failed = told(begun(), unknown, unknown, unknown)
        assert (failed.error.status, failed.error.errcode) == (404, "M_NOT_FOUND")

    def test_keeps_what_else_an_error_says(self) -> None:
        failed = told(begun(), INCOMPATIBLE)
        assert failed.error.extra == {"room_version": "x"}


ANSWERS = (FORBIDDEN, NOT_FOUND, CANNOT_GRANT, INCOMPATIBLE, BROKEN, BUSY, NONSENSE, None)


@settings(max_examples=200)
@given(answers=st.lists(st.sampled_from([*ANSWERS, "template"]), min_size=12, max_size=12))
def test_any_answers_end_the_search(answers: list[Any]) -> None:
    """No server gives a template twice, and each attempt is told once."""
    attempts: Any = begun()
    asked = []
    for answer in answers:
        if isinstance(attempts, Failed):
            break
        if "/make_join/" in attempts.request.path:
            asked.append(attempts.destination)
        if answer is None:
            attempts = attempts.unreachable("gone")
        else:
            attempts = told(attempts, templated() if answer == "template" else answer)
    assert isinstance(attempts, Failed)
    assert len(set(asked)) == len(asked) == len(attempts.transcript)
    stopped = [entry for entry in attempts.transcript if not goes_on(entry.reply)]
    assert stopped in ([], [attempts.transcript[-1]])


def test_attempts_are_values() -> None:
    attempts = begun()
    assert attempts == begun()
    assert told(attempts, BROKEN) == told(attempts, BROKEN)
    assert attempts.transcript == ()
    first = Attempt(
        attempts.begun.resident, "make_join", Reply.BROKEN, MatrixError("M_UNKNOWN", "", 502)
    )
    assert evolve(attempts, transcript=(first,)) != attempts
