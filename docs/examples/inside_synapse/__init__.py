from __future__ import annotations

from functools import lru_cache
from typing import Any

from synapse import event_auth as rules
from synapse.handlers import event_auth, federation_event
from synapse.storage.databases.main.events_worker import EventRedactBehaviour as How

from matrix_membership import KNOWN, Event, RoomState, RoomVersion, auth
from matrix_membership.conformance import SYNAPSE, compatible

VERSIONS = {name: compatible(version, *SYNAPSE) for name, version in KNOWN.items()}
BY_STATE, BY_LIST = rules.check_state_dependent_auth_rules, rules.check_state_independent_auth_rules


@lru_cache(10_000)
def read(event: Any) -> Any:
    version = VERSIONS.get(event.room_version.identifier)
    return version and Event.accepted(event, version, for_rules=True)


@lru_cache(1_000)
def state_of(version: RoomVersion, *events: Any) -> RoomState:
    return RoomState.of(version, map(read, events))


def check_state(event: Any, auth_events: Any) -> Any:
    if (new := read(event)) is None:  # a room version of Synapse's own
        return BY_STATE(event, auth_events)
    signed = new.with_signers(event.signatures.as_dict()) if new.authorised_via else new
    return decided(auth.check(signed, state_of(new.room_version, *auth_events)))


async def check_list(store: Any, event: Any, batched_auth_events: Any = None) -> Any:
    if (new := read(event)) is None:
        return await BY_LIST(store, event, batched_auth_events)
    ids, batch = event.auth_event_ids(), batched_auth_events or {}
    if not all(listed := [*map(batch.get, ids)]):
        stored = await store.get_events({*ids}.difference(batch), How.as_is, allow_rejected=True)
        listed = [batch.get(id) or stored[id] for id in ids]
    return decided(by_list(new, listed))


def by_list(event: Event, listed: Any) -> auth.Decision:
    rejected = {entry.event_id for entry in listed if entry.rejected_reason}
    return auth.check_auth_events(event, map(read, listed), rejected=rejected, listed=())


def decided(found: auth.Decision) -> Any:
    if not found.allowed:
        raise rules.AuthError(400 if found.category is auth.Category.MALFORMED else 403, str(found))


def install(*_: object) -> None:
    for module in (rules, event_auth, federation_event):
        module.check_state_dependent_auth_rules = check_state
        module.check_state_independent_auth_rules = check_list
