"""
The authorisation rules of the specified room versions, as plain ladders.

Written from the rules that https://spec.matrix.org/unstable/rooms/ numbers, and from
the `auth events selection
<https://spec.matrix.org/unstable/server-server-api/#auth-events-selection>`_, so that
the package's own rules can be compared with something that shares no code with them.
Each ladder is one chapter of the rules and names the number it decides by.
"""
# ruff: noqa: C901, PLR0911 - a ladder returns on every rung.

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple

from canonicaljson import encode_canonical_json
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

__all__ = ["RECOGNISED", "Json", "Pdu", "StateKey", "Verdict", "judge", "judge_auth_events"]

Json = Any
Pdu = dict[str, Json]
StateKey = tuple[str, str]

RECOGNISED: Final[tuple[str, ...]] = tuple(
    json.loads((Path(__file__).parent / "spec" / "rule_numbers.json").read_text("utf-8"))
)
"""The room versions whose numbers the specification prints, in order."""

DEFAULTS = {
    "users_default": 0,
    "events_default": 0,
    "state_default": 50,
    "ban": 50,
    "redact": 50,
    "kick": 50,
    "invite": 0,
}
WHITE_SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*"
STRING_LEVEL = re.compile(rf"{WHITE_SPACE}([+-]?)([0-9]+){WHITE_SPACE}")
SERVER_NAME = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::[0-9]{1,5})?"
USER_ID = re.compile(rf"@[^:\0\ud800-\udfff]*:{SERVER_NAME}")


class Verdict(NamedTuple):
    """What the rules decide, and the number of the rule that decides it."""

    allowed: bool
    number: str


class Numbers(NamedTuple):
    """The numbers of the rules and chapters that moved between room versions."""

    federate: str
    aliases: str
    member: str
    join: str
    invite: str
    leave: str
    ban: str
    knock: str
    unknown_membership: str
    sender: str
    third_party_invite: str
    required_level: str
    foreign_state_key: str
    power_levels: str
    redaction: str
    otherwise: str


class Case(NamedTuple):
    """An event, the state it is judged against, and the evidence beside them."""

    version: int
    event: Pdu
    state: Mapping[StateKey, Pdu]
    create_id: str
    signed_by: frozenset[str]
    event_id: str

    @property
    def content(self) -> dict[str, Json]:
        """The event's content."""
        return content_of(self.event)

    @property
    def sender(self) -> Json:
        """The event's sender."""
        return self.event.get("sender")

    @property
    def target(self) -> Json:
        """The target user of a member event."""
        return self.event.get("state_key")

    @property
    def create(self) -> Pdu:
        """The room's create event."""
        return self.state["m.room.create", ""]

    @property
    def power_levels(self) -> dict[str, Json]:
        """The content of the room's power-levels event, empty when it has none."""
        return content_of(self.state.get(("m.room.power_levels", ""), {}))

    @property
    def join_rule(self) -> Json:
        """The room's join rule."""
        content = content_of(self.state.get(("m.room.join_rules", ""), {}))
        return content.get("join_rule", "invite")

    @property
    def numbers(self) -> Numbers:
        """The numbers of the event's room version."""
        return numbers_of(self.version)

    def membership(self, user: Json) -> Json:
        """Read the user's current membership."""
        content = content_of(self.state.get(("m.room.member", user), {}))
        return content.get("membership", "leave")

    def creator(self) -> Json:
        """Name the user who made the room."""
        if self.version <= 10:
            return content_of(self.create).get("creator")
        return self.create.get("sender")

    def creators(self) -> list[Json]:
        """List the users of infinite power."""
        if self.version <= 11:
            return []
        listed = content_of(self.create).get("additional_creators")
        additional = listed if isinstance(listed, list) else []
        return [self.creator(), *(user for user in additional if is_user_id(user))]

    def power(self, user: Json) -> float:
        """Read the user's power level: an integer, or infinity."""
        if user in self.creators():
            return inf
        if ("m.room.power_levels", "") not in self.state:
            return 100 if self.version <= 11 and user == self.creator() else 0
        users = entries(self.version, self.power_levels, "users")
        return users.get(user, self.level("users_default"))

    def level(self, name: str) -> int:
        """Read the level that the room gives to one of the named properties."""
        return named(self.version, self.power_levels, name)

    def required_level(self) -> int:
        """Read the level that the event asks of its sender."""
        listed = entries(self.version, self.power_levels, "events")
        if self.event["type"] in listed:
            return listed[self.event["type"]]
        is_state = "state_key" in self.event
        return self.level("state_default" if is_state else "events_default")


