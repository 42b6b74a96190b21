"""The adapters for bots, compared with the code that they replace: every difference stands in a table of the page.

A difference has a class: a row of the page, a condition under which alone it may be, and both answers. Each row has an example.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
import nio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mautrix.client.state_store import MemoryStateStore
from mautrix.errors import MForbidden
from mautrix.types import EventType, Membership, RoomID, SerializerError, StateEvent, UserID
from nio.events.room_events import DefaultLevels, PowerLevels, PowerLevelsEvent

from bot_adapters import RuleLevels, RuleStateStore
from matrix_membership import RoomState, may, read_state
from matrix_membership.errors import IncompleteState
from matrix_membership.identifiers import server_of
from matrix_membership.membership import BAN, JOIN, LEAVE
from matrix_membership.room_versions import KNOWN, V1, V2, V3, V4, V5, V9, V11, V12, RoomVersion
from matrix_membership.strategies import auth_cases, room_states
from tests.builders import ANA, BEN, CAY, DAN, Room, a_levelled_room, a_room
from tests.sources import ROOT

PAGE: Final = ROOT / "docs/howto/replace-a-bots-level-code.md"
ROOM: Final = RoomID("!r:a.example")
HIGHEST: Final = 2**53 - 1
STRANGER: Final = "@eve:e.example"
LEVELS: Final = "m.room.power_levels"

# The drawn cases for the auth rules have rooms with one malformed value, closed rooms, and creators beside the sender.
# A case that is about a create event has a state without one, and no bot has such a state.
STATES: Final = st.one_of(
    room_states(), auth_cases(unsound_auth_events=False).map(lambda case: case.state)
).filter(lambda state: state.create_event is not None)

# `Any`, since both kinds of levels answer it: that is what is tested.
Question = Callable[[Any, str, str], bool]
STATE_TYPES: Final = (
    *("m.room.name", "m.room.join_rules", "m.room.tombstone", "org.example.state", LEVELS),
    *("m.room.create", "m.room.member", "m.room.third_party_invite", "m.room.aliases"),
)
MESSAGE_TYPES: Final = ("m.room.message", "m.room.redaction", "m.reaction")


def _state(kind: str) -> Question:
    return lambda levels, user, _: bool(levels.can_user_send_state(user, kind))


def _message(kind: str) -> Question:
    return lambda levels, user, _: bool(levels.can_user_send_message(user, kind))


QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        **{kind: _state(kind) for kind in STATE_TYPES},
        **{kind: _message(kind) for kind in MESSAGE_TYPES},
        "invite": lambda levels, user, _: bool(levels.can_user_invite(user)),
        "kick": lambda levels, user, _: bool(levels.can_user_kick(user)),
        "ban": lambda levels, user, _: bool(levels.can_user_ban(user)),
        "kick whom": lambda levels, user, whom: bool(levels.can_user_kick(user, whom)),
        "ban whom": lambda levels, user, whom: bool(levels.can_user_ban(user, whom)),
        "redact": lambda levels, user, _: bool(levels.can_user_redact(user)),
        "notify": lambda levels, user, _: bool(levels.can_user_notify(user, "room")),
        "notify of": lambda levels, user, _: bool(levels.can_user_notify(user, "org.example")),
    }
)


@attrs.frozen
class Case:
    """A question about a user, perhaps with a target."""

    state: RoomState
    question: str
    user: str
    target: str

    @property
    def is_joined(self) -> bool:
        return self.state.membership_of(self.user) is JOIN

    def is_creator(self, user: str) -> bool:
        return self.state.power_level_of(user) > HIGHEST

    @property
    def is_foreign(self) -> bool:
        """The room is closed, and the user of another server than its creator."""
        create = self.state.create_event
        assert create is not None
        return not self.state.create.federate and server_of(self.user) != create.server


@attrs.frozen
class Difference:
    """A row of a table: where the answers may differ, and which they are."""

    row: str
    applies: Callable[[Case], bool]
    theirs: tuple[bool | None, ...]
    ours: tuple[bool | None, ...]

    def explains(self, case: Case, theirs: bool | None, ours: bool | None) -> bool:
        return theirs in self.theirs and ours in self.ours and self.applies(case)


def levels_of(state: RoomState) -> nio.events.Event | None:
    """The power levels, as matrix-nio reads them."""
    event = state.get(LEVELS)
    if event is None:
        return None
    return nio.Event.parse_event(as_json(event.to_client_event()))


def as_json(value: Mapping[str, Any]) -> Any:
    """An event as a client has it, with the keys that client libraries ask for."""
    made = {"event_id": "$" + "e" * 43, "origin_server_ts": 1, **value, "room_id": ROOM}
    return json.loads(json.dumps(made))


def nio_levels(state: RoomState) -> PowerLevels:
    """The levels of a matrix-nio room that received this state's."""
    room = nio.MatrixRoom(ROOM, "@me:a.example")
    event = levels_of(state)
    if event is not None:
        room.handle_event(event)
    return room.power_levels


