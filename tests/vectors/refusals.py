"""PDUs as they come from outside, good, broken and forged, with what becomes of each.

What is expected is written here by hand, from the specification. Nothing of the library judges them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
from canonicaljson import encode_canonical_json

from matrix_membership import RoomVersion
from matrix_membership.events import EventTemplate
from matrix_membership.federation.drafts import draft_fields
from matrix_membership.federation.resident_room import ResidentRoom
from tests.builders import ANA, BEN, IDENTITY, VERSIONS, signed_invite
from tests.federation.signed_rooms import AT, A, B, a_signed_room, with_member, with_state
from tests.vectors.signed import signer_of

Pdu = dict[str, Any]

MAL: Final = "@mal:evil.example"
LARGEST: Final = 65_536
DEEP: Final = 20_000
TOLD_LARGE: Final = ("1", "12")
"""The versions in which the large cases are told, which are alike in all."""

ACCEPTED: Final = ("accepted", None)
FORMAT: Final = ("dropped", 1)
SIGNATURES: Final = ("dropped", 2)
REDACTED: Final = ("redacted", 3)
REJECTED: Final = ("rejected", None)

Expected = tuple[str, int | None]


@attrs.frozen
class Case:
    """A PDU as text, in the room of these cases, and what becomes of it."""

    name: str
    text: str
    expected: Expected


@attrs.frozen
class Maker:
    """The room, which makes events for whom it is asked to."""

    room: ResidentRoom

    @property
    def version(self) -> RoomVersion:
        """Its version."""
        return self.room.state.room_version

    def pdu(
        self, kind: str, sender: str, content: Any, state_key: str | None = None, **more: Any
    ) -> Pdu:
        """A PDU that its sender's server signed."""
        signer = {"a.example": A, "b.example": B}.get(
            sender.partition(":")[2], signer_of("evil.example")
        )
        fields = draft_fields(
            self.room, kind, state_key or "", sender=sender, content=content, at=AT + 1
        )
        if state_key is None:
            del fields["state_key"]
        if kind == "m.room.create" and self.version.room_id_is_create_event:
            del fields["room_id"]
        template = EventTemplate.of({**fields, **more}, self.version)
        own_id = f"$event:{signer.server_name}" if self.version.event_id_in_pdu else None
        made: Pdu = json.loads(json.dumps(template.complete(signer, event_id=own_id).to_pdu()))
        return made

    def message(self, **content: Any) -> Pdu:
        """A message of Ben's."""
        return self.pdu("m.room.message", BEN, {"body": "hello", **content})

    def invite(self, **content: Any) -> Pdu:
        """Ana's invite of a user of the attacker's server."""
        return self.pdu("m.room.member", ANA, {"membership": "invite", **content}, MAL)


def room_of(version: RoomVersion) -> ResidentRoom:
    """Ana's room, with Ben, which is for invited users and has a third-party invite."""
    room = with_state(a_signed_room(version), "m.room.join_rules", {"join_rule": "invite"})
    key = {"public_key": IDENTITY.verify_key, "display_name": "mal", "key_validity_url": "x"}
    room = with_state(room, "m.room.third_party_invite", key, state_key="tok")
    return with_member(room, BEN, "join")


def _unsigned(pdu: Pdu) -> Pdu:
    return {**pdu, "signatures": {}}


def _altered(pdu: Pdu) -> Pdu:
    """Something was added to the content after the event was hashed: redaction takes it away."""
    return {**pdu, "content": {**pdu["content"], "org.example.more": 1}}


def _signed_by_another(pdu: Pdu) -> Pdu:
    """The signature stands under the name of a server that did not make it."""
    (of_server,) = pdu["signatures"].values()
    return {**pdu, "signatures": {"evil.example": of_server}}


def _with_broken_signature(pdu: Pdu) -> Pdu:
    ((server, of_server),) = pdu["signatures"].items()
    return {**pdu, "signatures": {server: dict.fromkeys(of_server, "A" * 86)}}


def _under_unknown_key(pdu: Pdu) -> Pdu:
    ((server, of_server),) = pdu["signatures"].items()
    (signature,) = of_server.values()
    return {**pdu, "signatures": {server: {"ed25519:unknown": signature}}}