def judge(
    version: str,
    event: Pdu,
    state: Mapping[StateKey, Pdu],
    *,
    create_id: str,
    signed_by: frozenset[str] = frozenset(),
    event_id: str = "",
) -> Verdict:
    """
    Judge an event by the rules that depend on the room's state.

    Args:
        version: The room version, "1" to "12".
        event: The PDU in the federation format of its room version.
        state: The state to judge against; it holds the create event.
        create_id: The create event's id, to recognise the first join.
        signed_by: The servers whose signature on the event was verified.
        event_id: The event's id, for a version 1 or 2 PDU that does not name its own.

    Returns:
        The verdict; for a create event that of rule 1, which reads no state.
    """
    if event["type"] == "m.room.create":
        return judge_create(int(version), event)
    return judge_any(Case(int(version), event, state, create_id, signed_by, event_id))


def judge_auth_events(
    version: str,
    event: Pdu,
    auth_events: Sequence[tuple[str, Pdu]],
    *,
    rejected: frozenset[str] = frozenset(),
    create: tuple[str, Pdu] | None = None,
) -> Verdict | None:
    """
    Judge an event by the rules that depend on its auth events.

    Args:
        version: The room version, "1" to "12".
        event: The PDU in the federation format of its room version.
        auth_events: The id and PDU of every event it lists.
        rejected: The ids of events that were rejected.
        create: The id and PDU of version 12's create event, which no event lists.

    Returns:
        The verdict, or None when no rule here decides.
    """
    number = int(version)
    if event["type"] == "m.room.create":
        return judge_create(number, event)
    if number >= 12 and not is_room_of(event, create, rejected):
        return reject("2")
    return judge_listed(number, event, auth_events, rejected)


def judge_create(version: int, event: Pdu) -> Verdict:
    """Judge a create event."""
    content = content_of(event)
    if event["prev_events"]:
        return reject("1.1")
    if version <= 11 and server_of(event.get("room_id")) != server_of(event["sender"]):
        return reject("1.2")
    if version >= 12 and "room_id" in event:
        return reject("1.2")
    if "room_version" in content and not is_recognised(content["room_version"]):
        return reject("1.3")
    if version <= 10 and "creator" not in content:
        return reject("1.4")
    if version == 11:
        return allow("1.4")
    if version >= 12 and "additional_creators" in content:
        creators = content["additional_creators"]
        if not isinstance(creators, list):
            return reject("1.4")
        if not all(is_user_id(creator) for creator in creators):
            return reject("1.4")
    return allow("1.5")


def judge_listed(
    version: int,
    event: Pdu,
    auth_events: Sequence[tuple[str, Pdu]],
    rejected: frozenset[str],
) -> Verdict | None:
    """Judge an event by the auth events it lists."""
    chapter = "2" if version <= 11 else "3"
    pdus = [pdu for _, pdu in auth_events]
    keys = [(pdu["type"], pdu["state_key"]) for pdu in pdus if "state_key" in pdu]
    named = [entry if isinstance(entry, str) else entry[0] for entry in event["auth_events"]]
    if len(set(keys)) != len(keys) or len(set(named)) != len(named):
        return reject(f"{chapter}.1")
    if len(keys) != len(pdus) or not set(keys) <= selection(version, event):
        return reject(f"{chapter}.2")
    if any(event_id in rejected for event_id, _ in auth_events):
        return reject(f"{chapter}.3")
    if version <= 11 and ("m.room.create", "") not in keys:
        return reject(f"{chapter}.4")
    if any(pdu.get("room_id") != event.get("room_id") for pdu in pdus):
        return reject(f"{chapter}.5" if version <= 11 else f"{chapter}.4")
    return None


def judge_any(case: Case) -> Verdict:
    """Judge an event of any type but create against the state."""
    number, kind = case.numbers, case.event["type"]
    federate = content_of(case.create).get("m.federate")
    is_closed = not (federate is None or federate is True)
    if is_closed and server_of(case.sender) != server_of(case.create.get("sender")):
        return reject(number.federate)
    if kind == "m.room.aliases" and case.version <= 5:
        return judge_aliases(case, number.aliases)
    if kind == "m.room.member":
        return judge_member(case, number.member)
    if case.membership(case.sender) != "join":
        return reject(number.sender)
    if kind == "m.room.third_party_invite":
        may_invite = case.power(case.sender) >= case.level("invite")
        return Verdict(may_invite, number.third_party_invite)
    if case.required_level() > case.power(case.sender):
        return reject(number.required_level)
    if str(case.target).startswith("@") and case.target != case.sender:
        return reject(number.foreign_state_key)
    if kind == "m.room.power_levels":
        return judge_power_levels(case, number.power_levels)
    if kind == "m.room.redaction" and case.version <= 2:
        return judge_redaction(case, number.redaction)
    return allow(number.otherwise)


