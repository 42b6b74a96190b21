"""Room upgrades, as a client asks for them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from matrix_membership import KNOWN, Event, RoomState, RoomVersion
from matrix_membership.canonical_json import MAX_INTEGER, JsonObject
from matrix_membership.client import UserSettings, read_upgrade, upgrade_room
from matrix_membership.federation import ResidentRoom
from matrix_membership.identifiers import UserID
from matrix_membership.membership import JoinRule
from matrix_membership.room_versions import V1, V5, V6, V9, V10, V11, V12
from tests.builders import ANA, BEN, CAY, DAN, SIGNER_A
from tests.client.new_rooms import (
    AT,
    NEXT,
    a_new_room,
    closed,
    outline,
    room_of,
    upgraded,
    upgrades,
    with_state,
)
from tests.client.rooms import HERE, body, refusal

VERSIONS: Final = pytest.mark.parametrize("version", KNOWN.values(), ids=str)
LEVELS: Final = "m.room.power_levels"


def an_old_room(version: RoomVersion = V10, **fields: Any) -> ResidentRoom:
    """A room of Ana's that is to be upgraded."""
    return a_new_room(room_version=version.identifier, **fields)


def contents(room: ResidentRoom, version: RoomVersion, **options: Any) -> dict[str, Any]:
    """The contents of the new room's events, the last one of each type."""
    return dict(outline(upgraded(room, version.identifier, **options).new_room))


def closing(room: ResidentRoom, **options: Any) -> dict[str, Any]:
    """The contents of the events that end the old room."""
    sends = upgraded(room, "11", **options).closing
    return {str(send.template.get("type")): dict(send.template.content) for send in sends}


