"""
Judges events with Synapse's authorisation functions; run by the Python that Synapse is in.

Reads one case a line from standard input and answers each with one line on standard output. A batch
ends with an empty line or the end of the input, and is answered only then: whoever writes a whole
batch before reading never meets a full pipe.

A case has

- ``kind``: ``"state"`` asks for the rules that depend on the state, of which ``auth_events`` is
  everything; ``"auth_events"`` asks for the rules before them, where ``auth_events`` holds what the
  event cites (in version 12 the create event too, which the room id cites).
- ``version``, ``event`` (a PDU), ``event_id``, ``auth_events`` (pairs of an event id and a PDU).
- ``rejected``: ids of those auth events that were rejected.
- ``signed_by``: the servers whose signatures are taken as good. When present, and the event names
  the user who authorised a join, the check that this user's server signed comes first. Synapse has
  it among its checks on receipt. The signature of the sender's own server counts as given.
- ``received``: true sends the PDU through the checks of one that came over federation first, and
  nothing is filled in.
- ``kind`` may also be ``"state_dag"``, for a room version whose events list no auth events but
  ``prev_state_events``: both kinds of rules are asked. ``auth_events`` holds what authorises the
  event; ``prev_state_events`` holds such pairs too. The answer has ``selected``, the types and state
  keys that Synapse selects.
- ``id``: comes back.

Ids need not be hashes, nor hashes be right: where Synapse finds another id than the one given, the
event that is judged is changed to refer to that. An absent ``hashes`` is filled in.

An answer has ``id`` and either ``dropped``, why there is no such event, or that which of its auth
events is none; ``fault``, what is wrong with the case; or ``allowed``, ``error`` (why not) and ``undecided`` (why the
rules gave no verdict; such an event counts as not allowed).
"""

from __future__ import annotations

import json
import marshal
import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, EventFormatVersions, RoomVersions
from synapse.event_auth import (
    auth_types_for_event,
    check_state_dependent_auth_rules,
    check_state_independent_auth_rules,
    validate_event_for_room_version,
)
from synapse.events import make_event_from_dict
from synapse.federation.federation_base import event_from_pdu_json

__all__ = ["main"]

Json: TypeAlias = Any
Case: TypeAlias = dict[str, Json]
Answer: TypeAlias = dict[str, Json]
Pdu: TypeAlias = dict[str, Json]
# The project's environment has no Synapse to take these types from.
SynapseEvent: TypeAlias = Any
RoomVersion: TypeAlias = Any

CREATE = "m.room.create"
REFERENCES = ("prev_events", "auth_events", "prev_state_events")
AUTHORISER = "join_authorised_via_users_server"
# Off unless a flag in a server's configuration is set.
KNOWN_ROOM_VERSIONS.add_room_version(RoomVersions.MSC4242v12)
SIGNATURE = {"ed25519:driver": "A" * 86}  # only its presence is looked at


class Dropped(Exception):
    """There is no event: Synapse refuses to make one of the PDU."""


class AuthEvents:
    """The one method of Synapse's store that its rules before the state call."""

    def __init__(self, events: Mapping[str, SynapseEvent]) -> None:
        self._events = events

    async def get_events(
        self, event_ids: Collection[str], *_: object, **__: object
    ) -> dict[str, SynapseEvent]:
        return {id: self._events[id] for id in event_ids if id in self._events}


def main() -> None:
    """Answers batches until the input ends."""
    answers: list[str] = []
    for line in sys.stdin.buffer:
        if line.strip():
            answers.append(json.dumps(answer(line)))
        else:
            _send(answers)
    _send(answers)


def _send(answers: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in answers))
    sys.stdout.flush()
    answers.clear()


def answer(line: bytes) -> Answer:
    """Returns the answer to one case."""
    id = None
    try:
        case: Case = json.loads(line)
        id = case.get("id")
        event, auth_events, previous = events_of(case)
    except Dropped as why:
        return {"id": id, "dropped": str(why)}
    except Exception as fault:  # noqa: BLE001 - the next case has to be answered
        return {"id": id, "fault": _name(fault)}
    if case["kind"] == "state_dag":
        event.internal_metadata.calculated_auth_event_ids = [each.event_id for each in auth_events]
        judged = verdict(case, event, auth_events, [*auth_events, *previous])
        return {"id": id, "selected": _selected(event), **judged}
    return {"id": id, **verdict(case, event, auth_events, auth_events)}


def verdict(
    case: Case,
    event: SynapseEvent,
    auth_events: list[SynapseEvent],
    known: list[SynapseEvent],
) -> Answer:
    """Returns what Synapse decides about the event; its store has those that are known."""
    try:
        if "signed_by" in case and AUTHORISER in event.content:
            validate_event_for_room_version(event)
        if case["kind"] != "state":
            _check_auth_events(event, known)
        if case["kind"] != "auth_events" and event.type != CREATE:
            check_state_dependent_auth_rules(event, auth_events)
    except SynapseError as error:
        return {"allowed": False, "error": str(error), "undecided": None}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as why:  # noqa: BLE001 - anything but a verdict counts as undecided
        return {"allowed": False, "error": None, "undecided": _name(why)}
    return {"allowed": True, "error": None, "undecided": None}


