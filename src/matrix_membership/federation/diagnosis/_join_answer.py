"""Audit the answer to a join, and tell whose fault its defects are."""

from __future__ import annotations

from typing import Final

from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event
from matrix_membership.federation.audit import Audit, Defect, Examination, Severity, examine
from matrix_membership.federation.audit.trusting import trusting_audit
from matrix_membership.federation.diagnosis._case import Case
from matrix_membership.federation.diagnosis._story import Diagnosis
from matrix_membership.federation.messages import SendJoinResponse

_UNREADABLE: Final = ("unreadable", "the answer cannot be judged without the join")

# The asking server made the join: the answer is not at fault if the join is wrong.
_OF_THE_JOIN: Final = ("join_rejected", "join_unauthorised", "not_countersigned", "join_unsigned")


def join_diagnosis(case: Case, made: Event | None) -> tuple[Diagnosis, tuple[Event, ...]]:
    """Check the answer to a join.

    Args:
        case: the case.
        made: a join made from the template, to stand in for one that the record does not have.

    Returns:
        The diagnosis, and the events of the answer, each after those that it cites.
    """
    exchange, found = case.exchange, case.found
    response = case.read(SendJoinResponse.from_json)
    if isinstance(response, Diagnosis):
        return response, ()
    join = case.event or _stand_in(response, made, case)
    if join is None:
        fault = next(iter(case.faults), _UNREADABLE)
        missing = found.missing or ["the event that was sent"]
        return Diagnosis.of(*fault, missing=missing), ()
    omits = ("omit_members", "true") in exchange.query or not exchange.is_whole
    if response.members_omitted and not exchange.is_whole:
        found.unchecked("members are left out", "the request, with its omit_members")
    read = examine(response, join, asked_to_omit=omits, resident=case.answering)
    audit = _audited(read, case)
    held = audit.to_store or (*(entry.event for entry in read.entries.values()), audit.event)
    fatal = audit.state is None
    return (_failed if fatal else _odd)(case, audit), held


def _stand_in(response: SendJoinResponse, made: Event | None, case: Case) -> Event | None:
    """Return a join for the one that the record does not have."""
    event, whence = made, "one made from the template"
    if response.event is not None and case.version is not None:
        try:
            copy = Event.from_pdu(response.event, case.version)
        except InvalidEvent:  # the audit tells
            pass
        else:
            event, whence = copy.with_signers({copy.server}), "the copy in the answer"
    if event is not None:
        sentence = f"the join as it was sent: {whence} stands for it"
        case.found.unchecked(sentence, "the event that was sent")
    return event


def _audited(read: Examination, case: Case) -> Audit:
    """Audit the answer, and note its defects."""
    found, trusted = case.found, trusting_audit(read, case.keys)
    found.lack_keys(trusted.unchecked, "signatures of {server} in the answer")
    if not trusted.audit.defects:
        found.good(f"events of the answer: {len(read.entries)}, none with a defect")
    for defect in trusted.audit.defects:
        found.wrong(f"{defect.severity}, {defect.code}: {defect.detail}", defect.event_id)
    return trusted.audit


def _failed(case: Case, audit: Audit) -> Diagnosis:
    """Diagnose an answer that cannot be used."""
    first = audit.defects[0]  # the fatal ones come first
    if case.faults and first.code in _OF_THE_JOIN:
        return Diagnosis.of(*case.faults[0], event_id=audit.event.event_id, decision=first.decision)
    blamed = _root_of(first, audit)
    why = first.detail
    if blamed.code == "missing_auth_event":
        why = f"it lacks {blamed.event_id}, on which the join depends"
    elif blamed is not first:
        why = f"the join depends on {blamed.event_id}, and {blamed.detail}"
    sentence = f"{case.answerer} gave an answer with which the room cannot be joined: {why}"
    return Diagnosis.of(
        blamed.code,
        sentence,
        event_id=blamed.event_id,
        decision=blamed.decision or first.decision,
        missing=case.found.missing,
    )


def _root_of(fatal: Defect, audit: Audit) -> Defect:
    """Return the defect behind a fatal one: that of the event that fell first."""
    if fatal.code == "no_create_event":
        # It came, and was dropped while it was read.
        lost = (found for found in audit.defects if found.severity is Severity.DROPPED)
        return next((found for found in lost if found.code in ("malformed", "other_room")), fatal)
    if fatal.code != "join_unauthorised":
        return fatal
    by_event = {defect.event_id: defect for defect in reversed(audit.defects)}
    own = next((d for d in audit.defects if d.event_id == fatal.event_id and d is not fatal), fatal)
    root = by_event.get(own.root, own)
    # The event that everything depends on did not come at all.
    absent = root.code in ("join_unauthorised", "depends_on_fallen")
    return evolve(root, code="missing_auth_event") if absent else root


def _odd(case: Case, audit: Audit) -> Diagnosis:
    """Diagnose an answer that can be used, though it may be odd."""
    own = [defect for defect in audit.defects if not defect.root]
    if case.faults or not own:
        return accepted(case)
    order = (Severity.DROPPED, Severity.REDACTED, Severity.NOTED)
    worst = min(own, key=lambda defect: order.index(defect.severity))
    return Diagnosis.of(
        worst.code,
        f"the user is in the room; in the answer {worst.detail}",
        succeeded=True,
        event_id=worst.event_id,
        decision=worst.decision,
        missing=case.found.missing,
    )


def accepted(case: Case) -> Diagnosis:
    """Diagnose an accepted event; a stricter server may refuse it."""
    cause, sentence = "", f"{case.answerer} accepted it, and nothing is wrong"
    if case.faults:
        cause, fault = case.faults[0]
        sentence = f"{case.answerer} accepted it; {fault}, which another server may refuse"
    elif case.found.missing:
        sentence += " as far as it could be checked"
    return Diagnosis.of(cause, sentence, succeeded=True, missing=case.found.missing)
