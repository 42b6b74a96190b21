"""Events: their format, their facts, templates."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from matrix_membership import Event, EventTemplate, Signer
from matrix_membership.canonical_json import MAX_INTEGER, MIN_INTEGER, JsonFloat, encode
from matrix_membership.errors import InvalidEvent
from matrix_membership.events.contents import Create, PowerLevels
from matrix_membership.events.format import MAX_DRESSED_PDU_BYTES, MAX_PDU_BYTES
from matrix_membership.membership import JOIN, UNRECOGNISED
from matrix_membership.room_versions import V1, V3, V5, V6, V10, V11, V12, RoomVersion
from tests.builders import ANA, BEN, SIGNER_A, VERSIONS, a_room, everywhere


def pdu(version: RoomVersion, **changes: Any) -> dict[str, Any]:
    """A message in federation format; a change to ... leaves the field out."""
    refer = ["$p:a.example", {"sha256": "x"}] if version.event_id_in_pdu else "$" + "p" * 43
    fields: dict[str, Any] = {
        "type": "m.room.message",
        "room_id": "!r:a.example",
        "sender": ANA,
        "content": {"body": "x"},
        "depth": 5,
        "origin_server_ts": 7,
        "auth_events": [refer],
        "prev_events": [refer],
        "hashes": {"sha256": "x"},
        "signatures": {},
    }
    if version.event_id_in_pdu:
        fields["event_id"] = "$e:a.example"
    return {key: value for key, value in (fields | changes).items() if value is not ...}


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestFormat:
    def test_is_read_from_bytes_text_and_objects(self, version: RoomVersion) -> None:
        event = Event.from_pdu(pdu(version), version)
        assert Event.from_pdu(json.dumps(pdu(version)), version) == event
        data = json.dumps(pdu(version)).encode()
        forms: list[Any] = [data, bytearray(data), memoryview(data)]
        for form in forms:
            assert Event.from_pdu(form, version) == event
        assert event.to_pdu() == pdu(version)
        assert (event.depth, event.origin_server_ts) == (5, 7)
        assert len(event.auth_events) == len(event.prev_events) == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("type", ...),
            ("type", 5),
            ("type", "x" * 256),
            ("type", "é" * 128),
            ("sender", ...),
            ("sender", "ana"),
            ("state_key", None),
            ("state_key", "x" * 256),
            ("content", ...),
            ("content", []),
            ("hashes", ...),
            ("hashes", {}),
            ("hashes", {"sha256": 5}),
            ("signatures", ...),
            ("signatures", []),
            ("unsigned", None),
            ("depth", ...),
            ("depth", -1),
            ("depth", True),
            ("depth", "5"),
            ("origin_server_ts", ...),
            ("origin_server_ts", None),
            ("room_id", ...),
            ("room_id", "r"),
            ("auth_events", ...),
            ("auth_events", {}),
            ("auth_events", [5]),
            ("auth_events", [["$e:a.example"]]),
            ("prev_events", ["e"]),
        ],
    )
    def test_is_refused(self, version: RoomVersion, field: str, value: Any) -> None:
        with pytest.raises(InvalidEvent) as raised:
            Event.from_pdu(pdu(version, **{field: value}), version)
        assert raised.value.where.partition(".")[0] == field

    @pytest.mark.parametrize("field", ["auth_events", "prev_events"])
    def test_refers_to_events_as_its_version_does(self, version: RoomVersion, field: str) -> None:
        plain, pair = "$" + "h" * 43, ["$e:a.example", {"sha256": "x"}]
        with pytest.raises(InvalidEvent) as raised:
            Event.from_pdu(
                pdu(version, **{field: [plain if version.event_id_in_pdu else pair]}), version
            )
        assert raised.value.where == field

    @pytest.mark.parametrize("field", ["type", "state_key"])
    def test_has_255_bytes_in_a_field(self, version: RoomVersion, field: str) -> None:
        Event.from_pdu(pdu(version, **{field: "x" * 255}), version)
        Event.from_pdu(pdu(version, **{field: "é" * 127 + "x"}), version)

    @pytest.mark.parametrize(("field", "most"), [("auth_events", 10), ("prev_events", 20)])
    def test_refers_to_so_many_events(self, version: RoomVersion, field: str, most: int) -> None:
        one = pdu(version)[field]
        Event.from_pdu(pdu(version, **{field: one * most}), version)
        with pytest.raises(InvalidEvent):
            Event.from_pdu(pdu(version, **{field: one * (most + 1)}), version)

    def test_is_so_deep(self, version: RoomVersion) -> None:
        most = 2**63 - 1 if int(version.identifier) < 6 else 2**53 - 1
        assert Event.from_pdu(pdu(version, depth=most), version).depth == most
        with pytest.raises(InvalidEvent):
            Event.from_pdu(pdu(version, depth=most + 1), version)

    def test_is_refused_unread_when_it_is_too_large_in_any_dress(
        self, version: RoomVersion
    ) -> None:
        text = "[" * (MAX_DRESSED_PDU_BYTES + 1)
        data = text.encode()
        forms: list[Any] = [text, data, bytearray(data), memoryview(data)]
        expected = InvalidEvent("PDU", "at most 524288 bytes", MAX_DRESSED_PDU_BYTES + 1)
        for form in forms:
            with pytest.raises(InvalidEvent) as raised:
                Event.from_pdu(form, version)
            assert raised.value == expected

    def test_has_65536_bytes_in_canonical_form(self, version: RoomVersion) -> None:
        room_for = MAX_PDU_BYTES - len(encode(pdu(version, content={"body": ""})))
        fits = pdu(version, content={"body": "x" * room_for})
        event = Event.from_pdu(json.dumps(fits, indent=1), version)
        assert event.to_pdu() == fits
        with pytest.raises(InvalidEvent) as raised:
            Event.from_pdu(pdu(version, content={"body": "x" * (room_for + 1)}), version)
        assert raised.value.got == MAX_PDU_BYTES + 1

    def test_carries_its_id_in_old_versions_only(self, version: RoomVersion) -> None:
        changed = pdu(version, event_id=... if version.event_id_in_pdu else "$e:a.example")
        with pytest.raises(InvalidEvent) as raised:
            Event.from_pdu(changed, version)
        assert raised.value.where == "event_id"

    def test_is_strict_json_from_version_6_on(self, version: RoomVersion) -> None:
        text = json.dumps(pdu(version))
        for odd in ('"body": 1, "body"', '"n": 1.50, "body"', '"n": -0, "body"'):
            data = text.replace('"body"', odd)
            if version.strict_json:
                with pytest.raises(InvalidEvent):
                    Event.from_pdu(data, version)
            else:
                assert Event.from_pdu(data, version).content["body"] == "x"

    @pytest.mark.parametrize("data", ["", "[]", "5", '{"a":NaN}', "\ud800", b"\xff"])
    def test_is_an_object(self, version: RoomVersion, data: Any) -> None:
        with pytest.raises(InvalidEvent):
            Event.from_pdu(data, version)


class TestWhatIsNoPdu:
    @everywhere
    @pytest.mark.parametrize("value", [None, True, 10**15, 1.5, [], ["x"], b"[]", "7"])
    def test_is_to_be_dropped(self, version: RoomVersion, value: Any) -> None:
        with pytest.raises(InvalidEvent) as raised:
            Event.from_pdu(value, version)
        assert (raised.value.where, raised.value.expected) == ("PDU", "an object")


class TestFacts:
    def test_of_version_1_refer_with_empty_hashes_too(self) -> None:
        event = Event.from_pdu(pdu(V1, auth_events=[["$a:b", {}]]), V1)
        assert event.auth_events == ("$a:b",)

    def test_of_old_floats_hash_as_they_were_sent(self) -> None:
        data = json.dumps(pdu(V5, type="m.room.power_levels", content={"users": {ANA: 50}}))
        event = Event.from_pdu(data.replace("50}", "50.50}"), V5)
        assert b"50.50" in event.pdu
        assert event != Event.from_pdu(data.replace("50}", "50.5}"), V5)

    def test_of_a_member_event(self) -> None:
        room = a_room(V11)
        join = room.join(BEN, join_authorised_via_users_server=ANA)
        assert (join.membership, join.authorised_via, join.server) == (JOIN, ANA, "b.example")
        assert join.state_key is join.sender
        assert room.member(BEN, BEN, "dance").membership is UNRECOGNISED
        assert room.event("m.room.member", BEN, {}, BEN).membership is None
        odd = room.join(BEN, join_authorised_via_users_server=None)
        assert odd.authorised_via == ""

    def test_of_version_12_make_the_room_id(self) -> None:
        create = a_room(V12).events[0]
        assert create.room_id == "!" + create.event_id[1:]
        assert isinstance(create.view, Create)
        odd = Event.from_pdu({**create.to_pdu(), "room_id": "!r:a.example"}, V12)
        assert odd.room_id == "!r:a.example"

    def test_are_those_of_an_id_that_is_stored(self) -> None:
        stored = "$" + "s" * 43
        assert Event.from_pdu(pdu(V11), V11, event_id=stored).event_id == stored
        with pytest.raises(InvalidEvent):
            Event.from_pdu(pdu(V11), V11, event_id="s")

    def test_are_small_and_can_be_pickled(self) -> None:
        event = a_room(V10).with_levels({ANA: 50}).events[-1]
        again = pickle.loads(pickle.dumps(event))
        assert (again, again.pdu, again.signed_by) == (event, event.pdu, event.signed_by)
        assert isinstance(again.view, PowerLevels)
        assert again.view.users == {ANA: 50}

    def test_do_not_change(self) -> None:
        event = Event.from_pdu(pdu(V11), V11)
        with pytest.raises(AttributeError):
            event.type = "x"  # type: ignore[misc]  # on purpose
        with pytest.raises(TypeError):
            event.content["body"] = "y"  # type: ignore[arg-type]  # on purpose

    def test_survive_redaction(self) -> None:
        event = Event.from_pdu(pdu(V11), V11).with_signers(["a.example"])
        redacted = event.redacted()
        assert redacted == event
        assert redacted.content == {}
        assert redacted.signed_by == {"a.example"}
        assert not event.content_hash_matches


class TestEquality:
    def test_is_that_of_the_ids(self) -> None:
        event = Event.from_pdu(pdu(V3), V3)
        assert event == Event.from_pdu(pdu(V3, unsigned={"age": 1}), V3)
        assert hash(event) == hash(event.event_id)
        assert event != "x"

    def test_of_events_without_ids_is_identity(self) -> None:
        stripped = {"type": "x", "sender": ANA, "content": {}, "state_key": ""}
        one = Event.from_client_event(stripped, V11)
        two = Event.from_client_event(stripped, V11)
        assert (one == one, one == two) == (True, False)  # noqa: PLR0124 - that is the question


class TestClientFormat:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("type", None),
            ("sender", "ana"),
            ("content", "x"),
            ("state_key", 5),
            ("event_id", "e"),
            ("room_id", "r"),
            ("extra", {1}),
        ],
    )
    def test_is_checked(self, field: str, value: Any) -> None:
        good = {"type": "x", "sender": ANA, "content": {}}
        with pytest.raises(InvalidEvent):
            Event.from_client_event({**good, field: value}, V11)
        with pytest.raises(InvalidEvent):
            Event.from_client_event([], V11)  # type: ignore[arg-type]  # on purpose

    def test_is_no_pdu(self) -> None:
        event = Event.from_client_event({"type": "x", "sender": ANA, "content": {}}, V11)
        assert (event.depth, event.origin_server_ts, event.auth_events) == (0, 0, ())
        with pytest.raises(InvalidEvent):
            event.to_pdu()

    @pytest.mark.parametrize(
        ("field", "value", "expected"),
        [
            ("depth", "x", f"an integer from 0 to {MAX_INTEGER}"),
            ("depth", True, f"an integer from 0 to {MAX_INTEGER}"),
            ("depth", -1, f"an integer from 0 to {MAX_INTEGER}"),
            ("origin_server_ts", None, f"an integer from {MIN_INTEGER} to {MAX_INTEGER}"),
            (
                "origin_server_ts",
                JsonFloat("1e400"),
                f"an integer from {MIN_INTEGER} to {MAX_INTEGER}",
            ),
            ("prev_events", 5, "a list of events"),
            ("auth_events", {}, "a list of events"),
        ],
    )
    def test_has_what_it_has_in_the_format_of_a_pdu(
        self, field: str, value: Any, expected: str
    ) -> None:
        fields = {"type": "x", "sender": ANA, "content": {}, field: value}
        with pytest.raises(InvalidEvent) as caught:
            Event.from_client_event(fields, V11)
        assert caught.value == InvalidEvent(field, expected, value)

    @pytest.mark.parametrize("version", [V1, V11], ids=str)
    def test_refers_to_events_as_its_room_version_does(self, version: RoomVersion) -> None:
        found, other = ["$e:a.example", {}], "$" + "x" * 43
        good, bad = (found, other) if version is V1 else (other, found)
        fields = {"type": "x", "sender": ANA, "content": {}, "prev_events": [good] * 30}
        assert len(Event.from_client_event(fields, version).prev_events) == 30
        with pytest.raises(InvalidEvent):
            Event.from_client_event({**fields, "prev_events": [bad]}, version)

    def test_has_no_hash_and_no_redacted_form(self) -> None:
        event = Event.from_client_event({"type": "x", "sender": ANA, "content": {}}, V11)
        for call in (event.redacted, event.to_pdu, lambda: event.content_hash_matches):
            with pytest.raises(InvalidEvent) as caught:
                call()
            assert caught.value == InvalidEvent("event", "one read from a PDU", repr(event))

    def test_is_what_clients_are_shown(self) -> None:
        event = a_room(V11).events[1]
        shown = event.to_client_event()
        assert Event.from_client_event(shown, V11) == event
        assert event.to_stripped() == {
            key: shown[key] for key in ("type", "sender", "state_key", "content")
        }
        assert event.is_state


class TestTemplate:
    def test_leaves_out_what_makes_an_event(self) -> None:
        template = EventTemplate.of(pdu(V11, event_id="$x", unsigned={}), V11)
        assert not {"event_id", "hashes", "signatures", "unsigned"} & template.fields.keys()
        assert EventTemplate.of(pdu(V1), V1).get("event_id") == "$e:a.example"
        assert template.content == {"body": "x"}
        assert EventTemplate.of({"content": 5}, V11).content == {}

    def test_is_completed_by_a_signature(self) -> None:
        template = EventTemplate.of(pdu(V6), V6).with_content(more=1).with_fields(depth=9)
        event = template.complete(SIGNER_A)
        assert event.content == {"body": "x", "more": 1}
        assert event.signed_by == {"a.example"}
        assert event.content_hash_matches
        assert event.depth == 9

    def test_is_given_an_id_in_old_versions(self) -> None:
        template = EventTemplate.of(pdu(V1, event_id=...), V1)
        assert template.complete(SIGNER_A, event_id="$n:a.example").event_id == "$n:a.example"
        with pytest.raises(InvalidEvent):
            template.complete(SIGNER_A)

    @pytest.mark.parametrize("fields", [None, [], {"a": {1}}])
    def test_is_an_object_of_json(self, fields: Any) -> None:
        with pytest.raises(InvalidEvent):
            EventTemplate.of(fields, V11)

    def test_needs_the_format(self) -> None:
        signer = Signer.from_seed("a.example", "ed25519:a", "A" * 43)
        with pytest.raises(InvalidEvent):
            EventTemplate.of({"type": "x"}, V11).complete(signer)