def judge_aliases(case: Case, chapter: str) -> Verdict:
    """Judge an aliases event, versions 1 to 5."""
    if "state_key" not in case.event:
        return reject(f"{chapter}.1")
    if server_of(case.sender) != case.target:
        return reject(f"{chapter}.2")
    return allow(f"{chapter}.3")


def judge_member(case: Case, chapter: str) -> Verdict:
    """Judge a member event."""
    if not is_user_id(case.target) or "membership" not in case.content:
        return reject(f"{chapter}.1")
    if case.version >= 8 and "join_authorised_via_users_server" in case.content:
        authoriser = case.content["join_authorised_via_users_server"]
        if not is_user_id(authoriser) or server_of(authoriser) not in case.signed_by:
            return reject(f"{chapter}.2.1")
    membership = case.content["membership"]
    if membership == "join":
        return judge_join(case, case.numbers.join)
    if membership == "invite":
        return judge_invite(case, case.numbers.invite)
    if membership == "leave":
        return judge_leave(case, case.numbers.leave)
    if membership == "ban":
        return judge_ban(case, case.numbers.ban)
    if membership == "knock" and case.version >= 7:
        return judge_knock(case, case.numbers.knock)
    return reject(case.numbers.unknown_membership)


def judge_join(case: Case, chapter: str) -> Verdict:
    """Judge a member event whose membership is join."""
    rule, current = case.join_rule, case.membership(case.target)
    if previous_ids(case) == [case.create_id] and case.target == case.creator():
        return allow(f"{chapter}.1")
    if case.sender != case.target:
        return reject(f"{chapter}.2")
    if case.membership(case.sender) == "ban":
        return reject(f"{chapter}.3")
    needs_invite = rule == "invite" or (rule == "knock" and case.version >= 7)
    if needs_invite and current in ("invite", "join"):
        return allow(f"{chapter}.4")
    if case.version <= 7:
        if rule == "public":
            return allow(f"{chapter}.5")
        return reject(f"{chapter}.6")
    if rule == "restricted" or (rule == "knock_restricted" and case.version >= 10):
        return judge_restricted_join(case, f"{chapter}.5")
    if rule == "public":
        return allow(f"{chapter}.6")
    return reject(f"{chapter}.7")


def judge_restricted_join(case: Case, chapter: str) -> Verdict:
    """Judge a join to a restricted room, versions 8 and later."""
    if case.membership(case.target) in ("join", "invite"):
        return allow(f"{chapter}.1")
    authoriser = case.content.get("join_authorised_via_users_server")
    if case.membership(authoriser) != "join":
        return reject(f"{chapter}.2")
    if case.power(authoriser) < case.level("invite"):
        return reject(f"{chapter}.2")
    return allow(f"{chapter}.3")


def judge_invite(case: Case, chapter: str) -> Verdict:
    """Judge a member event whose membership is invite."""
    if "third_party_invite" in case.content:
        return judge_invite_of_third_party(case, f"{chapter}.1")
    if case.membership(case.sender) != "join":
        return reject(f"{chapter}.2")
    if case.membership(case.target) in ("join", "ban"):
        return reject(f"{chapter}.3")
    if case.power(case.sender) >= case.level("invite"):
        return allow(f"{chapter}.4")
    return reject(f"{chapter}.5")


def judge_invite_of_third_party(case: Case, chapter: str) -> Verdict:
    """Judge an invite that answers a third-party invite."""
    if case.membership(case.target) == "ban":
        return reject(f"{chapter}.1")
    invite = case.content["third_party_invite"]
    if not isinstance(invite, dict) or "signed" not in invite:
        return reject(f"{chapter}.2")
    signed = invite["signed"]
    if not isinstance(signed, dict) or "mxid" not in signed or "token" not in signed:
        return reject(f"{chapter}.3")
    if signed["mxid"] != case.target:
        return reject(f"{chapter}.4")
    token = signed["token"]
    key = ("m.room.third_party_invite", token)
    if not isinstance(token, str) or key not in case.state:
        return reject(f"{chapter}.5")
    if case.sender != case.state[key].get("sender"):
        return reject(f"{chapter}.6")
    if is_signed_by_any(signed, public_keys(content_of(case.state[key]))):
        return allow(f"{chapter}.7")
    return reject(f"{chapter}.8")