class TestNewRoom:
    @VERSIONS
    def test_carries_over_what_the_specification_recommends(self, version: RoomVersion) -> None:
        told = {
            "m.room.server_acl": {"allow": ("*",)},
            "m.room.encryption": {"algorithm": "a"},
            "m.room.name": {"name": "Talk"},
            "m.room.avatar": {"url": "mxc://a.example/1"},
            "m.room.topic": {"topic": "All"},
            "m.room.guest_access": {"guest_access": "forbidden"},
            "m.room.history_visibility": {"history_visibility": "joined"},
            "m.room.join_rules": {"join_rule": "public"},
        }
        more = {"org.example": {"x": 1}, "m.room.pinned_events": {"pinned": []}}
        state = [{"type": kind, "content": told[kind]} for kind in told]
        state += [{"type": kind, "content": more[kind]} for kind in more]
        new = upgraded(an_old_room(initial_state=state), version.identifier).new_room
        assert [kind for kind, _ in outline(new)[:3]] == ["m.room.create", "m.room.member", LEVELS]
        assert dict(outline(new)[3:]) == told
        assert room_of(new).room_id == new.room_id

    def test_lacks_what_the_old_one_lacks(self) -> None:
        events = [event for event in an_old_room().state.events if event.type in _BARE]
        room = ResidentRoom(
            HERE, RoomState.of(V10, events), an_old_room().prev_events, 7, lambda _: None
        )
        new = upgraded(room, "11").new_room
        assert [kind for kind, _ in outline(new)] == ["m.room.create", "m.room.member", LEVELS]

    @pytest.mark.parametrize("version", [V1, V10, V11], ids=str)
    def test_names_the_old_room_and_its_tombstone(self, version: RoomVersion) -> None:
        room = an_old_room()
        upgrade = upgraded(room, version.identifier)
        tombstone = upgrade.closing[0].template.complete(SIGNER_A)
        predecessor = outline(upgrade.new_room)[0][1]["predecessor"]
        assert predecessor == {"room_id": room.room_id, "event_id": tombstone.event_id}
        assert tombstone.content["replacement_room"] == upgrade.new_room.room_id == NEXT
        assert upgrade.answer() == {"replacement_room": NEXT}
        assert upgrade.via == HERE

    @pytest.mark.parametrize("version", [V1, V10, V12], ids=str)
    def test_of_version_12_is_named_by_the_tombstone_only(self, version: RoomVersion) -> None:
        room = an_old_room(version)
        upgrade = upgraded(room, "12")
        tombstone = upgrade.closing[0].template.complete(SIGNER_A)
        assert outline(upgrade.new_room)[0][1]["predecessor"] == {"room_id": room.room_id}
        assert tombstone.content["replacement_room"] == room_of(upgrade.new_room).room_id

    def test_keeps_type_and_federation(self) -> None:
        room = an_old_room(creation_content={"type": "m.space", "m.federate": False, "x": 1})
        create = contents(room, V11)["m.room.create"]
        assert create.pop("predecessor")["room_id"] == room.room_id
        assert create == {"type": "m.space", "m.federate": False, "room_version": "11"}

    def test_of_a_space_keeps_its_children(self) -> None:
        room = an_old_room(creation_content={"type": "m.space"})
        room = with_state(room, "m.space.child", {"via": ["a.example"]}, "!c:a.example")
        room = with_state(room, "m.space.child", {}, "!gone:a.example")
        told = [entry for entry in outline(upgraded(room, "11").new_room) if "space" in entry[0]]
        assert told == [("m.space.child", {"via": ("a.example",)})]

    def test_keeps_bans(self) -> None:
        room = with_state(an_old_room(), "m.room.member", {"membership": "ban"}, BEN)
        room = with_state(room, "m.room.member", {"membership": "ban", "reason": "spam"}, CAY)
        room = with_state(room, "m.room.member", {"membership": "leave"}, DAN)
        told = [
            content for kind, content in outline(upgraded(room, "12").new_room) if "member" in kind
        ]
        ban = {"membership": "ban"}
        assert told[1:] == [{**ban, "reason": "spam"}, ban]

    def test_keeps_the_ban_of_a_user_of_high_power(self) -> None:
        room = an_old_room(power_level_content_override={"users": {ANA: 100, BEN: MAX_INTEGER}})
        room = with_state(room, "m.room.member", {"membership": "ban"}, BEN)
        state = room_of(upgraded(room, "11").new_room).state
        assert (str(state.membership_of(BEN)), state.power_level_of(BEN)) == ("ban", MAX_INTEGER)

    def test_leaves_out_the_ban_of_a_creator(self) -> None:
        room = with_state(an_old_room(), "m.room.member", {"membership": "ban"}, BEN)
        upgrade = upgraded(room, "12", additional_creators=[BEN])
        assert list(upgrade.left_out) == [("m.room.member", BEN)]
        assert str(room_of(upgrade.new_room).state.membership_of(BEN)) == "leave"

    def test_leaves_out_what_its_version_cannot_hold(self) -> None:
        room = with_state(an_old_room(V5), "m.room.topic", {"topic": "All", "x": 0.5})
        assert list(upgraded(room, "6").left_out) == [("m.room.topic", "")]
        assert not upgraded(room, "5").left_out

    def test_has_the_profile_of_the_user(self) -> None:
        settings = UserSettings(profile=JsonObject(displayname="Ana"))
        member = contents(an_old_room(), V11, settings=settings)["m.room.member"]
        assert member == {"displayname": "Ana", "membership": "join"}


_BARE: Final = ("m.room.create", "m.room.member", LEVELS)


