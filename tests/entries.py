"""Every public entry that takes what comes from outside: JSON values, text, bytes.

The property tests and the fuzzer call them with anything; a test sees to it that none is left out.
"""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

from matrix_membership import (
    Event,
    EventTemplate,
    JoinRule,
    RoomVersion,
    Signer,
    auth,
    client,
    lint,
    may,
    signing,
    who_may,
)
from matrix_membership import identifiers as names
from matrix_membership.advice.pages import page_of
from matrix_membership.advice.powers import who_can
from matrix_membership.canonical_json import decode, encode, freeze, read, thaw
from matrix_membership.errors import MatrixMembershipError, RemoteProtocolError
from matrix_membership.events import read_pdu
from matrix_membership.events.contents import level_of
from matrix_membership.events.format import check_field, check_format
from matrix_membership.federation import (
    JOINING,
    KNOCKING,
    LEAVING,
    Attempts,
    ExchangeRequest,
    InvitePolicy,
    InviteRequest,
    InviteResponse,
    MakeResponse,
    MatrixError,
    OnBindRequest,
    PendingInvite,
    ResidentRoom,
    SendJoinReader,
    SendJoinResponse,
    SendKnockResponse,
    SendLeaveResponse,
    StoredInvite,
    history,
)
from matrix_membership.federation.diagnosis import conversations, diagnose, read_capture
from matrix_membership.federation.invites.messages import key_ids_of
from matrix_membership.federation.policy_server import answer_sign
from matrix_membership.federation.spaces import read_hierarchy
from matrix_membership.federation.transactions import read_transaction
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.hashing import content_hash, event_id, reference_hash, signed_bytes
from matrix_membership.identifiers import RoomID, ServerName, UserID
from matrix_membership.machine import admit
from matrix_membership.receipt import receive
from matrix_membership.receipt.policy_server import POLICY_KEY_ID, PolicyServer
from matrix_membership.receipt.server_acl import ServerAcl, permits
from matrix_membership.redaction import redact, redacted_content, survivors
from matrix_membership.resolution import resets_in
from matrix_membership.room_summary import hierarchy, may_learn_of
from matrix_membership.room_versions import room_version
from matrix_membership.signing import KeyRing
from matrix_membership.state.from_client import read_event, read_state
from tests.builders import ANA, BEN, KEYS, SIGNER_B, a_room, an_empty_room
from tests.federation.signed_rooms import a_signed_room
from tests.federation.test_policy_server import POLICY, policed
from tests.sources import PUBLIC, full_name, returned

Entry = Callable[[Any, RoomVersion], object]
READERS: Final = (
    "read_join",
    "read_knock",
    "read_leave",
    "read_forget",
    "read_target",
    "read_invite",
)

POLICED: Final = PolicyServer(SIGNER_B.server_name, SIGNER_B.verify_key, in_room=True)
KEY: Final = KEYS.servers[SIGNER_B.server_name]["ed25519:b"]


def _receive(value: Any, version: RoomVersion) -> object:
    state = a_room(version).state
    at_hand = {event.event_id: event for event in state.events}
    return receive(
        value, version, keys=KEYS, auth_events=at_hand.get, state_before=state, current_state=state
    )


def _history(version: RoomVersion) -> history.KnownHistory:
    room = a_signed_room(version)
    newest = {room.prev_events[0]: room.state}
    return history.KnownHistory(room, newest.get)


def _hierarchy(value: Any) -> object:
    """Read a value as an answer, and as what an answer tells of a space and its children."""
    space = {"room_id": "!s:a.example", "num_joined_members": 1, "world_readable": True}
    space |= {"guest_can_join": True, "children_state": [value, {"content": value}]}
    told = {"room": space, "children": [], "inaccessible_children": value}
    hierarchy(BEN, "!s:a.example", read_hierarchy(told, "!s:a.example").rooms.get)
    return read_hierarchy(value, "!s:a.example")


