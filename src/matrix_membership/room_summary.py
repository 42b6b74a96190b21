"""Tell what a room shows to those outside: its summary, and the tree of a space.

A summary says a room's name, its members' number, who may join, and so on. Users and servers get
it while they may join, knock or read. See `room summaries`__ and `Spaces`__. `federation.spaces`
has the same tree between servers.

__ https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias
__ https://spec.matrix.org/v1.19/client-server-api/#spaces
"""

# How the walk works: from the space down, each room before its children, in the order of the
# `m.space.child` events, as clients show them. A stack and a set of the rooms that were met take the
# place of recursion: spaces may hold each other in a circle, and others choose how deep they go. A
# room that this server is not in is a document from another server. What such a document says is
# read as strictly as an event.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from matrix_membership._attrs import Word, frozen
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze
from matrix_membership.events import Event
from matrix_membership.identifiers import RoomID, ServerName, is_room_id, is_server_name
from matrix_membership.membership import (
    BAN,
    INVITE,
    JOIN,
    JOIN_RULES,
    JoinRule,
    Membership,
    read_membership,
)
from matrix_membership.receipt.server_acl import permits
from matrix_membership.restricted import is_restricted
from matrix_membership.state import RoomState
from matrix_membership.visibility import guests_can_join
from matrix_membership.visibility.seeing import HistoryVisibility, Viewer, history_visibility

__all__ = ["hierarchy", "may_learn_of", "summarise"]

MOST_DEPTH: Final = 50
"""The levels below a space that a walk goes down."""

Document = Mapping[str, JsonValue]
"""The summary of a room as another server sent it, perhaps with `children_state`."""

MembershipOf = Callable[[RoomID], Membership | str | None]


def knows_none(_: RoomID) -> None:
    """Return no membership."""


class Ground(Word):
    """The reason for which a room is shown to somebody."""

    JOINED = "joined"
    INVITED = "invited"
    PUBLIC = "everybody may join"
    ALLOWED = "may join through another room"
    KNOCK = "everybody may knock"
    WORLD_READABLE = "everybody may read the history"


@frozen
class Tree:
    """A part of the tree of a space.

    Attributes:
        rooms: the rooms of this page in order, each a summary with `children_state`.
        needs: the rooms that this server knows nothing of, with the servers to ask for them.
        more: whether rooms follow on the next page.
    """

    rooms: tuple[JsonObject, ...]
    needs: Mapping[RoomID, tuple[ServerName, ...]]
    more: bool


def summarise(state: RoomState, *, joined_members: int | None = None) -> dict[str, JsonValue]:
    """Return the summary of a room, as `/room_summary`__ and `/hierarchy` give it.

    Values of another type than the specification's are left out, as if they were unset.

    Args:
        state: the current state.
        joined_members: the number of joined members, if it is at hand. By default those that the
            state shows are counted.

    Returns:
        The document, a fresh dict. To a user who asks for it, add their `membership`. Cost: linear
        in the joined members, unless their number is given.

    Raises:
        IncompleteState: the state is stripped, or over a look-up without `joined_members`.

    __ https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias

    .. versionadded:: 0.1.0

    >>> from matrix_membership.room_versions import V11
    >>> create = {"type": "m.room.create", "sender": "@ana:a.example", "state_key": ""}
    >>> create |= {"content": {"type": "m.space"}, "room_id": "!space:a.example"}
    >>> summarise(RoomState.of(V11, [Event.from_client_event(create, V11)]))["room_type"]
    'm.space'
    """
    if joined_members is None:
        joined_members = sum(1 for _ in state.joined_members())
    create = state.create_event
    told: dict[str, JsonValue] = {
        "room_id": "" if create is None else create.room_id,
        "num_joined_members": joined_members,
        "world_readable": history_visibility(state) is HistoryVisibility.WORLD_READABLE,
        "guest_can_join": guests_can_join(state),
        "room_version": state.room_version.identifier,
        "join_rule": _join_rule(state),
    }
    for key, event_type, field, is_good in _TOLD:
        value = _content(state, event_type).get(field)
        if isinstance(value, str) and is_good(value):
            told[key] = value
    if "topic" in told:
        told["topic"] = _plain_topic(_content(state, "m.room.topic")) or told["topic"]
    if is_restricted(state):
        told["allowed_room_ids"] = list(state.allow)
    return told


