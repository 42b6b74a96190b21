"""The questions that every engine is asked, from one seed each, and the answers of this library.

A question is JSON. `area` says what is asked, `room_version` by which rules, `seed` from which it was made; the rest
depends on the area:

- `rules`: `pdu` and `event_id` of an event, `state` (pairs of an ID and a PDU), `signed_by` (the servers whose
  signatures count as good). Verdict: do the rules that depend on the state allow it? Of a create event, does rule 1?
- `auth-events`: `state` has the events that it lists, and in version 12 the create event; `rejected` their IDs that were
  rejected. Verdict: do the rules before the state allow it?
- `selection`: `pdu`, `event_id`. Verdict: types and state keys of the events that authorise it.
- `format`: `text`. Verdict: is it a PDU of this version?
- `redaction`: `pdu`. Verdict: its redacted form.
- `content-hash`: `pdu`. Verdict: is the hash that it carries the right one?
- `event-id`: `pdu`. Verdict: its ID, in versions 1 and 2 its reference hash.
- `canonical-json`: `text`. Verdict: its canonical form; null if this version takes no such text.
- `signatures`: `pdu`, `keys` (by server and key ID). Verdict: have all servers signed it that have to?
- `resolution`: `events` (PDUs by ID), `signers` (who signed them), `rejected`, `states` (each a list of type, state key
  and ID), `sound` (nothing is wrong on purpose). Verdict: the state.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import count
from types import MappingProxyType
from typing import Any, Final

from matrix_membership import Event, RoomState, RoomVersion, auth
from matrix_membership.canonical_json import decode, encode, thaw
from matrix_membership.errors import MatrixMembershipError
from matrix_membership.events import read_pdu
from matrix_membership.hashing import content_hash, event_id, reference_hash, signed_bytes
from matrix_membership.redaction import redact
from matrix_membership.resolution import resolve
from matrix_membership.room_versions import KNOWN
from matrix_membership.signing import KeyRing, missing_signers, verify
from tests.generated_cases import JUNK, GeneratedCase, generate
from tests.observatory.redacted import a_pdu
from tests.resolution.room_graphs import Case, a_case, with_own_ids
from tests.vectors.refusals import Maker, room_of
from tests.vectors.signed import SERVERS, signer_of

__all__ = ["AREAS", "NOT_ASKED", "Question", "event_and_state", "ours", "questions", "resolved"]

Question = dict[str, Any]
Pdu = dict[str, Any]

SHARES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "rules": 48,
        "auth-events": 8,
        "selection": 6,
        "format": 7,
        "redaction": 5,
        "content-hash": 4,
        "event-id": 4,
        "canonical-json": 4,
        "signatures": 4,
        "resolution": 10,
    }
)
"""Of a hundred questions, how many are of an area."""
AREAS: Final = tuple(SHARES)


NOT_ASKED: Final = object()
"""In the place of a verdict: there is no such event here, so that nothing can be asked of it."""


def questions(number: int) -> Iterator[Question]:
    """Yield so many questions, or a few more."""
    for area, share in SHARES.items():
        for seed in range(max(len(KNOWN), number * share // 100)):
            version = tuple(KNOWN.values())[seed % len(KNOWN)]
            made = _MAKERS[area](seed, version)
            yield {"area": area, "seed": seed, "room_version": str(version), **made}


def ours(question: Question) -> Any:
    """Return this library's verdict, or `NOT_ASKED`."""
    try:
        return _JUDGES[question["area"]](question, KNOWN[question["room_version"]])
    except MatrixMembershipError:
        return NOT_ASKED


# ------------------------------------------------------------------ rules


def _generated(seed: int, version: RoomVersion) -> GeneratedCase:
    return generate(seed, version.identifier)


def _a_case_of_rules(seed: int, version: RoomVersion) -> Question:
    case = _generated(seed, version)
    return {
        "pdu": case.event,
        "event_id": case.event_id,
        "state": [list(entry) for entry in case.state],
        "signed_by": sorted(case.signed_by),
    }


