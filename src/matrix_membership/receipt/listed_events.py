"""Judge an event by the events that it lists, check 4 on receipt.

Every server judges a PDU by this one function: the receiving server, the resident server,
and the joining server for each event of a send_join answer. The create event of version
12, which no event lists, is added here alone. See
`Checks performed on receipt of a PDU`__.

__ https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet

from matrix_membership import auth
from matrix_membership.auth import Decision
from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.room_versions import RoomVersion
from matrix_membership.state import RoomState


def judge_by_listed_events(
    event: Event,
    listed: Iterable[Event],
    *,
    create: Event | None = None,
    rejected: AbstractSet[str] = frozenset(),
    missing: Collection[EventID] = (),
    selected: frozenset[tuple[str, str]] | None = None,
    listed_ids: Sequence[EventID] | None = None,
    state: RoomState | None = None,
) -> Decision:
    """Judge an event by its auth events: their list first, then their state.

    Args:
        event: the event.
        listed: the events that it lists and that are at hand.
        create: the create event of its room, which counts in version 12 only.
        rejected: the IDs of events that were rejected.
        missing: the IDs of the listed events that are not at hand. One that was rejected
            rejects the event; of the others, the members are unknown.
        selected: the result of `auth.select_auth_events` for the event, when it is at hand.
        listed_ids: the IDs in its `auth_events`, when they are at hand.
        state: a state that holds the listed events in the selected places, when it is at
            hand. Otherwise one is made, which costs more than the judgement.

    Returns:
        The first decision that rejects; otherwise that of the state-dependent rules. It is
        undecided when it hangs on a missing event. Cost: linear in the listed events.

    >>> from matrix_membership.room_versions import V11
    >>> message = {"type": "m.room.message", "sender": "@ana:a.example", "content": {}}
    >>> print(judge_by_listed_events(Event.from_client_event(message, V11), []))
    rejected by rule 2.4 of room version 11: the auth events contain no create event
    """
    if not rejected.isdisjoint(missing):
        # A server does not have to keep a rejected event to know that it was rejected.
        return _lists_rejected(event.room_version)
    listed = tuple(listed)
    decision = auth.check_auth_events(
        event,
        listed,
        rejected=rejected,
        create=create,
        selected=selected,
        listed=listed_ids,
    )
    if not decision.allowed:
        return decision
    # Made only if the caller has none: making it takes longer than judging by it.
    if state is None:
        state = state_of_listed_events(
            event.room_version, listed, create=create, partial=bool(missing)
        )
    return auth.check(event, state)


def state_of_listed_events(
    room_version: RoomVersion,
    listed: Iterable[Event],
    *,
    create: Event | None,
    partial: bool = False,
) -> RoomState:
    """Return the state that listed events make, for `judge_by_listed_events`.

    Args:
        room_version: the version of the room.
        listed: the listed events.
        create: the create event of the room, which is added in version 12.
        partial: whether listed events are missing.
    """
    # Up to version 11 an event lists its create event. Adding one there would hide that it did not.
    if room_version.room_id_is_create_event and create is not None:
        listed = (create, *listed)
    return RoomState.of(room_version, listed, partial=partial)


def _lists_rejected(room_version: RoomVersion) -> Decision:
    """Return the decision on an event that lists a rejected one."""
    return next(
        rule.decision(room_version, number)
        for number, rule in auth.rules_of(room_version).numbered
        if rule.name == "auth_events.rejected"
    )
