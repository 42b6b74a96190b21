"""A module of Synapse: its own rules decide, ours judge the same events in their shadow.

It writes a line for each verdict: what was checked, and the difference if there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from synapse import event_auth as rules
from synapse.handlers import event_auth, federation_event
from synapse.storage.databases.main.events_worker import EventRedactBehaviour

import inside_synapse
from matrix_membership import Event, RoomState
from matrix_membership.conformance import Difference, shadow

by_state = rules.check_state_dependent_auth_rules
by_list = rules.check_state_independent_auth_rules


class Compare:
    """Puts the shadow in place of Synapse's functions.

    Args:
        config: `report`, the file to write.
    """

    def __init__(self, config: dict[str, str], *_: object) -> None:
        self.report = Path(config["report"])
        for module in (rules, event_auth, federation_event):
            module.check_state_dependent_auth_rules = self.check_state
            module.check_state_independent_auth_rules = self.check_list

    def check_state(self, event: Any, auth_events: Iterable[Any]) -> None:
        listed = list(auth_events)
        self._shadow("state", lambda: by_state(event, listed), event, listed)

    async def check_list(self, store: Any, event: Any, batched_auth_events: Any = None) -> None:
        batch = batched_auth_events or {}
        ids = event.auth_event_ids()
        stored = await store.get_events(
            [id for id in ids if id not in batch], EventRedactBehaviour.as_is, allow_rejected=True
        )
        listed = [batch.get(id) or stored[id] for id in ids]
        refusal = None
        try:
            await by_list(store, event, batched_auth_events)
        except Exception as error:  # noqa: BLE001 - raised again below
            refusal = error
        self._shadow(
            "list",
            lambda: _again(refusal),
            event,
            listed,
            judge=lambda ours, _: inside_synapse.by_list(ours, listed),
        )

    def _shadow(
        self,
        check: str,
        theirs: Callable[[], None],
        event: Any,
        listed: list[Any],
        **more: Any,
    ) -> None:
        told: dict[str, Any] = {"check": check, "type": event.type}
        told["version"] = event.room_version.identifier

        def ours() -> tuple[Event, RoomState]:
            new = inside_synapse.read(event).with_signers(event.signatures.as_dict())
            return new, RoomState.of(new.room_version, map(inside_synapse.read, listed))

        def report(found: Difference | Exception) -> None:
            label = found.label if isinstance(found, Difference) else repr(found)
            told["difference"] = label or "not listed"
            told["script"] = str(found)

        try:
            shadow(theirs, ours, report, **more)
        finally:
            with self.report.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(told)}\n")


def _again(refusal: Exception | None) -> None:
    if refusal is not None:
        raise refusal