def is_read(state: RoomState) -> bool:
    """Tell whether matrix-nio reads the power levels."""
    return isinstance(levels_of(state), PowerLevelsEvent)


YES: Final = (True,)
NO: Final = (False,)
EITHER: Final = (True, False)
UNKNOWN: Final = (None,)

# Where matrix-nio counts with other levels.
LEVELS_DIFFER: Final = (
    Difference("the user is a creator", lambda case: case.is_creator(case.user), NO, YES),
    Difference("the target is a creator", lambda case: case.is_creator(case.target), YES, NO),
    Difference(
        "no power levels: the creator",
        lambda case: case.state.get(LEVELS) is None and case.state.power_level_of(case.user) == 100,
        NO,
        YES,
    ),
    Difference(
        "no power levels: state",
        lambda case: case.state.get(LEVELS) is None and case.question in STATE_TYPES,
        YES,
        NO,
    ),
    Difference(
        "no power levels: invites",
        lambda case: case.state.get(LEVELS) is None and case.question == "invite",
        NO,
        YES,
    ),
    Difference(
        "no `invite` in the power levels",
        lambda case: case.question == "invite" and "invite" not in case.state.power_levels.named,
        NO,
        YES,
    ),
    Difference(
        "a level is not an integer",
        lambda case: case.state.get(LEVELS) is not None and not is_read(case.state),
        EITHER,
        EITHER,
    ),
)


def is_out_of_reach(case: Case) -> bool:
    """Tell whether the state key, or that there is one already, rejects an event of this type."""
    types = {"m.room.create", "m.room.member"}
    if case.state.room_version in {V1, V2, V3, V4, V5}:
        types |= {"m.room.aliases"}
    return case.question in types


# Where the rules ask for more than a level.
RULES_DIFFER: Final = (
    Difference("the user is not joined", lambda case: not case.is_joined, YES, NO),
    Difference("the room is closed to the user", lambda case: case.is_foreign, YES, NO),
    Difference("a type that no level opens", is_out_of_reach, YES, NO),
    Difference(
        "an invite by address",
        lambda case: case.question == "m.room.third_party_invite",
        EITHER,
        EITHER,
    ),
    Difference(
        "the target is not in the room",
        lambda case: (
            case.question == "kick whom" and case.state.membership_of(case.target) in {LEAVE, BAN}
        ),
        YES,
        NO,
    ),
    Difference(
        "messages need a higher level",
        lambda case: (
            case.question in {"notify", "notify of"}
            and not may(case.user, case.state).send("m.room.message")
        ),
        YES,
        NO,
    ),
    Difference(
        "redactions need a higher level",
        lambda case: (
            case.question == "redact"
            and case.state.power_level_of(case.user)
            < case.state.power_levels.message_level_of("m.room.redaction")
        ),
        YES,
        NO,
    ),
    Difference(
        "the power levels break a rule",
        lambda case: case.question == LEVELS and not is_sound(case.state),
        YES,
        NO,
    ),
)


def is_sound(state: RoomState) -> bool:
    """Tell whether the rules accept the content of the power levels."""
    event, levels = state.get(LEVELS), state.power_levels
    creators = {user for user in levels.users if state.power_level_of(user) > HIGHEST}
    readable = levels.named_readable and levels.maps_readable and levels.users_readable
    return event is None or (readable and not creators)