def judge_leave(case: Case, chapter: str) -> Verdict:
    """Judge a member event whose membership is leave."""
    power, current = case.power(case.sender), case.membership(case.target)
    if case.sender == case.target:
        if current in ("invite", "join"):
            return allow(f"{chapter}.1")
        return Verdict(current == "knock" and case.version >= 7, f"{chapter}.1")
    if case.membership(case.sender) != "join":
        return reject(f"{chapter}.2")
    if current == "ban" and power < case.level("ban"):
        return reject(f"{chapter}.3")
    if power >= case.level("kick") and case.power(case.target) < power:
        return allow(f"{chapter}.4")
    return reject(f"{chapter}.5")


def judge_ban(case: Case, chapter: str) -> Verdict:
    """Judge a member event whose membership is ban."""
    power = case.power(case.sender)
    if case.membership(case.sender) != "join":
        return reject(f"{chapter}.1")
    if power >= case.level("ban") and case.power(case.target) < power:
        return allow(f"{chapter}.2")
    return reject(f"{chapter}.3")


def judge_knock(case: Case, chapter: str) -> Verdict:
    """Judge a member event whose membership is knock, versions 7 and later."""
    rule = case.join_rule
    if rule != "knock" and not (rule == "knock_restricted" and case.version >= 10):
        return reject(f"{chapter}.1")
    if case.sender != case.target:
        return reject(f"{chapter}.2")
    if case.membership(case.sender) not in ("ban", "invite", "join"):
        return allow(f"{chapter}.3")
    return reject(f"{chapter}.4")


def judge_power_levels(case: Case, chapter: str) -> Verdict:
    """Judge a power-levels event by its form, then by what it alters."""
    version, new = case.version, case.content
    rung = 1
    if version >= 10:
        for name in DEFAULTS:
            if name in new and read_level(version, new[name]) is None:
                return reject(f"{chapter}.1")
        for name in ("events", "notifications"):
            if name in new and not is_map_of_levels(version, new[name]):
                return reject(f"{chapter}.2")
        rung = 3
    if version <= 5 and any(map(is_beyond_binary64, all_levels(new))):
        return reject(f"{chapter}.{rung}")
    if "users" in new:
        users = new["users"]
        if not is_map_of_levels(version, users) or not all(map(is_user_id, users)):
            return reject(f"{chapter}.{rung}")
    if version >= 12:
        rung = 4
        if any(user in new.get("users", {}) for user in case.creators()):
            return reject(f"{chapter}.{rung}")
    if ("m.room.power_levels", "") not in case.state:
        return allow(f"{chapter}.{rung + 1}")
    return judge_alterations(case, chapter, rung + 2)


def judge_alterations(case: Case, chapter: str, rung: int) -> Verdict:
    """Judge how a power-levels event alters the room's current one."""
    version, old, new = case.version, case.power_levels, case.content
    power = case.power(case.sender)
    altered = [name for name in DEFAULTS if is_altered(version, old, new, name)]
    if any(named(version, old, name) > power for name in altered):
        return reject(f"{chapter}.{rung}.1")
    if any(named(version, new, name) > power for name in altered):
        return reject(f"{chapter}.{rung}.2")
    maps = ("events",) if version <= 5 else ("events", "notifications")
    for name in maps:
        if any(level > power for level in differing(version, old, new, name).values()):
            return reject(f"{chapter}.{rung + 1}.1")
    for name in maps:
        if any(level > power for level in differing(version, new, old, name).values()):
            return reject(f"{chapter}.{rung + 2}.1")
    for user, level in differing(version, old, new, "users").items():
        if user != case.sender and level >= power:
            return reject(f"{chapter}.{rung + 3}.1")
    for level in differing(version, new, old, "users").values():
        if level > power:
            return reject(f"{chapter}.{rung + 4}.1")
    return allow(f"{chapter}.{rung + 5}")


def judge_redaction(case: Case, chapter: str) -> Verdict:
    """Judge a redaction event, versions 1 and 2."""
    if case.power(case.sender) >= case.level("redact"):
        return allow(f"{chapter}.1")
    domain = event_id_domain(case.event.get("redacts"))
    own_domain = event_id_domain(case.event.get("event_id", case.event_id))
    if domain is not None and domain == own_domain:
        return allow(f"{chapter}.2")
    return reject(f"{chapter}.3")


