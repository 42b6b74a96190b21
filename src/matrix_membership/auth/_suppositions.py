"""Complete a partial state in every way that could change a verdict."""

# How it works: a partial state leaves out members, and each of them has one of five memberships.
# For every combination of them a state is made that answers as if the members were there, and the
# rules run on it as on any other. If all runs end in the same decision, what is missing does not
# matter. Otherwise the decision is undecided, and names each user whose membership alone changes
# the outcome. The events that stripped state leaves out are not supposed: the list of possible join
# rules or power levels would be too long. A rule that reads it ends the run.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from matrix_membership.auth._program import Chosen
from matrix_membership.auth._rule import Decision
from matrix_membership.errors import IncompleteState
from matrix_membership.events import Event
from matrix_membership.identifiers import UserID, is_user_id
from matrix_membership.membership import MEMBERSHIPS, UNKNOWN, UNRECOGNISED, Membership
from matrix_membership.state import RoomState

# Five memberships cover all cases. Rule 4.8 keeps any other one out of a state, and a user without
# a member event counts as having left. The rules of the specification read the memberships of three
# users at most, which makes 125 completions.
Guess = tuple[Membership, ...]
"""A membership of each user whom the state leaves out, in the order of `left_out`."""


def judge_in_part(event: Event, state: RoomState, rules: Chosen) -> Decision:
    """Judge against a partial state.

    Args:
        event: the event.
        state: the partial state.
        rules: the rules of its version.

    Returns:
        The decision that every completion of the state gives; otherwise an undecided one,
        which names what the verdict depends on. Cost: at most 5 ** 3 judgements.
    """
    outcomes = {
        guess: rules.judge_in_part(event, supposed)
        for guess, supposed in suppositions(event, state)
    }
    first = next(iter(outcomes.values()))
    # Whole decisions are compared, not verdicts: of two rejections by different rules, either would
    # cite a rule that may not be the one.
    if all(outcome == first for outcome in outcomes.values()):
        return first
    members = [
        f"m.room.member {user}"
        for index, user in enumerate(_left_out(event, state))
        if _matters(index, outcomes)
    ]
    others = [what for outcome in outcomes.values() for what in outcome.missing]
    return first.undecided_for_lack_of(*dict.fromkeys((*members, *others)))


def _matters(index: int, outcomes: Mapping[Guess, Decision]) -> bool:
    """Tell whether the membership of one user alone changes any outcome."""
    by_others: dict[Guess, Decision] = {}
    for guess, outcome in outcomes.items():
        others = (*guess[:index], *guess[index + 1 :])
        if by_others.setdefault(others, outcome) != outcome:
            return True
    return False


def suppositions(event: Event, state: RoomState) -> Iterator[tuple[Guess, RoomState]]:
    """Suppose memberships of the users involved whom the state leaves out.

    Args:
        event: the event. The rules read the memberships of its sender, its target user and
            the authorising user, and of nobody else.
        state: the partial state.

    Yields:
        Memberships of these users, and the state in which they have them: at most 5 ** 3,
        or 6 ** 3 by an amended rulebook.
    """
    missing = _left_out(event, state)
    possible = tuple(MEMBERSHIPS.values())
    if state.room_version.rules is not None:  # an amended list may let in a membership of its own
        possible += (UNRECOGNISED,)
    for guess in product(possible, repeat=len(missing)):
        yield guess, _supposing(state, dict(zip(missing, guess, strict=True)))


def _left_out(event: Event, state: RoomState) -> list[str]:
    involved = {event.sender, event.state_key, event.authorised_via}
    users = filter(is_user_id, involved)  # not the token of a third-party invite
    return sorted(user for user in users if not state.knows("m.room.member", user))


def _supposing(state: RoomState, memberships: Mapping[str, Membership]) -> RoomState:
    """Return the state with these memberships added."""
    supposed = {
        user: Event.from_client_event(
            {
                "type": "m.room.member",
                # The rules read the membership of such an event and never its sender, so even a
                # supposed ban may be the user's own.
                "sender": user,
                "state_key": user,
                "content": {"membership": str(membership)},
            },
            state.room_version,
        )
        for user, membership in memberships.items()
    }

    def get(event_type: str, state_key: str) -> Event | None:
        if event_type == "m.room.member" and state_key in supposed:
            return supposed[state_key]
        # Only a rule of one's own asks for another member than those involved.
        if event_type == "m.room.member" and state.membership_of(UserID(state_key)) is UNKNOWN:
            raise IncompleteState("a membership", f"m.room.member {state_key}")
        return state.get(event_type, state_key)

    return RoomState.over(state.room_version, get)
