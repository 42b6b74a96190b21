"""Ask Synapse for its verdict on a case; run by the Python that Synapse is in.

One JSON object a line from standard input, one answer a line: `verdict`, `none` with the reason why there is nothing
to compare, or `fault` where Synapse gave no verdict. `questions.py` tells what a question has. With `repeat`, the
answer is `ns`: the CPU time of that many judgements, without what was prepared before them.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from time import process_time_ns
from typing import Any, TypeAlias

from canonicaljson import encode_canonical_json
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, EventFormatVersions
from synapse.crypto.event_signing import (
    check_event_content_hash,
    compute_event_reference_hash,
    redact_event_dict,
)
from synapse.crypto.keyring import VerifyJsonRequest
from synapse.event_auth import (
    auth_types_for_event,
    check_state_dependent_auth_rules,
    check_state_independent_auth_rules,
    validate_event_for_room_version,
)
from synapse.events import make_event_from_dict
from synapse.events.utils import validate_canonicaljson
from synapse.federation.federation_base import _check_sigs_on_pdu, event_from_pdu_json
from synapse.util.json import json_decoder
from unpaddedbase64 import decode_base64, encode_base64

from tests.oracle_synapse import driver, resolution_driver
from tests.oracle_synapse.driver import AuthEvents

Json: TypeAlias = Any
# Synapse is not there when types are checked.
SynapseEvent: TypeAlias = Any
RoomVersion: TypeAlias = Any
Judge = Callable[[], Json]

PATIENCE = 10
"""Seconds for one case."""


class Nothing(Exception):
    """There is nothing to compare."""


class Keys:
    """The one method of Synapse's keyring that is called: all keys are at hand, and valid at any time."""

    def __init__(self, servers: Mapping[str, Mapping[str, str]]) -> None:
        self._keys = {
            server: {
                key_id: decode_verify_key_bytes(key_id, decode_base64(key))
                for key_id, key in published.items()
            }
            for server, published in servers.items()
        }

    async def verify_event_for_server(self, server: str, event: SynapseEvent, at: int) -> None:
        """Raise unless the server signed the event by known keys only."""
        request = VerifyJsonRequest.from_event(server, event, at)
        known = [key for id in request.key_ids if (key := self._keys.get(server, {}).get(id))]
        if not known:
            raise SynapseError(401, "no key")
        for key in known:
            verify_signed_json(request.get_json_object(), server, key)


def main() -> None:
    """Answers questions until the input ends."""
    signal.signal(signal.SIGALRM, _give_up)
    for line in sys.stdin.buffer:
        sys.stdout.write(f"{json.dumps(answer(json.loads(line)))}\n")
        sys.stdout.flush()


def _give_up(*_: object) -> None:
    raise TimeoutError


def answer(asked: Json) -> Json:
    """Returns the answer to one question."""
    repeat = asked.get("repeat", 0)
    signal.alarm(0 if repeat else PATIENCE)
    try:
        judge = AREAS[asked["area"]](asked, KNOWN_ROOM_VERSIONS[asked["room_version"]])
        if not repeat:
            return {"verdict": judge()}
        start = process_time_ns()
        for _ in range(repeat):
            judge()
        return {"ns": process_time_ns() - start}
    except Nothing as why:
        return {"none": str(why)}
    except Exception as why:  # noqa: BLE001 - the next case has to be answered
        return {"fault": type(why).__name__}
    finally:
        signal.alarm(0)


def _finished(asked: Any) -> Json:
    """Return the result of a coroutine that never waits."""
    try:
        asked.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("Synapse waits for something that is not here")


def _by_driver(kind: str, asked: Json, _: RoomVersion) -> Judge:
    case = {
        "kind": kind,
        "version": asked["room_version"],
        "event": asked["pdu"],
        "event_id": asked["event_id"],
        "auth_events": asked["state"],
        "rejected": asked.get("rejected", []),
    }
    if "signed_by" in asked:
        case["signed_by"] = asked["signed_by"]
    if kind == "state" and asked["pdu"]["type"] == driver.CREATE:
        case |= {"kind": "auth_events", "auth_events": []}
    try:
        event, known, _previous = driver.events_of(case)
    except driver.Dropped as why:
        if str(why).startswith("auth event"):
            raise Nothing("an event of the state is none there") from why
        return lambda: False
    if asked.get("repeat"):
        return partial(check_state_dependent_auth_rules, event, known)

    def judge() -> bool:
        found = driver.verdict(case, event, known, known)
        if found["undecided"]:
            raise RuntimeError(found["undecided"])
        allowed: bool = found["allowed"]
        return allowed

    return judge


def _event(asked: Json, version: RoomVersion) -> SynapseEvent:
    pdu = asked["pdu"]
    if version.event_format == EventFormatVersions.ROOM_V1_V2 and "event_id" in asked:
        pdu = pdu | {"event_id": asked["event_id"]}
    try:
        return make_event_from_dict(pdu, version)
    except Exception as why:
        raise Nothing("not an event there") from why


def _selection(asked: Json, version: RoomVersion) -> Judge:
    event = _event(asked, version)
    return lambda: [list(place) for place in auth_types_for_event(version, event)]


