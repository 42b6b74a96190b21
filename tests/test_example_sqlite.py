"""The server on SQLite answers as one that holds its rooms in memory, and loads what an answer needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from matrix_membership import Event, EventTemplate, Membership, RoomVersion
from matrix_membership._attrs import evolve
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    Accepted,
    Handshake,
    MakeResponse,
    MatrixError,
    ResidentRoom,
    SendJoinResponse,
    drafts,
)
from matrix_membership.federation.resident import answer_make, answer_send
from matrix_membership.identifiers import EventID
from matrix_membership.receipt import Disposition, receive
from matrix_membership.room_versions import V11, V12
from matrix_membership.server import ReadPdu, SendRequest, read_pdu
from sqlite_server import Server, tables
from sqlite_server.tables import Database
from tests.builders import ANA, BEN, CAY, DAN, KEYS, VERSIONS
from tests.federation.conversation import (
    a_public_room,
    begin,
    make_request,
    send_request,
    signed,
)
from tests.federation.signed_rooms import (
    AT,
    A,
    B,
    a_signed_room,
    after,
    seen_from,
    with_member,
    with_state,
)

ROOMS: Final = 1000
T = TypeVar("T")

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)


class Counting(Database):
    """A database that notes which events were loaded."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.loaded: list[EventID] = []

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        found = await super().rows(sql, *values)
        self.loaded += [row[0] for row in found] if sql is tables.EVENTS else []
        return found

    async def hold(self, room: ResidentRoom) -> None:
        """Store the whole history of a room."""
        newest = ""
        for event in history(room):
            assert await self.store(event, newest)
            newest = event.event_id

    def newest(self, room: ResidentRoom) -> Any:
        """Return the ID of the newest event of a room."""
        sql = "select newest from room where room_id = ?"
        return self.connection.execute(sql, (room.room_id,)).fetchone()[0]

    def place(self, event: Event) -> Any:
        """Return the ID of the event that holds the place of this one, or None."""
        sql = "select event_id from place where room_id = ? and type = ? and state_key = ?"
        values = (event.room_id, event.type, event.state_key)
        return (self.connection.execute(sql, values).fetchone() or [None])[0]


def history(room: ResidentRoom) -> list[Event]:
    """The events of a room, oldest first."""
    events: list[Event] = []
    following: tuple[EventID, ...] = room.prev_events
    while following:
        event = room.get_event(following[0])
        assert event is not None
        events.append(event)
        following = event.prev_events
    return events[::-1]


def numbered(number: int) -> ResidentRoom:
    """One of many public rooms: in version 12 the ID is the create event's hash."""
    room = a_signed_room(V12, number=number)
    return with_state(room, "m.room.join_rules", {"join_rule": "public"})


def with_users(room: ResidentRoom, count: int) -> ResidentRoom:
    """The room with more members, each of another server."""
    for number in range(count):
        room = with_member(room, f"@user{number}:s{number}.example", "join")
    return room


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Counting]:
    made = Counting(tmp_path / "rooms.db")
    yield made
    made.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    made = Counting(tmp_path_factory.mktemp("many") / "rooms.db")

    async def fill() -> None:
        for number in range(ROOMS):
            await made.hold(numbered(number))

    asyncio.run(fill())
    yield made
    made.close()


def on(database: Counting, work: Callable[[Server], Awaitable[T]], *rooms: ResidentRoom) -> T:
    """Do some work on a server with these rooms, and count its loads."""

    async def run() -> T:
        for room in rooms:
            await database.hold(room)
        database.loaded.clear()
        return await work(Server(database, A))

    return asyncio.run(run())


def said(answer: Accepted | MatrixError) -> Any:
    """Return the content of an answer, without its order."""
    if isinstance(answer, MatrixError):
        return answer
    told = answer.response
    if isinstance(told, SendJoinResponse):
        told = evolve(
            told, state=tuple(sorted(told.state)), auth_chain=tuple(sorted(told.auth_chain))
        )
    event = answer.event
    return told, event, event.signed_by, answer.send_to, answer.repeated


def made(
    database: Counting,
    room: ResidentRoom,
    *more: ResidentRoom,
    handshake: Handshake = JOINING,
    **changes: Any,
) -> MakeResponse | MatrixError:
    """The answer to make_join and the like, which is that of the room in memory."""
    request = evolve(make_request(room, begin(room, handshake)), **changes)
    answer = on(database, lambda server: server.make(handshake, request, at=AT), room, *more)
    assert answer == answer_make(handshake, request, room, at=AT)
    return answer