def _transaction(value: Any, version: RoomVersion) -> object:
    """Read a value as a body, as a PDU and an EDU of a room that denies the server, and answer."""
    state = a_room(version).with_content("m.room.server_acl", {}).state
    pdu = {"room_id": "!r:a.example", "content": value}
    for body in (
        value,
        {"pdus": [value, pdu], "edus": [value, {"edu_type": "m.receipt", "content": value}]},
    ):
        found = read_transaction(body, "b.example", lambda _: state)
        if not isinstance(found, MatrixError):
            found.answer({})
    return None


def _judge(kind: str, key: str | None) -> Entry:
    """Put a value into an event as its content, and the event into a state; judge by and against it."""

    def call(value: Any, version: RoomVersion) -> object:
        room = a_room(version) if kind != "m.room.create" else an_empty_room(version)
        event = room.event(kind, ANA, value, key)
        state = room.with_state(event).with_join_rule(JoinRule.KNOCK).state
        for entry in (event, room.join(BEN), room.invite(ANA, BEN)):
            assert isinstance(auth.check(entry, state), auth.Decision)
            assert isinstance(auth.check_auth_events(entry, state.events), auth.Decision)
            assert isinstance(auth.select_auth_events(entry), frozenset)
            assert str(auth.explain(entry, state))
            admit(entry, state)
        permits(state, "a.example")
        signing.verify(event, KEYS)
        return event.redacted() == event

    return call


CLIENT_FIELDS: Final = (
    "type",
    "sender",
    "state_key",
    "content",
    "event_id",
    "room_id",
    "depth",
    "origin_server_ts",
    "prev_events",
    "auth_events",
    "redacts",
    "unsigned",
    "hashes",
    "signatures",
    "something_else",
)

_TYPES: Final = (
    ("m.room.create", ""),
    ("m.room.member", BEN),
    ("m.room.power_levels", ""),
    ("m.room.join_rules", ""),
    ("m.room.redaction", None),
)


def _client_field(field: str) -> Entry:
    """Put a value into one field of an event in client format: what is read never raises later."""

    def call(value: Any, version: RoomVersion) -> object:
        events = []
        for kind, key in _TYPES if field in ("content", "state_key") else _TYPES[:2]:
            fields: dict[str, Any] = {
                "type": kind,
                "sender": ANA,
                "content": {"membership": "join"},
                "event_id": "$e:a.example",
                "room_id": "!r:a.example",
            }
            if key is not None:
                fields["state_key"] = key
            event = Event.from_client_event({**fields, field: value}, version)
            events.append(event)
            try:
                _used(event, version)
            except MatrixMembershipError as error:
                raise AssertionError(f"{event!r} was read, and raised later") from error
        return events

    return call


def _used(event: Event, version: RoomVersion) -> None:
    """Do with an event what can be done with one in client format."""
    before = a_room(version).state
    state = before.with_event(event)
    for known in (before, state):
        assert isinstance(auth.check(event, known), auth.Decision)
        assert isinstance(auth.check_auth_events(event, known.events), auth.Decision)
        assert str(auth.explain(event, known))
        admit(event, known)
    # Only of the room that has the event: without it the answers are the same for every value.
    assert isinstance(lint(state), tuple)
    assert page_of(who_can(state))
    assert isinstance(next(who_may(state, lambda user: user.invite(BEN)), ""), str)
    may(ANA, state).invite(BEN)
    permits(state, "a.example")
    assert pickle.loads(pickle.dumps(state)) == state
    assert isinstance(event.depth + event.origin_server_ts, int)
    assert all(map(names.is_event_id, (*event.prev_events, *event.auth_events)))
    assert event.to_client_event()["type"] == event.to_stripped()["type"] == event.type
    assert freeze(event.document) == event.document
    assert pickle.loads(pickle.dumps(event)) == event
    assert repr(event)


def _client_request(name: str) -> Entry:
    read_request = getattr(client, name)
    return lambda value, _: read_request(UserID(BEN), "!r:a.example", body=_body(value))


def _room_creation(value: Any, version: RoomVersion) -> object:
    """Read a request to create a room, and make the room."""
    request = client.read_create_room(UserID(ANA), body=_body(value))
    if isinstance(request, MatrixError):
        return request
    return client.create_room(
        request, room_id=RoomID("!r:a.example"), at=1, default_version=version
    )