FAKES: Final[tuple[tuple[str, Any], ...]] = (
    ("0", 0),
    ("null", None),
    ("true", True),
    ("an-empty-text", ""),
    ("an-array", []),
    ("an-object-without-signed", {}),
    ("an-object-whose-signed-is-null", {"signed": None}),
    ("an-object-whose-signed-is-an-array", {"signed": []}),
)
"""Values of `third_party_invite` that excuse nobody from signing."""

FIELDS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("depth-as-text", "depth", "7"),
    ("depth-below-zero", "depth", -1),
    ("time-as-text", "origin_server_ts", "1"),
    ("content-as-array", "content", []),
    ("content-null", "content", None),
    ("signatures-as-array", "signatures", []),
    ("hashes-empty", "hashes", {}),
    ("sender-without-server", "sender", "@ben"),
    ("sender-null", "sender", None),
    ("type-as-number", "type", 1),
    ("type-too-long", "type", "x" * 256),
    ("state-key-as-number", "state_key", 0),
    ("prev-events-as-number", "prev_events", 5),
    ("auth-events-null", "auth_events", None),
    ("room-id-as-array", "room_id", []),
)
"""A field with a value that no room version takes."""


def _cases(make: Maker) -> Iterator[Case]:
    yield from _signatures(make)
    yield from _third_party(make)
    yield from _format(make)
    yield from _numbers(make)
    yield from _by_rules(make)
    if str(make.version) in TOLD_LARGE:
        yield from _large(make)


def _case(name: str, pdu: Pdu, expected: Expected) -> Case:
    return Case(name, json.dumps(pdu, separators=(",", ":"), ensure_ascii=False), expected)


def _signatures(make: Maker) -> Iterator[Case]:
    message, invite = make.message(), make.invite()
    yield _case("message", message, ACCEPTED)
    yield _case("invite", invite, ACCEPTED)
    yield _case("message-altered", _altered(message), REDACTED)
    yield _case("invite-altered", _altered(invite), REDACTED)
    changes: tuple[tuple[str, Callable[[Pdu], Pdu]], ...] = (
        ("unsigned", _unsigned),
        ("signed-by-another-server", _signed_by_another),
        ("with-a-broken-signature", _with_broken_signature),
        ("signed-under-an-unknown-key", _under_unknown_key),
    )
    for name, change in changes:
        yield _case(f"message-{name}", change(message), SIGNATURES)
        yield _case(f"invite-{name}", change(invite), SIGNATURES)
        yield _case(f"invite-{name}-altered", _altered(change(invite)), SIGNATURES)


def _third_party(make: Maker) -> Iterator[Case]:
    for name, fake in FAKES:
        forged = _unsigned(make.invite(third_party_invite=fake))
        yield _case(f"unsigned-invite-whose-third-party-invite-is-{name}", forged, SIGNATURES)
        yield _case(
            f"unsigned-invite-altered-whose-third-party-invite-is-{name}",
            _altered(forged),
            SIGNATURES,
        )
    word = signed_invite(MAL)
    real = _unsigned(make.invite(third_party_invite=word))
    # In versions 1 and 2 the server that the event ID names has to sign all the same.
    excused = not make.version.event_id_in_pdu
    # From version 11 on, redaction keeps what the third party signed.
    kept = excused and int(str(make.version)) >= 11
    yield _case("unsigned-third-party-invite", real, ACCEPTED if excused else SIGNATURES)
    yield _case(
        "unsigned-third-party-invite-altered",
        _altered(real),
        REDACTED if kept else SIGNATURES,
    )
    join = make.pdu("m.room.member", BEN, {"membership": "join", "third_party_invite": word}, BEN)
    yield _case("unsigned-join-with-a-third-party-invite", _unsigned(join), SIGNATURES)


