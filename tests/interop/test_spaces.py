"""The summaries and the tree of a space, as a Synapse gives them to its users and as these functions do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from matrix_membership import KNOWN, Event, Membership, RoomState
from matrix_membership.canonical_json import JsonObject
from matrix_membership.client import CreateRequest, NewRoom
from matrix_membership.federation import Joined, Request
from matrix_membership.federation.messages import path_of
from matrix_membership.federation.spaces import answer_hierarchy, read_hierarchy
from matrix_membership.identifiers import UserID
from matrix_membership.room_summary import hierarchy, may_learn_of, summarise
from tests import shapes
from tests.interop.client_api import SynapseUser
from tests.interop.peer import Peer
from tests.interop.synapse import Synapse

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


def told_to_servers(document: Any) -> Any:
    """An answer to a server, without what Synapse tells beside the specification's keys."""
    return {
        "room": told(_sorted(document["room"])),
        "children": sorted((told(_sorted(child)) for child in document["children"]), key=str),
        "inaccessible": sorted(document["inaccessible_children"]),
    }


def _sorted(room: Any) -> Any:
    # The text asks for no order between servers: the asking one sorts the children.
    children = sorted(room.get("children_state", []), key=lambda child: child["state_key"])
    return {
        **room,
        "children_state": children,
        "allowed_room_ids": sorted(room.get("allowed_room_ids", [])),
    }


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
@pytest.mark.parametrize("suggested", [False, True])
def test_another_server_gets_the_same_tree(
    sam: SynapseUser, synapse: Synapse, peer: Peer, version: str, *, suggested: bool
) -> None:
    public = a_room(sam, version, {"join_rule": "public"}, name="Open")
    closed = a_room(sam, version, {"join_rule": "invite"}, name="Closed")
    invited = a_room(sam, version, {"join_rule": "invite"})
    sam.invite(invited, peer.user("vic"))
    readable = a_room(sam, version, {"join_rule": "invite"}, name="For all to read")
    sam.send_state(readable, "m.room.history_visibility", {"history_visibility": "world_readable"})
    rooms = [public, closed, invited, readable]
    if int(version) >= 8:
        allow = [{"type": "m.room_membership", "room_id": public}]
        rules = {"join_rule": "restricted", "allow": allow}
        rooms.append(a_room(sam, version, rules, name="Restricted"))
        assert isinstance(peer.join("vic", public, [synapse.server_name]), Joined)
        allow = [{"type": "m.room_membership", "room_id": closed}]
        rooms.append(a_room(sam, version, {"join_rule": "restricted", "allow": allow}))
    space = a_room(sam, version, {"join_rule": "public"}, creation_content={"type": "m.space"})
    for child in rooms:
        content = {"via": ["x.example"], "suggested": child in (public, closed)}
        sam.send_state(space, "m.space.child", content, child)

    query = (("suggested_only", "true" if suggested else "false"),)
    request = Request("GET", path_of("v1", "hierarchy", space), query)
    theirs = peer.run(peer.transport.ask(synapse.server_name, request)).content
    states = {room: state_of(sam, room, version) for room in (space, *rooms)}

    def membership_of(room_id: str) -> Membership | None:
        return Membership.JOIN if peer.name in states[room_id].servers_in_room else None

    ours = answer_hierarchy(
        peer.name, space, states.get, membership_of=membership_of, suggested_only=suggested
    )
    assert isinstance(ours, dict)
    children: Any = ours["children"]
    assert len(children) == (1 if suggested else len(rooms) - 1 - (int(version) >= 8))
    assert shapes.misfits(ours, shapes.SPACE) == []
    assert told_to_servers(_plain(theirs)) == told_to_servers(ours)
    assert list(read_hierarchy(theirs, space).rooms) == [
        space,
        *(child["room_id"] for child in theirs["children"]),
    ]


def _plain(value: Any) -> Any:
    """JSON as it is before it is made immutable."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def test_a_user_of_synapse_gets_our_space(sam: SynapseUser, synapse: Synapse, peer: Peer) -> None:
    near = a_room(sam, "11", {"join_rule": "public"}, name="Near")
    far = peer.create_room("11", join_rule="public", name="Far")
    hidden = peer.create_room("11", join_rule="invite", name="Hidden")
    ana = UserID(peer.user("ana"))
    creation = JsonObject({"type": "m.space"})
    wanted = CreateRequest(ana, "public_chat", room_version="11", creation_content=creation)
    space = peer.call(peer.server.found, wanted)
    assert isinstance(space, NewRoom), space
    for room_id, server, order in (
        (near, synapse.server_name, "b"),
        (far.room_id, peer.name, "a"),
        (hidden.room_id, peer.name, "c"),
    ):
        child = {"via": [server], "order": order}
        room = peer.server.rooms[space.room_id]
        peer.call(peer.server.send, room, ana, "m.space.child", child, state_key=room_id)
    sam.join(space.room_id, [peer.name])
    status, answer = sam.request("GET", f"{CLIENT}/rooms/{quote(space.room_id)}/hierarchy")
    assert status == 200
    assert [room["room_id"] for room in answer["rooms"]] == [space.room_id, far.room_id, near]
    status, answer = sam.request(
        "GET", f"{CLIENT}/room_summary/{quote(far.room_id)}", query={"via": [peer.name]}
    )
    assert (status, answer["name"], answer["join_rule"]) == (200, "Far", "public")