def _room_upgrade(value: Any, version: RoomVersion) -> object:
    """Read a request to upgrade a room, and do so."""
    request = client.read_upgrade(UserID(ANA), "!r:a.example", body=_body(value))
    room = ResidentRoom(ServerName("a.example"), a_room(version).state, (), 7, lambda _: None)
    if isinstance(request, MatrixError):
        return request
    return client.upgrade_room(request, room, room_id=RoomID("!next:a.example"), at=1)


def _body(value: Any) -> bytes:
    """A request's body: bytes as they are, anything else as JSON."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _begin(handshake: Any) -> Entry:
    def call(value: Any, version: RoomVersion) -> object:
        step = handshake.begin(BEN, "!r:a.example", signer=SIGNER_B)
        reply = MakeResponse.from_json({"event": value, "room_version": version.identifier})
        return step.receive(reply, at=1)

    return call


def _attempted(value: Any, version: RoomVersion) -> object:
    attempts = Attempts.begin(
        JOINING,
        UserID(BEN),
        RoomID("!r:a.example"),
        servers=["a.example", "c.example"],
        signer=SIGNER_B,
        room_versions={version.identifier: version},
    )
    assert isinstance(attempts, Attempts)
    return [attempts.receive(status, value, at=1) for status in (200, 404, 500)]


def _fed(value: Any, version: RoomVersion) -> object:
    """An answer to send_join that is, or holds, a value; read in pieces, and audited."""
    answer = (
        value
        if isinstance(value, bytes)
        else _body({"auth_chain": [value], "event": value, "state": [value, value]})
    )
    reader = SendJoinReader(a_room(version).join(BEN), asked_to_omit=False, resident="a.example")
    for start in range(0, len(answer), 7):
        reader.feed(answer[start : start + 7])
    return reader.finish().audit(KEYS)


def _concluded(value: Any, version: RoomVersion) -> object:
    """What a policy server answers is a value, or holds one where its signature should be."""
    event = a_signed_room(version).state.create_event
    assert event is not None
    with suppress(RemoteProtocolError):
        POLICED.read_answer(event, {POLICED.server_name: {POLICY_KEY_ID: value}})
    return POLICED.read_answer(event, value)


def _diagnosed(value: Any, _: RoomVersion) -> object:
    """A record that is a value, and records that hold one as the request or the answer."""
    told = []
    for path in ("v1/make_join", "v2/send_join", "v1/send_knock", "v2/send_leave", "v2/invite"):
        for key, status in (("request", 200), ("response", 200), ("response", 403)):
            uri = f"/_matrix/federation/{path}/!r:a.example/@ben:b.example?ver=11"
            line = {"uri": uri, "status": status, "room_version": "11", key: value}
            told.append(str(diagnose(read_capture(line), keys=KEYS)))
    read = read_capture(value)
    return [*told, *(diagnose(found).to_dict() for found in conversations(read))]


def _resets(value: Any, _: RoomVersion) -> object:
    """Rows that are a value, and rows that hold one in each column."""
    if _text(value):
        return resets_in(value)
    columns = ("stream_id", "type", "state_key", "event_id", "prev_event_id")
    good = dict(zip(columns, (1, "m.room.topic", "", "$a:a.example", None), strict=True))
    for column in columns:
        with suppress(MatrixMembershipError):
            resets_in([good, {**good, column: value}, list(good.values())])
    return resets_in([value])


def _verified(value: Any, _: RoomVersion) -> object:
    """A parsed body: bytes in its place are a `TypeError` of the caller's."""
    said = Authorization(SIGNER_B.server_name, None, (("ed25519:b", "A" * 86),))
    body = None if isinstance(value, bytes) else value
    return said.verify("PUT", "/", body, server_name="a.example", keys=KEYS, at=0)


