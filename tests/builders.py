"""Rooms for tests: the only factory. Values, so that every step leaves the one before as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import pytest

from matrix_membership import Event, JoinRule, Membership, RoomState, RoomVersion, Signer, auth
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import encode
from matrix_membership.identifiers import server_of
from matrix_membership.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from matrix_membership.room_versions import KNOWN
from matrix_membership.signing import sign_json

ANA: Final = "@ana:a.example"
BEN: Final = "@ben:b.example"
CAY: Final = "@cay:c.example"
DAN: Final = "@dan:a.example"

VERSIONS: Final = tuple(KNOWN.values())

SIGNER_A: Final = Signer.from_seed("a.example", "ed25519:a", "A" * 43)
SIGNER_B: Final = Signer.from_seed("b.example", "ed25519:b", "B" * 42 + "A")
IDENTITY: Final = Signer.from_seed("id.example", "ed25519:0", "I" * 42 + "A")
KEYS: Final = SIGNER_A.key_ring.with_keys(SIGNER_B.key_ring)


def event_id(number: int, version: RoomVersion) -> str:
    """An event ID of the version's form; it is no hash."""
    return f"$e{number}:a.example" if version.event_id_in_pdu else "$" + f"{number}".rjust(43, "x")


@attrs.frozen
class Room:
    """A room that a test builds step by step."""

    version: RoomVersion
    events: tuple[Event, ...] = ()
    made: int = 0
    partial: bool = False

    @property
    def state(self) -> RoomState:
        """Its state."""
        return RoomState.of(self.version, self.events, partial=self.partial)

    @property
    def room_id(self) -> str:
        """Its ID."""
        return self.events[0].room_id if self.events else "!r:a.example"

    def event(
        self,
        kind: str,
        sender: str,
        content: Any,
        state_key: str | None = None,
        *,
        prev_events: Iterable[str] = ("$p:a.example",),
        signed_by: Iterable[str] = (),
        **more: Any,
    ) -> Event:
        """An event of this room, as a PDU; nobody judges it."""
        refer = [
            [name, {}]
            if self.version.event_id_in_pdu
            else name.replace("$p:a.example", "$" + "p" * 43)
            for name in prev_events
        ]
        number = self.made + len(self.events)
        fields = {
            "type": kind,
            "sender": sender,
            "content": content,
            "room_id": self.room_id,
            "depth": 7,
            "origin_server_ts": 1,
            "prev_events": refer,
            "auth_events": [],
            "hashes": {"sha256": "x"},
            "signatures": {},
            **more,
        }
        if state_key is not None:
            fields["state_key"] = state_key
        if self.version.event_id_in_pdu:
            fields["event_id"] = event_id(number, self.version)
        if self.version.room_id_is_create_event and kind == "m.room.create":
            del fields["room_id"]
        name = event_id(number, self.version)
        pdu = encode(fields, strict=False)
        event = Event.from_pdu(pdu, self.version, event_id=name)
        by_id = {server_of(name)} if self.version.event_id_in_pdu else set()
        return event.with_signers({event.server, *by_id, *signed_by})

    def with_state(self, event: Event) -> Room:
        """The room with an event in its state, allowed or not."""
        return attrs.evolve(self, events=(*self.events, event))

    def with_content(self, kind: str, content: Any, state_key: str = "", sender: str = ANA) -> Room:
        """The room with a state event of this content."""
        return self.with_state(self.event(kind, sender, content, state_key))

    def with_member(self, user: str, membership: Membership | str) -> Room:
        """The room in which a user has a membership."""
        content = {"membership": str(membership)}
        return self.with_content("m.room.member", content, user, user)

    def with_join_rule(self, rule: JoinRule | str, **more: Any) -> Room:
        """The room with a join rule."""
        return self.with_content("m.room.join_rules", {"join_rule": str(rule), **more})

    def with_levels(self, users: Mapping[str, Any] | None = None, **levels: Any) -> Room:
        """The room with power levels."""
        return self.with_content("m.room.power_levels", {"users": dict(users or {}), **levels})

    def with_third_party_invite(self, token: str = "tok", sender: str = ANA, **more: Any) -> Room:
        """The room with an invite through the identity server of these tests."""
        content = {"public_key": IDENTITY.verify_key, "display_name": "b...", **more}
        return self.with_content("m.room.third_party_invite", content, token, sender)

    def member(
        self,
        sender: str,
        target: str,
        membership: Membership | str,
        *,
        signed_by: Iterable[str] = (),
        **content: Any,
    ) -> Event:
        """A member event."""
        return self.event(
            "m.room.member",
            sender,
            {"membership": str(membership), **content},
            target,
            signed_by=signed_by,
        )

    def join(self, user: str, *, signed_by: Iterable[str] = (), **content: Any) -> Event:
        """A user joins."""
        return self.member(user, user, JOIN, signed_by=signed_by, **content)

    def knock(self, user: str) -> Event:
        """A user knocks."""
        return self.member(user, user, KNOCK)

    def leave(self, user: str) -> Event:
        """A user leaves."""
        return self.member(user, user, LEAVE)

    def invite(self, sender: str, target: str, **content: Any) -> Event:
        """A user invites another one."""
        return self.member(sender, target, INVITE, **content)

    def kick(self, sender: str, target: str) -> Event:
        """A user kicks or unbans another one."""
        return self.member(sender, target, LEAVE)

    def ban(self, sender: str, target: str) -> Event:
        """A user bans another one."""
        return self.member(sender, target, BAN)

    def message(self, sender: str) -> Event:
        """A user says something."""
        return self.event("m.room.message", sender, {"body": "hello"})

    def check(self, event: Event) -> Decision:
        """The decision on an event in this room."""
        return auth.check(event, self.state)


