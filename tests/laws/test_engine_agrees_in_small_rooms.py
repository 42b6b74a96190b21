"""The engine and the oracle, which share no code, decide alike in small rooms: same verdict, same number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.identifiers import server_of
from tests import oracle
from tests.builders import ANA, BEN, CAY, DAN, IDENTITY, SIGNER_B, VERSIONS, signed_invite

pytestmark = pytest.mark.long

Pdu = dict[str, Any]
Place = tuple[str, str]
Draw = st.DrawFn

CREATE_PLACE: Final[Place] = ("m.room.create", "")
LEVELS_PLACE: Final[Place] = ("m.room.power_levels", "")
RULES_PLACE: Final[Place] = ("m.room.join_rules", "")
TOKEN: Final = "tok"
USERS: Final = (ANA, BEN, CAY, DAN)
ODD_USERS: Final = ("@:b.example", "ben", "@x", "", "@x:b.example:port")
MEMBERSHIPS: Final = ("join", "invite", "leave", "ban", "knock")
JOIN_RULES: Final = ("public", "invite", "knock", "restricted", "knock_restricted", "private")
JUNK: Final[tuple[Any, ...]] = (None, True, 7, "dance", [], {}, {"membership": "join"})
NAMED: Final = tuple(oracle.DEFAULTS)
NUMBERS: Final = (-1, 0, 1, 49, 50, 51, 99, 100, 101, 2**53 - 1)
TEXTS: Final = (" +050 ", "50", "\u200350", "-5", "1_0", "", "\u0665\u0660", "+ 5", "5.0")
FLOATS: Final = (50.9, -0.5, 1e2, 4.9e1)
SIGNED: Final[Mapping[str, Any]] = MappingProxyType(signed_invite(BEN, TOKEN)["signed"])
THIRD_PARTY_INVITES: Final[tuple[Any, ...]] = (
    {"signed": dict(SIGNED)},
    {"signed": dict(SIGNED), "display_name": "b..."},
    signed_invite(CAY, TOKEN),
    signed_invite(BEN, "another"),
    {"signed": {**SIGNED, "sender": ANA}},
    {"signed": {**SIGNED, "signatures": {}}},
    {"signed": {**SIGNED, "signatures": {"x": 7, **SIGNED["signatures"]}}},
    {"signed": {"mxid": BEN, "token": 7}},
    {"signed": {"mxid": None, "token": TOKEN}},
    {"signed": {"mxid": BEN}},
    {"signed": {}},
    {"signed": "x"},
    {"signed": None},
    {},
    None,
    [],
)
KEYS: Final = (IDENTITY.verify_key, SIGNER_B.verify_key, "x", None, f"{IDENTITY.verify_key}=")


class Case(NamedTuple):
    """An event, a state, and what else either side is told."""

    version: RoomVersion
    event: Pdu
    event_id: str
    state: Mapping[Place, Pdu]
    ids: Mapping[Place, str]
    signed_by: frozenset[str]
    listed: tuple[tuple[str, Pdu], ...]
    rejected: frozenset[str]
    create: tuple[str, Pdu] | None


def name_of(text: str, version: RoomVersion) -> str:
    """An event ID of the version's form."""
    return f"${text}:a.example" if version.event_id_in_pdu else f"${text.rjust(43, 'x')}"


def one_of(draw: Draw, usual: Iterable[Any], odd: Iterable[Any] = (), *, one_in: int = 12) -> Any:
    """A usual value, and once in a while an odd one."""
    strange = list(odd)
    if strange and draw(st.integers(1, one_in)) == 1:
        return draw(st.sampled_from(strange))
    return draw(st.sampled_from(list(usual)))


