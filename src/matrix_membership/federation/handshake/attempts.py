"""Servers tried in turn: a handshake with the first that lets the user in, or out.

The caller asks whom and what `Attempts` says, and tells it what came back; it decides
by one table which server is next and when to stop, and keeps a transcript::

    attempt = Attempts.begin(JOINING, user, room_id, servers=servers, signer=signer)
    while isinstance(attempt, Attempts):
        if attempt.awaits_keys:
            attempt = attempt.receive_keys(await fetch_keys(attempt.needs))
            continue
        try:
            status, body = await http(attempt.destination, attempt.request)
        except ConnectionError as error:
            attempt = attempt.unreachable(str(error))
        else:
            attempt = attempt.receive(status, body, at=now_ms)

What comes out is the end of the handshake, or `Failed` with the most telling error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import InvalidMessage, LocalProtocolError, RemoteProtocolError
from matrix_membership.federation._splitting import DEFAULT_BUDGET, AnswerBudget
from matrix_membership.federation.audit import SendJoinReader
from matrix_membership.federation.handshake import (
    JOINING,
    KNOCKING,
    LEAVING,
    AwaitingAcceptance,
    AwaitingKeys,
    AwaitingTemplate,
    Handshake,
    Joined,
    Knocked,
    Left,
    Refused,
)
from matrix_membership.federation.handshake._transcript import (
    Attempt,
    Failed,
    Reply,
    goes_on,
    reply_of,
)
from matrix_membership.federation.messages import (
    MakeResponse,
    MatrixError,
    Request,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
)
from matrix_membership.identifiers import RoomID, ServerName, UserID, server_name
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import KeyRing, Signer

__all__ = ["Attempt", "Attempts", "End", "Failed", "Reply"]

End = Joined | Knocked | Left | Failed
"""How attempts can end: in the end of one handshake, or because every server failed."""

_Step = AwaitingTemplate | AwaitingAcceptance | AwaitingKeys

_SENT: Final[Mapping[Handshake, Callable[[JsonValue], Any]]] = MappingProxyType(
    {
        JOINING: SendJoinResponse.from_json,
        KNOCKING: SendKnockResponse.from_json,
        LEAVING: SendLeaveResponse.from_json,
    }
)


@frozen
class Attempts:
    """A handshake that is under way with one of several servers.

    Attributes:
        handshake: `JOINING`, `KNOCKING` or `LEAVING`.
        user: who wants to join, knock or leave.
        room_id: the room.
        signer: this server's key.
        room_versions: the room versions that this server speaks.
        content: further keys of the event's content.
        omit_members: of a join, whether memberships may be left out of the answer.
        step: where the handshake with the present server is.
        server: that server: the one that gives the template.
        waiting: the servers that were not asked yet.
        transcript: the attempts that led to nothing.
    """

    handshake: Handshake
    user: UserID
    room_id: RoomID
    signer: Signer
    room_versions: Mapping[str, RoomVersion]
    content: JsonObject
    omit_members: bool
    step: _Step
    server: ServerName
    waiting: tuple[ServerName, ...]
    transcript: tuple[Attempt, ...] = ()

    @classmethod
    def begin(
        cls,
        handshake: Handshake,
        user: str,
        room_id: str,
        *,
        servers: Iterable[str],
        signer: Signer,
        room_versions: Mapping[str, RoomVersion] = KNOWN,
        content: Mapping[str, JsonValue] = JsonObject(),
        omit_members: bool = True,
    ) -> Attempts | End:
        """Begin with the first of the servers.

        Args:
            handshake: `JOINING`, `KNOCKING` or `LEAVING`; the last one rejects invites
                and retracts knocks too.
            user: who wants to join, knock or leave; a user of the signer's server.
            room_id: the room.
            servers: the servers to ask, in this order; this one and repeats are passed
                over.
            signer: this server's key.
            room_versions: the room versions that this server speaks.
            content: further keys of the event's content, such as `displayname`.
            omit_members: of a join, whether memberships may be left out of the answer.

        Returns:
            The attempts; `Failed` if there is no server to ask. The type is the one of
            `receive`, so that one variable can go through the whole loop.

        Raises:
            InvalidIdentifier: a server, the user or the room is none.
            InvalidJson: the content holds what JSON cannot.
            LocalProtocolError: the user is not of the signer's server.
        """
        others = [server_name(server) for server in servers]
        turn = tuple(dict.fromkeys(found for found in others if found != signer.server_name))
        if not turn:
            return Failed(())
        step = handshake.begin(
            user,
            room_id,
            signer=signer,
            resident=turn[0],
            room_versions=room_versions,
            content=content,
            omit_members=omit_members,
        )
        return cls(
            handshake,
            step.user_id,
            step.room_id,
            signer,
            step.room_versions,
            freeze(dict(content)),
            omit_members,
            step,
            turn[0],
            turn[1:],
        )

    @property
    def destination(self) -> ServerName:
        """Whom to ask now: when a user of another server vouches, that server is sent the join."""
        if isinstance(self.step, AwaitingAcceptance):
            return self.step.destination
        return self.server

    @property
    def request(self) -> Request:
        """What to ask.

        Raises:
            LocalProtocolError: keys are needed now.
        """
        if isinstance(self.step, AwaitingKeys):
            raise LocalProtocolError("receive_keys", "a request")
        return self.step.request

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch now, if it is keys that are needed: for each server, key IDs."""
        return self.step.needs if isinstance(self.step, AwaitingKeys) else {}

    @property
    def awaits_keys(self) -> bool:
        """Whether `receive_keys` comes next; none may be needed that is not at hand."""
        return isinstance(self.step, AwaitingKeys)

    def reader(self, *, budget: AnswerBudget = DEFAULT_BUDGET) -> SendJoinReader | None:
        """What reads the answer that comes now piece by piece, if it may be a large one.

        Feed it the answer to a request that succeeded, and give it to `receive` in place
        of a body; it remembers an error that `feed` raised.

        Args:
            budget: what the answer may cost.

        Returns:
            The reader; None when the answer is small.
        """
        if isinstance(self.step, AwaitingAcceptance) and self.handshake is JOINING:
            return self.step.reader(budget=budget)
        return None

    def receive(self, status: int, body: JsonValue | SendJoinReader, *, at: int) -> Attempts | End:
        """Take what came back.

        Args:
            status: the HTTP status.
            body: the parsed body; None for one that is no JSON; or the `reader` that
                has been fed with it.
            at: the time now, in milliseconds since 1970: the event's own time.

        Returns:
            The attempts, with this server or the next one; or how they ended.

        Raises:
            LocalProtocolError: keys are awaited, not an answer.
        """
        step = self.step
        try:
            if isinstance(step, AwaitingTemplate):
                return self._after(step.receive(_read(status, body, MakeResponse.from_json), at=at))
            if isinstance(step, AwaitingAcceptance):
                answer = _read(status, body, _SENT[self.handshake])
                after = step.receive(answer)
                if isinstance(after, AwaitingAcceptance):
                    return evolve(self, step=after, transcript=self._with(Reply.OLDER, answer))
                return self._after(after)
        except (InvalidMessage, RemoteProtocolError) as error:
            return self._nonsense(error)
        raise LocalProtocolError("receive_keys", "an answer")

    def unreachable(self, why: str) -> Attempts | Failed:
        """Go on after a server that could not be reached, or did not answer in time.

        Args:
            why: what happened, in a few words.
        """
        return self._without(Reply.UNREACHABLE, MatrixError("M_UNKNOWN", why, 502))

    def receive_keys(
        self,
        keys: KeyRing,
        *,
        map: Callable[..., Iterable[Any]] = map,  # noqa: A002 - it is one
    ) -> Attempts | End:
        """Take the keys that verify the answer to a join.

        Args:
            keys: what could be had of `needs`.
            map: maps a function over pieces of work, see `Examination.audit`.

        Returns:
            The end; or, when the answer cannot be relied on, the attempts with the next
            server, or their failure.

        Raises:
            LocalProtocolError: no keys are awaited.
        """
        if not isinstance(self.step, AwaitingKeys):
            raise LocalProtocolError("an answer", "keys")
        try:
            return self.step.receive(keys, map=map)
        except RemoteProtocolError as error:
            return self._nonsense(error)

    def _after(
        self,
        step: AwaitingAcceptance | AwaitingKeys | Knocked | Left | Refused,
    ) -> Attempts | End:
        if isinstance(step, Refused):
            return self._without(reply_of(step.error), step.error)
        if isinstance(step, Knocked | Left):
            return step
        return evolve(self, step=step)

    def _nonsense(self, error: InvalidMessage | RemoteProtocolError) -> Attempts | Failed:
        return self._without(Reply.NONSENSE, MatrixError("M_UNKNOWN", str(error), 502))

    def _with(self, reply: Reply, error: MatrixError) -> tuple[Attempt, ...]:
        """The transcript with the present attempt."""
        asked = _ASKED[type(self.step)](self.handshake)
        return (*self.transcript, Attempt(self.destination, asked, reply, error))

    def _without(self, reply: Reply, error: MatrixError) -> Attempts | Failed:
        """The attempts after one that led to nothing."""
        transcript = self._with(reply, error)
        if not self.waiting or not goes_on(reply):
            return Failed(transcript)
        step = self.handshake.begin(
            self.user,
            self.room_id,
            signer=self.signer,
            resident=self.waiting[0],
            room_versions=self.room_versions,
            content=self.content,
            omit_members=self.omit_members,
        )
        return evolve(
            self,
            step=step,
            server=self.waiting[0],
            waiting=self.waiting[1:],
            transcript=transcript,
        )


_ASKED: Final[Mapping[type, Callable[[Handshake], str]]] = MappingProxyType(
    {
        AwaitingTemplate: lambda handshake: handshake.make,
        AwaitingAcceptance: lambda handshake: handshake.send,
        AwaitingKeys: lambda _: "keys",
    }
)


def _read(
    status: int, body: JsonValue | SendJoinReader, message: Callable[[JsonValue], Any]
) -> Any:
    if status not in range(200, 300):
        return MatrixError.from_json(body, status=status)
    return body.finish() if isinstance(body, SendJoinReader) else message(body)
