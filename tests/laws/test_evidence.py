"""Laws of evidence: what comes in unsigned does not stay, in whatever form it would be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import Event, RoomState, auth, machine, strategies
from matrix_membership.canonical_json import encode, freeze
from matrix_membership.events import read_pdu
from matrix_membership.federation.audit import examine
from matrix_membership.federation.invites import Countersigned, answer
from matrix_membership.federation.invites import room_state as invite_state
from matrix_membership.federation.invites.messages import InviteRequest
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.hashing import event_id
from matrix_membership.identifiers import server_of
from matrix_membership.membership import INVITE
from matrix_membership.receipt import receive
from matrix_membership.signing import missing_signers, required_signers, verify
from matrix_membership.strategies import RoomHistory, key_ring_of, signer_of

pytestmark = pytest.mark.long

Pdu = dict[str, Any]

EMPTY_WORDS: Final[tuple[Any, ...]] = (
    0,
    None,
    True,
    "",
    "signed",
    [],
    ["signed"],
    {},
    {"signed": 0},
)
"""What is not an object with a `signed` object, and so exempts nobody from signing."""


def inviting(word: Any) -> Callable[[Pdu], Pdu]:
    """Put a value where a third party's word stands."""
    return lambda pdu: with_content(pdu, {**pdu["content"], "third_party_invite": word})


WORDS: Final = (*EMPTY_WORDS, {"signed": {}}, {"signed": {"mxid": "@x:x", "token": "t"}})

SPOILS: Final[Mapping[str, Callable[[Pdu], Pdu]]] = MappingProxyType(
    {
        "nothing": lambda pdu: pdu,
        "another hash": lambda pdu: {**pdu, "hashes": {"sha256": "AAAA"}},
        "one more hash": lambda pdu: {**pdu, "hashes": {**pdu["hashes"], "md5": "x"}},
        "no content": lambda pdu: with_content(pdu, {}),
        "a further key": lambda pdu: with_content(pdu, {**pdu["content"], "x": 1}),
        "another authoriser": lambda pdu: with_content(
            pdu, {**pdu["content"], "join_authorised_via_users_server": "@eve:eve.example"}
        ),
        **{f"third_party_invite {word!r}": inviting(word) for word in WORDS},
    }
)
"""The ways to spoil the hash of a PDU."""


def with_content(pdu: Pdu, content: Pdu) -> Pdu:
    return {**pdu, "content": content}


def as_kept(event: Event) -> Event:
    """The form in which the specification has an event kept."""
    return event if event.content_hash_matches else event.redacted()


@st.composite
def spoilt(draw: st.DrawFn, event: Event) -> Pdu:
    """The PDU of an event with its hash spoilt, and perhaps its signatures gone."""
    pdu = SPOILS[draw(st.sampled_from(sorted(SPOILS)))](event.to_pdu())
    return {**pdu, "signatures": {}} if draw(st.booleans()) else pdu


def assert_stays(events: Iterable[Event]) -> None:
    """None of these PDUs lacks a signature, and none says more than its hash covers."""
    for event in events:
        if event.pdu:
            assert missing_signers(as_kept(event)) == frozenset()
            assert event.content == as_kept(event).content


@settings(max_examples=150)
@given(st.data())
def test_what_a_receipt_keeps_is_signed(data: st.DataObject) -> None:
    history = data.draw(strategies.room_histories())
    index = data.draw(st.integers(0, len(history.events) - 1))
    before = ([RoomState.of(history.room_version, []), *history.states])[index]
    receipt = receive(
        encode(data.draw(spoilt(history.events[index])), strict=False),
        history.room_version,
        keys=key_ring_of(history.events),
        auth_events=history.events,
        state_before=before,
        current_state=before,
    )
    assert_stays([] if receipt.event is None else [receipt.event])


def a_join_of(history: RoomHistory) -> Event:
    fields = {
        "type": "m.room.member",
        "state_key": "@new:new.example",
        "content": {"membership": "join"},
    }
    return history.next_event("@new:new.example", fields)


