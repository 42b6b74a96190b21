"""The oracle tried on what servers are known to judge differently, and on every number."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from signedjson.key import decode_signing_key_base64
from signedjson.sign import sign_json

from tests.oracle import RECOGNISED as VERSIONS
from tests.oracle import Json, Pdu, StateKey, Verdict, judge, judge_auth_events

ALICE, ANA = "@alice:a.example", "@ana:a.example"
BOB, CAROL, DAN = "@bob:b.example", "@carol:c.example", "@dan:d.example"
ROOM_ID = "!room:a.example"
CREATE_ID = "$create:a.example"
BEFORE_V12 = VERSIONS[:11]

# The versions that share a list of rules.
LISTS = (("1", "2"), ("3", "4", "5"), ("6",), ("7",), ("8", "9"), ("10",), ("11",), VERSIONS[11:])


def allowed(number: str) -> Verdict:
    return Verdict(True, number)


def rejected(number: str) -> Verdict:
    return Verdict(False, number)


def numbered(*numbers: str) -> list[tuple[str, str]]:
    """Pair each version of the last lists with the number its list has."""
    pairs = zip(LISTS[-len(numbers) :], numbers, strict=True)
    return [(version, number) for versions, number in pairs for version in versions]


def pdu(kind: str, sender: str, content: Json = None, **fields: Json) -> Pdu:
    event = {
        "type": kind,
        "sender": sender,
        "room_id": ROOM_ID,
        "content": {} if content is None else content,
        "prev_events": ["$before:a.example"],
        "auth_events": [],
        "depth": 7,
        "origin_server_ts": 7,
    }
    return event | fields


def member(sender: str, target: str, membership: Json, **content: Json) -> Pdu:
    content["membership"] = membership
    return pdu("m.room.member", sender, content, state_key=target)


def join(user: str, **content: Json) -> Pdu:
    return member(user, user, "join", **content)


def create(**content: Json) -> Pdu:
    content.setdefault("creator", ALICE)
    return pdu("m.room.create", ALICE, content, state_key="", prev_events=[])


def power_levels(sender: str, **content: Json) -> Pdu:
    return pdu("m.room.power_levels", sender, content, state_key="")


def power_levels_of(**users: Json) -> dict[str, Json]:
    """The levels of alice, ana, bob, carol and dan, by their names."""
    full = {"alice": ALICE, "ana": ANA, "bob": BOB, "carol": CAROL, "dan": DAN}
    return {"users": {full[name]: level for name, level in users.items()}}


def in_the_format_of(version: str, event: Pdu) -> Pdu:
    if version in ("1", "2"):
        pairs = [[event_id, {"sha256": ""}] for event_id in event["prev_events"]]
        return {"event_id": "$event:a.example"} | event | {"prev_events": pairs}
    return event


class Room(NamedTuple):
    """A room created by Alice who has joined, and what else a test puts in its state."""

    version: str
    state: dict[StateKey, Pdu]

    def judge(self, event: Pdu, *signed_by: str) -> Verdict:
        return judge(
            self.version,
            in_the_format_of(self.version, event),
            self.state,
            create_id=CREATE_ID,
            signed_by=frozenset(signed_by),
        )


def a_room(version: str, *events: Pdu, **memberships: Json) -> Room:
    full = {"alice": ALICE, "ana": ANA, "bob": BOB, "carol": CAROL, "dan": DAN}
    members = {"alice": "join"} | memberships
    listed = [create(), *events]
    listed += [member(ALICE, full[name], value) for name, value in members.items()]
    return Room(version, {(event["type"], event["state_key"]): event for event in listed})


def rule(value: Json) -> Pdu:
    return pdu("m.room.join_rules", ALICE, {"join_rule": value}, state_key="")


def levels(**content: Json) -> Pdu:
    return power_levels(ALICE, **content)


class TestCreate:
    def judged(self, version: str, event: Pdu) -> Verdict:
        if version not in BEFORE_V12:
            event = {name: value for name, value in event.items() if name != "room_id"}
        verdict = judge(version, event, {}, create_id=CREATE_ID)
        assert judge_auth_events(version, event, []) == verdict
        return verdict

    @pytest.mark.parametrize("version", VERSIONS)
    def test_is_allowed(self, version: str) -> None:
        number = "1.4" if version == "11" else "1.5"
        assert self.judged(version, create()) == allowed(number)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_has_no_previous_events(self, version: str) -> None:
        event = create() | {"prev_events": ["$before:a.example"]}
        assert self.judged(version, event) == rejected("1.1")

    @pytest.mark.parametrize("version", BEFORE_V12)
    @pytest.mark.parametrize("room_id", ["!room:b.example", "!room", None])
    def test_has_a_room_id_of_its_senders_server(self, version: str, room_id: Json) -> None:
        assert self.judged(version, create() | {"room_id": room_id}) == rejected("1.2")

    @pytest.mark.parametrize("room_id", ["!room", "", None])
    def test_has_no_room_id_in_version_12(self, room_id: Json) -> None:
        event = create() | {"room_id": room_id}
        assert judge("12", event, {}, create_id=CREATE_ID) == rejected("1.2")

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("room_version", ["0", "99", "", " 1", 1, None, ["1"], {}])
    def test_names_a_recognised_room_version(self, version: str, room_version: Json) -> None:
        assert self.judged(version, create(room_version=room_version)) == rejected("1.3")

    @pytest.mark.parametrize("room_version", VERSIONS)
    def test_may_name_another_room_version(self, room_version: str) -> None:
        assert self.judged("9", create(room_version=room_version)) == allowed("1.5")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_needs_a_creator_until_version_10(self, version: str) -> None:
        event = create() | {"content": {}}
        named = allowed("1.4" if version == "11" else "1.5")
        expected = rejected("1.4") if version in VERSIONS[:10] else named
        assert self.judged(version, event) == expected

    @pytest.mark.parametrize("creator", [None, 7, "nobody"])
    def test_may_have_any_creator(self, creator: Json) -> None:
        assert self.judged("10", create(creator=creator)) == allowed("1.5")

    @pytest.mark.parametrize(
        "creators", [None, {}, BOB, [None], [BOB, "bob"], ["@bob"], [f"@{'b' * 246}:b.example"]]
    )
    def test_has_valid_additional_creators_in_version_12(self, creators: Json) -> None:
        event = create(additional_creators=creators)
        assert self.judged("12", event) == rejected("1.4")
        assert self.judged("11", event) == allowed("1.4")

    @pytest.mark.parametrize("creators", [[], [BOB], [BOB, BOB, ALICE], ["@:b.example"]])
    def test_may_have_additional_creators(self, creators: Json) -> None:
        assert self.judged("12", create(additional_creators=creators)) == allowed("1.5")

    def test_is_judged_by_rule_1_whatever_its_state_key(self) -> None:
        event = create()
        del event["state_key"]
        assert self.judged("9", event) == allowed("1.5")


class TestAuthEvents:
    def judged(
        self, version: str, event: Pdu, auth_events: list[Pdu], *, bad: frozenset[str] = frozenset()
    ) -> Verdict | None:
        """Judge by events whose ids are $0, $1 and so on, after the create event's."""
        pairs = [(f"${index}", listed) for index, listed in enumerate(auth_events)]
        if version in BEFORE_V12:
            pairs.insert(0, (CREATE_ID, create()))
            return judge_auth_events(version, event, pairs, rejected=bad)
        event = event | {"room_id": "!create:a.example"}
        pairs = [(name, listed | {"room_id": "!create:a.example"}) for name, listed in pairs]
        accepted = (CREATE_ID, create())
        return judge_auth_events(version, event, pairs, rejected=bad, create=accepted)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_as_selected_decide_nothing(self, version: str) -> None:
        listed = [levels(), join(ALICE), rule("public")]
        assert self.judged(version, join(ALICE), listed) is None

    @pytest.mark.parametrize("version", VERSIONS)
    def test_stand_for_one_state_key_each(self, version: str) -> None:
        number = "3.1" if version not in BEFORE_V12 else "2.1"
        verdict = self.judged(version, join(ALICE), [join(ALICE), join(ALICE)])
        assert verdict == rejected(number)

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        "unexpected",
        [
            join(BOB),
            rule("public"),
            levels() | {"state_key": "x"},
            pdu("m.room.topic", ALICE, state_key=""),
            pdu("m.room.member", ALICE),
        ],
    )
    def test_are_those_selected(self, version: str, unexpected: Pdu) -> None:
        number = "3.2" if version not in BEFORE_V12 else "2.2"
        message = pdu("m.room.message", ALICE)
        assert self.judged(version, message, [unexpected]) == rejected(number)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_were_accepted(self, version: str) -> None:
        number = "3.3" if version not in BEFORE_V12 else "2.3"
        verdict = self.judged(version, join(ALICE), [join(ALICE)], bad=frozenset({"$0"}))
        assert verdict == rejected(number)

    @pytest.mark.parametrize("version", BEFORE_V12)
    def test_include_the_create_event(self, version: str) -> None:
        verdict = judge_auth_events(version, join(BOB), [("$0", join(BOB))])
        assert verdict == rejected("2.4")

    def test_include_no_create_event_in_version_12(self) -> None:
        assert self.judged("12", join(BOB), [create()]) == rejected("3.2")

    @pytest.mark.parametrize("version", BEFORE_V12)
    def test_are_of_the_same_room(self, version: str) -> None:
        other = join(ALICE) | {"room_id": "!other:a.example"}
        assert self.judged(version, join(ALICE), [other]) == rejected("2.5")

    def test_are_of_the_same_room_in_version_12(self) -> None:
        event, room = join(ALICE), {"room_id": "!create"}
        listed = [("$0", event | {"room_id": "!other"})]
        verdict = judge_auth_events("12", event | room, listed, create=("$create", create()))
        assert verdict == rejected("3.4")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_are_told_apart_before_their_rooms_are(self, version: str) -> None:
        number = "3.2" if version not in BEFORE_V12 else "2.2"
        other = join(BOB) | {"room_id": "!other:a.example"}
        assert self.judged(version, join(ALICE), [other]) == rejected(number)

    @pytest.mark.parametrize("membership", ["join", "invite", "knock"])
    def test_may_include_the_join_rules(self, membership: str) -> None:
        event = member(ALICE, ALICE, membership)
        assert self.judged("9", event, [rule("public")]) is None

    @pytest.mark.parametrize("membership", ["leave", "ban", None, ["join"]])
    def test_may_not_include_the_join_rules(self, membership: Json) -> None:
        event = member(ALICE, ALICE, membership)
        assert self.judged("9", event, [rule("public")]) == rejected("2.2")

    def test_may_include_the_senders_member_event(self) -> None:
        assert self.judged("9", pdu("x", BOB), [join(BOB)]) is None
        assert self.judged("9", pdu("m.room.member", BOB), [join(BOB)]) is None

    def test_of_other_types_are_not_selected_by_membership(self) -> None:
        event = pdu("x", BOB, {"membership": "join"}, state_key=ALICE)
        assert self.judged("9", event, [join(ALICE)]) == rejected("2.2")
        assert self.judged("9", event, [rule("public")]) == rejected("2.2")

    def test_may_include_the_targets_member_event(self) -> None:
        assert self.judged("9", member(ALICE, BOB, "leave"), [join(BOB)]) is None

    def test_may_include_the_authorisers_member_event_from_version_8_on(self) -> None:
        event = join(BOB, join_authorised_via_users_server=ALICE)
        assert self.judged("8", event, [join(ALICE)]) is None
        assert self.judged("7", event, [join(ALICE)]) == rejected("2.2")

    @pytest.mark.parametrize("authoriser", [None, BOB, [ALICE]])
    def test_include_no_member_event_of_another(self, authoriser: Json) -> None:
        event = join(BOB, join_authorised_via_users_server=authoriser)
        assert self.judged("8", event, [join(ALICE)]) == rejected("2.2")

    def test_include_an_authorisers_member_event_for_joins_only(self) -> None:
        event = member(BOB, BOB, "leave", join_authorised_via_users_server=ALICE)
        assert self.judged("8", event, [join(ALICE)]) == rejected("2.2")

    @pytest.mark.parametrize(
        ("membership", "token", "verdict"),
        [
            ("invite", "token", None),
            ("invite", "other", rejected("2.2")),
            ("invite", ["token"], rejected("2.2")),
            ("join", "token", rejected("2.2")),
        ],
    )
    def test_may_include_the_third_party_invite(
        self, membership: str, token: Json, verdict: Verdict | None
    ) -> None:
        event = member(ALICE, BOB, membership, third_party_invite={"signed": {"token": token}})
        listed = [pdu("m.room.third_party_invite", ALICE, state_key="token")]
        assert self.judged("9", event, listed) == verdict


