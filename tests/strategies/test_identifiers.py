"""Names are good, malformed names are not, and both shrink to names one can read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import is_

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from matrix_membership import KNOWN, V8, RoomVersion, identifiers, strategies
from matrix_membership.identifiers import is_event_id, is_room_id, is_server_name, is_user_id
from tests.strategies.minimal import any_of, minimal

Check = Callable[[object], bool]
NAMES: list[tuple[SearchStrategy[str], Check]] = [
    (strategies.server_names(), is_server_name),
    (strategies.user_ids(), is_user_id),
    (strategies.user_ids(server="b.example:8448"), is_user_id),
    (strategies.user_ids(historical=False), is_user_id),
    (strategies.room_ids(), is_room_id),
    (strategies.event_ids(), is_event_id),
    *((strategies.room_ids(room_version=version), is_room_id) for version in KNOWN.values()),
    *((strategies.event_ids(room_version=version), is_event_id) for version in KNOWN.values()),
]
MALFORMED: list[tuple[SearchStrategy[str], Check]] = [
    (strategies.malformed_identifiers("server name"), is_server_name),
    (strategies.malformed_identifiers("user ID"), is_user_id),
    (strategies.malformed_identifiers("room ID"), is_room_id),
    (strategies.malformed_identifiers("event ID"), is_event_id),
]


@pytest.mark.parametrize(("names", "fits"), NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_names_are_good(data: st.DataObject, names: SearchStrategy[str], fits: Check) -> None:
    assert fits(data.draw(names))


@pytest.mark.parametrize(("names", "fits"), MALFORMED)
@settings(max_examples=30)
@given(data=st.data())
def test_malformed_names_are_refused(
    data: st.DataObject, names: SearchStrategy[str], fits: Check
) -> None:
    assert not fits(data.draw(names))


class TestUserIds:
    @given(strategies.user_ids(server="b.example:8448"))
    def test_keep_to_a_server(self, user: str) -> None:
        assert identifiers.server_of(user) == "b.example:8448"

    @given(strategies.user_ids(historical=False))
    def test_keep_to_the_grammar_of_new_users(self, user: str) -> None:
        localpart = user[1:].partition(":")[0]
        assert localpart
        assert set(localpart) <= set("abcdefghijklmnopqrstuvwxyz0123456789._=/+-")

    @pytest.mark.parametrize("odd", [":", "Ü", " "], ids=["empty", "umlaut", "space"])
    def test_reach_historical_ones(self, odd: str) -> None:
        users = strategies.user_ids(server="a")
        found = any_of(users, lambda user: user.startswith("@" + odd))
        assert is_user_id(found)

    def test_shrink_to_ana(self) -> None:
        assert minimal(strategies.user_ids()) == "@ana:a.example"


class TestServerNames:
    @pytest.mark.parametrize("part", ["[", ":", "."])
    def test_reach_addresses_and_ports(self, part: str) -> None:
        assert part in any_of(strategies.server_names(), lambda name: part in name)


class TestRoomIds:
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    @settings(max_examples=10)
    @given(data=st.data())
    def test_have_the_form_of_their_version(
        self, data: st.DataObject, version: RoomVersion
    ) -> None:
        room_id = data.draw(strategies.room_ids(room_version=version))
        assert (":" not in room_id) is version.room_id_is_create_event


class TestEventIds:
    @pytest.mark.parametrize("version", KNOWN.values(), ids=str)
    @settings(max_examples=10)
    @given(data=st.data())
    def test_have_the_form_of_their_version(
        self, data: st.DataObject, version: RoomVersion
    ) -> None:
        event_id = data.draw(strategies.event_ids(room_version=version))
        assert (":" in event_id) is version.event_id_in_pdu


class TestRoomVersions:
    def test_are_all_that_are_known(self) -> None:
        for version in KNOWN.values():
            assert any_of(strategies.room_versions(), partial(is_, version)) is version

    @given(strategies.room_versions(at_least=V8))
    def test_keep_above_the_least(self, version: RoomVersion) -> None:
        assert version.restricted_joins
