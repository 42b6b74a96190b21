"""A room state while it is made: from its events, or from the state before."""

# How it works: a new state is an object of `Fields` while its slots are filled, and becomes a
# `RoomState` by setting its class. After a member event everything but the roster is taken over as
# it is. After any other event the views are read again, whatever its type: that takes three
# look-ups, and asking for its type would take three comparisons.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.events.contents import NO_POWER_LEVELS, Create, JoinRules, PowerLevels
from matrix_membership.identifiers import RoomID, ServerName
from matrix_membership.membership import LEAVE, UNKNOWN, JoinRule, Membership
from matrix_membership.room_versions import RoomVersion, require_room_version
from matrix_membership.state._members import Roster
from matrix_membership.state._persistent_map import SmallMap, with_item
from matrix_membership.state._storage import (
    LookUp,
    PassedOver,
    StateKey,
    Storage,
    Stored,
    look_up_in,
    servers_told,
    stored_as_filtered,
    stored_in_part,
)
from matrix_membership.state._views import NO_CREATE, NO_JOIN_RULES, levels_of_users, view_of

NOT_TO_PREPARE: Final = (None, False, None)
TO_PREPARE: Final = (None, True, None)
NO_JOIN_RULE: Final = "no join rule"
NO_JOIN_RULE_TO_PREPARE: Final = (None, NO_JOIN_RULE, None)


_State = TypeVar("_State")


class Fields:
    """The slots of a state while it is made: the same object, not yet sealed.

    `RoomState` refuses assignment. Filling its slots by `object.__setattr__` takes 1.9 us;
    filling these and then setting `__class__` takes 0.4, and a check takes 0.8.
    """

    __slots__ = (
        "__weakref__",
        "_filter",
        "_kept_roster",
        "_keyed",
        "_lookup",
        "_members",
        "_servers",
        "_single",
        "_stored",
        "_unseen",
        "allow",
        "create",
        "create_event",
        "get_member",
        "is_partial",
        "join_rule",
        "power_level_of",
        "power_levels",
        "prepared",
        "room_version",
    )

    room_version: RoomVersion
    create: Create
    create_event: Event | None
    join_rule: JoinRule
    allow: tuple[RoomID, ...]
    power_levels: PowerLevels
    power_level_of: Callable[[str], int]
    is_partial: bool
    prepared: tuple[Any, Any, Any]
    get_member: Callable[[Any], Event | None]
    _unseen: Membership
    _members: Mapping[str, Event] | None
    # All events but members, by type: those with the state key "", and by other state keys.
    _single: SmallMap[Event]
    _keyed: SmallMap[SmallMap[Event]]
    _kept_roster: Roster | None
    _servers: frozenset[ServerName] | None
    _lookup: LookUp
    _stored: Stored | None
    _filter: tuple[Mapping[StateKey, Event], frozenset[StateKey], frozenset[ServerName] | None]

    @property
    def _roster(self) -> Roster:
        """The order and the servers of the members."""
        roster = self._kept_roster
        if roster is None:
            state: Any = self
            told = (state.is_partial and state._servers) or frozenset()
            roster = Roster.of(state._whole("the order of members"), told)
            _keep(self, "_kept_roster", roster)
        return roster

    def in_places(
        self, types: Iterable[str], places: Iterable[StateKey]
    ) -> list[Event | None] | None:
        """Return the events that the state holds in some places, each named once.

        Args:
            types: types; the state key is empty.
            places: further places, most of them of members.

        Returns:
            An event for each place, or None for an empty one; no list if the state is not whole:
            what it lacks may only be missing.
        """
        state: Any = self
        found: list[Event | None] = []
        if self._members is None:
            if not state.is_whole:
                return None
            found += [self._lookup(event_type, "") for event_type in types]
        elif self.is_partial:
            return None
        else:
            # For so few types a loop takes three quarters of what `map` takes.
            get = self._single.get
            for event_type in types:
                found.append(get(event_type))
        for event_type, state_key in places:
            if event_type == "m.room.member":
                found.append(self.get_member(state_key))
            else:
                found.append(state.get(event_type, state_key))
        return found