class TestRoomIdOfVersion12:
    EVENT: Pdu = join(BOB) | {"room_id": "!create"}
    CREATE: tuple[str, Pdu] = ("$create", create())

    def test_names_the_create_event(self) -> None:
        assert judge_auth_events("12", self.EVENT, [], create=self.CREATE) is None

    @pytest.mark.parametrize("room_id", ["!other", "$create", "create", "!$create", "", None])
    def test_names_nothing_else(self, room_id: Json) -> None:
        event = self.EVENT | {"room_id": room_id}
        assert judge_auth_events("12", event, [], create=self.CREATE) == rejected("2")

    def test_names_an_event_that_is_known(self) -> None:
        assert judge_auth_events("12", self.EVENT, []) == rejected("2")

    def test_names_an_event_that_was_accepted(self) -> None:
        bad = frozenset({"$create"})
        verdict = judge_auth_events("12", self.EVENT, [], rejected=bad, create=self.CREATE)
        assert verdict == rejected("2")

    def test_names_an_event_of_the_type(self) -> None:
        create_of_another_type = ("$create", join(BOB))
        verdict = judge_auth_events("12", self.EVENT, [], create=create_of_another_type)
        assert verdict == rejected("2")


class TestFederation:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_is_closed_to_other_servers(self, version: str) -> None:
        room = a_room(version, create(**{"m.federate": False}), rule("public"))
        assert room.judge(join(BOB)) == rejected("4" if version not in BEFORE_V12 else "3")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_stays_open_to_the_creators_server(self, version: str) -> None:
        room = a_room(version, create(**{"m.federate": False}), rule("public"))
        assert room.judge(join(ANA)).allowed

    def test_looks_at_the_senders_server_only(self) -> None:
        room = a_room("10", create(**{"m.federate": False}))
        assert room.judge(member(ALICE, BOB, "invite")) == allowed("4.4.4")

    @pytest.mark.parametrize("value", [True, None])
    def test_is_open_by_true_and_null(self, value: Json) -> None:
        room = a_room("10", create(**{"m.federate": value}), rule("public"))
        assert room.judge(join(BOB)) == allowed("4.3.6")

    @pytest.mark.parametrize("value", [0, 1, "", "true", "false", [], {}])
    def test_is_closed_by_anything_else(self, value: Json) -> None:
        room = a_room("10", create(**{"m.federate": value}), rule("public"))
        assert room.judge(join(BOB)) == rejected("3")
        assert room.judge(join(ANA)).allowed


class TestAliases:
    @pytest.mark.parametrize("version", ["1", "2", "3", "4", "5"])
    @pytest.mark.parametrize(
        ("fields", "verdict"),
        [
            ({}, rejected("4.1")),
            ({"state_key": "a.example"}, rejected("4.2")),
            ({"state_key": "b.example"}, allowed("4.3")),
        ],
    )
    def test_belong_to_a_server(self, version: str, fields: Pdu, verdict: Verdict) -> None:
        assert a_room(version).judge(pdu("m.room.aliases", BOB, **fields)) == verdict

    def test_are_like_other_state_from_version_6_on(self) -> None:
        event = pdu("m.room.aliases", BOB, state_key="b.example")
        assert a_room("6").judge(event) == rejected("5")
        assert a_room("6", bob="join").judge(event) == rejected("7")


MALFORMED = numbered("5.1", "5.1", "4.1", "4.1", "4.1", "4.1", "4.1", "5.1")
UNKNOWN = numbered("5.6", "5.6", "4.6", "4.7", "4.8", "4.8", "4.8", "5.8")