def may_learn_of(
    viewer: str | None, room: RoomState | Document, *, membership_of: MembershipOf = knows_none
) -> Ground | None:
    """Find out why somebody may get the summary of a room.

    Args:
        viewer: a user ID; the name of a server; or None for somebody who is not logged in.
        room: the current state, or the summary that another server sent.
        membership_of: returns the membership of the viewer in a room by its ID, as text or
            not, or None: for the rooms that a restricted room allows, and for a room whose
            summary is all that is known. For a server, it is join if one of its users is joined.

    Returns:
        The first reason that holds. None for a user means 403 `M_FORBIDDEN`, for a server 404
        `M_NOT_FOUND`. A banned user gets the summary only of a room that everybody may read; a
        server that the access control list denies does not get it. Cost: constant; linear in
        the allowed rooms.

    Raises:
        InvalidMessage: a membership is a text that Matrix does not have.

    .. versionadded:: 0.1.0

    >>> may_learn_of(None, {"room_id": "!r:a.example", "join_rule": "knock"})
    <Ground.KNOCK: 'everybody may knock'>
    """
    rule, allowed, readable = _openness(room)
    joined: bool | None = False
    invited: bool | None = False
    if viewer is not None and viewer.startswith("@"):
        membership = _membership(viewer, room, membership_of)
        if membership is BAN:
            return Ground.WORLD_READABLE if readable else None
        joined, invited = membership is JOIN, membership is INVITE
    elif viewer is not None and isinstance(room, RoomState):
        if not permits(room, viewer):
            return None
        server = Viewer(ServerName(viewer), is_user=False)
        joined, invited = server.joined(room), server.invited(room)
    for holds, ground in (
        (joined, Ground.JOINED),
        (invited, Ground.INVITED),
        (rule is JoinRule.PUBLIC, Ground.PUBLIC),
        (viewer and _is_joined_to_any(allowed, membership_of), Ground.ALLOWED),
        (rule in (JoinRule.KNOCK, JoinRule.KNOCK_RESTRICTED), Ground.KNOCK),
        (readable, Ground.WORLD_READABLE),
    ):
        if holds:
            return ground
    return None


def hierarchy(
    user: str,
    room_id: str,
    room_of: Callable[[RoomID], RoomState | Document | None],
    *,
    membership_of: MembershipOf = knows_none,
    suggested_only: bool = False,
    max_depth: int = MOST_DEPTH,
    skip: int = 0,
    limit: int = 50,
) -> Tree | None:
    """Answer a user who asks for the tree of a space by `/hierarchy`__.

    Args:
        user: the user who asks.
        room_id: the space.
        room_of: returns the current state of a room that this server is in, by its ID; the
            summary of another room, as `federation.spaces.read_hierarchy` reads it; None if
            neither is at hand.
        membership_of: returns the user's membership in a room, as for `may_learn_of`.
        suggested_only: leave out children that are not suggested.
        max_depth: the levels below the space to go down; 50 at most.
        skip: the number of rooms on all earlier pages. A negative one counts as 0.
        limit: the most rooms to return. A smaller one than 1 counts as 1.

    Returns:
        The rooms that the user may learn of; None for 403 `M_FORBIDDEN` if the space is not one
        of them. Ask other servers for the rooms that it `needs`, and call again. Cost: linear in
        the rooms that are met and their children; as for `summarise`, in the joined members too.

    Raises:
        IncompleteState: a state is stripped or over a look-up.
        InvalidMessage: a membership is a text that Matrix does not have.

    __ https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy

    .. versionadded:: 0.1.0

    >>> hierarchy("@ben:b.example", "!space:a.example", lambda room_id: None)
    Tree(rooms=(), needs={'!space:a.example': ()}, more=False)
    """
    walk = _Walk(user, room_of, membership_of, suggested_only)
    space = RoomID(room_id)
    # A client chooses both. An empty page with more to come would lead it to the same page again.
    skip, limit = max(skip, 0), max(limit, 1)
    found = list(islice(walk.rooms(space, min(max_depth, MOST_DEPTH)), skip + limit + 1))
    if not found and space not in walk.needs:
        return None
    page = found[skip : skip + limit]
    return Tree(tuple(page), freeze(walk.needs), len(found) > skip + limit)


def with_children(
    state: RoomState, *, suggested_only: bool = False, joined_members: int | None = None
) -> dict[str, JsonValue]:
    """Return the summary of a room with its `children_state`."""
    told = summarise(state, joined_members=joined_members)
    children = [
        {**child.to_stripped(), "origin_server_ts": child.origin_server_ts}
        for child in children_of(state, suggested_only=suggested_only)
    ]
    return {**told, "children_state": children}


def children_of(state: RoomState, *, suggested_only: bool = False) -> list[Event]:
    """Return the `m.space.child` events of a space in the order for clients.

    The list is empty for a room that is not a space.
    """
    if _content(state, "m.room.create").get("type") != "m.space":
        return []
    found = [
        event
        for event in state.events_but_members
        if event.type == _CHILD and via_of(event.state_key, event.content)
    ]
    wanted = [event for event in found if event.content.get("suggested") is True]
    return sorted(wanted if suggested_only else found, key=_place)


def via_of(child: object, content: object) -> tuple[ServerName, ...]:
    """Return the servers through which to reach a child; none if it is not one."""
    via = content.get("via") if isinstance(content, Mapping) else None
    if not is_room_id(child) or not isinstance(via, (list, tuple)):
        return ()
    return tuple([server for server in via if is_server_name(server)])


_CHILD: Final = "m.space.child"

_is_order: Final = re.compile("[\x20-\x7e]{1,50}").fullmatch


def _place(child: Event) -> tuple[bool, str, int, str]:
    told = child.content.get("order")
    order = told if isinstance(told, str) and _is_order(told) else ""
    # Children without a good order come last, by their time, and by their room IDs at the same time.
    return (not order, order, child.origin_server_ts, child.state_key or "")


