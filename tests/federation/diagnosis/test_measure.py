"""Measure diagnoses: the right cause is found, and no wrong one is told with confidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import pytest

from matrix_membership.federation.diagnosis import Diagnosis, diagnose, read_capture
from matrix_membership.federation.diagnosis._causes import CAUSES
from matrix_membership.federation.diagnosis.keys import NO_KEYS
from matrix_membership.room_versions import KNOWN, V1, V8, V12, RoomVersion
from tests.federation.diagnosis.transcripts import (
    ALL_KEYS,
    NOBODY,
    UNKNOWN,
    Json,
    Transcript,
    transcripts,
)

pytestmark = pytest.mark.long

QUICK: Final = (V1, V8, V12)


def without(*names: str) -> Callable[[list[Json]], list[Json]]:
    """The records without some fields."""
    return lambda records: [
        {name: value for name, value in record.items() if name not in names} for record in records
    ]


def answers(records: list[Json]) -> list[Json]:
    """The bare answers, as far as they are objects that say something."""
    found = (record["response"] for record in records)
    return [answer for answer in found if isinstance(answer, dict) and answer]


# For each: the records, whether the keys are known, whether the state is.
WITHHELD: Final[Mapping[str, tuple[Callable[[list[Json]], list[Json]], bool, bool]]] = (
    MappingProxyType(
        {
            "the state": (list, True, False),
            "the keys": (list, False, True),
            "both": (list, False, False),
            "the requests": (answers, True, True),
            "all but the answers": (answers, False, False),
            "the first request": (lambda records: records[-1:], True, True),
            "all but the last request": (lambda records: records[-1:], False, False),
            "the names": (without("origin", "destination", "authorization"), True, True),
            "the end": (lambda records: records[:1], True, False),
        }
    )
)


@cache
def drawn(version: RoomVersion, seed: int = 1) -> tuple[Transcript, ...]:
    """The transcripts of a version, made once for all tests."""
    return tuple(transcripts(seed, (version,)))


def diagnosed(transcript: Transcript, records: list[Json], *, keys: bool, state: bool) -> Diagnosis:
    return diagnose(
        read_capture(records),
        keys=ALL_KEYS if keys else NO_KEYS,
        state=transcript.room.state if state else None,
    )


def is_right(found: Diagnosis, transcript: Transcript) -> bool:
    if (found.cause, found.fault) == transcript.as_well:
        return True
    return found.cause in transcript.causes and found.fault is transcript.fault


def says_what_is_missing(found: Diagnosis) -> bool:
    """Tell whether it blames nobody, and names the data that it lacks."""
    unsure = found.fault is UNKNOWN or (found.fault is NOBODY and not found.cause)
    return unsure and bool(found.missing)


def measured(versions: Iterable[RoomVersion], seed: int = 1) -> Counter[str]:
    """Count the transcripts, with all that there is to know, that are diagnosed right."""
    counts: Counter[str] = Counter()
    wrong = []
    for transcript in (made for version in versions for made in drawn(version, seed)):
        found = diagnosed(transcript, transcript.records, keys=True, state=True)
        right = is_right(found, transcript)
        counts["right" if right else "not right"] += 1
        if not right and not says_what_is_missing(found):
            wrong.append(f"{transcript}: {found.cause}, {found.side}")
    assert wrong == []
    return counts


def test_the_right_cause_is_found() -> None:
    counts = measured(QUICK)
    assert counts.total() >= 200
    assert counts["right"] >= 0.95 * counts.total()


@pytest.mark.parametrize("what", WITHHELD)
def test_a_wrong_cause_is_never_told_with_confidence(what: str) -> None:
    records, keys, state = WITHHELD[what]
    wrong = []
    for transcript in drawn(V8):
        shown: Any = records(transcript.records)
        if not shown:
            continue
        found = diagnosed(transcript, shown, keys=keys, state=state)
        if not is_right(found, transcript) and not says_what_is_missing(found):
            wrong.append(f"{transcript}: {found.cause}, {found.side}")
    assert wrong == []


def test_every_cause_comes_up() -> None:
    """All causes but those that two servers of this library cannot produce."""
    told = {cause for version in QUICK for made in drawn(version) for cause in made.causes}
    assert set(CAUSES) - told == {
        "forbidden",
        "judged_differently",
        "request_unsigned",
        "request_malformed",
        "refused",
        "unfinished",
        "unreadable",
        "bad_copy",
        "circle",
        "same_id",
        "join_unsigned",
        "wrong_endpoint",
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_right_cause_is_found_in_every_version(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = measured(KNOWN.values(), seed)
    with capsys.disabled():
        print(f"\nseed {seed}: {counts['right']} of {counts.total()} right")  # noqa: T201 - a figure
    assert counts["right"] >= 0.95 * counts.total()