def listed(room_version: RoomVersion, events: Iterable[Event]) -> Fields:
    """Return the whole state of these events, in the order in which they came."""
    members: dict[str, Event] = {}
    single: dict[str, Event] = {}
    keyed: Any = _NOTHING
    for event in events:
        event_type, state_key = event.type, event.state_key
        if event_type == "m.room.member":
            if state_key is not None:
                # A dict leaves a key that is set again where it stood. The heroes are those whose
                # memberships came first, as after `with_event`.
                members.pop(state_key, None)
                members[state_key] = event
        elif event_type == "m.room.create" and "m.room.create" in single:
            continue  # rule 1 ignores the state: a forged one would replace the creator
        elif state_key == "":
            single[event_type] = event
        elif state_key is not None:
            keyed = keyed or {}
            keyed.setdefault(event_type, {})[state_key] = event
    state: Any = Fields()
    state.room_version, state.is_partial = room_version, False
    state._single, state._keyed, state._members = single, keyed, members
    # A short list often has no members. To make the method of their dict takes 28 ns.
    state.get_member = members.get if members else _find_nothing
    state._servers = state._kept_roster = None
    state._unseen = LEAVE
    fill_in_views(
        state,
        single.get("m.room.create"),
        single.get("m.room.power_levels"),
        single.get("m.room.join_rules"),
    )
    return state  # type: ignore[no-any-return]  # its slots are filled


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_find_nothing: Final = dict[str, Event]().get


def add_told(state: Any, servers: Iterable[str] | None, *, partial: bool) -> None:
    """Add to a listed state what was told besides its events."""
    if partial:
        state.is_partial, state._unseen, state.prepared = True, UNKNOWN, NOT_TO_PREPARE
    if servers is not None:
        state._servers = servers_told(servers)


def told_in_part(
    room_version: RoomVersion,
    events: Iterable[Event],
    servers: Iterable[str] | None,
    passed_over: Sequence[PassedOver],
    *,
    partial: bool,
    stripped: bool,
) -> Fields:
    """Return the state of these events, from which others may have been left out.

    It is looked up like a storage: what it lacks has to raise, where slots would hold defaults.
    """
    told = stored_in_part(
        events, servers, partial=partial, stripped=stripped, passed_over=passed_over
    )
    return looked_up(room_version, told.get, told, partial=partial or stripped)


def fill_in_views(state: Fields, create_event: Any, levels_event: Any, rules_event: Any) -> None:
    """Fill in what create event, power levels and join rules say.

    Args:
        state: the state.
        create_event: its create event, if it has one: an event has the view of its type.
        levels_event: its power levels.
        rules_event: its join rules.
    """
    if state.room_version.__class__ is not RoomVersion:  # spares good ones a call
        require_room_version(state.room_version)
    state.create_event = create_event
    create = state.create = NO_CREATE if create_event is None else create_event.view
    levels = state.power_levels = NO_POWER_LEVELS if levels_event is None else levels_event.view
    # Where nobody has infinite power, the function of the power levels serves as it is: one call
    # less for each level that a rule asks for.
    if levels_event is None or create.privileged:
        state.power_level_of = levels_of_users(create, levels)
    else:
        state.power_level_of = levels.level_of
    rules = NO_JOIN_RULES if rules_event is None else rules_event.view
    state.join_rule, state.allow = rules.join_rule, rules.allow
    # Rows chosen beforehand suppose a whole state with an openly federated create event. Other
    # states are judged by rows that suppose nothing.
    if create is NO_CREATE or state.is_partial or not create.openly_federated:
        state.prepared = NOT_TO_PREPARE
    else:
        state.prepared = rules.prepared


def keep_rows(state: Fields, rows: tuple[Any, Any, Any]) -> None:
    """Keep the rows that serve a state, with it and with its join rules."""
    _keep_for_state(state, rows)
    # They depend on the room version and the join rule alone. Choosing them again takes a fifth of
    # a check against a list of auth events. A check looks whether they are of its version.
    event = None if state._members is None else state._single.get("m.room.join_rules")
    if event is not None:
        _keep_for_rules(event.view, rows)


_keep_for_state: Final = vars(Fields)["prepared"].__set__
_keep_for_rules: Final = vars(JoinRules)["prepared"].__set__