class _Levels(dict[str, int]):
    """The level of every user, as matrix-nio asks for it."""

    def __init__(self, state: RoomState) -> None:
        super().__init__()
        self.level_of = state.power_level_of

    def get(self, user: str, default: Any = None) -> Any:
        return self.level_of(user)


def corrected(state: RoomState) -> PowerLevels:
    """The code of matrix-nio, with the levels of this library."""
    levels = state.power_levels
    defaults = DefaultLevels(
        levels.ban,
        levels.invite,
        levels.kick,
        levels.redact,
        levels.state_default,
        levels.events_default,
        levels.users_default,
        dict(levels.notifications),
    )
    return PowerLevels(defaults, _Levels(state), dict(levels.events))


def users_of(state: RoomState) -> list[str]:
    return [*state.members, STRANGER]


def cases_of(state: RoomState) -> Iterator[Case]:
    """Every question about every user."""
    for user in users_of(state):
        for question in QUESTIONS:
            for target in users_of(state) if question.endswith("whom") else [user]:
                yield Case(state, question, user, target)


Answers = Callable[[Case], tuple[bool, bool, bool]]


def nio_answers(state: RoomState) -> Answers:
    """The answers of matrix-nio, of the adapter, and of matrix-nio with this library's levels."""
    theirs, ours, with_our_levels = nio_levels(state), RuleLevels(lambda: state), corrected(state)

    def answer(case: Case) -> tuple[bool, bool, bool]:
        ask = QUESTIONS[case.question]
        of = (case.user, case.target)
        return ask(theirs, *of), ask(ours, *of), ask(with_our_levels, *of)

    return answer


def rows(
    differences: Iterable[Difference], case: Case, theirs: bool | None, ours: bool | None
) -> list[str]:
    """The rows that explain a difference."""
    return [entry.row for entry in differences if entry.explains(case, theirs, ours)]


class TestRuleLevels:
    @given(STATES)
    def test_differ_from_matrix_nio_only_where_the_page_says(self, state: RoomState) -> None:
        answers = nio_answers(state)
        for case in cases_of(state):
            theirs, ours, with_our_levels = answers(case)
            known = LEVELS_DIFFER if ours == with_our_levels else RULES_DIFFER
            assert theirs == ours or rows(known, case, theirs, ours), (case, theirs, ours)

    @given(STATES)
    def test_have_the_levels_of_matrix_nio_where_it_reads_them(self, state: RoomState) -> None:
        theirs, ours = nio_levels(state), RuleLevels(lambda: state)
        if not is_read(state):
            return
        for kind in (*STATE_TYPES, *MESSAGE_TYPES):
            for name in ("get_state_event_required_level", "get_message_event_required_level"):
                assert getattr(theirs, name)(kind) == getattr(ours, name)(kind)
        for user in users_of(state):
            if ours.get_user_level(user) <= HIGHEST:
                assert ours.get_user_level(user) == theirs.get_user_level(user)
        # matrix-nio checks the levels of such keys alone, and keeps the other entries as they are.
        for key in theirs.users:
            assert not re.match(r"@.*:.+$", key) or ours.users[key] == theirs.users[key]
        for key in theirs.events:
            assert not re.match(r".+\..+", key) or ours.events[key] == theirs.events[key]
        assert ours.defaults.ban == theirs.defaults.ban

    def test_follow_the_state(self) -> None:
        room = a_levelled_room(V11, users={DAN: 50}).with_member(DAN, JOIN)
        states = {ROOM: room.state}
        levels = RuleLevels(lambda: states[ROOM])
        assert levels.can_user_ban(DAN)
        states[ROOM] = room.with_levels({DAN: 49}).state
        # matrix-nio's room calls it with levels that it filled in.
        levels.update(nio_levels(room.state))
        assert not levels.can_user_ban(DAN)

    @pytest.mark.parametrize(("needed", "expected"), [(50, True), (51, False)])
    def test_ask_for_the_message_of_every_notification(self, needed: int, expected: bool) -> None:
        state = a_levelled_room(V11, events={"m.room.message": needed}).state
        for kind in ("room", "org.example"):
            assert RuleLevels(lambda: state).can_user_notify(ANA, kind) is expected

    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    def test_never_let_a_room_be_created_again(self, version: RoomVersion) -> None:
        state = a_room(version).state
        assert not RuleLevels(lambda: state).can_user_send_state(ANA, "m.room.create")

    def test_stand_in_a_room_of_matrix_nio(self) -> None:
        state = a_levelled_room(V11).state
        room = nio.MatrixRoom(ROOM, ANA)
        room.add_member(ANA, "Ana", None)
        room.power_levels = RuleLevels(lambda: state)
        room.handle_event(levels_of(state))
        assert room.users[ANA].power_level == 50
        condition = nio.PushSenderNotificationPermission("room")
        message = nio.Event.parse_event(
            as_json(a_levelled_room(V11).message(ANA).to_client_event())
        )
        assert condition.matches(message, room, "Ana")

    @pytest.mark.parametrize(("target", "expected"), [(BEN, False), (STRANGER, True)])
    def test_answer_about_an_invite_with_a_target(self, target: str, expected: bool) -> None:
        state = a_levelled_room(V11).with_member(BEN, BAN).state
        assert RuleLevels(lambda: state).can_user_invite(ANA, target) is expected

    def test_answer_no_where_the_state_is_unknown(self) -> None:
        create = {"type": "m.room.create", "sender": ANA, "state_key": "", "content": {}}
        state = read_state([create], room_version=V1)
        levels = RuleLevels(lambda: state)
        assert not levels.can_user_ban(ANA)
        assert not levels.can_user_send_state(ANA, "m.room.name")
        with pytest.raises(IncompleteState):
            levels.get_user_level(ANA)