def allow(number: str) -> Verdict:
    """Allow by the rule of this number."""
    return Verdict(allowed=True, number=number)


def reject(number: str) -> Verdict:
    """Reject by the rule of this number."""
    return Verdict(allowed=False, number=number)


def numbers_of(version: int) -> Numbers:
    """Tell where a room version prints the rules and chapters that moved."""
    if version <= 5:
        last = ("11", "12") if version <= 2 else ("", "11")
        members = ("5", "5.2", "5.3", "5.4", "5.5", "", "5.6")
        return Numbers("3", "4", *members, "6", "7.1", "8", "9", "10", *last)
    if version <= 11:
        if version == 6:
            members = ("4", "4.2", "4.3", "4.4", "4.5", "", "4.6")
        elif version == 7:
            members = ("4", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7")
        else:
            members = ("4", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8")
        return Numbers("3", "", *members, "5", "6.1", "7", "8", "9", "", "10")
    members = ("5", "5.3", "5.4", "5.5", "5.6", "5.7", "5.8")
    return Numbers("4", "", *members, "6", "7.1", "8", "9", "10", "", "11")


def selection(version: int, event: Pdu) -> set[StateKey]:
    """Collect the state keys whose events an event may list as auth events."""
    content = content_of(event)
    keys = {("m.room.power_levels", ""), ("m.room.member", event["sender"])}
    if version <= 11:
        keys.add(("m.room.create", ""))
    if event["type"] != "m.room.member":
        return keys
    if "state_key" in event:
        keys.add(("m.room.member", event["state_key"]))
    membership = content.get("membership")
    if membership in ("join", "invite", "knock"):
        keys.add(("m.room.join_rules", ""))
    if membership == "invite":
        token = dig(content, "third_party_invite", "signed", "token")
        if isinstance(token, str):
            keys.add(("m.room.third_party_invite", token))
    if membership == "join" and version >= 8:
        authoriser = content.get("join_authorised_via_users_server")
        if isinstance(authoriser, str):
            keys.add(("m.room.member", authoriser))
    return keys


def is_room_of(event: Pdu, create: tuple[str, Pdu] | None, rejected: frozenset[str]) -> bool:
    """Tell whether the event's room id names this accepted create event."""
    if create is None:
        return False
    create_id, pdu = create
    if pdu.get("type") != "m.room.create" or create_id in rejected:
        return False
    return bool(event.get("room_id") == "!" + create_id.removeprefix("$"))


def previous_ids(case: Case) -> list[Json]:
    """List the ids of the events before this one."""
    if case.version <= 2:
        return [event_id for event_id, *_ in case.event["prev_events"]]
    return list(case.event["prev_events"])


def content_of(event: Pdu) -> dict[str, Json]:
    """Read an event's content, empty when it is no object."""
    content = event.get("content")
    return content if isinstance(content, dict) else {}


def dig(value: Json, *names: str) -> Json:
    """Follow property names through nested objects, to None when one is missing."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def is_recognised(room_version: Json) -> bool:
    """Tell whether this is the identifier of a room version with rules here."""
    return isinstance(room_version, str) and room_version in RECOGNISED


def is_user_id(value: Json) -> bool:
    """Tell whether this is a user id of the historical grammar."""
    if not isinstance(value, str) or not USER_ID.fullmatch(value):
        return False
    return len(value.encode()) <= 255


def server_of(identifier: Json) -> str | None:
    """Read the server name of a user id or room id."""
    if not isinstance(identifier, str) or ":" not in identifier:
        return None
    return identifier.partition(":")[2]


def event_id_domain(event_id: Json) -> str | None:
    """Read the server name of an event id of versions 1 and 2."""
    if not isinstance(event_id, str) or not event_id.startswith("$"):
        return None
    return server_of(event_id)


def read_level(version: int, value: Json) -> int | None:
    """Read a power level, to None when it follows no grammar of the version."""
    if type(value) is int:
        return value
    if version <= 9 and isinstance(value, str):
        match = STRING_LEVEL.fullmatch(value)
        if match is None:
            return None
        level = read_digits(match[2])
        return -level if match[1] == "-" else level
    if version <= 5 and isinstance(value, float) and isfinite(value):
        return int(value)
    return None


def all_levels(content: dict[str, Json]) -> list[Json]:
    """List whatever stands where a level should."""
    found = [content[name] for name in DEFAULTS if name in content]
    for name in ("users", "events", "notifications"):
        if isinstance(content.get(name), dict):
            found += content[name].values()
    return found


def is_beyond_binary64(value: Json) -> bool:
    """Tell a number too large for a double, which spoils the whole event in versions 1-5."""
    return isinstance(value, float) and not isfinite(value)


def read_digits(digits: str) -> int:
    """Read decimal digits of any number, where `int` stops at 4,300."""
    value = 0
    for start in range(0, len(digits), 500):
        part = digits[start : start + 500]
        value = value * 10 ** len(part) + int(part)
    return value


def named(version: int, content: dict[str, Json], name: str) -> int:
    """Read one of the named levels, unreadable or absent as its default."""
    level = read_level(version, content.get(name))
    return DEFAULTS[name] if level is None else level


def entries(version: int, content: dict[str, Json], name: str) -> dict[str, int]:
    """Read a map of levels without its unreadable entries."""
    values = content.get(name)
    if not isinstance(values, dict):
        return {}
    levels = {key: read_level(version, value) for key, value in values.items()}
    return {key: level for key, level in levels.items() if level is not None}


def is_map_of_levels(version: int, value: Json) -> bool:
    """Tell whether this is an object whose values are all levels."""
    if not isinstance(value, dict):
        return False
    return all(read_level(version, level) is not None for level in value.values())


def is_altered(version: int, old: dict[str, Json], new: dict[str, Json], name: str) -> bool:
    """Tell whether a named level was added, changed or removed."""
    if (name in old) != (name in new):
        return True
    return named(version, old, name) != named(version, new, name)


def differing(
    version: int, content: dict[str, Json], other: dict[str, Json], name: str
) -> dict[str, int]:
    """Collect the entries of a map that the other's map lacks or has otherwise."""
    others = entries(version, other, name)
    levels = entries(version, content, name)
    return {key: level for key, level in levels.items() if others.get(key) != level}


def public_keys(content: dict[str, Json]) -> Iterator[bytes]:
    """Yield the usable keys of a third-party-invite event."""
    listed = content.get("public_keys")
    further = listed if isinstance(listed, list) else []
    for holder in (content, *further):
        key = decode_base64(dig(holder, "public_key"), url_safe=True)
        if len(key) == 32:
            yield key


def is_signed_by_any(signed: dict[str, Json], keys: Iterator[bytes]) -> bool:
    """Tell whether any signature on the object verifies with any of the keys."""
    unsigned = ("signatures", "unsigned")
    covered = {name: value for name, value in signed.items() if name not in unsigned}
    try:
        message = encode_canonical_json(covered)
    except (ValueError, RecursionError):
        return False
    signatures = list(ed25519_signatures(signed.get("signatures")))
    candidates = set(keys)
    # The limit of this library, not of the specification: docs/explanation/conformance.md.
    by_server = signed.get("signatures")
    entries = by_server.values() if isinstance(by_server, dict) else ()
    key_ids = [key_id for by_id in entries if isinstance(by_id, dict) for key_id in by_id]
    if len(candidates) * sum(key_id.startswith("ed25519:") for key_id in key_ids) > 32:
        return False
    return any(verifies(key, message, signature) for key in candidates for signature in signatures)


def ed25519_signatures(signatures: Json) -> Iterator[bytes]:
    """Yield the well-formed Ed25519 signatures under any server name."""
    by_server = signatures.values() if isinstance(signatures, dict) else ()
    for by_key_id in by_server:
        if not isinstance(by_key_id, dict):
            continue
        for key_id, text in by_key_id.items():
            signature = decode_base64(text, url_safe=False)
            if key_id.startswith("ed25519:") and len(signature) == 64:
                yield signature


def verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the signature of this message was made with this key."""
    try:
        VerifyKey(key).verify(message, signature)
    except BadSignatureError:
        return False
    return True


def decode_base64(text: Json, *, url_safe: bool) -> bytes:
    """Decode padded or unpadded Base64, to nothing when it is malformed."""
    if not isinstance(text, str):
        return b""
    if url_safe and re.fullmatch(r"[0-9A-Za-z_-]*={0,2}", text):
        text = text.translate({ord("-"): "+", ord("_"): "/"})
    if not re.fullmatch(r"[0-9A-Za-z+/]*={0,2}", text):
        return b""
    digits = text.rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return b""
