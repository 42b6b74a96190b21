"""How a handshake ends: the user is in, at the door, or out; or the other server said no."""

from __future__ import annotations

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject
from matrix_membership.events import Event
from matrix_membership.federation.audit import Audit
from matrix_membership.federation.invites.messages import key_needs_of
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState

__all__ = ["Joined", "Knocked", "Left", "Refused"]


@frozen
class Joined:
    """The user is in the room.

    Attributes:
        event: the join, with all signatures.
        state: the room after the join; partial when memberships were left out.
        audit: what was wrong with the answer, what authorises the room, who is in it.
        resident: the server that let the user in.
    """

    event: Event
    state: RoomState
    audit: Audit
    resident: ServerName


@frozen
class Knocked:
    """The user has knocked.

    Attributes:
        event: the knock.
        knock_room_state: what the resident server tells of the room, as it came.
        resident: the server that took the knock.
    """

    event: Event
    knock_room_state: tuple[JsonObject, ...]
    resident: ServerName

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch before `examined`: for each server, key IDs.

        At most `invite_messages.MOST_SERVERS_OF_ROOM_STATE` servers.
        """
        return key_needs_of(
            self.knock_room_state, event_id_in_pdu=self.event.room_version.event_id_in_pdu
        )

    def examined(self, keys: KeyRing) -> tuple[tuple[Event, ...], tuple[MatrixError, ...]]:
        """Check what the resident server tells of the room.

        Args:
            keys: what could be had of `needs`.

        Returns:
            The events that can be shown to the user, and kept (`OutOfBand.knocked`), and
            an error for each fault. Cost: that of checking one signature for each entry.
        """
        return examined(self.knock_room_state, self.event, keys, where="knock_room_state")


@frozen
class Left:
    """The user has left, or rejected the invite, or retracted the knock.

    Attributes:
        event: the leave.
        resident: the server that took it.
    """

    event: Event
    resident: ServerName


@frozen
class Refused:
    """The other server said no.

    Attributes:
        error: what it answered.
    """

    error: MatrixError

    @property
    def errcode(self) -> str:
        """The Matrix error code."""
        return self.error.errcode

    @property
    def try_another_server(self) -> bool:
        """Whether another resident server may answer otherwise.

        Yes after 5xx, 404 and the two codes of a restricted room's server that
        cannot vouch; no after any other 4xx.
        """
        return (
            self.error.status not in range(400, 500)
            or self.error.status == 404  # noqa: PLR2004 - no such room here
            or self.error.errcode in ("M_UNABLE_TO_AUTHORISE_JOIN", "M_UNABLE_TO_GRANT_JOIN")
        )
