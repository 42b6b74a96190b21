"""What comes of odd answers: Synapse asks our server, which lies, and the outcome of each is stated."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership import KNOWN
from tests.interop.client_api import CallFailed, SynapseUser
from tests.interop.peer import Peer

pytestmark = pytest.mark.interop

PATIENCE = 60.0
Change = Callable[[Any], Any]


def of_make(change: Change) -> Callable[[str, Any], Any]:
    """A change of the template."""
    return lambda path, body: change(body) if "/make_join/" in path else body


def of_send(change: Change) -> Callable[[str, Any], Any]:
    """A change of the answer to the join."""
    return lambda path, body: change(body) if "/send_join/" in path else body


def of_events(kind: str, change: Change) -> Callable[[str, Any], Any]:
    """A change of one event wherever the answer has it; None leaves it out."""

    def each(events: list[Any]) -> list[Any]:
        made = [change(event) if event["type"] == kind else event for event in events]
        return [event for event in made if event is not None]

    return of_send(
        lambda body: {
            **body,
            **{key: each(body[key]) for key in ("state", "auth_chain") if key in body},
        }
    )


def in_event(**fields: Any) -> Callable[[str, Any], Any]:
    """A template with other fields."""
    return of_make(lambda body: {**body, "event": {**body["event"], **fields}})


def badly_signed(event: Any) -> Any:
    """An event with the signatures of another one."""
    signatures = {
        server: dict.fromkeys(keys, "A" * 86) for server, keys in event["signatures"].items()
    }
    return {**event, "signatures": signatures}


def named(event: Any, version: str) -> Any:
    """A create event that names another room version."""
    return {**event, "content": {**event["content"], "room_version": version}}


def noted_upon(event: Any) -> Any:
    """An event with more content than was hashed."""
    return {**event, "content": {**event["content"], "x": 1}}


# What comes of each with Synapse 1.163.2; docs/explanation/conformance.md says what comes of it with us.
OUTCOMES: Final = MappingProxyType(
    {
        "template of another room": (in_event(room_id="!other:a.example"), "refused"),
        "template by another sender": (in_event(sender="@eve:a.example"), "refused"),
        "template of another type": (in_event(type="m.room.name"), "refused"),
        "template of another membership": (in_event(content={"membership": "ban"}), "joined"),
        "template of an unknown version": (
            of_make(lambda body: {**body, "room_version": "unheard-of"}),
            "refused",
        ),
        "no create event": (of_events("m.room.create", lambda _: None), "refused"),
        "unsigned create event": (
            of_events("m.room.create", lambda event: {**event, "signatures": {}}),
            "refused",
        ),
        "badly signed create event": (of_events("m.room.create", badly_signed), "refused"),
        "badly signed join rules": (of_events("m.room.join_rules", badly_signed), "refused"),
        "create event of another version": (
            of_events("m.room.create", lambda event: named(event, "10")),
            "refused",
        ),
        "unsigned join rules": (
            of_events("m.room.join_rules", lambda event: {**event, "signatures": {}}),
            "refused",
        ),
        "altered name": (
            of_events("m.room.name", lambda event: {**event, "content": {"name": "Eve's"}}),
            "joined",
        ),
        "no state": (of_send(lambda body: {**body, "state": [], "auth_chain": []}), "refused"),
        "nothing": (of_send(lambda _: {}), "refused"),
    }
)


@pytest.mark.parametrize("version", ["1", "11", "12"])
@pytest.mark.parametrize("lie", OUTCOMES)
def test_synapse_takes_an_odd_answer_as_stated(
    peer: Peer, sam: SynapseUser, version: str, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twist, expected = OUTCOMES[lie]
    peer.server.omits_members = False
    room = peer.create_room(version, name="Odd")
    monkeypatch.setattr(peer, "twist", twist)
    outcome = "joined"
    try:
        sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
    except CallFailed:
        outcome = "refused"
    assert outcome == expected
    if outcome == "joined":
        names = [e["content"] for e in sam.state(room.room_id) if e["type"] == "m.room.name"]
        assert {"name": "Eve's"} not in names


@pytest.mark.parametrize("version", list(KNOWN))
def test_synapse_reads_the_version_of_what_is_left(
    peer: Peer, sam: SynapseUser, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to version 10 an altered create event is redacted, and then is of version 1."""
    peer.server.omits_members = False
    room = peer.create_room(version)
    altered = of_events("m.room.create", noted_upon)
    monkeypatch.setattr(peer, "twist", altered)
    if version == "1":
        assert sam.join(room.room_id, via=[peer.name], timeout=PATIENCE) == room.room_id
    else:
        with pytest.raises(CallFailed):
            sam.join(room.room_id, via=[peer.name], timeout=PATIENCE)