class TestJoinRule:
    @pytest.mark.parametrize(
        ("rule", "version", "expected"),
        [
            ("knock", V6, "invite"),
            ("restricted", V6, "invite"),
            ("knock_restricted", V9, "invite"),
            ("knock_restricted", V12, "knock_restricted"),
            ("org.example", V6, "org.example"),
        ],
    )
    def test_that_the_version_lacks_becomes_invite(
        self, rule: str, version: RoomVersion, expected: str
    ) -> None:
        room = with_state(an_old_room(V10), "m.room.join_rules", {"join_rule": rule})
        assert contents(room, version)["m.room.join_rules"] == {"join_rule": expected}

    def test_that_the_version_knows_keeps_its_conditions(self) -> None:
        told = {"join_rule": "restricted", "allow": ({"type": "x"},)}
        room = with_state(an_old_room(V10), "m.room.join_rules", told)
        assert contents(room, V9)["m.room.join_rules"] == told
        assert room_of(upgraded(room, "9").new_room).state.join_rule is JoinRule.RESTRICTED


class TestPowerLevels:
    def test_stay(self) -> None:
        room = an_old_room(power_level_content_override={"users": {ANA: 100, BEN: 50}, "ban": 7})
        event = room.state.get(LEVELS)
        assert event is not None
        assert contents(room, V11)[LEVELS] == event.content

    def test_lose_the_creators_in_version_12(self) -> None:
        users = {ANA: 100, BEN: 100, CAY: 50}
        room = an_old_room(power_level_content_override={"users": users})
        assert contents(room, V12, additional_creators=[BEN])[LEVELS]["users"] == {CAY: 50}

    @pytest.mark.parametrize(
        ("version", "override", "expected"),
        [
            (V10, {"events": {}}, 150),
            (V10, {"events": {"m.room.tombstone": 100}}, 150),
            (V10, {"events": {"m.room.tombstone": 170}, "users": {ANA: 170}}, 170),
            (V10, {"events": {}, "state_default": 200, "users": {ANA: 200}}, 201),
            (V12, {"events": {"m.room.tombstone": 100}}, 100),
            (V12, {"events": {"m.room.tombstone": 50}}, 150),
        ],
    )
    def test_guard_the_tombstone_in_version_12(
        self, version: RoomVersion, override: Any, expected: int
    ) -> None:
        room = with_state(an_old_room(version), LEVELS, {"users": {ANA: 100}, **override})
        events = {"m.room.tombstone": expected}
        assert contents(room, V12)[LEVELS]["events"] == events

    def test_give_a_creator_of_version_12_the_highest_level(self) -> None:
        room = an_old_room(V12, power_level_content_override={"ban": 170})
        assert contents(room, V11)[LEVELS]["users"] == {ANA: 170}
        assert contents(with_state(room, LEVELS, {}), V11)[LEVELS]["users"] == {ANA: 100}

    def test_do_not_keep_other_creators_of_version_12(self) -> None:
        room = an_old_room(V12, creation_content={"additional_creators": [BEN]})
        for version in (V11, V12):
            state = room_of(upgraded(room, version.identifier).new_room).state
            assert state.power_level_of(BEN) == 0

    def test_of_a_user_too_low_are_raised_only_for_the_upgrade(self) -> None:
        levels = {"users": {ANA: 50, BEN: 100}, "events": {"m.room.tombstone": 50, LEVELS: 100}}
        room = with_state(an_old_room(), LEVELS, levels)
        told = [
            content for kind, content in outline(upgraded(room, "11").new_room) if kind == LEVELS
        ]
        assert [content["users"][ANA] for content in told] == [100, 50]
        assert room_of(upgraded(room, "11").new_room).state.power_level_of(ANA) == 50
        again = [kind for kind, _ in outline(upgraded(room, "12").new_room) if kind == LEVELS]
        assert len(again) == 1

    def test_that_only_old_versions_read_become_integers(self) -> None:
        levels = {
            "users": {ANA: " 100", BEN: "1" + "0" * 30},
            "events": {"m.room.name": "60", "m.room.topic": []},
            "notifications": {"room": 20.5},
            "ban": "70",
            "kick": {},
            "x": 1,
        }
        room = with_state(an_old_room(V5), LEVELS, levels)
        assert contents(room, V10)[LEVELS] == {
            "users": {ANA: 100, BEN: MAX_INTEGER},
            "events": {"m.room.name": 60},
            "notifications": {"room": 20},
            "ban": 70,
            "kick": 50,
            "x": 1,
        }

    def test_leave_keys_out_that_the_version_cannot_hold(self) -> None:
        room = with_state(an_old_room(V5), LEVELS, {"users": {ANA: 100}, "x": 0.5, "y": [1]})
        assert contents(room, V6)[LEVELS] == {"users": {ANA: 100}, "y": (1,)}
        assert contents(room, V5)[LEVELS] == {"users": {ANA: 100}, "x": 0.5, "y": (1,)}

    @pytest.mark.parametrize("version", [V10, V12], ids=str)
    def test_that_are_missing_are_written_down(self, version: RoomVersion) -> None:
        room = without_levels(an_old_room(version))
        told = contents(room, V11)[LEVELS]
        assert (told["users"], told["state_default"], told["invite"]) == ({ANA: 100}, 50, 0)


