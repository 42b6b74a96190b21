"""Hypothesis strategies for rooms, events and auth cases.

Install the extra `testing` to use them. Drawn values are valid, unless the strategy's
name says `malformed` or `arbitrary`. Failing examples shrink to a room of Ana and Ben,
and print as a script to paste into a test.

- Identifiers: `room_versions`, `server_names`, `user_ids`, `room_ids`, `event_ids`;
  `malformed_identifiers`.
- Events: `events`, `third_party_invites`; `malformed_events`, `arbitrary_events`,
  `malformed_pdus`.
- Rooms: `room_states`, `room_histories`, `forks`.
- Handshakes: `residents`, servers that answer them, honestly or with one of `handshakes.LIES`.
- Auth rules: `auth_cases`, and `assert_agrees`, which compares another engine with them;
  `draw_cases` gives cases outside of a test.
- State resolution: `room_scripts`, what happens on servers that are cut apart, and
  `assert_converges`, which checks that another engine brings them together.
"""

from __future__ import annotations

from matrix_membership.strategies._network import Act as Act
from matrix_membership.strategies._network import Deliver as Deliver
from matrix_membership.strategies._network import Lie as Lie
from matrix_membership.strategies.agreement import Disagreement, assert_agrees
from matrix_membership.strategies.cases import AuthCase as AuthCase
from matrix_membership.strategies.cases import auth_cases, draw_cases, room_states
from matrix_membership.strategies.convergence import Divergence, assert_converges, room_scripts
from matrix_membership.strategies.convergence import RoomScript as RoomScript
from matrix_membership.strategies.events import (
    arbitrary_events,
    events,
    malformed_events,
    malformed_pdus,
    signer_of,
    third_party_invites,
)
from matrix_membership.strategies.handshakes import Resident as Resident
from matrix_membership.strategies.handshakes import residents
from matrix_membership.strategies.identifiers import (
    event_ids,
    malformed_identifiers,
    room_ids,
    room_versions,
    server_names,
    user_ids,
)
from matrix_membership.strategies.rooms import RoomHistory as RoomHistory
from matrix_membership.strategies.rooms import forks, key_ring_of, room_histories

__all__ = [
    "Disagreement",
    "Divergence",
    "arbitrary_events",
    "assert_agrees",
    "assert_converges",
    "auth_cases",
    "draw_cases",
    "event_ids",
    "events",
    "forks",
    "key_ring_of",
    "malformed_events",
    "malformed_identifiers",
    "malformed_pdus",
    "residents",
    "room_histories",
    "room_ids",
    "room_scripts",
    "room_states",
    "room_versions",
    "server_names",
    "signer_of",
    "third_party_invites",
    "user_ids",
]