class TestMember:
    @pytest.mark.parametrize(("version", "number"), MALFORMED)
    def test_has_a_state_key(self, version: str, number: str) -> None:
        event = pdu("m.room.member", ALICE, {"membership": "join"})
        assert a_room(version).judge(event) == rejected(number)

    @pytest.mark.parametrize("target", [None, "", "bob", "@bob", "bob:b.example", "@bob:b:c:1"])
    def test_has_a_user_id_for_state_key(self, target: Json) -> None:
        assert a_room("10").judge(member(ALICE, target, "invite")) == rejected("4.1")

    @pytest.mark.parametrize("localpart", ["", "\n", "B b", "é", "\U0001f600", "@"])
    def test_may_have_a_user_id_of_the_historical_grammar(self, localpart: str) -> None:
        event = member(ALICE, f"@{localpart}:b.example", "invite")
        assert a_room("10").judge(event) == allowed("4.4.4")

    @pytest.mark.parametrize("localpart", ["\0", "\ud800"])
    def test_has_no_user_id_of_other_characters(self, localpart: str) -> None:
        event = member(ALICE, f"@{localpart}:b.example", "invite")
        assert a_room("10").judge(event) == rejected("4.1")

    @pytest.mark.parametrize("server", ["b.example:8448", "127.0.0.1", "[::1]:1", "B-b"])
    def test_may_be_of_any_server(self, server: str) -> None:
        assert a_room("10").judge(member(ALICE, f"@b:{server}", "invite")) == allowed("4.4.4")

    @pytest.mark.parametrize("server", ["", "b_b", "b.example:", "b:123456", "[g]", "[::1", "b\n"])
    def test_is_of_a_server(self, server: str) -> None:
        assert a_room("10").judge(member(ALICE, f"@b:{server}", "invite")) == rejected("4.1")

    @pytest.mark.parametrize(
        ("localpart", "verdict"),
        [
            ("b" * 244, allowed("4.4.4")),
            ("b" * 245, rejected("4.1")),
            ("é" * 122, allowed("4.4.4")),
            ("é" * 123, rejected("4.1")),
        ],
    )
    def test_has_a_user_id_of_255_bytes_at_most(self, localpart: str, verdict: Verdict) -> None:
        event = member(ALICE, f"@{localpart}:b.example", "invite")
        assert a_room("10").judge(event) == verdict

    @pytest.mark.parametrize(("version", "number"), MALFORMED)
    @pytest.mark.parametrize("content", [{}, {"Membership": "join"}, [], "join", None])
    def test_has_a_membership(self, version: str, number: str, content: Json) -> None:
        event = pdu("m.room.member", ALICE, state_key=ALICE) | {"content": content}
        assert a_room(version).judge(event) == rejected(number)

    @pytest.mark.parametrize(("version", "number"), UNKNOWN)
    @pytest.mark.parametrize("membership", ["Join", "", None, 7, ["join"], {"join": 1}])
    def test_has_a_known_membership(self, version: str, number: str, membership: Json) -> None:
        assert a_room(version).judge(member(ALICE, ALICE, membership)) == rejected(number)

    @pytest.mark.parametrize(("version", "number"), UNKNOWN[:6])
    def test_cannot_knock_before_version_7(self, version: str, number: str) -> None:
        room = a_room(version, rule("knock"))
        assert room.judge(member(BOB, BOB, "knock")) == rejected(number)


VIA = "join_authorised_via_users_server"


class TestAuthorisedVia:
    ROOM_V7: Room = a_room("7", rule("public"), bob="join")
    ROOM_V8: Room = a_room("8", rule("public"), bob="join")

    @pytest.mark.parametrize(("version", "number"), numbered("4.2.1", "4.2.1", "4.2.1", "5.2.1"))
    def test_owes_a_signature(self, version: str, number: str) -> None:
        room = a_room(version, rule("public"))
        assert room.judge(join(BOB, **{VIA: ALICE}), "b.example") == rejected(number)

    @pytest.mark.parametrize("membership", ["join", "invite", "leave", "ban", "knock", "unknown"])
    def test_owes_a_signature_whatever_the_membership(self, membership: str) -> None:
        event = member(BOB, BOB, membership, **{VIA: ALICE})
        assert self.ROOM_V8.judge(event) == rejected("4.2.1")

    @pytest.mark.parametrize("authoriser", [None, "", "alice", "a.example", 7, [ALICE]])
    def test_names_a_user(self, authoriser: Json) -> None:
        event = join(BOB, **{VIA: authoriser})
        assert self.ROOM_V8.judge(event, "a.example", "") == rejected("4.2.1")

    def test_is_satisfied_by_the_users_server(self) -> None:
        event = member(BOB, BOB, "leave", **{VIA: ALICE})
        assert self.ROOM_V8.judge(event, "a.example") == allowed("4.5.1")

    def test_means_nothing_before_version_8(self) -> None:
        event = join(BOB, **{VIA: ALICE})
        assert self.ROOM_V7.judge(event) == allowed("4.2.5")


class TestFirstJoin:
    def first(self, version: str, event: Pdu, **create_content: Json) -> Verdict:
        made = create(**create_content)
        room = Room(version, {("m.room.create", ""): made})
        return room.judge(event | {"prev_events": [CREATE_ID]})

    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("5.2.1", "5.2.1", "4.2.1", "4.2.1", "4.3.1", "4.3.1", "4.3.1", "5.3.1"),
    )
    def test_is_allowed(self, version: str, number: str) -> None:
        assert self.first(version, join(ALICE)) == allowed(number)

    def test_may_be_sent_by_another(self) -> None:
        assert self.first("10", member(BOB, ALICE, "join")) == allowed("4.3.1")

    def test_is_the_creators_until_version_10(self) -> None:
        assert self.first("10", join(BOB), creator=BOB) == allowed("4.3.1")
        assert self.first("10", join(ALICE), creator=BOB) == rejected("4.3.7")

    def test_is_the_create_events_senders_from_version_11_on(self) -> None:
        assert self.first("11", join(BOB), creator=BOB) == rejected("4.3.7")
        assert self.first("11", join(ALICE), creator=BOB) == allowed("4.3.1")

    def test_is_not_an_additional_creators(self) -> None:
        assert self.first("12", join(BOB), additional_creators=[BOB]) == rejected("5.3.7")

    @pytest.mark.parametrize("version", ["2", "3"])
    @pytest.mark.parametrize("ids", [[], ["$other:a.example"], [CREATE_ID, "$other:a.example"]])
    def test_comes_right_after_the_create_event(self, version: str, ids: list[str]) -> None:
        room = Room(version, {("m.room.create", ""): create()})
        assert room.judge(join(ALICE) | {"prev_events": ids}) == rejected("5.2.6")


class TestJoin:
    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("5.2.2", "5.2.2", "4.2.2", "4.2.2", "4.3.2", "4.3.2", "4.3.2", "5.3.2"),
    )
    def test_is_sent_by_the_user(self, version: str, number: str) -> None:
        room = a_room(version, rule("public"))
        assert room.judge(member(ALICE, BOB, "join")) == rejected(number)

    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("5.2.3", "5.2.3", "4.2.3", "4.2.3", "4.3.3", "4.3.3", "4.3.3", "5.3.3"),
    )
    def test_is_closed_to_the_banned(self, version: str, number: str) -> None:
        assert a_room(version, rule("public"), bob="ban").judge(join(BOB)) == rejected(number)

    @pytest.mark.parametrize("membership", ["invite", "join"])
    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("5.2.4", "5.2.4", "4.2.4", "4.2.4", "4.3.4", "4.3.4", "4.3.4", "5.3.4"),
    )
    def test_answers_an_invite(self, version: str, number: str, membership: str) -> None:
        room = a_room(version, rule("invite"), bob=membership)
        assert room.judge(join(BOB)) == allowed(number)

    @pytest.mark.parametrize("membership", ["leave", "knock", None, ["invite"]])
    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("5.2.6", "5.2.6", "4.2.6", "4.2.6", "4.3.7", "4.3.7", "4.3.7", "5.3.7"),
    )
    def test_needs_an_invite(self, version: str, number: str, membership: Json) -> None:
        room = a_room(version, rule("invite"), bob=membership)
        assert room.judge(join(BOB)) == rejected(number)

    def test_to_a_knock_room_answers_an_invite_from_version_7_on(self) -> None:
        assert a_room("6", rule("knock"), bob="invite").judge(join(BOB)) == rejected("4.2.6")
        assert a_room("7", rule("knock"), bob="invite").judge(join(BOB)) == allowed("4.2.4")

    @pytest.mark.parametrize("content", [{}, {"allow": []}, [], None])
    def test_needs_an_invite_where_no_rule_is_set(self, content: Json) -> None:
        rules = pdu("m.room.join_rules", ALICE, content, state_key="")
        for room in (a_room("10", bob="invite"), a_room("10", rules, bob="invite")):
            assert room.judge(join(BOB)) == allowed("4.3.4")
            assert room.judge(join(CAROL)) == rejected("4.3.7")

    @pytest.mark.parametrize("value", ["private", "", "Public", None, 7, ["public"], {}])
    @pytest.mark.parametrize("membership", ["invite", "join", "leave"])
    def test_is_closed_by_an_unknown_rule(self, value: Json, membership: str) -> None:
        assert a_room("10", rule(value), bob=membership).judge(join(BOB)) == rejected("4.3.7")

    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("5.2.5", "5.2.5", "4.2.5", "4.2.5", "4.3.6", "4.3.6", "4.3.6", "5.3.6"),
    )
    def test_is_open_in_a_public_room(self, version: str, number: str) -> None:
        assert a_room(version, rule("public")).judge(join(BOB)) == allowed(number)
        assert a_room(version, rule("public"), bob="knock").judge(join(BOB)) == allowed(number)


