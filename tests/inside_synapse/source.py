"""Run tests of Synapse's own source with these rules inside: `make inside-synapse-source`.

They are not in its wheel. So the tests come from a folder that holds its source, and Synapse itself
from the environment of `SYNAPSE_PYTHON`, which needs the package `parameterized` too. Each module
of tests runs twice, without these rules and with them. A test counts that ends otherwise.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.interop.synapse import synapse_python
from tests.sources import ROOT

MODULES: Final = (
    "tests.test_event_auth",
    "tests.test_state",
    "tests.state",
    "tests.federation",
    "tests.handlers.test_federation",
    "tests.handlers.test_federation_event",
    "tests.handlers.test_room_member",
    "tests.handlers.test_room_policy",
    "tests.rest.client.test_rooms",
    "tests.rest.client.test_upgrade_room",
    "tests.rest.client.test_third_party_rules",
)

WITHOUT: Final = "import sys; from twisted.scripts.trial import run; sys.argv[0] = 'trial'; run()"
# Its handlers import each other in a circle, which only this order leaves.
WITH: Final = f"import synapse.rest, inside_synapse; inside_synapse.install(); {WITHOUT}"

OTHER_WORDS: Final = "asks for the sentence of Synapse's error; status and errcode are the same"
OVERRIDES: Final = "tests.rest.client.test_rooms.RoomPowerLevelOverridesInPracticeTestCase"

EXPLAINED: Final = MappingProxyType(
    {
        "tests.handlers.test_federation.FederationTestCase.test_exchange_revoked_invite": OTHER_WORDS,
        f"{OVERRIDES}.test_config_override_applies_only_to_specific_preset": OTHER_WORDS,
        f"{OVERRIDES}.test_normal_user_can_not_post_state_event": OTHER_WORDS,
        f"{OVERRIDES}.test_specific_room_override_defeats_config_override": OTHER_WORDS,
        "tests.test_event_auth.EventAuthTestCase.test_join_rules_msc3083_restricted": (
            "gives the rules a join that the authorising user's server did not sign (4.2.1); Synapse"
            " looks for that signature before it asks its rules"
        ),
    }
)
"""The tests that end otherwise with these rules, and why."""

ENDED: Final = re.compile(
    r"^tests\.[\w.]+\.[A-Z]\w*\.test_\w+$", re.MULTILINE
)  # not the headings of modules
RAN: Final = re.compile(r"^Ran (\d+) tests", re.MULTILINE)


def outcome(program: str, source: Path) -> tuple[int, frozenset[str]]:
    """Run the tests; return how many ran, and the names of those that failed or were skipped."""
    paths = [ROOT / "src", ROOT / "docs" / "examples"]
    with tempfile.TemporaryDirectory() as place:
        # Beside the tests, the folder holds Synapse without its compiled part.
        (Path(place) / "tests").symlink_to(source / "tests")
        done = subprocess.run(
            [synapse_python(), "-c", program, "--temp-directory=trial", *MODULES],
            cwd=place,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            capture_output=True,
            text=True,
            check=False,
        )
    ran = RAN.search(done.stdout)
    if ran is None:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    return int(ran[1]), frozenset(ENDED.findall(done.stdout))


def difference(source: Path) -> Mapping[str, list[str]]:
    """The tests that fail in one of the two runs only."""
    ran, before = outcome(WITHOUT, source)
    ran_inside, after = outcome(WITH, source)
    for how, count, names in (("without", ran, before), ("with", ran_inside, after)):
        print(f"{how}: {count} tests, {len(names)} failed or skipped")
    return {"fail with these rules": sorted(after - before), "pass": sorted(before - after)}


def main() -> None:
    """Print what differs; fail if it is not explained."""
    if len(sys.argv) != 2:
        raise SystemExit("SYNAPSE_SOURCE must name a folder with Synapse's source")
    unexplained = 0
    for what, names in difference(Path(sys.argv[1]).resolve()).items():
        print(f"{what}: {len(names)}")
        for name in names:
            print(f"  {name}: {EXPLAINED.get(name, 'not explained')}")
        unexplained += len([name for name in names if name not in EXPLAINED])
    if unexplained:
        raise SystemExit(f"{unexplained} of them not explained")


if __name__ == "__main__":
    main()