def some(draw: Draw, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Some of these fields."""
    return {name: value for name, value in fields.items() if draw(st.booleans())}


def a_level(draw: Draw, version: RoomVersion) -> Any:
    odd = (*JUNK, *TEXTS, *(FLOATS if version.float_levels else ()))
    return one_of(draw, NUMBERS, odd, one_in=16)


def a_map_of_levels(draw: Draw, version: RoomVersion, keys: Iterable[str]) -> Any:
    levels = {key: a_level(draw, version) for key in keys if draw(st.booleans())}
    return one_of(draw, [levels], JUNK, one_in=40)


def level_content(draw: Draw, version: RoomVersion) -> dict[str, Any]:
    types = ("m.room.topic", "m.room.message", "m.room.power_levels", "m.room.redaction")
    odd = ODD_USERS if draw(st.integers(1, 20)) == 1 else ()
    named = {name: a_level(draw, version) for name in NAMED if draw(st.integers(0, 2)) == 0}
    maps = {
        "users": a_map_of_levels(draw, version, (*USERS, *odd)),
        "events": a_map_of_levels(draw, version, types),
        "notifications": a_map_of_levels(draw, version, ("room", "x")),
    }
    return {**named, **some(draw, maps)}


def changed_levels(draw: Draw, version: RoomVersion, current: dict[str, Any]) -> dict[str, Any]:
    """The current levels with one or two changes, so that borders are met."""
    new = {key: dict(value) if isinstance(value, dict) else value for key, value in current.items()}
    for _ in range(draw(st.integers(0, 2))):
        where = one_of(draw, (*NAMED, "users", "events", "notifications"))
        if where in NAMED or not isinstance(new.setdefault(where, {}), dict):
            new[where] = a_level(draw, version) if where in NAMED else {}
        else:
            users = (*USERS, ANA, BEN)
            key = one_of(draw, users if where == "users" else ("m.room.topic", "room", "x"))
            new[where][key] = a_level(draw, version)
            if draw(st.integers(0, 3)) == 0:
                del new[where][key]
    if draw(st.integers(0, 7)) == 0:
        new.pop(one_of(draw, NAMED), None)
    return new


def create_content(draw: Draw, version: RoomVersion) -> dict[str, Any]:
    content: dict[str, Any] = {"room_version": version.identifier, "creator": ANA}
    odd = {
        "creator": one_of(draw, (DAN, BEN), JUNK, one_in=3),
        "m.federate": one_of(draw, (False, True), (0, "false", None)),
        "additional_creators": one_of(draw, ([BEN], [BEN, DAN, ANA]), (["x"], "x", None, [7])),
        "room_version": one_of(draw, ("1", "12"), ("0", None, 1)),
    }
    if draw(st.integers(0, 2)) == 0:
        content |= some(draw, odd)
    if draw(st.integers(0, 15)) == 0:
        del content["creator"]
    return content


def pdu_of(
    version: RoomVersion, room_id: str, place: tuple[str, str | None], sender: str, content: Any
) -> Pdu:
    kind, state_key = place
    fields: Pdu = {
        "type": kind,
        "sender": sender,
        "content": content,
        "room_id": room_id,
        "depth": 3,
        "origin_server_ts": 3,
        "prev_events": [],
        "auth_events": [],
        "hashes": {"sha256": "x"},
        "signatures": {},
    }
    if state_key is not None:
        fields["state_key"] = state_key
    return fields


def a_state(draw: Draw, version: RoomVersion) -> dict[Place, Pdu]:
    create_id = name_of("create", version)
    room_id = f"!{create_id[1:]}" if version.room_id_is_create_event else "!r:a.example"

    def put(place: Place, sender: str, content: Any) -> None:
        state[place] = pdu_of(version, room_id, place, sender, content)

    state: dict[Place, Pdu] = {}
    put(CREATE_PLACE, ANA, create_content(draw, version))
    if version.room_id_is_create_event:
        del state[CREATE_PLACE]["room_id"]
    for user in USERS:
        membership = one_of(draw, (*MEMBERSHIPS, "join", "join", "absent"), JUNK, one_in=40)
        if membership != "absent":
            content = one_of(draw, [{"membership": membership}], [{}], one_in=60)
            put(("m.room.member", user), user, content)
    if draw(st.integers(0, 3)):
        put(LEVELS_PLACE, ANA, level_content(draw, version))
    if draw(st.integers(0, 4)):
        rule = one_of(draw, JOIN_RULES, JUNK)
        put(RULES_PLACE, ANA, one_of(draw, [{"join_rule": rule}], [{}]))
    if draw(st.booleans()):
        listed = [{"public_key": one_of(draw, KEYS)}, 7, {}]
        keys = {"public_key": one_of(draw, KEYS), "public_keys": one_of(draw, [listed], JUNK)}
        invite_sender = one_of(draw, (ANA, ANA, ANA, BEN, CAY))
        put(("m.room.third_party_invite", TOKEN), invite_sender, some(draw, keys))
    return state


def member_content(draw: Draw) -> dict[str, Any]:
    content: dict[str, Any] = {"membership": one_of(draw, MEMBERSHIPS, JUNK, one_in=20)}
    if content["membership"] == "join" or draw(st.integers(0, 15)) == 0:
        key = "join_authorised_via_users_server"
        content |= some(draw, {key: one_of(draw, (ANA, ANA, BEN, CAY, DAN), JUNK, one_in=8)})
    if content["membership"] == "invite" and draw(st.booleans()):
        content["third_party_invite"] = one_of(draw, THIRD_PARTY_INVITES)
    if draw(st.integers(0, 30)) == 0:
        del content["membership"]
    return content


def an_event(draw: Draw, version: RoomVersion, state: Mapping[Place, Pdu]) -> Pdu:
    room_id = state["m.room.member", ANA]["room_id"] if ("m.room.member", ANA) in state else None
    room_id = room_id or (
        f"!{name_of('create', version)[1:]}" if version.room_id_is_create_event else "!r:a.example"
    )
    sender = one_of(draw, (*USERS, ANA))
    kind = one_of(
        draw,
        ("m.room.member",) * 6
        + ("m.room.power_levels",) * 4
        + ("m.room.third_party_invite", "m.room.redaction", "m.room.aliases", "m.room.message")
        + ("m.room.topic", "m.room.create", "x.of_user"),
    )
    state_key: str | None = one_of(draw, ("", None, sender, BEN, "@x_y", "a.example", "b.example"))
    content: Any = {}
    if kind == "m.room.member":
        content = member_content(draw)
        state_key = one_of(draw, (sender, sender, *USERS), (*ODD_USERS, None), one_in=20)
    elif kind == "m.room.power_levels":
        state_key = one_of(draw, ("",), (None, "x", ANA), one_in=20)
        current = state.get(LEVELS_PLACE, {"content": {}})["content"]
        fresh = draw(st.integers(0, 2)) == 0
        content = level_content(draw, version) if fresh else changed_levels(draw, version, current)
    elif kind == "m.room.create":
        content = create_content(draw, version)
    event = pdu_of(version, room_id, (kind, state_key), sender, content)
    if kind == "m.room.redaction":
        redacted = ("$x:a.example", "$x:b.example", f"${'x' * 43}", "x", 7, None)
        event |= some(draw, {"redacts": one_of(draw, redacted)})
    if kind == "m.room.create" and version.room_id_is_create_event and draw(st.booleans()):
        del event["room_id"]
    before = (name_of("create", version), name_of("p", version))
    event["prev_events"] = [name for name in before if draw(st.booleans())]
    return event


def in_format(version: RoomVersion, pdu: Pdu, event_id: str) -> Pdu:
    """The PDU with its ID and pairs of references, where the version wants them."""
    if not version.event_id_in_pdu:
        return pdu
    pairs = [[name, {"sha256": ""}] for name in pdu["prev_events"]]
    return {**pdu, "event_id": event_id, "prev_events": pairs}


def a_list_of_auth_events(
    draw: Draw, version: RoomVersion, event: Pdu, state: Mapping[Place, Pdu], ids: Mapping[Any, str]
) -> list[tuple[str, Pdu]]:
    selected = oracle.selection(int(version.identifier), event)
    listed = [(ids[place], state[place]) for place in sorted(state) if place in selected]
    for _ in range(draw(st.integers(0, 2)) if draw(st.integers(0, 2)) == 0 else 0):
        match draw(st.sampled_from(("drop", "twice", "any", "elsewhere", "no state"))):
            case "drop" if listed:
                listed.pop(draw(st.integers(0, len(listed) - 1)))
            case "twice" if listed:
                listed.append(draw(st.sampled_from(listed)))
            case "any":
                place = draw(st.sampled_from(sorted(state)))
                listed.append((ids[place], state[place]))
            case "elsewhere" if listed:
                at = draw(st.integers(0, len(listed) - 1))
                listed[at] = (listed[at][0], {**listed[at][1], "room_id": "!else:b.example"})
            case "no state":
                message = {key: event[key] for key in event if key != "state_key"}
                message |= {"type": "m.room.message", "room_id": event.get("room_id", "!r:a")}
                listed.append((name_of("m", version), message))
    return listed


@st.composite
def cases(draw: Draw, version: RoomVersion) -> Case:
    """Cases for both ladders, in a small room."""
    state = a_state(draw, version)
    ids = {
        place: name_of("create" if place == CREATE_PLACE else f"s{at}", version)
        for at, place in enumerate(state)
    }
    state = {place: in_format(version, pdu, ids[place]) for place, pdu in state.items()}
    event = in_format(version, an_event(draw, version, state), name_of("e", version))
    signers = {server_of(user) for user in USERS if draw(st.booleans())}
    listed = a_list_of_auth_events(draw, version, event, state, ids)
    rejected = [name for name in ids.values() if draw(st.integers(0, 30)) == 0]
    creates = (
        (ids[CREATE_PLACE], state[CREATE_PLACE]),
        (name_of("other", version), state[CREATE_PLACE]),
        (ids[CREATE_PLACE], {"room_id": "!r:a.example", **event, "type": "m.room.message"}),
    )
    create = one_of(draw, creates[:1], (None, *creates[1:]), one_in=8)
    return Case(
        version=version,
        event=event,
        event_id=name_of("e", version),
        state=state,
        ids=ids,
        signed_by=frozenset(signers),
        listed=tuple(listed),
        rejected=frozenset(rejected),
        create=create,
    )


def read(case: Case, pdu: Pdu, event_id: str) -> Event:
    return Event.from_pdu(pdu, case.version, event_id=event_id)


def agree_on_state(case: Case) -> None:
    """Both judge the event against the state alike."""
    event = read(case, case.event, case.event_id).with_signers(case.signed_by)
    in_state = (read(case, pdu, case.ids[place]) for place, pdu in case.state.items())
    decision = auth.check(event, RoomState.of(case.version, in_state))
    verdict = oracle.judge(
        case.version.identifier,
        case.event,
        case.state,
        create_id=case.ids[CREATE_PLACE],
        signed_by=case.signed_by,
        event_id=case.event_id,
    )
    assert (decision.allowed, decision.number) == verdict
    assert not decision.undecided


def agree_on_auth_events(case: Case) -> None:
    """Both judge the auth events alike."""
    create = None if case.create is None else read(case, case.create[1], case.create[0])
    decision = auth.check_auth_events(
        read(case, case.event, case.event_id),
        [read(case, pdu, name) for name, pdu in case.listed],
        rejected=case.rejected,
        create=create,
    )
    verdict = oracle.judge_auth_events(
        case.version.identifier,
        case.event,
        case.listed,
        rejected=case.rejected,
        create=case.create,
    )
    if verdict is None:
        assert decision.rule == "auth_events.otherwise"
    else:
        assert (decision.allowed, decision.number) == verdict


FEW = settings(
    max_examples=130,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MANY = settings(FEW, max_examples=3_000, derandomize=False)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
class TestEngineAndOracle:
    @FEW
    @given(data=st.data())
    def test_agree(self, version: RoomVersion, data: st.DataObject) -> None:
        case = data.draw(cases(version))
        agree_on_state(case)
        agree_on_auth_events(case)

    @pytest.mark.slow
    @MANY
    @given(data=st.data())
    def test_agree_on_many(self, version: RoomVersion, data: st.DataObject) -> None:
        case = data.draw(cases(version))
        agree_on_state(case)
        agree_on_auth_events(case)
