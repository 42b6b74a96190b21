"""No public value can be changed in place: not by an assignment, nor through what it hands out."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership import Event, EventTemplate, KeyRing, RoomState, auth, client
from matrix_membership.canonical_json import JsonObject, freeze
from matrix_membership.events import read_pdu
from matrix_membership.federation import Attempts, MatrixError
from matrix_membership.federation.handshake import JOINING, AwaitingKeys
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.identifiers import RoomID, UserID
from matrix_membership.machine import admit
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.receipt import receive
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.room_versions import V1, V11, V12, RoomVersion
from matrix_membership.state import Storage
from tests.builders import ANA, BEN, KEYS, SIGNER_B, a_room
from tests.federation.conversation import a_restricted_room, accepted, begin, signed, template
from tests.federation.signed_rooms import A, after

MUTATORS: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "__class__": (),
        "__delattr__": ("__doc__",),
        "__delitem__": ("a",),
        "__iadd__": ([1],),
        "__iand__": ({1},),
        "__init__": ({"z": 1},),
        "__ior__": ({"z": 1},),
        "__isub__": ({1},),
        "__ixor__": ({1},),
        "__setattr__": ("z", 1),
        "__setitem__": ("z", 1),
        "__setstate__": ({"z": 1},),
        "add": (1,),
        "append": (1,),
        "clear": (),
        "discard": (1,),
        "extend": ([1],),
        "insert": (0, 1),
        "pop": (),
        "popitem": (),
        "remove": (1,),
        "reverse": (),
        "setdefault": ("z", 1),
        "sort": (),
        "update": ({"z": 1},),
    }
)
"""The methods by which Python's own containers and values change, and arguments for them."""


NOT_HANDED_OUT: Final = frozenset({"prepared"})
"""What `auth` keeps in a state for itself: nobody else reads it."""


def values(version: RoomVersion) -> Iterator[tuple[str, object]]:
    """Values of all public modules, as a server gets them."""
    room = a_restricted_room(version)
    step = signed(room)
    taken = accepted(room, step)
    assert isinstance(taken.response, SendJoinResponse)
    asked = begin(room)
    awaiting = step.receive(taken.response)
    assert isinstance(awaiting, AwaitingKeys)
    create = room.state.create_event
    assert create is not None
    state = a_room(version).with_levels({ANA: 100}).state
    get = state.get
    storage = Storage(get, lambda: state.events_but_members, lambda _: state.members.values(), list)
    yield "state", state
    yield "state after", state.with_event(a_room(version).join(BEN))
    yield "state over", RoomState.over(version, storage)
    yield "room", room
    yield "event", create
    yield "odd create event", odd(version)
    yield "read PDU", read_pdu(create.pdu, version)
    yield "keys", KEYS
    yield "more keys", KEYS.with_keys(KeyRing.of({"x.example": {"ed25519:1": "A" * 43}}))
    yield "begun", asked
    yield "template", template(room)
    yield "signed", step
    yield "accepted", taken
    yield "awaiting keys", awaiting
    yield "joined", awaiting.receive(KEYS)
    yield "audit", awaiting.examination.audit(KEYS)
    yield "error", MatrixError.of("M_FORBIDDEN", "no", more={"a": [1]})
    yield (
        "receipt",
        receive(
            create.pdu, version, keys=KEYS, auth_events=[], state_before=state, current_state=state
        ),
    )
    yield "admission", admit(a_room(version).join(BEN), state)
    yield "decision", auth.check(a_room(version).join(BEN), state)
    yield "explanation", auth.explain(a_room(version).join(BEN), state)
    yield "attempts", attempts(version)
    yield "ACL", ServerAcl.from_content({"allow": ["*"], "deny": ["x"]})
    yield "request", client.read_join(UserID(BEN), "!r:a.example", body=b'{"a": {"b": [1]}}')
    yield "held", held(after(room, taken.event).state)
    yield "JSON", freeze({"a": [{"b": [1, {}]}]})
    yield "version", version


def odd(version: RoomVersion) -> Event:
    """An event whose content holds objects and lists where texts should be."""
    content = {"room_version": {"a": [1]}, "creator": {}, "additional_creators": [{}]}
    fields = {"type": "m.room.create", "sender": ANA, "state_key": "", "content": content}
    return Event.from_client_event(fields, version)


def attempts(version: RoomVersion) -> object:
    return Attempts.begin(
        JOINING,
        UserID(BEN),
        RoomID("!r:a.example"),
        servers=["a.example", "c.example"],
        signer=SIGNER_B,
        room_versions={version.identifier: version},
        content={"a": {"b": [1]}},
    )


def held(state: RoomState) -> OutOfBand:
    room = a_room(state.room_version)
    invites = [room.invite(ANA, BEN).with_signers(["a.example"])]
    return OutOfBand.invited(invites[0], at=0, room_state=state.events)


