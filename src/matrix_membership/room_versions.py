"""Room versions 1 to 12 as constants, each derived from the one before.

A `RoomVersion` holds facts of *format* and the number of the rule list that it follows.
The rules themselves are in `matrix_membership.auth`. Make a version of your own with
`evolve`::

    MINE = V11.evolve(identifier="org.example.mine")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol

from attrs import Factory, field

from matrix_membership._attrs import constant, evolve
from matrix_membership.errors import InvalidRulebook, UnknownRoomVersion
from matrix_membership.membership import JOIN_RULES, JoinRule

__all__ = [
    "KNOWN",
    "V1",
    "V2",
    "V3",
    "V4",
    "V5",
    "V6",
    "V7",
    "V8",
    "V9",
    "V10",
    "V11",
    "V12",
    "RoomVersion",
    "room_version",
]


NEWEST_RULES: Final = 12
"""The newest room version whose rules and redaction table are known here."""


class EventIdFormat(Enum):
    """The source of an event's ID."""

    IN_PDU = "in the PDU, as $opaque:server"
    BASE64 = "reference hash in standard base64"
    URL_SAFE_BASE64 = "reference hash in URL-safe base64"


def _is_in_pdu(version: RoomVersion) -> bool:
    return version.event_ids is EventIdFormat.IN_PDU


class Rules(Protocol):
    """The rules of a version of one's own, as `auth.rulebook` gives them."""

    @property
    def selection(self) -> Callable[[Any], frozenset[tuple[str, str]]]:
        """Select the auth events of an event."""


def _kept_keys(
    kept: Mapping[str, Iterable[str]] | Iterable[tuple[str, Iterable[str]]],
) -> tuple[tuple[str, frozenset[str]], ...]:
    """Bring keys by event type into a form that can be compared and pickled."""
    pairs = dict(kept).items()
    for event_type, keys in pairs:
        if isinstance(keys, str):  # text would count as its letters
            raise InvalidRulebook(f"redaction_content[{event_type!r}]", "a set of keys", keys)
    return tuple(sorted((event_type, frozenset(keys)) for event_type, keys in pairs))


def _named_join_rules(named: Iterable[JoinRule | str]) -> frozenset[JoinRule | str]:
    """Read the texts of the specification's join rules as these."""
    if isinstance(named, str):  # it would count as its letters
        raise InvalidRulebook("join_rules", "a set of join rules", named)
    return frozenset(JOIN_RULES.get(str(rule), rule) for rule in named)