class TestFactsOfMatrixNio:
    """What its own test of power levels asks, of a room with such levels."""

    @pytest.fixture(params=list(KNOWN.values()), ids=str)
    def levels(self, request: pytest.FixtureRequest) -> RuleLevels:
        room = a_levelled_room(
            request.param,
            users={ANA: 100, BEN: 50, CAY: 25},
            events={"m.room.name": 50, "m.room.message": 25},
            notifications={"room": 60},
            invite=0,
        )
        for user in (BEN, CAY, STRANGER):
            room = room.with_member(user, JOIN)
        state = room.state
        return RuleLevels(lambda: state)

    def test_levels(self, levels: RuleLevels) -> None:
        assert levels.get_state_event_required_level("m.room.name") == 50
        assert levels.get_state_event_required_level("org.example") == 50
        assert levels.get_message_event_required_level("m.room.message") == 25
        assert levels.get_message_event_required_level("org.example") == 0
        assert levels.get_notification_required_level("room") == 60
        assert levels.get_notification_required_level("org.example") == 50
        assert [levels.get_user_level(user) for user in (ANA, STRANGER)] == [100, 0]

    @pytest.mark.parametrize(
        ("question", "users"),
        [
            ("m.room.name", {ANA, BEN}),
            ("m.room.message", {ANA, BEN, CAY}),
            ("invite", {ANA, BEN, CAY, STRANGER}),
            ("kick", {ANA, BEN}),
            ("ban", {ANA, BEN}),
            ("redact", {ANA, BEN}),
            ("notify", {ANA}),
        ],
    )
    def test_who_may(self, levels: RuleLevels, question: str, users: set[str]) -> None:
        ask = QUESTIONS[question]
        assert {user for user in (ANA, BEN, CAY, STRANGER) if ask(levels, user, "")} == users

    @pytest.mark.parametrize("question", ["kick whom", "ban whom"])
    def test_only_those_below(self, levels: RuleLevels, question: str) -> None:
        order = [ANA, BEN, CAY, STRANGER]
        ask = QUESTIONS[question]
        may_do = {(user, whom) for user in order for whom in order if ask(levels, user, whom)}
        assert may_do == {(ANA, BEN), (ANA, CAY), (ANA, STRANGER), (BEN, CAY), (BEN, STRANGER)}


def closed_room() -> Room:
    return a_room(V11, **{"m.federate": False}).with_member(BEN, JOIN)


