"""Room creation, as a client asks for it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from matrix_membership import KNOWN, RoomVersion
from matrix_membership.canonical_json import MAX_INTEGER, JsonObject
from matrix_membership.client import (
    AddressRequest,
    NeedsIdentityServer,
    Send,
    UserSettings,
    create_room,
    invite,
    read_create_room,
)
from matrix_membership.errors import InvalidEvent
from matrix_membership.identifiers import RoomID, UserID
from matrix_membership.membership import JoinRule
from matrix_membership.room_versions import V10, V11, V12
from tests.builders import ANA, BEN, CAY, SIGNER_A
from tests.client.new_rooms import AT, FIRST, a_new_room, created, creates, outline, room_of
from tests.client.rooms import body, refusal

VERSIONS: Final = pytest.mark.parametrize("version", KNOWN.values(), ids=str)
BY_ADDRESS: Final = {
    "id_server": "id.example",
    "id_access_token": "secret",
    "medium": "email",
    "address": "cay@c.example",
}


def levels_of(**fields: Any) -> dict[str, Any]:
    """The power levels of a new room."""
    levels: dict[str, Any] = dict(outline(created(**fields)))["m.room.power_levels"]
    return levels


def refused(**fields: Any) -> tuple[int, str, str]:
    """The error for a room that cannot be."""
    return refusal(create_room(creates(**fields), room_id=FIRST, at=AT))


class TestEvents:
    @VERSIONS
    def test_come_in_the_order_of_the_specification(self, version: RoomVersion) -> None:
        new = created(
            room_version=version.identifier,
            preset="public_chat",
            name="Talk",
            topic="All",
            room_alias_name="talk",
            initial_state=[
                {"type": "m.room.name", "content": {"name": "Other"}},
                {"type": "m.room.encryption", "content": {"algorithm": "a"}},
                {"type": "org.example", "state_key": "k", "content": {}},
            ],
        )
        assert [kind for kind, _ in outline(new)] == [
            "m.room.create",
            "m.room.member",
            "m.room.power_levels",
            "m.room.canonical_alias",
            "m.room.join_rules",
            "m.room.history_visibility",
            "m.room.guest_access",
            "m.room.encryption",
            "org.example",
            "m.room.name",
            "m.room.topic",
        ]
        assert room_of(new).room_id == new.room_id
        assert (new.alias, new.published) == ("#talk:a.example", False)

    def test_are_signed_as_they_were_drafted(self) -> None:
        new = created(name="Talk")
        newest = [event.event_id for event in new.complete(SIGNER_A)]
        drafted = [send.template.get("prev_events") for send in new.sends]
        assert drafted == [(), *((event_id,) for event_id in newest[:-1])]

    def test_hold_name_and_topic(self) -> None:
        told = dict(outline(created(name="", topic="All")))
        assert told["m.room.name"] == {"name": ""}
        assert told["m.room.topic"] == {"topic": "All", "m.topic": {"m.text": ({"body": "All"},)}}

    def test_hold_the_last_state_given_for_a_place(self) -> None:
        entries = [{"type": "t", "content": {"n": number}} for number in range(3)]
        told = [entry for entry in outline(created(initial_state=entries)) if entry[0] == "t"]
        assert told == [("t", {"n": 2})]

    def test_keep_a_name_under_another_state_key(self) -> None:
        entry = {"type": "m.room.name", "state_key": "k", "content": {}}
        told = outline(created(name="Talk", initial_state=[entry]))
        assert [content for kind, content in told if kind == "m.room.name"] == [
            {},
            {"name": "Talk"},
        ]

    def test_hold_the_profile_of_the_creator(self) -> None:
        settings = UserSettings(profile=JsonObject(displayname="Ana"))
        new = create_room(creates(), room_id=FIRST, at=AT, settings=settings)
        assert outline(new)[1] == ("m.room.member", {"displayname": "Ana", "membership": "join"})  # type: ignore[arg-type]  # it was made


class TestPresets:
    @pytest.mark.parametrize(
        ("fields", "join_rule", "guests"),
        [
            ({}, JoinRule.INVITE, "can_join"),
            ({"visibility": "public"}, JoinRule.PUBLIC, "forbidden"),
            ({"visibility": "public", "preset": "private_chat"}, JoinRule.INVITE, "can_join"),
            ({"preset": "trusted_private_chat"}, JoinRule.INVITE, "can_join"),
        ],
    )
    def test_decide_who_gets_in(
        self, fields: dict[str, Any], join_rule: JoinRule, guests: str
    ) -> None:
        new = created(**fields)
        assert room_of(new).state.join_rule is join_rule
        assert dict(outline(new))["m.room.guest_access"] == {"guest_access": guests}
        assert new.published is (fields.get("visibility") == "public")

    def test_give_way_to_initial_state(self) -> None:
        entry = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
        told = outline(created(preset="public_chat", initial_state=[entry]))
        given = [content for kind, content in told if kind == "m.room.join_rules"]
        assert given == [{"join_rule": "knock"}]

    @VERSIONS
    def test_that_trust_give_the_invited_the_power_of_the_creator(
        self, version: RoomVersion
    ) -> None:
        fields = {"room_version": version.identifier, "preset": "trusted_private_chat"}
        state = a_new_room(**fields, invite=[BEN]).state
        assert state.power_level_of(BEN) == state.power_level_of(ANA) >= 100
        assert state.power_level_of(CAY) == 0

    def test_that_trust_add_to_the_creators_given(self) -> None:
        new = created(
            preset="trusted_private_chat",
            invite=[BEN, CAY],
            creation_content={"additional_creators": [CAY]},
        )
        assert outline(new)[0][1]["additional_creators"] == (CAY, BEN)


class TestCreateEvent:
    @pytest.mark.parametrize(
        ("version", "expected"), [(V10, {"creator": ANA}), (V11, {}), (V12, {})]
    )
    def test_has_the_keys_of_the_server(
        self, version: RoomVersion, expected: dict[str, str]
    ) -> None:
        given = {"creator": BEN, "room_version": "1", "m.federate": False, "type": "m.space"}
        content = outline(created(room_version=version.identifier, creation_content=given))[0][1]
        kept = {"m.federate": False, "type": "m.space", "room_version": version.identifier}
        assert content == {**kept, **expected}

    def test_makes_the_room_id_in_version_12(self) -> None:
        new = created()
        assert new.room_version is V12
        assert new.room_id == "!" + new.complete(SIGNER_A)[0].event_id[1:]
        assert new.answer() == {"room_id": new.room_id}

    def test_is_of_the_servers_default_version(self) -> None:
        new = create_room(creates(), room_id=FIRST, at=AT, default_version=V10)
        assert getattr(new, "room_version", None) is V10


class TestPowerLevels:
    def test_let_the_creator_send_state(self) -> None:
        levels = levels_of(room_version="11")
        assert levels["users"] == {ANA: 100}
        assert (levels["state_default"], levels["events"]["m.room.tombstone"]) == (50, 100)

    def test_do_not_list_the_creator_in_version_12(self) -> None:
        levels = levels_of()
        assert (levels["users"], levels["events"]["m.room.tombstone"]) == ({}, 150)

    @pytest.mark.parametrize(("preset", "level"), [("public_chat", 50), ("private_chat", 0)])
    def test_let_members_of_private_rooms_invite(self, preset: str, level: int) -> None:
        assert levels_of(preset=preset)["invite"] == level

    @pytest.mark.parametrize(
        ("override", "tombstone"),
        [
            ({"events": {"m.room.name": 0}}, 150),
            ({"state_default": 200}, 201),
            ({"state_default": MAX_INTEGER}, MAX_INTEGER),
            ({"events": {"m.room.tombstone": 10}}, 10),
        ],
    )
    def test_keep_the_tombstone_above_state_default(
        self, override: dict[str, Any], tombstone: int
    ) -> None:
        levels = levels_of(power_level_content_override=override)
        assert levels["events"]["m.room.tombstone"] == tombstone

    def test_replace_whole_keys(self) -> None:
        override = {"events": {}, "users": {ANA: 70, BEN: 60}, "ban": 1}
        levels = levels_of(room_version="11", power_level_content_override=override)
        assert {key: levels[key] for key in override} == override
        assert levels["kick"] == 50

    def test_of_initial_state_take_the_place_of_the_generated_ones(self) -> None:
        entry = {"type": "m.room.power_levels", "content": {"users": {ANA: 60}}}
        fields = {"initial_state": [entry], "power_level_content_override": {"ban": 7}}
        told = outline(created(room_version="11", **fields))
        given = [(place, content) for place, (kind, content) in enumerate(told) if "power" in kind]
        assert given == [(2, {"users": {ANA: 60}})]

    def test_of_initial_state_guard_the_tombstone_too(self) -> None:
        entry = {"type": "m.room.power_levels", "content": {}}
        assert levels_of(initial_state=[entry]) == {"events": {"m.room.tombstone": 150}}


class TestInvites:
    @VERSIONS
    def test_follow_once_the_room_is_stored(self, version: RoomVersion) -> None:
        new = created(
            room_version=version.identifier,
            invite=[BEN, CAY, BEN],
            invite_3pid=[BY_ADDRESS],
            is_direct=True,
        )
        room = room_of(new)
        outcomes = [invite(asked, room, at=AT, is_direct=new.is_direct) for asked in new.invites]
        sends = [outcome for outcome in outcomes if isinstance(outcome, Send)]
        assert [send.template.get("state_key") for send in sends] == [BEN, CAY]
        assert all(send.template.content["is_direct"] for send in sends)
        assert isinstance(outcomes[-1], NeedsIdentityServer)
        assert isinstance(new.invites[-1], AddressRequest)

    def test_of_oneself_are_refused(self) -> None:
        told = f"invite: {ANA} is in this room already"
        assert refused(invite=[ANA], preset="trusted_private_chat") == (
            400,
            "M_INVALID_ROOM_STATE",
            told,
        )

    def test_beyond_the_creators_power_are_refused(self) -> None:
        override = {"invite": 200}
        assert refused(room_version="11", invite=[BEN], power_level_content_override=override) == (
            400,
            "M_INVALID_ROOM_STATE",
            "invite: your power level is too low to invite users: 100, and 200 is needed",
        )

    def test_that_nobody_can_accept_are_refused_when_they_are_sent(self) -> None:
        acl = {"type": "m.room.server_acl", "content": {"allow": ["a.example"]}}
        new = created(invite=[BEN], initial_state=[acl])
        told = "the server ACL of this room shuts out b.example"
        outcome = invite(new.invites[0], room_of(new), at=AT)
        assert refusal(outcome) == (403, "M_FORBIDDEN", told)


class TestRefusals:
    def test_of_a_version_that_the_server_does_not_speak(self) -> None:
        told = "this server does not support room version '99'"
        assert refused(room_version="99") == (400, "M_UNSUPPORTED_ROOM_VERSION", told)

    def test_of_an_alias_that_is_taken(self) -> None:
        request = creates(room_alias_name="talk")
        outcome = create_room(request, room_id=FIRST, at=AT, aliases={"#talk:a.example"})
        assert refusal(outcome) == (400, "M_ROOM_IN_USE", "#talk:a.example is taken")

    @pytest.mark.parametrize(
        ("fields", "event_type"),
        [
            ({"power_level_content_override": {"users": {ANA: 10}}}, "m.room.join_rules"),
            ({"power_level_content_override": {"users": {}}}, "m.room.join_rules"),
            ({"power_level_content_override": {"ban": "x"}}, "m.room.power_levels"),
            ({"power_level_content_override": {"events": 7}}, "m.room.power_levels"),
            ({"initial_state": [{"type": "m.room.create", "content": {}}]}, "m.room.create"),
            (
                {"initial_state": [{"type": "t", "state_key": BEN, "content": {}}]},
                "t",
            ),
        ],
    )
    def test_of_state_that_the_rules_reject(self, fields: dict[str, Any], event_type: str) -> None:
        outcome = create_room(creates(room_version="11", **fields), room_id=FIRST, at=AT)
        assert refusal(outcome)[:2] == (400, "M_INVALID_ROOM_STATE")
        assert refusal(outcome)[2].startswith(f"{event_type}: ")
        assert getattr(outcome, "decision", None) is not None

    @pytest.mark.parametrize("listed", [["x"], "x", [7]])
    @pytest.mark.parametrize("preset", ["private_chat", "trusted_private_chat"])
    def test_of_creators_that_are_no_users(self, preset: str, listed: object) -> None:
        content = {"additional_creators": listed}
        told = refused(preset=preset, invite=[BEN], creation_content=content)
        assert told[1] == "M_INVALID_ROOM_STATE"
        assert told[2].startswith("m.room.create: ")

    @pytest.mark.parametrize("override", [{ANA: 100}, {BEN: 50}])
    def test_of_a_creator_who_is_listed_in_version_12(self, override: dict[str, int]) -> None:
        told = refused(
            power_level_content_override={"users": override},
            creation_content={"additional_creators": [BEN]},
        )
        assert told[1] == "M_INVALID_ROOM_STATE"

    @pytest.mark.parametrize(
        "fields",
        [
            {"name": "x" * 70_000},
            {"creation_content": {"x": "x" * 70_000}},
            {"initial_state": [{"type": "x" * 300, "content": {}}]},
            {"initial_state": [{"type": "t", "state_key": "\0" * 300, "content": {}}]},
        ],
    )
    def test_of_events_that_are_too_large(self, fields: dict[str, Any]) -> None:
        assert refused(**fields)[:2] == (400, "M_BAD_JSON")

    @pytest.mark.parametrize(
        ("settings", "errcode"),
        [
            (UserSettings(guest=True), "M_GUEST_ACCESS_FORBIDDEN"),
            (UserSettings(suspended=True), "M_USER_SUSPENDED"),
            (UserSettings(guest=True, locked=True), "M_USER_LOCKED"),
        ],
    )
    def test_of_users_who_may_not(self, settings: UserSettings, errcode: str) -> None:
        outcome = create_room(creates(), room_id=FIRST, at=AT, settings=settings)
        assert refusal(outcome)[1] == errcode


class TestRoomId:
    def test_must_be_one_up_to_version_11(self) -> None:
        with pytest.raises(InvalidEvent) as caught:
            create_room(creates(room_version="11"), room_id=RoomID("x"), at=AT)
        assert caught.value == InvalidEvent("room_id", "a room ID", "x")

    def test_is_not_read_in_version_12(self) -> None:
        first, second = (create_room(creates(), room_id=RoomID(name), at=AT) for name in "xy")
        assert first == second


class TestReader:
    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"visibility": "secret"}, "visibility: expected public or private, got 'secret'"),
            ({"preset": ["x"]}, "preset: expected a preset, got ('x',)"),
            ({"name": 7}, "name: expected text, got 7"),
            ({"invite": ["x"]}, "invite: expected a list of user IDs, got ('x',)"),
            ({"invite": {}}, "invite: expected a list of user IDs, got {}"),
            ({"is_direct": 1}, "is_direct: expected true or false, got 1"),
            ({"initial_state": [7]}, "initial_state: expected a list of objects, got (7,)"),
            ({"creation_content": []}, "creation_content: expected an object, got ()"),
        ],
    )
    def test_names_the_wrong_field(self, fields: dict[str, Any], told: str) -> None:
        request = read_create_room(UserID(ANA), body=body(**fields))
        assert refusal(request) == (400, "M_INVALID_PARAM", told)

    @pytest.mark.parametrize("localpart", ["", "a:b", "a\0b", "x" * 300, 7])
    def test_refuses_what_is_no_localpart(self, localpart: object) -> None:
        request = read_create_room(UserID(ANA), body=body(room_alias_name=localpart))
        assert refusal(request)[:2] == (400, "M_INVALID_PARAM")

    @pytest.mark.parametrize(
        "entry",
        [
            {"type": 7, "content": {}},
            {"type": "t", "state_key": None, "content": {}},
            {"type": "t", "content": []},
            {"type": "m.room.member", "state_key": BEN, "content": {"membership": "invite"}},
        ],
    )
    def test_refuses_state_that_is_no_event(self, entry: dict[str, Any]) -> None:
        request = read_create_room(UserID(ANA), body=body(initial_state=[entry]))
        assert refusal(request)[:2] == (400, "M_INVALID_PARAM")

    @pytest.mark.parametrize(
        ("text", "errcode"),
        [
            (b"", "M_NOT_JSON"),
            (b"[]", "M_BAD_JSON"),
            (b'{"initial_state": [{"type": "t"}]}', "M_MISSING_PARAM"),
            (b'{"invite_3pid": [{}]}', "M_MISSING_PARAM"),
        ],
    )
    def test_refuses_a_body_that_is_malformed(self, text: bytes, errcode: str) -> None:
        assert refusal(read_create_room(UserID(ANA), body=text))[:2] == (400, errcode)

    def test_takes_null_for_a_missing_field(self) -> None:
        fields: dict[str, Any] = dict.fromkeys(
            ("name", "preset", "invite", "room_version", "is_direct")
        )
        assert creates(**fields) == creates()

    def test_lets_a_ban_stand_in_initial_state(self) -> None:
        entry = {"type": "m.room.member", "state_key": BEN, "content": {"membership": "ban"}}
        assert str(a_new_room(initial_state=[entry]).state.membership_of(BEN)) == "ban"
