"""Events that a host accepted before: objects, dicts, rows."""

from __future__ import annotations

import copy
import pickle
import sqlite3
from collections.abc import Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final
from weakref import WeakKeyDictionary

import pytest

from matrix_membership import Event, RoomState, RoomVersion, auth, signing
from matrix_membership.errors import IncompleteState, InvalidEvent
from matrix_membership.events.contents import PowerLevels, SignedInvite, power_levels_view
from matrix_membership.membership import JOIN
from matrix_membership.room_versions import V1, V3, V10, V11, V12
from tests.builders import ANA, BEN, KEYS, VERSIONS, a_room, signed_invite

EVERY_VERSION: Final = pytest.mark.parametrize("version", VERSIONS, ids=str)


class HostEvent:
    """An event as a homeserver holds it: some fields are methods, a state key may be missing."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.type, self.sender = fields["type"], fields["sender"]
        self.content, self.event_id = fields["content"], fields["event_id"]
        self.room_id = fields.get("room_id")
        self.depth, self.origin_server_ts = fields["depth"], fields["origin_server_ts"]
        self.fields = fields

    @property
    def state_key(self) -> str:
        if "state_key" not in self.fields:
            raise AttributeError("state_key")
        return str(self.fields["state_key"])

    @property
    def redacts(self) -> str | None:
        return self.fields.get("redacts")

    def prev_event_ids(self) -> list[str]:
        return [_id(entry) for entry in self.fields["prev_events"]]

    def auth_event_ids(self) -> list[str]:
        return [_id(entry) for entry in self.fields["auth_events"]]


def _id(reference: Any) -> str:
    return str(reference if isinstance(reference, str) else reference[0])


class Content(Mapping[str, Any]):
    """A mapping of a host's own."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.held = content

    def __getitem__(self, key: str) -> Any:
        return self.held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def stored(event: Event) -> dict[str, Any]:
    """The dict under which a host may store an event."""
    return {**event.to_pdu(), "event_id": event.event_id}


def facts(event: Event) -> tuple[Any, ...]:
    """The fields of an event that rules and states read."""
    view = [] if event.view is None else [getattr(event.view, n) for n in event.view.__match_args__]
    return (
        *(event.event_id, event.room_version, event.room_id, event.type, event.sender),
        *(event.server, event.state_key, event.membership, event.authorised_via),
        *(event.authorising_server, event.kind, event.case, view, event.signed_by),
        *(event.prev_events, event.auth_events, event.depth, event.origin_server_ts),
        *(event.redacts, event.is_state, dict(event.content)),
    )


def some_events(version: RoomVersion) -> list[Event]:
    """An event of each kind that is read in its own way."""
    room = a_room(version).with_join_rule("public").with_levels({BEN: 5}).with_third_party_invite()
    invite = room.invite(ANA, BEN, third_party_invite=signed_invite())
    joined = room.join(BEN, join_authorised_via_users_server=ANA)
    return [*room.events, invite, joined, room.message(ANA), room.kick(ANA, BEN)]


@EVERY_VERSION
class TestEveryForm:
    def test_of_a_dict_says_what_the_pdu_says(self, version: RoomVersion) -> None:
        for event in some_events(version):
            made = Event.accepted(stored(event), version, signed_by=event.signed_by)
            assert facts(made) == facts(event)

    def test_of_an_object_says_what_the_pdu_says(self, version: RoomVersion) -> None:
        for event in some_events(version):
            source = HostEvent(stored(event))
            made = Event.accepted(source, version, signed_by=event.signed_by)
            assert facts(made) == facts(event)

    def test_of_a_mapping_says_what_the_pdu_says(self, version: RoomVersion) -> None:
        for event in some_events(version):
            fields = stored(event)
            fields["content"] = Content(fields["content"])
            source = MappingProxyType(fields)
            made = Event.accepted(source, version, signed_by=event.signed_by)
            assert facts(made) == facts(event)

    def test_gives_the_document_without_hashes_and_signatures(self, version: RoomVersion) -> None:
        for event in some_events(version):
            kept = {k: v for k, v in event.document.items() if k not in ("hashes", "signatures")}
            kept["event_id"] = event.event_id
            assert Event.accepted(stored(event), version).document == kept

    def test_gives_the_client_format(self, version: RoomVersion) -> None:
        for event in some_events(version):
            made = Event.accepted(stored(event), version)
            assert made.to_client_event() == event.to_client_event()
            assert made.to_stripped() == event.to_stripped()

    def test_is_judged_as_the_pdu_is(self, version: RoomVersion) -> None:
        room = a_room(version).with_join_rule("public")
        join = room.join(BEN)
        state = RoomState.of(version, [Event.accepted(stored(e), version) for e in room.events])
        judged = auth.check(Event.accepted(stored(join), version), state)
        assert judged == auth.check(join, room.state)
        assert judged.allowed