def _content(state: RoomState, event_type: str) -> JsonObject:
    event = state.get(event_type)
    return JsonObject() if event is None else event.content


_TOLD: Final[tuple[tuple[str, str, str, Callable[[str], Any]], ...]] = (
    ("name", "m.room.name", "name", bool),
    ("topic", "m.room.topic", "topic", bool),
    ("avatar_url", "m.room.avatar", "url", re.compile("mxc://.+").fullmatch),
    ("canonical_alias", "m.room.canonical_alias", "alias", re.compile("#.+:.+").fullmatch),
    ("room_type", "m.room.create", "type", bool),
    ("encryption", "m.room.encryption", "algorithm", bool),
)
"""The keys of a summary that are text: where each stands in the state, and what it must be."""


def _plain_topic(content: JsonObject) -> str:
    """Return the plain text among the forms of a topic; empty without one."""
    block = content.get("m.topic")
    listed = block.get("m.text") if isinstance(block, Mapping) else None
    for entry in listed if isinstance(listed, tuple) else ():
        if isinstance(entry, Mapping) and entry.get("mimetype", "text/plain") == "text/plain":
            body = entry.get("body")
            return body if isinstance(body, str) else ""
    return ""


def _join_rule(state: RoomState) -> str:
    if state.join_rule is not JoinRule.UNRECOGNISED:
        return str(state.join_rule)
    told = _content(state, "m.room.join_rules").get("join_rule")
    # Nobody joins by it. An absent one would be read as public.
    return told if isinstance(told, str) else str(JoinRule.INVITE)


def _membership(
    user: str, room: RoomState | Document, membership_of: MembershipOf
) -> Membership | None:
    if isinstance(room, RoomState):
        return room.membership_of(user)
    room_id = room.get("room_id")
    return read_membership(membership_of(room_id), room_id) if is_room_id(room_id) else None


def _is_joined_to_any(rooms: tuple[RoomID, ...], membership_of: MembershipOf) -> bool:
    return any(read_membership(membership_of(room), room) is JOIN for room in rooms)


def _openness(room: RoomState | Document) -> tuple[JoinRule, tuple[RoomID, ...], bool]:
    """Return the join rule, the allowed rooms, and whether everybody may read."""
    if isinstance(room, RoomState):
        # A rule that the version does not know lets nobody in.
        known = room.join_rule in room.room_version.join_rules
        rule = room.join_rule if known else JoinRule.UNRECOGNISED
        allowed = room.allow if is_restricted(room) else ()
        return rule, allowed, history_visibility(room) is HistoryVisibility.WORLD_READABLE
    told, listed = room.get("join_rule", "public"), room.get("allowed_room_ids")
    rule = JOIN_RULES.get(told if isinstance(told, str) else "", JoinRule.UNRECOGNISED)
    allowed = tuple(filter(is_room_id, listed)) if isinstance(listed, (list, tuple)) else ()
    return rule, allowed, room.get("world_readable") is True


class _Walk:
    """A walk through the tree of a space, for one user."""

    __slots__ = ("membership_of", "needs", "room_of", "suggested_only", "user")

    def __init__(
        self,
        user: str,
        room_of: Callable[[RoomID], RoomState | Document | None],
        membership_of: MembershipOf,
        suggested_only: bool,  # noqa: FBT001 - private
    ) -> None:
        self.user = user
        self.room_of = room_of
        self.membership_of = membership_of
        self.suggested_only = suggested_only
        self.needs: dict[RoomID, tuple[ServerName, ...]] = {}

    def rooms(self, space: RoomID, max_depth: int) -> Iterator[JsonObject]:
        """Yield the rooms that the user may learn of, each before its children."""
        met: set[RoomID] = set()
        waiting: list[tuple[RoomID, int, tuple[ServerName, ...]]] = [(space, 0, ())]
        while waiting:
            room_id, depth, via = waiting.pop()
            if room_id in met:
                continue
            met.add(room_id)
            room = self.room_of(room_id)
            if room is None:
                self.needs[room_id] = via
                continue
            if may_learn_of(self.user, room, membership_of=self.membership_of) is None:
                continue
            document = self._document(room)
            yield document
            if depth < max_depth:
                children = reversed(document["children_state"])
                waiting.extend(
                    (child["state_key"], depth + 1, via_of(child["state_key"], child["content"]))
                    for child in children
                )

    def _document(self, room: RoomState | Document) -> JsonObject:
        if isinstance(room, RoomState):
            told = with_children(room, suggested_only=self.suggested_only)
            return freeze(told)  # type: ignore[no-any-return]  # an object
        listed = room.get("children_state")
        children = [
            child
            for child in (listed if isinstance(listed, (list, tuple)) else ())
            if isinstance(child, Mapping)
            and via_of(child.get("state_key"), child.get("content"))
            and (not self.suggested_only or child["content"].get("suggested") is True)
        ]
        return freeze({**room, "children_state": children})  # type: ignore[no-any-return]  # an object