def _selected(event: SynapseEvent) -> list[list[Json]] | None:
    try:
        return [list(place) for place in auth_types_for_event(event.room_version, event)]
    except Exception:  # noqa: BLE001 - a malformed event has no selection
        return None


def _check_auth_events(event: SynapseEvent, auth_events: list[SynapseEvent]) -> None:
    store = AuthEvents({auth_event.event_id: auth_event for auth_event in auth_events})
    try:
        check_state_independent_auth_rules(store, event).send(None)
    except StopIteration:
        return
    raise RuntimeError("Synapse waits for something that the driver does not have")


KINDS = ("state", "auth_events", "state_dag")


def events_of(case: Case) -> tuple[SynapseEvent, list[SynapseEvent], list[SynapseEvent]]:
    """Makes Synapse's events of the PDUs of a case.

    Returns:
        The one to judge, its auth events, and the state events that it follows.
    """
    version = KNOWN_ROOM_VERSIONS[case["version"]]
    if case["kind"] not in KINDS:
        raise LookupError(case["kind"])
    rejected = frozenset(case.get("rejected", ()))
    renamed: dict[str, str] = {}
    # In version 12 every room id refers to the create event.
    pairs = sorted(case["auth_events"], key=lambda pair: pair[1].get("type") != CREATE)
    made = []
    for event_id, pdu in [*pairs, *case.get("prev_state_events", ())]:
        event = _auth_event(event_id, _with_names(pdu, renamed), version, event_id in rejected)
        made.append(event)
        if event.event_id != event_id:
            renamed[event_id] = event.event_id
            if version.msc4291_room_ids_as_hashes:
                renamed[f"!{event_id[1:]}"] = f"!{event.event_id[1:]}"
    event = _judged(case, _with_names(case["event"], renamed), version)
    return event, made[: len(pairs)], made[len(pairs) :]


def _judged(case: Case, pdu: Pdu, version: RoomVersion) -> SynapseEvent:
    if "signed_by" in case:
        servers = {_server(pdu.get("sender")), _server(case["event_id"]), *case["signed_by"]}
        pdu = pdu | {"signatures": dict.fromkeys(servers, SIGNATURE)}
    try:
        if case.get("received"):
            return event_from_pdu_json(pdu, version)
        return make_event_from_dict(_completed(case["event_id"], pdu, version), version)
    except Exception as refusal:
        raise Dropped(_name(refusal)) from refusal


def _auth_event(event_id: str, pdu: Pdu, version: RoomVersion, rejected: bool) -> SynapseEvent:
    try:
        key = marshal.dumps(_completed(event_id, pdu, version), 2)
        return _make(key, version.identifier, "rejected" if rejected else None)
    except Exception as refusal:
        raise Dropped(f"auth event {event_id}: {_name(refusal)}") from refusal


@lru_cache(maxsize=10_000)
def _make(pdu: bytes, version: str, rejected_reason: str | None) -> SynapseEvent:
    # Synapse's events are immutable, and the cases of a batch share most of their auth events.
    content = marshal.loads(pdu)  # noqa: S302 - bytes that this process made
    return make_event_from_dict(
        content, KNOWN_ROOM_VERSIONS[version], rejected_reason=rejected_reason
    )


def _completed(event_id: str, pdu: Pdu, version: RoomVersion) -> Pdu:
    if version.event_format == EventFormatVersions.ROOM_V1_V2:
        pdu = pdu | {"event_id": event_id}
    return pdu if "hashes" in pdu else pdu | {"hashes": {}}


def _with_names(pdu: Pdu, renamed: Mapping[str, str]) -> Pdu:
    if not renamed:
        return pdu
    lists = {key: pdu[key] for key in REFERENCES if isinstance(pdu.get(key), list)}
    changed = {key: [_renamed(id, renamed) for id in ids] for key, ids in lists.items()}
    if "room_id" in pdu:
        changed["room_id"] = _renamed(pdu["room_id"], renamed)
    return pdu | changed


def _renamed(id: Json, renamed: Mapping[str, str]) -> Json:
    return renamed.get(id, id) if isinstance(id, str) else id


def _server(id: Json) -> str:
    return id.partition(":")[2] if isinstance(id, str) else ""


def _name(problem: BaseException) -> str:
    text = str(problem).partition("\n")[0]  # what follows is where Synapse's Rust was
    return f"{type(problem).__name__}: {text}"


if __name__ == "__main__":
    main()
