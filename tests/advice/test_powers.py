"""The powers of members, by level, with the source of each."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_membership import RoomState, RoomVersion, may
from matrix_membership.advice import powers as asking
from matrix_membership.advice._powers import Need, Powers, Rank
from matrix_membership.advice.pages import page_of
from matrix_membership.advice.powers import ACTIONS, who_can
from matrix_membership.errors import IncompleteState
from matrix_membership.membership import BAN, INVITE, JOIN, LEAVE
from matrix_membership.room_versions import V2, V3, V10, V11, V12
from tests.builders import ANA, BEN, CAY, DAN, Room, a_levelled_room, a_room, everywhere, since


def rank_with(user: str, powers: Powers) -> Rank:
    """The rank of a member."""
    return next(rank for rank in powers.ranks if user in rank.members)


def plain(powers: Powers) -> Rank:
    """The rank of those without a level of their own."""
    return next(r for r in powers.ranks if r.standing.source in {"users_default", "default"})


class TestAnswers:
    @everywhere
    def test_are_those_of_may(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={BEN: 25}, kick=25).with_member(BEN, JOIN)
        room = room.with_member(CAY, JOIN)
        powers = who_can(room.state)
        for user in (ANA, BEN, CAY):
            asked = may(user, room.with_member(DAN, JOIN).with_member("@x:a.example", BAN).state)
            told = {
                "send": asked.send("m.room.message"),
                "notify": asked.notify(),
                "invite": asked.invite("@y:a.example"),
                "topic": asked.set("m.room.topic"),
                "upgrade": asked.upgrade(),
                "unban": asked.unban("@x:a.example"),
            }
            can = rank_with(user, powers).can
            assert {name for name, answer in told.items() if answer} == can & told.keys()

    @everywhere
    def test_of_a_member_without_a_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version).with_member(BEN, JOIN)
        assert rank_with(BEN, who_can(room.state)).can == {"send", "invite"}

    @everywhere
    def test_of_the_top_are_all_yes(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users={ANA: 100})
        assert rank_with(ANA, who_can(room.state)).can == ACTIONS.keys()

    @everywhere
    def test_about_others_hang_on_their_level(self, version: RoomVersion) -> None:
        room = a_levelled_room(version, users_default=50)
        told = rank_with(ANA, who_can(room.state)).can
        assert told & {"kick", "ban", "unban", "redact"} == {"redact"}

    def test_in_an_encrypted_room_are_about_its_messages(self) -> None:
        room = a_levelled_room(V11, events={"m.room.encrypted": 10}).with_member(BEN, JOIN)
        assert "send" in plain(who_can(room.state)).can
        encrypted = room.with_content("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
        assert "send" not in plain(who_can(encrypted.state)).can

    def test_cite_the_rule_that_decided(self) -> None:
        told = {answer.action: answer for answer in plain(who_can(a_room(V11).state)).answers}
        assert told["ban"].why.startswith("rejected by rule 4.6.3 of room version 11: ")
        assert told["ban"].url.startswith("https://spec.matrix.org/")
        assert told["notify"].url == ""
        assert told["send"].to_dict()["allowed"] is True


class TestRanks:
    @since("1", "11")
    def test_name_the_creator_of_a_room_without_power_levels(self, version: RoomVersion) -> None:
        told = [str(rank) for rank in who_can(a_room(version).state).ranks]
        source = "creator, in a room without power levels"
        assert told == [f"100 by {source}: {ANA}", "0 by default: nobody"]

    def test_tell_creators_with_infinite_power(self) -> None:
        room = a_room(V12, additional_creators=[BEN]).with_member(BEN, JOIN)
        powers = who_can(room.with_levels({}, users_default=7).state)
        told = [str(rank) for rank in powers.ranks]
        assert told == [
            f"infinite by creator: {ANA}",
            f"infinite by additional creator: {BEN}",
            "7 by users_default: nobody",
        ]
        assert powers.to_dict()["ranks"][0]["level"] is None
        assert powers.in_charge == powers.ranks[:2]

    def test_name_five_and_count_the_others(self) -> None:
        room = a_levelled_room(V11)
        for number in range(7):
            room = room.with_member(f"@u{number}:b.example", JOIN)
        rank = plain(who_can(room.state))
        assert (len(rank.members), rank.count) == (5, 7)
        assert str(rank).endswith("@u4:b.example, 2 more")

    def test_leave_out_users_who_are_not_joined(self) -> None:
        room = a_levelled_room(V11, users={BEN: 100, CAY: 0, "not a user": 9}).with_member(
            BEN, LEAVE
        )
        powers = who_can(room.state)
        assert [str(away) for away in powers.away] == [
            f"{BEN} (leave): 100 by users",
            "not a user (leave): 9 by users",
        ]
        assert "Power of users who are not joined\n  @ben" in str(powers)

    def test_of_servers_that_the_list_bans_may_do_nothing(self) -> None:
        acl = {"allow": ["*"], "deny": ["b.example"]}
        room = a_levelled_room(V11, users={BEN: 100}).with_member(BEN, JOIN)
        powers = who_can(room.with_content("m.room.server_acl", acl).state)
        assert rank_with(BEN, powers).can == frozenset()
        assert str(powers).count("but the access control list bans their server") == 1
        assert [rank.members for rank in powers.in_charge] == [(ANA,)]

    def test_are_compared_with_a_list_so_often_and_no_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asking, "MOST_COMPARISONS", 1)
        acl = {"allow": ["*"], "deny": ["a.example", "b.example"]}
        room = a_levelled_room(V11).with_member(BEN, JOIN)
        powers = who_can(room.with_content("m.room.server_acl", acl).state)
        assert rank_with(BEN, powers).standing.barred == ""

    def test_of_other_servers_may_do_nothing_in_a_closed_room(self) -> None:
        room = a_room(V11, **{"m.federate": False}).with_member(BEN, JOIN)
        powers = who_can(room.state)
        assert rank_with(BEN, powers).can == frozenset()
        assert rank_with(BEN, powers).standing.barred == "the room is closed to other servers"

    def test_ask_about_users_whom_the_room_permits(self) -> None:
        acl = {"allow": ["b.example"]}
        room = a_levelled_room(V11).with_member(BEN, JOIN)
        powers = who_can(room.with_content("m.room.server_acl", acl).state)
        assert "invite" in rank_with(BEN, powers).can


class TestNeeds:
    @pytest.mark.parametrize(
        ("levels", "action", "needs"),
        [
            ({}, "topic", [Need("m.room.topic", 50, "")]),
            ({"state_default": 40}, "topic", [Need("m.room.topic", 40, "state_default")]),
            (
                {"events": {"m.room.topic": 3}},
                "topic",
                [Need("m.room.topic", 3, "events.m.room.topic")],
            ),
            ({"ban": 60}, "unban", [Need("ban", 60, "ban"), Need("kick", 50, "")]),
            (
                {"redact": 9},
                "redact",
                [Need("m.room.redaction", 0, ""), Need("redact", 9, "redact")],
            ),
            (
                {"notifications": {"room": 8}},
                "notify",
                [
                    Need("m.room.message", 0, ""),
                    Need("notifications.room", 8, "notifications.room"),
                ],
            ),
        ],
    )
    def test_say_what_sets_them(self, levels: Any, action: str, needs: list[Need]) -> None:
        powers = who_can(a_levelled_room(V11, **levels).state)
        assert powers.needs[[*ACTIONS].index(action)] == tuple(needs)

    @pytest.mark.parametrize("version", [V2, V3], ids=str)
    def test_of_a_redaction_name_its_level_once(self, version: RoomVersion) -> None:
        needs = who_can(a_levelled_room(version).state).needs[[*ACTIONS].index("redact")]
        assert [need.name for need in needs] == ["m.room.redaction", "redact"]


class TestEntry:
    @pytest.mark.parametrize(
        ("rule", "allowed"),
        [
            ("public", [True, False]),
            ("invite", [False, False]),
            ("knock", [False, True]),
        ],
    )
    def test_follows_the_join_rule(self, rule: str, allowed: list[bool]) -> None:
        powers = who_can(a_levelled_room(V10).with_join_rule(rule).state)
        assert [answer.allowed for answer in powers.entry] == allowed

    def test_of_a_restricted_room_hangs_on_other_rooms(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = a_levelled_room(V10).with_join_rule("restricted", allow=allow)
        assert who_can(room.state).entry[0].allowed is None

    def test_of_a_restricted_room_that_nobody_can_open_is_a_no(self) -> None:
        allow = [{"type": "m.room_membership", "room_id": "!s:a.example"}]
        room = a_room(V10).with_member(ANA, LEAVE).with_join_rule("restricted", allow=allow)
        assert who_can(room.state).entry[0].allowed is False

    def test_of_a_state_without_its_members_is_told(self) -> None:
        room = Room(V11, a_levelled_room(V11).with_join_rule("public").events, partial=True)
        powers = who_can(room.state)
        assert (powers.whole, powers.entry[0].allowed) == (False, True)
        assert str(powers).endswith("There may be more: the state leaves members out.")


class TestAState:
    def test_of_nothing_has_nobody_in_charge(self) -> None:
        powers = who_can(RoomState.of(V11, []))
        assert (powers.in_charge, plain(powers).can) == ((), frozenset())

    @pytest.mark.parametrize("length", [230, 252, 253])
    def test_may_have_servers_of_long_names(self, length: int) -> None:
        server = f"{'a.' * 120}{'b' * 99}"[:length]
        version = V11
        creator = f"@:{server}"
        room = Room(version).with_content("m.room.create", {}, sender=creator)
        room = room.with_member(creator, JOIN).with_join_rule("public")
        powers = who_can(room.state)
        assert rank_with(creator, powers).can == ACTIONS.keys()

    def test_may_know_users_of_the_names_that_are_asked_about(self) -> None:
        room = a_levelled_room(V11, users={"@outsider1:a.example": 5})
        room = room.with_member("@outsider:a.example", INVITE)
        assert "invite" in rank_with(ANA, who_can(room.state)).can

    def test_without_power_levels_at_hand_is_refused(self) -> None:
        events = a_levelled_room(V11).events[:1]
        with pytest.raises(IncompleteState):
            who_can(RoomState.of(V11, events, stripped=True))

    def test_is_never_json(self) -> None:
        with pytest.raises(TypeError, match="expected a RoomState"):
            who_can([])  # type: ignore[arg-type]  # a mistake of callers without a type checker


HOSTILE = "<script>alert(1)</script>\u202e\u0007" + "x" * 100


class TestPage:
    def test_shows_all(self) -> None:
        room = a_levelled_room(V11, users={BEN: 100}).with_member(BEN, LEAVE)
        page = page_of(who_can(room.state))
        assert f"<bdi>{BEN}</bdi> (leave): 100 by users" in page
        assert f"The power levels may be changed by <bdi>{ANA}</bdi>." in page
        assert "<main>\n<h1>Who can do what</h1>" in page

    def test_says_what_it_cannot_know(self) -> None:
        room = Room(V11, a_levelled_room(V11).with_member(ANA, LEAVE).events, partial=True)
        page = page_of(who_can(room.state))
        assert "Nobody can be seen who may change the power levels." in page
        assert "the state leaves members out" in page

    def test_shows_hostile_names_as_text(self) -> None:
        user = f"@{HOSTILE}:b.example"
        room = a_levelled_room(V11, users={user: 100}).with_member(user, JOIN)
        room = room.with_content("m.room.server_acl", {"allow": ["a.example"]})
        page = page_of(who_can(room.state))
        assert "<script" not in page
        assert "\u202e" not in page
        assert "&lt;script&gt;" in page
