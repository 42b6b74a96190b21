"""Laws of redaction: what it leaves alone, and what the rules make of what it leaves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matrix_membership import KNOWN, V9, V11, Event, RoomState, RoomVersion, auth, strategies
from matrix_membership.hashing import event_id, reference_hash
from matrix_membership.redaction import redact
from matrix_membership.signing import verify
from matrix_membership.strategies import AuthCase, key_ring_of

ANY_EVENT = strategies.events() | strategies.malformed_events() | strategies.arbitrary_events()
COMMITTED = [version for version in KNOWN.values() if version.redaction_rules >= 9]
"""The versions in which redaction keeps who vouches for a restricted join."""


@settings(max_examples=75)
@given(ANY_EVENT)
def test_redaction_is_idempotent(event: Event) -> None:
    once = redact(event.to_pdu(), event.room_version)
    assert redact(once, event.room_version) == once
    assert event.redacted().redacted().pdu == event.redacted().pdu


@settings(max_examples=75)
@given(ANY_EVENT)
def test_redaction_never_changes_the_id(event: Event) -> None:
    redacted = event.redacted()
    assert redacted == event
    assert event_id(redacted.to_pdu(), event.room_version) == event.event_id
    assert reference_hash(redacted.to_pdu(), event.room_version) == reference_hash(
        event.to_pdu(), event.room_version
    )


@settings(max_examples=75)
@given(ANY_EVENT)
def test_redaction_never_breaks_a_signature(event: Event) -> None:
    ring = key_ring_of([event])
    assert verify(event.redacted(), ring).signed_by == verify(event, ring).signed_by != frozenset()


@settings(max_examples=75)
@given(ANY_EVENT)
def test_redaction_keeps_who_did_what_to_whom(event: Event) -> None:
    redacted = event.redacted()
    for name in ("type", "sender", "state_key", "membership", "kind", "prev_events", "auth_events"):
        assert getattr(redacted, name) == getattr(event, name)


def loses_what_rules_read(event: Event) -> bool:
    """The exceptions: what rules read, and redaction takes away all the same."""
    content, before_v11 = event.content, event.room_version.redaction_rules < 11
    if event.type == "m.room.power_levels":
        # Changes of notifications are judged; up to version 10 the invite level goes too.
        return "notifications" in content or (before_v11 and "invite" in content)
    if event.type == "m.room.member" and "third_party_invite" in content:
        # Later versions keep the `signed` of one that is an object.
        return before_v11 or not isinstance(content["third_party_invite"], dict)
    # An unknown room version, up to version 10; later versions keep the whole content.
    return event.type == "m.room.create" and before_v11 and "room_version" in content


@pytest.mark.parametrize("version", COMMITTED, ids=str)
@settings(max_examples=100)
@given(data=st.data())
def test_verdict_survives_redaction_of_the_event(data: st.DataObject, version: RoomVersion) -> None:
    case = data.draw(strategies.auth_cases(room_version=version))
    assume(not loses_what_rules_read(case.event))
    assert auth.check(case.event.redacted(), case.state) == auth.check(case.event, case.state)


@settings(max_examples=75)
@given(st.sampled_from(COMMITTED).flatmap(lambda v: strategies.auth_cases(room_version=v)))
def test_auth_events_are_the_same_after_redaction(case: AuthCase) -> None:
    assume(not loses_what_rules_read(case.event))
    selected = auth.select_auth_events(case.event)
    assert auth.select_auth_events(case.event.redacted()) == selected


def verdicts(version: RoomVersion, event: dict[str, object], *room: Event) -> tuple[str, str]:
    """The rules that fire on an event and on its redacted form."""
    pdu = {
        "room_id": "!room:a.example",
        "depth": 1,
        "origin_server_ts": 0,
        "prev_events": [],
        "auth_events": [],
        "hashes": {"sha256": ""},
        "signatures": {},
    }
    whole = Event.from_pdu({**pdu, **event}, version)
    state = RoomState.of(version, room)
    return auth.check(whole, state).rule, auth.check(whole.redacted(), state).rule


ANA = "@ana:a.example"


def of_ana(
    event_type: str, content: Mapping[str, object], state_key: str = ""
) -> dict[str, object]:
    return {"type": event_type, "sender": ANA, "state_key": state_key, "content": content}


def a_room(version: RoomVersion, *more: dict[str, object]) -> list[Event]:
    events = [
        of_ana("m.room.create", {"creator": ANA}),
        of_ana("m.room.member", {"membership": "join"}, ANA),
        *more,
    ]
    return [Event.from_client_event(event, version) for event in events]


class TestWhatRedactionTakesFromTheRules:
    """The exceptions of the law above, one by one: each does change the verdict."""

    @pytest.mark.parametrize("version", COMMITTED, ids=str)
    def test_is_a_change_of_notification_levels(self, version: RoomVersion) -> None:
        levels: dict[str, object] = {"users": {"@ben:b.example": 50}}
        ben = {"sender": "@ben:b.example"}
        joined = {**of_ana("m.room.member", {"membership": "join"}, "@ben:b.example"), **ben}
        room = a_room(version, of_ana("m.room.power_levels", levels), joined)
        louder = of_ana("m.room.power_levels", {**levels, "notifications": {"room": 51}})
        assert verdicts(version, {**louder, **ben}, *room) == (
            "power_levels.sets_event_or_notification_level_above_own",
            "power_levels.otherwise",
        )

    def test_is_the_invite_level_up_to_version_10(self) -> None:
        room = a_room(V9, of_ana("m.room.power_levels", {"users": {ANA: 100}}))
        closed = of_ana("m.room.power_levels", {"users": {ANA: 100}, "invite": 101})
        assert verdicts(V9, closed, *room) == (
            "power_levels.sets_named_level_above_own",
            "power_levels.otherwise",
        )

    def test_is_an_unknown_room_version_up_to_version_10(self) -> None:
        create = of_ana("m.room.create", {"creator": ANA, "room_version": "odd"})
        assert verdicts(V9, create) == ("create.unknown_room_version", "create.otherwise")

    def test_is_a_third_party_invite_up_to_version_10(self) -> None:
        content = {"membership": "invite", "third_party_invite": {"signed": {}}}
        invite = of_ana("m.room.member", content, "@ben:b.example")
        assert verdicts(V9, invite, *a_room(V9)) == (
            "invite.third_party_without_mxid_or_token",
            "invite.sender_may_invite",
        )

    def test_is_a_third_party_invite_that_is_no_object(self) -> None:
        content = {"membership": "invite", "third_party_invite": None}
        invite = of_ana("m.room.member", content, "@ben:b.example")
        assert verdicts(V11, invite, *a_room(V11)) == (
            "invite.third_party_unsigned",
            "invite.sender_may_invite",
        )