class TestRestrictedJoin:
    EVENT: Pdu = join(BOB, **{VIA: ALICE})

    @pytest.mark.parametrize(
        ("version", "value", "number"),
        [
            ("8", "restricted", "4.3.5"),
            ("9", "restricted", "4.3.5"),
            ("10", "restricted", "4.3.5"),
            ("10", "knock_restricted", "4.3.5"),
            ("11", "knock_restricted", "4.3.5"),
            ("12", "restricted", "5.3.5"),
            ("12", "knock_restricted", "5.3.5"),
        ],
    )
    def test_decides_three_ways(self, version: str, value: str, number: str) -> None:
        room = a_room(version, rule(value), carol="invite", dan="join")
        assert room.judge(join(CAROL)) == allowed(f"{number}.1")
        assert room.judge(join(DAN)) == allowed(f"{number}.1")
        assert room.judge(join(BOB)) == rejected(f"{number}.2")
        assert room.judge(self.EVENT, "a.example") == allowed(f"{number}.3")

    @pytest.mark.parametrize(
        ("version", "value", "number"),
        [("7", "restricted", "4.2.6"), ("9", "knock_restricted", "4.3.7")],
    )
    @pytest.mark.parametrize("membership", ["leave", "invite", "join"])
    def test_is_unknown_to_earlier_versions(
        self, version: str, value: str, number: str, membership: str
    ) -> None:
        room = a_room(version, rule(value), bob=membership)
        assert room.judge(self.EVENT, "a.example") == rejected(number)

    @pytest.mark.parametrize("membership", ["leave", "invite", "ban", "knock"])
    def test_needs_an_authoriser_who_is_joined(self, membership: str) -> None:
        room = a_room("10", rule("restricted"), ana=membership)
        assert room.judge(join(BOB, **{VIA: ANA}), "a.example") == rejected("4.3.5.2")

    @pytest.mark.parametrize(("invite", "number"), [(50, "4.3.5.3"), (51, "4.3.5.2")])
    def test_needs_an_authoriser_who_may_invite(self, invite: int, number: str) -> None:
        weighed = levels(invite=invite, **power_levels_of(ana=50))
        room = a_room("10", rule("restricted"), weighed, ana="join")
        verdict = room.judge(join(BOB, **{VIA: ANA}), "a.example")
        assert verdict == Verdict(number == "4.3.5.3", number)

    def test_needs_the_authorisers_servers_signature(self) -> None:
        room = a_room("10", rule("restricted"))
        assert room.judge(self.EVENT, "b.example") == rejected("4.2.1")


INVITE = numbered("5.3", "5.3", "4.3", "4.3", "4.4", "4.4", "4.4", "5.4")


class TestInvite:
    @pytest.mark.parametrize(("version", "chapter"), INVITE)
    def test_is_decided_four_ways(self, version: str, chapter: str) -> None:
        room = a_room(version, levels(invite=1, **power_levels_of(ana=1)), ana="join", bob="join")
        assert room.judge(member(DAN, CAROL, "invite")) == rejected(f"{chapter}.2")
        assert room.judge(member(ANA, BOB, "invite")) == rejected(f"{chapter}.3")
        assert room.judge(member(ANA, CAROL, "invite")) == allowed(f"{chapter}.4")
        assert room.judge(member(BOB, CAROL, "invite")) == rejected(f"{chapter}.5")

    @pytest.mark.parametrize("membership", ["leave", "invite", "knock"])
    def test_is_open_to_those_outside(self, membership: str) -> None:
        room = a_room("10", bob="join", carol=membership)
        assert room.judge(member(BOB, CAROL, "invite")) == allowed("4.4.4")

    def test_of_the_banned_is_rejected(self) -> None:
        room = a_room("10", bob="ban")
        assert room.judge(member(ALICE, BOB, "invite")) == rejected("4.4.3")


SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
PUBLIC_KEY = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"
OTHER_SEED = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
OTHER_KEY = "gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q"


def signed(seed: str = SEED, **changes: Json) -> dict[str, Json]:
    """What an identity server signs, at `token`, for Bob."""
    key = decode_signing_key_base64("ed25519", "0", seed)
    return sign_json({"mxid": BOB, "token": "token"} | changes, "id.example", key)


def signature_of(value: Mapping[str, Json]) -> str:
    return str(value["signatures"]["id.example"]["ed25519:0"])


def claim(value: Json, sender: str = ANA) -> Pdu:
    return member(sender, BOB, "invite", third_party_invite={"signed": value})


def a_room_with_invite(version: str, content: Json, **memberships: Json) -> Room:
    offer = pdu("m.room.third_party_invite", ANA, content, state_key="token")
    return a_room(version, offer, **memberships)


class TestInviteOfThirdParty:
    @pytest.mark.parametrize(("version", "chapter"), INVITE)
    def test_is_allowed_by_a_signature(self, version: str, chapter: str) -> None:
        room = a_room_with_invite(version, {"public_key": PUBLIC_KEY})
        assert room.judge(claim(signed())) == allowed(f"{chapter}.1.7")

    @pytest.mark.parametrize(("version", "chapter"), INVITE)
    def test_is_rejected_seven_ways(self, version: str, chapter: str) -> None:
        key = {"public_key": PUBLIC_KEY}
        room = a_room_with_invite(version, key)
        without = member(ALICE, BOB, "invite", third_party_invite={})
        banned = a_room_with_invite(version, key, bob="ban")
        assert banned.judge(claim(signed())) == rejected(f"{chapter}.1.1")
        assert room.judge(without) == rejected(f"{chapter}.1.2")
        assert room.judge(claim({"mxid": BOB})) == rejected(f"{chapter}.1.3")
        assert room.judge(claim(signed(mxid=CAROL))) == rejected(f"{chapter}.1.4")
        assert room.judge(claim(signed(token="other"))) == rejected(f"{chapter}.1.5")
        assert room.judge(claim(signed(), ALICE)) == rejected(f"{chapter}.1.6")
        assert room.judge(claim(signed(OTHER_SEED))) == rejected(f"{chapter}.1.8")

    @pytest.mark.parametrize("value", [None, {}, [], "signed", ["signed"], False])
    def test_has_something_signed(self, value: Json) -> None:
        event = member(ALICE, BOB, "invite", third_party_invite=value)
        assert a_room("10").judge(event) == rejected("4.4.1.2")

    @pytest.mark.parametrize("value", [None, [], {}, {"mxid": BOB}, {"token": "token"}, "x"])
    def test_has_signed_a_user_and_a_token(self, value: Json) -> None:
        assert a_room("10").judge(claim(value)) == rejected("4.4.1.3")

    @pytest.mark.parametrize("mxid", [CAROL, None, [BOB]])
    def test_is_for_the_user(self, mxid: Json) -> None:
        room = a_room_with_invite("10", {"public_key": PUBLIC_KEY})
        assert room.judge(claim(signed(mxid=mxid))) == rejected("4.4.1.4")

    @pytest.mark.parametrize("token", ["", "other", None, 7, ["token"]])
    def test_answers_an_invite_in_the_room(self, token: Json) -> None:
        room = a_room_with_invite("10", {"public_key": PUBLIC_KEY})
        assert room.judge(claim(signed(token=token))) == rejected("4.4.1.5")

    def test_has_the_same_sender(self) -> None:
        room = a_room_with_invite("10", {"public_key": PUBLIC_KEY})
        assert room.judge(claim(signed(), ALICE)) == rejected("4.4.1.6")

    @pytest.mark.parametrize("membership", ["leave", "invite", "join", "knock"])
    def test_looks_at_no_other_membership(self, membership: str) -> None:
        content = {"public_key": PUBLIC_KEY}
        room = a_room_with_invite("10", content, ana="leave", bob=membership)
        assert room.judge(claim(signed())) == allowed("4.4.1.7")

    @pytest.mark.parametrize(
        "content",
        [
            {"public_key": PUBLIC_KEY + "="},
            {"public_keys": [{"public_key": PUBLIC_KEY}]},
            {"public_key": OTHER_KEY, "public_keys": [{"public_key": PUBLIC_KEY}]},
            {"public_key": PUBLIC_KEY, "public_keys": [{"public_key": OTHER_KEY}]},
            {"public_key": "bad", "public_keys": [None, {}, {"public_key": PUBLIC_KEY}]},
            {"public_key": PUBLIC_KEY, "public_keys": {"public_key": 7}},
        ],
    )
    def test_takes_any_key_of_the_invite(self, content: Json) -> None:
        assert a_room_with_invite("10", content).judge(claim(signed())) == allowed("4.4.1.7")

    @pytest.mark.parametrize("key", [OTHER_KEY, OTHER_KEY.translate({43: 45, 47: 95})])
    def test_takes_a_key_of_either_alphabet(self, key: str) -> None:
        room = a_room_with_invite("10", {"public_key": key})
        assert room.judge(claim(signed(OTHER_SEED))) == allowed("4.4.1.7")

    @pytest.mark.parametrize(
        "content",
        [
            {},
            None,
            {"public_key": OTHER_KEY},
            {"public_key": None, "public_keys": PUBLIC_KEY},
            {"public_key": [PUBLIC_KEY], "public_keys": [PUBLIC_KEY]},
            {"public_key": PUBLIC_KEY[:-2]},
            {"public_key": f" {PUBLIC_KEY}"},
            {"public_key": f"{PUBLIC_KEY[:20]}!!!!{PUBLIC_KEY[20:]}"},
            {"public_key": "A"},
        ],
    )
    def test_is_revoked_without_the_key(self, content: Json) -> None:
        room = a_room_with_invite("10", content)
        assert room.judge(claim(signed())) == rejected("4.4.1.8")

    def test_takes_no_key_of_mixed_alphabets(self) -> None:
        room = a_room_with_invite("10", {"public_key": OTHER_KEY.replace("+", "-")})
        assert room.judge(claim(signed(OTHER_SEED))) == rejected("4.4.1.8")

    @pytest.mark.parametrize(
        "bad",
        [
            {"a.example": {"ed25519:1": "bad"}},
            {"a.example": {"ed25519:1": signature_of(signed(OTHER_SEED))}},
            {"a.example": {"ed25519:1": None}, "b.example": None},
            {"id.example": {"ed25519:1": "", "other:1": "x"}},
        ],
    )
    def test_takes_a_good_signature_after_a_bad_one(self, bad: Json) -> None:
        value = signed()
        good = {"z.example": value["signatures"]["id.example"]}
        room = a_room_with_invite("10", {"public_key": PUBLIC_KEY})
        assert room.judge(claim(value | {"signatures": bad | good})) == allowed("4.4.1.7")

    @pytest.mark.parametrize(
        "signatures",
        [
            None,
            {},
            [],
            {"id.example": None},
            {"id.example": {"ed25519": signature_of(signed())}},
            {"id.example": {"rsa:1": signature_of(signed())}},
            {"id.example": {"ed25519:1": signature_of(signed(token="other"))}},
        ],
    )
    def test_needs_a_good_signature(self, signatures: Json) -> None:
        room = a_room_with_invite("10", {"public_key": PUBLIC_KEY})
        value = signed() | {"signatures": signatures}
        assert room.judge(claim(value)) == rejected("4.4.1.8")

    def test_has_signatures_of_the_standard_alphabet(self) -> None:
        text = signature_of(signed(OTHER_SEED))
        url_safe = text.translate({43: 45, 47: 95})
        room = a_room_with_invite("10", {"public_key": OTHER_KEY})
        for spelled, number in ((text, "7"), (f"{text}==", "7"), (url_safe, "8")):
            value = signed() | {"signatures": {"id.example": {"ed25519:0": spelled}}}
            assert room.judge(claim(value)) == Verdict(number == "7", f"4.4.1.{number}")

    @pytest.mark.parametrize("value", ["\ud800", float("inf")])
    def test_covers_nothing_without_a_canonical_form(self, value: Json) -> None:
        room = a_room_with_invite("5", {"public_key": PUBLIC_KEY})
        assert room.judge(claim(signed() | {"extra": value})) == rejected("5.3.1.8")

    def test_covers_all_but_what_is_unsigned(self) -> None:
        room = a_room_with_invite("10", {"public_key": PUBLIC_KEY})
        assert room.judge(claim(signed(extra=1))) == allowed("4.4.1.7")
        assert room.judge(claim(signed() | {"extra": 1})) == rejected("4.4.1.8")
        assert room.judge(claim(signed() | {"unsigned": 1})) == allowed("4.4.1.7")


