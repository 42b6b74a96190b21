"""The classes of disagreement: the specification's text, and a test for the cases of each.

A class is asked about one verdict of one engine that is not this library's. The first that holds counts; a verdict of no
class fails the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import attrs

from matrix_membership import Event, RoomState, RoomVersion, auth, conformance
from matrix_membership.auth import Decision
from matrix_membership.canonical_json import MAX_INTEGER
from matrix_membership.errors import InvalidEvent, MatrixMembershipError
from matrix_membership.resolution import Outcome, Resolution
from matrix_membership.room_versions import KNOWN
from tests.observatory.questions import Question, event_and_state, resolved

__all__ = ["CLASSES", "Class", "Seen", "class_of", "is_withheld"]


@attrs.define(slots=False)
class Seen:
    """A verdict that is not this library's.

    Attributes:
        question: the question, as JSON.
        ours: the verdict of this library.
        engine: the name of the other one.
        theirs: its verdict.
    """

    question: Question
    ours: Any
    engine: str
    theirs: Any

    @property
    def version(self) -> RoomVersion:
        """The room version."""
        return KNOWN[self.question["room_version"]]

    @property
    def number(self) -> int:
        """The room version as a number."""
        return int(self.question["room_version"])

    @property
    def pdu(self) -> dict[str, Any]:
        """The PDU of the question; for a text, the value that was read from it."""
        found = self.question.get("pdu", self.read.value)
        return found if isinstance(found, dict) else {}

    @property
    def content(self) -> dict[str, Any]:
        """The content of the PDU; empty where it is not an object."""
        found = self.pdu.get("content")
        return found if isinstance(found, dict) else {}

    @property
    def in_state(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The PDUs of the state by place."""
        return {(pdu["type"], pdu["state_key"]): pdu for _, pdu in self.question["state"]}

    @cached_property
    def _judged(self) -> tuple[Event, RoomState, Decision]:
        event, events = event_and_state(self.question, self.version)
        state = RoomState.of(self.version, events)
        return event, state, auth.check(event, state)

    @property
    def rule(self) -> str:
        """The rule that decides here."""
        return self._judged[2].rule

    @cached_property
    def listed(self) -> str:
        """The class by the module of the library that knows those of Synapse."""
        return conformance.class_of(*self._judged)

    @cached_property
    def read(self) -> Text:
        """The unusual parts of the text."""
        return Text.of(self.question.get("text", "{}"))

    @cached_property
    def refused(self) -> str:
        """The field of the text for which this library does not take it as a PDU."""
        try:
            Event.from_pdu(self.question["text"].encode(), self.version)
        except InvalidEvent as why:
            return why.where.partition(".")[0]
        except MatrixMembershipError:
            return "PDU"
        return ""

    @cached_property
    def resolution(self) -> Resolution:
        """The resolution of the states by this library."""
        found: Resolution = resolved(self.question, self.version)
        return found


@attrs.frozen
class Text:
    """A JSON text: its value (None if it is not JSON), and its unusual parts."""

    value: Any
    twice: bool
    numbers: tuple[str, ...]
    surrogate: bool

    @classmethod
    def of(cls, text: str) -> Text:
        """Read a text."""
        twice: list[str] = []
        numbers: list[str] = []

        def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
            if len(dict(found)) < len(found):
                twice.append("")
            return dict(found)

        def number(found: str) -> Any:
            numbers.append(found)
            return json.loads(found)

        try:
            value = json.loads(
                text, object_pairs_hook=pairs, parse_int=number, parse_float=number, strict=True
            )
        except ValueError:
            value = None
        whole = json.dumps(value, ensure_ascii=False)
        return cls(value, bool(twice), tuple(numbers), bool(re.search("[\ud800-\udfff]", whole)))

    @property
    def fractions(self) -> bool:
        """Are there numbers with a fraction or an exponent?"""
        return any(set(number) & set(".eE") for number in self.numbers)

    @property
    def large(self) -> bool:
        """Are there integers that canonical JSON does not hold?"""
        return any(
            abs(int(number)) > MAX_INTEGER for number in self.numbers if number.strip("-").isdigit()
        )


Holds = Callable[[Seen], bool]


def _never(_: Seen) -> bool:
    return False


def _always(_: Seen) -> bool:
    return True


