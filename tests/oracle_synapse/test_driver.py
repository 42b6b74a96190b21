"""Synapse judges cases whose verdict the specification leaves no doubt about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from matrix_membership.canonical_json import decode
from matrix_membership.errors import InvalidJson
from tests.interop.synapse import SynapseFailed
from tests.oracle_synapse.client import Answer, OracleFailed, SynapseOracle

pytestmark = pytest.mark.oracle

ANA, BEN, CAY = "@ana:a.org", "@ben:b.org", "@cay:c.org"

Pdu = dict[str, Any]


@pytest.fixture(scope="module")
def oracle() -> Iterator[SynapseOracle]:
    try:
        asked = SynapseOracle()
    except SynapseFailed as missing:
        pytest.fail(str(missing), pytrace=False)
    with asked:
        yield asked


def pdu(event_type: str, sender: str, content: Pdu, state_key: str | None = "") -> Pdu:
    made: Pdu = {"type": event_type, "sender": sender, "content": content, "room_id": "!create"}
    # What no rule under test reads.
    made |= {"depth": 2, "origin_server_ts": 1, "prev_events": [], "auth_events": []}
    return made if state_key is None else made | {"state_key": state_key}


def member(user: str, membership: object, sender: str | None = None, **content: object) -> Pdu:
    return pdu("m.room.member", sender or user, {"membership": membership, **content}, user)


def room(version: str, *events: Pdu, join_rule: str = "public") -> list[tuple[str, Pdu]]:
    """Ana's room; the ids are made up."""
    create = pdu("m.room.create", ANA, {"creator": ANA, "room_version": version})
    if version == "12":
        del create["room_id"]
    joined = member(ANA, "join")
    rules = pdu("m.room.join_rules", ANA, {"join_rule": join_rule})
    others = [(f"${place}", event) for place, event in enumerate((joined, rules, *events))]
    return [("$create", create), *others]


def state_case(
    version: str, event: Pdu, state: list[tuple[str, Pdu]], **more: object
) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "version": version,
        "kind": "state",
        "event": event,
        "event_id": "$judged",
    }
    return asked | {"auth_events": state} | more


def auth_case(version: str, event: Pdu, *cited: tuple[str, Pdu], **more: object) -> dict[str, Any]:
    ids: list[Any] = [id for id, _ in cited]
    if version == "12":
        ids.remove("$create")
    if version in ("1", "2"):
        ids = [[id, {}] for id in ids]
    citing = event | {"auth_events": ids}
    return state_case(version, citing, list(cited), **more) | {"kind": "auth_events"}


def allowed(answer: Answer) -> bool:
    assert answer["undecided"] is None
    return answer["allowed"]


@pytest.mark.parametrize("version", [str(number) for number in range(1, 13)])
class TestEveryVersion:
    def test_lets_a_user_into_a_public_room(self, oracle: SynapseOracle, version: str) -> None:
        case = state_case(version, member(BEN, "join"), room(version))
        assert allowed(oracle.judge(case))

    def test_keeps_a_banned_user_out(self, oracle: SynapseOracle, version: str) -> None:
        state = room(version, member(BEN, "ban", ANA))
        answer = oracle.judge(state_case(version, member(BEN, "join"), state))
        assert not allowed(answer)
        assert "banned" in (answer["error"] or "")

    def test_reads_the_auth_events(self, oracle: SynapseOracle, version: str) -> None:
        create, joined, rules = room(version)
        event = member(BEN, "join")
        assert allowed(oracle.judge(auth_case(version, event, create, rules)))
        assert not allowed(oracle.judge(auth_case(version, event, create, rules, joined)))
        again = auth_case(version, event, create, rules, rejected=["$1"])
        assert not allowed(oracle.judge(again))

    def test_lets_the_creator_in_first(self, oracle: SynapseOracle, version: str) -> None:
        create = room(version, join_rule="invite")[:1]
        previous: list[Any] = [["$create", {}]] if version in ("1", "2") else ["$create"]
        first = member(ANA, "join") | {"prev_events": previous}
        assert allowed(oracle.judge(state_case(version, first, create)))
        assert not allowed(oracle.judge(state_case(version, member(ANA, "join"), create)))


class TestInvite:
    def test_needs_the_invite_level(self, oracle: SynapseOracle) -> None:
        levels = pdu("m.room.power_levels", ANA, {"invite": 50, "users": {ANA: 100}})
        state = room("6", member(BEN, "join"), levels, join_rule="invite")
        assert allowed(oracle.judge(state_case("6", member(CAY, "invite", ANA), state)))
        assert not allowed(oracle.judge(state_case("6", member(CAY, "invite", BEN), state)))


