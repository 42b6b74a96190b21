"""Tell who can do what in a room, and where each power comes from.

Every answer is one of `may`: the rules judge the event that would be sent. Members of one
level and one source get the same answers, so one of them is asked for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Final

from matrix_membership._attrs import evolve, frozen
from matrix_membership.advice._given import lacks_members, require
from matrix_membership.advice._permission import Permission
from matrix_membership.advice._powers import Answer, Away, Need, Powers, Rank, Standing
from matrix_membership.advice._powers import people as people
from matrix_membership.advice._servers import MOST_COMPARISONS
from matrix_membership.advice.may import NOTIFY_ROOM, May, may
from matrix_membership.auth.explaining.levels import (
    is_closed_to,
    levels_content,
    listed,
    needed_levels,
)
from matrix_membership.events import Event
from matrix_membership.events.event import supposed
from matrix_membership.fate import member_event
from matrix_membership.identifiers import UserID, is_user_id, server_of
from matrix_membership.membership import BAN, JOIN, LEAVE
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.state import RoomState

__all__ = ["who_can"]

SHOWN: Final = 5
"""The members of a rank who are named."""


def who_can(state: RoomState) -> Powers:
    """Tell who can do what in a room.

    Kicks, bans and redactions are asked about a member without a level of their own. Invites
    are asked about a user whom the room does not know.

    Args:
        state: the state of the room.

    Returns:
        The members by level, and an answer for each action. Cost: linear in the members, and in
        the power levels for each level that members have; and at most 50,000 comparisons of a
        server with a pattern of the access control list.

    Raises:
        IncompleteState: the state leaves out the create event or the power levels, or it is over
            a look-up function.
        TypeError: the state is something else, such as a list of events.

    >>> from matrix_membership.room_versions import V11
    >>> create = {
    ...     "type": "m.room.create",
    ...     "sender": "@ana:a.example",
    ...     "state_key": "",
    ...     "content": {},
    ... }
    >>> powers = who_can(RoomState.of(V11, [Event.from_client_event(create, V11)]))
    >>> powers.in_charge, [str(rank) for rank in powers.ranks]
    ((), ['0 by default: nobody'])

    .. versionadded:: 0.1.0
    """
    require(RoomState, state)
    standings = Standings(state)
    scene = _Scene.of(state)
    newcomer = standings.of(scene.asked)
    groups: dict[Standing, list[UserID]] = {newcomer: []}
    # A membership of anything else than a user ID stands in some rooms; it can send nothing.
    for user in filter(is_user_id, state.joined_members()):
        groups.setdefault(standings.of(user), []).append(user)
    ranks = [_rank(standing, members, scene) for standing, members in groups.items()]
    ranks.sort(key=lambda rank: (-rank.standing.level, rank.standing.barred))
    asked = {action: ask(may(scene.asked, scene.state), scene) for action, ask in ACTIONS.items()}
    return Powers(
        state.room_version,
        tuple(tuple(_needs(action, told, scene.state)) for action, told in asked.items()),
        tuple(ranks),
        tuple(_away(state, standings)),
        newcomer,
        # Asked of the room as it is: the member of the scene could authorise a restricted join.
        tuple(_answer(name, question()) for name, question in scene.entries(state)),
        whole=not lacks_members(state),
    )


class Standings:
    """Finds the standing of each user of a room."""

    def __init__(self, state: RoomState) -> None:
        self._state = state
        self._acl = ServerAcl.of(state) if state.knows("m.room.server_acl") else None
        self._left = MOST_COMPARISONS
        self._denied: dict[str, bool] = {}

    def of(self, user: str) -> Standing:
        """Return the standing that a user has, or would have once they join."""
        state = self._state
        return Standing(state.power_level_of(user), _source(user, state), self._barred(user))

    def _barred(self, user: str) -> str:
        server = server_of(user)
        if is_closed_to(server, self._state):
            return "the room is closed to other servers"
        if self._acl is None:
            return ""
        # A stranger may write thousands of odd patterns for a room of thousands of servers.
        if server not in self._denied and self._left > 0:
            self._left -= 1 + self._acl.odd_patterns
            self._denied[server] = not self._acl.allows(server)
        return _BY_LIST if self._denied.get(server) else ""


_BY_LIST: Final = "the access control list bans their server"


def _source(user: str, state: RoomState) -> str:
    create, levels = state.create, state.power_levels
    if user in create.privileged:
        return "creator" if user == create.creator else "additional creator"
    if user in levels.users:
        return "users"
    if levels.exists:
        return "users_default" if "users_default" in levels.named else "default"
    return "creator, in a room without power levels" if user == create.creator else "default"


@frozen
class _Scene:
    """The room with users whom the questions are about.

    Attributes:
        state: the state of the room, with these users.
        asked: a joined user without a level of their own, who is asked.
        member: another one, who is asked about.
        banned: a banned one.
        outsider: one who is not in the room.
        levels: the power levels of the room, sent once more by the user who is asked.
    """

    state: RoomState
    asked: UserID
    member: UserID
    banned: UserID
    outsider: UserID
    levels: Event

    @classmethod
    def of(cls, state: RoomState) -> _Scene:
        """Add the users to a room: on a server that it permits."""
        server = _server(state)
        users: list[UserID] = []
        for name, membership in _ADDED.items():
            users.append(_unknown(name, server, state))
            state = state.with_event(member_event(users[-1], membership, state))
        asked, member, banned, outsider = users
        levels = may(asked, state).set("m.room.power_levels", "", levels_content({}, state)).event
        return cls(state, asked, member, banned, outsider, levels)

    @property
    def message_type(self) -> str:
        """The type of a message: an encrypted room has another one."""
        is_encrypted = self.state.knows(_ENCRYPTION) and self.state.get(_ENCRYPTION)
        return "m.room.encrypted" if is_encrypted else "m.room.message"

    @property
    def message(self) -> Event:
        """A message of the member."""
        fields = {"type": "m.room.message", "sender": self.member, "content": {}}
        if self.state.room_version.event_id_in_pdu:
            fields["event_id"] = f"$message:{server_of(self.member)}"
        return Event.from_client_event(fields, self.state.room_version)

    def entries(self, state: RoomState) -> Iterator[tuple[str, Callable[[], Permission]]]:
        """Yield the questions of the outsider about the room as it is."""
        if state.membership_of(self.outsider) is not LEAVE:
            state = state.with_event(member_event(self.outsider, LEAVE, state))
        outsider = may(self.outsider, state)
        yield from (("join", outsider.join), ("knock", outsider.knock))


_ADDED: Final = MappingProxyType(
    {"somebody": JOIN, "another": JOIN, "banned-user": BAN, "outsider": LEAVE}
)
_ENCRYPTION: Final = "m.room.encryption"


def _server(state: RoomState) -> str:
    """Return a server that the room does not shut out, if it has one."""
    create = state.create_event
    if create is None:
        return _NOWHERE
    acl = ServerAcl.of(state) if state.knows("m.room.server_acl") else None
    if acl is None or acl.allows(create.server) or not state.create.federate:
        return create.server
    servers = dict.fromkeys(server_of(user) for user in state.joined_members())
    most = MOST_COMPARISONS // max(1, acl.odd_patterns)
    return next((name for name in [*servers][:most] if acl.allows(name)), create.server)


_NOWHERE: Final = "somewhere.invalid"


def _unknown(name: str, server: str, state: RoomState) -> UserID:
    """Return a user whom the room does not know."""
    known = listed(state)
    if not is_user_id(f"@{name[:1]}0000:{server}"):
        server = _NOWHERE  # its name leaves too few bytes for that of a user
    # The long name may not fit beside a long server name, and members may have taken both.
    users = (
        f"@{localpart}{number or ''}:{server}"
        for number in count()
        for localpart in (name, name[:1])
    )
    return next(
        user
        for user in users
        if is_user_id(user) and user not in known and state.get_member(user) is None
    )


Question = Callable[[May, _Scene], Permission]


def _set(event_type: str) -> Question:
    return lambda user, _: user.set(event_type)


ACTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "send": lambda user, scene: user.send(scene.message_type),
        "redact": lambda user, scene: user.redact(scene.message),
        "notify": lambda user, _: user.notify(),
        "invite": lambda user, scene: user.invite(scene.outsider),
        "kick": lambda user, scene: user.kick(scene.member),
        "ban": lambda user, scene: user.ban(scene.member),
        "unban": lambda user, scene: user.unban(scene.banned),
        "name": _set("m.room.name"),
        "topic": _set("m.room.topic"),
        "avatar": _set("m.room.avatar"),
        "history": _set("m.room.history_visibility"),
        "join-rules": _set("m.room.join_rules"),
        "acl": _set("m.room.server_acl"),
        # The levels as they are: who may send these may change those that do not exceed their own.
        # Made once: to make them for each rank cost the square of the levels.
        "change-levels": lambda user, scene: Permission.of(
            supposed(scene.levels, sender=user.user), scene.state
        ),
        "upgrade": lambda user, _: user.upgrade(),
    }
)
"""The question of each action."""


def _rank(standing: Standing, members: list[UserID], scene: _Scene) -> Rank:
    user = may(members[0] if members else scene.asked, scene.state)
    asked = [(action, ask(user, scene)) for action, ask in ACTIONS.items()]
    if standing.barred:
        # The rules would allow it, but every other server refuses it.
        asked = [(action, evolve(told, objection=standing.barred)) for action, told in asked]
    answers = tuple(_answer(action, told) for action, told in asked)
    return Rank(standing, tuple(members[:SHOWN]), len(members), answers)


def _answer(action: str, told: Permission) -> Answer:
    decision = told.decision
    url = "" if decision is None or told.objection else decision.url
    return Answer(action, None if told.unknown else bool(told), str(told), url)


def _needs(action: str, told: Permission, state: RoomState) -> Iterator[Need]:
    levels = state.power_levels
    for need in needed_levels(told.event, state):
        is_listed = len(need.path) > 1 and need.path[1] in levels.events
        named = need.default if need.default in levels.named else ""
        yield Need(need.name, need.level, ".".join(need.path) if is_listed else named)
    # The rules know neither of these: servers do not apply the redaction, and clients ring nobody.
    if action == "redact" and not state.room_version.event_id_in_pdu:
        yield Need("redact", levels.redact, "redact" if "redact" in levels.named else "")
    if action == "notify":
        level = levels.notifications.get("room")
        source = "" if level is None else "notifications.room"
        yield Need("notifications.room", NOTIFY_ROOM if level is None else level, source)


def _away(state: RoomState, standings: Standings) -> Iterator[Away]:
    for user in sorted(listed(state)):
        membership, standing = state.membership_of(user), standings.of(user)
        if membership is not JOIN and standing.level > state.power_levels.users_default:
            yield Away(UserID(user), membership, standing)