def without_levels(room: ResidentRoom) -> ResidentRoom:
    """A room that has no power levels event."""
    events = [event for event in room.state.events if event.type != LEVELS]
    state = RoomState.of(room.state.room_version, events)
    return ResidentRoom(HERE, state, room.prev_events, room.depth, room.get_event)


class TestOldRoom:
    @VERSIONS
    def test_ends_with_events_that_the_rules_admit(self, version: RoomVersion) -> None:
        room = an_old_room(version, room_alias_name="talk")
        upgrade = upgraded(room, "12", aliases={"#talk:a.example"})
        after = closed(room, upgrade).state
        levels = after.power_levels
        assert (levels.events_default, levels.invite) == (50, 50)
        alias = after.get("m.room.canonical_alias")
        assert alias is not None
        assert alias.content == {}

    @pytest.mark.parametrize(
        ("override", "expected"),
        [
            ({"users_default": 60}, (61, 61)),
            ({"events_default": 70, "invite": 80}, (70, 80)),
            ({"users_default": MAX_INTEGER - 1, "users": {ANA: MAX_INTEGER}}, (MAX_INTEGER,) * 2),
        ],
    )
    def test_keeps_users_of_the_default_level_out(
        self, override: dict[str, Any], expected: tuple[int, int]
    ) -> None:
        levels = closing(an_old_room(power_level_content_override=override)).get(LEVELS, override)
        assert (levels["events_default"], levels["invite"]) == expected

    def test_that_is_closed_already_is_left_so(self) -> None:
        room = an_old_room(power_level_content_override={"events_default": 50, "invite": 50})
        assert list(closing(room)) == ["m.room.tombstone"]

    def test_is_not_closed_by_a_user_who_may_not(self) -> None:
        override = {"users": {ANA: 100, DAN: 50}, "events": {"m.room.tombstone": 50, LEVELS: 100}}
        room = an_old_room(power_level_content_override=override)
        room = with_state(room, "m.room.member", {"membership": "join"}, DAN, by=DAN)
        assert list(closing(room, user=DAN)) == ["m.room.tombstone"]

    def test_without_power_levels_gets_them(self) -> None:
        levels = closing(without_levels(an_old_room()))[LEVELS]
        assert (levels["users"], levels["events_default"]) == ({ANA: 100}, 50)

    def test_keeps_the_aliases_that_do_not_move(self) -> None:
        told = {"alias": "#1:a.example", "alt_aliases": ["#2:a.example", 7, "#3:b.example"]}
        room = with_state(an_old_room(), "m.room.canonical_alias", told)
        moves = {"#1:a.example", "#2:a.example"}
        alias = {"alias": "#1:a.example", "alt_aliases": ("#2:a.example",)}
        assert contents(room, V11, aliases=moves)["m.room.canonical_alias"] == alias
        stays = {"alt_aliases": (7, "#3:b.example")}
        assert closing(room, aliases=moves)["m.room.canonical_alias"] == stays
        assert "m.room.canonical_alias" not in contents(room, V11)
        assert "m.room.canonical_alias" not in closing(room)


