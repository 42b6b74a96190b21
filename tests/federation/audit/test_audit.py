"""Auditing the answer to send_join."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from matrix_membership import EventTemplate, RoomState, auth, signing
from matrix_membership._attrs import evolve
from matrix_membership.events import Event
from matrix_membership.federation.audit import Audit, Severity, examine
from matrix_membership.federation.audit._report import Entry
from matrix_membership.federation.handshake import AwaitingAcceptance
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import UserID
from matrix_membership.membership import JOIN
from matrix_membership.redaction import redact
from matrix_membership.room_versions import KNOWN, V1, V6, V8, V10, V11, V12, RoomVersion
from matrix_membership.signing import KeyRing
from tests.builders import ANA, BEN, CAY, VERSIONS
from tests.builders import KEYS as TWO_KEYS
from tests.captures import captures
from tests.federation.conversation import (
    a_public_room,
    a_restricted_room,
    accepted,
    begin,
    fatal_codes,
    signed,
    template,
)
from tests.federation.signed_rooms import AT, A, B, a_signed_room, with_member, with_state

Pdu = dict[str, Any]

MAL = "@mal:evil.example"
CAY_SIGNER = signing.Signer.from_seed("c.example", "ed25519:c", "C" * 42 + "A")
KEYS = TWO_KEYS.with_keys(CAY_SIGNER.key_ring)


def with_cay(room: ResidentRoom) -> ResidentRoom:
    """The room with a member of a third server."""
    elsewhere = evolve(room, server_name=CAY_SIGNER.server_name)
    joined = with_state(
        elsewhere,
        "m.room.member",
        {"membership": "join"},
        sender=CAY,
        state_key=CAY,
        signer=CAY_SIGNER,
    )
    return evolve(joined, server_name=room.server_name)


def answer(room: ResidentRoom, step: AwaitingAcceptance) -> SendJoinResponse:
    response = accepted(room, step).response
    assert isinstance(response, SendJoinResponse)
    return response


def with_ben_of(version: RoomVersion, **options: Any) -> tuple[AwaitingAcceptance, Any]:
    """A public room with Cay in it, and the full answer to Ben's join."""
    room = with_cay(a_public_room(version))
    step = signed(room, omit_members=False, **options)
    return step, answer(room, step)


def altered(
    response: SendJoinResponse, change: Callable[[Pdu], Pdu | None], kind: str, key: str = ""
) -> SendJoinResponse:
    """The answer with one event changed, or gone, wherever it stands."""

    def each(pdus: tuple[bytes, ...]) -> tuple[bytes, ...]:
        found = []
        for pdu in pdus:
            document = json.loads(pdu)
            if (document["type"], document["state_key"]) == (kind, key):
                document = change(document)
            if document is not None:
                found.append(json.dumps(document).encode())
        return tuple(found)

    return evolve(response, state=each(response.state), auth_chain=each(response.auth_chain))


def kept(pdus: tuple[bytes, ...], kind: str, key: str = "") -> tuple[bytes, ...]:
    """Of these PDUs, those that are in one place."""
    documents = [(pdu, json.loads(pdu)) for pdu in pdus]
    return tuple(pdu for pdu, read in documents if (read["type"], read["state_key"]) == (kind, key))


def audit(step: AwaitingAcceptance, response: SendJoinResponse) -> Audit:
    examination = examine(
        response, step.event, asked_to_omit=step.omit_members, resident="a.example"
    )
    return examination.audit(KEYS)


def found(result: Audit) -> set[tuple[str, str]]:
    return {(str(defect.severity), defect.code) for defect in result.defects}


def unsigned(pdu: Pdu) -> Pdu:
    return {**pdu, "signatures": {}}


def gone(_: Pdu) -> None:
    return None


def renamed(pdu: Pdu) -> Pdu:
    return {**pdu, "content": {**pdu["content"], "displayname": "Eve"}}


