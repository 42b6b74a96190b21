"""Cases by the hundred thousand: a room and an event, as plain PDUs, from one seed each.

The same seed gives the same case anywhere, so that engines in other processes, of other
people too, can be asked about it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import attrs

from matrix_membership import Event
from matrix_membership.room_versions import KNOWN, RoomVersion
from tests.builders import IDENTITY, signed_invite

Pdu = dict[str, Any]

USERS: Final = ("@ana:a.example", "@ben:b.example", "@cay:c.example", "@dan:a.example")
CREATOR: Final = USERS[0]
MEMBERSHIPS: Final = ("join", "join", "invite", "leave", "ban", "knock", None)
JOIN_RULES: Final = (
    "public",
    "invite",
    "knock",
    "restricted",
    "knock_restricted",
    "private",
    "dance",
)
NAMED: Final = (
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
)
EVENT_TYPES: Final = (
    "m.room.power_levels",
    "m.room.topic",
    "m.room.message",
    "m.room.third_party_invite",
    "m.room.aliases",
    "m.room.redaction",
)
JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    7,
    "",
    "x",
    "join",
    [],
    {},
    ["@ben:b.example"],
    {"signed": None},
    "@ben",
    "@:b.example",
)
LEVELS: Final = (0, 10, 49, 50, 50, 51, 99, 100, -1)
ODD_LEVELS: Final[tuple[Any, ...]] = (
    "50",
    " +050 ",
    "-1",
    "1_0",
    "x",
    "",
    "\u0665",
    "\x1f50",
    "\xa050",
    "5.0",
    True,
    None,
    [],
    {},
    2**53 - 1,
)
FLOATS: Final = (50.57, 0.5, -0.9, 1e3)


@attrs.frozen
class GeneratedCase:
    """A room and an event.

    Attributes:
        version: the room version's identifier.
        state: the state: event IDs and PDUs, the create event first.
        event_id: the ID of the event that is judged.
        event: its PDU.
        signed_by: the servers whose signature on it is good.
    """

    seed: int
    version: str
    state: tuple[tuple[str, Pdu], ...]
    event_id: str
    event: Pdu
    signed_by: frozenset[str]

    @property
    def by_place(self) -> Mapping[tuple[str, str], Pdu]:
        """The state by type and state key."""
        return {(pdu["type"], pdu["state_key"]): pdu for _, pdu in self.state}


def generate(seed: int, version: str | None = None) -> GeneratedCase:
    """The case of a seed, in a version of its own choice or in this one."""
    rng = random.Random(f"{seed}")
    known = KNOWN[version or rng.choice(tuple(KNOWN))]
    return _Generator(seed, rng, known).case()


@cache
def _signed(mxid: str, token: str) -> Any:
    return signed_invite(mxid, token)


class _Generator:
    def __init__(self, seed: int, rng: random.Random, version: RoomVersion) -> None:
        self.seed = seed
        self.rng = rng
        self.version = version
        self.made = 0
        self.room_id = "!r:a.example"
        self.state: list[tuple[str, Pdu]] = []

    def case(self) -> GeneratedCase:
        self.add("m.room.create", CREATOR, self.created(), "")
        if self.version.room_id_is_create_event:
            self.room_id = "!" + self.state[0][0][1:]
        for user in USERS:
            self.member(user)
        if self.chance(0.8):
            self.add("m.room.join_rules", CREATOR, self.join_rules(), "")
        if self.chance(0.75):
            self.add("m.room.power_levels", CREATOR, self.power_levels(), "")
        if self.chance(0.3):
            self.add("m.room.third_party_invite", self.user(), self.stored_invite(), "tok")
        sender, kind, content, state_key, more = self.judged()
        servers = {sender.partition(":")[2]}
        servers |= {name for name in ("a.example", "b.example") if self.chance(0.6)}
        event_id, event = self.pdu(kind, sender, content, state_key, **more)
        return GeneratedCase(
            self.seed,
            self.version.identifier,
            tuple(self.state),
            event_id,
            event,
            frozenset(servers),
        )

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def user(self) -> str:
        return self.rng.choice(USERS)

    def pdu(
        self, kind: str, sender: str, content: Any, state_key: str | None, **more: Any
    ) -> tuple[str, Pdu]:
        self.made += 1
        in_pdu = self.version.event_id_in_pdu
        event_id = f"$e{self.made}:a.example" if in_pdu else "$" + f"{self.made}".rjust(43, "e")
        prev = "$p:a.example" if in_pdu else "$" + "p" * 43
        pdu: Pdu = {
            "type": kind,
            "sender": sender,
            "content": content,
            "room_id": self.room_id,
            "depth": self.made,
            "origin_server_ts": 1_000 + self.made,
            "prev_events": [] if kind == "m.room.create" else [[prev, {}] if in_pdu else prev],
            "auth_events": [],
            "hashes": {"sha256": "x"},
            "signatures": {},
            **more,
        }
        if state_key is not None:
            pdu["state_key"] = state_key
        if in_pdu:
            pdu["event_id"] = event_id
        if self.version.room_id_is_create_event and kind == "m.room.create":
            del pdu["room_id"]
        return event_id, pdu

    def add(self, kind: str, sender: str, content: Any, state_key: str) -> None:
        self.state.append(self.pdu(kind, sender, content, state_key))

    def created(self) -> Pdu:
        content: Pdu = {"room_version": self.version.identifier}
        if self.version.creator_in_content:
            content["creator"] = self.rng.choice((CREATOR, CREATOR, CREATOR, USERS[1]))
        if self.chance(0.15):
            content["m.federate"] = self.rng.choice((False, False, True, None, 0, "false"))
        if self.chance(0.3):
            content["additional_creators"] = [self.user()]
        return content

    def member(self, user: str) -> None:
        membership = self.rng.choice(MEMBERSHIPS) if user != CREATOR or self.chance(0.3) else "join"
        if membership is not None:
            self.add("m.room.member", user, {"membership": membership}, user)

    def join_rules(self) -> Any:
        if self.chance(0.06):
            return {"join_rule": self.rng.choice(JUNK)} if self.chance(0.7) else {}
        return {"join_rule": self.rng.choice(JOIN_RULES)}

    def level(self) -> Any:
        if self.chance(0.05):
            floats = FLOATS if self.version.float_levels else ()
            return self.rng.choice(ODD_LEVELS + floats)
        return self.rng.choice(LEVELS)

    def power_levels(self) -> Pdu:
        content: Pdu = {name: self.level() for name in NAMED if self.chance(0.35)}
        if self.chance(0.9):
            content["users"] = {user: self.level() for user in USERS if self.chance(0.5)}
            if self.chance(0.04):
                content["users"]["ben"] = 5
        for name, keys in (("events", EVENT_TYPES), ("notifications", ("room", "x"))):
            if self.chance(0.4):
                content[name] = {key: self.level() for key in keys if self.chance(0.4)}
        if self.chance(0.04):
            content[self.rng.choice(("users", "events", "notifications"))] = self.rng.choice(JUNK)
        return content

    def stored_invite(self) -> Any:
        key = IDENTITY.verify_key
        return self.rng.choice(
            (
                {"public_key": key},
                {"public_key": key},
                {"public_keys": [{"public_key": key}]},
                {"public_key": "A" * 43, "public_keys": [{"public_key": key}]},
                {},
                {"public_key": "A" * 43},
                {"public_key": None, "public_keys": "x"},
            )
        )

    def judged(  # noqa: PLR0911 - one for each kind of event
        self,
    ) -> tuple[str, str, Any, str | None, Pdu]:
        """Sender, type, content, state key and more fields of the event."""
        sender = self.user()
        if self.chance(0.62):
            return self.membership(sender)
        kind = self.rng.choice(("m.room.power_levels", *EVENT_TYPES, "m.room.create", "x.state"))
        match kind:
            case "m.room.power_levels":
                key = "" if self.chance(0.95) else "x"
                return sender, kind, self.changed_levels(), key, {}
            case "m.room.message":
                return sender, kind, {"body": "hello"}, None, {}
            case "m.room.redaction":
                names = ("$x:a.example", "$x:b.example", None, 5, "x", "$" + "x" * 43)
                return sender, kind, {}, None, {"redacts": self.rng.choice(names)}
            case "m.room.aliases":
                keys = ("a.example", "b.example", "c.example", None)
                return sender, kind, {"aliases": []}, self.rng.choice(keys), {}
            case "m.room.third_party_invite":
                return sender, kind, self.stored_invite(), self.rng.choice(("tok", "@x")), {}
            case "m.room.create":
                return sender, kind, self.rng.choice((self.created(), {})), "", {}
        return sender, kind, {}, self.rng.choice(("", sender, self.user(), "@x", None)), {}

    def membership(self, sender: str) -> tuple[str, str, Any, str | None, Pdu]:
        wanted: Any = self.rng.choice(("join", "join", "invite", "leave", "ban", "knock"))
        target: str | None = self.user()
        if wanted in ("join", "knock") and self.chance(0.85):
            target = sender
        content: Pdu = {"membership": wanted}
        if self.chance(0.04):
            content = self.rng.choice(({}, {"membership": self.rng.choice(JUNK)}))
        if self.chance(0.02):
            target = self.rng.choice((None, "", "x", "@ben"))
        if self.chance(0.25 if wanted == "join" else 0.04):
            via = self.rng.choice((*USERS, self.rng.choice(JUNK)))
            content["join_authorised_via_users_server"] = via
        if self.chance(0.3 if wanted == "invite" else 0.03):
            content["third_party_invite"] = self.third_party(target or "")
        more: Pdu = {}
        if wanted == "join" and self.chance(0.1):
            create = self.state[0][0]
            more["prev_events"] = [[create, {}] if self.version.event_id_in_pdu else create]
        return sender, "m.room.member", content, target, more

    def third_party(self, target: str) -> Any:
        if self.chance(0.15):
            return self.rng.choice(JUNK)
        mxid = target if self.chance(0.85) else self.user()
        signed = _signed(mxid, "tok" if self.chance(0.85) else "other")
        if self.chance(0.2):
            odd = dict(signed["signed"])
            key = self.rng.choice(("mxid", "token", "signatures", "more"))
            odd[key] = self.rng.choice(JUNK)
            return {"signed": odd}
        return signed

    def changed_levels(self) -> Pdu:
        """Mostly the levels of the room with a few changes, for those rules are rarely met."""
        current = next(
            (pdu["content"] for _, pdu in self.state if pdu["type"] == "m.room.power_levels"), None
        )
        if current is None or self.chance(0.2):
            return self.power_levels()
        changed = {**current}
        other = self.power_levels()
        for key in self.rng.sample(sorted(other), k=min(len(other), self.rng.randint(0, 2))):
            old, new = changed.get(key), other[key]
            if isinstance(old, dict) and isinstance(new, dict) and new:
                name = self.rng.choice(sorted(new))
                changed[key] = {**old, name: new[name]}
            else:
                changed[key] = new
        return changed


def events_of(
    case: GeneratedCase, known: Mapping[str, RoomVersion] = KNOWN
) -> tuple[list[Event], Event]:
    """The state and the event of a case, as events."""
    version = known[case.version]
    state = [Event.from_pdu(pdu, version, event_id=name) for name, pdu in case.state]
    event = Event.from_pdu(case.event, version, event_id=case.event_id)
    return state, event.with_signers(case.signed_by)
