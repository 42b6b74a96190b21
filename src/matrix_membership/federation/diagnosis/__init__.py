"""Diagnose a recorded join, knock, leave or invite between two servers.

`read_capture` reads a record: a HAR document, requests with their answers, or bare answers.
`diagnose` replays it step by step, and says which side is at fault, by which rule, and what each
side can do. If it lacks something to decide, it names that as missing.

>>> record = [{"errcode": "M_UNABLE_TO_GRANT_JOIN", "error": "nobody here may invite"}]
>>> diagnosis = diagnose(read_capture(record))
>>> diagnosis.cause, str(diagnosis.fault), str(diagnosis.another_server)
('cannot_grant', 'unknown', 'yes')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation._shapes import unpaired
from matrix_membership.federation.diagnosis._capture import read_capture
from matrix_membership.federation.diagnosis._exchange import Exchange as Exchange
from matrix_membership.federation.diagnosis._exchange import in_turn, user_of
from matrix_membership.federation.diagnosis._replay import Replay
from matrix_membership.federation.diagnosis._story import Diagnosis as Diagnosis
from matrix_membership.federation.diagnosis.keys import NO_KEYS, merged
from matrix_membership.room_versions import RoomVersion
from matrix_membership.signing import KeyRing
from matrix_membership.state import RoomState

__all__ = ["conversations", "diagnose", "read_capture"]


def conversations(exchanges: Iterable[Exchange]) -> tuple[tuple[Exchange, ...], ...]:
    """Split a record into its moves, in the order in which they begin.

    A move is the join, knock, leave or invite of one user in one room, with all servers that were
    asked for it. Exchanges of other endpoints are left out.

    .. versionadded:: 0.1.0
    """
    found: dict[tuple[str, str, str], list[Exchange]] = {}
    last: tuple[str, str, str] | None = None
    for exchange in in_turn(exchanges):
        kind = "invite" if exchange.handshake is None else str(exchange.handshake.membership)
        key = (kind, exchange.room_id, user_of(exchange))
        # An answer alone, or an event that cannot be read, belongs to the move before it.
        same = last is not None and last[0] == kind and not exchange.makes
        if same and last is not None and (not key[1] or not key[2]):
            key = last
        found.setdefault(key, []).append(exchange)
        last = key
    return tuple(map(tuple, found.values()))


def diagnose(
    exchanges: Iterable[Exchange],
    *,
    keys: KeyRing = NO_KEYS,
    state: RoomState | None = None,
    room_version: RoomVersion | None = None,
) -> Diagnosis:
    """Diagnose one move: find the cause of its end.

    Args:
        exchanges: the exchanges of one of the `conversations`.
        keys: the keys of servers, as far as they are at hand. A signature by any other key is
            not checked, and said to be missing.
        state: the state of the room before the move. Without it a refusal by the rules cannot be
            explained.
        room_version: the version of the room, if the record does not tell.

    Returns:
        The diagnosis. Cost: that of an audit of each answer to a join.

    Raises:
        InvalidMessage: the record has no join, knock, leave or invite.

    .. versionadded:: 0.1.0
    """
    exchanges = tuple(exchanges)
    listed = list(in_turn(exchanges))
    if not listed:
        raise InvalidMessage("capture", "a join, knock, leave or invite", None)
    keys = merged(keys, (exchange.keys for exchange in exchanges))
    if room_version is None and state is not None:
        room_version = state.room_version
    told = [Replay(attempt, keys, state, room_version).run() for attempt in _attempts(listed)]
    steps = tuple(step for one in told for step in one.steps)
    return evolve(max(told, key=_worth), subject=_subject(listed), steps=steps)


def _attempts(exchanges: Sequence[Exchange]) -> Iterator[list[Exchange]]:
    """Yield the attempts with one server each, which begin with a make request."""
    attempt: list[Exchange] = []
    for exchange in exchanges:
        if exchange.makes and attempt:
            yield attempt
            attempt = []
        attempt.append(exchange)
    yield attempt


def _worth(told: Diagnosis) -> tuple[bool, bool, bool]:
    """Rank an attempt: one that came to an end first, then the one that tells most."""
    failed_itself = told.cause in ("unreachable", "server_failed", "no_endpoint", "room_unknown")
    return (told.succeeded is True, not failed_itself, told.succeeded is False)


def _subject(exchanges: Sequence[Exchange]) -> str:
    first = exchanges[0]
    kind = "invite" if first.handshake is None else str(first.handshake.membership)
    user = next(filter(None, map(user_of, exchanges)), "an unknown user")
    room = next(filter(None, (exchange.room_id for exchange in exchanges)), "") or _room_in(
        exchanges
    )
    return f"{kind} of {user} to {room or 'an unknown room'}"


def _room_in(exchanges: Sequence[Exchange]) -> str:
    for exchange in exchanges:
        answer = unpaired(exchange.answer)
        event = answer.get("event") if isinstance(answer, Mapping) else None
        room = event.get("room_id") if isinstance(event, Mapping) else None
        if isinstance(room, str):
            return room
    return ""