class TestGoodAnswer:
    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_has_no_defects(self, version: RoomVersion) -> None:
        step, response = with_ben_of(version)
        result = audit(step, response)
        assert (bool(result), str(result), result.defects) == (True, "no defects", ())
        assert result.servers == {"a.example", "c.example"}
        assert result.state is not None

    @pytest.mark.parametrize("version", ["1", "3", "6", "8", "10", "11", "12"])
    def test_of_synapse_has_none_either(self, version: str) -> None:
        judged = 0
        for capture in captures(version, "send_join_[adfpr]*"):
            known = KNOWN[capture.version]
            ring = KeyRing.of(capture.keys)
            join = signing.verify(Event.from_pdu(capture.request, known), ring)
            response = SendJoinResponse.from_json(capture.response)
            examination = examine(response, join, asked_to_omit=True, resident="x")
            assert examination.audit(ring).defects == ()
            judged += 1
        assert judged >= 5

    def test_gives_its_events_before_anybody_signed_them(self) -> None:
        step, response = with_ben_of(V11)
        examination = examine(response, step.event, asked_to_omit=False, resident="a.example")
        examination.audit(KEYS)
        for event_id, entry in examination.entries.items():
            assert entry.event == Event.from_pdu(entry.pdu, V11)
            assert (entry.event.event_id, entry.event.signed_by) == (event_id, frozenset())
            assert signing.verify(entry.event, KEYS).signed_by
            assert repr(entry) == f"<entry {entry.event!r}>"

    def test_is_read_by_nobody_else(self) -> None:
        with pytest.raises(TypeError, match="SendJoinReader"):
            Entry()

    def test_equals_its_like_alone(self) -> None:
        entries = []
        for change in (lambda pdu: pdu, lambda pdu: pdu, unsigned):
            step, response = with_ben_of(V11)
            response = altered(response, change, "m.room.create")
            read = examine(response, step.event, asked_to_omit=False, resident="a.example")
            entries.append(read.entries[str(read.create)])  # type: ignore[index]  # an event ID
        first, same, other = entries
        assert (first == same, first == other, first == first.event_id) == (True, False, False)
        assert len({first, same, other}) == 2

    def test_can_be_examined_in_another_process(self) -> None:
        step, response = with_ben_of(V11)
        examination = examine(response, step.event, asked_to_omit=False, resident="a.example")
        again = pickle.loads(pickle.dumps(examination))
        assert again.audit(KEYS).state == examination.audit(KEYS).state
        for event_id, entry in examination.entries.items():
            assert again.entries[event_id].event.pdu == entry.pdu
            assert again.entries[event_id].signatures == entry.signatures

    def test_can_be_checked_by_threads_and_processes(self) -> None:
        step, response = with_ben_of(V11)
        examination = examine(response, step.event, asked_to_omit=False, resident="a.example")
        plain = examination.audit(KEYS, piece=1)
        with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2) as processes:
            for pool in (threads, processes):
                result = examination.audit(KEYS, map=pool.map, piece=2)
                assert (result.state, result.defects) == (plain.state, ())


