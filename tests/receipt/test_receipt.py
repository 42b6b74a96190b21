"""Receipt: the numbered checks on a PDU from another server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import pytest

from matrix_membership import (
    V1,
    V3,
    V6,
    V9,
    V10,
    V11,
    V12,
    Event,
    KeyRing,
    RoomState,
    RoomVersion,
    Signer,
    auth,
)
from matrix_membership._attrs import evolve
from matrix_membership.errors import IncompleteState, InvalidEvent
from matrix_membership.events import read_pdu
from matrix_membership.receipt import (
    Check,
    Disposition,
    Receipt,
    Revision,
    needed_places,
    receive,
    reevaluate,
)
from matrix_membership.receipt.policy_server import POLICY_KEY_ID
from matrix_membership.signing import Unverified, sign
from tests.builders import ANA, BEN, CAY, DAN, KEYS, SIGNER_B, VERSIONS, decision, signed_invite
from tests.captures import captures
from tests.histories import AT, History, a_history

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS, ids=str)
NO_KEYS = KeyRing.of({})
POLICY = Signer.from_seed("b.example", POLICY_KEY_ID, "P" * 42 + "A")


def received(
    event: Event | str | dict[str, Any],
    history: History,
    *,
    before: RoomState | None = None,
    current: RoomState | None = None,
    **more: Any,
) -> Receipt:
    """The receipt of an event that follows a history, unless told otherwise."""
    given: dict[str, Any] = {"keys": KEYS, "auth_events": history.events, **more}
    before = before or history.state
    pdu = event.pdu if isinstance(event, Event) else event
    return receive(
        pdu, history.version, state_before=before, current_state=current or before, **given
    )


def judged_again(receipt: Receipt, history: History, **more: Any) -> Revision | None:
    """The change that a full look at a history brings."""
    given: dict[str, Any] = {
        "auth_events": history.events,
        "state_before": history.state,
        "current_state": history.state,
        **more,
    }
    return reevaluate(receipt, **given)


def a_join(history: History) -> Event:
    return history.member(BEN, "join", signer=SIGNER_B)


def altered(event: Event) -> dict[str, Any]:
    """The event with content that nobody hashed."""
    pdu = json.loads(event.pdu)
    return {**pdu, "content": {**pdu["content"], "displayname": "somebody else"}}


class TestAccepted:
    @EVERY_VERSION
    def test_is_what_passes_all_checks(self, version: RoomVersion) -> None:
        history = a_history(version)
        event = a_join(history)
        assert received(event, history) == Receipt(
            Disposition.ACCEPTED, decision=decision("join.public_room", version), event=event
        )

    @EVERY_VERSION
    def test_is_signed_by_whom_the_keys_verify(self, version: RoomVersion) -> None:
        history = a_history(version)
        event = received(a_join(history), history).event
        assert event is not None
        assert event.signed_by == {"b.example"}

    @EVERY_VERSION
    def test_is_a_create_event(self, version: RoomVersion) -> None:
        history = a_history(version)
        empty = RoomState.of(version, [])
        receipt = received(history.events[0], history, before=empty, auth_events=[])
        assert (receipt.disposition, receipt.decision) == (
            Disposition.ACCEPTED,
            decision("create.otherwise", version),
        )

    @pytest.mark.parametrize("form", [bytes, str, dict])
    def test_comes_in_any_form(self, form: type) -> None:
        history = a_history(V11)
        event = a_join(history)
        forms: dict[type, Any] = {
            bytes: event.pdu,
            str: event.pdu.decode(),
            dict: event.to_pdu(),
        }
        assert received(forms[form], history)

    def test_may_have_been_read_before(self) -> None:
        history = a_history(V11)
        read = read_pdu(a_join(history).pdu, V11)
        receipt = receive(
            read,
            V11,
            keys=KEYS,
            auth_events=history.events,
            state_before=history.state,
            current_state=history.state,
        )
        assert receipt

    def test_has_not_been_read_for_another_version(self) -> None:
        history = a_history(V11)
        read = read_pdu(a_join(history).pdu, V9)
        with pytest.raises(TypeError):
            received(read, history)  # type: ignore[arg-type]  # what the helper hands on

    @EVERY_VERSION
    def test_need_not_follow_from_a_state_that_has_what_it_lists(
        self, version: RoomVersion
    ) -> None:
        """One judgement serves for what it lists and for the state, when these are the same."""
        history = a_history(version)
        event = a_join(history)
        banned = history.state.with_event(history.member(BEN, "ban", sender=ANA))
        receipt = received(event, history, before=banned)
        assert (receipt.check, receipt.decision) == (
            Check.STATE_BEFORE,
            decision("join.while_banned", version),
        )
        at_hand = [
            Event.from_pdu(found.pdu, version, event_id=found.event_id) for found in history.events
        ]
        assert received(event, history, auth_events=at_hand) == received(event, history)

    def test_finds_auth_events_by_a_function(self) -> None:
        history = a_history(V11)
        by_id = {event.event_id: event for event in history.events}
        receipt = received(a_join(history), history, auth_events=by_id.get)
        assert receipt.missing_auth_events == ()

    def test_finds_auth_events_in_a_mapping(self) -> None:
        history = a_history(V11)
        by_id = MappingProxyType({event.event_id: event for event in history.events})
        receipt = received(a_join(history), history, auth_events=by_id)
        assert receipt == received(a_join(history), history)
        assert receipt.missing_auth_events == ()

    def test_needs_no_auth_events_that_it_does_not_list(self) -> None:
        history = a_history(V11)
        event = a_join(history)
        history = history.with_state("m.room.topic", {"topic": "x"})
        assert received(event, history)

    def test_may_list_what_amended_rules_select(self) -> None:
        def selection(event: Event) -> frozenset[tuple[str, str]]:
            return auth.select_auth_events(evolve(event, room_version=V11)) | {("m.room.name", "")}

        rules = auth.rulebook(V11).select(selection)
        version = V11.evolve(identifier="org.example.mine", rules=rules)
        history = a_history(version).with_state("m.room.name", {"name": "A room"})
        event = a_join(history)
        assert history.events[-1].event_id in event.auth_events
        assert received(event, history)

    def test_is_judged_by_no_more_than_amended_rules_select(self) -> None:
        rules = auth.rulebook(V11).select(lambda _: frozenset({("m.room.create", "")}))
        history = a_history(V11.evolve(identifier="org.example.mine", rules=rules))
        event = a_join(history)
        receipt = received(event, history)
        listed = [entry for entry in history.events if entry.event_id in event.auth_events]
        assert (receipt.check, receipt.decision) == (Check.AUTH_EVENTS, auth.judge(event, listed))
        assert not receipt

    def test_says_so(self) -> None:
        history = a_history(V11)
        assert str(received(a_join(history), history)) == "accepted"


class TestDroppedByFormat:
    @pytest.mark.parametrize(
        ("pdu", "error"),
        [
            ("[]", InvalidEvent("PDU", "an object", [])),
            ("{}", InvalidEvent("type", "text", None)),
        ],
    )
    def test_has_the_error(self, pdu: str, error: InvalidEvent) -> None:
        receipt = received(pdu, a_history(V11))
        assert receipt == Receipt(Disposition.DROPPED, Check.FORMAT, error=error)
        assert not receipt

    def test_happens_where_the_version_is_strict(self) -> None:
        forms = {}
        for version in (V3, V6):
            history = a_history(version)
            pdu = history.event("m.room.message", ANA, {"n": 1}).pdu.replace(b'"n":1', b'"n":1.5')
            forms[version] = received(pdu.decode(), history).check
        assert forms == {V3: Check.CONTENT_HASH, V6: Check.FORMAT}

    def test_says_so(self) -> None:
        said = str(received("[]", a_history(V11)))
        assert said == "dropped by check 1 (format): PDU: expected an object, got []"


class TestDroppedBySignatures:
    @EVERY_VERSION
    def test_happens_without_the_servers_key(self, version: RoomVersion) -> None:
        history = a_history(version)
        expected = "good signatures of b.example"
        assert received(a_join(history), history, keys=NO_KEYS) == Receipt(
            Disposition.DROPPED,
            Check.SIGNATURES,
            error=InvalidEvent("signatures", expected, []),
            missing_signers=frozenset({SIGNER_B.server_name}),
            unverified=Unverified(frozenset({(SIGNER_B.server_name, SIGNER_B.key_id)})),
        )

    def test_happens_when_another_server_signed(self) -> None:
        history = a_history(V11)
        receipt = received(history.member(BEN, "join"), history)
        error = InvalidEvent("signatures", "good signatures of b.example", ["a.example"])
        assert (receipt.check, receipt.error) == (Check.SIGNATURES, error)

    def test_happens_when_what_was_signed_was_altered(self) -> None:
        history = a_history(V11)
        pdu = {**a_join(history).to_pdu(), "origin_server_ts": AT + 1}
        receipt = received(pdu, history)
        assert receipt.check is Check.SIGNATURES
        assert receipt.unverified == Unverified(forged=frozenset({SIGNER_B.server_name}))

    def test_tells_which_key_of_the_authorising_server_is_missing(self) -> None:
        history = a_history(V11).with_state("m.room.join_rules", {"join_rule": "restricted"})
        content = {"membership": "join", "join_authorised_via_users_server": ANA}
        pdu = history.event("m.room.member", BEN, content, BEN, signer=SIGNER_B).to_pdu()
        pdu["signatures"]["a.example"] = {"ed25519:new": "A" * 86}
        receipt = received(pdu, history)
        assert receipt.disposition is Disposition.REJECTED
        assert receipt.unverified.needs == {"a.example": {"ed25519:new"}}

    def test_asks_the_server_of_the_id_in_version_1(self) -> None:
        history = a_history(V1)
        event = history.member(BEN, "join", signer=SIGNER_B, event_id="$e:c.example")
        assert received(event, history).missing_signers == {"c.example"}

    def test_asks_nothing_of_the_sender_of_a_third_party_invite(self) -> None:
        history = a_history(V11)
        content = {"membership": "invite", "third_party_invite": signed_invite(BEN)}
        event = history.event("m.room.member", CAY, content, BEN, signer=SIGNER_B)
        receipt = received(event, history)
        assert (receipt.disposition, receipt.check) == (Disposition.REJECTED, Check.AUTH_EVENTS)


FORGED = pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
EMPTY_WORDS: tuple[Any, ...] = (
    0,
    None,
    True,
    "signed",
    [],
    {},
    {"signed": 0},
    {"signed": None},
    {"signed": []},
)


def forged(history: History, third: Any, **more: Any) -> dict[str, Any]:
    """An invite in Ana's name, as somebody makes it who has nobody's key."""
    content = {"membership": "invite", "third_party_invite": third}
    made = history.event("m.room.member", ANA, content, "@mal:evil.example").to_pdu()
    return {**made, "signatures": {}, **more}


class TestForgedInvite:
    """What exempts an invite from its sender's signature is asked of the form to be kept."""

    @FORGED
    @pytest.mark.parametrize("third", EMPTY_WORDS)
    @pytest.mark.parametrize("spoil", [{}, {"hashes": {"sha256": "AAAA"}}])
    def test_is_dropped_without_a_signed_object(
        self, version: RoomVersion, third: Any, spoil: dict[str, Any]
    ) -> None:
        history = a_history(version)
        receipt = received(forged(history, third, **spoil), history)
        assert (receipt.disposition, receipt.check) == (Disposition.DROPPED, Check.SIGNATURES)
        assert receipt.missing_signers == {"a.example"}

    @pytest.mark.parametrize("version", [V1, V6, V10], ids=str)
    def test_is_dropped_where_redaction_takes_the_signed_object(self, version: RoomVersion) -> None:
        history, third = a_history(version), signed_invite("@mal:evil.example")
        receipt = received(forged(history, third, hashes={"sha256": "AAAA"}), history)
        assert receipt.missing_signers == {"a.example"}

    @pytest.mark.parametrize("version", [V11, V12], ids=str)
    def test_is_judged_by_the_signed_object_that_redaction_leaves(
        self, version: RoomVersion
    ) -> None:
        history, third = a_history(version), signed_invite("@mal:evil.example")
        receipt = received(forged(history, third, hashes={"sha256": "AAAA"}), history)
        assert receipt.decision == decision("invite.third_party_token_unknown", version)
        assert (receipt.disposition, receipt.redacted) == (Disposition.REJECTED, True)

    @FORGED
    def test_is_dropped_though_it_was_read_before(self, version: RoomVersion) -> None:
        history = a_history(version)
        read = read_pdu(forged(history, 0, hashes={"sha256": "AAAA"}), version)
        receipt = receive(
            read,
            version,
            keys=KEYS,
            auth_events=history.events,
            state_before=history.state,
            current_state=history.state,
        )
        assert receipt.check is Check.SIGNATURES