def _begin_with_content(handshake: Any) -> Entry:
    """Everything in the template is as it should be, but for the content."""
    begin = _begin(handshake)

    def call(value: Any, version: RoomVersion) -> object:
        template = {
            "type": "m.room.member",
            "room_id": "!r:a.example",
            "sender": BEN,
            "state_key": BEN,
            "content": value,
            "prev_events": [],
            "auth_events": [],
            "depth": 1,
            "origin_server_ts": 1,
        }
        return begin(template, version)

    return call


ENTRIES: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "events.event.Event.from_pdu": Event.from_pdu,
        "events.event.Event.from_client_event": Event.from_client_event,
        "events.event.Event.accepted": Event.accepted,
        "events._template.EventTemplate.of": lambda v, r: EventTemplate.of(v, r).complete(SIGNER_B),
        "events.reading.read_pdu": read_pdu,
        "events.format.check_field": lambda v, r: check_field(
            "depth" if isinstance(v, int) else "auth_events", v, r
        ),
        "events.format.check_format": lambda v, r: check_format(v, r) if _object(v) else None,
        "signing._keys.KeyRing.from_documents": lambda v, _: KeyRing.from_documents(
            [v], expected="b.example", at=0
        ),
        "signing._keys.KeyRing.of": lambda v, _: KeyRing.of(v),
        "signing._keys.Signer.from_seed": lambda v, _: Signer.from_seed(v, v, v),
        "signing._ed25519.PublishedKey.verifies": lambda v, _: KEY.verifies(b"", v),
        "signing._ed25519.sign_json": lambda v, _: (
            signing.sign_json(v, SIGNER_B) if _object(v) else None
        ),
        "signing._ed25519.signed_by_key": lambda v, _: (
            signing.signed_by_key(v, [b"0" * 32]) if _object(v) else None
        ),
        "signing._ed25519.verify_json": lambda v, _: (
            signing.verify_json(v, "b.example", "ed25519:b", KEY, at=0) if _object(v) else None
        ),
        "receipt.server_acl.ServerAcl.from_content": lambda v, _: (
            ServerAcl.from_content(v) if _object(v) else None
        ),
        "canonical_json.decode": lambda v, _: decode(v, strict=True) if _text(v) else None,
        "canonical_json.encode": lambda v, _: [encode(v, strict=s) for s in (False, True)],
        "canonical_json._text.read": lambda v, _: read(v, strict=False) if _text(v) else None,
        "canonical_json.freeze": lambda v, _: freeze(v),
        "canonical_json.thaw": lambda v, _: thaw(freeze(v)),
        "events.contents.level_of": level_of,
        "hashing.content_hash": lambda v, _: content_hash(v) if _object(v) else None,
        "hashing.event_id": lambda v, r: event_id(v, r) if _object(v) else None,
        "hashing.reference_hash": lambda v, r: reference_hash(v, r) if _object(v) else None,
        "hashing.signed_bytes": lambda v, r: signed_bytes(v, r) if _object(v) else None,
        "redaction.redact": lambda v, r: redact(v, r) if _object(v) else None,
        "redaction.redacted_content": lambda v, r: (
            redacted_content("m.room.member", v, survivors(r)) if _object(v) else None
        ),
        "receipt.receive": _receive,
        "room_versions.room_version": lambda v, _: room_version(v),
        "identifiers.read_user_id": lambda v, _: names.read_user_id(v),
        "identifiers.read_room_id": lambda v, _: names.read_room_id(v),
        "identifiers.read_event_id": lambda v, _: names.read_event_id(v),
        "identifiers.read_server_name": lambda v, _: names.read_server_name(v),
        "identifiers.is_user_id": lambda v, _: names.is_user_id(v),
        "identifiers.is_room_id": lambda v, _: names.is_room_id(v),
        "identifiers.are_event_ids": lambda v, _: (
            names.are_event_ids(v) if isinstance(v, list) else None
        ),
        "identifiers.is_event_id": lambda v, _: names.is_event_id(v),
        "identifiers.is_server_name": lambda v, _: names.is_server_name(v),
        "federation.messages.MakeResponse.from_json": lambda v, _: MakeResponse.from_json(v),
        "federation.messages.SendJoinResponse.from_json": lambda v, _: SendJoinResponse.from_json(
            v
        ),
        "federation.messages.SendJoinResponse.from_bytes": lambda v, _: SendJoinResponse.from_bytes(
            v if isinstance(v, bytes) else b""
        ),
        "federation.audit.SendJoinReader.feed": _fed,
        "receipt.policy_server.PolicyServer.read_answer": _concluded,
        "federation.messages.SendKnockResponse.from_json": lambda v, _: SendKnockResponse.from_json(
            v
        ),
        "federation.messages.SendLeaveResponse.from_json": lambda v, _: SendLeaveResponse.from_json(
            v
        ),
        "federation.x_matrix.Authorization.verify": _verified,
        "federation.messages.MatrixError.from_json": lambda v, _: MatrixError.from_json(
            v, status=400
        ),
        "federation.invites.messages.key_ids_of": lambda v, _: (
            key_ids_of(v, "a.example") if _object(v) else None
        ),
        "federation.invites.messages.InviteRequest.from_json": lambda v, _: InviteRequest.from_json(
            v, room_id="!r:a.example", event_id="$e:a.example", origin="a.example"
        ),
        "federation.invites.messages.InviteResponse.from_json": lambda v, _: (
            InviteResponse.from_json(v)
        ),
        "federation.invites.policy.InvitePolicy.from_account_data": lambda v, _: (
            InvitePolicy.from_account_data(v)
        ),
        "federation.invites.messages.ExchangeRequest.from_json": lambda v, _: (
            ExchangeRequest.from_json(v, room_id="!r:a.example", origin="a.example")
        ),
        "federation.invites.messages.OnBindRequest.from_json": lambda v, _: OnBindRequest.from_json(
            v
        ),
        "federation.invites.messages.PendingInvite.from_json": lambda v, _: PendingInvite.from_json(
            v
        ),
        "federation.invites.messages.StoredInvite.from_json": lambda v, _: StoredInvite.from_json(
            v
        ),
        "federation.handshake.attempts.Attempts.receive": _attempted,
        "federation.diagnosis._capture.read_capture": _diagnosed,
        "resolution._changes.resets_in": _resets,
        "federation.history.answer_missing_events": lambda v, r: history.answer_missing_events(
            "a.example", v, _history(r)
        ),
        "federation.policy_server.answer_sign": lambda v, r: answer_sign(
            v, policed(r), POLICY, origin="b.example", refuses=lambda _: None
        ),
        "federation.transactions.read_transaction": _transaction,
        "federation.spaces.read_hierarchy": lambda v, _: _hierarchy(v),
        "room_summary.may_learn_of": lambda v, _: may_learn_of(BEN, v) if _object(v) else None,
        "state.from_client.read_event": read_event,
        "state.from_client.read_state": lambda v, r: read_state([v], room_version=r),
        **{f"client.requests.{name}": _client_request(name) for name in READERS},
        "client.creating.read_create_room": _room_creation,
        "client.upgrading.read_upgrade": _room_upgrade,
        "client.requests.read_membership": lambda v, _: client.read_membership(
            UserID(BEN), "!r:a.example", BEN, body=_body(v)
        ),
    }
)
"""Those that are public, by the module that defines them."""

