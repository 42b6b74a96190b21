"""The case: the servers, the move, and the data to judge it by."""

from __future__ import annotations

from matrix_membership._attrs import frozen
from matrix_membership.federation.diagnosis._exchange import Exchange
from matrix_membership.federation.diagnosis._story import Finding
from matrix_membership.federation.handshake import Handshake
from matrix_membership.membership import INVITE, Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState


@frozen
class Case:
    """One exchange of a handshake, with the state and the keys at hand.

    Attributes:
        exchange: the exchange.
        asking: the server that asks; empty if it is not known.
        answering: the server that answers; empty if it is not known.
        user: the user whose membership is to change.
        keys: the keys at hand.
        state: the state of the room, if it was given.
        version: the version of the room, as far as it is known.
    """

    exchange: Exchange
    asking: str
    answering: str
    user: str
    keys: KeyRing
    state: RoomState | None
    version: RoomVersion | None

    @property
    def handshake(self) -> Handshake | None:
        """The handshake; None for an invite."""
        return self.exchange.handshake

    @property
    def membership(self) -> Membership:
        """The membership that is asked for."""
        return INVITE if self.handshake is None else self.handshake.membership

    @property
    def asker(self) -> str:
        """The asking server by name, or in words."""
        return self.asking or "the asking server"

    @property
    def answerer(self) -> str:
        """The answering server by name, or in words."""
        return self.answering or "the answering server"


class Findings:
    """Collects the findings of one exchange. Used once."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.missing: list[str] = []

    def good(self, sentence: str, event_id: str = "") -> None:
        """Add a check that found nothing wrong."""
        self.found.append(Finding(True, sentence, event_id))  # noqa: FBT003 - the result, first

    def wrong(self, sentence: str, event_id: str = "") -> None:
        """Add a fault."""
        self.found.append(Finding(False, sentence, event_id))  # noqa: FBT003 - the result, first

    def unchecked(self, sentence: str, missing: str, event_id: str = "") -> None:
        """Add a check that could not be made, and the data that it lacks."""
        self.found.append(Finding(None, sentence, event_id))
        self.missing.append(missing)
