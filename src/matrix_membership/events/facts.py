"""The facts of an event that rules and states read, gathered once."""

# How it works: rules and states ask the same few questions of every event, thousands of times for
# an answer to send_join. So they are answered once, when the event is read, in slots: who sent it,
# whose membership, which view of its content. `kind` and `case` name the group of rules that can
# apply, which the compiler in `auth` has prepared.

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from matrix_membership._attrs import slots
from matrix_membership.canonical_json import JsonValue
from matrix_membership.events.contents import (
    Create,
    JoinRules,
    PowerLevels,
    SignedInvite,
    ThirdPartyInvite,
    authoriser,
    create_view,
    join_rules_view,
    power_levels_view,
    signed_invite_view,
    third_party_invite_view,
)
from matrix_membership.identifiers import EventID, RoomID, ServerName, UserID, is_user_id, server_of
from matrix_membership.membership import MEMBERSHIPS, UNRECOGNISED, Membership
from matrix_membership.room_versions import RoomVersion

View = Create | JoinRules | PowerLevels | SignedInvite | ThirdPartyInvite

MEMBER_KINDS: Final[Mapping[Membership, str]] = MappingProxyType(
    {membership: f"m.room.member {membership}" for membership in Membership}
)
"""The kinds of well-formed member events, by membership."""

_MEMBER_KINDS: Final = frozenset(MEMBER_KINDS.values())

Case = str
"""The key by which rules are chosen beforehand: a type, the case of a member, or empty."""

MESSAGE: Final[Case] = "no state"
"""The case of a non-state event whose type no rule mentions."""

RULED_TYPES: Final = frozenset(
    {
        "m.room.aliases",
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.redaction",
        "m.room.third_party_invite",
    }
)
"""The types that some rule is about."""


# A text, not a tuple: a text keeps its hash, and each check looks rows up by it.
def case_of(kind: str, *, by_another: bool, authorised: bool, third_party: bool) -> Case:
    """Return the case of a well-formed member event.

    Args:
        kind: its kind.
        by_another: the sender is not the user whose membership it is.
        authorised: it has a `join_authorised_via_users_server`, of any value.
        third_party: it has a `third_party_invite`, of any value.
    """
    more = (("by another", by_another), ("authorised", authorised), ("third party", third_party))
    return ", ".join([kind, *(text for text, holds in more if holds)])


def case_from(facts: Facts, sender: UserID) -> Case:
    """Return the case of an event other than a create event, had this user sent it."""
    if facts.kind not in _MEMBER_KINDS:
        return facts.case
    return case_of(
        facts.kind,
        by_another=facts.state_key != sender,
        authorised=facts.authorised_via is not None,
        third_party=facts.view is not None,
    )


NOBODY: Final[frozenset[ServerName]] = frozenset()


@slots
class Facts:
    """The fields of an event, declared once; `events.Event` explains each.

    An event is made in two steps: `facts_of` fills an object of this class, then the
    class of the object is set to `Event`, which refuses to change. The constructor of a
    frozen class fills through `object.__setattr__`: 2.4 us, where this takes 0.5.

    To type checkers the fields are read-only. The functions that fill them in hold the
    object as `Any`.
    """

    event_id: EventID
    room_version: RoomVersion
    room_id: RoomID
    type: str
    sender: UserID
    server: ServerName
    state_key: str | None
    origin_server_ts: int
    membership: Membership | None
    authorised_via: UserID | None
    authorising_server: ServerName | None
    kind: str
    case: Case
    view: View | None
    signed_by: frozenset[ServerName]
    pdu: bytes
    client_form: bytes
    held: tuple[Any, ...] | None


class Reading(NamedTuple):
    """A way to read the content of an event, by the grammar or leniently.

    Attributes:
        is_user: tells whether a value is a user ID.
        power_levels: makes the view of power levels.
    """

    is_user: Callable[[object], bool]
    power_levels: Callable[[Mapping[str, Any], RoomVersion], PowerLevels]


BY_THE_GRAMMAR: Final = Reading(is_user_id, power_levels_view)


unfilled: Final[Any] = Facts
"""Make the slots of an event, to be filled in."""


