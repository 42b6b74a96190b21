"""Summaries of rooms, spaces, policy lists, and transactions.

The expected values are written here by hand, except the summaries in answers about spaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix_membership import Event, RoomVersion
from matrix_membership.hashing import event_id
from matrix_membership.room_summary import with_children
from matrix_membership.room_versions import V1, V6, V7, V8, V10, V11, V12
from tests.builders import ANA, BEN, CAY, DAN
from tests.vectors.story import Story, pdus

Json = dict[str, Any]

NOBODY: Final = "nobody"
CLUB: Final = "!club:a.example"
FRED: Final = "@fred:d.example"

RULES: Final[Mapping[str, tuple[RoomVersion, Json]]] = {
    "public": (V1, {"join_rule": "public"}),
    "invite": (V1, {"join_rule": "invite"}),
    "private": (V1, {"join_rule": "private"}),
    "knock": (V7, {"join_rule": "knock"}),
    "restricted": (V8, {"join_rule": "restricted"}),
    "knock_restricted": (V10, {"join_rule": "knock_restricted"}),
}
"""Join rules, each with the version in which it comes."""

ALL_TOLD: Final[Json] = {
    "room_type": "m.space",
    "name": "Cheese",
    "topic": "Tasty",
    "avatar_url": "mxc://a.example/brie",
    "canonical_alias": "#cheese:a.example",
    "encryption": "m.megolm.v1.aes-sha2",
}
"""The optional fields of a room's summary."""

OPEN: Final = ("public", "knock", "knock_restricted")
"""The rules with which a room is shown to all."""


def summaries() -> Iterator[Json]:
    """Rooms with the summaries that they give, and who gets them."""
    for version in (V1, V7, V8, V10, V11, V12):
        for rule, (since, content) in RULES.items():
            if int(version.identifier) >= int(since.identifier):
                for readable in (False, True):
                    yield _summary(version, rule, content, readable=readable)


def _summary(version: RoomVersion, rule: str, content: Json, *, readable: bool) -> Json:
    story = Story(version, **({"type": "m.space"} if readable else {}))
    limited = "restricted" in rule
    allow = {"allow": [{"type": "m.room_membership", "room_id": CLUB}]} if limited else {}
    story.set("m.room.join_rules", {**content, **allow})
    story.member(ANA, BEN, "invite")
    story.member(ANA, CAY, "ban")
    if readable:
        for kind, told in (
            ("m.room.history_visibility", {"history_visibility": "world_readable"}),
            ("m.room.guest_access", {"guest_access": "can_join"}),
            ("m.room.name", {"name": "Cheese"}),
            ("m.room.topic", {"topic": "old", "m.topic": {"m.text": [{"body": "Tasty"}]}}),
            ("m.room.avatar", {"url": "mxc://a.example/brie"}),
            ("m.room.canonical_alias", {"alias": "#cheese:a.example", "alt_aliases": []}),
            ("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}),
        ):
            story.set(kind, told)
    everybody = readable or rule in OPEN
    shown = {
        ANA: True,
        BEN: True,
        CAY: readable,
        DAN: everybody,
        FRED: everybody or limited,
        "a.example": True,
        "b.example": True,
        "c.example": everybody,
        "d.example": everybody or limited,
        NOBODY: everybody,
    }
    return {
        "id": f"v{version}/{rule}{'-world-readable' if readable else ''}",
        "room_version": version.identifier,
        "state": pdus(story.state.events),
        "summary": {
            "room_id": story.room_id,
            "num_joined_members": 1,
            "world_readable": readable,
            "guest_can_join": readable,
            "room_version": version.identifier,
            "join_rule": rule,
            **({"allowed_room_ids": [CLUB]} if limited else {}),
            **(ALL_TOLD if readable else {}),
        },
        "memberships": {CLUB: [FRED]},
        "shown_to": shown,
    }


def spaces() -> Iterator[Json]:
    """Spaces, with what users and servers get of their trees."""
    for version in (V1, V6, V11, V12):
        yield _space(version)


def _space(version: RoomVersion) -> Json:
    rooms = {
        name: Story(version, name, **({"type": "m.space"} if name in ("top", "sub") else {}))
        for name in ("top", "sub", "open", "closed", "read", "deep")
    }
    for name, story in rooms.items():
        rule = "invite" if name in ("closed", "read") else "public"
        story.set("m.room.join_rules", {"join_rule": rule})
    rooms["read"].set("m.room.history_visibility", {"history_visibility": "world_readable"})
    rooms["closed"].member(ANA, BEN, "invite")
    via = {"via": ["a.example"]}
    named = {name: story.room_id for name, story in rooms.items()}
    for child, content in (
        ("open", {**via, "order": "b"}),
        ("closed", {**via, "order": "a", "suggested": True}),
        ("read", {**via, "order": "not\tgood"}),
        ("sub", via),
        ("deep", {"via": []}),
    ):
        rooms["top"].set("m.space.child", content, named[child])
    for child in ("deep", "top", "open"):
        rooms["sub"].set("m.space.child", via, named[child])
    orders = {
        ANA: ("top", "closed", "open", "read", "sub", "deep"),
        BEN: ("top", "closed", "open", "read", "sub", "deep"),
        CAY: ("top", "open", "read", "sub", "deep"),
    }
    children = {
        "b.example": ("closed", "open", "read", "sub"),
        "c.example": ("open", "read", "sub"),
    }
    return {
        "id": f"v{version}/space",
        "room_version": version.identifier,
        "space": named["top"],
        "rooms": {story.room_id: pdus(story.state.events) for story in rooms.values()},
        "trees": {user: [named[name] for name in names] for user, names in orders.items()},
        "answers": {
            server: {
                "room": with_children(rooms["top"].state),
                "children": [with_children(rooms[name].state) for name in names],
                "inaccessible_children": [] if "closed" in names else [named["closed"]],
            }
            for server, names in children.items()
        },
    }


POLICIES: Final[tuple[tuple[str, str, Json], ...]] = (
    ("user", "one", {"entity": "@mal:evil.example", "recommendation": "m.ban", "reason": "spam"}),
    ("user", "many", {"entity": "@bot?:*", "recommendation": "m.ban", "reason": "bots"}),
    ("server", "server", {"entity": "*.evil.example", "recommendation": "m.ban", "reason": ""}),
    ("room", "room", {"entity": "!bad:*", "recommendation": "m.ban", "reason": ""}),
    ("room", "alias", {"entity": "#bad*:a.example", "recommendation": "m.ban", "reason": ""}),
    ("user", "other", {"entity": "@odd:b.example", "recommendation": "org.example.look"}),
    ("user", "taken-back", {}),
    ("server", "no-text", {"entity": "b.example", "recommendation": 5}),
    ("server", "no-entity", {"recommendation": "m.ban"}),
    ("space", "no-kind", {"entity": "*", "recommendation": "m.ban"}),
)

# Entities with the state keys of the rules that match them.
MATCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "@mal:evil.example": ("one",),
    "@MAL:evil.example": ("one",),
    "@mal:x.evil.example": ("server",),
    "@mal:x.evil.example:8448": ("server",),
    "x.evil.example": ("server",),
    "evil.example": (),
    "@bot7:b.example": ("many",),
    "@bot77:b.example": (),
    "@bot:b.example": (),
    "@bot7:x.evil.example": ("many", "server"),
    "@odd:b.example": ("other",),
    "b.example": (),
    "!bad:b.example": ("room",),
    "!badly:b.example": (),
    "#bad:a.example": ("alias",),
    "#badly:a.example": ("alias",),
    "#bad:b.example": (),
}


