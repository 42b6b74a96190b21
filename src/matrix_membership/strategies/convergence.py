"""Play rooms on several servers, and check that all come to the same state.

Call `assert_converges` in a test; it works with every test runner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from hypothesis.vendor.pretty import RepresentationPrinter

from matrix_membership._attrs import frozen
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.state import RoomState
from matrix_membership.strategies._fields import Place
from matrix_membership.strategies._network import (
    LIES,
    MOVES,
    NAMES,
    OURS,
    SERVERS,
    Act,
    Deliver,
    Engine,
    Lie,
    Network,
    Receive,
    Resolve,
    RoomServer,
    Step,
)
from matrix_membership.strategies.identifiers import room_versions

__all__ = ["Divergence", "assert_converges", "room_scripts"]

_REFERENCE: Final = 1
"""The server that always goes by this package."""


@frozen
class RoomScript:
    """A room of four servers, until everything has reached everybody.

    Ana (level 100), Ben and Mal (50) and Cay (0) are in a public room, each on a server of their
    own.
    `str` tells what became of the events.

    Attributes:
        room_version: the version of the room.
        steps: acts, deliveries and lies: `Act`, `Deliver` and `Lie`.
        order: numbers that pick the order in which the servers get the rest in the end.
    """

    room_version: RoomVersion
    steps: tuple[Step, ...]
    order: tuple[int, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """All events that come of it as complete PDUs, in the order of making."""
        return tuple(self._played.made)

    @property
    def _played(self) -> Network:
        return _played(self, Network(self.room_version), OURS)

    def __str__(self) -> str:
        return "\n".join(_account(self._played))

    def __repr__(self) -> str:
        steps = "".join(f"    {step!r},\n" for step in self.steps)
        version = KNOWN.get(self.room_version.identifier)
        name = f"V{version}" if version is self.room_version else repr(self.room_version)
        return f"RoomScript({name}, (\n{steps}), {self.order!r})"

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:  # noqa: FBT001 - Hypothesis calls it
        """Let Hypothesis show the script on lines of its own."""
        printer.text(repr(self))


class Divergence(AssertionError):
    """Servers that have all events do not hold the same state.

    Attributes:
        script: the smallest script found, to play again.
        servers: the names of two servers that differ.
        what: what they differ in.
        differences: the event of each of the two, by place; None where it has no event.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self,
        script: RoomScript,
        servers: tuple[str, str],
        what: str,
        differences: Mapping[Place, tuple[Event | None, Event | None]],
    ) -> None:
        super().__init__(script, servers, what, differences)
        self.script = script
        self.servers = servers
        self.what = what
        self.differences = differences

    def __str__(self) -> str:
        lines = [f"{' and '.join(self.servers)} differ in {self.what}"]
        for place, events in self.differences.items():
            one, other = (event.event_id if event else "nothing" for event in events)
            lines.append(f"  {' '.join(place).strip()}: {one} and {other}")
        return "\n".join([*lines, "", repr(self.script), "", str(self.script)])


def room_scripts(
    *,
    room_version: RoomVersion | None = None,
    max_steps: int = 30,
    lies: tuple[str, ...] | None = None,
) -> SearchStrategy[RoomScript]:
    """Draw what happens in a room whose servers are cut apart, lag, and lie.

    Args:
        room_version: the version of the room; None for any.
        max_steps: the most acts, deliveries and lies.
        lies: how the fourth server may lie: some of `forbidden`, `backdated`, `auth events`,
            `withheld` and `equivocation`. By default all; in versions 1 and 2 not the last,
            since there two events can have one ID, and servers that got different ones never
            agree. Nobody lies if empty.

    >>> from hypothesis import find
    >>> find(room_scripts(max_steps=2), lambda script: True).events[0].type
    'm.room.create'

    .. versionadded:: 0.1.0
    """
    if room_version is None:
        return room_versions().flatmap(
            lambda version: room_scripts(room_version=version, max_steps=max_steps, lies=lies)
        )
    if lies is None:
        lies = LIES[:-1] if room_version.event_id_in_pdu else LIES
    users, moves = st.sampled_from(NAMES), st.sampled_from(MOVES)
    steps: list[SearchStrategy[Step]] = [
        st.builds(Act, users, moves, users),
        st.builds(Deliver, st.sampled_from(SERVERS), st.integers(0, 7)),
    ]
    if lies:
        steps.append(st.builds(Lie, st.sampled_from(lies), moves, users, st.integers(0, 15)))
    step = st.one_of(steps)
    # Lists of short lists: Hypothesis makes short ones more often than long ones, and a room needs
    # some steps until its servers differ.
    bursts = st.lists(st.lists(step, min_size=1, max_size=4), max_size=max_steps)
    scripts = bursts.map(lambda found: tuple(chain.from_iterable(found))[:max_steps])
    orders = st.lists(st.integers(0, 7), max_size=8).map(tuple)
    return st.builds(RoomScript, st.just(room_version), scripts, orders)