def of_creator() -> Room:
    """A room of version 12, whose levels do not list its creator."""
    return a_room(V12).with_member(BEN, JOIN).with_levels({BEN: 100})


# The row, a room, a question about a user and a target.
NIO_EXAMPLES: Final = (
    ("the user is a creator", of_creator(), "ban", ANA, ANA),
    ("the target is a creator", of_creator(), "kick whom", BEN, ANA),
    ("no power levels: the creator", a_room(V11), "ban", ANA, ANA),
    ("no power levels: state", a_room(V11).with_member(BEN, JOIN), "m.room.name", BEN, BEN),
    ("no power levels: invites", a_room(V11).with_member(BEN, JOIN), "invite", BEN, BEN),
    (
        "no `invite` in the power levels",
        a_levelled_room(V11).with_member(BEN, JOIN),
        "invite",
        BEN,
        BEN,
    ),
    ("a level is not an integer", a_levelled_room(V9, users={ANA: "100"}), "ban", ANA, ANA),
    ("the user is not joined", a_levelled_room(V11, users={DAN: 50}), "ban", DAN, DAN),
    ("the room is closed to the user", closed_room(), "m.room.message", BEN, BEN),
    ("a type that no level opens", a_levelled_room(V11), "m.room.member", ANA, ANA),
    (
        "an invite by address",
        a_levelled_room(V11).with_member(BEN, JOIN),
        "m.room.third_party_invite",
        BEN,
        BEN,
    ),
    ("the target is not in the room", a_levelled_room(V11), "kick whom", ANA, STRANGER),
    (
        "messages need a higher level",
        a_levelled_room(V11, events={"m.room.message": 60}),
        "notify",
        ANA,
        ANA,
    ),
    (
        "redactions need a higher level",
        a_levelled_room(V11, events={"m.room.redaction": 60}),
        "redact",
        ANA,
        ANA,
    ),
    (
        "the power levels break a rule",
        a_room(V12).with_member(BEN, JOIN).with_levels({BEN: 100, ANA: 100}),
        LEVELS,
        BEN,
        BEN,
    ),
)


def words(answer: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[answer]


def table_under(heading: str) -> dict[str, tuple[str, str, str]]:
    """The rows of the page's table: the row's name, the questions, their answer, ours."""
    section = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)[1:]
    cells = [line.split(" | ") for line in lines]
    return {row[0]: (row[1], row[2], row[3]) for row in cells if not set(row[0]) <= set("- |")}


class TestTableOfMatrixNio:
    TABLE: Final = table_under("What differs from matrix-nio")

    def test_has_a_row_for_each_difference(self) -> None:
        assert list(self.TABLE) == [entry.row for entry in (*LEVELS_DIFFER, *RULES_DIFFER)]

    @pytest.mark.parametrize(
        ("row", "room", "question", "user", "target"),
        NIO_EXAMPLES,
        ids=[e[0] for e in NIO_EXAMPLES],
    )
    def test_says_both_answers(
        self, row: str, room: Room, question: str, user: str, target: str
    ) -> None:
        case = Case(room.state, question, user, target)
        theirs, ours, with_our_levels = nio_answers(room.state)(case)
        known = LEVELS_DIFFER if ours == with_our_levels else RULES_DIFFER
        assert theirs != ours
        assert row in rows(known, case, theirs, ours)
        assert self.TABLE[row][1].startswith(words(theirs))
        assert self.TABLE[row][2].startswith(words(ours))

    def test_has_an_example_of_each_row(self) -> None:
        assert [example[0] for example in NIO_EXAMPLES] == list(self.TABLE)


# ------------------------------------------------------------------ mautrix

MAUTRIX_DIFFER: Final = (
    Difference("no power levels", lambda case: case.state.get(LEVELS) is None, UNKNOWN, EITHER),
    Difference("a level is not a number", lambda case: not is_read(case.state), UNKNOWN, EITHER),
    Difference(
        "a level is not an integer, from version 10 on",
        lambda case: not is_read(case.state) and case.state.room_version.integer_levels,
        EITHER,
        EITHER,
    ),
    *RULES_DIFFER[:4],
    RULES_DIFFER[-1],
)