@settings(max_examples=100)
@given(st.data())
def test_what_an_audit_keeps_is_signed(data: st.DataObject) -> None:
    history = data.draw(strategies.room_histories())
    join = a_join_of(history)
    chosen = data.draw(st.sampled_from(history.events))
    pdus = {event.event_id: event.pdu for event in history.events}
    pdus[chosen.event_id] = encode(data.draw(spoilt(chosen)), strict=False)
    at_hand = {event.event_id: event for event in history.events}
    chain = auth.auth_chain([*history.state.events, join], at_hand.get)
    response = SendJoinResponse(
        tuple(pdus[event.event_id] for event in history.state.events),
        tuple(pdus[found] for found in chain),
        join.pdu,
    )
    examination = examine(response, join, asked_to_omit=False, resident="a.example")
    found = examination.audit(key_ring_of([*history.events, join]))
    assert_stays(found.auth_chain.values())
    assert_stays([] if found.state is None else found.state.events)
    assert examination.needs.keys() >= {
        server
        for entry in examination.entries.values()
        for server in required_signers(as_kept(entry.event))
        if server in as_kept(entry.event).to_pdu()["signatures"]
    }


def an_invite_of(history: RoomHistory) -> Event:
    create = history.events[0]
    fields = {
        "type": "m.room.member",
        "state_key": "@ben:b.example",
        "content": {"membership": "invite"},
    }
    return history.next_event(create.sender, fields)


@settings(max_examples=100)
@given(st.data())
def test_what_an_invite_tells_is_signed(data: st.DataObject) -> None:
    history = data.draw(strategies.room_histories())
    invite = an_invite_of(history)
    entries = [data.draw(spoilt(event)) for event in history.events]
    shown, _ = invite_state.examined(
        entries, invite, key_ring_of([*history.events, invite]), where="invite_room_state"
    )
    assert_stays(shown)


@settings(max_examples=100)
@given(st.data())
def test_what_an_invite_is_signed_for_was_signed(data: st.DataObject) -> None:
    invite = an_invite_of(data.draw(strategies.room_histories()))
    pdu = data.draw(spoilt(invite))
    request = InviteRequest(
        "v2",
        invite.room_id,
        event_id(pdu, invite.room_version),
        invite.server,
        freeze(pdu),
        (),
        invite.room_version.identifier,
    )
    answered = answer(request, signer_of("b.example"), keys=key_ring_of([invite]), strict=False)
    if isinstance(answered, Countersigned):
        assert_stays([answered.event])


@settings(max_examples=100)
@given(st.data())
def test_verifying_gives_the_form_to_keep(data: st.DataObject) -> None:
    event = data.draw(strategies.events() | strategies.malformed_events())
    pdu = data.draw(spoilt(event))
    came, keys = Event.from_pdu(pdu, event.room_version), key_ring_of([event])
    for verified in (verify(came, keys), verify(read_pdu(pdu, event.room_version), keys)):
        assert verified.content == as_kept(came).content
        assert verified.event_id == came.event_id


@settings(max_examples=100)
@given(st.data())
def test_only_a_signed_object_exempts_the_senders_server(data: st.DataObject) -> None:
    event = data.draw(strategies.events() | strategies.arbitrary_events())
    third = event.content.get("third_party_invite")
    has_signed = isinstance(third, dict) and isinstance(third.get("signed"), dict)
    exempt = event.server not in required_signers(event) | (
        {server_of(event.event_id)} if event.room_version.event_id_in_pdu else set()
    )
    assert not exempt or (event.membership is INVITE and has_signed)


@settings(max_examples=100)
@given(strategies.auth_cases())
def test_what_is_admitted_was_verified_or_is_in_client_format(case: strategies.AuthCase) -> None:
    unsigned = case.event.with_signers([])
    admission = machine.admit(unsigned, case.state)
    owed = required_signers(unsigned) if unsigned.pdu else frozenset()
    assert admission.missing_signers == owed
    if owed:
        assert (bool(admission), admission.state is case.state) == (False, True)
        assert all(server in str(admission) for server in owed)


@settings(max_examples=100)
@given(st.data())
def test_no_create_event_replaces_the_first(data: st.DataObject) -> None:
    history = data.draw(strategies.room_histories())
    version, state = history.room_version, history.state
    event = data.draw(strategies.room_histories(room_version=version)).events[0]
    pdu = {**event.to_pdu(), "origin_server_ts": data.draw(st.integers(0, 9))}
    event = Event.from_pdu(pdu, version).with_signers(event.signed_by)
    assert state.with_event(event) is state
    assert machine.admit(event, state).state is state