def an_empty_room(version: RoomVersion) -> Room:
    """A room before its create event."""
    return Room(version)


def a_room(version: RoomVersion, **create: Any) -> Room:
    """A room that Ana made and joined, without power levels and join rules."""
    content: dict[str, Any] = {"room_version": version.identifier, **create}
    if version.creator_in_content:
        content.setdefault("creator", ANA)
    return Room(version).with_content("m.room.create", content).with_member(ANA, JOIN)


def a_levelled_room(version: RoomVersion, **levels: Any) -> Room:
    """A room whose levels name Ana (50) and perhaps others; its creator is Dan, who left."""
    content: dict[str, Any] = {"room_version": version.identifier}
    if version.creator_in_content:
        content["creator"] = DAN
    users = {ANA: 50, **levels.pop("users", {})}
    return (
        Room(version)
        .with_content("m.room.create", content, sender=DAN)
        .with_member(ANA, JOIN)
        .with_levels(users, **levels)
    )


def signed_invite(mxid: str = BEN, token: str = "tok", **more: Any) -> dict[str, Any]:
    """The `third_party_invite` of a member event, signed by the identity server."""
    signed = sign_json({"mxid": mxid, "token": token, **more}, IDENTITY)
    return {"display_name": "b...", "signed": json.loads(json.dumps(signed))}


def versions_having(rule: str) -> list[RoomVersion]:
    """The versions that have a rule of this name."""
    return [version for version in VERSIONS if auth.rules_of(version).number_of(rule)]


def versions_lacking(rule: str) -> list[RoomVersion]:
    """The versions that do not."""
    return [version for version in VERSIONS if not auth.rules_of(version).number_of(rule)]


def having(rule: str) -> pytest.MarkDecorator:
    """Run a test in every version that has a rule."""
    return pytest.mark.parametrize("version", versions_having(rule), ids=str)


def lacking(rule: str) -> pytest.MarkDecorator:
    """Run a test in every version that has not."""
    return pytest.mark.parametrize("version", versions_lacking(rule), ids=str)


def since(first: str, last: str = VERSIONS[-1].identifier) -> pytest.MarkDecorator:
    """Run a test in a run of versions."""
    names = [version.identifier for version in VERSIONS]
    run = VERSIONS[names.index(first) : names.index(last) + 1]
    return pytest.mark.parametrize("version", run, ids=str)


everywhere: Final = since("1")
"""Run a test in every version."""


def decision(rule: str, version: RoomVersion) -> Decision:
    """The whole decision that a rule gives in a version."""
    for number, row in auth.rules_of(version).numbered:
        if row.name == rule:
            return row.decision(version, number)
    raise AssertionError(f"version {version} has no rule {rule}")
