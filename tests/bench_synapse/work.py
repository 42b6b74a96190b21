"""What both sides are given: texts as they would come over the network, and names of servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Question:
    """An event, the state before it, and who signed it.

    Attributes:
        event: the PDU.
        state: the PDUs of the state.
        signed_by: the servers whose signatures count as good.
    """

    event: str
    state: list[str]
    signed_by: list[str]


@attrs.frozen
class Answer:
    """The answer to a send_join, and the join that was sent."""

    body: str
    join: str


@attrs.frozen
class Fork:
    """States of a room to resolve.

    Attributes:
        version: the room version.
        room_id: the room.
        events: the PDUs.
        state_sets: for each state its type, state key and event ID, one after the other.
        walk: compute the auth chains; otherwise what is needed of them is at hand.
    """

    version: str
    room_id: str
    events: list[str]
    state_sets: list[list[list[str]]]
    walk: bool

    @property
    def states(self) -> list[dict[tuple[str, str], Any]]:
        """The states by place."""
        return [{(kind, key): name for kind, key, name in found} for found in self.state_sets]


@attrs.frozen
class Work:
    """All that is to be done.

    Attributes:
        join: a join that Synapse sent.
        keys: for each server, its public keys by key ID.
        questions: by kind, and by the number of users in the power levels.
        receipts: by the room, a join that comes from another server.
        answers: by the room, and by the number of members in them.
        forks: by the room version and whether chains are computed, and by the number of places in dispute.
        crowd: how many members the largest state has.
    """

    join: str
    keys: dict[str, dict[str, str]]
    questions: dict[str, dict[int, Question]]
    receipts: dict[str, Question]
    answers: dict[str, dict[int, Answer]]
    forks: dict[str, dict[int, Fork]]
    crowd: int

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Work:
        """What was written."""
        read: Mapping[str, Any] = json.loads(text)
        return cls(
            read["join"],
            read["keys"],
            {
                kind: {int(users): Question(**asked) for users, asked in sizes.items()}
                for kind, sizes in read["questions"].items()
            },
            {room: Question(**received) for room, received in read["receipts"].items()},
            {
                room: {int(members): Answer(**answer) for members, answer in sizes.items()}
                for room, sizes in read["answers"].items()
            },
            {
                version: {int(places): Fork(**fork) for places, fork in sizes.items()}
                for version, sizes in read["forks"].items()
            },
            read["crowd"],
        )