@attrs.frozen
class Class:
    """A class of disagreement.

    Attributes:
        name: under which the page lists it.
        area: the kind of question.
        text: the specification's text, in short.
        here: the behaviour of this library.
        holds: does a verdict belong to it?
        told: does the page on conformance tell already that this engine takes such an event?
    """

    name: str
    area: str
    text: str
    here: str
    holds: Holds
    told: Holds = _never


def class_of(seen: Seen) -> str:
    """Return the name of the class; empty for a verdict of no class."""
    area, sound = seen.question["area"], seen.question.get("sound")
    found = (one.name for one in CLASSES if one.area == area and one.holds(seen))
    name = next(found, "")
    return "" if sound and name not in SOUND else name


SOUND: Final = frozenset({"resolution-no-join-rules"})
"""The classes of rooms in which nothing is wrong on purpose."""


JUDGING: Final = frozenset({"rules", "auth-events", "signatures"})


def is_withheld(seen: Seen) -> bool:
    """Tell whether a verdict is left out of the page.

    If another engine takes an event that the rules refuse, its authors hear of it first, unless the page on
    conformance has told it already.
    """
    if seen.question["area"] not in JUDGING or seen.theirs is not True:
        return False
    name = class_of(seen)
    return not any(one.told(seen) for one in CLASSES if one.name == name)


def _listed(name: str) -> Holds:
    return lambda seen: seen.listed == name


def _rule(*names: str) -> Holds:
    return lambda seen: seen.rule in names


def _field(*names: str) -> Holds:
    return lambda seen: seen.refused in names


def _of_type(kind: str) -> Holds:
    return lambda seen: seen.pdu.get("type") == kind


def _is_join(seen: Seen) -> bool:
    return seen.pdu["type"] == "m.room.member" and seen.content.get("membership") == "join"


def _join_rule(seen: Seen) -> Any:
    rules = seen.in_state.get(("m.room.join_rules", ""), {}).get("content", {})
    return rules.get("join_rule") if isinstance(rules, dict) else None


def _joins_by_an_odd_rule(seen: Seen) -> bool:
    return seen.rule == "join.otherwise" and seen.theirs is True


def _is_invited_or_joined(seen: Seen) -> bool:
    member = seen.in_state.get(("m.room.member", seen.pdu["sender"]), {})
    return member.get("content", {}).get("membership") in {"invite", "join"}


def _federate(seen: Seen) -> bool:
    create = seen.in_state["m.room.create", ""]["content"]
    odd = not isinstance(create.get("m.federate", True), bool)
    return odd or seen.listed == "federate"


def _made_for_another(seen: Seen) -> bool:
    create = seen.in_state["m.room.create", ""]
    return seen.version.creator_in_content and create["content"].get("creator") != create["sender"]


def _odd_redacts(seen: Seen) -> bool:
    redacts = seen.pdu.get("redacts", "$x")
    return not (isinstance(redacts, str) and redacts.startswith("$"))


def _malformed(seen: Seen) -> bool:
    if seen.pdu["type"] != "m.room.member":
        return False
    content = seen.content
    return (
        not isinstance(content.get("membership"), str)
        or ":" not in (seen.pdu.get("state_key") or "")
        or "third_party_invite" in content
        or not _may_be_a_user(content.get("join_authorised_via_users_server", "@:"))
    )


def _may_be_a_user(value: object) -> bool:
    return isinstance(value, str) and value.startswith("@") and ":" in value


def _without(name: str) -> Holds:
    """Do the verdicts agree when this key is left out?"""

    def agree(seen: Seen) -> bool:
        sides = [{**side} for side in (seen.ours, seen.theirs)]
        for side in sides:
            side.pop(name, None)
        return sides[0] == sides[1]

    return agree


def _odd_invite_is_kept(seen: Seen) -> bool:
    sides = [{**side, "content": {**side["content"]}} for side in (seen.ours, seen.theirs)]
    kept = [side["content"].pop("third_party_invite", None) for side in sides]
    for side in sides:
        side.pop("unsigned", None)
    return sides[0] == sides[1] and kept[0] != kept[1]


def _holds_rejected(seen: Seen) -> bool:
    rejected = set(seen.question["rejected"])
    in_states = {name for state in seen.question["states"] for *_, name in state}
    replayed = (entry.outcome is Outcome.REJECTED for entry in seen.resolution.story.considered)
    return bool(rejected & in_states) or any(replayed)