LEAVE = numbered("5.4", "5.4", "4.4", "4.4", "4.5", "4.5", "4.5", "5.5")


class TestLeave:
    @pytest.mark.parametrize(("version", "chapter"), LEAVE)
    @pytest.mark.parametrize("membership", ["join", "invite", "knock", "leave", "ban", None])
    def test_by_oneself_ends_a_membership(
        self, version: str, chapter: str, membership: Json
    ) -> None:
        known = ("join", "invite", "knock") if int(version) >= 7 else ("join", "invite")
        verdict = a_room(version, bob=membership).judge(member(BOB, BOB, "leave"))
        assert verdict == Verdict(membership in known, f"{chapter}.1")

    def test_by_one_who_was_never_there_is_rejected(self) -> None:
        assert a_room("10").judge(member(BOB, BOB, "leave")) == rejected("4.5.1")

    @pytest.mark.parametrize(("version", "chapter"), LEAVE)
    def test_of_another_is_decided_four_ways(self, version: str, chapter: str) -> None:
        weighed = levels(kick=50, ban=60, **power_levels_of(ana=60, bob=50))
        room = a_room(version, weighed, ana="join", bob="join", carol="ban")
        assert room.judge(member(DAN, BOB, "leave")) == rejected(f"{chapter}.2")
        assert room.judge(member(BOB, CAROL, "leave")) == rejected(f"{chapter}.3")
        assert room.judge(member(ANA, CAROL, "leave")) == allowed(f"{chapter}.4")
        assert room.judge(member(BOB, ANA, "leave")) == rejected(f"{chapter}.5")

    @pytest.mark.parametrize(
        ("named", "number"),
        [
            ({"ban": 50, "kick": 50}, "4.5.4"),
            ({"ban": 51, "kick": 50}, "4.5.3"),
            ({"ban": 50, "kick": 51}, "4.5.5"),
            ({"ban": 51, "kick": 51}, "4.5.3"),
        ],
    )
    def test_of_the_banned_takes_both_levels(self, named: Json, number: str) -> None:
        room = a_room("10", levels(**named, **power_levels_of(bob=50)), bob="join", carol="ban")
        assert room.judge(member(BOB, CAROL, "leave")) == Verdict(number == "4.5.4", number)

    @pytest.mark.parametrize(("level", "number"), [(49, "4.5.4"), (50, "4.5.5"), (51, "4.5.5")])
    def test_of_another_takes_a_higher_level(self, level: int, number: str) -> None:
        weighed = levels(**power_levels_of(bob=50, carol=level))
        room = a_room("10", weighed, bob="join", carol="join")
        assert room.judge(member(BOB, CAROL, "leave")) == Verdict(number == "4.5.4", number)

    def test_of_one_who_was_never_there_is_allowed(self) -> None:
        assert a_room("10").judge(member(ALICE, DAN, "leave")) == allowed("4.5.4")


class TestBan:
    @pytest.mark.parametrize(
        ("version", "chapter"),
        numbered("5.5", "5.5", "4.5", "4.5", "4.6", "4.6", "4.6", "5.6"),
    )
    def test_is_decided_three_ways(self, version: str, chapter: str) -> None:
        room = a_room(version, levels(ban=50, **power_levels_of(ana=50, bob=49)), ana="join")
        assert room.judge(member(DAN, BOB, "ban")) == rejected(f"{chapter}.1")
        assert room.judge(member(ANA, BOB, "ban")) == allowed(f"{chapter}.2")
        assert room.judge(member(ANA, ANA, "ban")) == rejected(f"{chapter}.3")

    @pytest.mark.parametrize("membership", ["leave", "invite", "join", "ban", "knock"])
    def test_looks_at_no_membership_of_the_target(self, membership: str) -> None:
        assert a_room("10", bob=membership).judge(member(ALICE, BOB, "ban")) == allowed("4.6.2")

    def test_takes_the_ban_level(self) -> None:
        room = a_room("10", levels(ban=51, **power_levels_of(ana=50)), ana="join")
        assert room.judge(member(ANA, BOB, "ban")) == rejected("4.6.3")