class TestRedacted:
    @EVERY_VERSION
    def test_is_an_event_whose_content_nobody_hashed(self, version: RoomVersion) -> None:
        history = a_history(version)
        event = a_join(history)
        receipt = received(altered(event), history)
        assert receipt == Receipt(
            Disposition.REDACTED,
            Check.CONTENT_HASH,
            decision=decision("join.public_room", version),
            event=event,
            redacted=True,
        )
        assert receipt

    def test_keeps_its_signers_and_loses_its_content(self) -> None:
        history = a_history(V11)
        event = received(altered(a_join(history)), history).event
        assert event is not None
        assert event.to_client_event()["content"] == {"membership": "join"}
        assert event.signed_by == {"b.example"}

    def test_is_judged_by_what_is_left(self) -> None:
        history = a_history(V10)
        event = history.event("m.room.power_levels", ANA, {"users": {ANA: 100}}, "")
        pdu = {**event.to_pdu(), "content": {"users": {ANA: 100}, "invite": "no level"}}
        assert received(pdu, history).disposition is Disposition.REDACTED
        assert not auth.check(Event.from_pdu(pdu, V10), history.state)

    def test_gives_way_to_a_rejection(self) -> None:
        history = a_history(V11).with_state("m.room.join_rules", {"join_rule": "invite"})
        receipt = received(altered(a_join(history)), history)
        assert (receipt.disposition, receipt.check, receipt.redacted) == (
            Disposition.REJECTED,
            Check.AUTH_EVENTS,
            True,
        )

    def test_gives_way_to_a_soft_failure(self) -> None:
        history = a_history(V11)
        event = a_join(history)
        later = history.with_state("m.room.join_rules", {"join_rule": "invite"})
        receipt = received(altered(event), history, current=later.state)
        assert (receipt.disposition, receipt.redacted) == (Disposition.SOFT_FAILED, True)

    def test_says_so(self) -> None:
        history = a_history(V11)
        said = str(received(altered(a_join(history)), history))
        assert said == "redacted by check 3 (content hash)"


