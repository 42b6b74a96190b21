"""States resolved by ruma: its program does it, and measures its own CPU time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs

from matrix_membership import Event
from matrix_membership.room_versions import KNOWN
from tests.bench_synapse.tasks import RESOLVED, Task
from tests.bench_synapse.work import Fork, Work
from tests.observatory.ruma import Ruma


@attrs.frozen
class Resolved:
    """A resolution of states that the program has loaded.

    Attributes:
        ruma: the program, running.
        name: under which it loaded them.
        walk: compute the auth chains each time.
    """

    ruma: Ruma
    name: str
    walk: bool

    def __call__(self) -> list[list[str]]:
        """Resolve them, and return the state."""
        return sorted(self.ruma.ask("resolve", name=self.name)["state"])

    def taken(self, count: int) -> int:
        """Resolve them so often, and return the nanoseconds that it took."""
        times = self.ruma.ask("resolve", name=self.name, walk=self.walk, repeat=count)["ns"]
        return sum(times)


def tasks(work: Work, ruma: Ruma) -> Iterator[tuple[str, Task]]:
    """The resolutions by name."""
    for room, forks in work.forks.items():
        for places, fork in forks.items():
            name = RESOLVED.format(members=places, room=room)
            call = Resolved(ruma, name, fork.walk)
            _load(ruma, name, fork)
            yield name, Task(call, call)


def _load(ruma: Ruma, name: str, fork: Fork) -> None:
    version = KNOWN[fork.version]
    events = {Event.from_pdu(pdu, version).event_id: json.loads(pdu) for pdu in fork.events}
    ruma.ask(
        "load",
        name=name,
        room_version=fork.version,
        events=events,
        rejected=[],
        states=fork.state_sets,
    )
