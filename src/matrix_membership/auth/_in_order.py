"""See at once that an event lists what it may list, as nearly all events do.

The rules on auth events stay the only ones that reject: they judge every list that is not seen to
be in order here. A law compares both.
"""

# How it works: the rules ask seven questions, for which the places of all events are put into sets.
# That takes 3.3 us for the three auth events of a message. Here each place that an event may list
# has a bit, and one pass over the list looks for a second event with it: 0.6 us.

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from matrix_membership.events import Event
from matrix_membership.identifiers import EventID
from matrix_membership.membership import JOIN


def in_order(
    event: Event,
    events: Sequence[Event],
    rejected: AbstractSet[str],
    create: Event | None,
    listed: Sequence[EventID],
) -> bool:
    """Tell that no rule on auth events rejects an event; False says nothing.

    Args:
        event: the event; its room version follows the specification's rules on auth events.
        events: the events that it lists.
        rejected: the IDs of events that were rejected.
        create: version 12's create event.
        listed: the IDs that it lists.
    """
    bit_of = _types_of(event.kind, _bits)
    if bit_of is None or (listed and len(set(listed)) < len(listed)):
        return False
    if rejected and not rejected.isdisjoint([entry.event_id for entry in events]):
        return False
    room_id, sender, target = event.room_id, event.sender, event.state_key
    authoriser = sender  # None would be the state key of a member event that lacks one
    if bit_of is _bits:
        target = sender
    elif event.view is not None:  # a third-party invite
        return False
    elif event.membership is JOIN and event.authorised_via and event.room_version.restricted_joins:
        authoriser = event.authorised_via
    seen = 0
    for entry in events:
        key = entry.state_key
        if entry.type == "m.room.member":
            bit = 1 if key == sender else 2 if key == target else 4 * (key == authoriser)
        else:
            bit = bit_of(entry.type, 0) if key == "" else 0
        if entry.room_id != room_id or not bit or seen & bit:
            return False
        seen |= bit
    if event.room_version.room_id_is_create_event:
        return not seen & _CREATE and _makes_room_of(event, create, rejected)
    return bool(seen & _CREATE)


_CREATE: Final = 8
_PLACES: Final = (("m.room.create", _CREATE), ("m.room.power_levels", 16))
_bits: Final[Callable[[str, int], int]] = dict(_PLACES).get
_bits_with_join_rules: Final = {**dict(_PLACES), "m.room.join_rules": 32}.get
_types_of: Final = {
    "m.room.create": None,
    "": None,  # it reads like a kind
    "m.room.member": None,  # malformed
    "m.room.member join": _bits_with_join_rules,
    "m.room.member invite": _bits_with_join_rules,
    "m.room.member knock": _bits_with_join_rules,
    "m.room.member leave": {**dict(_PLACES)}.get,
    "m.room.member ban": {**dict(_PLACES)}.get,
    "m.room.member unrecognised": None,
}.get
"""By the kind of the event, the bits of the types that it may list besides members."""


def _makes_room_of(event: Event, create: Event | None, rejected: AbstractSet[str]) -> bool:
    return (
        create is not None
        and create.type == "m.room.create"
        and create.event_id not in rejected
        and event.room_id[1:] == create.event_id[1:]
    )