class TestRow:
    def test_of_a_database_is_read_by_its_keys(self) -> None:
        connection = sqlite3.connect(":memory:")
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT 'm.room.message' AS type, ? AS sender", (ANA,)).fetchone()
        connection.close()
        made = Event.accepted({**dict(row), "content": {}}, V11)
        assert (made.type, made.sender, made.state_key) == ("m.room.message", ANA, None)

    def test_needs_its_content_parsed(self) -> None:
        connection = sqlite3.connect(":memory:")
        connection.row_factory = sqlite3.Row
        sql = "SELECT 'm.room.message' AS type, ? AS sender, '{}' AS content"
        row = connection.execute(sql, (ANA,)).fetchone()
        connection.close()
        with pytest.raises(InvalidEvent) as caught:
            Event.accepted(row, V11)
        assert caught.value == InvalidEvent("content", "an object", "{}")


class Text(str):
    """A text of a host's own class."""

    __slots__ = ()


class TestText:
    def test_may_be_of_a_class_of_its_own(self) -> None:
        fields = {"type": Text("m.room.topic"), "sender": ANA, "content": {}}
        made = Event.accepted({**fields, "prev_events": [Text("$1")]}, V11)
        assert (made.type, made.sender, made.prev_events) == ("m.room.topic", ANA, ("$1",))


class TestBuilder:
    def test_may_lack_an_id_and_references(self) -> None:
        made = Event.accepted(
            SimpleNamespace(type="m.room.topic", sender=ANA, content={}, state_key=""), V11
        )
        assert (made.event_id, made.room_id, made.prev_events, made.auth_events) == ("", "", (), ())
        assert (made.depth, made.origin_server_ts, made.redacts) == (0, 0, None)

    def test_may_have_no_references_yet(self) -> None:
        fields = {"type": "m.room.topic", "sender": ANA, "content": {}}
        none = {"prev_events": None, "auth_events": None}
        for made in (
            Event.accepted(SimpleNamespace(**fields, **none), V11),
            Event.accepted({**fields, **none}, V11),
        ):
            assert (made.prev_events, made.auth_events) == ((), ())

    def test_of_a_create_event_names_no_room_yet(self) -> None:
        fields = {"type": "m.room.create", "sender": ANA, "content": {}, "state_key": ""}
        assert Event.accepted(SimpleNamespace(**fields), V12).room_id == ""
        assert Event.from_client_event(fields, V12).room_id == ""

    def test_may_have_lists_for_methods(self) -> None:
        fields = {"type": "m.room.topic", "sender": ANA, "content": {}}
        made = Event.accepted(SimpleNamespace(**fields, prev_events=[["$1", {}]]), V1)
        assert (made.prev_events, made.auth_events) == (("$1",), ())
        made = Event.accepted(SimpleNamespace(**fields, prev_event_ids=["$1"]), V1)
        assert made.prev_events == ("$1",)


