"""Strategies for resident servers, honest and lying, to test joining with.

A `Resident` answers the requests of a handshake as a resident server does, for a user
who may enter or leave the room. The code under test sends the requests: the steps of
this package, or another server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from hypothesis import strategies as st

from matrix_membership._attrs import frozen
from matrix_membership.canonical_json import JsonValue, decode, thaw
from matrix_membership.federation.handshake import JOINING, KNOCKING, LEAVING, Handshake
from matrix_membership.federation.messages import (
    MakeRequest,
    MatrixError,
    Request,
    SendJoinResponse,
    SendRequest,
)
from matrix_membership.federation.resident import answer_make, answer_send
from matrix_membership.federation.resident_room import ResidentRoom
from matrix_membership.identifiers import ServerName, UserID
from matrix_membership.membership import JoinRule
from matrix_membership.room_versions import KNOWN, RoomVersion
from matrix_membership.signing import KeyRing, Signer
from matrix_membership.strategies._fields import MEMBER, signer_of, state_fields
from matrix_membership.strategies._trials import ANA, BEN, CREATE, JOIN_RULES, POWER_LEVELS
from matrix_membership.strategies.rooms import RoomHistory, new_room

__all__ = ["residents"]

StatusAndBody = tuple[int, JsonValue]
Json = dict[str, Any]

# Fixed: nothing in this package reads a clock, and a failure has to come again.
_AT: Final = 1_700_000_000_000
_HOST: Final = signer_of("a.example")
_GUEST: Final = signer_of("b.example")
_KEYS: Final = _HOST.key_ring.with_keys(_GUEST.key_ring)


@frozen
class Resident:
    """A server in a room, and a user of another server who may enter or leave it.

    Attributes:
        room: the room as the server knows it.
        handshake: the handshake that succeeds for the user: join, knock or leave.
        user: the user.
        signer: the key of the user's server.
        keys: the keys of both servers.
        lie: one of `LIES`, which the server tells; empty for an honest server.
    """

    room: ResidentRoom
    handshake: Handshake
    user: UserID
    signer: Signer
    keys: KeyRing
    lie: str = ""

    def __str__(self) -> str:
        lies = f", lying: {self.lie}" if self.lie else ""
        version = self.room.state.room_version
        rule = self.room.state.join_rule
        return f"{self.handshake.make} into a room of version {version}, join rule {rule}{lies}"

    def answer(self, request: Request) -> StatusAndBody:
        """Answer one request of the handshake.

        Args:
            request: make_* or send_*, as the user's server sends it. It counts as
                authenticated.

        Returns:
            The status, and the parsed body of the answer or of the Matrix error.
        """
        parts = [unquote(part) for part in request.path.split("/")[3:]]
        if len(parts) != _PARTS or (request.body is None) != (request.method == "GET"):
            return _told(MatrixError.of("M_UNRECOGNIZED", request.path))
        version, endpoint, room_id, last = parts
        if endpoint == self.handshake.make:
            return self._make(request, room_id, last)
        if endpoint == self.handshake.send and version in self.handshake.send_versions:
            return self._send(request, room_id, last, paired=version == "v1")
        return _told(MatrixError.of("M_UNRECOGNIZED", request.path))

    def _make(self, request: Request, room_id: str, user: str) -> StatusAndBody:
        versions = tuple(value for name, value in request.query if name == "ver")
        asked = MakeRequest(room_id, user, self.signer.server_name, versions or ("1",))
        made = answer_make(self.handshake, asked, self.room, at=_AT)
        if isinstance(made, MatrixError):
            return _told(made)
        change = _ABOUT_TEMPLATES.get(self.lie)
        body = made.to_json()
        return 200, body if change is None else change(body)

    def _send(
        self, request: Request, room_id: str, event_id: str, *, paired: bool
    ) -> StatusAndBody:
        omits = ("omit_members", "true") in request.query
        sent = SendRequest(room_id, event_id, request.body or b"", self.signer.server_name, omits)
        # The honest answer first, then one lie in it: all else about the answer is as it should be.
        accepted = answer_send(self.handshake, sent, self.room, _HOST, keys=self.keys)
        if isinstance(accepted, MatrixError):
            return _told(accepted)
        response = accepted.response
        body: Json = thaw(
            decode(response.to_bytes(), strict=False)
            if isinstance(response, SendJoinResponse)
            else response.to_json()
        )
        change = _ABOUT_ANSWERS.get(self.lie)
        if change is not None:
            body = change(body)
        # Version 1 answers with a pair where there is a version 2 that does not.
        return 200, [200, body] if paired and len(self.handshake.send_versions) > 1 else body


_PARTS: Final = 4


def _told(error: MatrixError) -> StatusAndBody:
    return error.status, error.to_json()


# ------------------------------------------------------------------------------ lies


def _in_template(**fields: JsonValue) -> Callable[[Json], Json]:
    return lambda body: {**body, "event": {**body["event"], **fields}}


def _in_event(
    place: tuple[str, str], change: Callable[[Json], Json | None]
) -> Callable[[Json], Json]:
    """Change or drop the event of one place, in the state and auth chain."""

    def changed(events: list[Json]) -> list[Json]:
        found = (
            change(event) if (event["type"], event.get("state_key")) == place else event
            for event in events
        )
        return [event for event in found if event is not None]

    return lambda body: {
        **body,
        # In both: of an event that comes twice the better copy counts, so the lie would have no
        # effect.
        **{key: changed(body[key]) for key in ("state", "auth_chain") if key in body},
    }


def _unsigned(event: Json) -> Json:
    return {**event, "signatures": {}}


def _altered(event: Json) -> Json:
    # Redaction keeps the depth. So not only the content hash is wrong: the signature is, too.
    return {**event, "depth": event["depth"] + 1}


def _gone(_: Json) -> None:
    return None


def _altered_join(body: Json) -> Json:
    event = body.get("event") or {}
    content = {**event.get("content", {}), "displayname": "Mallory"}
    return {**body, "event": {**event, "content": content}}


_MEMBER: Final = (MEMBER, ANA)

_ABOUT_TEMPLATES: Final[Mapping[str, Callable[[Json], Json]]] = MappingProxyType(
    {
        "template of another room": _in_template(room_id="!other:a.example"),
        "template by another sender": _in_template(sender="@mallory:a.example"),
        "template about another user": _in_template(state_key="@mallory:a.example"),
        "template of another type": _in_template(type="m.room.power_levels"),
        "template of another membership": _in_template(content={"membership": "ban"}),
        "template of an unknown version": lambda body: {**body, "room_version": "unheard-of"},
        "no template": lambda _: {"room_version": "11"},
    }
)
_ABOUT_ANSWERS: Final[Mapping[str, Callable[[Json], Json]]] = MappingProxyType(
    {
        "no create event": _in_event(CREATE, _gone),
        "unsigned create event": _in_event(CREATE, _unsigned),
        "altered create event": _in_event(CREATE, _altered),
        "no join rules": _in_event(JOIN_RULES, _gone),
        "unsigned join rules": _in_event(JOIN_RULES, _unsigned),
        "altered join rules": _in_event(JOIN_RULES, _altered),
        "unsigned member": _in_event(_MEMBER, _unsigned),
        "altered member": _in_event(_MEMBER, _altered),
        "altered join": _altered_join,
        "members omitted without servers": lambda body: {
            **{key: value for key, value in body.items() if key != "servers_in_room"},
            "members_omitted": True,
        },
        "no state": lambda body: {key: value for key, value in body.items() if key != "state"},
        "nothing": lambda _: {},
    }
)
LIES: Final = (*_ABOUT_TEMPLATES, *_ABOUT_ANSWERS)
"""The lies that a resident server can tell: in the template, or in the answer to the join."""


# ------------------------------------------------------------------------------ rooms


@st.composite
def residents(
    draw: st.DrawFn,
    *,
    room_version: RoomVersion | None = None,
    handshake: Handshake | None = None,
    lies: tuple[str, ...] = (),
) -> Resident:
    """Draw servers in a room, for a user who may join, knock or leave.

    Args:
        draw: passed by Hypothesis.
        room_version: the version of all rooms; None for any. For knocks, at least 7.
        handshake: `JOINING`, `KNOCKING` or `LEAVING`; None for any that fits the lie. A lie
            in the answer to a join needs `JOINING`.
        lies: the ones of `LIES` to draw from; each server tells one. Honest without any.

    .. versionadded:: 0.1.0
    """
    lie = draw(st.sampled_from(lies)) if lies else ""
    if handshake is None and lie in _ABOUT_ANSWERS:
        handshake = JOINING
    if handshake is None:
        handshake = draw(st.sampled_from((JOINING, LEAVING, KNOCKING)))
    knocks = handshake is KNOCKING
    versions = [v for v in KNOWN.values() if not knocks or JoinRule.KNOCK in v.join_rules]
    version = room_version or draw(st.sampled_from(versions))
    room = new_room(version)
    names = draw(st.lists(st.sampled_from(("carl", "dora", "emil")), unique=True))
    if names:
        # A room of every version lets these users in by a public join rule.
        room = _with(room, ANA, *JOIN_RULES, join_rule="public")
    for user in (f"@{name}:a.example" for name in names):
        room = _with(room, user, MEMBER, user, membership="join")
    if draw(st.booleans()):
        users = {} if version.privileged_creators else {ANA: 100}
        room = _with(room, ANA, *POWER_LEVELS, users=users, ban=60)
    if draw(st.booleans()):
        room = _with(room, ANA, "m.room.name", "", name="a room")
    invited = handshake is LEAVING or (handshake is JOINING and draw(st.booleans()))
    rule = "knock" if knocks else "invite" if invited else "public"
    room = _with(room, ANA, *JOIN_RULES, join_rule=rule)
    if invited:
        room = _with(room, ANA, MEMBER, BEN, membership="invite")
    known = _known_to(_HOST.server_name, room)
    return Resident(known, handshake, UserID(BEN), _GUEST, _KEYS, lie)


def _with(
    history: RoomHistory, sender: str, event_type: str, state_key: str, **content: JsonValue
) -> RoomHistory:
    fields = state_fields(sender, (event_type, state_key), content)
    return history.with_event(history.next_event(sender, fields))


def _known_to(server: ServerName, history: RoomHistory) -> ResidentRoom:
    """Return the room as a server knows it after a history."""
    last = history.events[-1]
    get_event = {event.event_id: event for event in history.events}.get
    return ResidentRoom(server, history.state, (last.event_id,), last.depth, get_event)
