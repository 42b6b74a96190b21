"""Check the event of a request: format, hash, signatures, and template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matrix_membership._attrs import evolve
from matrix_membership.canonical_json import JsonValue
from matrix_membership.errors import InvalidEvent
from matrix_membership.events import Event, EventTemplate, read_pdu
from matrix_membership.federation._arrival import misfits
from matrix_membership.federation.diagnosis._case import Case, Findings
from matrix_membership.federation.messages import SendRequest
from matrix_membership.identifiers import server_of
from matrix_membership.membership import INVITE, JOIN
from matrix_membership.signing import (
    KeyRing,
    concerned_servers,
    required_signers,
    unverified,
    verify,
)


def check_event(case: Case, pdu: JsonValue) -> Case:
    """Check the event that the asking server sent, and add the findings.

    Returns:
        The case with the event and its faults.
    """
    found = case.found
    if case.version is None:
        found.unchecked("the event", "the room version")
        return case
    try:
        if not isinstance(pdu, Mapping):
            raise InvalidEvent("PDU", "an object", pdu)  # noqa: TRY301 - as for any other value
        read = read_pdu(pdu, case.version)
    except InvalidEvent as error:
        sentence = f"the event is not one of room version {case.version}: {error}"
        return evolve(case, faults=(("malformed_event", found.wrong(sentence)),))
    found.good(f"format of room version {case.version}", read.event.event_id)
    event = verify(read, case.keys)
    if case.template is None and case.membership is not INVITE:
        missing = "the answer with the template"
        found.unchecked("references as in the template", missing, event.event_id)
    faults = [*_misfits(event, case), *_against_template(event, case.template)]
    if not read.content_hash_matches:
        faults.append(("event_altered", "the content hash of the event is wrong"))
    else:
        found.good("content hash", event.event_id)
    event = _signed(event, case.keys, found, faults)
    for _, sentence in faults:
        found.wrong(sentence, event.event_id)
    return evolve(case, event=event, faults=tuple(faults))


def _misfits(event: Event, case: Case) -> Iterator[tuple[str, str]]:
    exchange = case.exchange
    # A field that the record lacks counts as right.
    request = SendRequest(
        exchange.room_id or event.room_id,
        exchange.last or event.event_id,
        b"",
        case.asking or event.server,
    )
    answering = case.answering or server_of(event.state_key or "")
    for fault in misfits(event, request, case.membership, answering):
        yield "wrong_event", f"the event does not fit the request: {fault}"


def _against_template(event: Event, template: EventTemplate | None) -> Iterator[tuple[str, str]]:
    """Yield how the event differs from the template that it should be made from."""
    if template is None:
        # Up to version 11 no event but the create event may list nothing (rule 2.4).
        if not event.auth_events and not event.room_version.room_id_is_create_event:
            yield "other_references", "the event lists no auth events"
        return
    pdu = event.document
    for field in ("auth_events", "prev_events", "depth"):
        if pdu.get(field) != template.get(field):
            yield "other_references", f"{field} of the event differs from the template's"
    named = template.content.get("join_authorised_via_users_server")
    restricted = event.membership is JOIN and event.room_version.restricted_joins
    if restricted and named is not None and event.authorised_via != named:
        yield "authoriser_left_out", f"the template has {named} authorise the join, the event not"


def _signed(event: Event, keys: KeyRing, found: Findings, faults: list[tuple[str, str]]) -> Event:
    """Check the signatures; suppose those that no key at hand can check."""
    lacking = unverified(event, keys)
    required = required_signers(event)
    unsigned = sorted((lacking.forged | lacking.unsigned) & required)
    unknown = required.intersection(lacking.needs)
    if unsigned:
        how = "is bad" if set(unsigned) & lacking.forged else "is missing"
        faults.append(("event_unsigned", f"the signature of {', '.join(unsigned)} {how}"))
    elif unknown:
        needs = {server: lacking.needs[server] for server in unknown}
        found.lack_keys(needs, "signature of {key}", event.event_id)
    else:
        found.good(f"signature of {', '.join(sorted(required))}", event.event_id)
    return event.with_signers(event.signed_by | unknown)


def supposed(event: Event) -> Event:
    """Return an event as if all servers that have to sign had signed.

    The rules are then asked about everything else.
    """
    return event.with_signers(concerned_servers(event))