def filtered(
    room_version: RoomVersion,
    held: Mapping[StateKey, Event],
    known: frozenset[StateKey],
    servers: Iterable[str] | None,
    *,
    partial: bool,
) -> Fields:
    """Return a state that knows these places alone: any other one raises.

    Args:
        room_version: the version of the room.
        held: the events of the state.
        known: the places that were looked for; one without an event holds nothing, or a member who
            may have been left out of a partial state.
        servers: the servers in the room, if they are known.
        partial: members are missing from the state that was filtered.
    """
    if room_version.__class__ is not RoomVersion:
        require_room_version(room_version)
    get = look_up_in(held, known)
    state = Fields()
    state.room_version = room_version
    state._lookup = get
    # Most states are asked for a verdict only. The storage of those that are asked for more is
    # made then: making it takes half of what the state takes.
    state._filter = held, known, None if servers is None else servers_told(servers)
    state._members = state._kept_roster = None
    state.get_member = lambda user: get("m.room.member", user)
    # A member who was looked for in vain may have been left out before the state was filtered.
    state._unseen = UNKNOWN if partial else LEAVE
    state._servers = None
    state.is_partial = partial
    state.prepared = NOT_TO_PREPARE
    _fill_in_known(state, held, known)
    return state


def _fill_in_known(
    state: Fields, held: Mapping[StateKey, Event], known: frozenset[StateKey]
) -> None:
    """Fill in the views that are known: an empty slot raises when it is asked for."""
    event: Any = held.get(_JOIN_RULES)  # an event of one of these types has the view of its type
    prepared: Any = NO_JOIN_RULE_TO_PREPARE
    if event is not None or _JOIN_RULES in known:
        rules = NO_JOIN_RULES if event is None else event.view
        state.join_rule, state.allow = rules.join_rule, rules.allow
        prepared = TO_PREPARE
    levels: Any = held.get(_POWER_LEVELS)
    if levels is not None or _POWER_LEVELS in known:
        state.power_levels = NO_POWER_LEVELS if levels is None else levels.view
    event = held.get(_CREATE)
    if event is None:
        if _CREATE in known:
            state.create_event, state.create = None, NO_CREATE
        return
    create = state.create = event.view
    state.create_event = event
    # A check may choose rows beforehand as for a whole state: what it then reads of a place that
    # is unknown raises. In a partial state it would take a member who was left out for one who left.
    if create.openly_federated and not state.is_partial:
        state.prepared = prepared
    if levels is not None and not create.privileged:
        state.power_level_of = levels.view.level_of


_CREATE: Final = ("m.room.create", "")
_POWER_LEVELS: Final = ("m.room.power_levels", "")
_JOIN_RULES: Final = ("m.room.join_rules", "")


def with_member(before: Fields, user: str, event: Event) -> Fields:
    """Return the listed state with another member event."""
    state = Fields()
    state.room_version = before.room_version
    state.is_partial = before.is_partial
    state._unseen = before._unseen
    roster = before._roster.with_member(user, event)
    servers = before._servers
    # Compared by identity: most changes leave the servers alone, and their set is made again only
    # when somebody asks.
    if roster.servers is not before._roster.servers and servers is not None:
        servers = roster.servers_in_room if before.is_partial else None
    state._kept_roster = state._members = roster
    state.get_member = roster.get
    state._single, state._keyed = before._single, before._keyed
    state._servers = servers
    # The views do not depend on members, so the program that `auth` prepared stays good.
    state.create, state.create_event = before.create, before.create_event
    state.power_levels, state.power_level_of = before.power_levels, before.power_level_of
    state.join_rule, state.allow = before.join_rule, before.allow
    state.prepared = before.prepared
    return state


def with_other(before: Fields, state_key: str, event: Event) -> Fields:
    """Return the listed state with another event that gives no membership."""
    state = Fields()
    state.room_version = before.room_version
    state.is_partial = before.is_partial
    state._unseen = before._unseen
    state._single, state._keyed = before._single, before._keyed
    if state_key == "":
        state._single = with_item(before._single, event.type, event)
    else:
        of_type = with_item(before._keyed.get(event.type) or {}, state_key, event)
        state._keyed = with_item(before._keyed, event.type, of_type)
    state._members = before._members
    state.get_member = before.get_member
    state._servers = before._servers
    state._kept_roster = before._kept_roster
    get = state._single.get
    fill_in_views(state, get("m.room.create"), get("m.room.power_levels"), get("m.room.join_rules"))
    return state