class TestKnock:
    KNOCK: Pdu = member(BOB, BOB, "knock")

    @pytest.mark.parametrize(
        ("version", "value", "chapter"),
        [
            ("7", "knock", "4.6"),
            ("8", "knock", "4.7"),
            ("9", "knock", "4.7"),
            ("10", "knock", "4.7"),
            ("10", "knock_restricted", "4.7"),
            ("11", "knock_restricted", "4.7"),
            ("12", "knock", "5.7"),
            ("12", "knock_restricted", "5.7"),
        ],
    )
    def test_is_decided_three_ways_in_its_rooms(
        self, version: str, value: str, chapter: str
    ) -> None:
        room = a_room(version, rule(value))
        assert room.judge(member(ALICE, BOB, "knock")) == rejected(f"{chapter}.2")
        assert room.judge(self.KNOCK) == allowed(f"{chapter}.3")
        assert room.judge(member(ALICE, ALICE, "knock")) == rejected(f"{chapter}.4")

    @pytest.mark.parametrize(
        ("version", "value", "number"),
        [
            ("7", "knock_restricted", "4.6.1"),
            ("9", "knock_restricted", "4.7.1"),
            ("10", "restricted", "4.7.1"),
            ("10", "invite", "4.7.1"),
            ("10", "public", "4.7.1"),
            ("10", None, "4.7.1"),
            ("8", "restricted", "4.7.1"),
            ("11", "restricted", "4.7.1"),
            ("12", "restricted", "5.7.1"),
        ],
    )
    def test_is_unknown_to_other_rooms(self, version: str, value: Json, number: str) -> None:
        assert a_room(version, rule(value)).judge(self.KNOCK) == rejected(number)

    @pytest.mark.parametrize("membership", ["leave", "knock"])
    def test_may_be_repeated(self, membership: str) -> None:
        assert a_room("10", rule("knock"), bob=membership).judge(self.KNOCK) == allowed("4.7.3")

    @pytest.mark.parametrize("membership", ["ban", "invite", "join"])
    def test_is_not_for_these(self, membership: str) -> None:
        room = a_room("10", rule("knock"), bob=membership)
        assert room.judge(self.KNOCK) == rejected("4.7.4")


class TestOtherEvents:
    @pytest.mark.parametrize(
        ("version", "number"), numbered("6", "6", "5", "5", "5", "5", "5", "6")
    )
    @pytest.mark.parametrize("membership", ["leave", "invite", "ban", "knock", None])
    def test_are_sent_by_the_joined(self, version: str, number: str, membership: Json) -> None:
        room = a_room(version, bob=membership)
        assert room.judge(pdu("m.room.message", BOB)) == rejected(number)

    @pytest.mark.parametrize(
        ("version", "number"), numbered("7.1", "7.1", "6.1", "6.1", "6.1", "6.1", "6.1", "7.1")
    )
    @pytest.mark.parametrize("level", [49, 50])
    def test_inviting_a_third_party_takes_the_invite_level(
        self, version: str, number: str, level: int
    ) -> None:
        weighed = levels(invite=50, **power_levels_of(bob=level))
        event = pdu("m.room.third_party_invite", BOB, state_key="@token")
        verdict = a_room(version, weighed, bob="join").judge(event)
        assert verdict == Verdict(level == 50, number)

    @pytest.mark.parametrize(
        ("version", "number"), numbered("8", "8", "7", "7", "7", "7", "7", "8")
    )
    def test_take_the_required_level(self, version: str, number: str) -> None:
        room = a_room(version, bob="join")
        assert room.judge(pdu("m.room.topic", BOB, state_key="")) == rejected(number)

    @pytest.mark.parametrize(
        ("content", "required"),
        [
            ({}, (0, 50)),
            ({"events_default": 20, "state_default": 30}, (20, 30)),
            ({"events": {"x": 40}}, (40, 40)),
            ({"events": {"y": 40}}, (0, 50)),
            ({"events": {"x": "fifty"}, "events_default": 20}, (20, 50)),
            ({"events": ["x"], "events_default": None, "state_default": "50.0"}, (0, 50)),
            ({"events": {"x": "040"}}, (40, 40)),
        ],
    )
    def test_take_the_level_of_their_type_or_kind(
        self, content: Json, required: tuple[int, int]
    ) -> None:
        for event, level in zip(
            (pdu("x", BOB), pdu("x", BOB, state_key="")), required, strict=True
        ):
            for own, verdict in ((level, allowed("10")), (level - 1, rejected("7"))):
                weighed = levels(**content, **power_levels_of(bob=own))
                assert a_room("9", weighed, bob="join").judge(event) == verdict

    @pytest.mark.parametrize(
        ("version", "number"), numbered("9", "9", "8", "8", "8", "8", "8", "9")
    )
    @pytest.mark.parametrize("state_key", ["@", ALICE, f"{BOB}_suffix"])
    def test_have_no_state_key_of_another(self, version: str, number: str, state_key: str) -> None:
        room = a_room(version, levels(state_default=0), bob="join")
        assert room.judge(pdu("x", BOB, state_key=state_key)) == rejected(number)

    @pytest.mark.parametrize(
        ("version", "number"),
        numbered("12", "11", "10", "10", "10", "10", "10", "11"),
    )
    @pytest.mark.parametrize("state_key", ["", BOB, "b@", "_@alice"])
    def test_are_allowed(self, version: str, number: str, state_key: str) -> None:
        room = a_room(version, levels(state_default=0), bob="join")
        assert room.judge(pdu("x", BOB, state_key=state_key)) == allowed(number)


class TestPower:
    def power(self, room: Room, user: str) -> int:
        """Find the highest of some levels at which the user may still send."""
        events = {f"t{level}": level for level in (-1, 0, 7, 50, 100, 2**53 - 1)}
        content = room.state["m.room.power_levels", ""]["content"]
        content["events"] = events
        sent = [level for kind, level in events.items() if room.judge(pdu(kind, user)).allowed]
        return max(sent, default=-2)

    @pytest.mark.parametrize(
        ("content", "level"),
        [
            ({}, 0),
            ({"users_default": 7}, 7),
            ({"users_default": "x"}, 0),
            ({"users": {BOB: 50}, "users_default": 7}, 50),
            ({"users": {BOB: "+0050"}, "users_default": 7}, 50),
            ({"users": {BOB: None}, "users_default": 7}, 7),
            ({"users": {BOB: True}, "users_default": 7}, 7),
            ({"users": [BOB], "users_default": 7}, 7),
            ({"users": {BOB: -1}}, -1),
        ],
    )
    def test_is_read_from_the_levels(self, content: Json, level: int) -> None:
        assert self.power(a_room("9", levels(**content), bob="join"), BOB) == level

    @pytest.mark.parametrize("value", ["50", 50.0, True, None, [50], {}])
    def test_is_an_integer_from_version_10_on(self, value: Json) -> None:
        content = {"users": {BOB: value}, "users_default": 7}
        assert self.power(a_room("10", levels(**content), bob="join"), BOB) == 7

    def test_is_100_for_the_creator_of_a_room_without_levels(self) -> None:
        for version in BEFORE_V12:
            room = a_room(version, create(creator=BOB), bob="join", carol="join")
            creator = ALICE if version == "11" else BOB
            for user in (ALICE, BOB, CAROL):
                verdict = room.judge(pdu("x", user, state_key=""))
                assert verdict.allowed == (user == creator)

    def test_of_the_creator_is_written_where_there_are_levels(self) -> None:
        for version in BEFORE_V12:
            assert self.power(a_room(version, levels()), ALICE) == 0

    def test_of_version_12s_creators_has_no_end(self) -> None:
        made = create(additional_creators=[BOB, None, "carol"])
        room = a_room("12", made, levels(), bob="join", carol="join")
        assert self.power(room, ALICE) == 2**53 - 1
        assert self.power(room, BOB) == 2**53 - 1
        assert self.power(room, CAROL) == 0

    @pytest.mark.parametrize("creators", [None, BOB, {BOB: 1}])
    def test_of_badly_listed_creators_is_that_of_others(self, creators: Json) -> None:
        made = create(additional_creators=creators)
        room = a_room("12", made, levels(), bob="join")
        assert self.power(room, BOB) == 0

    def test_does_not_put_one_creator_above_another(self) -> None:
        room = a_room("12", create(additional_creators=[BOB]), bob="join")
        assert room.judge(member(ALICE, BOB, "leave")) == rejected("5.5.5")
        assert room.judge(member(BOB, ALICE, "ban")) == rejected("5.6.3")
        assert room.judge(member(ALICE, ALICE, "ban")) == rejected("5.6.3")

    def test_counts_additional_creators_from_version_12_on(self) -> None:
        room = a_room("11", create(additional_creators=[BOB]), bob="join")
        assert room.judge(member(ALICE, BOB, "leave")) == allowed("4.5.4")


USERS = numbered("10.1", "10.1", "9.1", "9.1", "9.1", "9.3", "9.3", "10.3")
FIRST = numbered("10.2", "10.2", "9.2", "9.2", "9.2", "9.4", "9.4", "10.5")
NAMED = (
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
)


def first_verdict(version: str, **content: Json) -> Verdict:
    return a_room(version).judge(power_levels(ALICE, **content))