class TestForRules:
    def test_leaves_out_what_no_check_reads(self) -> None:
        room = a_room(V11)
        for event in (room.message(ANA), room.events[1]):
            made = Event.accepted(HostEvent(stored(event)), V11, for_rules=True)
            assert (made.depth, made.origin_server_ts) == (0, 0)
            with pytest.raises(IncompleteState) as caught:
                _ = made.auth_events
            assert caught.value.missing == "auth_events"
            assert "auth_events" not in made.document

    def test_keeps_the_previous_events_of_joins_and_create_events(self) -> None:
        room = a_room(V1)
        create, join, *_ = room.events
        for event in (create, join):
            made = Event.accepted(HostEvent(stored(event)), V1, for_rules=True)
            assert made.prev_events == event.prev_events
            assert made.document["prev_events"] == event.document["prev_events"]
        for event in (room.message(ANA), room.ban(ANA, BEN), room.leave(ANA)):
            made = Event.accepted(HostEvent(stored(event)), V1, for_rules=True)
            with pytest.raises(IncompleteState):
                _ = made.prev_events

    def test_asks_a_method_for_the_state_key(self) -> None:
        class Host(SimpleNamespace):
            def get_state_key(self) -> str | None:
                return None if self.type == "m.room.message" else ""

        for kind, key in (("m.room.message", None), ("m.room.topic", "")):
            source = Host(type=kind, sender=ANA, content={})
            assert Event.accepted(source, V11, for_rules=True).state_key == key


class TestNames:
    def test_may_break_the_grammar(self) -> None:
        room = a_room(V11).with_join_rule("public")
        content = {"membership": "join"}
        user = "@ana:under_score"
        fields = {"type": "m.room.member", "sender": user, "state_key": user, "content": content}
        join = Event.accepted({**fields, "event_id": "$short"}, V11)
        assert (join.kind, join.server) == ("m.room.member join", "under_score")
        assert auth.check(join, room.state).allowed
        assert auth.explain(join, room.state).decision.allowed

    def test_of_a_target_may_break_the_grammar(self) -> None:
        content = {"membership": "ban"}
        key = "@ana:under_score"
        fields = {"type": "m.room.member", "sender": ANA, "state_key": key, "content": content}
        assert Event.accepted(fields, V11).case == "m.room.member ban, by another"
        assert Event.accepted({**fields, "state_key": "ana"}, V11).case == "m.room.member"

    def test_in_power_levels_may_break_the_grammar(self) -> None:
        fields = {"type": "m.room.power_levels", "sender": ANA, "state_key": ""}
        levels = {**fields, "content": {"users": {"@ben:under_score": 5}}}
        assert auth.check(Event.accepted(levels, V11), a_room(V11).state).allowed
        levels = {**fields, "content": {"users": {"ben": 5}}}
        assert not auth.check(Event.accepted(levels, V11), a_room(V11).state).allowed

    def test_of_creators_may_break_the_grammar(self) -> None:
        content = {"additional_creators": ["@ben:under_score"], "room_version": "12"}
        fields = {"type": "m.room.create", "sender": ANA, "state_key": "", "content": content}
        made = Event.accepted({**fields, "event_id": "$" + "x" * 43}, V12)
        assert RoomState.of(V12, [made]).power_level_of("@ben:under_score") == 2**53

    def test_are_told_in_an_explanation_of_a_refusal(self) -> None:
        user = "@ana:under_score"
        fields = {"type": "m.room.topic", "sender": user, "state_key": "", "content": {}}
        room = a_room(V11)
        state = RoomState.of(V11, [Event.accepted(stored(e), V11) for e in room.events])
        assert auth.explain(Event.accepted(fields, V11), state).remedies


ODD_LEVELS: Final[tuple[Any, ...]] = (50, 0, -1, True, None, "50", " +050 ", "x", 50.5, [], {})


