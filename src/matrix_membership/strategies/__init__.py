"""Hypothesis strategies for rooms, events and the rules on them.

Needs the extra `testing`; nothing else in this package does. What is drawn is valid,
unless its name says `malformed` or `arbitrary`. Failures shrink to a room of Ana and
Ben, and print as a script to paste into a test.

- Names: `room_versions`, `server_names`, `user_ids`, `room_ids`, `event_ids`.
- Events: `events`, `member_events`, `power_levels`, `join_rules`,
  `third_party_invites`; `malformed_events`, `arbitrary_events`, `malformed_pdus`.
- Rooms: `room_states`, `room_histories`, `forks`.
- Handshakes: `residents`, servers that answer them, and `lying_residents`.
- The rules: `auth_cases`, and `assert_agrees` to try another engine on them.
"""

from __future__ import annotations

from matrix_membership.strategies.agreement import (
    Disagreement,
    Engine,
    assert_agrees,
)
from matrix_membership.strategies.cases import (
    AuthCase,
    auth_cases,
    room_states,
)
from matrix_membership.strategies.events import (
    ThirdPartyInvitation,
    arbitrary_events,
    events,
    join_rules,
    json_objects,
    json_values,
    malformed_events,
    malformed_pdus,
    member_events,
    power_levels,
    signer_of,
    third_party_invites,
)
from matrix_membership.strategies.handshakes import (
    LIES,
    Resident,
    lying_residents,
    residents,
)
from matrix_membership.strategies.identifiers import (
    event_ids,
    malformed_event_ids,
    malformed_room_ids,
    malformed_server_names,
    malformed_user_ids,
    room_ids,
    room_versions,
    server_names,
    user_ids,
)
from matrix_membership.strategies.rooms import (
    Fork,
    RoomHistory,
    forks,
    key_ring_of,
    room_histories,
)

__all__ = [
    "LIES",
    "AuthCase",
    "Disagreement",
    "Engine",
    "Fork",
    "Resident",
    "RoomHistory",
    "ThirdPartyInvitation",
    "arbitrary_events",
    "assert_agrees",
    "auth_cases",
    "event_ids",
    "events",
    "forks",
    "join_rules",
    "json_objects",
    "json_values",
    "key_ring_of",
    "lying_residents",
    "malformed_event_ids",
    "malformed_events",
    "malformed_pdus",
    "malformed_room_ids",
    "malformed_server_names",
    "malformed_user_ids",
    "member_events",
    "power_levels",
    "residents",
    "room_histories",
    "room_ids",
    "room_states",
    "room_versions",
    "server_names",
    "signer_of",
    "third_party_invites",
    "user_ids",
]