def event_and_state(question: Question, version: RoomVersion) -> tuple[Event, list[Event]]:
    """The event of a question and the events that it is judged by."""
    event = Event.from_pdu(question["pdu"], version, event_id=question["event_id"])
    state = [Event.from_pdu(pdu, version, event_id=name) for name, pdu in question["state"]]
    return event.with_signers(question.get("signed_by", ())), state


def _by_rules(question: Question, version: RoomVersion) -> bool:
    event, state = event_and_state(question, version)
    return auth.check(event, RoomState.of(version, state)).allowed


def _a_list(seed: int, version: RoomVersion) -> Question:
    """Mostly the events that are to be listed, with one mistake or none."""
    case, rng = _generated(seed, version), random.Random(f"list {seed}")
    selected = set(auth.select_auth_events(_event(case, version)))
    by_id = dict(case.state)
    listed = [name for name, pdu in case.state if (pdu["type"], pdu["state_key"]) in selected]
    rejected: list[str] = []
    more: dict[str, Pdu] = {}
    match rng.choice(("good", "good", "drop", "add", "twice", "rejected", "copy", "other room")):
        case "drop" if listed:
            listed.remove(rng.choice(listed))
        case "add":
            listed.append(rng.choice([name for name in by_id if name not in listed] or [*by_id]))
        case "twice" if listed:
            listed.append(rng.choice(listed))
        case "rejected":
            rejected = [rng.choice([*by_id])]
        case "copy" if listed:
            name = rng.choice(listed)
            copy = f"$f{name[2:]}"
            more[copy] = {**by_id[name], "depth": 99}
            more[copy] |= {"event_id": copy} if version.event_id_in_pdu else {}
            listed.append(copy)
        case "other room" if len(by_id) > 1 and not version.room_id_is_create_event:
            name = rng.choice([*by_id][1:])
            by_id[name] = {**by_id[name], "room_id": "!other:a.example"}
    rng.shuffle(listed)
    refer = [[name, {}] for name in listed] if version.event_id_in_pdu else listed
    known = {name: pdu for name, pdu in {**by_id, **more}.items() if name in listed}
    if version.room_id_is_create_event:
        known |= dict(case.state[:1])
    return {
        "pdu": {**case.event, "auth_events": refer},
        "event_id": case.event_id,
        "state": [list(entry) for entry in known.items()],
        "rejected": rejected,
    }


def _event(case: GeneratedCase, version: RoomVersion) -> Event:
    return Event.from_pdu(case.event, version, event_id=case.event_id)


def _by_list(question: Question, version: RoomVersion) -> bool:
    event, known = event_and_state(question, version)
    create = None
    if version.room_id_is_create_event:
        create = next((one for one in known if one.event_id[1:] == event.room_id[1:]), None)
    listed = [one for one in known if one.event_id in event.auth_events]
    return auth.check_auth_events(
        event,
        listed,
        rejected=frozenset(question["rejected"]),
        create=create,
        listed=event.auth_events,
    ).allowed


def _an_event(seed: int, version: RoomVersion) -> Question:
    case = _generated(seed, version)
    return {"pdu": case.event, "event_id": case.event_id}


def _selected(question: Question, version: RoomVersion) -> Any:
    event = Event.from_pdu(question["pdu"], version, event_id=question["event_id"])
    return [list(place) for place in auth.select_auth_events(event)]


# ------------------------------------------------------------------ PDUs


@cache
def _maker(version: str) -> Maker:
    return Maker(room_of(KNOWN[version]))


