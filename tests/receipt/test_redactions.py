from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, may
from matrix_membership.receipt.redactions import Effect, Reason, effect_of
from matrix_membership.room_versions import V2, V3, V10, V11, V12, RoomVersion
from tests.builders import ANA, BEN, CAY, Room, a_levelled_room, everywhere, since

EVE = "@eve:b.example"


def a_room(version: RoomVersion, **levels: Any) -> Room:
    """A room where Ana has 50."""
    return a_levelled_room(version, **levels).with_member(BEN, "join").with_member(EVE, "join")


def redacts(room: Room, sender: str, event_id: Any) -> Event:
    if room.version.redaction_rules >= 11:
        return room.event("m.room.redaction", sender, {"redacts": event_id})
    return room.event("m.room.redaction", sender, {}, redacts=event_id)


def reason(room: Room, sender: str, target: Event | None, **more: Any) -> Reason:
    named = "$" + "x" * 43 if target is None else target.event_id
    event = redacts(room, sender, more.get("event_id", named))
    return effect_of(event, target, room.state).reason


class TestEffect:
    @since("3")
    def test_comes_by_the_redact_level(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert reason(room, ANA, room.message(BEN)) is Reason.BY_LEVEL
        higher = a_room(version, redact=51)
        assert reason(higher, ANA, higher.message(BEN)) is Reason.BELOW_LEVEL

    @since("3")
    def test_comes_by_the_server_of_both_senders(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert reason(room, BEN, room.message(BEN)) is Reason.BY_SERVER
        assert reason(room, EVE, room.message(BEN)) is Reason.BY_SERVER
        assert reason(room, CAY, room.message(BEN)) is Reason.BELOW_LEVEL

    @since("1", "2")
    def test_comes_by_the_rules_in_versions_that_have_one(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert reason(room, CAY, room.message(BEN)) is Reason.BY_RULES

    def test_needs_no_level_for_the_type_of_the_event(self) -> None:
        room = a_room(V11, events={"m.room.name": 100})
        assert (
            reason(room, ANA, room.event("m.room.name", BEN, {"name": "x"}, "")) is Reason.BY_LEVEL
        )

    def test_comes_to_creators_of_version_12(self) -> None:
        room = a_levelled_room(V12, redact=2**53 - 1)
        assert reason(room, "@dan:a.example", room.message(BEN)) is Reason.BY_LEVEL

    @everywhere
    def test_waits_for_the_event(self, version: RoomVersion) -> None:
        room = a_room(version)
        event = redacts(room, ANA, "$" + "x" * 43)
        effect = effect_of(event, None, room.state)
        assert effect == Effect(event, None, Reason.WAITS)
        assert (bool(effect), effect.waits) == (False, True)

    @everywhere
    def test_is_on_the_event_of_that_id(self, version: RoomVersion) -> None:
        room = a_room(version)
        assert (
            reason(room, ANA, room.message(BEN), event_id="$other:b.example") is Reason.OTHER_EVENT
        )

    @pytest.mark.parametrize("version", [V2, V3, V11])
    def test_is_on_events_of_the_same_room(self, version: RoomVersion) -> None:
        room = a_room(version)
        target = room.message(BEN)
        foreign = Event.from_pdu(
            {**target.to_pdu(), "room_id": "!other:a.example"}, version, event_id=target.event_id
        )
        assert reason(room, ANA, foreign) is Reason.OTHER_ROOM

    @pytest.mark.parametrize("version", [V2, V3, V11])
    @pytest.mark.parametrize("odd", [None, 5, ["$x"], {}])
    def test_needs_a_redaction_of_an_event(self, version: RoomVersion, odd: Any) -> None:
        room = a_room(version)
        target = room.message(BEN)
        assert reason(room, ANA, target, event_id=odd) is Reason.NOT_A_REDACTION
        message = room.event("m.room.message", ANA, {"redacts": target.event_id})
        assert effect_of(message, target, room.state).reason is Reason.NOT_A_REDACTION

    def test_reads_the_id_where_the_version_has_it(self) -> None:
        """From version 11 on it stands in the content."""
        for version, other in ((V10, V11), (V11, V10)):
            room = a_room(version)
            target = room.message(BEN)
            elsewhere = redacts(a_room(other), ANA, target.event_id).to_pdu()
            event = Event.from_pdu(elsewhere, version, event_id="$" + "y" * 43)
            assert effect_of(event, target, room.state).reason is Reason.NOT_A_REDACTION

    def test_is_the_same_once_the_event_was_redacted(self) -> None:
        room = a_room(V11)
        target = room.message(BEN)
        assert reason(room, ANA, target.redacted()) is Reason.BY_LEVEL

    def test_says_why(self) -> None:
        room = a_room(V11)
        target = room.message(BEN)
        effect = effect_of(redacts(room, ANA, target.event_id), target, room.state)
        assert (str(effect), effect.waits) == (
            "applied: its sender reaches the redact level",
            False,
        )


@given(
    st.sampled_from([V3, V10, V11, V12]),
    st.integers(0, 100),
    st.integers(0, 100),
    st.sampled_from([ANA, BEN, EVE]),
)
def test_whom_the_advice_lets_redact_has_an_effect(
    version: RoomVersion, needed: int, own: int, target_of: str
) -> None:
    """A yes of `may` is a redaction that servers apply, and a no is one of a server's own matters."""
    room = a_room(version, redact=needed, users={BEN: own})
    target = room.message(target_of)
    answer = may(BEN, room.state).redact(target)
    effect = effect_of(redacts(room, BEN, target.event_id), target, room.state)
    if answer:
        assert effect
    elif effect:
        assert effect.reason is Reason.BY_SERVER
        assert "administrators" in answer.objection