def _format(asked: Json, version: RoomVersion) -> Judge:
    def judge() -> bool:
        try:
            event = event_from_pdu_json(json_decoder.decode(asked["text"]), version)
        except Exception:  # noqa: BLE001 - no event is a verdict too
            return False
        # Servers sign their events; here the signatures count as good.
        event.signatures.update({_server(event.sender): {"ed25519:x": "x"}})
        if version.event_format == EventFormatVersions.ROOM_V1_V2:
            event.signatures.update({_server(event.event_id): {"ed25519:x": "x"}})
        try:
            check_event_content_hash(event)
            validate_event_for_room_version(event)
        except SynapseError:
            return False
        return True

    return judge


def _server(name: str) -> str:
    return name.partition(":")[2]


def _redaction(asked: Json, version: RoomVersion) -> Judge:
    return lambda: redact_event_dict(version, asked["pdu"])


def _content_hash(asked: Json, version: RoomVersion) -> Judge:
    event = _event(asked, version)
    return lambda: check_event_content_hash(event)


def _event_id(asked: Json, version: RoomVersion) -> Judge:
    event = _event(asked, version)
    if version.event_format == EventFormatVersions.ROOM_V1_V2:
        return lambda: encode_base64(compute_event_reference_hash(event)[1])
    return lambda: event.event_id


def _canonical_json(asked: Json, version: RoomVersion) -> Judge:
    def judge() -> str | None:
        try:
            found = json_decoder.decode(asked["text"])
            if version.strict_canonicaljson:
                validate_canonicaljson(found)
            return encode_canonical_json(found).decode()
        except (SynapseError, ValueError):
            return None

    return judge


def _signatures(asked: Json, version: RoomVersion) -> Judge:
    event, keys = _event(asked, version), Keys(asked["keys"])

    def judge() -> bool:
        try:
            _finished(_check_sigs_on_pdu(keys, version, event))
        except RuntimeError:  # Synapse's error for a missing or bad signature is one
            return False
        return True

    return judge


def _resolution(asked: Json, _: RoomVersion) -> Judge:
    case = {**asked, "version": asked["room_version"]}

    def judge() -> Json:
        found = resolution_driver.answer(case)
        if "state" not in found:
            raise Nothing("no state to compare with")
        return found["state"]

    return judge


def _read(asked: Json, version: RoomVersion) -> Judge:
    text, keys, level = asked["text"].encode(), Keys(asked["keys"]), asked["level"]

    def judge() -> str | None:
        event = event_from_pdu_json(json_decoder.decode(text.decode()), version)
        if level == "signatures":
            _finished(_check_sigs_on_pdu(keys, version, event))
        good = level == "id" or check_event_content_hash(event)
        return event.event_id if good else None

    return judge


def _answer(asked: Json, version: RoomVersion) -> Judge:
    keys = Keys(asked["keys"])

    def judge() -> int:
        good: dict[str, SynapseEvent] = {}
        for text in asked["texts"]:
            event = event_from_pdu_json(json_decoder.decode(text), version)
            try:
                _finished(_check_sigs_on_pdu(keys, version, event))
                if not check_event_content_hash(event):
                    continue
                validate_event_for_room_version(event)
                _finished(check_state_independent_auth_rules(AuthEvents(good), event, good))
                listed = [good[id] for id in event.auth_event_ids()]
                check_state_dependent_auth_rules(event, listed)
            except (SynapseError, RuntimeError, KeyError):
                continue
            good[event.event_id] = event
        return len(good)

    return judge


def _receipt(asked: Json, version: RoomVersion) -> Judge:
    """Receive an event whose state before is also the current state of its room.

    The events of the state are made beforehand.
    """
    text, keys = asked["text"].encode(), Keys(asked["keys"])
    at_hand = {id: make_event_from_dict(pdu, version) for id, pdu in asked["state"]}
    state = {(event.type, event.state_key): event for event in at_hand.values()}
    store = AuthEvents(at_hand)

    def judge() -> Json:
        event = event_from_pdu_json(json_decoder.decode(text.decode()), version)
        _finished(_check_sigs_on_pdu(keys, version, event))
        if not check_event_content_hash(event):
            return None
        validate_event_for_room_version(event)
        _finished(check_state_independent_auth_rules(store, event, at_hand))
        listed = event.auth_event_ids()
        check_state_dependent_auth_rules(event, [at_hand[id] for id in listed])
        # When the state selects what the event lists, Synapse does not judge it again.
        places = auth_types_for_event(version, event)
        selected = [found for place in places if (found := state.get(place))]
        if {found.event_id for found in selected} != {*listed}:
            check_state_dependent_auth_rules(event, selected)
        return event.event_id

    return judge


AREAS: Mapping[str, Callable[[Json, RoomVersion], Judge]] = {
    "rules": partial(_by_driver, "state"),
    "auth-events": partial(_by_driver, "auth_events"),
    "selection": _selection,
    "format": _format,
    "redaction": _redaction,
    "content-hash": _content_hash,
    "event-id": _event_id,
    "canonical-json": _canonical_json,
    "signatures": _signatures,
    "resolution": _resolution,
    "read": _read,
    "answer": _answer,
    "receipt": _receipt,
}


if __name__ == "__main__":
    main()