KINDS: Final = (
    ("m.room.message", None),
    ("m.room.member", "@ben:b.example"),
    ("m.room.member", "@mal:evil.example"),
    ("m.room.topic", ""),
    ("m.room.power_levels", ""),
    ("m.room.redaction", None),
    ("m.room.aliases", "b.example"),
)
CONTENTS: Final[Sequence[Mapping[str, Any]]] = (
    {},
    {"membership": "join"},
    {"membership": "invite"},
    {"membership": "invite", "third_party_invite": {}},
    {"membership": "invite", "third_party_invite": {"signed": {"mxid": "@x:y", "token": "t"}}},
    {"membership": "join", "join_authorised_via_users_server": "@ana:a.example"},
    {"membership": "leave", "join_authorised_via_users_server": "@ana:a.example"},
    {"users": {"@ben:b.example": 50}, "more": [1, {"b": None, "a": True}]},
    {"body": 'caf\u00e9 \U0001f600 \u2028 " \\ / \n\x7f\x1f', "n": 2**53 - 1},
    {"redacts": "$x:b.example", "reason": "\ufb33"},
)
STRAY: Final = ("unsigned", "age_ts", "outlier", "destinations", "event_id", "origin", "x.more")


def _signed_pdu(rng: random.Random, version: RoomVersion) -> Pdu:
    """A PDU that its sender's server hashed and signed, with stray keys."""
    kind, state_key = rng.choice(KINDS)
    content = {**rng.choice(CONTENTS)}
    if rng.random() < 0.3:
        content |= {rng.choice(("a", "\u00e9", "\U0001f600", "Z", "")): rng.choice(JUNK)}
    pdu = _maker(version.identifier).pdu(kind, "@ben:b.example", content, state_key)
    if rng.random() < 0.5:
        key = rng.choice(STRAY)
        pdu[key] = {"age": 5} if key == "unsigned" else rng.choice((1, "$x:b.example", {}))
        _sign_again(pdu, version, ("b.example",))
    return pdu


def _sign_again(pdu: Pdu, version: RoomVersion, servers: Sequence[str]) -> None:
    pdu["hashes"] = {"sha256": content_hash(pdu)}
    covered = signed_bytes(pdu, version)
    pdu["signatures"] = {
        server: {"ed25519:vectors": signer_of(server).signature_over(covered)} for server in servers
    }


FIELDS: Final = (
    "auth_events", "content", "depth", "hashes", "origin_server_ts", "prev_events", "room_id", "sender",
    "signatures", "state_key", "type", "event_id", "redacts",
)  # fmt: skip # a table, read by rows
VALUES: Final[Sequence[Any]] = (
    *JUNK,
    -1,
    2**53,
    -(2**53),
    2**63,
    "x" * 256,
    "\u00e9" * 200,
    "@" + "x" * 300 + ":b.example",
    "@Ben:b.example",
    "@b\u00e9n:b.example",
    "@:b.example",
    "@ben:b.example:99999",
    "!r:" + "x" * 260,
    ["$x"] * 21,
    ["$x"] * 11,
    ["x"],
    [["$x:a.example", {}]],
    {"sha256": 5},
    {"sha256": "=="},
    {"a.example": {"ed25519:1": 5}},
)


def _a_text(seed: int, version: RoomVersion) -> Question:
    rng = random.Random(f"text {seed}")
    pdu = _signed_pdu(rng, version)
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        field = rng.choice(FIELDS)
        if rng.random() < 0.25:
            pdu.pop(field, None)
        else:
            pdu[field] = rng.choice(VALUES)
    text = json.dumps(pdu, ensure_ascii=rng.random() < 0.5)
    match rng.randrange(30):
        case 0:
            text = text[:-1]
        case 1:
            text += rng.choice((" ", "\n", "{}", "\x00"))
        case 2:
            text = text.replace('"type"', '"depth":7,"type"', 1)
        case 3:
            text = text.replace('"body": "', '"body": "\\ud800', 1)
        case 4:
            text = f"[{text}]"
        case 5:
            number = rng.choice(ODD_NUMBERS)
            text = text.replace('"content": {', f'"x": {number}, "content": {{', 1)
    return {"text": text}


