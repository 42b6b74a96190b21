"""What lint finds, and that it is silent where nothing hurts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix_membership import RoomState, RoomVersion, lint, lint_change, read_state, who_may
from matrix_membership.advice._finding import Finding, Weight
from matrix_membership.errors import IncompleteState
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.room_versions import V1, V6, V7, V9, V10, V11, V12
from matrix_membership.strategies import room_states
from tests.builders import ANA, BEN, CAY, DAN, Room, a_levelled_room, a_room, everywhere, since

ALLOW = {"type": "m.room_membership", "room_id": "!s:a.example"}


def kinds(room: Room) -> list[str]:
    """The kinds of what is found in a room."""
    return [finding.kind for finding in lint(room.state)]


def finding(room: Room, kind: str) -> Finding:
    """The one finding of a kind."""
    (found,) = [finding for finding in lint(room.state) if finding.kind == kind]
    return found


class TestLint:
    @everywhere
    @pytest.mark.parametrize("rule", ["public", "invite"])
    def test_finds_nothing_in_a_plain_room(self, version: RoomVersion, rule: str) -> None:
        assert kinds(a_room(version).with_join_rule(rule)) == []

    def test_finds_that_there_is_no_room(self) -> None:
        assert kinds(Room(V11)) == ["no-create-event"]

    def test_puts_what_hurts_first(self) -> None:
        room = a_levelled_room(V9, users={ANA: "50"}, ban="60")
        weights = [found.weight for found in lint(room.state)]
        assert weights == [Weight.HURTS, Weight.MAY_HURT]

    def test_needs_all_members(self) -> None:
        state = RoomState.over(V11, a_room(V11).state.get)
        with pytest.raises(IncompleteState):
            lint(state)

    def test_tells_in_one_line(self) -> None:
        room = a_levelled_room(V11, ban=60)
        assert str(finding(room, "nobody-can-ban")) == (
            "hurts: nobody can ban: no joined member reaches the ban level; "
            "lower it to 50, or raise a member to 60, if anybody still can"
        )

    def test_is_told_as_json(self) -> None:
        room = a_room(V11).with_content("m.room.policy", {"via": 7})
        (found,) = lint(room.state)
        assert found.to_dict() == {
            "kind": "policy-server-unnamed",
            "weight": "may hurt",
            "event": {
                "type": "m.room.policy",
                "state_key": "",
                "event_id": room.events[-1].event_id,
            },
            "concerns": [],
            "sentence": found.sentence,
            "remedy": found.remedy,
        }
        (found,) = lint(Room(V11).state)
        assert found.to_dict()["event"] is None

    def test_names_whom_it_concerns(self) -> None:
        room = a_room(V6).with_join_rule("knock")
        assert "does not know the join rule [knock]; set one that it knows: " in str(
            finding(room, "join-rule-unknown")
        )

    @settings(max_examples=60, deadline=None)
    @given(state=room_states())
    def test_gives_findings_of_any_room(self, state: RoomState) -> None:
        for found in lint(state):
            assert str(found)


class TestPartialState:
    """What a state leaves out is unknown, and not a finding."""

    def partial(self, room: Room) -> dict[str, tuple[str, ...]]:
        """The findings in a state that may leave members out, with whom they concern."""
        state = RoomState.of(room.version, room.events, partial=True)
        return {found.kind: found.concerns for found in lint(state)}

    @everywhere
    def test_does_not_tell_what_nobody_can_do(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, ban=60).with_member(BEN, BAN)
        assert self.partial(room) == {"not-told": ("all members",)}
        assert "nobody-can-ban" in kinds(room)

    @since("8")
    def test_does_not_tell_that_nobody_can_authorise(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=60).with_join_rule("restricted", allow=[ALLOW])
        assert self.partial(room) == {"not-told": ("all members",)}

    def test_tells_what_is_certain(self) -> None:
        room = a_room(V12).with_member(BEN, JOIN).with_levels({ANA: 100, BEN: 50}, ban="50")
        found = self.partial(room)
        assert found == {
            "creator-listed": (ANA,),
            "level-unreadable": ("ban",),
            "tombstone-open": (BEN,),
            "not-told": ("all members",),
        }

    def test_does_not_tell_that_no_creator_is_joined(self) -> None:
        room = a_room(V12).with_levels({BEN: 100}).with_member(ANA, LEAVE)
        assert self.partial(room) == {"not-told": ("all members",)}

    def test_does_not_tell_that_nobody_can_mend_a_list(self) -> None:
        room = a_room(V11).with_content("m.room.server_acl", {"allow": []})
        state = RoomState.of(V11, room.events, partial=True, servers=["a.example"])
        (found, _) = lint(state)
        assert found.remedy == "permit the servers, or have their users removed"

    def test_names_the_events_that_stripped_state_lacks(self) -> None:
        room = a_room(V11).with_join_rule("knock_restricted", allow=7)
        state = RoomState.of(V11, room.events, stripped=True)
        (hurts, note) = lint(state)
        assert hurts.kind == "no-conditions"
        assert str(note) == (
            "note: there may be more: the state that is at hand leaves these out "
            "[m.room.power_levels, all members, m.room.server_acl, m.room.policy]; "
            "read the whole state"
        )

    def test_may_lack_the_create_event(self) -> None:
        (note,) = lint(RoomState.of(V11, [], stripped=True))
        assert "m.room.create" in note.concerns

    @pytest.mark.parametrize(
        ("event_type", "state_key", "missing", "banning"),
        [
            ("m.room.member", BEN, "all members", False),
            ("m.room.server_acl", "", "m.room.server_acl", True),
            ("m.room.create", "", "m.room.create", False),
            ("m.room.power_levels", "", "m.room.power_levels", False),
        ],
    )
    def test_may_be_one_with_a_malformed_event(
        self, event_type: str, state_key: str, missing: str, banning: bool
    ) -> None:
        room = a_levelled_room(V11, ban=60).with_join_rule("knock_restricted", allow=7)
        kept = [dict(event.to_stripped()) for event in room.events if event.type != event_type]
        malformed = {"type": event_type, "state_key": state_key, "sender": ANA, "content": 7}
        state = read_state([*kept, malformed], room_version=V11, complete=True)
        found = {entry.kind: entry.concerns for entry in lint(state)}
        assert "no-conditions" in found
        assert ("nobody-can-ban" in found) is banning
        assert missing in found["not-told"]

    @settings(max_examples=60, deadline=None)
    @given(state=room_states(), data=st.data())
    def test_has_nothing_that_the_whole_state_has_not(self, state: RoomState, data: Any) -> None:
        events = list(state.events)
        kept = [event for event in events if data.draw(st.booleans())]
        members_kept = [event for event in events if event.type != "m.room.member" or event in kept]
        whole = {found.kind for found in lint(state)} | {"not-told"}
        for part in (
            RoomState.of(state.room_version, members_kept, partial=True),
            RoomState.of(state.room_version, kept, stripped=True),
        ):
            assert {found.kind for found in lint(part)} <= whole


class TestLintChange:
    def test_tells_what_a_change_adds(self) -> None:
        room = a_room(V11).with_member(BEN, JOIN)
        event = room.event("m.room.server_acl", ANA, {"allow": ["*"], "deny": ["a.*"]}, "")
        added, removed = lint_change(room.state, event)
        assert [(found.kind, found.concerns) for found in added] == [
            ("acl-bans-members", ("a.example",))
        ]
        assert removed == ()

    def test_tells_what_a_change_removes(self) -> None:
        room = a_levelled_room(V11, ban=60)
        event = room.event("m.room.power_levels", ANA, {"users": {ANA: 60}, "ban": 60}, "")
        added, removed = lint_change(room.state, event)
        assert (added, [found.kind for found in removed]) == ((), ["nobody-can-ban"])

    def test_tells_of_more_and_of_less_than_before(self) -> None:
        room = a_room(V11).with_member(BEN, JOIN).with_member(CAY, JOIN)
        acl = {"allow": ["*"], "deny": ["b.*"]}
        more = room.event("m.room.server_acl", ANA, {**acl, "deny": ["b.*", "c.*"]}, "")
        room = room.with_content("m.room.server_acl", acl)
        added, removed = lint_change(room.state, more)
        assert [found.concerns for found in added] == [("b.example", "c.example")]
        assert removed == ()
        added, removed = lint_change(room.with_state(more).state, room.events[-1])
        assert added == ()
        assert [found.concerns for found in removed] == [("b.example", "c.example")]

    def test_tells_nothing_of_what_stays(self) -> None:
        room = a_levelled_room(V11, ban=60)
        event = room.event("m.room.power_levels", ANA, {"users": {ANA: 40}, "ban": 60}, "")
        added, removed = lint_change(room.state, event)
        assert [found.kind for found in added] == [
            "nobody-can-change-levels",
            "nobody-can-change-join-rules",
            "nobody-can-upgrade",
        ]
        assert removed == ()

    def test_of_a_message_tells_nothing(self) -> None:
        room = a_levelled_room(V11, ban=60)
        assert lint_change(room.state, room.message(ANA)) == ((), ())

    def test_needs_all_members(self) -> None:
        state = RoomState.over(V11, a_room(V11).state.get)
        with pytest.raises(IncompleteState):
            lint_change(state, a_room(V11).message(ANA))


class TestJoinRuleUnknown:
    @pytest.mark.parametrize(
        ("version", "rule"), [(V1, "knock"), (V7, "restricted"), (V9, "knock_restricted"), (V11, 7)]
    )
    def test_is_one_that_the_version_lacks(self, version: RoomVersion, rule: Any) -> None:
        room = a_room(version).with_content("m.room.join_rules", {"join_rule": rule})
        found = finding(room, "join-rule-unknown")
        assert (found.weight, found.concerns) == (Weight.HURTS, (str(rule),))

    @since("10")
    def test_is_none_that_it_has(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("knock_restricted", allow=[ALLOW])
        assert kinds(room) == []


class TestRestrictedRoom:
    @since("8")
    def test_where_nobody_can_authorise_is_found(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=60).with_join_rule("restricted", allow=[ALLOW])
        assert "nobody-can-authorise" in kinds(room)

    @since("8")
    def test_where_somebody_can_is_not(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, invite=50).with_join_rule("restricted", allow=[ALLOW])
        assert "nobody-can-authorise" not in kinds(room)

    def test_without_conditions_is_found(self) -> None:
        assert kinds(a_room(V11).with_join_rule("restricted", allow=7)) == ["no-conditions"]

    @pytest.mark.parametrize(
        "entry", [7, {}, {**ALLOW, "type": "x"}, {**ALLOW, "room_id": "s"}, {"type": ALLOW["type"]}]
    )
    def test_whose_conditions_lead_nowhere_is_found(self, entry: Any) -> None:
        room = a_room(V11).with_join_rule("restricted", allow=[ALLOW, entry])
        found = finding(room, "allow-points-nowhere")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, ("allow[1]",))

    def test_whose_rooms_name_no_server_is_noted(self) -> None:
        entry = {**ALLOW, "room_id": "!" + "x" * 43}
        room = a_room(V12).with_join_rule("restricted", allow=[ALLOW, entry])
        found = finding(room, "allow-without-server")
        assert (found.weight, found.concerns) == (Weight.NOTE, (entry["room_id"],))


class TestOutOfReach:
    @pytest.mark.parametrize(
        ("levels", "kind"),
        [
            ({"invite": 51}, "nobody-can-invite"),
            ({"ban": 51}, "nobody-can-ban"),
            ({"events": {"m.room.power_levels": 51}}, "nobody-can-change-levels"),
            ({"events": {"m.room.join_rules": 51}}, "nobody-can-change-join-rules"),
            ({"events": {"m.room.tombstone": 51}}, "nobody-can-upgrade"),
        ],
    )
    @everywhere
    def test_is_a_level_above_everybody_joined(
        self, version: RoomVersion, levels: Any, kind: str
    ) -> None:
        room = a_levelled_room(version, **levels)
        assert kinds(room) == [kind]
        assert kinds(a_levelled_room(version, users={ANA: 51}, **levels)) == []

    def test_counts_no_power_of_who_left(self) -> None:
        room = a_levelled_room(V11, users={BEN: 100}, ban=60).with_member(BEN, LEAVE)
        assert kinds(room) == ["nobody-can-ban"]

    def test_counts_the_default_of_who_is_not_listed(self) -> None:
        room = a_levelled_room(V11, users={ANA: 0}, users_default=60, ban=60)
        assert "nobody-can-ban" in kinds(room)
        assert "nobody-can-ban" not in kinds(room.with_member(CAY, JOIN))

    def test_counts_creators_of_version_12(self) -> None:
        room = a_levelled_room(V12, ban=1000)
        assert "nobody-can-ban" in kinds(room)
        assert "nobody-can-ban" not in kinds(room.with_member(DAN, JOIN))

    def test_is_everything_where_nobody_is_joined(self) -> None:
        room = a_room(V11).with_member(ANA, LEAVE)
        assert kinds(room) == ["nobody-joined"]

    def test_knows_rooms_whose_creator_nobody_names(self) -> None:
        room = Room(V1).with_content("m.room.create", {}).with_member(ANA, JOIN)
        assert "nobody-can-ban" in kinds(room)

    def test_counts_no_power_of_who_cannot_send(self) -> None:
        closed = {"room_version": "11", "m.federate": False}
        room = Room(V11).with_content("m.room.create", closed).with_member(BEN, JOIN)
        assert kinds(room.with_levels({BEN: 100})) == ["unfederated-with-others", "nobody-joined"]
        assert kinds(room.with_levels(users_default=100))[-1] == "nobody-joined"


class TestNobodyCanUnban:
    @everywhere
    @pytest.mark.parametrize(
        ("levels", "found"),
        [
            ({"users": {BEN: 50}}, True),
            ({"users": {BEN: 49}}, False),
            ({"users_default": 50}, True),
            ({"users_default": 49}, False),
            ({"kick": 51}, True),
            ({"kick": 50}, False),
        ],
    )
    def test_is_a_banned_user_whom_nobody_can_act_on(
        self, version: RoomVersion, levels: Any, found: bool
    ) -> None:
        room = a_levelled_room(version, **levels).with_member(BEN, BAN)
        assert ("nobody-can-unban" in kinds(room)) is found
        assert "nobody-can-unban" not in kinds(room.with_member(BEN, LEAVE))

    @everywhere
    def test_is_what_the_rules_say(self, version: RoomVersion) -> None:
        for level in (49, 50, 51):
            room = a_levelled_room(version, users={BEN: level}).with_member(BEN, BAN)
            found = not list(who_may(room.state, lambda user: user.unban(BEN)))
            assert ("nobody-can-unban" in kinds(room)) is found

    def test_names_who_could_come_back(self) -> None:
        room = a_levelled_room(V11, users={BEN: 50, CAY: 60}).with_member(BEN, BAN)
        found = finding(room, "nobody-can-unban")
        assert (found.weight, found.concerns) == (Weight.HURTS, (BEN,))
        assert found.remedy == f"have {CAY} come back, who has the power"
        room = room.with_member(CAY, BAN)
        found = finding(room, "nobody-can-unban")
        assert found.concerns == (BEN, CAY)
        assert found.remedy == "nobody can mend it from inside: make another room, and invite them"


class TestTombstoneOpen:
    def room(self, **levels: Any) -> Room:
        """A room of a creator, an admin and a plain member."""
        users = levels.pop("users", {BEN: 100})
        room = a_room(V12).with_member(BEN, JOIN).with_member(CAY, JOIN)
        return room.with_levels(users, **levels)

    @pytest.mark.parametrize(
        ("levels", "concerns", "enough"),
        [
            ({}, (BEN,), 150),
            ({"users": {BEN: 200}}, (BEN,), 201),
            ({"users_default": 50}, (BEN, CAY), 150),
            ({"users": {}, "users_default": 160}, (BEN,), 161),
            ({"events": {"m.room.tombstone": 100}}, (BEN,), 150),
        ],
    )
    def test_is_one_that_others_than_creators_can_send(
        self, levels: Any, concerns: tuple[str, ...], enough: int
    ) -> None:
        found = finding(self.room(**levels), "tombstone-open")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, concerns)
        assert found.remedy == f"have a creator set the level of m.room.tombstone to {enough}"

    def test_is_not_one_above_them(self) -> None:
        assert kinds(self.room(events={"m.room.tombstone": 150})) == []
        assert kinds(self.room(users={BEN: 49})) == []

    def test_is_as_it_has_to_be_where_the_creators_left(self) -> None:
        room = self.room().with_member(ANA, LEAVE)
        assert kinds(room) == []
        room = self.room(events={"m.room.tombstone": 150}).with_member(ANA, LEAVE)
        assert kinds(room) == ["nobody-can-upgrade"]

    def test_counts_nobody_who_cannot_send(self) -> None:
        room = a_room(V12, **{"m.federate": False}).with_member(BEN, JOIN)
        assert kinds(room.with_levels(users_default=50)) == ["unfederated-with-others"]

    @since("1", "11")
    def test_is_as_it_should_be_before(self, version: RoomVersion) -> None:
        room = a_room(version).with_member(BEN, JOIN).with_levels({ANA: 100, BEN: 50})
        assert kinds(room) == []


class TestOddLevels:
    @pytest.mark.parametrize("version", [V1, V9], ids=str)
    def test_are_text(self, version: RoomVersion) -> None:
        room = a_room(version).with_levels({ANA: 100}, ban="50", events={"x": "7"})
        found = finding(room, "level-not-an-integer")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, ("ban", "events.x"))

    def test_are_fractions(self) -> None:
        room = a_room(V1).with_levels({ANA: 100}, kick=50.5)
        assert finding(room, "level-not-an-integer").concerns == ("kick",)

    @pytest.mark.parametrize("value", [None, True, "x", [], {}])
    def test_that_are_none_hurt(self, value: Any) -> None:
        room = a_room(V9).with_levels({ANA: 100}, notifications={"room": value})
        found = finding(room, "level-unreadable")
        assert (found.weight, found.concerns) == (Weight.HURTS, ("notifications.room",))

    def test_are_sought_in_objects_alone(self) -> None:
        room = a_room(V9).with_levels({ANA: 100}, events=7)
        assert kinds(room) == []

    def test_are_no_integers_in_version_10(self) -> None:
        room = a_room(V10).with_levels({ANA: 100}, ban="50")
        assert finding(room, "level-unreadable").concerns == ("ban",)


class TestCreatorListed:
    def test_is_found_in_version_12(self) -> None:
        room = a_room(V12, additional_creators=[BEN]).with_levels({BEN: 100, CAY: 1})
        found = finding(room, "creator-listed")
        assert (found.weight, found.concerns) == (Weight.HURTS, (BEN,))

    @since("1", "11")
    def test_is_as_it_should_be_before(self, version: RoomVersion) -> None:
        assert kinds(a_room(version).with_levels({ANA: 100})) == []


class TestServerAcl:
    def room(self, **acl: Any) -> Room:
        """A room of two servers with an access control list."""
        return a_room(V11).with_member(BEN, JOIN).with_content("m.room.server_acl", acl)

    def test_that_bans_members_is_found(self) -> None:
        found = finding(self.room(allow=["*"], deny=["b.*"]), "acl-bans-members")
        assert (found.weight, found.concerns) == (Weight.HURTS, ("b.example",))
        assert found.sentence.startswith("members on these servers are cut off")

    def test_of_odd_patterns_is_compared_with_no_more_servers_than_it_may(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("matrix_membership.advice._servers.MOST_COMPARISONS", 3)
        room = self.room(allow=["x*", "y?", "*.z.?"])
        assert len(room.state.servers_in_room) == 2
        assert finding(room, "acl-bans-members").concerns == ("a.example",)

    def test_that_bans_all_is_found(self) -> None:
        found = finding(self.room(allow=["*"], deny=["*"]), "acl-bans-members")
        assert found.concerns == ("a.example", "b.example")
        assert found.sentence == "every server of the room is banned from it"
        assert found.remedy.startswith("nobody can mend it from inside, because the servers of ")

    @pytest.mark.parametrize("acl", [{}, {"deny": ["c.example"]}, {"allow": "*"}], ids=str)
    def test_that_permits_nobody_says_so(self, acl: dict[str, Any]) -> None:
        found = finding(self.room(**acl), "acl-bans-members")
        assert found.sentence.endswith("`allow`, the access control list permits nobody")

    def test_is_mended_by_who_is_not_banned(self) -> None:
        room = self.room(allow=["b.example"]).with_levels({ANA: 100, BEN: 50, CAY: 60})
        remedy = "have @ben:b.example permit the servers, or have their users removed"
        assert finding(room, "acl-bans-members").remedy == remedy
        room = self.room(allow=["b.example"]).with_levels({ANA: 100}, users_default=50)
        assert finding(room, "acl-bans-members").remedy == remedy

    def test_is_not_mended_by_who_has_too_little_power(self) -> None:
        room = self.room(allow=["b.example"]).with_levels({ANA: 100, BEN: 49})
        assert finding(room, "acl-bans-members").remedy.startswith("nobody can mend it")

    def test_of_many_patterns_leaves_open_who_can_mend_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("matrix_membership.advice._servers.MOST_COMPARISONS", 1)
        found = finding(self.room(allow=["x?"]), "acl-bans-members")
        assert found.remedy == "permit the servers, or have their users removed"

    def test_that_bans_others_is_not(self) -> None:
        assert kinds(self.room(allow=["*"], deny=["evil.example"])) == []

    def test_that_bans_invited_users_is_found(self) -> None:
        room = self.room(allow=["*"], deny=["c.example"]).with_member(CAY, INVITE)
        found = finding(room, "invited-cannot-join")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, (CAY,))
        assert found.remedy == "permit their servers, or withdraw the invites"

    @pytest.mark.parametrize(
        "pattern",
        [
            "a.example:8448",
            "https://a.example",
            "@x:a.example",
            "",
            "10.0.0.0/8",
            ".*\\.a",
            "[::1]:7",
            7,
            None,
            "a b",
            "[",
            "ä.example",
        ],
    )
    def test_whose_patterns_match_nothing_is_found(self, pattern: Any) -> None:
        room = self.room(allow=["*"], deny=["x.example", pattern])
        found = finding(room, "acl-matches-nothing")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, (f"deny[1] {pattern!r}",))

    @pytest.mark.parametrize(
        "pattern",
        ["*", "A.example", "*.a-b.example", "?", "10.0.0.?", "[::1]", "*::1]", "*:*", "[*"],
    )
    def test_whose_patterns_can_match_is_not(self, pattern: str) -> None:
        room = self.room(allow=["*.example"], deny=[pattern])
        assert "acl-matches-nothing" not in kinds(room)

    def test_whose_list_is_not_one_is_found(self) -> None:
        room = self.room(allow=["*"], deny="evil.example")
        assert finding(room, "acl-matches-nothing").concerns == ("deny 'evil.example'",)


class TestPolicyServer:
    KEY = "A" * 43

    def room(self, **policy: Any) -> Room:
        """A room of two servers with a policy server."""
        return a_room(V11).with_member(BEN, JOIN).with_content("m.room.policy", policy)

    def test_that_is_named_well_is_not_found(self) -> None:
        assert kinds(self.room(via="b.example", public_keys={"ed25519": self.KEY})) == []
        assert kinds(self.room()) == []

    @pytest.mark.parametrize(
        "policy",
        [
            {"via": "b.example"},
            {"public_keys": {"ed25519": "A" * 43}},
            {"via": 7, "public_keys": {"ed25519": "A" * 43}},
            {"via": "b.example", "public_keys": {"ed25519": 7}},
            {"via": "b.example", "public_keys": "x"},
        ],
    )
    def test_that_lacks_a_field_is_found(self, policy: Any) -> None:
        found = finding(self.room(**policy), "policy-server-unnamed")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, ())

    @pytest.mark.parametrize("key", ["", "AAAA", "A" * 44, "?" * 43])
    def test_whose_key_cannot_be_read_is_found(self, key: str) -> None:
        room = self.room(via="b.example", public_keys={"ed25519": key})
        found = finding(room, "policy-server-key-unreadable")
        assert (found.weight, found.concerns) == (Weight.HURTS, ("b.example",))

    def test_that_is_not_in_the_room_is_noted(self) -> None:
        room = self.room(via="x.example", public_keys={"ed25519": ""})
        found = finding(room, "policy-server-absent")
        assert (found.weight, found.concerns) == (Weight.NOTE, ("x.example",))


class TestUnfederatedRoom:
    def test_with_others_in_it_is_found(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_member(BEN, JOIN)
        found = finding(room, "unfederated-with-others")
        assert (found.weight, found.concerns) == (Weight.HURTS, ("b.example",))

    def test_with_others_invited_is_found(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_member(BEN, INVITE)
        found = finding(room.with_member(DAN, INVITE), "invited-cannot-join")
        assert (found.weight, found.concerns) == (Weight.MAY_HURT, (BEN,))

    def test_among_its_own_is_not(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_member(DAN, JOIN)
        assert kinds(room) == []
