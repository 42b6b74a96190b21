"""The ends of a handshake: joined, knocked, left or refused."""

from __future__ import annotations

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject
from matrix_membership.events import Event
from matrix_membership.federation.audit import Audit
from matrix_membership.federation.handshake._transcript import Attempt, goes_on, reply_of
from matrix_membership.federation.invites.messages import key_needs_of
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState


@frozen
class Joined:
    """The user is in the room.

    Attributes:
        event: the join, with all signatures.
        state: the room after the join; partial when memberships were left out.
        audit: the audit of the answer: its defects, the auth chain, the servers in the room.
        resident: the server that accepted the join.
        transcript: the attempts with other servers before, from `Attempts`.
    """

    event: Event
    state: RoomState
    audit: Audit
    resident: ServerName
    transcript: tuple[Attempt, ...] = ()

    @property
    def to_store(self) -> tuple[Event, ...]:
        """The events to store, in this order: those of the answer, and the join.

        Each comes after the events that it cites, and the server can answer the next join
        with them. After a join with omitted members, `audit` of the whole state has them all.
        """
        return self.audit.to_store


@frozen
class Knocked:
    """The user has knocked.

    Attributes:
        event: the knock.
        knock_room_state: the events that describe the room, as they came, unchecked.
        resident: the server that accepted the knock.
        transcript: the attempts with other servers before, from `Attempts`.
    """

    event: Event
    knock_room_state: tuple[JsonObject, ...]
    resident: ServerName
    transcript: tuple[Attempt, ...] = ()

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch before `examined`: the key IDs of at most 32 servers."""
        return key_needs_of(
            self.knock_room_state, event_id_in_pdu=self.event.room_version.event_id_in_pdu
        )

    def examined(self, keys: KeyRing) -> tuple[tuple[Event, ...], tuple[MatrixError, ...]]:
        """Check the events that describe the room.

        Args:
            keys: the keys of `needs` that could be fetched.

        Returns:
            The events to show to the user and to keep (`OutOfBand.knocked`), and an error for
            each fault. Cost: one signature check for each event.
        """
        return examined(self.knock_room_state, self.event, keys, where="knock_room_state")


@frozen
class Left:
    """The user has left the room, rejected the invite or retracted the knock.

    Attributes:
        event: the leave.
        resident: the server that accepted it.
        transcript: the attempts with other servers before, from `Attempts`.
    """

    event: Event
    resident: ServerName
    transcript: tuple[Attempt, ...] = ()


@frozen
class Refused:
    """The other server refused the request.

    Attributes:
        error: its answer.
    """

    error: MatrixError

    @property
    def errcode(self) -> str:
        """The Matrix error code."""
        return self.error.errcode

    @property
    def try_another_server(self) -> bool:
        """True if another resident server may accept the request.

        True after 5xx, after 404, and after the two codes of a server that cannot authorise a
        restricted join. False after any other 4xx, which speaks for the whole room.
        """
        return goes_on(reply_of(self.error))
