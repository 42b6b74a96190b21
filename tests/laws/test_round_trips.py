"""Laws of writing and reading: what was written is read as it was."""

from __future__ import annotations

import json
import pickle
from typing import Any

from hypothesis import given, settings

from matrix_membership import Event, EventTemplate, RoomState, strategies
from matrix_membership.canonical_json import JsonValue, decode, encode, freeze, thaw
from matrix_membership.hashing import event_id
from matrix_membership.identifiers import server_of
from matrix_membership.strategies import signer_of
from matrix_membership.strategies._json import json_objects, json_values

ANY_EVENT = strategies.events() | strategies.malformed_events() | strategies.arbitrary_events()


def facts(event: Event) -> tuple[object, ...]:
    """All that an event says: equal events have equal IDs, and no more."""
    names = ("event_id", "room_id", "type", "sender", "state_key", "membership", "kind", "pdu")
    return tuple(getattr(event, name) for name in names)


@settings(max_examples=100)
@given(json_values())
def test_json_survives_its_canonical_form(value: JsonValue) -> None:
    assert thaw(decode(encode(value), strict=True)) == value == thaw(freeze(value))


@settings(max_examples=100)
@given(json_objects(floats=True))
def test_canonical_form_is_a_fixed_point(value: dict[str, JsonValue]) -> None:
    canonical = encode(value, strict=False)
    assert encode(decode(canonical, strict=False), strict=False) == canonical
    assert encode(json.loads(canonical), strict=False) == canonical


@settings(max_examples=75)
@given(ANY_EVENT)
def test_events_survive_their_pdu(event: Event) -> None:
    assert facts(Event.from_pdu(event.to_pdu(), event.room_version)) == facts(event)
    assert facts(Event.from_pdu(event.pdu, event.room_version)) == facts(event)
    assert facts(Event.from_pdu(event.pdu.decode(), event.room_version)) == facts(event)


@settings(max_examples=75)
@given(ANY_EVENT)
def test_event_ids_follow_from_the_pdu(event: Event) -> None:
    assert event_id(event.to_pdu(), event.room_version) == event.event_id


@settings(max_examples=50)
@given(ANY_EVENT)
def test_events_survive_the_client_format(event: Event) -> None:
    client_event = event.to_client_event()
    again = Event.from_client_event(client_event, event.room_version)
    assert facts(again)[:-1] == facts(event)[:-1]
    assert again.to_client_event() == client_event
    assert again.to_stripped() == event.to_stripped()


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


def of_own_classes(value: Any) -> Any:
    """The same JSON, its texts and integers of a caller's classes."""
    if isinstance(value, dict):
        return {Text(key): of_own_classes(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [of_own_classes(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return Whole(value)
    return Text(value) if isinstance(value, str) else value


@settings(max_examples=100)
@given(strategies.events() | strategies.malformed_events())
def test_classes_of_a_caller_are_read_as_what_they_hold(event: Event) -> None:
    told = {
        key: value
        for key, value in event.to_client_event().items()
        if key in ("type", "sender", "state_key", "event_id", "room_id")
    }
    pdu, version = event.to_pdu(), event.room_version
    content = of_own_classes(pdu["content"])
    read = Event.from_client_event({**told, "content": content}, version)
    plain = Event.from_client_event({**told, "content": pdu["content"]}, version)
    assert (facts(read), read.view, read.case) == (facts(plain), plain.view, plain.case)
    taken = Event.accepted(of_own_classes({**pdu, **told}), version)
    as_sent = Event.accepted({**pdu, **told}, version)
    assert (facts(taken), taken.view, taken.case) == (facts(as_sent), as_sent.view, as_sent.case)
    assert (taken.auth_events, taken.prev_events) == (as_sent.auth_events, as_sent.prev_events)


@settings(max_examples=50)
@given(ANY_EVENT)
def test_events_survive_pickling(event: Event) -> None:
    again = pickle.loads(pickle.dumps(event))
    assert (facts(again), again.signed_by) == (facts(event), event.signed_by)


@settings(max_examples=50)
@given(ANY_EVENT)
def test_templates_complete_to_the_same_event(event: Event) -> None:
    template = EventTemplate.of(event.to_pdu(), event.room_version)
    assert facts(template.complete(signer_of(server_of(event.sender)))) == facts(event)


@settings(max_examples=75)
@given(strategies.room_states())
def test_states_survive_pickling(state: RoomState) -> None:
    assert pickle.loads(pickle.dumps(state)) == state