class TestPowerLevelsForm:
    @pytest.mark.parametrize(("version", "number"), FIRST)
    def test_is_free_for_the_first(self, version: str, number: str) -> None:
        assert first_verdict(version) == allowed(number)
        assert first_verdict(version, ban=2**53 - 1, users={BOB: 2**53 - 1}) == allowed(number)

    @pytest.mark.parametrize(("version", "number"), USERS)
    @pytest.mark.parametrize(
        "users",
        [
            None,
            [],
            "",
            {"bob": 1},
            {"@bob": 1},
            {BOB: None},
            {BOB: True},
            {BOB: "1_0"},
            {BOB: "1.0"},
            {BOB: ""},
            {BOB: " "},
            {BOB: "+ 1"},
            {BOB: "+-1"},
            {BOB: "\u0661"},
            {BOB: "\x1c1"},
            {BOB: [1]},
            {BOB: {}},
            {CAROL: 1, BOB: "1e2"},
        ],
    )
    def test_has_users_with_levels(self, version: str, number: str, users: Json) -> None:
        assert first_verdict(version, users=users) == rejected(number)

    @pytest.mark.parametrize(("version", "number"), FIRST)
    @pytest.mark.parametrize("level", ["50", " +050 ", "-1", "\u2003\x85\xa0\t1\n"])
    def test_may_have_strings_until_version_9(self, version: str, number: str, level: str) -> None:
        expected = allowed(number) if int(version) <= 9 else rejected(dict(USERS)[version])
        assert first_verdict(version, users={BOB: level}) == expected

    @pytest.mark.parametrize(("version", "number"), FIRST)
    @pytest.mark.parametrize("level", [50.9, -50.9, 1e2, 1e300, 0.0])
    def test_may_have_floats_until_version_5(self, version: str, number: str, level: float) -> None:
        expected = allowed(number) if int(version) <= 5 else rejected(dict(USERS)[version])
        assert first_verdict(version, users={BOB: level}) == expected

    @pytest.mark.parametrize("level", [float("inf"), float("-inf")])
    def test_has_no_float_without_end(self, level: float) -> None:
        assert first_verdict("5", users={BOB: level}) == rejected("10.1")

    @pytest.mark.parametrize("level", [0, -1, 2**53, -(2**53)])
    def test_may_have_integers_of_any_size(self, level: int) -> None:
        assert first_verdict("5", users={BOB: level}) == allowed("10.2")

    @pytest.mark.parametrize("version", ["5", "6", "9"])
    def test_may_have_levels_of_any_length(self, version: str) -> None:
        number = dict(FIRST)[version]
        for level in (10**5000, "0" * 5000 + "1", "-" + "9" * 65000):
            assert first_verdict(version, users={BOB: level}) == allowed(number)

    @pytest.mark.parametrize("name", NAMED)
    @pytest.mark.parametrize("level", ["50", "", None, True, 50.0, [], {}])
    def test_has_named_integers_from_version_10_on(self, name: str, level: Json) -> None:
        content = {name: level}
        assert first_verdict("9", **content) == allowed("9.2")
        assert first_verdict("10", **content) == rejected("9.1")
        assert first_verdict("11", **content) == rejected("9.1")
        assert first_verdict("12", **content) == rejected("10.1")

    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize("value", [None, [], 50, {"x": "50"}, {"x": None}, {"x": True}])
    def test_has_maps_of_integers_from_version_10_on(self, name: str, value: Json) -> None:
        content = {name: value}
        assert first_verdict("9", **content) == allowed("9.2")
        assert first_verdict("10", **content) == rejected("9.2")
        assert first_verdict("11", **content) == rejected("9.2")
        assert first_verdict("12", **content) == rejected("10.2")

    def test_is_tried_in_the_order_of_the_rules(self) -> None:
        assert first_verdict("12", ban="", events=[], users=[]) == rejected("10.1")
        assert first_verdict("12", events=[], users=[]) == rejected("10.2")
        assert first_verdict("12", users={ALICE: 1, BOB: "1"}) == rejected("10.3")

    @pytest.mark.parametrize("user", [ALICE, BOB])
    def test_names_no_creator_in_version_12(self, user: str) -> None:
        event = power_levels(ALICE, users={user: 100, CAROL: 1})
        made = create(additional_creators=[BOB])
        assert a_room("12", made).judge(event) == rejected("10.4")
        assert a_room("12", made, levels()).judge(event) == rejected("10.4")
        assert a_room("11", made).judge(event) == allowed("9.4")


ALTERATIONS = numbered(
    "10.3.1 10.3.2 10.4.1 10.5.1 10.6.1 10.7.1 10.8",
    "10.3.1 10.3.2 10.4.1 10.5.1 10.6.1 10.7.1 10.8",
    "9.3.1 9.3.2 9.4.1 9.5.1 9.6.1 9.7.1 9.8",
    "9.3.1 9.3.2 9.4.1 9.5.1 9.6.1 9.7.1 9.8",
    "9.3.1 9.3.2 9.4.1 9.5.1 9.6.1 9.7.1 9.8",
    "9.5.1 9.5.2 9.6.1 9.7.1 9.8.1 9.9.1 9.10",
    "9.5.1 9.5.2 9.6.1 9.7.1 9.8.1 9.9.1 9.10",
    "10.6.1 10.6.2 10.7.1 10.8.1 10.9.1 10.10.1 10.11",
)


def alter(version: str, old: Json, new: Json, *, own: Json = 40) -> Verdict:
    """Let Bob, whose level is 40 unless the test has another, alter the levels."""
    basis = {"events": {"m.room.power_levels": -9}, "users": {BOB: own}}
    before, after = (
        basis | content | {name: basis[name] | content.get(name, {}) for name in basis}
        for content in (old, new)
    )
    room = a_room(version, levels(**before), bob="join", carol="join")
    return room.judge(power_levels(BOB, **after))