class TestFallenEvent:
    def test_without_signature_is_dropped_with_its_dependants(self) -> None:
        step, response = with_ben_of(V11)
        result = audit(step, altered(response, unsigned, "m.room.member", CAY))
        assert bool(result)
        assert found(result) == {("dropped", "bad_signature")}
        assert result.state is not None
        assert CAY not in result.state.members

    def test_with_a_wrong_signature_is_dropped(self) -> None:
        step, response = with_ben_of(V1)
        result = audit(
            step, altered(response, lambda pdu: {**pdu, "depth": 99}, "m.room.member", CAY)
        )
        assert found(result) == {("dropped", "bad_signature")}

    def test_without_its_key_is_dropped_and_the_key_named(self) -> None:
        step, response = with_ben_of(V11)
        examination = examine(response, step.event, asked_to_omit=False, resident="a.example")
        result = examination.audit(TWO_KEYS)
        assert found(result) == {("dropped", "unknown_key")}
        assert result.needs == {"c.example": {"ed25519:c"}}
        assert str(result) in {
            f"dropped {defect.event_id}: no key is known for the signature of c.example"
            for defect in result.defects
        }
        assert examination.audit(KEYS).needs == {}

    def test_with_a_forged_signature_needs_no_key(self) -> None:
        step, response = with_ben_of(V11)
        keys = {CAY_SIGNER.key_id: "A" * 86, "ed25519:new": "A" * 86, "rsa:1": "x"}
        forged = altered(
            response,
            lambda pdu: {**pdu, "signatures": {"c.example": keys}},
            "m.room.member",
            CAY,
        )
        result = audit(step, forged)
        assert found(result) == {("dropped", "bad_signature")}
        assert result.needs == {}

    def test_takes_what_depends_on_it_along_and_is_named(self) -> None:
        step, response = with_ben_of(V11)
        room = altered(response, unsigned, "m.room.join_rules")
        result = audit(step, room)
        root = next(defect for defect in result.defects if defect.code == "bad_signature")
        fallen = [defect for defect in result.defects if defect.code == "depends_on_fallen"]
        assert [defect.root for defect in fallen] == [root.event_id]
        assert ("fatal", "join_unauthorised") in found(result)
        assert not result

    @pytest.mark.parametrize("version", [V11, V12], ids=str)
    def test_that_is_the_create_event_is_the_root_of_all(self, version: RoomVersion) -> None:
        """In version 12 too, where no event lists it."""
        step, response = with_ben_of(version)
        result = audit(step, altered(response, unsigned, "m.room.create"))
        dropped = [defect for defect in result.defects if defect.severity is Severity.DROPPED]
        assert not result
        assert {defect.root for defect in dropped} == {"", dropped[0].event_id}
        assert [defect.root for defect in dropped].count("") == 1

    def test_with_altered_content_is_redacted(self) -> None:
        step, response = with_ben_of(V11)
        result = audit(step, altered(response, renamed, "m.room.member", CAY))
        assert found(result) == {("redacted", "bad_hash")}
        assert result.state is not None
        member = result.state.get("m.room.member", CAY)
        assert member is not None
        assert member.content == {"membership": "join"}

    @pytest.mark.parametrize(
        ("version", "kind", "told"),
        [
            (V8, "m.room.member", "no join_authorised_via_users_server and no third_party_invite"),
            (V6, "m.room.member", "no third_party_invite"),
            (V6, "m.room.join_rules", "all that is read of it"),
            (V10, "m.room.member", "no third_party_invite"),
            (V10, "m.room.power_levels", "no invite"),
            (V11, "m.room.power_levels", "all that is read of it"),
            (V10, "m.room.join_rules", "all that is read of it"),
            (V11, "m.room.name", "no content"),
            (V10, "m.room.aliases", "no content"),
        ],
    )
    def test_in_its_redacted_form_says_what_that_takes(
        self, version: RoomVersion, kind: str, told: str
    ) -> None:
        key = {"m.room.member": ANA, "m.room.aliases": "a.example"}.get(kind, "")
        content = {"membership": "join", "join_rule": "public", "x": 1}
        room = with_state(a_public_room(version), kind, content, state_key=key)
        step = signed(room, omit_members=False)
        response = altered(answer(room, step), lambda pdu: redact(pdu, version), kind, key)
        (defect,) = audit(step, response).defects
        assert (str(defect.severity), defect.code) == ("redacted", "redacted_form")
        detail = f"it came in its redacted form, which in version {version} has {told}"
        assert defect.detail == detail

    def test_in_its_redacted_form_counts_as_that_with_unsigned_too(self) -> None:
        step, response = with_ben_of(V10)

        def pruned(pdu: Pdu) -> Pdu:
            return {**redact(pdu, V10), "unsigned": {"age": 1}}

        result = audit(step, altered(response, pruned, "m.room.create"))
        assert ("redacted", "redacted_form") in found(result)
        assert "no m.federate and no room_version" in str(result)

    def test_of_another_room_is_dropped(self) -> None:
        step, response = with_ben_of(V11)
        moved = altered(
            response, lambda pdu: {**pdu, "room_id": "!x:a.example"}, "m.room.member", CAY
        )
        assert found(audit(step, moved)) == {("dropped", "other_room")}

    @pytest.mark.parametrize("order", [1, -1])
    def test_that_made_the_room_takes_all_along(self, order: int) -> None:
        bad = a_signed_room(V12, additional_creators=7)
        room = with_state(bad, "m.room.join_rules", {"join_rule": "public"})
        step = signed(room, omit_members=False)
        response = answer(room, step)
        result = audit(step, evolve(response, state=response.state[::order]))
        assert result.state is None
        dropped = {d.event_id for d in result.defects if d.severity is Severity.DROPPED}
        assert dropped == {event.event_id for event in room.state.events}

    def test_that_is_no_event_is_dropped(self) -> None:
        step, response = with_ben_of(V11)
        odd = evolve(response, state=(*response.state, b"{}"))
        assert found(audit(step, odd)) == {("dropped", "malformed")}

    def test_that_is_no_state_is_dropped(self) -> None:
        room = a_public_room(V11)
        step = signed(room, omit_members=False)
        template = {**step.event.to_pdu(), "type": "m.room.message"}
        del template["state_key"]
        message = EventTemplate.of(template, V11).complete(B)
        response = answer(room, step)
        odd = evolve(response, state=(*response.state, message.pdu))
        assert found(audit(step, odd)) == {("dropped", "no_state")}

    def test_in_a_taken_place_is_dropped(self) -> None:
        room = a_public_room(V11)
        step = signed(room, omit_members=False)
        response = answer(room, step)
        second = with_state(room, "m.room.join_rules", {"join_rule": "invite"})
        rules = second.state.get("m.room.join_rules")
        assert rules is not None
        odd = evolve(response, state=(*response.state, rules.pdu, response.state[0]))
        assert found(audit(step, odd)) == {("dropped", "same_place")}

    def test_in_a_taken_place_is_not_said_to_be_absent(self) -> None:
        step, response = with_ben_of(V11)
        other = with_state(a_public_room(V11), "m.room.join_rules", {"join_rule": "knock"})
        another = other.state.get("m.room.join_rules")
        assert another is not None
        state = (another.pdu, *response.state)
        chain = altered(response, gone, "m.room.join_rules").auth_chain
        codes = {
            code for _, code in found(audit(step, evolve(response, state=state, auth_chain=chain)))
        }
        assert {"same_place", "depends_on_fallen", "join_unauthorised"} <= codes
        assert "missing_auth_event" not in codes

    def test_that_the_rules_reject_is_dropped(self) -> None:
        room = a_public_room(V11)
        step = signed(room, omit_members=False)
        response = answer(room, step)
        bad = with_state(room, "m.room.topic", {}, sender=CAY, signer=CAY_SIGNER)
        topic = bad.state.get("m.room.topic")
        assert topic is not None
        odd = evolve(response, state=(*response.state, topic.pdu))
        result = audit(step, odd)
        assert found(result) == {("dropped", "rejected")}
        assert result.defects[0].decision is not None
        assert str(result.defects[0]).startswith(f"dropped {topic.event_id}: rejected by rule 5")

    @pytest.mark.parametrize(
        ("content", "state_key"),
        [
            ({"membership": "leave"}, CAY),
            ({"membership": "join"}, "no user"),
            ({"membership": "leave"}, "no user"),
            ({}, CAY),
        ],
    )
    def test_may_not_list_what_others_list(self, content: Pdu, state_key: str) -> None:
        """What a join may list is not for all: of malformed members, for some."""
        room = a_public_room(V11)
        step = signed(room, omit_members=False)
        places = ("m.room.create", "m.room.join_rules")
        listed = [event for place in places if (event := room.state.get(place))]
        join = step.event.to_pdu() | {
            "sender": CAY,
            "state_key": CAY,
            "auth_events": [event.event_id for event in listed],
        }
        events = [
            EventTemplate.of(join | more, V11).complete(CAY_SIGNER)
            for more in (
                {},
                {"state_key": "no user either"},
                {"state_key": state_key, "content": content},
            )
        ]
        response = answer(room, step)
        odd = evolve(response, auth_chain=(*response.auth_chain, *(event.pdu for event in events)))
        told = {defect.event_id: defect.decision for defect in audit(step, odd).defects}
        for event in events:
            expected = auth.check_auth_events(event, listed)
            if expected.allowed:
                expected = auth.check(event, RoomState.of(V11, listed))
            assert told.get(event.event_id) == (None if expected.allowed else expected)

    def test_whose_auth_events_are_absent_is_dropped_and_all_are_named(self) -> None:
        step, response = with_ben_of(V11)
        listed = ["$" + "x" * 43, "$" + "y" * 43]
        pdu = json.loads(response.state[1])
        orphan = EventTemplate.of({**pdu, "auth_events": listed, "state_key": ANA}, V11)
        event = orphan.complete(A)
        odd = evolve(response, auth_chain=(*response.auth_chain, event.pdu))
        result = audit(step, odd)
        assert found(result) >= {("noted", "missing_auth_event")}
        missing = [d.event_id for d in result.defects if d.code == "missing_auth_event"]
        assert missing == listed

    def test_in_a_circle_is_dropped(self) -> None:
        room = a_public_room(V1)
        step = signed(room, omit_members=False)
        response = answer(room, step)
        pdus = []
        for name, other in (("$x:a.example", "$y:a.example"), ("$y:a.example", "$x:a.example")):
            fields = {**step.event.to_pdu(), "sender": ANA, "state_key": ANA}
            fields |= {"auth_events": [[other, {}]], "type": "m.room.topic"}
            fields["event_id"] = name
            pdus.append(EventTemplate.of(fields, V1).complete(A).pdu)
        odd = evolve(response, auth_chain=(*response.auth_chain, *pdus))
        assert ("dropped", "circle") in found(audit(step, odd))
        unverified = [json.dumps(unsigned(json.loads(pdu))).encode() for pdu in pdus]
        odd = evolve(response, auth_chain=(*response.auth_chain, *unverified))
        assert found(audit(step, odd)) == {("dropped", "bad_signature")}