def _format(make: Maker) -> Iterator[Case]:
    message = make.message()
    for name, field, value in FIELDS:
        yield _case(name, {**message, field: value}, FORMAT)
    for field in ("auth_events", "prev_events", "depth", "hashes", "signatures", "sender", "type"):
        yield _case(
            f"without-{field.replace('_', '-')}",
            {key: value for key, value in message.items() if key != field},
            FORMAT,
        )
    yield _case("auth-events-11", {**message, "auth_events": message["prev_events"] * 11}, FORMAT)
    yield _case("prev-events-21", {**message, "prev_events": message["prev_events"] * 21}, FORMAT)
    text = _case("", message, FORMAT).text
    # Before version 6 nothing forbids it: the last one counts, and both are the same here.
    twice = FORMAT if make.version.strict_json else ACCEPTED
    yield Case("the-same-key-twice", '{"type":"m.room.message",' + text[1:], twice)
    inside = text.replace('"body":"hello"', '"body":"hello","body":"hello"')
    yield Case("the-same-key-twice-in-the-content", inside, twice)
    yield Case("cut-off", text[:-1], FORMAT)
    yield Case("more-after-the-end", text + "{}", FORMAT)
    yield Case("an-array", f"[{text}]", FORMAT)
    yield Case("empty", "", FORMAT)
    yield Case("not-a-number", text.replace('"body":"hello"', '"body":NaN'), FORMAT)


def _numbers(make: Maker) -> Iterator[Case]:
    """Numbers that canonical JSON holds, and such as only versions 1 to 5 let pass."""
    yield _case("the-largest-integer", make.message(n=2**53 - 1), ACCEPTED)
    if make.version.strict_json:
        message = make.message(n=1)
        for name, number in (("too-large-an-integer", 2**53), ("a-float", 1.5)):
            content = {**message["content"], "n": number}
            yield _case(name, {**message, "content": content}, FORMAT)


def _by_rules(make: Maker) -> Iterator[Case]:
    for name, sender, membership in (
        ("join-without-an-invite", MAL, "join"),
        ("leave-of-nobody", MAL, "leave"),
    ):
        pdu = make.pdu("m.room.member", sender, {"membership": membership}, MAL)
        yield _case(name, pdu, REJECTED)
    yield _case(
        "invite-by-nobody",
        make.pdu("m.room.member", MAL, {"membership": "invite"}, "@x:evil.example"),
        REJECTED,
    )
    yield _case("message-of-nobody", make.pdu("m.room.message", MAL, {}), REJECTED)
    create: dict[str, Any] = {"room_version": str(make.version)}
    if make.version.creator_in_content:
        create["creator"] = ANA
    for name, more in (("", {}), ("-without-auth-events", {"auth_events": [], "depth": 1})):
        fields = {"prev_events": [], "auth_events": [], **more}
        pdu = make.pdu("m.room.create", ANA, create, "", **fields)
        # In version 12 it is the create event of another room.
        yield _case(f"second-create-event{name}", pdu, REJECTED)


def _large(make: Maker) -> Iterator[Case]:
    rest = LARGEST - len(encode_canonical_json(make.message(body="")))
    yield _case("as-large-as-can-be", make.message(body="a" * rest), ACCEPTED)
    fits = make.message(body="a" * rest)
    larger = {**fits, "content": {"body": "a" * (rest + 1)}}
    yield _case("one-byte-too-large", larger, FORMAT)
    text = _case("", make.message(), FORMAT).text
    nested = "[" * DEEP + "]" * DEEP
    yield Case("nested-too-deep", text.replace('"hello"', nested), FORMAT)
    yield Case("nested-without-an-end", "[" * LARGEST, FORMAT)


def rooms() -> Iterator[dict[str, Any]]:
    """The room of the cases, in every version."""
    for version in VERSIONS:
        yield {
            "id": f"v{version}",
            "room_version": version.identifier,
            "state": [event.to_pdu() for event in room_of(version).state.events],
        }


def refusals() -> Iterator[dict[str, Any]]:
    """The cases, in every version."""
    for version in VERSIONS:
        for case in _cases(Maker(room_of(version))):
            disposition, check = case.expected
            yield {
                "id": f"v{version}/{case.name}",
                "room_version": version.identifier,
                "pdu": case.text,
                "disposition": disposition,
                "check": check,
            }
