"""`resolve`: what it takes, what it gives, and what it makes of that which is not right."""

from __future__ import annotations

import pickle

import pytest

from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.errors import IncompleteState, InvalidIdentifier
from matrix_membership.identifiers import EventID
from matrix_membership.membership import BAN, LEAVE, Membership
from matrix_membership.resolution import resolve
from matrix_membership.room_versions import V1, V2, V11, V12
from tests.builders import ANA, BEN, CAY, DAN, VERSIONS
from tests.resolution.forks import Fork, a_fork

every_version = pytest.mark.parametrize("version", VERSIONS, ids=str)
from_version_2 = pytest.mark.parametrize("version", VERSIONS[1:], ids=str)

LEVELS = ("m.room.power_levels", "")
RULES = ("m.room.join_rules", "")
TOPIC = ("m.room.topic", "")
CREATE = ("m.room.create", "")


def member(user: str) -> tuple[str, str]:
    return "m.room.member", user


def two_topics(version: RoomVersion) -> tuple[Fork, Fork]:
    """A fork in which Ana sets one topic, and later another one."""
    left = a_fork(version)
    right = left.branch()
    left.add("m.room.topic", ANA, {"topic": "left"})
    right.add("m.room.topic", ANA, {"topic": "right"})
    return left, right


class TestPower:
    @from_version_2
    def test_a_ban_wins_over_what_the_banned_user_did(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        ban = left.member(ANA, BEN, BAN)
        right.add("m.room.topic", BEN, {"topic": "mine"})
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == left.state
        assert found.state[member(BEN)] == ban

    @from_version_2
    def test_of_two_who_ban_each_other_the_more_powerful_wins(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        ban = left.member(ANA, BEN, BAN, origin_server_ts=1_000)
        right.levels(ANA, {BEN: 50, CAY: 0}, origin_server_ts=1_001)
        right.member(BEN, CAY, BAN, origin_server_ts=500)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state[member(BEN)] == ban

    @from_version_2
    def test_of_equals_the_earlier_wins(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        left.levels(ANA, {BEN: 50, CAY: 40})
        first, second = left.branch(), left.branch()
        late = first.add("m.room.join_rules", BEN, {"join_rule": "invite"}, origin_server_ts=90)
        second.add("m.room.join_rules", BEN, {"join_rule": "knock"}, origin_server_ts=80)
        # Both are power events; the one that is applied last stands.
        found = resolve(version, [first.state, second.state], left.events)
        assert found.state[RULES] == late
        assert right.state[LEVELS] != found.state[LEVELS]


class TestMainline:
    @from_version_2
    def test_the_newer_event_stands(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == right.state

    @from_version_2
    def test_newer_power_levels_count_more_than_time(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        left.levels(ANA, {BEN: 50, CAY: 50, DAN: 1})
        topic = left.add("m.room.topic", ANA, {"topic": "left"}, origin_server_ts=5)
        right.add("m.room.topic", ANA, {"topic": "right"}, origin_server_ts=99)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state[TOPIC] == topic


class TestVersion1:
    def test_the_deeper_topic_stands(self) -> None:
        left, right = two_topics(V1)
        found = resolve(V1, [left.state, right.state], left.events)
        assert found.state == right.state

    def test_what_only_one_state_has_is_in_no_conflict(self) -> None:
        left = a_fork(V1)
        right = left.branch()
        left.add("m.room.topic", ANA, {"topic": "left"})
        found = resolve(V1, [left.state, right.state], {})
        assert found.state == left.state
        assert found.missing == frozenset()

    def test_a_pass_does_not_see_itself(self) -> None:
        """Ben's ban does not make Cay's kick by Ben fail: both are members."""
        left = a_fork(V1)
        right = left.branch()
        left.member(ANA, BEN, BAN)
        right.levels(ANA, {BEN: 60, CAY: 50})
        kick = right.member(BEN, CAY, LEAVE)
        left.member(CAY, CAY)
        found = resolve(V1, [left.state, right.state], left.events)
        assert found.state[member(CAY)] != kick

    def test_the_shallowest_stands_when_none_is_allowed(self) -> None:
        left = a_fork(V1)
        right = left.branch()
        least = left.add("m.room.topic", DAN, {"topic": "left"})
        right.add("m.room.topic", DAN, {"topic": "right"})
        found = resolve(V1, [left.state, right.state], left.events)
        assert found.state[TOPIC] == least

    def test_of_equal_depth_the_lowest_hash_stands(self) -> None:
        left = a_fork(V1)
        right = left.branch()
        left.add("m.room.topic", ANA, {"topic": "left"}, depth=99)
        right.add("m.room.topic", ANA, {"topic": "right"}, depth=99)
        found = resolve(V1, [left.state, right.state], left.events)
        # sha1 of $e6:a.example begins with e5, that of $e7:a.example with 63.
        assert found.state[TOPIC] == "$e7:a.example"


class TestWhatIsNotAtHand:
    @every_version
    def test_common_state_is_never_looked_up_whole(self, version: RoomVersion) -> None:
        fork = a_fork(version)
        found = resolve(version, [fork.state, fork.state], {})
        assert found.state == fork.state
        assert found.missing == frozenset()

    @from_version_2
    def test_a_missing_event_does_not_win(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        del left.events[right.state[TOPIC]]
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == left.state
        assert found.missing == {right.state[TOPIC]}

    def test_in_version_1_too(self) -> None:
        left, right = two_topics(V1)
        del left.events[right.state[TOPIC]]
        found = resolve(V1, [left.state, right.state], left.events)
        assert found.state == left.state

    @every_version
    def test_nothing_at_hand_leaves_what_is_common(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        found = resolve(version, [left.state, right.state], lambda event_id: None)
        assert found.state == {p: name for p, name in left.state.items() if p != TOPIC}

    @every_version
    def test_an_event_under_the_id_of_another_one_is_missing(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        left.events[right.state[TOPIC]] = left.events[left.state[LEVELS]]
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == left.state
        assert right.state[TOPIC] in found.missing

    @from_version_2
    def test_a_message_is_missing(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        name = right.state[TOPIC]
        document = {**left.events[name].to_pdu()}
        del document["state_key"]
        left.events[name] = Event.from_pdu(document, version, event_id=name)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == left.state


class TestOtherRooms:
    @from_version_2
    def test_their_events_do_not_win(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        other = right.branch()
        room_id = "!" + "o" * 43 if version is V12 else "!o:a.example"
        other.add("m.room.topic", ANA, {"topic": "other"}, room_id=room_id)
        states = [left.state, right.state, other.state]
        found = resolve(version, states, left.events)
        assert found.state == right.state
        assert found.missing == {other.state[TOPIC]}

    def test_without_a_common_create_event_most_events_decide(self) -> None:
        left, right = two_topics(V11)
        other = right.branch()
        other.add("m.room.topic", ANA, {"topic": "other"}, room_id="!a:a.example")
        other.add("m.room.name", ANA, {"name": "other"}, room_id="!z:a.example")
        other.add("m.room.avatar", ANA, {"name": "other"}, room_id="!z:a.example")
        states = [
            {place: name for place, name in fork.state.items() if place != CREATE}
            for fork in (left, right, other)
        ]
        found = resolve(V11, states, left.events)
        # Two topics of the room against two events of !z: the smaller ID counts.
        assert found.missing == {
            other.state[p] for p in (TOPIC, ("m.room.name", ""), ("m.room.avatar", ""))
        }

    @pytest.mark.parametrize("version", [V2, V11], ids=str)
    def test_an_event_that_lists_no_create_event_is_judged(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        create = left.state["m.room.create", ""]
        listed = left.events[left.state[TOPIC]].auth_events
        others = left.refer(*[name for name in listed if name != create])
        left.add("m.room.topic", ANA, {"topic": "x"}, auth_events=others)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == left.state


class TestSeveralCreateEvents:
    @pytest.mark.parametrize("version", VERSIONS[1:11], ids=str)
    def test_the_last_one_stands(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        content = {"room_version": version.identifier, "creator": DAN}
        second = right.add("m.room.create", DAN, content, prev_events=[], auth_events=[])
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == {**left.state, CREATE: second}

    def test_in_version_12_the_other_one_is_of_another_room(self) -> None:
        left = a_fork(V12)
        right = left.branch()
        right.add("m.room.create", BEN, {"room_version": "12"}, prev_events=[], auth_events=[])
        right.add("m.room.topic", ANA, {})
        left.add("m.room.name", ANA, {})
        found = resolve(V12, [left.state, right.state], left.events)
        assert found.state[CREATE] == left.state[CREATE]


class TestRejectedEvents:
    @from_version_2
    def test_do_not_win(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        rejected = frozenset({right.state[TOPIC]})
        found = resolve(version, [left.state, right.state], left.events, rejected=rejected)
        assert found.state == left.state

    @every_version
    def test_are_not_in_the_result_when_all_states_have_them(self, version: RoomVersion) -> None:
        left, _ = two_topics(version)
        rejected = frozenset({left.state[TOPIC]})
        found = resolve(version, [left.state, left.state], left.events, rejected=rejected)
        assert TOPIC not in found.state

    def test_authorise_nothing(self) -> None:
        left = a_fork(V11)
        right = left.branch()
        join = left.member(DAN, DAN)
        left.add("m.room.topic", DAN, {"topic": "left"}, origin_server_ts=1)
        left.member(DAN, DAN, LEAVE)
        found = resolve(V11, [left.state, right.state], left.events, rejected={join})
        assert TOPIC not in found.state

    def test_a_rejected_create_event_of_version_12_authorises_nothing(self) -> None:
        left, right = two_topics(V12)
        rejected = frozenset({left.state[CREATE]})
        found = resolve(V12, [left.state, right.state], left.events, rejected=rejected)
        assert {TOPIC, CREATE}.isdisjoint(found.state)


class TestCycles:
    @pytest.mark.parametrize("version", [V2, V11], ids=str)
    def test_events_that_authorise_each_other_do_not_win(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        coming = EventID(left.make("m.x", ANA, {}).event_id.replace("6", "7"))
        mine = [left.state[place] for place in (CREATE, member(ANA), LEVELS)]
        first = right.add(
            "m.room.join_rules", ANA, {"join_rule": "knock"}, auth_events=right.refer(*mine, coming)
        )
        assert first == coming
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state == left.state

    @pytest.mark.parametrize("version", [V2, V11], ids=str)
    def test_a_circle_of_power_levels_has_an_end(self, version: RoomVersion) -> None:
        left = a_fork(version)
        right = left.branch()
        names = [left.make("m.x", ANA, {}, str(number)).event_id for number in range(2)]
        one, two = [
            EventID(
                name.replace(
                    name[-1:] if version is V11 else ":", ":" if version is V2 else name[-1:]
                )
            )
            for name in names
        ]
        mine = [left.state[place] for place in (CREATE, member(ANA))]
        for name, other in ((one, two), (two, one)):
            document = {
                **left.events[left.state[LEVELS]].to_pdu(),
                "auth_events": left.refer(*mine, other),
            }
            if version.event_id_in_pdu:
                document["event_id"] = name
            left.events[name] = Event.from_pdu(document, version, event_id=name)
        for fork in (left, right):
            fork.state[LEVELS] = one
        left.add("m.room.topic", ANA, {"topic": "left"}, origin_server_ts=60)
        topic = right.add("m.room.topic", ANA, {"topic": "right"}, origin_server_ts=70)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.state[TOPIC] == topic


class TestInput:
    @every_version
    def test_takes_room_states(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        states = [left.room_state, right.room_state]
        by_ids = resolve(version, [left.state, right.state], left.events)
        assert resolve(version, states, left.events).state == by_ids.state
        assert resolve(version, states, {}).state == by_ids.state

    def test_takes_no_state_whose_events_have_no_ids(self) -> None:
        fields = {"type": "m.room.topic", "sender": ANA, "content": {}, "state_key": ""}
        event = Event.from_client_event(fields, V11)
        with pytest.raises(IncompleteState) as caught:
            resolve(V11, [RoomState.of(V11, [event])], {})
        assert caught.value == IncompleteState("state resolution", f"the ID of {event!r}")

    def test_takes_no_state_over_a_look_up(self) -> None:
        with pytest.raises(IncompleteState):
            resolve(V11, [RoomState.over(V11, lambda kind, key: None)], {})

    def test_of_no_state_at_all_nothing_comes(self) -> None:
        assert resolve(V11, [], {}).state == {}

    def test_knows_three_algorithms(self) -> None:
        with pytest.raises(InvalidIdentifier) as caught:
            resolve(V11, [], {}, algorithm="3")
        assert caught.value == InvalidIdentifier("algorithm", "1, 2 or 2.1", "3")

    @from_version_2
    def test_takes_the_auth_difference(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        states = [left.state, right.state]
        found = resolve(
            version,
            states,
            left.events,
            auth_difference=frozenset(),
            conflicted_subgraph=frozenset(),
        )
        assert found == resolve(version, states, left.events)

    def test_what_is_common_holds_whatever_a_state_says(self) -> None:
        left, right = two_topics(V11)
        found = resolve(V11, [right.state, {}], left.events, unconflicted=left.state)
        assert found.state == left.state


class TestResolution:
    @every_version
    def test_gives_the_state_with_its_events(self, version: RoomVersion) -> None:
        left, right = two_topics(version)
        found = resolve(version, [left.state, right.state], left.events)
        assert found.room_state() == right.room_state

    def test_the_members_stand_in_order_of_depth(self) -> None:
        left = a_fork(V11)
        shuffled = dict(reversed(left.state.items()))
        found = resolve(V11, [shuffled], left.events).room_state()
        assert list(found.members) == [ANA, BEN, CAY]

    def test_is_partial_where_a_state_was(self) -> None:
        """A member whom a partial state leaves out may have been in it."""
        left, right = two_topics(V11)
        known = [event for event in right.room_state.events if event.state_key != CAY]
        in_part = RoomState.of(V11, known, partial=True)
        found = resolve(V11, [left.room_state, in_part], left.events).room_state()
        assert found.is_partial
        assert found.membership_of(DAN) is Membership.UNKNOWN

    def test_gives_no_state_without_its_events(self) -> None:
        left, right = two_topics(V11)
        gone = left.state[RULES]
        del left.events[gone]
        found = resolve(V11, [left.state, right.state], left.events)
        with pytest.raises(IncompleteState) as caught:
            found.room_state()
        assert caught.value == IncompleteState("the resolved state", f"the event {gone}")

    def test_equal_input_gives_equal_values(self) -> None:
        left, right = two_topics(V11)
        first = resolve(V11, [left.state, right.state], left.events)
        second = resolve(V11, [right.state, left.state], left.events.get)
        assert first == second
        assert hash(first) == hash(second)

    def test_can_be_pickled(self) -> None:
        left, right = two_topics(V11)
        found = resolve(V11, [left.state, right.state], left.events.get)
        again = pickle.loads(pickle.dumps(found))
        assert again == found
        assert again.room_state() == found.room_state()

    def test_the_state_is_a_mapping(self) -> None:
        left, right = two_topics(V11)
        state = resolve(V11, [left.state, right.state], left.events).state
        assert len(state) == len(right.state)
        assert state.__eq__(7) is NotImplemented
        assert state.get(("m.x", "")) is None
        with pytest.raises(TypeError):
            hash(state)