def handed_out(value: object, path: str, seen: dict[int, object]) -> Iterator[tuple[str, object]]:
    """A value and all that it gives to those who read it, inside each other."""
    if id(value) in seen or isinstance(value, (str, bytes, int, float, type(None), Enum)):
        return
    seen[id(value)] = value
    yield path, value
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from handed_out(item, f"{path}[{key!r}]", seen)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from handed_out(item, f"{path}[…]", seen)
    elif type(value).__module__.startswith("matrix_membership"):
        for name in sorted(attributes(type(value))):
            try:
                item = getattr(value, name)
                again = getattr(value, name)
            except Exception:  # noqa: BLE001, S112 - what it does not have it does not hand out
                continue
            if again is not item and isinstance(item, (dict, list, set)):
                item = (
                    tuple(item.items()) if isinstance(item, dict) else tuple(item)
                )  # a fresh copy
            yield from handed_out(item, f"{path}.{name}", seen)


def attributes(cls: type) -> set[str]:
    names = {field.name for field in getattr(cls, "__attrs_attrs__", ())}
    for base in cls.__mro__:
        names |= {name for name, found in vars(base).items() if isinstance(found, property)}
        names |= set(getattr(base, "__slots__", ()))
    return {name for name in names if not name.startswith("_")} - NOT_HANDED_OUT


def contents(value: Any) -> object:
    """What can be compared before and after."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (tuple, list)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return set(value)
    return {
        name: getattr(value, name, None)
        for base in type(value).__mro__
        for name in getattr(base, "__slots__", ())
        if name not in ("__weakref__", *NOT_HANDED_OUT) and hasattr(value, name)
    }


def is_value(value: object) -> bool:
    """Tell whether it is one of this package's values, or a container; not a function, an iterator, an error."""
    ours = type(value).__module__.startswith("matrix_membership")
    container = isinstance(value, (Mapping, list, tuple, set, frozenset))
    return (ours or container) and not isinstance(value, BaseException)


CASES: Final = [
    pytest.param(value, id=f"{name}-{version}")
    for version in (V1, V11, V12)
    for name, value in (values(version) if version.restricted_joins else [("event", odd(version))])
]


@pytest.mark.parametrize("value", CASES)
class TestPublicValue:
    def test_refuses_every_mutator_on_all_that_it_hands_out(self, value: object) -> None:
        for path, found in handed_out(value, type(value).__name__, {}):
            if not is_value(found):
                continue
            before = contents(found)
            for name, arguments in MUTATORS.items():
                mutate: Callable[..., object] | None = getattr(found, name, None)
                if mutate is None or name == "__class__":
                    continue
                with suppress(TypeError, AttributeError, KeyError, ValueError):
                    mutate(*arguments)
                assert contents(found) == before, f"{path}.{name}"

    def test_refuses_to_be_made_again(self, value: object) -> None:
        for path, found in handed_out(value, type(value).__name__, {}):
            cls: Any = type(found)
            if not hasattr(cls, "__attrs_attrs__"):
                continue
            before = contents(found)
            fields = [field for field in cls.__attrs_attrs__ if field.init]
            again = [getattr(found, field.name) for field in fields]
            if not fields:
                continue
            with pytest.raises(TypeError):
                cls.__init__(found, *again)
            with pytest.raises(TypeError):
                cls.__setstate__(found, {})
            with pytest.raises(AttributeError):
                found.__class__ = object
            assert contents(found) == before, path


class TestJsonObject:
    VALUE: Final = JsonObject(a=1)

    def test_is_made_of_what_a_dict_is_made_of(self) -> None:
        assert JsonObject({"a": 1}, b=2) == JsonObject([("a", 1)], b=2) == {"a": 1, "b": 2}
        assert JsonObject() == {}

    def test_can_be_pickled(self) -> None:
        value = freeze({"a": [{"b": 1}]})
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert type(again) is type(again["a"][0]) is JsonObject

    def test_refuses_another_class(self) -> None:
        class Changing(dict[str, Any]):
            __slots__ = ()

        with pytest.raises(TypeError):
            self.VALUE.__class__ = Changing  # type: ignore[assignment]  # which must fail

    def test_refuses_to_take_in_another(self) -> None:
        value = self.VALUE
        with pytest.raises(TypeError):
            value |= {"b": 2}  # type: ignore[misc, call-arg]  # which must fail
        assert (value is self.VALUE, dict(value)) == (True, {"a": 1})

    def test_stays_as_it_is_when_it_is_made_again(self) -> None:
        self.VALUE.__init__({"b": 2})  # type: ignore[misc]  # a method like any other
        assert self.VALUE == {"a": 1}


class TestTemplate:
    def test_hands_out_nothing_that_changes(self) -> None:
        fields = a_restricted_room(V11).state.create_event
        assert fields is not None
        template = EventTemplate.of(fields.to_pdu(), V11)
        assert isinstance(template.fields, JsonObject)
        assert template.complete(A).event_id
