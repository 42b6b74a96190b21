"""
Resolves states with Synapse's functions; run by the Python that Synapse is in.

Reads one case a line from standard input and answers each with one line on standard output. A case has
``version``, ``room_id``, ``events`` (PDUs by event ID, which must be the IDs that Synapse gives them),
``rejected`` (IDs) and ``states`` (each a list of type, state key and event ID). An answer has ``state``
in the same form, or ``not_compared`` where there is no state to compare with.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

import synapse.event_auth  # noqa: F401 - its modules import each other; this one has to come first
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.events import make_event_from_dict
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference

__all__ = ["main"]

Json: TypeAlias = Any
# The project's environment has no Synapse to take this type from.
SynapseEvent: TypeAlias = Any


PATIENCE = 10
"""Seconds for one case, which takes milliseconds."""


class Store:
    """What Synapse's state resolution asks of its database, over the events of one case."""

    def __init__(self, events: Mapping[str, SynapseEvent]) -> None:
        self._events = events

    async def get_events(self, event_ids: Collection[str], **_: object) -> dict[str, SynapseEvent]:
        """Those of the events that are there."""
        return {id: self._events[id] for id in event_ids if id in self._events}

    async def get_auth_chain_difference(
        self, _: str, state_sets: list[set[str]], conflicted: set[str] | None, __: object
    ) -> StateDifference:
        """The auth difference, and for version 12 the conflicted state subgraph, by walking."""
        chains = [self._below(state_set) for state_set in state_sets]
        difference = chains[0].union(*chains[1:]) - chains[0].intersection(*chains[1:])
        subgraph = None
        if conflicted is not None:
            below = conflicted | self._below(conflicted)
            subgraph = {id for id in below if id in conflicted or self._below([id]) & conflicted}
        return StateDifference(auth_difference=difference, conflicted_subgraph=subgraph)

    def _below(self, event_ids: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(event_ids)
        while waiting:
            event = self._events.get(waiting.pop())
            new = set(event.auth_event_ids()) - found if event else set()
            found |= new
            waiting += new
        return found


class Clock:
    """Never waits."""

    async def sleep(self, _: object) -> None:
        """Return at once."""


def main() -> None:
    """Answers cases until the input ends."""
    signal.signal(signal.SIGALRM, _give_up)
    for line in sys.stdin.buffer:
        sys.stdout.write(f"{json.dumps(answer(json.loads(line)))}\n")
        sys.stdout.flush()


def _give_up(*_: object) -> None:
    raise TimeoutError


def answer(case: Json) -> Json:
    """Returns the answer to one case."""
    version = KNOWN_ROOM_VERSIONS[case["version"]]
    rejected = frozenset(case["rejected"])
    events = {}
    for id, pdu in case["events"].items():
        reason = "rejected" if id in rejected else None
        event = make_event_from_dict(pdu, version, rejected_reason=reason)
        if event.event_id != id:
            return {"fault": f"{event.event_id}, not {id}"}
        events[id] = event
    states = [{(kind, key): id for kind, key, id in state} for state in case["states"]]
    store = Store(events)
    if case["version"] == "1":
        asked = v1.resolve_events_with_store(
            case["room_id"], version, states, None, store.get_events
        )
    else:
        asked = v2.resolve_events_with_store(Clock(), case["room_id"], version, states, None, store)
    signal.alarm(PATIENCE)
    try:
        asked.send(None)
    except StopIteration as end:
        return {"state": [[*place, id] for place, id in end.value.items()]}
    except Exception:  # noqa: BLE001 - the next case has to be answered
        return {"not_compared": True}
    finally:
        signal.alarm(0)
    raise RuntimeError("Synapse waits for something that the driver does not have")


if __name__ == "__main__":
    main()
