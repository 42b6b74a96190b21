"""Both sides come to the same, also of what is broken, and both can be measured."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from matrix_membership._attrs import evolve
from tests.bench_synapse.rooms import ROOMS, answer, work
from tests.bench_synapse.tasks import (
    ANSWER,
    BOTH,
    CROWD,
    INSIDE,
    KEPT,
    LISTED,
    PREPARED,
    READ,
    RECEIPT,
    RESOLVED,
)
from tests.bench_synapse.work import Answer
from tests.interop.synapse import synapse_python
from tests.sources import ROOT

pytestmark = pytest.mark.oracle

Report = dict[str, Any]

MEMBERS = 5
BROKEN = "broken"


def broken(whole: Answer) -> Answer:
    """An answer in which one member's signature is bad, and the content of another was altered."""
    body = json.loads(whole.body)
    unsigned, altered = body["state"][-2:]
    for of_server in unsigned["signatures"].values():
        of_server.update(dict.fromkeys(of_server, "A" * 86))
    altered["content"]["displayname"] = "Not what was hashed"
    return Answer(json.dumps(body), whole.join)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What the program prints of a little work."""
    some = work([MEMBERS, 2 * MEMBERS], crowd=100, places=[5, 12])
    spoiled = {BROKEN: {MEMBERS: broken(answer(ROOMS["no power levels"], MEMBERS))}}
    some = evolve(some, answers={**some.answers, **spoiled})
    file: Path = tmp_path_factory.mktemp("bench") / "work.json"
    file.write_text(some.to_json(), "utf-8")
    done = subprocess.run(
        [synapse_python(), "-m", "tests.bench_synapse", str(file), "--json", "--rounds", "1"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(["src", ".", "docs/examples"])},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: Report = json.loads(done.stdout)
    return found


class TestResults:
    def test_are_the_same_of_all_work(self, report: Report) -> None:
        assert [name for name, (theirs, ours) in report["results"].items() if theirs != ours] == []

    @pytest.mark.parametrize("form", [LISTED, PREPARED, INSIDE, KEPT, BOTH])
    def test_are_the_verdicts_that_were_asked_for(self, report: Report, form: str) -> None:
        joins = [form.format(kind="public join", users=users) for users in (5, 50, 500)]
        refused = form.format(kind="refused join", users=50)
        assert [report["results"][name] for name in joins] == [[True, True]] * 3
        assert report["results"][refused] == [False, False]

    @pytest.mark.parametrize("name", [READ, *(RECEIPT.format(room=room) for room in ROOMS)])
    def test_are_event_ids(self, report: Report, name: str) -> None:
        theirs, ours = report["results"][name]
        assert theirs == ours
        assert theirs.startswith("$")

    def test_tell_what_is_no_member(self, report: Report) -> None:
        # The create event, power levels, join rules, and members that are taken away.
        theirs, ours = report["results"][CROWD.format(crowd=100)]
        assert len(theirs) == len(ours) == 3

    @pytest.mark.parametrize("version", ["11", "12"])
    def test_are_resolved_states(self, report: Report, version: str) -> None:
        room = f"room version {version}, auth chains computed"
        theirs, ours = report["results"][RESOLVED.format(members=12, room=room)]
        assert theirs == ours
        assert len(ours) == 12 + 3  # and the create event, Ana, the join rules

    def test_leave_out_what_is_badly_signed(self, report: Report) -> None:
        whole = report["results"][ANSWER.format(members=MEMBERS, room="no power levels")]
        spoiled = report["results"][ANSWER.format(members=MEMBERS, room=BROKEN)]
        assert [len(events) for events in whole] == [MEMBERS + 4] * 2
        assert [len(events) for events in spoiled] == [MEMBERS + 3] * 2

    def test_are_redacted_where_content_was_altered(self, report: Report) -> None:
        for events in report["results"][ANSWER.format(members=MEMBERS, room=BROKEN)]:
            named = [content for content in events.values() if "displayname" in content]
            assert len(named) == MEMBERS - 2  # without the one who is left out


class TestFigures:
    def test_are_of_all_that_is_done(self, report: Report) -> None:
        # Six kinds of event in five forms, the reading, the receipts, the crowd, the answers, the
        # forks of two room versions, with and without their auth chains.
        measured = [found["name"] for found in report["measured"]]
        assert (
            len(measured)
            == len(set(measured))
            == 30 + 1 + (len(ROOMS) + 1) + 1 + len(ROOMS) + 1 + 4
        )

    def test_are_positive(self, report: Report) -> None:
        for found in report["measured"]:
            for column in ("theirs", "ours", "ratios"):
                assert len(found[column]) == len(found["sizes"])
                assert all(value > 0 for value in found[column])