def sent(
    database: Counting, room: ResidentRoom, request: SendRequest, *more: ResidentRoom
) -> Accepted | MatrixError:
    """The answer to send_join, which is that of the room in memory."""
    answer = on(database, lambda server: server.send(JOINING, request, KEYS), room, *more)
    assert said(answer) == said(answer_send(JOINING, request, room, A, keys=KEYS))
    return answer


def message(room: ResidentRoom, user: str, version: RoomVersion = V12, **changes: Any) -> ReadPdu:
    """A message that Ben's server signed, read."""
    member = room.state.get("m.room.member", user)
    assert member is not None
    fields = {
        "type": "m.room.message",
        "room_id": room.room_id,
        "sender": user,
        "content": {"body": "hello"},
        "origin_server_ts": AT,
        "depth": room.depth + 1,
        "prev_events": list(room.prev_events),
        "auth_events": [member.event_id],
        **changes,
    }
    return read_pdu(EventTemplate.of(fields, version).complete(B).pdu, version)


@EVERY_VERSION
class TestAnswers:
    def test_to_make_join_are_those_of_a_room_in_memory(
        self, version: RoomVersion, database: Counting
    ) -> None:
        assert isinstance(made(database, with_users(a_public_room(version), 3)), MakeResponse)

    @pytest.mark.parametrize("omit", [False, True])
    def test_to_send_join_are_those_of_a_room_in_memory(
        self, version: RoomVersion, database: Counting, omit: bool
    ) -> None:
        room = with_users(a_public_room(version), 9)
        answer = sent(database, room, send_request(signed(room, omit_members=omit)))
        assert isinstance(answer, Accepted)

    def test_to_a_refused_join_name_the_rule(
        self, version: RoomVersion, database: Counting
    ) -> None:
        room = with_state(a_public_room(version), "m.room.join_rules", {"join_rule": "invite"})
        answer = made(database, room)
        assert isinstance(answer, MatrixError)
        assert answer.decision is not None
        assert answer.decision.rule == "join.otherwise"