WITHIN: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        **{f"the {field} of a client's event": _client_field(field) for field in CLIENT_FIELDS},
        **{f"a template of {name}": _begin(value) for name, value in
           (("join", JOINING), ("knock", KNOCKING), ("leave", LEAVING))},
        **{
            f"a template's content of {name}": _begin_with_content(value)
            for name, value in (("join", JOINING), ("knock", KNOCKING), ("leave", LEAVING))
        },
        **{
            f"the content of {kind}": _judge(kind, key)
            for kind, key in (
                ("m.room.create", ""),
                ("m.room.member", ANA),
                ("m.room.member", BEN),
                ("m.room.power_levels", ""),
                ("m.room.join_rules", ""),
                ("m.room.third_party_invite", "tok"),
                ("m.room.redaction", None),
                ("m.room.aliases", "a.example"),
                ("m.room.server_acl", ""),
                ("m.room.message", None),
            )
        },
    }
)  # fmt: skip # a table, read by rows
"""Where a value stands inside something that is otherwise as it should be."""

NOT_FROM_OUTSIDE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "conformance.shadow": "takes two functions of the host, and hands on what they raise",
        "canonical_json.JsonObject.clear": "refuses whatever comes",
        "canonical_json.JsonObject.pop": "the same",
        "canonical_json.JsonObject.popitem": "the same",
        "canonical_json.JsonObject.setdefault": "the same",
        "canonical_json.JsonObject.update": "the same",
        "events._template.EventTemplate.with_content": "takes the content that its own server writes",
        "events._template.EventTemplate.with_fields": "the same",
        "federation.handshake.attempts.Attempts.begin": "takes what its own server wants",
        "federation.handshake.attempts.Attempts.receive_keys": "takes a key ring",
        "federation.drafts.draft": "takes the content that its own server writes",
        "federation.invites.draft_invite": "the same",
        "federation.handshake.AwaitingAcceptance.receive": "takes a message that was read",
        "federation.handshake.AwaitingKeys.receive": "the same",
        "federation.handshake.AwaitingTemplate.receive": "the same; its template is in `WITHIN`",
        "federation.third_party.AwaitingValidity.receive": "takes the caller's own answers",
        "federation.audit._judge.Examination.audit": "takes a key ring",
        "federation.handshake.Handshake.begin": "takes what its own server wants",
        "federation.messages.MatrixError.of": "takes what its own server says",
        "advice.may.May.send": "takes what its own user wants",
        "advice.may.May.set": "the same",
        "receipt.policy_server.PolicyServer.has_signed": "takes an event",
        "receipt.policy_server.PolicyServer.lacking": "takes an event",
        "room_versions.RoomVersion.evolve": "takes what a programmer writes",
        "signing._keys.Signer.signature_over": "takes bytes that the package made",
        "events._template.Signs.signature_over": "the same",
    }
)
"""What takes JSON or bytes, but not from outside."""