def badly_signed(pdu: Pdu) -> Pdu:
    return {**pdu, "signatures": {"a.example": {A.key_id: "A" * 86}}}


def both_signed(pdu: Pdu) -> Pdu:
    return signing.sign(Event.from_pdu(json.dumps(pdu), V11), B).to_pdu()


class TestJoinThatNobodySigned:
    @pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
    def test_is_fatal(self, version: RoomVersion) -> None:
        step, response = with_ben_of(version)
        join = step.event.with_signers([])
        result = audit(evolve(step, event=join), response)
        assert found(result) == {("fatal", "join_unsigned")}
        assert result.state is None


class TestForgedInvite:
    """An invite in Ana's name that nobody signed, in an answer to Ben's join."""

    @pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=str)
    @pytest.mark.parametrize("third", [0, None, [], {}, {"signed": 0}, {"signed": None}])
    @pytest.mark.parametrize("spoil", [{}, {"hashes": {"sha256": "AAAA"}}])
    def test_does_not_get_into_the_state(
        self, version: RoomVersion, third: Any, spoil: Pdu
    ) -> None:
        room = with_cay(a_public_room(version))
        step = signed(room, omit_members=False)
        content = {"membership": "invite", "third_party_invite": third}
        invited = with_state(room, "m.room.member", content, sender=ANA, state_key=MAL)
        invite = invited.state.get("m.room.member", MAL)
        assert invite is not None
        pdu = json.dumps({**invite.to_pdu(), "signatures": {}, **spoil}).encode()
        response = answer(room, step)
        result = audit(step, evolve(response, state=(*response.state, pdu)))
        assert found(result) == {("dropped", "bad_signature")}
        assert result.state == audit(step, response).state

    @pytest.mark.parametrize("version", [V6, V10, V11], ids=str)
    def test_needs_the_key_of_its_sender(self, version: RoomVersion) -> None:
        room = with_cay(a_public_room(version))
        step = signed(room, omit_members=False)
        third = {"membership": "invite", "third_party_invite": {"signed": {}}}
        invited = with_state(room, "m.room.member", third, sender=CAY, state_key=MAL)
        invite = invited.state.get("m.room.member", MAL)
        assert invite is not None
        spoilt = {"hashes": {"sha256": "AAAA"}, "signatures": {"c.example": {"ed25519:x": ""}}}
        pdu = json.dumps({**invite.to_pdu(), **spoilt}).encode()
        response = evolve(answer(room, step), state=(pdu,), auth_chain=())
        read = examine(response, step.event, asked_to_omit=False, resident="a.example")
        assert read.needs == ({} if version is V11 else {"c.example": frozenset({"ed25519:x"})})


