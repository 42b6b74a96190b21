"""The rendered pages are as the code gives them, and a rule's number leads to all about it."""

from __future__ import annotations

import ast
import re
from inspect import ismodule
from pathlib import Path
from types import ModuleType

import pytest

import matrix_membership.server
from matrix_membership import RoomVersion, auth
from matrix_membership.room_versions import V8, V12
from tests.builders import VERSIONS
from tests.pages import differences, overview, pictures, reviews, rules
from tests.sources import ROOT, SOURCE

RULES = [pytest.param(rule, id=rule.name) for rule in rules.sorted_rules()]


class TestPages:
    """When one should differ: `python -m tests.pages`, and review the difference."""

    def test_of_the_rules_is_as_written(self) -> None:
        assert rules.text().splitlines() == rules.FILE.read_text("utf-8").splitlines()

    @pytest.mark.parametrize("file", pictures.FILES, ids=lambda file: file.name)
    def test_have_their_pictures_as_drawn(self, file: Path) -> None:
        assert pictures.FILES[file]() == file.read_text("utf-8")

    def test_draw_each_move_between_memberships(self) -> None:
        drawn = pictures.memberships()
        assert drawn.count("marker-end") == 14
        assert ">knock retracted or</text>" in drawn
        assert ">knock denied</text>" in drawn

    def test_of_all_names_is_as_written(self) -> None:
        assert overview.text() == overview.FILE.read_text("utf-8")

    @pytest.mark.parametrize("module", [matrix_membership, matrix_membership.server])
    def test_of_all_names_has_those_to_import(self, module: ModuleType) -> None:
        names = {name for name in module.__all__ if not ismodule(getattr(module, name))}
        assert names <= {*re.findall(r"^- `(\w+)`", overview.text(), re.MULTILINE)}

    def test_of_the_differences_is_as_written(self) -> None:
        assert differences.text() == differences.FILE.read_text("utf-8")

    # A review takes some seconds, so the suite makes two of the twelve again.
    @pytest.mark.parametrize("version", [V8, V12], ids=str)
    def test_of_the_reviews_is_as_written(self, version: RoomVersion) -> None:
        assert reviews.section(version) in reviews.FILE.read_text("utf-8")


class TestPageOfTheRules:
    def test_has_a_column_for_each_rule_list(self) -> None:
        assert [version for same in rules.LISTS for version in same] == list(VERSIONS[::-1])
        for same in rules.LISTS:
            assert len({auth.rules_of(version).numbered for version in same}) == 1

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_has_the_rules_of_a_version_in_order(self, version: RoomVersion) -> None:
        names = [rule.name for rule in rules.sorted_rules()]
        here = [names.index(rule.name) for _, rule in auth.rules_of(version)]
        assert here == sorted(here)


class TestSearch:
    """For "rule 4.3.5.2 of version 10": the rule's section, its function and its tests."""

    @pytest.mark.parametrize("version", VERSIONS, ids=str)
    def test_of_a_number_finds_the_section(self, version: RoomVersion) -> None:
        _, *sections = rules.text().split("\n### ")
        for number, rule in auth.rules_of(version):
            wanted = f"- rule {number} of version {version}\n"
            assert rule.name in [text.partition("\n")[0] for text in sections if wanted in text]

    @pytest.mark.parametrize("rule", RULES)
    def test_finds_the_number_beside_the_function(self, rule: auth.Rule) -> None:
        chapter, _, name = rule.name.partition(".")
        source = (SOURCE / "auth" / f"{chapter}.py").read_text("utf-8")
        before = source.partition(f"def {name}(")[0].rpartition("\n@")[2]
        for version in VERSIONS:
            number = auth.rules_of(version).number_of(rule.name)
            assert number is None or f'"{number}"' in before

    @pytest.mark.parametrize("rule", RULES)
    def test_finds_tests_that_exist(self, rule: auth.Rule) -> None:
        file, name = rules.test_class(rule)
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        tests = [node for node in classes[name].body if isinstance(node, ast.FunctionDef)]
        assert [test.name for test in tests if test.name.startswith("test_")]
