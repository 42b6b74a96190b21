"""Audit the answer to a join, and tell whose fault its defects are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matrix_membership._attrs import evolve
from matrix_membership.errors import InvalidEvent, InvalidMessage
from matrix_membership.events import Event
from matrix_membership.federation.audit import Audit, Defect, Examination, Severity, examine
from matrix_membership.federation.audit.trusting import trusting_audit
from matrix_membership.federation.diagnosis._case import Case, Findings
from matrix_membership.federation.diagnosis._story import Verdict, verdict_of
from matrix_membership.federation.messages import SendJoinResponse

Faults = Sequence[tuple[str, str]]

# The asking server made the join: the answer is not at fault if the join is wrong.
_OF_THE_JOIN: Final = ("join_rejected", "join_unauthorised", "not_countersigned", "join_unsigned")


def join_verdict(
    case: Case, sent: Event | None, made: Event | None, faults: Faults, found: Findings
) -> tuple[Verdict, tuple[Event, ...]]:
    """Check the answer to a join.

    Args:
        case: the case.
        sent: the join that was sent, if the record has it.
        made: a join made from the template, to stand in.
        faults: the faults of the request.
        found: takes the findings.

    Returns:
        The verdict, and the events of the answer, each after those that it cites.
    """
    exchange = case.exchange
    try:
        response = SendJoinResponse.from_json(exchange.answer)
    except InvalidMessage as error:
        found.wrong(f"form of the answer: {error}")
        return verdict_of("malformed_answer", f"{case.answerer} answered nonsense: {error}"), ()
    join = sent or _stand_in(response, made, case, found)
    if join is None:
        fault = next(iter(faults), ("unreadable", "the answer cannot be judged without the join"))
        missing = found.missing or ["the event that was sent"]
        return verdict_of(*fault, missing=missing), ()
    omits = ("omit_members", "true") in exchange.query or not exchange.is_whole
    if response.members_omitted and not exchange.is_whole:
        found.unchecked("members are left out", "the request, with its omit_members")
    read = examine(response, join, asked_to_omit=omits, resident=case.answering)
    audit = _audited(read, case, found)
    held = audit.to_store or (*(entry.event for entry in read.entries.values()), audit.event)
    fatal = audit.state is None
    return (_failed if fatal else _odd)(case, audit, faults, found), held


def _stand_in(
    response: SendJoinResponse, made: Event | None, case: Case, found: Findings
) -> Event | None:
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
        found.unchecked(sentence, "the event that was sent")
    return event


def _audited(read: Examination, case: Case, found: Findings) -> Audit:
    """Audit the answer, and note its defects."""
    trusted = trusting_audit(read, case.keys)
    for name, ids in sorted(trusted.unchecked.items()):
        missing = f"the key {name} {' '.join(sorted(ids))}"
        found.unchecked(f"signatures of {name} in the answer", missing)
    if not trusted.audit.defects:
        found.good(f"events of the answer: {len(read.entries)}, none with a defect")
    for defect in trusted.audit.defects:
        found.wrong(f"{defect.severity}, {defect.code}: {defect.detail}", defect.event_id)
    return trusted.audit


def _failed(case: Case, audit: Audit, faults: Faults, found: Findings) -> Verdict:
    """Return the verdict on an answer that cannot be used."""
    first = audit.defects[0]  # the fatal ones come first
    if faults and first.code in _OF_THE_JOIN:
        return verdict_of(*faults[0], event_id=audit.event.event_id, decision=first.decision)
    blamed = _root_of(first, audit)
    why = first.detail
    if blamed.code == "missing_auth_event":
        why = f"it lacks {blamed.event_id}, on which the join depends"
    elif blamed is not first:
        why = f"the join depends on {blamed.event_id}, and {blamed.detail}"
    sentence = f"{case.answerer} gave an answer with which the room cannot be joined: {why}"
    return verdict_of(
        blamed.code,
        sentence,
        event_id=blamed.event_id,
        decision=blamed.decision or first.decision,
        missing=found.missing,
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


def _odd(case: Case, audit: Audit, faults: Faults, found: Findings) -> Verdict:
    """Return the verdict on an answer that can be used, though it may be odd."""
    own = [defect for defect in audit.defects if not defect.root]
    if faults or not own:
        return accepted(case, faults, found)
    order = (Severity.DROPPED, Severity.REDACTED, Severity.NOTED)
    worst = min(own, key=lambda defect: order.index(defect.severity))
    return verdict_of(
        worst.code,
        f"the user is in the room; in the answer {worst.detail}",
        succeeded=True,
        event_id=worst.event_id,
        decision=worst.decision,
        missing=found.missing,
    )


def accepted(case: Case, faults: Faults, found: Findings) -> Verdict:
    """Return the verdict on an accepted answer; a stricter server may refuse it."""
    if faults:
        cause, sentence = faults[0]
        said = f"{case.answerer} accepted it; {sentence}, which another server may refuse"
        return verdict_of(cause, said, succeeded=True, missing=found.missing)
    sentence = f"{case.answerer} accepted it, and nothing is wrong"
    if found.missing:
        sentence = (
            f"{case.answerer} accepted it, and nothing is wrong as far as it could be checked"
        )
    return verdict_of("", sentence, succeeded=True, missing=found.missing)
