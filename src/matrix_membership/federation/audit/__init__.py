"""Audit the answer to send_join: find all defects, and keep what is good.

1. `examine` reads an answer that is at hand; `SendJoinReader` reads one while it comes in.
2. `Examination.needs` names the keys to fetch.
3. `Examination.audit` checks signatures and judges each event by its auth events. The caller
   may pass the `map` of a pool, which then checks the signatures.

A dropped event takes all events with it that depend on it. See `Joining rooms`__.

__ https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from matrix_membership._attrs import constant
from matrix_membership.errors import InvalidMessage
from matrix_membership.events import Event
from matrix_membership.events.reading import scanner_of
from matrix_membership.federation._splitting import (
    ANSWER_BUDGET,
    SEND_JOIN,
    STATE,
    AnswerBudget,
    Splitter,
)
from matrix_membership.federation.audit._judge import Examination as Examination
from matrix_membership.federation.audit._read import Examiner
from matrix_membership.federation.audit._report import Audit as Audit
from matrix_membership.federation.audit._report import Defect as Defect
from matrix_membership.federation.audit._report import Severity as Severity
from matrix_membership.federation.messages import SendJoinResponse, beside_events
from matrix_membership.identifiers import ServerName

__all__ = ["AnswerBudget", "SendJoinReader", "examine"]


@constant
class SendJoinReader:
    """Reads the answer to send_join while it comes in, within a budget.

    It holds each event once, and never more than one event of unread text, so that it can read
    a room of any size. A reader changes while it is fed; the `Examination` that it returns
    does not. `AwaitingAcceptance.reader` makes a reader.

    >>> from matrix_membership.events import Event
    >>> from matrix_membership.room_versions import V11
    >>> join = {"type": "m.room.member", "sender": "@ben:b.example", "content": {}}
    >>> reader = SendJoinReader(
    ...     Event.from_client_event(join, V11), asked_to_omit=False, resident="a.example"
    ... )
    >>> for piece in (b'{"auth_chain": [], "sta', b'te": [], "members_', b'omitted": true}'):
    ...     reader.feed(piece)
    >>> for defect in reader.finish().defects[:2]:
    ...     print(defect)
    fatal: memberships were left out, unasked
    fatal: memberships were left out, and no servers named

    .. versionadded:: 0.1.0
    """

    _examiner: Examiner
    _splitter: Splitter

    def __init__(
        self,
        join: Event,
        *,
        asked_to_omit: bool,
        resident: str,
        budget: AnswerBudget = ANSWER_BUDGET,
        of_state: bool = False,
    ) -> None:
        """Make a reader for the answer of a resident server to a join.

        `asked_to_omit` says whether the request had `omit_members=true`. With `of_state`, it
        reads an answer to `GET /state`__, whose `pdus` are the state. A server sends that request
        later to get the omitted members.

        __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
        """
        examiner = Examiner(join, ServerName(resident), asked_to_omit=asked_to_omit)
        held, scan = STATE if of_state else SEND_JOIN, scanner_of(join.room_version)
        splitter = Splitter(examiner.wait, budget, held, scan)
        # This is the only object of the package that changes, and only by what it is fed.
        object.__setattr__(self, "_examiner", examiner)
        object.__setattr__(self, "_splitter", splitter)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the answer.

        Cost: linear in the answer, for any sizes of the pieces.

        Raises:
            InvalidMessage: the answer has another form, or exceeds the budget. Every later
                call raises the same error.
            LocalProtocolError: `finish` was called before.
        """
        self._splitter.feed(data)

    def finish(self) -> Examination:
        """Return what was read, after all of the answer was fed.

        Raises:
            InvalidMessage: a part of the answer is missing or has a wrong type, or `feed` or
                `finish` raised this error before.
            LocalProtocolError: `finish` returned before.
        """
        try:
            beside = beside_events(self._splitter.finish())
        except InvalidMessage as error:
            # Kept as `feed` keeps one: `Attempts` asks again, and must hear of the same fault.
            self._splitter.error = error
            raise
        self._examiner.take_waiting()
        return self._examiner.finish(*beside)


def examine(
    response: SendJoinResponse, join: Event, *, asked_to_omit: bool, resident: str
) -> Examination:
    """Read an answer that is at hand. The arguments are those of `SendJoinReader`.

    Cost: linear in the answer.

    .. versionadded:: 0.1.0
    """
    # The examiner of the reader that is fed in pieces, so that both find the same defects.
    examiner = Examiner(join, ServerName(resident), asked_to_omit=asked_to_omit)
    for key, pdus in (("state", response.state), ("auth_chain", response.auth_chain)):
        for pdu in pdus:
            examiner.take(key, pdu)
    if response.event is not None:
        examiner.take("event", response.event)
    return examiner.finish(response.members_omitted, response.servers_in_room)
