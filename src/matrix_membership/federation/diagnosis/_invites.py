"""Replay an invite: its request, and the invited server's signature."""

from __future__ import annotations

from matrix_membership._attrs import evolve
from matrix_membership.auth import check
from matrix_membership.errors import InvalidMessage, RemoteProtocolError
from matrix_membership.events import Event
from matrix_membership.federation.diagnosis._case import Case, Findings
from matrix_membership.federation.diagnosis._refusals import refused
from matrix_membership.federation.diagnosis._sent_event import SentEvent, check_event, supposed
from matrix_membership.federation.diagnosis._story import Verdict, verdict_of
from matrix_membership.federation.invites import Offered, conclude
from matrix_membership.federation.invites.messages import InviteRequest, InviteResponse
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.federation.messages import MatrixError
from matrix_membership.room_versions import KNOWN


def invite_verdict(case: Case, found: Findings) -> tuple[Verdict, tuple[Event, ...]]:
    """Check an invite and its answer; return the verdict, and the events that matter."""
    exchange = case.exchange
    if not exchange.is_whole:
        missing = "the request with the invite"
        found.unchecked("the invite", missing)
        return verdict_of("unreadable", "an answer alone tells nothing", missing=[missing]), ()
    try:
        request = InviteRequest.from_json(
            exchange.request,
            room_id=exchange.room_id,
            event_id=exchange.last,
            origin=case.asking,
            endpoint=exchange.version or "v2",
        )
    except InvalidMessage as error:
        found.wrong(f"form of the request: {error}")
        return verdict_of("request_malformed", f"the invite cannot be read: {error}"), ()
    if exchange.version == "v1" and case.version and not case.version.event_id_in_pdu:
        sentence = f"version 1 of the endpoint cannot carry invites of room version {case.version}"
        found.wrong(sentence)
        return verdict_of("wrong_endpoint", sentence), ()
    named = request.room_version
    version = KNOWN.get(named) if named else case.version or KNOWN["1"]
    case = evolve(case, version=version)
    pdu = {key: value for key, value in request.event.items() if key != "unsigned"}
    sent = check_event(pdu, case, found)
    events = () if sent.event is None else (sent.event,)
    return _decided(case, request, sent, found), events


def _decided(case: Case, request: InviteRequest, sent: SentEvent, found: Findings) -> Verdict:
    exchange = case.exchange
    if exchange.status is None:
        why = f": {exchange.answer}" if isinstance(exchange.answer, str) else ""
        missing = [f"why {case.answerer} did not answer"] if not why else []
        return verdict_of("unreachable", f"{case.answerer} did not answer{why}", missing=missing)
    if not exchange.succeeded:
        error = MatrixError.from_json(exchange.answer, status=exchange.status)
        verdict = refused(case, error, sent.event, found)
        says_itself = ("no_endpoint", "server_failed", "rate_limited", "version_unsupported")
        faults = [*sent.faults, *_state_faults(case, request, sent, found)]
        if faults and verdict.cause not in says_itself:
            return verdict_of(*faults[0], decision=verdict.decision)
        return verdict
    if sent.event is None:
        fault = next(iter(sent.faults), ("unreadable", "the invite cannot be judged"))
        return verdict_of(*fault, succeeded=True, missing=found.missing)
    return _signed(case, request, sent.event, sent, found)


def _state_faults(
    case: Case, request: InviteRequest, sent: SentEvent, found: Findings
) -> list[tuple[str, str]]:
    """Check the events that describe the room to the invited user."""
    if sent.event is None:
        return []
    faults = []
    for error in examined(request.invite_room_state, sent.event, case.keys)[1]:
        if "no key is known" in error.error:
            found.unchecked(error.error, "keys of the servers in invite_room_state")
            continue
        found.wrong(error.error)
        # Older versions take the description as servers used to send it.
        if sent.event.room_version.room_id_is_create_event:
            faults.append(("invite_state", error.error))
    return faults


def _signed(
    case: Case, request: InviteRequest, event: Event, sent: SentEvent, found: Findings
) -> Verdict:
    """Check the invited server's answer."""
    try:
        reply = InviteResponse.from_json(case.exchange.answer)
    except InvalidMessage as error:
        found.wrong(f"form of the answer: {error}")
        return verdict_of("malformed_answer", f"{case.answerer} answered nonsense: {error}")
    offered = Offered(event, ())
    _state_faults(case, request, sent, found)
    needs = offered.needs(reply)
    absent = case.keys.missing(needs, at=0)
    try:
        conclude(offered, reply, keys=case.keys)
    except RemoteProtocolError as error:
        if "signature" not in error.expected:
            found.wrong(f"the invite that came back: {error}")
            return verdict_of("invite_altered", f"{case.answerer} altered the invite: {error}")
        if not absent:
            found.wrong(f"the signature of {offered.destination}: {error}")
            return verdict_of("invite_unsigned", f"{case.answerer} did not sign well: {error}")
        names = (f"{name} {' '.join(sorted(ids))}" for name, ids in absent.items())
        for name in names:
            found.unchecked(f"signature of {name}", f"the key {name}")
    else:
        found.good(f"signature of {offered.destination}", event.event_id)
    return _by_state(case, event, sent, found)


def _by_state(case: Case, event: Event, sent: SentEvent, found: Findings) -> Verdict:
    if sent.faults:
        return verdict_of(*sent.faults[0], succeeded=True, missing=found.missing)
    if case.state is not None:
        decision = check(supposed(event), case.state)
        if not decision.allowed and not decision.undecided:
            found.wrong(f"rules, by the state given: {decision}", event.event_id)
            sentence = f"the invited server signed, and the rules forbid the invite: {decision}"
            return verdict_of("rules_forbid", sentence, decision=decision)
        found.good(f"rules, by the state given: {decision}", event.event_id)
    sentence = f"{case.answerer} signed the invite"
    return verdict_of("", sentence, succeeded=True, missing=found.missing)
