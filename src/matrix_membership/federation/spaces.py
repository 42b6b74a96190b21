"""Tell another server the tree of a space, and read what it tells.

Only the space and its direct children are told: the asking server finds out who of its users gets
which room, by `room_summary.hierarchy`. See `Spaces`__.

__ https://spec.matrix.org/v1.19/server-server-api/#spaces
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.errors import InvalidMessage
from matrix_membership.federation._shapes import frozen_of, object_of, objects_of
from matrix_membership.federation.messages import MatrixError
from matrix_membership.identifiers import RoomID, is_room_id
from matrix_membership.room_summary import (
    MembershipOf,
    children_of,
    knows_none,
    may_learn_of,
    with_children,
)
from matrix_membership.state import RoomState

__all__ = ["answer_hierarchy", "read_hierarchy"]

MOST_CHILDREN: Final = 50
"""The children in an answer."""


@frozen
class ToldTree:
    """The answer of another server.

    Attributes:
        rooms: the summaries, by room ID: of the space, and of the children that it tells of.
        inaccessible: the children that this server's users can neither join nor read, wherever
            they ask.
    """

    rooms: Mapping[RoomID, JsonObject]
    inaccessible: frozenset[RoomID]


def answer_hierarchy(
    origin: str,
    room_id: str,
    state_of: Callable[[RoomID], RoomState | None],
    *,
    membership_of: MembershipOf = knows_none,
    suggested_only: bool = False,
) -> dict[str, JsonValue] | MatrixError:
    """Answer a server that asks for a space by `/hierarchy`__.

    Args:
        origin: the server that asks, as its X-Matrix signature proved.
        room_id: the room in the path.
        state_of: returns the current state of a room by its ID; None for a room that this
            server is not in.
        membership_of: returns join, as text or not, for a room that a user of that server is
            joined to: asked for the rooms that a restricted room allows.
        suggested_only: leave out children that are not suggested.

    Returns:
        The body of the answer, with 50 children at most, or 404 for a room that the server
        could neither join nor read. Cost: linear in the children, and in the members of each.

    Raises:
        IncompleteState: a state is stripped or over a look-up.
        InvalidMessage: a membership is a text that Matrix does not have.

    __ https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid

    .. versionadded:: 0.1.0

    >>> answer_hierarchy("b.example", "!space:a.example", lambda room_id: None).status
    404
    """
    space = state_of(RoomID(room_id))
    if space is None or may_learn_of(origin, space, membership_of=membership_of) is None:
        return MatrixError.of("M_NOT_FOUND", f"this server does not tell of {room_id}")
    told: list[JsonValue] = []
    inaccessible: list[JsonValue] = []
    for child in children_of(space, suggested_only=suggested_only)[:MOST_CHILDREN]:
        child_id = RoomID(child.state_key or "")
        state = state_of(child_id)
        if state is None:
            continue  # another server may know it
        if may_learn_of(origin, state, membership_of=membership_of) is None:
            inaccessible.append(child_id)
        else:
            told.append(with_children(state, suggested_only=suggested_only))
    return {
        "room": with_children(space, suggested_only=suggested_only),
        "children": told,
        "inaccessible_children": inaccessible,
    }


def read_hierarchy(body: JsonValue, room_id: str) -> ToldTree:
    """Read the answer of another server to `/hierarchy`.

    Args:
        body: the parsed body.
        room_id: the room that was asked for.

    Returns:
        The rooms. Children that the space does not name are left out: a server tells of other
        rooms only what it was asked. So are rooms without the keys that a summary must have.

    Raises:
        InvalidMessage: the body has another form, or is about another room.

    .. versionadded:: 0.1.0

    >>> room = {"room_id": "!s:a.example", "num_joined_members": 1, "world_readable": True}
    >>> room |= {"guest_can_join": False, "children_state": []}
    >>> body = {"room": room, "children": [], "inaccessible_children": []}
    >>> list(read_hierarchy(body, "!s:a.example").rooms)
    ['!s:a.example']
    """
    fields = object_of(body, "hierarchy")
    space = frozen_of(object_of(fields.get("room"), "hierarchy.room"), "hierarchy.room")
    if space.get("room_id") != room_id or not _is_summary(space):
        raise InvalidMessage("hierarchy.room", f"a summary of {room_id}", space)
    listed = space.get("children_state")
    named = {
        child.get("state_key")
        for child in (listed if isinstance(listed, tuple) else ())
        if isinstance(child, JsonObject) and isinstance(child.get("state_key"), str)
    }
    rooms: dict[str, JsonValue] = {room_id: space}
    for child in objects_of(fields.get("children"), "hierarchy.children"):
        if _is_summary(child) and child["room_id"] in named:
            rooms.setdefault(child["room_id"], child)
    closed = fields.get("inaccessible_children")
    found = closed if isinstance(closed, (list, tuple)) else ()
    inaccessible = frozenset(child for child in found if is_room_id(child) and child in named)
    return ToldTree(freeze(rooms), inaccessible)


_REQUIRED: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {"room_id": str, "num_joined_members": int, "world_readable": bool, "guest_can_join": bool}
)


def _is_summary(document: JsonObject) -> bool:
    return is_room_id(document.get("room_id")) and all(
        document.get(key).__class__ is kind for key, kind in _REQUIRED.items()
    )
