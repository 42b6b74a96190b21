"""Audit the forks of many rooms on a Dask cluster: which resolutions reset something, and why.

    python docs/examples/audit_forks.py rooms.jsonl --workers 2
    python docs/examples/audit_forks.py rooms.jsonl --scheduler tcp://scheduler.example:8786

Each line of the file is a room: `room_version`, `events` (PDUs by event ID, as a database has them),
`states` (for each branch the IDs of its state events, the newest branch first) and its `name`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from matrix_membership import Event, RoomVersion
from matrix_membership.errors import MatrixMembershipError
from matrix_membership.identifiers import EventID
from matrix_membership.resolution import resets, resolve
from matrix_membership.room_versions import KNOWN

BATCH = 50
"""Rooms in one task: a task costs the scheduler about a millisecond."""


def audit(line: str) -> dict[str, Any]:
    """Resolve the states of one room. A pure function of text, so any engine can map it."""
    room = json.loads(line)
    try:
        version = KNOWN[room["room_version"]]
        events = {name: stored(name, pdu, version) for name, pdu in room["events"].items()}
        states = [
            {
                (event.type, event.state_key or ""): event.event_id
                for event in map(events.__getitem__, ids)
            }
            for ids in room["states"]
        ]
    except (KeyError, MatrixMembershipError) as error:
        return {"name": room["name"], "error": repr(error)}
    found = resolve(version, states, events)
    lost = resets(states[0], found)
    return {
        "name": room["name"],
        "disputed": len(found.conflicted),
        "resets": [reset.to_dict() for reset in lost],
    }


def stored(event_id: EventID, pdu: Any, version: RoomVersion) -> Event:
    """Read an event of a database. It was verified when it came, so its servers count as signers."""
    event = Event.from_pdu(pdu, version, event_id=event_id)
    via = event.authorised_via
    return event.with_signers({event.server, *([via.partition(":")[2]] if via else [])})


def audit_batch(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Audit some rooms, in one task."""
    return [audit(line) for line in lines]


def batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Cut the rooms into batches."""
    waiting = iter(lines)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def audit_on(client: Any, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Audit rooms on the workers of a Dask client; results come in the order of the rooms."""
    futures = client.map(audit_batch, list(batches(lines)), pure=False)
    for future in futures:
        yield from future.result()


def main() -> None:
    """Print the rooms in which something was reset, then how many rooms there were."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - workers import this module without it

    parser = ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--workers", type=int, help="start so many processes on this machine")
    where.add_argument("--scheduler", help="use the cluster at this address")
    asked = parser.parse_args()
    cluster = asked.scheduler or LocalCluster(
        n_workers=asked.workers, threads_per_worker=1, processes=True, dashboard_address=None
    )
    rooms = lost = 0
    with Client(cluster) as client, asked.file.open(encoding="utf-8") as lines:
        for found in audit_on(client, lines):
            rooms += 1
            if found.get("resets") or "error" in found:
                lost += 1
                print(json.dumps(found))
        workers = len(client.scheduler_info()["workers"])
    print(f"rooms: {rooms}, with resets or errors: {lost}, workers: {workers}", file=sys.stderr)
    if asked.scheduler is None:
        cluster.close()


if __name__ == "__main__":
    main()