class TestCopy:
    """An event that stands in the answer more than once, not always alike."""

    RULES = ("m.room.join_rules", "")

    @pytest.mark.parametrize("change", [unsigned, badly_signed, renamed])
    @pytest.mark.parametrize("place", ["state", "auth_chain"])
    @pytest.mark.parametrize("first", [True, False])
    def test_that_is_bad_does_no_harm(
        self, change: Callable[[Pdu], Pdu], place: str, first: bool
    ) -> None:
        step, response = with_ben_of(V11)
        good, bad = (
            getattr(answer, place) for answer in (response, altered(response, change, *self.RULES))
        )
        result = audit(step, evolve(response, **{place: bad + good if first else good + bad}))
        assert found(result) == {("noted", "bad_copy")}
        assert result.state == audit(step, response).state

    @pytest.mark.parametrize("place", ["state", "auth_chain"])
    @pytest.mark.parametrize("first", [True, False])
    def test_of_the_create_event_that_is_bad_does_no_harm(self, place: str, first: bool) -> None:
        step, response = with_ben_of(V10)
        good, bad = (
            getattr(answer, place)
            for answer in (response, altered(response, renamed, "m.room.create"))
        )
        result = audit(step, evolve(response, **{place: bad + good if first else good + bad}))
        assert found(result) == {("noted", "bad_copy")}

    @pytest.mark.parametrize("place", ["state", "auth_chain"])
    def test_in_the_other_list_counts_when_it_is_the_good_one(self, place: str) -> None:
        step, response = with_ben_of(V11)
        bad = getattr(altered(response, unsigned, *self.RULES), place)
        result = audit(step, evolve(response, **{place: bad}))
        assert found(result) == {("noted", "bad_copy")}

    def test_with_more_signatures_is_no_defect(self) -> None:
        step, response = with_ben_of(V11)
        more = altered(response, both_signed, *self.RULES)
        result = audit(step, evolve(response, auth_chain=more.auth_chain + response.auth_chain))
        assert result.defects == ()
        assert result.state is not None
        rules = result.state.get("m.room.join_rules")
        assert rules is not None
        assert rules.signed_by == {"a.example", "b.example"}

    def test_counts_among_the_keys_that_are_needed(self) -> None:
        step, response = with_ben_of(V11)

        def another_key(pdu: Pdu) -> Pdu:
            return {**pdu, "signatures": {"a.example": {"ed25519:old": "A" * 86}}}

        chain = altered(response, another_key, *self.RULES).auth_chain
        examination = examine(
            evolve(response, auth_chain=chain), step.event, asked_to_omit=False, resident="x"
        )
        assert examination.needs["a.example"] == {A.key_id, "ed25519:old"}  # type: ignore[index]  # a name

    @pytest.mark.parametrize("place", ["state", "auth_chain"])
    @pytest.mark.parametrize("change", [{"depth": 9}, {"type": "m.room.name"}])
    def test_that_is_another_event_is_dropped(self, place: str, change: Pdu) -> None:
        """Up to version 2, where the ID stands in the event."""
        step, response = with_ben_of(V1)

        def another(pdu: Pdu) -> Pdu:
            return EventTemplate.of({**pdu, **change}, V1).complete(A).to_pdu()

        both = getattr(response, place) + getattr(altered(response, another, *self.RULES), place)
        result = audit(step, evolve(response, **{place: both}))
        assert found(result) == {("dropped", "same_id")}
        assert result.state == audit(step, response).state