def _object(value: Any) -> bool:
    """Where only an object can come, as the types say: everything else is a `TypeError` of the caller's."""
    return isinstance(value, Mapping)


def _text(value: Any) -> bool:
    """Where only text or bytes can come."""
    return isinstance(value, (str, bytes))


def total(entry: Entry, value: Any, version: RoomVersion) -> str:
    """Call an entry: what our error says, or nothing when it gave a value."""
    try:
        entry(value, version)
    except MatrixMembershipError as error:
        return str(error) or "an error without a sentence"
    return ""


def taking_json() -> Iterator[str]:
    """The public functions and methods whose signature takes JSON values, bytes, or anything."""
    for module in PUBLIC:
        if module.partition(".")[0] == "strategies":
            continue
        imported = import_module(full_name(module))
        for name in getattr(imported, "__all__", ()):
            yield from _of(getattr(imported, name))
    for module, name in returned():
        if module.partition(".")[0] != "strategies":
            yield from _of(getattr(import_module(full_name(module)), name))


def _of(value: object) -> Iterator[str]:
    if inspect.isclass(value) and value.__module__.startswith("matrix_membership"):
        for name, found in vars(value).items():
            function = getattr(found, "__func__", found)
            if inspect.isfunction(function) and not name.startswith("_") and _takes_json(function):
                yield _name(value) + f".{name}"
    elif inspect.isfunction(value) and _takes_json(value):
        yield _name(value)


def _takes_json(function: Callable[..., Any]) -> bool:
    hints = (
        str(parameter.annotation) for parameter in inspect.signature(function).parameters.values()
    )
    return any(word in hint for hint in hints for word in ("JsonValue", "bytes", "object", "Any"))


def _name(value: Any) -> str:
    module = value.__module__.removeprefix("matrix_membership.")
    return f"{module}.{value.__qualname__}"


__all__ = ["ENTRIES", "NOT_FROM_OUTSIDE", "WITHIN", "Entry", "taking_json", "total"]
