"""The names of what is done, and one piece of it."""

from __future__ import annotations

from typing import Final

import attrs

from tests.bench.measure import Call

LISTED: Final = "{kind}, list of auth events, {users} users"
PREPARED: Final = "{kind}, prepared state, {users} users"
INSIDE: Final = "{kind}, in a Synapse, new event, {users} users"
KEPT: Final = "{kind}, in a Synapse, all kept, {users} users"
BOTH: Final = "{kind}, in a Synapse, both checks, {users} users"
READ: Final = "event from JSON, with its ID"
RECEIPT: Final = "receipt of one join, {room}"
ANSWER: Final = "send_join answer verified, {members:,} members, {room}"
RESOLVED: Final = "states resolved, {members:,} places in dispute, {room}"
CROWD: Final = "state without its {crowd:,} members"


@attrs.frozen
class Task:
    """One piece of work, as one side does it.

    Attributes:
        call: does it; what is measured.
        result: does it, and says in JSON what came of it: both sides say the same.
    """

    call: Call
    result: Call