def assert_converges(
    resolve: Resolve | None = None,
    receive: Receive | None = None,
    *,
    room_version: RoomVersion | None = None,
    max_examples: int = 300,
    scripts: SearchStrategy[RoomScript] | None = None,
) -> None:
    """Check that servers which have all events hold the same state.

    Two of the four servers of a room go by the engine, the others by this package. All have to
    reject the same events, and to hold the same state after each event and after all events.
    They also have to hold the same current state, if they soft-failed the same events.

    Args:
        resolve: resolves states: takes the room version, a list of states (mappings from type
            and state key to event ID), the accepted events by ID, and the IDs of the rejected
            ones; returns a state. By default `resolution.resolve`.
        receive: judges an event: takes the event, the state before it, the current state, the
            accepted events by ID, and the IDs of the rejected ones; returns a `Disposition`.
            By default `receipt.receive`. Exceptions of both pass through.
        room_version: the version of all rooms; None for any.
        max_examples: how many scripts to play.
        scripts: the scripts to use in place of those of `room_scripts`.

    Raises:
        Divergence: two servers differ. It holds the smallest such script.

    >>> def last(version, states, events, rejected):
    ...     return {place: name for state in states for place, name in state.items()}
    >>> try:
    ...     assert_converges(last)
    ... except Divergence as found:
    ...     print(found.what.partition(" after")[0])
    the state

    .. versionadded:: 0.1.0
    """
    if scripts is None:
        scripts = room_scripts(room_version=room_version)
    engine = Engine(resolve or OURS.resolve, receive or OURS.receive)
    founded: dict[RoomVersion, Network] = {}  # to make the room costs more than a short script

    @settings(max_examples=max_examples, deadline=None, database=None, report_multiple_bugs=False)
    @given(scripts)
    def converges(script: RoomScript) -> None:
        version = script.room_version
        if version not in founded:
            founded[version] = Network(version)
        for found in _divergences(script, _played(script, founded[version], engine)):
            raise found

    converges()


def _played(script: RoomScript, founded: Network, engine: Engine) -> Network:
    """Play a script; the first and the third server go by an engine."""
    network = founded.copy([engine, OURS, engine, OURS])
    network.play(script.steps)
    network.heal(script.order)
    return network


def _divergences(script: RoomScript, network: Network) -> Iterator[Divergence]:
    """Compare the servers with the one that always goes by this package."""
    reference = network.servers[_REFERENCE]
    known = {event.event_id: event for event in network.made}
    for server in network.servers:
        for what, one, other in _compared(reference, server, known):
            differences = {
                place: (one.get(place), other.get(place))
                for place in sorted(one.keys() | other.keys())
                if not _same(one.get(place), other.get(place))
            }
            if differences:
                yield Divergence(script, (reference.name, server.name), what, differences)


def _same(one: Event | None, other: Event | None) -> bool:
    # By the bytes: in versions 1 and 2, events with the same ID can differ.
    return one is other or (one is not None and other is not None and one.pdu == other.pdu)


_Places = Mapping[Place, Event]


def _compared(
    one: RoomServer, other: RoomServer, known: Mapping[EventID, Event]
) -> Iterator[tuple[str, _Places, _Places]]:
    """Yield each thing that two servers must have in common, as each has it."""
    for what, of_one, of_other in (
        ("the events that they have", one.after, other.after),
        ("the events that they reject", one.rejected, other.rejected),
    ):
        yield what, _listed(of_one, known), _listed(of_other, known)
    for event_id, state in one.after.items():
        yield f"the state after {event_id}", _places(state), _places(other.after[event_id])
    yield "the state after all events", _places(one.whole), _places(other.whole)
    if one.soft_failed == other.soft_failed:
        yield "the current state", _places(one.state), _places(other.state)


def _listed(event_ids: Iterable[EventID], known: Mapping[EventID, Event]) -> _Places:
    return {("", event_id): known[event_id] for event_id in event_ids}


def _places(state: RoomState) -> _Places:
    return {(event.type, event.state_key or ""): event for event in state.events}


def _account(network: Network) -> Iterator[str]:
    """Tell of each event who made it, and which servers did not accept it."""
    numbers = {event.event_id: number for number, event in enumerate(network.made, 1)}
    for number, event in enumerate(network.made, 1):
        key = "" if event.state_key is None else f" {event.state_key}".rstrip()
        parents = [str(numbers.get(parent, "what nobody has")) for parent in event.prev_events]
        yield f"{number}. {event.sender}: {event.type}{key} {dict(event.content)}, after {', '.join(parents) or 'nothing'}"
        for verdict, servers in _refusals(network, event):
            yield f"     {verdict} by {', '.join(servers)}"


def _refusals(network: Network, event: Event) -> Iterator[tuple[str, list[str]]]:
    for verdict in ("rejected", "soft_failed"):
        servers = [
            server.name for server in network.servers if event.event_id in getattr(server, verdict)
        ]
        if servers:
            yield verdict.replace("_", "-"), servers
