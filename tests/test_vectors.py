"""The vectors are what `make vectors` writes, cover every rule, and a reader that shares no code with the engine agrees."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import permutations
from typing import Any

import pytest

from matrix_membership import Event, KeyRing, Membership, RoomState, RoomVersion, auth, signing
from matrix_membership.canonical_json import thaw
from matrix_membership.errors import InvalidKey
from matrix_membership.federation import MatrixError, SendJoinResponse
from matrix_membership.federation.audit import examine
from matrix_membership.federation.spaces import answer_hierarchy
from matrix_membership.federation.transactions import read_transaction
from matrix_membership.identifiers import server_of
from matrix_membership.receipt import receive
from matrix_membership.receipt.policy_list import PolicyList
from matrix_membership.receipt.redactions import effect_of
from matrix_membership.room_summary import hierarchy, may_learn_of, summarise
from matrix_membership.room_versions import KNOWN
from matrix_membership.visibility import client_timeline, timeline
from tests import oracle, receipt_oracle, shapes
from tests.builders import VERSIONS
from tests.laws.test_visibility import Line, plainly
from tests.vectors.__main__ import FOLDER, files

# A source distribution leaves them out, to stay small; what it lacks, `make vectors` writes.
pytestmark = pytest.mark.skipif(
    not (FOLDER / "rules.jsonl").exists(),
    reason="run `make vectors` first: docs/vectors has no vectors",
)

LARGEST = 5_000_000
NAMES = (
    *("rules", "documents", "handshakes", "answers", "rooms", "refusals", "key_documents"),
    *("histories", "redactions", "summaries", "spaces", "policies", "transactions"),
)
# What fires whenever it is tried is silent nowhere; of the third, what is no member event is never tried by it.
ALWAYS_FIRES = ("otherwise", "authorised_by_a_member", "no_state_key_or_membership")


@cache
def read(name: str) -> tuple[Any, ...]:
    """The lines of a file."""
    return tuple(map(json.loads, (FOLDER / name).read_text("utf-8").splitlines()))


@cache
def keys() -> KeyRing:
    """The published keys."""
    return KeyRing.of(published())


@cache
def published() -> dict[str, dict[str, str]]:
    """The published keys as plain data."""
    document = json.loads((FOLDER / "keys.json").read_text("utf-8"))
    return {
        server: {key_id: key["verify_key"] for key_id, key in of_server.items()}
        for server, of_server in document.items()
    }


def room_of(version: str) -> list[Any]:
    """The state by which refusals are judged."""
    (found,) = (line for line in read("rooms.jsonl") if line["id"] == f"v{version}")
    return list(found["state"])


def verified(pdu: Any, version: str) -> Event:
    """A PDU with the servers that have signed it."""
    return signing.verify(Event.from_pdu(pdu, KNOWN[version]), keys())


class TestFiles:
    def test_are_current(self) -> None:
        for name, text in files().items():
            assert (FOLDER / name).read_text("utf-8") == text, f"{name}: run make vectors"

    def test_are_small(self) -> None:
        assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST

    @pytest.mark.parametrize("name", NAMES)
    def test_name_every_line_once(self, name: str) -> None:
        found = [line["id"] for line in read(f"{name}.jsonl")]
        assert len(found) == len(set(found)) > 0

    def test_are_all_explained(self) -> None:
        page = (FOLDER / "README.md").read_text("utf-8")
        for name in NAMES:
            for key in {key for line in read(f"{name}.jsonl") for key in line} - {"calls"}:
                assert f"`{key}`" in page, (name, key)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestRules:
    def lines(self, version: RoomVersion) -> list[Any]:
        """The cases of a version."""
        return [line for line in read("rules.jsonl") if line["room_version"] == str(version)]

    def test_decide_each_in_a_case(self, version: RoomVersion) -> None:
        found = {(line["rule"], line["number"], line["allowed"]) for line in self.lines(version)}
        assert found == {
            (rule.name, number, rule.allows) for number, rule in auth.rules_of(version).numbered
        }

    def test_stay_silent_each_in_a_case_of_the_other_verdict(self, version: RoomVersion) -> None:
        silent = {
            (name, line["allowed"]) for line in self.lines(version) for name in line["silent"]
        }
        for _, rule in auth.rules_of(version).numbered:
            if not rule.name.endswith(ALWAYS_FIRES) and rule.name != "member.unknown_membership":
                assert (rule.name, not rule.allows) in silent

    def test_decide_for_the_oracle_too(self, version: RoomVersion) -> None:
        for line in self.lines(version):
            event = verified(line["event"], str(version))
            pdus = line.get("state", line.get("auth_events"))
            events = [(verified(pdu, str(version)).event_id, pdu) for pdu in pdus]
            if line["judged_by"] == "auth_events":
                create = line["create"]
                theirs = oracle.judge_auth_events(
                    str(version),
                    line["event"],
                    events,
                    rejected=frozenset(line["rejected"]),
                    create=None
                    if create is None
                    else (verified(create, str(version)).event_id, create),
                )
                closing = line["rule"] == "auth_events.otherwise"
                assert theirs == (None if closing else (line["allowed"], line["number"])), line[
                    "id"
                ]
                continue
            by_place = {(pdu["type"], pdu["state_key"]): pdu for _, pdu in events}
            creates = [found for found, pdu in events if pdu["type"] == "m.room.create"]
            theirs = oracle.judge(
                str(version),
                line["event"],
                by_place,
                create_id=creates[0] if creates else "",
                signed_by=event.signed_by,
                event_id=event.event_id,
            )
            assert theirs == (line["allowed"], line["number"]), line["id"]

    def test_are_judged_by_signed_events(self, version: RoomVersion) -> None:
        for line in self.lines(version):
            for pdu in line.get("state", ()):
                assert signing.missing_signers(verified(pdu, str(version))) == frozenset()


class TestDocuments:
    def test_are_of_every_version(self) -> None:
        assert {line["room_version"] for line in read("documents.jsonl")} == set(KNOWN)

    def test_are_hashed_and_signed(self) -> None:
        for line in read("documents.jsonl"):
            event = verified(line["pdu"], line["room_version"])
            assert event.content_hash_matches
            assert event.event_id == line["event_id"]
            assert "a.example" in event.signed_by

    def test_keep_id_and_signature_when_redacted(self) -> None:
        for line in read("documents.jsonl"):
            event = verified(line["redacted"], line["room_version"])
            assert event.event_id == line["event_id"]
            assert "a.example" in event.signed_by


class TestAnswers:
    def test_have_the_defects_that_are_told(self) -> None:
        for line in read("answers.jsonl"):
            found = examine(
                SendJoinResponse.from_json(line["answer"]),
                verified(line["join"], line["room_version"]),
                asked_to_omit=line["asked_to_omit_members"],
                resident=line["resident"],
            ).audit(keys())
            told = {(str(entry.severity), entry.code, entry.event_id) for entry in found.defects}
            assert sorted(map(list, told)) == line["defects"], line["id"]
            assert (found.state is not None) is line["usable"]

    def test_that_are_good_have_none(self) -> None:
        good = [line for line in read("answers.jsonl") if line["id"].endswith("/good")]
        assert len(good) == len(KNOWN)
        assert all(line["usable"] and not line["defects"] for line in good)


class TestHandshakes:
    def test_send_events_that_are_signed(self) -> None:
        for line in read("handshakes.jsonl"):
            for call in line["calls"]:
                for sent in (call["body"], call["answer"]):
                    event = sent.get("event", sent) if isinstance(sent, dict) else {}
                    if "hashes" in event:
                        known = verified(event, line["room_version"])
                        assert known.server in known.signed_by, line["id"]

    def test_give_a_restricted_join_both_signatures(self) -> None:
        found = [
            line for line in read("handshakes.jsonl") if line["id"].endswith("restricted-join")
        ]
        assert len(found) == sum(version.restricted_joins for version in VERSIONS)
        for line in found:
            event = verified(line["calls"][-1]["answer"]["event"], line["room_version"])
            assert event.signed_by == {"a.example", "b.example"}

    def test_leave_members_out_of_the_answer_to_a_join(self) -> None:
        found = [line for line in read("handshakes.jsonl") if line["id"].endswith("/join")]
        assert all(line["calls"][-1]["answer"]["members_omitted"] for line in found)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestRefusals:
    def lines(self, version: RoomVersion) -> list[Any]:
        """The cases of a version."""
        return [line for line in read("refusals.jsonl") if line["room_version"] == str(version)]

    def test_come_out_as_told(self, version: RoomVersion) -> None:
        events = [verified(pdu, str(version)) for pdu in room_of(str(version))]
        state = RoomState.of(version, events)
        for line in self.lines(version):
            taken = receive(
                line["pdu"],
                version,
                keys=keys(),
                auth_events=events,
                state_before=state,
                current_state=state,
            )
            assert str(taken.disposition) == line["disposition"], line["id"]
            if line["check"] is not None:
                assert taken.check is not None
                assert taken.check.value == line["check"], line["id"]

    def test_come_out_so_for_the_oracle_too(self, version: RoomVersion) -> None:
        for line in self.lines(version):
            told = (line["disposition"], line["check"])
            found = receipt_oracle.become(
                str(version), line["pdu"], room_of(str(version)), published()
            )
            assert found == told, line["id"]

    def test_are_of_every_kind(self, version: RoomVersion) -> None:
        found = {(line["disposition"], line["check"]) for line in self.lines(version)}
        assert found == {
            ("accepted", None),
            ("redacted", 3),
            ("rejected", None),
            ("dropped", 1),
            ("dropped", 2),
        }


class TestKeyDocuments:
    def ring(self, line: Any, documents: Iterable[Any]) -> KeyRing:
        """The keys of all servers, those of the asked one from documents alone."""
        ring = KeyRing({name: of for name, of in keys().servers.items() if name != line["asked"]})
        for document in documents:
            with suppress(InvalidKey):
                ring = ring.with_keys(
                    KeyRing.from_documents([document], expected=line["asked"], at=line["at"])
                )
        return ring

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_verify_in_any_order_what_is_told(self, version: RoomVersion) -> None:
        events = [verified(pdu, str(version)) for pdu in room_of(str(version))]
        state = RoomState.of(version, events)
        for line in read("key_documents.jsonl"):
            if line["room_version"] != str(version):
                continue
            for documents in permutations(line["key_documents"]):
                taken = receive(
                    line["pdu"],
                    version,
                    keys=self.ring(line, documents),
                    auth_events=events,
                    state_before=state,
                    current_state=state,
                )
                assert str(taken.disposition) == line["disposition"], line["id"]

    def test_verify_so_for_the_oracle_too(self) -> None:
        for line in read("key_documents.jsonl"):
            good = receipt_oracle.known_keys(
                line["key_documents"],
                line["asked"],
                at=line["at"],
                sent=line["pdu"]["origin_server_ts"],
                number=int(line["room_version"]),
            )
            version = line["room_version"]
            found = receipt_oracle.become(
                version, json.dumps(line["pdu"]), room_of(version), published() | good
            )
            assert found == (line["disposition"], line["check"]), line["id"]


def state_of(pdus: Iterable[Any], version: str) -> RoomState:
    return RoomState.of(KNOWN[version], [verified(pdu, version) for pdu in pdus])


class TestHistories:
    def lines(self) -> Iterable[tuple[Any, Line]]:
        """The histories, each with the state before every event and after the last."""
        for line in read("histories.jsonl"):
            version = line["room_version"]
            states = [RoomState.of(KNOWN[version], [])]
            events = tuple(verified(pdu, version) for pdu in line["events"])
            for event in events:
                after = states[-1].with_event(event) if event.is_state else states[-1]
                states.append(after)
            assert [event.event_id for event in events] == line["event_ids"]
            yield line, Line(events, tuple(states))

    def test_are_seen_as_the_text_says(self) -> None:
        for line, history in self.lines():
            for viewer, told in line["sees"].items():
                users = [user for user in line["memberships"] if viewer in (user, server_of(user))]
                seen = [
                    event.event_id
                    for index, event in enumerate(history.events)
                    if any(plainly(user, history, index) for user in users)
                ]
                assert seen == told, (line["id"], viewer)

    def test_are_served_to_servers_whole_or_redacted(self) -> None:
        for line, history in self.lines():
            for server in ("a.example", "b.example", "c.example"):
                for event, shown in zip(
                    history.events,
                    timeline(server, history.steps, history.states[-1]),
                    strict=True,
                ):
                    whole = event.event_id in line["sees"][server]
                    assert shown.pdu == (event if whole else event.redacted()).pdu

    def test_tell_the_memberships(self) -> None:
        for line, history in self.lines():
            for user, told in line["memberships"].items():
                held = [state.get("m.room.member", user) for state in history.states[1:]]
                words = [
                    "leave" if event is None else event.content["membership"] for event in held
                ]
                assert words == told
                shown = client_timeline(user, history.steps, history.states[-1])
                by_id = dict(zip(line["event_ids"], told, strict=True))
                for event in shown:
                    assert event["unsigned"] == {"membership": by_id[event["event_id"]]}

    def test_are_of_every_change(self) -> None:
        names = {line["id"] for line in read("histories.jsonl")}
        assert len(names) == 4 * 5 + 12

    def test_are_events_that_the_rules_allow(self) -> None:
        for _, history in self.lines():
            for event, before in history.steps[1:]:
                assert auth.check(event, before), event


class TestRedactions:
    def test_are_allowed_and_applied_as_told(self) -> None:
        for line in read("redactions.jsonl"):
            version = line["room_version"]
            state = state_of(line["state"], version)
            redaction = verified(line["redaction"], version)
            target = None if line["target"] is None else verified(line["target"], version)
            assert auth.check(redaction, state).allowed is line["allowed"], line["id"]
            if line["allowed"]:
                effect = effect_of(redaction, target, state)
                assert (None if effect.waits else bool(effect)) is line["applies"], line["id"]

    def test_differ_between_versions(self) -> None:
        told = {(line["allowed"], line["applies"]) for line in read("redactions.jsonl")}
        assert told == {(True, True), (True, False), (True, None), (False, False)}


class TestSummaries:
    def test_come_of_the_state(self) -> None:
        for line in read("summaries.jsonl"):
            state = state_of(line["state"], line["room_version"])
            assert summarise(state) == line["summary"], line["id"]
            assert shapes.misfits(line["summary"], shapes.ROOM_SUMMARY) == []

    def test_are_shown_to_whom_it_is_told(self) -> None:
        for line in read("summaries.jsonl"):
            state = state_of(line["state"], line["room_version"])
            for viewer, shown in line["shown_to"].items():
                users = [
                    user
                    for members in line["memberships"].values()
                    for user in members
                    if viewer in (user, server_of(user))
                ]
                found = may_learn_of(
                    None if viewer == "nobody" else viewer,
                    state,
                    membership_of=lambda room_id, users=users, line=line: (  # type: ignore[misc]  # bound
                        Membership.JOIN if users and room_id in line["memberships"] else None
                    ),
                )
                assert (found is not None) is shown, (line["id"], viewer)


class TestSpaces:
    def test_give_users_their_trees(self) -> None:
        for line in read("spaces.jsonl"):
            rooms: Any = {
                name: state_of(pdus, line["room_version"]) for name, pdus in line["rooms"].items()
            }
            for user, told in line["trees"].items():
                tree = hierarchy(user, line["space"], rooms.get)
                assert tree is not None
                assert [room["room_id"] for room in tree.rooms] == told, line["id"]

    def test_give_servers_their_children(self) -> None:
        for line in read("spaces.jsonl"):
            rooms: Any = {
                name: state_of(pdus, line["room_version"]) for name, pdus in line["rooms"].items()
            }
            for server, told in line["answers"].items():
                assert answer_hierarchy(server, line["space"], rooms.get) == told, line["id"]
                assert shapes.misfits(told, shapes.SPACE) == []


class TestPolicies:
    def test_match_as_told(self) -> None:
        for line in read("policies.jsonl"):
            state = state_of(line["state"], line["room_version"])
            policies = PolicyList.of(state)
            entities = {
                event.state_key: str(event.content.get("entity"))
                for event in state.events_but_members
            }
            for name, keys in line["matches"].items():
                found = policies.about(name)
                assert sorted(rule.entity for rule in found) == sorted(
                    entities[key] for key in keys
                )
                assert any(rule.bans for rule in found) is (name in line["banned"]), name


class TestTransactions:
    def test_are_taken_as_told(self) -> None:
        for line in read("transactions.jsonl"):
            version = line["room_version"]
            rooms = {name: state_of(pdus, version) for name, pdus in line["rooms"].items()}
            taken = read_transaction(line["transaction"], line["origin"], rooms.get)
            if isinstance(taken, MatrixError):
                assert taken.status == line["status"], line["id"]
                continue
            assert line["status"] == 200
            assert [read.event.event_id for read in taken.pdus] == line["order"], line["id"]
            assert list(taken.refused) == line["refused"], line["id"]
            assert thaw(taken.edus) == line["edus"], line["id"]