def looked_up(
    room_version: RoomVersion, get: LookUp, stored: Stored | None, *, partial: bool
) -> Fields:
    """Return a state over a look-up, which `fill_in` fills when it is asked."""
    require_room_version(room_version)
    state = Fields()
    state.room_version = room_version
    state._lookup = get
    state._stored = stored
    state._members = state._kept_roster = None
    state.get_member = lambda user: get("m.room.member", user)
    state._unseen = UNKNOWN if partial else LEAVE
    state._servers = None
    state.is_partial = partial
    state.prepared = NOT_TO_PREPARE
    return state


def fill_in(state: Any, name: str) -> Any:
    """Look up an attribute of a looked-up state that was not needed until now."""
    match name:
        case "create" | "create_event":
            event = state.get("m.room.create")
            _keep(state, "create_event", event)
            _keep(state, "create", view_of(event, Create, NO_CREATE))
        case "power_levels":
            levels = view_of(state.get("m.room.power_levels"), PowerLevels, NO_POWER_LEVELS)
            _keep(state, "power_levels", levels)
        case "power_level_of":
            _keep(state, "power_level_of", _levels_looked_up(state))
        case "join_rule" | "allow":
            rules = view_of(state.get("m.room.join_rules"), JoinRules, NO_JOIN_RULES)
            _keep(state, "join_rule", rules.join_rule)
            _keep(state, "allow", rules.allow)
        case "_stored":
            _keep(state, "_stored", stored_as_filtered(*state._filter))
        case _:
            raise AttributeError(f"RoomState has no attribute {name!r}")
    return getattr(state, name)


_keep = object.__setattr__


def over(room_version: RoomVersion, source: LookUp | Storage, *, partial: bool) -> Fields:
    """Return a state over a look-up function or a storage."""
    if isinstance(source, Storage):
        stored = Stored(source)
        return looked_up(room_version, stored.get, stored, partial=partial)
    return looked_up(room_version, source, None, partial=partial)


def seal(state: Fields, cls: type[_State]) -> _State:
    """Seal a state whose slots are filled."""
    made: Any = state
    made.__class__ = cls
    return made  # type: ignore[no-any-return]  # the line above made it one


def places_of(state: Any) -> dict[tuple[str, str | None], Event]:
    """Return the events of a state by place, without the members."""
    return {(event.type, event.state_key): event for event in state.events_but_members}


def pickled(state: Any, make: Callable[..., Fields]) -> tuple[object, ...]:
    """Return `unpickled` and its arguments, by which pickle makes the state again."""
    events, servers = tuple(state.events), state._servers
    more = {
        "partial": state.is_partial,
        "stripped": state._members is None and state._in_storage("a copy").stripped,
        # As they were told: a server that members brought since must go with the last of them.
        "servers": state._roster.told if state.is_partial and servers is not None else servers,
        "passed_over": state.passed_over,
    }
    return unpickled, (make, state.room_version, events, more, servers)


def unpickled(
    make: Callable[..., Fields],
    room_version: RoomVersion,
    events: tuple[Event, ...],
    more: Mapping[str, Any],
    servers: frozenset[ServerName] | None,
) -> Fields:
    """Make a pickled state again by `RoomState.of`."""
    state = make(room_version, events, **more)
    if servers != more["servers"]:
        _ = state._roster  # before the servers of later members hide what was told
        _keep(state, "_servers", servers)
    return state


def _levels_looked_up(state: Fields) -> Callable[[str], int]:
    """Return the function that gives the power level of a user, of a looked-up state."""
    try:
        return levels_of_users(state.create, state.power_levels)
    except IncompleteState:
        levels = state.power_levels
        # Stripped state may lack the create event. Where levels are set, it tells of power only
        # in the versions whose creators have infinite power.
        if state.room_version.privileged_creators or not levels.exists:
            raise
        return levels.level_of
