"""What another server said and this one passes on can be written again, whatever was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from matrix_membership.canonical_json import encode
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation import ExchangeRequest, MatrixError, OnBindRequest, third_party
from matrix_membership.federation.invites.room_state import examined
from matrix_membership.room_versions import V11
from matrix_membership.signing import sign_json
from tests.builders import ANA, BEN, IDENTITY, KEYS, SIGNER_B, a_room

HALF: Final = "\ud800"
"""Half of a surrogate pair: JSON can spell it, and UTF-8 cannot."""


def spoilt(value: Any) -> Iterator[Any]:
    """Yield copies of a value with one part replaced, or one more key."""
    yield HALF
    if isinstance(value, dict):
        yield {**value, HALF: 1}
        yield {**value, "more": [HALF]}
        for key in value:
            yield from ({**value, key: part} for part in spoilt(value[key]))
    if isinstance(value, list):
        for index, entry in enumerate(value):
            yield from ([*value[:index], part, *value[index + 1 :]] for part in spoilt(entry))


def passed_to_client(body: Any) -> Iterator[Any]:
    yield MatrixError.from_json(body, status=403).to_json()


def passed_to_sender(body: Any) -> Iterator[Any]:
    try:
        read = OnBindRequest.from_json(body)
    except InvalidMessage:
        return
    outcomes = third_party.answer_on_bind(read, {}, SIGNER_B, at=0)
    assert isinstance(outcomes, tuple)
    for outcome in outcomes:
        if isinstance(outcome, ExchangeRequest):
            yield outcome.to_json()


def shown(body: Any) -> Iterator[Any]:
    invite = a_room(V11).invite(ANA, BEN)
    events, _ = examined([body], invite, KEYS)
    for event in events:
        yield event.to_stripped()


BOUND: Final = {
    "medium": "email",
    "address": "ben@other.example",
    "mxid": BEN,
    "room_id": "!r:a.example",
    "sender": ANA,
    "signed": sign_json({"mxid": BEN, "token": "tok"}, IDENTITY),
}


@pytest.mark.parametrize(
    ("passed_on", "body"),
    [
        (passed_to_client, {"errcode": "M_FORBIDDEN", "error": "no", "soft_logout": True}),
        (passed_to_sender, {**BOUND, "invites": [BOUND]}),
        (shown, {"type": "m.room.name", "sender": ANA, "state_key": "", "content": {"name": "x"}}),
    ],
    ids=["an error", "a bound address", "a stripped event"],
)
class TestJson:
    def test_can_be_written(self, passed_on: Callable[[Any], Iterator[Any]], body: Any) -> None:
        assert list(passed_on(body))
        for part in spoilt(body):
            for said in passed_on(part):
                encode(said, strict=False)