async def in_store(store: MemoryStateStore, state: RoomState) -> MemoryStateStore:
    """A store that received this state, as a client hands it over."""
    for event in state.events:
        try:
            made = StateEvent.deserialize(as_json(event.to_client_event()))
        except SerializerError:
            continue
        await store.update_state(made)
    return store


def kind_of(question: str) -> EventType:
    where = EventType.Class.STATE if question in STATE_TYPES else EventType.Class.MESSAGE
    return EventType.find(question, where)


async def mautrix_answer(store: MemoryStateStore, case: Case) -> bool | None:
    """The answer of mautrix; None if the store has none."""
    try:
        found: bool | None = await store.has_power_level(
            ROOM, UserID(case.user), kind_of(case.question)
        )
    except (TypeError, ValueError):  # a level that it cannot read as a number
        return None
    return found


class Server:
    """A homeserver that answers with the state of a room, and counts how often."""

    def __init__(self, state: RoomState) -> None:
        self.state = state
        self.asked = 0

    async def fetch(self, room_id: RoomID) -> list[dict[str, Any]]:
        self.asked += 1
        return [as_json(event.to_client_event()) for event in self.state.events]


async def mautrix_answers(state: RoomState) -> list[tuple[Case, bool | None, bool | None]]:
    """The answers of mautrix and of the adapter to each question about a level."""
    ours = RuleStateStore(Server(state).fetch)
    ours.states[ROOM] = state
    theirs = await in_store(MemoryStateStore(), state)
    return [
        (case, await mautrix_answer(theirs, case), await mautrix_answer(ours, case))
        for case in cases_of(state)
        if case.question in {*STATE_TYPES, *MESSAGE_TYPES}
    ]


def changed(state: RoomState, kind: str, state_key: str = "") -> StateEvent:
    """An event of the state, as mautrix hands it over when it comes."""
    event = state.get(kind, state_key)
    assert event is not None
    return StateEvent.deserialize(as_json(event.to_client_event()))


class TestRuleStateStore:
    @given(STATES)
    def test_differs_from_mautrix_only_where_the_page_says(self, state: RoomState) -> None:
        for case, theirs, ours in asyncio.run(mautrix_answers(state)):
            known = rows(MAUTRIX_DIFFER, case, theirs, ours)
            assert theirs == ours or known, (case, theirs, ours)

    def test_reads_what_it_fetches(self) -> None:
        store = RuleStateStore(Server(of_creator().state).fetch)
        topic = kind_of("m.room.name")
        answers = [store.has_power_level(ROOM, UserID(user), topic) for user in (ANA, BEN, CAY)]
        assert [asyncio.run(answer) for answer in answers] == [True, True, False]

    def test_fetches_once_until_the_state_changes(self) -> None:
        async def play() -> list[tuple[bool | None, int]]:
            room = a_levelled_room(V11)
            server = Server(room.state)
            store = RuleStateStore(server.fetch)
            found = []
            for state in (room.state, room.state, room.with_levels({ANA: 49}).state):
                if state != server.state:
                    server.state = state
                    await store.update_state(changed(state, LEVELS))
                answer = await store.has_power_level(ROOM, UserID(ANA), kind_of("m.room.name"))
                found.append((answer, server.asked))
            return found

        assert asyncio.run(play()) == [(True, 1), (True, 1), (False, 2)]

    def test_fetches_again_after_an_act_of_the_client(self) -> None:
        server = Server(a_levelled_room(V11).state)
        store = RuleStateStore(server.fetch)

        async def play() -> None:
            await store.state_of(ROOM)
            await store.set_membership(ROOM, UserID(BEN), Membership.BAN)
            await store.state_of(ROOM)

        asyncio.run(play())
        assert server.asked == 2

    def test_does_not_keep_what_changed_while_it_was_fetched(self) -> None:
        room = a_levelled_room(V11)

        async def play() -> RoomState:
            async def fetch(room_id: RoomID) -> list[dict[str, Any]]:
                answer = await Server(room.state).fetch(room_id)
                await store.update_state(changed(room.state, LEVELS))
                return answer

            store = RuleStateStore(fetch)
            await store.state_of(ROOM)
            store.fetch = Server(room.with_levels({ANA: 49}).state).fetch
            return await store.state_of(ROOM)

        assert asyncio.run(play()).power_level_of(ANA) == 49

    def test_fetches_again_after_an_event_that_mautrix_could_not_store(self) -> None:
        server = Server(a_levelled_room(V11).state)
        store = RuleStateStore(server.fetch)
        event = changed(server.state, LEVELS)
        event.content = {"users": "none"}  # type: ignore[assignment]  # as it is sent

        async def play() -> None:
            await store.state_of(ROOM)
            with pytest.raises(SerializerError):
                await store.update_state(event)
            await store.state_of(ROOM)

        asyncio.run(play())
        assert server.asked == 2

    def test_raises_what_it_stumbles_over_when_it_fetches(self) -> None:
        async def fetch(_: RoomID) -> list[dict[str, Any]]:
            raise MForbidden(403, "not in the room")

        with pytest.raises(MForbidden):
            asyncio.run(RuleStateStore(fetch).has_power_level(ROOM, UserID(ANA), kind_of("x")))

    def test_stores_what_mautrix_stores(self) -> None:
        store = RuleStateStore(Server(a_room(V11).state).fetch)
        asyncio.run(store.update_state(changed(a_room(V11).state, "m.room.member", ANA)))
        assert asyncio.run(store.is_joined(ROOM, UserID(ANA)))

    def test_takes_other_questions(self) -> None:
        store = RuleStateStore(Server(a_levelled_room(V11).state).fetch)
        assert asyncio.run(store.may(ROOM, UserID(ANA))).ban(STRANGER)

    def test_has_no_answer_without_the_power_levels(self) -> None:
        async def fetch(_: RoomID) -> list[dict[str, Any]]:
            return [event.to_stripped() for event in a_room(V11).state.events]

        answer = RuleStateStore(fetch).has_power_level(ROOM, UserID(ANA), kind_of("m.room.name"))
        assert asyncio.run(answer) is None