@constant
class RoomVersion:
    """One room version: how its events look and which rule list judges them.

    Attributes:
        identifier: its name in `m.room.create` and in requests.
        specification: the page of the specification that its rules are cited from.
        auth_rules: the version whose numbered rule list it follows.
        redaction_rules: the version whose redaction table it follows.
        event_ids: where event IDs come from.
        room_id_is_create_event: the room ID is the create event's ID with `!`.
        max_depth: the largest `depth` of an event.
        strict_json: drop a PDU that is not canonical JSON.
        enforces_key_validity: a key must have been valid at `origin_server_ts`.
        integer_levels: power levels must be JSON integers.
        float_levels: power levels may be floats.
        creator_in_content: `content.creator` of the create event names the creator.
        privileged_creators: creators have an infinite power level.
        join_rules: the join rules by which somebody may join or knock; those of one's own
            are text.
        state_resolution: the name of its state resolution algorithm.
        rules: an amended rulebook, of `auth.rulebook`; None for the list of the specification.
        redaction_content: the keys of contents that survive redaction, by event type, where
            they differ from the table. Give a mapping; `"*"` stands for all keys.
        event_id_in_pdu: a PDU carries its event ID, and references as pairs.

    .. versionadded:: 0.1.0
    """

    identifier: str
    specification: str
    auth_rules: int
    redaction_rules: int
    event_ids: EventIdFormat
    room_id_is_create_event: bool
    max_depth: int
    strict_json: bool
    enforces_key_validity: bool
    integer_levels: bool
    float_levels: bool
    creator_in_content: bool
    privileged_creators: bool
    join_rules: frozenset[JoinRule | str] = field(converter=_named_join_rules)
    state_resolution: str
    rules: Rules | None = None
    redaction_content: tuple[tuple[str, frozenset[str]], ...] = field(
        default=(), converter=_kept_keys
    )
    # A field, not a property, since it is read several times for each PDU.
    event_id_in_pdu: bool = field(init=False, default=Factory(_is_in_pdu, takes_self=True))
    # The compiled rules, kept here by `auth`. A look-up by the version costs the hash below each
    # time: a tenth of a check by a list of auth events.
    prepared: Any = field(init=False, default=None, repr=False)

    __match_args__: ClassVar[tuple[str, ...]]

    def __attrs_post_init__(self) -> None:
        # An unknown number would select no rules, or the wrong ones.
        for followed in (self.auth_rules, self.redaction_rules):
            if followed.__class__ is not int or not 1 <= followed <= NEWEST_RULES:
                raise UnknownRoomVersion(followed)
        if self.rules is not None and not callable(getattr(self.rules, "selection", None)):
            raise InvalidRulebook("rules", "a rulebook, from auth.rulebook", self.rules)

    # A pickled version of one's own comes back as another object, in which nothing differs.
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other.__class__ is not RoomVersion:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    # Programs are looked up by it: 0.15 us, and 0.38 for a hash of all fields.
    def __hash__(self) -> int:
        return hash(self.identifier)

    def __repr__(self) -> str:
        return f"<room version {self.identifier}>"

    def __str__(self) -> str:
        return self.identifier

    def __reduce__(self) -> tuple[object, ...] | str:
        """Pickle the twelve versions by name, so that identity survives."""
        if KNOWN.get(self.identifier) is self:
            return f"V{self.identifier}"
        return (RoomVersion, tuple(getattr(self, name) for name in self.__match_args__))

    def evolve(self, *, identifier: str, **changes: object) -> RoomVersion:
        """Make a version of your own: this one with another name and some facts changed.

        Args:
            identifier: its name; the rule list stays this one's unless changed.
            changes: fields by name.

        Raises:
            UnknownRoomVersion: `auth_rules` or `redaction_rules` names a version that
                the specification does not have.
            InvalidRulebook: `rules` or `redaction_content` is of another form.

        >>> V11.evolve(identifier="org.example.mine").auth_rules
        11

        A version whose redacted server ACLs still say who is shut out:

        >>> acl = {"m.room.server_acl": {"allow", "deny", "allow_ip_literals"}}
        >>> mine = V11.evolve(identifier="org.example.acl", redaction_content=acl)

        A version with one more join rule, for a rulebook that has a rule on it:

        >>> more = V11.join_rules | {"org.example.level"}
        >>> V11.evolve(identifier="org.example.mine", join_rules=more).own_join_rules
        ('org.example.level',)
        """
        return evolve(self, identifier=identifier, **changes)

    @property
    def knocking(self) -> bool:
        """True if a user can knock in this version."""
        return JoinRule.KNOCK in self.join_rules

    @property
    def own_join_rules(self) -> tuple[str, ...]:
        """The join rules that the specification does not have, sorted."""
        return tuple(sorted(rule for rule in self.join_rules if isinstance(rule, str)))

    @property
    def restricted_joins(self) -> bool:
        """True if a room of this version can let in the members of other rooms."""
        return JoinRule.RESTRICTED in self.join_rules


V1: Final = RoomVersion(
    identifier="1",
    specification="v1",
    auth_rules=1,
    redaction_rules=1,
    event_ids=EventIdFormat.IN_PDU,
    room_id_is_create_event=False,
    max_depth=2**63 - 1,
    strict_json=False,
    enforces_key_validity=False,
    integer_levels=False,
    float_levels=True,
    creator_in_content=True,
    privileged_creators=False,
    join_rules=frozenset({JoinRule.PUBLIC, JoinRule.INVITE}),
    state_resolution="1",
)
"""https://spec.matrix.org/v1.19/rooms/v1/"""

V2: Final = evolve(V1, identifier="2", specification="v2", state_resolution="2")
"""https://spec.matrix.org/v1.19/rooms/v2/"""

