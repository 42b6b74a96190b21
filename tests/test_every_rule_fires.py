"""Every rule of every version is seen firing."""

from __future__ import annotations

import pytest

from matrix_membership import RoomVersion, auth
from tests.builders import VERSIONS, decision, versions_having, versions_lacking
from tests.rule_cases import CASES

ALL = [
    pytest.param(version, rule.name, id=f"{version}-{rule.name}")
    for version in VERSIONS
    for _, rule in auth.rules_of(version).numbered
]


class TestEveryRule:
    @pytest.mark.parametrize(("version", "rule"), ALL)
    def test_fires(self, version: RoomVersion, rule: str) -> None:
        assert CASES[rule](version).decide() == decision(rule, version)

    def test_has_a_case_and_every_case_a_rule(self) -> None:
        names = {rule.name for version in VERSIONS for _, rule in auth.rules_of(version).numbered}
        assert names == set(CASES)

    @pytest.mark.parametrize("rule", sorted(CASES))
    def test_fires_in_no_version_that_lacks_it(self, rule: str) -> None:
        for version in versions_lacking(rule):
            assert CASES[rule](version).decide().rule != rule

    @pytest.mark.parametrize("rule", sorted(CASES))
    def test_exists_in_an_unbroken_run_of_versions(self, rule: str) -> None:
        having = [VERSIONS.index(version) for version in versions_having(rule)]
        assert having == list(range(having[0], having[-1] + 1))