class TestRejectedByAuthEvents:
    @EVERY_VERSION
    def test_happens_when_they_do_not_allow_it(self, version: RoomVersion) -> None:
        history = a_history(version)
        private = history.with_state("m.room.join_rules", {"join_rule": "invite"})
        event = a_join(private)
        receipt = received(event, private, before=history.state)
        assert receipt == Receipt(
            Disposition.REJECTED,
            Check.AUTH_EVENTS,
            decision=decision("join.otherwise", version),
            event=event,
        )
        assert not receipt

    @EVERY_VERSION
    def test_happens_when_they_are_none_that_it_may_list(self, version: RoomVersion) -> None:
        history = a_history(version).with_state("m.room.topic", {})
        listed = history.refer(history.events[0], *history.events[-1:])
        event = history.member(BEN, "join", signer=SIGNER_B, auth_events=listed)
        assert received(event, history).decision == decision("auth_events.unexpected", version)

    @EVERY_VERSION
    def test_happens_when_one_was_rejected(self, version: RoomVersion) -> None:
        history = a_history(version)
        rejected = {history.events[-1].event_id}
        receipt = received(a_join(history), history, rejected=rejected)
        assert (receipt.disposition, receipt.decision, receipt.provisional) == (
            Disposition.REJECTED,
            decision("auth_events.rejected", version),
            False,
        )

    @EVERY_VERSION
    def test_happens_when_one_was_rejected_that_nobody_kept(self, version: RoomVersion) -> None:
        history = a_history(version)
        rejected = {history.events[-1].event_id}
        kept = history.events[:-1]
        receipt = received(a_join(history), history, rejected=rejected, auth_events=kept)
        assert (receipt.decision, receipt.provisional) == (
            decision("auth_events.rejected", version),
            False,
        )

    @EVERY_VERSION
    def test_happens_when_they_are_of_another_room(self, version: RoomVersion) -> None:
        history = a_history(version)
        event = history.member(BEN, "join", signer=SIGNER_B, room_id="!other:a.example")
        receipt = received(event, history)
        # In version 12 the room ID is that of the create event.
        rule = "room_id_of_no_accepted_create_event" if version is V12 else "of_another_room"
        assert (receipt.check, receipt.decision) == (
            Check.AUTH_EVENTS,
            decision(f"auth_events.{rule}", version),
        )

    def test_does_not_happen_when_it_follows_a_rejected_event(self) -> None:
        history = a_history(V11)
        refused = history.event("m.room.topic", BEN, {}, "", signer=SIGNER_B)
        event = history.member(BEN, "join", signer=SIGNER_B, prev_events=[refused.event_id])
        assert received(event, history, rejected={refused.event_id})

    def test_happens_in_version_12_without_its_create_event(self) -> None:
        history = a_history(V12)
        state = RoomState.of(V12, history.events[1:])
        receipt = received(a_join(history), history, before=state)
        found = decision("auth_events.room_id_of_no_accepted_create_event", V12)
        assert (receipt.decision, receipt.provisional) == (found, True)

    def test_happens_in_version_12_with_another_create_event(self) -> None:
        history = a_history(V12)
        other = a_history(V12).with_state("m.room.create", {"room_version": "12", "x": 1})
        receipt = received(a_join(history), history, create=other.events[-1])
        found = decision("auth_events.room_id_of_no_accepted_create_event", V12)
        assert (receipt.decision, receipt.provisional) == (found, False)

    def test_takes_version_12s_create_event_from_the_caller(self) -> None:
        history = a_history(V12)
        state = RoomState.of(V12, history.events[1:])
        receipt = received(a_join(history), history, before=state, create=history.events[0])
        assert receipt.check is Check.STATE_BEFORE

    def test_says_so(self) -> None:
        history = a_history(V11).with_state("m.room.join_rules", {"join_rule": "invite"})
        said = str(received(a_join(history), history))
        assert said.startswith("rejected by check 4 (auth events): rejected by rule 4.3.7 of")


