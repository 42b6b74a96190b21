"""Members cut out of a larger answer: nothing is taken that the long way refuses or reads otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Event, RoomVersion
from matrix_membership.canonical_json import read, scan_in_list
from matrix_membership.errors import InvalidEvent
from matrix_membership.events._cut_member import VALUES, scan_member
from matrix_membership.events.facts import Facts, facts_of
from matrix_membership.events.format import check_format
from matrix_membership.events.reading import read_member, scanner_of
from matrix_membership.hashing import content_hash, id_of, signed_bytes
from matrix_membership.room_versions import V1, V3, V8, V11
from matrix_membership.strategies import user_ids
from tests.builders import BEN, VERSIONS
from tests.events.test_fast_read import HASH, ODD, PDU

OF_SYNAPSE: Final = (
    "signatures", "unsigned", "room_id", "auth_events", "prev_events", "content", "depth",
    "hashes", "origin_server_ts", "sender", "state_key", "type", "origin",
)  # fmt: skip # one text
CANONICAL: Final = tuple(sorted(OF_SYNAPSE))
MEMBER: Final = PDU | {"type": "m.room.member", "state_key": BEN, "content": {"membership": "join"}}
MEMBER_VERSIONS: Final = [version for version in VERSIONS if not version.event_id_in_pdu]


def written(
    pdu: dict[str, Any], order: Iterable[str] = CANONICAL, *, ascii_only: bool = False
) -> str:
    """A member as a server writes it, with its content hash."""
    hashed = {**pdu, "hashes": {"sha256": content_hash(pdu)}}
    ordered = {name: hashed[name] for name in order if name in hashed}
    return json.dumps(
        {**ordered, "content": dict(sorted(pdu["content"].items()))},
        separators=(",", ":"),
        ensure_ascii=ascii_only,
    )


def agrees(text: str, version: RoomVersion) -> bool:
    """Tell whether a member is cut and read; then it has to be what the long way makes of it."""
    document, end = scan_member(text + ',{"a', 0)
    if document.__class__ is not tuple:
        assert (document, end) == scan_in_list(text + ',{"a', 0)
        return False
    found = read_member(Facts, text[:end], document, version)
    if found is None:
        return False
    keys, _ = read(text[:end], strict=True)
    check_format(keys, version)
    event, covered, (server, key_id, signature), listed = found
    assert covered == signed_bytes(keys, version)
    assert keys["hashes"] == {"sha256": content_hash(keys)}
    assert keys["signatures"] == {server: {key_id: signature}}
    assert json.loads(listed) == keys["auth_events"]
    made = facts_of(keys, version, id_of(signed_bytes(keys, version), version))
    made.pdu = text[:end].encode()  # white space in `unsigned` stays as it came
    assert facts(event) == facts(made)
    return True


def read_as_member(text: str) -> object:
    """Read a text as a member; None if it is not cut, or not read."""
    try:
        document, _ = scan_member(text, 0)
    except (ValueError, StopIteration):
        return None
    return read_member(Facts, text, document, V11) if document.__class__ is tuple else None


def facts(event: Any) -> list[object]:
    fields: Any = Facts
    return [repr(getattr(event, field.name)) for field in attrs.fields(fields)]


class TestMember:
    @pytest.mark.parametrize("order", [CANONICAL, OF_SYNAPSE], ids=["canonical", "Synapse"])
    @pytest.mark.parametrize("version", [V3, V8, V11], ids=str)
    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"content": {"membership": "dance"}},
            {"content": {"membership": "leave", "displayname": "日本", "avatar_url": None}},
            {"content": {"membership": "join", "displayname": "", "avatar_url": "mxc://a/b"}},
            {"origin": "a.example"},
            {"origin": ""},
            {"auth_events": [], "prev_events": [HASH] * 14},
            {"auth_events": [HASH] * 10, "room_id": "!" + "r" * 43},
            {"unsigned": {}},
            {"unsigned": {"age": 5}},
            {"unsigned": {"age": 5, "prev_content": {"membership": "invite"}}},
            {"sender": "@:[::1]:8448", "state_key": "@:[::1]:8448"},
            {"state_key": ""},
        ],
    )
    def test_is_cut(
        self, version: RoomVersion, more: dict[str, Any], order: tuple[str, ...]
    ) -> None:
        assert agrees(written(MEMBER | more, order), version)

    @pytest.mark.parametrize("name", ["日本 Ω", '"\\/\b\f\n\r\t', "\x00\x1f\x7f", "😀"])
    def test_may_have_escapes_in_its_profile(self, name: str) -> None:
        member = MEMBER | {"content": {"membership": "join", "displayname": name}}
        assert agrees(written(member, OF_SYNAPSE, ascii_only=True), V11)

    @pytest.mark.parametrize("name", ["\\ud800", "\\udc00\\ud800", "\\u12", "\\x", "\\"])
    def test_has_no_escapes_that_stand_for_no_character(self, name: str) -> None:
        member = MEMBER | {"content": {"membership": "join", "displayname": "Ben"}}
        text = written(member, OF_SYNAPSE).replace("Ben", name)
        assert read_as_member(text) is None

    @pytest.mark.parametrize("order", [CANONICAL, OF_SYNAPSE], ids=["canonical", "Synapse"])
    @pytest.mark.parametrize(
        "more",
        [
            {"type": "m.room.message"},
            {"content": {}},
            {"content": {"membership": ["join"]}},
            {"content": {"membership": "join", "reason": "x"}},
            {"content": {"membership": "join", "join_authorised_via_users_server": BEN}},
            {"content": {"membership": "\n"}},
            {"auth_events": [HASH] * 11},
            {"auth_events": ["$e:a.example"]},
            {"prev_events": [HASH] * 21},
            {"depth": 0},
            {"origin_server_ts": -5},
            {"room_id": "!r"},
            {"room_id": f"!{'r' * 60}:a.example"},
            {"sender": "ben"},
            {"sender": f"@{'b' * 60}:a.example"},
            {"state_key": "x" * 64},
            {"state_key": None},
            {"signatures": {}},
            {"signatures": {"a.example": {"a": "x", "b": "y"}}},
            {"signatures": {"a.example": {"a": 5}}},
            {"unsigned": {"x": 1.5}},
            {"unsigned": {"x": "y" * 1_024}},
            {"event_id": "$e:a.example"},
        ],
    )
    def test_leaves_others_to_the_other_ways(
        self, more: dict[str, Any], order: tuple[str, ...]
    ) -> None:
        assert not agrees(written(MEMBER | more, (*order, "event_id")), V11)

    def test_keeps_to_the_depth_of_the_version(self) -> None:
        assert not agrees(written(MEMBER), V11.evolve(identifier="x", max_depth=4))

    @pytest.mark.parametrize("name", ["content", "origin_server_ts", "sender"])
    def test_is_read_anew_if_its_hash_is_wrong(self, name: str) -> None:
        other = {"content": {"membership": "ban"}, "origin_server_ts": 8, "sender": "@x:a.example"}
        text, altered = written(MEMBER), written(MEMBER | {name: other[name]})
        right, wrong = json.loads(text)["hashes"], json.loads(altered)["hashes"]
        assert not agrees(altered.replace(wrong["sha256"], right["sha256"]), V11)

    @pytest.mark.parametrize(
        ("part", "instead"),
        [
            ('{"auth', '{ "auth'),
            ('"depth":5', '"depth": 5'),
            ('"depth":5', '"depth":05'),
            ('"depth":5', '"depth":5.0'),
            ('"depth":5', '"depth":5,"depth":5'),
            ('"membership":"join"', '"membership":"join","membership":"join"'),
            ('"membership":"join"', '"membership":"jo\\u0069n"'),
            ('"membership":"join"', '"membership":"jo\tin"'),
            ('member"}', 'member","unsigned":{"a":1,"a":1}}'),
        ],
    )
    def test_leaves_other_texts_to_the_other_ways(self, part: str, instead: str) -> None:
        text = written(MEMBER)
        assert part in text
        altered = text.replace(part, instead)
        try:
            assert not agrees(altered, V11)
        except ValueError:  # it is not JSON
            with pytest.raises(ValueError):
                scan_in_list(altered, 0)

    def test_has_its_values_in_their_canonical_order(self) -> None:
        document, _ = scan_member(written(MEMBER), 0)
        assert len(document) == len(VALUES)
        assert document[VALUES.index("state_key")] == BEN


class TestScannerOf:
    def test_leaves_events_with_an_id_to_the_other_ways(self) -> None:
        assert scanner_of(V1) is scan_in_list

    def test_leaves_amended_redaction_to_the_other_ways(self) -> None:
        kept = {"m.room.member": {"membership", "displayname"}}
        assert scanner_of(V11.evolve(identifier="x", redaction_content=kept)) is scan_in_list

    def test_cuts_the_members_of_all_other_versions(self) -> None:
        assert {scanner_of(version) for version in MEMBER_VERSIONS} == {scan_member}


@st.composite
def members(draw: st.DrawFn) -> dict[str, Any]:
    """Members as they are cut, with values of all kinds."""
    profile = {"displayname": st.text(max_size=5), "avatar_url": st.none() | st.text(max_size=5)}
    memberships = st.sampled_from(["join", "leave", "ban", "dance"])
    more = st.fixed_dictionaries(
        {},
        optional={
            "origin": st.text(max_size=5),
            "unsigned": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
            "auth_events": st.lists(st.just(HASH), max_size=11),
            "sender": user_ids(),
            "state_key": user_ids() | st.text(max_size=5),
            "depth": st.integers(-1, 2**53),
        },
    )
    content = st.fixed_dictionaries({"membership": memberships}, optional=profile)
    return MEMBER | draw(more) | {"content": draw(content)}


@given(
    member=members(),
    order=st.sampled_from([CANONICAL, OF_SYNAPSE]),
    version=st.sampled_from(MEMBER_VERSIONS),
    data=st.data(),
)
def test_what_is_cut_is_what_the_long_way_reads(
    member: dict[str, Any], order: tuple[str, ...], version: RoomVersion, data: st.DataObject
) -> None:
    text = written(member, order, ascii_only=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(0, 2))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 9)))
        inserted = data.draw(ODD | st.just(text[start:end] * 2))
        text = text[:start] + inserted + text[end:]
    try:
        agrees(text, version)
    except InvalidEvent as error:
        pytest.fail(str(error))
    except (ValueError, StopIteration):  # it is not JSON
        return


def test_the_event_is_the_one_of_the_long_way() -> None:
    text = written(MEMBER)
    found = read_member(Facts, text, scan_member(text, 0)[0], V11)
    assert found is not None
    assert found[0].event_id == Event.from_pdu(text, V11).event_id
