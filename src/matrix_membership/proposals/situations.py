"""Small situations: an event and the state before it, for any room version.

The list is fixed, so that two runs compare the same. It is exhaustive in what the rules on
members read: the memberships of two users, their power, the join rule and the move. For the
other chapters it has the contents that the rules tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import product
from json import dumps
from typing import Final

from matrix_membership import auth
from matrix_membership._attrs import frozen
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import JsonObject, JsonValue, freeze, thaw
from matrix_membership.events import Event
from matrix_membership.identifiers import ServerName, server_of
from matrix_membership.membership import JOIN_RULES, MEMBERSHIPS
from matrix_membership.room_versions import RoomVersion, require_room_version
from matrix_membership.state import RoomState

ANA: Final = "@ana:a.example"
BEN: Final = "@ben:b.example"
CAY: Final = "@cay:c.example"

# All servers count as having signed, so that signatures decide only where a situation is about
# them.
SIGNERS: Final = frozenset(map(ServerName, ("a.example", "b.example", "c.example")))
CREATE_ID: Final = "$" + "c" * 43
"""The ID of the create event, which versions 1 and 2 write otherwise."""

VIA: Final = "join_authorised_via_users_server"


@frozen
class Situation:
    """An event and the state before it, to be judged in any room version.

    Attributes:
        state: the state events, in the format of a client.
        event: the event.
        signed_by: the servers that have signed it.

    .. versionadded:: 0.1.0
    """

    state: tuple[JsonObject, ...]
    event: JsonObject
    signed_by: frozenset[ServerName] = SIGNERS

    @staticmethod
    def of(event: Event, state: Iterable[Event]) -> Situation:
        """Make the situation of an event and the state events before it."""
        listed = tuple(state)
        before = tuple([_document(entry) for entry in listed])
        document = _document(event)
        creates = [entry.event_id for entry in listed if entry.type == "m.room.create"]
        # The create event gets another ID in each version.
        if creates and event.prev_events == (creates[0],):
            document = JsonObject({**document, "prev_events": (CREATE_ID,)})
        return Situation(before, document, event.signed_by)

    def event_in(self, room_version: RoomVersion) -> Event:
        """Return the event as an event of a room version.

        Raises:
            InvalidEvent: the event breaks the format of this version.
        """
        return _read(self.event, room_version).with_signers(self.signed_by)

    def state_in(self, room_version: RoomVersion) -> RoomState:
        """Return the state as a room of this version would have it.

        The create event names the version, and the creator if the version asks for it. If
        creators are privileged, the power levels do not list them.

        Raises:
            InvalidEvent: an event breaks the format of this version.
        """
        return _state(self.state, room_version)

    def decision_in(self, room_version: RoomVersion) -> Decision:
        """Judge the event by the rules of a version.

        An error that a rule of one's own raises gets the situation as a note.
        """
        event, state = self.event_in(room_version), self.state_in(room_version)
        try:
            return auth.check(event, state)
        except Exception as error:
            error.add_note(f"when room version {room_version} judged\n{self}")
            raise

    @property
    def size(self) -> tuple[int, int]:
        """The number of events, and that of the characters in them."""
        return len(self.state), len(str(self))

    def __str__(self) -> str:
        """Return the state and the event, a line for each."""
        return "\n".join([*map(_line, self.state), f"then {_line(self.event)}"])

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the situation as a JSON object."""
        return {
            "state": [thaw(entry) for entry in self.state],
            "event": thaw(self.event),
            "signed_by": sorted(self.signed_by),
        }


def _document(event: Event) -> JsonObject:
    # Neither hashes nor signatures: another version would have others, and `signed_by` says who
    # signed.
    kept = ["type", "sender", "state_key", "content", "redacts"]
    if event.type != "m.room.create":
        kept.append("event_id")
    elif server_of(event.room_id) not in ("", event.server):
        kept.append("room_id")  # of another server, which rule 1.2 is about
    document = {key: event.document[key] for key in kept if key in event.document}
    if event.type == "m.room.create":
        own = event.room_version.identifier
        # Left out where it names the own version: it is then filled in for each version.
        content = {k: v for k, v in event.content.items() if (k, v) != ("room_version", own)}
        document["content"] = JsonObject(content)
    if event.prev_events:
        document["prev_events"] = event.prev_events
    return JsonObject(document)


def _line(document: JsonObject) -> str:
    key = f" {document['state_key']}" if document.get("state_key") else ""
    return f"{document['sender']}: {document['type']}{key} {dumps(thaw(document['content']))}"


