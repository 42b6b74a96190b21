from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from synapse import event_auth as rules
from synapse.api.errors import AuthError
from synapse.handlers import event_auth, federation_event
from synapse.storage.databases.main.events_worker import EventRedactBehaviour

from matrix_membership import KNOWN, Event, RoomState, auth
from matrix_membership.conformance import SYNAPSE, compatible

VERSIONS: Final = {name: compatible(version, *SYNAPSE) for name, version in KNOWN.items()}
READ: Final[WeakKeyDictionary[Any, Event]] = WeakKeyDictionary()


def read(event: Any) -> Event:
    if (found := READ.get(event)) is None:
        found = READ[event] = Event.accepted(event, VERSIONS[event.room_version.identifier])
    return found.with_signers(event.signatures.as_dict()) if found.authorised_via else found


def check_state(event: Any, auth_events: Iterable[Any]) -> None:
    new = read(event)
    decided(auth.check(new, RoomState.of(new.room_version, map(read, auth_events))))


async def check_list(store: Any, event: Any, batched_auth_events: Any = None) -> None:
    ids, batch = event.auth_event_ids(), batched_auth_events or {}
    missing = [id for id in ids if id not in batch]
    stored = await store.get_events(missing, EventRedactBehaviour.as_is, allow_rejected=True)
    decided(by_list(read(event), [batch.get(id) or stored[id] for id in ids]))


def by_list(event: Event, listed: Iterable[Any]) -> auth.Decision:
    rejected = {entry.event_id for entry in listed if entry.rejected_reason}
    entries = [read(entry) for entry in listed]
    create = next((entry for entry in entries if entry.type == "m.room.create"), None)
    if event.room_version.room_id_is_create_event:  # Synapse lists it, though no event does
        entries = [entry for entry in entries if entry is not create]
    ids = [entry.event_id for entry in entries]
    return auth.check_auth_events(event, entries, rejected=rejected, create=create, listed=ids)


def decided(decision: auth.Decision) -> None:
    if not decision:  # a decision that rejects is false: `decision or ...` would lose it
        raise AuthError(400 if decision.category is auth.Category.MALFORMED else 403, str(decision))


class Rules:
    def __init__(self, *_: object) -> None:
        for module in (rules, event_auth, federation_event):
            module.check_state_dependent_auth_rules = check_state
            module.check_state_independent_auth_rules = check_list