class TestRejectedByStateBefore:
    @EVERY_VERSION
    def test_happens_when_it_does_not_allow_it(self, version: RoomVersion) -> None:
        history = a_history(version)
        event = a_join(history)
        private = history.with_state("m.room.join_rules", {"join_rule": "invite"})
        receipt = received(event, private, current=history.state)
        assert receipt == Receipt(
            Disposition.REJECTED,
            Check.STATE_BEFORE,
            decision=decision("join.otherwise", version),
            event=event,
        )


class TestSoftFailedByCurrentState:
    @EVERY_VERSION
    def test_happens_when_it_does_not_allow_it(self, version: RoomVersion) -> None:
        history = a_history(version)
        event = a_join(history)
        banned = history.with_member(BEN, "ban", sender=ANA)
        receipt = received(event, history, current=banned.state)
        assert receipt == Receipt(
            Disposition.SOFT_FAILED,
            Check.CURRENT_STATE,
            decision=decision("join.while_banned", version),
            event=event,
        )
        assert not receipt

    def test_asks_no_state_twice(self) -> None:
        history = a_history(V11)
        asked: list[tuple[str, str]] = []

        def get(kind: str, state_key: str) -> Event | None:
            asked.append((kind, state_key))
            return history.state.get(kind, state_key)

        state = RoomState.over(V11, get)
        received(a_join(history), history, before=state)
        once = list(asked)
        received(a_join(history), history, before=state, current=RoomState.over(V11, get))
        assert len(once) < len(asked) - len(once)


