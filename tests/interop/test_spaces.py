"""The summaries and the tree of a space, as a Synapse gives them to its users and as these functions do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from matrix_membership import KNOWN, Event, RoomState
from matrix_membership.room_summary import hierarchy, may_learn_of, summarise
from tests.interop.client_api import SynapseUser

pytestmark = pytest.mark.interop

CLIENT = "/_matrix/client/v1"


def state_of(user: SynapseUser, room_id: str, version: str) -> RoomState:
    events = [Event.from_client_event(fields, KNOWN[version]) for fields in user.state(room_id)]
    return RoomState.of(KNOWN[version], events)


def told(document: Any) -> Any:
    """A summary as Synapse tells it, without what it tells beside the specification's keys."""
    kept = {key: value for key, value in document.items() if value not in (None, [])}
    return {key: value for key, value in kept.items() if "." not in key}


def a_room(user: SynapseUser, version: str, rules: Any, **more: Any) -> str:
    state = [{"type": "m.room.join_rules", "state_key": "", "content": rules}]
    return user.create_room(version, preset="private_chat", initial_state=state, options=more)


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
def test_users_get_the_same_tree(sam: SynapseUser, tom: SynapseUser, version: str) -> None:
    public = a_room(sam, version, {"join_rule": "public"}, name="Open", topic="For all")
    closed = a_room(sam, version, {"join_rule": "invite"}, name="Closed")
    invited = a_room(sam, version, {"join_rule": "invite"}, invite=[tom.user_id])
    space = a_room(
        sam, version, {"join_rule": "public"}, creation_content={"type": "m.space"}, name="Space"
    )
    rooms = [public, closed, invited]
    for order, child in zip("cab", rooms, strict=True):
        content = {"via": ["x.example"], "order": order, "suggested": child == public}
        sam.send_state(space, "m.space.child", content, child)
    states: dict[str, RoomState] = {room: state_of(sam, room, version) for room in (space, *rooms)}

    for user in (sam, tom):
        for suggested in (False, True):
            query = {"suggested_only": "true"} if suggested else {}
            path = f"{CLIENT}/rooms/{quote(space)}/hierarchy"
            status, answer = user.request("GET", path, query=query)
            tree = hierarchy(user.user_id, space, states.get, suggested_only=suggested)
            assert (status, tree is None) == (200, False)
            assert tree is not None
            assert [told(room) for room in answer["rooms"]] == [
                told(_thawed(room)) for room in tree.rooms
            ]


@pytest.mark.parametrize("version", ["1", "7", "11", "12"])
@pytest.mark.parametrize("rule", ["public", "invite", "knock"])
def test_users_get_the_same_summary(
    sam: SynapseUser, tom: SynapseUser, version: str, rule: str
) -> None:
    room = a_room(sam, version, {"join_rule": rule}, name="Cheese")
    state = state_of(sam, room, version)
    for user in (sam, tom):
        path = f"{CLIENT}/room_summary/{quote(room)}"
        status, answer = user.request("GET", path)
        shown = may_learn_of(user.user_id, state) is not None
        assert (status == 200) is shown, answer
        if shown:
            membership = answer.pop("membership")
            assert membership == str(state.membership_of(user.user_id))
            assert told(answer) == told(summarise(state))


def _thawed(room: Any) -> Any:
    children = [dict(child) for child in room["children_state"]]
    for child in children:
        child["content"] = {**child["content"], "via": list(child["content"]["via"])}
    return {**room, "children_state": children}
