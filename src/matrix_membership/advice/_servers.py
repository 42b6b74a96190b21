"""Check which servers a room shuts out, and what its policy server does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from matrix_membership.advice._finding import Check, Finding, Weight
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.state import RoomState

MOST_COMPARISONS: Final = 50_000
"""The most comparisons of a server with a pattern that is matched character by character.

If there are more, `lint` looks at the first servers by name: at 5,000 if the list has 10 such
patterns (`receipt.server_acl.ServerAcl.odd_patterns`).
"""


def _shut_out(state: RoomState) -> Iterator[Finding]:
    event, acl = state.get("m.room.server_acl"), ServerAcl.of(state)
    if acl is None:
        return
    # A stranger may write thousands of odd patterns for a room of thousands of servers, and the
    # comparisons are their product.
    most = MOST_COMPARISONS // max(1, acl.odd_patterns)
    servers = sorted(state.servers_in_room)
    denied = tuple(server for server in servers[:most] if not acl.allows(server))
    if denied:
        every = len(denied) == len(servers)
        yield Finding(
            "acl-bans-members",
            Weight.HURTS,
            event,
            denied,
            "every server of the room is banned from it"
            if every
            else "members on these servers are cut off: their events are refused",
            "permit the servers, or remove their users",
        )


def _closed_with_others(state: RoomState) -> Iterator[Finding]:
    create = state.create_event
    if state.create.federate or create is None:
        return
    others = tuple(sorted(server for server in state.servers_in_room if server != create.server))
    if others:
        yield Finding(
            "unfederated-with-others",
            Weight.HURTS,
            create,
            others,
            "members on these servers can send nothing: the room is closed to other servers",
            "make another room, and invite them",
        )


SERVER_CHECKS: Final[tuple[Check, ...]] = (
    _shut_out,
    _closed_with_others,
)