class TestRefusals:
    def refused(self, request: Any, room: Any, **options: Any) -> tuple[int, str]:
        outcome = upgrade_room(request, room, room_id=NEXT, at=AT, **options)
        return refusal(outcome)[:2]

    def test_of_a_version_that_the_server_does_not_speak(self) -> None:
        room = an_old_room()
        expected = (400, "M_UNSUPPORTED_ROOM_VERSION")
        assert self.refused(upgrades(ANA, room, "99"), room) == expected
        some = {"1": V1}
        assert self.refused(upgrades(ANA, room, "12"), room, room_versions=some) == expected

    @VERSIONS
    def test_of_a_user_who_may_not_send_the_tombstone(self, version: RoomVersion) -> None:
        room = an_old_room()
        room = with_state(room, "m.room.member", {"membership": "join"}, DAN, by=DAN)
        request = upgrades(DAN, room, version.identifier)
        assert self.refused(request, room) == (403, "M_FORBIDDEN")

    def test_of_a_user_who_is_not_in_the_room(self) -> None:
        room = an_old_room()
        assert self.refused(upgrades(DAN, room, "12"), room) == (403, "M_FORBIDDEN")
        assert self.refused(upgrades(ANA, room, "12"), None) == (403, "M_FORBIDDEN")

    def test_while_members_are_unknown(self) -> None:
        room = an_old_room()
        state = RoomState.of(V10, room.state.events, partial=True)
        partial = ResidentRoom(HERE, state, room.prev_events, room.depth, room.get_event)
        assert self.refused(upgrades(ANA, room, "12"), partial) == (503, "M_UNKNOWN")

    def test_of_users_who_may_not(self) -> None:
        room, settings = an_old_room(), UserSettings(suspended=True)
        request = upgrades(ANA, room, "12")
        assert self.refused(request, room, settings=settings) == (403, "M_USER_SUSPENDED")

    def test_of_power_levels_that_fit_no_event(self) -> None:
        users = {ANA: 100, **{f"@{number}:a.example": 1 for number in range(5000)}}
        room = with_state(an_old_room(), LEVELS, {"users": users})
        assert self.refused(upgrades(ANA, room, "12"), room) == (400, "M_BAD_JSON")

    def test_of_state_without_event_ids(self) -> None:
        room = an_old_room()
        bare = [Event.from_client_event(event.to_stripped(), V10) for event in room.state.events]
        told = ResidentRoom(HERE, RoomState.of(V10, bare), (), 0, lambda _: None)
        assert self.refused(upgrades(ANA, room, "12"), told) == (400, "M_BAD_JSON")


class TestReader:
    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"new_version": 7}, "new_version: expected a room version, got 7"),
            (
                {"new_version": "1", "additional_creators": ["x"]},
                "additional_creators: expected a list of user IDs, got ('x',)",
            ),
            (
                {"new_version": "1", "additional_creators": {}},
                "additional_creators: expected a list of user IDs, got {}",
            ),
        ],
    )
    def test_names_the_wrong_field(self, fields: dict[str, Any], told: str) -> None:
        request = read_upgrade(UserID(ANA), "!r:a.example", body=body(**fields))
        assert refusal(request) == (400, "M_INVALID_PARAM", told)

    def test_names_a_wrong_room(self) -> None:
        request = read_upgrade(UserID(ANA), "#r:a.example", body=body(new_version="1"))
        assert refusal(request)[2] == "roomId: expected a room ID, got '#r:a.example'"

    def test_reads_each_creator_once(self) -> None:
        request = upgrades(ANA, an_old_room(), "12", additional_creators=[BEN, ANA, BEN])
        assert request.additional_creators == (BEN, ANA)
        create = contents(an_old_room(), V12, additional_creators=[BEN, ANA, BEN])["m.room.create"]
        assert create["additional_creators"] == (BEN,)