class Counting(Content):
    """A mapping that counts what is read of it."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.read = 0

    def __getitem__(self, key: str) -> Any:
        self.read += 1
        return super().__getitem__(key)


@EVERY_VERSION
class TestPowerLevels:
    @pytest.mark.parametrize("odd", ODD_LEVELS, ids=repr)
    def test_are_those_of_the_pdu(self, version: RoomVersion, odd: Any) -> None:
        listed = {"users": {ANA: odd, BEN: 5}, "events": {"x": odd}, "notifications": {"room": odd}}
        contents: list[dict[str, Any]] = [
            *(listed, {"ban": odd, "users_default": odd, "state_default": 7}),
            *({"users": odd}, {"events": odd, "events_default": 3}, {}),
        ]
        for content in contents:
            expected = power_levels_view(content, version)
            for name in (*PowerLevels.__match_args__, "highest"):
                fields = {"type": "m.room.power_levels", "sender": ANA, "content": content}
                view = Event.accepted(fields, version).view
                assert getattr(view, name) == getattr(expected, name), (content, name)
            for levels in ("level_of", "message_level_of", "state_level_of"):
                fields = {"type": "m.room.power_levels", "sender": ANA, "content": content}
                view = Event.accepted(fields, version).view
                for key in (ANA, BEN, "x", "y"):
                    assert getattr(view, levels)(key) == getattr(expected, levels)(key)

    def test_are_read_as_far_as_a_rule_asks(self, version: RoomVersion) -> None:
        users = Counting({f"@u{number}:a.example": 1 for number in range(100)})
        content = {"users": users}
        fields = {"type": "m.room.power_levels", "sender": ANA, "content": content, "state_key": ""}
        room = a_room(version)
        state = room.state.with_event(Event.accepted(fields, version))
        auth.check(room.message(ANA), state)
        auth.check(room.kick(ANA, BEN), state)
        assert users.read <= 4

    def test_have_no_other_attributes(self, version: RoomVersion) -> None:
        fields = {"type": "m.room.power_levels", "sender": ANA, "content": {}}
        assert not hasattr(Event.accepted(fields, version).view, "purge")

    def test_survive_pickling(self, version: RoomVersion) -> None:
        fields = {"type": "m.room.power_levels", "sender": ANA, "content": {"users": {ANA: 5}}}
        view = pickle.loads(pickle.dumps(Event.accepted(fields, version))).view
        assert isinstance(view, PowerLevels)
        assert view.level_of(ANA) == 5


class TestCreateEventOfVersion12:
    @pytest.mark.parametrize("named", [True, False])
    def test_may_tell_the_room_id_that_it_makes(self, named: bool) -> None:
        create = a_room(V12).events[0]
        fields = stored(create) | {"prev_events": []}
        fields |= {"room_id": create.room_id} if named else {}
        made = Event.accepted(fields, V12)
        assert made.room_id == create.room_id
        assert auth.check(made, RoomState.of(V12, [])).allowed

    def test_with_another_room_id_is_rejected(self) -> None:
        other = {"room_id": "!other", "prev_events": []}
        made = Event.accepted(stored(a_room(V12).events[0]) | other, V12)
        assert auth.check(made, RoomState.of(V12, [])).number == "1.2"


class TestContent:
    def test_stays_the_hosts_own(self) -> None:
        fields = stored(a_room(V11).message(ANA))
        assert Event.accepted(fields, V11).content is fields["content"]

    def test_may_have_mappings_in_it(self) -> None:
        signed = MappingProxyType(signed_invite()["signed"])
        content = {"membership": "invite", "third_party_invite": {"signed": signed}}
        fields = {"type": "m.room.member", "sender": ANA, "state_key": BEN, "content": content}
        view = Event.accepted(fields, V11).view
        assert isinstance(view, SignedInvite)
        assert view.signed == dict(signed)


class TestRedacts:
    @pytest.mark.parametrize(("version", "in_content"), [(V1, False), (V10, False), (V11, True)])
    def test_stands_in_the_content_from_version_11_on(
        self, version: RoomVersion, in_content: bool
    ) -> None:
        named = {"redacts": "$x"}
        fields = {"type": "m.room.redaction", "sender": ANA, "content": named if in_content else {}}
        made = Event.accepted(fields | ({} if in_content else named), version)
        assert made.redacts == "$x"
        assert Event.accepted(SimpleNamespace(**fields, redacts="$x"), version).redacts == "$x"


class TestHostForm:
    def test_has_the_names_of_a_pdu(self) -> None:
        message = a_room(V11).message(ANA)
        kept = {k: v for k, v in stored(message).items() if k not in ("hashes", "signatures")}
        made = Event.accepted(stored(message), V11)
        lists = {name: tuple(kept[name]) for name in ("auth_events", "prev_events")}
        assert made.host_form == kept | lists
        assert message.host_form is None


class TestEvidence:
    def test_is_what_the_host_verified(self) -> None:
        fields = stored(a_room(V11).message(ANA))
        assert Event.accepted(fields, V11).signed_by == frozenset()
        assert Event.accepted(fields, V11, signed_by=["a.example"]).signed_by == {"a.example"}
        assert Event.accepted(fields, V11).with_signers(["b"]).content is fields["content"]

    def test_is_no_single_name(self) -> None:
        fields = stored(a_room(V11).message(ANA))
        with pytest.raises(TypeError):
            Event.accepted(fields, V11, signed_by="a.example")
        with pytest.raises(TypeError):
            Event.accepted(fields, V11).with_signers("a.example")


class TestWhatItLacks:
    def test_is_told(self) -> None:
        made = Event.accepted(stored(a_room(V11).message(ANA)), V11)
        for ask in (made.to_pdu, made.redacted, lambda: made.content_hash_matches):
            with pytest.raises(InvalidEvent) as caught:
                ask()
            assert caught.value == InvalidEvent("event", "one read from a PDU", repr(made))
        with pytest.raises(InvalidEvent):
            signing.verify(made, KEYS)

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({}, InvalidEvent("type", "text", None)),
            ({"type": "x"}, InvalidEvent("sender", "a user ID", None)),
            ({"type": "x", "sender": ANA}, InvalidEvent("content", "an object", None)),
            ({"type": "x", "sender": ANA, "content": 7}, InvalidEvent("content", "an object", 7)),
        ],
    )
    def test_of_the_least_is_refused(self, fields: dict[str, Any], error: InvalidEvent) -> None:
        with pytest.raises(InvalidEvent) as caught:
            Event.accepted(fields, V11)
        assert caught.value == error

    @pytest.mark.parametrize("name", ["prev_events", "auth_events"])
    @pytest.mark.parametrize("text", ['["$1"]', b"[]"])
    def test_is_a_list_that_is_text(self, name: str, text: Any) -> None:
        fields = {"type": "x", "sender": ANA, "content": {}, name: text}
        for source in (fields, SimpleNamespace(**fields)):
            with pytest.raises(InvalidEvent) as caught:
                Event.accepted(source, V11)
            assert caught.value == InvalidEvent(name, "a list of event IDs or pairs", text)

    @pytest.mark.parametrize("name", ["type", "sender", "content"])
    def test_is_named_of_an_object_too(self, name: str) -> None:
        fields = {"type": "x", "sender": ANA, "content": {}}
        with pytest.raises(InvalidEvent) as caught:
            Event.accepted(SimpleNamespace(**{k: v for k, v in fields.items() if k != name}), V11)
        assert str(caught.value).startswith(f"{name}: ")

    @pytest.mark.parametrize("source", [None, 7, [1]])
    def test_of_all_is_refused(self, source: Any) -> None:
        with pytest.raises(InvalidEvent):
            Event.accepted(source, V11)

    def test_of_a_room_version_is_refused(self) -> None:
        with pytest.raises(TypeError):
            Event.accepted({}, "11")  # type: ignore[arg-type]  # on purpose


class TestCopies:
    def test_are_equal(self) -> None:
        made = Event.accepted(stored(a_room(V3).message(ANA)), V3, signed_by=["a.example"])
        for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
            assert facts(again) == facts(made)


class TestWeakCache:
    def test_by_the_hosts_object_lives_as_long_as_that(self) -> None:
        cache: WeakKeyDictionary[HostEvent, Event] = WeakKeyDictionary()
        source = HostEvent(stored(a_room(V11).message(ANA)))
        cache[source] = Event.accepted(source, V11)
        assert len(cache) == 1
        del source
        assert len(cache) == 0


def test_membership_is_read_once() -> None:
    fields = stored(a_room(V11).join(BEN))
    made = Event.accepted(fields, V11)
    fields["content"]["membership"] = "ban"
    assert made.membership is JOIN
