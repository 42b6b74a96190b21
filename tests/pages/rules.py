"""The page of the rules: a table rule x version, and each rule with a case that it decides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Final

from matrix_membership import Event, RoomState, RoomVersion
from matrix_membership.auth import Rule, rules_of
from matrix_membership.auth._rule import rows_in
from matrix_membership.auth.auth_events import AuthEvents
from matrix_membership.auth.specification import AUTH_EVENTS, CREATE, STATE_DEPENDENT
from tests.builders import VERSIONS, versions_having
from tests.rule_cases import CASES
from tests.sources import PACKAGE, ROOT

FILE: Final = ROOT / "docs" / "reference" / "rules.md"

HEADER: Final = """\
# Rules

<!-- Made by `python -m tests.pages`; a test makes it again and compares. -->

Every rule of every room version, with its number, the fact that holds when it fires, and one case that it decides. The
cases are run when this page is made. To find a rule, search for its number, such as 4.3.5.2: the search leads to the
rule's section, which names its function and its tests. `Decision.docs_url` leads there too.

Where two rows have the same number, the specification's rule allows if and only if something holds: the second
row is its other half. `auth_events.otherwise` is not a row in the specification: it stands for the heading when no row below it fires.

## Numbers by version

"""

CHAPTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "create": "The create event",
        "auth_events": "The auth events",
        "every_event": "Every event",
        "aliases": "Aliases",
        "member": "Member events",
        "join": "Membership join",
        "invite": "Membership invite",
        "leave": "Membership leave",
        "ban": "Membership ban",
        "knock": "Membership knock",
        "third_party_invite": "Third-party invites",
        "power_levels": "Power levels",
        "redaction": "Redactions",
    }
)

LISTS: Final = tuple(tuple(same) for _, same in groupby(VERSIONS[::-1], key=lambda v: v.auth_rules))
"""The versions, newest first, those with one rule list together."""


@cache
def text() -> str:
    """The whole page."""
    rules = sorted_rules()
    return HEADER + "\n".join(_table(rules)) + "\n\n" + "\n".join(_sections(rules)).rstrip() + "\n"


def sorted_rules() -> list[Rule]:
    """All rules of all versions: those of version 12 in its order, older ones where they stood."""
    found: list[Rule] = []
    for version in VERSIONS[::-1]:
        place = 0
        # `rules_of` gives each rule with the number of one version alone; the page has them all.
        for _, rule in rows_in((*CREATE, *AUTH_EVENTS, *STATE_DEPENDENT), version.auth_rules):
            if rule in found:
                place = found.index(rule) + 1
            else:
                found.insert(place, rule)
                place += 1
    return found


def test_class(rule: Rule) -> tuple[Path, str]:
    """Where a rule is tested: the file, and the class."""
    chapter, _, name = rule.name.partition(".")
    words = "".join(word.capitalize() for word in name.split("_"))
    return Path("tests", "auth", f"test_{chapter}.py"), f"Test{words}"


def _table(rules: list[Rule]) -> Iterator[str]:
    yield f"| Rule | Verdict | {' | '.join(_names(same) for same in LISTS)} |"
    yield f"|---|---|{'---|' * len(LISTS)}"
    for rule in rules:
        numbers = [rules_of(same[0]).number_of(rule.name) or "" for same in LISTS]
        verdict = "allow" if rule.allows else "reject"
        yield f"| [`{rule.name}`](#{_anchor(rule.name)}) | {verdict} | {' | '.join(numbers)} |"


def _names(versions: tuple[RoomVersion, ...]) -> str:
    return ", ".join(map(str, versions[::-1]))


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _sections(rules: list[Rule]) -> Iterator[str]:
    for chapter, title in CHAPTERS.items():
        yield f"## {title}\n"
        for rule in rules:
            if rule.name.startswith(f"{chapter}."):
                yield from _section(rule)


def _section(rule: Rule) -> Iterator[str]:
    chapter, _, name = rule.name.partition(".")
    file, tests = test_class(rule)
    yield f"### {rule.name}\n"
    yield f"{'Allows' if rule.allows else 'Rejects'}: {rule.text}\n"
    yield from (f"- rule {number} of version {version}" for number, version in _numbers(rule))
    yield f"- function `{name}` in `src/{PACKAGE}/auth/{chapter}.py`"
    yield f"- tests `{file}::{tests}`\n"
    yield "```text"
    yield from _case(rule)
    yield "```\n"


def _numbers(rule: Rule) -> Iterator[tuple[str, RoomVersion]]:
    for version in VERSIONS[::-1]:
        number = rules_of(version).number_of(rule.name)
        if number is not None:
            yield number, version


def _case(rule: Rule) -> Iterator[str]:
    """The case in the newest version that has the rule, decided here and now."""
    case = CASES[rule.name](versions_having(rule.name)[-1])
    room_id = case.event.room_id
    rejected: AbstractSet[str] = frozenset()
    if isinstance(case.against, RoomState):
        yield "In a room of"
        events = tuple(case.against.events)
    else:
        yield "With the auth events"
        events, rejected = case.against.events, case.against.rejected
    for event in events:
        yield f"    {_line(event, room_id)}{' (rejected)' if event.event_id in rejected else ''}"
    yield from ([] if events else ["    nothing"])
    if isinstance(case.against, AuthEvents) and case.against.create is None:
        yield "and without the create event"
    previous = ("prev_events",) if rule.name in PREVIOUS else ()
    yield f"this event:\n    {_line(case.event, room_id, *previous)}"
    if case.event.signed_by - {case.event.server}:
        yield f"    signed by {' and '.join(sorted(case.event.signed_by))}"
    yield f"is {case.decide()}."


SHOWN: Final = ("type", "sender", "state_key", "content", "redacts")
PREVIOUS: Final = ("create.has_prev_events", "join.first_join_of_the_creator")
"""The rules that look at the previous events."""


def _line(event: Event, room_id: str, *more: str) -> str:
    """An event, and of its other fields what the case is about."""
    if event.type == "m.room.create" or event.room_id != room_id:
        more = (*more, "room_id")
    fields = [key for key in (*SHOWN, *more) if key in event.document]
    return json.dumps({key: event.document[key] for key in fields}, default=dict)