def _read(document: JsonObject, room_version: RoomVersion) -> Event:
    require_room_version(room_version)
    if document["type"] == "m.room.create":
        content = _created(document["content"], document["sender"], room_version)
        document = JsonObject({**document, "content": content})
        if not room_version.room_id_is_create_event:
            room_id = f"!r:{server_of(str(document['sender']))}"
            document = JsonObject({"room_id": room_id, **document})
        event_id = "$create:a.example" if room_version.event_id_in_pdu else CREATE_ID
        document = JsonObject({"event_id": event_id, **document})
    previous = document.get("prev_events", ())
    if room_version.event_id_in_pdu and isinstance(previous, tuple):
        # Versions 1 and 2 write a reference as a pair of an event ID and hashes.
        ids = ["$create:a.example" if name == CREATE_ID else name for name in previous]
        pairs: JsonValue = tuple([(name, {}) for name in ids])
        document = JsonObject({**document, "prev_events": pairs})
    return Event.from_client_event(document, room_version)


def _created(
    content: JsonValue, sender: JsonValue, room_version: RoomVersion
) -> Mapping[str, JsonValue]:
    """Return the content of a create event, with the fields that a version asks for."""
    given = content if isinstance(content, Mapping) else {}
    made: dict[str, JsonValue] = {"room_version": room_version.identifier}
    if room_version.creator_in_content:
        made["creator"] = sender
    # A key that is given as null is one that the situation is to lack.
    return {key: value for key, value in {**made, **given}.items() if value is not None}


# A state is judged with several events by two versions, and making it costs more than a check. The
# list has 1,700 states. Cases of others come once each, and would fill the memory.
@lru_cache(maxsize=4096)
def _state(documents: tuple[JsonObject, ...], room_version: RoomVersion) -> RoomState:
    state = RoomState.of(room_version, [_read(entry, room_version) for entry in documents])
    creators = state.create.privileged
    if creators.isdisjoint(state.power_levels.users):
        return state
    kept = [_without(creators, entry) for entry in documents]
    return RoomState.of(room_version, [_read(entry, room_version) for entry in kept])


def _without(creators: AbstractSet[str], document: JsonObject) -> JsonObject:
    """Return power levels that do not list these users; any other event as it is."""
    content = document["content"]
    listed = content.get("users") if isinstance(content, Mapping) else None
    is_levels = document["type"] == "m.room.power_levels"
    if not (is_levels and isinstance(content, Mapping) and isinstance(listed, Mapping)):
        return document
    users = {user: level for user, level in listed.items() if user not in creators}
    return JsonObject({**document, "content": {**content, "users": users}})


# ------------------------------------------------------------------ the list


def situations(own_join_rules: Iterable[str] = ()) -> Iterator[Situation]:
    """Yield the situations, simple ones first. There are some thousands.

    Args:
        own_join_rules: further join rules, of a version of one's own.
    """
    yield from _creations()
    yield from _own_moves()
    yield from _moves_of_others()
    yield from _other_events()
    yield from _level_changes()
    yield from _by_join_rules(own_join_rules)


def _event(
    kind: str, sender: str, content: Mapping[str, JsonValue], key: str | None = None
) -> JsonObject:
    fields: dict[str, JsonValue] = {"type": kind, "sender": sender, "content": content}
    if key is not None:
        fields["state_key"] = key
    return JsonObject(freeze(fields))


def member_event(user: str, membership: str, *, sender: str = "", **more: JsonValue) -> JsonObject:
    """Return the member event of a user."""
    content: dict[str, JsonValue] = {"membership": membership, **more}
    return _event("m.room.member", sender or user, content, user)


def levels_event(content: Mapping[str, JsonValue], *, sender: str = ANA) -> JsonObject:
    """Return power levels of a content."""
    return _event("m.room.power_levels", sender, content, "")


def join_rule_event(join_rule: str, *, sender: str = ANA) -> JsonObject:
    """Return join rules."""
    return _event("m.room.join_rules", sender, {"join_rule": join_rule}, "")


CREATE: Final = _event("m.room.create", ANA, {}, "")
_UNFEDERATED: Final = _event("m.room.create", ANA, {"m.federate": False}, "")
_ANA_JOINED: Final = member_event(ANA, "join")
_USUAL: Final = levels_event({"users": {ANA: 100}})
_UNLISTED: Final = levels_event({"invite": 50})
"""Power levels that give the creator nothing."""

_BASE: Final = (CREATE, _ANA_JOINED, _USUAL)

