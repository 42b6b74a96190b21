"""The case: one exchange, the data to judge it by, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event, EventTemplate
from matrix_membership.federation.diagnosis._exchange import Exchange
from matrix_membership.federation.diagnosis._story import Diagnosis, Finding
from matrix_membership.federation.handshake import Handshake
from matrix_membership.identifiers import ServerName
from matrix_membership.membership import INVITE, Membership
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState

Message = TypeVar("Message")


class Findings:
    """Collects the findings of one exchange. Used once."""

    def __init__(self) -> None:
        self.all: list[Finding] = []
        self.missing: list[str] = []

    def good(self, sentence: str, event_id: str = "") -> None:
        """Add a check that found nothing wrong."""
        self.all.append(Finding(True, sentence, event_id))  # noqa: FBT003 - the result, first

    def wrong(self, sentence: str, event_id: str = "") -> str:
        """Add a fault; return the sentence."""
        self.all.append(Finding(False, sentence, event_id))  # noqa: FBT003 - the result, first
        return sentence

    def unchecked(self, sentence: str, missing: str, event_id: str = "") -> None:
        """Add a check that could not be made, and the data that it lacks."""
        self.all.append(Finding(None, sentence, event_id))
        self.missing.append(missing)

    def lack_keys(
        self, keys: Mapping[ServerName, Iterable[str]], what: str, event_id: str = ""
    ) -> None:
        """Add signatures that lack keys: `what` has `{server}` or `{key}` in it."""
        for server, key_ids in sorted(keys.items()):
            key = f"{server} {' '.join(sorted(key_ids))}"
            self.unchecked(what.format(server=server, key=key), f"the key {key}", event_id)


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
        found: takes the findings.
        template: the template that the event was made from, if it is known.
        event: the event that was sent, in the form in which it is to be kept, with its signers as
            far as they are known or must be supposed; None if it could not be read.
        faults: the faults of the event, as causes with sentences, the plainest first.
    """

    exchange: Exchange
    asking: str
    answering: str
    user: str
    keys: KeyRing
    state: RoomState | None
    version: RoomVersion | None
    found: Findings
    template: EventTemplate | None = None
    event: Event | None = None
    faults: tuple[tuple[str, str], ...] = ()

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

    @property
    def title(self) -> str:
        """The servers and the move, for people."""
        user = self.user or "a user"
        if self.exchange.makes:
            return f"{self.asker} asks {self.answerer} for a {self.membership} of {user}"
        if self.handshake is None:
            return f"{self.asker} asks {self.answerer} to sign the invite of {user}"
        return f"{self.asker} sends the signed event of {user} to {self.answerer}"

    def read(self, reader: Callable[[JsonValue], Message]) -> Message | Diagnosis:
        """Read the message in the answer, or diagnose one of another form."""
        try:
            return reader(self.exchange.answer)
        except InvalidMessage as error:
            self.found.wrong(f"form of the answer: {error}")
            sentence = f"{self.answerer} answered nonsense: {error}"
            return Diagnosis.of("malformed_answer", sentence)