def _is_negative(time: object) -> bool:
    return isinstance(time, int) and time < 0


def _has_odd_signatures(pdu: Mapping[str, Any]) -> bool:
    of_servers = pdu["signatures"].values()
    return not all(
        isinstance(signed, dict) and all(isinstance(one, str) for one in signed.values())
        for signed in of_servers
    )


FORMAT: Final = "a PDU of a wrong format is dropped"

RULES: Final[Sequence[Class]] = (
    Class(
        "redacts-format",
        "rules",
        "versions 3 to 12: the rules do not look at `redacts`, so its form decides nothing",
        "as the text",
        lambda seen: seen.number > 2 and _of_type("m.room.redaction")(seen) and _odd_redacts(seen),
    ),
    Class(
        "redaction-target",
        "rules",
        "versions 1 and 2: allowed with the redact level, or if the domains of the two event IDs are equal",
        "as the text",
        lambda seen: seen.number <= 2 and _of_type("m.room.redaction")(seen),
        told=_always,
    ),
    Class(
        "federate",
        "rules",
        "`m.federate` is a boolean; false closes the room to senders of other servers; silent on other values",
        "everything but true and null closes",
        _federate,
    ),
    Class(
        "odd-level",
        "rules",
        "versions 1 to 9: levels may be decimal text, 1 to 5 floats too; silent on others before version 10",
        "text by the grammar; one that cannot be read counts as its default",
        _listed("odd-level"),
    ),
    Class(
        "odd-level-map",
        "rules",
        "`events`, `notifications` and `users` are objects; before version 10 only `users` is checked",
        "as the text; one that cannot be read counts as empty",
        _listed("odd-level-map"),
    ),
    Class(
        "no-join-rules",
        "rules",
        "a room without `m.room.join_rules`, or without a `join_rule` in it, is for invited users",
        "as the text",
        lambda seen: _is_join(seen) and not isinstance(_join_rule(seen), str),
    ),
    Class(
        "unknown-join-rule",
        "rules",
        "a `join_rule` that the version does not name matches no rule: rejected, joined users too",
        "as the text",
        _joins_by_an_odd_rule,
        told=_is_invited_or_joined,
    ),
    Class(
        "creator-first-join",
        "rules",
        "the creator's first join: looks at `prev_events` and at the state key, not at the sender",
        "as the text",
        _rule("join.first_join_of_the_creator"),
    ),
    Class(
        "authoriser-signature",
        "rules",
        "rule 4.2.1 asks for the signature of the authorising user's server on every member event",
        "as the text",
        _listed("authoriser-signature"),
        told=_always,
    ),
    Class(
        "malformed-member",
        "rules",
        "an event without `membership` or `state_key` is rejected by 4.1, a `third_party_invite` by 4.4.1",
        "as the text",
        _malformed,
    ),
    Class(
        "power-level-alterations",
        "rules",
        "added, changed or removed levels are compared with the sender's",
        "as the text",
        _listed("power-level-alterations"),
        told=_always,
    ),
    Class(
        "power-levels-state-key",
        "rules",
        "rule 10 is about the type, whatever the state key",
        "as the text",
        _listed("power-levels-state-key"),
        told=_always,
    ),
    Class(
        "creator-in-content",
        "rules",
        "versions 1 to 10: the creator is whom `content.creator` names, not the sender of the create event",
        "as the text",
        _made_for_another,
    ),
    Class(
        "aliases",
        "rules",
        "versions 1 to 5 have a rule for `m.room.aliases`; from version 6 on it is an event as any other",
        "as the text",
        _of_type("m.room.aliases"),
    ),
    Class(
        "knock-to-join",
        "rules",
        "a user who has knocked may join a public room by the rules; the table of memberships says never",
        "as the rules",
        _rule("join.public_room"),
    ),
    Class(
        "leave-of-an-outsider",
        "rules",
        "a leave by a user who is not invited, joined or knocking is rejected by 4.5.1",
        "as the text",
        _rule("leave.of_oneself_otherwise"),
        told=_always,
    ),
    Class(
        "unban",
        "rules",
        "unbanning needs the ban level, the kick level and more power than the target",
        "as the text",
        _rule("leave.sender_may_not_unban", "leave.otherwise"),
        told=_rule("leave.sender_may_not_unban"),
    ),
    Class(
        "third-party-invite-level",
        "rules",
        "`m.room.third_party_invite` needs the invite level, and no other",
        "as the text",
        _rule("third_party_invite.sender_may_invite"),
    ),
    Class(
        "knock-restricted",
        "rules",
        "versions 8 and 9 do not know `knock_restricted`: knocks are rejected there",
        "as the text",
        _rule("knock.join_rule_is_not_knock"),
    ),
    Class(
        "levels-without-defaults",
        "rules",
        "entries of `users`, `events` and `notifications` are compared as they are written, without the defaults",
        "as the text",
        lambda seen: seen.pdu["type"] == "m.room.power_levels",
    ),
)

