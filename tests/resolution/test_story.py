"""The story of a resolution: each event in its turn, and what became of it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from matrix_membership import Decision
from matrix_membership.membership import BAN
from matrix_membership.resolution import Dispute, Outcome, Resolution, Stage, resolve
from matrix_membership.room_versions import V1, V2, V11, V12
from tests.builders import ANA, BEN, CAY, DAN
from tests.resolution.forks import Fork, a_fork
from tests.resolution.room_graphs import a_case

TOPIC = ("m.room.topic", "")


def a_ban_against_a_topic(fork: Fork) -> tuple[Fork, Fork]:
    """Ana bans Ben on one branch; on the other one Ben sets the topic."""
    other = fork.branch()
    fork.member(ANA, BEN, BAN)
    other.add("m.room.topic", BEN, {"topic": "mine"})
    return fork, other


def resolved(fork: Fork, other: Fork) -> Resolution:
    return resolve(fork.version, [fork.state, other.state], fork.events)


def dispute(resolution: Resolution, place: tuple[str, str]) -> Dispute:
    return next(entry for entry in resolution.story.disputes if entry.place == place)


class TestStory:
    def test_tells_the_turn_of_every_event(self) -> None:
        story = resolved(*a_ban_against_a_topic(a_fork(V11))).story
        assert [(e.number, str(e.stage), str(e.outcome), e.wins) for e in story.considered] == [
            (1, "power events", "taken", False),
            (2, "power events", "taken", True),
            (3, "mainline", "refused", False),
        ]

    def test_reads_like_an_account(self) -> None:
        fork, other = a_ban_against_a_topic(a_fork(V2))
        assert str(resolved(fork, other).story) == "\n".join(
            [
                "state resolution 2, room version 2: places in dispute: 2",
                "power events:",
                f"  1. m.room.member join {BEN} by {BEN} (power level 50, sent at 5): taken, then replaced",
                f"  2. m.room.member ban {BEN} by {ANA} (power level 100, sent at 7): stands",
                "mainline:",
                f"  3. m.room.topic by {BEN} (mainline position 0, sent at 8): rejected by rule 6 of room version 2: the sender is not joined",
                f"m.room.member {BEN}: $e6:a.example",
                f"  1. $e4:a.example m.room.member join {BEN} by {BEN} (power level 50, sent at 5): taken, then replaced",
                f"  2. $e6:a.example m.room.member ban {BEN} by {ANA} (power level 100, sent at 7): stands",
                "m.room.topic: nothing stands here",
                f"  3. $e7:a.example m.room.topic by {BEN} (mainline position 0, sent at 8): rejected by rule 6 of room version 2: the sender is not joined",
            ]
        )

    def test_is_a_json_object(self) -> None:
        story = resolved(*a_ban_against_a_topic(a_fork(V11))).story
        document = json.loads(json.dumps(story.to_dict()))
        assert document["algorithm"] == "2"
        assert document["disputes"][1]["winner"] is None
        assert document["disputes"][1]["candidates"][0] == {
            "number": 3,
            "event_id": "$" + "7".rjust(43, "x"),
            "type": "m.room.topic",
            "state_key": "",
            "sender": BEN,
            "membership": None,
            "stage": "mainline",
            "why": "mainline position 0, sent at 8",
            "outcome": "refused",
            "rule": "every_event.sender_not_joined",
            "rule_number": "5",
            "wins": False,
        }

    def test_tells_of_version_12s_creators(self) -> None:
        fork, other = a_ban_against_a_topic(a_fork(V12))
        ban = dispute(resolved(fork, other), ("m.room.member", BEN)).candidates[-1]
        assert ban.why == "power level infinite, sent at 7"

    def test_tells_what_no_power_levels_authorise(self) -> None:
        fork = Fork(V11, {}, {})
        fork.add("m.room.create", ANA, {"room_version": "11"}, prev_events=[])
        fork.member(ANA, ANA)
        other = fork.branch()
        fork.add("m.room.topic", ANA, {})
        found = dispute(resolved(fork, other), TOPIC)
        assert found.candidates[0].why == "off the mainline, sent at 3"

    def test_names_events_that_are_not_at_hand(self) -> None:
        fork, other = a_ban_against_a_topic(a_fork(V11))
        del fork.events[other.state[TOPIC]]
        (missing,) = dispute(resolved(fork, other), TOPIC).candidates
        assert (missing.outcome, missing.sender, missing.number) == (Outcome.MISSING, None, 0)
        assert str(missing) == "m.room.topic: not at hand"
        assert missing.to_dict()["stage"] is None

    def test_names_missing_events_that_no_state_has_by_their_id(self) -> None:
        fork, other = a_ban_against_a_topic(a_fork(V11))
        join = next(e for e in other.state.values() if e == other.state["m.room.member", BEN])
        found = resolve(
            V11,
            [fork.state, other.state],
            fork.events,
            auth_difference={join, fork.state["m.room.member", ANA], "$gone:a.example"},  # type: ignore[arg-type]  # IDs
        )
        gone = found.story.considered[-1]
        assert str(gone) == "$gone:a.example: not at hand"
        assert gone.to_dict()["type"] is None


class TestStoryOfVersion1:
    def test_tells_what_was_passed_over(self) -> None:
        fork = a_fork(V1)
        branches = [fork, fork.branch(), fork.branch()]
        for branch in branches:
            branch.add("m.room.topic", ANA, {})
        found = resolve(V1, [branch.state for branch in branches], fork.events)
        outcomes = [entry.outcome for entry in dispute(found, TOPIC).candidates]
        assert outcomes == [Outcome.TAKEN, Outcome.PASSED_OVER, Outcome.PASSED_OVER]
        assert {entry.stage for entry in found.story.considered} == {Stage.OTHERS}

    def test_passes_over_what_follows_a_refusal(self) -> None:
        fork = a_fork(V1)
        branches = [fork, fork.branch(), fork.branch()]
        for branch, sender in zip(branches, (ANA, DAN, ANA), strict=True):
            branch.levels(sender, {BEN: 50, CAY: branch.state.__len__()})
        found = resolve(V1, [branch.state for branch in branches], fork.events)
        (place,) = found.story.disputes
        assert [entry.outcome for entry in place.candidates] == [
            Outcome.TAKEN,
            Outcome.REFUSED,
            Outcome.PASSED_OVER,
        ]

    def test_tells_what_was_in_no_conflict(self) -> None:
        fork = a_fork(V1)
        other = fork.branch()
        fork.add("m.room.topic", ANA, {})
        (found,) = dispute(resolved(fork, other), TOPIC).candidates
        assert (found.outcome, found.wins, found.number) == (Outcome.UNDISPUTED, True, 0)

    def test_tells_that_none_was_allowed(self) -> None:
        fork = a_fork(V1)
        other = fork.branch()
        for branch in (fork, other):
            branch.add("m.room.topic", DAN, {})
        last = dispute(resolved(fork, other), TOPIC).candidates[-1]
        assert str(last).endswith("is not joined; none was allowed, so it stands")


@given(st.integers(0, 2**32), st.sampled_from(["1", "2", "2.1"]))
def test_every_place_has_its_candidates_and_at_most_one_winner(seed: int, algorithm: str) -> None:
    case = a_case(seed)
    found = resolve(
        case.version, case.state_sets, case.events, rejected=case.rejected, algorithm=algorithm
    )
    story = found.story
    assert {d.place for d in story.disputes} == found.conflicted.keys()
    for entry in story.disputes:
        winners = [c.event_id for c in entry.candidates if c.wins]
        assert winners == ([entry.winner] if entry.winner else [])
    numbers = [entry.number for entry in story.considered if entry.number]
    assert numbers == list(range(1, len(numbers) + 1))
    json.dumps(story.to_dict())
    assert str(story)


@given(st.integers(0, 2**32), st.sampled_from(["2", "2.1"]))
def test_no_event_of_the_result_was_refused(seed: int, algorithm: str) -> None:
    case = a_case(seed)
    found = resolve(
        case.version, case.state_sets, case.events, rejected=case.rejected, algorithm=algorithm
    )
    winners = [
        entry for entry in found.story.considered if entry.wins and entry.place in found.conflicted
    ]
    assert all(isinstance(e.decision, Decision) and e.decision.allowed for e in winners)