class TestFatalDefect:
    def test_no_create_event(self) -> None:
        step, response = with_ben_of(V11)
        odd = evolve(response, state=response.state[1:])
        assert fatal_codes(step, odd, KEYS) >= {"no_create_event"}

    @pytest.mark.parametrize("place", ["state", "auth_chain"])
    def test_two_create_events(self, place: str) -> None:
        step, response = with_ben_of(V11)
        pdu = json.loads(response.state[0])
        other = EventTemplate.of({**pdu, "origin_server_ts": 7}, V11).complete(A).pdu
        odd = evolve(response, **{place: (*getattr(response, place), other)})
        assert fatal_codes(step, odd, KEYS) == {"two_create_events"}

    def test_another_room_version(self) -> None:
        room = a_public_room(V10)
        step = signed(room, omit_members=False)
        create = room.state.create_event
        assert create is not None
        content = {**create.content, "room_version": "9"}
        other = EventTemplate.of({**create.to_pdu(), "content": content}, V10).complete(A)
        response = answer(room, step)
        odd = evolve(response, state=(other.pdu, *response.state[1:]))
        assert "other_room_version" in fatal_codes(step, odd, KEYS)

    @pytest.mark.parametrize("version", [V8, V10], ids=str)
    def test_a_room_version_that_somebody_put_there(self, version: RoomVersion) -> None:
        """Redaction takes it out, so the event has the same ID."""
        room = with_cay(a_public_room(KNOWN["9"]))
        response = answer(room, signed(room, omit_members=False))

        def lying(pdu: Pdu) -> Pdu:
            return {**pdu, "content": {**pdu["content"], "room_version": str(version)}}

        offered = evolve(template(room), room_version=str(version))
        step: Any = begin(room, omit_members=False).receive(offered, at=AT + 1)
        lie = evolve(altered(response, lying, "m.room.create"), event=None)
        assert ("fatal", "other_room_version") in found(audit(step, lie))

    def test_members_left_out_unasked(self) -> None:
        step, response = with_ben_of(V11)
        odd = evolve(response, members_omitted=True, servers_in_room=("a.example",))
        assert fatal_codes(step, odd, KEYS) == {"members_omitted_unasked"}

    @pytest.mark.parametrize("servers", [None, ()])
    def test_members_left_out_and_no_servers(self, servers: Any) -> None:
        room = a_public_room(V11)
        step = signed(room)
        odd = evolve(answer(room, step), servers_in_room=servers)
        assert fatal_codes(step, odd, KEYS) == {"no_servers_in_room"}

    @pytest.mark.parametrize("event", [b"{}", b'{"type": 5}'])
    def test_a_join_that_came_back_as_no_event(self, event: bytes) -> None:
        step, response = with_ben_of(V11)
        assert fatal_codes(step, evolve(response, event=event), KEYS) == {"altered_join"}

    def test_another_join(self) -> None:
        step, response = with_ben_of(V11)
        odd = evolve(response, event=response.state[0])
        assert fatal_codes(step, odd, KEYS) == {"altered_join"}

    @pytest.mark.parametrize("version", [V8, V12], ids=str)
    def test_a_join_that_nobody_vouched_for(self, version: RoomVersion) -> None:
        room = a_restricted_room(version)
        step = signed(room)
        response = answer(room, step)
        for odd in (evolve(response, event=None), evolve(response, event=step.event.pdu)):
            assert "not_countersigned" in fatal_codes(step, odd, KEYS)

    def test_a_room_that_rejects_the_join(self) -> None:
        room = a_public_room(V11)
        step = signed(room, omit_members=False)
        ban = {"membership": "ban"}
        banned = with_state(room, "m.room.member", ban, state_key=step.event.sender)
        event = banned.state.get("m.room.member", step.event.sender)
        assert event is not None
        response = answer(room, step)
        odd = evolve(response, state=(*response.state, event.pdu))
        assert fatal_codes(step, odd, KEYS) == {"join_rejected"}

    def test_a_join_whose_auth_events_are_absent(self) -> None:
        step, response = with_ben_of(V11)
        odd = altered(response, gone, "m.room.join_rules")
        assert "join_unauthorised" in fatal_codes(step, odd, KEYS)


