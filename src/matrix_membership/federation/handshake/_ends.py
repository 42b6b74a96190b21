"""The ends of a handshake, and the transcript of the attempts that came to none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import Word, evolve, frozen
from matrix_membership.canonical_json import JsonObject
from matrix_membership.events import Event
from matrix_membership.federation.audit import Audit
from matrix_membership.federation.invites.messages import key_needs_of
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import ServerName
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState


class Reply(Word):
    """The outcome of one failed attempt, the least telling first.

    After `OLDER` the same server is asked at its older endpoint. The last four end the search,
    but `FORBIDDEN` does not if the user holds an invite. After any other, the next server is
    asked.
    """

    OLDER = "has the older endpoint only"
    UNREACHABLE = "could not be reached"
    NOT_FOUND = "does not know the room"
    BROKEN = "failed"
    NONSENSE = "answered what makes no sense"
    CANNOT_AUTHORISE = "cannot look into the rooms whose members may join"
    CANNOT_GRANT = "has nobody in the room who may let users in"
    BUSY = "asks to come back later"
    REFUSED = "refused the request"
    INCOMPATIBLE = "speaks of a room version that is not known here"
    FORBIDDEN = "forbids it"


# Two speak for the room, one for the request, which would be the same elsewhere. And a server that
# is asked for patience does not go round the limit by asking the next one.
_ENDS_THE_SEARCH: Final = (Reply.BUSY, Reply.REFUSED, Reply.INCOMPATIBLE, Reply.FORBIDDEN)
_BY_CODE: Final[Mapping[str, Reply]] = MappingProxyType(
    {
        "M_FORBIDDEN": Reply.FORBIDDEN,
        "M_INCOMPATIBLE_ROOM_VERSION": Reply.INCOMPATIBLE,
        "M_UNABLE_TO_AUTHORISE_JOIN": Reply.CANNOT_AUTHORISE,
        "M_UNABLE_TO_GRANT_JOIN": Reply.CANNOT_GRANT,
    }
)
_BY_STATUS: Final[Mapping[int, Reply]] = MappingProxyType({404: Reply.NOT_FOUND, 429: Reply.BUSY})
_ORDER: Final = tuple(Reply)


def reply_of(error: MatrixError) -> Reply:
    """Return what an error answer means for the search.

    >>> reply_of(MatrixError.of("M_UNABLE_TO_GRANT_JOIN", "nobody here"))
    <Reply.CANNOT_GRANT: 'has nobody in the room who may let users in'>
    """
    if error.status in _BY_STATUS:
        return _BY_STATUS[error.status]
    # A 5xx tells of the server, and so does a status that errors do not have.
    if error.status not in range(400, 500):
        return Reply.BROKEN
    return _BY_CODE.get(error.errcode, Reply.REFUSED)


def goes_on(reply: Reply, *, invited: bool = False) -> bool:
    """Tell whether the next server is asked after this reply.

    If the user holds an invite, one server that forbids the join does not speak for the room.
    """
    # It may not have heard of the invite yet. Or it is the server of a stranger, who invited
    # the user without being in the room, and so came first.
    return reply not in _ENDS_THE_SEARCH or (invited and reply is Reply.FORBIDDEN)


@frozen
class Attempt:
    """One failed attempt.

    Attributes:
        server: the server that was asked.
        asked: the endpoint, such as `make_join`; `keys` if the answer failed the audit.
        reply: its outcome.
        error: the error of the server, or one that says what was wrong with its answer.
    """

    server: ServerName
    asked: str
    reply: Reply
    error: MatrixError

    def __str__(self) -> str:
        return f"{self.server} {self.reply} ({self.asked}: {self.error.error})"


@frozen
class Joined:
    """The user is in the room.

    Attributes:
        event: the join, with all signatures.
        state: the room after the join; partial when memberships were left out.
        audit: the audit of the answer: its defects, the auth chain, the servers in the room.
        resident: the server that accepted the join.
        transcript: the attempts with other servers before, from `Attempts`.

    .. versionadded:: 0.1.0
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

    .. versionadded:: 0.1.0
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
        events, faults = examined(self.knock_room_state, self.event, keys, where="knock_room_state")
        return events, tuple(faults)


@frozen
class Left:
    """The user has left the room, rejected the invite or retracted the knock.

    Attributes:
        event: the leave.
        resident: the server that accepted it.
        transcript: the attempts with other servers before, from `Attempts`.

    .. versionadded:: 0.1.0
    """

    event: Event
    resident: ServerName
    transcript: tuple[Attempt, ...] = ()


@frozen
class Refused:
    """The other server refused the request.

    Attributes:
        error: its answer.

    .. versionadded:: 0.1.0
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


@frozen
class Failed:
    """Every server failed or refused, or one refused for the whole room.

    Attributes:
        transcript: every attempt, in order.

    .. versionadded:: 0.1.0
    """

    transcript: tuple[Attempt, ...]

    @property
    def most_telling(self) -> Attempt | None:
        """The most telling attempt, the first of equals; None if no server was asked."""
        return max(self.transcript, key=lambda attempt: _ORDER.index(attempt.reply), default=None)

    @property
    def error(self) -> MatrixError:
        """The error to answer to the client, from the most telling attempt.

        It is 502 if servers failed rather than refused, and if a server found fault with the
        request itself: this server made it, not the client.
        """
        told = self.most_telling
        if told is None:
            return MatrixError.of("M_NOT_FOUND", "no server is known that is in the room")
        if told.reply is Reply.NOT_FOUND:
            return MatrixError.of("M_NOT_FOUND", self.sentence)
        blamed = told.reply is Reply.REFUSED and not told.error.is_for_client
        if told.reply in _FAILED or blamed:
            return MatrixError("M_UNKNOWN", self.sentence, 502)
        return evolve(told.error, error=self.sentence)

    @property
    def sentence(self) -> str:
        """An account for people: the most telling reply first, then the others."""
        told = self.most_telling
        if told is None:
            return "no server is known that is in the room"
        others: dict[str, list[str]] = {}
        for attempt in self.transcript:
            if attempt is not told and attempt.reply is not Reply.OLDER:
                others.setdefault(str(attempt.reply), []).append(attempt.server)
        first = f"{told.server} {told.reply}: {told.error.error}"
        return "; ".join(
            [first, *(f"{', '.join(servers)} {reply}" for reply, servers in others.items())]
        )


_FAILED: Final = (Reply.UNREACHABLE, Reply.BROKEN, Reply.NONSENSE)