OTHERS: Final[Sequence[Class]] = (
    Class(
        "listed-redacts",
        "auth-events",
        "the rules on auth events do not look at `redacts`",
        "as the text",
        lambda seen: _of_type("m.room.redaction")(seen) and _odd_redacts(seen),
    ),
    Class(
        "listed-by-a-malformed-member",
        "auth-events",
        "the rules on auth events come before those on the form of a member event",
        "as the text",
        _malformed,
    ),
    Class(
        "selection-create",
        "selection",
        "version 12: the create event is not among the auth events",
        "as the text",
        lambda seen: seen.number == 12 and ["m.room.create", ""] in seen.theirs,
    ),
    Class(
        "selection-aliases",
        "selection",
        "every event lists the power levels and its sender's membership, `m.room.aliases` too",
        "as the text",
        _of_type("m.room.aliases"),
    ),
    Class(
        "selection-malformed",
        "selection",
        "the token and the authorising user are text, and are looked at on invites and on joins only",
        "as the text; others are passed over",
        _of_type("m.room.member"),
    ),
    Class(
        "format-json",
        "format",
        "from version 6 on a PDU is canonical JSON: no floats, no `-0`, each key once, 53 bits",
        "as the text",
        lambda seen: seen.refused == "PDU",
    ),
    Class("format-hashes", "format", FORMAT, "as the text", _field("hashes")),
    Class("format-signatures", "format", FORMAT, "as the text", _field("signatures")),
    Class("format-content", "format", FORMAT, "as the text", _field("content")),
    Class("format-time", "format", FORMAT, "as the text", _field("origin_server_ts")),
    Class("format-depth", "format", FORMAT, "as the text", _field("depth")),
    Class("format-type", "format", FORMAT, "as the text", _field("type", "state_key")),
    Class("format-names", "format", FORMAT, "as the text", _field("room_id", "sender")),
    Class(
        "format-references",
        "format",
        "`auth_events` has at most 10 entries, `prev_events` 20, in the form of the version",
        "as the text",
        _field("auth_events", "prev_events"),
    ),
    Class(
        "format-event-id",
        "format",
        "versions 1 and 2: an event ID; from version 3 on the format has no `event_id`",
        "a PDU that has one from version 3 on is dropped",
        _field("event_id"),
    ),
    Class(
        "format-early-time",
        "format",
        "`origin_server_ts` is an integer; silent on times before 1970",
        "taken",
        lambda seen: not seen.refused and _is_negative(seen.pdu.get("origin_server_ts")),
    ),
    Class(
        "format-odd-signatures",
        "format",
        "`signatures` is an object of objects; signatures that cannot be read are passed over",
        "as the text",
        lambda seen: not seen.refused and _has_odd_signatures(seen.pdu),
    ),
    Class(
        "format-redacts",
        "format",
        "`redacts` is not asked for",
        "any value is taken",
        lambda seen: _odd_redacts(seen) and not seen.refused,
    ),
    Class(
        "format-authoriser",
        "format",
        "the signature of the authorising user's server is asked for later, by the checks of signatures and rules",
        "as the text",
        lambda seen: not seen.refused and "join_authorised_via_users_server" in seen.content,
    ),
    Class(
        "format-of-old",
        "format",
        "versions 1 to 5 do not enforce canonical JSON",
        "floats, large integers and `-0` are taken, and the last of equal keys",
        lambda seen: (
            not seen.refused
            and (
                seen.read.fractions
                or seen.read.large
                or seen.read.twice
                or "-0" in seen.read.numbers
            )
        ),
    ),
    Class(
        "redaction-unsigned",
        "redaction",
        "`unsigned` is not among the keys that stay",
        "as the text",
        _without("unsigned"),
    ),
    Class(
        "redaction-third-party-invite",
        "redaction",
        "from version 11 on the `signed` of a `third_party_invite` stays",
        "a value that is not an object is dropped",
        _odd_invite_is_kept,
    ),
    Class(
        "stray-keys",
        "content-hash",
        "everything but `unsigned`, `signatures` and `hashes` is part of the content hash",
        "as the text",
        lambda seen: bool(set(seen.pdu) & {"age_ts", "outlier", "destinations", "event_id"}),
    ),
    Class(
        "padded-hash",
        "content-hash",
        "hashes are unpadded base64; readers should take padding too",
        "as the text",
        lambda seen: str(seen.pdu["hashes"].get("sha256")).endswith("="),
    ),
    Class(
        "empty-key",
        "content-hash",
        "a key of an object may be empty",
        "as the text",
        lambda seen: "" in seen.content,
    ),
    Class(
        "event-id-of-a-pdu-with-event-id",
        "event-id",
        "from version 3 on the format has no `event_id`; in which of them it stays when redacted is told by version",
        "the reference hash covers it where redaction keeps it",
        lambda seen: "event_id" in seen.pdu,
    ),
    Class(
        "event-id-of-a-redacted-invite",
        "event-id",
        "from version 11 on the `signed` of a `third_party_invite` stays when redacted",
        "as the text",
        lambda seen: "third_party_invite" in seen.content,
    ),
    Class(
        "canonical-twice",
        "canonical-json",
        "each key once; enforced from version 6 on",
        "refused from version 6 on; before, the last one counts",
        lambda seen: seen.read.twice,
    ),
    Class(
        "canonical-minus-zero",
        "canonical-json",
        "`-0` is not canonical; enforced from version 6 on",
        "as the text",
        lambda seen: "-0" in seen.read.numbers,
    ),
    Class(
        "canonical-float",
        "canonical-json",
        "floats are not canonical; enforced from version 6 on",
        "refused from version 6 on; before, kept as they were sent",
        lambda seen: seen.read.fractions,
    ),
    Class(
        "canonical-large",
        "canonical-json",
        "integers of at most 53 bits; enforced from version 6 on",
        "refused from version 6 on",
        lambda seen: seen.read.large,
    ),
    Class(
        "canonical-surrogate",
        "canonical-json",
        "text is UTF-8, which has no lone surrogates",
        "refused",
        lambda seen: seen.read.surrogate,
    ),
    Class(
        "signed-by-the-authoriser",
        "signatures",
        "the signature of the authorising user's server is asked for, on joins",
        "asked for by rule 4.2.1",
        lambda seen: "join_authorised_via_users_server" in seen.content,
    ),
    Class(
        "signed-invite-by-third-party",
        "signatures",
        "the sender's server need not sign an invite that a third party made",
        "only where `third_party_invite` is an object with a `signed` object",
        lambda seen: "third_party_invite" in seen.content,
    ),
    Class(
        "signed-malformed-member",
        "signatures",
        "the signatures that are asked for do not depend on the form of the content",
        "as the text",
        lambda seen: _malformed(seen) or _of_type("m.room.member")(seen),
    ),
    Class(
        "signed-otherwise-too",
        "signatures",
        "signatures by other servers, of unknown keys and of unknown algorithms are passed over",
        "as the text",
        lambda seen: any(
            set(signed) - {"ed25519:vectors", "ed25519:b"} or "x" in signed.values()
            for signed in seen.pdu["signatures"].values()
        ),
    ),
    Class(
        "resolution-rejected",
        "resolution",
        "rejected events are replayed as any other",
        "never let in; in a state their places count as empty",
        _holds_rejected,
    ),
    Class(
        "resolution-create",
        "resolution",
        "silent on several create events in one room",
        "as other events: the last one in mainline order stands",
        lambda seen: ("m.room.create", "") in seen.resolution.conflicted,
    ),
    Class(
        "resolution-missing",
        "resolution",
        "silent on events that are missing",
        "left out, and named",
        lambda seen: bool(seen.resolution.missing),
    ),
    Class(
        "resolution-no-join-rules",
        "resolution",
        "a room without `m.room.join_rules` is for invited users",
        "as the text",
        lambda seen: ("m.room.join_rules", "") not in seen.resolution.state,
    ),
)
CLASSES: Final[Sequence[Class]] = (*RULES, *OTHERS)
