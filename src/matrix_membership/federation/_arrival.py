"""What is asked of every member event that another server sends to an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from matrix_membership.events import Event, ReadPdu
from matrix_membership.signing import KeyRing, missing_signers, unverified

__all__ = ["faults"]


class Sent(Protocol):
    """The request that brings an event."""

    @property
    def origin(self) -> str:
        """The server that sends it."""

    @property
    def room_id(self) -> str:
        """The room in the path."""

    @property
    def event_id(self) -> str:
        """The event ID in the path."""


def faults(event: Event, read: ReadPdu, request: Sent, keys: KeyRing) -> Iterator[str]:
    """What is wrong with an event that came, whatever its membership: a sentence each.

    Args:
        event: the event, its signatures verified.
        read: what was read of it on the way.
        request: what brought it.
        keys: the keys with which they were verified.
    """
    if event.server != request.origin:
        yield f"its sender is not a user of {request.origin}"
    if event.room_id != request.room_id:
        yield "its room is not the one in the path"
    if event.event_id != request.event_id:
        yield f"its ID is {event.event_id}, not that in the path"
    if missing_signers(event):
        yield str(unverified(event, keys))
    if not read.content_hash_matches:
        yield "its content hash is wrong"
