"""Try several servers in turn, until one accepts the join, knock or leave.

`Attempts` names the next server and request. The caller sends it and passes the answer back.
One table (`Reply`) decides which server comes next and when to stop::

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

The loop ends with the end of a handshake, or with `Failed` and its transcript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue
from matrix_membership.errors import InvalidMessage, LocalProtocolError, RemoteProtocolError
from matrix_membership.federation._splitting import ANSWER_BUDGET, AnswerBudget
from matrix_membership.federation.audit import Examination, SendJoinReader
from matrix_membership.federation.handshake import (
    JOINING,
    AwaitingAcceptance,
    AwaitingKeys,
    AwaitingTemplate,
    Handshake,
    Joined,
    Knocked,
    Left,
    Refused,
)
from matrix_membership.federation.handshake._ends import Attempt as Attempt
from matrix_membership.federation.handshake._ends import Failed, goes_on, reply_of
from matrix_membership.federation.handshake._ends import Reply as Reply
from matrix_membership.federation.messages import (
    MakeResponse,
    MatrixError,
    Request,
)
from matrix_membership.identifiers import ServerName, read_server_name, several
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import KeyRing, Signer

__all__ = ["Attempts", "End", "Failed"]

End = Joined | Knocked | Left | Failed
"""An end of attempts: the end of one handshake, or the failure of every server."""

_Step = AwaitingTemplate | AwaitingAcceptance | AwaitingKeys


@frozen
class Attempts:
    """A handshake under way with one of several servers.

    Attributes:
        begun: the first step with the server that is asked for the template. The first step
            with the next server differs in `resident` alone.
        step: the current step with this server.
        waiting: the servers to ask after it.
        transcript: the attempts that failed so far.
        invited: whether the user holds an invite, so that one server that forbids the
            handshake does not end it.

    .. versionadded:: 0.1.0
    """

    begun: AwaitingTemplate
    step: _Step
    waiting: tuple[ServerName, ...]
    transcript: tuple[Attempt, ...] = ()
    invited: bool = False

    @classmethod
    def begin(  # noqa: PLR0913 - options are keyword-only and have names
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
        invited: bool = False,
    ) -> Attempts | End:
        """Begin with the first of the servers.

        They are asked in the order of `servers`; repeats and the signer's own server are
        skipped. `invited` says whether the user holds an invite: a server that answers
        `M_FORBIDDEN` may not have heard of it, so the next one is asked. The other arguments
        are those of `Handshake.begin`.

        Returns:
            The attempts; `Failed` if no server is left to ask. The type is that of
            `receive`, so that one variable can go through the whole loop.

        Raises:
            InvalidIdentifier: an entry of `servers` is not a server name; and what
                `Handshake.begin` raises.
        """
        others = [read_server_name(server) for server in several(servers, "servers")]
        # A server that asked itself would wait for its own answer.
        turn = tuple(dict.fromkeys(found for found in others if found != signer.server_name))
        if not turn:
            return Failed(())
        begun = handshake.begin(
            user,
            room_id,
            signer=signer,
            resident=turn[0],
            room_versions=room_versions,
            content=content,
            omit_members=omit_members,
        )
        return cls(begun, begun, turn[1:], invited=invited)

    @property
    def destination(self) -> ServerName:
        """The server to ask now.

        A restricted join goes to the server of its authorising user, whichever server sent
        the template.
        """
        if isinstance(self.step, AwaitingAcceptance):
            return self.step.destination
        return self.begun.resident

    @property
    def request(self) -> Request:
        """The request to send now.

        Raises:
            LocalProtocolError: keys are awaited, not an answer.
        """
        if isinstance(self.step, AwaitingKeys):
            raise LocalProtocolError("receive_keys", "a request")
        return self.step.request

    @property
    def needs(self) -> dict[ServerName, frozenset[str]]:
        """The keys to fetch now: key IDs by server; empty if no keys are awaited."""
        return self.step.needs if isinstance(self.step, AwaitingKeys) else {}

    @property
    def awaits_keys(self) -> bool:
        """True if `receive_keys` comes next, even if `needs` is empty."""
        return isinstance(self.step, AwaitingKeys)

    def reader(self, *, budget: AnswerBudget = ANSWER_BUDGET) -> SendJoinReader | None:
        """Return a reader for the answer that comes now, if that can be large.

        Feed it the body of a successful answer, and pass it to `receive` in place of the body.
        It keeps an error that `feed` raised, and `receive` then counts the answer as nonsense.
        It is None if the next answer is not that to send_join.
        """
        if isinstance(self.step, AwaitingAcceptance) and self.step.handshake is JOINING:
            return self.step.reader(budget=budget)
        return None

    def receive(
        self, status: int, body: JsonValue | SendJoinReader | Examination, *, at: int
    ) -> Attempts | End:
        """Take an answer.

        Args:
            status: the HTTP status.
            body: the parsed body; None if it is not JSON; or the `reader` that was fed
                with it, or what its `finish` returned.
            at: the current time in milliseconds since 1970, for `origin_server_ts`.

        Returns:
            The attempts, with this server or the next one; or their end. Cost: linear in
            the answer.

        Raises:
            LocalProtocolError: keys are awaited, not an answer.
        """
        step = self.step
        try:
            if isinstance(step, AwaitingTemplate):
                return self._after(step.receive(_read(status, body, MakeResponse.from_json), at=at))
            if isinstance(step, AwaitingAcceptance):
                answer = _read(status, body, step.handshake.response.from_json)
                after = step.receive(answer)
                if isinstance(after, AwaitingAcceptance):
                    return evolve(self, step=after, transcript=self._with(Reply.OLDER, answer))
                return self._after(after)
        # Nonsense never ends the search: one lying server could otherwise keep the user out of the
        # room.
        except (InvalidMessage, RemoteProtocolError) as error:
            return self._nonsense(error)
        raise LocalProtocolError("receive_keys", "an answer")

    def unreachable(self, why: str) -> Attempts | Failed:
        """Go on after a server that could not be reached or did not answer in time.

        `why` says in a few words what happened, for the transcript.
        """
        return self._without(Reply.UNREACHABLE, MatrixError("M_UNKNOWN", why, 502))

    def receive_keys(
        self,
        keys: KeyRing,
        *,
        map: Callable[..., Iterable[Any]] = map,
    ) -> Attempts | End:
        """Take the keys that verify the answer to a join.

        Args:
            keys: the keys of `needs` that could be fetched.
            map: maps a function over pieces of work: see `Examination.audit`.

        Returns:
            The end. If the answer has a fatal defect: the attempts with the next server, or
            `Failed`. Cost: see `Examination.audit`.

        Raises:
            LocalProtocolError: an answer is awaited, not keys.
        """
        if not isinstance(self.step, AwaitingKeys):
            raise LocalProtocolError("an answer", "keys")
        try:
            return evolve(self.step.receive(keys, map=map), transcript=self.transcript)
        except RemoteProtocolError as error:
            return self._nonsense(error)

    def _after(
        self,
        step: AwaitingAcceptance | AwaitingKeys | Knocked | Left | Refused,
    ) -> Attempts | End:
        if isinstance(step, Refused):
            return self._without(reply_of(step.error), step.error)
        if isinstance(step, Knocked | Left):
            return evolve(step, transcript=self.transcript)
        return evolve(self, step=step)

    def _nonsense(self, error: InvalidMessage | RemoteProtocolError) -> Attempts | Failed:
        return self._without(Reply.NONSENSE, MatrixError("M_UNKNOWN", str(error), 502))

    def _with(self, reply: Reply, error: MatrixError) -> tuple[Attempt, ...]:
        """Return the transcript with the current attempt."""
        asked = _ASKED[type(self.step)](self.begun.handshake)
        return (*self.transcript, Attempt(self.destination, asked, reply, error))

    def _without(self, reply: Reply, error: MatrixError) -> Attempts | Failed:
        """Return the attempts after the current one failed."""
        transcript = self._with(reply, error)
        if not self.waiting or not goes_on(reply, invited=self.invited):
            return Failed(transcript)
        # From the first step again: the event that was signed refers to what the last server told.
        begun = evolve(self.begun, resident=self.waiting[0])
        waiting = self.waiting[1:]
        return evolve(self, begun=begun, step=begun, waiting=waiting, transcript=transcript)


_ASKED: Final[Mapping[type, Callable[[Handshake], str]]] = MappingProxyType(
    {
        AwaitingTemplate: lambda handshake: handshake.make,
        AwaitingAcceptance: lambda handshake: handshake.send,
        AwaitingKeys: lambda _: "keys",
    }
)


def _read(
    status: int,
    body: JsonValue | SendJoinReader | Examination,
    message: Callable[[JsonValue], Any],
) -> Any:
    if status not in range(200, 300):
        return MatrixError.from_json(body, status=status)
    if isinstance(body, Examination):  # taken for JSON, it would be the server's nonsense
        return body
    return body.finish() if isinstance(body, SendJoinReader) else message(body)
