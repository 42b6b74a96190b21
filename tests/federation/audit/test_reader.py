"""An answer to send_join read piece by piece is the answer read whole."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidMessage, LocalProtocolError
from matrix_membership.events import Event
from matrix_membership.federation import (
    KNOCKING,
    AnswerBudget,
    AwaitingKeys,
    Joined,
    SendJoinReader,
    SendJoinResponse,
)
from matrix_membership.federation.audit import Examination, examine
from matrix_membership.federation.handshake import AwaitingAcceptance
from matrix_membership.room_versions import KNOWN, V1, V11, V12
from tests.builders import CAY
from tests.captures import captures
from tests.federation.audit.test_audit import KEYS, altered, gone, renamed, unsigned, with_ben_of


def read_in_pieces(step: AwaitingAcceptance, data: bytes, size: int) -> Examination:
    reader = step.reader()
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return reader.finish()


def told(examination: Examination) -> tuple[Any, ...]:
    """All that an examination says."""
    entries = {
        event_id: (entry.event.pdu, entry.covered, entry.signatures, entry.hash_matches)
        for event_id, entry in examination.entries.items()
    }
    returned = examination.returned and examination.returned.event.pdu
    rest = (examination.create, examination.members_omitted, examination.servers)
    return (
        entries,
        set(examination.in_state),
        examination.defects,
        returned,
        examination.needs,
        rest,
    )


LIES: Any = {
    "none": lambda answer: answer,
    "unsigned": lambda answer: altered(answer, unsigned, "m.room.member", CAY),
    "no create event": lambda answer: altered(answer, gone, "m.room.create"),
    "altered": lambda answer: altered(answer, renamed, "m.room.member", CAY),
    "malformed": lambda answer: altered(answer, lambda _: {}, "m.room.member", CAY),
    "altered join": lambda answer: evolve(answer, event=answer.state[0]),
    "no join": lambda answer: evolve(answer, event=b"{}"),
    "twice": lambda answer: evolve(answer, state=answer.state * 2),
    "omitted": lambda answer: evolve(answer, members_omitted=True),
}


def spaced(pdu: bytes) -> bytes:
    return json.dumps(json.loads(pdu)).encode()


def canonical(pdu: bytes) -> bytes:
    return encode(json.loads(pdu))


@pytest.mark.parametrize("version", [V1, V11, V12], ids=str)
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("form", [spaced, canonical])
def test_any_answer_in_pieces_is_the_answer_whole(version: Any, lie: str, form: Any) -> None:
    step, honest = with_ben_of(version)
    response = LIES[lie](honest)
    response = evolve(response, state=tuple(map(form, response.state)))
    whole = examine(response, step.event, asked_to_omit=False, resident="a.example")
    for size in (1, 100, 10**6):
        pieces = read_in_pieces(step, response.to_bytes(), size)
        assert told(pieces) == told(whole)
        assert pieces.audit(KEYS).defects == whole.audit(KEYS).defects


@pytest.mark.parametrize(
    "capture",
    [found for version in KNOWN for found in captures(version, "send_join_[adfpr]*")],
    ids=str,
)
@pytest.mark.parametrize("separators", [None, (",", ":")], ids=["spaced", "as sent"])
def test_answers_of_synapse_are_read_alike(capture: Any, separators: Any) -> None:
    join = Event.from_pdu(capture.request, KNOWN[capture.version])
    body = json.dumps(capture.response, separators=separators).encode()
    reader = SendJoinReader(join, asked_to_omit=True, resident="a.example")
    reader.feed(body)
    response = SendJoinResponse.from_bytes(body)
    whole = examine(response, join, asked_to_omit=True, resident="a.example")
    assert told(reader.finish()) == told(whole)
    assert len(whole.entries) > 1


class TestStep:
    def test_takes_what_its_reader_found(self) -> None:
        step, response = with_ben_of(V11)
        after = step.receive(read_in_pieces(step, response.to_bytes(), 1_000))
        assert isinstance(after, AwaitingKeys)
        assert isinstance(after.receive(KEYS), Joined)

    def test_takes_nothing_that_was_found_for_another_join(self) -> None:
        step, response = with_ben_of(V11)
        another, _ = with_ben_of(V12)
        with pytest.raises(LocalProtocolError):
            another.receive(read_in_pieces(step, response.to_bytes(), 1_000))

    def test_has_a_reader_for_a_join_only(self) -> None:
        step, _ = with_ben_of(V11)
        with pytest.raises(LocalProtocolError):
            evolve(step, handshake=KNOCKING).reader()

    def test_gives_its_reader_the_budget(self) -> None:
        step, _ = with_ben_of(V11)
        with pytest.raises(InvalidMessage):
            step.reader(budget=AnswerBudget(max_bytes=3)).feed(b"{   ")


class TestReader:
    def test_reads_an_answer_about_the_state_too(self) -> None:
        step, response = with_ben_of(V11)
        reader = SendJoinReader(
            step.event, asked_to_omit=False, resident="a.example", of_state=True
        )
        body = response.to_bytes().replace(b'"state":', b'"pdus":').replace(b'"event":', b'"x":')
        reader.feed(body)
        whole = examine(
            evolve(response, event=None), step.event, asked_to_omit=False, resident="a.example"
        )
        assert told(reader.finish()) == told(whole)

    def test_misses_what_an_answer_about_the_state_has_not(self) -> None:
        step, _ = with_ben_of(V11)
        reader = SendJoinReader(
            step.event, asked_to_omit=False, resident="a.example", of_state=True
        )
        reader.feed(b'{"state":[],"auth_chain":[]}')
        with pytest.raises(InvalidMessage):
            reader.finish()

    def test_reads_every_event_of_a_long_answer(self) -> None:
        step, _ = with_ben_of(V11)
        reader = step.reader()
        events = b",".join([b'{"n":%d}' % number for number in range(150)])
        reader.feed(b'{"auth_chain":[],"state":[' + events + b"]}")
        malformed = [defect for defect in reader.finish().defects if defect.code == "malformed"]
        assert [defect.detail.partition(" ")[0] for defect in malformed] == [
            f"state[{number}]" for number in range(150)
        ]

    def test_is_sealed(self) -> None:
        step, _ = with_ben_of(V11)
        reader: Any = step.reader()
        with pytest.raises(AttributeError):
            reader._splitter = None
        with pytest.raises(AttributeError):
            del reader._splitter
        with pytest.raises(TypeError):
            type("Mine", (SendJoinReader,), {})

    def test_gives_what_it_found_once(self) -> None:
        step, response = with_ben_of(V11)
        reader = step.reader()
        reader.feed(response.to_bytes())
        reader.finish()
        with pytest.raises(LocalProtocolError):
            reader.finish()

    @pytest.mark.parametrize(
        "data",
        [b"", b"{}", b'{"state":[],"auth_chain":[],"members_omitted":5}'],
        ids=["empty", "without lists", "of a wrong type"],
    )
    def test_keeps_the_error_of_its_end(self, data: bytes) -> None:
        step, _ = with_ben_of(V11)
        reader = step.reader()
        reader.feed(data)
        with pytest.raises(InvalidMessage) as raised:
            reader.finish()
        for again in (reader.finish, lambda: reader.feed(b" ")):
            with pytest.raises(InvalidMessage) as repeated:
                again()
            assert repeated.value == raised.value


class TestMap:
    @pytest.mark.parametrize("lie", ["none", "unsigned"])
    def test_may_be_that_of_threads_or_processes(self, lie: str) -> None:
        step, honest = with_ben_of(V11)
        examination = read_in_pieces(step, LIES[lie](honest).to_bytes(), 1_000)
        plain = examination.audit(KEYS)
        with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2) as processes:
            for pool in (threads, processes):
                result = examination.audit(KEYS, map=pool.map, piece=2)
                assert (result.state, result.defects) == (plain.state, plain.defects)

    def test_that_says_no_is_believed(self) -> None:
        step, response = with_ben_of(V11)
        examination = read_in_pieces(step, response.to_bytes(), 1_000)

        def none_good(_: Any, pieces: Any) -> Any:
            return [[False] * len(piece) for piece in pieces]

        defects = examination.audit(KEYS, map=none_good).defects
        assert {defect.code for defect in defects} == {"bad_signature", "join_unauthorised"}

    @pytest.mark.parametrize("verdicts", [[], [[True]], [[True] * 99]])
    def test_that_loses_verdicts_is_refused(self, verdicts: Any) -> None:
        step, response = with_ben_of(V11)
        examination = read_in_pieces(step, response.to_bytes(), 1_000)
        with pytest.raises(LocalProtocolError):
            examination.audit(KEYS, map=lambda *_: verdicts)
