"""Check an answer to send_join that this server made.

A good answer holds all that is needed to judge its events, an auth chain without superfluous
events, and one consistent state. This check is stricter than `audit`, with which the joining
server reads the answer: what the audit only notes is a shortcoming too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from matrix_membership import auth
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.federation.audit import examine
from matrix_membership.federation.audit._judge import Examination, Judgement
from matrix_membership.federation.audit._report import Defect, Severity
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.signing import KeyRing, concerned_servers, required_signers

__all__ = ["shortcomings"]

_NO_KEYS: Final = KeyRing.of({})


def shortcomings(response: SendJoinResponse, join: Event) -> tuple[Defect, ...]:
    """Find all shortcomings of an answer that this server made to a join.

    Returns:
        The defects that an audit finds, and an event of the auth chain that is there `twice` or
        is `not_needed`; empty for a good answer. If state resolution undid an event, `replaced`
        and `absent_from_state` can be true of the room and right. Signatures are not checked.
        Cost: linear in the answer.

    .. versionadded:: 0.1.0
    """
    # Without the signature of the authorising server: the answer has to bring that.
    asked = join.with_signers(required_signers(join))
    omitted = response.members_omitted
    read = examine(response, asked, asked_to_omit=omitted, resident="")
    entries = (*read.entries.values(), *read.copies)
    # Only the audit checks signatures; here all required ones count as good.
    supposed = [concerned_servers(entry) for entry in entries]
    if read.returned is not None:
        supposed.append(frozenset(server for server, *_ in read.returned.signed))
    audit = Judgement(read, supposed, _NO_KEYS).audit()
    # A server may keep, and send on, what it got in redacted form.
    found = [defect for defect in audit.defects if defect.code != "redacted_form"]
    return (*found, *_superfluous(response, read, asked))


def _superfluous(response: SendJoinResponse, read: Examination, join: Event) -> Iterator[Defect]:
    """Yield events of the chain that the answer could leave out."""
    at_hand = {event_id: entry.event for event_id, entry in read.entries.items()}
    # The chain of the join too: Synapse and tuwunel send that of the state alone, and then the
    # joining server can lack what its own event lists.
    needed = auth.auth_chain(
        [*(at_hand[event_id] for event_id in read.in_state), join], at_hand.get
    )
    # Only with omitted members does the specification leave out of the chain what the state has.
    # In a full answer an event may stand in both.
    seen = set(read.in_state) if read.members_omitted else set()
    for pdu in response.auth_chain:
        with suppress(InvalidEvent):  # then it has a defect already
            event_id = Event.from_pdu(pdu, join.room_version).event_id
            if event_id in seen:
                detail = "the answer needs it once and has it twice"
                yield Defect(Severity.NOTED, "twice", detail, event_id)
            elif event_id not in needed:
                detail = "it authorises nothing in the answer"
                yield Defect(Severity.NOTED, "not_needed", detail, event_id)
            seen.add(event_id)
