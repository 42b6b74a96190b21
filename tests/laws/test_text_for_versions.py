"""Text in the place of a room version is refused at every entry: it has no facts to judge by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership import Event, EventTemplate, KeyRing, RoomState, auth, read_state
from matrix_membership.events import read_pdu
from matrix_membership.hashing import event_id, reference_hash
from matrix_membership.proposals import Situation, compare, review
from matrix_membership.receipt import receive
from matrix_membership.redaction import redact
from matrix_membership.resolution import begin, resolve
from matrix_membership.room_versions import V11
from matrix_membership.state.from_client import read_event
from tests.builders import ANA, a_room

PDU: Final = MappingProxyType(dict(a_room(V11).message(ANA).document))
STATE: Final = RoomState.of(V11, [])

ENTRIES: Final[Mapping[str, Callable[[Any], object]]] = MappingProxyType(
    {
        "Event.from_pdu": lambda version: Event.from_pdu(PDU, version),
        "Event.from_client_event": lambda version: Event.from_client_event(PDU, version),
        "EventTemplate": lambda version: EventTemplate(version, a_room(V11).message(ANA).content),
        "EventTemplate.of": lambda version: EventTemplate.of(PDU, version),
        "read_pdu": lambda version: read_pdu(PDU, version),
        "redact": lambda version: redact(PDU, version),
        "reference_hash": lambda version: reference_hash(PDU, version),
        "event_id": lambda version: event_id(PDU, version),
        "RoomState.of": lambda version: RoomState.of(version, []),
        "RoomState.over": lambda version: RoomState.over(version, lambda *_: None),
        "read_state": lambda version: read_state([], room_version=version),
        "read_event": lambda version: read_event(PDU, version),
        "auth.rules_of": auth.rules_of,
        "auth.rulebook": auth.rulebook,
        "resolve": lambda version: resolve(version, [{}], {}),
        "begin": lambda version: begin(version, [{}]),
        "receive": lambda version: receive(
            PDU,
            version,
            keys=KeyRing.of({}),
            auth_events=[],
            state_before=STATE,
            current_state=STATE,
        ),
        "compare, first": lambda version: compare(version, V11),
        "compare, second": lambda version: compare(V11, version),
        "review": review,
        "Situation": lambda version: Situation.of(a_room(V11).message(ANA), ()).event_in(version),
    }
)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("text", ["11", b"11", 11, None])
def test_is_refused(name: str, text: object) -> None:
    if name == "read_state" and text is None:
        return  # then the create event tells
    with pytest.raises(TypeError, match="room version"):
        ENTRIES[name](text)


@pytest.mark.parametrize("name", ENTRIES)
def test_is_asked_of_entries_that_take_a_version(name: str) -> None:
    if name in ("read_state", "receive"):  # these ask for more than a version here
        return
    assert ENTRIES[name](V11) is not None