_BEFORE: Final = ("", *MEMBERSHIPS)
"""The memberships that a user may have before; empty for none."""

# A membership that no version knows shows what becomes of a word that a proposal adds.
_AFTER: Final = (*MEMBERSHIPS, "org.example.other")
_RULES: Final = ("", *JOIN_RULES, "org.example.other")


def _had(user: str, membership: str) -> tuple[JsonObject, ...]:
    return (member_event(user, membership),) if membership else ()


def _rule(join_rule: str) -> tuple[JsonObject, ...]:
    if not join_rule:
        return ()
    return (join_rule_event(join_rule),)


def _creations() -> Iterator[Situation]:
    """Yield create events."""
    contents: tuple[Mapping[str, JsonValue], ...] = (
        {},
        {"creator": None},
        {"room_version": "org.example.unknown"},
        {"room_version": 1},
        {"additional_creators": [BEN]},
        {"additional_creators": ["ben"]},
        {"additional_creators": BEN},
    )
    for content in contents:
        yield Situation((), _event("m.room.create", ANA, content, ""))
    yield Situation((), JsonObject({**CREATE, "prev_events": ("$" + "p" * 43,)}))
    yield Situation((), JsonObject({**CREATE, "room_id": "!r:b.example"}))


def _own_moves() -> Iterator[Situation]:
    """Yield what a user does with their own membership."""
    for join_rule, before, after in product(_RULES, _BEFORE, _AFTER):
        state = (*_BASE, *_rule(join_rule), *_had(BEN, before))
        yield Situation(state, member_event(BEN, after))
        if after == "join":
            for authoriser in (ANA, CAY):
                yield Situation(state, member_event(BEN, after, **{VIA: authoriser}))
    first = JsonObject({**member_event(ANA, "join"), "prev_events": (CREATE_ID,)})
    yield Situation((CREATE,), first)
    unsigned = member_event(BEN, "join", **{VIA: ANA})
    yield Situation((*_BASE, *_rule("restricted")), unsigned, frozenset({ServerName("b.example")}))
    for membership, sender in (
        ("leave", BEN),
        ("ban", ANA),
    ):  # the key stands where it means nothing
        named = member_event(BEN, membership, sender=sender, **{VIA: "@dan:d.example"})
        yield Situation((*_BASE, *_had(BEN, "invite")), named)
    for membership in ("join", "knock"):  # somebody else, with all power
        yield Situation((*_BASE, *_rule("knock")), member_event(BEN, membership, sender=ANA))
    yield Situation(_BASE, _event("m.room.member", ANA, {"membership": "join"}, "ben"))
    yield Situation(_BASE, _event("m.room.member", ANA, {}, ANA))
    for before, after in product(_BEFORE, _AFTER):
        base = (_UNFEDERATED, _ANA_JOINED, *_rule("public"), *_had(BEN, before))
        yield Situation(base, member_event(BEN, after))


def _by_join_rules(join_rules: Iterable[str]) -> Iterator[Situation]:
    """Yield what users of several levels do by join rules that no version has."""
    cases = product(join_rules, (0, 49, 50, 100), _BEFORE, _AFTER)
    for join_rule, level, before, after in cases:
        levels = levels_event({"users": {ANA: 100, BEN: level}})
        state = (CREATE, _ANA_JOINED, levels, *_rule(join_rule), *_had(BEN, before))
        yield Situation(state, member_event(BEN, after))
        if after == "join":
            yield Situation(state, member_event(BEN, after, **{VIA: ANA}))


_NEEDED: Final = 50
_AROUND: Final = (0, _NEEDED - 1, _NEEDED, _NEEDED + 1)
_POWERS: Final = tuple(product(_AROUND, _AROUND))
"""Levels of sender and target, around the 50 that an invite, a kick and a ban need."""


def _moves_of_others() -> Iterator[Situation]:
    """Yield what a user does with the membership of another one."""
    for (own, other), sender, target, after in product(_POWERS, _BEFORE, _BEFORE, _AFTER):
        if sender != "join" and own != _NEEDED:
            continue  # a user who is not joined has no power to look at
        levels = levels_event({"users": {ANA: 100, BEN: own, CAY: other}, "invite": 50})
        state = (CREATE, _ANA_JOINED, levels, *_had(BEN, sender), *_had(CAY, target))
        yield Situation(state, member_event(CAY, after, sender=BEN))
    for before, after in product(_BEFORE, _AFTER):  # by the creator
        move = member_event(CAY, after, sender=ANA)
        yield Situation((*_BASE, *_had(CAY, before)), move)
        yield Situation((_UNFEDERATED, _ANA_JOINED, _USUAL, *_had(CAY, before)), move)
        yield Situation((CREATE, _ANA_JOINED, _UNLISTED, *_had(CAY, before)), move)
        # A creator as the target: somebody of the highest level that an event can give.
        levels = levels_event({"users": {ANA: 100, BEN: 2**53 - 1}})
        state = (CREATE, *_had(ANA, before), levels, member_event(BEN, "join"))
        yield Situation(state, member_event(ANA, after, sender=BEN))