def _is_pdu(question: Question, version: RoomVersion) -> bool:
    try:
        Event.from_pdu(question["text"].encode(), version)
    except MatrixMembershipError:
        return False
    return True


def _a_hashed(seed: int, version: RoomVersion) -> Question:
    rng = random.Random(f"hashed {seed}")
    pdu = _signed_pdu(rng, version)
    match rng.randrange(5):
        case 0:
            pdu["content"] = {**pdu["content"], "altered": 1}
        case 1:
            pdu["hashes"] = {"sha256": rng.choice(("", "x", pdu["hashes"]["sha256"] + "="))}
        case 2:
            pdu["unsigned"] = {"more": rng.choice(JUNK)}
    return {"pdu": pdu}


def _is_hashed(question: Question, version: RoomVersion) -> bool:
    return read_pdu(encode(question["pdu"], strict=False), version).content_hash_matches


def _a_named(seed: int, version: RoomVersion) -> Question:
    return {"pdu": _signed_pdu(random.Random(f"named {seed}"), version)}


def _name(question: Question, version: RoomVersion) -> str:
    if version.event_id_in_pdu:
        return reference_hash(question["pdu"], version)
    return event_id(question["pdu"], version)


KEYS: Final = {
    server: {"ed25519:vectors": signer_of(server).verify_key}
    for server in SERVERS
    if server != "d.example"
}


def _a_signed(seed: int, version: RoomVersion) -> Question:
    rng = random.Random(f"signed {seed}")
    pdu = _signed_pdu(rng, version)
    if rng.random() < 0.5:
        _sign_again(pdu, version, rng.sample(SERVERS, rng.randint(0, 3)))
    signatures = {server: {**signed} for server, signed in pdu["signatures"].items()}
    for server in rng.sample(sorted(signatures), min(len(signatures), rng.choice((0, 0, 1)))):
        key_id = rng.choice(("ed25519:vectors", "ed25519:more", "rsa:1", "ed25519", "x"))
        signatures[server][key_id] = rng.choice(("A" * 86, "A" * 86 + "==", "x", 5, None, ""))
    if rng.random() < 0.1:
        signatures["d.example"] = rng.choice(({}, {"ed25519:vectors": "A" * 86}))
    pdu["signatures"] = signatures
    return {"pdu": pdu, "keys": KEYS}


def _is_signed(question: Question, version: RoomVersion) -> bool:
    event = Event.from_pdu(encode(question["pdu"], strict=False), version)
    return not missing_signers(verify(event, KeyRing.of(question["keys"])))


def _a_redaction(seed: int, _: RoomVersion) -> Question:
    return {"pdu": a_pdu(seed)}


def _redacted(question: Question, version: RoomVersion) -> Any:
    return thaw(redact(question["pdu"], version))


# ------------------------------------------------------------------ canonical JSON

ODD_NUMBERS: Final = (
    "0", "-0", "1", "-1", "1.0", "0.0", "-0.0", "1.5", "1e3", "1E3", "1e-3", "1e400", "12345678901234567890",
    "9007199254740991", "9007199254740992", "-9007199254740991", "-9007199254740992", "01", "+1", "1.", ".5", "0x1",
    "NaN", "Infinity", "1e1", "0e0", "100000000000000000000000.0", "true", "null",
)  # fmt: skip # a table, read by rows
ODD_STRINGS: Final = (
    '""', '"a"', '"\\u0061"', '"\\/"', '"/"', '"\\u00e9"', '"\u00e9"', '"\\ud83d\\ude00"', '"\U0001f600"', '"\\ud800"',
    '"\\udc00\\ud800"', '"\\n"', '"\n"', '"\\u0000"', '"\\u001f"', '"\x7f"', '"\\u2028"', '"\u2028"', '"\\x"', "'a'",
    '"\\uD83D\\uDE00"', '"\\b\\f\\n\\r\\t\\"\\\\"', '"\\u000B"', '"\ufb33"', '"\\u00E9"',
)  # fmt: skip # a table, read by rows