MAUTRIX_EXAMPLES: Final = (
    ("no power levels", a_room(V11), "m.room.name", ANA),
    ("a level is not a number", a_levelled_room(V3, users={ANA: "high"}), "m.room.name", ANA),
    (
        "a level is not an integer, from version 10 on",
        a_levelled_room(V11, users={ANA: "100"}),
        "m.room.name",
        ANA,
    ),
    (
        "the user is not joined",
        a_levelled_room(V11, users={BEN: 50}).with_member(BEN, LEAVE),
        "m.room.name",
        BEN,
    ),
    (
        "the room is closed to the user",
        closed_room().with_levels({ANA: 100}),
        "m.room.message",
        BEN,
    ),
    ("a type that no level opens", a_levelled_room(V11), "m.room.member", ANA),
    (
        "an invite by address",
        a_levelled_room(V11).with_member(BEN, JOIN),
        "m.room.third_party_invite",
        BEN,
    ),
    (
        "the power levels break a rule",
        a_room(V12).with_member(BEN, JOIN).with_levels({BEN: 100, ANA: 100}),
        LEVELS,
        BEN,
    ),
)


class TestTableOfMautrix:
    TABLE: Final = table_under("What differs from mautrix")

    def test_has_a_row_for_each_difference(self) -> None:
        assert list(self.TABLE) == [entry.row for entry in MAUTRIX_DIFFER]

    @pytest.mark.parametrize(
        ("row", "room", "question", "user"), MAUTRIX_EXAMPLES, ids=[e[0] for e in MAUTRIX_EXAMPLES]
    )
    def test_says_both_answers(self, row: str, room: Room, question: str, user: str) -> None:
        asked = Case(room.state, question, user, user)
        answers = asyncio.run(mautrix_answers(room.state))
        ((theirs, ours),) = [answer[1:] for answer in answers if answer[0] == asked]
        assert theirs != ours
        assert row in rows(MAUTRIX_DIFFER, asked, theirs, ours)
        assert self.TABLE[row][1].startswith(words(theirs))
        assert self.TABLE[row][2].startswith(words(ours))

    def test_has_an_example_of_each_row(self) -> None:
        assert [example[0] for example in MAUTRIX_EXAMPLES] == list(self.TABLE)
