"""Room membership in Matrix, without I/O: rules, decisions, and messages.

Read in this order:

1. `room_versions` and `events`: what happened, in the format of a room version.
2. `state`: the room that it happens in.
3. `auth`: may it happen, and by which rule?
4. `signing`: who is known to have signed it.
5. `federation`: what servers say to each other about it.
6. `client`: what a server answers its users.

>>> from matrix_membership import V11, Event, RoomState, auth
>>> def member(user, membership):
...     event = {"type": "m.room.member", "sender": user, "state_key": user}
...     return Event.from_client_event(event | {"content": {"membership": membership}}, V11)
>>> create = {"type": "m.room.create", "sender": "@ana:a.example", "state_key": "", "content": {}}
>>> room = RoomState.of(
...     V11, [Event.from_client_event(create, V11), member("@ana:a.example", "join")]
... )
>>> print(auth.check(member("@ben:b.example", "join"), room))
rejected by rule 4.3.7 of room version 11: no other rule allows this join
"""

from __future__ import annotations

from matrix_membership import auth, client
from matrix_membership.advice.lint import lint, lint_change
from matrix_membership.advice.may import may, who_may
from matrix_membership.auth import Decision
from matrix_membership.errors import (
    IncompleteState,
    InvalidEvent,
    InvalidIdentifier,
    InvalidJson,
    InvalidMessage,
    MatrixMembershipError,
    UnknownRoomVersion,
)
from matrix_membership.events import Event, EventTemplate
from matrix_membership.membership import JoinRule, Membership, Transition
from matrix_membership.room_versions import (
    KNOWN,
    V1,
    V2,
    V3,
    V4,
    V5,
    V6,
    V7,
    V8,
    V9,
    V10,
    V11,
    V12,
    RoomVersion,
)
from matrix_membership.signing import KeyRing, Signer
from matrix_membership.state import RoomState
from matrix_membership.state.from_client import read_event, read_state

__version__ = "0.1.0"

__all__ = [
    "KNOWN",
    "V1",
    "V2",
    "V3",
    "V4",
    "V5",
    "V6",
    "V7",
    "V8",
    "V9",
    "V10",
    "V11",
    "V12",
    "Decision",
    "Event",
    "EventTemplate",
    "IncompleteState",
    "InvalidEvent",
    "InvalidIdentifier",
    "InvalidJson",
    "InvalidMessage",
    "JoinRule",
    "KeyRing",
    "MatrixMembershipError",
    "Membership",
    "RoomState",
    "RoomVersion",
    "Signer",
    "Transition",
    "UnknownRoomVersion",
    "auth",
    "client",
    "lint",
    "lint_change",
    "may",
    "read_event",
    "read_state",
    "who_may",
]