class TestOtherRequests:
    def test_of_a_user_who_leaves(self, database: Counting) -> None:
        club = numbered(1)
        room = with_member(restricted_to(club, None), BEN, "join")
        assert isinstance(made(database, room, handshake=LEAVING), MakeResponse)
        assert len(database.loaded) == 2  # create event, his membership

    def test_of_a_user_who_knocks(self, database: Counting) -> None:
        room = with_state(a_signed_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        room = with_users(room, 9)
        request = send_request(signed(room, KNOCKING))
        answer = on(database, lambda server: server.send(KNOCKING, request, KEYS), room)
        assert said(answer) == said(answer_send(KNOCKING, request, room, A, keys=KEYS))
        assert isinstance(answer, Accepted)
        assert len(database.loaded) == 2  # create event, join rules

    @pytest.mark.parametrize("user", ["", "ben", "@ben"])
    def test_of_nobody_are_refused(self, database: Counting, user: str) -> None:
        assert isinstance(made(database, a_public_room(V11), user_id=user), MatrixError)

    def test_that_cannot_be_read_are_refused(self, database: Counting) -> None:
        room = a_public_room(V11)
        request = evolve(send_request(signed(room)), pdu=b"{")
        assert isinstance(sent(database, room, request), MatrixError)

    def test_about_other_rooms_are_refused(self, database: Counting) -> None:
        left = with_member(a_public_room(V11), ANA, "leave")
        request = send_request(signed(a_public_room(V11)))
        answer = made(database, left)
        assert isinstance(answer, MatrixError)
        assert answer.errcode == "M_NOT_FOUND"
        refused = on(database, lambda server: server.send(JOINING, request, KEYS))
        assert isinstance(refused, MatrixError)
        assert refused.errcode == "M_NOT_FOUND"

    def test_of_a_denied_server_are_refused(self, database: Counting) -> None:
        acl = {"allow": ["*"], "deny": ["b.example"]}
        room = with_state(a_public_room(V11), "m.room.server_acl", acl)
        assert isinstance(made(database, room), MatrixError)


class TestRepeatedJoin:
    def test_is_answered_again_and_not_stored(self, database: Counting) -> None:
        room = a_public_room(V12)
        request = send_request(signed(room))

        async def again(server: Server) -> Any:
            first = await server.send(JOINING, request, KEYS)
            assert isinstance(first, Accepted)
            later = message(after(room, first.event), BEN)
            assert await server.receive(later, KEYS)
            return first, later.event, await server.send(JOINING, request, KEYS)

        first, later, second = on(database, again, room)
        assert second.repeated
        joined = after(after(room, first.event), later)
        assert said(second) == said(answer_send(JOINING, request, joined, A, keys=KEYS))
        assert database.newest(room) == later.event_id


class TestTwoJoinsAtOnce:
    def test_do_not_both_follow_the_same_event(self, database: Counting) -> None:
        room = a_public_room(V12)
        ben = send_request(signed(room))
        step = JOINING.begin("@bob:b.example", room.room_id, signer=B, resident="a.example")
        template = answer_make(JOINING, make_request(room, step), room, at=AT)
        assert isinstance(template, MakeResponse)
        bob = send_request(step.receive(template, at=AT))  # type: ignore[arg-type]  # a good template

        async def both(server: Server) -> list[Accepted | MatrixError]:
            joins = [server.send(JOINING, request, KEYS) for request in (ben, bob)]
            return list(await asyncio.gather(*joins))

        answers = on(database, both, room)
        refused = [answer for answer in answers if isinstance(answer, MatrixError)]
        assert [error.status for error in refused] == [403]
        assert "does not know the state after" in refused[0].error


def restricted_to(
    club: ResidentRoom, membership: Membership | None, version: RoomVersion = V12
) -> ResidentRoom:
    """A room that the members of another one may join, and what this server sees of Ben there."""
    allow = [{"type": "m.room_membership", "room_id": club.room_id}]
    rules = {"join_rule": "restricted", "allow": allow}
    room = with_state(a_signed_room(version), "m.room.join_rules", rules)
    return evolve(room, memberships=lambda _user, _room: membership)


class TestRestrictedRoom:
    @pytest.mark.parametrize("version", [v for v in VERSIONS if v.restricted_joins], ids=str)
    def test_lets_a_member_of_the_other_room_in(
        self, database: Counting, version: RoomVersion
    ) -> None:
        club = with_member(with_users(numbered(1), 20), BEN, "join")
        room = with_users(restricted_to(club, Membership.JOIN, version), 20)
        answer = sent(database, room, send_request(signed(room)), club)
        assert isinstance(answer, Accepted)
        assert answer.event.signed_by == {"a.example", "b.example"}
        assert answer.event.authorised_via == ANA

    def test_loads_the_authoriser_and_nothing_of_the_other_room(self, database: Counting) -> None:
        club = with_member(with_users(numbered(1), 20), BEN, "join")
        room = with_users(restricted_to(club, Membership.JOIN), 20)
        assert isinstance(made(database, room, club), MakeResponse)
        wanted = [("m.room.create", ""), ("m.room.join_rules", ""), ("m.room.member", ANA)]
        places = [room.state.get(*place) for place in wanted]
        assert set(database.loaded) == {event.event_id for event in places if event}
        assert len(database.loaded) == len(wanted)

    def test_refuses_a_user_who_is_in_no_such_room(self, database: Counting) -> None:
        club = numbered(1)
        answer = made(database, restricted_to(club, Membership.LEAVE), club)
        assert isinstance(answer, MatrixError)
        assert answer.errcode == "M_FORBIDDEN"
        assert answer.decision is not None
        assert answer.decision.number == "5.3.5.2"

    def test_cannot_tell_of_a_room_that_this_server_has_left(self, database: Counting) -> None:
        club = with_member(with_member(numbered(1), BEN, "join"), ANA, "leave")
        answer = made(database, restricted_to(club, None), club)
        assert isinstance(answer, MatrixError)
        assert answer.errcode == "M_UNABLE_TO_AUTHORISE_JOIN"

    @pytest.mark.parametrize("level", [-1, 0])
    def test_needs_one_of_our_users_who_may_invite(self, database: Counting, level: int) -> None:
        club = with_member(a_signed_room(V11), BEN, "join")
        rules = {
            "join_rule": "restricted",
            "allow": [{"type": "m.room_membership", "room_id": club.room_id}],
        }
        room = with_users(a_signed_room(V12), 3)
        room = with_member(with_state(room, "m.room.join_rules", rules), DAN, "join")
        levels = {"users": {DAN: level, BEN: level}, "invite": 0}
        room = with_state(room, "m.room.power_levels", levels)
        # A creator of version 12 may always invite, so she leaves.
        room = evolve(with_member(room, ANA, "leave"), memberships=lambda *_: Membership.JOIN)
        answer = made(database, room, club)
        assert isinstance(answer, MatrixError) is (level < 0)
        if isinstance(answer, MatrixError):
            assert "s0.example, s1.example, s2.example;" in answer.error


class TestLoads:
    def test_of_make_join_do_not_grow_with_the_rooms(self, many: Counting) -> None:
        request = make_request(numbered(500), begin(numbered(500)))
        answer = on(many, lambda server: server.make(JOINING, request, at=AT))
        assert isinstance(answer, MakeResponse)
        assert len(many.loaded) == 2  # the create event and the join rules

    def test_of_send_join_do_not_grow_with_the_rooms(self, many: Counting) -> None:
        request = send_request(signed(numbered(501)))
        answer = on(many, lambda server: server.send(JOINING, request, KEYS))
        assert isinstance(answer, Accepted)
        assert len(many.loaded) == 3  # and Ana's membership, the hero

    @pytest.mark.parametrize("users", [10, 300])
    def test_do_not_grow_with_the_room(self, database: Counting, users: int) -> None:
        room = with_users(numbered(0), users)
        request = send_request(signed(room))
        assert isinstance(sent(database, room, request), Accepted)
        # Create event, join rules and five heroes: nothing else is in an auth chain.
        assert len(database.loaded) == 7
        assert len(set(database.loaded)) == 7

    def test_do_not_count_the_invited_user_among_the_heroes(self, database: Counting) -> None:
        content = {"membership": "invite"}
        room = with_state(numbered(0), "m.room.member", content, state_key=BEN)
        room = with_users(room, 10)
        assert isinstance(sent(database, room, send_request(signed(room))), Accepted)
        assert len(database.loaded) == 8  # as above, and the invite


class TestQueries:
    @pytest.mark.parametrize(
        ("sql", "by"),
        [
            (tables.PLACE, "(room_id=? AND type=? AND state_key=?)"),
            (tables.EVENTS, "(room_id=? AND event_id=?)"),
            (tables.MEMBERSHIPS, "(room_id=? AND type=? AND state_key=?)"),
            (tables.MEMBERSHIPS, "(room_id=? AND membership=? AND server=?)"),
            (tables.OURS, "(room_id=? AND membership=? AND server=?)"),
            (tables.SERVERS, "COVERING INDEX servers (room_id=? AND membership=?)"),
            (tables.OTHERS, "(room_id=? AND membership=?)"),
            (tables.HEROES, "INDEX heroes (room_id=?)"),
            (tables.REJECTED, "INDEX rejected (room_id=?)"),
        ],
    )
    def test_are_answered_by_an_index(self, database: Counting, sql: str, by: str) -> None:
        values = ["[]"] * sql.count("?")
        plan = database.connection.execute(f"explain query plan {sql}", values)
        steps = [step for *_, step in plan]
        assert any(by in step for step in steps), steps
        assert not any("TEMP B-TREE" in step for step in steps)


class TestPlaces:
    def test_of_a_key_with_nul_is_another_one(self, database: Counting) -> None:
        room = a_public_room(V11)
        for key in ("ab", "a\0b"):
            room = with_state(room, "m.x", {"key": key}, state_key=key)
        wanted = [("m.x", "a"), ("m.x", "a\0b"), ("m.x", "ab")]
        found = on(database, lambda _: database.places(room.room_id, wanted), room)
        held = {place: room.state.get(*place) for place in wanted}
        assert found == {place: event.event_id for place, event in held.items() if event}
        assert len(found) == 2


class TestReceive:
    def test_gives_the_receipt_of_a_room_in_memory(self, database: Counting) -> None:
        room = with_users(with_member(a_public_room(V12), BEN, "join"), 50)
        read = message(room, BEN)

        async def twice(server: Server) -> Any:
            return [await server.receive(read, KEYS) for _ in range(2)]

        receipt, again = on(database, twice, room)
        state = room.state
        assert receipt == receive(
            read,
            V12,
            keys=KEYS,
            auth_events=room.get_event,
            state_before=state,
            current_state=state,
        )
        assert receipt
        assert again is None
        assert len(database.loaded) == 3  # create, Ben's membership; then the message itself

    def test_takes_state_and_what_follows(self, database: Counting) -> None:
        room = with_member(a_public_room(V12), BEN, "join")
        left = drafts.draft(
            room, "m.room.member", BEN, sender=BEN, content={"membership": "leave"}, at=AT
        ).complete(B)
        late = message(after(room, left), BEN)

        async def both(server: Server) -> Any:
            first = await server.receive(read_pdu(left.pdu, V12), KEYS)
            return first, await server.receive(late, KEYS)

        first, second = on(database, both, room)
        assert first.disposition is Disposition.ACCEPTED
        assert second.disposition is Disposition.REJECTED
        assert second.decision.rule == "every_event.sender_not_joined"

    @EVERY_VERSION
    @pytest.mark.parametrize(
        ("kind", "key", "content"),
        [
            ("m.room.member", BEN, {"membership": "leave"}),
            ("m.room.member", CAY, {"membership": "invite"}),
            ("m.room.member", CAY, {"membership": "ban"}),
            ("m.room.member", CAY, {"membership": "invite", "third_party_invite": {}}),
            ("m.room.member", CAY, {}),
            ("m.room.member", "@bob:b.example", {"membership": "knock"}),
            ("m.room.power_levels", "", {"users": {BEN: 100}}),
            ("m.room.join_rules", "", {"join_rule": "knock"}),
            ("m.room.third_party_invite", "token", {}),
            ("m.room.server_acl", "", {"allow": []}),
            ("m.room.policy", "", {}),
            ("m.room.aliases", "b.example", {}),
            ("m.room.name", "", {"name": "The room"}),
            ("m.x", CAY, {}),
        ],
    )
    def test_judges_each_kind_as_a_room_in_memory(
        self, database: Counting, version: RoomVersion, kind: str, key: str, content: Any
    ) -> None:
        room = with_users(with_member(a_public_room(version), BEN, "join"), 3)
        theirs = seen_from(room, B)
        draft = drafts.draft(theirs, kind, key, sender=BEN, content=content, at=AT)
        read = read_pdu(draft.complete(B).pdu, version)
        receipt = on(database, lambda server: server.receive(read, KEYS), room)
        state, get = room.state, room.get_event
        assert receipt == receive(
            read, version, keys=KEYS, auth_events=get, state_before=state, current_state=state
        )
        assert receipt.disposition in {Disposition.ACCEPTED, Disposition.REJECTED}
        name = read.event.event_id
        assert (database.newest(room) == name) is bool(receipt)
        assert (database.place(read.event) == name) is bool(receipt)

    def test_rejects_what_lists_a_rejected_event(self, database: Counting) -> None:
        room = with_member(a_public_room(V12), BEN, "join")
        rejected = drafts.draft(
            room, "m.room.member", BEN, sender=BEN, content={"membership": "knock"}, at=AT
        ).complete(B)
        late = message(room, BEN, auth_events=[rejected.event_id])

        async def both(server: Server) -> Any:
            first = await server.receive(read_pdu(rejected.pdu, V12), KEYS)
            return first, await server.receive(late, KEYS)

        first, second = on(database, both, room)
        assert first.disposition is Disposition.REJECTED
        assert second.decision.rule == "auth_events.rejected"

    def test_rejects_a_second_create_event(self, database: Counting) -> None:
        room = with_member(a_public_room(V11), BEN, "join")
        content = {"room_version": "11"}
        changes = {"type": "m.room.create", "state_key": "", "content": content, "auth_events": []}
        read = message(room, BEN, V11, **changes)
        receipt = on(database, lambda server: server.receive(read, KEYS), room)
        assert receipt is not None
        assert receipt.disposition is Disposition.REJECTED

    def test_drops_what_nobody_signed(self, database: Counting) -> None:
        room = with_member(a_public_room(V12), CAY, "join")
        receipt = on(database, lambda server: server.receive(message(room, CAY), KEYS), room)
        assert receipt is not None
        assert receipt.disposition is Disposition.DROPPED

    def test_leaves_what_does_not_follow_the_newest_event(self, database: Counting) -> None:
        room = with_member(a_public_room(V12), BEN, "join")
        read = message(room, BEN, prev_events=["$" + "x" * 43])
        assert on(database, lambda server: server.receive(read, KEYS), room) is None

    def test_stores_no_verdict_while_an_auth_event_is_missing(self, database: Counting) -> None:
        room = with_member(a_public_room(V12), BEN, "join")
        read = message(room, BEN, auth_events=["$" + "x" * 43])

        async def twice(server: Server) -> Any:
            return [await server.receive(read, KEYS) for _ in range(2)]

        first, second = on(database, twice, room)
        assert first.provisional
        assert first == second
