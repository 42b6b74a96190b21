"""Replay an invite: its request, and the invited server's signature."""

from __future__ import annotations

from matrix_membership._attrs import evolve
from matrix_membership.auth import check
from matrix_membership.errors import InvalidMessage, RemoteProtocolError
from matrix_membership.events import Event
from matrix_membership.federation.diagnosis._case import Case
from matrix_membership.federation.diagnosis._refusals import ended, with_faults
from matrix_membership.federation.diagnosis._sent_event import check_event, supposed
from matrix_membership.federation.diagnosis._story import Diagnosis
from matrix_membership.federation.invites import Offered, conclude
from matrix_membership.federation.invites.messages import InviteRequest, InviteResponse
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.room_versions import KNOWN


def invite_diagnosis(case: Case) -> tuple[Diagnosis, tuple[Event, ...]]:
    """Diagnose an invite and its answer; return also the events that matter."""
    exchange, found = case.exchange, case.found
    if not exchange.is_whole:
        missing = "the request with the invite"
        found.unchecked("the invite", missing)
        return Diagnosis.of("unreadable", "an answer alone tells nothing", missing=[missing]), ()
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
        return Diagnosis.of("request_malformed", f"the invite cannot be read: {error}"), ()
    if exchange.version == "v1" and case.version and not case.version.event_id_in_pdu:
        sentence = f"version 1 of the endpoint cannot carry invites of room version {case.version}"
        return Diagnosis.of("wrong_endpoint", found.wrong(sentence)), ()
    named = request.room_version
    version = KNOWN.get(named) if named else case.version or KNOWN["1"]
    pdu = {key: value for key, value in request.event.items() if key != "unsigned"}
    case = check_event(evolve(case, version=version), pdu)
    return _decided(case, request), () if case.event is None else (case.event,)


def _decided(case: Case, request: InviteRequest) -> Diagnosis:
    failed = ended(case)
    if failed is not None:
        described = _state_faults(case, request) if case.exchange.status is not None else []
        return with_faults(failed, (*case.faults, *described))
    if case.event is None:
        fault = next(iter(case.faults), ("unreadable", "the invite cannot be judged"))
        return Diagnosis.of(*fault, succeeded=True, missing=case.found.missing)
    return _signed(case, request, case.event)


def _state_faults(case: Case, request: InviteRequest) -> list[tuple[str, str]]:
    """Check the events that describe the room to the invited user."""
    event, faults = case.event, list[tuple[str, str]]()
    if event is None:
        return faults
    for error in examined(request.invite_room_state, event, case.keys)[1]:
        if "no key is known" in error.error:
            case.found.unchecked(error.error, "keys of the servers in invite_room_state")
            continue
        case.found.wrong(error.error)
        # Older versions take the description as servers used to send it.
        if event.room_version.room_id_is_create_event:
            faults.append(("invite_state", error.error))
    return faults


def _signed(case: Case, request: InviteRequest, event: Event) -> Diagnosis:
    """Check the invited server's answer."""
    reply = case.read(InviteResponse.from_json)
    if isinstance(reply, Diagnosis):
        return reply
    found, offered = case.found, Offered(event, ())
    _state_faults(case, request)
    absent = case.keys.missing(offered.needs(reply), at=0)
    try:
        conclude(offered, reply, keys=case.keys)
    except RemoteProtocolError as error:
        if "signature" not in error.expected:
            found.wrong(f"the invite that came back: {error}")
            return Diagnosis.of("invite_altered", f"{case.answerer} altered the invite: {error}")
        if not absent:
            found.wrong(f"the signature of {offered.destination}: {error}")
            return Diagnosis.of("invite_unsigned", f"{case.answerer} did not sign well: {error}")
        found.lack_keys(absent, "signature of {key}")
    else:
        found.good(f"signature of {offered.destination}", event.event_id)
    return _by_state(case, event)


def _by_state(case: Case, event: Event) -> Diagnosis:
    found = case.found
    if case.faults:
        return Diagnosis.of(*case.faults[0], succeeded=True, missing=found.missing)
    if case.state is not None:
        decision = check(supposed(event), case.state)
        if not decision.allowed and not decision.undecided:
            found.wrong(f"rules, by the state given: {decision}", event.event_id)
            sentence = f"the invited server signed, and the rules forbid the invite: {decision}"
            return Diagnosis.of("rules_forbid", sentence, decision=decision)
        found.good(f"rules, by the state given: {decision}", event.event_id)
    sentence = f"{case.answerer} signed the invite"
    return Diagnosis.of("", sentence, succeeded=True, missing=found.missing)
