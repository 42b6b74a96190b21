"""Answers about a room whose events a store loads in batches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import pytest

from matrix_membership import Event, RoomVersion
from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidEvent
from matrix_membership.federation import (
    JOINING,
    Accepted,
    AwaitingEvents,
    MakeRequest,
    MakeResponse,
    MatrixError,
    ResidentRoom,
    SendJoinResponse,
    drafts,
    in_batches,
)
from matrix_membership.federation.resident import answer_make, answer_send
from matrix_membership.identifiers import EventID, UserID
from matrix_membership.room_versions import V1, V11, V12
from tests.bench.rooms import really_signed
from tests.builders import ANA, BEN, KEYS, VERSIONS
from tests.federation.conversation import (
    a_public_room,
    accepted,
    begin,
    make_request,
    send_request,
    sent,
    signed,
)
from tests.federation.signed_rooms import A, after, with_state

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
Answer = TypeVar("Answer")


class Store:
    """A store that is asked in batches, and notes what it was asked for."""

    def __init__(self, room: ResidentRoom, *, with_chains: bool = False) -> None:
        self.get = room.get_event
        self.with_chains = with_chains
        self.batches: list[frozenset[EventID]] = []

    def load(self, wanted: Collection[EventID]) -> list[Event]:
        self.batches.append(frozenset(wanted))
        found = {event.event_id: event for name in wanted if (event := self.get(name))}
        waiting = list(found.values()) if self.with_chains else []
        while waiting:
            for name in waiting.pop().auth_events:
                event = self.get(name)
                if event is not None and name not in found:
                    found[name] = event
                    waiting.append(event)
        return list(found.values())


def nothing(_: EventID) -> None:
    """The events at hand: none."""


def loaded(answer: Callable[[ResidentRoom], Answer], room: ResidentRoom, store: Store) -> Answer:
    """An answer, loaded from a store."""
    step: Any = in_batches(answer, evolve(room, get_event=nothing))
    while isinstance(step, AwaitingEvents):
        step = step.given(store.load(step.needs))
    answered: Answer = step
    return answered


def said(answer: Accepted | MatrixError) -> tuple[Any, ...]:
    """Return the content of an answer."""
    assert isinstance(answer, Accepted)
    assert isinstance(answer.response, SendJoinResponse)
    response = answer.response
    chain = sorted(response.auth_chain)
    return response.state, chain, response.event, response.servers_in_room, answer.send_to


@EVERY_VERSION
class TestAnswerSend:
    @pytest.mark.parametrize("with_chains", [False, True])
    @pytest.mark.parametrize("omit", [False, True])
    def test_is_the_same(self, version: RoomVersion, omit: bool, with_chains: bool) -> None:
        room = a_public_room(version)
        step = signed(room, omit_members=omit)
        request, store = send_request(step), Store(room, with_chains=with_chains)

        def answer(about: ResidentRoom) -> Accepted | MatrixError:
            return answer_send(JOINING, request, about, A, keys=KEYS)

        assert said(loaded(answer, room, store)) == said(answer(room))
        assert len(set().union(*store.batches)) == sum(map(len, store.batches))

    def test_of_a_repeated_join_is_the_same(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        step = signed(room)
        joined = after(room, accepted(room, step).event)
        request = send_request(step)

        def answer(about: ResidentRoom) -> Accepted | MatrixError:
            return answer_send(JOINING, request, about, A, keys=KEYS)

        again = answer(joined)
        assert isinstance(again, Accepted)
        assert again.repeated
        assert said(loaded(answer, joined, Store(joined))) == said(again)

    def test_of_a_join_that_lists_unknown_events_is_the_same(self, version: RoomVersion) -> None:
        room = a_public_room(version)
        request = send_request(signed(room))
        rules = room.state.get("m.room.join_rules")
        known = {event.event_id: event for event in room.state.events if event is not rules}
        lacking = evolve(room, get_event=known.get)

        def answer(about: ResidentRoom) -> Accepted | MatrixError:
            return answer_send(JOINING, request, about, A, keys=KEYS)

        refused = answer(lacking)
        assert isinstance(refused, MatrixError)
        assert loaded(answer, lacking, Store(lacking)) == refused


@pytest.mark.parametrize("version", [V1, V11], ids=str)
def test_answer_make_asks_for_what_it_hashes(version: RoomVersion) -> None:
    room = a_public_room(version)
    request: MakeRequest = make_request(room, begin(room))
    store = Store(room)

    def answer(about: ResidentRoom) -> MakeResponse | MatrixError:
        return answer_make(JOINING, request, about, at=5)

    assert loaded(answer, room, store) == answer(room)
    assert bool(store.batches) is version.event_id_in_pdu


class TestAuthChain:
    """A room whose join rules changed often has a deep chain."""

    @pytest.mark.parametrize("with_chains", [False, True])
    def test_is_followed_level_by_level_or_given_whole(self, with_chains: bool) -> None:
        room = a_public_room(V11)
        for number in range(6):
            draft = drafts.draft(
                room, "m.room.power_levels", "", sender=ANA, content={"ban": 50 + number}, at=9
            )
            room = after(room, draft.complete(A))
        request, store = send_request(signed(room)), Store(room, with_chains=with_chains)
        made: list[str] = []

        def answer(about: ResidentRoom) -> Accepted | MatrixError:
            made.append(about.room_id)
            return answer_send(JOINING, request, about, A, keys=KEYS)

        answered = loaded(answer, room, store)
        assert len(store.batches) == (2 if with_chains else 6)
        assert len(made) <= 4
        assert said(answered) == said(answer(room))


class TestWhatIsAtHand:
    def test_is_not_asked_for(self) -> None:
        room = a_public_room(V11)
        request = send_request(signed(room))
        assert in_batches(name_of, room) is room.server_name
        at_hand = {event.event_id: event for event in room.state.events}
        store = Store(room)
        step: Any = in_batches(
            lambda about: answer_send(JOINING, request, about, A, keys=KEYS),
            evolve(room, get_event=at_hand.get),
        )
        while isinstance(step, AwaitingEvents):
            assert step.needs.isdisjoint(at_hand)
            step = step.given(store.load(step.needs))
        assert isinstance(step, Accepted)


def name_of(room: ResidentRoom) -> str:
    """An answer that asks for no event."""
    return room.server_name


class TestACursor:
    """It gives its rows once, and an answer in batches is made several times."""

    def restricted(self) -> ResidentRoom:
        """A room whose user stands in no list of levels."""
        allow = [{"type": "m.room_membership", "room_id": "!club:a.example"}]
        content = {"join_rule": "restricted", "allow": allow}
        room = with_state(a_public_room(V11), "m.room.join_rules", content)
        room = with_state(room, "m.room.power_levels", {"invite": 0})
        return evolve(room, memberships=lambda user, room_id: "join")

    def test_of_local_users_is_read_again(self) -> None:
        room = self.restricted()
        request, store = send_request(signed(room)), Store(room)
        rows = iter([ANA, *(f"@u{number}:a.example" for number in range(99))])

        def answer(about: ResidentRoom) -> Accepted | MatrixError:
            return answer_send(JOINING, request, about, A, keys=KEYS)

        answered = loaded(answer, evolve(room, local_users=rows), store)
        assert said(answered) == said(answer(evolve(room, local_users=[ANA])))
        assert len(list(rows)) == 99  # no more was taken than is needed

    def test_of_local_users_is_read_to_its_end(self) -> None:
        room = evolve(self.restricted(), local_users=iter(()))
        request = send_request(signed(self.restricted()))
        for _ in range(2):
            refused = answer_send(JOINING, request, room, A, keys=KEYS)
            assert isinstance(refused, MatrixError)
            assert refused.errcode == "M_UNABLE_TO_GRANT_JOIN"

    def test_of_heroes_is_read_again(self) -> None:
        room = a_public_room(V12)
        request = send_request(signed(room))

        def answer(about: ResidentRoom) -> Accepted | MatrixError:
            return answer_send(JOINING, request, about, A, keys=KEYS)

        rows = iter(_members(room))
        answered = loaded(answer, evolve(room, heroes=rows), Store(room))
        assert said(answered) == said(answer(room))


class TestHeroes:
    def test_are_loaded_by_their_ids(self) -> None:
        room = really_signed(30)
        step = signed(room)
        pairs = [
            (UserID(user), event.event_id)
            for user, event in room.state.members.items()
            if user != BEN
        ]
        described = evolve(room, heroes=pairs[:6])
        assert said(sent(described, step)) == said(sent(room, step))

    def test_leave_out_the_user_who_joins(self) -> None:
        room = a_public_room(V12)
        step = signed(room)
        pairs = [(UserID(BEN), EventID("$none")), *_members(room)]
        assert said(sent(evolve(room, heroes=pairs), step)) == said(sent(room, step))


def _members(room: ResidentRoom) -> list[tuple[UserID, EventID]]:
    return [(UserID(user), event.event_id) for user, event in room.state.members.items()]


def test_an_answer_of_events_without_pdus_is_refused() -> None:
    row = {"type": "m.room.name", "sender": BEN, "content": {}, "state_key": ""}
    event = Event.accepted(row, V11)
    with pytest.raises(InvalidEvent) as caught:
        SendJoinResponse.of([event], [])
    assert caught.value == InvalidEvent("event", "one read from a PDU", repr(event))