def policed(history: History) -> History:
    """The history, and from then on a policy server."""
    content = {"via": "b.example", "public_keys": {"ed25519": POLICY.verify_key}}
    return history.with_member(BEN, "join", signer=SIGNER_B).with_state("m.room.policy", content)


class TestSoftFailedByPolicyServer:
    @EVERY_VERSION
    def test_happens_when_it_did_not_sign(self, version: RoomVersion) -> None:
        history = policed(a_history(version))
        event = history.event("m.room.message", ANA, {})
        assert received(event, history) == Receipt(
            Disposition.SOFT_FAILED,
            Check.POLICY_SERVER,
            decision=decision("every_event.otherwise", version),
            event=event,
            missing_signers=frozenset({POLICY.server_name}),
        )

    @EVERY_VERSION
    def test_does_not_happen_when_it_signed(self, version: RoomVersion) -> None:
        history = policed(a_history(version))
        event = sign(history.event("m.room.message", ANA, {}), POLICY)
        assert received(event, history)

    def test_does_not_happen_to_what_it_signed_and_nobody_hashed(self) -> None:
        history = policed(a_history(V11))
        event = sign(history.event("m.room.message", ANA, {}), POLICY)
        assert received(altered(event), history).disposition is Disposition.REDACTED

    def test_does_not_happen_to_the_event_that_names_it(self) -> None:
        history = policed(a_history(V11))
        assert received(history.event("m.room.policy", ANA, {}, ""), history)

    def test_asks_the_current_state_only(self) -> None:
        history = policed(a_history(V11))
        event = history.event("m.room.message", ANA, {})
        later = history.with_state("m.room.policy", {})
        assert received(event, history, current=later.state)

    def test_comes_after_the_rules(self) -> None:
        history = policed(a_history(V11))
        event = history.event("m.room.message", CAY, {})
        assert received(event, history, keys=KEYS).check is Check.SIGNATURES
        event = history.event("m.room.topic", BEN, {}, "", signer=SIGNER_B)
        assert received(event, history).check is Check.AUTH_EVENTS

    def test_is_provisional_where_nobody_can_tell_who_is_in_the_room(self) -> None:
        history = policed(a_history(V11))
        event = history.event("m.room.message", ANA, {})
        state = RoomState.over(V11, history.state.get)
        receipt = received(event, history, before=state)
        assert (receipt.disposition, receipt.provisional) == (Disposition.SOFT_FAILED, True)

    def test_says_so(self) -> None:
        history = policed(a_history(V11))
        said = str(received(history.event("m.room.message", ANA, {}), history))
        assert said == "soft-failed by check 7 (policy server): no good signature of b.example"