def _other_events() -> Iterator[Situation]:
    """Yield events other than members, by users in and outside the room."""
    events: tuple[tuple[str, Mapping[str, JsonValue], str | None], ...] = (
        ("m.room.message", {}, None),
        ("m.room.name", {"name": "x"}, ""),
        ("m.room.tombstone", {"replacement_room": "!x:a.example"}, ""),
        ("org.example.own", {}, BEN),
        ("org.example.own", {}, f"{BEN}_suffix"),
        ("org.example.own", {}, CAY),
        ("org.example.own", {}, f"{CAY}_suffix"),
        ("org.example.own", {}, "@not a user"),
        ("m.room.aliases", {"aliases": []}, "b.example"),
        ("m.room.aliases", {"aliases": []}, "c.example"),
        ("m.room.aliases", {"aliases": []}, None),
        ("m.room.third_party_invite", {"display_name": "x"}, "token"),
        ("m.room.redaction", {}, None),
        ("m.room.join_rules", {"join_rule": "public"}, ""),
    )
    redaction = _event("m.room.redaction", BEN, {})
    for event_id in ("$of:b.example", "$of:c.example"):
        ids = JsonObject({"event_id": "$redaction:b.example", "redacts": event_id})
        joined = (*_BASE, member_event(BEN, "join"))
        yield Situation(joined, JsonObject({**redaction, **ids}))
    for (kind, content, key), before, level in product(events, ("", "join", "ban"), (0, 50, 100)):
        levels = levels_event({"users": {ANA: 100, BEN: level}, "invite": 50})
        state = (CREATE, _ANA_JOINED, levels, *_had(BEN, before))
        yield Situation(state, _event(kind, BEN, content, key))
    # By the creator: before there are power levels, and if these do not list them.
    for state, (kind, content, key) in product(((), (_UNLISTED,)), events):
        yield Situation((CREATE, _ANA_JOINED, *state), _event(kind, ANA, content, key))


def _level_changes() -> Iterator[Situation]:
    """Yield power levels that replace others."""
    # Below, at and above the sender's level, and the notations that versions read differently.
    names: tuple[JsonValue, ...] = (0, 50, 51, "50", 50.5, None)
    contents: list[Mapping[str, JsonValue]] = [{}]
    contents += [{"ban": value} for value in names]
    contents += [{"invite": value} for value in names]
    contents += [{"events": {"m.room.name": value}} for value in names]
    contents += [{"notifications": {"room": value}} for value in names]
    contents += [{"users": {ANA: 100, BEN: 50, CAY: value}} for value in names]
    users: tuple[JsonValue, ...] = ([], {"cay": 0}, {ANA: 100}, {BEN: 50, CAY: 51})
    contents += [{"users": value} for value in users]
    befores: tuple[Mapping[str, JsonValue], ...] = (
        {"users": {ANA: 100, BEN: 50}},
        {"users": {ANA: 100, BEN: 50, CAY: 60}},
        {"users": {ANA: 100, BEN: 50}, "ban": 51, "events": {"m.room.name": 51}},
        {"users": {ANA: 100, BEN: 50}, "notifications": {"room": 51}},
        {"users": {ANA: "100", BEN: "50"}},
        {"users": {ANA: 100.5, BEN: 50.5}},
    )
    for content, before in product(contents, befores):
        state = (CREATE, _ANA_JOINED, levels_event(before), member_event(BEN, "join"))
        for sender in (BEN, ANA):
            yield Situation(state, _event("m.room.power_levels", sender, content, ""))
            # Without `users` the event takes power from Ben too, and that decides first. Here only
            # the named level changes.
            if "users" not in content:
                kept = {"users": before["users"], **content}
                yield Situation(state, _event("m.room.power_levels", sender, kept, ""))
    for content in contents:  # the first power levels of the room
        yield Situation((CREATE, _ANA_JOINED), _event("m.room.power_levels", ANA, content, ""))