class TestPowerLevelsAlterations:
    @pytest.mark.parametrize(("version", "numbers"), ALTERATIONS)
    def test_are_decided_seven_ways(self, version: str, numbers: str) -> None:
        cases: tuple[tuple[Json, Json], ...] = (
            ({"ban": 41}, {"ban": 40}),
            ({"ban": 40}, {"ban": 41}),
            ({"events": {"x": 41}}, {}),
            ({}, {"events": {"x": 41}}),
            ({"users": {CAROL: 40}}, {}),
            ({}, {"users": {CAROL: 41}}),
            ({"ban": 40}, {"ban": 39}),
        )
        *bad, good = numbers.split()
        verdicts = [alter(version, old, new) for old, new in cases]
        assert verdicts == [*map(rejected, bad), allowed(good)]

    @pytest.mark.parametrize("name", NAMED)
    def test_of_named_levels_stay_below_the_sender(self, name: str) -> None:
        assert alter("10", {name: 41}, {name: 40}) == rejected("9.5.1")
        assert alter("10", {name: 39}, {name: 41}) == rejected("9.5.2")
        assert alter("10", {name: 40}, {name: 39}) == allowed("9.10")
        assert alter("10", {name: 41}, {name: 41}) == allowed("9.10")

    @pytest.mark.parametrize(
        ("old", "new", "verdict"),
        [
            ({}, {"ban": 50}, rejected("9.5.1")),
            ({}, {"ban": 30}, rejected("9.5.1")),
            ({"ban": 30}, {}, rejected("9.5.2")),
            ({"ban": 50}, {}, rejected("9.5.1")),
            ({}, {"invite": 0}, allowed("9.10")),
            ({}, {"invite": 40}, allowed("9.10")),
            ({"invite": 40}, {}, allowed("9.10")),
            ({}, {"users_default": 41}, rejected("9.5.2")),
        ],
    )
    def test_count_an_absent_level_as_its_default(
        self, old: Json, new: Json, verdict: Verdict
    ) -> None:
        assert alter("10", old, new) == verdict

    @pytest.mark.parametrize("name", NAMED)
    def test_know_the_defaults(self, name: str) -> None:
        default = 50 if name in ("state_default", "ban", "redact", "kick") else 0
        assert alter("10", {}, {name: -9}, own=default) == allowed("9.10")
        assert alter("10", {}, {name: -9}, own=default - 1) == rejected("9.5.1")
        assert alter("10", {name: -9}, {}, own=default - 1) == rejected("9.5.2")

    def test_try_all_current_values_first(self) -> None:
        old, new = {"events_default": 0, "kick": 41}, {"events_default": 41, "kick": 0}
        assert alter("10", old, new) == rejected("9.5.1")

    @pytest.mark.parametrize(
        ("old", "new"), [(50, "50"), ("50", " +050 "), ("50", 50), ("050", "50")]
    )
    def test_compare_what_is_read(self, old: Json, new: Json) -> None:
        assert alter("9", {"ban": old}, {"ban": new}) == allowed("9.8")
        assert alter("9", {"users": {CAROL: old}}, {"users": {CAROL: new}}) == allowed("9.8")

    def test_compare_strings_of_any_length(self) -> None:
        old, new = {"ban": "+123" + "0" * 5000}, {"ban": 123 * 10**5000}
        assert alter("9", old, new) == allowed("9.8")
        assert alter("9", old, {"ban": "0"}) == rejected("9.3.1")
        assert alter("9", {"ban": "0" * 5000 + "40"}, {"ban": 40}) == allowed("9.8")

    def test_compare_floats_cut_at_the_point(self) -> None:
        assert alter("5", {"ban": 50}, {"ban": 50.9}) == allowed("10.8")
        assert alter("5", {"ban": -0.9}, {"ban": 0}) == allowed("10.8")
        assert alter("5", {"ban": 40}, {"ban": 40.9}) == allowed("10.8")
        assert alter("5", {"ban": 40}, {"ban": 41.0}) == rejected("10.3.2")

    @pytest.mark.parametrize("bad", [None, "", "x", True, [], {}])
    def test_read_a_bad_level_as_its_default(self, bad: Json) -> None:
        assert alter("9", {"ban": bad}, {"ban": 50}) == allowed("9.8")
        assert alter("9", {"ban": 50}, {"ban": bad}) == allowed("9.8")
        assert alter("9", {"ban": bad}, {"ban": 40}) == rejected("9.3.1")
        assert alter("9", {"ban": 40}, {"ban": bad}) == rejected("9.3.2")
        assert alter("9", {"ban": bad}, {}) == rejected("9.3.1")

    @pytest.mark.parametrize("bad", [None, "", "x", True, [], {}])
    def test_take_a_bad_entry_for_none(self, bad: Json) -> None:
        assert alter("9", {"events": {"x": bad}}, {}) == allowed("9.8")
        assert alter("9", {"events": {"x": 41}}, {"events": {"x": bad}}) == rejected("9.4.1")
        assert alter("9", {"users": {CAROL: bad}}, {}) == allowed("9.8")

    @pytest.mark.parametrize("name", ["events", "notifications"])
    @pytest.mark.parametrize(
        ("old", "new", "number"),
        [
            ({"x": 41}, {"x": 40}, "9.6.1"),
            ({"x": 41}, {}, "9.6.1"),
            ({"x": 40}, {"x": 41}, "9.7.1"),
            ({}, {"x": 41}, "9.7.1"),
            ({"x": 41}, {"x": 41}, "9.10"),
            ({"x": 40}, {}, "9.10"),
            ({}, {"x": 40}, "9.10"),
            ({"x": 40}, {"x": 39}, "9.10"),
        ],
    )
    def test_of_maps_look_at_the_sides_there_are(
        self, name: str, old: Json, new: Json, number: str
    ) -> None:
        verdict = alter("10", {name: old}, {name: new})
        assert verdict == Verdict(number == "9.10", number)

    def test_of_notifications_are_free_until_version_5(self) -> None:
        old, new = {"notifications": {"room": 50}}, {"notifications": {"room": 60}}
        assert alter("5", old, new) == allowed("10.8")
        assert alter("6", old, new) == rejected("9.4.1")

    @pytest.mark.parametrize(
        ("old", "new", "number"),
        [
            ({CAROL: 40}, {CAROL: 39}, "9.8.1"),
            ({CAROL: 40}, {}, "9.8.1"),
            ({CAROL: 39}, {CAROL: 40}, "9.10"),
            ({CAROL: 39}, {CAROL: 41}, "9.9.1"),
            ({CAROL: 39}, {}, "9.10"),
            ({}, {CAROL: 40}, "9.10"),
            ({}, {CAROL: 41}, "9.9.1"),
            ({CAROL: 100}, {CAROL: 100}, "9.10"),
            ({BOB: 40}, {BOB: 39}, "9.10"),
            ({BOB: 40}, {BOB: 41}, "9.9.1"),
        ],
    )
    def test_of_users_spare_peers(self, old: Json, new: Json, number: str) -> None:
        verdict = alter("10", {"users": old}, {"users": new})
        assert verdict == Verdict(number == "9.10", number)

    def test_of_a_peers_entry_equal_to_the_default_are_rejected(self) -> None:
        default = {"users_default": 40}
        verdict = alter("10", default | {"users": {CAROL: 40}}, default)
        assert verdict == rejected("9.8.1")

    def test_are_free_for_version_12s_creators(self) -> None:
        room = a_room("12", levels(ban=2**53 - 1, users={BOB: 2**53 - 1}))
        assert room.judge(power_levels(ALICE, kick=2**53 - 1)) == allowed("10.11")

    def test_with_another_state_key_are_those_of_the_room(self) -> None:
        event = power_levels(ALICE, ban=101) | {"state_key": "x"}
        room = a_room("10", levels(**power_levels_of(alice=100)))
        assert room.judge(event) == rejected("9.5.2")
        assert a_room("10").judge(event) == allowed("9.4")


class TestRedaction:
    REDACTION: Pdu = pdu("m.room.redaction", BOB, redacts="$other:d.example")

    @pytest.mark.parametrize("version", ["1", "2"])
    @pytest.mark.parametrize(
        ("redact", "redacts", "verdict"),
        [
            (0, "$other:d.example", allowed("11.1")),
            (1, "$other:a.example", allowed("11.2")),
            (1, "$other:d.example", rejected("11.3")),
            (1, "other:a.example", rejected("11.3")),
            (1, "$other", rejected("11.3")),
            (1, None, rejected("11.3")),
            (1, ["$other:a.example"], rejected("11.3")),
        ],
    )
    def test_takes_a_level_or_the_same_server(
        self, version: str, redact: int, redacts: Json, verdict: Verdict
    ) -> None:
        room = a_room(version, levels(redact=redact), bob="join")
        assert room.judge(self.REDACTION | {"redacts": redacts}) == verdict

    def test_takes_the_required_level_first(self) -> None:
        room = a_room("2", levels(events={"m.room.redaction": 1}, redact=0), bob="join")
        assert room.judge(self.REDACTION) == rejected("8")

    def test_reads_the_event_id_given_beside_the_event(self) -> None:
        event = self.REDACTION | {"redacts": "$other:b.example"}
        state = a_room("2", bob="join").state
        for event_id, number in (("$event:b.example", "11.2"), ("", "11.3")):
            verdict = judge("2", event, state, create_id=CREATE_ID, event_id=event_id)
            assert verdict == Verdict(number == "11.2", number)

    def test_is_like_other_events_from_version_3_on(self) -> None:
        assert a_room("2", bob="join").judge(self.REDACTION) == rejected("11.3")
        assert a_room("3", bob="join").judge(self.REDACTION) == allowed("11")


JUNK: tuple[Json, ...] = (
    None,
    True,
    7,
    -(10**5000),
    1.5,
    float("inf"),
    "",
    "9" * 9999,
    "\ud800",
    [],
    [[]],
    {},
    {"": {}},
)
NAMES = (
    "membership",
    VIA,
    "third_party_invite",
    "join_rule",
    "creator",
    "m.federate",
    "additional_creators",
    "public_key",
    "public_keys",
    "users",
    "events",
    "notifications",
    *NAMED,
)


class TestTotality:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", NAMES)
    def test_judges_events_of_any_content(self, version: str, name: str) -> None:
        room = a_room(version, levels())
        kinds = ("m.room.member", "m.room.power_levels", "m.room.redaction", "m.room.create", "x")
        for kind, value in itertools.product(kinds, JUNK):
            base = {"membership": "join"} if kind == "m.room.member" else {}
            event = pdu(kind, ALICE, base | {name: value}, state_key=ALICE, redacts=value)
            assert isinstance(room.judge(event), Verdict)
            judge_auth_events(version, event, [])

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", NAMES)
    def test_judges_against_state_of_any_content(self, version: str, name: str) -> None:
        events = [
            join(ALICE),
            member(ALICE, BOB, "leave"),
            power_levels(ALICE, ban=1),
            claim(signed()),
        ]
        kinds = ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules"]
        for kind, value, event in itertools.product(kinds, JUNK, events):
            room = a_room(version, levels(), rule("restricted"))
            state_key = ALICE if kind == "m.room.member" else ""
            for content in (value, {name: value}):
                event_of_content = pdu(kind, ALICE, state_key=state_key) | {"content": content}
                room.state[kind, state_key] = event_of_content
                assert isinstance(room.judge(event), Verdict)

    @pytest.mark.parametrize("name", ["mxid", "token", "signatures", "unsigned", "extra"])
    def test_judges_anything_signed(self, name: str) -> None:
        nested: Json = []
        for _ in range(100_000):
            nested = [nested]
        room = a_room_with_invite("5", {"public_key": PUBLIC_KEY})
        for value in (*JUNK, nested):
            event = claim(signed() | {name: value})
            assert isinstance(room.judge(event), Verdict)
            judge_auth_events("5", event, [])
