"""The import law: folders are layers, and a private module is read only inside the folder that holds it.

- A module imports from lower layers, and in its own layer from what stands above it. So there is no circle.
- A private module (its name starts with an underscore) is imported by modules of the folder that holds it and of the
  folders below that one, by no other. `_attrs`, `_globs` and `_request` lie in the package's own folder: everybody may import them.
- The chapters of the rules know nothing of each other. Nothing imports the strategies; `compare --cases`, which draws
  from them, loads them by name. Only the command line reads files (`tests/test_purity.py`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import pytest

from tests.sources import MODULES, PACKAGE, imports_of, parsed

# Per layer what it adds to the imports from outside (a lower layer's are a higher layer's too), then its modules in
# order. A folder's `__init__` has the folder's name, and stands after the modules that it imports. The package's own
# `__init__`, the face for bots and tests, has none.
LAYERS: Final[tuple[tuple[frozenset[str], tuple[str, ...]], ...]] = (
    (  # vocabulary
        frozenset({"attrs"}),
        (
            "_attrs",
            "_globs",
            "_html",
            "errors",
            "identifiers",
            "membership",
            "room_versions",
        ),
    ),
    (  # documents
        frozenset({"canonicaljson", "hashlib", "orjson"}),
        (
            "canonical_json._plain",
            "canonical_json._text",
            "canonical_json",
            "_request",
            "redaction",
            "hashing",
        ),
    ),
    (  # events
        frozenset(),
        (
            "events.format",
            "events._fast_read",
            "events._cut",
            "events._cut_member",
            "events._fast_write",
            "events._decode",
            "events.contents",
            "events._held_levels",
            "events.facts",
            "events._accepted",
            "events.event",
            "events.reading",
            "events._template",
            "events",
            "_picture",
        ),
    ),
    (  # signatures
        frozenset({"nacl", "signedjson"}),
        (
            "signing._ed25519",
            "signing._keys",
            "signing._required",
            "signing",
        ),
    ),
    (  # state
        frozenset(),
        (
            "state._persistent_map",
            "state._members",
            "state._storage",
            "state._views",
            "state._fields",
            "state",
            "state.create_event",
            "state.from_client",
            "state.of_servers",
            "state.standing",
        ),
    ),
    (  # restricted rooms
        frozenset(),
        ("restricted",),
    ),
    (  # rules
        frozenset(),
        (
            "auth._rule",
            "auth._in_order",
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
            "auth.specification",
            "auth._rulebook",
            "auth._suppositions",
            "auth.explaining.levels",
            "auth.explaining._facts",
            "auth.explaining._changes",
            "auth.explaining._remedies",
            "auth.explaining",
            "auth",
        ),
    ),
    (  # other implementations
        frozenset(),
        ("conformance",),
    ),
    (  # resolution
        frozenset(),
        (
            "resolution._batches",
            "resolution._links",
            "resolution._state_sets",
            "resolution._graph",
            "resolution._auth_difference",
            "resolution._chains",
            "resolution._records",
            "resolution._auth_checks",
            "resolution._power_events",
            "resolution._mainline",
            "resolution._passes",
            "resolution._replay",
            "resolution._story",
            "resolution._page",
            "resolution._resolving",
            "resolution._gathering",
            "resolution._causes",
            "resolution._repairs",
            "resolution._resets",
            "resolution._changes",
            "resolution",
        ),
    ),
    (  # receipt
        frozenset(),
        (
            "receipt.server_acl",
            "receipt.policy_list",
            "receipt.policy_server",
            "receipt.redactions",
            "receipt._receipts",
            "receipt",
        ),
    ),
    (  # one room, one user
        frozenset(),
        (
            "machine",
            "visibility.seeing",
            "visibility",
            "room_summary",
            "fate",
            "out_of_band._judging",
            "out_of_band",
        ),
    ),
    (  # advice
        frozenset(),
        (
            "advice._given",
            "advice._joining",
            "advice._permission",
            "advice._sending",
            "advice.may",
            "advice._finding",
            "advice._join_rules",
            "advice._power",
            "advice._servers",
            "advice.lint",
            "advice._powers",
            "advice.powers",
            "advice.what_if",
            "advice.plans",
            "advice.pages",
            "advice",
        ),
    ),
    (  # room versions of one's own
        frozenset(),
        (
            "proposals.situations",
            "proposals.changes",
            "proposals._page",
            "proposals.comparing",
            "proposals.small_rooms",
            "proposals.reviewing",
            "proposals",
        ),
    ),
    (  # federation
        frozenset(),
        (
            "federation._shapes",
            "federation._splitting",
            "federation.messages",
            "federation.x_matrix",
            "federation.audit._report",
            "federation.audit._signers",
            "federation.audit._order",
            "federation.audit._judge",
            "federation.audit._read",
            "federation.audit",
            "federation.audit.sufficiency",
            "federation.audit.trusting",
            "federation.resident_room",
            "federation.history",
            "federation.policy_server",
            "federation.transactions",
            "federation.spaces",
            "federation.drafts",
            "federation.invites.messages",
            "federation._arrival",
            "federation.invites.room_state",
            "federation.invites.policy",
            "federation.invites._receiving",
            "federation.invites",
            "federation.handshake._ends",
            "federation.handshake",
            "federation.handshake.attempts",
            "federation.resident",
            "federation.third_party",
            "federation.diagnosis.keys",
            "federation.diagnosis._exchange",
            "federation.diagnosis._capture",
            "federation.diagnosis._causes",
            "federation.diagnosis._story",
            "federation.diagnosis._case",
            "federation.diagnosis._sent_event",
            "federation.diagnosis._refusals",
            "federation.diagnosis._invites",
            "federation.diagnosis._join_answer",
            "federation.diagnosis._replay",
            "federation.diagnosis",
            "federation.diagnosis.page",
            "federation",
        ),
    ),
    (  # client
        frozenset(),
        (
            "client.rate_limit",
            "client._reading",
            "client.requests",
            "client.known",
            "client.actions",
            "client._sentences",
            "client._drafting",
            "client.entering",
            "client.inviting",
            "client.leaving",
            "client.members",
            "client._levels",
            "client._founding",
            "client.creating",
            "client.upgrading",
            "client.planning",
            "client",
        ),
    ),
    (  # strategies
        frozenset({"hypothesis"}),
        (
            "strategies.identifiers",
            "strategies._json",
            "strategies._fields",
            "strategies.events",
            "strategies._trials",
            "strategies._member_trials",
            "strategies._situations",
            "strategies._script",
            "strategies.cases",
            "strategies.rooms",
            "strategies.agreement",
            "strategies._network",
            "strategies.convergence",
            "strategies.handshakes",
            "strategies",
        ),
    ),
    (  # faces
        frozenset(),
        (
            "",
            "server",
            "cli._progress",
            "cli._reading",
            "cli._state_file",
            "cli._page",
            "cli.explain",
            "cli.doctor",
            "cli._room_files",
            "cli.lint",
            "cli.whocan",
            "cli.whatif",
            "cli.plan",
            "cli.resolve",
            "cli.resets",
            "cli.compare",
            "cli",
            "__main__",
        ),
    ),
)

# The chapters of the rules know nothing of each other; only `auth.specification` gathers them all.
CHAPTER: Final = frozenset(
    {
        "auth._rule",
        "events.contents",
        "events",
        "identifiers",
        "membership",
        "room_versions",
        "state",
    }
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
    {"auth._rule", "auth._program", "auth._rulebook", "auth.specification"}
)
AROUND_THE_RULES: Final = frozenset(
    {
        "auth._in_order",
        "auth._suppositions",
        "auth.explaining.levels",
        "auth.explaining._facts",
        "auth.explaining._changes",
        "auth.explaining._remedies",
        "auth.explaining",
    }
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
    # The faces stand above the strategies, but work without Hypothesis.
    return found if module.partition(".")[0] == "strategies" else found - {"hypothesis"}


def inside(tree: ast.Module) -> Iterator[str]:
    """The modules of this package that a module imports."""
    for name in imports_of(tree):
        if name.partition(".")[0] == PACKAGE:
            inner = name.removeprefix(PACKAGE).removeprefix(".")
            yield inner if inner in MODULES else inner.rpartition(".")[0]


def holder_of_private(module: str) -> str | None:
    """The folder whose modules may import a module; None when all may."""
    parts = module.split(".")
    found = next((index for index, part in enumerate(parts) if part.startswith("_")), None)
    return None if found is None else ".".join(parts[:found])


def lies_in(module: str, folder: str) -> bool:
    return not folder or module == folder or module.startswith(f"{folder}.")


def foreign_private(module: str, tree: ast.Module) -> list[str]:
    """The private modules of other folders that a module imports."""
    return [
        name
        for name in inside(tree)
        if (folder := holder_of_private(name)) is not None and not lies_in(module, folder)
    ]


def test_every_module_has_a_place_in_the_layers() -> None:
    assert set(MODULES) <= set(ORDER)


def test_every_place_is_given_once() -> None:
    assert len(ORDER) == len(set(ORDER))


def test_every_chapter_has_a_law() -> None:
    files = {name for name in ORDER if name.startswith("auth.")}
    assert files == {*CHAPTERS, *THE_RULES_AS_A_WHOLE, *AROUND_THE_RULES}


MAY_BE_MISSING: Final = MappingProxyType({"canonical_json._plain": ["orjson"]})
"""Imports of packages that an extra installs: a module tries them."""


@pytest.mark.parametrize("module", [name for name in MODULES if name in ORDER])
class TestModule:
    def test_imports_only_what_stands_below_it(self, module: str) -> None:
        assert set(inside(parsed(module))) <= permitted(module)

    def test_imports_no_private_module_of_another_folder(self, module: str) -> None:
        assert foreign_private(module, parsed(module)) == []

    def test_imports_from_outside_only_what_its_layer_may(self, module: str) -> None:
        outside = {name.partition(".")[0] for name in imports_of(parsed(module))} - {PACKAGE}
        assert outside <= permitted_outside(module)

    def test_imports_at_its_top_level_only(self, module: str) -> None:
        tree = parsed(module)
        imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        tried = [node for node in imports if node not in tree.body]
        names = [getattr(node, "module", None) for node in tried]
        assert names == MAY_BE_MISSING.get(module, [])

    def test_hides_no_import_from_the_interpreter(self, module: str) -> None:
        names = {node.id for node in ast.walk(parsed(module)) if isinstance(node, ast.Name)}
        names |= {n.attr for n in ast.walk(parsed(module)) if isinstance(n, ast.Attribute)}
        names |= set(imports_of(parsed(module)))
        assert names & {"TYPE_CHECKING", "typing.TYPE_CHECKING"} == set()


class TestForeignPrivateModules:
    """Of this file's own reading of imports."""

    @pytest.mark.parametrize(
        "line",
        [
            "from matrix_membership.state._members import Members",
            "from matrix_membership.state import _members",
            "import matrix_membership.state._members",
        ],
    )
    def test_are_found_however_they_are_imported(self, line: str) -> None:
        assert foreign_private("auth.join", ast.parse(line)) == ["state._members"]

    @pytest.mark.parametrize(
        ("module", "line"),
        [
            ("state", "from matrix_membership.state._members import Members"),
            ("state.from_client", "from matrix_membership.state import _members"),
            ("auth.explaining.facts", "from matrix_membership.auth._rule import Rule"),
            ("auth.join", "from matrix_membership._attrs import frozen"),
            ("auth.join", "from matrix_membership.state import RoomState"),
        ],
    )
    def test_leave_out_those_of_the_folder_and_those_above_it(self, module: str, line: str) -> None:
        assert foreign_private(module, ast.parse(line)) == []

    def test_include_those_of_a_folder_below(self) -> None:
        line = "from matrix_membership.federation.audit._read import Reader"
        assert foreign_private("federation", ast.parse(line)) == ["federation.audit._read"]

    def test_include_those_of_a_folder_whose_name_begins_alike(self) -> None:
        line = "from matrix_membership.state._members import Members"
        assert foreign_private("state_of_another", ast.parse(line)) == ["state._members"]