def policies() -> Iterator[Json]:
    """Policy lists, with the entities that their rules match."""
    for version in (V1, V12):
        story = Story(version)
        for kind, key, content in POLICIES:
            story.set(f"m.policy.rule.{kind}", content, key)
        told = {key: content for _, key, content in POLICIES}
        yield {
            "id": f"v{version}/policies",
            "room_version": version.identifier,
            "state": pdus(story.state.events),
            "matches": {name: sorted(keys) for name, keys in MATCHED.items()},
            "banned": [
                name
                for name, keys in MATCHED.items()
                if any(told[key].get("recommendation") == "m.ban" for key in keys)
            ],
        }


def transactions() -> Iterator[Json]:
    """Transactions, with the treatment of each part."""
    for version in (V1, V11, V12):
        yield from _transactions(version)


def _transactions(version: RoomVersion) -> Iterator[Json]:
    story, other = Story(version), Story(version, "closed")
    for room in (story, other):
        room.set("m.room.join_rules", {"join_rule": "public"})
        room.join(BEN)
    other.set("m.room.server_acl", {"allow": ["*"], "deny": ["b.example"]})
    away = Story(version, "away")
    states = {room.room_id: pdus(room.state.events) for room in (story, other)}
    first, second, third = (story.message(BEN, text) for text in ("1", "2", "3"))
    denied = other.message(BEN, "let me in")
    elsewhere = away.message(BEN, "not yours")
    broken = {**third.to_pdu(), "depth": "deep", "content": {"body": "broken"}}
    typing = {
        room.room_id: {
            "edu_type": "m.typing",
            "content": {"room_id": room.room_id, "user_id": BEN, "typing": True},
        }
        for room in (story, other)
    }
    receipts = {
        room.room_id: {"m.read": {BEN: {"data": {"ts": 1}, "event_ids": [first.event_id]}}}
        for room in (story, other)
    }
    own = {story.room_id: receipts[story.room_id]}
    presence = {"edu_type": "m.presence", "content": {"push": []}}

    def case(name: str, body: Json, order: tuple[Event, ...] = (), **more: Any) -> Json:
        return {
            "id": f"v{version}/{name}",
            "room_version": version.identifier,
            "origin": "b.example",
            "rooms": states,
            "transaction": {"origin": "b.example", "origin_server_ts": 1, **body},
            "status": 200,
            "order": [event.event_id for event in order],
            "refused": [],
            "edus": [],
            **more,
        }

    yield case("in-order", {"pdus": pdus([first, second, third])}, (first, second, third))
    yield case("backwards", {"pdus": pdus([third, second, first])}, (first, second, third))
    yield case("twice", {"pdus": pdus([first, first])}, (first,))
    yield case(
        "denied",
        {"pdus": pdus([denied, first])},
        (first,),
        refused=[denied.event_id],
    )
    yield case("elsewhere", {"pdus": pdus([elsewhere, first])}, (first,))
    yield case(
        "broken", {"pdus": [broken, *pdus([first])]}, (first,), refused=_ids(broken, version)
    )
    yield case(
        "edus",
        {
            "pdus": [],
            "edus": [
                *typing.values(),
                {"edu_type": "m.receipt", "content": receipts},
                presence,
            ],
        },
        edus=[typing[story.room_id], {"edu_type": "m.receipt", "content": own}, presence],
    )
    if version is V11:
        yield case("too-many-pdus", {"pdus": [{}] * 51}, status=400)
        yield case("too-many-edus", {"pdus": [], "edus": [presence] * 101}, status=400)
        yield case("without-pdus", {}, status=400)


def _ids(pdu: Json, version: RoomVersion) -> list[str]:
    """The ID under which to answer of a PDU that cannot be read."""
    return [pdu["event_id"] if version.event_id_in_pdu else event_id(pdu, version)]