def without(history: History, *missing: Event) -> Iterable[Event]:
    return [event for event in history.events if event not in missing]


class TestSecondCreateEvent:
    def second(self, history: History, key: str | None = "") -> Event:
        version = history.version
        content = {"room_version": version.identifier, "creator": DAN, "m.federate": False}
        return history.event(
            "m.room.create", DAN, content, key, auth_events=[], prev_events=[], depth=1
        )

    @FORGED
    @pytest.mark.parametrize("key", ["", "x", None])
    def test_is_rejected(self, version: RoomVersion, key: str | None) -> None:
        history = a_history(version).with_member(DAN, "ban", sender=ANA)
        second = self.second(history, key)
        expected = f"{history.events[0].event_id}, the create event that the room has"
        assert received(second, history) == Receipt(
            Disposition.REJECTED,
            Check.AUTH_EVENTS,
            event=second,
            error=InvalidEvent("m.room.create", expected, second.event_id),
        )

    @FORGED
    def test_is_rejected_by_the_current_state_too(self, version: RoomVersion) -> None:
        history, empty = a_history(version), RoomState.of(version, [])
        receipt = received(self.second(history), history, before=empty, current=history.state)
        assert receipt.disposition is Disposition.REJECTED

    def test_is_rejected_by_the_create_event_that_is_given(self) -> None:
        history, empty = a_history(V12), RoomState.of(V12, [])
        receipt = received(
            self.second(history), history, before=empty, current=empty, create=history.events[0]
        )
        assert receipt.disposition is Disposition.REJECTED

    def test_says_so(self) -> None:
        history = a_history(V11)
        first, second = history.events[0], self.second(history)
        assert str(received(second, history)) == (
            "rejected by check 4 (auth events): m.room.create: expected "
            f"{first.event_id}, the create event that the room has, got {second.event_id!r}"
        )

    @EVERY_VERSION
    def test_may_be_the_first_one_again(self, version: RoomVersion) -> None:
        history = a_history(version)
        assert received(history.events[0], history).disposition is Disposition.ACCEPTED

    def test_may_not_be_another_one_under_the_id_of_the_first(self) -> None:
        history = a_history(V1)
        second = history.event(
            "m.room.create",
            DAN,
            {"creator": DAN},
            "",
            auth_events=[],
            prev_events=[],
            event_id="$e0:a.example",
        )
        assert second == history.events[0]
        assert received(second, history).disposition is Disposition.REJECTED


class TestMissingAuthEvents:
    @EVERY_VERSION
    def test_are_named_and_no_reason_to_reject(self, version: RoomVersion) -> None:
        history = a_history(version).with_member(BEN, "invite", sender=ANA)
        event = a_join(history)
        invite = history.events[-1]
        receipt = received(event, history, auth_events=without(history, invite))
        assert (receipt.disposition, receipt.missing_auth_events, receipt.provisional) == (
            Disposition.ACCEPTED,
            (invite.event_id,),
            True,
        )

    def test_leave_check_4_undecided(self) -> None:
        history = a_history(V11).with_state("m.room.join_rules", {"join_rule": "invite"})
        history = history.with_member(BEN, "invite", sender=ANA)
        event = a_join(history)
        receipt = received(event, history, auth_events=without(history, history.events[-1]))
        assert receipt.decision is not None
        assert (receipt.disposition, receipt.decision.undecided) == (Disposition.ACCEPTED, True)

    @pytest.mark.parametrize("version", [V1, V11], ids=str)
    def test_reject_provisionally_for_want_of_the_create_event(self, version: RoomVersion) -> None:
        history = a_history(version)
        kept = without(history, history.events[0])
        receipt = received(a_join(history), history, auth_events=kept)
        assert (receipt.decision, receipt.provisional) == (
            decision("auth_events.no_create_event", version),
            True,
        )

    def test_do_not_soften_a_list_that_nothing_can_heal(self) -> None:
        history = a_history(V11).with_state("m.room.topic", {})
        listed = [event.event_id for event in history.events]
        event = history.member(BEN, "join", signer=SIGNER_B, auth_events=listed)
        receipt = received(event, history, auth_events=history.events[-1:])
        assert (receipt.decision, receipt.provisional) == (
            decision("auth_events.unexpected", V11),
            False,
        )

    @EVERY_VERSION
    def test_reject_an_event_that_lists_one_of_them_twice(self, version: RoomVersion) -> None:
        history = a_history(version).with_member(BEN, "invite", sender=ANA)
        invite, listed = history.events[-1], a_join(history).auth_events
        references = history.refer(*[event for event in history.events if event.event_id in listed])
        twice = [*references, *history.refer(invite)]
        event = history.member(BEN, "join", signer=SIGNER_B, auth_events=twice)
        for auth_events in (history.events, without(history, invite)):
            receipt = received(event, history, auth_events=auth_events)
            assert (receipt.decision, receipt.provisional) == (
                decision("auth_events.duplicates", version),
                False,
            )


