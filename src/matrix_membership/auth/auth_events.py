"""Rule 2 (version 12: 2 and 3): auth events, their selection, the auth chain.

See `Auth events selection`__.

__ https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from matrix_membership.auth._rule import Category, allows, rejects
from matrix_membership.events import Event
from matrix_membership.events.contents import SignedInvite
from matrix_membership.identifiers import EventID
from matrix_membership.membership import INVITE, JOIN, KNOCK, LEAVE

StateKey = tuple[str, str]
Selection = Callable[[Event], frozenset[StateKey]]


# One is made for every event that comes in. Sealed classes take 2.9 us for five fields, a
# named tuple 0.8; a class whose slots are filled by hand takes 0.5 and twice the code.
class AuthEvents(NamedTuple):
    """The input of the rules on auth events.

    Attributes:
        events: the events that the event lists.
        places: their types and state keys.
        selected: the types and state keys that may authorise the event.
        rejected: the IDs of events that were rejected.
        create: the create event, which no event of version 12 lists.
        listed: the IDs that the event lists.
    """

    events: tuple[Event, ...]
    places: frozenset[tuple[str, str | None]]
    selected: frozenset[StateKey]
    rejected: AbstractSet[str]
    create: Event | None
    listed: Sequence[EventID]

    @classmethod
    def of(
        cls,
        event: Event,
        events: Iterable[Event],
        rejected: AbstractSet[str],
        create: Event | None,
        selected: frozenset[StateKey] | None = None,
        listed: Sequence[EventID] | None = None,
    ) -> AuthEvents:
        """Gather what the rules read of an event and of those that it lists."""
        events = tuple(events)
        # 0.21 us; through its own constructor it takes 0.44.
        return tuple.__new__(
            cls,
            (
                events,
                frozenset([(entry.type, entry.state_key) for entry in events]),
                select_auth_events(event) if selected is None else selected,
                rejected,
                create,
                event.auth_events if listed is None else listed,
            ),
        )


@rejects(v12="2", category=Category.AUTH_EVENTS)
def room_id_of_no_accepted_create_event(event: Event, auth: AuthEvents) -> bool:
    """The room ID is not that of an accepted create event."""
    create = auth.create
    return (
        create is None
        or create.type != "m.room.create"
        or create.event_id in auth.rejected
        # The sigils differ: `!` before the room ID, `$` before the event ID.
        or event.room_id[1:] != create.event_id[1:]
    )


@rejects(v1="2.1", v12="3.1", category=Category.AUTH_EVENTS)
def duplicates(event: Event, auth: AuthEvents) -> bool:
    """Two auth events have the same type and state key."""
    # A store gives an event once, even if it is listed twice. So the IDs count too.
    listed = auth.listed
    if len(set(listed)) < len(listed):
        return True
    if len(auth.places) == len(auth.events):
        return False
    # Two messages would have one place by their types alone. A message is unexpected (2.2), not a
    # duplicate.
    places = [(entry.type, entry.state_key) for entry in auth.events if entry.state_key is not None]
    return len(set(places)) < len(places)


# Only what is too much rejects: an event that lists too few auth events passes. gomatrixserverlib
# checks neither this nor duplicates.
@rejects(v1="2.2", v12="3.2", category=Category.AUTH_EVENTS)
def unexpected(event: Event, auth: AuthEvents) -> bool:
    """An auth event is not one that such an event needs."""
    return not auth.places <= auth.selected


@rejects(v1="2.3", v12="3.3", category=Category.AUTH_EVENTS)
def rejected(event: Event, auth: AuthEvents) -> bool:
    """An auth event was itself rejected."""
    return bool(auth.rejected) and not auth.rejected.isdisjoint(
        [entry.event_id for entry in auth.events]
    )


@rejects(v1="2.4", v12=None, category=Category.AUTH_EVENTS)
def no_create_event(event: Event, auth: AuthEvents) -> bool:
    """The auth events contain no create event."""
    # A create event with another state key was already rejected as unexpected.
    return ("m.room.create", "") not in auth.places


@rejects(v1="2.5", v12="3.4", category=Category.AUTH_EVENTS)
def of_another_room(event: Event, auth: AuthEvents) -> bool:
    """An auth event belongs to another room."""
    room_id = event.room_id
    for entry in auth.events:  # noqa: SIM110 - any() takes twice as long
        if entry.room_id != room_id:
            return True
    return False


@allows(v1="2", v12="3")
def otherwise(event: Event, auth: AuthEvents) -> bool:
    """The auth events are in order."""
    return True


RULES = (
    room_id_of_no_accepted_create_event,
    duplicates,
    unexpected,
    rejected,
    no_create_event,
    of_another_room,
    otherwise,
)


def select_auth_events(event: Event) -> frozenset[StateKey]:
    """Return the types and state keys of the events that may authorise an event.

    Args:
        event: any event.

    Returns:
        Pairs of type and state key. An event lists in `auth_events` those of them that
        exist in the state before it, and no other event. See `Auth events selection`__.

    __ https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection

    >>> from matrix_membership.room_versions import V12
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> sorted(select_auth_events(Event.from_client_event(message, V12)))
    [('m.room.member', '@ana:a.example'), ('m.room.power_levels', '')]

    .. versionadded:: 0.1.0
    """
    rules = event.room_version.rules
    if rules is not None:
        return rules.selection(event)
    (fixed, _), places = parts_selected(event)
    # The fixed places keep their hashes: adding to a set of them takes half as long.
    return fixed.union(places)


def selected_by_specification(event: Event) -> frozenset[StateKey]:
    """Select auth events as the specification says."""
    (fixed, _), places = parts_selected(event)
    return fixed.union(places)


FixedPlaces = tuple[frozenset[StateKey], tuple[str, ...]]
"""Places with an empty state key, and their types."""


def parts_selected(event: Event) -> tuple[FixedPlaces, list[StateKey]]:
    """Select auth events as `selected_by_specification` does, in two parts.

    Returns:
        The places that many events share, and those of this event: nearly all of members. None
        is among them twice.
    """
    event_type, sender = event.type, event.sender
    if event_type == "m.room.create":
        # Rule 1 judges a create event without any state.
        return _NONE_SELECTED, []
    fixed = _SELECTED_OF_ANY_EVENT
    places: list[StateKey] = [("m.room.member", sender)]
    if event_type == "m.room.member":
        membership, target = event.membership, event.state_key
        if target != sender and target is not None:
            places.append(("m.room.member", target))
        # A leave or a ban is not decided by the join rule, so an event that lists it there is
        # rejected.
        if membership is JOIN or membership is INVITE or membership is KNOCK:
            fixed = _SELECTED_WITH_JOIN_RULES
        if membership is INVITE and isinstance(event.view, SignedInvite):
            if event.view.token is not None:
                places.append(("m.room.third_party_invite", event.view.token))
        # Only where the version knows restricted joins. Elsewhere the key means nothing, and the
        # member event that it names is unexpected.
        elif event.authorised_via and membership is JOIN and event.room_version.restricted_joins:
            authoriser = ("m.room.member", event.authorised_via)
            if authoriser not in places:
                places.append(authoriser)
    return fixed[event.room_version.room_id_is_create_event], places


def _fixed(*types: str) -> FixedPlaces:
    return frozenset([(event_type, "") for event_type in types]), types


_NONE_SELECTED: Final = _fixed()
# Without the create event in version 12, the second of each.
_SELECTED_OF_ANY_EVENT: Final = (
    _fixed("m.room.create", "m.room.power_levels"),
    _fixed("m.room.power_levels"),
)
_SELECTED_WITH_JOIN_RULES: Final = (
    _fixed("m.room.create", "m.room.power_levels", "m.room.join_rules"),
    _fixed("m.room.power_levels", "m.room.join_rules"),
)


def needed_state(event: Event) -> frozenset[StateKey]:
    """Return every place of the state that `check` may read for an event.

    Only its type, sender, state key and content decide. A state of these places alone gives the
    decision that the whole state gives: load them, and no other event.

    Args:
        event: any event.

    Returns:
        Pairs of type and state key; version 12's create event is among them. Rules of one's own
        may read more: those of an amended rulebook add the places of its selection, and a check
        that reads another place that is unknown is undecided, and names it.

    >>> from matrix_membership.room_versions import V12
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> sorted(needed_state(Event.from_client_event(message, V12)))
    [('m.room.create', ''), ('m.room.member', '@ana:a.example'), ('m.room.power_levels', '')]

    .. versionadded:: 0.1.0
    """
    rules = event.room_version.rules
    needed = _needed(event)
    return needed if rules is None else needed | rules.selection(event)


def _needed(event: Event) -> frozenset[StateKey]:
    if event.type == "m.room.create":
        return frozenset()
    places: list[StateKey] = [_CREATE, ("m.room.member", event.sender)]
    if event.type != "m.room.member":
        # Aliases of versions 1 to 5 need no level. They are too few to be told apart.
        places.append(_POWER_LEVELS)
    elif event.kind != event.type:  # well-formed
        membership, target = event.membership, event.state_key
        if membership is JOIN or membership is KNOCK:
            places.append(_JOIN_RULES)
            if membership is JOIN and event.authorised_via:
                places += (_POWER_LEVELS, ("m.room.member", event.authorised_via))
        elif target is not None and (target != event.sender or membership is not LEAVE):
            places += (_POWER_LEVELS, ("m.room.member", target))
            if membership is INVITE and isinstance(event.view, SignedInvite):
                places.append(("m.room.third_party_invite", event.view.token or ""))
    return frozenset(places)


_CREATE: Final = ("m.room.create", "")
_POWER_LEVELS: Final = ("m.room.power_levels", "")
_JOIN_RULES: Final = ("m.room.join_rules", "")


def auth_chain(
    events: Iterable[Event], get: Callable[[EventID], Event | None]
) -> dict[EventID, Event]:
    """Follow auth events back to the create event.

    Args:
        events: where to start. They are in the chain only if another event lists them.
        get: returns an event by its ID, or None if you do not have it.

    Returns:
        The auth chain by event ID, without the events that `get` does not return. Cost:
        linear in the size of the chain.

    .. versionadded:: 0.1.0
    """
    chain: dict[EventID, Event] = {}
    # A list, not recursion: an old room's auth chain is longer than Python's stack is deep, and
    # other servers choose its shape.
    waiting = [event_id for event in events for event_id in event.auth_events]
    while waiting:
        event_id = waiting.pop()
        if event_id in chain:
            continue
        event = get(event_id)
        if event is not None:
            chain[event_id] = event
            waiting.extend(event.auth_events)
    return chain
