"""Laws of lists that a caller hands in: they are read once, and one text is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from inspect import isclass, isfunction
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership import Event, KeyRing, RoomState, auth, read_state
from matrix_membership.advice.plans import lock_out, open_to
from matrix_membership.advice.what_if import what_if
from matrix_membership.client import ClientRequest
from matrix_membership.client.planning import plan_upgrade
from matrix_membership.fate import fate_of
from matrix_membership.federation import (
    JOINING,
    Attempts,
    InvitePolicy,
    MakeRequest,
    ResidentRoom,
)
from matrix_membership.federation.diagnosis import conversations, diagnose, read_capture
from matrix_membership.federation.history import answer_backfill, answer_event
from matrix_membership.federation.messages import SendJoinResponse
from matrix_membership.federation.resident_room import AwaitingEvents
from matrix_membership.federation.x_matrix import Authorization
from matrix_membership.identifiers import RoomID, ServerName, UserID
from matrix_membership.machine import admit
from matrix_membership.membership import JOIN
from matrix_membership.out_of_band import OutOfBand
from matrix_membership.proposals import Situation, compare, review
from matrix_membership.receipt import receive, reevaluate
from matrix_membership.receipt.policy_list import PolicyList, PolicyRule
from matrix_membership.receipt.server_acl import ServerAcl
from matrix_membership.resolution import ChainIndex, begin, resets_in, resolve
from matrix_membership.restricted import authorise, needed
from matrix_membership.room_versions import V11
from matrix_membership.signing import sign_json
from matrix_membership.strategies import key_ring_of
from matrix_membership.visibility import client_timeline, timeline
from tests.builders import ANA, BEN, CAY, KEYS, SIGNER_A, SIGNER_B, a_room
from tests.federation.diagnosis.test_diagnosis import public
from tests.federation.diagnosis.transcripts import Play, played
from tests.federation.test_history import a_line
from tests.sources import PUBLIC, full_name

ROOM: Final = a_room(V11).with_member(BEN, "join").with_levels({ANA: 100})
STATE: Final = ROOM.state
EVENTS: Final = [*ROOM.events]
EVENT: Final = ROOM.join(CAY)
SPACE: Final = RoomID("!space:a.example")
ALLOW: Final = [{"type": "m.room_membership", "room_id": SPACE}]
RESTRICTED: Final = ROOM.with_join_rule("restricted", allow=ALLOW).state
PLACES: Final = [("m.room.create", ""), ("m.room.join_rules", ""), ("m.room.power_levels", "")]
PLACES_OF_USERS: Final = [("m.room.member", user) for user in (CAY, ANA)]
FILTERED: Final = RoomState.of_ids(
    {(event.type, event.state_key or ""): event.event_id for event in RESTRICTED.events},
    {event.event_id: event for event in RESTRICTED.events},
    needed=[*PLACES, *PLACES_OF_USERS],
)
KNOCK: Final = ROOM.member(BEN, BEN, "knock", signed_by=["b.example"])
CASE: Final = Situation.of(EVENT, EVENTS)
BY_ID: Final = {event.event_id: event for event in EVENTS}
IDS: Final = list(BY_ID)
CHAINS: Final = ChainIndex.of(EVENTS)
EXCHANGES: Final = list(read_capture(played(Play(JOINING, public()))))
DOCUMENT: Final = sign_json(
    {
        "server_name": "a.example",
        "valid_until_ts": 9,
        "verify_keys": {SIGNER_A.key_id: {"key": SIGNER_A.verify_key}},
        "old_verify_keys": {},
    },
    SIGNER_A,
)
SETS: Final = [{("m.room.create", ""): EVENTS[0].event_id}] * 2
LINE: Final = a_line()
SERVERS: Final = ["a.example", "b.example"]
A: Final = ServerName("a.example")


def room(**more: Any) -> ResidentRoom:
    return ResidentRoom(A, RESTRICTED, (), 1, lambda _: None, **more)


def awaiting(events: Any) -> object:
    ids = frozenset(event.event_id for event in EVENTS)
    held = AwaitingEvents(
        ids, lambda room: [room.get_event(one) for one in ids], room(), {}, in_chain=False
    )
    return held.given(events)


def held(**more: Any) -> OutOfBand:
    return OutOfBand.invited(ROOM.invite(ANA, CAY), at=0, **more)


def received(**more: Any) -> object:
    known: Any = {"auth_events": EVENTS, "state_before": STATE, "current_state": STATE} | more
    return receive(EVENT.pdu, V11, keys=KEYS, **known).disposition


def again(**more: Any) -> object:
    known: Any = {"auth_events": EVENTS, "state_before": STATE, "current_state": STATE} | more
    first = receive(
        EVENT.pdu, V11, keys=KEYS, auth_events=[], state_before=STATE, current_state=STATE
    )
    return reevaluate(first, **known)


def reached(chains: ChainIndex) -> object:
    return chains.reach(IDS)


def resolved(events: Any) -> object:
    step: Any = begin(V11, [{}, {("m.room.name", ""): EVENTS[0].event_id}])
    return step.receive(events) if step.needs else None


# Each is a parameter, good values of it, and what a call with them gives.
NAMES: Final[Mapping[str, tuple[Sequence[Any], Callable[[Any], object]]]] = MappingProxyType(
    {
        "Event.accepted.signed_by": (
            SERVERS,
            lambda servers: Event.accepted(EVENT.document, V11, signed_by=servers).signed_by,
        ),
        "Event.with_signers.servers": (
            SERVERS,
            lambda servers: EVENT.with_signers(servers).signed_by,
        ),
        "KeyRing.missing.needs": (
            ["ed25519:1", "ed25519:2"],
            lambda key_ids: KEYS.missing({A: key_ids}, at=0),
        ),
        "RoomState.of.servers": (
            SERVERS,
            lambda servers: RoomState.of(V11, [], partial=True, servers=servers).servers_in_room,
        ),
        "RoomState.of_ids.servers": (
            SERVERS,
            lambda servers: (
                RoomState.of_ids(
                    {}, {}, room_version=V11, needed=[], servers=servers
                ).servers_in_room
            ),
        ),
        "ServerAcl.__init__.allow": (["a.*", "*"], lambda patterns: ServerAcl(allow=patterns)),
        "ServerAcl.__init__.deny": (["a.*", "*"], lambda patterns: ServerAcl(deny=patterns)),
        "lock_out.servers": (SERVERS[1:], lambda servers: str(lock_out(STATE, servers))),
        "open_to.rooms": ([SPACE], lambda rooms: str(open_to(STATE, rooms))),
        "ClientRequest.with_room.servers": (
            SERVERS,
            lambda servers: ClientRequest(UserID(BEN), "#r:a", UserID(BEN)).with_room(
                SPACE, servers
            ),
        ),
        "plan_upgrade.additional_creators": (
            [BEN],
            lambda users: str(plan_upgrade(STATE, to="12", additional_creators=users)),
        ),
        "plan_upgrade.lacking": (
            SERVERS,
            lambda servers: str(plan_upgrade(STATE, to="12", lacking=servers)),
        ),
        "Attempts.begin.servers": (
            SERVERS,
            lambda servers: Attempts.begin(
                JOINING, UserID(BEN), SPACE, servers=servers, signer=SIGNER_B
            ),
        ),
        "ResidentRoom.__init__.local_users": (
            [ANA],
            lambda users: [*(room(local_users=users).local_users or ())],
        ),
        "InvitePolicy.__init__.allow": (
            ["a.*", ANA],
            lambda patterns: InvitePolicy(allow=patterns),
        ),
        "InvitePolicy.__init__.block": (
            ["a.*", ANA],
            lambda patterns: InvitePolicy(block=patterns),
        ),
        "InvitePolicy.__init__.ignore": (
            ["a.*", ANA],
            lambda patterns: InvitePolicy(ignore=patterns),
        ),
        "MakeRequest.__init__.versions": (
            ["1", "11"],
            lambda versions: MakeRequest(SPACE, BEN, "b.example", versions),
        ),
        "fate_of.their_versions": (
            ["1", "11"],
            lambda versions: fate_of(CAY, STATE, their_versions=versions),
        ),
        "ResidentRoom.__init__.prev_events": (
            IDS,
            lambda ids: ResidentRoom(A, STATE, ids, 1, lambda _: None).prev_events,
        ),
        "SendJoinResponse.of.servers_in_room": (
            SERVERS,
            lambda servers: SendJoinResponse.of([], [], servers_in_room=servers),
        ),
        "answer_backfill.event_ids": (
            [event.event_id for event in LINE.events],
            lambda ids: answer_backfill("b.example", ids, "9", LINE.history(), at=5),
        ),
        "OutOfBand.invited.servers": (SERVERS, lambda servers: held(servers=servers)),
        "OutOfBand.__init__.servers": (
            SERVERS,
            lambda servers: OutOfBand(ROOM.invite(ANA, CAY), 0, servers=servers),
        ),
        "OutOfBand.knocked.servers": (
            SERVERS,
            lambda servers: OutOfBand.knocked(KNOCK, at=0, servers=servers),
        ),
        "OutOfBand.with_refusal.servers": (SERVERS, lambda servers: held().with_refusal(servers)),
        "authorise.local_users": (
            [BEN],
            lambda users: authorise(CAY, RESTRICTED, {SPACE: JOIN}, "b.example", local_users=users),
        ),
        "needed.local_users": (
            [BEN],
            lambda users: needed(CAY, FILTERED, "b.example", local_users=users),
        ),
    }
)

OTHERS: Final[Mapping[str, tuple[Sequence[Any], Callable[[Any], object]]]] = MappingProxyType(
    {
        "KeyRing.from_documents.documents": (
            [],
            lambda documents: KeyRing.from_documents(documents, expected="a.example", at=0),
        ),
        "KeyRing.from_documents.expected": (
            SERVERS,
            lambda names: KeyRing.from_documents([DOCUMENT, DOCUMENT], expected=names, at=0),
        ),
        "PolicyList.rules": (
            [PolicyRule("user", "*", "m.ban")],
            lambda rules: (PolicyList(rules), PolicyList(tuple(rules)).about(ANA))[:1],
        ),
        "RoomState.of.events": (EVENTS, lambda events: RoomState.of(V11, events)),
        "RoomState.of.events, stripped": (
            EVENTS,
            lambda events: list(RoomState.of(V11, events, stripped=True).events),
        ),
        "RoomVersion.__init__.join_rules": (
            ["public", "org.example.own"],
            lambda rules: V11.evolve(identifier="x", join_rules=rules),
        ),
        "RoomVersion.__init__.redaction_content": (
            [("m.room.name", ["name"])],
            lambda pairs: V11.evolve(identifier="x", redaction_content=pairs),
        ),
        "RoomVersion.__init__.redaction_content, keys": (
            ["name"],
            lambda keys: V11.evolve(identifier="x", redaction_content={"m.room.name": keys}),
        ),
        "read_state.events": (
            [event.to_client_event() for event in EVENTS],
            lambda events: read_state(events, room_version=V11),
        ),
        "what_if.events": ([EVENT], lambda events: str(what_if(STATE, events))),
        "auth_chain.events": (EVENTS, lambda events: auth.auth_chain(events, lambda _: None)),
        "check_auth_events.auth_events": (
            EVENTS,
            lambda events: auth.check_auth_events(EVENT, events),
        ),
        "judge.listed": (EVENTS, lambda events: auth.judge(EVENT, events)),
        "AwaitingEvents.given.events": (EVENTS, awaiting),
        "SendJoinResponse.of.state": (EVENTS, lambda events: SendJoinResponse.of(events, [])),
        "SendJoinResponse.of.auth_chain": (EVENTS, lambda events: SendJoinResponse.of([], events)),
        "conversations.exchanges": (EXCHANGES, conversations),
        "diagnose.exchanges": (EXCHANGES, diagnose),
        "answer_event.histories": (
            [LINE.history()],
            lambda known: answer_event("b.example", LINE.events[0].event_id, known, at=5),
        ),
        "Authorization.read.headers": (
            ['X-Matrix origin=a.example,key="ed25519:1",sig="AAAA"'] * 2,
            Authorization.read,
        ),
        "admit.state": (
            [STATE, STATE],
            lambda states: admit(EVENT, states, events=BY_ID),
        ),
        "ResidentRoom.__init__.heroes": (
            [(ANA, IDS[0])],
            lambda heroes: [*(room(heroes=heroes).heroes or ())],
        ),
        "OutOfBand.invited.room_state": (EVENTS, lambda events: held(room_state=events)),
        "OutOfBand.knocked.room_state": (
            EVENTS,
            lambda events: OutOfBand.knocked(KNOCK, at=0, room_state=events),
        ),
        "OutOfBand.receive.room_state": (
            EVENTS,
            lambda events: held().receive(KNOCK, at=1, room_state=events),
        ),
        "Situation.of.state": (EVENTS, lambda events: Situation.of(EVENT, events)),
        "compare.cases": ([CASE], lambda cases: str(compare(V11, V11, cases))),
        "review.cases": ([CASE], lambda cases: str(review(V11, cases))),
        "receive.auth_events": (EVENTS, lambda events: received(auth_events=events)),
        "receive.state_before": (
            [STATE, STATE],
            lambda states: received(state_before=states),
        ),
        "reevaluate.auth_events": (EVENTS, lambda events: again(auth_events=events)),
        "reevaluate.state_before": ([STATE, STATE], lambda states: again(state_before=states)),
        "AwaitingEvents.receive.events": (EVENTS, resolved),
        "ChainIndex.of.events": (EVENTS, lambda events: reached(ChainIndex.of(events))),
        "ChainIndex.with_events.events": (
            EVENTS,
            lambda events: reached(ChainIndex.of([]).with_events(events)),
        ),
        "ChainIndex.reach.event_ids": (IDS, CHAINS.reach),
        "ChainIndex.auth_difference.state_sets": (SETS, CHAINS.auth_difference),
        "ChainIndex.conflicted_state_subgraph.conflicted": (
            IDS,
            CHAINS.conflicted_state_subgraph,
        ),
        "begin.state_sets": (SETS, lambda sets: begin(V11, sets)),
        "resolve.state_sets": (SETS, lambda sets: resolve(V11, sets, BY_ID)),
        "resets_in.changes": (
            [(1, "m.room.topic", "", IDS[0], None), (2, "m.room.topic", "", IDS[1], IDS[0])],
            resets_in,
        ),
        "key_ring_of.events": (EVENTS, key_ring_of),
        "timeline.events": (LINE.steps, lambda steps: timeline(BEN, steps, STATE)),
        "client_timeline.events": (LINE.steps, lambda steps: client_timeline(BEN, steps, STATE)),
    }
)
ALL: Final = {**NAMES, **OTHERS}


LONG: Final = "review.cases"


@pytest.mark.parametrize(
    "entry",
    [pytest.param(entry, marks=[pytest.mark.long] * (entry == LONG)) for entry in ALL],
)
def test_a_list_that_can_be_read_once_is_as_good(entry: str) -> None:
    values, call = ALL[entry]
    assert call(value for value in values) == call(list(values)) == call(tuple(values))


@pytest.mark.parametrize("text", ["a.example", b"a.example", "!space:a.example", ANA])
@pytest.mark.parametrize("entry", NAMES)
def test_one_text_is_refused(entry: str, text: Any) -> None:
    _, call = NAMES[entry]
    with pytest.raises(TypeError, match="expected several texts, such as a list"):
        call(text)


def test_a_room_is_asked_more_than_once_about_its_users() -> None:
    asked = room(local_users=(user for user in [ANA]))
    assert list(asked.local_users or ()) == list(asked.local_users or ()) == [ANA]


def test_all_parameters_of_the_package_are_here() -> None:
    entries = {entry.partition(",")[0] for entry in ALL} - NOT_ANNOTATED
    assert set(parameters()) == entries


NOT_ANNOTATED: Final = {
    "PolicyList.rules",
    "fate_of.their_versions",
}
"""Fields that are tuples, or a parameter that is a collection, which take any iterable."""


def parameters() -> Iterator[str]:
    """The parameters that take any iterable, of all that is exported."""
    seen: set[object] = set()
    for module in PUBLIC:
        exporting = import_module(full_name(module))
        for name in getattr(exporting, "__all__", ()):
            found = getattr(exporting, name)
            if isfunction(found) and found not in seen:
                seen.add(found)
                yield from taking_iterables(name, found)
            elif isclass(found) and found not in seen:
                seen.add(found)
                for method, function in vars(found).items():
                    if method == "__init__" or not method.startswith("_"):
                        plain = getattr(function, "__func__", function)
                        yield from taking_iterables(f"{name}.{method}", plain)


def taking_iterables(name: str, function: object) -> Iterator[str]:
    for parameter, annotation in getattr(function, "__annotations__", {}).items():
        said = str(annotation)
        takes = re.search(r"\bIterable\b|AuthEventsAtHand", said) is not None
        if takes and parameter != "return" and not said.startswith("Callable"):
            yield f"{name}.{parameter}"