class TestOnPartialState:
    def test_is_provisional(self) -> None:
        history = a_history(V11)
        receipt = received(a_join(history), history, before=history.in_part())
        assert (receipt.disposition, receipt.provisional) == (Disposition.ACCEPTED, True)

    def test_is_undecided_where_members_count(self) -> None:
        history = a_history(V11)
        receipt = received(a_join(history), history, before=history.in_part())
        assert receipt.decision is not None
        assert receipt.decision.undecided

    def test_rejects_finally_by_auth_events(self) -> None:
        history = a_history(V11).with_state("m.room.join_rules", {"join_rule": "invite"})
        receipt = received(a_join(history), history, before=history.in_part())
        assert (receipt.check, receipt.provisional) == (Check.AUTH_EVENTS, False)

    def test_rejects_provisionally_by_the_state_before(self) -> None:
        history = a_history(V11)
        event = history.event("m.room.topic", ANA, {}, "")
        strict = history.with_state("m.room.power_levels", {"state_default": 101})
        receipt = received(event, history, before=strict.in_part(ANA))
        assert (receipt.check, receipt.provisional) == (Check.STATE_BEFORE, True)

    def test_soft_fails_nothing_that_is_undecided(self) -> None:
        history = a_history(V11)
        receipt = received(a_join(history), history, current=history.in_part())
        assert (receipt.disposition, receipt.provisional) == (Disposition.ACCEPTED, True)

    def test_says_so(self) -> None:
        history = a_history(V11)
        receipt = received(a_join(history), history, before=history.in_part())
        assert str(receipt) == "provisionally accepted"


def filtered(history: History, places: Iterable[tuple[str, str]], **more: Any) -> RoomState:
    """The state of a history as a host loads it: these places alone."""
    held = {(event.type, event.state_key or ""): event for event in history.state.events}
    ids = {place: event.event_id for place, event in held.items()}
    by_id = {event.event_id: event for event in held.values()}
    return RoomState.of_ids(ids, by_id, needed=list(places), room_version=history.version, **more)


class TestOnFilteredState:
    @EVERY_VERSION
    def test_is_as_final_as_on_the_whole_state(self, version: RoomVersion) -> None:
        history = a_history(version).with_member(BEN, "join", signer=SIGNER_B)
        for event in (
            history.member(BEN, "leave", signer=SIGNER_B),
            history.event("m.room.message", BEN, {}, signer=SIGNER_B),
            history.event("m.room.topic", BEN, {}, "", signer=SIGNER_B),
            history.member(BEN, "ban", sender=ANA),
        ):
            part = filtered(history, needed_places(event))
            assert received(event, history, before=part) == received(event, history)

    def test_is_provisional_where_it_hangs_on_a_place_that_was_not_loaded(self) -> None:
        history = a_history(V11)
        event = a_join(history)
        loaded = needed_places(event) - {("m.room.join_rules", "")}
        for before, current in (
            (filtered(history, loaded), history.state),
            (history.state, filtered(history, loaded)),
        ):
            receipt = received(event, history, before=before, current=current)
            assert receipt.provisional
            assert receipt.decision is not None
            assert receipt.decision.missing == ("m.room.join_rules",)

    def test_is_provisional_while_the_server_is_still_joining(self) -> None:
        history = a_history(V11)
        event = a_join(history)
        part = filtered(history, needed_places(event), partial=True)
        assert received(event, history, before=part).provisional

    @pytest.mark.parametrize("servers", [["a.example"], ["a.example", "b.example"]])
    def test_asks_a_policy_server_in_a_room_whose_servers_are_told(
        self, servers: list[str]
    ) -> None:
        history = policed(a_history(V11))
        event = history.event("m.room.message", ANA, {})
        part = filtered(history, needed_places(event), servers=servers)
        receipt = received(event, history, before=part)
        assert (receipt.check is Check.POLICY_SERVER) is ("b.example" in servers)
        assert not receipt.provisional

    @pytest.mark.parametrize("place", [("m.room.create", ""), ("m.room.policy", "")])
    def test_raises_for_a_place_beside_the_rules(self, place: tuple[str, str]) -> None:
        history = a_history(V11)
        event = history.event("m.room.message", ANA, {})
        part = filtered(history, needed_places(event) - {place})
        with pytest.raises(IncompleteState) as caught:
            received(event, history, before=part)
        assert caught.value.missing == place[0]


