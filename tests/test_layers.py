"""The import law: a module imports from lower layers, and in its own layer from what stands above it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import pytest

from tests.sources import MODULES, PACKAGE, imports_of, parsed

# Per layer what it adds to the imports from outside (a lower layer's are a higher layer's too), then its modules in
# order. A package's __init__ has the package's name and stands last in it; the façade has none and stands last of all.
LAYERS: Final[tuple[tuple[frozenset[str], tuple[str, ...]], ...]] = (
    (
        frozenset({"attrs"}),
        ("_attrs", "errors", "identifiers", "membership", "room_versions"),
    ),
    (
        frozenset({"canonicaljson", "hashlib"}),
        (
            "_json_text",
            "canonical_json",
            "event_format",
            "_usual_pdu",
            "redaction",
            "_pdu_text",
            "hashing",
            "_levels",
            "contents",
            "_persistent",
        ),
    ),
    (
        frozenset({"nacl", "signedjson"}),
        (
            "_event_facts",
            "_pdu_reading",
            "_event",
            "_event_template",
            "events",
            "_signatures",
            "_keys",
            "signing",
        ),
    ),
    (
        frozenset(),
        ("_roster", "_storage", "state", "restricted", "client_state"),
    ),
    (
        frozenset(),
        (
            "auth._rule",
            "auth._probe",
            "auth._program",
            "auth.create",
            "auth.auth_events",
            "auth.every_event",
            "auth.aliases",
            "auth.join",
            "auth.invite",
            "auth.leave",
            "auth.ban",
            "auth.knock",
            "auth.member",
            "auth.third_party_invite",
            "auth.power_levels",
            "auth.redaction",
            "auth.rulebook",
            "auth._suppositions",
            "auth.facts",
            "auth._changes",
            "auth.remedies",
            "auth.explanation",
            "auth",
        ),
    ),
    (
        frozenset(),
        ("acl", "machine", "policy_server", "receipt", "out_of_band", "permission", "linting"),
    ),
    (
        frozenset(),
        (
            "federation._shapes",
            "federation._splitting",
            "federation._join_answer",
            "federation.messages",
            "federation.policy",
            "federation._arrival",
            "federation._needs",
            "federation._findings",
            "federation._evidence",
            "federation._order",
            "federation._contradictions",
            "federation._examining",
            "federation._judging",
            "federation.audit",
            "federation.sufficiency",
            "federation.invite_messages",
            "federation.invite_state",
            "federation._ends",
            "federation._template",
            "federation.handshake",
            "federation._transcript",
            "federation.attempts",
            "federation.rooms",
            "federation.drafts",
            "federation.resident",
            "federation.invite_policy",
            "federation._countersigning",
            "federation.invites",
            "federation.third_party",
            "federation",
            "client.requests",
            "client.outcomes",
            "client.sentences",
            "client.rate_limit",
            "client.drafting",
            "client.entering",
            "client.inviting",
            "client.leaving",
            "client.members",
            "client",
        ),
    ),
    (
        frozenset({"hypothesis"}),
        (
            "strategies.identifiers",
            "strategies._json",
            "strategies._fields",
            "strategies.events",
            "strategies._sketch",
            "strategies._attempts",
            "strategies._member_attempts",
            "strategies._situations",
            "strategies._script",
            "strategies.cases",
            "strategies._moves",
            "strategies.rooms",
            "strategies.agreement",
            "strategies.handshakes",
            "strategies",
        ),
    ),
    (
        frozenset(),
        ("", "__main__"),
    ),
)

# The chapters of the rules know nothing of each other; only `auth.rulebook` gathers them all.
CHAPTER: Final = frozenset(
    {"auth._rule", "contents", "events", "identifiers", "membership", "room_versions", "state"}
)
CHAPTERS: Final = MappingProxyType(
    {
        "auth.create": CHAPTER,
        "auth.auth_events": CHAPTER | {"_attrs"},
        "auth.every_event": CHAPTER,
        "auth.aliases": CHAPTER,
        "auth.join": CHAPTER,
        "auth.invite": CHAPTER | {"signing"},  # third-party invites: their keys are room state
        "auth.leave": CHAPTER,
        "auth.ban": CHAPTER,
        "auth.knock": CHAPTER,
        "auth.member": CHAPTER
        | {"auth.join", "auth.invite", "auth.leave", "auth.ban", "auth.knock"},
        "auth.third_party_invite": CHAPTER,
        "auth.power_levels": CHAPTER,
        "auth.redaction": CHAPTER,
    }
)

# What runs the rules or speaks of them.
THE_RULES_AS_A_WHOLE: Final = frozenset(
    {"auth._rule", "auth._probe", "auth._program", "auth.rulebook"}
)
AROUND_THE_RULES: Final = frozenset(
    {"auth._suppositions", "auth.facts", "auth._changes", "auth.remedies", "auth.explanation"}
)

ORDER: Final = tuple(module for _, modules in LAYERS for module in modules)
# Part of the standard library, but reserved for a layer all the same.
RESERVED: Final = frozenset[str]().union(*(outside for outside, _ in LAYERS))


def permitted(module: str) -> frozenset[str]:
    """The modules of this package that a module may import."""
    if module in CHAPTERS:
        return CHAPTERS[module]
    above = frozenset(ORDER[: ORDER.index(module)])
    if module.partition(".")[0] == "strategies":
        return above
    return frozenset(name for name in above if name.partition(".")[0] != "strategies")


def permitted_outside(module: str) -> frozenset[str]:
    """The top-level names outside this package that a module may import from."""
    found = frozenset(sys.stdlib_module_names) - RESERVED
    for outside, modules in LAYERS:
        found |= outside
        if module in modules:
            break
    # The façade stands above the strategies, but whoever imports it need not have Hypothesis.
    return found if module.partition(".")[0] == "strategies" else found - {"hypothesis"}


def inside(tree: ast.Module) -> Iterator[str]:
    """The modules of this package that a module imports."""
    for name in imports_of(tree):
        if name.partition(".")[0] == PACKAGE:
            inner = name.removeprefix(PACKAGE).removeprefix(".")
            yield inner if inner in MODULES else inner.rpartition(".")[0]


def test_every_module_has_a_place_in_the_layers() -> None:
    assert set(MODULES) <= set(ORDER)


def test_every_place_is_given_once() -> None:
    assert len(ORDER) == len(set(ORDER))


def test_every_chapter_has_a_law() -> None:
    files = {name for name in ORDER if name.startswith("auth.")}
    assert files == {*CHAPTERS, *THE_RULES_AS_A_WHOLE, *AROUND_THE_RULES}


@pytest.mark.parametrize("module", [name for name in MODULES if name in ORDER])
class TestModule:
    def test_imports_only_what_stands_below_it(self, module: str) -> None:
        assert set(inside(parsed(module))) <= permitted(module)

    def test_imports_from_outside_only_what_its_layer_may(self, module: str) -> None:
        outside = {name.partition(".")[0] for name in imports_of(parsed(module))} - {PACKAGE}
        assert outside <= permitted_outside(module)

    def test_imports_at_its_top_level_only(self, module: str) -> None:
        tree = parsed(module)
        imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        assert [node.lineno for node in imports if node not in tree.body] == []

    def test_hides_no_import_from_the_interpreter(self, module: str) -> None:
        names = {node.id for node in ast.walk(parsed(module)) if isinstance(node, ast.Name)}
        names |= {n.attr for n in ast.walk(parsed(module)) if isinstance(n, ast.Attribute)}
        names |= set(imports_of(parsed(module)))
        assert names & {"TYPE_CHECKING", "typing.TYPE_CHECKING"} == set()