# IDs are hashes: before, servers received different events with one ID, and could not tell which
# one was meant.
V3: Final = evolve(
    V2,
    identifier="3",
    specification="v3",
    auth_rules=3,
    event_ids=EventIdFormat.BASE64,
)
"""https://spec.matrix.org/v1.19/rooms/v3/"""

# The slash of standard base64 troubled clients and reverse proxies in paths.
V4: Final = evolve(V3, identifier="4", specification="v4", event_ids=EventIdFormat.URL_SAFE_BASE64)
"""https://spec.matrix.org/v1.19/rooms/v4/"""

# In older versions a key verifies events long after its end.
V5: Final = evolve(V4, identifier="5", specification="v5", enforces_key_validity=True)
"""https://spec.matrix.org/v1.19/rooms/v5/"""

# Canonical JSON is enforced from here on: servers had written floats and large integers
# differently, and so computed different hashes.
V6: Final = evolve(
    V5,
    identifier="6",
    specification="v6",
    auth_rules=6,
    redaction_rules=6,
    max_depth=2**53 - 1,
    strict_json=True,
    float_levels=False,
)
"""https://spec.matrix.org/v1.19/rooms/v6/"""

V7: Final = evolve(
    V6,
    identifier="7",
    specification="v7",
    auth_rules=7,
    join_rules=V6.join_rules | {JoinRule.KNOCK},
)
"""https://spec.matrix.org/v1.19/rooms/v7/"""

V8: Final = evolve(
    V7,
    identifier="8",
    specification="v8",
    auth_rules=8,
    redaction_rules=8,
    join_rules=V7.join_rules | {JoinRule.RESTRICTED},
)
"""https://spec.matrix.org/v1.19/rooms/v8/"""

# Only redaction changes: version 8 dropped the user who authorised a restricted join.
V9: Final = evolve(V8, identifier="9", specification="v9", redaction_rules=9)
"""https://spec.matrix.org/v1.19/rooms/v9/"""

# Levels written as text are gone: every language parsed them in its own way, so servers disagreed.
V10: Final = evolve(
    V9,
    identifier="10",
    specification="v10",
    auth_rules=10,
    integer_levels=True,
    join_rules=V9.join_rules | {JoinRule.KNOCK_RESTRICTED},
)
"""https://spec.matrix.org/v1.19/rooms/v10/"""

V11: Final = evolve(
    V10,
    identifier="11",
    specification="v11",
    auth_rules=11,
    redaction_rules=11,
    creator_in_content=False,
)
"""https://spec.matrix.org/v1.19/rooms/v11/"""

# The room ID is a hash, so nobody can make a second create event for it, and creators keep their
# power whatever the power levels say.
V12: Final = evolve(
    V11,
    identifier="12",
    specification="v12",
    auth_rules=12,
    room_id_is_create_event=True,
    privileged_creators=True,
    state_resolution="2.1",
)
"""https://spec.matrix.org/v1.19/rooms/v12/"""

KNOWN: Final[Mapping[str, RoomVersion]] = MappingProxyType(
    {version.identifier: version for version in (V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12)}
)
"""The room versions of the specification, by identifier."""


def room_version(identifier: object, known: Mapping[str, RoomVersion] = KNOWN) -> RoomVersion:
    """Look up a room version.

    Args:
        identifier: what a create event or an answer names; anything.
        known: the versions to choose from.

    Raises:
        UnknownRoomVersion: it is not among the known ones.

    >>> room_version("10")
    <room version 10>

    .. versionadded:: 0.1.0
    """
    version = known.get(identifier) if isinstance(identifier, str) else None
    if version is None:
        raise UnknownRoomVersion(identifier)
    return version


def require_room_version(value: object) -> None:
    """Refuse anything else than a room version, such as its identifier.

    A version named by text has no facts: a state of one would judge by none.

    Raises:
        TypeError: it is something else.
    """
    if value.__class__ is not RoomVersion:
        raise TypeError(f"expected a room version, such as KNOWN['11'], got {value!r}")