class TestReevaluate:
    def provisional(self, history: History) -> Receipt:
        return received(a_join(history), history, before=history.in_part())

    def test_finds_no_change_where_there_is_none(self) -> None:
        history = a_history(V11)
        before, partial = self.provisional(history), history.in_part()
        again = judged_again(before, history, state_before=partial, current_state=partial)
        assert again is None
        settled = received(a_join(history), history)
        assert judged_again(settled, history) is None
        assert judged_again(settled, history, state_before=partial) is None

    def test_finds_that_a_receipt_is_no_longer_provisional(self) -> None:
        history = a_history(V11)
        before = self.provisional(history)
        change = judged_again(before, history)
        assert change == Revision(before, received(a_join(history), history))
        assert str(change) == "provisionally accepted before, now accepted for good"
        assert judged_again(change.after, history) is None

    def test_finds_that_an_event_is_rejected(self) -> None:
        history = a_history(V11)
        before = self.provisional(history)
        change = judged_again(before, history.with_member(BEN, "ban", sender=ANA))
        assert change == Revision(
            before,
            Receipt(
                Disposition.REJECTED,
                Check.STATE_BEFORE,
                decision=decision("join.while_banned", V11),
                event=before.event,
            ),
        )

    def test_finds_that_an_event_is_accepted(self) -> None:
        history = a_history(V11)
        before = received(a_join(history), history, auth_events=[])
        change = judged_again(before, history)
        assert change is not None
        assert (before.disposition, change.after.disposition) == (
            Disposition.REJECTED,
            Disposition.ACCEPTED,
        )

    def test_passes_a_rejection_on_along_auth_events(self) -> None:
        history = a_history(V11)
        join = self.provisional(history).event
        assert join is not None
        history = history.with_event(join)
        topic = received(history.event("m.room.message", BEN, {}, signer=SIGNER_B), history)
        change = judged_again(topic, history, rejected={join.event_id})
        assert change is not None
        assert change.after.decision == decision("auth_events.rejected", V11)

    def test_remembers_that_an_event_was_redacted(self) -> None:
        history = a_history(V11)
        before = received(altered(a_join(history)), history, before=history.in_part())
        settled = judged_again(before, history)
        assert settled == Revision(
            before, evolve(before, decision=decision("join.public_room", V11), provisional=False)
        )
        change = judged_again(before, history.with_member(BEN, "ban", sender=ANA))
        assert change is not None
        assert change.after.redacted

    def test_asks_the_policy_server_again(self) -> None:
        history = policed(a_history(V11))
        event = sign(history.event("m.room.message", ANA, {}), POLICY)
        before = received(event, history, before=history.in_part())
        change = judged_again(before, history)
        assert change is not None
        assert (change.after.disposition, change.after.provisional) == (before.disposition, False)

    def test_has_nothing_to_say_of_what_was_dropped(self) -> None:
        history = a_history(V11)
        assert judged_again(received("{}", history), history) is None

    def test_says_what_changed(self) -> None:
        history = a_history(V11)
        change = judged_again(
            self.provisional(history), history.with_member(BEN, "ban", sender=ANA)
        )
        assert str(change).startswith("accepted before, now rejected by check 5 (state before): ")


class TestReevaluateUnverified:
    def test_drops_an_event_whose_signatures_nobody_verified(self) -> None:
        history = a_history(V11)
        receipt = received(a_join(history), history)
        assert receipt.event is not None
        stored = Event.from_pdu(receipt.event.pdu, V11)
        change = judged_again(evolve(receipt, event=stored), history)
        assert change is not None
        assert change.after.check is Check.SIGNATURES
        assert change.after.missing_signers == {"b.example"}


class TestOfSynapse:
    """What a real Synapse sent: its hashes, signatures and auth events."""

    @pytest.mark.parametrize("capture", captures(name="send_txn_kick"), ids=str)
    def test_is_what_its_keys_verify(self, capture: Any) -> None:
        version = next(known for known in VERSIONS if known.identifier == capture.version)
        empty = RoomState.of(version, [])
        (pdu,) = capture.request["pdus"]
        receipt = receive(
            pdu,
            version,
            keys=KeyRing.of(capture.keys),
            auth_events=[],
            state_before=empty,
            current_state=empty,
        )
        assert (receipt.check, receipt.redacted, receipt.provisional) == (
            Check.AUTH_EVENTS,
            False,
            True,
        )