class TestKick:
    @pytest.mark.parametrize(("level", "verdict"), [(49, False), (50, True), (100, True)])
    def test_needs_the_kick_level(self, oracle: SynapseOracle, level: int, verdict: bool) -> None:
        levels = pdu("m.room.power_levels", ANA, {"users": {ANA: 100, BEN: level}})
        state = room("10", member(BEN, "join"), member(CAY, "join"), levels)
        kick = member(CAY, "leave", BEN)
        assert allowed(oracle.judge(state_case("10", kick, state))) is verdict


class TestRestrictedJoin:
    JOIN = member(BEN, "join", join_authorised_via_users_server=ANA)
    STATE = room("8", join_rule="restricted")

    def test_needs_an_authoriser(self, oracle: SynapseOracle) -> None:
        assert allowed(oracle.judge(state_case("8", self.JOIN, self.STATE)))
        assert not allowed(oracle.judge(state_case("8", member(BEN, "join"), self.STATE)))

    def test_needs_the_signature_of_the_authorisers_server(self, oracle: SynapseOracle) -> None:
        signed = state_case("8", self.JOIN, self.STATE, signed_by=["b.org", "a.org"])
        unsigned = state_case("8", self.JOIN, self.STATE, signed_by=["b.org"])
        assert allowed(oracle.judge(signed))
        assert not allowed(oracle.judge(unsigned))


class TestCreatorOfVersion12:
    def test_outranks_every_level(self, oracle: SynapseOracle) -> None:
        levels = pdu("m.room.power_levels", ANA, {"users": {BEN: 2**53 - 1}})
        state = room("12", member(BEN, "join"), levels)
        assert allowed(oracle.judge(state_case("12", member(BEN, "leave", ANA), state)))
        assert not allowed(oracle.judge(state_case("12", member(ANA, "leave", BEN), state)))

    def test_is_not_outranked_in_version_11(self, oracle: SynapseOracle) -> None:
        levels = pdu("m.room.power_levels", ANA, {"users": {BEN: 100}})
        state = room("11", member(BEN, "join"), levels)
        assert not allowed(oracle.judge(state_case("11", member(BEN, "leave", ANA), state)))


class TestMalformedEvents:
    def test_of_no_membership_are_left_undecided(self, oracle: SynapseOracle) -> None:
        nameless = pdu("m.room.member", BEN, {}, BEN)
        answer = oracle.judge(state_case("10", nameless, room("10")))
        assert answer["undecided"] is not None
        assert (answer["allowed"], answer["error"]) == (False, None)

    def test_of_unknown_membership_are_rejected(self, oracle: SynapseOracle) -> None:
        state = room("10", member(BEN, "join"))
        assert not allowed(oracle.judge(state_case("10", member(BEN, "lurk"), state)))

    def test_are_dropped_when_they_are_no_events(self, oracle: SynapseOracle) -> None:
        wrong = member(BEN, "join") | {"sender": 5}
        assert "Invalid event" in oracle.judge(state_case("10", wrong, room("10")))["dropped"]

    def test_are_dropped_on_receipt(self, oracle: SynapseOracle) -> None:
        large = member(BEN, "join", number=2**53) | {"hashes": {"sha256": ""}}
        case = state_case("6", large, room("6"))
        assert allowed(oracle.judge(case))
        assert "range" in oracle.judge({**case, "received": True})["dropped"]

    @pytest.mark.parametrize("version", ["1", "6", "12"])
    def test_are_nested_as_deep_as_here(self, oracle: SynapseOracle, version: str) -> None:
        for levels, taken in ((126, True), (127, False)):
            content: Any = {}
            for _ in range(levels - 1):
                content = {"a": content}
            deep = pdu("org.example.deep", ANA, content)
            answer = oracle.judge(state_case(version, deep, room(version)))
            assert ("dropped" not in answer) is taken
            assert reads(json.dumps(deep)) is taken


def reads(text: str) -> bool:
    """Tell whether this library reads a text."""
    try:
        decode(text, strict=False)
    except InvalidJson:
        return False
    return True


class TestSynapseOracle:
    def test_answers_in_order(self, oracle: SynapseOracle) -> None:
        state = room("10")
        users = [f"@u{number}:b.org" for number in range(1000)]
        cases = (state_case("10", member(user, "join"), state, id=user) for user in users)
        assert [answer["id"] for answer in oracle.judge_many(cases)] == users

    def test_survives_lines_larger_than_a_pipe(self, oracle: SynapseOracle) -> None:
        state = room("10", member(BEN, "join"))
        case = state_case("10", member(BEN, "x" * 200_000), state)
        answers = list(oracle.judge_many([case] * 20))
        assert [len(answer["error"] or "") > 200_000 for answer in answers] == [True] * 20

    def test_goes_on_after_a_case_that_is_none(self, oracle: SynapseOracle) -> None:
        with pytest.raises(OracleFailed):
            list(oracle.judge_many([{}, {}]))
        assert allowed(oracle.judge(state_case("10", member(BEN, "join"), room("10"))))