class TestStateThatContradictsItself:
    @staticmethod
    def answered(levels: int, **options: Any) -> tuple[AwaitingAcceptance, SendJoinResponse]:
        """An answer of a room whose power levels were sent so many times."""
        room = with_cay(a_public_room(V11))
        for level in range(levels):
            content = {"users": {ANA: 100}, "invite": level}
            room = with_state(room, "m.room.power_levels", content)
        step = signed(room, omit_members=False, **options)
        return step, answer(room, step)

    def test_by_having_the_join_is_noted(self) -> None:
        step, response = with_ben_of(V11)
        pdus = (*response.state, step.event.pdu)
        assert found(audit(step, evolve(response, state=pdus))) == {("noted", "after_join")}

    def test_by_an_empty_place_is_noted(self) -> None:
        step, response = self.answered(1)
        levels = ("m.room.power_levels",)
        chain = (*response.auth_chain, *kept(response.state, *levels))
        lie = evolve(altered(response, gone, *levels), auth_chain=chain)
        assert found(audit(step, lie)) == {("noted", "absent_from_state")}

    def test_by_an_event_that_was_replaced_is_noted(self) -> None:
        step, response = self.answered(2)
        levels = ("m.room.power_levels",)
        (newer,) = kept(response.state, *levels)
        older = [pdu for pdu in kept(response.auth_chain, *levels) if pdu != newer]
        state = (*altered(response, gone, *levels).state, *older)
        assert found(audit(step, evolve(response, state=state))) == {("noted", "replaced")}

    def test_is_not_shown_by_members_left_out(self) -> None:
        room = with_member(with_cay(a_public_room(V11)), CAY, "leave")
        room = with_state(with_state(room, "m.room.name", {"name": "x"}), "m.room.topic", {})
        step = signed(room)
        assert audit(step, answer(room, step)).defects == ()

    def test_is_not_shown_by_a_message_in_the_chain(self) -> None:
        step, response = with_ben_of(V11)
        pdu = json.loads(kept(response.state, "m.room.join_rules")[0])
        del pdu["state_key"]
        message = EventTemplate.of({**pdu, "type": "m.room.message"}, V11).complete(A)
        lie = evolve(response, auth_chain=(*response.auth_chain, message.pdu))
        result = audit(step, lie)
        assert result.defects == ()
        assert message.event_id in result.auth_chain

    def test_is_not_shown_by_what_fell(self) -> None:
        step, response = self.answered(2)
        levels = ("m.room.power_levels",)
        lie = evolve(
            response,
            state=altered(response, unsigned, *levels).state,
            auth_chain=[
                pdu for pdu in response.auth_chain if pdu not in kept(response.state, *levels)
            ],
        )
        codes = {code for _, code in found(audit(step, lie))}
        assert "bad_signature" in codes
        assert "absent_from_state" not in codes


class TestEventsToStore:
    def test_have_what_the_join_replaces(self) -> None:
        room = with_state(
            a_signed_room(V12), "m.room.member", {"membership": "invite"}, state_key=BEN
        )
        step = signed(room, omit_members=False)
        result = audit(step, answer(room, step))
        invite = room.state.members[UserID(BEN)]
        assert result.state is not None
        assert invite.event_id not in result.auth_chain
        assert invite not in result.state.events
        assert set(result.to_store) == {*room.state.events, step.event}

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_come_after_those_that_they_cite(self, version: RoomVersion) -> None:
        step, response = with_ben_of(version)
        backwards = evolve(
            response, state=response.state[::-1], auth_chain=response.auth_chain[::-1]
        )
        came: set[str] = set()
        for event in audit(step, backwards).to_store:
            assert came.issuperset(event.auth_events)
            came.add(event.event_id)
        assert len(came) == 5

    def test_have_the_join_once_with_all_its_signatures(self) -> None:
        room = a_restricted_room(V11)
        step = signed(room, omit_members=False)
        response = answer(room, step)
        again = audit(step, evolve(response, state=(*response.state, step.event.pdu)))
        joins = [event for event in again.to_store if event == step.event]
        assert [event.signed_by for event in joins] == [{"a.example", "b.example"}]

    def test_leave_out_what_fell(self) -> None:
        step, response = with_ben_of(V11)
        result = audit(step, altered(response, unsigned, "m.room.member", CAY))
        assert CAY not in {event.sender for event in result.to_store}

    def test_are_none_after_a_fatal_defect(self) -> None:
        step, response = with_ben_of(V11)
        assert audit(step, altered(response, unsigned, "m.room.create")).to_store == ()


class TestJoinThatCameBack:
    @staticmethod
    def changed(event: bytes, change: Callable[[Pdu], Pdu]) -> bytes:
        return json.dumps(change(json.loads(event))).encode()

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_with_altered_content_is_noted_and_not_taken_over(self, version: RoomVersion) -> None:
        step, response = with_ben_of(version)
        result = audit(step, evolve(response, event=self.changed(step.event.pdu, renamed)))
        assert found(result) == {("noted", "altered_join")}
        assert result.event.pdu == step.event.pdu

    def test_as_another_event_of_the_same_id_is_fatal(self) -> None:
        step, response = with_ben_of(V1)
        another = self.changed(step.event.pdu, lambda pdu: {**pdu, "depth": 1})
        assert fatal_codes(step, evolve(response, event=another)) == {"altered_join"}

    def test_gives_only_the_signatures_that_are_good(self) -> None:
        room = a_restricted_room(V11)
        step = signed(room, omit_members=False)
        response = answer(room, step)

        def stuffed(pdu: Pdu) -> Pdu:
            own = {**pdu["signatures"]["a.example"], "ed25519:none": {"x": []}, "x": 7}
            return {**pdu, "signatures": {**pdu["signatures"], "a.example": own, "x": {}}}

        result = audit(step, evolve(response, event=self.changed(response.event or b"", stuffed)))
        assert result.event.pdu == audit(step, response).event.pdu
        assert result.event.signed_by == {"a.example", "b.example"}


