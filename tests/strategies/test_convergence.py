"""Servers that have everything hold the same state; faults that break it are found and shrink to a few events.

The state after an event follows from the events before it alone. So what a server rejects, the state
after each event and the state of the whole graph are the same everywhere. Soft failure is the
exception, as the specification has it: it depends on the events that a server had when the event came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from matrix_membership import V1, V2, V6, V10, V11, V12, Event, RoomState
from matrix_membership.identifiers import EventID
from matrix_membership.receipt import Disposition
from matrix_membership.resolution import resolve
from matrix_membership.room_versions import RoomVersion
from matrix_membership.strategies import (
    Act,
    Deliver,
    Divergence,
    Lie,
    RoomScript,
    assert_converges,
    room_scripts,
)
from matrix_membership.strategies._network import OURS, Network, RoomServer, ids_of

VERSIONS = (V1, V2, V6, V10, V11, V12)
SIX_VERSIONS = pytest.mark.parametrize("version", VERSIONS, ids=str)

FORK = RoomScript(V11, (Act("ana", "topic"), Act("ben", "private")))

State = Mapping[tuple[str, str], EventID]
Events = Mapping[EventID, Event]


def played(script: RoomScript) -> Network:
    """The network after a script, with everything delivered."""
    network = Network(script.room_version)
    network.play(script.steps)
    network.heal(script.order)
    return network


class TestAssertConverges:
    @pytest.mark.long
    @SIX_VERSIONS
    def test_holds_for_this_package(self, version: RoomVersion) -> None:
        assert_converges(room_version=version, max_examples=25)

    @pytest.mark.slow
    @SIX_VERSIONS
    def test_holds_for_many_scripts_too(self, version: RoomVersion) -> None:
        assert_converges(room_version=version, max_examples=1000)

    @pytest.mark.long
    @SIX_VERSIONS
    @settings(max_examples=8)
    @given(st.data())
    def test_holds_for_a_server_that_comes_late(self, version: RoomVersion, data: Any) -> None:
        """It gets all events in any order, and has no current state of its own."""
        network = played(data.draw(room_scripts(room_version=version)))
        late = RoomServer(version, "d.example", OURS)
        for event in data.draw(st.permutations(network.made)):
            late.take(event)
        assert late.rejected == network.servers[0].rejected
        assert {name: ids_of(state) for name, state in late.after.items()} == {
            name: ids_of(state) for name, state in network.servers[0].after.items()
        }

    @SIX_VERSIONS
    @pytest.mark.parametrize(
        "steps",
        [
            (Act("ana", "kick", "cay"), Act("ben", "promote", "cay")),
            (Act("ana", "demote", "ben"), Act("ben", "kick", "cay")),
            (Act("ana", "ban", "cay"), Act("cay", "leave"), Act("cay", "join")),
            (Act("ana", "private"), Act("ben", "private"), Act("ben", "public")),
        ],
        ids=["kick-promotion", "demotion-kick", "ban-join", "join-rules"],
    )
    def test_partitions_end_with_the_same_members(
        self, version: RoomVersion, steps: tuple[Act, ...]
    ) -> None:
        script = RoomScript(version, steps)
        assert_converges(scripts=st.just(script))
        first, *others = (
            set(server.state.joined_members()) for server in played(script).servers[:2]
        )
        assert others == [first]

    def test_lets_an_engine_fail(self) -> None:
        with pytest.raises(ZeroDivisionError):
            assert_converges(lambda *_: 1 // 0, scripts=st.just(FORK))  # type: ignore[arg-type]  # it has no answer to give


class TestRoomScripts:
    @settings(max_examples=10, deadline=None)
    @given(room_scripts(max_steps=3, lies=("backdated",)))
    def test_lie_as_asked(self, script: RoomScript) -> None:
        assert len(script.steps) <= 3
        assert {step.how for step in script.steps if isinstance(step, Lie)} <= {"backdated"}

    @settings(max_examples=10, deadline=None)
    @given(room_scripts(room_version=V11, max_steps=3, lies=()))
    def test_are_honest_if_asked(self, script: RoomScript) -> None:
        assert not any(isinstance(step, Lie) for step in script.steps)

    def test_show_how_to_make_them(self) -> None:
        steps = (Act("ana", "ban", "mal"), Deliver("d.example"), Lie("backdated", "topic"))
        script = RoomScript(V11, steps, (1,))
        names = {"V11": V11, **{cls.__name__: cls for cls in (RoomScript, Act, Deliver, Lie)}}
        assert eval(repr(script), names) == script  # noqa: S307 - a text of this package

    def test_give_the_events(self) -> None:
        assert FORK.events[0].type == "m.room.create"
        assert [event.type for event in FORK.events[7:9]] == ["m.room.topic", "m.room.join_rules"]


class TestKickedMember:
    """A demotion undoes a kick. The old join stands if a message came between the two."""

    KICK = (Act("ben", "kick", "cay"), Act("ana", "demote", "ben"))

    def members(self, *steps: Act | Deliver) -> set[str]:
        return set(played(RoomScript(V11, steps)).servers[0].state.joined_members())

    def test_is_out_if_one_resolution_takes_the_new_join_rule_too(self) -> None:
        assert "@cay:c.example" not in self.members(*self.KICK, Act("ana", "private"))

    def test_stays_if_somebody_spoke_between_the_two(self) -> None:
        heard = (Deliver("b.example"), Act("ben", "message"))
        assert "@cay:c.example" in self.members(*self.KICK, *heard, Act("ana", "private"))


class TestSoftFailure:
    def test_can_keep_current_states_apart(self) -> None:
        """In version 1 a place that one branch alone fills is undisputed.

        Ana's server soft-failed the topic, and Ben, who is banned, can say nothing that follows it. The
        state of the whole graph is the same for both all the same.
        """
        script = RoomScript(V1, (Act("ana", "ban", "ben"), Act("ben", "topic")))
        assert_converges(scripts=st.just(script))
        of_ana, of_ben, *_ = played(script).servers
        assert of_ana.soft_failed
        assert ids_of(of_ana.state) != ids_of(of_ben.state)


class TestLies:
    @pytest.mark.parametrize("version", [V1, V2], ids=str)
    def test_one_id_for_two_events_keeps_servers_apart(self, version: RoomVersion) -> None:
        script = RoomScript(version, (Lie("equivocation", "topic"),))
        with pytest.raises(Divergence, match=r"differ in the state after \$e7:d\.example"):
            assert_converges(scripts=st.just(script))

    def test_two_events_at_once_do_not(self) -> None:
        assert_converges(scripts=st.just(RoomScript(V11, (Lie("equivocation", "topic"),))))

    def test_nobody_takes_what_follows_a_withheld_event(self) -> None:
        script = RoomScript(V11, (Lie("withheld", "topic"),))
        assert not any(server.state.get("m.room.topic") for server in played(script).servers)
        assert "after what nobody has" in str(script)

    def test_a_ban_stands_against_an_event_from_before_it(self) -> None:
        steps = (Act("ana", "ban", "mal"), Deliver("d.example"), Lie("backdated", "topic", since=6))
        network = played(RoomScript(V11, steps))
        assert [len(server.soft_failed) for server in network.servers] == [1, 1, 1, 1]
        assert not any(server.state.get("m.room.topic") for server in network.servers)

    def test_what_the_rules_forbid_is_rejected(self) -> None:
        script = RoomScript(V11, (Lie("forbidden", "promote", "mal"),))
        assert [len(server.rejected) for server in played(script).servers] == [1] * 4
        assert "rejected by a.example, b.example, c.example, d.example" in str(script)

    def test_events_list_the_auth_events_of_an_old_state(self) -> None:
        steps = (Act("ana", "demote", "mal"), Deliver("d.example"), Lie("auth events", "topic"))
        *_, lie = played(RoomScript(V11, steps)).made[:-4]
        assert lie.type == "m.room.topic"
        assert len(lie.auth_events) == 1


def last_by_time(
    version: RoomVersion, states: Sequence[State], events: Events, rejected: AbstractSet[str]
) -> State:
    """A resolver that takes the newest event of each place."""
    places: dict[tuple[str, str], EventID] = {}
    for state in states:
        for place, event_id in state.items():
            newest = max(
                (events[found].origin_server_ts, found)
                for found in (event_id, places.get(place, event_id))
            )
            places[place] = newest[1]
    return places


def without_auth_difference(
    version: RoomVersion, states: Sequence[State], events: Events, rejected: AbstractSet[str]
) -> State:
    """A resolver that replays only the events that the states differ in."""
    found = resolve(version, states, events, rejected=rejected, auth_difference=frozenset())
    return found.state


def last_parent(
    version: RoomVersion, states: Sequence[State], events: Events, rejected: AbstractSet[str]
) -> State:
    """A resolver whose result depends on the order in which the branches came."""
    return states[-1]


def by_current_state(
    event: Event,
    before: RoomState,
    current: RoomState,
    events: Events,
    rejected: AbstractSet[EventID],
) -> Disposition:
    """A server that rejects what it should soft-fail."""
    found = OURS.receive(event, before, current, events, rejected)
    return Disposition.REJECTED if found is Disposition.SOFT_FAILED else found


def forgetful(
    event: Event,
    before: RoomState,
    current: RoomState,
    events: Events,
    rejected: AbstractSet[EventID],
) -> Disposition:
    """A server that drops what the rules reject, so that what follows such an event waits for ever."""
    found = OURS.receive(event, before, current, events, rejected)
    return Disposition.DROPPED if found is Disposition.REJECTED else found


@contextmanager
def drawn_alike(**changed: Any) -> Iterator[None]:
    """Draw the same scripts each time: of some mistakes, one script in hundreds shows them."""
    before = settings.default
    settings.register_profile("alike", before, derandomize=True, **changed)
    settings.load_profile("alike")
    yield
    settings.register_profile("before", before)
    settings.load_profile("before")


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """Ends a run at its first divergence: to make it small takes most of the time."""
    with drawn_alike(phases=[Phase.generate]):
        yield


@pytest.fixture
def shrunk() -> Iterator[None]:
    """Makes the first divergence small."""
    with drawn_alike():
        yield


@pytest.mark.long
class TestPlantedMistakes:
    @pytest.mark.usefixtures("unshrunk")
    @pytest.mark.parametrize(
        "mistake",
        [
            {"resolve": last_by_time},
            {"resolve": without_auth_difference},
            {"resolve": last_parent},
            {"receive": by_current_state},
            {"receive": forgetful},
        ],
        ids=lambda mistake: next(iter(mistake.values())).__name__,
    )
    def test_are_found(self, mistake: Any) -> None:
        with pytest.raises(Divergence):
            assert_converges(**mistake, room_version=V11, max_examples=2000)

    @pytest.mark.slow
    @pytest.mark.usefixtures("shrunk")
    @pytest.mark.parametrize(
        ("resolve", "steps"), [(last_by_time, 3), (last_parent, 3), (without_auth_difference, 6)]
    )
    def test_shrink_to_a_few_steps(self, resolve: Any, steps: int) -> None:
        scripts = room_scripts(room_version=V11, lies=())
        with pytest.raises(Divergence) as caught:
            assert_converges(resolve, scripts=scripts, max_examples=2000)
        found = caught.value
        assert len(found.script.steps) <= steps
        assert repr(found.script) in str(found)
        assert found.differences


REACHED = (
    *("merged forks", "rejected", "soft-failed", "soft-failed by some"),
    *("a ban and a change of power", "never complete"),
)


def reached(script: RoomScript) -> Iterator[str]:
    """Name what happened in a script that a fault could hide behind."""
    network = played(script)
    first, other, *_ = network.servers
    new = network.made[7:]
    if any(server.merges for server in network.servers):
        yield "merged forks"
    if any(server.rejected for server in network.servers):
        yield "rejected"
    if any(server.soft_failed for server in network.servers):
        yield "soft-failed"
    if first.soft_failed != other.soft_failed:
        yield "soft-failed by some"
    kinds = {(event.type, str(event.membership or "")) for event in new}
    if {("m.room.member", "ban"), ("m.room.power_levels", "")} <= kinds:
        yield "a ban and a change of power"
    if not all(event.event_id in first.after for event in new):
        yield "never complete"


@pytest.mark.slow
@SIX_VERSIONS
def test_scripts_reach_what_counts(version: RoomVersion) -> None:
    shares: Counter[str] = Counter()

    @settings(max_examples=500, database=None, phases=[Phase.generate])
    @given(room_scripts(room_version=version))
    def count(script: RoomScript) -> None:
        shares.update(reached(script))

    count()
    assert {what: shares[what] for what in REACHED if shares[what] < 15} == {}