def _a_json_text(seed: int, _: RoomVersion) -> Question:
    rng = random.Random(f"json {seed}")

    def value(depth: int) -> str:
        kind = rng.randrange(8 if depth else 5)
        if kind < 2:
            return rng.choice(ODD_NUMBERS if rng.random() < 0.4 else ("0", "7", "true", "null"))
        if kind < 5:
            return rng.choice(ODD_STRINGS[:8] if rng.random() < 0.6 else ODD_STRINGS)
        if kind == 5:
            return f"[{','.join(value(depth - 1) for _ in range(rng.randrange(3)))}]"
        return an_object(depth - 1)

    def an_object(depth: int) -> str:
        space = rng.choice(("", "", " ", "\n", "\t"))
        keys = [rng.choice(ODD_STRINGS[:8]) for _ in range(rng.randrange(4))]
        if rng.random() < 0.85:
            keys = list({json.loads(key): key for key in keys}.values())
        return f"{{{f',{space}'.join(f'{key}:{space}{value(depth)}' for key in keys)}}}"

    return {"text": an_object(2)}


def _canonical(question: Question, version: RoomVersion) -> str | None:
    try:
        found = decode(question["text"].encode(), strict=version.strict_json)
        return encode(found, strict=version.strict_json).decode()
    except (MatrixMembershipError, ValueError):
        return None


# ------------------------------------------------------------------ state resolution

SHIFT: Final = 5
"""Generated times can be before 1970, which ruma does not read: added, their order is the same."""


def _states(seed: int, version: RoomVersion) -> Question:
    # Where events authorise each other, each side does as it likes: nothing to compare.
    seeds = count(seed, 1_000_000)
    case = next(case for one in seeds if not _has_a_cycle(case := a_case(one, version)))
    case = with_own_ids(case, shift=SHIFT)
    return {
        "room_id": next((event.room_id for event in case.events.values()), "!r:a.example"),
        "events": {name: thaw(event.to_pdu()) for name, event in case.events.items()},
        "signers": {name: sorted(event.signed_by) for name, event in case.events.items()},
        "rejected": sorted(case.rejected),
        "states": [[[*place, name] for place, name in s.items()] for s in case.state_sets],
        "sound": case.sound,
    }


def _has_a_cycle(case: Case) -> bool:
    edges = {name: event.auth_events for name, event in case.events.items()}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError:
        return True
    return False


def resolved(question: Question, version: RoomVersion) -> Any:
    """Return how this library resolves the states, with the story of it."""
    signers = question["signers"]
    events = {
        name: Event.from_pdu(pdu, version, event_id=name).with_signers(signers[name])
        for name, pdu in question["events"].items()
    }
    states = [{(kind, key): name for kind, key, name in state} for state in question["states"]]
    return resolve(version, states, events, rejected=frozenset(question["rejected"]))


def _resolved(question: Question, version: RoomVersion) -> Any:
    return [[*place, name] for place, name in resolved(question, version).state.items()]


_MAKERS: Final[Mapping[str, Callable[[int, RoomVersion], Question]]] = MappingProxyType(
    {
        "rules": _a_case_of_rules,
        "auth-events": _a_list,
        "selection": _an_event,
        "format": _a_text,
        "redaction": _a_redaction,
        "content-hash": _a_hashed,
        "event-id": _a_named,
        "canonical-json": _a_json_text,
        "signatures": _a_signed,
        "resolution": _states,
    }
)
_JUDGES: Final[Mapping[str, Callable[[Question, RoomVersion], Any]]] = MappingProxyType(
    {
        "rules": _by_rules,
        "auth-events": _by_list,
        "selection": _selected,
        "format": _is_pdu,
        "redaction": _redacted,
        "content-hash": _is_hashed,
        "event-id": _name,
        "canonical-json": _canonical,
        "signatures": _is_signed,
        "resolution": _resolved,
    }
)