def facts_of(
    document: Mapping[str, JsonValue],
    room_version: RoomVersion,
    event_id: EventID,
    make: Any = unfilled,
    *,
    reading: Reading = BY_THE_GRAMMAR,
) -> Any:
    """Fill in the facts of an event of good format; the caller sets its bytes.

    Args:
        document: the event.
        room_version: the version of its room.
        event_id: its ID.
        make: what to make; a class that has more slots than these.
        reading: the way to read its content.
    """
    facts = make()
    facts.room_version = room_version
    facts.event_id = event_id
    # Nobody, until signatures were verified: a caller who forgets to verify gets a rejection.
    facts.signed_by = NOBODY
    facts.pdu = facts.client_form = b""
    facts.held = None
    facts.type = facts.kind = event_type = document["type"]
    facts.sender = sender = document["sender"]
    # All after the first colon, as `server_of` says.
    facts.server = sender.partition(":")[2]
    state_key = document.get("state_key")
    # Most members send their own membership: one string serves both, and saves memory.
    facts.state_key = sender if state_key == sender else state_key
    # State resolution compares thousands of events by it: to read each again would take 5 us.
    facts.origin_server_ts = document.get("origin_server_ts") or 0
    room_id: RoomID | None = document.get("room_id")
    facts.room_id = room_id if isinstance(room_id, str) else RoomID("")
    facts.membership = facts.authorised_via = facts.authorising_server = facts.view = None
    if event_type in RULED_TYPES:
        facts.case = event_type
    else:
        facts.case = MESSAGE if state_key is None else ""
    read = READERS.get(event_type)
    if read is not None:
        read(facts, document, reading)
    return facts


Read = Callable[[Any, Mapping[str, Any], Reading], None]
"""Fills in what the content of an event says: takes its facts, the event, and how to read it."""


def _add_membership(facts: Any, document: Mapping[str, Any], reading: Reading) -> None:
    content, case = document["content"], 0
    # Before version 8 no rule knows the key: any user can write it, and it means nothing.
    if (
        "join_authorised_via_users_server" in content
        and facts.room_version.auth_rules >= _FIRST_WITH_AUTHORISERS
    ):
        facts.authorised_via = user = authoriser(
            content["join_authorised_via_users_server"], reading.is_user
        )
        facts.authorising_server = server_of(user)
        case = _AUTHORISED
    if "third_party_invite" in content:
        facts.view = signed_invite_view(content["third_party_invite"])
        case += _THIRD_PARTY
    text = content.get("membership", _ABSENT)
    if text is not _ABSENT:
        known = _kinds(text) if isinstance(text, str) else None
        facts.membership, kind, cases = known or _UNRECOGNISED_KIND
        # The sender was checked as a user ID, so most members need no second look at the grammar.
        if facts.state_key is facts.sender:
            facts.kind, facts.case = kind, cases[case]
        elif reading.is_user(facts.state_key):
            facts.kind, facts.case = kind, cases[case + _BY_ANOTHER]


_ABSENT: Final = object()
_FIRST_WITH_AUTHORISERS: Final = 8

_AUTHORISED: Final = 1
_THIRD_PARTY: Final = 2
_BY_ANOTHER: Final = 4


def _cases(membership: Membership) -> tuple[Membership, str, tuple[Case, ...]]:
    """Return a membership, its kind, and its cases by the sum of the flags."""
    kind = MEMBER_KINDS[membership]
    cases = [
        case_of(
            kind,
            by_another=bool(number & _BY_ANOTHER),
            authorised=bool(number & _AUTHORISED),
            third_party=bool(number & _THIRD_PARTY),
        )
        for number in range(8)
    ]
    return membership, kind, tuple(cases)


_kinds: Final = {text: _cases(membership) for text, membership in MEMBERSHIPS.items()}.get
_UNRECOGNISED_KIND: Final = _cases(UNRECOGNISED)


def _add_create(facts: Any, document: Mapping[str, Any], reading: Reading) -> None:
    has_room_id = "room_id" in document
    version = facts.room_version
    facts.view = create_view(
        document["content"],
        version,
        sender=facts.sender,
        has_room_id=has_room_id,
        is_user=reading.is_user,
    )
    # A create event that carries a room ID keeps it: rule 1.2 has to see and reject it.
    if version.room_id_is_create_event and document.get("room_id") is None and facts.event_id:
        facts.room_id = RoomID("!" + facts.event_id[1:])


def _add_power_levels(facts: Any, document: Mapping[str, Any], reading: Reading) -> None:
    facts.view = reading.power_levels(document["content"], facts.room_version)


def _add_join_rules(facts: Any, document: Mapping[str, Any], _: object) -> None:
    facts.view = join_rules_view(document["content"])


def _add_third_party_invite(facts: Any, document: Mapping[str, Any], _: object) -> None:
    facts.view = third_party_invite_view(document["content"])


def _add_no_kind(facts: Any, _: object, __: object) -> None:
    # The type only looks like a member's kind. Otherwise anybody could send an event of the type
    # `m.room.member join`, and have it judged as a join.
    facts.kind = ""


READERS: Final[Mapping[str, Read]] = MappingProxyType(
    {
        "m.room.create": _add_create,
        "m.room.join_rules": _add_join_rules,
        "m.room.member": _add_membership,
        "m.room.power_levels": _add_power_levels,
        "m.room.third_party_invite": _add_third_party_invite,
        **dict.fromkeys(_MEMBER_KINDS, _add_no_kind),
    }
)
