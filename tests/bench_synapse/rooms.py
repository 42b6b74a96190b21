"""Write the work into a file, by the rooms of `make bench`: `python -m tests.bench_synapse.rooms FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.federation import ResidentRoom, SendJoinResponse
from matrix_membership.room_versions import V11, V12
from tests.bench.disputes import a_dispute
from tests.bench.figures import USERS
from tests.bench.rooms import SERVERS, filled, levelled, questions, real_join
from tests.bench_synapse.work import Answer, Fork, Question, Work
from tests.builders import ANA, SIGNER_A, SIGNER_B
from tests.captures import captures, pdus
from tests.federation.conversation import a_public_room, accepted, signed
from tests.federation.signed_rooms import with_state

MEMBERS: Final = (1_000, 10_000)
CROWD: Final = 100_000
PLACES: Final = (2, 102, 1_002, 10_002)

(CAPTURED,) = captures("11", "synapse_send_join_after_invite")
SIGNERS: Final = (SIGNER_A, SIGNER_B, *SERVERS)
LEVELS: Final = {ANA: 100, **{f"@user{number}:a.example": 10 for number in range(49)}}
PLAIN: Final = a_public_room(V11)
ROOMS: Final = {
    "no power levels": PLAIN,
    "50 users in the power levels": with_state(PLAIN, "m.room.power_levels", {"users": LEVELS}),
}


def text(event: Event) -> str:
    """The PDU of an event."""
    assert event.pdu is not None
    return event.pdu.decode()


def question(event: Event, state: RoomState) -> Question:
    """An event and the state that it is judged against."""
    return Question(text(event), [text(found) for found in state.events], sorted(event.signed_by))


def checks() -> dict[str, dict[int, Question]]:
    """One allowed event of each kind, and a join that is refused."""
    asked = {
        kind: {users: question(*questions(users)[kind]) for users in USERS}
        for kind in questions(USERS[0])
    }
    ben = questions(USERS[0])["public join"][0]
    refused = {users: question(ben, levelled(users, "invite")) for users in USERS}
    return {**asked, "refused join": refused}


def received() -> dict[str, Question]:
    """A join of another server into each room, and one that a Synapse sent."""
    found = {}
    for name, room in ROOMS.items():
        found[name] = question(accepted(room, signed(room)).event, room.state)
    events = [
        Event.from_pdu(pdu, V11) for place, pdu in pdus(CAPTURED) if "response.state" in place
    ]
    join = Event.from_pdu(CAPTURED.request, V11)
    return {**found, "as Synapse sent it": question(join, RoomState.of(V11, events))}


def answer(room: ResidentRoom, members: int) -> Answer:
    """A whole answer to send_join."""
    room = filled(room, members)
    step = signed(room, omit_members=False)
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    return Answer(response.to_bytes().decode(), text(step.event))


def fork(version: RoomVersion, places: int, *, walk: bool) -> Fork:
    """A room of two branches."""
    room = a_dispute(version, places)
    return Fork(
        version.identifier,
        room.room_id,
        [text(event) for event in room.events.values()],
        [[[*place, name] for place, name in found.items()] for found in room.state_sets],
        walk,
    )


def work(
    members: Iterable[int] = MEMBERS, crowd: int = CROWD, places: Iterable[int] = PLACES
) -> Work:
    """All of it.

    Args:
        members: the sizes of the answers to send_join.
        crowd: the members of the largest state.
        places: how many places of states that are resolved are in dispute.
    """
    sizes = list(places)
    return Work(
        join=real_join().decode(),
        keys={
            **{server: dict(keys) for server, keys in CAPTURED.keys.items()},
            **{one.server_name: {one.key_id: one.verify_key} for one in SIGNERS},
        },
        questions=checks(),
        receipts=received(),
        answers={
            name: {count: answer(room, count) for count in members} for name, room in ROOMS.items()
        },
        forks={
            f"room version {version}, auth chains {'computed' if walk else 'at hand'}": {
                count: fork(version, count, walk=walk) for count in sizes
            }
            for version in (V11, V12)
            for walk in (False, True)
        },
        crowd=crowd,
    )


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--members", type=int, nargs="+", default=MEMBERS)
    parser.add_argument("--crowd", type=int, default=CROWD)
    asked = parser.parse_args()
    asked.file.parent.mkdir(parents=True, exist_ok=True)
    asked.file.write_text(work(asked.members, asked.crowd).to_json(), "utf-8")


if __name__ == "__main__":
    main()
