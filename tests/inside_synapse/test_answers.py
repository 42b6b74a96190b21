"""Two Synapses with these rules inside answer as two without.

Each flow is played by four pairs of servers at once, with the rules in neither, one or both of
them; and by a fifth pair, where both compare every verdict with their own.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import pytest

from tests.inside_synapse.flows import FLOWS
from tests.inside_synapse.play import Flow, Pair, Told
from tests.interop.synapse import Synapse
from tests.sources import ROOT

pytestmark = pytest.mark.interop

VERSIONS: Final = int(os.environ.get("INSIDE_VERSIONS", "12"))
"""The number of room versions in which each flow is played; each flow has its own choice."""

IMPORTS: Final = (ROOT / "src", ROOT / "docs" / "examples", Path(__file__).parent / "within")

PAIRINGS: Final = MappingProxyType(
    {
        "without": ("", ""),
        "here": ("inside_synapse.install", ""),
        "there": ("", "inside_synapse.install"),
        "both": ("inside_synapse.install", "inside_synapse.install"),
        "compared": ("compare_rules.Compare", "compare_rules.Compare"),
    }
)
"""By name, the module that each of two servers loads."""

REJECTED: Final = frozenset({(400, "M_FORBIDDEN"), (403, "M_FORBIDDEN")})
"""The answers to events that the rules reject: malformed ones, and all others."""

# Both refuse the event, with another status or error code.
LISTED: Final[Mapping[str, frozenset[tuple[int, str]]]] = MappingProxyType(
    {
        "writes levels oddly": frozenset({(400, "M_UNKNOWN")}),
        "lists a creator among the users": frozenset({(400, "M_UNKNOWN")}),
        "gives the room away": frozenset({(400, "M_UNKNOWN")}),  # in version 12, by a creator
        "knocks where nobody can": frozenset({(500, "M_FORBIDDEN")}),
        "sets a join rule of later versions": frozenset({(500, "M_FORBIDDEN")}),
    }
)
"""By flow: answers of Synapse in whose place these rules may answer that the event is rejected."""


@attrs.frozen
class Running:
    """Two servers that run."""

    servers: tuple[Synapse, Synapse]
    pair: Pair


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file to which the comparing servers write their findings."""
    return tmp_path_factory.mktemp("verdicts")


@pytest.fixture(scope="module")
def running(
    verdicts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Running]]:
    """All pairings."""
    gates = tmp_path_factory.mktemp("gates")
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:

        def started(module: str, name: str) -> Synapse:
            config = {"report": str(verdicts / f"{name}.jsonl")}
            modules = [{"module": module, "config": config}] if module else []
            hold = {"module": "hold_state.Hold", "config": {"gate": str(gates / name[:-1])}}
            options = {"modules": [hold, *modules]}
            return Synapse(options=options, imports=IMPORTS).__enter__()

        starting = {
            name: [pool.submit(started, each, f"{name}{at}") for at, each in enumerate(modules)]
            for name, modules in PAIRINGS.items()
        }
        found = {}
        for name, both in starting.items():
            here, there = (one.result() for one in both)
            stack.callback(here.close)
            stack.callback(there.close)
            found[name] = Running((here, there), Pair.of(here, there, gates / name))
        yield found


def chosen(flow: Flow) -> tuple[str, ...]:
    """The versions in which a flow is played in this run."""
    start = FLOWS.index(flow) * VERSIONS % len(flow.versions)
    return (*flow.versions[start:], *flow.versions[:start])[:VERSIONS]


def unlisted(flow: Flow, theirs: list[Told], ours: list[Told]) -> list[tuple[Told, Told]]:
    """The answers that differ and are not listed."""
    listed = LISTED.get(flow.name, frozenset())
    return [
        (one, other)
        for one, other in zip(theirs, ours, strict=True)
        if one != other and not (other[1:] in REJECTED and one[1:] in listed)
    ]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name.replace(" ", "-"))
def test_is_answered_alike(flow: Flow, running: Mapping[str, Running]) -> None:
    def played(pair: Pair) -> Mapping[str, list[Told]]:
        return {version: flow.played(pair, version) for version in chosen(flow)}

    with ThreadPoolExecutor(len(PAIRINGS)) as pool:
        playing = {name: pool.submit(played, each.pair) for name, each in running.items()}
    told = {name: done.result() for name, done in playing.items()}
    theirs = told.pop("without")
    for version, steps in theirs.items():
        assert [step for step in steps if step[1] == 0] == []  # what never came about
        for name, ours in told.items():
            different = unlisted(flow, steps, ours[version])
            assert (name, version, different) == (name, version, [])


BROKEN: Final = re.compile(r" - (?:ERROR|CRITICAL) - |^Traceback", re.MULTILINE)


@pytest.mark.parametrize("name", PAIRINGS)
def test_leaves_the_logs_clean(name: str, running: Mapping[str, Running]) -> None:
    for server in running[name].servers:
        log = server.log.read_text("utf-8", "replace")
        assert [log[at.start() : at.start() + 2000] for at in BROKEN.finditer(log)] == []


def test_gives_the_verdicts_that_synapse_gives(
    running: Mapping[str, Running], verdicts: Path
) -> None:
    lines = [line for file in verdicts.iterdir() for line in file.read_text("utf-8").splitlines()]
    compared: list[dict[str, Any]] = [json.loads(line) for line in lines]
    print(f"\n{len(compared):,} verdicts compared: {dict(Counter(f['check'] for f in compared))}")
    assert [found for found in compared if "difference" in found] == []
    assert compared
