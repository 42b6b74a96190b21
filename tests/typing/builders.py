"""What makes and judges events takes the values that it names, and no other."""

from __future__ import annotations

from matrix_membership import Event, RoomState, auth
from matrix_membership.room_versions import V11


def right(pdu: bytes, state: RoomState) -> bool:
    event = Event.from_pdu(pdu, V11)
    decision = auth.check(event, state)
    number: str = decision.number
    return decision.allowed and number != ""


def wrong(pdu: bytes, event: Event, state: RoomState) -> None:
    Event.from_pdu(pdu, "11")  # error: arg-type
    Event.from_pdu(pdu)  # error: call-arg
    auth.check(state, event)  # error: arg-type
    auth.check(event, state).verdict_of  # error: attr-defined