class TestJoinThatWeVouchFor:
    def test_needs_no_signature_but_ours(self) -> None:
        room = with_member(a_restricted_room(V11), "@bob:b.example", "join")
        step = signed(room)
        own = signing.sign(step.event, A)
        step = evolve(step, event=own)
        response = evolve(answer(room, step), event=None)
        assert audit(step, response).event.signed_by == {"a.example", "b.example"}


class TestNeeds:
    def test_are_the_keys_that_signed(self) -> None:
        step, response = with_ben_of(V11)
        examination = examine(response, step.event, asked_to_omit=False, resident="a.example")
        assert examination.needs == {
            "a.example": frozenset({"ed25519:a"}),
            "c.example": frozenset({"ed25519:c"}),
        }

    def test_of_a_restricted_join_are_the_vouching_servers_too(self) -> None:
        room = a_restricted_room(V11)
        step = signed(room)
        response = evolve(answer(room, step), state=(), auth_chain=())
        examination = examine(response, step.event, asked_to_omit=True, resident="a.example")
        assert set(examination.needs) == {"a.example"}

    def test_are_of_a_bounded_number_of_servers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        step, response = with_ben_of(V11)
        monkeypatch.setattr("matrix_membership.federation.audit._judge.MOST_SERVERS_OF_ANSWER", 1)
        examination = examine(response, step.event, asked_to_omit=False, resident="a.example")
        assert set(examination.needs) == {"a.example"}

    def test_of_a_restricted_join_stay_when_its_key_is_unknown(self) -> None:
        room = a_restricted_room(V11)
        step = signed(room)
        response = answer(room, step)
        examination = examine(response, step.event, asked_to_omit=True, resident="a.example")
        result = examination.audit(KeyRing.of({}))
        assert ("fatal", "not_countersigned") in found(result)
        assert result.needs == {"a.example": {"ed25519:a"}}

    def test_of_a_join_that_came_back_altered_are_those_of_the_join_that_was_sent(self) -> None:
        step = signed(a_restricted_room(V11))
        response = answer(a_restricted_room(V11), step)
        assert response.event is not None
        returned = json.loads(response.event)
        returned["content"]["join_authorised_via_users_server"] = MAL
        returned["signatures"]["evil.example"] = {"ed25519:x": ""}
        returned["hashes"] = json.loads(response.event)["hashes"]
        answered = evolve(response, state=(), auth_chain=(), event=json.dumps(returned).encode())
        read = examine(answered, step.event, asked_to_omit=True, resident="a.example")
        assert "evil.example" not in read.needs

    def test_pass_over_signatures_of_another_shape(self) -> None:
        step, response = with_ben_of(V11)
        odd = altered(
            evolve(response, event=None),
            lambda pdu: {**pdu, "signatures": {"a.example": []}},
            "m.room.create",
        )
        examination = examine(odd, step.event, asked_to_omit=False, resident="a.example")
        assert "a.example" in examination.needs
        assert not examination.audit(KEYS)


class TestServersInRoom:
    def test_are_those_of_the_members_when_all_are_there(self) -> None:
        step, response = with_ben_of(V11)
        told = evolve(response, servers_in_room=("a.example", "c.example", "evil.example"))
        result = audit(step, told)
        assert result.servers == {"a.example", "c.example"}
        assert result.defects == ()

    @pytest.mark.parametrize("omit_members", [False, True])
    def test_that_leave_out_a_member_who_is_shown_are_noted(self, omit_members: bool) -> None:
        room = with_cay(a_public_room(V11))
        step = signed(room, omit_members=omit_members)
        result = audit(step, evolve(answer(room, step), servers_in_room=("d.example",)))
        told = {"d.example"} if omit_members else set()
        assert found(result) == {("noted", "server_untold")}
        assert result.servers == {"a.example", "c.example"} | told
        assert result.state is not None
        assert result.state.servers_in_room == result.servers | {"b.example"}


class TestPartialState:
    def test_counts_the_servers_that_the_answer_names(self) -> None:
        room = with_cay(a_public_room(V11))
        step = signed(room)
        result = audit(step, answer(room, step))
        assert result.servers == {"a.example", "c.example"}
        assert result.state is not None
        assert result.state.servers_in_room == {"a.example", "b.example", "c.example"}
        assert result.state.membership_of(ANA) is JOIN

    def test_has_severities_in_words(self) -> None:
        assert [str(severity) for severity in Severity] == [
            "fatal",
            "dropped",
            "redacted",
            "noted",
        ]
